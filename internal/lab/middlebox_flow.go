//go:build linux

package lab

import (
	"encoding/binary"
	"net/netip"
)

// flow is what the middlebox knows of one TCP connection.
type flow struct {
	client, server netip.AddrPort
	first          uint32 // the client's first sequence number
	firstDown      uint32 // the server's
	name           string // of the ClientHello
	hello          uint32 // bytes of the ClientHello's record, zero while unknown
	down           uint32 // how far the server's data reached
	id             uint16 // the IP-ID of the server's latest packet
	serverTTL      byte
	cut            bool
}

type flowKey struct{ client, server netip.AddrPort }

// track finds or makes p's flow and learns from p.
func (b *Box) track(p *Packet) {
	k := flowKey{p.src, p.dst}
	if !p.Up {
		k = flowKey{p.dst, p.src}
	}
	f := b.flows[k]
	if f == nil || p.Up && p.flags&(flagSYN|flagACK) == flagSYN && p.seq != f.first {
		f = &flow{client: k.client, server: k.server, first: p.seq}
		b.flows[k] = f
	}
	p.flow = f
	switch {
	case !p.Up:
		if p.flags&flagSYN != 0 {
			f.firstDown = p.seq
		}
		if end := p.seq - f.firstDown - 1 + uint32(len(p.payload)); len(p.payload) > 0 && end < 1<<31 {
			f.down = max(f.down, end)
		}
		if !p.v6 {
			f.id = binary.BigEndian.Uint16(p.ip[4:])
		}
		f.serverTTL = p.ttl()
	case f.hello == 0 && p.seq == f.first+1 && len(p.payload) > 0:
		f.hello, f.name = clientHello(p.payload)
	}
}

// offset is where in its direction's data the packet's payload begins.
func (p *Packet) offset() uint32 {
	if p.Up {
		return p.seq - p.flow.first - 1
	}
	return p.seq - p.flow.firstDown - 1
}

// clientHello reads the length of the record and the server name (RFC 6066,
// section 3) from the first segment of a connection; zero for what is no
// ClientHello.
func clientHello(b []byte) (record uint32, name string) {
	if len(b) < 44 || b[0] != 22 || b[5] != 1 {
		return 0, ""
	}
	record = uint32(binary.BigEndian.Uint16(b[3:])) + 5
	// Record and handshake headers, version and random.
	b = b[5+4+2+32:]
	skip := func(width int) bool {
		if len(b) < width {
			return false
		}
		n := int(b[0])
		if width == 2 {
			n = n<<8 | int(b[1])
		}
		if len(b) < width+n {
			return false
		}
		b = b[width+n:]
		return true
	}
	// Session identifier, cipher suites, compression methods.
	if !skip(1) || !skip(2) || !skip(1) || len(b) < 2 {
		return record, ""
	}
	for b = b[2:]; len(b) >= 4; {
		kind, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if len(b) < 4+n {
			break
		}
		if v := b[4 : 4+n]; kind == 0 && n > 5 && int(binary.BigEndian.Uint16(v[3:]))+5 <= n {
			return record, string(v[5 : 5+binary.BigEndian.Uint16(v[3:])])
		}
		b = b[4+n:]
	}
	return record, ""
}
