package nic

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"unsafe"

	"github.com/gopacket/gopacket/pcap"
	"golang.org/x/sys/windows"
)

const (
	typeSoftwareLoopback = 24
	statusUp             = 1
)

func list() ([]Interface, error) {
	adapters, err := adapters()
	if err != nil {
		return nil, err
	}
	return joinDevices(adapters, devices()), nil
}

// devices asks Npcap; nil where it is not installed or does not answer.
func devices() []device {
	if pcap.LoadWinPCAP() != nil {
		return nil
	}
	all, err := pcap.FindAllDevs()
	if err != nil {
		return nil
	}
	var out []device
	for _, d := range all {
		out = append(out, device{d.Name, d.Description})
	}
	return out
}

// adapters reads the system's table, which grows between asking for its size
// and reading it.
func adapters() ([]Interface, error) {
	const flags = windows.GAA_FLAG_SKIP_ANYCAST | windows.GAA_FLAG_SKIP_MULTICAST | windows.GAA_FLAG_SKIP_DNS_SERVER
	size := uint32(16 << 10)
	for range 4 {
		// Aligned as the structures in it need.
		buf := make([]uint64, (size+7)/8)
		first := (*windows.IpAdapterAddresses)(unsafe.Pointer(unsafe.SliceData(buf)))
		err := windows.GetAdaptersAddresses(windows.AF_UNSPEC, flags, 0, first, &size)
		switch {
		case err == nil:
			return walk(first), nil
		case errors.Is(err, windows.ERROR_NO_DATA):
			return nil, nil
		case !errors.Is(err, windows.ERROR_BUFFER_OVERFLOW):
			return nil, fmt.Errorf("GetAdaptersAddresses: %w", err)
		}
	}
	return nil, errors.New("GetAdaptersAddresses: the table keeps growing")
}

func walk(a *windows.IpAdapterAddresses) (out []Interface) {
	for ; a != nil; a = a.Next {
		i := Interface{
			Index:        int(a.IfIndex),
			GUID:         windows.BytePtrToString(a.AdapterName),
			FriendlyName: windows.UTF16PtrToString(a.FriendlyName),
			Description:  windows.UTF16PtrToString(a.Description),
			Hardware:     net.HardwareAddr(slices.Clone(a.PhysicalAddress[:min(int(a.PhysicalAddressLength), len(a.PhysicalAddress))])),
			Up:           a.OperStatus == statusUp,
			Loopback:     a.IfType == typeSoftwareLoopback,
		}
		if i.Index == 0 {
			i.Index = int(a.Ipv6IfIndex)
		}
		if a.Mtu < 1<<31-1 {
			i.MTU = int(a.Mtu)
		}
		for u := a.FirstUnicastAddress; u != nil; u = u.Next {
			ip, ok := netip.AddrFromSlice(u.Address.IP())
			if !ok {
				continue
			}
			ip = ip.Unmap()
			i.Addresses = append(i.Addresses, netip.PrefixFrom(ip, min(int(u.OnLinkPrefixLength), ip.BitLen())))
		}
		out = append(out, i)
	}
	return out
}
