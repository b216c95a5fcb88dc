//go:build linux

package lab

import (
	"encoding/binary"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Reset is a forged reset for the client. The zero value is one RST+ACK with
// TTL 64 and IP-ID 0, 3 ms after the client's packet that provoked it, or just
// ahead of the server's packet that did.
type Reset struct {
	// TTL is what the client sees; zero means 64. IPID goes up by one with
	// each packet of several.
	TTL  byte
	IPID uint16
	// Fragment leaves the don't-fragment bit out.
	Fragment bool
	// Like copies TTL and the IP-ID series of the server's last packet.
	Like bool
	// Bare leaves out ACK.
	Bare bool
	// Count is how many, Step how far apart in sequence; zero means one.
	Count int
	Step  uint32
	// Payload is a text that the reset carries.
	Payload string
	// After is how long the forger takes; zero means 3 ms.
	After time.Duration
	// InLine lets the connection's packets through no more; otherwise the
	// server gets the packet and answers too.
	InLine bool
	// Stale puts the sequence number far outside the client's window.
	Stale bool
	// Each answers every packet that matches, not a connection's first only.
	Each bool
}

// Inject forges resets for what m matches.
func Inject(r Reset, m Match) Maker {
	r.Count = max(r.Count, 1)
	if r.TTL == 0 {
		r.TTL = 64
	}
	if r.After == 0 {
		r.After = 3 * time.Millisecond
	}
	return func(b *Box) Element {
		done := map[*flow]bool{}
		return func(p *Packet) bool {
			if p.flow == nil {
				return true
			}
			if m(p) && (r.Each || !done[p.flow]) {
				done[p.flow] = true
				after := r.After
				if !p.Up {
					// What the server sent before is still on its way.
					after = b.half + p.Delay
				}
				for i := range r.Count {
					b.inject(p.reset(r, i), false, after+time.Duration(i)*200*time.Microsecond)
				}
			}
			return !r.InLine || !done[p.flow]
		}
	}
}

// reset forges the nth reset that answers p.
func (p *Packet) reset(r Reset, n int) []byte {
	h := make([]byte, 20, 20+len(r.Payload))
	binary.BigEndian.PutUint16(h, p.flow.server.Port())
	binary.BigEndian.PutUint16(h[2:], p.flow.client.Port())
	seq, ack := p.ack, p.seq+uint32(len(p.payload))
	switch {
	case !p.Up:
		seq, ack = p.seq, p.ack
	case p.flags&flagSYN != 0:
		seq, ack = 0, p.seq+1
	}
	if r.Stale {
		seq += 1 << 30
	}
	binary.BigEndian.PutUint32(h[4:], seq+uint32(n)*r.Step)
	h[12], h[13] = 5<<4, flagRST
	if !r.Bare {
		binary.BigEndian.PutUint32(h[8:], ack)
		h[13] |= flagACK
	}
	ttl, id := r.TTL, r.IPID+uint16(n)
	if r.Like {
		ttl, id = p.flow.serverTTL, p.flow.id+1+uint16(n)
	}
	return p.toward(p.flow.server.Addr(), p.flow.client.Addr(), protoTCP, ttl, id, r.Fragment, append(h, r.Payload...))
}

// Forge answers questions for a name with a wrong address, faster than the
// resolver, whose own answer comes after it.
func Forge(name string, wrong addresses) Maker {
	return func(b *Box) Element {
		return func(p *Packet) bool {
			if !Query(p) {
				return true
			}
			var q dnsmessage.Message
			if q.Unpack(p.payload) != nil || len(q.Questions) != 1 || q.Questions[0].Name.String() != name+"." {
				return true
			}
			a := dnsmessage.Message{Header: dnsmessage.Header{ID: q.ID, Response: true, RecursionDesired: true, RecursionAvailable: true}, Questions: q.Questions}
			h := dnsmessage.ResourceHeader{Name: q.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 120}
			switch q.Questions[0].Type {
			case dnsmessage.TypeA:
				a.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.AResource{A: wrong.v4.As4()}}}
			case dnsmessage.TypeAAAA:
				a.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.AAAAResource{AAAA: wrong.v6.As16()}}}
			default:
				return true
			}
			text, err := a.Pack()
			if err != nil {
				return true
			}
			h8 := make([]byte, 8, 8+len(text))
			binary.BigEndian.PutUint16(h8, p.dst.Port())
			binary.BigEndian.PutUint16(h8[2:], p.src.Port())
			binary.BigEndian.PutUint16(h8[4:], uint16(8+len(text)))
			b.inject(p.toward(p.dst.Addr(), p.src.Addr(), protoUDP, 113, 16962, true, append(h8, text...)), false, 2*time.Millisecond)
			return true
		}
	}
}

// ICMP answers what m matches with an ICMP error of this type and code, from
// a router on the way or from the destination itself, and drops it. value is
// the second word of the header: the MTU where the error is about one.
func ICMP(kind, code byte, value uint32, fromDestination bool, m Match) Maker {
	return func(b *Box) Element {
		return func(p *Packet) bool {
			if p.proto == protoICMP || p.proto == protoICMP6 || !m(p) {
				return true
			}
			quoted := p.ip[:min(len(p.ip), 548)]
			h := make([]byte, 8, 8+len(quoted))
			h[0], h[1] = kind, code
			binary.BigEndian.PutUint32(h[4:], value)
			proto := byte(protoICMP)
			if p.v6 {
				proto = protoICMP6
			}
			from := hopAddr.of(p.v6)
			if fromDestination {
				from = p.dst.Addr()
			}
			b.inject(p.toward(from, p.src.Addr(), proto, 61, 0, true, append(h, quoted...)), !p.Up, b.half)
			return false
		}
	}
}

// TooBig is a hop with a small MTU that says so, as it must: ICMP 3 code 4
// (RFC 1191) or ICMPv6 type 2 (RFC 8201).
func TooBig(mtu int) Maker {
	four := ICMP(3, 4, uint32(mtu), false, func(p *Packet) bool { return !p.v6 && len(p.ip) > mtu })
	six := ICMP(2, 0, uint32(mtu), false, func(p *Packet) bool { return p.v6 && len(p.ip) > mtu })
	return func(b *Box) Element {
		a, c := four(b), six(b)
		return func(p *Packet) bool { return a(p) && c(p) }
	}
}
