package recorder

import (
	"time"

	"goproxytrace/analyze/decode"
	"goproxytrace/capture"
)

// flowKey tells connections apart: both ends, the lower one first.
type flowKey struct {
	low, high endpoint
}

type endpoint struct {
	addr decode.Addr
	port uint16
}

func (e endpoint) compare(o endpoint) int {
	for i := range e.addr {
		if e.addr[i] != o.addr[i] {
			return int(e.addr[i]) - int(o.addr[i])
		}
	}
	return int(e.port) - int(o.port)
}

// keyOf returns a segment's key, and its direction: 0 from the lower end.
func keyOf(s *decode.Segment) (flowKey, int) {
	src, dst := endpoint{s.Src, s.SrcPort}, endpoint{s.Dst, s.DstPort}
	if dst.compare(src) < 0 {
		return flowKey{dst, src}, 1
	}
	return flowKey{src, dst}, 0
}

// flow is a TCP connection with the frames that are kept of it.
type flow struct {
	key    flowKey
	frames []*frame
	bytes  int64 // that it takes in memory, with its frames
	pid    uint32
	// owner is the episode that it belongs to, nil for none.
	owner *episode
	// foreign is true where the owner is known and is no go command's.
	foreign bool
	// asked is the process table's state when its owner was looked for last.
	asked  uint64
	halves [2]half
	// syn is the sequence number of the SYN that opened it, of direction
	// client; opened is true where one was seen.
	syn    uint32
	client int
	opened bool
	// reset is true once an end reset it.
	reset bool
	// last is when a segment came, by the clock that stands still while the
	// machine sleeps; from and until are the first and last frames' times.
	last        time.Duration
	from, until int64
	// thinned counts frames that were given up.
	thinned int
	// local is true where both ends are on this host.
	local bool
}

// flowBytes is what a connection takes beside its frames: a flood of SYNs is to
// count for the memory's limit, too.
const flowBytes = 512

// closed reports whether the connection is over.
func (f *flow) closed() bool { return f.reset || f.halves[0].fin && f.halves[1].fin }

// sound reports whether a connection that is over looks like one that came to a
// regular end: it is given up before others. What it was is the analysis' to
// say.
func (f *flow) sound() bool {
	return f.closed() && f.opened && f.halves[f.client].fin && f.halves[1-f.client].bytes > maxClear
}

// take adds a segment's frame.
func (f *flow) take(p *capture.Packet, s *decode.Segment, dir int, number uint64, full bool, scratch []span) []span {
	head, ok := offset(p.Data, s.Payload)
	if !ok {
		full = true
	}
	h := &f.halves[dir]
	if s.Flags&decode.SYN != 0 {
		h.syn(s.Seq)
		if s.Flags&decode.ACK == 0 {
			f.opened, f.syn, f.client = true, s.Seq, dir
		}
	}
	keep, where := h.segment(s.Seq, s.Payload, s.Len, scratch[:0])
	if s.Flags&decode.SYN != 0 {
		h.next = max32(h.next, s.Seq+1)
	}
	var n *frame
	switch {
	case !ok:
		n = f.add(wholeFrame(p), number)
	case full || s.Flags&(decode.SYN|decode.RST) != 0 || where == ahead:
		keep = add(keep[:0], 0, len(s.Payload))
		fallthrough
	default:
		n = f.add(frameOf(p, head, len(s.Payload), keep), number)
	}
	n.mark = s.Flags&(decode.SYN|decode.FIN|decode.RST) != 0
	if s.Flags&decode.FIN != 0 {
		h.fin = true
	}
	f.reset = f.reset || s.Flags&decode.RST != 0
	switch {
	case where == ahead && !full:
		h.early = append(h.early, early{s.Seq, s.Len, head, n})
		if len(h.early) > maxEarly {
			h.skip(h.first())
		}
	case where != inOrder:
		return keep
	}
	for e, ok := h.ready(); ok; e, ok = h.ready() {
		keep = f.late(h, e, keep)
	}
	return keep
}

// offset is where a part of a frame begins in it, which borrows its bytes; its
// length where the part is empty. False where it is none.
func offset(data, part []byte) (int, bool) {
	if len(part) == 0 {
		return len(data), true
	}
	at := cap(data) - cap(part)
	if at < 0 || at+len(part) > len(data) || &data[at] != &part[0] {
		return 0, false
	}
	return at, true
}

func max32(a, b uint32) uint32 {
	if int32(a-b) < 0 {
		return b
	}
	return a
}

// late cuts a frame that had to wait for one in front of it.
func (f *flow) late(h *half, e early, scratch []span) []span {
	held := e.frame.data[min(e.head, len(e.frame.data)):]
	keep, where := h.segment(e.seq, held, e.size, scratch[:0])
	if where == again || len(held) <= smallest {
		return keep
	}
	p, _ := e.frame.packet(nil)
	short := frameOf(&p, e.head, len(held), keep)
	short.number, short.mark = e.frame.number, e.frame.mark
	// Frames may be looked at elsewhere by now: they are never changed.
	for i := len(f.frames) - 1; i >= 0; i-- {
		if f.frames[i] == e.frame {
			f.frames[i] = short
			f.bytes += short.cost() - e.frame.cost()
			break
		}
	}
	return keep
}

func (f *flow) add(n *frame, number uint64) *frame {
	n.number = number
	if f.from == 0 {
		f.from = n.at
	}
	f.until = max(f.until, n.at)
	f.frames = append(f.frames, n)
	f.bytes += n.cost()
	return n
}

// What is left of a connection of which not all can be kept: the first frames,
// with the handshakes, the last ones, and all others that hold something of
// their own.
const (
	firstFrames = 64
	lastFrames  = 128
)

// thin gives frames up that are in the middle of a connection and carry nothing
// but application data, and returns what that freed and how many they were.
func (f *flow) thin() (freed int64, gone int) {
	if len(f.frames) <= firstFrames+lastFrames {
		return 0, 0
	}
	middle := f.frames[firstFrames : len(f.frames)-lastFrames]
	kept := f.frames[:firstFrames:firstFrames]
	for _, n := range middle {
		if n.middling() {
			freed += n.cost()
			gone++
			continue
		}
		kept = append(kept, n)
	}
	if gone == 0 {
		return 0, 0
	}
	f.frames = append(kept, f.frames[len(f.frames)-lastFrames:]...)
	f.bytes -= freed
	f.thinned += gone
	return freed, gone
}

// middling is true for a frame that tells nothing but that data went on.
func (n *frame) middling() bool {
	return !n.mark && (n.bulk || int(n.whole) > smallest || len(n.data) < bareFrame)
}

// bareFrame is as long as headers without payload are at most.
const bareFrame = 100
