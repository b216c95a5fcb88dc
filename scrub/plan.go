package scrub

import (
	"sort"

	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/redact"
)

// A plan says, for the TCP streams of a capture, which bytes of them are
// written, and what. All others are zero. It is made by reading the capture
// once before it is written, since what a segment holds may be known only from
// later ones.
type plan struct {
	redactor *redact.Redactor
	table    *tcpflow.Table
	// current is the segment that the table is being given.
	current *decode.Segment
	streams map[int64]*[2]stream // by connection
}

// stream is what is written of one direction's payload.
type stream struct {
	spans []span
	bytes []byte
}

// span is a run of bytes: length bytes from stream.bytes[at] on, at the
// position offset.
type span struct {
	offset uint64
	at     int
	length int32
}

func newPlan(r *redact.Redactor) *plan {
	p := &plan{redactor: r, streams: make(map[int64]*[2]stream)}
	p.table = tcpflow.NewTable(p, tcpflow.Options{})
	return p
}

// segment takes the next segment of the capture.
func (p *plan) segment(s *decode.Segment) {
	if s.Proto != decode.ProtoTCP {
		return
	}
	p.current = s
	c, d, _ := p.table.Segment(s)
	if c != nil {
		p.reader(c).place[d].see(s.Seq)
	}
	p.current = nil
}

func (p *plan) reader(c *tcpflow.Conn) *reader {
	if r, ok := c.User.(*reader); ok {
		return r
	}
	r := newReader(p.redactor, c.End[0].Port == dnsPort || c.End[1].Port == dnsPort)
	c.User = r
	return r
}

// Data is part of tcpflow.Handler.
func (p *plan) Data(c *tcpflow.Conn, d uint8, _ tcpflow.Point, b []byte, start bool) {
	r := p.reader(c)
	if !r.place[d].set && p.current != nil {
		r.place[d].see(p.current.Seq)
	}
	r.data(d, r.place[d].see(c.Half[d].StreamAt()), b, start)
}

// Missing is part of tcpflow.Handler.
func (p *plan) Missing(c *tcpflow.Conn, d uint8, _ tcpflow.Point, n uint32) {
	r := p.reader(c)
	if !r.place[d].set && p.current != nil {
		r.place[d].see(p.current.Seq)
	}
	r.missing(d, int(n))
}

// Done is part of tcpflow.Handler.
func (p *plan) Done(c *tcpflow.Conn) {
	r, ok := c.User.(*reader)
	if !ok {
		return
	}
	r.finish()
	if len(r.out[0].spans)+len(r.out[1].spans) > 0 {
		out := r.out
		for d := range out {
			s := out[d].spans
			sort.SliceStable(s, func(i, j int) bool { return s[i].offset < s[j].offset })
		}
		p.streams[c.ID] = &out
	}
}

// put has b written at a position.
func (s *stream) put(offset uint64, b []byte) {
	if len(b) == 0 {
		return
	}
	s.spans = append(s.spans, span{offset, len(s.bytes), int32(len(b))})
	s.bytes = append(s.bytes, b...)
}

// fill writes what is planned for the bytes from offset on into out, which is
// zero.
func (s *stream) fill(offset uint64, out []byte) {
	end := offset + uint64(len(out))
	i := sort.Search(len(s.spans), func(i int) bool { return s.spans[i].offset+uint64(s.spans[i].length) > offset })
	for ; i < len(s.spans) && s.spans[i].offset < end; i++ {
		b := s.bytes[s.spans[i].at:][:s.spans[i].length]
		if at := s.spans[i].offset; at >= offset {
			copy(out[at-offset:], b)
		} else {
			copy(out, b[min(offset-at, uint64(len(b))):])
		}
	}
}

// place counts sequence numbers beyond 32 bits.
type place struct {
	set  bool
	high uint64
}

// see returns the position of a sequence number; positions do not wrap.
func (p *place) see(seq uint32) uint64 {
	if !p.set {
		p.set, p.high = true, 1<<32|uint64(seq)
		return p.high
	}
	at := p.high + uint64(int64(int32(seq-uint32(p.high))))
	p.high = max(p.high, at)
	return at
}

// writing follows the connections while the capture is written.
type writing struct {
	plan  *plan
	table *tcpflow.Table
}

func newWriting(p *plan) *writing {
	w := &writing{plan: p}
	w.table = tcpflow.NewTable(w, tcpflow.Options{})
	return w
}

// positions is kept with a connection while it is written.
type positions struct {
	streams *[2]stream
	place   [2]place
}

// where is the place of a segment's payload: in what is planned for its stream,
// which is nil for nothing, and at which position.
type where struct {
	stream *stream
	offset uint64
}

// segment returns where a segment's payload stands.
func (w *writing) segment(s *decode.Segment) where {
	if s.Proto != decode.ProtoTCP {
		return where{}
	}
	c, d, _ := w.table.Segment(s)
	if c == nil {
		return where{}
	}
	p, ok := c.User.(*positions)
	if !ok {
		p = &positions{streams: w.plan.streams[c.ID]}
		c.User = p
	}
	at := p.place[d].see(s.Seq)
	if p.streams == nil {
		return where{}
	}
	if s.Flags&decode.SYN != 0 {
		at++
	}
	return where{&p.streams[d], at}
}

// Data, Missing and Done are part of tcpflow.Handler.
func (w *writing) Data(*tcpflow.Conn, uint8, tcpflow.Point, []byte, bool) {}

// Missing is part of tcpflow.Handler.
func (w *writing) Missing(*tcpflow.Conn, uint8, tcpflow.Point, uint32) {}

// Done is part of tcpflow.Handler.
func (w *writing) Done(*tcpflow.Conn) {}
