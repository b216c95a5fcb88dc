package analyze

import (
	"fmt"
	"strings"
	"testing"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/internal/corpus"
)

const proxyEnd = "198.51.100.7:3128"

const (
	connectRequest = "CONNECT proxy.example:443 HTTP/1.1\r\nHost: proxy.example:443\r\nUser-Agent: Go-http-client/1.1\r\n\r\n"
	connectGranted = "HTTP/1.1 200 Connection established\r\n\r\n"
	connectDenied  = "HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\nVia: 1.1 corporate\r\n\r\nsorry\n"
	askCredentials = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 4\r\n\r\nwho?"
	withCredential = "CONNECT proxy.example:443 HTTP/1.1\r\nHost: proxy.example:443\r\nProxy-Authorization: Basic YTpi\r\n\r\n"
)

// proxied checks a granted tunnel with its TLS.
func proxied(t *testing.T, w *wire) {
	t.Helper()
	c := only(t, analyse(t, w, lookedFor))
	if p := c.Proxy; p == nil || p.Target != "proxy.example:443" || p.Status != 200 || p.Frame == 0 {
		t.Errorf("proxy %+v", c.Proxy)
	}
	if c.TLS == nil || c.TLS.ServerHelloFrame == 0 || c.ServerName != "proxy.example" || !c.Target || c.Verdict.Died() {
		t.Errorf("connection to %q, target %v, TLS %+v, verdict %s", c.ServerName, c.Target, c.TLS, c.Verdict.Class)
	}
	w.next = 0
	lines, err := corpus.ReadFrames(strings.NewReader(framesOf(t, w)))
	if err != nil {
		t.Fatal(err)
	}
	names, hellos := 0, 0
	for _, l := range lines {
		if l.SNI == "proxy.example" && l.Handshake == "1" {
			names++
		}
		if l.Handshake == "2" {
			hellos++
		}
	}
	if names != 1 || hellos != 1 {
		t.Errorf("frames tell of %d ClientHellos and %d ServerHellos", names, hellos)
	}
}

// TestConnectTunnel holds that the TLS behind a CONNECT exchange is found
// however the heads are cut into segments.
func TestConnectTunnel(t *testing.T) {
	for _, size := range []int{1, 3, 7, 20, len(connectGranted) - 1, len(connectRequest) - 1, 1460} {
		w := newWire()
		w.talk(healthClient, proxyEnd).connect().send(0, []byte(connectRequest), size).send(1, []byte(connectGranted), size).
			tls("proxy.example", 5000).close(0)
		t.Run(fmt.Sprint("segments of ", size), func(t *testing.T) { proxied(t, w) })
	}
	t.Run("answer in one segment with the first TLS bytes", func(t *testing.T) {
		w := newWire()
		k := w.talk(healthClient, proxyEnd).connect()
		k.send(0, append([]byte(connectRequest), clientHello("proxy.example")...), 0) // a client that does not wait
		k.send(1, append([]byte(connectGranted), serverHello()...), 0)
		k.send(0, append(record(20, []byte{1}), record(23, make([]byte, 53))...), 0).send(1, record(23, make([]byte, 3000)), 0).close(0)
		proxied(t, w)
	})
	t.Run("head with many fields", func(t *testing.T) {
		w := newWire()
		answer := "HTTP/1.1 200 OK\r\n" + strings.Repeat("X-Filler: "+strings.Repeat("y", 90)+"\r\n", 100) + "\r\n"
		w.talk(healthClient, proxyEnd).connect().send(0, []byte(connectRequest), 0).send(1, []byte(answer), 0).tls("proxy.example", 5000).close(0)
		proxied(t, w)
	})
	t.Run("bare line feeds", func(t *testing.T) {
		w := newWire()
		w.talk(healthClient, proxyEnd).connect().send(0, []byte(strings.ReplaceAll(connectRequest, "\r", "")), 0).
			send(1, []byte(strings.ReplaceAll(connectGranted, "\r", "")), 0).tls("proxy.example", 5000).close(0)
		proxied(t, w)
	})
	t.Run("granted at the second request", func(t *testing.T) {
		w := newWire()
		w.talk(healthClient, proxyEnd).connect().send(0, []byte(connectRequest), 0).send(1, []byte(askCredentials), 0).
			send(0, []byte(withCredential), 0).send(1, []byte(connectGranted), 0).tls("proxy.example", 5000).close(0)
		proxied(t, w)
	})
	t.Run("granted at the second request, split", func(t *testing.T) {
		w := newWire()
		w.talk(healthClient, proxyEnd).connect().send(0, []byte(connectRequest), 11).send(1, []byte(askCredentials), 13).
			send(0, []byte(withCredential), 17).send(1, []byte(connectGranted), 19).tls("proxy.example", 5000).close(0)
		proxied(t, w)
	})
}

// TestConnectRefused holds what a proxy's "no" or silence comes to.
func TestConnectRefused(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		status       int
		want         diagnose.Class
	}{
		{"forbidden", connectDenied, 403, diagnose.ProxyRefused},
		{"credentials asked for", askCredentials, 407, diagnose.ProxyRefused},
		{"bad gateway", "HTTP/1.0 502 Bad Gateway\r\n\r\n", 502, diagnose.ProxyRefused},
		{"cut head", "HTTP/1.1 403 Forbidden\r\nVia: 1", 403, diagnose.ProxyRefused},
		{"silence", "", 0, diagnose.ProxySilent},
	} {
		w := newWire()
		k := w.talk(healthClient, proxyEnd).connect().send(0, []byte(connectRequest), 0)
		if c.answer != "" {
			k.send(1, []byte(c.answer), 0)
			k.close(1)
		} else {
			w.now += 40 * second
			w.add(k.packet(0).Seq(k.seq[0] - 1)) // keep-alive
			w.add(k.packet(1))
			w.now += 15 * second
			k.close(0)
		}
		r := analyse(t, w, lookedFor)
		conn := only(t, r)
		if conn.Verdict.Class != c.want || r.Verdict.Class != c.want || r.Subject != conn.ID {
			t.Errorf("%s: verdict %s, of the capture %s about %d; want %s", c.name, conn.Verdict.Class, r.Verdict.Class, r.Subject, c.want)
		}
		if p := conn.Proxy; p == nil || p.Status != c.status || (p.Frame != 0) != (c.answer != "") {
			t.Errorf("%s: proxy %+v", c.name, conn.Proxy)
		}
		if conn.TLS != nil {
			t.Errorf("%s: TLS %+v", c.name, conn.TLS)
		}
		if conn.ServerName != "proxy.example" || !conn.Target {
			t.Errorf("%s: server %q, target %v", c.name, conn.ServerName, conn.Target)
		}
	}
}

// TestSilentAfterCredentials holds that the answer to the first request is not
// taken for one to the second.
func TestSilentAfterCredentials(t *testing.T) {
	w := newWire()
	k := w.talk(healthClient, proxyEnd).connect().send(0, []byte(connectRequest), 0).send(1, []byte(askCredentials), 0)
	k.send(0, []byte(withCredential), 0)
	w.now += 40 * second
	w.add(k.packet(0).Seq(k.seq[0] - 1)) // keep-alive
	w.add(k.packet(1))
	w.now += 15 * second
	k.close(0)
	if c := only(t, analyse(t, w, lookedFor)); c.Verdict.Class != diagnose.ProxySilent || c.Proxy == nil || c.Proxy.Status != 0 {
		t.Errorf("verdict %s, proxy %+v", c.Verdict.Class, c.Proxy)
	}
}

// TestPlainHTTP holds that an HTTP answer to a ClientHello is told, and that
// plain HTTP on its own port is no fault.
func TestPlainHTTP(t *testing.T) {
	answer := []byte("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
	w := newWire()
	w.talk(healthClient, healthServer).connect().send(0, clientHello("proxy.example"), 0).send(1, answer, 0).close(1)
	r := analyse(t, w, lookedFor)
	if c := only(t, r); r.Verdict.Class != diagnose.TLSNotTLS || c.TLS == nil || c.Proxy != nil {
		t.Errorf("verdict %s, TLS %+v, proxy %+v", r.Verdict.Class, c.TLS, c.Proxy)
	}
	w = newWire()
	w.talk(healthClient, "198.51.100.1:80").connect().send(0, []byte("GET / HTTP/1.1\r\nHost: proxy.example\r\n\r\n"), 0).send(1, answer, 0).close(1)
	if c := only(t, analyse(t, w, Options{})); c.Verdict.Died() || c.TLS != nil || c.Proxy != nil {
		t.Errorf("plain HTTP: verdict %s, TLS %+v, proxy %+v", c.Verdict.Class, c.TLS, c.Proxy)
	}
}

// TestTLSByContent holds that TLS is found on any port, and from a record on
// where the beginning was not captured.
func TestTLSByContent(t *testing.T) {
	for _, port := range []int{443, 8443, 3000, 1, 65_535} {
		w := newWire()
		w.talk(healthClient, fmt.Sprintf("198.51.100.1:%d", port)).connect().tls("proxy.example", 5000).close(0)
		r := analyse(t, w, lookedFor)
		if c := only(t, r); c.TLS == nil || c.TLS.Version == "" || c.ServerName != "proxy.example" || c.Verdict.Class != diagnose.OK {
			t.Errorf("port %d: server %q, verdict %s, TLS %+v", port, c.ServerName, c.Verdict.Class, c.TLS)
		}
	}
	// Mid-stream: only the application data was captured.
	w := newWire()
	k := w.talk(healthClient, "198.51.100.1:8443")
	k.send(0, record(23, make([]byte, 200)), 0).send(1, record(23, make([]byte, 3000)), 0).send(0, record(23, make([]byte, 200)), 0).close(0)
	if c := only(t, analyse(t, w, Options{})); c.TLS == nil || c.TLS.ServerHelloFrame != 0 || c.Verdict.Died() {
		t.Errorf("mid-stream: verdict %s, TLS %+v", c.Verdict.Class, c.TLS)
	}
	// After other bytes of the same connection.
	w = newWire()
	k = w.talk(healthClient, "198.51.100.1:5222").connect()
	k.send(1, []byte("220 ready\r\n"), 0).send(0, []byte("STARTTLS\r\n"), 0).send(1, []byte("220 go ahead\r\n"), 0)
	k.tls("proxy.example", 3000).close(0)
	if c := only(t, analyse(t, w, Options{})); c.TLS == nil || c.TLS.ServerHelloFrame == 0 || c.ServerName != "proxy.example" {
		t.Errorf("after STARTTLS: server %q, TLS %+v", c.ServerName, c.TLS)
	}
	// Bytes that are none of it.
	w = newWire()
	w.talk(healthClient, "198.51.100.1:8443").connect().send(0, []byte("\x16\x99\x01\x00\x10not a record at all"), 0).send(1, []byte{0x17, 0x03}, 0).close(0)
	if c := only(t, analyse(t, w, Options{})); c.TLS != nil {
		t.Errorf("TLS out of nowhere: %+v", c.TLS)
	}
}
