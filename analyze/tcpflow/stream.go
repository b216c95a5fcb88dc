package tcpflow

import "goproxytrace/analyze/decode"

// Bounds on payload that waits behind a hole.
const (
	maxHeldPerHalf = 1 << 20  // bytes
	maxHeldChunks  = 1024     // segments
	maxHeldTotal   = 16 << 20 // bytes, all connections
	// ackedChunks is how many segments may wait behind a hole that the
	// receiver has acknowledged: those bytes were not captured, but in a
	// file that is not in time order they may still come.
	ackedChunks = 16
	// chunkCost is what keeping a segment takes beside its bytes.
	chunkCost = 80
)

// stream puts the payload of one direction in order.
type stream struct {
	chunks    []chunk // ascending by sequence number
	held      uint32  // bytes of memory that chunks take
	next      uint32  // sequence number of the next byte to deliver
	at        uint32  // sequence number of the byte that the handler is told of
	started   bool
	delivered bool
	off       bool
}

// StreamAt returns the sequence number of the first byte that a Handler is
// being told of by Data or Missing.
func (h *Half) StreamAt() uint32 { return h.stream.at }

// StreamSeq is StreamAt relative to the initial sequence number.
func (h *Half) StreamSeq() uint32 { return h.stream.at - h.base }

// chunk is a segment that waits behind a hole.
type chunk struct {
	seq, len uint32
	at       Point
	data     []byte
}

func (k *chunk) cost() uint32 { return uint32(len(k.data)) + chunkCost }

// Ignore stops the delivery of direction d's payload: nobody needs it.
func (t *Table) Ignore(c *Conn, d uint8) {
	h := c.Half[d]
	if h == nil {
		return
	}
	t.held -= uint64(h.stream.held)
	h.stream = stream{off: true}
}

// payload takes the payload of a segment into the stream.
func (t *Table) payload(c *Conn, d uint8, s *decode.Segment) {
	h := c.Half[d]
	st := &h.stream
	if st.off {
		return
	}
	seq := s.Seq
	if s.Flags&decode.SYN != 0 {
		seq++
	}
	if !st.started {
		st.started = true
		st.next = seq
		if h.SYN.Seen() {
			st.next = h.base + 1
		}
	}
	at := Point{s.Frame, s.Time}
	gap := int32(seq - st.next)
	if gap > 0 {
		t.hold(c, d, chunk{seq, s.Len, at, s.Payload})
		return
	}
	t.deliver(c, d, seq, s.Len, at, s.Payload)
	if len(st.chunks) > 0 {
		t.drain(c, d)
	}
}

// deliver hands on what of a segment was not delivered before.
func (t *Table) deliver(c *Conn, d uint8, seq, length uint32, at Point, b []byte) {
	st := &c.Half[d].stream
	skip := st.next - seq
	if skip >= length {
		return
	}
	st.next = seq + length
	st.delivered = true
	captured := min(uint32(len(b)), length)
	st.at = seq + skip
	if skip < captured {
		t.handler.Data(c, d, at, b[skip:captured], skip == 0)
		skip = captured
	}
	if skip < length && !st.off {
		st.at = seq + skip
		t.handler.Missing(c, d, at, length-skip)
	}
}

// hold keeps a segment that lies behind a hole.
func (t *Table) hold(c *Conn, d uint8, k chunk) {
	st := &c.Half[d].stream
	i := len(st.chunks)
	for i > 0 && after(st.chunks[i-1].seq, k.seq) {
		i--
	}
	if i > 0 && st.chunks[i-1].seq == k.seq && st.chunks[i-1].len >= k.len {
		return
	}
	k.data = append(make([]byte, 0, len(k.data)), k.data...)
	st.chunks = append(st.chunks, chunk{})
	copy(st.chunks[i+1:], st.chunks[i:])
	st.chunks[i] = k
	st.held += k.cost()
	t.held += uint64(k.cost())
	for len(st.chunks) > 0 && t.mustSkip(c, d) {
		t.skipHole(c, d)
	}
}

func (t *Table) mustSkip(c *Conn, d uint8) bool {
	h := c.Half[d]
	st := &h.stream
	if st.held > maxHeldPerHalf || len(st.chunks) > maxHeldChunks || t.held > maxHeldTotal {
		return true
	}
	return len(st.chunks) > ackedChunks && !after(st.chunks[0].seq-h.base, c.ackedOf(d))
}

// skipHole gives up the hole in front of the first waiting segment.
func (t *Table) skipHole(c *Conn, d uint8) {
	st := &c.Half[d].stream
	// Segments further apart than half the sequence space have no order;
	// one that turns out to lie behind is old.
	if k := &st.chunks[0]; after(k.seq, st.next) {
		st.at = st.next
		t.handler.Missing(c, d, k.at, k.seq-st.next)
		st.next = k.seq
	}
	t.drain(c, d)
}

// drain delivers the waiting segments that are in order now.
func (t *Table) drain(c *Conn, d uint8) {
	st := &c.Half[d].stream
	n := 0
	for n < len(st.chunks) && !st.off {
		k := &st.chunks[n]
		if after(k.seq, st.next) {
			break
		}
		st.held -= k.cost()
		t.held -= uint64(k.cost())
		n++
		t.deliver(c, d, k.seq, k.len, k.at, k.data)
	}
	if st.off {
		return
	}
	if n == len(st.chunks) {
		st.chunks = nil
		return
	}
	st.chunks = append(st.chunks[:0], st.chunks[n:]...)
}

// flush delivers what still waits, holes included.
func (t *Table) flush(c *Conn, d uint8) {
	if h := c.Half[d]; h != nil {
		for len(h.stream.chunks) > 0 {
			t.skipHole(c, d)
		}
	}
}
