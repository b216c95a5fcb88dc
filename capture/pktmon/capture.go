package pktmon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"goproxytrace/capture"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/capture/portfilter"
)

// Options say what is captured.
type Options struct {
	// Filter has ports only: pktmon knows no expressions.
	Filter portfilter.Options
	// Hardware are the addresses of the host's adapters, by which sent frames
	// are told from received ones.
	Hardware []net.HardwareAddr
	// Program is the pktmon.exe to run, Dir where the traces are kept
	// meanwhile; empty means the system's.
	Program, Dir string
}

func (o *Options) complete() {
	if o.Program == "" {
		o.Program = system()
	}
	if o.Dir == "" {
		o.Dir = os.TempDir()
	}
}

const (
	// turn is how long Read waits before it returns an empty batch.
	turn = 250 * time.Millisecond
	// convertLimit bounds the conversion of one trace.
	convertLimit = 30 * time.Minute
	// maxInterfaces bounds what a converted capture may bring.
	maxInterfaces = 64
)

// Remark says at the beginning of a capture what it will not have.
const Remark = "pktmon hands the packets over when the capture ends; they come without what pktmon knows of them (component, reason of a drop), without loopback and what the capture itself lost"

// Capture is a capture under way. It implements capture.Live.
type Capture struct {
	program program
	dir     string
	filter  *portfilter.Filter
	options Options
	// filtered is true where our filters are set in pktmon.
	filtered bool

	ctx    context.Context // of conversions
	cancel context.CancelFunc
	once   sync.Once
	ended  chan struct{} // pktmon has stopped
	// How, once ended is closed.
	stopErr, filterErr error

	// reading is held by Read and Close.
	reading   sync.Mutex
	closed    bool
	asked     bool // Read was called
	info      capture.Info
	entries   []entry
	reader    *pcapfile.Reader
	converted string          // the file it reads
	trace     string          // and what that was converted from
	done      map[string]bool // traces that were read
	broken    []string        // traces that could not be, or not to their end
	number    int64
	delivered atomic.Uint64
	drops     uint64
	err       error
}

// entry tells interfaces of the converted files apart.
type entry struct {
	name string
	link capture.LinkType
}

// Open begins to capture.
func Open(o Options) (_ *Capture, err error) {
	if o.Filter.Filter != "" {
		return nil, fmt.Errorf("filter expression %q: pktmon takes ports only", o.Filter.Filter)
	}
	filter, err := portfilter.New(o.Filter)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			cancel()
		}
	}()
	s, err := examine(ctx, &o)
	if err != nil {
		return nil, err
	}
	c := &Capture{
		program: program(o.Program), filter: filter, options: o, ctx: ctx, cancel: cancel, ended: make(chan struct{}), done: map[string]bool{},
		info: capture.Info{Format: "live", Sections: 1, OS: "Windows", Notes: []string{Remark}},
	}
	if c.dir, err = os.MkdirTemp(o.Dir, mark); err != nil {
		return nil, fmt.Errorf("directory for pktmon's trace: %w", err)
	}
	c.enter(entry{"", linkEthernet}, time.Now().UnixNano())
	if err = c.begin(ctx, s); err != nil {
		os.RemoveAll(c.dir)
		return nil, err
	}
	return c, nil
}

// enter adds an interface.
func (c *Capture) enter(e entry, start int64) {
	f := capture.Interface{Name: "pktmon", Description: "all network adapters", LinkType: e.link, OS: c.info.OS, Filter: c.filter.Text, Start: start}
	if e.name != "" {
		f.Description = e.name
	}
	c.entries = append(c.entries, e)
	c.info.Interfaces = append(c.info.Interfaces, f)
}

// Read implements capture.Live.
func (c *Capture) Read(b *capture.Batch) error {
	c.reading.Lock()
	defer c.reading.Unlock()
	b.Packets = b.Packets[:0]
	c.asked = true
	switch {
	case c.err != nil:
		return c.err
	case c.closed:
		return c.finish(io.EOF)
	}
	timer := time.NewTimer(turn)
	defer timer.Stop()
	for {
		if c.reader != nil {
			if c.more(b) {
				return nil
			}
			continue
		}
		// Asked first: what there is then is all there will be.
		over := c.over()
		if next := c.next(over); next != "" {
			c.convert(next)
			continue
		}
		if over {
			return c.finish(c.ending())
		}
		select {
		case <-c.ended:
		case <-timer.C:
			return nil
		}
	}
}

func (c *Capture) over() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// next is the next trace to read, empty for none at present: while pktmon
// runs it still writes to the last one.
func (c *Capture) next(over bool) string {
	traces := c.traces()
	if !over && len(traces) > 0 {
		traces = traces[:len(traces)-1]
	}
	for _, t := range traces {
		if !c.done[t] {
			return t
		}
	}
	return ""
}

// traces are the files that pktmon has written, in the order in which it
// began them: it numbers them (capture1.etl, capture2.etl) where it may write
// several.
func (c *Capture) traces() []string {
	found, err := filepath.Glob(filepath.Join(c.dir, "*.etl"))
	if err != nil {
		return nil
	}
	slices.SortFunc(found, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return bytes.Compare([]byte(a), []byte(b))
	})
	return found
}

// more reads on in the converted capture; false where nothing came of it.
func (c *Capture) more(b *capture.Batch) bool {
	err := c.reader.Read(b)
	if err == nil {
		c.take(b)
		return len(b.Packets) > 0
	}
	if !errors.Is(err, io.EOF) {
		c.keep(c.trace, fmt.Errorf("read what pktmon made of it: %w", err))
	}
	c.reader.Close()
	os.Remove(c.converted)
	c.reader = nil
	return false
}

// take keeps the packets that the filter takes in, numbers them and completes
// what is known of them.
func (c *Capture) take(b *capture.Batch) {
	in := c.reader.Info()
	kept := b.Packets[:0]
	for i := range b.Packets {
		p := &b.Packets[i]
		if p.Kind != capture.KindFrame {
			continue
		}
		if p.LinkType == linkEthernet {
			p.LinkType = linkOf(p.Data)
		}
		if !c.filter.Match(p.LinkType, p.Data) {
			continue
		}
		name := ""
		if p.Interface >= 0 && int(p.Interface) < len(in.Interfaces) {
			name = in.Interfaces[p.Interface].Name
		}
		at := slices.Index(c.entries, entry{name, p.LinkType})
		if at < 0 && len(c.entries) < maxInterfaces {
			at = len(c.entries)
			c.enter(entry{name, p.LinkType}, c.info.Interfaces[0].Start)
		}
		if at < 0 {
			continue // and says nothing of a packet: no adapter has so many kinds
		}
		p.Interface = int32(at)
		c.info.Interfaces[at].Packets++
		if p.Direction == capture.DirectionUnknown {
			p.Direction = c.direction(p)
		}
		c.number++
		p.Number = c.number
		c.info.Bytes += int64(len(p.Data))
		kept = append(kept, *p)
	}
	b.Packets = kept
	c.info.Packets = c.number
	c.delivered.Add(uint64(len(kept)))
}

// direction tells by the sender's address whether the host sent a frame.
func (c *Capture) direction(p *capture.Packet) capture.Direction {
	if p.LinkType != linkEthernet || len(p.Data) < 12 || len(c.options.Hardware) == 0 {
		return capture.DirectionUnknown
	}
	if slices.ContainsFunc(c.options.Hardware, func(a net.HardwareAddr) bool { return bytes.Equal(p.Data[6:12], a) }) {
		return capture.Outbound
	}
	return capture.Inbound
}

// keep notes that a trace could not be read, and where it is.
func (c *Capture) keep(trace string, err error) {
	c.broken = append(c.broken, trace)
	c.info.Notes = append(c.info.Notes, fmt.Sprintf("pktmon's trace is kept in %s: %v", trace, err))
}

// ending is what the end of all traces means.
func (c *Capture) ending() error {
	switch {
	case len(c.done) == 0 && c.stopErr != nil:
		return fmt.Errorf("pktmon left no trace: %w", c.stopErr)
	case len(c.done) == 0:
		return fmt.Errorf("pktmon left no trace in %s", c.dir)
	}
	if c.stopErr != nil {
		c.info.Notes = append(c.info.Notes, fmt.Sprintf("pktmon may have been stopped before, or may still run (pktmon status shows it); its trace is kept in %s: %v", c.dir, c.stopErr))
	}
	if c.filterErr != nil {
		c.info.Notes = append(c.info.Notes, c.filterErr.Error())
	}
	if len(c.broken) > 0 && c.number == 0 {
		return fmt.Errorf("pktmon's trace could not be read; it is kept in %s", c.broken[0])
	}
	return io.EOF
}

// finish completes Info. pktmon does not say what it lost.
func (c *Capture) finish(cause error) error {
	c.err = cause
	end := time.Now().UnixNano()
	if c.drops > 0 {
		c.info.Notes = append(c.info.Notes, fmt.Sprintf("pktmon saw the host drop %d packets, which its conversion leaves out", c.drops))
	}
	for i := range c.info.Interfaces {
		f := &c.info.Interfaces[i]
		delivered := uint64(f.Packets)
		f.Delivered, f.End = &delivered, end
	}
	return cause
}

// Info implements capture.Source.
func (c *Capture) Info() *capture.Info { return &c.info }

// Counters implements capture.Live. Nothing is known of drops.
func (c *Capture) Counters() capture.Counters {
	n := c.delivered.Load()
	return capture.Counters{Received: n, Delivered: n}
}

// Kept is the directory of what was captured and not handed out, empty where
// there is none. It is for after Close.
func (c *Capture) Kept() string {
	if _, err := os.Stat(c.dir); err != nil {
		return ""
	}
	return c.dir
}

// Abandon stops the capture for a process that is about to end: it waits for
// pktmon's end for limit at most, and returns Kept.
func (c *Capture) Abandon(limit time.Duration) string {
	c.Stop()
	select {
	case <-c.ended:
	case <-time.After(limit):
	}
	return c.Kept()
}

// Close implements capture.Source. It waits until pktmon has stopped. What was
// not read to its end stays where it is; a capture that nobody began to read
// is thrown away.
func (c *Capture) Close() error {
	c.Stop()
	c.cancel()
	<-c.ended
	c.reading.Lock()
	defer c.reading.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	if c.reader != nil {
		c.reader.Close()
		os.Remove(c.converted)
		c.reader = nil
	}
	if c.asked && (len(c.broken) > 0 || c.err == nil || c.stopErr != nil) {
		return nil
	}
	return os.RemoveAll(c.dir)
}
