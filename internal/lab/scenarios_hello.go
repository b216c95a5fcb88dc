//go:build linux

package lab

import "crypto/tls"

// Scenarios in which the ClientHello or the answer to it is lost.
func helloScenarios() []Scenario {
	timeout := func(name, about string, t Truth, path Path, more ...func(*Scenario)) Scenario {
		s := Scenario{Name: name, About: about, Truth: t, Quick: true, End: Fails, Says: "TLS handshake timeout", Modules: small(), Path: path}
		for _, f := range more {
			f(&s)
		}
		return s
	}
	lost := truth("tls.client-hello-lost", "network", "network")
	mtu := truth("tls.large-packets-lost|tls.client-hello-lost", "network", "network")
	noAnswer := truth("tls.no-server-hello", "network|remote", "network|remote")
	return []Scenario{
		timeout("hello-dropped", "no packet of a ClientHello gets through", lost,
			Path{Box: []Maker{Drop(Hello)}}),
		timeout("hello-dropped-near", "the same on a path of 1 ms, offloads off", lost,
			Path{RTT: ms, Plain: true, Box: []Maker{Drop(Hello)}}),
		timeout("hello-dropped-ipv6", "the same over IPv6", lost,
			Path{Family: IPv6Only, Box: []Maker{Drop(Hello)}}),
		timeout("hello-dropped-one-segment", "a ClientHello without post-quantum key share, dropped for its name", lost,
			Path{Box: []Maker{Drop(All(Hello, Named(ProxyName)))}},
			func(s *Scenario) { s.Env = []string{"GODEBUG=tlsmlkem=0,tlssecpmlkem=0"} }),
		timeout("hello-rest-dropped", "only the second segment of a ClientHello is dropped, again and again", lost,
			Path{Plain: true, Sized: true, Box: []Maker{Drop(HelloRest)}}),
		timeout("ipv6-hello-dropped", "IPv6 connects and its ClientHello is lost; IPv4, which would work, is not tried", lost,
			Path{Family: DualStack, Box: []Maker{Drop(All(Hello, V6))}}),
		timeout("large-dropped", "large packets to the server are dropped, as on a path with too small an MTU and no ICMP",
			truth("tls.large-packets-lost", "network", "network"),
			Path{Sized: true, Box: []Maker{Drop(All(Up, Larger(1400)))}}),
		timeout("large-dropped-ipv6", "the same over IPv6, offloads off", truth("tls.large-packets-lost", "network", "network"),
			Path{Family: IPv6Only, Plain: true, Sized: true, Box: []Maker{Drop(All(Up, Larger(1300)))}}),
		timeout("large-dropped-both", "large packets are dropped both ways", mtu,
			Path{RTT: 150 * ms, Sized: true, Box: []Maker{Drop(Larger(1300))}}),
		timeout("large-dropped-down", "large packets to the client are dropped; the last short one of the server's flight arrives",
			truth("tls.large-packets-lost|tls.no-server-hello", "network", "network|remote"),
			Path{Sized: true, Box: []Maker{Drop(All(Down, Larger(1300)))}}),
		timeout("answer-dropped", "the ClientHello is acknowledged, what the server says is lost", noAnswer,
			Path{Box: []Maker{Drop(All(Down, Data))}}),
		timeout("path-dead-after-hello", "nothing comes back after the ClientHello, acknowledgements neither",
			truth("tls.client-hello-lost|tls.no-server-hello", "network", "network|remote"),
			Path{Box: []Maker{Drop(All(Down, Greeted))}}),
		timeout("stalled-download", "the server acknowledges the ClientHello and never says a word",
			truth("tls.no-server-hello", "remote", "network|remote"), Path{},
			func(s *Scenario) { s.Proxy.Hello = Silent }),
		timeout("stalled-download-distant", "the same 150 ms away, offloads off",
			truth("tls.no-server-hello", "remote", "network|remote"), Path{RTT: 150 * ms, Plain: true},
			func(s *Scenario) { s.Proxy.Hello = Silent }),
		timeout("flight-incomplete", "the server sends the beginning of its flight and no more",
			truth("tls.server-flight-stalled", "remote", "network|remote"), Path{},
			func(s *Scenario) { s.Proxy.Spoken = 700 }),
		timeout("flight-incomplete-tls12", "the same in TLS 1.2",
			truth("tls.server-flight-stalled", "remote", "network|remote"), Path{},
			func(s *Scenario) {
				s.Proxy = Site{Spoken: 300, TLS: func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }}
			}),
		timeout("flight-hole", "one segment of the server's flight never arrives, later ones do",
			truth("tls.server-flight-stalled|tls.large-packets-lost|tls.no-server-hello", "network", "network|remote"),
			Path{Plain: true, Box: []Maker{Drop(All(Down, Data, From(0)))}}),
	}
}
