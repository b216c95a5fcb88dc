package nic

import (
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func list() ([]Interface, error) {
	table, err := syscall.NetlinkRIB(unix.RTM_GETLINK, unix.AF_UNSPEC)
	if err != nil {
		return nil, err
	}
	links, err := appendLinks(nil, table)
	if err != nil {
		return nil, err
	}
	out := make([]Interface, 0, len(links))
	for i := range links {
		l := &links[i]
		entry := Interface{Name: l.Name, Index: l.Index, Description: l.Kind, Up: l.Up, Loopback: l.Loopback(), MTU: l.MTU}
		if entry.LinkType, entry.HasLinkType = l.LinkType(); !entry.HasLinkType {
			entry.Unreadable = l.Unreadable()
		}
		system := &net.Interface{Index: l.Index}
		entry.Addresses = addressesOf(system)
		if s, err := net.InterfaceByIndex(l.Index); err == nil {
			entry.Hardware = s.HardwareAddr
		}
		out = append(out, entry)
	}
	return out, nil
}

// route asks the kernel's routing table as a connection of this host would.
func route(to netip.Addr, _ []Interface) (int, error) {
	routes, err := netlink.RouteGet(net.IP(to.Unmap().AsSlice()))
	if err != nil {
		return 0, err
	}
	for _, r := range routes {
		if r.LinkIndex > 0 {
			return r.LinkIndex, nil
		}
	}
	return 0, fmt.Errorf("%w to %s", unix.ENETUNREACH, to)
}
