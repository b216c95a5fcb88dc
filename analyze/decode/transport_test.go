package decode

import (
	"encoding/binary"
	"testing"

	"goproxytrace/capture"
)

func one(t *testing.T, segs []Segment, proto Proto) Segment {
	t.Helper()
	if len(segs) != 1 || segs[0].Proto != proto {
		t.Fatalf("segments %+v, want one of protocol %d", segs, proto)
	}
	return segs[0]
}

// TestLengths follows the length rules of the IP headers, each beside the
// ordinary packet it could be mistaken for.
func TestLengths(t *testing.T) {
	payload := []byte("hello")
	tcp := tcpSegment(nil, payload)
	total := func(n int) []byte {
		p := ip4Packet(protoTCP, tcp)
		binary.BigEndian.PutUint16(p[2:], uint16(n))
		return p
	}
	plen := func(n int) []byte {
		p := ip6Packet(protoTCP, tcp)
		binary.BigEndian.PutUint16(p[4:], uint16(n))
		return p
	}
	jumbogram := func(length int) []byte {
		p := ip6Packet(protoHopByHop, join(be(protoTCP, 0, 0xc2, 4), u32(length), tcpSegment(nil, make([]byte, 66000))))
		binary.BigEndian.PutUint16(p[4:], 0)
		return p
	}
	pad := make([]byte, 9)
	tests := []struct {
		name  string
		frame []byte
		want  int // payload length; -1: no segment
		short bool
	}{
		{"IPv4", ethFrame(typeIPv4, total(45)), 5, false},
		{"IPv4 with a trailer", ethFrame(typeIPv4, join(total(45), pad)), 5, false},
		{"IPv4 total 0 is offload", ethFrame(typeIPv4, join(total(0), pad)), 14, false},
		{"IPv4 total below the header", ethFrame(typeIPv4, total(19)), -1, false},
		{"IPv4 total beyond the frame", ethFrame(typeIPv4, total(1500)), 5, false},
		{"IPv4 total inside the payload", ethFrame(typeIPv4, total(42)), 2, false},
		{"IPv4 total inside the TCP header", ethFrame(typeIPv4, total(38)), 0, true},
		{"IPv4 total before the window ends", ethFrame(typeIPv4, total(35)), -1, false},
		{"IPv6", ethFrame(typeIPv6, plen(25)), 5, false},
		{"IPv6 with a trailer", ethFrame(typeIPv6, join(plen(25), pad)), 5, false},
		{"IPv6 length beyond the frame", ethFrame(typeIPv6, plen(1500)), 5, false},
		{"IPv6 length 0", ethFrame(typeIPv6, plen(0)), -1, false},
		{"IPv6 jumbogram", ethFrame(typeIPv6, jumbogram(66028)), 66000, false},
		{"IPv6 jumbogram that is none", ethFrame(typeIPv6, jumbogram(65000)), -1, false},
		{"PPPoE length inside the payload", ethFrame(typePPPoE, pppoeFrame(44, join(u16(0x21), total(45)))), 2, false},
		{"802.3 length inside the payload", ethFrame(8+43, join(be(0xaa, 0xaa, 3, 0, 0, 0, 8, 0), total(45))), 3, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := decodeFrames(New(), linkEthernet, tt.frame)
			if tt.want < 0 {
				if len(got) != 0 {
					t.Fatalf("segments %+v, want none", got)
				}
				return
			}
			s := one(t, got, ProtoTCP)
			if int(s.Len) != tt.want || s.Short != tt.short || !s.Short && len(s.Payload) != tt.want {
				t.Errorf("length %d (captured %d), short %v; want %d, %v", s.Len, len(s.Payload), s.Short, tt.want, tt.short)
			}
		})
	}
}

// TestCut cuts a segment at every byte: lengths come from the headers all the
// same, and there is a segment from the window field on.
func TestCut(t *testing.T) {
	frame := ethFrame(typeIPv4, ip4Packet(protoTCP, tcpSegment(timestamps, make([]byte, 100))))
	const tcpAt = 34
	for n := range len(frame) + 1 {
		d := New()
		got := cutFrame(d, linkEthernet, frame, n)
		if n < tcpAt+16 {
			if len(got) != 0 || len(d.Unread()) != 1 {
				t.Errorf("cut at %d: %d segments, unread %v", n, len(got), d.Unread())
			}
			continue
		}
		if len(got) != 1 {
			t.Fatalf("cut at %d: %d segments", n, len(got))
		}
		s := got[0]
		if s.Len != 100 || s.SrcPort != testSrcPort || s.Window != 1000 {
			t.Errorf("cut at %d: %+v", n, s)
		}
		if want := n < tcpAt+32; s.OptionsCut != want || s.HasTimestamps == want {
			t.Errorf("cut at %d: options cut %v, timestamps %v", n, s.OptionsCut, s.HasTimestamps)
		}
		if want := max(0, n-tcpAt-32); len(s.Payload) != want {
			t.Errorf("cut at %d: %d bytes of payload, want %d", n, len(s.Payload), want)
		}
	}
}

func TestDataOffset(t *testing.T) {
	for offset, want := range map[byte]struct {
		length uint32
		short  bool
	}{0: {25, false}, 3: {13, false}, 5: {5, false}, 6: {1, false}, 7: {0, true}, 15: {0, true}} {
		seg := tcpSegment(nil, []byte("hello"))
		seg[12] = offset << 4
		s := one(t, decodeFrames(New(), linkRaw, ip4Packet(protoTCP, seg)), ProtoTCP)
		if s.HeaderLen != offset*4 || s.Len != want.length || s.Short != want.short {
			t.Errorf("data offset %d: header %d, length %d, short %v", offset, s.HeaderLen, s.Len, s.Short)
		}
	}
}

func TestTCPOptions(t *testing.T) {
	decode := func(options ...byte) Segment {
		return one(t, decodeFrames(New(), linkRaw, ip4Packet(protoTCP, tcpSegment(options, nil))), ProtoTCP)
	}
	s := decode(2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9, 1, 3, 3, 7)
	if s.MSS != 1460 || !s.SACKPermitted || !s.HasTimestamps || s.TSval != 7 || s.TSecr != 9 || s.WindowScale != 7 || s.MPTCP != -1 {
		t.Errorf("SYN options %+v", s)
	}
	s = decode(1, 1, 5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 6)
	if s.SACKCount != 2 || s.SACK[1] != [2]uint32{5, 6} || s.WindowScale != -1 || s.MSS != 0 || s.HasTimestamps {
		t.Errorf("SACK %+v", s)
	}
	if s = decode(30, 4, 0x20, 0); s.MPTCP != 2 {
		t.Errorf("MPTCP subtype %d, want 2", s.MPTCP)
	}
	if s = decode(0, 3, 3, 7); s.WindowScale != -1 {
		t.Error("option after the end of the list was read")
	}
	if s = decode(3, 0, 3, 7); s.WindowScale != -1 {
		t.Error("option of length 0 was passed over")
	}
	if s = decode(1, 2, 6, 5, 0xb4, 0, 0, 0); s.MSS != 0 {
		t.Error("MSS of the wrong length was read")
	}
	if s = decode(3, 3, 200, 0); s.WindowScale <= 14 {
		t.Errorf("window scale %d, want a shift above 14 kept as such", s.WindowScale)
	}
}

func TestIPHeaderFields(t *testing.T) {
	p := ip4Fragment(protoTCP, 0x1234, 0x4000, nil, tcpSegment(nil, nil))
	s := one(t, decodeFrames(New(), linkRaw, p), ProtoTCP)
	if s.IPID != 0x1234 || !s.HasIPID || !s.DontFragment || s.TTL != 64 || s.IPVersion != 4 {
		t.Errorf("IPv4 %+v", s)
	}
	if s.Src != (Addr{10: 0xff, 11: 0xff, 12: 10, 15: 1}) {
		t.Errorf("source %v", s.Src)
	}
	s = one(t, decodeFrames(New(), linkRaw, ip6Packet(protoTCP, tcpSegment(nil, nil))), ProtoTCP)
	if s.HasIPID || s.DontFragment || s.TTL != 61 || s.IPVersion != 6 || s.Src != Addr(testSrc6) || s.Dst != Addr(testDst6) {
		t.Errorf("IPv6 %+v", s)
	}
}

// TestSourceRoutes wants the final destination where the route is not used up.
func TestSourceRoutes(t *testing.T) {
	seg := tcpSegment(nil, nil)
	via := be(10, 0, 0, 9)
	final := func(p []byte) byte {
		return one(t, decodeFrames(New(), linkRaw, p), ProtoTCP).Dst[15]
	}
	v4 := func(pointer byte) []byte {
		return ip4Fragment(protoTCP, 1, 0, join(be(131, 7, pointer), via, be(0)), seg)
	}
	last := append(make([]byte, 15), 9)
	v6 := func(kind, left byte) []byte {
		return ip6Packet(protoRouting, join(be(protoTCP, 2, kind, left, 0, 0, 0, 0), last, seg))
	}
	for _, tt := range []struct {
		name string
		p    []byte
		want byte
	}{
		{"loose route", v4(4), 9}, {"loose route used up", v4(8), 2},
		{"type 0", v6(0, 1), 9}, {"type 0 used up", v6(0, 0), 2},
		{"home address", v6(2, 1), 9}, {"segment routing", v6(4, 1), 9}, {"unknown type", v6(7, 1), 2},
		{"RPL", ip6Packet(protoRouting, join(be(protoTCP, 1, 3, 1, 0xff, 0x70, 0, 0, 9), make([]byte, 7), seg)), 9},
	} {
		if got := final(tt.p); got != tt.want {
			t.Errorf("%s: destination ends in %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestExtensionHeaders(t *testing.T) {
	seg := tcpSegment(nil, []byte("hello"))
	opts := func(next byte) []byte { return be(next, 0, 1, 4, 0, 0, 0, 0) }
	ah := join(be(protoTCP, 1), make([]byte, 10))
	for name, p := range map[string][]byte{
		"hop-by-hop":        ip6Packet(protoHopByHop, join(opts(protoTCP), seg)),
		"several":           ip6Packet(protoHopByHop, join(opts(protoDestOpts), opts(protoTCP), seg)),
		"authentication":    ip6Packet(protoAH, join(ah, seg)),
		"IPv4 with AH":      ip4Packet(protoAH, join(ah, seg)),
		"atomic fragment":   ip6Packet(protoFragment, join(be(protoTCP, 0, 0, 0, 0, 0, 0, 7), seg)),
		"hop-by-hop on v4":  ip4Packet(protoHopByHop, join(opts(protoTCP), seg)),
		"destination on v4": ip4Packet(protoDestOpts, join(opts(protoTCP), seg)),
	} {
		s := one(t, decodeFrames(New(), linkRaw, p), ProtoTCP)
		if s.Len != 5 || string(s.Payload) != "hello" {
			t.Errorf("%s: %+v", name, s)
		}
	}
	for name, p := range map[string][]byte{
		"no next header":    ip6Packet(protoNoNext, seg),
		"length beyond":     ip6Packet(protoDestOpts, join(be(protoTCP, 200, 1, 4, 0, 0, 0, 0), seg)),
		"header cut":        ip6Packet(protoDestOpts, be(protoTCP, 0, 1)),
		"endless chain":     ip6Packet(protoDestOpts, join(manyOptions(40), seg)),
		"encrypted":         ip6Packet(50, seg),
		"IPv4, no next":     ip4Packet(protoNoNext, seg),
		"IPv4 in next IPv6": ip4Packet(protoIPv6, inner4),
	} {
		if got := decodeFrames(New(), linkRaw, p); len(got) != 0 {
			t.Errorf("%s: segments %+v", name, got)
		}
	}
}

func manyOptions(n int) []byte {
	var out []byte
	for range n {
		out = append(out, protoDestOpts, 0, 1, 4, 0, 0, 0, 0)
	}
	out[len(out)-8] = protoTCP
	return out
}

func TestUDP(t *testing.T) {
	decode := func(length int) []Segment {
		u := udpDatagram(5000, 53, []byte("question"))
		binary.BigEndian.PutUint16(u[4:], uint16(length))
		return decodeFrames(New(), linkRaw, ip4Packet(protoUDP, u))
	}
	for length, want := range map[int]string{16: "question", 12: "ques", 8: "", 500: "question", 5: "", 0: ""} {
		s := one(t, decode(length), ProtoUDP)
		if s.SrcPort != 5000 || s.DstPort != 53 || string(s.Payload) != want || int(s.Len) != len(want) {
			t.Errorf("UDP length %d: %+v", length, s)
		}
	}
	frame := ip4Packet(protoUDP, udpDatagram(5000, 53, make([]byte, 100)))
	s := one(t, cutFrame(New(), linkRaw, frame, 40), ProtoUDP)
	if s.Len != 100 || len(s.Payload) != 12 {
		t.Errorf("cut datagram: length %d, captured %d", s.Len, len(s.Payload))
	}
	if got := cutFrame(New(), linkRaw, frame, 27); len(got) != 0 {
		t.Errorf("cut header: %+v", got)
	}
}

func TestEventsGiveNothing(t *testing.T) {
	p := capture.Packet{Number: 1, Data: innerEth, Length: len(innerEth), LinkType: linkEthernet, Kind: capture.KindEvent}
	d := New()
	if got := d.Decode(&p, nil); len(got) != 0 || len(d.Unread()) != 0 {
		t.Errorf("segments %+v, unread %v", got, d.Unread())
	}
	p.Kind = capture.KindFrame
	if got := d.Decode(&p, nil); len(got) != 1 {
		t.Errorf("the same bytes as a frame: %d segments", len(got))
	}
}

func TestSegmentTakesPacketFacts(t *testing.T) {
	p := capture.Packet{Number: 42, Time: 99, Interface: 3, Direction: capture.Outbound, Data: innerEth, Length: len(innerEth), LinkType: linkEthernet}
	dirty := make([]Segment, 2)
	dirty[1] = Segment{MSS: 1, SACKCount: 3, Quote: &Quote{}, Short: true}
	got := New().Decode(&p, dirty[:1])
	if len(got) != 2 {
		t.Fatalf("%d segments, want the given one and one more", len(got))
	}
	s := got[1]
	if s.Frame != 42 || s.Time != 99 || s.Interface != 3 || s.Direction != uint8(capture.Outbound) {
		t.Errorf("packet facts %+v", s)
	}
	if s.MSS != 0 || s.SACKCount != 0 || s.Quote != nil || s.Short {
		t.Errorf("left over from the slice given: %+v", s)
	}
}

func TestChecksumValid(t *testing.T) {
	fill := func(p []byte, at int, proto byte) {
		transport := p[at:]
		pseudo := sum16(p[at-8:at], uint64(proto)+uint64(len(transport)))
		where := 16
		if proto == protoUDP {
			where = 6
		}
		binary.BigEndian.PutUint16(transport[where:], ^fold(sum16(transport, pseudo)))
	}
	for _, proto := range []byte{protoTCP, protoUDP} {
		want := map[byte]Proto{protoTCP: ProtoTCP, protoUDP: ProtoUDP}[proto]
		body := tcpSegment(timestamps, []byte("odd"))
		if proto == protoUDP {
			body = udpDatagram(5, 53, []byte("odd"))
		}
		p := ip4Packet(int(proto), body)
		fill(p, 20, proto)
		s := one(t, decodeFrames(New(), linkRaw, p), want)
		if ok, known := s.ChecksumValid(); !ok || !known || s.ChecksumUnfilled() {
			t.Errorf("protocol %d: right checksum: ok %v, known %v", proto, ok, known)
		}
		p[len(p)-1] ^= 0x10
		if ok, known := s.ChecksumValid(); ok || !known || s.ChecksumUnfilled() {
			t.Errorf("protocol %d: wrong checksum: ok %v, known %v", proto, ok, known)
		}
		s = one(t, cutFrame(New(), linkRaw, p, len(p)-1), want)
		if _, known := s.ChecksumValid(); known {
			t.Errorf("protocol %d: checksum known of a cut segment", proto)
		}
		at := 36
		if proto == protoUDP {
			at = 26
		}
		pseudo := fold(sum16(p[12:20], uint64(proto)+uint64(len(body))))
		binary.BigEndian.PutUint16(p[at:], pseudo)
		s = one(t, decodeFrames(New(), linkRaw, p), want)
		if _, known := s.ChecksumValid(); known || !s.ChecksumUnfilled() {
			t.Errorf("protocol %d: checksum known where the card was to complete it", proto)
		}
	}
	s := one(t, decodeFrames(New(), linkRaw, ip4Packet(protoUDP, udpDatagram(5, 53, nil))), ProtoUDP)
	if _, known := s.ChecksumValid(); known {
		t.Error("UDP checksum 0 counts as known")
	}
	p := ip6Packet(protoTCP, tcpSegment(nil, []byte("six")))
	pseudo := sum16(p[8:40], uint64(protoTCP)+uint64(len(p)-40))
	binary.BigEndian.PutUint16(p[56:], ^fold(sum16(p[40:], pseudo)))
	s = one(t, decodeFrames(New(), linkRaw, p), ProtoTCP)
	if ok, known := s.ChecksumValid(); !ok || !known {
		t.Errorf("IPv6: ok %v, known %v", ok, known)
	}
}
