//go:build linux

package lab

import (
	"crypto/tls"
	"fmt"
)

// Scenarios in which one end refuses the other in TLS, or speaks something else.
func refusalScenarios() []Scenario {
	far := "network|remote"
	var list []Scenario
	for _, a := range []struct {
		number     byte
		name, says string
	}{
		{40, "handshake_failure", "handshake failure"}, {49, "access_denied", "access denied"}, {70, "protocol_version", "protocol version"},
		{80, "internal_error", "internal error"}, {112, "unrecognized_name", "unrecognized name"}, {120, "no_application_protocol", "no application protocol"},
	} {
		list = append(list, Scenario{
			Name: fmt.Sprintf("hello-alert-%d", a.number), About: fmt.Sprintf("the server answers the ClientHello with a fatal %s alert", a.name),
			Truth: truth("tls.alert-from-server", "remote", far), Quick: true, End: Fails, Says: a.says, Proxy: Site{Hello: Alert(a.number)},
		})
	}
	for _, c := range []struct {
		name, about, says string
		kind              Kind
	}{
		{"untrusted", "the authority of the server's certificate is unknown, as with an inspecting proxy", "signed by unknown authority", Untrusted},
		{"expired", "the server's certificate has expired", "has expired", Expired},
		{"wrong-name", "the server's certificate is for another host", "is valid for", WrongName},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			list = append(list, Scenario{
				Name: fmt.Sprintf("certificate-%s-tls1%d", c.name, version-tls.VersionTLS10), About: fmt.Sprintf("%s, TLS 1.%d", c.about, version-tls.VersionTLS10),
				Truth: truth("tls.certificate-rejected", far, far), Quick: true, End: Fails, Says: c.says,
				Proxy: Site{Certificate: c.kind, TLS: func(config *tls.Config) { config.MaxVersion = version }},
			})
		}
	}
	return append(list, []Scenario{
		{
			Name: "hello-alert", About: "the server answers the ClientHello with handshake_failure, offloads off",
			Truth: truth("tls.alert-from-server", "remote", far), Quick: true, End: Fails, Says: "handshake failure",
			Proxy: Site{Hello: Alert(40)}, Path: Path{Plain: true},
		},
		{
			Name: "client-alert-version", About: "the server insists on TLS 1.1, which the client refuses",
			Truth: truth("tls.alert-from-client|tls.alert-from-server", far, far), Quick: true, End: Fails,
			// A ServerHello of TLS 1.1, of which only the version matters.
			Proxy: Site{Hello: Answer("\x16\x03\x02\x00\x2a\x02\x00\x00\x26\x03\x02" + "an unhappy server's random of 32" + "\x00\x00\x2f\x00")},
		},
		{
			Name: "plain-http", About: "a plain HTTP server answers on port 443",
			Truth: truth("tls.not-tls", "remote", far), Quick: true, End: Fails, Says: "server gave HTTP response to HTTPS client",
			Proxy: Site{Hello: Answer("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 12\r\nConnection: close\r\n\r\nBad Request\n")},
		},
		{
			Name: "plain-portal", About: "a portal redirects on port 443 in plain HTTP",
			Truth: truth("tls.not-tls", far, far), Quick: true, End: Fails, Says: "server gave HTTP response to HTTPS client", Path: Path{RTT: ms, Plain: true},
			Proxy: Site{Hello: Answer("HTTP/1.1 302 Found\r\nLocation: http://portal.example/login\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")},
		},
		{
			Name: "plain-ssh", About: "an SSH server answers on port 443",
			Truth: truth("tls.not-tls", "remote", far), Quick: true, End: Fails,
			Proxy: Site{Hello: Answer("SSH-2.0-OpenSSH_9.2p1\r\n")},
		},
	}...)
}
