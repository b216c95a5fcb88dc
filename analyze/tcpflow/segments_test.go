package tcpflow

import (
	"goproxytrace/analyze/decode"
)

// discard takes what a table reports and forgets it.
type discard struct{}

func (discard) Data(*Conn, uint8, Point, []byte, bool) {}
func (discard) Missing(*Conn, uint8, Point, uint32)    {}
func (discard) Done(*Conn)                             {}

// testEnds returns the client and server of connection n, which differ for
// every n below 2^40.
func testEnds(n int) (client, server Endpoint) {
	mapped := func(a, b, c, d byte) decode.Addr {
		return decode.Addr{10: 0xff, 11: 0xff, 12: a, 13: b, 14: c, 15: d}
	}
	client = Endpoint{mapped(10, byte(n>>32), byte(n>>24), byte(n>>16)), uint16(n)}
	return client, Endpoint{mapped(203, 0, 113, 1), 443}
}

// segments makes the segments of one connection without a capture. The one
// returned is used again by the next call.
type segments struct {
	end [2]Endpoint
	s   decode.Segment
}

func newSegments(client, server Endpoint) *segments {
	return &segments{end: [2]Endpoint{client, server}}
}

// at returns a segment that end d sends at a time in ns, its frame number one
// more; n bytes of payload, none captured.
func (g *segments) at(time int64, d uint8, flags uint16, seq, ack, n uint32) *decode.Segment {
	from, to := &g.end[d], &g.end[1-d]
	g.s = decode.Segment{
		Frame: time + 1, Time: time, Proto: decode.ProtoTCP, IPVersion: 4, TTL: 64, HeaderLen: 20, WindowScale: -1, MPTCP: -1,
		Src: from.Addr, SrcPort: from.Port, Dst: to.Addr, DstPort: to.Port,
		Flags: flags, Seq: seq, Ack: ack, Len: n, Window: 64240,
	}
	return &g.s
}
