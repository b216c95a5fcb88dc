package analyze

import (
	"net/netip"
	"testing"

	"goproxytrace/analyze/decode"
)

// TestUnspecifiedAddress holds that a connection that a sinkhole led to this
// machine is told of by the name that was asked for.
func TestUnspecifiedAddress(t *testing.T) {
	loopback := decode.Addr(netip.MustParseAddr("127.0.0.1").As16())
	for _, c := range []struct {
		name, address, before, want string
	}{
		{"unspecified", "0.0.0.0", "", "proxy.example"},
		{"an address of its own", "203.0.113.10", "", ""},
		{"a name is known", "0.0.0.0", "localhost", "localhost"},
		{"the other family", "::", "", ""},
	} {
		n := addressNames{}
		if c.before != "" {
			n[loopback] = c.before
		}
		n.loopback(netip.MustParseAddr(c.address), "proxy.example")
		if got := n[loopback]; got != c.want {
			t.Errorf("%s: 127.0.0.1 is %q, want %q", c.name, got, c.want)
		}
	}
	n := addressNames{}
	n.loopback(netip.MustParseAddr("::"), "proxy.example")
	if got := n[decode.Addr(netip.IPv6Loopback().As16())]; got != "proxy.example" {
		t.Errorf("::1 is %q", got)
	}
}
