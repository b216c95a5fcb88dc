package decode

import (
	"testing"

	"goproxytrace/capture"
)

// TestNoAllocations: the hot path and the tunnels allocate nothing per packet.
func TestNoAllocations(t *testing.T) {
	vxlan := udpDatagram(40000, portVXLAN, join(be(8, 0, 0, 0, 0, 0, 1, 0), innerEth))
	geneve := udpDatagram(40000, portGeneve, join(be(2, 0, 0x65, 0x58, 0, 0, 1, 0), make([]byte, 8), innerEth))
	gtp := udpDatagram(2152, portGTPU, gtpMessage(0x34, 255, be(0, 0, 0, 0x85, 1, 0, 0, 0), inner4))
	tests := map[string]struct {
		link  capture.LinkType
		frame []byte
	}{
		"ethernet IPv4": {linkEthernet, innerEth},
		"ethernet IPv6": {linkEthernet, ethFrame(typeIPv6, inner6)},
		"VLAN":          {linkEthernet, ethFrame(typeVLAN, join(u16(5), u16(typeIPv4), inner4))},
		"PPPoE":         {linkEthernet, ethFrame(typePPPoE, pppoeFrame(2+len(inner4), join(u16(0x21), inner4)))},
		"MPLS":          {linkEthernet, ethFrame(typeMPLS, join(be(0, 1, 1, 64), inner4))},
		"SNAP":          {linkEthernet, ethFrame(len(innerSNAP), innerSNAP)},
		"SLL":           {linkSLL, sllFrame(1, typeIPv4, inner4)},
		"SLL2":          {linkSLL2, sll2Frame(1, typeIPv4, inner4)},
		"raw":           {linkRaw, inner4},
		"GRE":           {linkRaw, ip4Packet(protoGRE, greHeader(0x3000, typeTEB, join(make([]byte, 8), innerEth)))},
		"VXLAN":         {linkRaw, ip4Packet(protoUDP, vxlan)},
		"Geneve":        {linkRaw, ip4Packet(protoUDP, geneve)},
		"GTP-U":         {linkRaw, ip4Packet(protoUDP, gtp)},
		"radiotap":      {linkRadiotap, join(radiotapHeader(0, nil), innerWLAN)},
		"PKTAP":         {linkPKTAP, pktapV1(156, 1, linkEthernet, 77, 78, innerEth)},
		"ARP":           {linkEthernet, ethFrame(typeARP, join(u16(1), u16(typeIPv4), be(6, 4), u16(1), testMAC1, testSrc4, testMAC2, testDst4))},
		"unknown":       {linkEthernet, ethFrame(0x88cc, inner4)},
	}
	for name, tt := range tests {
		d := New()
		p := capture.Packet{Number: 1, Data: tt.frame, Length: len(tt.frame), LinkType: tt.link}
		out := d.Decode(&p, make([]Segment, 0, 8))
		if len(out) == 0 && name != "unknown" {
			t.Errorf("%s: nothing read", name)
		}
		if n := testing.AllocsPerRun(100, func() { out = d.Decode(&p, out[:0]) }); n != 0 {
			t.Errorf("%s: %v allocations per packet", name, n)
		}
	}
}
