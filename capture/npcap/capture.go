package npcap

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"goproxytrace/capture"
	"goproxytrace/capture/engine/merge"
)

const (
	// readTimeout is how long the driver gathers packets before it hands
	// them over; a read without packets ends after it.
	readTimeout = 50 * time.Millisecond
	// hold covers two of them: a read that begins just too early waits for
	// the next.
	hold = 2*readTimeout + 20*time.Millisecond
	// countEvery paces asking the driver for its drops.
	countEvery = 500 * time.Millisecond
	// drainLimit bounds reading on after the stop.
	drainLimit = 2 * time.Second
	// tick is how far the clock as Go reads it may be behind that of packets:
	// Windows moves it on every 15.6 ms.
	tick = 20 * time.Millisecond
	// turn is how long Read waits before it returns an empty batch.
	turn  = 250 * time.Millisecond
	pause = 10 * time.Millisecond
)

// Capture captures on several adapters. It implements capture.Live.
type Capture struct {
	queues []*queue
	merger *merge.Merger
	info   capture.Info

	// reading is held by Read and Close.
	reading   sync.Mutex
	closed    bool
	stopping  chan struct{}
	once      sync.Once
	stopped   atomic.Pointer[time.Time]
	delivered atomic.Uint64
	noted     []bool
	err       error
}

// open captures with the handles that open gives. One adapter that cannot be
// opened is noted; none is an error.
func open(o Options, open func(*Adapter) (Handle, error)) (*Capture, error) {
	c := &Capture{stopping: make(chan struct{}), info: capture.Info{Format: "live", Sections: 1, OS: "Windows"}}
	start := time.Now().UnixNano()
	var errs []error
	for i := range o.Adapters {
		a := &o.Adapters[i]
		h, err := open(a)
		if err != nil {
			errs = append(errs, fmt.Errorf("adapter %s: %w", a.Label, err))
			continue
		}
		q := newQueue(a, h, int32(len(c.queues)))
		c.queues = append(c.queues, q)
		c.info.Interfaces = append(c.info.Interfaces, capture.Interface{
			Name: a.Name, Description: a.Label, LinkType: q.link, OS: c.info.OS,
			Filter: o.Filter.Expression(q.link), Start: start,
		})
	}
	if len(c.queues) == 0 {
		if len(errs) == 0 {
			return nil, errors.New("no adapter to capture on")
		}
		return nil, errors.Join(errs...)
	}
	for _, err := range errs {
		c.info.Notes = append(c.info.Notes, "not captured: "+err.Error())
	}
	c.merger = merge.New(hold)
	c.noted = make([]bool, len(c.queues))
	for _, q := range c.queues {
		c.merger.Add(q)
		go q.pump(c.stopping)
	}
	return c, nil
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
	began := time.Now()
	for {
		// Asked first: what a queue got before it ended is read below.
		over, cause := c.over()
		if err := c.merger.Fill(b, over); err != nil {
			return c.finish(err)
		}
		if n := len(b.Packets); n > 0 {
			c.delivered.Add(uint64(n))
			c.info.Packets += int64(n)
			for i := range b.Packets {
				c.info.Bytes += int64(len(b.Packets[i].Data))
			}
			return nil
		}
		if over {
			return c.finish(cause)
		}
		if time.Since(began) >= turn {
			return nil
		}
		time.Sleep(pause)
	}
}

// over reports whether every adapter has ended, and with what error the
// capture then ends: io.EOF where one of them was stopped.
func (c *Capture) over() (bool, error) {
	all, cause := true, error(nil)
	for i, q := range c.queues {
		err := q.ended()
		if err == nil && c.overdue() && !q.waiting() {
			err = fmt.Errorf("the driver does not return from a read: %w", errStopped)
			c.remark(i, err)
		}
		switch {
		case err == nil:
			all = false
		case errors.Is(err, errStopped):
			cause = io.EOF
		default:
			c.remark(i, err)
			if cause == nil {
				cause = fmt.Errorf("adapter %s: %w", q.adapter.Label, err)
			}
		}
	}
	return all, cause
}

// overdue reports whether the capture should long have stopped.
func (c *Capture) overdue() bool {
	at := c.stopped.Load()
	return at != nil && time.Since(*at) > drainLimit+hold
}

// remark notes once why an adapter ended.
func (c *Capture) remark(i int, err error) {
	if !c.noted[i] {
		c.noted[i] = true
		c.info.Notes = append(c.info.Notes, fmt.Sprintf("adapter %s: the capture broke off: %v", c.queues[i].adapter.Label, err))
	}
}

// finish completes Info. The driver's own count of received packets is taken
// before its filter, so that received is what was delivered and dropped.
func (c *Capture) finish(cause error) error {
	c.err = cause
	end := time.Now().UnixNano()
	for i, q := range c.queues {
		f := &c.info.Interfaces[i]
		delivered, dropped := q.delivered, q.dropped.Load()
		received := delivered + dropped
		accepted := received
		f.Packets, f.End = int64(delivered), end
		f.Received, f.FilterAccepted, f.OSDropped, f.Delivered = &received, &accepted, &dropped, &delivered
	}
	return cause
}

// Counters implements capture.Live.
func (c *Capture) Counters() capture.Counters {
	n := capture.Counters{Delivered: c.delivered.Load()}
	for _, q := range c.queues {
		n.Dropped += q.dropped.Load()
	}
	n.Received = n.Delivered + n.Dropped
	return n
}

// Info implements capture.Source.
func (c *Capture) Info() *capture.Info { return &c.info }

// Stop implements capture.Live.
func (c *Capture) Stop() {
	c.once.Do(func() {
		now := time.Now()
		c.stopped.Store(&now)
		close(c.stopping)
	})
}

// Close implements capture.Source. It waits for a Read that is under way.
func (c *Capture) Close() error {
	c.Stop()
	c.reading.Lock()
	defer c.reading.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	// A pump may wait for room, once for every packet it still reads.
	for began := time.Now(); time.Since(began) < drainLimit; time.Sleep(pause) {
		running := false
		for _, q := range c.queues {
			q.release()
			running = running || !q.over()
		}
		if !running {
			break
		}
	}
	for _, q := range c.queues {
		if q.over() {
			q.handle.Close()
		} else {
			// Closing waits for the read that does not return.
			go q.handle.Close()
		}
	}
	return nil
}
