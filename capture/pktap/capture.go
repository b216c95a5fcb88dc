package pktap

import (
	"errors"
	"fmt"
	"io"
	"maps"
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
	// Interfaces are names; none, or "any", means all.
	Interfaces []string
	Filter     portfilter.Options
	// Program is the tcpdump to run; empty means System.
	Program string
}

// turn is how long Read waits before it returns an empty batch.
const turn = 250 * time.Millisecond

// Capture captures packets. It implements capture.Live.
type Capture struct {
	tcpdump *tcpdump
	filter  *portfilter.Filter
	// batches goes to the reading goroutine, answers come back from it;
	// there is one at most under way.
	batches chan capture.Batch
	answers chan answer
	waiting bool

	reading   sync.Mutex
	closed    bool
	info      capture.Info
	number    int64
	perEntry  []uint64
	delivered atomic.Uint64
	start     int64
	err       error
}

type answer struct {
	batch capture.Batch
	info  capture.Info
	err   error
}

// Open begins to capture.
func Open(o Options) (*Capture, error) {
	filter, err := portfilter.New(o.Filter)
	if err != nil {
		return nil, err
	}
	if o.Program == "" {
		o.Program = System
	}
	d, err := launch(o.Program, o.Interfaces)
	if err != nil {
		return nil, err
	}
	c := &Capture{
		tcpdump: d, filter: filter, start: time.Now().UnixNano(),
		batches: make(chan capture.Batch), answers: make(chan answer, 1),
		info: capture.Info{Format: "live", Sections: 1, OS: "macOS"},
	}
	go c.serve()
	return c, nil
}

// serve reads the pipe, one batch whenever it is asked for one.
func (c *Capture) serve() {
	var reader *pcapfile.Reader
	for b := range c.batches {
		var a answer
		if reader == nil {
			// Waits until tcpdump writes the head of the file.
			reader, a.err = pcapfile.NewReader(c.tcpdump.stdout, 0)
		}
		if a.err == nil {
			a.err = reader.Read(&b)
			a.info = snapshot(reader.Info())
		}
		a.batch = b
		c.answers <- a
	}
}

// snapshot copies what the reader may change while the copy is looked at.
func snapshot(in *capture.Info) capture.Info {
	out := *in
	out.Interfaces = slices.Clone(in.Interfaces)
	out.Processes = slices.Clone(in.Processes)
	out.EventRecords = slices.Clone(in.EventRecords)
	out.Notes = slices.Clone(in.Notes)
	out.Blocks, out.Names = maps.Clone(in.Blocks), maps.Clone(in.Names)
	return out
}

// Read implements capture.Live.
func (c *Capture) Read(b *capture.Batch) error {
	c.reading.Lock()
	defer c.reading.Unlock()
	b.Packets = b.Packets[:0]
	switch {
	case c.err != nil:
		return c.err
	case c.closed:
		return c.finish(io.EOF)
	}
	timer := time.NewTimer(turn)
	defer timer.Stop()
	for {
		if !c.waiting {
			c.waiting = true
			// The caller's memory goes to the reader, and comes back in
			// its answer.
			c.batches <- *b
			*b = capture.Batch{}
		}
		select {
		case a := <-c.answers:
			c.waiting = false
			if a.err != nil {
				return c.finish(c.ending(a.err, &a.info))
			}
			*b = a.batch
			c.take(b, &a.info)
			if len(b.Packets) > 0 {
				return nil
			}
		case <-timer.C:
			return nil
		}
	}
}

// take keeps the packets that the filter takes in, and numbers them.
func (c *Capture) take(b *capture.Batch, info *capture.Info) {
	for len(c.perEntry) < len(info.Interfaces) {
		c.perEntry = append(c.perEntry, 0)
	}
	kept := b.Packets[:0]
	for i := range b.Packets {
		p := &b.Packets[i]
		if p.Kind != capture.KindFrame || !c.filter.Match(p.LinkType, p.Data) {
			continue
		}
		c.number++
		p.Number = c.number
		if p.Interface >= 0 && int(p.Interface) < len(c.perEntry) {
			c.perEntry[p.Interface]++
		}
		c.info.Bytes += int64(len(p.Data))
		kept = append(kept, *p)
	}
	b.Packets = kept
	c.delivered.Add(uint64(len(kept)))
	c.adopt(info)
}

// adopt takes over what the reader knows of the capture.
func (c *Capture) adopt(info *capture.Info) {
	own := c.info
	c.info = *info
	c.info.Format, c.info.Sections, c.info.OS = own.Format, own.Sections, own.OS
	c.info.Packets, c.info.Events, c.info.Bytes = c.number, 0, own.Bytes
	c.info.EventRecords = nil
	for i := range c.info.Interfaces {
		f := &c.info.Interfaces[i]
		f.Filter, f.Start = c.filter.Text, c.start
	}
}

// ending says what the end of the pipe means.
func (c *Capture) ending(err error, info *capture.Info) error {
	if info.Format != "" {
		c.adopt(info)
	}
	if c.tcpdump.wasStopped() {
		if !errors.Is(err, io.EOF) {
			c.info.Notes = append(c.info.Notes, fmt.Sprintf("tcpdump was ended while it wrote: %v", err))
		}
		return io.EOF
	}
	<-c.tcpdump.quiet
	return fmt.Errorf("tcpdump ended by itself (%s): %w", c.tcpdump.last(), noEOF(err))
}

// noEOF keeps the end of a broken pipe from passing for the end of a capture.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// finish completes Info. tcpdump counts drops for all interfaces together and
// before the filter; they stand with the first.
func (c *Capture) finish(cause error) error {
	c.err = cause
	<-c.tcpdump.quiet
	dropped, known := c.tcpdump.drops()
	end := time.Now().UnixNano()
	for i := range c.info.Interfaces {
		f := &c.info.Interfaces[i]
		var lost, delivered uint64
		if i < len(c.perEntry) {
			delivered = c.perEntry[i]
		}
		if i == 0 {
			lost = dropped
		}
		received := delivered + lost
		accepted := received
		f.Packets, f.Delivered, f.End = int64(delivered), &delivered, end
		if known {
			f.Received, f.FilterAccepted, f.OSDropped = &received, &accepted, &lost
		}
	}
	if dropped > 0 && len(c.info.Interfaces) > 1 {
		c.info.Notes = append(c.info.Notes, "dropped packets are counted for all interfaces and all ports together")
	}
	return cause
}

// Info implements capture.Source.
func (c *Capture) Info() *capture.Info { return &c.info }

// Stop implements capture.Live.
func (c *Capture) Stop() { c.tcpdump.stop() }

// Counters implements capture.Live. What was dropped is known when tcpdump
// has ended.
func (c *Capture) Counters() capture.Counters {
	n := capture.Counters{Delivered: c.delivered.Load()}
	n.Dropped, _ = c.tcpdump.drops()
	n.Received = n.Delivered + n.Dropped
	return n
}

// Close implements capture.Source. It waits for a Read that is under way.
func (c *Capture) Close() error {
	c.reading.Lock()
	defer c.reading.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	if c.err == nil {
		c.tcpdump.kill()
	}
	if c.waiting {
		<-c.answers
	}
	close(c.batches)
	<-c.tcpdump.quiet
	// How it ended was told by Read.
	_ = c.tcpdump.cmd.Wait()
	return nil
}
