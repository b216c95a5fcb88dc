package nic

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/windows"
)

// route asks the system's routing table for the index of the interface. A
// loopback address needs no asking.
func route(to netip.Addr, list []Interface) (int, error) {
	if to.IsLoopback() {
		for _, i := range list {
			if i.Loopback {
				return i.Index, nil
			}
		}
	}
	var sa windows.Sockaddr = &windows.SockaddrInet6{Addr: to.As16()}
	if to = to.Unmap(); to.Is4() {
		sa = &windows.SockaddrInet4{Addr: to.As4()}
	}
	var index uint32
	if err := windows.GetBestInterfaceEx(sa, &index); err != nil {
		return 0, fmt.Errorf("GetBestInterfaceEx: %w", err)
	}
	return int(index), nil
}
