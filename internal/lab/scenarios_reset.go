//go:build linux

package lab

import "time"

// Scenarios in which a reset or a close ends the TLS handshake.
func resetScenarios() []Scenario {
	named := All(HelloStart, Named(ProxyName))
	reset := func(name, about string, t Truth, path Path, site Site) Scenario {
		return Scenario{Name: name, About: about, Truth: t, Quick: true, End: Fails, Says: "connection reset by peer", Path: path, Proxy: site}
	}
	server := truth("tls.reset", "remote", "network|remote")
	box := truth("tls.reset", "network", "network")
	unclear := truth("tls.reset", "network", "network|remote")
	fake := func(r Reset, rtt time.Duration, more ...Maker) Path {
		return Path{RTT: rtt, Least: forged, Box: append([]Maker{Inject(r, named)}, more...)}
	}
	return []Scenario{
		reset("hello-reset", "the server resets the connection after the ClientHello", server, Path{}, Site{Hello: ResetAfterHello}),
		reset("hello-reset-near", "the same 1 ms away, offloads off", server, Path{RTT: ms, Plain: true}, Site{Hello: ResetAfterHello}),
		reset("hello-reset-distant", "the same 150 ms away", server, Path{RTT: 150 * ms}, Site{Hello: ResetAfterHello}),
		reset("hello-reset-ipv6", "the same over IPv6", server, Path{Family: IPv6Only}, Site{Hello: ResetAfterHello}),
		reset("accept-reset", "the server resets the connection at once", server, Path{}, Site{Accept: ResetAtOnce}),
		reset("accept-reset-distant", "the same 150 ms away, offloads off", server, Path{RTT: 150 * ms, Plain: true}, Site{Accept: ResetAtOnce}),
		reset("sni-reset-beside", "a box beside the path forges a reset for the name; the server's answer still comes", box,
			fake(Reset{TTL: 77, IPID: 153}, 0), Site{}),
		reset("sni-reset-distant", "the same on a path of 150 ms", box, fake(Reset{TTL: 77, IPID: 153}, 150*ms), Site{}),
		reset("sni-reset-three", "three forged resets with rising sequence numbers", box,
			fake(Reset{TTL: 52, IPID: 0x9916, Count: 3, Step: 1460}, 0), Site{}),
		reset("sni-reset-payload", "a forged reset that carries a payload", box,
			fake(Reset{TTL: 58, IPID: 1, Fragment: true, Payload: "blocked!!!"}, 0), Site{}),
		reset("sni-reset-inline", "a box on the path resets for the name and lets nothing more through", box,
			fake(Reset{TTL: 247, IPID: 256, InLine: true}, 0), Site{}),
		reset("sni-reset-inline-plain", "the same with offloads off", box,
			Path{Plain: true, Least: forged, Box: []Maker{Inject(Reset{TTL: 247, IPID: 256, InLine: true}, named)}}, Site{}),
		reset("sni-reset-inline-like", "an in-line reset with the server's TTL and IP-ID series, only far too early", box,
			fake(Reset{Like: true, InLine: true}, 150*ms), Site{}),
		reset("sni-reset-inline-slow", "an in-line reset as slow as the server would be and with its TTL: nobody can tell", unclear,
			fake(Reset{Like: true, InLine: true, After: 40 * ms}, 0), Site{}),
		reset("sni-reset-ipv6", "a box beside the path forges a reset over IPv6", box,
			Path{Family: IPv6Only, Least: forged, Box: []Maker{Inject(Reset{TTL: 250}, named)}}, Site{}),
		{
			Name: "hello-closed", About: "the server closes the connection after the ClientHello",
			Truth: truth("tls.closed", "remote", "network|remote"), Quick: true, End: Fails, Says: "EOF", Proxy: Site{Hello: CloseAfterHello},
		},
		{
			Name: "hello-closed-plain", About: "the same 150 ms away, offloads off",
			Truth: truth("tls.closed", "remote", "network|remote"), End: Fails, Says: "EOF", Proxy: Site{Hello: CloseAfterHello}, Path: Path{RTT: 150 * ms, Plain: true},
		},
		{
			Name: "residual-hello", About: "a connection is reset for its name; after that a ClientHello to the same address is lost whatever its name",
			Truth: truth("tls.client-hello-lost|tls.reset", "network", "network"), Quick: true, End: Fails, Says: "TLS handshake timeout",
			GOPROXY: bothByBar, Modules: small(), Lookup: Resolved(siteAddrs[ProxyName].v4.String()),
			Path: Path{Least: forged, Box: []Maker{Inject(Reset{TTL: 57, IPID: 600, Count: 3}, named), Drop(All(Hello, Not(Named(ProxyName))))}},
		},
	}
}
