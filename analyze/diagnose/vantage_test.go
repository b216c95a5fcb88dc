package diagnose

import (
	"crypto/tls"
	"slices"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"goproxytrace/analyze/decode"
	"goproxytrace/capture"
	"goproxytrace/internal/packets"
)

// outbound marks the client's packets as sent by the capturing machine.
func outbound(s *decode.Segment) {
	if s.DstPort == 443 || s.DstPort == 53 {
		s.Direction = uint8(capture.Outbound)
	}
}

// inbound marks the client's packets as received by the capturing machine.
func inbound(s *decode.Segment) {
	if s.DstPort == 443 || s.DstPort == 53 {
		s.Direction = uint8(capture.Inbound)
	}
}

// routed lowers the time to live of the client's packets.
func routed(s *decode.Segment) {
	if s.DstPort == 443 || s.DstPort == 53 {
		s.TTL = 61
	}
}

// distant is a TCP handshake whose last packet comes late: the client is a
// link away from the capture point.
func (w *wire) distant() *wire {
	w.syn().wait(rtt).synack()
	w.cseq, w.sseq, w.cack, w.sack = 1, 1, 1, 1
	w.wait(2 * ms).put(w.c(packets.ACK, 1, 1, nil))
	return w
}

// ignoreSYNACK answers every SYN and is not heard.
func ignoreSYNACK(w *wire) int64 {
	w.syn().wait(rtt).synack().wait(sec).syn().wait(rtt).synack().wait(2 * sec).syn().wait(rtt).synack()
	return w.now + 20*sec
}

// ignoreFlight repeats the server's flight to a client that does not hear it.
func ignoreFlight(t *testing.T, w *wire) int64 {
	b := handshake(t, tls.VersionTLS13, false)[1].bytes
	w.up(hello(t), true)
	for i := range 5 {
		w.put(w.s(packets.ACK|packets.PSH, 1, w.sack, b[:min(len(b), mss)]))
		w.wait(200 * ms << i)
	}
	return w.now + 5*sec
}

func TestVantage(t *testing.T) {
	resetAhead := func(t *testing.T, w *wire) int64 {
		w.put(w.s(packets.RST|packets.ACK, 1, 1+uint32(len(hello(t))), nil))
		return 0
	}
	runStories(t, v4Server, []story{
		{"answer ignored by the machine that captures", func(_ *testing.T, w *wire) int64 {
			w.p.segment = outbound
			return ignoreSYNACK(w)
		}, ConnectAnswerIgnored, inHost, Proven, []string{"synack.repeated"}},
		{"answer ignored by the machine that captures, which resolves at once", func(_ *testing.T, w *wire) int64 {
			w.p.host(addrOf(w.client)).Answered(ms / 50)
			return ignoreSYNACK(w)
		}, ConnectAnswerIgnored, inHost, Suggested, nil},
		{"answer ignored by a machine on the same link", func(_ *testing.T, w *wire) int64 {
			return ignoreSYNACK(w)
		}, ConnectAnswerIgnored, inHost, Consistent, nil},
		{"answer ignored by a machine behind a router", func(_ *testing.T, w *wire) int64 {
			w.p.segment = routed
			return ignoreSYNACK(w)
		}, CaptureUnusable, nil, None, nil},
		{"answer ignored by a machine of which another flow came through a router", func(_ *testing.T, w *wire) int64 {
			w.p.host(addrOf(w.client)).MinTTL = 61
			return ignoreSYNACK(w)
		}, CaptureUnusable, nil, None, nil},
		{"answer ignored by a machine behind this gateway's link", func(_ *testing.T, w *wire) int64 {
			w.p.segment = inbound
			return ignoreSYNACK(w)
		}, CaptureUnusable, nil, None, nil},
		{"flight ignored by the machine that captures", func(t *testing.T, w *wire) int64 {
			w.p.segment = outbound
			w.distant()
			return ignoreFlight(t, w)
		}, TLSAnswerIgnored, inHost, Proven, nil},
		{"flight ignored by one that answers at once", func(t *testing.T, w *wire) int64 {
			w.open()
			return ignoreFlight(t, w)
		}, TLSAnswerIgnored, inHost, Suggested, nil},
		{"flight lost between this gateway and the client", func(t *testing.T, w *wire) int64 {
			w.distant()
			return ignoreFlight(t, w)
		}, TLSAnswerIgnored, inHost, Consistent, nil},
		{"flight lost between this router and the client", func(t *testing.T, w *wire) int64 {
			w.p.segment = routed
			w.distant()
			return ignoreFlight(t, w)
		}, CaptureUnusable, nil, None, nil},
		{"flight lost behind this gateway's own interface", func(t *testing.T, w *wire) int64 {
			w.p.segment = inbound
			w.distant()
			return ignoreFlight(t, w)
		}, CaptureUnusable, nil, None, nil},
		{"reset ahead of the client, nothing dropped", func(t *testing.T, w *wire) int64 {
			w.open()
			return resetAhead(t, w)
		}, TLSClientHelloNotSent, inHost, Suggested, []string{"reset.acks-unsent"}},
		{"reset ahead of the client, drops unknown", func(t *testing.T, w *wire) int64 {
			w.p.env.DropsKnown = false
			w.open()
			return resetAhead(t, w)
		}, CaptureUnusable, nil, None, nil},
		{"reset ahead of the client, not drained", func(t *testing.T, w *wire) int64 {
			w.p.env.Undrained = 1
			w.open()
			return resetAhead(t, w)
		}, CaptureUnusable, nil, None, nil},
		{"reset ahead of a client a link away", func(t *testing.T, w *wire) int64 {
			w.distant()
			return resetAhead(t, w)
		}, CaptureUnusable, nil, None, nil},
		{"no hello from a client on this link", func(_ *testing.T, w *wire) int64 {
			w.distant()
			return w.now + 12*sec
		}, TLSClientHelloNotSent, atThisEnd, Consistent, nil},
		{"no hello from a client behind a router", func(_ *testing.T, w *wire) int64 {
			w.p.segment = routed
			w.open()
			return w.now + 12*sec
		}, CaptureUnusable, nil, None, nil},
	})
}

// What only its capture point leaves open, the verdict says of itself.
func TestBesideIsSaid(t *testing.T) {
	for _, here := range []bool{false, true} {
		p := newPipe(t)
		w := newWire(p, v4Server)
		if here {
			p.segment = outbound
		}
		v := only(t, p, ignoreSYNACK(w))
		if got := slices.Contains(v.NotAssessed, "skip.capture-beside"); got == here {
			t.Errorf("captured here: %v; said that it may not be: %v", here, got)
		}
		if !slices.Contains(v.RefutedBy, "refute.capture-elsewhere") {
			t.Errorf("captured here: %v; refuted by %v", here, v.RefutedBy)
		}
	}
}

// One inflated round trip must not make a slow reset a fast one.
func TestRoundTripSamples(t *testing.T) {
	inflated := func(w *wire) *wire {
		w.syn().wait(10 * rtt).synack()
		w.cseq, w.sseq, w.cack, w.sack = 1, 1, 1, 1
		w.put(w.c(packets.ACK, 1, 1, nil))
		return w
	}
	for _, server := range []string{v4Server, v6Server} {
		runStories(t, server, []story{
			{"one inflated handshake and a reset", func(t *testing.T, w *wire) int64 {
				inflated(w).up(hello(t), false).wait(rtt).put(w.s(packets.RST|packets.ACK, 1, w.cseq, nil))
				return 0
			}, TLSReset, beyond, Proven, []string{"reset.faster-once"}},
			{"data that was acknowledged sooner", func(t *testing.T, w *wire) int64 {
				inflated(w).up(hello(t)[:100], true).up(hello(t)[100:], false).wait(rtt).put(w.s(packets.RST|packets.ACK, 1, w.cseq, nil))
				return 0
			}, TLSReset, beyond, Proven, []string{"reset.time-fits"}},
			{"sooner than every one of several", func(t *testing.T, w *wire) int64 {
				w.p.addrs[addrOf(server)] = &AddressFacts{MinRTT: rtt, RTTs: 1}
				w.open().up(hello(t), false).wait(rtt / 10).put(w.s(packets.RST|packets.ACK, 1, w.cseq, nil))
				return 0
			}, TLSReset, inNetwork, Proven, []string{"reset.faster-than-rtt"}},
		})
	}
	refusedAfter := func(t *testing.T, n int, ttl uint8) Verdict {
		p := newPipe(t)
		w := newWire(p, v4Server)
		p.addrs[addrOf(v4Server)] = &AddressFacts{MinRTT: rtt, RTTs: uint32(n), MinTTL: 54, MaxTTL: 54}
		w.syn().wait(rtt / 10).put(w.s(packets.RST|packets.ACK, 0, 1, nil).TTL(ttl))
		return only(t, p, 0)
	}
	for _, s := range []struct {
		samples int
		ttl     uint8
		place   []Place
	}{{2, 54, inNetwork}, {1, 54, beyond}, {1, 60, inNetwork}} {
		if v := refusedAfter(t, s.samples, s.ttl); v.Class != ConnectRefused || !slices.Equal(v.Place, s.place) {
			t.Errorf("refused sooner than %d round trips, time to live %d: %s %v, want %v", s.samples, s.ttl, v.Class, v.Place, s.place)
		}
	}
}

// An answered lookup without a SYN accuses this machine only where a SYN would
// have been in the capture.
func TestNotSent(t *testing.T) {
	const a = dnsmessage.TypeA
	lookup := func(d *dns) { d.ask("1001", 1, a).answer("1001", 1, a, 0, "198.51.100.1") }
	otherTCP := func(t *testing.T, d *dns) { d.another("40009", "203.0.113.99:8443").open().cfin().wait(rtt).sfin() }
	for _, s := range []struct {
		name string
		play func(t *testing.T, d *dns)
		want Class
		why  string
	}{
		{"no filter", func(_ *testing.T, d *dns) {
			d.p.health.Unfiltered = true
			lookup(d)
		}, ConnectNotSent, ""},
		{"other TCP of the host", func(t *testing.T, d *dns) {
			lookup(d)
			otherTCP(t, d)
		}, ConnectNotSent, ""},
		{"no TCP at all and perhaps a filter", func(_ *testing.T, d *dns) { lookup(d) }, CaptureUnusable, "skip.no-tcp"},
		{"asked over this machine's loopback interface", func(t *testing.T, d *dns) {
			d.p.segment, d.p.health.Unfiltered = func(s *decode.Segment) { s.Loopback = true }, true
			lookup(d)
		}, ConnectNotSent, ""},
		{"captured behind a router", func(t *testing.T, d *dns) {
			d.p.segment, d.p.health.Unfiltered = routed, true
			lookup(d)
		}, CaptureUnusable, "skip.capture-elsewhere"},
		{"answers only", func(t *testing.T, d *dns) {
			d.p.health.Unfiltered = true
			d.p.host(addrOf(d.client)).MinTTL = 64
			d.answer("1001", 1, a, 0, "198.51.100.1")
		}, CaptureUnusable, "skip.question-missing"},
		{"answer cut by the snapshot length", func(t *testing.T, d *dns) {
			d.p.health.Unfiltered = true
			lookup(d)
			d.ask("1002", 2, dnsmessage.TypeAAAA)
			b := d.message(2, dnsmessage.TypeAAAA, 0, true, "198.51.100.1")
			d.datagram(packets.UDP(resolver, "192.0.2.10:1002").Payload(b[:len(b)-3]))
		}, CaptureUnusable, "skip.answer-cut"},
		{"a connection of an unknown host follows", func(t *testing.T, d *dns) {
			d.p.health.Unfiltered = true
			lookup(d)
			d.another("40010", "203.0.113.99:443").syn()
		}, CaptureUnusable, "skip.host-unknown"},
		{"the clock was set", func(t *testing.T, d *dns) {
			d.p.health.Unfiltered = true
			lookup(d)
			d.p.env.ClockSteps = []ClockStep{{Time: d.now + 3*sec, By: 18 * sec}}
		}, OK, ""},
	} {
		t.Run(s.name, func(t *testing.T) {
			p := newPipe(t)
			p.targets = []string{testHost}
			d := newDNS(t, p)
			s.play(t, d)
			v := p.finish(d.now + 20*sec)
			complete(t, &v)
			if v.Class != s.want || s.why != "" && !slices.Contains(v.NotAssessed, s.why) {
				t.Errorf("got %s %v, want %s %s", v.Class, v.NotAssessed, s.want, s.why)
			}
		})
	}
}

// Time that only the capture's clock ran through is no silence.
func TestClockSteps(t *testing.T) {
	jump := func(w *wire, d int64) {
		w.wait(d)
		w.p.env.ClockSteps = append(w.p.env.ClockSteps, ClockStep{Time: w.now, By: d})
		w.put(w.c(packets.ACK, w.cseq, w.cack, nil))
	}
	runStories(t, v4Server, []story{
		{"silent server", func(t *testing.T, w *wire) int64 {
			w.open().up(hello(t), true)
			return w.now + 20*sec
		}, TLSNoServerHello, beyond, Consistent, nil},
		{"the clock is set while the server thinks", func(t *testing.T, w *wire) int64 {
			w.open().up(hello(t), true)
			jump(w, 60*sec)
			return w.now + sec
		}, OK, nil, Consistent, nil},
		{"silence goes on after the clock was set", func(t *testing.T, w *wire) int64 {
			w.open().up(hello(t), true)
			jump(w, 60*sec)
			return w.now + 20*sec
		}, TLSNoServerHello, beyond, Consistent, nil},
		{"SYN unanswered across a step", func(_ *testing.T, w *wire) int64 {
			w.syn().wait(60 * sec)
			w.p.env.ClockSteps = []ClockStep{{Time: w.now, By: 60 * sec}}
			w.syn()
			return w.now + sec
		}, OK, nil, Consistent, nil},
	})
}
