package main

import (
	"net/netip"
	"slices"
	"unsafe"

	"golang.org/x/sys/windows"
)

// siteLocal are name servers that Windows lists on interfaces without one
// (RFC 3879 has withdrawn them).
var siteLocal = netip.MustParsePrefix("fec0::/10")

// nameServers lists the name servers of the adapters that are up, as
// GetAdaptersAddresses has them.
func nameServers() (out []netip.Addr) {
	const flags = windows.GAA_FLAG_SKIP_UNICAST | windows.GAA_FLAG_SKIP_ANYCAST | windows.GAA_FLAG_SKIP_MULTICAST
	size := uint32(16 << 10)
	var first *windows.IpAdapterAddresses
	var buf []byte
	for range 4 {
		buf = make([]byte, size)
		first = (*windows.IpAdapterAddresses)(unsafe.Pointer(&buf[0]))
		err := windows.GetAdaptersAddresses(windows.AF_UNSPEC, flags, 0, first, &size)
		if err == nil {
			break
		}
		if err != windows.ERROR_BUFFER_OVERFLOW || size > 1<<20 {
			return nil
		}
		first = nil
	}
	for a := first; a != nil; a = a.Next {
		if a.OperStatus != windows.IfOperStatusUp {
			continue
		}
		for d := a.FirstDnsServerAddress; d != nil; d = d.Next {
			ip, ok := netip.AddrFromSlice(d.Address.IP())
			if ip = ip.Unmap(); ok && !siteLocal.Contains(ip) && !slices.Contains(out, ip) {
				out = append(out, ip)
			}
		}
	}
	return out
}
