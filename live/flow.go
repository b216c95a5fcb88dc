package live

import (
	"encoding/binary"
	"net/netip"

	"goproxytrace/capture"
)

// flow is one direction of a connection, with what is known of it: most packets
// belong to a connection of which one came a moment ago.
type flow struct {
	key flowKey
	// local and remote are its ends; ends is false where they cannot be told
	// apart.
	local, remote netip.AddrPort
	ends          bool
	// pid is its owner from a time until another, zero for unknown, as long
	// as the owners say that nothing has changed since.
	pid         uint32
	from, until int64
	changes     uint64
	// mine is true where the owner is one that the session is about.
	mine bool
	// open is the activity's count of ends, from 1, when the connection was
	// known to be open; zero for never.
	open uint64
}

// flowKey tells flows apart: addresses, ports, and the way the packet went. The
// zero key is no flow's.
type flowKey struct {
	addresses [4]uint64
	ports     uint32
	way       uint8
}

// Bits of flowKey.way beside the direction.
const (
	wayLoopback = 1 << (2 + iota)
	wayIPv6
	wayFlow
)

// flows remembers the latest flows, each in one place.
type flows [1 << flowBits]flow

const flowBits = 10

func (f *flows) at(k *flowKey) *flow {
	h := k.addresses[0]
	for _, a := range k.addresses[1:] {
		h = (h ^ h>>29 ^ a) * 0x9e3779b97f4a7c15
	}
	h = (h ^ uint64(k.ports)<<8 ^ uint64(k.way)) * 0x9e3779b97f4a7c15
	return &f[h>>(64-flowBits)]
}

// shape says what a quick look at a packet shows.
type shape uint8

const (
	// unusual packets are looked at more closely (tupleOf).
	unusual shape = iota
	notTCP
	tcpSegment
)

// quick looks at a packet whose headers have the usual form: Ethernet without a
// tag or bare IP, no IPv4 options, no fragment, no IPv6 extension. data is the
// payload's length in bytes.
func quick(p *capture.Packet, k *flowKey) (kind shape, flags byte, data int) {
	const tcpHeader = 20
	b := p.Data
	switch p.LinkType {
	case linkEthernet:
		if len(b) < 14 {
			return unusual, 0, 0
		}
		b = b[14:]
		if typ := binary.BigEndian.Uint16(p.Data[12:]); typ != etherIPv4 && typ != etherIPv6 {
			return unusual, 0, 0
		}
	case linkRaw:
	default:
		return unusual, 0, 0
	}
	k.way = uint8(p.Direction) | wayFlow
	switch {
	case len(b) < 20:
		return unusual, 0, 0
	case b[0] == 0x45 && b[6]&0x3f == 0 && b[7] == 0:
		if b[9] != protocolTCP {
			return notTCP, 0, 0
		}
		k.addresses = [4]uint64{binary.NativeEndian.Uint64(b[12:])}
		b = b[20:min(len(b), max(int(binary.BigEndian.Uint16(b[2:])), 20))]
	case b[0]>>4 == 6 && len(b) >= 40:
		if b[6] == protocolUDP {
			return notTCP, 0, 0
		}
		total := int(binary.BigEndian.Uint16(b[4:]))
		if b[6] != protocolTCP || total == 0 {
			return unusual, 0, 0
		}
		for i := range k.addresses {
			k.addresses[i] = binary.NativeEndian.Uint64(b[8+8*i:])
		}
		k.way |= wayIPv6
		b = b[40:min(len(b), 40+total)]
	default:
		return unusual, 0, 0
	}
	if len(b) < tcpHeader {
		return unusual, 0, 0
	}
	if p.Loopback {
		k.way |= wayLoopback
	}
	k.ports = binary.NativeEndian.Uint32(b)
	return tcpSegment, b[13], len(b) - int(b[12]>>4)*4
}

// mayOpen says for the most usual packets, of IPv4 in Ethernet, whether they can
// be attempts to connect; for others it is true.
func mayOpen(p *capture.Packet) bool {
	b := p.Data
	if p.LinkType != linkEthernet || len(b) < 14+20+20 || binary.BigEndian.Uint16(b[12:]) != etherIPv4 || b[14] != 0x45 || b[20]&0x3f|b[21] != 0 {
		return true
	}
	return b[23] == protocolTCP && b[14+20+13]&flagSYN != 0
}

const protocolUDP = 17

// attribute adds the owner of a frame's connection to it, and notes what the
// frame says about the wire's activity.
func (s *Session) attribute(p *capture.Packet, now *stir) {
	var k flowKey
	kind, flags, data := quick(p, &k)
	if kind == notTCP {
		return
	}
	if kind == unusual || flags&(flagSYN|flagFIN|flagRST) != 0 {
		s.attributeClosely(p, now)
		return
	}
	f := s.flows.at(&k)
	if f.key != k {
		t, ok := tupleOf(p)
		if !ok {
			return
		}
		*f = flow{key: k}
		f.local, f.remote, f.ends = t.ends(p, s.o.Service)
	}
	if p.ProcessID == 0 && s.o.Owners != nil && f.ends {
		changes := s.o.Owners.Changes() // before asking
		if f.changes != changes || p.Time < f.from || p.Time > f.until {
			pid, until, ok := s.o.Owners.Holder(f.local, f.remote, p.Time)
			if !ok {
				pid = 0
			}
			f.mine = f.mine && f.pid == pid
			f.pid, f.from, f.until, f.changes = pid, p.Time, until, changes
		}
		p.ProcessID = f.pid
	}
	if s.o.Mine != nil && p.ProcessID != 0 && (!f.mine || p.ProcessID != f.pid) {
		f.mine = s.o.Mine(p.ProcessID)
		if !f.mine {
			return
		}
	}
	now.heard = true
	now.moved = now.moved || data > 1
	if data > 0 && f.open != s.activity.ends+1 {
		if t, ok := tupleOf(p); ok && s.activity.segment(&t) {
			f.open = s.activity.ends + 1
		}
	}
}

// attributeClosely does the same for a packet that opens or ends a connection,
// or whose headers are unusual.
func (s *Session) attributeClosely(p *capture.Packet, now *stir) {
	t, ok := tupleOf(p)
	if !ok {
		return
	}
	if p.ProcessID == 0 && s.o.Owners != nil {
		if local, remote, ok := t.ends(p, s.o.Service); ok {
			if pid, _, ok := s.o.Owners.Holder(local, remote, p.Time); ok {
				p.ProcessID = pid
			}
		}
	}
	if p.ProcessID == 0 || s.o.Mine == nil || s.o.Mine(p.ProcessID) {
		now.heard = true
		now.moved = now.moved || t.moves
		s.activity.segment(&t)
	}
}
