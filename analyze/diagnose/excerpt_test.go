package diagnose

import (
	"crypto/tls"
	"math"
	"testing"

	"goproxytrace/internal/packets"
)

// play plays the first n flights of a recorded handshake.
func (w *wire) play(t *testing.T, version uint16, n int) *wire {
	t.Helper()
	for _, f := range handshake(t, version, false)[:n] {
		if f.fromClient {
			w.up(f.bytes, true)
		} else {
			w.down(f.bytes)
		}
	}
	return w
}

// unheard sends server data that the client never acknowledges, times times.
func (w *wire) unheard(b []byte, times int) *wire {
	for i := range times {
		if i > 0 {
			w.wait(200 * ms << i)
		}
		w.put(w.s(packets.ACK|packets.PSH, w.sseq, w.sack, b[:min(len(b), mss)]))
	}
	w.sseq += uint32(min(len(b), mss))
	return w
}

// TestExcerpt has files out of which somebody took most packets: neither end
// may be blamed for what the file lacks.
func TestExcerpt(t *testing.T) {
	runStories(t, v4Server, []story{
		{"flight neither acknowledged nor sent again", func(t *testing.T, w *wire) int64 {
			w.open().play(t, tls.VersionTLS12, 1).unheard(handshake(t, tls.VersionTLS12, false)[1].bytes, 1)
			return w.now + 60*sec
		}, CaptureUnusable, nil, None, nil},
		{"begun flight neither acknowledged nor sent again", func(t *testing.T, w *wire) int64 {
			w.open().play(t, tls.VersionTLS12, 1).unheard(handshake(t, tls.VersionTLS12, false)[1].bytes[:100], 1)
			return w.now + 60*sec
		}, CaptureUnusable, nil, None, nil},
		{"begun flight acknowledged", func(t *testing.T, w *wire) int64 {
			w.open().play(t, tls.VersionTLS12, 1).down(handshake(t, tls.VersionTLS12, false)[1].bytes[:100])
			return w.now + 60*sec
		}, TLSServerFlightStalled, beyond, Consistent, []string{"serverflight.incomplete"}},
		{"client went on, its flight neither acknowledged nor sent again", func(t *testing.T, w *wire) int64 {
			w.open().play(t, tls.VersionTLS12, 2).up(handshake(t, tls.VersionTLS12, false)[2].bytes, false)
			return w.now + 60*sec
		}, CaptureUnusable, nil, None, nil},
		{"client went on, the server did not", func(t *testing.T, w *wire) int64 {
			w.open().play(t, tls.VersionTLS12, 3)
			return w.now + 60*sec
		}, TLSServerFlightStalled, beyond, Consistent, []string{"serverflight.incomplete"}},
		{"request neither acknowledged nor sent again", func(t *testing.T, w *wire) int64 {
			w.open().play(t, tls.VersionTLS12, 4).up(appData(300), false)
			return w.now + 60*sec
		}, CaptureUnusable, nil, None, nil},
		{"request acknowledged", func(t *testing.T, w *wire) int64 {
			w.open().play(t, tls.VersionTLS12, 4).up(appData(300), true)
			return w.now + 60*sec
		}, HTTPNoResponse, beyond, Consistent, []string{"request.acknowledged"}},
		{"request not acknowledged and sent again", func(t *testing.T, w *wire) int64 {
			w.open().play(t, tls.VersionTLS12, 4)
			at := w.cseq
			w.up(appData(300), false).again(at, appData(300), 6)
			return w.now + 10*sec
		}, TransferPathDead, beyond, Proven, []string{"request.resent"}},
		{"client did not go on", func(t *testing.T, w *wire) int64 {
			w.open().play(t, tls.VersionTLS12, 2)
			return w.now + 60*sec
		}, ClientStalled, atThisEnd, Consistent, []string{"serverflight.complete"}},
	})
}

// TestServerGaveUpWaiting has servers that end a connection on which the client
// never spoke.
func TestServerGaveUpWaiting(t *testing.T) {
	runStories(t, v4Server, []story{
		{"closed after 20 s", func(_ *testing.T, w *wire) int64 {
			w.open().wait(20 * sec).sfin().wait(ms).cfin()
			return 0
		}, TLSClientHelloNotSent, atThisEnd, Consistent, []string{"clienthello.absent"}},
		{"reset after 20 s", func(_ *testing.T, w *wire) int64 {
			w.open().wait(20 * sec).srst()
			return 0
		}, TLSClientHelloNotSent, atThisEnd, Consistent, []string{"clienthello.absent"}},
		{"closed at once", func(_ *testing.T, w *wire) int64 {
			w.open().wait(ms).sfin()
			return 0
		}, TLSClosed, beyond, Proven, []string{"close.without-answer"}},
		{"reset at once", func(_ *testing.T, w *wire) int64 {
			w.open().wait(ms).srst()
			return 0
		}, TLSReset, beyond, Proven, []string{"reset.before-clienthello"}},
		{"closed 20 s after the ClientHello", func(t *testing.T, w *wire) int64 {
			w.open().play(t, tls.VersionTLS12, 1).wait(20 * sec).sfin()
			return 0
		}, TLSClosed, beyond, Proven, []string{"close.without-answer"}},
		{"spare that the client closes", func(_ *testing.T, w *wire) int64 {
			w.open().wait(20 * sec).cfin().wait(rtt).sfin()
			return 0
		}, OK, nil, Proven, nil},
	})
}

// TestAnsweredBeforeTLS13 tells small answers from control frames, where tickets
// cannot be mistaken for either.
func TestAnsweredBeforeTLS13(t *testing.T) {
	const overhead = 24 // of AES-GCM in TLS 1.2
	runStories(t, v4Server, []story{
		{"a small answer, and an idle connection", func(t *testing.T, w *wire) int64 {
			w.open().play(t, tls.VersionTLS12, 4).up(appData(300), true).down(appData(60))
			return w.now + 20*sec
		}, TransferRemoteIdle, beyond, Consistent, []string{"server.all-acknowledged"}},
		{"an answer, and a PING acknowledged", func(t *testing.T, w *wire) int64 {
			w.open().play(t, tls.VersionTLS12, 4).up(appData(300), true).down(appData(400)).down(appData(17+overhead)).up(appData(17+overhead), true)
			return w.now + 20*sec
		}, TransferRemoteIdle, beyond, Consistent, []string{"server.all-acknowledged"}},
		{"SETTINGS acknowledged, and no answer", func(t *testing.T, w *wire) int64 {
			w.open().play(t, tls.VersionTLS12, 4).up(appData(300), true).down(appData(27+overhead)).up(appData(9+overhead), true)
			return w.now + 20*sec
		}, HTTPNoResponse, beyond, Consistent, []string{"request.acknowledged"}},
		{"a request behind an answer", func(t *testing.T, w *wire) int64 {
			w.open().play(t, tls.VersionTLS12, 4).up(appData(300), true).down(appData(400)).up(appData(300), true)
			return w.now + 20*sec
		}, HTTPNoResponse, beyond, Consistent, []string{"request.acknowledged"}},
	})
}

// TestBreak has two captures in one file: the silence between them was not
// recorded.
func TestBreak(t *testing.T) {
	for _, s := range []struct {
		name  string
		quiet int64 // recorded behind the connection's last packet
		gap   int64
		class Class
	}{
		{"no break", 0, 20 * sec, TransferRemoteIdle},
		{"a break", 0, 400 * 86400 * sec, OK},
		{"a break backwards", 0, -400 * 86400 * sec, OK},
		{"a break behind a silence that was recorded", 20 * sec, 400 * 86400 * sec, TransferRemoteIdle},
	} {
		t.Run(s.name, func(t *testing.T) {
			p := newPipe(t)
			w := newWire(p, v4Server)
			w.open().play(t, tls.VersionTLS12, 4).up(appData(300), true).down(appData(4000))
			o := w.another("40002", v4Server)
			o.now += s.quiet
			o.open().wait(ms).cfin().wait(ms).sfin()
			until := o.now
			if IsBreak(s.gap) {
				p.env.Breaks = []Break{{*w.frame + 1, until}, {math.MaxInt64, until + s.gap}}
			}
			o = w.another("40003", v4Server)
			o.now = until + s.gap
			o.open().wait(ms).cfin().wait(ms).sfin()
			p.finish(0)
			found := false
			for _, j := range p.judged {
				if j.id != 0 {
					continue
				}
				found = true
				if j.v.Class != s.class {
					t.Errorf("got %s, want %s; evidence %+v", j.v.Class, s.class, j.v.Evidence)
				}
			}
			if !found {
				t.Error("the first connection was not judged")
			}
		})
	}
}

// TestTimesBefore1970 has a capture whose clock was wrong, or whose file says so.
func TestTimesBefore1970(t *testing.T) {
	runStories(t, v4Server, []story{
		{"refused", func(_ *testing.T, w *wire) int64 {
			w.now = -3600 * sec
			w.syn().wait(ms).put(w.s(packets.RST|packets.ACK, 0, 1, nil).Seq(0))
			return 0
		}, ConnectRefused, beyond, Proven, []string{"syn.reset"}},
	})
}

func TestIsBreak(t *testing.T) {
	for gap, want := range map[int64]bool{
		0: false, 3600 * sec: false, 86400*sec - 1: false, 86400 * sec: true, -86400*sec + 1: false, -86400 * sec: true,
	} {
		if IsBreak(gap) != want {
			t.Errorf("gap of %d ns: break %v", gap, !want)
		}
	}
}
