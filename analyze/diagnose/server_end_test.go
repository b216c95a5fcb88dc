package diagnose

import (
	"crypto/tls"
	"slices"
	"testing"

	"goproxytrace/internal/packets"
)

// A connection that the server ends behind a complete record may have owed an
// answer, unless data came afterwards.
func TestEndedByServer(t *testing.T) {
	for _, s := range []struct {
		name  string
		play  func(t *testing.T, w *wire)
		level Level
	}{
		{"with a farewell, and nothing comes after", func(t *testing.T, w *wire) {
			download(t, w).request().down(appData(4000)).wait(100 * ms).down(appData(19)).sfin().cfin()
		}, Consistent},
		{"with a reset long after, and nothing comes after", func(t *testing.T, w *wire) {
			download(t, w).request().down(appData(4000)).wait(3 * sec).srst()
		}, Consistent},
		{"and another connection delivers later", func(t *testing.T, w *wire) {
			download(t, w).request().down(appData(4000)).wait(100 * ms).down(appData(19)).sfin().cfin()
			o := w.another("40002", v4Server)
			download(t, o.wait(sec)).wait(sec).cfin().wait(rtt).down(appData(19)).crst()
		}, Proven},
		{"behind the frame that ends the answer", func(t *testing.T, w *wire) {
			download(t, w).request().down(appData(4000)).down(appData(9 + recordOverhead13)).wait(sec).down(appData(19)).sfin().cfin()
		}, Proven},
		{"at the client's own close", func(t *testing.T, w *wire) {
			download(t, w).request().down(appData(4000)).wait(sec).cfin().wait(rtt).down(appData(19)).sfin()
		}, Proven},
		{"at once, as a server does that says so", func(t *testing.T, w *wire) {
			download(t, w).request().down(appData(4000)).down(appData(19)).sfin().cfin()
		}, Proven},
	} {
		t.Run(s.name, func(t *testing.T) {
			p := newPipe(t)
			p.targets = []string{testHost}
			w := newWire(p, v4Server)
			s.play(t, w)
			v := p.finish(w.now + 20*sec)
			complete(t, &v)
			if v.Class != OK || v.Level != s.level {
				t.Errorf("got %s %s %v, want ok %s", v.Class, v.Level, v.NotAssessed, s.level)
			}
			if says := slices.Contains(v.NotAssessed, "skip.ended-by-server"); says != (s.level == Consistent) {
				t.Errorf("says why: %v", says)
			}
		})
	}
}

// Beside a connection that delivered, one that was made and cannot be judged
// may have died.
func TestUnjudgedConnection(t *testing.T) {
	for _, gap := range []bool{false, true} {
		p := newPipe(t)
		p.targets = []string{testHost}
		w := newWire(p, v4Server)
		download(t, w).wait(sec).cfin().wait(rtt).down(appData(19)).crst()
		o := w.another("40002", v4Server).open().up(hello(t), true)
		if gap {
			o.put(o.c(packets.ACK, o.cseq, 4000, nil))
			o.wait(10 * sec)
		} else {
			for _, f := range handshake(t, tls.VersionTLS13, false)[1:] {
				if f.fromClient {
					o.up(f.bytes, true)
				} else {
					o.down(f.bytes)
				}
			}
			o.wait(sec).cfin().wait(rtt).down(appData(19)).crst()
		}
		v := p.finish(o.now)
		if v.Class != OK || (v.Level == Consistent) != gap || slices.Contains(v.NotAssessed, "skip.capture-missed") != gap {
			t.Errorf("one of them lacks packets: %v; got %s %s %v", gap, v.Class, v.Level, v.NotAssessed)
		}
	}
}

// What never left this machine did not die in the network; what a proxy on it
// carries on may have.
func TestPlacesOnLoopback(t *testing.T) {
	for _, s := range []struct {
		name   string
		server string
		play   func(t *testing.T, w *wire)
		class  Class
		place  []Place
	}{
		{"reset in the handshake", "127.0.0.1:443", func(t *testing.T, w *wire) { w.open().up(hello(t), true).srst() }, TLSReset, inRemote},
		{"the same over the network", v4Server, func(t *testing.T, w *wire) { w.open().up(hello(t), true).srst() }, TLSReset, beyond},
		{"lost ClientHello", "127.0.0.1:443", func(t *testing.T, w *wire) {
			h := hello(t)
			w.open().up(h, false).again(1, h[:mss], 6)
		}, TLSClientHelloLost, inHost},
		{"lost ClientHello over the network", v4Server, func(t *testing.T, w *wire) {
			h := hello(t)
			w.open().up(h, false).again(1, h[:mss], 6)
		}, TLSClientHelloLost, inNetwork},
		{"no ClientHello", "127.0.0.1:443", func(_ *testing.T, w *wire) { w.open() }, TLSClientHelloNotSent, atThisEnd},
		{"reset in a tunnel", "127.0.0.1:3128", func(t *testing.T, w *wire) {
			w.open().up([]byte("CONNECT "+testHost+":443 HTTP/1.1\r\nHost: "+testHost+":443\r\n\r\n"), true)
			w.down([]byte("HTTP/1.1 200 OK\r\n\r\n")).up(hello(t), true).srst()
		}, TLSReset, beyond},
	} {
		t.Run(s.name, func(t *testing.T) {
			p := newPipe(t)
			w := newWire(p, s.server)
			if s.server != v4Server {
				w.client, w.loopback = "127.0.0.1:40001", true
			}
			s.play(t, w)
			v := only(t, p, w.now+20*sec)
			if v.Class != s.class || !slices.Equal(v.Place, s.place) {
				t.Errorf("got %s %v, want %s %v", v.Class, v.Place, s.class, s.place)
			}
		})
	}
}

// A capture whose counters know of no drops may still lack packets: an
// acknowledgement on any of its connections tells.
func TestLosslessOnlyWithoutUnseen(t *testing.T) {
	for _, gap := range []bool{false, true} {
		p := newPipe(t)
		w := newWire(p, v4Server)
		w.open()
		if gap {
			w.put(w.c(packets.ACK, w.cseq, 4000, nil))
		}
		o := w.another("40002", v4Server).open()
		o.put(o.s(packets.RST|packets.ACK, 1, 1+uint32(len(hello(t))), nil))
		p.finish(w.now)
		if p.env.lossless() == gap {
			t.Errorf("an acknowledgement of what is not there: %v, lossless %v", gap, p.env.lossless())
		}
		v := p.judged[slices.IndexFunc(p.judged, func(j judged) bool { return j.id == 1 })].v
		if want := map[bool]Class{false: TLSClientHelloNotSent, true: CaptureUnusable}[gap]; v.Class != want {
			t.Errorf("a reset that acknowledges what was not captured: got %s, want %s", v.Class, want)
		}
	}
}
