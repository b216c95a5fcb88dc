package diagnose

import (
	"crypto/tls"
	"slices"
	"testing"

	"goproxytrace/internal/packets"
)

// preface and later messages of an HTTP/2 conversation, by the size of their
// TLS 1.3 records.
func (w *wire) preface() *wire { return w.up(appData(70+recordOverhead13), true) }

func (w *wire) settings() *wire {
	return w.down(appData(39+recordOverhead13)).down(appData(9+recordOverhead13)).up(appData(9+recordOverhead13), true)
}

// begin is a handshake without the recorded request and answer.
func (w *wire) begin(t *testing.T) *wire {
	f := handshake(t, tls.VersionTLS13, false)
	w.open().up(f[0].bytes, true).down(f[1].bytes)
	b := f[2].bytes
	// ChangeCipherSpec, and the Finished message alone.
	n := 6 + 5 + int(b[6+3])<<8 + int(b[6+4])
	return w.up(b[:n], true)
}

// forged is a reset whose sequence number lies beside what the client expects.
func (w *wire) forged(beside uint32) *wire {
	w.put(w.s(packets.RST|packets.ACK, w.sseq+beside, w.cseq, nil).TTL(43))
	return w
}

func TestResetBesideWindow(t *testing.T) {
	for _, beside := range []uint32{1 << 30, 1 << 24, ^uint32(3000)} {
		runStories(t, v4Server, []story{
			{"in the handshake, and both go on", func(t *testing.T, w *wire) int64 {
				w.open().up(hello(t), true).forged(beside)
				for _, f := range handshake(t, tls.VersionTLS13, false)[1:] {
					if f.fromClient {
						w.up(f.bytes, true)
					} else {
						w.down(f.bytes)
					}
				}
				w.cfin().wait(rtt).sfin()
				return 0
			}, OK, nil, Proven, []string{"reset.ignored"}},
			{"in the handshake, and the server falls silent", func(t *testing.T, w *wire) int64 {
				w.open().up(hello(t), true).forged(beside).wait(10 * sec).cfin()
				return w.now + sec
			}, TLSNoServerHello, beyond, Proven, []string{"reset.ignored"}},
			{"after guesses, one that hits", func(t *testing.T, w *wire) int64 {
				w.open().up(hello(t), true).forged(beside).forged(0)
				return 0
			}, TLSReset, beyond, Proven, []string{"reset.ignored", "reset.ttl"}},
		})
	}
	runStories(t, v4Server, []story{
		{"in the window, but the client goes on", func(t *testing.T, w *wire) int64 {
			download(t, w).request().forged(500).wait(5 * ms).down(appData(4000)).cfin().wait(rtt).sfin()
			return 0
		}, OK, nil, Proven, []string{"reset.ignored"}},
		{"in the window, heeded, and data still under way", func(t *testing.T, w *wire) int64 {
			download(t, w).request().forged(0)
			for range 4 {
				w.put(w.s(packets.ACK, w.sseq, w.sack, make([]byte, mss)))
				w.sseq += mss
				w.crst().wait(ms)
			}
			return 0
		}, TransferReset, inNetwork, Suggested, []string{"reset.sender-continues", "reset.ttl"}},
	})
}

func TestTruncatedBetweenRecords(t *testing.T) {
	runStories(t, v4Server, []story{
		{"without close_notify while the client reads", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(4000)).wait(200*ms).sfin().up(appData(19), false).cfin()
			return 0
		}, TransferTruncated, beyond, Consistent, []string{"close.without-notify"}},
		{"with close_notify", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(4000)).wait(200 * ms).down(appData(19)).sfin().cfin()
			return 0
		}, OK, nil, Consistent, nil},
		{"behind the frame that ends the answer", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(4000)).down(appData(9+recordOverhead13)).wait(200*ms).sfin().up(appData(19), false).cfin()
			return 0
		}, OK, nil, Proven, nil},
		{"behind the end of the answer and a farewell in one record", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(4000)).down(appData(9+17+recordOverhead13)).wait(200*ms).sfin().up(appData(19), false).cfin()
			return 0
		}, OK, nil, Proven, nil},
		{"behind a PING's acknowledgement of its own", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(4000)).down(appData(9 + recordOverhead13)).down(appData(17 + recordOverhead13)).wait(200 * ms).sfin().cfin()
			return 0
		}, OK, nil, Proven, nil},
		{"behind a record of an answer that is short", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(4000)).down(appData(200+recordOverhead13)).wait(200*ms).sfin().up(appData(19), false).cfin()
			return 0
		}, TransferTruncated, beyond, Consistent, []string{"close.without-notify"}},
		{"at once, as a server does that closes after each answer", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(4000)).sfin().cfin()
			return 0
		}, OK, nil, Proven, nil},
		{"an idle connection tidied up", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(4000)).wait(60 * sec).sfin().cfin()
			return 0
		}, OK, nil, Consistent, nil},
	})
	p := newPipe(t)
	w := newWire(p, v4Server)
	download(t, w).request().down(appData(4000)).wait(200 * ms).sfin().cfin().wait(sec)
	w.another("40002", v4Server).fine(t)
	if v := p.finish(0); v.Class != OK {
		t.Errorf("a server that always closes so: %s", v.Class)
	}
}

func TestLeftWhileWaiting(t *testing.T) {
	runStories(t, v4Server, []story{
		{"with a request open beside control frames", func(t *testing.T, w *wire) int64 {
			w.begin(t).preface().request().settings().wait(sec + 100*ms).cfin().wait(rtt).down(appData(19)).sfin()
			return 0
		}, ClientAborted, inClient, Consistent, []string{"client.left-waiting"}},
		{"a spare connection that never asked", func(t *testing.T, w *wire) int64 {
			w.begin(t).preface().settings().wait(sec + 100*ms).cfin().wait(rtt).down(appData(19)).sfin()
			return 0
		}, OK, nil, Proven, nil},
		{"answered", func(t *testing.T, w *wire) int64 {
			w.begin(t).preface().request().settings().down(appData(80)).wait(2 * sec).cfin().wait(rtt).sfin()
			return 0
		}, OK, nil, Proven, nil},
		{"no answer beside control frames, far end alive", func(t *testing.T, w *wire) int64 {
			w.begin(t).preface().request().settings().wait(30 * sec).keepAlive(true)
			return w.now + sec
		}, HTTPNoResponse, inRemote, Proven, []string{"keepalive.answered"}},
	})
}

// A connection that is closed in its handshake was a spare one where another
// brought data meanwhile, and somebody's whim where nothing came.
func TestLeftInHandshake(t *testing.T) {
	for _, s := range []struct {
		name  string
		early bool // the other connection is done before
		late  bool // the other connection works meanwhile
		want  Class
	}{
		{"another works meanwhile", false, true, OK},
		{"another was done before", true, false, ClientAborted},
		{"alone", false, false, ClientAborted},
	} {
		t.Run(s.name, func(t *testing.T) {
			p := newPipe(t)
			w := newWire(p, v4Server)
			if s.early {
				o := w.another("40002", v4Server)
				o.fine(t)
				w.now = o.now
			}
			w.open().up(hello(t), true).wait(rtt).put(w.s(packets.ACK, w.sseq, w.cseq, nil))
			if s.late {
				o := w.another("40002", v4Server)
				o.fine(t)
				w.now = max(w.now, o.now)
			}
			w.wait(1600 * ms).cfin().wait(rtt).put(w.s(packets.ACK, w.sseq, w.cseq, nil))
			if v := p.finish(w.now + sec); v.Class != s.want {
				t.Errorf("got %s %v %s, want %s", v.Class, v.Place, v.Level, s.want)
			}
		})
	}
}

func TestTunnelSilence(t *testing.T) {
	connect := []byte("CONNECT goproxy.cn:443 HTTP/1.1\r\nHost: goproxy.cn:443\r\n\r\n")
	granted := []byte("HTTP/1.1 200 Connection established\r\n\r\n")
	runStories(t, "198.51.100.7:3128", []story{
		{"ClientHello unanswered in the tunnel", func(t *testing.T, w *wire) int64 {
			w.open().up(connect, true).down(granted).up(hello(t), true).wait(10 * sec).cfin().wait(rtt).put(w.s(packets.ACK, w.sseq, w.cseq, nil))
			return w.now + sec
		}, TLSNoServerHello, beyond, Proven, []string{"clienthello.acknowledged"}},
		{"flight that stops in the tunnel", func(t *testing.T, w *wire) int64 {
			b := handshake(t, tls.VersionTLS13, false)[1].bytes
			w.open().up(connect, true).down(granted).up(hello(t), true).down(b[:len(b)-20]).wait(10 * sec).cfin()
			return w.now + sec
		}, TLSServerFlightStalled, beyond, Proven, []string{"serverflight.incomplete"}},
		{"ClientHello lost in front of the tunnel", func(t *testing.T, w *wire) int64 {
			w.open().up(connect, true).down(granted)
			seq, h := w.cseq, hello(t)
			w.up(h, false).again(seq, h[:min(len(h), mss)], 6)
			return w.now + sec
		}, TLSClientHelloLost, inNetwork, Suggested, []string{"clienthello.unacknowledged"}},
		{"nothing sent into the tunnel", func(_ *testing.T, w *wire) int64 {
			w.open().up(connect, true).down(granted)
			return w.now + 12*sec
		}, TLSClientHelloNotSent, atThisEnd, Consistent, []string{"clienthello.absent"}},
		{"capture ends behind the proxy's answer", func(_ *testing.T, w *wire) int64 {
			w.open().up(connect, true).down(granted)
			return w.now + sec
		}, OK, nil, Consistent, nil},
	})
}

func TestHelloNeverAcknowledged(t *testing.T) {
	h := hello(t)
	if len(h) <= mss {
		t.Skip("this Go sends its ClientHello in one segment")
	}
	rest := func(w *wire) { w.put(w.c(packets.ACK|packets.PSH, 1+mss, w.cack, h[mss:])) }
	runStories(t, v6Server, []story{
		{"each part sent again once, by a slow timer", func(_ *testing.T, w *wire) int64 {
			w.open().up(h, false).wait(2200 * ms)
			rest(w)
			w.wait(3300 * ms).put(w.c(packets.ACK, 1, w.cack, h[:mss]))
			return w.now + sec
		}, TLSClientHelloLost, inNetwork, Consistent, []string{"clienthello.unacknowledged", "clienthello.resent"}},
		{"last part sent again, acknowledged, and silence", func(_ *testing.T, w *wire) int64 {
			w.open().up(h, false).wait(300 * ms)
			rest(w)
			w.wait(rtt).put(w.s(packets.ACK, 1, w.cseq, nil))
			return w.now + 7*sec
		}, TLSNoServerHello, beyond, Consistent, []string{"clienthello.acknowledged"}},
		{"neither acknowledged nor sent again", func(_ *testing.T, w *wire) int64 {
			w.open().up(h, false)
			return w.now + 7*sec
		}, CaptureUnusable, nil, None, nil},
	})
}

// gaps plays n losses, each mended by a timer of wait.
func (w *wire) gaps(n int, wait int64) *wire {
	for range n {
		w.put(w.s(packets.ACK, w.sseq+mss, w.sack, make([]byte, mss)))
		w.put(w.c(packets.ACK, w.cseq, w.cack, nil).SACK(serverISN+w.sseq+mss, serverISN+w.sseq+2*mss))
		w.wait(wait).put(w.s(packets.ACK, w.sseq, w.sack, make([]byte, mss)))
		w.sseq += 2 * mss
		w.cack = w.sseq
		w.put(w.c(packets.ACK, w.cseq, w.cack, nil))
	}
	return w
}

// gap leaves one open.
func (w *wire) gap() *wire {
	w.put(w.s(packets.ACK, w.sseq+mss, w.sack, make([]byte, mss)))
	w.put(w.c(packets.ACK, w.cseq, w.cack, nil).SACK(serverISN+w.sseq+mss, serverISN+w.sseq+2*mss))
	return w
}

// deaf plays n losses without selective acknowledgements, each mended after
// wait, and one more that is not.
func (w *wire) deaf(n int, wait int64) *wire {
	for i := range n + 1 {
		w.put(w.s(packets.ACK, w.sseq+mss, w.sack, make([]byte, mss)))
		w.put(w.c(packets.ACK, w.cseq, w.cack, nil))
		if i == n {
			break
		}
		w.wait(wait).put(w.s(packets.ACK, w.sseq, w.sack, make([]byte, mss)))
		w.sseq += 2 * mss
		w.cack = w.sseq
		w.put(w.c(packets.ACK, w.cseq, w.cack, nil))
	}
	return w
}

func TestLossThatTrickles(t *testing.T) {
	runStories(t, v4Server, []story{
		{"without selective acknowledgements, a hole at the end", func(t *testing.T, w *wire) int64 {
			download(t, w).request().deaf(4, 300*ms)
			return w.now + 8*sec
		}, TransferHeavyLoss, inNetwork, Suggested, []string{"server.hole"}},
		{"without selective acknowledgements, timers of seconds", func(t *testing.T, w *wire) int64 {
			download(t, w).request().deaf(4, 4*sec)
			return w.now + sec
		}, TransferHeavyLoss, inNetwork, Consistent, []string{"server.hole"}},
		{"all that came is acknowledged, and the server's sequence numbers are ahead", func(t *testing.T, w *wire) int64 {
			download(t, w).request().gaps(4, 300*ms)
			w.put(w.s(packets.ACK, w.sseq+3*mss, w.sack, nil))
			w.put(w.s(packets.ACK, w.sseq, w.sack, make([]byte, mss)))
			w.cack += mss
			w.put(w.c(packets.ACK, w.cseq, w.cack, nil))
			return w.now + 8*sec
		}, TransferHeavyLoss, inNetwork, Suggested, []string{"server.hole"}},
		{"the same a moment before the end", func(t *testing.T, w *wire) int64 {
			download(t, w).request().gaps(4, 300*ms)
			w.put(w.s(packets.ACK, w.sseq+3*mss, w.sack, nil))
			w.put(w.s(packets.ACK, w.sseq, w.sack, make([]byte, mss)))
			w.cack += mss
			w.put(w.c(packets.ACK, w.cseq, w.cack, nil))
			return w.now + sec
		}, OK, nil, Consistent, nil},
		{"without selective acknowledgements, losses mended fast", func(t *testing.T, w *wire) int64 {
			download(t, w).request().deaf(12, 300*ms)
			return w.now + sec
		}, OK, nil, Consistent, nil},
		{"timers of seconds, a hole at the end", func(t *testing.T, w *wire) int64 {
			download(t, w).request().gaps(4, 4*sec).gap()
			return w.now + sec
		}, TransferHeavyLoss, inNetwork, Consistent, []string{"server.hole"}},
		{"the same, the hole shown by a bare acknowledgement", func(t *testing.T, w *wire) int64 {
			download(t, w).request().gaps(4, 4*sec)
			w.put(w.s(packets.ACK, w.sseq+3*mss, w.sack, nil))
			return w.now + sec
		}, TransferHeavyLoss, inNetwork, Consistent, []string{"server.hole"}},
		{"a duplicate told of in front of the hole", func(t *testing.T, w *wire) int64 {
			download(t, w).request().gaps(4, 4*sec).gap()
			w.put(w.c(packets.ACK, w.cseq, w.cack, nil).SACK(serverISN+w.cack-2*mss, serverISN+w.cack-mss, serverISN+w.sseq+mss, serverISN+w.sseq+2*mss))
			return w.now + sec
		}, TransferHeavyLoss, inNetwork, Consistent, []string{"server.hole"}},
		{"losses mended fast, a hole at the end", func(t *testing.T, w *wire) int64 {
			download(t, w).request().gaps(12, 300*ms).gap()
			return w.now + sec
		}, OK, nil, Consistent, nil},
		{"timers of seconds, all mended, in the middle of an answer", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(16_000)[:mss]).gaps(4, 4*sec)
			return w.now + sec
		}, TransferHeavyLoss, inNetwork, Consistent, []string{"server.gaps"}},
		{"the same between two answers", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(9*mss - 22)[:mss]).gaps(4, 4*sec)
			return w.now + sec/2
		}, OK, nil, Consistent, nil},
		{"the same, and most of the time without a loss", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(16_000)[:mss]).gaps(4, 4*sec)
			for range 20 {
				w.wait(sec).up(appData(30), true)
			}
			return w.now + sec
		}, OK, nil, Consistent, nil},
		{"timers of seconds, all mended and closed", func(t *testing.T, w *wire) int64 {
			download(t, w).request().gaps(4, 4*sec).cfin()
			return w.now + sec
		}, OK, nil, Proven, nil},
	})
}

// joined is a server's flight whose messages share one record of n bytes.
func joined(t *testing.T, n int) []byte {
	b := handshake(t, tls.VersionTLS13, false)[1].bytes
	hello := 5 + int(b[3])<<8 + int(b[4])
	return append(slices.Clone(b[:hello+6]), appData(n)...)
}

func TestFlightEnd(t *testing.T) {
	runStories(t, v4Server, []story{
		{"all in one record, acknowledged", func(t *testing.T, w *wire) int64 {
			w.open().up(hello(t), true).down(joined(t, 2000)).wait(10 * sec).cfin()
			return w.now + sec
		}, ClientStalled, atThisEnd, Consistent, []string{"serverflight.acknowledged"}},
		{"EncryptedExtensions alone", func(t *testing.T, w *wire) int64 {
			w.open().up(hello(t), true).down(joined(t, 42)).wait(10 * sec).cfin()
			return w.now + sec
		}, TLSServerFlightStalled, beyond, Proven, []string{"serverflight.incomplete"}},
		{"several large records", func(t *testing.T, w *wire) int64 {
			w.open().up(hello(t), true).down(append(joined(t, 2000), appData(700)...)).wait(10 * sec).cfin()
			return w.now + sec
		}, TLSServerFlightStalled, beyond, Consistent, []string{"serverflight.unclear"}},
	})
}

func TestFreeze(t *testing.T) {
	for n, froze := range map[int]bool{6000: true, 2000: false, 15000: false} {
		p := newPipe(t)
		w := newWire(p, v4Server)
		download(t, w).request().down(appData(n)[:n-100])
		v := only(t, p, w.now+20*sec)
		if v.Class != TransferRemoteIdle || v.has("server.froze") != froze {
			t.Errorf("a body of %d bytes, %d in all: %s, froze %v", n, w.sseq, v.Class, v.has("server.froze"))
		}
	}
}

// Two processes have a verdict each, and neither's work excuses the other.
func TestProcesses(t *testing.T) {
	p := newPipe(t)
	p.rename = func(f *Flow) { f.Conn.ProcessID = uint32(f.Conn.ClientEnd().Port) }
	w := newWire(p, v4Server)
	w.open().up(hello(t), true).srst()
	w.another("40002", v4Server).fine(t)
	whole := p.finish(0)
	list := p.agg.Processes(&p.env, p.health)
	if len(list) != 2 || list[0].PID != 40001 || list[0].Verdict.Class != TLSReset || list[1].PID != 40002 || list[1].Verdict.Class != OK {
		t.Errorf("processes %+v", list)
	}
	if whole.Class != TLSReset {
		t.Errorf("the whole: %s", whole.Class)
	}
	// A child that fetches from version control works for its parent.
	for host, want := range map[string]Class{"github.com": OK, "elsewhere.example": TLSReset} {
		p := newPipe(t)
		p.rename = func(f *Flow) {
			f.Conn.ProcessID = uint32(f.Conn.ClientEnd().Port)
			if f.Conn.ProcessID == 40002 {
				f.ServerName = host
			}
		}
		w := newWire(p, v4Server)
		w.open().up(hello(t), true).srst().wait(sec)
		w.another("40002", "203.0.113.5:443").fine(t)
		if v := p.finish(0); v.Class != want {
			t.Errorf("%s: %s", host, v.Class)
		}
	}
	p = newPipe(t)
	download(t, newWire(p, v4Server)).cfin()
	p.finish(0)
	if list := p.agg.Processes(&p.env, p.health); len(list) != 0 {
		t.Errorf("processes where none is recorded: %+v", list)
	}
}

func TestPlainHTTPError(t *testing.T) {
	ask := []byte("GET /example.org/m/@v/list HTTP/1.1\r\nHost: proxy.example\r\nUser-Agent: Go-http-client/1.1\r\n\r\n")
	answer := func(s string) func(*testing.T, *wire) int64 {
		return func(_ *testing.T, w *wire) int64 {
			w.open().up(ask, true).down([]byte("HTTP/1.1 " + s + "\r\nContent-Length: 0\r\n\r\n")).cfin()
			return 0
		}
	}
	runStories(t, "198.51.100.1:80", []story{
		{"forbidden", answer("403 Forbidden"), HTTPError, inRemote, Suggested, []string{"http.status"}},
		{"bad gateway", answer("502 Bad Gateway"), HTTPError, inRemote, Suggested, []string{"http.status"}},
		{"not found", answer("404 Not Found"), OK, nil, Proven, nil},
		{"gone", answer("410 Gone"), OK, nil, Proven, nil},
		{"found", answer("200 OK"), OK, nil, Proven, nil},
	})
}

// refused is a SYN that is answered with a reset.
func (w *wire) refused() *wire {
	w.syn().wait(rtt).put(w.s(packets.RST|packets.ACK, 0, 1, nil))
	return w
}

func TestFindings(t *testing.T) {
	const other = "203.0.113.5:443"
	redirected := func(t *testing.T, end func(w, o *wire) int64) func(*pipe) int64 {
		return func(p *pipe) int64 {
			p.targets = []string{testHost}
			p.names[addrOf(other)] = "storage.example"
			w := newWire(p, v4Server)
			download(t, w).request().down(appData(3000))
			return end(w, w.another("40002", other))
		}
	}
	for _, s := range []struct {
		name  string
		play  func(p *pipe) int64
		class Class
		level Level
		note  string
	}{
		{"redirect target refuses, and go ends", redirected(t, func(w, o *wire) int64 {
			o.refused()
			w.now = o.now
			w.wait(60 * ms).cfin().wait(rtt).down(appData(19)).crst()
			return 0
		}), ConnectRefused, Suggested, ""},
		{"another program is refused while go goes on", redirected(t, func(w, o *wire) int64 {
			o.refused()
			w.now = o.now
			w.wait(60 * ms).request().down(appData(3000)).wait(60 * ms).cfin().wait(rtt).down(appData(19)).crst()
			return 0
		}), OK, Proven, ""},
		{"another program is refused, and go stays", redirected(t, func(w, o *wire) int64 {
			o.refused()
			w.now = o.now
			w.wait(4 * sec).cfin().wait(rtt).down(appData(19)).crst()
			return 0
		}), OK, Proven, ""},
		{"redirect target does not answer, and go waits", redirected(t, func(w, o *wire) int64 {
			o.dead()
			return o.now + 4*sec
		}), ConnectNoAnswer, Suggested, ""},
		{"another program gets no answer, and go has ended", redirected(t, func(w, o *wire) int64 {
			w.cfin().wait(rtt).down(appData(19)).crst()
			o.now = w.now
			o.dead()
			return o.now + 20*sec
		}), OK, Proven, ""},
		{"the slower family is unreachable after the other delivered", func(p *pipe) int64 {
			p.targets = []string{testHost}
			p.names[addrOf(v6Server)] = testHost
			w := newWire(p, v4Server).fine(t)
			o := newWire(p, v6Server)
			o.now = w.now + sec
			o.syn().wait(rtt).put(packets.ICMPError("2001:db8::1", "2001:db8::10", 1, 0, o.c(packets.SYN, 0, 0, nil)))
			return 0
		}, OK, Proven, "one-family-broken"},
		{"both families unreachable", func(p *pipe) int64 {
			p.targets = []string{testHost}
			p.names[addrOf(v6Server)], p.names[addrOf(v4Server)] = testHost, testHost
			w := newWire(p, v4Server).refused()
			o := newWire(p, v6Server)
			o.now = w.now
			o.syn().wait(rtt).put(packets.ICMPError("2001:db8::1", "2001:db8::10", 1, 0, o.c(packets.SYN, 0, 0, nil)))
			return 0
		}, ConnectUnreachable, Proven, ""},
		{"another Go program waits from before to after", func(p *pipe) int64 {
			p.targets = []string{testHost}
			p.rename = func(f *Flow) {
				if f.Conn.ServerEnd().Addr == addrOf(other) {
					f.ServerName = "metrics.example"
				}
			}
			o := newWire(p, other)
			o.begin(t)
			w := o.another("40002", v4Server)
			w.now = baseTime + 20*ms // they overlap: neither can stand in for the other
			w.fine(t)
			o.request()
			return w.now + 20*sec
		}, OK, Proven, ""},
		{"another host of go's waits, from after to the end", func(p *pipe) int64 {
			p.targets = []string{testHost}
			p.rename = func(f *Flow) {
				if f.Conn.ServerEnd().Addr == addrOf(other) {
					f.ServerName = "storage.example"
				}
			}
			w := newWire(p, v4Server).fine(t)
			o := w.another("40002", other)
			o.begin(t).request()
			return o.now + 20*sec
		}, HTTPNoResponse, Consistent, ""},
		{"another program dials an address, beside a Go program that asks for names", func(p *pipe) int64 {
			p.rename = func(f *Flow) { p.agg.names = map[string]*nameFacts{testHost: {lookup: -1, deathLookup: -1}} }
			w := newWire(p, v4Server)
			download(t, w).request()
			o := w.another("40002", other).refused()
			w.now = o.now
			w.down(appData(3000)).cfin()
			return w.now + sec
		}, OK, Proven, ""},
		{"a Go program dials an address, and no lookup is in the capture", func(p *pipe) int64 {
			w := newWire(p, v4Server)
			download(t, w).request()
			o := w.another("40002", other).refused()
			w.now = o.now
			w.down(appData(3000)).cfin()
			return w.now + sec
		}, ConnectRefused, Proven, ""},
		{"the same beside connections that began before the capture", func(p *pipe) int64 {
			p.health.LateStart = 1
			w := newWire(p, other).refused()
			return w.now + sec
		}, ConnectRefused, Consistent, ""},
		{"certificate check without an answer", func(p *pipe) int64 {
			w := newWire(p, v4Server)
			w.open().up(hello(t), true).down(handshake(t, tls.VersionTLS13, false)[1].bytes)
			o := w.another("40002", "203.0.113.9:80")
			o.wait(50 * ms).syn().wait(sec).syn().wait(2 * sec).syn()
			w.wait(10 * sec).cfin()
			return w.now + sec
		}, ClientVerificationStalled, Suggested, ""},
		{"a port 80 that answers", func(p *pipe) int64 {
			w := newWire(p, v4Server)
			w.open().up(hello(t), true).down(handshake(t, tls.VersionTLS13, false)[1].bytes)
			o := w.another("40002", "203.0.113.9:80")
			o.wait(50 * ms).open().cfin().wait(rtt).sfin()
			w.wait(10 * sec).cfin()
			return w.now + sec
		}, ClientStalled, Suggested, ""},
		{"a port 80 that was silent before", func(p *pipe) int64 {
			o := newWire(p, "203.0.113.9:80").syn().wait(sec).syn()
			w := o.another("40002", v4Server)
			w.wait(sec).open().up(hello(t), true).down(handshake(t, tls.VersionTLS13, false)[1].bytes).wait(10 * sec).cfin()
			return w.now + sec
		}, ClientStalled, Suggested, ""},
		{"idle here, at work in another process", func(p *pipe) int64 {
			p.rename = func(f *Flow) { f.Conn.ProcessID = uint32(f.Conn.ClientEnd().Port) }
			w := newWire(p, v4Server)
			download(t, w).request().down(appData(9000))
			o := w.another("40002", v4Server)
			o.open().shake(t, tls.VersionTLS13)
			for range 10 {
				o.wait(2 * sec).request().down(appData(3000))
			}
			return o.now
		}, TransferRemoteIdle, Consistent, ""},
	} {
		t.Run(s.name, func(t *testing.T) {
			p := newPipe(t)
			v := p.finish(s.play(p))
			complete(t, &v)
			if v.Class != s.class || v.Level != s.level || s.note != "" && !slices.Contains(v.Notes, s.note) {
				t.Errorf("got %s %v %s notes %v, want %s %s %s\n%+v", v.Class, v.Place, v.Level, v.Notes, s.class, s.level, s.note, p.judged)
			}
		})
	}
}
