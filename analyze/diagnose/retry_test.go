package diagnose

import (
	"crypto/tls"
	"slices"
	"testing"

	"goproxytrace/internal/packets"
)

// farewell is close_notify of both TLS 1.3 ends by its size.
func farewell() []byte { return appData(refusalRecord) }

// played plays the handshake alone: of the client's second flight the
// change_cipher_spec and Finished, without the request behind them.
func (w *wire) played(t *testing.T) *wire {
	f := handshake(t, tls.VersionTLS13, false)
	finished := f[2].bytes
	n := changeCipherSpecRecord + 5
	n += int(finished[n-2])<<8 | int(finished[n-1])
	return w.up(f[0].bytes, true).down(f[1].bytes).up(finished[:n], true)
}

// A server that closes on a request is a death, and the client's own farewell
// behind that does not hide it.
func TestClosedOnRequest(t *testing.T) {
	request := func() []byte { return appData(142) }
	runStories(t, v4Server, []story{
		{"closed without farewell", func(t *testing.T, w *wire) int64 {
			w.open().played(t).up(request(), true).wait(50*ms).sfin().up(farewell(), false).cfin()
			return 0
		}, TransferTruncated, beyond, Suggested, []string{"close.before-answer"}},
		{"closed with farewell", func(t *testing.T, w *wire) int64 {
			w.open().played(t).up(request(), true).wait(50*ms).down(farewell()).sfin().up(farewell(), false).cfin()
			return 0
		}, TransferTruncated, beyond, Suggested, []string{"close.before-answer"}},
		{"closed behind an answer", func(t *testing.T, w *wire) int64 {
			w.open().played(t).up(request(), true).wait(50*ms).down(appData(200)).down(farewell()).sfin().up(farewell(), false).cfin()
			return 0
		}, OK, nil, Proven, nil},
		{"nothing asked", func(t *testing.T, w *wire) int64 {
			w.open().played(t).wait(50*ms).down(farewell()).sfin().up(farewell(), false).cfin()
			return 0
		}, OK, nil, Consistent, nil},
	})
}

// On a connection that has served before, net/http sends a request again that
// the server's end crossed: what comes later shows it. HTTP/2 does not, nor does
// HTTP/1.1 on a new connection.
func TestRetriedRequest(t *testing.T) {
	served := func(t *testing.T, w *wire) *wire {
		return w.open().played(t).up(appData(142), true).down(appData(400)).wait(sec)
	}
	for _, s := range []struct {
		name  string
		play  func(t *testing.T, w *wire)
		class Class
	}{
		{"idle close crosses the request", func(t *testing.T, w *wire) {
			served(t, w).up(appData(142), false).sfin().up(farewell(), false).cfin()
		}, OK},
		{"reset of a connection that the far end forgot", func(t *testing.T, w *wire) {
			served(t, w).up(appData(142), false).wait(rtt).put(w.s(packets.RST, w.sseq, 0, nil))
		}, OK},
		{"reset in the answer", func(t *testing.T, w *wire) {
			served(t, w).up(appData(142), true).down(appData(4000)[:2000]).srst()
		}, TransferReset},
		{"reset of the first request", func(t *testing.T, w *wire) {
			w.open().played(t).up(appData(142), true).wait(50 * ms).srst()
		}, TransferReset},
		{"HTTP/2", func(t *testing.T, w *wire) {
			w.open().played(t).up(appData(prefaceBytes+emptyFrame+24+13+recordOverhead13), true).up(appData(92), true).
				down(appData(56)).down(appData(400)).wait(sec).up(appData(92), true).wait(50 * ms).srst()
		}, TransferReset},
	} {
		t.Run(s.name, func(t *testing.T) {
			p := newPipe(t)
			w := newWire(p, v4Server)
			s.play(t, w)
			o := w.another("40002", v4Server)
			o.wait(100*ms).open().shake(t, tls.VersionTLS13).cfin().wait(rtt).sfin()
			if v := p.finish(o.now + sec); v.Class != s.class {
				t.Errorf("got %s, want %s: %+v", v.Class, s.class, v.Evidence)
			}
		})
	}
}

// Handshakes that wait for the same thing (address resolution, a sleeping radio)
// are one sample of the round trip, whatever their number.
func TestRoundTripsAtTheSameTime(t *testing.T) {
	for _, s := range []struct {
		name  string
		apart int64
		place []Place
	}{{"beside each other", ms, beyond}, {"one after the other", sec, inNetwork}} {
		t.Run(s.name, func(t *testing.T) {
			p := newPipe(t)
			w := newWire(p, v4Server)
			start := w.now
			w.open().wait(20 * sec).crst()
			o := w.another("40002", v4Server)
			o.now = start + s.apart
			o.open().up(hello(t), false).wait(rtt / 4).put(o.s(packets.RST|packets.ACK, 1, o.cseq, nil))
			p.finish(0)
			for _, j := range p.judged {
				if j.v.Class == TLSReset && !slices.Equal(j.v.Place, s.place) {
					t.Errorf("reset in %v, want %v: %+v", j.v.Place, s.place, j.v.Evidence)
				}
			}
		})
	}
}

// A host whose TCP answers each segment with a duplicate acknowledgement did
// get it: what arrives is not acceptable to it.
func TestAnsweredWithDuplicates(t *testing.T) {
	ignored := func(answers bool) func(t *testing.T, w *wire) int64 {
		return func(t *testing.T, w *wire) int64 {
			w.open().up(hello(t), true)
			flight := handshake(t, tls.VersionTLS13, false)[1].bytes[:200]
			for i := range 5 {
				w.put(w.s(packets.ACK, 1, w.cseq, flight))
				if answers {
					w.wait(ms).put(w.c(packets.ACK, w.cseq, 1, nil))
				}
				w.wait(200 * ms << i)
			}
			return w.now + sec
		}
	}
	for _, answers := range []bool{false, true} {
		p := newPipe(t)
		w := newWire(p, v4Server)
		v := only(t, p, ignored(answers)(t, w))
		if (v.Class == TLSAnswerIgnored) == answers {
			t.Errorf("answered %v: %s %v", answers, v.Class, v.Place)
		}
	}
}

// A filter of this host that lets small packets pass leaves the same hole as a
// path that loses large ones: but what is missing did reach the capture point.
func TestHoleThatPassed(t *testing.T) {
	for _, seen := range []bool{true, false} {
		p := newPipe(t)
		w := newWire(p, v4Server)
		flight := handshake(t, tls.VersionTLS13, false)[1].bytes
		w.open().up(hello(t), true)
		large, small := flight[:len(flight)-100], flight[len(flight)-100:]
		if seen {
			w.put(w.s(packets.ACK, 1, w.cseq, large))
		}
		end := 1 + uint32(len(flight))
		w.put(w.s(packets.ACK, end-100, w.cseq, small))
		w.put(w.c(packets.ACK, w.cseq, 1, nil).SACK(end-100, end))
		for i := range 5 {
			w.wait(200 * ms << i)
			if seen {
				w.put(w.s(packets.ACK, 1, w.cseq, large))
			}
		}
		w.wait(4 * sec).cfin()
		v := only(t, p, w.now+sec)
		class, place := TLSLargePacketsLost, Network
		if seen {
			class, place = TLSAnswerIgnored, Host
		}
		if v.Class != class || !slices.Equal(v.Place, []Place{place}) {
			t.Errorf("hole in the file %v: got %s %v, want %s %s: %+v", !seen, v.Class, v.Place, class, place, v.Evidence)
		}
	}
}

// A connection that nothing was sent on is a spare one where the same server
// still delivered long after it; else it may be one that was held back.
func TestSpareConnection(t *testing.T) {
	for _, s := range []struct {
		later int64
		class Class
	}{{0, TLSClientHelloNotSent}, {20 * sec, OK}} {
		p := newPipe(t)
		w := newWire(p, v4Server)
		p.targets = []string{testHost}
		p.names[addrOf(v4Server)] = testHost
		start := w.now
		w.open()
		o := w.another("40002", v4Server)
		o.now = start + s.later
		o.open().shake(t, tls.VersionTLS13).cfin().wait(rtt).sfin()
		if v := p.finish(start + 30*sec); v.Class != s.class {
			t.Errorf("data %d s later: got %s, want %s", s.later/sec, v.Class, s.class)
		}
	}
}
