package diagnose

import (
	"crypto/tls"
	"slices"
	"testing"

	"goproxytrace/capture"
	"goproxytrace/internal/packets"
)

// named is a connection that ended well with a host of that name in its hello.
func (w *wire) fine(t *testing.T) *wire {
	return w.open().shake(t, tls.VersionTLS13).cfin().wait(rtt).sfin()
}

func (w *wire) dead() *wire {
	return w.syn().wait(sec).syn().wait(2 * sec).syn().wait(4 * sec)
}

func TestWhole(t *testing.T) {
	const other = "203.0.113.5:443"
	for _, s := range []struct {
		name  string
		play  func(t *testing.T, p *pipe) int64
		class Class
		note  string
	}{
		{"nothing", func(*testing.T, *pipe) int64 { return baseTime }, NoTraffic, ""},
		{"first address dead, second delivers", func(t *testing.T, p *pipe) int64 {
			w := newWire(p, v4Server).dead()
			w.another("40002", other).fine(t)
			return w.now + 20*sec
		}, OK, "fallback"},
		{"IPv6 dead, IPv4 raced and delivers", func(t *testing.T, p *pipe) int64 {
			p.targets = []string{testHost}
			p.names[addrOf(v6Server)] = testHost
			w := newWire(p, v6Server).syn().wait(300 * ms)
			o := newWire(p, other)
			o.now = w.now
			o.fine(t)
			w.wait(700 * ms).syn()
			return w.now + 20*sec
		}, OK, "one-family-broken"},
		{"another address, contacted before and only overlapping", func(t *testing.T, p *pipe) int64 {
			w := newWire(p, other).fine(t)
			o := w.another("40002", v4Server).dead()
			return o.now + 20*sec
		}, ConnectNoAnswer, ""},
		{"second host dies too", func(t *testing.T, p *pipe) int64 {
			w := newWire(p, v4Server).dead()
			o := w.another("40002", other)
			o.open().up(hello(t), true).srst()
			return o.now + 20*sec
		}, TLSReset, ""},
		{"the same address works later", func(t *testing.T, p *pipe) int64 {
			w := newWire(p, v4Server)
			w.open().up(hello(t), true).srst().wait(sec)
			o := w.another("40002", v4Server).fine(t)
			return o.now + 20*sec
		}, TLSReset, ""},
		{"client left here, worked elsewhere is no matter: it left", func(t *testing.T, p *pipe) int64 {
			w := newWire(p, v4Server)
			download(t, w).request().down(appData(15000)[:3000]).cfin()
			w.put(w.s(packets.ACK, w.sseq, w.sack, make([]byte, mss)))
			w.sseq += mss
			w.put(w.s(packets.ACK, w.sseq, w.sack, make([]byte, mss)))
			return w.now
		}, ClientAborted, ""},
		{"idle connection while another works", func(t *testing.T, p *pipe) int64 {
			w := newWire(p, v4Server)
			download(t, w).request().down(appData(15000))
			o := w.another("40002", v4Server)
			o.open().shake(t, tls.VersionTLS13)
			for range 10 {
				o.wait(2 * sec).request().down(appData(3000))
			}
			return o.now
		}, OK, ""},
		{"all connections idle at the end", func(t *testing.T, p *pipe) int64 {
			w := newWire(p, v4Server)
			download(t, w).request().down(appData(15000))
			return w.now + 20*sec
		}, TransferRemoteIdle, ""},
		{"another program's death beside a healthy target", func(t *testing.T, p *pipe) int64 {
			p.targets = []string{testHost}
			w := newWire(p, v4Server).fine(t)
			o := w.another("40002", "203.0.113.99:8443").dead()
			return o.now + 20*sec
		}, OK, ""},
		{"another program's death alone", func(t *testing.T, p *pipe) int64 {
			o := newWire(p, "203.0.113.99:8443").dead()
			return o.now + 20*sec
		}, ConnectNoAnswer, ""},
		{"death in a capture that dropped packets", func(t *testing.T, p *pipe) int64 {
			p.env.Drops = 9
			w := newWire(p, v4Server).dead()
			return w.now + 20*sec
		}, CaptureUnusable, ""},
		{"silent gateway", func(t *testing.T, p *pipe) int64 {
			p.env.Heard = false
			p.health.Silent = []SilentNeighbour{{Addr: addrOf("192.0.2.1:0"), Count: 3, Frames: []int64{1}}}
			w := newWire(p, v4Server).dead()
			return w.now + 20*sec
		}, LinkGatewaySilent, ""},
		{"rejected by this host with an ICMP error", func(t *testing.T, p *pipe) int64 {
			w := newWire(p, v4Server)
			w.put(packets.ICMPError("192.0.2.10", "192.0.2.10", 3, 3, w.c(packets.SYN, 0, 0, nil)))
			return w.now + 20*sec
		}, ConnectRejectedLocally, ""},
		{"another program rejected by this host", func(t *testing.T, p *pipe) int64 {
			p.targets = []string{testHost}
			w := newWire(p, v4Server)
			w.put(packets.ICMPError("192.0.2.10", "192.0.2.10", 3, 3, packets.TCP("192.0.2.10:50000", other).Flags(packets.SYN)))
			w.fine(t)
			return w.now + 20*sec
		}, OK, ""},
		{"orphan only", func(t *testing.T, p *pipe) int64 {
			w := newWire(p, v4Server)
			w.cseq, w.cack, w.sseq, w.sack = 1, 1, 1, 1
			w.again(1, hello(t)[:mss], 4)
			w.srst()
			return w.now + 20*sec
		}, CaptureUnusable, ""},
	} {
		t.Run(s.name, func(t *testing.T) {
			p := newPipe(t)
			v := p.finish(s.play(t, p))
			complete(t, &v)
			if v.Class != s.class || s.note != "" && !slices.Contains(v.Notes, s.note) {
				t.Errorf("got %s %v %s notes %v, want %s %s\n%+v", v.Class, v.Place, v.Level, v.Notes, s.class, s.note, p.judged)
			}
		})
	}
}

// TestCutAnywhere holds that a healthy capture that ends at any packet, or is
// left waiting there for any time up to 5 s, accuses nobody.
func TestCutAnywhere(t *testing.T) {
	var all []capture.Packet
	rec := newPipe(t)
	rec.tee = func(k *capture.Packet) { all = append(all, *k) }
	w := newWire(rec, v4Server)
	o := w.another("40002", v4Server)
	w.fine(t)
	o.now = w.now
	o.open().shake(t, tls.VersionTLS13).request().down(appData(9000)).wait(sec).request().down(appData(9000)).cfin().wait(rtt).down(appData(19)).crst()
	for n := 1; n <= len(all); n++ {
		for _, wait := range []int64{0, sec, 4900 * ms} {
			p := newPipe(t)
			for i := range all[:n] {
				p.packet(&all[i])
			}
			if v := p.finish(all[n-1].Time + wait); v.Died() && v.Class != ClientAborted || v.Class == ClientAborted && v.Level != Consistent {
				t.Errorf("cut after packet %d and %d ns: %s %s %+v", n, wait, v.Class, v.Level, v.Evidence)
			}
		}
	}
}
