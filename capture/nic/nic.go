// Package nic says which network interfaces there are.
//
// In come the operating system's tables, what a user wrote after -i, or the
// addresses a connection will go to; out come interfaces with the names that
// the capture engines take.
package nic

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"goproxytrace/capture"
	"goproxytrace/capture/engine/hint"
)

// Any stands for every interface, in place of a name.
const Any = "any"

// Link types of live captures.
const (
	LinkNull     capture.LinkType = 0
	LinkEthernet capture.LinkType = 1
	LinkRaw      capture.LinkType = 101
)

// Interface is one network interface.
type Interface struct {
	// Name is what the capture engine takes: eth0, en0,
	// \Device\NPF_{GUID}.
	Name string
	// Number is the interface's place in the list, from 1.
	Number int
	// Index is the operating system's, zero where it has none.
	Index int
	// FriendlyName is what Windows shows ("Wi-Fi"), else empty.
	FriendlyName string
	// Description says what it is ("veth", "Intel(R) Wi-Fi 6 AX201"); empty
	// where unknown.
	Description string
	// GUID identifies an adapter on Windows, with braces; else empty.
	GUID      string
	Addresses []netip.Prefix
	Hardware  net.HardwareAddr
	Up        bool
	Loopback  bool
	// MTU is in bytes, zero where unknown.
	MTU int
	// LinkType holds where HasLinkType.
	LinkType    capture.LinkType
	HasLinkType bool
	// Unreadable says why the interface cannot be captured on; empty where
	// it can.
	Unreadable string
}

// ErrNotFound says that a specification fits no interface.
var ErrNotFound = errors.New("no such interface")

// List returns the interfaces in the operating system's order, numbered.
func List() ([]Interface, error) {
	list, err := list()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	for i := range list {
		list[i].Number = i + 1
	}
	return list, nil
}

// Find returns the interface that spec means: a name, a friendly name, a
// GUID, or the number that List gave.
func Find(spec string) (Interface, error) {
	list, err := List()
	if err != nil {
		return Interface{}, err
	}
	return Match(list, spec)
}

// Match finds spec in list. An exact name goes before everything else, a
// number before what merely differs in upper and lower case.
func Match(list []Interface, spec string) (Interface, error) {
	want := strings.TrimSpace(spec)
	tests := []func(*Interface) bool{
		func(i *Interface) bool { return i.Name == want },
		func(i *Interface) bool { return i.FriendlyName == want && want != "" },
		func(i *Interface) bool { return strconv.Itoa(i.Number) == want },
		func(i *Interface) bool { return i.GUID != "" && strings.EqualFold(braced(i.GUID), braced(want)) },
		func(i *Interface) bool { return strings.EqualFold(i.Name, want) && want != "" },
		func(i *Interface) bool { return strings.EqualFold(i.FriendlyName, want) && want != "" },
		func(i *Interface) bool { return strings.EqualFold(i.Description, want) && want != "" },
	}
	for _, test := range tests {
		var found []*Interface
		for i := range list {
			if test(&list[i]) {
				found = append(found, &list[i])
			}
		}
		switch len(found) {
		case 0:
		case 1:
			return *found[0], nil
		default:
			names := make([]string, len(found))
			for i, f := range found {
				names[i] = strconv.Itoa(f.Number) + " " + f.Name
			}
			return Interface{}, hint.New(fmt.Errorf("interface %q fits several: %s", spec, strings.Join(names, ", ")), "Give the number.")
		}
	}
	return Interface{}, hint.New(fmt.Errorf("interface %q: %w", spec, ErrNotFound), "There are: "+names(list)+".")
}

// braced returns a GUID with its braces.
func braced(guid string) string {
	return "{" + strings.Trim(guid, "{}") + "}"
}

func names(list []Interface) string {
	if len(list) == 0 {
		return "none"
	}
	words := make([]string, len(list))
	for i := range list {
		words[i] = list[i].Name
		if list[i].FriendlyName != "" {
			words[i] = list[i].FriendlyName
		}
	}
	return strings.Join(words, ", ")
}

// RouteTo returns the interfaces through which the addresses are reached, in
// list order, each once. Addresses without a route are reported in an error
// beside the interfaces of the others.
func RouteTo(addresses []netip.Addr) ([]Interface, error) {
	list, err := List()
	if err != nil {
		return nil, err
	}
	var errs []error
	var indexes []int
	for _, a := range addresses {
		index, err := route(a, list)
		if err != nil {
			errs = append(errs, fmt.Errorf("route to %s: %w", a, err))
			continue
		}
		indexes = append(indexes, index)
	}
	var out []Interface
	for _, i := range list {
		if slices.Contains(indexes, i.Index) {
			out = append(out, i)
		}
	}
	return out, errors.Join(errs...)
}

// beyond are addresses of no network (RFC 5737, RFC 3849): a packet to them
// would take the default route.
var beyond = []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, 1}), netip.AddrFrom16([16]byte{0: 0x20, 1: 0x01, 2: 0x0d, 3: 0xb8, 15: 1})}

// Default returns the interfaces of the default routes and the loopback
// interfaces; where there is no default route, all that are up.
func Default() ([]Interface, error) {
	list, err := List()
	if err != nil {
		return nil, err
	}
	// Without a route for one family the other may have one.
	routed, _ := RouteTo(beyond)
	var out []Interface
	for _, i := range list {
		isRoute := slices.ContainsFunc(routed, func(r Interface) bool { return r.Index == i.Index })
		if i.Unreadable == "" && i.Up && (i.Loopback || isRoute || len(routed) == 0) {
			out = append(out, i)
		}
	}
	return out, nil
}

// addressesOf reads an interface's addresses; an interface that is gone has
// none.
func addressesOf(i *net.Interface) (out []netip.Prefix) {
	addresses, err := i.Addrs()
	if err != nil {
		return nil
	}
	for _, a := range addresses {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		ip, ok := netip.AddrFromSlice(n.IP)
		if !ok {
			continue
		}
		ones, _ := n.Mask.Size()
		out = append(out, netip.PrefixFrom(ip.Unmap(), ones))
	}
	return out
}
