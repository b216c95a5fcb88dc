package decode

import (
	"encoding/binary"
	"testing"
)

func greHeader(flags, proto int, optional []byte) []byte {
	return join(u16(flags), u16(proto), optional)
}

// TestIPTunnels reads one segment through each tunnel of an IP protocol, and
// none through its look-alike.
func TestIPTunnels(t *testing.T) {
	seq := u32(1)
	mpls := join(be(0, 1, 1, 64), inner4)
	tests := []struct {
		name  string
		proto int
		body  []byte
		want  int
	}{
		{"IP in IP", protoIPIP, inner4, 1},
		{"IPv6 in protocol 4", protoIPIP, inner6, 1},
		{"6in4", protoIPv6, inner6, 1},
		{"IPv4 in protocol 41", protoIPv6, inner4, 0},
		{"protocol 94", 94, inner4, 0},
		{"EtherIP", protoEtherIP, join(be(0x30, 0), innerEth), 1},
		{"Ethernet", protoEthernet, innerEth, 1},
		{"MPLS", protoMPLS, mpls, 1},
		{"UDP-Lite", protoUDPLite, innerTCP, 0},
		{"IPComp", protoIPComp, join(be(6, 0, 0, 2), innerTCP), 0},
		{"L2TPv3", protoL2TP, join(u32(1), innerEth), 0},
		{"GRE", protoGRE, greHeader(0, typeIPv4, inner4), 1},
		{"GRE with all fields", protoGRE, greHeader(0xb000, typeIPv6, join(make([]byte, 12), inner6)), 1},
		{"GRE with routing", protoGRE, greHeader(0x4000, typeIPv4, join(make([]byte, 8), inner4)), 1},
		{"GRE key cut off", protoGRE, greHeader(0x2000, typeIPv4, be(0, 0)), 0},
		{"GRE ethernet", protoGRE, greHeader(0, typeTEB, innerEth), 1},
		{"GRE VLAN", protoGRE, greHeader(0, typeVLAN, join(u16(5), u16(typeIPv4), inner4)), 0},
		{"GRE MPLS", protoGRE, greHeader(0, typeMPLS, mpls), 1},
		{"GRE frame relay", protoGRE, greHeader(0, typeFrameRelay, join(be(0x18, 0x41, 3, 0xcc), inner4)), 1},
		{"GRE NSH", protoGRE, greHeader(0, typeNSH, join(be(0x0f, 0xc2, 2, 1), make([]byte, 4), inner4)), 1},
		{"GRE redirect", protoGRE, greHeader(0, greWCCP, join(make([]byte, 4), inner4)), 1},
		{"GRE redirect without header", protoGRE, greHeader(0, greWCCP, inner4), 1},
		{"GRE 802.11", protoGRE, greHeader(0, 0x8210, innerWLAN), 1},
		{"EoIP", protoGRE, greHeader(0x2001, greEoIP, join(u32(1), innerEth)), 1},
		{"PPTP", protoGRE, greHeader(0x3081, typePPP, join(u16(len(innerPPP)), u16(1), u32(1), u32(1), innerPPP)), 1},
		{"PPTP acknowledgment", protoGRE, greHeader(0x2081, typePPP, join(u16(0), u16(1), u32(1))), 0},
		{"ERSPAN I", protoGRE, greHeader(0, greERSPAN2, innerEth), 1},
		{"ERSPAN II", protoGRE, greHeader(0x1000, greERSPAN2, join(seq, be(0x10, 0, 0, 0, 0, 0, 0, 0), innerEth)), 1},
		{"ERSPAN III", protoGRE, greHeader(0x1000, greERSPAN3, join(seq, be(0x20), make([]byte, 11), innerEth)), 1},
		{"ERSPAN III with subheader", protoGRE, greHeader(0x1000, greERSPAN3, join(seq, be(0x20), make([]byte, 10), be(1), make([]byte, 8), innerEth)), 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := New()
			p := ip4Packet(tt.proto, tt.body)
			p[15] = 7 // the outer source differs from the inner one
			checkInner(t, decodeFrames(d, linkRaw, p), 0, tt.want)
			if tt.want == 0 && tt.name != "PPTP acknowledgment" && len(d.Unread()) == 0 {
				t.Error("nothing read and nothing counted")
			}
		})
	}
}

func capwapHeader(flags2, flags3 byte) []byte { return be(0, 0x10, flags2, flags3, 0, 0, 0, 0) }

func gtpMessage(flags byte, kind byte, optional, payload []byte) []byte {
	return join(be(flags, kind), u16(len(optional)+len(payload)), u32(1), optional, payload)
}

// TestUDPTunnels reads the datagram and one segment through each tunnel over
// UDP, and the datagram alone of its look-alike.
func TestUDPTunnels(t *testing.T) {
	vxlan := join(be(8, 0, 0, 0, 0, 0, 1, 0), innerEth)
	swapped := join(wlanHeader(0x02, 0x08), innerSNAP)
	tests := []struct {
		name string
		port int
		body []byte
		want int
	}{
		{"VXLAN", portVXLAN, vxlan, 1},
		{"VXLAN on another port", 8472, vxlan, 0},
		{"VXLAN GPE", portVXLANGPE, join(be(0x0c, 0, 0, 1, 0, 0, 1, 0), inner4), 1},
		{"VXLAN GPE ethernet", portVXLANGPE, join(be(0x0c, 0, 0, 3, 0, 0, 1, 0), innerEth), 1},
		{"VXLAN GPE without protocol", portVXLANGPE, vxlan, 0},
		{"Geneve", portGeneve, join(be(0, 0, 0x65, 0x58, 0, 0, 1, 0), innerEth), 1},
		{"Geneve with options", portGeneve, join(be(2, 0, 8, 0, 0, 0, 1, 0), make([]byte, 8), inner4), 1},
		{"Geneve options beyond", portGeneve, join(be(0x3f, 0, 8, 0, 0, 0, 1, 0), inner4), 0},
		{"GTP-U", portGTPU, gtpMessage(0x30, 255, nil, inner4), 1},
		{"GTP-U IPv6", portGTPU, gtpMessage(0x30, 255, nil, inner6), 1},
		{"GTP-U ethernet", portGTPU, gtpMessage(0x30, 255, nil, innerEth), 1},
		{"GTP-U sequence", portGTPU, gtpMessage(0x32, 255, be(0, 1, 0, 0), inner4), 1},
		{"GTP-U extension", portGTPU, gtpMessage(0x34, 255, be(0, 0, 0, 0x85, 1, 0, 0, 0), inner4), 1},
		{"GTP-U extension of length 0", portGTPU, gtpMessage(0x34, 255, be(0, 0, 0, 0x85, 0, 0, 0, 1), inner4), 0},
		{"GTP-U echo", portGTPU, gtpMessage(0x32, 1, be(0, 1, 0, 0), inner4), 0},
		{"GTP version 0", portGTPPrime, join(be(0x1e, 255), u16(len(inner4)), make([]byte, 16), inner4), 1},
		{"GTP-C port", portGTPC, gtpMessage(0x30, 255, nil, inner4), 1},
		{"Teredo", portTeredo, inner6, 1},
		{"Teredo authentication", portTeredo, join(be(0, 1, 0, 0), make([]byte, 9), inner6), 1},
		{"Teredo origin", portTeredo, join(be(0, 0, 1, 2, 3, 4, 5, 6), inner6), 1},
		{"Teredo bubble", portTeredo, ip6Packet(protoNoNext, nil), 0},
		{"L2TP", portL2TP, join(be(0, 2, 0, 1, 0, 1), innerPPP), 1},
		{"L2TP length", portL2TP, join(be(0x40, 2), u16(8+len(innerPPP)), be(0, 1, 0, 1), innerPPP), 1},
		{"L2TP sequence and offset", portL2TP, join(be(0x0a, 2, 0, 1, 0, 1, 0, 0, 0, 0, 0, 2, 0, 0), innerPPP), 1},
		{"L2TP control", portL2TP, join(be(0xc8, 2), u16(12), make([]byte, 8)), 0},
		{"L2TPv3", portL2TP, join(be(0, 3, 0, 0, 0, 0, 0, 1), innerEth), 0},
		{"MPLS", portMPLS, join(be(0, 1, 1, 64), inner4), 1},
		{"LISP", portLISP, join(make([]byte, 8), inner4), 1},
		{"LISP GPE", portLISP, join(be(4, 0, 0, 3, 0, 0, 0, 0), innerEth), 0},
		{"TZSP", portTZSP, join(be(1, 0, 0, 1, 1), innerEth), 1},
		{"TZSP 802.11 with tag", portTZSP, join(be(1, 0, 0, 0x12, 0, 10, 1, 9, 1), innerWLAN), 1},
		{"TZSP without end", portTZSP, be(1, 0, 0, 1, 10, 1, 9), 0},
		{"CAPWAP ethernet", portCAPWAP, join(capwapHeader(0, 0), innerEth), 1},
		{"CAPWAP 802.11", portCAPWAP, join(capwapHeader(3, 0), swapped), 1},
		{"CAPWAP 802.11 not swapped", portCAPWAP, join(capwapHeader(3, 0), innerWLAN), 0},
		{"CAPWAP DTLS", portCAPWAP, join(be(1, 0, 0, 0), innerEth), 0},
		{"CAPWAP fragment", portCAPWAP, join(capwapHeader(0, 0x80), innerEth), 0},
		{"LWAPP", portLWAPP, join(be(0, 0, 0, 64, 0, 0), swapped), 1},
		{"AMT", portAMT, join(be(6, 0), inner4), 1},
		{"AMT discovery", portAMT, join(be(1, 0), inner4), 0},
		{"sFlow version 4", portSFlow, join(u32(4), make([]byte, 80)), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, reverse := range []bool{false, true} {
				src, dst := 50000, tt.port
				if reverse {
					src, dst = dst, src
				}
				got := decodeFrames(New(), linkRaw, ip4Packet(protoUDP, udpDatagram(src, dst, tt.body)))
				if len(got) == 0 || got[0].Proto != ProtoUDP || got[0].Layer != 0 || int(got[0].Len) != len(tt.body) {
					t.Fatalf("outer datagram: %+v", got)
				}
				checkInner(t, got, 1, tt.want)
			}
		})
	}
	got := decodeFrames(New(), linkRaw, ip4Packet(protoUDP, udpDatagram(portVXLAN, 53, vxlan)))
	checkInner(t, got, 0, 0)
}

// TestSampledHeaders reads sFlow samples: their lengths are not known, and a
// damaged one leaves the others.
func TestSampledHeaders(t *testing.T) {
	record := func(length int, frame []byte) []byte {
		pad := make([]byte, -len(frame)&3)
		body := join(u32(1), u32(1500), u32(4), u32(len(frame)), frame, pad)
		if length < 0 {
			length = len(body)
		}
		return join(u32(1), u32(length), body)
	}
	sample := func(records ...[]byte) []byte {
		body := join(make([]byte, 28), u32(len(records)), join(records...))
		return join(u32(1), u32(len(body)), body)
	}
	expanded := func(record []byte) []byte {
		body := join(make([]byte, 40), u32(1), record)
		return join(u32(3), u32(len(body)), body)
	}
	samples := [][]byte{sample(record(-1, innerEth), record(-1, innerEth)), sample(record(1<<30, innerEth[:20])), expanded(record(-1, innerEth))}
	body := join(u32(5), u32(1), testSrc4, make([]byte, 12), u32(len(samples)), join(samples...))
	got := decodeFrames(New(), linkRaw, ip4Packet(protoUDP, udpDatagram(50000, portSFlow, body)))
	var found int
	for _, s := range got {
		if s.Proto == ProtoTCP {
			found++
			if !s.Fragment || s.Seq != testSeq {
				t.Errorf("sampled segment %+v", s)
			}
		}
	}
	if found != 3 {
		t.Errorf("%d sampled segments, want 3", found)
	}
	// The same header on the wire has a length.
	if s := decodeFrames(New(), linkEthernet, innerEth)[0]; s.Fragment {
		t.Error("a frame of its own counts as a sample")
	}
}

// TestNestingIsBounded nests until the decoder must give up, and counts that.
func TestNestingIsBounded(t *testing.T) {
	p := inner4
	for range 300 {
		p = ip4Packet(protoIPIP, p)
	}
	d := New()
	if got := decodeFrames(d, linkRaw, p); len(got) != 0 || len(d.Unread()) != 1 {
		t.Errorf("%d segments, unread %v", len(got), d.Unread())
	}
	p = inner4
	for range 10 {
		p = ip4Packet(protoIPIP, p)
	}
	checkInner(t, decodeFrames(New(), linkRaw, p), 0, 1)

	var subframes []byte
	for range 2 * maxSegments {
		subframes = join(subframes, testMAC1, testMAC2, u16(len(innerSNAP)), innerSNAP, make([]byte, -(14+len(innerSNAP))&3))
	}
	if got := decodeFrames(New(), linkWLAN, join(wlanHeader(0x88, 2), be(0x80, 0), subframes)); len(got) == 0 || len(got) > maxSegments {
		t.Errorf("%d segments of one frame, want at most %d", len(got), maxSegments)
	}
}

// TestTunnelLengths cuts the outer lengths below the inner ones.
func TestTunnelLengths(t *testing.T) {
	outer := ip4Packet(protoIPIP, inner4)
	binary.BigEndian.PutUint16(outer[2:], uint16(len(outer)-3))
	s := one(t, decodeFrames(New(), linkRaw, outer), ProtoTCP)
	if s.Len != 2 || string(s.Payload) != "he" {
		t.Errorf("length %d, payload %q", s.Len, s.Payload)
	}
}

// TestLoneLastFragment: access points number frames that they reassembled.
func TestLoneLastFragment(t *testing.T) {
	fragment := func(more byte, number byte) []byte {
		h := wlanHeader(8, 2|more)
		h[22] = 0x70 | number
		return join(h, innerSNAP)
	}
	checkInner(t, decodeFrames(New(), linkWLAN, fragment(0, 6)), 0, 1)
	checkInner(t, decodeFrames(New(), linkWLAN, fragment(4, 0), fragment(0, 1)), 0, 0)
}
