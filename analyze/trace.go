package analyze

import (
	"errors"

	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/segtrace"
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/analyze/tlswire"
)

// trace keeps what the segments were (Options.Trace).
func (p *pipeline) trace(c *tcpflow.Conn, d uint8, s *decode.Segment, found tcpflow.Flags) {
	h := c.Half[d]
	m := c.Mark(d, s, tcpflow.Point{Frame: s.Frame, Time: s.Time})
	v := segtrace.Segment{
		Frame: s.Frame, Time: s.Time, Seq: m.Seq, Ack: m.Ack, Len: s.Len, Window: h.FinalWindow(),
		Findings: found, Flags: s.Flags, IPID: s.IPID, TTL: s.TTL, HasIPID: s.HasIPID, Copy: h.LastCopy == s.Frame,
	}
	if s.Flags&decode.SYN != 0 || s.Short || s.Fragment {
		v.Window = uint32(s.Window) // a SYN's is never scaled (RFC 7323, section 2.2)
	}
	if o := c.Half[1-d]; o != nil {
		if o.LastRTTFrame == s.Frame {
			v.RTT = o.LastRTT
		}
		if s.Flags&decode.ACK != 0 {
			base := s.Ack - m.Ack
			for i := range min(int(s.SACKCount), len(v.SACK)) {
				v.SACK[i] = [2]uint32{s.SACK[i][0] - base, s.SACK[i][1] - base}
				v.SACKCount++
			}
		}
	}
	p.spool.Segment(c.ID, d, &v)
}

// traceTLS keeps the TLS messages of a connection.
func (p *pipeline) traceTLS(c *tcpflow.Conn, a *app) {
	id := c.ID
	a.tls.OnMessage = func(dir int, frame int64, m tlswire.Message) {
		v := segtrace.Message{Frame: frame, Time: m.Time, Kind: m.Kind, Type: m.Type}
		// Offsets count from the first byte that the TLS reader got.
		v.Seq = a.sides[dir&1].tlsSeq + uint32(m.Offset)
		v.End = v.Seq + uint32(m.Length) + recordHeader
		if m.Kind == tlswire.KindAlert {
			v.Type = m.Alert
		}
		p.spool.Message(id, uint8(dir&1), &v)
	}
}

// recordHeader is the length of a TLS record's header (RFC 8446, section 5.1).
const recordHeader = 5

// Close removes the temporary files behind the result.
func (r *Result) Close() error {
	var errs []error
	if r.Connections != nil {
		errs = append(errs, r.Connections.Close())
	}
	return errors.Join(append(errs, r.Trace.Close())...)
}
