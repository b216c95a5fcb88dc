package diagnose

import (
	"slices"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"goproxytrace/internal/packets"
)

// bulk sends an answer of n full segments, one each gap ns; of every drop-th the
// first sending is lost before it is captured, zero for none.
func (w *wire) bulk(n int, gap int64, drop int) *wire {
	for i := range n {
		b := appData(mss)[:mss]
		if drop > 0 && i%drop == drop-1 {
			// A later segment comes first, then this one again.
			w.put(w.s(packets.ACK|packets.PSH, w.sseq+mss, w.sack, b))
			w.put(w.c(packets.ACK, w.cseq, w.sseq, nil).SACK(serverISN+w.sseq+mss, serverISN+w.sseq+2*mss))
			w.wait(gap)
			w.put(w.s(packets.ACK|packets.PSH, w.sseq, w.sack, b))
			w.sseq += 2 * mss
		} else {
			w.put(w.s(packets.ACK|packets.PSH, w.sseq, w.sack, b))
			w.sseq += mss
		}
		w.cack = w.sseq
		w.put(w.c(packets.ACK, w.cseq, w.cack, nil))
		w.wait(gap)
	}
	return w
}

// asking sends small requests that are acknowledged after the given times.
func (w *wire) asking(after ...int64) *wire {
	for _, d := range after {
		b := appData(200)
		w.put(w.c(packets.ACK|packets.PSH, w.cseq, w.cack, b))
		w.cseq += uint32(len(b))
		w.wait(d)
		w.sack = w.cseq
		w.put(w.s(packets.ACK, w.sseq, w.sack, nil))
	}
	return w
}

func (w *wire) end() *wire { return w.cfin().wait(rtt).sfin() }

// What a download waited for is noted, and nothing of it is a death.
func TestSlow(t *testing.T) {
	const none = ""
	for _, s := range []struct {
		name string
		play func(t *testing.T, w *wire)
		want string // evidence, empty for no note
	}{
		{"a fast one", func(t *testing.T, w *wire) { download(t, w).request().bulk(900, ms, 0).end() }, none},
		{"at 60 kB a second", func(t *testing.T, w *wire) { download(t, w).request().bulk(600, 24*ms, 0).end() }, "slow.rate"},
		{"at that rate, with loss", func(t *testing.T, w *wire) { download(t, w).request().bulk(600, 24*ms, 20).end() }, "slow.loss"},
		{"a fast one that pauses", func(t *testing.T, w *wire) {
			download(t, w).request().bulk(450, ms, 0).wait(40*sec).request().bulk(450, ms, 0).end()
		}, none},
		{"many small answers in turn", func(t *testing.T, w *wire) {
			download(t, w)
			for range 300 {
				w.request().down(appData(600))
			}
			w.end()
		}, none},
		{"an answer that began late", func(t *testing.T, w *wire) {
			w.begin(t).preface().request().settings().wait(20 * sec).down(appData(3000)).end()
		}, "slow.answer"},
		{"a farewell of the server long after the last answer", func(t *testing.T, w *wire) {
			w.begin(t).preface().request().settings().down(appData(3000)).up(appData(13+recordOverhead13), true).wait(60 * sec).down(appData(17 + recordOverhead13)).end()
		}, none},
		{"a connection that had nothing to ask for a while", func(t *testing.T, w *wire) {
			download(t, w).request().down(appData(3000)).wait(20 * sec).request().down(appData(3000)).end()
		}, none},
		{"SYNs that were lost", func(t *testing.T, w *wire) {
			w.syn().wait(sec).syn().wait(2 * sec).syn().wait(4 * sec)
			download(t, w).request().down(appData(3000)).end()
		}, "slow.connect"},
		{"one SYN that was lost", func(t *testing.T, w *wire) {
			w.syn().wait(sec)
			download(t, w).request().down(appData(3000)).end()
		}, none},
		{"round trips that grow while data comes", func(t *testing.T, w *wire) {
			download(t, w).request()
			for range 5 {
				w.bulk(200, 11*ms, 0).asking(700*ms, 900*ms, 800*ms)
			}
			w.end()
		}, "slow.queue"},
		{"one acknowledgement that was held back", func(t *testing.T, w *wire) {
			download(t, w).request()
			for range 5 {
				w.bulk(200, 11*ms, 0).asking(rtt, rtt, rtt)
			}
			w.asking(500 * ms).end()
		}, none},
	} {
		t.Run(s.name, func(t *testing.T) {
			p := newPipe(t)
			w := newWire(p, v4Server)
			s.play(t, w)
			v := p.finish(w.now)
			complete(t, &v)
			if v.Class != OK {
				t.Fatalf("got %s", v.Class)
			}
			if noted := slices.Contains(v.Notes, "slow"); noted != (s.want != none) {
				t.Errorf("noted as slow: %v, want %v: %+v", noted, !noted, v.Evidence)
			}
			if s.want != none && !v.has(s.want) {
				t.Errorf("no %s in %+v", s.want, v.Evidence)
			}
		})
	}
}

// A lookup that waited for one family is what made the connection late.
func TestSlowLookup(t *testing.T) {
	const a, aaaa = dnsmessage.TypeA, dnsmessage.TypeAAAA
	for _, late := range []bool{false, true} {
		p := newPipe(t)
		p.targets = []string{testHost}
		d := newDNS(t, p)
		d.ask("1001", 1, a).ask("1002", 2, aaaa).answer("1001", 1, a, 0, "198.51.100.1")
		if late {
			d.wait(5 * sec)
			d.ask("1004", 4, aaaa).wait(5 * sec)
		} else {
			d.answer("1002", 2, aaaa, 0)
		}
		p.names[addrOf(v4Server)] = testHost
		d.fine(t)
		v := p.finish(d.now + 10*sec)
		if v.Class != OK || v.has("slow.lookup") != late || slices.Contains(v.Notes, "slow") != late {
			t.Errorf("one family silent: %v; got %s %v %+v", late, v.Class, v.Notes, v.Evidence)
		}
	}
}

// What follows a block is told from what is blocked for good by what changes.
func TestResidual(t *testing.T) {
	reset := func(t *testing.T, w *wire) { w.open().up(hello(t), true).srst() }
	for _, s := range []struct {
		name string
		play func(t *testing.T, w *wire) *wire
		want bool
		over bool
	}{
		{"no further SYN is answered", func(t *testing.T, w *wire) *wire {
			reset(t, w)
			return w.another("40002", v4Server).wait(20 * sec).dead()
		}, true, false},
		{"reset again, and fine after the time of blocks", func(t *testing.T, w *wire) *wire {
			reset(t, w)
			o := w.another("40002", v4Server).wait(20 * sec)
			reset(t, o)
			return o.another("40003", v4Server).wait(90 * sec).fine(t)
		}, true, true},
		{"reset every time", func(t *testing.T, w *wire) *wire {
			reset(t, w)
			o := w.another("40002", v4Server).wait(20 * sec)
			reset(t, o)
			o = o.another("40003", v4Server).wait(100 * sec)
			reset(t, o)
			return o
		}, false, false},
		{"fine at once", func(t *testing.T, w *wire) *wire {
			reset(t, w)
			return w.another("40002", v4Server).wait(sec).fine(t)
		}, false, false},
		{"another address does not answer", func(t *testing.T, w *wire) *wire {
			reset(t, w)
			return w.another("40002", "203.0.113.5:443").wait(20 * sec).dead()
		}, false, false},
		{"no answer much later", func(t *testing.T, w *wire) *wire {
			reset(t, w)
			return w.another("40002", v4Server).wait(600 * sec).dead()
		}, false, false},
		{"never an answer", func(_ *testing.T, w *wire) *wire {
			w.dead()
			return w.another("40002", v4Server).wait(20 * sec).dead()
		}, false, false},
	} {
		t.Run(s.name, func(t *testing.T) {
			p := newPipe(t)
			w := s.play(t, newWire(p, v4Server))
			v := p.finish(w.now + 20*sec)
			complete(t, &v)
			if got := slices.Contains(v.Notes, "residual-block"); got != s.want || v.has("residual.block") != s.want || v.has("residual.over") != s.over {
				t.Errorf("noted %v, want %v: %s %+v", got, s.want, v.Class, v.Evidence)
			}
		})
	}
}
