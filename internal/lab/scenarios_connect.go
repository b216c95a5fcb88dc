//go:build linux

package lab

import "time"

func connectScenarios() []Scenario {
	far := "network|remote"
	unreachable := func(name, about string, kind, code byte, six, destination bool, culprits, widest, says string) Scenario {
		s := Scenario{
			Name: name, About: about, Truth: truth("connect.unreachable", culprits, widest), Quick: true, End: Fails, Says: says,
			Path: Path{Box: []Maker{ICMP(kind, code, 0, destination, Syn)}},
		}
		if six {
			s.Path.Family = IPv6Only
		}
		return s
	}
	return []Scenario{
		{
			Name: "syn-drop", About: "every SYN to port 443 is lost",
			Truth: truth("connect.no-answer", "network|remote", far), End: Fails, Says: "i/o timeout", Modules: DefaultModules(),
			Path: Path{Box: []Maker{Drop(Syn)}},
		},
		{
			Name: "syn-drop-ipv6", About: "every SYN is lost, IPv6, offloads off",
			Truth: truth("connect.no-answer", "network|remote", far), End: Fails, Says: "i/o timeout", Modules: small(),
			Path: Path{Family: IPv6Only, Plain: true, Box: []Maker{Drop(Syn)}},
		},
		{
			Name: "syn-ack-drop", About: "every SYN/ACK is lost on the way back",
			Truth: truth("connect.no-answer", "network|remote", far), End: Fails, Says: "i/o timeout", Modules: small(),
			Path: Path{Box: []Maker{Drop(SynAck)}},
		},
		{
			Name: "connect-refused", About: "nothing listens on port 443 of the server",
			Truth: truth("connect.refused", "remote", far), Quick: true, End: Fails, Says: "connection refused", Proxy: Site{Closed: true},
		},
		{
			Name: "connect-refused-ipv6", About: "nothing listens on port 443 of the server, IPv6, 1 ms away",
			Truth: truth("connect.refused", "remote", far), Quick: true, End: Fails, Says: "connection refused", Proxy: Site{Closed: true},
			Path: Path{Family: IPv6Only, RTT: ms},
		},
		{
			Name: "syn-reset-forged", About: "a box on the way answers SYNs with a reset",
			Truth: truth("connect.refused", "network", far), Quick: true, End: Fails, Says: "connection refused",
			Path: Path{Box: []Maker{Inject(Reset{TTL: 63, InLine: true, Each: true}, Syn)}},
		},
		unreachable("icmp-net", "a router answers SYNs with ICMP net unreachable", 3, 0, false, false, "network", "network|remote", "network is unreachable"),
		unreachable("icmp-host", "a router answers SYNs with ICMP host unreachable", 3, 1, false, false, "network", "network|remote", "no route to host"),
		unreachable("icmp-port", "the server answers SYNs with ICMP port unreachable", 3, 3, false, true, "remote", "network|remote", "connection refused"),
		unreachable("icmp-host-prohibited", "a router answers SYNs with ICMP host prohibited", 3, 10, false, false, "network", "network", "no route to host"),
		{
			Name: "icmp-prohibited", About: "the first router answers SYNs with ICMP administratively prohibited",
			Truth: truth("connect.unreachable", "network", "network"), Quick: true, End: Fails, Says: "no route to host",
			Path: Path{Forward: []string{"tcp dport 443 reject with icmp type admin-prohibited"}},
		},
		unreachable("icmp-prohibited-server", "ICMP administratively prohibited comes from the server's own address", 3, 13, false, true, "remote", "network|remote", "no route to host"),
		unreachable("icmp6-no-route", "a router answers SYNs with ICMPv6 no route", 1, 0, true, false, "network", "network|remote", "network is unreachable"),
		unreachable("icmp6-prohibited", "a router answers SYNs with ICMPv6 administratively prohibited", 1, 1, true, false, "network", "network", "permission denied"),
		unreachable("icmp6-address", "a router answers SYNs with ICMPv6 address unreachable", 1, 3, true, false, "network", "network|remote", "no route to host"),
		{
			Name: "residual-syn", About: "a connection is reset for its name; after that SYNs to the same address stay without an answer",
			Truth: truth("connect.no-answer|tls.reset", "network", far), End: Fails, Says: "i/o timeout",
			GOPROXY: bothByBar, Modules: small(), Lookup: Resolved(siteAddrs[ProxyName].v4.String()),
			Path: Path{Least: forged, Box: []Maker{Inject(Reset{TTL: 57, IPID: 600, Count: 3}, All(HelloStart, Named(ProxyName))),
				Residual(90*time.Second, HelloStart)}},
		},
	}
}
