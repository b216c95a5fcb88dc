//go:build linux

package lab

import "crypto/tls"

// Scenarios with a program on the client's machine between the go command and
// the wire.
func inspectScenarios() []Scenario {
	return []Scenario{
		{
			Name: "inspected-untrusted", About: "a program on this host breaks open what goes to the module proxy, and go does not trust its certificate",
			Truth: truth("tls.local-interception|tls.certificate-rejected", "host", "host"), Quick: true, End: Fails, Says: "certificate signed by unknown authority",
			Interfaces: everywhere(), Inspector: &Inspector{Certificate: Untrusted},
		},
		{
			Name: "inspected-silent", About: "a program on this host takes what goes to the module proxy and says nothing",
			Truth: truth("tls.local-interception|tls.no-server-hello", "host", "host"), Quick: true, End: Fails, Says: "TLS handshake timeout", Modules: small(),
			Interfaces: everywhere(), Inspector: &Inspector{Silent: true},
		},
		{
			Name: "inspected-healthy", About: "a program on this host breaks open what goes to the module proxy, and go trusts its certificate",
			Truth: healthy, Quick: true, Interfaces: everywhere(), Inspector: &Inspector{},
		},
		{
			Name: "local-tunnel-healthy", About: "HTTPS_PROXY names a CONNECT proxy on this host",
			Truth: healthy, Quick: true, Interfaces: everywhere(), Inspector: &Inspector{Asked: true},
		},
		{
			Name: "local-tunnel-untrusted", About: "HTTPS_PROXY names a CONNECT proxy on this host, and the far end's certificate is not trusted",
			Truth: truth("tls.certificate-rejected", "network|remote", "network|remote"), Quick: true, End: Fails, Says: "certificate signed by unknown authority",
			Interfaces: everywhere(), Inspector: &Inspector{Asked: true},
			Proxy: Site{Certificate: Untrusted, TLS: func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }},
		},
		{
			Name: "local-tunnel-silent", About: "HTTPS_PROXY names a CONNECT proxy on this host; the far end never answers the ClientHello",
			Truth: truth("tls.no-server-hello", "remote", "network|remote"), Quick: true, End: Fails, Says: "TLS handshake timeout", Modules: small(),
			Interfaces: everywhere(), Inspector: &Inspector{Asked: true}, Proxy: Site{Hello: Silent},
		},
	}
}
