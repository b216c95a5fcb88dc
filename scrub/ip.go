package scrub

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"goproxytrace/analyze/decode"
)

// Protocols (IANA).
const (
	protoHopByHop = 0
	protoICMP     = 1
	protoIPIP     = 4
	protoTCP      = 6
	protoUDP      = 17
	protoIPv6     = 41
	protoRouting  = 43
	protoFragment = 44
	protoICMPv6   = 58
	protoNoNext   = 59
	protoDestOpts = 60
)

// packet is an IP packet: where its payload is, and what a checksum over that
// needs to know.
type packet struct {
	at, end int // of the payload; end is what was captured of it
	proto   byte
	// addrs is where the addresses stand, length how many bytes both have.
	addrs, length int
	// whole is false for a fragment; first is true for the first one.
	whole, first bool
	// quoted is true inside an ICMP error.
	quoted bool
}

func (f *framer) ip(at int) { f.ipQuoted(at, false) }

func (f *framer) ipQuoted(at int, quoted bool) {
	if at >= len(f.in) {
		return
	}
	switch f.in[at] >> 4 {
	case 4:
		f.ipv4(at, quoted)
	case 6:
		f.ipv6(at, quoted)
	default:
		f.cut(at)
	}
}

func (f *framer) ipv4(at int, quoted bool) {
	if !f.has(at, 20) {
		return
	}
	n := int(f.in[at]&15) * 4
	if n < 20 || !f.has(at, n) {
		f.cut(at)
		return
	}
	f.keep(at, 12)
	f.address(at+12, 4)
	f.address(at+16, 4)
	for i := at + 20; i < at+n; i++ {
		f.out[i] = 1 // no operation (RFC 791, section 3.1): options may hold addresses
	}
	// The field is the same in both.
	binary.BigEndian.PutUint16(f.out[at+10:], adjust(f.u16(at+10), sum(f.in[at:at+n]), sum(f.out[at:at+n])))
	total := int(f.u16(at + 2))
	if total == 0 { // left to the hardware
		total = len(f.in) - at
	}
	fragment := f.u16(at + 6)
	p := packet{
		at: at + n, end: min(max(at+total, at+n), len(f.in)), proto: f.in[at+9], addrs: at + 12, length: 8,
		whole: fragment&0x3fff == 0, first: fragment&0x1fff == 0, quoted: quoted,
	}
	f.payload(&p)
}

func (f *framer) ipv6(at int, quoted bool) {
	if !f.has(at, 40) {
		return
	}
	f.keep(at, 8)
	p := packet{at: at + 40, proto: f.in[at+6], addrs: at + 8, length: 32, whole: true, first: true, quoted: quoted}
	length := int(f.u16(at + 4))
	if length == 0 {
		length = len(f.in)
	}
	p.end = min(at+40+length, len(f.in))
	f.neighbours(&p)
	f.address(at+8, 16)
	f.address(at+24, 16)
	for {
		switch p.proto {
		case protoHopByHop, protoDestOpts, protoRouting:
			if p.at+8 > p.end {
				f.cut(p.at)
				return
			}
			n := (int(f.in[p.at+1]) + 1) * 8
			if p.at+n > p.end {
				f.cut(p.at)
				return
			}
			f.keep(p.at, 2)
			if p.proto == protoRouting {
				f.keep(p.at+2, 2)
			} else {
				// One PadN (RFC 8200, section 4.2) for all options.
				f.out[p.at+2], f.out[p.at+3] = 1, byte(min(n-4, 255))
			}
			p.proto, p.at = f.in[p.at], p.at+n
			continue
		case protoFragment:
			if p.at+8 > p.end {
				f.cut(p.at)
				return
			}
			f.keep(p.at, 8)
			offset := f.u16(p.at + 2)
			p.whole = p.whole && offset&0xfff9 == 0
			p.first = p.first && offset&0xfff8 == 0
			p.proto, p.at = f.in[p.at], p.at+8
			continue
		}
		break
	}
	f.payload(&p)
}

// neighbours makes the addresses that neighbour discovery is about known before
// those of the packet, which may be a group's that is made of them.
func (f *framer) neighbours(p *packet) {
	if p.proto == protoICMPv6 && p.at+24 <= p.end && (f.in[p.at] == 135 || f.in[p.at] == 136) {
		f.redactor.Addr(netip.AddrFrom16([16]byte(f.in[p.at+8:])))
	}
}

func (f *framer) payload(p *packet) {
	if !p.first {
		return // zeros: what a later fragment holds is not known
	}
	switch p.proto {
	case protoTCP:
		f.tcp(p)
	case protoUDP:
		f.udp(p)
	case protoICMP:
		f.icmp(p)
	case protoICMPv6:
		f.icmp6(p)
	case protoIPIP, protoIPv6:
		f.ipQuoted(p.at, p.quoted)
	case protoNoNext:
	default:
		f.cut(p.at)
	}
}

// checksum adjusts the checksum at a place, over the payload and, where pseudo
// is true, the addresses.
func (f *framer) checksum(p *packet, at int, pseudo bool) {
	if at+2 > p.end {
		return
	}
	stored := f.u16(at)
	f.out[at], f.out[at+1] = 0, 0
	// The sum without the field itself: its complement added.
	before := uint64(sum(f.in[p.at:p.end])) + uint64(^stored)
	after := uint64(sum(f.out[p.at:p.end]))
	if pseudo {
		before += uint64(sum(f.in[p.addrs : p.addrs+p.length]))
		after += uint64(sum(f.out[p.addrs : p.addrs+p.length]))
	}
	binary.BigEndian.PutUint16(f.out[at:], adjust(stored, fold(before), fold(after)))
}

func (f *framer) tcp(p *packet) {
	at := p.at
	n := min(p.end-at, 20)
	if n < 8 && !p.quoted {
		f.cut(at)
		return
	}
	f.keep(at, n)
	if n < 20 {
		return
	}
	header := int(f.in[at+12]>>4) * 4
	f.options(at+20, min(at+header, p.end))
	if from := at + max(header, 20); from < p.end && !p.quoted && p.whole {
		f.stream(p, at, from)
	}
	f.checksum(p, at+16, true)
}

// options copies TCP options that hold nothing but parameters of the connection;
// of others the kind and the length.
func (f *framer) options(at, end int) {
	for at < end {
		kind := f.in[at]
		f.out[at] = kind
		switch {
		case kind == 0:
			return
		case kind == 1:
			at++
			continue
		case at+1 >= end:
			return
		}
		n := int(f.in[at+1])
		if n < 2 || at+n > end {
			f.keep(at, min(2, end-at))
			return
		}
		switch kind {
		case 2, 3, 4, 5, 8: // MSS, window scale, SACK, timestamps (RFC 9293, RFC 7323, RFC 2018)
			f.keep(at, n)
		case 30: // MPTCP (RFC 8684): the subtype
			f.keep(at, min(n, 3))
			if n > 2 {
				f.out[at+2] &= 0xf0
			}
		default:
			f.keep(at, 2)
		}
		at += n
	}
}

// stream writes what is planned for the payload of a segment whose header is at
// a place.
func (f *framer) stream(p *packet, at, from int) {
	for i := range f.segments {
		s := &f.segments[i]
		if s.Proto != decode.ProtoTCP || s.Reassembled || s.SrcPort != f.u16(at) || s.DstPort != f.u16(at+2) ||
			s.Seq != binary.BigEndian.Uint32(f.in[at+4:]) || !f.same(p, s) {
			continue
		}
		if w := &f.places[i]; w.stream != nil && s.Len > 0 {
			w.stream.fill(w.offset, f.out[from:min(p.end, from+int(s.Len))])
		}
		return
	}
}

// same reports whether a segment's addresses are the packet's.
func (f *framer) same(p *packet, s *decode.Segment) bool {
	half := p.length / 2
	return bytes.HasSuffix(s.Src[:], f.in[p.addrs:p.addrs+half]) && bytes.HasSuffix(s.Dst[:], f.in[p.addrs+half:p.addrs+p.length])
}

func (f *framer) udp(p *packet) {
	at := p.at
	if p.end-at < 8 {
		f.keep(at, p.end-at)
		return
	}
	f.keep(at, 8)
	if (f.u16(at) == dnsPort || f.u16(at+2) == dnsPort) && p.whole {
		end := min(at+max(int(f.u16(at+4)), 8), p.end)
		copy(f.out[at+8:end], dnsMessage(f.redactor, f.in[at+8:end]))
	}
	f.checksum(p, at+6, true)
}

// icmp copies an error with the packet it quotes, and of other messages the
// first eight bytes.
func (f *framer) icmp(p *packet) {
	at := p.at
	n := min(p.end-at, 8)
	f.keep(at, n)
	if n < 8 {
		return
	}
	switch f.in[at] {
	case 3, 4, 11, 12:
		f.ipQuoted(at+8, true)
	case 5:
		f.address(at+4, 4)
		f.ipQuoted(at+8, true)
	}
	f.checksum(p, at+2, false)
}

func (f *framer) icmp6(p *packet) {
	at := p.at
	n := min(p.end-at, 8)
	f.keep(at, n)
	if n < 8 {
		return
	}
	switch kind := f.in[at]; {
	case kind >= 1 && kind <= 4:
		f.ipQuoted(at+8, true)
	case kind == 133:
		f.discovery(at+8, p.end)
	case kind == 134 && at+16 <= p.end:
		f.keep(at+8, 8)
		f.discovery(at+16, p.end)
	case (kind == 135 || kind == 136) && at+24 <= p.end:
		f.address(at+8, 16)
		f.discovery(at+24, p.end)
	case kind == 137:
		f.cut(at)
		return
	}
	f.checksum(p, at+2, true)
}

// discovery copies the options of neighbour discovery (RFC 4861, section 4.6):
// link addresses, the MTU and prefixes; of others the type and the length.
func (f *framer) discovery(at, end int) {
	for at+8 <= end {
		n := int(f.in[at+1]) * 8
		if n == 0 || at+n > end {
			return
		}
		f.keep(at, 2)
		switch kind := f.in[at]; {
		case (kind == 1 || kind == 2) && n == 8:
			f.mac(at + 2)
		case kind == 5:
			f.keep(at, 8)
		case kind == 3 && n == 32:
			f.keep(at, 16)
			// The network alone: a prefix's last bits are zero.
			f.address(at+16, 16)
		}
		at += n
	}
}
