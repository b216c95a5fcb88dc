//go:build linux

package lab

import (
	"net/netip"

	"golang.org/x/net/dns/dnsmessage"
)

func lookupScenarios() []Scenario {
	far := "network|remote"
	return []Scenario{
		{
			Name: "dns-silent", About: "the resolver answers nothing",
			Truth: truth("dns.no-answer", "remote", far), End: Fails, Says: "i/o timeout", Modules: DefaultModules(), Lookup: Unresolved,
		},
		{
			Name: "dns-dropped", About: "questions are lost on the way, offloads off",
			Truth: truth("dns.no-answer", "network", far), Quick: true, End: Fails, Says: "i/o timeout", Modules: small(),
			Path: Path{Plain: true, Box: []Maker{Drop(Query)}},
		},
		{
			Name: "dns-nxdomain", About: "the resolver says that the proxy's name does not exist",
			Truth: truth("dns.nxdomain", "remote", far), Quick: true, End: Fails, Says: "no such host", Lookup: Rcode(dnsmessage.RCodeNameError),
		},
		{
			Name: "dns-nodata", About: "the resolver knows the name and no address",
			Truth: truth("dns.nodata", "remote", far), Quick: true, End: Fails, Says: "no such host", Lookup: Rcode(dnsmessage.RCodeSuccess),
		},
		{
			Name: "dns-servfail", About: "the resolver fails",
			Truth: truth("dns.servfail", "remote", far), Quick: true, End: Fails, Says: "server misbehaving", Lookup: Rcode(dnsmessage.RCodeServerFailure),
		},
		{
			Name: "dns-refused", About: "the resolver refuses",
			Truth: truth("dns.refused", "remote", far), Quick: true, End: Fails, Says: "server misbehaving", Lookup: Rcode(dnsmessage.RCodeRefused),
		},
		{
			Name: "dns-unreachable", About: "the resolver's host has no DNS server: ICMP port unreachable",
			Truth: truth("dns.unreachable", "remote", far), Quick: true, End: Fails,
			Path: Path{Box: []Maker{ICMP(3, 3, 0, true, Query)}},
		},
		{
			Name: "dns-unreachable-hop", About: "a router says that the resolver's host is unreachable",
			Truth: truth("dns.unreachable", "network", far), Quick: true, End: Fails,
			Path: Path{Box: []Maker{ICMP(3, 1, 0, false, Query)}},
		},
		{
			Name: "dns-sinkhole-zero", About: "the resolver gives 0.0.0.0",
			Truth: truth("dns.sinkhole", "remote", far), Quick: true, End: Fails, Says: "connection refused", Lookup: Resolved("0.0.0.0"),
		},
		{
			Name: "dns-sinkhole-loopback", About: "the resolver gives 127.0.0.1",
			Truth: truth("dns.sinkhole", "remote", far), Quick: true, End: Fails, Says: "connection refused", Lookup: Resolved("127.0.0.1"),
		},
		{
			Name: "dns-forged", About: "a forged answer overtakes the resolver's; the address that it gives never answers",
			Truth: truth("dns.forged", "network", "network"), End: Fails, Says: "i/o timeout", Modules: small(),
			Path: Path{Least: forged, Box: []Maker{Forge(ProxyName, wrongAddr), Drop(All(TCP, To(wrongAddr.v4.String())))}},
		},
		{
			Name: "dns-forged-refused", About: "a forged answer overtakes the resolver's; a host there refuses connections",
			Truth: truth("dns.forged", "network", "network"), Quick: true, End: Fails, Says: "connection refused",
			Path: Path{RTT: 150 * ms, Plain: true, Box: []Maker{Forge(ProxyName, tunnelAddr)}},
		},
		{
			Name: "gateway-silent", About: "the gateway answers no ARP request, so nothing leaves the link",
			Truth: truth("link.gateway-silent|dns.no-answer|no-traffic", "network", "host|network"), End: Fails, Modules: small(),
			Path: Path{Router: []string{"link set lan arp off", "neigh flush dev lan"}},
		},
	}
}

// wrongAddr is where nobody is, beyond the middlebox.
var wrongAddr = addresses{netip.MustParseAddr("198.51.100.66"), netip.MustParseAddr("2001:db8:100::66")}
