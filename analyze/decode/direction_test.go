package decode

import (
	"testing"

	"goproxytrace/capture"
	"goproxytrace/internal/packets"
)

// A cooked header says which way the packet went; the record's own word wins.
func TestCookedDirection(t *testing.T) {
	p := packets.TCP("192.0.2.1:5", "198.51.100.1:443").Flags(packets.SYN)
	for _, x := range []struct {
		kind   uint8
		record capture.Direction
		want   capture.Direction
	}{
		{0, capture.DirectionUnknown, capture.Inbound}, {1, capture.DirectionUnknown, capture.Inbound},
		{3, capture.DirectionUnknown, capture.Inbound}, {4, capture.DirectionUnknown, capture.Outbound},
		{5, capture.DirectionUnknown, capture.DirectionUnknown}, {4, capture.Inbound, capture.Inbound},
	} {
		for lt, b := range map[capture.LinkType][]byte{linkSLL: p.Cooked(uint16(x.kind)), linkSLL2: p.Cooked2(x.kind, 2)} {
			k := capture.Packet{Number: 1, Data: b, Length: len(b), LinkType: lt, Direction: x.record}
			s := one(t, New().Decode(&k, nil), ProtoTCP)
			if capture.Direction(s.Direction) != x.want {
				t.Errorf("link type %d, packet type %d, recorded %d: direction %d, want %d", lt, x.kind, x.record, s.Direction, x.want)
			}
		}
	}
}
