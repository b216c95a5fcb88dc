package decode

import (
	"testing"

	"goproxytrace/capture"
)

// TestPKTAPPlace wants the direction and the interface out of either header, and
// no direction in place of the record's own.
func TestPKTAPPlace(t *testing.T) {
	v1, v2 := pktapV1(156, 1, linkEthernet, 77, 78, innerEth), pktapV2(linkEthernet, innerEth)
	for _, x := range []struct {
		flags    byte
		iface    string
		recorded capture.Direction
		want     capture.Direction
		loopback bool
	}{
		{0, "en0", 0, 0, false},
		{1, "en0", 0, capture.Inbound, false},
		{2, "en0", 0, capture.Outbound, false},
		{2, "lo0", 0, capture.Outbound, true},
		{2, "en0", capture.Inbound, capture.Inbound, false},
	} {
		v1[36], v2[36] = x.flags, x.flags
		copy(v1[12:], x.iface)
		copy(v2[40:], x.iface)
		for version, frame := range [][]byte{v1, v2} {
			p := capture.Packet{Number: 1, Data: frame, Length: len(frame), LinkType: linkPKTAP, FCSLen: -1, Direction: x.recorded}
			s := one(t, New().Decode(&p, nil), ProtoTCP)
			if capture.Direction(s.Direction) != x.want || s.Loopback != x.loopback {
				t.Errorf("version %d, flags %d on %s, recorded as %d: direction %d, loopback %v", version+1, x.flags, x.iface, x.recorded, s.Direction, s.Loopback)
			}
		}
	}
}
