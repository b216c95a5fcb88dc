package decode

import (
	"testing"

	"goproxytrace/capture"
)

// within says whether part is a stretch of whole (or empty).
func isWithin(part, whole []byte) bool {
	if len(part) == 0 {
		return true
	}
	if cap(part) > cap(whole) {
		return false
	}
	start := cap(whole) - cap(part)
	return start+len(part) <= len(whole) && &whole[:cap(whole)][start] == &part[0]
}

// checkSegment holds for whatever bytes come in.
func checkSegment(t *testing.T, s *Segment, p *capture.Packet) {
	t.Helper()
	if s.Frame != p.Number || s.Time != p.Time {
		t.Fatalf("frame %d at %d, want %d at %d", s.Frame, s.Time, p.Number, p.Time)
	}
	if !s.Reassembled && (!isWithin(s.Payload, p.Data) || !isWithin(s.Transport, p.Data)) {
		t.Fatalf("payload lies outside the packet: %+v", s)
	}
	if len(s.Payload) > len(s.Transport) {
		t.Fatalf("payload of %d bytes in %d bytes of transport", len(s.Payload), len(s.Transport))
	}
	limit := max(p.Length, len(p.Data))
	if s.Reassembled {
		limit = maxDatagram
	}
	if int(s.Len) > limit {
		t.Fatalf("length %d in a frame of %d", s.Len, limit)
	}
	if s.Proto == ProtoTCP && !s.Fragment && !s.Short && len(s.Payload) > int(s.Len) {
		t.Fatalf("length %d with %d bytes captured", s.Len, len(s.Payload))
	}
	if s.SACKCount > 4 || int(s.Layer) >= maxSegments || s.WindowScale < -1 {
		t.Fatalf("segment %+v", s)
	}
	s.ChecksumValid()
}

func FuzzDecode(f *testing.F) {
	whole := tcpSegment(timestamps, make([]byte, 60))
	first := fragmentSpec{0, true, whole[:32]}
	for _, lt := range []capture.LinkType{
		linkEthernet, linkSLL, linkSLL2, linkRaw, linkNull, linkLoop, linkPPP, linkHDLC, linkFrameRelay, linkFDDI, linkTokenRing,
		linkARCnetBSD, linkARCnetLinux, linkWLAN, linkRadiotap, linkPrism, linkAVS, linkPPI, linkERF, linkPKTAP, linkNFLOG,
		linkDOCSIS, linkJuniperEther, linkJuniperPPP, linkSymantec, linkIPoIB, linkPFLog, linkENC, linkSunATM, linkEDSA, 147,
	} {
		f.Add(uint16(lt), innerEth, inner4, 0)
	}
	f.Add(uint16(linkEthernet), innerEth, ethFrame(typeIPv6, inner6), 9)
	f.Add(uint16(linkEthernet), ethFrame(typeMPLS, join(be(0, 1, 1, 64), innerEth)), ethFrame(typePPPoE, pppoeFrame(2+len(inner4), join(u16(0x21), inner4))), 0)
	f.Add(uint16(linkRaw), first.v4(1), fragmentSpec{32, false, whole[32:]}.v4(1), 0)
	f.Add(uint16(linkRaw), first.v6(1), fragmentSpec{32, false, whole[32:]}.v6(1), 1)
	f.Add(uint16(linkRaw), ip4Packet(protoGRE, greHeader(0xf000, typeTEB, join(make([]byte, 16), innerEth))), ip6Packet(protoRouting, join(be(protoTCP, 2, 3, 1, 0xff), make([]byte, 19), whole)), 0)
	for port := range 1 << 16 {
		if tunnelPort(uint16(port)) {
			f.Add(uint16(linkRaw), ip4Packet(protoUDP, udpDatagram(50000, port, join(be(8, 0, 0, 0, 0, 0, 1, 0), innerEth))), ip4Packet(protoUDP, udpDatagram(port, port, inner6)), 0)
		}
	}
	f.Add(uint16(linkPKTAP), pktapV1(156, 1, linkEthernet, 77, 78, innerEth), pktapV2(linkEthernet, innerEth), 0)
	f.Add(uint16(linkRadiotap), join(radiotapHeader(3, join(make([]byte, 8), be(0x20))), innerWLAN), innerWLAN, 0)
	f.Add(uint16(linkRaw), ip4Packet(protoICMP, icmpMessage(3, 4, 1400, inner4)), ip6Packet(protoICMPv6, icmpMessage(2, 0, 1280, inner6)), 0)
	f.Fuzz(func(t *testing.T, lt uint16, one, two []byte, missing int) {
		d := New()
		var out []Segment
		for i, data := range [][]byte{one, two, one} {
			p := capture.Packet{Number: int64(i + 1), Time: int64(i), Data: data, LinkType: capture.LinkType(lt)}
			p.Length = len(data) + missing%100000
			from := len(out)
			out = d.Decode(&p, out)
			for k := range out[from:] {
				checkSegment(t, &out[from+k], &p)
			}
			if len(out)-from > maxSegments {
				t.Fatalf("%d segments of one frame", len(out)-from)
			}
		}
		for _, u := range d.Unread() {
			if u.Name == (missKey{kind: missPanic}).name() {
				t.Fatal("decoding panicked")
			}
		}
	})
}
