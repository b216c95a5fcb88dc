package page

import (
	"strconv"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/analyze/tlswire"
	"goproxytrace/report/charts"
)

// directions returns whose payload is worth a graph: first the end that sent
// most. It is none where nobody sent any.
func (f *flow) directions() (fromClient []bool) {
	var bytes [2]uint64
	var segments [2]int
	for i := range f.segments {
		if s := &f.segments[i]; s.icmp == nil && s.Len > 0 {
			bytes[side(s.FromClient)] += uint64(s.Len)
			segments[side(s.FromClient)]++
		}
	}
	if segments[0]+segments[1] == 0 {
		return nil
	}
	first := bytes[0] >= bytes[1]
	if min(segments[0], segments[1]) > 1 && min(bytes[0], bytes[1]) > 1 {
		return []bool{first, !first}
	}
	return []bool{first}
}

// graph makes the time-sequence graph of what one end sent.
func (f *flow) graph(fromClient bool) *charts.Graph {
	g := &charts.Graph{
		SeqName: f.say("page.axis-seq-far"), RTTName: f.say("page.axis-rtt"),
		Silence: func(ms float64) charts.Words { return f.say("page.silence", diagnose.Dur("time", int64(ms*1e6))) },
	}
	if fromClient {
		g.SeqName = f.say("page.axis-seq-client")
	}
	mark := func(s *segment, seq int64, kind charts.MarkKind) {
		label := f.join("colon", charts.Say("#"+strconv.FormatInt(s.Frame, 10)), f.what(s))
		g.Marks = append(g.Marks, charts.Mark{T: f.ms(s.Time), Seq: float64(seq), Kind: kind, Label: label, Href: f.href(s.Frame), Number: f.proofs[s.Frame], Calm: !f.bad(s)})
	}
	for i := range f.segments {
		s := &f.segments[i]
		t := f.ms(s.Time)
		switch {
		case s.icmp != nil:
			mark(s, 0, charts.MarkICMP)
		case s.FromClient == fromClient:
			f.sent(g, s, t, mark)
		default:
			f.answered(g, s, t, mark)
		}
	}
	for i := range f.conn.Trace.Messages {
		m := &f.conn.Trace.Messages[i]
		if m.FromClient != fromClient {
			continue
		}
		var near int64
		if s := f.at(m.Frame, m.FromClient); s != nil {
			near = s.seq
		}
		b := charts.Band{From: float64(unwrap(m.Seq, near)), To: float64(unwrap(m.End, near))}
		if m.Kind == tlswire.KindHandshake || m.Kind == tlswire.KindAlert {
			b.Label = charts.Say(messageName(m))
		}
		g.Bands = append(g.Bands, b)
	}
	return g
}

// sent adds a segment of the end whose graph it is.
func (f *flow) sent(g *charts.Graph, s *segment, t float64, mark func(*segment, int64, charts.MarkKind)) {
	again := s.Findings&(tcpflow.Retransmission|tcpflow.OutOfOrder) != 0 && !s.Copy
	if s.Len > 0 && s.Flags&rst == 0 {
		g.Segments = append(g.Segments, charts.Bar{T: t, From: float64(s.seq), To: float64(s.seq + int64(s.Len)), Again: again})
	}
	switch {
	case s.Flags&rst != 0:
		mark(s, s.seq, charts.MarkReset)
	case s.alert:
		mark(s, s.end, charts.MarkAlert)
	case s.Flags&syn != 0:
		mark(s, s.seq, charts.MarkSYN)
	case s.Copy:
	case s.Findings&tcpflow.KeepAlive != 0:
		mark(s, s.end, charts.MarkAlive)
	case s.Findings&tcpflow.Retransmission != 0:
		mark(s, s.end, charts.MarkResent)
	case s.Findings&tcpflow.OutOfOrder != 0:
		mark(s, s.end, charts.MarkOrdered)
	case s.Findings&tcpflow.LostSegment != 0:
		mark(s, s.seq, charts.MarkLost)
	case s.Flags&fin != 0:
		mark(s, s.end, charts.MarkFIN)
	case f.proofs[s.Frame] != "":
		mark(s, s.end, charts.MarkAlive)
	}
}

// answered adds a segment of the receiver.
func (f *flow) answered(g *charts.Graph, s *segment, t float64, mark func(*segment, int64, charts.MarkKind)) {
	if s.Flags&ack != 0 && s.Flags&rst == 0 {
		v := float64(s.ack)
		g.Acks = append(g.Acks, charts.Point{T: t, V: v})
		g.Windows = append(g.Windows, charts.Point{T: t, V: v + float64(s.Window)})
		for _, b := range s.SACK[:s.SACKCount] {
			g.SACKs = append(g.SACKs, charts.Bar{T: t, From: float64(unwrap(b[0], s.ack)), To: float64(unwrap(b[1], s.ack))})
		}
		if s.RTT > 0 {
			g.RTT = append(g.RTT, charts.Point{T: t, V: float64(s.RTT) / 1e6})
		}
	}
	switch {
	case s.Flags&rst != 0:
		mark(s, s.ack, charts.MarkReset)
	case s.Copy:
	case s.Findings&tcpflow.ZeroWindow != 0:
		mark(s, s.ack, charts.MarkZero)
	case s.Findings&tcpflow.KeepAlive != 0:
		mark(s, s.ack, charts.MarkAlive)
	case s.Findings&tcpflow.DuplicateACK != 0:
		mark(s, s.ack, charts.MarkDupAck)
	case s.Flags&fin != 0:
		mark(s, s.ack, charts.MarkFIN)
	case s.alert:
		mark(s, s.ack, charts.MarkAlert)
	case f.proofs[s.Frame] != "" && s.Flags&ack != 0:
		mark(s, s.ack, charts.MarkAlive)
	}
}
