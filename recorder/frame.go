package recorder

import (
	"goproxytrace/capture"
)

// frame is a captured frame as the ring keeps it.
type frame struct {
	// number is its place in the capture's order.
	number uint64
	at     int64 // Unix ns
	// data are the bytes that are kept, from the frame's beginning, without
	// those of holes.
	data  []byte
	holes []hole
	// whole is the frame's length on the wire.
	whole     int32
	pid       uint32
	iface     int32
	link      capture.LinkType
	direction capture.Direction
	fcs       int8
	loopback  bool
	dropped   bool
	// bulk is true where no byte of the payload is of a kind that is kept:
	// such frames are the first to be given up.
	bulk bool
	// lookup is true where the frame is DNS and nothing else.
	lookup bool
	// mark is true where the frame opens or ends a connection.
	mark bool
}

// hole are bytes of a frame that are not kept although some behind them are;
// zeros stand in their place where the frame is written. A frame with holes is
// always written cut short, so that nobody takes its checksum for wrong.
type hole struct{ at, n int32 }

// frameBytes is what a frame takes in memory beyond its bytes: the struct, what
// points to it, and the allocator's rounding.
const frameBytes = 160

// cost is what the frame takes in memory, in bytes.
func (f *frame) cost() int64 { return frameBytes + int64(cap(f.data)) + 8*int64(cap(f.holes)) }

// length is how many bytes are written of it.
func (f *frame) length() int {
	n := len(f.data)
	for _, h := range f.holes {
		n += int(h.n)
	}
	return n
}

// packet is the frame as a capture file has it. buf is memory for its bytes.
func (f *frame) packet(buf []byte) (capture.Packet, []byte) {
	data := f.data
	if len(f.holes) > 0 {
		buf = buf[:0]
		taken := 0
		for _, h := range f.holes {
			n := int(h.at) - len(buf)
			buf = append(buf, f.data[taken:taken+n]...)
			taken += n
			for range h.n {
				buf = append(buf, 0)
			}
		}
		buf = append(buf, f.data[taken:]...)
		data = buf
	}
	return capture.Packet{
		Time: f.at, HasTime: true, Data: data, Length: int(f.whole), Interface: f.iface, ProcessID: f.pid,
		LinkType: f.link, FCSLen: f.fcs, Direction: f.direction, Loopback: f.loopback, Dropped: f.dropped,
	}, buf
}

// bare returns the frame without any of its payload beyond n bytes of the
// frame: what is left where memory or disk does not allow more.
func (f *frame) bare(n int) *frame {
	if len(f.holes) > 0 {
		n = min(n, int(f.holes[0].at))
	}
	if n >= len(f.data) && len(f.holes) == 0 {
		return f
	}
	short := *f
	short.data, short.holes, short.bulk = append([]byte(nil), f.data[:min(n, len(f.data))]...), nil, true
	return &short
}

// span is a part of a payload, from one offset to another.
type span struct{ from, to int }

// frameOf makes a frame of a packet: its first head bytes, and of the payload
// behind them the parts in keep, which are in order and do not overlap. keep is
// changed. All of the packet is kept where keep ends with the payload.
func frameOf(p *capture.Packet, head, payload int, keep []span) *frame {
	f := &frame{
		at: p.Time, whole: int32(max(p.Length, len(p.Data))), pid: p.ProcessID, iface: p.Interface, link: p.LinkType,
		direction: p.Direction, fcs: p.FCSLen, loopback: p.Loopback, dropped: p.Dropped,
	}
	switch last := len(keep) - 1; {
	case payload == 0:
	case last < 0:
		f.data, f.bulk = append([]byte(nil), p.Data[:head]...), true
		return f
	case keep[last].to < payload:
		// A hole of a few bytes costs more than they do.
		const least = 16
		parts := keep[:0]
		at := span{0, 0}
		for _, s := range keep {
			if s.from-at.to < least {
				at.to = s.to
				continue
			}
			parts, at = append(parts, at), s
		}
		parts = append(parts, at)
		size := head
		for _, s := range parts {
			size += s.to - s.from
		}
		f.data = append(make([]byte, 0, size), p.Data[:head]...)
		written := 0
		for _, s := range parts {
			if s.from > written {
				f.holes = append(f.holes, hole{int32(head + written), int32(s.from - written)})
			}
			f.data = append(f.data, p.Data[head+s.from:head+s.to]...)
			written = s.to
		}
		return f
	}
	f.data = append([]byte(nil), p.Data...)
	return f
}
