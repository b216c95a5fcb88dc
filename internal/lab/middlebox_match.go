//go:build linux

package lab

import "net/netip"

// Match chooses packets.
type Match func(*Packet) bool

// All matches what all of them match.
func All(list ...Match) Match {
	return func(p *Packet) bool {
		for _, m := range list {
			if !m(p) {
				return false
			}
		}
		return true
	}
}

// Not matches what m does not.
func Not(m Match) Match { return func(p *Packet) bool { return !m(p) } }

// Up and Down match a direction, V6 a family.
func Up(p *Packet) bool   { return p.Up }
func Down(p *Packet) bool { return !p.Up }
func V6(p *Packet) bool   { return p.v6 }

// TCP matches every TCP segment.
func TCP(p *Packet) bool { return p.flow != nil }

// Syn matches a client's SYN.
func Syn(p *Packet) bool { return p.Up && p.flow != nil && p.flags&(flagSYN|flagACK) == flagSYN }

// SynAck matches a server's SYN/ACK.
func SynAck(p *Packet) bool {
	return !p.Up && p.flow != nil && p.flags&(flagSYN|flagACK) == flagSYN|flagACK
}

// Data matches TCP segments with payload.
func Data(p *Packet) bool { return p.flow != nil && len(p.payload) > 0 }

// Hello matches every segment of a ClientHello, sent again too.
func Hello(p *Packet) bool {
	return p.Up && Data(p) && p.flow.hello > 0 && p.offset() < p.flow.hello
}

// HelloStart matches the segment that a ClientHello begins with, HelloRest
// the others.
func HelloStart(p *Packet) bool { return Hello(p) && p.offset() == 0 }
func HelloRest(p *Packet) bool  { return Hello(p) && p.offset() > 0 }

// Greeted matches segments of a connection whose ClientHello was seen.
func Greeted(p *Packet) bool { return p.flow != nil && p.flow.hello > 0 }

// Named matches segments of a connection whose ClientHello has this name.
func Named(name string) Match {
	return func(p *Packet) bool { return p.flow != nil && p.flow.name == name }
}

// Server matches TCP segments from or to a site.
func Server(name string) Match {
	a := siteAddrs[name]
	return func(p *Packet) bool {
		return p.flow != nil && (p.flow.server.Addr() == a.v4 || p.flow.server.Addr() == a.v6)
	}
}

// From matches data segments that begin at an offset of their direction's data.
func From(offset uint32) Match {
	return func(p *Packet) bool { return Data(p) && p.offset() == offset }
}

// Over matches data segments that hold the byte at an offset of their
// direction's data.
func Over(offset uint32) Match {
	return func(p *Packet) bool {
		return Data(p) && p.offset() <= offset && offset < p.offset()+uint32(len(p.payload))
	}
}

// To matches packets to an address.
func To(address string) Match {
	a := netip.MustParseAddr(address)
	return func(p *Packet) bool { return p.dst.Addr() == a }
}

// Query matches DNS questions, Response what the resolver says.
func Query(p *Packet) bool    { return p.Up && p.proto == protoUDP && p.dst.Port() == 53 }
func Response(p *Packet) bool { return !p.Up && p.proto == protoUDP && p.src.Port() == 53 }

// Larger matches IP packets of more than n bytes.
func Larger(n int) Match { return func(p *Packet) bool { return len(p.ip) > n } }

// Past matches segments of a connection on which the server has sent more
// than n bytes.
func Past(n uint32) Match { return func(p *Packet) bool { return p.flow != nil && p.flow.down > n } }

// First matches the first n packets that m matches. It counts for each
// connection by itself, and for all lookups together.
func First(n int, m Match) Match {
	seen := map[netip.AddrPort]int{}
	return func(p *Packet) bool {
		if !m(p) {
			return false
		}
		var k netip.AddrPort
		if p.flow != nil {
			k = p.flow.client
		}
		seen[k]++
		return seen[k] <= n
	}
}
