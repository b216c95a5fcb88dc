package diagnose

import (
	"net/netip"
	"slices"
	"testing"

	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/tcpflow"
)

// TestNeighbourFailure holds apart who is to blame where a host tells itself
// that an address cannot be reached: its packet filter, its link, or a server
// on the link.
func TestNeighbourFailure(t *testing.T) {
	addr := func(s string) decode.Addr { return decode.Addr(netip.MustParseAddr(s).As16()) }
	const asked, failed = 5 * second, 8 * second
	own, gateway, server := addr("10.0.0.2"), addr("10.0.0.1"), addr("203.0.113.9")
	silent := func(a decode.Addr, last int64) SilentNeighbour {
		return SilentNeighbour{Addr: a, Count: 3, Frames: []int64{1, 2, 3}, First: asked, Last: last}
	}
	for _, x := range []struct {
		name       string
		icmp, code uint8
		silent     []SilentNeighbour
		class      Class
		level      Level
		places     []Place
	}{
		{"the gateway is silent", 3, 1, []SilentNeighbour{silent(gateway, failed-second)}, LinkGatewaySilent, Proven, linkOrHost},
		{"the server is on the link and silent", 3, 1, []SilentNeighbour{silent(gateway, failed-second), silent(server, failed-second)}, ConnectUnreachable, Proven, beyond},
		{"address resolution was not captured", 3, 1, nil, LinkGatewaySilent, Consistent, linkOrHost},
		{"a neighbour was silent long before", 3, 1, []SilentNeighbour{silent(gateway, failed-10*second)}, LinkGatewaySilent, Consistent, linkOrHost},
		{"a neighbour is asked for later", 3, 1, []SilentNeighbour{silent(gateway, failed+second)}, LinkGatewaySilent, Consistent, linkOrHost},
		{"IPv6", 1, 3, []SilentNeighbour{silent(gateway, failed-second)}, LinkGatewaySilent, Proven, linkOrHost},
		{"a packet filter's word", 3, 13, []SilentNeighbour{silent(gateway, failed-second)}, ConnectRejectedLocally, Suggested, inHost},
		{"a packet filter's word, IPv6", 1, 1, nil, ConnectRejectedLocally, Suggested, inHost},
	} {
		t.Run(x.name, func(t *testing.T) {
			var a Aggregator
			e := tcpflow.ICMPError{Point: tcpflow.Point{Frame: 9, Time: failed}, From: own, Type: x.icmp, Code: x.code, IPVersion: 4, Loopback: true}
			if x.icmp == 1 {
				e.IPVersion = 6
			}
			a.StrayICMP(&e, tcpflow.Endpoint{Addr: own, Port: 40000}, tcpflow.Endpoint{Addr: server, Port: 443}, true)
			env := &Env{Start: 1, End: 60 * second}
			v, _, _ := a.Verdict(env, Health{Silent: x.silent})
			if v.Class != x.class || v.Level != x.level || !slices.Equal(v.Place, x.places) {
				t.Errorf("%s, %v, %v; want %s, %v, %v", v.Class, v.Level, v.Place, x.class, x.level, x.places)
			}
		})
	}
}
