package redact

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
)

// A block is a range of addresses that are always replaced, each network by
// another of the same block: 10.0.0.0/8 stays 10.0.0.0/8.
type block struct {
	prefix netip.Prefix
	// nets is how many networks it has, /24 or /64.
	nets uint64
}

func newBlock(prefix string) *block {
	p := netip.MustParsePrefix(prefix)
	bits := 24
	if p.Addr().Is6() {
		bits = 64
	}
	return &block{p, 1 << max(bits-p.Bits(), 0)}
}

// Blocks of local addresses, and those that stand for the global addresses of
// clients: class E (RFC 1112, section 4), which nobody has, and the
// documentation range of RFC 9637. They are replaced too where a capture has
// them, so that no two addresses become one.
var (
	ownV4  = newBlock("240.0.0.0/4")
	ownV6  = newBlock("3fff::/20")
	unique = newBlock("fc00::/7") // RFC 4193
	blocks = []*block{
		newBlock("10.0.0.0/8"), newBlock("172.16.0.0/12"), newBlock("192.168.0.0/16"), // RFC 1918
		newBlock("100.64.0.0/10"),  // RFC 6598
		newBlock("169.254.0.0/16"), // RFC 3927
		newBlock("fe80::/64"), unique, ownV4, ownV6,
	}
	linkLocal = blocks[5]
)

var (
	siteLocal    = netip.MustParsePrefix("fec0::/10")
	allLinkLocal = netip.MustParsePrefix("fe80::/10")
	teredo       = netip.MustParsePrefix("2001::/32") // holds the client's IPv4 address
	sixToFour    = netip.MustParsePrefix("2002::/16") // likewise
	nat64        = netip.MustParsePrefix("64:ff9b::/96")
	localNAT64   = netip.MustParsePrefix("64:ff9b:1::/48") // RFC 8215
	benchmarking = netip.MustParsePrefix("198.18.0.0/15")
	solicited    = netip.MustParsePrefix("ff02::1:ff00:0/104")
)

// addresses holds what was given for which network and host.
type addresses struct {
	own map[netip.Prefix]struct{}
	// nets maps networks to those that stand for them; next counts those
	// given, by block.
	nets map[netip.Prefix]netip.Prefix
	used map[netip.Prefix]netip.Prefix
	next map[*block]uint64
	// hosts maps addresses to pseudonyms, count says how many a network has.
	hosts map[netip.Addr]netip.Addr
	count map[netip.Prefix]uint64
	given map[netip.Addr]struct{}
	// low maps the last 24 bits of IPv6 addresses to those of the pseudonym,
	// for solicited-node multicast (RFC 4291, section 2.7.1).
	low  map[[3]byte][3]byte
	perm map[string][]uint32
}

func (s *addresses) init() {
	s.own = make(map[netip.Prefix]struct{})
	s.nets = make(map[netip.Prefix]netip.Prefix)
	s.used = make(map[netip.Prefix]netip.Prefix)
	s.next = make(map[*block]uint64)
	s.hosts = make(map[netip.Addr]netip.Addr)
	s.count = make(map[netip.Prefix]uint64)
	s.given = make(map[netip.Addr]struct{})
	s.low = make(map[[3]byte][3]byte)
	s.perm = make(map[string][]uint32)
}

func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

func network(a netip.Addr) netip.Prefix {
	bits := 64
	if a.Is4() {
		bits = 24
	}
	p, _ := a.Prefix(bits)
	return p
}

// stays reports whether an address says something by itself and is nobody's.
func stays(a netip.Addr) bool {
	return a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() || benchmarking.Contains(a) ||
		a == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

func blockOf(a netip.Addr) *block {
	for _, b := range blocks {
		if b.prefix.Contains(a) {
			return b
		}
	}
	switch {
	case allLinkLocal.Contains(a):
		return linkLocal
	case siteLocal.Contains(a):
		return unique
	case teredo.Contains(a), sixToFour.Contains(a), localNAT64.Contains(a), isatap(a):
		return ownV6
	}
	return nil
}

// isatap reports whether an interface identifier holds the IPv4 address of its
// host (RFC 5214, section 6.1).
func isatap(a netip.Addr) bool {
	b := a.As16()
	return a.Is6() && b[8]&^2 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe
}

// Addr returns the pseudonym of an address. A zone is left out.
func (r *Redactor) Addr(a netip.Addr) netip.Addr {
	if !a.IsValid() || r.reveal[Addresses] {
		return a
	}
	mapped := a.Is4In6()
	out := r.addr(plain(a))
	if mapped {
		return netip.AddrFrom16(out.As16())
	}
	return out
}

func (r *Redactor) addr(a netip.Addr) netip.Addr {
	s := &r.addrs
	if solicited.Contains(a) {
		b := a.As16()
		low := s.low[[3]byte(b[13:])]
		copy(b[13:], low[:])
		return netip.AddrFrom16(b)
	}
	if stays(a) {
		return a
	}
	if out, ok := s.hosts[a]; ok {
		return out
	}
	if nat64.Contains(a) {
		b := a.As16()
		v4 := r.addr(netip.AddrFrom4([4]byte(b[12:]))).As4()
		copy(b[12:], v4[:])
		return netip.AddrFrom16(b)
	}
	k := blockOf(a)
	if k == nil {
		if _, own := s.own[network(a)]; !own {
			return a
		}
		if k = ownV6; a.Is4() {
			k = ownV4
		}
	}
	net := r.network(network(a), k)
	out := r.host(a, net)
	s.hosts[a] = out
	if a.Is6() {
		was, is := a.As16(), out.As16()
		s.low[[3]byte(was[13:])] = [3]byte(is[13:])
	}
	return out
}

// network returns the network that stands for p.
func (r *Redactor) network(p netip.Prefix, k *block) netip.Prefix {
	s := &r.addrs
	if n, ok := s.nets[p]; ok {
		return n
	}
	var n netip.Prefix
	for try := uint64(0); ; try++ {
		n = k.at(r.netIndex(p, k, try))
		// Where all are given, two networks become one.
		if _, taken := s.used[n]; !taken || try > 64 {
			break
		}
	}
	s.used[n], s.nets[p] = p, n
	return n
}

// netIndex chooses a network of a block.
func (r *Redactor) netIndex(p netip.Prefix, k *block, try uint64) uint64 {
	s := &r.addrs
	if r.key == nil {
		s.next[k]++
		return (s.next[k] - 1) % k.nets
	}
	if k.nets <= 1<<16 && k.prefix.Overlaps(p) && p.Addr().Is4() {
		// A permutation: no two networks of the block become one.
		i := uint64(binary.BigEndian.Uint32(p.Addr().AsSlice())>>8) & (k.nets - 1)
		return uint64(r.permutation("net"+k.prefix.String(), int(k.nets))[i])
	}
	h := r.mac("net", p.String()+"/"+strconv.FormatUint(try, 10))
	return binary.BigEndian.Uint64(h[:]) % k.nets
}

// at returns a block's network of a number.
func (k *block) at(i uint64) netip.Prefix {
	if k.prefix.Addr().Is4() {
		b := k.prefix.Addr().As4()
		binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])+uint32(i<<8))
		return netip.PrefixFrom(netip.AddrFrom4(b), 24)
	}
	b := k.prefix.Addr().As16()
	if k == unique {
		b[0] = 0xfd
		i &= 1<<56 - 1
	}
	binary.BigEndian.PutUint64(b[:], binary.BigEndian.Uint64(b[:])|i)
	return netip.PrefixFrom(netip.AddrFrom16(b), 64)
}

// host returns the address in net that stands for a. The first and the last
// address of a network of IPv4, and the first of IPv6, stay so.
func (r *Redactor) host(a netip.Addr, net netip.Prefix) netip.Addr {
	s := &r.addrs
	for try := 0; ; try++ {
		var out netip.Addr
		if a.Is4() {
			b, was := net.Addr().As4(), a.As4()
			switch {
			case was[3] == 0 || was[3] == 255:
				b[3] = was[3]
			case r.key != nil:
				b[3] = byte(1 + r.permutation("host"+net.String(), 254)[was[3]-1])
			default:
				s.count[net]++
				b[3] = byte(1 + (s.count[net]-1)%254)
			}
			out = netip.AddrFrom4(b)
		} else {
			b, was := net.Addr().As16(), a.As16()
			switch {
			case [8]byte(was[8:]) == [8]byte{}:
			case r.key != nil:
				h := r.mac("host", a.String()+"/"+strconv.Itoa(try))
				copy(b[8:], h[:8])
				b[8] &^= 3 // neither universal nor a group (RFC 4291, section 2.5.1)
			default:
				s.count[net]++
				binary.BigEndian.PutUint64(b[8:], s.count[net])
			}
			out = netip.AddrFrom16(b)
		}
		// Networks may have become one.
		if _, taken := s.given[out]; !taken || try > 256 {
			s.given[out] = struct{}{}
			return out
		}
		if r.key != nil && a.Is4() {
			return out
		}
	}
}

// permutation returns a keyed permutation of the numbers below n.
func (r *Redactor) permutation(label string, n int) []uint32 {
	if p := r.addrs.perm[label]; p != nil {
		return p
	}
	src := rand.NewChaCha8(r.mac("permutation", label))
	p := make([]uint32, n)
	for i := range p {
		p[i] = uint32(i)
	}
	for i := n - 1; i > 0; i-- {
		j := src.Uint64() % uint64(i+1)
		p[i], p[j] = p[j], p[i]
	}
	r.addrs.perm[label] = p
	return p
}

// AddrPort returns the pseudonym of an address, with its port.
func (r *Redactor) AddrPort(a netip.AddrPort) netip.AddrPort {
	if !a.IsValid() {
		return a
	}
	return netip.AddrPortFrom(r.Addr(a.Addr()), a.Port())
}

// MAC returns the pseudonym of a link address. Group addresses stay, but for
// those of IPv6 solicited-node multicast, which hold a part of an address.
func (r *Redactor) MAC(m [6]byte) [6]byte {
	if m == [6]byte{} || r.reveal[Addresses] {
		return m
	}
	if m[0]&1 != 0 {
		if m[0] == 0x33 && m[1] == 0x33 && m[2] == 0xff {
			low := r.addrs.low[[3]byte(m[3:])]
			copy(m[3:], low[:])
		}
		return m
	}
	if out, ok := r.macs[m]; ok {
		return out
	}
	var out [6]byte
	n := uint64(len(r.macs) + 1)
	if r.key != nil {
		h := r.mac("link", string(m[:]))
		n = binary.BigEndian.Uint64(h[:])
	}
	for i := 5; i > 0; i-- {
		out[i] = byte(n)
		n >>= 8
	}
	out[0] = 0x02 // locally administered (IEEE 802)
	r.macs[m] = out
	return out
}

// Endpoint returns the pseudonym of host:port, or of a host or address alone.
func (r *Redactor) Endpoint(s string) string {
	if s == "" {
		return s
	}
	if a, err := netip.ParseAddrPort(s); err == nil {
		return r.AddrPort(a).String()
	}
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		out := r.Addr(a).String()
		if strings.HasPrefix(s, "[") {
			out = "[" + out + "]"
		}
		return out
	}
	if i := strings.LastIndexByte(s, ':'); i >= 0 && digits(s[i+1:]) {
		return r.Host(s[:i]) + s[i:]
	}
	return r.Host(s)
}

func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }
