//go:build linux

package lab

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// Protocol numbers and TCP flags.
const (
	protoICMP, protoTCP, protoUDP, protoICMP6 = 1, 6, 17, 58

	flagFIN, flagSYN, flagRST, flagPSH, flagACK = 1, 2, 4, 8, 16
)

const ethernetLen = 14

// Packet is an IP packet in its Ethernet frame, on its way through the
// middlebox. Elements may read it and may set Delay.
type Packet struct {
	// Up is true on the way from the client to the server.
	Up bool
	// Delay is time that elements add to the packet's way.
	Delay time.Duration

	frame    []byte // Ethernet header and packet
	ip       []byte // the packet, to its declared end
	v6       bool
	proto    byte
	src, dst netip.AddrPort // port zero where the protocol has none
	body     []byte         // the TCP or UDP header and all after it
	payload  []byte

	flags    byte
	seq, ack uint32
	flow     *flow // nil for other than TCP
}

// parse reads a frame; it returns nil for what is no whole IP packet.
func parse(frame []byte, up bool) *Packet {
	if len(frame) < ethernetLen+20 {
		return nil
	}
	p := &Packet{Up: up, frame: frame, ip: frame[ethernetLen:]}
	var src, dst netip.Addr
	switch binary.BigEndian.Uint16(frame[12:]) {
	case 0x0800:
		header, total := int(p.ip[0]&15)*4, int(binary.BigEndian.Uint16(p.ip[2:]))
		if header < 20 || total < header || total > len(p.ip) {
			return nil
		}
		p.ip, p.proto = p.ip[:total], p.ip[9]
		src, dst = netip.AddrFrom4([4]byte(p.ip[12:16])), netip.AddrFrom4([4]byte(p.ip[16:20]))
		p.body = p.ip[header:]
	case 0x86dd:
		if len(p.ip) < 40 {
			return nil
		}
		total := 40 + int(binary.BigEndian.Uint16(p.ip[4:]))
		if total > len(p.ip) {
			return nil
		}
		p.v6, p.ip, p.proto = true, p.ip[:total], p.ip[6]
		src, dst = netip.AddrFrom16([16]byte(p.ip[8:24])), netip.AddrFrom16([16]byte(p.ip[24:40]))
		p.body = p.ip[40:]
	default:
		return nil
	}
	var from, to uint16
	switch {
	case p.proto == protoTCP && len(p.body) >= 20:
		header := int(p.body[12]>>4) * 4
		if header < 20 || header > len(p.body) {
			return nil
		}
		p.seq, p.ack = binary.BigEndian.Uint32(p.body[4:]), binary.BigEndian.Uint32(p.body[8:])
		p.flags, p.payload = p.body[13], p.body[header:]
	case p.proto == protoUDP && len(p.body) >= 8:
		p.payload = p.body[8:]
	default:
		p.src, p.dst = netip.AddrPortFrom(src, 0), netip.AddrPortFrom(dst, 0)
		return p
	}
	from, to = binary.BigEndian.Uint16(p.body), binary.BigEndian.Uint16(p.body[2:])
	p.src, p.dst = netip.AddrPortFrom(src, from), netip.AddrPortFrom(dst, to)
	return p
}

func (p *Packet) ttl() byte {
	if p.v6 {
		return p.ip[7]
	}
	return p.ip[8]
}

// setTTL keeps the header's checksum right.
func (p *Packet) setTTL(ttl byte) {
	if p.v6 {
		p.ip[7] = ttl
		return
	}
	p.ip[8] = ttl
	header := p.ip[:int(p.ip[0]&15)*4]
	binary.BigEndian.PutUint16(header[10:], 0)
	binary.BigEndian.PutUint16(header[10:], ^fold(sum(0, header)))
}

// toward is a packet of proto from src to dst, in p's family, on p's link: dst
// is where p comes from or where it goes to.
func (p *Packet) toward(src, dst netip.Addr, proto, ttl byte, id uint16, fragment bool, body []byte) []byte {
	f := make([]byte, ethernetLen, ethernetLen+40+len(body))
	to, from := p.frame[:6], p.frame[6:12]
	if dst == p.src.Addr() {
		to, from = from, to
	}
	copy(f, to)
	copy(f[6:], from)
	copy(f[12:], p.frame[12:14])
	if p.v6 {
		f = append(f, 0x60, 0, 0, 0)
		f = binary.BigEndian.AppendUint16(f, uint16(len(body)))
		f = append(f, proto, ttl)
	} else {
		f = append(f, 0x45, 0)
		f = binary.BigEndian.AppendUint16(f, uint16(20+len(body)))
		f = binary.BigEndian.AppendUint16(f, id)
		if fragment {
			f = append(f, 0, 0, ttl, proto, 0, 0)
		} else {
			f = append(f, 0x40, 0, ttl, proto, 0, 0)
		}
	}
	f = append(f, src.AsSlice()...)
	f = append(f, dst.AsSlice()...)
	if !p.v6 {
		binary.BigEndian.PutUint16(f[ethernetLen+10:], ^fold(sum(0, f[ethernetLen:])))
	}
	at := len(f)
	f = append(f, body...)
	pseudo := uint32(0)
	if proto != protoICMP {
		pseudo = sum(pseudo, src.AsSlice())
		pseudo = sum(pseudo, dst.AsSlice())
		pseudo += uint32(proto) + uint32(len(body))
	}
	place := map[byte]int{protoTCP: 16, protoUDP: 6, protoICMP: 2, protoICMP6: 2}[proto]
	binary.BigEndian.PutUint16(f[at+place:], ^fold(sum(pseudo, f[at:])))
	return f
}

// sum is the Internet checksum before folding (RFC 1071).
func sum(s uint32, b []byte) uint32 {
	for ; len(b) > 1; b = b[2:] {
		s += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) > 0 {
		s += uint32(b[0]) << 8
	}
	return s
}

func fold(s uint32) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
