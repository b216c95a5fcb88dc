package diagnose

import (
	"crypto/tls"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"goproxytrace/analyze/goproxy"
	"goproxytrace/internal/packets"
)

// rowsElsewhere are the rows that only a whole analysis reaches; the tests of
// package analyze have a scenario for each.
var rowsElsewhere = []string{"K1", "K2", "K3", "K4", "K5", "K6", "K7", "K8", "K9", "S8", "T12", "N1"}

// scenario plays what a row of the taxonomy tells of and returns the capture's
// end, zero for the last packet.
type scenario func(t *testing.T, w *wire) int64

// flights plays a handshake.
func (w *wire) flights(list []flight) *wire {
	for _, f := range list {
		if f.fromClient {
			w.up(f.bytes, true)
		} else {
			w.down(f.bytes)
		}
	}
	return w
}

// asks plays a lookup of the go command in front of what it leads to.
func asks(play func(t *testing.T, d *dns) int64) scenario {
	return func(t *testing.T, w *wire) int64 {
		w.p.targets = []string{testHost}
		return play(t, newDNS(t, w.p))
	}
}

var connectRequest = []byte("CONNECT " + testHost + ":443 HTTP/1.1\r\nHost: " + testHost + "\r\n\r\n")

var scenarios = map[string]scenario{
	"L1": asks(func(_ *testing.T, d *dns) int64 {
		d.p.health.Unfiltered = true
		d.ask("1001", 1, dnsmessage.TypeA).answer("1001", 1, dnsmessage.TypeA, 0, "198.51.100.1")
		return d.now + 40*sec
	}),
	"L2": func(_ *testing.T, w *wire) int64 {
		w.loopback = true
		w.put(w.s(packets.RST|packets.ACK, 0, 1, nil))
		return 0
	},
	"L3": func(t *testing.T, w *wire) int64 {
		w.open().put(w.s(packets.RST|packets.ACK, 1, 1+uint32(len(hello(t))), nil))
		return 0
	},
	"L4": func(_ *testing.T, w *wire) int64 {
		w.open()
		return w.now + 12*sec
	},
	"L5": func(_ *testing.T, w *wire) int64 { return ignoreSYNACK(w) },
	"L6": func(t *testing.T, w *wire) int64 {
		w.open()
		return ignoreFlight(t, w)
	},
	"L7": func(t *testing.T, w *wire) int64 {
		w.p.targets = []string{testHost}
		w.p.flow = func(f *Flow) {
			f.Conn.ProcessID = goPID
			if f.Conn.ServerEnd().Addr == addrOf(v4Server) {
				f.Conn.ProcessID = productPID
			}
		}
		relayed(t, w.p, loopbackProxy, false, func(w *wire) { w.fine(t) })
		return 0
	},
	"L8": func(t *testing.T, w *wire) int64 {
		download(t, w).request().down(appData(9000))
		w.put(w.c(packets.ACK, w.cseq, w.cack, nil).Window(0))
		return w.now + 20*sec
	},
	"L9": func(t *testing.T, w *wire) int64 {
		w.open().up(hello(t), true).down(handshake(t, tls.VersionTLS13, false)[1].bytes)
		o := w.another("40002", "203.0.113.9:80")
		o.wait(50 * ms).syn().wait(sec).syn().wait(2 * sec).syn()
		w.wait(10 * sec).cfin()
		return w.now + sec
	},
	"L10": func(t *testing.T, w *wire) int64 {
		w.open().up(hello(t), true).wait(2 * sec).cfin()
		return w.now + 20*sec
	},

	"D1": asks(func(_ *testing.T, d *dns) int64 {
		d.ask("1001", 1, dnsmessage.TypeA).wait(5 * sec)
		d.ask("1002", 2, dnsmessage.TypeA)
		return d.now + 10*sec
	}),
	"D2": asks(func(_ *testing.T, d *dns) int64 {
		d.ask("1001", 1, dnsmessage.TypeA).answer("1001", 1, dnsmessage.TypeA, dnsmessage.RCodeNameError)
		return 0
	}),
	"D3": asks(func(_ *testing.T, d *dns) int64 {
		d.ask("1001", 1, dnsmessage.TypeA).answer("1001", 1, dnsmessage.TypeA, dnsmessage.RCodeServerFailure)
		return 0
	}),
	"D4": asks(func(_ *testing.T, d *dns) int64 {
		d.ask("1001", 1, dnsmessage.TypeA).answer("1001", 1, dnsmessage.TypeA, 0, "0.0.0.0")
		return 0
	}),
	"D5": asks(func(_ *testing.T, d *dns) int64 {
		d.ask("1001", 1, dnsmessage.TypeA).answer("1001", 1, dnsmessage.TypeA, 0, "203.0.113.66").answer("1001", 1, dnsmessage.TypeA, 0, "198.51.100.1")
		return 0
	}),
	"D6": asks(func(t *testing.T, d *dns) int64 {
		d.ask("1001", 1, dnsmessage.TypeA).ask("1002", 2, dnsmessage.TypeAAAA).answer("1001", 1, dnsmessage.TypeA, 0, "198.51.100.1").wait(5 * sec)
		d.ask("1004", 4, dnsmessage.TypeAAAA).wait(5 * sec)
		d.p.names[addrOf(v4Server)] = testHost
		d.fine(t)
		return d.now + 10*sec
	}),

	"S1": func(_ *testing.T, w *wire) int64 { return w.dead().now + 20*sec },
	"S2": func(_ *testing.T, w *wire) int64 {
		w.p.health.Silent = []SilentNeighbour{{Addr: addrOf("192.0.2.1:0"), Count: 3, Frames: []int64{1}}}
		return w.dead().now + 20*sec
	},
	"S3": func(_ *testing.T, w *wire) int64 {
		w.refused()
		return 0
	},
	"S4": func(_ *testing.T, w *wire) int64 {
		w.p.addrs[addrOf(v4Server)] = &AddressFacts{MinRTT: rtt, RTTs: 2, MinTTL: 54, MaxTTL: 54}
		w.syn().wait(rtt / 10).put(w.s(packets.RST|packets.ACK, 0, 1, nil).TTL(60))
		return 0
	},
	"S5": func(_ *testing.T, w *wire) int64 {
		w.syn().wait(rtt).put(packets.ICMPError("203.0.113.9", "192.0.2.10", 3, 13, w.c(packets.SYN, 0, 0, nil)))
		return 0
	},
	"S6": func(_ *testing.T, w *wire) int64 {
		w.p.segment = outbound
		w.syn().wait(rtt).synack().put(w.s(packets.SYN|packets.ACK, 7000, 1, nil).MSS(1460))
		w.wait(sec).syn().wait(rtt).synack().wait(2 * sec).syn().wait(rtt).synack()
		return w.now + 20*sec
	},
	"S7": func(t *testing.T, w *wire) int64 {
		w.dead()
		w.another("40002", "203.0.113.5:443").fine(t)
		return w.now + 20*sec
	},

	"P1": func(t *testing.T, w *wire) int64 {
		h := hello(t)
		w.open().up(h, false).again(1, h[:mss], 6)
		return w.now + sec
	},
	"P2": func(t *testing.T, w *wire) int64 {
		h := hello(t)
		w.open().up(h, false).wait(rtt)
		w.put(packets.ICMPError("203.0.113.9", "192.0.2.10", 3, 4, w.c(packets.ACK, 1, 1, h[:mss])).ICMPRest(1400))
		w.again(1, h[:mss], 5)
		return w.now + sec
	},
	"P3": func(t *testing.T, w *wire) int64 {
		h := hello(t)
		half := uint32(len(h) / 2)
		w.open().up(h[:half], false).up(h[half:], false).wait(rtt).put(w.s(packets.ACK, 1, 1+half, nil))
		w.again(1+half, h[half:], 5)
		return w.now + sec
	},
	"P4": func(t *testing.T, w *wire) int64 {
		w.open().up(hello(t), true)
		for range 3 {
			w.put(w.s(packets.ACK|packets.PSH, 1+1460, w.sack, make([]byte, 300)))
			w.put(w.c(packets.ACK, w.cseq, 1, nil).SACK(serverISN+1461, serverISN+1761))
			w.wait(sec)
		}
		w.wait(7 * sec).cfin()
		return w.now + sec
	},
	"P5": func(t *testing.T, w *wire) int64 {
		w.open().up(hello(t), true).wait(10 * sec).cfin().wait(rtt).put(w.s(packets.ACK, 1, w.cseq, nil))
		return w.now + sec
	},
	"P6": func(t *testing.T, w *wire) int64 {
		w.open().up(hello(t), true).wait(10 * sec).cfin()
		return w.now + 5*sec
	},

	"R1": func(t *testing.T, w *wire) int64 {
		w.p.addrs[addrOf(v4Server)] = &AddressFacts{MinRTT: rtt, RTTs: 2}
		w.open().up(hello(t), false).wait(rtt).srst()
		return 0
	},
	"R2": func(t *testing.T, w *wire) int64 {
		w.open().up(hello(t), true).put(w.s(packets.RST|packets.ACK, 1, w.cseq, nil).TTL(60))
		return 0
	},
	"R3": func(t *testing.T, w *wire) int64 {
		w.p.addrs[addrOf(v4Server)] = &AddressFacts{MinRTT: rtt, RTTs: 2}
		w.open().up(hello(t), false).wait(4 * ms).put(w.s(packets.RST|packets.ACK, 1, w.cseq, nil))
		return 0
	},
	"R4": func(_ *testing.T, w *wire) int64 {
		w.open().wait(rtt).put(w.s(packets.RST|packets.ACK, 1, 1, nil))
		return 0
	},
	"R5": func(t *testing.T, w *wire) int64 {
		w.p.addrs[addrOf(v4Server)] = &AddressFacts{MinRTT: rtt, RTTs: 2}
		w.open().up(hello(t), false).wait(rtt + ms).srst()
		return 0
	},
	"R6": func(t *testing.T, w *wire) int64 {
		w.open().up(hello(t), true).sfin().cfin()
		return 0
	},
	"R7": func(t *testing.T, w *wire) int64 {
		w.open().shake(t, tls.VersionTLS13).cfin().wait(rtt).down(appData(19)).sfin().crst()
		return 0
	},

	"A1": func(t *testing.T, w *wire) int64 {
		w.open().up(hello(t), true).down([]byte{21, 3, 3, 0, 2, 2, 40}).sfin().cfin()
		return 0
	},
	"A2": func(t *testing.T, w *wire) int64 {
		w.open().flights(handshake(t, tls.VersionTLS12, true)).cfin()
		return 0
	},
	"A3": func(t *testing.T, w *wire) int64 {
		w.open().flights(handshake(t, tls.VersionTLS13, true)).cfin()
		return 0
	},
	"A4": func(t *testing.T, w *wire) int64 {
		w.fine(t)
		return 0
	},
	"A5": func(t *testing.T, w *wire) int64 {
		w.open().up(hello(t), true).down([]byte("HTTP/1.1 302 Found\r\nLocation: http://portal.example/\r\n\r\n")).sfin().cfin()
		return 0
	},
	"A6": func(t *testing.T, w *wire) int64 {
		fs := handshake(t, tls.VersionTLS12, false)
		w.open().up(fs[0].bytes, true).down(fs[1].bytes).up([]byte{21, 3, 3, 0, 2, 2, 47}, true).cfin()
		return 0
	},

	"H1": func(t *testing.T, w *wire) int64 {
		w.open().up(hello(t), true).down([]byte("HTTP/1.1 200 OK\r\n\r\n")).sfin().cfin()
		return 0
	},
	"H2": func(_ *testing.T, w *wire) int64 {
		w.open().up(connectRequest, true).down([]byte("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")).cfin()
		return 0
	},
	"H3": func(_ *testing.T, w *wire) int64 {
		w.open().up(connectRequest, true).wait(30 * sec).keepAlive(true)
		return w.now + sec
	},
	"H4": func(t *testing.T, w *wire) int64 {
		o := w.another("40002", "198.51.100.7:3128")
		o.open().up(hello(t), true).down([]byte("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n400 Bad Request")).sfin().cfin()
		return 0
	},
	"H5": func(_ *testing.T, w *wire) int64 {
		w.p.targets = []string{"proxy.corp.example"}
		w.p.names[addrOf(v4Server)] = "proxy.corp.example"
		w.refused()
		return 0
	},
	"H6": func(t *testing.T, w *wire) int64 {
		w.open().up(hello(t), true).down([]byte("220 mail.example ESMTP\r\n")).cfin()
		return 0
	},

	"T1": func(t *testing.T, w *wire) int64 {
		w.begin(t).preface().request().settings().wait(30 * sec).keepAlive(true)
		return w.now + sec
	},
	"T2": func(t *testing.T, w *wire) int64 {
		download(t, w).request().down(appData(9000)).wait(30 * sec).keepAlive(false).wait(15 * sec).keepAlive(false)
		return w.now + 20*sec
	},
	"T3": func(t *testing.T, w *wire) int64 {
		download(t, w).request().down(appData(9000)).wait(70 * sec)
		seq, b := w.cseq, appData(200)
		w.up(b, false).again(seq, b, 6)
		return w.now + sec
	},
	"T4": func(t *testing.T, w *wire) int64 { return stuckBehindLoss(t, w) },
	"T5": func(t *testing.T, w *wire) int64 {
		download(t, w).request().down(appData(9000)[:5000]).wait(30 * sec).keepAlive(true)
		return w.now + sec
	},
	"T6": func(t *testing.T, w *wire) int64 {
		download(t, w).request().down(appData(20000)[:14000]).wait(30 * sec).keepAlive(true)
		return w.now + sec
	},
	"T7": func(t *testing.T, w *wire) int64 {
		download(t, w).request().bulk(600, 24*ms, 20).end()
		return 0
	},
	"T8": func(t *testing.T, w *wire) int64 {
		download(t, w).request()
		for range 5 {
			w.bulk(200, 11*ms, 0).asking(700*ms, 900*ms, 800*ms)
		}
		w.end()
		return 0
	},
	"T9": func(t *testing.T, w *wire) int64 {
		download(t, w).request().down(appData(9000)[:5000]).sfin().cfin()
		return 0
	},
	"T10": func(t *testing.T, w *wire) int64 {
		download(t, w).request().down(appData(9000)[:5000]).srst()
		return 0
	},
	"T11": func(_ *testing.T, w *wire) int64 {
		w.open().up([]byte("GET /m/@v/list HTTP/1.1\r\nHost: proxy.example\r\nUser-Agent: Go-http-client/1.1\r\n\r\n"), true)
		w.down([]byte("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")).end()
		return 0
	},
	"T13": func(t *testing.T, w *wire) int64 {
		w.open().up(hello(t), true).srst()
		return w.another("40002", v4Server).wait(20*sec).dead().now + 20*sec
	},
	"T14": func(t *testing.T, w *wire) int64 {
		w.open().shake(t, tls.VersionTLS13).cfin().wait(rtt).down(appData(24 - 5)).sfin().crst()
		return 0
	},

	"O1": elsewhereDies("storage.googleapis.com"),
	"O2": elsewhereDies("sum.example"),
	"O3": elsewhereDies("github.com"),
	"O4": func(t *testing.T, w *wire) int64 {
		w.p.targets = []string{testHost}
		w.open().up(hello(t), true).srst()
		return 0
	},
	"N2": func(t *testing.T, w *wire) int64 {
		download(t, w).request().bulk(900, ms, 0).end()
		return 0
	},
}

// elsewhereDies is a module proxy that delivers, and another host of the go
// command that dies.
func elsewhereDies(host string) scenario {
	return func(t *testing.T, w *wire) int64 {
		const other = "203.0.113.5:443"
		w.p.targets = []string{testHost, host}
		w.p.rename = func(f *Flow) {
			if f.Conn.ServerEnd().Addr == addrOf(other) {
				f.ServerName = host
			}
		}
		w.fine(t).wait(sec)
		w.another("40002", other).open().up(hello(t), true).srst()
		return 0
	}
}

// stuckBehindLoss is a download with several gaps of which the last is never
// filled.
func stuckBehindLoss(t *testing.T, w *wire) int64 {
	download(t, w).request()
	for range 4 {
		b := make([]byte, mss)
		w.put(w.s(packets.ACK, w.sseq+mss, w.sack, b))
		w.put(w.c(packets.ACK, w.cseq, w.cack, nil).SACK(serverISN+w.sseq+mss, serverISN+w.sseq+2*mss))
		w.wait(200 * ms).put(w.s(packets.ACK, w.sseq, w.sack, b))
		w.sseq += 2 * mss
		w.cack = w.sseq
		w.put(w.c(packets.ACK, w.cseq, w.cack, nil))
	}
	w.put(w.s(packets.ACK, w.sseq+mss, w.sack, make([]byte, mss)))
	w.put(w.c(packets.ACK, w.cseq, w.cack, nil).SACK(serverISN+w.sseq+mss, serverISN+w.sseq+2*mss))
	return w.now + 20*sec
}

// reached says why a verdict, with what it rests on, does not reach a row; empty
// where it does.
func (r *Row) reached(v *Verdict) string {
	switch {
	case r.AnyDeath && !v.Died(), !r.AnyDeath && len(r.Classes) > 0 && !slices.Contains(r.Classes, v.Class):
		return "class " + string(v.Class)
	case len(r.Notes)+len(r.Evidence) == 0:
		return ""
	}
	var seen []string
	for i := range v.Evidence {
		seen = append(seen, v.Evidence[i].ID)
	}
	mark := func(id string) bool { return slices.Contains(seen, id) || slices.Contains(v.Notes, id) }
	if slices.ContainsFunc(r.Evidence, mark) || len(r.Evidence) == 0 && slices.ContainsFunc(r.Notes, mark) || len(r.Classes) > 1 && slices.ContainsFunc(r.Notes, mark) {
		return ""
	}
	return "evidence " + strings.Join(seen, " ") + ", notes " + strings.Join(v.Notes, " ")
}

// Every row is reached by packets that are what it tells of.
func TestRowsReached(t *testing.T) {
	known := map[string]bool{}
	for i := range Rows {
		r := &Rows[i]
		known[r.ID] = true
		play, elsewhere := scenarios[r.ID], slices.Contains(rowsElsewhere, r.ID)
		if (play != nil) == elsewhere {
			t.Errorf("%s has a scenario here: %v, elsewhere: %v", r.ID, play != nil, elsewhere)
			continue
		}
		if play == nil {
			continue
		}
		t.Run(r.ID, func(t *testing.T) {
			p := newPipe(t)
			v := p.finish(play(t, newWire(p, v4Server)))
			if r.ID[0] == 'O' {
				p.agg.Explain(&v, &GoConfig{
					Settings: goproxy.Settings{GOPROXY: "https://" + testHost + ",direct", GOSUMDB: "sum.example+1+k"}, Source: goproxy.FromEnvironment,
				})
			}
			complete(t, &v)
			if why := r.reached(&v); why != "" {
				t.Errorf("not reached: %s", why)
			}
		})
	}
	for id := range scenarios {
		if !known[id] {
			t.Errorf("a scenario of the unknown row %s", id)
		}
	}
}
