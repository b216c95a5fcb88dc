package decode

import (
	"testing"

	"goproxytrace/capture"
)

var (
	innerTCP  = tcpSegment(nil, []byte("hello"))
	inner4    = ip4Packet(protoTCP, innerTCP)
	inner6    = ip6Packet(protoTCP, innerTCP)
	innerEth  = ethFrame(typeIPv4, inner4)
	innerSNAP = join(be(0xaa, 0xaa, 3, 0, 0, 0, 8, 0), inner4)
	innerWLAN = join(wlanHeader(0x08, 0x02), innerSNAP)
	innerPPP  = join(be(0xff, 3, 0, 0x21), inner4)
	fcs       = be(1, 2, 3, 4)
)

func wlanHeader(fc0, fc1 byte) []byte {
	return join(be(fc0, fc1, 0, 0), testMAC1, testMAC2, be(2, 0, 0, 0, 0, 9), be(0x10, 0))
}

func radiotapHeader(present int, fields []byte) []byte {
	return join(be(0, 0), l16(8+len(fields)), l32(present), fields)
}

func ppiHeader(dlt int, fields []byte) []byte {
	return join(be(0, 0), l16(8+len(fields)), l32(dlt), fields)
}

func erfRecord(kind byte, payload []byte) []byte {
	return join(make([]byte, 8), be(kind, 4), u16(16+len(payload)), u16(0), u16(len(payload)), payload)
}

func nflogMessage(family byte, hardwareProto int, packet []byte) []byte {
	pad := make([]byte, -len(packet)&3)
	return join(be(family, 0, 0, 0), l16(8), l16(1), u16(hardwareProto), be(0, 0), l16(4+len(packet)), l16(9), packet, pad)
}

func pppoeFrame(length int, payload []byte) []byte {
	return join(be(0x11, 0, 0, 1), u16(length), payload)
}

// TestLinkTypes reads one TCP segment out of each link layer, and none out of
// its look-alike.
func TestLinkTypes(t *testing.T) {
	tests := []struct {
		name  string
		link  capture.LinkType
		frame []byte
		want  int // TCP segments
	}{
		{"ethernet", linkEthernet, innerEth, 1},
		{"ethernet IPv6", linkEthernet, ethFrame(typeIPv6, inner6), 1},
		{"ethernet IPv6 announced as IPv4", linkEthernet, ethFrame(typeIPv4, inner6), 1},
		{"ethernet IPv4 announced as IPv6", linkEthernet, ethFrame(typeIPv6, inner4), 0},
		{"ethernet type 1501", linkEthernet, ethFrame(1501, inner4), 0},
		{"ethernet type 0", linkEthernet, ethFrame(0, innerSNAP), 0},
		{"802.3 SNAP", linkEthernet, ethFrame(len(innerSNAP), innerSNAP), 1},
		{"802.3 SNAP with 0000f8", linkEthernet, ethFrame(len(innerSNAP), join(be(0xaa, 0xaa, 3, 0, 0, 0xf8, 8, 0), inner4)), 1},
		{"802.3 SNAP of another vendor", linkEthernet, ethFrame(len(innerSNAP), join(be(0xaa, 0xaa, 3, 0, 0, 0x0c, 8, 0), inner4)), 0},
		{"802.3 SNAP test frame", linkEthernet, ethFrame(len(innerSNAP), join(be(0xaa, 0xaa, 0xf3, 0, 0, 0, 8, 0), inner4)), 0},
		{"802.3 IP SAP", linkEthernet, ethFrame(3+len(inner4), join(be(6, 6, 3), inner4)), 1},
		{"802.3 raw IPX", linkEthernet, ethFrame(40, join(be(0xff, 0xff), inner4)), 0},
		{"bridged SNAP", linkEthernet, ethFrame(10+len(innerEth), join(be(0xaa, 0xaa, 3, 0, 0x80, 0xc2, 0, 7, 0, 0), innerEth)), 1},
		{"jumbo LLC", linkEthernet, ethFrame(typeLLC, innerSNAP), 1},
		{"VLAN", linkEthernet, ethFrame(typeVLAN, join(u16(5), u16(typeIPv4), inner4)), 1},
		{"VLAN LLC", linkEthernet, ethFrame(typeVLAN, join(u16(5), u16(len(innerSNAP)), innerSNAP)), 1},
		{"QinQ", linkEthernet, ethFrame(typeQinQ, join(u16(5), u16(typeVLAN), u16(6), u16(typeIPv6), inner6)), 1},
		{"QinQ 0x9100", linkEthernet, ethFrame(typeQinQOld, join(u16(5), u16(typeVLAN), u16(6), u16(typeIPv4), inner4)), 1},
		{"0x9200 is no tag by default", linkEthernet, ethFrame(0x9200, join(u16(5), u16(typeIPv4), inner4)), 0},
		{"PBB", linkEthernet, ethFrame(typePBB, join(u32(1), innerEth)), 1},
		{"VN-Tag", linkEthernet, ethFrame(typeVNTag, join(u32(1), u16(typeIPv4), inner4)), 1},
		{"E-Tag", linkEthernet, ethFrame(typeETag, join(make([]byte, 6), u16(typeIPv4), inner4)), 1},
		{"Cisco metadata", linkEthernet, ethFrame(typeCMD, join(be(1, 1, 0, 1, 0, 1), u16(typeIPv4), inner4)), 1},
		{"HSR", linkEthernet, ethFrame(typeHSR, join(be(0, 0x34, 0, 1), u16(typeIPv4), inner4)), 1},
		{"R-Tag", linkEthernet, ethFrame(typeRTag, join(be(0, 0, 0, 1), u16(typeIPv4), inner4)), 1},
		{"MACsec clear", linkEthernet, ethFrame(typeMACsec, join(be(0, 0, 0, 0, 0, 1), u16(typeIPv4), inner4, make([]byte, 16))), 1},
		{"MACsec clear with SCI", linkEthernet, ethFrame(typeMACsec, join(be(0x20, 0, 0, 0, 0, 1), make([]byte, 8), u16(typeIPv4), inner4, make([]byte, 16))), 1},
		{"MACsec encrypted", linkEthernet, ethFrame(typeMACsec, join(be(0x0c, 0, 0, 0, 0, 1), u16(typeIPv4), inner4, make([]byte, 16))), 0},
		{"TRILL", linkEthernet, ethFrame(typeTRILL, join(be(0, 0, 0, 1, 0, 2), innerEth)), 1},
		{"NSH", linkEthernet, ethFrame(typeNSH, join(be(0x0f, 0xc6, 1, 1), make([]byte, 20), inner4)), 1},
		{"NSH ethernet", linkEthernet, ethFrame(typeNSH, join(be(0x0f, 0xc2, 2, 3), make([]byte, 4), innerEth)), 1},
		{"NSH length 0", linkEthernet, ethFrame(typeNSH, join(be(0x0f, 0xc0, 1, 4), make([]byte, 20), inner4)), 0},
		{"BATMAN unicast", linkEthernet, ethFrame(typeBATMAN, join(be(0x40, 15, 50, 1), testMAC1, innerEth)), 1},
		{"BATMAN originator", linkEthernet, ethFrame(typeBATMAN, join(be(0, 15, 50, 1), testMAC1, innerEth)), 0},
		{"FabricPath", linkEthernet, join(testMAC1, testMAC2, u16(typeFabricPath), be(0, 0), innerEth, fcs), 1},
		{"Cisco ISL", linkEthernet, join(be(1, 0, 0x0c, 0, 0, 0), testMAC2, u16(16+len(innerEth)), make([]byte, 12), innerEth, fcs), 1},
		{"transparent bridging", linkEthernet, ethFrame(typeTEB, innerEth), 1},
		{"PPPoE", linkEthernet, ethFrame(typePPPoE, pppoeFrame(2+len(inner4), join(u16(0x21), inner4))), 1},
		{"PPPoE IPv6", linkEthernet, ethFrame(typePPPoE, pppoeFrame(2+len(inner6), join(u16(0x57), inner6))), 1},
		{"PPPoE discovery", linkEthernet, ethFrame(typePPPoE-1, pppoeFrame(2+len(inner4), join(u16(0x21), inner4))), 0},
		{"PPPoE with HDLC address", linkEthernet, ethFrame(typePPPoE, pppoeFrame(4+len(inner4), innerPPP)), 0},
		{"MPLS", linkEthernet, ethFrame(typeMPLS, join(be(0, 1, 0, 64, 0, 2, 1, 64), inner4)), 1},
		{"MPLS IPv6", linkEthernet, ethFrame(typeMPLS, join(be(0, 1, 1, 64), inner6)), 1},
		{"MPLS without bottom", linkEthernet, ethFrame(typeMPLS, be(0, 1, 0, 64)), 0},
		{"MPLS channel", linkEthernet, ethFrame(typeMPLS, join(be(0, 1, 1, 64, 0x10, 0, 0, 0x21), inner4)), 1},
		{"MPLS generic channel", linkEthernet, ethFrame(typeMPLS, join(be(0, 0, 0xd1, 64, 0x10, 0, 0, 0x57), inner6)), 1},
		{"pseudowire", linkEthernet, ethFrame(typeMPLS, join(be(0, 1, 1, 64, 0, 0, 0, 0), innerEth)), 1},
		{"pseudowire without control word", linkEthernet, ethFrame(typeMPLS, join(be(0, 1, 1, 64), innerEth)), 1},
		{"SLL", linkSLL, sllFrame(1, typeIPv4, inner4), 1},
		{"SLL VLAN", linkSLL, sllFrame(1, typeVLAN, join(u16(5), u16(typeIPv6), inner6)), 1},
		{"SLL LLC", linkSLL, sllFrame(1, 4, innerSNAP), 1},
		{"SLL PPP", linkSLL, sllFrame(1, 7, join(u16(0x21), inner4)), 1},
		{"SLL GRE", linkSLL, sllFrame(hardwareGRE, typeTEB, innerEth), 1},
		{"SLL netlink", linkSLL, sllFrame(hardwareNetlink, typeIPv4, inner4), 0},
		{"SLL2", linkSLL2, sll2Frame(1, typeIPv6, inner6), 1},
		{"SLL2 radiotap", linkSLL2, sll2Frame(hardwareRadiotap, 4, join(radiotapHeader(0, nil), innerWLAN)), 1},
		{"raw", linkRaw, inner4, 1}, {"raw 12", linkRaw12, inner6, 1}, {"raw 14", linkRaw14, inner4, 1},
		{"raw version 5", linkRaw, join(be(0x55), inner4[1:]), 0},
		{"IPv4", linkIPv4, inner4, 1}, {"IPv6", linkIPv6, inner6, 1}, {"IPv4 as IPv6", linkIPv6, inner4, 0},
		{"null", linkNull, join(l32(2), inner4), 1}, {"null swapped", linkNull, join(u32(2), inner4), 1},
		{"null IPv6 24", linkNull, join(l32(24), inner6), 1}, {"null IPv6 28", linkNull, join(l32(28), inner6), 1}, {"null IPv6 30", linkNull, join(u32(30), inner6), 1},
		{"null family 10", linkNull, join(l32(10), inner6), 0}, {"null PPP", linkNull, innerPPP, 1}, {"null ethertype", linkNull, join(l32(typeIPv4), inner4), 1},
		{"loop", linkLoop, join(u32(2), inner4), 1}, {"loop swapped", linkLoop, join(l32(2), inner4), 0},
		{"PPP", linkPPP, innerPPP, 1}, {"PPP compressed", linkPPP, join(be(0x21), inner4), 1}, {"PPP Cisco", linkPPP, join(be(0x0f, 0, 8, 0), inner4), 1}, {"PPP IPCP", linkPPP, join(be(0xff, 3, 0x80, 0x21), inner4), 0},
		{"PPP serial", linkPPPSerial, innerPPP, 1}, {"PPP direction", linkPPPDir, join(be(0), innerPPP), 1}, {"PPPoE link", linkPPPoE, pppoeFrame(2+len(inner4), join(u16(0x21), inner4)), 1},
		{"Cisco HDLC", linkHDLC, join(be(0x0f, 0, 8, 0), inner4), 1}, {"Cisco HDLC IPv6", linkHDLC, join(be(0x8f, 0, 0x86, 0xdd), inner6), 1}, {"Cisco SLARP", linkHDLC, join(be(0x8f, 0, 0x80, 0x35), inner4), 0},
		{"frame relay", linkFrameRelay, join(be(0x18, 0x41, 3, 0xcc), inner4), 1}, {"frame relay SNAP", linkFrameRelay, join(be(0x18, 0x41, 3, 0, 0x80, 0, 0, 0, 8, 0), inner4), 1}, {"frame relay Cisco", linkFrameRelay, join(be(0x18, 0x41, 8, 0), inner4), 1}, {"frame relay LMI", linkFrameRelay, join(be(0, 1, 3, 8), inner4), 0},
		{"FDDI", linkFDDI, join(be(0x50), testMAC1, testMAC2, innerSNAP), 1}, {"FDDI SMT", linkFDDI, join(be(0x41), testMAC1, testMAC2, innerSNAP), 0},
		{"token ring", linkTokenRing, join(be(0x10, 0x40), testMAC1, testMAC2, innerSNAP), 1},
		{"token ring routed", linkTokenRing, join(be(0x10, 0x40), testMAC1, be(0x82, 0, 0, 0, 0, 2, 4, 0, 0, 0), innerSNAP), 1},
		{"token ring MAC", linkTokenRing, join(be(0x10, 0), testMAC1, testMAC2, innerSNAP), 0},
		{"ARCnet", linkARCnetBSD, join(be(1, 2, 0xf0), inner4), 1}, {"ARCnet RFC 1201", linkARCnetBSD, join(be(1, 2, 0xd4, 0, 0, 1), inner4), 1}, {"ARCnet exception", linkARCnetBSD, join(be(1, 2, 0xd4, 0xff, 0, 0, 0, 0, 0, 1), inner4), 1}, {"ARCnet Linux", linkARCnetLinux, join(be(1, 2, 0, 0, 0xd4, 0, 0, 1), inner4), 1},
		{"ATM LLC", linkATMLLC, innerSNAP, 1}, {"classical IP", linkCLIP, inner4, 1}, {"SunATM", linkSunATM, join(be(2, 0, 0, 32), innerSNAP), 1}, {"SunATM LANE", linkSunATM, join(be(1, 0, 0, 32, 0, 1), innerEth), 1}, {"SunATM signalling", linkSunATM, join(be(6, 0, 0, 32), innerSNAP), 0},
		{"IP over fibre channel", linkIPFC, join(make([]byte, 16), innerSNAP), 1}, {"ENC", linkENC, join(l32(2), make([]byte, 8), inner4), 1}, {"PF log", linkPFLog, join(be(61, 2, 0, 0), make([]byte, 60), inner4), 1},
		{"IP over FireWire", linkIPoFW, join(make([]byte, 16), u16(typeIPv4), inner4), 1}, {"IP over InfiniBand", linkIPoIB, join(make([]byte, 40), u16(typeIPv4), u16(0), inner4), 1},
		{"802.11", linkWLAN, innerWLAN, 1}, {"802.11 QoS", linkWLAN, join(wlanHeader(0x88, 2), u16(0), innerSNAP), 1}, {"802.11 four addresses", linkWLAN, join(wlanHeader(8, 3), testMAC1, innerSNAP), 1},
		{"802.11 mesh", linkWLAN, join(wlanHeader(0x88, 3), testMAC1, be(0, 1, 0, 31, 1, 0, 0, 0), innerSNAP), 1},
		{"802.11 protected", linkWLAN, join(wlanHeader(8, 0x42), innerSNAP), 0}, {"802.11 null data", linkWLAN, join(wlanHeader(0x48, 2), innerSNAP), 0}, {"802.11 beacon", linkWLAN, join(wlanHeader(0x80, 0), innerSNAP), 0},
		{"802.11 fragment", linkWLAN, join(wlanHeader(8, 6), innerSNAP), 0}, {"802.11 bridged", linkWLAN, join(wlanHeader(8, 2), innerEth), 1},
		{"802.11 A-MSDU", linkWLAN, join(wlanHeader(0x88, 2), be(0x80, 0), testMAC1, testMAC2, u16(len(innerSNAP)), innerSNAP, make([]byte, -(14+len(innerSNAP))&3), testMAC1, testMAC2, u16(len(innerSNAP)), innerSNAP), 2},
		{"radiotap", linkRadiotap, join(radiotapHeader(0, nil), innerWLAN), 1}, {"radiotap padded", linkRadiotap, join(radiotapHeader(3, join(make([]byte, 8), be(0x20))), wlanHeader(0x88, 2), make([]byte, 4), innerSNAP), 1}, {"radiotap two words", linkRadiotap, join(radiotapHeader(-0x80000000+2, join(u32(0), be(0x20))), wlanHeader(0x88, 2), make([]byte, 4), innerSNAP), 1}, {"radiotap length 4", linkRadiotap, join(be(0, 0, 4, 0, 0, 0, 0, 0), innerWLAN), 0},
		{"Prism", linkPrism, join(l32(0x44), l32(144), make([]byte, 136), innerWLAN), 1}, {"AVS", linkAVS, join(u32(0x80211001), u32(64), make([]byte, 56), innerWLAN), 1}, {"AVS under Prism", linkPrism, join(u32(0x80211001), u32(64), make([]byte, 56), innerWLAN), 1}, {"AVS length beyond", linkAVS, join(u32(0x80211001), u32(6400), make([]byte, 56), innerWLAN), 0},
		{"PPI 802.11", linkPPI, join(ppiHeader(linkWLAN, nil), innerWLAN), 1}, {"PPI ethernet", linkPPI, join(ppiHeader(linkEthernet, nil), innerEth), 1}, {"PPI in PPI", linkPPI, join(ppiHeader(linkPPI, nil), ppiHeader(linkEthernet, nil), innerEth), 0},
		{"ERF ethernet", linkERF, erfRecord(2, join(be(0, 0), innerEth, fcs)), 1}, {"ERF extended", linkERF, erfRecord(0x82, join(make([]byte, 8), be(0, 0), innerEth, fcs)), 1}, {"ERF SONET", linkERF, erfRecord(1, innerPPP), 1}, {"ERF IPv6", linkERF, erfRecord(23, inner6), 1}, {"ERF InfiniBand", linkERF, erfRecord(21, innerEth), 0},
		{"NFLOG", linkNFLOG, nflogMessage(2, typeIPv4, inner4), 1}, {"NFLOG IPv6", linkNFLOG, nflogMessage(10, typeIPv6, inner6), 1}, {"NFLOG by type", linkNFLOG, nflogMessage(0, typeIPv4, inner4), 1}, {"NFLOG unknown", linkNFLOG, nflogMessage(7, 0, inner4), 0}, {"NFLOG bad length", linkNFLOG, join(be(2, 0, 0, 0), l16(2), l16(9), inner4), 0},
		{"DOCSIS", linkDOCSIS, join(be(0, 0), u16(len(innerEth)), be(0, 0), innerEth), 1}, {"DOCSIS management", linkDOCSIS, join(be(0xc2, 0), u16(len(innerEth)), be(0, 0), innerEth), 0},
		{"Juniper", linkJuniperEther, join([]byte("MGC\x00"), innerEth), 1}, {"Juniper extended", linkJuniperEther, join([]byte("MGC\x80"), u16(4), be(1, 2, 0, 0), innerEth), 1}, {"Juniper IP", linkJuniperPPP, join([]byte("MGC\x02"), l32(2), inner4), 1}, {"Juniper PPP", linkJuniperPPP, join([]byte("MGC\x00"), be(0, 0, 0, 0x21), inner4), 1},
		{"Symantec", linkSymantec, join(make([]byte, 6), u16(typeIPv4), make([]byte, 36), inner4), 1},
		{"user link type", 147, inner4, 0}, {"CAN", 227, inner4, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := New()
			got := decodeFrames(d, tt.link, tt.frame)
			checkInner(t, got, 0, tt.want)
			if tt.want == 0 && tt.name != "802.11 null data" && len(d.Unread()) == 0 {
				t.Error("nothing read and nothing counted")
			}
		})
	}
}

// checkInner wants n copies of innerTCP among segs from index skip on.
func checkInner(t *testing.T, segs []Segment, skip, n int) {
	t.Helper()
	var found int
	for _, s := range segs {
		if s.Proto != ProtoTCP {
			continue
		}
		found++
		if s.SrcPort != testSrcPort || s.DstPort != testDstPort || s.Seq != testSeq || s.Ack != testAck ||
			s.Flags != ACK|PSH || s.Window != 1000 || s.HeaderLen != 20 || s.Len != 5 || string(s.Payload) != "hello" ||
			s.Fragment || s.Short || s.OptionsCut {
			t.Errorf("segment %+v", s)
		}
		if s.Dst[15] != 2 || s.Src[15] != 1 {
			t.Errorf("addresses %v %v", s.Src, s.Dst)
		}
		if int(s.Layer) < skip {
			t.Errorf("layer %d, want %d or more", s.Layer, skip)
		}
	}
	if found != n {
		t.Errorf("%d TCP segments, want %d", found, n)
	}
}
