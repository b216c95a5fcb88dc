package afpacket

import (
	"time"

	"goproxytrace/capture"
)

// tally is what was counted for one entry of Info.Interfaces.
type tally struct{ delivered, dropped, left uint64 }

// untold reports whether packets were taken since drops were shared out last.
func (r *ring) untold() bool {
	for _, n := range r.taken {
		if n > 0 {
			return true
		}
	}
	return false
}

// sample reads the kernel's counters and shares new drops out.
func (c *Capture) sample() error {
	n, err := c.ring.counters()
	if err != nil {
		return err
	}
	c.share(n.Dropped)
	return nil
}

// share attributes drops to interfaces. The kernel counts them for the ring;
// where packets of one interface passed while it dropped, they were that
// interface's. Where several passed, each gets drops in proportion to its
// packets, which the notes say.
func (c *Capture) share(dropped uint64) {
	r := c.ring
	fresh := dropped - r.shared
	r.shared = dropped
	var total uint64
	passed, largest := 0, 0
	for entry, n := range r.taken {
		if n > 0 {
			passed++
		}
		if n > r.taken[largest] {
			largest = entry
		}
		c.tallies[entry].delivered += n
		total += n
	}
	if fresh > 0 && len(c.tallies) > 0 {
		if passed > 1 {
			c.note("dropped packets are counted for all interfaces together; their shares are estimates")
		}
		rest := fresh
		for entry, n := range r.taken {
			if n == 0 {
				continue
			}
			part := fresh / total * n
			part += fresh % total * n / total
			c.tallies[entry].dropped += part
			rest -= part
		}
		c.tallies[largest].dropped += rest
	}
	clear(r.taken)
}

// finish completes Info; nothing is read any more.
func (c *Capture) finish(cause error) error {
	c.err = cause
	if err := c.sample(); err != nil {
		c.note("the kernel's counters could not be read: %v", err)
	}
	n, err := c.ring.counters()
	if have := n.Dropped + c.ring.delivered; err == nil && n.Received > have {
		c.note("%d packets were still in the kernel's buffer when reading ended", n.Received-have)
		if len(c.tallies) > 0 {
			c.tallies[0].left += n.Received - have
		}
	}
	end := time.Now().UnixNano()
	for i := range c.info.Interfaces {
		f, t := &c.info.Interfaces[i], c.tallies[i]
		accepted := t.delivered + t.dropped + t.left
		received := accepted
		f.Packets = int64(t.delivered)
		f.Received, f.FilterAccepted, f.OSDropped, f.Delivered = &received, &accepted, &t.dropped, &t.delivered
		f.End = end
	}
	return cause
}

// Counters implements capture.Live.
func (c *Capture) Counters() capture.Counters {
	// The last known numbers come beside an error.
	n, _ := c.ring.counters()
	n.Delivered = c.delivered.Load()
	return n
}
