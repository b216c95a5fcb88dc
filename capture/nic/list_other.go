//go:build !linux && !windows

package nic

import "net"

func list() ([]Interface, error) {
	system, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	out := make([]Interface, 0, len(system))
	for _, s := range system {
		out = append(out, Interface{
			Name: s.Name, Index: s.Index, Hardware: s.HardwareAddr, MTU: s.MTU,
			Up: s.Flags&net.FlagUp != 0, Loopback: s.Flags&net.FlagLoopback != 0,
			Addresses: addressesOf(&s),
		})
	}
	return out, nil
}
