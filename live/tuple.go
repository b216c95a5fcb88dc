package live

import (
	"encoding/binary"
	"net/netip"

	"goproxytrace/capture"
)

// tuple is what the session itself must know of a TCP segment: whose it is,
// and whether it opens or ends a connection. Everything else is the analysis'.
type tuple struct {
	src, dst netip.AddrPort
	flags    byte
	// payload is true where the segment carries data; moves where it carries
	// more than the one byte that a keep-alive may have (RFC 9293, section
	// 3.8.4).
	payload, moves bool
}

// TCP flags (RFC 9293, section 3.1).
const (
	flagFIN = 1 << iota
	flagSYN
	flagRST
	flagPSH
	flagACK
)

// Protocol numbers.
const (
	etherIPv4   = 0x0800
	etherIPv6   = 0x86dd
	protocolTCP = 6
)

// tupleOf finds the TCP segment in a frame. It knows the link types that the
// engines deliver; in any other frame, in later fragments and behind unusual
// IPv6 headers it finds none, and the segment's owner is then known from the
// host's records alone.
func tupleOf(p *capture.Packet) (t tuple, ok bool) {
	b := p.Data
	switch p.LinkType {
	case linkEthernet:
		if len(b) < 14 {
			return t, false
		}
		typ := binary.BigEndian.Uint16(b[12:])
		b = b[14:]
		for (typ == 0x8100 || typ == 0x88a8) && len(b) >= 4 { // IEEE 802.1Q and 802.1ad tags
			typ = binary.BigEndian.Uint16(b[2:])
			b = b[4:]
		}
		if typ != etherIPv4 && typ != etherIPv6 {
			return t, false
		}
	case linkNull, linkLoop:
		if len(b) < 4 {
			return t, false
		}
		b = b[4:]
	case linkSLL:
		if len(b) < 16 {
			return t, false
		}
		b = b[16:]
	case linkSLL2:
		if len(b) < 20 {
			return t, false
		}
		b = b[20:]
	case linkRaw, linkIPv4, linkIPv6:
	default:
		return t, false
	}
	return tupleOfIP(b)
}

// Link types (tcpdump.org/linktypes.html).
const (
	linkNull     capture.LinkType = 0
	linkEthernet capture.LinkType = 1
	linkRaw      capture.LinkType = 101
	linkLoop     capture.LinkType = 108
	linkSLL      capture.LinkType = 113
	linkIPv4     capture.LinkType = 228
	linkIPv6     capture.LinkType = 229
	linkSLL2     capture.LinkType = 276
)

func tupleOfIP(b []byte) (t tuple, ok bool) {
	if len(b) < 20 {
		return t, false
	}
	var src, dst netip.Addr
	switch b[0] >> 4 {
	case 4:
		header, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
		if b[9] != protocolTCP || header < 20 || header > len(b) || binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
			return t, false
		}
		src, dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
		if total >= header && total < len(b) {
			b = b[:total] // Ethernet pads short frames
		}
		b = b[header:]
	case 6:
		if len(b) < 40 {
			return t, false
		}
		next, total := b[6], int(binary.BigEndian.Uint16(b[4:]))
		src, dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
		b = b[40:]
		if total > 0 && total < len(b) {
			b = b[:total]
		}
		// Hop-by-hop, routing and destination options (RFC 8200, section 4).
		for next == 0 || next == 43 || next == 60 {
			if len(b) < 8 {
				return t, false
			}
			n := 8 + int(b[1])*8
			if n > len(b) {
				return t, false
			}
			next, b = b[0], b[n:]
		}
		if next != protocolTCP {
			return t, false
		}
	default:
		return t, false
	}
	if len(b) < 20 {
		return t, false
	}
	t.src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(b))
	t.dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(b[2:]))
	t.flags = b[13]
	data := len(b) - int(b[12]>>4)*4
	t.payload, t.moves = data > 0, data > 1
	return t, true
}

// ends returns the end on this host and the other one. Both are on this host
// where the packet crossed a loopback interface: the end that owns none of the
// ports that are watched is the client's then.
func (t *tuple) ends(p *capture.Packet, service func(port uint16) bool) (local, remote netip.AddrPort, ok bool) {
	if p.Loopback {
		from, to := service(t.src.Port()), service(t.dst.Port())
		switch {
		case t.flags&(flagSYN|flagACK) == flagSYN, to && !from:
			return t.src, t.dst, true
		case t.flags&(flagSYN|flagACK) == flagSYN|flagACK, from && !to:
			return t.dst, t.src, true
		}
		return local, remote, false
	}
	switch p.Direction {
	case capture.Outbound:
		return t.src, t.dst, true
	case capture.Inbound:
		return t.dst, t.src, true
	}
	return local, remote, false
}
