package portfilter

import (
	"encoding/binary"
	"slices"
	"testing"

	"golang.org/x/net/bpf"

	"goproxytrace/capture"
)

// ipv4 builds an IPv4 packet with ports behind a header of the given length.
func ipv4(proto byte, headerLen int, fragment uint16, src, dst uint16) []byte {
	b := make([]byte, headerLen+20)
	b[0] = 0x40 | byte(headerLen/4)
	binary.BigEndian.PutUint16(b[6:], fragment)
	b[9] = proto
	binary.BigEndian.PutUint16(b[headerLen:], src)
	binary.BigEndian.PutUint16(b[headerLen+2:], dst)
	return b
}

func ipv6(next byte, src, dst uint16) []byte {
	b := make([]byte, 60)
	b[0], b[6] = 0x60, next
	binary.BigEndian.PutUint16(b[40:], src)
	binary.BigEndian.PutUint16(b[42:], dst)
	return b
}

// ethernet puts a frame around a packet, with a tag for each further type.
func ethernet(packet []byte, types ...uint16) []byte {
	b := make([]byte, 12, 64+len(packet))
	for i, t := range types {
		b = binary.BigEndian.AppendUint16(b, t)
		if i < len(types)-1 {
			b = binary.BigEndian.AppendUint16(b, 42)
		}
	}
	return append(b, packet...)
}

// cases are IP packets with what a filter for ports 8443 and those of Always
// makes of them.
var cases = []struct {
	name   string
	packet []byte
	want   bool
}{
	{"TCP to 443", ipv4(6, 20, 0, 50000, 443), true},
	{"TCP from 443", ipv4(6, 20, 0, 443, 50000), true},
	{"TCP to a port given", ipv4(6, 20, 0, 50000, 8443), true},
	{"TCP to another port", ipv4(6, 20, 0, 50000, 8444), false},
	{"TCP behind IP options", ipv4(6, 60, 0, 50000, 443), true},
	{"TCP to another port behind IP options", ipv4(6, 60, 0, 50000, 8444), false},
	{"TCP with don't fragment", ipv4(6, 20, 0x4000, 50000, 80), true},
	{"first fragment", ipv4(6, 20, 0x2000, 50000, 22), true},
	{"first fragment to another port", ipv4(6, 20, 0x2000, 50000, 23), false},
	{"later fragment", ipv4(17, 20, 0x2001, 1, 2), true},
	{"last fragment", ipv4(6, 20, 0x00b9, 1, 2), true},
	{"UDP to 53", ipv4(17, 20, 0, 50000, 53), true},
	{"UDP from 443", ipv4(17, 20, 0, 443, 50000), true},
	{"UDP to another port", ipv4(17, 20, 0, 5353, 5353), false},
	{"ICMP", ipv4(1, 20, 0, 0x0301, 0), true},
	{"IGMP", ipv4(2, 20, 0, 443, 443), false},
	{"SCTP to 443", ipv4(132, 20, 0, 50000, 443), false},
	{"TCP over IPv6 to 443", ipv6(6, 50000, 443), true},
	{"TCP over IPv6 to another port", ipv6(6, 50000, 444), false},
	{"UDP over IPv6 from 53", ipv6(17, 53, 50000), true},
	{"UDP over IPv6 to another port", ipv6(17, 5353, 5353), false},
	{"ICMPv6", ipv6(58, 0x8700, 0), true},
	{"IPv6 hop-by-hop", ipv6(0, 0, 0), true},
	{"IPv6 fragment", ipv6(44, 0, 0), true},
	{"IPv6 routing", ipv6(43, 0, 0), true},
	{"IPv6 destination options", ipv6(60, 0, 0), true},
	{"ESP over IPv6", ipv6(50, 443, 443), false},
}

func TestPorts(t *testing.T) {
	f, err := New(Options{Ports: []uint16{8443, 443}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		kind := uint16(etherIPv4)
		if c.packet[0]>>4 == 6 {
			kind = etherIPv6
		}
		for _, l := range []struct {
			name  string
			link  capture.LinkType
			frame []byte
		}{
			{"bare IP", linkRaw, c.packet},
			{"Ethernet", linkEthernet, ethernet(c.packet, kind)},
			{"one tag", linkEthernet, ethernet(c.packet, etherVLAN, kind)},
			{"two tags", linkEthernet, ethernet(c.packet, etherSVLAN, etherVLAN, kind)},
			{"BSD loopback", linkNull, append([]byte{2, 0, 0, 0}, c.packet...)},
			{"PKTAP", linkPKTAP, pktap(linkEthernet, ethernet(c.packet, kind))},
		} {
			if got := f.Match(l.link, l.frame); got != c.want {
				t.Errorf("%s on %s: %v, want %v", c.name, l.name, got, c.want)
			}
		}
	}
	for _, c := range []struct {
		name  string
		frame []byte
		want  bool
	}{
		{"ARP", ethernet(make([]byte, 28), etherARP), true},
		{"tagged ARP", ethernet(make([]byte, 28), etherVLAN, etherARP), true},
		{"LLDP", ethernet(make([]byte, 46), 0x88cc), false},
		{"three tags", ethernet(cases[0].packet, etherVLAN, etherVLAN, etherVLAN, etherIPv4), false},
		{"IPv4 cut before the ports", ethernet(cases[0].packet[:20], etherIPv4), false},
		{"cut in the Ethernet header", make([]byte, 13), false},
		{"nothing", nil, false},
	} {
		if got := f.Match(linkEthernet, c.frame); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if f.Match(linkRaw, []byte{0x20, 0, 0, 0}) {
		t.Error("a packet of neither IPv4 nor IPv6 is taken in")
	}
}

// pktap puts Apple's header, version 1, in front of a frame.
func pktap(link capture.LinkType, frame []byte) []byte {
	b := make([]byte, 156)
	binary.LittleEndian.PutUint32(b, 156)
	binary.LittleEndian.PutUint32(b[4:], 1)
	binary.LittleEndian.PutUint32(b[8:], uint32(link))
	return append(b, frame...)
}

func FuzzMatch(f *testing.F) {
	filter, err := New(Options{Ports: []uint16{8443}})
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range cases[:4] {
		f.Add(uint16(linkRaw), c.packet)
		f.Add(uint16(linkEthernet), ethernet(c.packet, etherVLAN, etherIPv4))
		f.Add(uint16(linkPKTAP), pktap(linkEthernet, ethernet(c.packet, etherIPv4)))
	}
	f.Fuzz(func(t *testing.T, link uint16, frame []byte) {
		filter.Match(capture.LinkType(link), frame)
	})
}

// Many ports and interfaces make jumps longer than a conditional one reaches,
// and more than the kernel takes is an error that says so.
func TestSocketProgramSize(t *testing.T) {
	var ports []uint16
	var indexes []uint32
	for i := range 300 {
		ports = append(ports, uint16(10000+i))
		indexes = append(indexes, uint32(i+1))
	}
	f, err := New(Options{Ports: ports})
	if err != nil {
		t.Fatal(err)
	}
	if !f.Match(linkRaw, ipv4(6, 20, 0, 50000, 10299)) || f.Match(linkRaw, ipv4(6, 20, 0, 50000, 10300)) {
		t.Error("a long list of ports is not matched")
	}
	program, err := f.Socket(Socket{Interfaces: indexes})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := bpf.Disassemble(program); !ok {
		t.Error("the program has instructions that are none")
	}
	if _, err := f.Socket(Socket{Interfaces: slices.Repeat(indexes, 10)}); err == nil {
		t.Error("a program longer than the kernel takes is no error")
	}
}
