//go:build linux

package lab

import (
	"net/netip"
	"os"
	"strconv"
)

// Names and addresses inside every lab; the namespaces keep them apart.
const (
	ProxyName   = "proxy.example"
	SecondName  = "second.example"
	ThirdName   = "third.example"
	FourthName  = "fourth.example"
	SumDBName   = "sum.example"
	StorageName = "storage.example"
	GitName     = "git.example"
)

var (
	clientAddr   = addresses{netip.MustParseAddr("192.168.50.10"), netip.MustParseAddr("2001:db8:50::10")}
	lanAddr      = addresses{netip.MustParseAddr("192.168.50.1"), netip.MustParseAddr("2001:db8:50::1")}
	wanAddr      = addresses{netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("2001:db8:113::1")}
	hopAddr      = addresses{netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("2001:db8:100::7")}
	resolverAddr = far(53)
	tunnelAddr   = far(80)
	siteAddrs    = map[string]addresses{
		ProxyName: far(10), SumDBName: far(11), SecondName: far(12), StorageName: far(13), ThirdName: far(14), FourthName: far(15),
		GitName: far(20),
	}
)

const tunnelPort = "3128"

// addresses are one machine's addresses in both families.
type addresses struct{ v4, v6 netip.Addr }

// far returns the addresses of a machine in the server's network.
func far(host byte) addresses {
	six := [16]byte{0x20, 0x01, 0x0d, 0xb8, 0x01, 0x13}
	// Written in hexadecimal, the digits are those of the IPv4 address.
	six[15] = host/10<<4 | host%10
	return addresses{netip.AddrFrom4([4]byte{203, 0, 113, host}), netip.AddrFrom16(six)}
}

// of returns the address of the family that p belongs to.
func (a addresses) of(v6 bool) netip.Addr {
	if v6 {
		return a.v6
	}
	return a.v4
}

const namespaceStem = "gplab"

// namespacePrefix begins the names of this process's namespaces.
func namespacePrefix() string {
	return namespaceStem + strconv.FormatInt(int64(os.Getpid()), 36) + "-"
}
