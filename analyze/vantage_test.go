package analyze

import (
	"testing"

	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/capture"
)

func TestUnfiltered(t *testing.T) {
	for _, x := range []struct {
		application, filter string
		want                bool
	}{
		{"Dumpcap (Wireshark) 4.0.17", "", true}, {"Dumpcap (Wireshark) 4.0.17", "port 53", false},
		{"goproxytrace", "", true}, {"", "", false}, {"another program", "", false},
	} {
		info := capture.Info{Application: x.application, Interfaces: []capture.Interface{{}, {Filter: x.filter}}}
		if got := unfiltered(&info); got != x.want {
			t.Errorf("%+v: %v", x, got)
		}
	}
	if unfiltered(&capture.Info{Application: "Dumpcap"}) {
		t.Error("no interface, and yet no filter")
	}
}

// An answer to address resolution times the host that gives it.
func TestNeighbourAnswers(t *testing.T) {
	var n neighbours
	a, b := decode.Addr{1}, decode.Addr{2}
	ask := func(at int64) int64 { return n.segment(&decode.Segment{Time: at, Src: a, Dst: b, ICMPType: 1}) }
	answer := func(at int64, from decode.Addr) int64 {
		return n.segment(&decode.Segment{Time: at, Src: from, Dst: a, ICMPType: 2})
	}
	if d := answer(5, b); d != 0 {
		t.Errorf("an answer that nobody asked for took %d", d)
	}
	if d := ask(10) + ask(1000); d != 0 {
		t.Errorf("questions took %d", d)
	}
	if d := answer(1030, b); d != 30 {
		t.Errorf("the answer took %d, want 30 since the last question", d)
	}
}

// A jump of the capture's clock that the hosts' clocks did not make is no
// silence of the server; a silence that they did pass through is.
func TestClockStepIsNoSilence(t *testing.T) {
	for _, x := range []struct {
		name string
		skew int64
		want diagnose.Class
	}{
		{"the hosts' clocks went on", 0, diagnose.TLSNoServerHello},
		{"the capture's clock was set", 60 * second, diagnose.OK},
	} {
		w := newWire()
		w.info.Interfaces[0].OSDropped = number(0)
		k := w.talk(healthClient, healthServer)
		k.ts = true
		k.connect().send(0, clientHello("proxy.example"), 0)
		k.send(1, nil, 0)
		w.now += 60 * second
		k.zero += x.skew
		k.send(0, nil, 0)
		if r := analyse(t, w, lookedFor); r.Verdict.Class != x.want {
			t.Errorf("%s: %s, want %s", x.name, r.Verdict.Class, x.want)
		}
	}
}
