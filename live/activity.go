package live

import (
	"net/netip"
	"sync"
	"time"
)

// Activity is what the wire does at a moment.
type Activity struct {
	// Last is when the session received the latest TCP segment; the zero Time
	// for none yet.
	Last time.Time
	// Moved is the same of one with more payload than a keep-alive has.
	Moved time.Time
	// Open counts TCP connections that were seen to open, or were open
	// already, and not to end. Lost is true where there are too many to
	// count.
	Open int
	Lost bool
	// Frames counts the frames passed on, Bytes what they hold.
	Frames, Bytes int64
}

// maxOpen bounds the connections that are followed for Activity.
const maxOpen = 16 << 10

// activity follows which connections are open.
type activity struct {
	mu sync.Mutex
	Activity
	open map[[2]netip.AddrPort]byte // directions that have sent a FIN, as bits
	// ends counts the connections that have ended. It is of the sequence's
	// goroutine alone.
	ends uint64
}

// segment takes a TCP segment, and says whether its connection is open now.
func (a *activity) segment(t *tuple) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	key, side := [2]netip.AddrPort{t.src, t.dst}, byte(1)
	if t.dst.Compare(t.src) < 0 {
		key[0], key[1], side = t.dst, t.src, 2
	}
	fins, known := a.open[key]
	switch {
	case t.flags&flagRST != 0:
		a.end(key)
		return false
	case t.flags&flagFIN != 0:
		if !known {
			return false // the rest of a connection that has ended
		}
		if fins |= side; fins == 3 {
			a.end(key)
			return false
		}
		a.open[key] = fins
	case known:
	case t.flags&flagSYN != 0 || t.payload:
		if len(a.open) >= maxOpen {
			a.Lost = true
			return false
		}
		if a.open == nil {
			a.open = make(map[[2]netip.AddrPort]byte)
		}
		a.open[key] = 0
	default:
		return false
	}
	a.Open = len(a.open)
	return true
}

func (a *activity) end(key [2]netip.AddrPort) {
	delete(a.open, key)
	a.Open = len(a.open)
	a.ends++
}

// stir is what a run of frames shows: that segments came, and that some carried
// more than a keep-alive has.
type stir struct{ heard, moved bool }

// frames takes a run of frames that arrived at a time.
func (a *activity) frames(n, bytes int, s stir, arrived time.Time) {
	a.mu.Lock()
	a.Frames += int64(n)
	a.Bytes += int64(bytes)
	if s.heard {
		a.Last = arrived
	}
	if s.moved {
		a.Moved = arrived
	}
	a.mu.Unlock()
}

func (a *activity) now() Activity {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.Activity
}
