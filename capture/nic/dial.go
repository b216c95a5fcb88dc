//go:build !linux && !windows

package nic

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// route asks the system's routing by connecting a UDP socket, which sends
// nothing: its local address is that of the interface.
func route(to netip.Addr, list []Interface) (int, error) {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 53)))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	local, ok := conn.LocalAddr().(*net.UDPAddr)
	if !ok {
		return 0, errors.New("no local address")
	}
	from := local.AddrPort().Addr().Unmap().WithZone("")
	for i := range list {
		for _, a := range list[i].Addresses {
			if a.Addr().WithZone("") == from {
				return list[i].Index, nil
			}
		}
	}
	return 0, fmt.Errorf("no interface has the local address %s", from)
}
