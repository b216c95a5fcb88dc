//go:build linux

package lab

// everywhere captures the loopback device too: a packet that this host
// rejects itself is never seen on another.
func everywhere() []string { return []string{"eth0", "lo"} }

func localScenarios() []Scenario {
	return []Scenario{
		{
			Name: "local-syn-dropped", About: "the client's own packet filter swallows SYNs: none leaves",
			Truth: truth("connect.not-sent|no-traffic", "host", "host|client"), End: Fails, Says: "i/o timeout", Modules: small(),
			Path: Path{Output: []string{"tcp dport 443 drop"}}, Interfaces: everywhere(),
		},
		{
			Name: "local-dns-dropped", About: "the client's own packet filter swallows DNS questions: there is no traffic",
			Truth: truth("no-traffic|dns.no-answer", "", "host|client"), Quick: true, End: Fails, Modules: small(),
			Path: Path{Output: []string{"udp dport 53 drop"}}, Interfaces: everywhere(),
		},
		{
			Name: "local-syn-reset", About: "the client's own packet filter answers SYNs with a reset, on loopback",
			Truth: truth("connect.rejected-locally", "host", "host"), Quick: true, End: Fails, Says: "connection refused",
			Path: Path{Output: []string{"tcp dport 443 reject with tcp reset"}}, Interfaces: everywhere(),
		},
		{
			Name: "local-syn-reset-any", About: "the same seen on all interfaces at once (cooked)",
			Truth: truth("connect.rejected-locally", "host", "host"), Quick: true, End: Fails, Says: "connection refused",
			Path: Path{Output: []string{"tcp dport 443 reject with tcp reset"}}, Interfaces: []string{"any"},
		},
		{
			Name: "local-syn-icmp", About: "the client's own packet filter answers SYNs with ICMP, on loopback",
			Truth: truth("connect.rejected-locally", "host", "host"), Quick: true, End: Fails,
			Path: Path{Output: []string{"tcp dport 443 reject with icmp type admin-prohibited"}}, Interfaces: everywhere(),
		},
		{
			Name: "local-syn-reset-unseen", About: "the same reset, but only Ethernet is captured: an answered lookup and no SYN",
			Truth: truth("connect.not-sent", "host", "host|client"), Quick: true, End: Fails, Says: "connection refused", Linger: 7e9, Interfaces: []string{"eth0"},
			Path: Path{Output: []string{"tcp dport 443 reject with tcp reset"}},
		},
		{
			Name: "local-answer-ignored", About: "the client's own packet filter drops SYN/ACKs, which the capture shows",
			Truth: truth("connect.answer-ignored", "host", "host"), End: Fails, Says: "i/o timeout", Modules: small(),
			Path: Path{Input: []string{"tcp sport 443 tcp flags & (syn | ack) == (syn | ack) drop"}},
		},
		{
			Name: "local-flight-ignored", About: "the client's own packet filter drops the server's flight, which the capture shows",
			Truth: truth("tls.answer-ignored", "host", "host"), Quick: true, End: Fails, Says: "TLS handshake timeout", Modules: small(),
			Path: Path{Plain: true, Input: []string{"tcp sport 443 meta length > 120 drop"}},
		},
		{
			Name: "local-hello-swallowed", About: "the client's own packet filter swallows the ClientHello: the handshake is followed by nothing",
			Truth: truth("tls.client-hello-not-sent", "host", "host|client"), Quick: true, End: Fails, Says: "TLS handshake timeout", Modules: small(),
			Path: Path{Output: []string{"tcp dport 443 meta length > 120 drop"}},
		},
		{
			Name: "local-hello-reset", About: "the client's own packet filter answers the ClientHello with a reset, on loopback",
			Truth: truth("tls.client-hello-not-sent|tls.reset", "host", "host"), Quick: true, End: Fails, Says: "connection reset by peer", Modules: small(),
			Path: Path{Plain: true, Output: []string{"tcp dport 443 meta length > 120 reject with tcp reset"}}, Interfaces: everywhere(),
		},
	}
}
