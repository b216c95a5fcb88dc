//go:build linux

package lab

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// revocationName is where certificates are asked about.
const revocationName = "crl.example"

// revocationAddr is where nobody is, beyond the middlebox.
var revocationAddr = addresses{netip.MustParseAddr("198.51.100.80"), netip.MustParseAddr("2001:db8:100::80")}

// verificationScenarios have a client that asks, before it trusts a
// certificate, whether that was revoked. The go command does so where the
// operating system checks certificates for it; on Linux a program of the lab
// stands in for it.
func verificationScenarios() []Scenario {
	stalled := truth("client.verification-stalled", "host|client", "host|client")
	resolved := func(q dnsmessage.Question) *dnsmessage.Message {
		if q.Name.String() == revocationName+"." && q.Type == dnsmessage.TypeA {
			return records(q, revocationAddr.v4)
		}
		return nil
	}
	dropped := Path{Box: []Maker{Drop(All(TCP, To(revocationAddr.v4.String())))}}
	return []Scenario{
		{
			Name: "verification-stalled", About: "the client asks whether the certificate was revoked, and SYNs to port 80 stay without an answer",
			Truth: stalled, Quick: true, End: Fails, Says: "timeout", Lookup: resolved, Path: dropped, Program: verify(15 * time.Second),
		},
		{
			Name: "verification-stalled-distant", About: "the same 150 ms away, TLS 1.2, offloads off",
			Truth: stalled, Quick: true, End: Fails, Says: "timeout", Lookup: resolved, Program: verify(15 * time.Second),
			Path:  Path{RTT: 150 * ms, Plain: true, Box: dropped.Box},
			Proxy: Site{TLS: func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }},
		},
		{
			Name: "verification-lookup-stalled", About: "the client asks whether the certificate was revoked, and the lookup of the responder stays without an answer",
			Truth: truth("client.verification-stalled|client.stalled", "host|client", "host|client"), Quick: true, End: Fails, Says: "timeout", Program: verify(15 * time.Second),
			Lookup: func(q dnsmessage.Question) *dnsmessage.Message {
				if q.Name.String() == revocationName+"." {
					return silence
				}
				return nil
			},
		},
		{
			Name: "verification-short", About: "the client asks whether the certificate was revoked, gets no answer for 3 s and trusts it",
			Truth: healthy, Quick: true, Lookup: resolved, Path: dropped, Program: verify(3 * time.Second),
		},
		{
			Name: "verification-refused", About: "the client asks whether the certificate was revoked, is refused at once and trusts it",
			Truth: healthy, Quick: true, Program: verify(9 * time.Second),
			Lookup: func(q dnsmessage.Question) *dnsmessage.Message {
				if q.Name.String() == revocationName+"." && q.Type == dnsmessage.TypeA {
					return records(q, tunnelAddr.v4)
				}
				return nil
			},
		},
	}
}

// verify is a client that fetches a file of the module proxy as the go command
// does, and waits for the revocation check of the server's certificate, but not
// longer than patience. It gives the handshake up when net/http would.
func verify(patience time.Duration) func(context.Context, *Lab) error {
	return func(ctx context.Context, l *Lab) error {
		c, err := l.dial(ctx, ProxyName, "443")
		if err != nil {
			return err
		}
		defer c.Close()
		defer context.AfterFunc(ctx, func() { c.Close() })()
		t := tls.Client(c, &tls.Config{
			ServerName: ProxyName, NextProtos: []string{"http/1.1"}, InsecureSkipVerify: true,
			VerifyPeerCertificate: func([][]byte, [][]*x509.Certificate) error {
				asking, cancel := context.WithTimeout(ctx, patience)
				defer cancel()
				// No answer is no revocation.
				if check, err := l.dial(asking, revocationName, "80"); err == nil {
					check.Close()
				}
				return nil
			},
		})
		shaken := make(chan error, 1)
		go func() { shaken <- t.Handshake() }()
		select {
		case err := <-shaken:
			if err != nil {
				return err
			}
		case <-time.After(10 * time.Second):
			return fmt.Errorf("TLS handshake timeout with %s", ProxyName)
		}
		fmt.Fprintf(t, "GET /example.net/alpha/@v/v1.2.3.mod HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", ProxyName)
		answer, err := io.ReadAll(t)
		if err == nil && !strings.HasPrefix(string(answer), "HTTP/1.1 200") {
			err = fmt.Errorf("%s answered %.40q", ProxyName, answer)
		}
		t.Close()
		return err
	}
}

// dial looks a name up and connects, at the client.
func (l *Lab) dial(ctx context.Context, name, port string) (c net.Conn, err error) {
	var d net.Dialer
	at := func(ctx context.Context, network, address string) (c net.Conn, err error) {
		l.Client(func() { c, err = d.DialContext(ctx, network, address) })
		return c, err
	}
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return at(ctx, "udp", net.JoinHostPort(resolverAddr.v4.String(), "53"))
	}}
	list, err := r.LookupNetIP(ctx, "ip4", name)
	if err != nil {
		return nil, err
	}
	return at(ctx, "tcp", net.JoinHostPort(list[0].Unmap().String(), port))
}
