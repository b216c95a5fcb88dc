package decode

import (
	"encoding/binary"

	"goproxytrace/capture"
)

// Packet building for tests: every frame is made here, byte by byte.

func be(b ...byte) []byte { return b }

func join(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func u16(v int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(v)) }
func u32(v int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(v)) }
func l16(v int) []byte { return binary.LittleEndian.AppendUint16(nil, uint16(v)) }
func l32(v int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(v)) }

var timestamps = be(1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9)

const (
	testSrcPort = 40001
	testDstPort = 443
	testSeq     = 0x01020304
	testAck     = 0x05060708
)

func tcpSegment(options, payload []byte) []byte {
	hlen := 20 + len(options)
	return join(u16(testSrcPort), u16(testDstPort), u32(testSeq), u32(testAck),
		u16(hlen/4<<12|int(ACK|PSH)), u16(1000), u16(0), u16(0), options, payload)
}

func udpDatagram(src, dst int, payload []byte) []byte {
	return join(u16(src), u16(dst), u16(8+len(payload)), u16(0), payload)
}

var (
	testSrc4 = be(10, 0, 0, 1)
	testDst4 = be(10, 0, 0, 2)
	testSrc6 = join(be(0x20, 1, 0xd, 0xb8), make([]byte, 11), be(1))
	testDst6 = join(be(0x20, 1, 0xd, 0xb8), make([]byte, 11), be(2))
)

func ip4Packet(proto int, payload []byte) []byte { return ip4Fragment(proto, 7, 0, nil, payload) }

// ip4Fragment takes the flags and offset field as sent.
func ip4Fragment(proto, id, off int, options, payload []byte) []byte {
	hlen := 20 + len(options)
	return join(be(byte(0x40|hlen/4), 0), u16(hlen+len(payload)), u16(id), u16(off),
		be(64, byte(proto)), u16(0), testSrc4, testDst4, options, payload)
}

func ip6Packet(next int, payload []byte) []byte {
	return join(be(0x60, 0, 0, 0), u16(len(payload)), be(byte(next), 61), testSrc6, testDst6, payload)
}

var (
	testMAC1 = be(2, 0, 0, 0, 0, 1)
	testMAC2 = be(2, 0, 0, 0, 0, 2)
)

func ethFrame(t int, payload []byte) []byte { return join(testMAC1, testMAC2, u16(t), payload) }

func sllFrame(hardware, protocol int, payload []byte) []byte {
	return join(u16(0), u16(hardware), u16(6), make([]byte, 8), u16(protocol), payload)
}

func sll2Frame(hardware, protocol int, payload []byte) []byte {
	return join(u16(protocol), u16(0), u32(3), u16(hardware), be(0, 6), make([]byte, 8), payload)
}

func decodeFrames(d *Decoder, lt capture.LinkType, frames ...[]byte) []Segment {
	var out []Segment
	for i, f := range frames {
		p := capture.Packet{Number: int64(i + 1), Data: f, Length: len(f), LinkType: lt}
		out = d.Decode(&p, out)
	}
	return out
}

// cutFrame decodes a frame of which only n bytes were captured.
func cutFrame(d *Decoder, lt capture.LinkType, frame []byte, n int) []Segment {
	p := capture.Packet{Number: 1, Data: frame[:n:n], Length: len(frame), LinkType: lt}
	return d.Decode(&p, nil)
}
