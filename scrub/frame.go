package scrub

import (
	"encoding/binary"
	"net/netip"

	"goproxytrace/analyze/decode"
	"goproxytrace/capture"
	"goproxytrace/redact"
)

// framer rewrites frames one after the other.
type framer struct {
	redactor *redact.Redactor
	writing  *writing
	// segments are those of the frame as the analysis sees them, places where
	// they stand in their streams.
	segments []decode.Segment
	places   []where
	// in is what was captured, out what is written, zero where nothing was
	// copied; the same place in both is the same byte.
	in, out []byte
	// end is how much of out is written.
	end int
}

// frame returns what is written of a frame; it is valid until the next one.
// segments are those that the decoder finds in it.
func (f *framer) frame(p *capture.Packet, segments []decode.Segment) []byte {
	f.in, f.segments = p.Data, segments
	if cap(f.out) < len(f.in) {
		f.out = make([]byte, len(f.in), 2*len(f.in))
	}
	f.out = f.out[:len(f.in)]
	clear(f.out)
	f.places = f.places[:0]
	for i := range segments {
		f.places = append(f.places, f.writing.segment(&segments[i]))
	}
	f.end = len(f.in)
	f.link(p.LinkType, 0)
	return f.out[:f.end]
}

// cut leaves out the frame from a place on: what stands there is not understood.
func (f *framer) cut(at int) { f.end = min(f.end, at) }

// has reports whether n bytes are there from a place on; it cuts where not.
func (f *framer) has(at, n int) bool {
	if at+n > len(f.in) {
		f.cut(at)
		return false
	}
	return true
}

func (f *framer) keep(at, n int) { copy(f.out[at:at+n], f.in[at:at+n]) }

func (f *framer) u16(at int) uint16 { return binary.BigEndian.Uint16(f.in[at:]) }

func (f *framer) mac(at int) {
	m := f.redactor.MAC([6]byte(f.in[at:]))
	copy(f.out[at:], m[:])
}

// Link types (tcpdump.org) and Ethernet types (IEEE) that are understood.
const (
	linkNull     = 0
	linkEthernet = 1
	linkRaw12    = 12
	linkRaw14    = 14
	linkRaw      = 101
	linkLoop     = 108
	linkSLL      = 113
	linkIPv4     = 228
	linkIPv6     = 229
	linkSLL2     = 276

	etherIPv4 = 0x0800
	etherARP  = 0x0806
	etherVLAN = 0x8100
	etherIPv6 = 0x86dd
	etherQinQ = 0x88a8
)

func (f *framer) link(lt capture.LinkType, at int) {
	switch lt {
	case linkEthernet:
		if !f.has(at, 14) {
			f.cut(0)
			return
		}
		f.keep(at+12, 2)
		f.ether(f.u16(at+12), at+14)
		// Group addresses follow those in the packet.
		f.mac(at)
		f.mac(at + 6)
	case linkSLL:
		if f.has(at, 16) {
			f.keep(at, 6)
			f.linkAddress(at+6, int(f.u16(at+4)), f.u16(at+2))
			f.keep(at+14, 2)
			f.ether(f.u16(at+14), at+16)
		}
	case linkSLL2:
		if f.has(at, 20) {
			f.keep(at, 12)
			f.linkAddress(at+12, int(f.in[at+11]), f.u16(at+8))
			f.ether(f.u16(at), at+20)
		}
	case linkNull, linkLoop:
		if f.has(at, 4) {
			f.keep(at, 4)
			f.ip(at + 4)
		}
	case linkRaw, linkRaw12, linkRaw14, linkIPv4, linkIPv6:
		f.ip(at)
	case linkPKTAP, linkPKTAPUser:
		f.pktap(at)
	case linkNFLOG:
		f.nflog(at)
	default:
		f.cut(at)
	}
}

// linkAddress copies the address in a cooked header: of eight bytes, of which
// n count, and only those of kinds with MAC addresses.
func (f *framer) linkAddress(at, n int, hardware uint16) {
	const ethernet, loopback, tunnel = 1, 772, 65534
	if n == 6 && (hardware == ethernet || hardware == loopback || hardware == tunnel) {
		f.mac(at)
	}
}

func (f *framer) ether(typ uint16, at int) {
	switch typ {
	case etherIPv4, etherIPv6:
		f.ip(at)
	case etherARP:
		f.arp(at)
	case etherVLAN, etherQinQ:
		if f.has(at, 4) {
			f.keep(at, 4)
			f.ether(f.u16(at+2), at+4)
		}
	default:
		f.cut(at)
	}
}

// arp copies a question or answer of IPv4 over Ethernet (RFC 826).
func (f *framer) arp(at int) {
	if !f.has(at, 28) || f.in[at+4] != 6 || f.in[at+5] != 4 || f.u16(at+2) != etherIPv4 {
		f.cut(at)
		return
	}
	f.keep(at, 8)
	f.mac(at + 8)
	f.address(at+14, 4)
	f.mac(at + 18)
	f.address(at+24, 4)
}

// address copies an address of n bytes.
func (f *framer) address(at, n int) {
	a, _ := netip.AddrFromSlice(f.in[at : at+n])
	copy(f.out[at:], f.redactor.Addr(a).AsSlice())
}
