package collector

import (
	"net/netip"
	"syscall"
	"testing"
)

// Address returns an address of loopback at which nobody listens. Until the test
// ends a socket is bound to it: the system gives its port to nobody who asks for
// any, and whoever names it may listen there, as Go's listeners set SO_REUSEADDR.
func Address(t testing.TB) string {
	t.Helper()
	host := [4]byte{127, 0, 0, 1}
	s, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(s) })
	if err = syscall.SetsockoptInt(s, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err == nil {
		err = syscall.Bind(s, &syscall.SockaddrInet4{Addr: host})
	}
	if err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(s)
	if err != nil {
		t.Fatal(err)
	}
	return netip.AddrPortFrom(netip.AddrFrom4(host), uint16(name.(*syscall.SockaddrInet4).Port)).String()
}
