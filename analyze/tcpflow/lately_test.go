package tcpflow

import (
	"math/rand/v2"
	"testing"

	"goproxytrace/analyze/decode"
)

// TestLatelyIsTheMaps holds that the connections that are found without the map
// are those the map has, whatever opens, ends and reuses them.
func TestLatelyIsTheMaps(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, o := range []Options{{}, {KeepAll: true}, {MaxClosed: 2, MaxUnanswered: 3}} {
		table := NewTable(discard{}, o)
		// Few ends, so that tuples come again, places collide, an end meets
		// itself, and some have neither address nor port.
		address := func() decode.Addr { return decode.Addr{15: byte(random.IntN(3))} }
		var recent [16]decode.Segment
		found := 0
		for i := range 40_000 {
			s := decode.Segment{
				Frame: int64(i + 1), Time: int64(i) * 1e6, Src: address(), Dst: address(), IPVersion: 6, Proto: decode.ProtoTCP,
				SrcPort: uint16(random.IntN(40)), DstPort: uint16(random.IntN(40)), HeaderLen: 20, WindowScale: -1, MPTCP: -1,
				Seq: uint32(random.IntN(5)), Ack: uint32(random.IntN(5)), Len: uint32(random.IntN(3)), Window: 100,
				Flags: []uint16{decode.ACK, decode.ACK, decode.ACK, decode.SYN, decode.SYN | decode.ACK, decode.RST, decode.FIN | decode.ACK}[random.IntN(7)],
			}
			if i > len(recent) && random.IntN(4) > 0 { // either end of one of a moment ago
				r := &recent[random.IntN(len(recent))]
				s.Src, s.Dst, s.SrcPort, s.DstPort = r.Dst, r.Src, r.DstPort, r.SrcPort
			}
			recent[i%len(recent)] = s
			k, low := keyOf(&s.Src, &s.Dst, s.SrcPort, s.DstPort)
			before := table.conns[k]
			if c, d := table.lately[placeOf(&s.Src, &s.Dst, s.SrcPort, s.DstPort)].direction(&s); c != nil {
				found++
				if c != before || d != c.dirOf(&s, low) {
					t.Fatalf("segment %d is of connection %v by itself, of %v by the map", i, c, before)
				}
			}
			c, _, _ := table.Segment(&s)
			if c != nil && c != table.conns[k] {
				t.Fatalf("segment %d belongs to a connection that the map does not have", i)
			}
			if c != nil && random.IntN(200) == 0 {
				table.Split(c)
			}
		}
		if found < 1000 {
			t.Errorf("%d found without the map", found)
		}
		table.Finish()
		for _, c := range table.lately {
			if c != nil {
				t.Error("a connection is remembered behind the end")
			}
		}
	}
}
