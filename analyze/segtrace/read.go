package segtrace

import (
	"encoding/binary"

	"goproxytrace/analyze/tcpflow"
	"goproxytrace/analyze/tlswire"
)

type (
	flags = tcpflow.Flags
	kind  = tlswire.Kind
)

// mostRemarkable bounds the remarkable segments and the messages of one
// connection that are read.
const mostRemarkable = 100_000

// Wish names a connection to read.
type Wish struct {
	ID int64
	// Segments is how many segments to read; what is remarkable, and what is
	// in Frames, comes on top of it where there are more.
	Segments int
	// Frames are kept whatever they show.
	Frames map[int64]bool
}

// readable reports whether the message's content could be read.
func (m *Message) readable() bool {
	return m.Kind == tlswire.KindHandshake || m.Kind == tlswire.KindAlert || m.Kind == tlswire.KindEncryptedAlert
}

// picked is a connection that is being read.
type picked struct {
	conn   Connection
	wish   *Wish
	client uint8
	frames map[int64]bool // with readable messages
	plain  int            // unremarkable segments
	kept   int            // of them
	seen   int
	strong int // remarkable ones
}

func (p *picked) strongly(s *Segment) bool {
	return s.Remarkable() || p.wish.Frames[s.Frame] || p.frames[s.Frame]
}

// Read returns the wished connections, in the order of the wishes. Of long
// ones every n-th unremarkable segment is read. What was kept before an error
// of the file comes with it.
func (s *Spool) Read(wishes []Wish) ([]Connection, error) {
	byID := make(map[int64]*picked, len(wishes))
	for i := range wishes {
		byID[wishes[i].ID] = &picked{conn: Connection{ID: wishes[i].ID}, wish: &wishes[i], frames: map[int64]bool{}}
	}
	// Roles and readable messages first: they say what the segments are.
	err := s.records(func(kind uint8, id int64, r []byte) {
		p := byID[id]
		switch {
		case p == nil:
		case kind == kindRoles:
			p.client = r[header]
		case kind == kindMessage:
			if m := readMessage(r, 0); m.readable() && len(p.frames) < mostRemarkable {
				p.frames[m.Frame] = true
			}
		}
	})
	if err == nil {
		err = s.records(func(kind uint8, id int64, r []byte) {
			if p := byID[id]; p != nil && kind == kindSegment {
				if v := readSegment(r, p.client); !p.strongly(&v) {
					p.plain++
				}
				p.conn.Total++
			}
		})
	}
	if err == nil {
		err = s.records(func(kind uint8, id int64, r []byte) {
			if p := byID[id]; p != nil {
				p.take(kind, r)
			}
		})
	}
	out := make([]Connection, len(wishes))
	for i := range wishes {
		out[i] = byID[wishes[i].ID].conn
	}
	return out, err
}

func (p *picked) take(kind uint8, r []byte) {
	c := &p.conn
	switch kind {
	case kindSegment:
		v := readSegment(r, p.client)
		if p.strongly(&v) {
			if p.strong++; p.strong > mostRemarkable && !p.wish.Frames[v.Frame] {
				c.Lost++
				return
			}
			c.Segments = append(c.Segments, v)
			return
		}
		// Evenly spread: the i-th of n is kept where i*want/n grows.
		p.seen++
		want := max(p.wish.Segments-(c.Total-p.plain), p.wish.Segments/4)
		if want < p.plain && p.seen*want/p.plain == p.kept {
			c.Thinned++
			return
		}
		p.kept++
		c.Segments = append(c.Segments, v)
	case kindMessage:
		if m := readMessage(r, p.client); len(c.Messages) < mostRemarkable {
			c.Messages = append(c.Messages, m)
		}
	case kindICMP:
		b := r[header:]
		if len(c.ICMP) < 64 {
			c.ICMP = append(c.ICMP, ICMP{Frame: int64(binary.LittleEndian.Uint64(b)), Time: int64(binary.LittleEndian.Uint64(b[8:])), TTL: b[16]})
		}
	}
}
