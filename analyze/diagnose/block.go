package diagnose

import (
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/capture/hostlog"
)

// Block is what this host's firewall or a security product on it recorded, and
// what was found to be about the subject by its time, and by its ends or by host
// and program.
type Block struct {
	// Enforced is true where the record says that the connection or packet was
	// kept from passing, false where it would have been, or was only noted.
	Enforced bool
	// Ends is true where the record names the connection's own ends, or those
	// of an attempt together with the process; false where only the host's name
	// and the program join it.
	Ends bool
	// Inbound is true where it is about what came in.
	Inbound bool
	// Packets counts the packets of the subject that it is about, zero where it
	// does not count; Segment says what they were, empty where that is unknown.
	Packets int64
	Segment hostlog.Segment
	// Origin is what recorded it; Rule, Provider and Layer tell the filter,
	// Program the executable. Empty where unknown.
	Origin, Rule, Provider, Layer, Program string
	// Time is that of the record, or the first of the packets, Last that of the
	// last one, zero where they are not counted; in Unix nanoseconds.
	Time, Last int64
	// Frame is where the record stands in the capture, zero where it comes from
	// elsewhere.
	Frame int64
}

// What this host may have done to a connection: kept from leaving what the
// client sent, or from the client what came for it. Where a record says what a
// packet was for the connection, it must be the one whose absence is the death:
// a client that fell silent is not explained by a SYN that was dropped before.
var blockable = map[Class]struct {
	inbound bool
	segment hostlog.Segment
}{
	ConnectNotSent:         {false, hostlog.SegmentSYN},
	ConnectRejectedLocally: {false, hostlog.SegmentSYN},
	TLSClientHelloNotSent:  {false, hostlog.SegmentData},
	ConnectAnswerIgnored:   {true, hostlog.SegmentSYNACK},
	TLSAnswerIgnored:       {true, hostlog.SegmentData},
}

// explains reports whether a record can be the reason of a death of a class.
func (b *Block) explains(c Class) bool {
	x, ok := blockable[c]
	return ok && (!b.Ends || b.Inbound == x.inbound) && (b.Segment == "" || b.Segment == x.segment)
}

// recorded adds to a death what this host's own records say of it. With the
// connection's ends they prove which side of the capture point it died on, where
// the packets leave this host open; with host and program alone they are one more
// sign. Packets that show the death elsewhere are not argued with: the record is
// told of, and nothing else changes.
func (v *Verdict) recorded(blocks []Block, start int64) {
	if !v.Died() {
		return
	}
	for i := range blocks {
		b := &blocks[i]
		if !b.Enforced {
			continue
		}
		if !b.explains(v.Class) {
			if !b.Ends {
				v.evidence("block.beside", b.frames(), Text("origin", b.Origin), Text("program", b.Program), Text("provider", b.Provider), Dur("after", b.after(start)))
				return
			}
			continue
		}
		v.Place = inHost
		switch {
		case b.Ends:
			v.Level = Proven
			v.onRecord = true
		case v.Level == Consistent:
			v.Level = Suggested
		}
		v.blocked(b, start)
		return
	}
}

// blocked is the evidence that a record is.
func (v *Verdict) blocked(b *Block, start int64) {
	switch {
	case b.Packets == 0:
		v.evidence("block.recorded", b.frames(), Text("origin", b.Origin), Text("program", b.Program), Text("rule", b.Rule), Text("provider", b.Provider),
			Text("layer", b.Layer), Dur("after", b.after(start)))
	case b.Inbound:
		v.evidence("block.dropped-in", b.frames(), Text("provider", b.Provider), Num("count", b.Packets), Text("rule", b.Rule), Dur("after", b.after(start)))
	default:
		v.evidence("block.dropped-out", b.frames(), Text("provider", b.Provider), Num("count", b.Packets), Text("rule", b.Rule), Dur("after", b.after(start)))
	}
}

func (b *Block) frames() []int64 { return frames(tcpflow.Point{Frame: b.Frame}) }

// after is how long after a time the record was made, in ns.
func (b *Block) after(start int64) int64 { return max(b.Time-start, 0) }

// blocked tells of an attempt to connect that this host's own record says it
// blocked (L1): no packet is needed to know that it did not leave.
func (t *Attempt) blocked(end int64) (Verdict, bool) {
	for i := range t.Blocks {
		if b := &t.Blocks[i]; b.Enforced && b.Ends && b.explains(ConnectNotSent) && !b.gaveWay(t.Time, end) {
			v := t.verdict(ConnectNotSent, Proven, inHost, end)
			v.onRecord = true
			v.blocked(b, t.Time)
			return v, true
		}
	}
	return Verdict{}, false
}

// gaveWay reports whether SYNs that the record would have counted went on their
// way later, in an attempt from one time to another: the pause between two of
// them doubles at most, and the first is a second (RFC 6298, sections 2.1 and
// 5.5); Linux's timers are late by an eighth at most (kernel/time/timer.c). A
// limit on their rate drops one, and the next one connects.
func (b *Block) gaveWay(from, end int64) bool {
	so := max(b.Last-from, 0)
	return b.Packets > 0 && end-b.Last > so+so/8+2*firstRTO
}

// firstRTO is the time after which a first SYN is sent again, in ns.
const firstRTO = int64(1e9)
