package diagnose

import (
	"cmp"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"goproxytrace/analyze/decode"
	"goproxytrace/capture"
	"goproxytrace/internal/packets"
)

const resolver = "203.0.113.53:53"

// dns writes lookups of one name into a pipe.
type dns struct {
	*wire
	t *testing.T
	// size and cookie are those of the questions' EDNS records; zero for none.
	size   int
	cookie bool
	// host is what is asked for, empty for testHost.
	host string
}

func newDNS(t *testing.T, p *pipe) *dns { return &dns{wire: newWire(p, v4Server), t: t} }

func (d *dns) datagram(k *packets.Packet) {
	*d.frame++
	b := k.Ethernet()
	d.p.packet(&capture.Packet{Number: *d.frame, Time: d.now, HasTime: true, Data: b, Length: len(b), LinkType: 1, FCSLen: -1})
	d.now += ms / 100
}

func (d *dns) message(id uint16, typ dnsmessage.Type, rcode dnsmessage.RCode, response bool, addrs ...string) []byte {
	name := dnsmessage.MustNewName(cmp.Or(d.host, testHost) + ".")
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: id, Response: response, RCode: rcode, RecursionDesired: true})
	fail := func(err error) {
		if err != nil {
			d.t.Fatal(err)
		}
	}
	fail(b.StartQuestions())
	fail(b.Question(dnsmessage.Question{Name: name, Type: typ, Class: dnsmessage.ClassINET}))
	fail(b.StartAnswers())
	for _, s := range addrs {
		fail(b.AResource(dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: 60}, dnsmessage.AResource{A: netip.MustParseAddr(s).As4()}))
	}
	if d.size > 0 && !response {
		var h dnsmessage.ResourceHeader
		fail(h.SetEDNS0(d.size, 0, false))
		var opt dnsmessage.OPTResource
		if d.cookie {
			opt.Options = []dnsmessage.Option{{Code: 10, Data: []byte("12345678")}}
		}
		fail(b.StartAdditionals())
		fail(b.OPTResource(h, opt))
	}
	out, err := b.Finish()
	fail(err)
	return out
}

func (d *dns) ask(port string, id uint16, typ dnsmessage.Type) *dns {
	d.datagram(packets.UDP("192.0.2.10:"+port, resolver).Payload(d.message(id, typ, 0, false)))
	return d
}

func (d *dns) answer(port string, id uint16, typ dnsmessage.Type, rcode dnsmessage.RCode, addrs ...string) *dns {
	d.wait(rtt)
	d.datagram(packets.UDP(resolver, "192.0.2.10:"+port).Payload(d.message(id, typ, rcode, true, addrs...)))
	return d
}

func TestLookups(t *testing.T) {
	const a, aaaa = dnsmessage.TypeA, dnsmessage.TypeAAAA
	connect := func(t *testing.T, d *dns) {
		d.p.names[addrOf(v4Server)] = testHost
		d.fine(t)
	}
	for _, s := range []struct {
		name  string
		play  func(t *testing.T, d *dns)
		quiet int64 // from the last packet to the capture's end
		class Class
		place []Place
	}{
		{"no answer", func(_ *testing.T, d *dns) {
			d.ask("1001", 1, a).ask("1002", 2, aaaa).wait(5 * sec)
			d.ask("1003", 3, a).ask("1004", 4, aaaa)
		}, 10 * sec, DNSNoAnswer, beyond},
		{"second try answered", func(t *testing.T, d *dns) {
			d.ask("1001", 1, a).wait(5 * sec)
			d.ask("1003", 3, a).answer("1003", 3, a, 0, "198.51.100.1")
			connect(t, d)
		}, 10 * sec, OK, nil},
		{"capture ends while it waits", func(_ *testing.T, d *dns) { d.ask("1001", 1, a) }, 3 * sec, OK, nil},
		{"AAAA silent", func(t *testing.T, d *dns) {
			d.ask("1001", 1, a).ask("1002", 2, aaaa).answer("1001", 1, a, 0, "198.51.100.1").wait(5 * sec)
			d.ask("1004", 4, aaaa).wait(5 * sec)
			connect(t, d)
		}, 10 * sec, OK, nil},
		{"no such name", func(_ *testing.T, d *dns) { d.ask("1001", 1, a).answer("1001", 1, a, dnsmessage.RCodeNameError) }, 0, DNSNXDomain, beyond},
		{"server failure", func(_ *testing.T, d *dns) { d.ask("1001", 1, a).answer("1001", 1, a, dnsmessage.RCodeServerFailure) }, 0, DNSServFail, beyond},
		{"refused", func(_ *testing.T, d *dns) { d.ask("1001", 1, a).answer("1001", 1, a, dnsmessage.RCodeRefused) }, 0, DNSRefused, beyond},
		{"no address at all", func(_ *testing.T, d *dns) {
			d.ask("1001", 1, a).ask("1002", 2, aaaa).answer("1001", 1, a, 0).answer("1002", 2, aaaa, 0)
		}, 0, DNSNoData, beyond},
		{"no IPv6 address", func(t *testing.T, d *dns) {
			d.ask("1001", 1, a).ask("1002", 2, aaaa).answer("1002", 2, aaaa, 0).answer("1001", 1, a, 0, "198.51.100.1")
			connect(t, d)
		}, 0, OK, nil},
		{"port unreachable", func(_ *testing.T, d *dns) {
			q := packets.UDP("192.0.2.10:1001", resolver).Payload(d.message(1, a, 0, false))
			d.datagram(q)
			d.datagram(packets.ICMPError("203.0.113.53", "192.0.2.10", 3, 3, q))
		}, 10 * sec, DNSUnreachable, beyond},
		{"prohibited by a router", func(_ *testing.T, d *dns) {
			q := packets.UDP("192.0.2.10:1001", resolver).Payload(d.message(1, a, 0, false))
			d.datagram(q)
			d.datagram(packets.ICMPError("203.0.113.9", "192.0.2.10", 3, 13, q))
		}, 10 * sec, DNSUnreachable, inNetwork},
		{"sinkhole", func(_ *testing.T, d *dns) { d.ask("1001", 1, a).answer("1001", 1, a, 0, "0.0.0.0") }, 10 * sec, DNSSinkhole, beyond},
		{"forged", func(_ *testing.T, d *dns) {
			d.ask("1001", 1, a).answer("1001", 1, a, 0, "198.51.100.1").answer("1001", 1, a, 0, "203.0.113.77")
			d.dead()
		}, 10 * sec, DNSForged, inNetwork},
		{"the same answer twice", func(t *testing.T, d *dns) {
			d.ask("1001", 1, a).answer("1001", 1, a, 0, "198.51.100.1").answer("1001", 1, a, 0, "198.51.100.1")
			connect(t, d)
		}, 0, OK, nil},
		{"asked twice, answered twice with other addresses", func(t *testing.T, d *dns) {
			d.ask("1001", 1, a).ask("1001", 1, a).answer("1001", 1, a, 0, "198.51.100.1").answer("1001", 1, a, 0, "203.0.113.77")
			connect(t, d)
		}, 0, OK, nil},
		{"forged, but the right address was taken", func(t *testing.T, d *dns) {
			d.ask("1001", 1, a).answer("1001", 1, a, 0, "198.51.100.1").answer("1001", 1, a, 0, "203.0.113.77")
			connect(t, d)
		}, 0, OK, nil},
		{"answered, and no attempt follows", func(_ *testing.T, d *dns) {
			d.p.health.Unfiltered = true
			d.ask("1001", 1, a).answer("1001", 1, a, 0, "198.51.100.1")
		}, 20 * sec, ConnectNotSent, atThisEnd},
		{"answered just before the end", func(_ *testing.T, d *dns) { d.ask("1001", 1, a).answer("1001", 1, a, 0, "198.51.100.1") }, 2 * sec, OK, nil},
	} {
		t.Run(s.name, func(t *testing.T) {
			p := newPipe(t)
			p.targets = []string{testHost}
			d := newDNS(t, p)
			s.play(t, d)
			v := p.finish(d.now + s.quiet)
			complete(t, &v)
			for i := range p.judged {
				complete(t, &p.judged[i].v)
			}
			if v.Class != s.class || !slices.Equal(v.Place, s.place) {
				t.Errorf("got %s %v %s, want %s %v\n%+v", v.Class, v.Place, v.Level, s.class, s.place, p.judged)
			}
		})
	}
}

// TestLookupOfGo holds that Go's own resolver makes a lookup count where no
// target and no connection tells whose traffic the capture shows (L1).
func TestLookupOfGo(t *testing.T) {
	for _, s := range []struct {
		name   string
		second string
		size   int // of its EDNS record, zero for none
		cookie bool
		class  Class
	}{
		{"both families from a port each", "1002", 1232, false, ConnectNotSent},
		{"one port for both, as the C library does", "1001", 1232, false, NoTraffic},
		{"one family, as a query tool does", "", 1232, false, NoTraffic},
		{"with a cookie", "1002", 1232, true, NoTraffic},
		{"another payload size", "1002", 4096, false, NoTraffic},
		{"no EDNS", "1002", 0, false, NoTraffic},
	} {
		t.Run(s.name, func(t *testing.T) {
			p := newPipe(t)
			p.health.Unfiltered = true
			d := newDNS(t, p)
			d.size, d.cookie = s.size, s.cookie
			d.ask("1001", 1, dnsmessage.TypeA)
			if s.second != "" {
				d.ask(s.second, 2, dnsmessage.TypeAAAA)
			}
			d.answer("1001", 1, dnsmessage.TypeA, 0, "198.51.100.1")
			if v := p.finish(d.now + 20*sec); v.Class != s.class {
				t.Errorf("got %s %v %s, want %s", v.Class, v.Place, v.Level, s.class)
			}
		})
	}
}

// TestHealthyIsCheap holds that judging a healthy connection allocates nothing.
func TestHealthyIsCheap(t *testing.T) {
	p := newPipe(t)
	w := newWire(p, v4Server)
	w.fine(t)
	var f *Flow
	p.flow = func(g *Flow) {
		f = g
		var v Verdict
		n := testing.AllocsPerRun(100, func() { v = Connection(f) })
		if v.Class != OK || n > 0 {
			t.Errorf("%s with %v allocations", v.Class, n)
		}
	}
	p.finish(0)
	if f == nil {
		t.Fatal("no connection was judged")
	}
}

func BenchmarkHealthyConnection(b *testing.B) {
	p := newPipe(nil)
	w := newWire(p, v4Server)
	w.fine(&testing.T{})
	p.flow = func(f *Flow) {
		b.ReportAllocs()
		b.ResetTimer()
		for range b.N {
			Connection(f)
		}
		b.StopTimer()
	}
	p.finish(0)
}

func TestNames(t *testing.T) {
	for name, want := range map[string]bool{"localhost": true, "proxy.lan": true, "goproxy.cn": false, "x.localhost.": true, "local.example": false} {
		if got := localName(name); got != want {
			t.Errorf("localName(%q) = %v", name, got)
		}
	}
	for name, want := range map[string]bool{"github.com": true, "notgithub.com": false, "git.company.example": true, "www.example": false} {
		if got := sourceHost(name); got != want {
			t.Errorf("sourceHost(%q) = %v", name, got)
		}
	}
	if !covers([]string{"*.example.com"}, "a.example.com") || covers([]string{"*.example.com"}, "a.b.example.com") || covers([]string{"*.example.com"}, "example.com") {
		t.Error("a wildcard must stand for exactly one label")
	}
	if !fakeAddress(decode.Addr(netip.MustParseAddr("198.19.3.4").As16())) || fakeAddress(decode.Addr(netip.MustParseAddr("198.20.3.4").As16())) {
		t.Error("198.18.0.0/15 is not told apart")
	}
}
