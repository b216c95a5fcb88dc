package decode

import (
	"testing"

	"goproxytrace/capture"
)

func benchmarkDecode(b *testing.B, lt capture.LinkType, frame []byte) {
	d := New()
	p := capture.Packet{Number: 1, Data: frame, Length: len(frame), LinkType: lt}
	out := make([]Segment, 0, 4)
	if out = d.Decode(&p, out[:0]); len(out) != 1 || out[0].Proto != ProtoTCP {
		b.Fatalf("segments %+v", out)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(frame)))
	for b.Loop() {
		out = d.Decode(&p, out[:0])
	}
}

func BenchmarkDecodeEthernetIPv4(b *testing.B) {
	benchmarkDecode(b, linkEthernet, ethFrame(typeIPv4, ip4Packet(protoTCP, tcpSegment(timestamps, make([]byte, 1400)))))
}

func BenchmarkDecodeEthernetIPv6(b *testing.B) {
	benchmarkDecode(b, linkEthernet, ethFrame(typeIPv6, ip6Packet(protoTCP, tcpSegment(timestamps, make([]byte, 1400)))))
}

func BenchmarkDecodeVLAN(b *testing.B) {
	benchmarkDecode(b, linkEthernet, ethFrame(typeVLAN, join(be(0, 5, 8, 0), ip4Packet(protoTCP, tcpSegment(timestamps, make([]byte, 1400))))))
}

func BenchmarkDecodeSLL2(b *testing.B) {
	benchmarkDecode(b, linkSLL2, sll2Frame(1, typeIPv4, ip4Packet(protoTCP, tcpSegment(timestamps, make([]byte, 1400)))))
}

func BenchmarkDecodeVXLAN(b *testing.B) {
	inner := ethFrame(typeIPv4, ip4Packet(protoTCP, tcpSegment(timestamps, make([]byte, 1300))))
	frame := ethFrame(typeIPv4, ip4Packet(protoUDP, udpDatagram(40000, portVXLAN, join(be(8, 0, 0, 0, 0, 0, 1, 0), inner))))
	d := New()
	p := capture.Packet{Number: 1, Data: frame, Length: len(frame), LinkType: linkEthernet}
	out := make([]Segment, 0, 4)
	b.ReportAllocs()
	for b.Loop() {
		out = d.Decode(&p, out[:0])
	}
	if len(out) != 2 {
		b.Fatalf("segments %d, want 2", len(out))
	}
}
