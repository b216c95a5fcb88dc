package decode

import "testing"

func icmpMessage(kind, code byte, rest int, body []byte) []byte {
	return join(be(kind, code, 0, 0), u32(rest), body)
}

func TestICMPQuote(t *testing.T) {
	quotedTCP := ip4Fragment(protoTCP, 0x77, 0x4000, nil, innerTCP[:8])
	s := one(t, decodeFrames(New(), linkRaw, ip4Packet(protoICMP, icmpMessage(3, 4, 1400, quotedTCP))), ProtoICMP)
	q := s.Quote
	if q == nil {
		t.Fatal("no quote")
	}
	want := Quote{Proto: ProtoTCP, IPVersion: 4, TTL: 64, HasSeq: true, IPID: 0x77, Src: q.Src, Dst: q.Dst,
		SrcPort: testSrcPort, DstPort: testDstPort, Seq: testSeq, MTU: 1400}
	if *q != want || q.Src[15] != 1 || q.Dst[15] != 2 {
		t.Errorf("quote %+v", *q)
	}
	if s.ICMPType != 3 || s.ICMPCode != 4 || s.SrcPort != 0 {
		t.Errorf("segment %+v", s)
	}
}

func TestICMPQuoteKinds(t *testing.T) {
	udp := udpDatagram(5000, 53, make([]byte, 20))
	v6 := func(next int, body []byte) []byte { return ip6Packet(next, body) }
	tests := []struct {
		name  string
		frame []byte
		proto Proto // of the quoted packet; 255: no quote
		port  uint16
		seq   bool
		mtu   uint32
	}{
		{"port unreachable", ip4Packet(protoICMP, icmpMessage(3, 3, 0, ip4Packet(protoUDP, udp))), ProtoUDP, 53, false, 0},
		{"unreachable is no MTU", ip4Packet(protoICMP, icmpMessage(3, 1, 1400, inner4)), ProtoTCP, testDstPort, true, 0},
		{"time exceeded", ip4Packet(protoICMP, icmpMessage(11, 0, 0, inner4)), ProtoTCP, testDstPort, true, 0},
		{"ports only", ip4Packet(protoICMP, icmpMessage(11, 0, 0, ip4Packet(protoTCP, innerTCP[:4]))), ProtoTCP, testDstPort, false, 0},
		{"later fragment", ip4Packet(protoICMP, icmpMessage(11, 1, 0, ip4Fragment(protoTCP, 1, 6, nil, innerTCP))), ProtoOther, 0, false, 0},
		{"quoted ping", ip4Packet(protoICMP, icmpMessage(3, 1, 0, ip4Packet(protoICMP, icmpMessage(8, 0, 0, nil)))), ProtoICMP, 0, false, 0},
		{"echo quotes nothing", ip4Packet(protoICMP, icmpMessage(8, 0, 0, inner4)), 255, 0, false, 0},
		{"quote cut", ip4Packet(protoICMP, icmpMessage(3, 1, 0, inner4[:19])), 255, 0, false, 0},
		{"quoted rubbish", ip4Packet(protoICMP, icmpMessage(3, 1, 0, make([]byte, 60))), 255, 0, false, 0},
		{"packet too big", v6(protoICMPv6, icmpMessage(2, 0, 1280, inner6)), ProtoTCP, testDstPort, true, 1280},
		{"unreachable v6", v6(protoICMPv6, icmpMessage(1, 4, 1280, v6(protoUDP, udp))), ProtoUDP, 53, false, 0},
		{"behind options", v6(protoICMPv6, icmpMessage(3, 0, 0, v6(protoDestOpts, join(be(protoTCP, 0, 1, 4, 0, 0, 0, 0), innerTCP)))), ProtoTCP, testDstPort, true, 0},
		{"echo v6", v6(protoICMPv6, icmpMessage(128, 0, 0, inner6)), 255, 0, false, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := decodeFrames(New(), linkRaw, tt.frame)
			if len(got) != 1 {
				t.Fatalf("segments %+v: a quoted header is no segment", got)
			}
			q := got[0].Quote
			if tt.proto == 255 {
				if q != nil {
					t.Fatalf("quote %+v, want none", *q)
				}
				return
			}
			if q == nil {
				t.Fatal("no quote")
			}
			if q.Proto != tt.proto || q.DstPort != tt.port || q.HasSeq != tt.seq || q.MTU != tt.mtu {
				t.Errorf("quote %+v", *q)
			}
		})
	}
}

func TestAddressResolution(t *testing.T) {
	arp := func(op int, hlen, plen byte) []byte {
		return ethFrame(typeARP, join(u16(1), u16(typeIPv4), be(hlen, plen), u16(op), testMAC1, testSrc4, testMAC2, testDst4, make([]byte, 18)))
	}
	ask := one(t, decodeFrames(New(), linkEthernet, arp(1, 6, 4)), ProtoARP)
	if ask.ICMPType != 1 || ask.Src[15] != 1 || ask.Dst[15] != 2 || ask.Src[11] != 0xff {
		t.Errorf("question %+v", ask)
	}
	answer := one(t, decodeFrames(New(), linkEthernet, arp(2, 6, 4)), ProtoARP)
	if answer.ICMPType != 2 || answer.Src[15] != 1 || answer.Dst[15] != 1 {
		t.Errorf("answer %+v", answer)
	}
	for name, f := range map[string][]byte{"reverse ARP": arp(3, 6, 4), "six-byte protocol": arp(1, 4, 6), "length beyond": arp(1, 6, 200)} {
		if got := decodeFrames(New(), linkEthernet, f); len(got) != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	target := append(make([]byte, 15), 0x33)
	for kind, want := range map[byte]uint8{135: 1, 136: 2} {
		s := one(t, decodeFrames(New(), linkRaw, ip6Packet(protoICMPv6, icmpMessage(kind, 0, 0, target))), ProtoARP)
		if s.ICMPType != want || s.Dst != Addr(target) || s.Src != Addr(testSrc6) {
			t.Errorf("neighbour message %d: %+v", kind, s)
		}
	}
	one(t, decodeFrames(New(), linkRaw, ip6Packet(protoICMPv6, icmpMessage(134, 0, 0, target))), ProtoICMPv6)
	if got := decodeFrames(New(), linkRaw, ip6Packet(protoICMPv6, icmpMessage(135, 0, 0, target[:15]))); len(got) != 0 {
		t.Errorf("solicitation without a whole target: %+v", got)
	}
}
