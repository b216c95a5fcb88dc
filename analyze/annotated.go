package analyze

import (
	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/capture"
	"goproxytrace/capture/annotations"
	"goproxytrace/capture/hostlog"
)

// Bounds on owners by annotation, which hostile files may multiply.
const (
	maxVotes     = 8 // processes remembered per connection
	maxDescribed = 4096
)

// annotate adds to the segments from the index n on whom the capture file itself
// names as owner of their packet: by an option of the packet, by a comment of
// the tool that wrote it, or in the link header.
func (w *work) annotate(p *capture.Packet, n int, r *reader) {
	a := decode.Owner{PID: p.ProcessID, EffectivePID: p.EffectivePID, Grade: decode.OwnerStrong}
	if p.OwnerByKernel {
		a.Grade = decode.OwnerExact
	}
	if note, fresh := r.notes.Read(p.Comment); note != nil {
		if fresh {
			w.describe(p, n, note.Process)
			w.describe(p, n, note.Parent)
		}
		if note.Tool == annotations.Etl2pcapng {
			// It writes the same number as an option: no more to be trusted there.
			a = decode.Owner{PID: note.PID, Grade: decode.OwnerWeak}
		} else if a.PID == 0 {
			a.PID = note.PID
		}
	}
	if tap := w.segments[n].Process; tap != nil && a.PID == 0 {
		a = decode.Owner{PID: positive(tap.PID), EffectivePID: positive(tap.EffectivePID), Grade: decode.OwnerExact}
		if !r.described[tap] {
			if len(r.described) >= maxDescribed || r.described == nil {
				r.described = make(map[*decode.Process]bool)
			}
			r.described[tap] = true
			w.describe(p, n, &hostlog.Process{PID: a.PID, Name: tap.Name})
			w.describe(p, n, &hostlog.Process{PID: a.EffectivePID, Name: tap.EffectiveName})
		}
	}
	if a.PID == 0 {
		// Somebody acts on its behalf: less than an owner.
		a.PID, a.EffectivePID, a.Grade = a.EffectivePID, 0, min(a.Grade, decode.OwnerStrong)
	}
	if a.EffectivePID == a.PID {
		a.EffectivePID = 0
	}
	if a.PID == 0 {
		return
	}
	for i := n; i < len(w.segments); i++ {
		w.segments[i].Owner = a
	}
}

// positive returns a PID of Apple's headers, in which -1 and 0 are none.
func positive(pid int32) uint32 { return uint32(max(pid, 0)) }

// describe has a process described from the segment with the index n on.
func (w *work) describe(p *capture.Packet, n int, d *hostlog.Process) {
	if d == nil || d.PID == 0 || d.Name == "" && d.Path == "" {
		return
	}
	record := *d
	record.Time, record.Source = p.Time, hostlog.Annotation
	w.entries = append(w.entries, entry{at: n, frame: p.Number, time: p.Time, record: &record})
}

// vote counts the packets of a connection for which the capture file names one
// process.
type vote struct {
	decode.Owner
	// end is the index of the end that the process has, either where the
	// packets do not tell.
	end uint8
	// sent and received count packets by their recorded direction.
	sent, received uint32
}

// either stands for an end that is not known.
const either = 2

// annotated holds the votes on open connections.
type annotated struct {
	byConn map[*tcpflow.Conn]*votes
	// lately holds those on connections that were voted on a moment ago, by ID.
	lately [64]*votes
}

// votes are those on one connection.
type votes struct {
	conn *tcpflow.Conn
	list []vote
}

// place returns where votes on a connection are found without the map.
func (a *annotated) place(c *tcpflow.Conn) **votes { return &a.lately[c.ID%int64(len(a.lately))] }

// on returns the votes on a connection.
func (a *annotated) on(c *tcpflow.Conn) *votes {
	place := a.place(c)
	if l := *place; l != nil && l.conn == c {
		return l
	}
	l := a.byConn[c]
	if l == nil {
		if a.byConn == nil {
			a.byConn = make(map[*tcpflow.Conn]*votes)
		}
		l = &votes{conn: c}
		a.byConn[c] = l
	}
	*place = l
	return l
}

// add takes a packet of direction d that names an owner. Who sends has the end
// that outgoing packets come from, who receives the one that incoming ones go to.
func (a *annotated) add(c *tcpflow.Conn, d uint8, s *decode.Segment) {
	v := vote{Owner: s.Owner, end: either}
	switch capture.Direction(s.Direction) {
	case capture.Outbound:
		v.end, v.sent = d, 1
	case capture.Inbound:
		v.end, v.received = 1-d, 1
	default:
		v.sent = 1
	}
	l := a.on(c)
	for i := range l.list {
		if o := &l.list[i]; o.end == v.end && o.Owner == v.Owner {
			o.sent += v.sent
			o.received += v.received
			return
		}
	}
	if len(l.list) < maxVotes {
		l.list = append(l.list, v)
	}
}

// release lets go of a connection that is done: the table uses it again.
func (a *annotated) release(c *tcpflow.Conn) {
	if len(a.byConn) > 0 {
		delete(a.byConn, c)
	}
	if place := a.place(c); *place != nil && (*place).conn == c {
		*place = nil
	}
}

// better reports whether v is to be believed before o: sent packets are logged
// while the sender's own call is under way, received ones in whatever runs.
func (v *vote) better(o *vote) bool {
	switch {
	case o == nil, v.Grade != o.Grade:
		return o == nil || v.Grade > o.Grade
	case v.sent != o.sent:
		return v.sent > o.sent
	}
	return v.received > o.received
}

// of returns who has the client's and the server's end by annotations, nil for
// nobody. A tool that names one process on packets of both ends of a loopback
// connection does not tell them apart: it means the one that connected.
func (a *annotated) of(c *tcpflow.Conn) (client, server *vote) {
	l := a.byConn[c]
	if l == nil {
		return nil, nil
	}
	list := l.list
	for i := range list {
		if v := &list[i]; v.end != 1-c.ClientDir && v.better(client) {
			client = v
		}
	}
	for i := range list {
		if v := &list[i]; v.end == 1-c.ClientDir && (client == nil || v.PID != client.PID) && v.better(server) {
			server = v
		}
	}
	return client, server
}

// annotatedOwner makes an ownership of a vote.
func (p *pipeline) annotatedOwner(c *tcpflow.Conn, v *vote) ownership {
	o := ownership{pid: v.PID, effective: v.EffectivePID, at: c.Start.Time, source: hostlog.Annotation, grade: v.Grade}
	p.identify(&o)
	return o
}
