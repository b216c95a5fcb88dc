package diagnose

import (
	"crypto/tls"
	"slices"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// A client that is silent behind the server's whole flight waits for what the
// system asks meanwhile, if that is a certificate check and gets no answer.
func TestVerificationStalled(t *testing.T) {
	const a, aaaa = dnsmessage.TypeA, dnsmessage.TypeAAAA
	for _, s := range []struct {
		name string
		play func(d *dns)
		want Class
		id   string
	}{
		{"nothing else", func(*dns) {}, ClientStalled, ""},
		{"an OCSP host whose name gets no answer", func(d *dns) {
			d.host = "ocsp.authority.example"
			d.ask("1001", 1, a).wait(5 * sec)
			d.ask("1002", 2, a)
		}, ClientVerificationStalled, "revocation.unresolved"},
		{"a list's host whose name gets no answer", func(d *dns) {
			d.host = "crl3.authority.example"
			d.ask("1001", 1, a).wait(5 * sec)
			d.ask("1002", 2, a)
		}, ClientVerificationStalled, "revocation.unresolved"},
		{"an OCSP host without an answer for IPv6 alone", func(d *dns) {
			d.host = "ocsp.authority.example"
			d.ask("1001", 1, a).ask("1002", 2, aaaa).answer("1001", 1, a, 0, "203.0.113.9").wait(5 * sec)
			d.ask("1003", 3, aaaa)
		}, ClientStalled, ""},
		{"another host whose name gets no answer", func(d *dns) {
			d.host = "www.authority.example"
			d.ask("1001", 1, a).wait(5 * sec)
			d.ask("1002", 2, a)
		}, ClientStalled, ""},
		{"an OCSP host that does not exist", func(d *dns) {
			d.host = "ocsp.authority.example"
			d.ask("1001", 1, a).answer("1001", 1, a, dnsmessage.RCodeNameError)
		}, ClientStalled, ""},
		{"a request that is acknowledged and not answered", func(d *dns) {
			d.another("40007", "203.0.113.9:80").open().up([]byte("GET /list.crl HTTP/1.1\r\nHost: x\r\n\r\n"), true)
		}, ClientVerificationStalled, "revocation.no-response"},
		{"a request that is answered", func(d *dns) {
			d.another("40007", "203.0.113.9:80").open().up([]byte("GET /list.crl HTTP/1.1\r\nHost: x\r\n\r\n"), true).down([]byte("HTTP/1.1 200 OK\r\n\r\n"))
		}, ClientStalled, ""},
		{"a connection to port 80 that asks nothing", func(d *dns) {
			d.another("40007", "203.0.113.9:80").open()
		}, ClientStalled, ""},
	} {
		t.Run(s.name, func(t *testing.T) {
			p := newPipe(t)
			w := newWire(p, v4Server)
			w.open().up(hello(t), true).down(handshake(t, tls.VersionTLS13, false)[1].bytes)
			d := newDNS(t, p)
			d.now = w.now + 50*ms
			s.play(d)
			w.wait(10 * sec).cfin()
			v := p.finish(max(w.now, d.now) + sec)
			complete(t, &v)
			if v.Class != s.want {
				t.Fatalf("got %s, want %s\n%+v", v.Class, s.want, p.judged)
			}
			if s.id != "" && !slices.ContainsFunc(v.Evidence, func(e Evidence) bool { return e.ID == s.id && len(e.Frames) > 0 }) {
				t.Errorf("no %s in %+v", s.id, v.Evidence)
			}
		})
	}
}

func TestRevocationName(t *testing.T) {
	for name, want := range map[string]bool{
		"ocsp.authority.example": true, "OCSP2.authority.example.": true, "crl.authority.example": true, "r3.o.lencr.org": true,
		"lencr.org.example": false, "notlencr.org": false, "proxy.example": false, "ocsp": false, "": false,
	} {
		if got := revocationName(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}
