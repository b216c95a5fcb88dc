package diagnose

import (
	"crypto/tls"
	"slices"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"goproxytrace/internal/packets"
)

// skipUp is client data that the capture lacks; the server acknowledges it.
func (w *wire) skipUp(n int) *wire {
	w.cseq += uint32(n)
	w.sack = w.cseq
	return w.wait(rtt)
}

// shakeWithout plays a recorded handshake of TLS 1.3 whose second flight of the
// client the capture lacks.
func (w *wire) shakeWithout(t *testing.T) *wire {
	own := 0
	for _, f := range handshake(t, tls.VersionTLS13, false) {
		switch {
		case !f.fromClient:
			w.down(f.bytes)
		case own == 1:
			w.skipUp(len(f.bytes))
			own++
		default:
			w.up(f.bytes, true)
			own++
		}
	}
	return w
}

// endStream is the empty DATA frame that ends an answer.
func (w *wire) endStream() *wire { return w.down(appData(9 + recordOverhead13)) }

func TestFirstRecordNotCaptured(t *testing.T) {
	runStories(t, v4Server, []story{
		{"certificate refused", func(t *testing.T, w *wire) int64 {
			w.open()
			for _, f := range handshake(t, tls.VersionTLS13, true) {
				if f.fromClient {
					w.up(f.bytes, true)
				} else {
					w.down(f.bytes)
				}
			}
			w.cfin()
			return 0
		}, TLSCertificateRejected, beyond, Suggested, []string{"client.refused-encrypted"}},
		{"farewell behind a flight that the capture lacks", func(t *testing.T, w *wire) int64 {
			w.open().shakeWithout(t).up(appData(refusalRecord), true).cfin().wait(rtt).sfin()
			return 0
		}, OK, nil, Proven, nil},
	})
}

// TestServerDirectionOnly has nothing of the client's in the file.
func TestServerDirectionOnly(t *testing.T) {
	w := newWire(newPipe(t), v4Server).synack()
	w.sseq, w.sack = 1, 1
	for _, f := range handshake(t, tls.VersionTLS13, false) {
		if f.fromClient {
			w.sack += uint32(len(f.bytes))
			continue
		}
		for b := f.bytes; len(b) > 0; {
			n := min(len(b), mss)
			w.put(w.s(packets.ACK|packets.PSH, w.sseq, w.sack, b[:n]))
			w.sseq += uint32(n)
			b = b[n:]
		}
	}
	if v := only(t, w.p, 0); v.Class != CaptureUnusable || !slices.Contains(v.NotAssessed, "skip.one-direction") {
		t.Errorf("%s, not assessed %v", v.Class, v.NotAssessed)
	}
}

// TestHelloNotAcknowledged has silence after a hello that the server may never
// have received: nothing is said of its acknowledgement.
func TestHelloNotAcknowledged(t *testing.T) {
	runStories(t, v4Server, []story{
		{"acknowledged", func(t *testing.T, w *wire) int64 {
			w.open().up(hello(t), true).wait(10 * sec).cfin()
			return w.now + sec
		}, TLSNoServerHello, beyond, Proven, []string{"clienthello.acknowledged"}},
		{"not acknowledged and not sent again", func(t *testing.T, w *wire) int64 {
			w.open().up(hello(t), false).wait(10 * sec).cfin()
			return w.now + sec
		}, CaptureUnusable, nil, None, nil},
	})
}

func TestWindowOfReset(t *testing.T) {
	runStories(t, v4Server, []story{
		{"window shut long ago, reset with window zero", func(t *testing.T, w *wire) int64 {
			download(t, w).request()
			w.put(w.c(packets.ACK, w.cseq, w.cack, nil).Window(0))
			w.wait(sec).put(w.c(packets.ACK, w.cseq, w.cack, nil))
			w.down(appData(3000)).wait(8 * sec)
			w.put(w.c(packets.RST, w.cseq, 0, nil).Window(0))
			return 0
		}, OK, nil, Proven, nil},
		{"window shut for good, reset", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(15000)[:3000])
			for range 5 {
				w.put(w.c(packets.ACK, w.cseq, w.cack, nil).Window(0))
				w.wait(2 * sec)
			}
			w.put(w.c(packets.RST, w.cseq, 0, nil).Window(0))
			return 0
		}, TransferReceiverStalled, atThisEnd, Proven, []string{"client.zero-window"}},
	})
}

func TestNothingDue(t *testing.T) {
	const control = 9 + 13 + 13 // acknowledged SETTINGS and two WINDOW_UPDATEs
	runStories(t, v4Server, []story{
		{"reset behind a complete answer", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(4000)).endStream().wait(300 * ms).srst()
			return 0
		}, TransferReset, beyond, Consistent, nil},
		{"reset behind a record of an answer", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(4000)).wait(300 * ms).srst()
			return 0
		}, TransferReset, beyond, Proven, nil},
		{"closed behind control frames", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(4000)).endStream().up(appData(control+recordOverhead13), true).wait(300 * ms).sfin().cfin()
			return 0
		}, OK, nil, Proven, nil},
		{"closed behind a request of nearly that size", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(4000)).endStream().up(appData(control+1+recordOverhead13), true).wait(300 * ms).sfin().cfin()
			return 0
		}, TransferTruncated, beyond, Suggested, []string{"close.before-answer"}},
		{"farewell unanswered", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(4000)).endStream().wait(30 * sec)
			seq, bye := w.cseq, appData(refusalRecord)
			w.up(bye, false).cfin().again(seq, bye, 5)
			return w.now + 10*sec
		}, OK, nil, Proven, nil},
		{"farewell unanswered in the middle of an answer", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(4000)[:2000]).wait(30 * sec)
			seq, bye := w.cseq, appData(refusalRecord)
			w.up(bye, false).cfin().again(seq, bye, 5)
			return w.now + 10*sec
		}, TransferPathDead, beyond, Proven, []string{"request.resent"}},
	})
}

// TestPooled has connections that wait for the next request: what may be a
// finding on each of them is none on the whole where the answer had ended.
func TestPooled(t *testing.T) {
	for _, s := range []struct {
		name  string
		play  func(t *testing.T, w *wire)
		class Class
		level Level
	}{
		{"complete answer", func(t *testing.T, w *wire) {
			download(t, w).request().down(appData(4000)).endStream()
		}, OK, Consistent},
		{"answer in one record", func(t *testing.T, w *wire) {
			download(t, w).request().down(appData(4000))
		}, TransferRemoteIdle, Consistent},
		{"answer stopped in a record", func(t *testing.T, w *wire) {
			download(t, w).request().down(appData(4000)[:2000])
		}, TransferRemoteIdle, Proven},
	} {
		t.Run(s.name, func(t *testing.T) {
			p := newPipe(t)
			w := newWire(p, v4Server)
			s.play(t, w)
			w.wait(30 * sec).keepAlive(true).wait(15 * sec).keepAlive(true)
			if v := p.finish(w.now + sec); v.Class != s.class || v.Level != s.level {
				t.Errorf("got %s %s, want %s %s", v.Class, v.Level, s.class, s.level)
			}
		})
	}
}

func TestRequestSizes(t *testing.T) {
	const (
		aesGCM   = 0xc02f
		chacha   = 0xcca8
		aesCBC   = 0xc013
		ccm8     = 0xc0a0
		unlisted = 0x7777
	)
	for _, s := range []struct {
		suite  uint16
		length uint16
		want   bool
	}{
		{aesGCM, 24 + 12, false}, {aesGCM, 24 + 13, false}, {aesGCM, 24 + 60, true},
		{chacha, 16 + 13, false}, {chacha, 16 + 60, true}, {chacha, 24 + 13, true},
		{ccm8, 16 + 13, false}, {ccm8, 16 + 60, true},
		{aesCBC, 64, false}, {aesCBC, 100, false}, {aesCBC, 240, true},
		{unlisted, 240, false},
	} {
		w := serverChose(t, s.suite)
		r := w.cs.First[0]
		r.Type, r.Length = 23, s.length
		if got := w.isRequest(r); got != s.want {
			t.Errorf("suite %#04x, record of %d: request %v", s.suite, s.length, got)
		}
	}
}

// serverChose returns the view of a recorded connection over TLS 1.2 with
// another cipher suite in its ServerHello.
func serverChose(t *testing.T, suite uint16) *view {
	t.Helper()
	p := newPipe(t)
	var w *view
	p.flow = func(f *Flow) {
		w = new(view)
		w.init(f)
	}
	newWire(p, v4Server).open().shake(t, tls.VersionTLS12).cfin()
	p.finish(0)
	w.f.TLS.ServerHello.CipherSuite = suite
	return w
}

// TestSliced judges records that the snapshot length cut.
func TestSliced(t *testing.T) {
	for _, snap := range []int{96, 200} {
		p := newPipe(t)
		p.snap = snap
		p.targets = []string{testHost}
		p.names[addrOf(v4Server)] = testHost
		const spare = "203.0.113.9:443"
		p.names[addrOf(spare)] = "goproxy.io"
		w := newWire(p, v4Server)
		w.open().up(hello(t), true).srst().wait(sec)
		w.another("40002", spare).fine(t)
		if v := p.finish(0); v.Class != OK || !slices.Contains(v.Notes, "fallback") {
			t.Errorf("at %d bytes a packet: %s %v, want a fallback that went well", snap, v.Class, v.Notes)
		}
	}
	p := newPipe(t)
	p.snap = 96
	p.targets = []string{testHost}
	p.names[addrOf(v4Server)] = testHost
	const spare = "203.0.113.9:443"
	p.names[addrOf(spare)] = "longer.example.org" // so that the hello is another program's
	w := newWire(p, v4Server)
	w.open().up(hello(t), true).srst().wait(sec)
	w.another("40002", spare).fine(t)
	if v := p.finish(0); v.Class != TLSReset {
		t.Errorf("%s, want the reset: what came later was another program's", v.Class)
	}
}

func TestWeakest(t *testing.T) {
	for _, s := range []struct {
		name  string
		play  func(t *testing.T, p *pipe)
		class Class
		level Level
	}{
		{"complete", func(t *testing.T, p *pipe) { newWire(p, v4Server).fine(t) }, OK, Proven},
		{"cut file", func(t *testing.T, p *pipe) { p.env.Damaged = true; newWire(p, v4Server).fine(t) }, OK, Consistent},
		{"one still open", func(t *testing.T, p *pipe) {
			w := newWire(p, v4Server).fine(t)
			w.another("40002", v4Server).open().shake(t, tls.VersionTLS13)
		}, OK, Consistent},
		{"nothing in a file that is cut", func(_ *testing.T, p *pipe) { p.env.Damaged = true }, CaptureUnusable, None},
		{"nothing in a whole file", func(*testing.T, *pipe) {}, NoTraffic, None},
	} {
		t.Run(s.name, func(t *testing.T) {
			p := newPipe(t)
			s.play(t, p)
			if v := p.finish(0); v.Class != s.class || v.Level != s.level {
				t.Errorf("got %s %s, want %s %s", v.Class, v.Level, s.class, s.level)
			}
		})
	}
}

// TestQuestionCapturedTwice has a question in the file twice; its answers
// contradict each other all the same. A question that was sent again may be
// answered twice, and differently.
func TestQuestionCapturedTwice(t *testing.T) {
	const a = dnsmessage.TypeA
	for _, s := range []struct {
		name  string
		again int64
		class Class
	}{{"captured twice", ms, DNSForged}, {"sent again", 5 * sec, OK}} {
		t.Run(s.name, func(t *testing.T) {
			d := newDNS(t, newPipe(t))
			d.ask("1001", 1, a).wait(s.again)
			d.ask("1001", 1, a).answer("1001", 1, a, 0, "192.0.2.66").answer("1001", 1, a, 0, "198.51.100.1")
			d.p.finish(d.now + sec)
			if v := d.p.judged[0].v; v.Class != s.class {
				t.Errorf("%s, want %s", v.Class, s.class)
			}
		})
	}
	d := newDNS(t, newPipe(t))
	d.ask("1001", 1, a).wait(ms)
	d.ask("1001", 1, a)
	d.p.finish(d.now + 10*sec)
	if v := d.p.judged[0].v; v.Class != DNSNoAnswer || v.Level != Consistent {
		t.Errorf("one question captured twice: %s %s, want no proof of a second one", v.Class, v.Level)
	}
}
