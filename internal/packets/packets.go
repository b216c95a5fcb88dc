// Package packets builds the bytes of network packets for tests.
//
// In go addresses, header fields and a payload, out come frames with the right
// lengths and checksums, or with wrong ones where a test asks for them. The
// builders panic on an address that does not parse and on addresses of two
// families, because that is a mistake in the test itself.
//
//	syn := packets.TCP("192.0.2.10:40000", "198.51.100.1:443").
//		Flags(packets.SYN).Seq(1000).MSS(1460).SACKPermitted().WindowScale(7)
//	frame := syn.Ethernet()
package packets

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// TCP header flags (RFC 9293, section 3.1).
const (
	FIN uint16 = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// IP protocol numbers.
const (
	ProtoICMP   = 1
	ProtoIPIP   = 4
	ProtoTCP    = 6
	ProtoUDP    = 17
	ProtoIPv6   = 41
	ProtoGRE    = 47
	ProtoICMPv6 = 58
)

// Packet is one IP packet in the making. Its methods change it and return it;
// Clone gives a copy to vary.
type Packet struct {
	src, dst         netip.Addr
	srcPort, dstPort uint16
	proto            uint8

	// IP
	ttl, tos    uint8
	ipID        uint16
	flowLabel   uint32
	df, more    bool
	fragOffset  int // bytes
	fragmentID  uint32
	fragment    bool
	totalLength int // -1: computed
	extensions  []extension
	ipOptions   []byte

	// TCP
	seq, ack   uint32
	flags      uint16
	window     uint16
	urgent     uint16
	options    []byte
	dataOffset int // 32-bit words, -1: computed

	// ICMP
	icmpType, icmpCode uint8
	icmpRest           uint32

	payload     []byte
	badChecksum bool

	// Ethernet
	srcMAC, dstMAC [6]byte
	tags           []uint32 // TPID<<16 | TCI
}

type extension struct {
	proto uint8
	body  []byte // without the next-header byte
}

func newPacket(src, dst netip.Addr, proto uint8) *Packet {
	if src.Is4() != dst.Is4() {
		panic(fmt.Sprintf("packets: %v and %v are of two address families", src, dst))
	}
	return &Packet{
		src: src, dst: dst, proto: proto,
		ttl: 64, totalLength: -1, dataOffset: -1,
		srcMAC: [6]byte{2, 0, 0, 0, 0, 1},
		dstMAC: [6]byte{2, 0, 0, 0, 0, 2},
	}
}

// TCP starts a TCP segment from src to dst ("192.0.2.1:443", "[2001:db8::1]:443")
// with a window of 64240 and no flag set.
func TCP(src, dst string) *Packet {
	return TCPBetween(netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst))
}

// TCPBetween is TCP for parsed addresses.
func TCPBetween(src, dst netip.AddrPort) *Packet {
	p := newPacket(src.Addr(), dst.Addr(), ProtoTCP)
	p.srcPort, p.dstPort, p.window = src.Port(), dst.Port(), 64240
	return p
}

// UDP starts a UDP datagram.
func UDP(src, dst string) *Packet {
	return UDPBetween(netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst))
}

// UDPBetween is UDP for parsed addresses.
func UDPBetween(src, dst netip.AddrPort) *Packet {
	p := newPacket(src.Addr(), dst.Addr(), ProtoUDP)
	p.srcPort, p.dstPort = src.Port(), dst.Port()
	return p
}

// ICMP starts an ICMP message, ICMPv6 where the addresses are IPv6.
func ICMP(src, dst string, typ, code uint8) *Packet {
	s, d := netip.MustParseAddr(src), netip.MustParseAddr(dst)
	proto := uint8(ProtoICMP)
	if s.Is6() {
		proto = ProtoICMPv6
	}
	p := newPacket(s, d, proto)
	p.icmpType, p.icmpCode = typ, code
	return p
}

// ICMPError starts an ICMP error that quotes a packet: for IPv4 its header and
// all that follows up to 548 bytes, for IPv6 up to 1232 (RFC 1812, section
// 4.3.2.3; RFC 4443, section 2.4). Payload replaces the quote.
func ICMPError(src, dst string, typ, code uint8, quoted *Packet) *Packet {
	p := ICMP(src, dst, typ, code)
	q := quoted.IP()
	if limit := map[bool]int{true: 548, false: 1232}[p.src.Is4()]; len(q) > limit {
		q = q[:limit]
	}
	return p.Payload(q)
}

// IP starts a packet of any other protocol; Payload is its content.
func IP(src, dst string, proto uint8) *Packet {
	return newPacket(netip.MustParseAddr(src), netip.MustParseAddr(dst), proto)
}

// Clone returns a copy that shares nothing with p but the payload bytes.
func (p *Packet) Clone() *Packet {
	q := *p
	q.options = append([]byte(nil), p.options...)
	q.tags = append([]uint32(nil), p.tags...)
	q.extensions = append([]extension(nil), p.extensions...)
	return &q
}

// Reply returns an empty packet of the same protocol in the other direction,
// with the Ethernet addresses and tags of p.
func (p *Packet) Reply() *Packet {
	q := newPacket(p.dst, p.src, p.proto)
	q.srcPort, q.dstPort, q.window = p.dstPort, p.srcPort, p.window
	q.srcMAC, q.dstMAC = p.dstMAC, p.srcMAC
	q.tags = append([]uint32(nil), p.tags...)
	return q
}

// Seq sets the sequence number.
func (p *Packet) Seq(n uint32) *Packet { p.seq = n; return p }

// Ack sets the acknowledgement number and the ACK flag.
func (p *Packet) Ack(n uint32) *Packet { p.ack = n; p.flags |= ACK; return p }

// Flags adds TCP flags.
func (p *Packet) Flags(f uint16) *Packet { p.flags |= f; return p }

// Window sets the unscaled window field.
func (p *Packet) Window(n uint16) *Packet { p.window = n; return p }

// Urgent sets the urgent pointer and the URG flag.
func (p *Packet) Urgent(n uint16) *Packet { p.urgent = n; p.flags |= URG; return p }

// Option appends a TCP option with its length byte; kinds 0 and 1 have none.
func (p *Packet) Option(kind uint8, data ...byte) *Packet {
	p.options = append(p.options, kind)
	if kind > 1 {
		p.options = append(p.options, uint8(2+len(data)))
		p.options = append(p.options, data...)
	}
	return p
}

// RawOptions replaces the TCP options; they are padded to 32 bits with zeros.
func (p *Packet) RawOptions(b []byte) *Packet { p.options = b; return p }

// MSS appends the maximum segment size option.
func (p *Packet) MSS(n uint16) *Packet { return p.Option(2, byte(n>>8), byte(n)) }

// WindowScale appends the window scale option.
func (p *Packet) WindowScale(shift uint8) *Packet { return p.Option(1).Option(3, shift) }

// SACKPermitted appends the SACK-permitted option.
func (p *Packet) SACKPermitted() *Packet { return p.Option(1).Option(1).Option(4) }

// SACK appends selective acknowledgements: left and right edges in turn.
func (p *Packet) SACK(edges ...uint32) *Packet {
	b := make([]byte, 0, 32)
	for _, e := range edges {
		b = binary.BigEndian.AppendUint32(b, e)
	}
	return p.Option(1).Option(1).Option(5, b...)
}

// Timestamps appends the timestamps option.
func (p *Packet) Timestamps(val, ecr uint32) *Packet {
	p.options = append(p.options, 1, 1, 8, 10)
	p.options = binary.BigEndian.AppendUint32(p.options, val)
	p.options = binary.BigEndian.AppendUint32(p.options, ecr)
	return p
}

// DataOffset sets the TCP data offset in 32-bit words, right or wrong.
func (p *Packet) DataOffset(words int) *Packet { p.dataOffset = words; return p }

// ICMPRest sets the second 32 bits of an ICMP header (MTU, identifier).
func (p *Packet) ICMPRest(n uint32) *Packet { p.icmpRest = n; return p }

// Payload sets what follows the transport header. The bytes are not copied.
func (p *Packet) Payload(b []byte) *Packet { p.payload = b; return p }

// Text sets the payload to a string's bytes.
func (p *Packet) Text(s string) *Packet { return p.Payload([]byte(s)) }

// TTL sets the time to live or hop limit.
func (p *Packet) TTL(n uint8) *Packet { p.ttl = n; return p }

// TOS sets the type of service or traffic class byte.
func (p *Packet) TOS(n uint8) *Packet { p.tos = n; return p }

// ID sets the IPv4 identification.
func (p *Packet) ID(n uint16) *Packet { p.ipID = n; return p }

// DontFragment sets the IPv4 DF bit.
func (p *Packet) DontFragment() *Packet { p.df = true; return p }

// FlowLabel sets the IPv6 flow label.
func (p *Packet) FlowLabel(n uint32) *Packet { p.flowLabel = n & 0xfffff; return p }

// IPOptions sets IPv4 options, padded to 32 bits with zeros.
func (p *Packet) IPOptions(b []byte) *Packet { p.ipOptions = b; return p }

// Extension adds an IPv6 extension header (0, 43, 60, 135): body is what
// follows its next-header and length bytes, padded to a multiple of 8 in all.
func (p *Packet) Extension(proto uint8, body []byte) *Packet {
	n := (len(body)+2+7)/8*8 - 2
	b := make([]byte, 1+n)
	b[0] = byte((n+2)/8 - 1)
	copy(b[1:], body)
	p.extensions = append(p.extensions, extension{proto, b})
	return p
}

// TotalLength sets the IPv4 total length or IPv6 payload length field, right
// or wrong. Zero is what segmentation offload leaves there.
func (p *Packet) TotalLength(n int) *Packet { p.totalLength = n; return p }

// BadChecksum makes the transport checksum wrong.
func (p *Packet) BadChecksum() *Packet { p.badChecksum = true; return p }

// MAC sets the Ethernet addresses.
func (p *Packet) MAC(src, dst [6]byte) *Packet { p.srcMAC, p.dstMAC = src, dst; return p }

// VLAN adds an 802.1Q tag; the first call is the outermost tag.
func (p *Packet) VLAN(id uint16) *Packet { return p.Tag(0x8100, id) }

// Tag adds a tag with any TPID (0x88a8 for QinQ).
func (p *Packet) Tag(tpid, tci uint16) *Packet {
	p.tags = append(p.tags, uint32(tpid)<<16|uint32(tci))
	return p
}
