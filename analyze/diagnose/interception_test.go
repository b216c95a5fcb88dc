package diagnose

import (
	"crypto/tls"
	"slices"
	"testing"

	"goproxytrace/internal/packets"
)

const (
	goPID      = 100
	productPID = 900
)

// relayed plays a client whose TLS goes to server on its own machine, and what
// another process does on the wire meanwhile; then the client refuses what it is
// shown.
func relayed(t *testing.T, p *pipe, server string, greeting bool, wire func(w *wire)) {
	own := newWire(p, server)
	if server == loopbackProxy {
		own.client = "127.0.0.1:40001"
	}
	own.open()
	if greeting {
		own.up([]byte("CONNECT "+testHost+":443 HTTP/1.1\r\nHost: "+testHost+":443\r\n\r\n"), true).down([]byte("HTTP/1.1 200 Connection established\r\n\r\n"))
	}
	refused := handshake(t, tls.VersionTLS13, true)
	own.up(refused[0].bytes, true)
	o := own.another("40002", v4Server)
	wire(o)
	own.now = max(own.now, o.now)
	for _, f := range refused[1:] {
		if f.fromClient {
			own.up(f.bytes, true)
		} else {
			own.down(f.bytes)
		}
	}
	own.cfin().wait(rtt).sfin()
}

const loopbackProxy = "127.0.0.1:44300"

func TestLocalInterception(t *testing.T) {
	well := func(w *wire) { w.fine(t) }
	for _, s := range []struct {
		name     string
		server   string
		greeting bool
		wire     func(*wire)
		owners   [2]uint32 // of the client's connection and of the one on the wire
		want     Class
		place    []Place
		level    Level
	}{
		{"a product in between, over loopback", loopbackProxy, false, well, [2]uint32{goPID, productPID}, TLSLocalInterception, inHost, Proven},
		{"a product in between, over a TUN device", "198.18.0.7:443", false, well, [2]uint32{goPID, productPID}, TLSLocalInterception, inHost, Suggested},
		{"a proxy that the client was told of", loopbackProxy, true, well, [2]uint32{goPID, productPID}, TLSCertificateRejected, beyond, Suggested},
		{"one process that speaks with itself", loopbackProxy, false, well, [2]uint32{goPID, goPID}, TLSCertificateRejected, inRemote, Suggested},
		{"owners that nobody recorded", loopbackProxy, false, well, [2]uint32{}, TLSCertificateRejected, inRemote, Suggested},
		{"a host of its own on this machine", loopbackProxy, false, func(*wire) {}, [2]uint32{goPID, productPID}, TLSCertificateRejected, inRemote, Suggested},
		{"another program that was there before", "198.51.100.77:443", false, well, [2]uint32{goPID, productPID}, TLSCertificateRejected, beyond, Suggested},
		{"a product whose own connection is reset", loopbackProxy, false, func(w *wire) {
			w.open().up(hello(t), true).wait(rtt).srst()
		}, [2]uint32{goPID, productPID}, TLSReset, beyond, Proven},
	} {
		t.Run(s.name, func(t *testing.T) {
			p := newPipe(t)
			p.targets = []string{testHost}
			p.env.Owner = func(pid uint32) string { return map[uint32]string{productPID: "shield.exe"}[pid] }
			p.flow = func(f *Flow) {
				i := 0
				if f.Conn.ServerEnd().Addr == addrOf(v4Server) {
					i = 1
				}
				f.Conn.ProcessID = s.owners[i]
			}
			relayed(t, p, s.server, s.greeting, s.wire)
			v := p.finish(0)
			if v.Class != s.want || !slices.Equal(v.Place, s.place) || v.Level != s.level {
				t.Fatalf("got %s %v %s, want %s %v %s", v.Class, v.Place, v.Level, s.want, s.place, s.level)
			}
			i := slices.IndexFunc(v.Evidence, func(e Evidence) bool { return e.ID == "relay.owner" })
			named := i >= 0 && slices.Contains(v.Evidence[i].Values, Text("owner", "shield.exe")) && len(v.Evidence[i].Frames) == 2
			if expects := s.want != TLSCertificateRejected; named != expects {
				t.Errorf("names the process in between: %v, want %v", named, expects)
			}
			if s.want != TLSLocalInterception {
				return
			}
			for _, own := range p.agg.Processes(&p.env, p.health) {
				if is := own.Verdict.Class == TLSLocalInterception; is != (own.PID == goPID) {
					t.Errorf("process %d: %s", own.PID, own.Verdict.Class)
				}
			}
		})
	}
}

// A product that made its own connection and then holds the client's is told of
// too: on the wire nothing is due.
func TestProductThatHolds(t *testing.T) {
	for _, s := range []struct {
		name  string
		asked bool // the product has sent a request of its own
		want  Class
	}{
		{"nothing asked on the wire", false, TLSLocalInterception},
		{"a request on the wire without an answer", true, HTTPNoResponse},
	} {
		t.Run(s.name, func(t *testing.T) {
			p := newPipe(t)
			p.targets = []string{testHost}
			p.flow = func(f *Flow) {
				f.Conn.ProcessID = goPID
				if f.Conn.ServerEnd().Addr == addrOf(v4Server) {
					f.Conn.ProcessID = productPID
				}
			}
			own := newWire(p, loopbackProxy)
			own.client = "127.0.0.1:40001"
			own.open().up(hello(t), true)
			wire := own.another("40002", v4Server)
			download(t, wire)
			if s.asked {
				wire.request()
			}
			own.now = max(own.now, wire.now) + 10*sec
			own.cfin().wait(rtt).put(own.s(packets.ACK, own.sseq, own.cseq, nil))
			if v := p.finish(own.now + 2*sec); v.Class != s.want {
				t.Errorf("got %s %v %s, want %s", v.Class, v.Place, v.Level, s.want)
			}
		})
	}
}

// A client that leaves on its own is nobody else's doing.
func TestLeftInFrontOfProduct(t *testing.T) {
	p := newPipe(t)
	p.targets = []string{testHost}
	p.flow = func(f *Flow) {
		f.Conn.ProcessID = goPID
		if f.Conn.ServerEnd().Addr == addrOf(v4Server) {
			f.Conn.ProcessID = productPID
		}
	}
	own := newWire(p, loopbackProxy)
	own.client = "127.0.0.1:40001"
	download(t, own).request().down(appData(4000))
	own.another("40002", v4Server).fine(t)
	own.cfin()
	for range 4 {
		own.put(own.s(packets.ACK, own.sseq, own.sack, make([]byte, mss)))
		own.sseq += mss
	}
	if v := p.finish(0); v.Class != ClientAborted {
		t.Errorf("got %s", v.Class)
	}
}
