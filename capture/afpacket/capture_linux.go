package afpacket

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"goproxytrace/capture"
	"goproxytrace/capture/nic"
	"goproxytrace/capture/portfilter"
)

const (
	// turn is how long Read waits before it returns an empty batch.
	turn = time.Second
	// sampleEvery paces asking the kernel for its counters.
	sampleEvery = 200 * time.Millisecond
	// followEvery is how often the watch is asked where nothing waits for it.
	followEvery = 50 * time.Millisecond
	// drainLimit ends a drain in which nothing came for that long.
	drainLimit = time.Second
	// few is how many packets must have come between two reads that emptied
	// the ring for the next ones to gather.
	few = 64
)

// gathering is how long packets are to gather in the ring between two reads that
// empty it, so that many are taken at once, and how many bytes at most. The time
// and a block's must stay well below live.DefaultHoldBack.
type gathering struct {
	time  time.Duration
	bytes int64
}

var (
	hurried = gathering{35 * time.Millisecond, 1 << 20}
	patient = gathering{100 * time.Millisecond, 4 << 20}
)

// look is how long nobody looks at the ring while packets gather: nothing tells
// that more come than came before.
const look = 35 * time.Millisecond

// over is how long packets gather where so many bytes came in that time.
func (g *gathering) over(bytes int, since time.Duration) time.Duration {
	coming := float64(bytes) * g.time.Seconds() / max(since, time.Millisecond).Seconds()
	if coming <= float64(g.bytes) {
		return g.time
	}
	return time.Duration(float64(g.time) * float64(g.bytes) / coming)
}

// Capture captures packets. It implements capture.Live.
type Capture struct {
	options Options
	any     bool
	filter  *portfilter.Filter
	watch   *nic.LinkWatch
	bell    *bell
	ring    *ring
	poller  *poller

	members map[int]*member
	changes []nic.Link
	absent  []string // interfaces that did not exist at first, and still do not
	tallies []tally
	info    capture.Info
	// start is when the capture began, in Unix nanoseconds.
	start int64

	// reading is held by Read and Close.
	reading   sync.Mutex
	closed    bool
	stop      atomic.Bool
	delivered atomic.Uint64
	gathering atomic.Pointer[gathering]
	draining  bool
	// changed is true where the watch has something to tell, as it was asked
	// at followed.
	changed  bool
	followed time.Time
	// stopped is when the drain began, progress when a packet came last,
	// sampled when the counters were read.
	stopped, progress, sampled time.Time
	// emptied is when the ring was last read to its end, next when it is to
	// be read again; packets and bytes count what was taken since emptied.
	emptied, next  time.Time
	packets, bytes int
	// known are the interfaces and notes that Read has returned.
	known int
	err   error
}

// Open begins to capture. Packets are taken in from when it returns. The
// network namespace is that of the calling thread.
func Open(o Options) (*Capture, error) {
	filter, err := portfilter.New(o.Filter)
	if err != nil {
		return nil, err
	}
	c := &Capture{
		options: o.withDefaults(), any: o.any(), filter: filter,
		members: make(map[int]*member), start: time.Now().UnixNano(),
		info: capture.Info{Format: "live", Sections: 1, OS: system(), Hardware: runtime.GOARCH},
	}
	c.gathering.Store(&hurried)
	if err := c.open(); err != nil {
		c.release()
		return nil, err
	}
	return c, nil
}

func (c *Capture) open() error {
	var err error
	if c.watch, err = nic.WatchLinks(); err != nil {
		return err
	}
	if c.bell, err = newBell(); err != nil {
		return err
	}
	if c.ring, err = openRing(&c.options); err != nil {
		return withRights(err)
	}
	if c.poller, err = newPoller(c.ring.fd, c.watch.FD(), c.bell.fd); err != nil {
		return err
	}
	if err := c.follow(); err != nil {
		return err
	}
	for _, name := range c.options.Interfaces {
		if name != nic.Any && !c.has(name) {
			c.absent = append(c.absent, name)
			c.note("interface %s does not exist yet: it is captured on as soon as it does", name)
		}
	}
	if err := c.setFilter(); err != nil {
		return err
	}
	c.progress = time.Now()
	return nil
}

func (c *Capture) has(name string) bool {
	for i := range c.info.Interfaces {
		if c.info.Interfaces[i].Name == name {
			return true
		}
	}
	return false
}

// setFilter tells the kernel which packets to take in.
func (c *Capture) setFilter() error {
	program, err := c.filter.Socket(portfilter.Socket{Any: c.any, Interfaces: c.indexes()})
	if err != nil {
		return err
	}
	return c.ring.filter(program)
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
	now := time.Now()
	for until := now.Add(turn); ; now = time.Now() {
		if err := c.upkeep(now); err != nil {
			return c.finish(err)
		}
		if c.next.After(now) {
			if err := c.gather(); err != nil {
				return c.finish(err)
			}
			now = time.Now()
			if err := c.upkeep(now); err != nil {
				return c.finish(err)
			}
		}
		emptied := c.ring.fill(b, c.resolve)
		if n := len(b.Packets); n > 0 {
			c.took(b, now, emptied)
			return nil
		}
		switch {
		case c.draining && c.drained(now):
			return c.finish(io.EOF)
		case now.After(until), c.remarked():
			return nil
		}
		d := until.Sub(now)
		if c.draining {
			// What the kernel still has comes when its block is over, of
			// which the bell, rung for good, lets nobody wait.
			time.Sleep(c.options.BlockTimeout / 4)
			d = 0
		}
		if err := c.wait(d); err != nil {
			return c.finish(err)
		}
	}
}

// gather lets packets gather in the ring.
func (c *Capture) gather() error {
	if err := c.poller.arm(false); err != nil {
		return err
	}
	for d := time.Until(c.next); d > 0 && !c.stop.Load() && !c.ring.filling(); d = time.Until(c.next) {
		time.Sleep(min(d, look))
	}
	return nil
}

// took keeps the books of a batch, and says when the ring is read again.
func (c *Capture) took(b *capture.Batch, now time.Time, emptied bool) {
	c.progress = now
	for i := range b.Packets {
		b.Packets[i].Number = c.info.Packets + int64(i) + 1
	}
	c.delivered.Add(uint64(len(b.Packets)))
	c.info.Packets += int64(len(b.Packets))
	c.info.Bytes += int64(len(b.Buf))
	c.packets += len(b.Packets)
	c.bytes += len(b.Buf)
	if !emptied {
		return
	}
	pause := time.Duration(0)
	if c.packets >= few {
		pause = c.gathering.Load().over(c.bytes, now.Sub(c.emptied))
	}
	c.emptied, c.next, c.packets, c.bytes = now, now.Add(pause), 0, 0
}

// remarked reports whether Info tells more than when Read returned last.
func (c *Capture) remarked() bool {
	n := len(c.info.Interfaces) + len(c.info.Notes)
	more := n > c.known
	c.known = n
	return more
}

// upkeep does what is due beside reading.
func (c *Capture) upkeep(now time.Time) error {
	if c.stop.Load() && !c.draining {
		c.draining = true
		c.stopped, c.progress = now, now
		if err := c.ring.filter(portfilter.Nothing()); err != nil {
			return err
		}
	}
	if c.changed || now.Sub(c.followed) >= followEvery {
		c.changed, c.followed = false, now
		if err := c.follow(); err != nil {
			return err
		}
	}
	// Where nothing was taken since, nothing was dropped either.
	if now.Sub(c.sampled) >= sampleEvery && c.ring.untold() {
		c.sampled = now
		return c.sample()
	}
	return nil
}

// drained reports whether everything that the kernel took in was read, or
// nothing comes any more.
func (c *Capture) drained(now time.Time) bool {
	if now.Sub(c.progress) >= drainLimit {
		return true
	}
	// A packet that met the filter on another processor before it was
	// closed may not be counted yet.
	if now.Sub(c.stopped) < c.options.BlockTimeout {
		return false
	}
	n, err := c.ring.counters()
	return err == nil && n.Received == n.Dropped+c.ring.delivered
}

// Info implements capture.Source.
func (c *Capture) Info() *capture.Info { return &c.info }

// Stop implements capture.Live.
func (c *Capture) Stop() {
	c.stop.Store(true)
	c.bell.ring()
}

// TakeTime implements capture.Patient.
func (c *Capture) TakeTime() {
	g := patient
	g.bytes = min(g.bytes, int64(len(c.ring.memory))/8)
	c.gathering.Store(&g)
}

// Close implements capture.Source. It waits for a Read that is under way.
func (c *Capture) Close() error {
	c.Stop()
	c.reading.Lock()
	defer c.reading.Unlock()
	return c.release()
}

func (c *Capture) release() error {
	if c.closed {
		return nil
	}
	c.closed = true
	if c.poller != nil {
		c.poller.close()
	}
	if c.ring != nil {
		c.ring.close()
	}
	if c.bell != nil {
		c.bell.close()
	}
	if c.watch == nil {
		return nil
	}
	return c.watch.Close()
}

// system names the kernel as dumpcap does.
func system() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "Linux"
	}
	return fmt.Sprintf("%s %s", unix.ByteSliceToString(u.Sysname[:]), unix.ByteSliceToString(u.Release[:]))
}

var errNoPacketSockets = errors.New("this kernel has no packet sockets")
