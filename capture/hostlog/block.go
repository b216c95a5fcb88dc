package hostlog

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Action is what a rule of the host did to a connection or packet.
type Action string

// Actions.
const (
	// Blocked: it was kept from passing.
	Blocked Action = "blocked"
	// Audited: it passed, and would not have if the rule had been enforced.
	Audited Action = "audited"
	// Logged: a rule saw it; what became of it the record does not say.
	Logged Action = "logged"
)

// Block is what a firewall or a security product of this host recorded of a
// connection or a packet of it.
type Block struct {
	Time int64 // of the record, Unix nanoseconds
	// Action is one of the constants; empty counts as Logged.
	Action Action
	// PID and Path are the process and its executable, as the record has
	// them (Windows: with the volume's device name); zero and empty where it
	// does not say.
	PID  uint32
	Path string
	// Local and Remote are the ends as the host sees them; either may be the
	// zero AddrPort, or have port zero, where the record does not say.
	Local, Remote netip.AddrPort
	// Host is the far end's name where the record names it, in lower case.
	Host string
	// Inbound is true where the record is about a packet or connection that
	// came in.
	Inbound bool
	// Origin is what recorded it: "Security 5157", "Defender 1126",
	// "WFP net event", "kernel log".
	Origin string
	// Rule tells the filter, with its number or name; Provider is who
	// registered it, Layer where in the stack it sits. Empty where unknown.
	Rule, Provider, Layer string
	// Packets counts the packets that the record is about, from Time to Until;
	// both are zero where it is about a connection, or says neither.
	Packets uint32
	Until   int64
	// Segment says what those packets were for the connection; empty where
	// that is not known.
	Segment Segment
}

// Segment is what a TCP segment is for its connection.
type Segment string

// Segments.
const (
	SegmentSYN    Segment = "SYN"     // asks to connect
	SegmentSYNACK Segment = "SYN/ACK" // answers that
	SegmentData   Segment = "data"    // carries payload
	SegmentOther  Segment = "other"   // an acknowledgement, the end, a reset
)

var segments = []Segment{SegmentSYN, SegmentSYNACK, SegmentData, SegmentOther}

// When is part of Record.
func (b *Block) When() int64 { return b.Time }

// Message is part of Record.
func (b *Block) Message() string {
	var s strings.Builder
	if b.Origin != "" {
		s.WriteString(b.Origin + ": ")
	}
	s.WriteString(string(b.action()))
	if b.Packets > 0 {
		fmt.Fprintf(&s, " %d packets", b.Packets)
		if b.Segment != "" {
			s.WriteString(" (" + string(b.Segment) + ")")
		}
	}
	far := b.Host
	if far == "" && b.Remote.IsValid() {
		far = b.Remote.String()
	}
	if far != "" {
		preposition := " to "
		if b.Inbound {
			preposition = " from "
		}
		s.WriteString(preposition + far)
	}
	for _, part := range [][2]string{{"rule ", b.Rule}, {"provider ", b.Provider}, {"layer ", b.Layer}, {"program ", b.Path}} {
		if part[1] != "" {
			s.WriteString(", " + part[0] + part[1])
		}
	}
	if b.PID != 0 {
		fmt.Fprintf(&s, " (PID %d)", b.PID)
	}
	return message("%s", s.String())
}

func (b *Block) action() Action {
	switch b.Action {
	case Blocked, Audited:
		return b.Action
	}
	return Logged
}

func (e encoder) block(b *Block) {
	e.name("ACTION", string(b.Action))
	e.number("PID", int64(b.PID))
	e.text("PATH", b.Path)
	e.addr("LOCAL", b.Local)
	e.addr("REMOTE", b.Remote)
	e.name("HOST", b.Host)
	e.flag("INBOUND", b.Inbound)
	e.name("ORIGIN", b.Origin)
	e.name("RULE", b.Rule)
	e.name("PROVIDER", b.Provider)
	e.name("LAYER", b.Layer)
	e.number("PACKETS", int64(b.Packets))
	e.number("UNTIL", b.Until)
	e.name("SEGMENT", string(b.Segment))
}

func (d *decoder) block() *Block {
	b := &Block{
		Time: d.time("TIME"), Action: Action(d.name("ACTION")), PID: d.u32("PID"), Path: d.text("PATH"),
		Local: d.addr("LOCAL"), Remote: d.addr("REMOTE"), Host: d.name("HOST"), Inbound: d.flag("INBOUND"),
		Origin: d.name("ORIGIN"), Rule: d.name("RULE"), Provider: d.name("PROVIDER"), Layer: d.name("LAYER"),
		Packets: d.u32("PACKETS"), Until: d.time("UNTIL"), Segment: Segment(d.name("SEGMENT")),
	}
	if !slices.Contains(segments, b.Segment) {
		b.Segment = "" // a later version's
	}
	if b.action() != b.Action {
		b.Action = "" // a later version's
	}
	return b
}
