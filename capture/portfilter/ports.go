package portfilter

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/bpf"

	"goproxytrace/capture"
)

// Always are the ports that every capture takes in: HTTPS and HTTP, the
// lookups before them, and ssh for modules fetched directly.
var Always = []uint16{22, 53, 80, 443}

// Link types that can be filtered.
const (
	linkNull     capture.LinkType = 0
	linkEthernet capture.LinkType = 1
	linkRaw      capture.LinkType = 101
	linkLoop     capture.LinkType = 108
	linkPKTAPOld capture.LinkType = 149
	linkPKTAP    capture.LinkType = 258
)

// Options say what is taken in. The zero value takes in the ports of Always.
type Options struct {
	// Ports are taken in beside those of Always, for TCP and UDP, at either
	// end.
	Ports []uint16
	// Filter is an expression in tcpdump's syntax that stands in place of
	// the ports; empty for none.
	Filter string
}

const (
	etherIPv4  = 0x0800
	etherARP   = 0x0806
	etherIPv6  = 0x86dd
	etherVLAN  = 0x8100
	etherSVLAN = 0x88a8
	etherQinQ  = 0x9100

	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58

	// takeAll is more than any frame has: the kernel cuts a frame to what
	// the filter returns.
	takeAll = 0x7fffffff
)

// extensions are the IPv6 headers that can stand before the transport header
// (RFC 8200 section 4, RFC 4302, RFC 6275).
var extensions = []uint32{0, 43, 44, 51, 60, 135}

// All returns the ports in ascending order, each once.
func (o *Options) All() []uint16 {
	ports := slices.Concat(Always, o.Ports)
	slices.Sort(ports)
	return slices.Compact(ports)
}

// Expression returns the condition in tcpdump's syntax for frames of the
// given link type.
func (o *Options) Expression(link capture.LinkType) string {
	if o.Filter != "" {
		return o.Filter
	}
	terms := []string{"icmp", "icmp6", "ip[6:2] & 0x1fff != 0"}
	for _, n := range extensions {
		terms = append(terms, fmt.Sprintf("ip6[6] = %d", n))
	}
	for _, p := range o.All() {
		terms = append(terms, fmt.Sprintf("tcp port %d", p), fmt.Sprintf("udp port %d", p))
	}
	if link != linkEthernet {
		return strings.Join(terms, " or ")
	}
	inner := strings.Join(append(terms, "arp"), " or ")
	// "vlan" moves the offsets of everything that follows it.
	return inner + " or (vlan and (" + inner + ")) or (vlan and (" + inner + "))"
}

// ports builds the program for Ethernet frames, or for packets that begin
// with the IP header. The index register holds the offset of the header being
// read; loads are relative to the frame and not to what the kernel calls the
// network header, because before Linux 6.15 the latter fail on packets whose
// headers lie in page fragments, and a failed load drops the packet.
func (o *Options) ports(ethernet bool) ([]bpf.RawInstruction, error) {
	a := newAssembler()
	if ethernet {
		a.etherType()
	} else {
		a.emit(bpf.LoadConstant{Dst: bpf.RegX, Val: 0}, bpf.LoadAbsolute{Off: 0, Size: 1}, bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 4})
		a.jumpIf(bpf.JumpEqual, 4, "ipv4")
		a.jumpIf(bpf.JumpEqual, 6, "ipv6")
		a.jump("reject")
	}

	a.mark("ipv4")
	a.emit(bpf.LoadIndirect{Off: 6, Size: 2})
	a.jumpIf(bpf.JumpBitsSet, 0x1fff, "accept")
	a.emit(bpf.LoadIndirect{Off: 9, Size: 1})
	a.jumpIf(bpf.JumpEqual, protoTCP, "ipv4 transport")
	a.jumpIf(bpf.JumpEqual, protoUDP, "ipv4 transport")
	a.jumpIf(bpf.JumpEqual, protoICMP, "accept")
	a.jump("reject")
	a.mark("ipv4 transport")
	a.emit(
		bpf.LoadIndirect{Off: 0, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0x0f},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftLeft, Val: 2},
		bpf.ALUOpX{Op: bpf.ALUOpAdd},
		bpf.TAX{},
	)
	a.jump("transport")

	a.mark("ipv6")
	a.emit(bpf.LoadIndirect{Off: 6, Size: 1})
	a.jumpIf(bpf.JumpEqual, protoTCP, "ipv6 transport")
	a.jumpIf(bpf.JumpEqual, protoUDP, "ipv6 transport")
	a.jumpIf(bpf.JumpEqual, protoICMPv6, "accept")
	for _, n := range extensions {
		a.jumpIf(bpf.JumpEqual, n, "accept")
	}
	a.jump("reject")
	a.mark("ipv6 transport")
	a.emit(bpf.TXA{}, bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: 40}, bpf.TAX{})

	a.mark("transport")
	for _, off := range []uint32{2, 0} {
		a.emit(bpf.LoadIndirect{Off: off, Size: 2})
		for _, p := range o.All() {
			a.jumpIf(bpf.JumpEqual, uint32(p), "accept")
		}
	}
	a.mark("reject")
	a.emit(bpf.RetConstant{Val: 0})
	a.mark("accept")
	a.emit(bpf.RetConstant{Val: takeAll})
	return a.assemble()
}

// etherType finds the network header behind up to two VLAN tags.
func (a *assembler) etherType() {
	for depth := uint32(0); depth <= 2; depth++ {
		next := fmt.Sprintf("tag %d", depth+1)
		a.emit(bpf.LoadConstant{Dst: bpf.RegX, Val: 14 + 4*depth}, bpf.LoadAbsolute{Off: 12 + 4*depth, Size: 2})
		a.jumpIf(bpf.JumpEqual, etherIPv4, "ipv4")
		a.jumpIf(bpf.JumpEqual, etherIPv6, "ipv6")
		a.jumpIf(bpf.JumpEqual, etherARP, "accept")
		if depth < 2 {
			a.jumpIf(bpf.JumpEqual, etherVLAN, next)
			a.jumpIf(bpf.JumpEqual, etherSVLAN, next)
			a.jumpIf(bpf.JumpEqual, etherQinQ, next)
		}
		a.jump("reject")
		a.mark(next)
	}
}
