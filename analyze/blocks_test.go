package analyze

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/capture/hostlog"
	"goproxytrace/internal/packets"
	"goproxytrace/report/messages"
)

const goPath = `\device\harddiskvolume3\Go\bin\go.exe`

// blockedNow is a record of the Windows Filtering Platform that the go command's
// connection was blocked now.
func (w *wire) blockedNow(change func(*hostlog.Block)) []hostlog.Record {
	b := &hostlog.Block{
		Time: w.now, Action: hostlog.Blocked, PID: goPID, Path: goPath, Local: ap(tryClient), Remote: ap(tryServer),
		Origin: "Security 5157", Rule: `filter 68893 "Block Outbound"`, Provider: "Example Guard", Layer: "ALE_AUTH_CONNECT_V4",
	}
	if change != nil {
		change(b)
	}
	return []hostlog.Record{b}
}

// defends is Defender's record on a host name; it has no ports and no PID.
func defends(b *hostlog.Block) {
	*b = hostlog.Block{Time: b.Time, Action: hostlog.Blocked, Path: `C:\Go\bin\go.exe`, Host: "proxy.example", Origin: "Defender 1126", Provider: "Microsoft Defender network protection"}
}

// dropped is the kernel's record that this host's own filter dropped packets of
// the connection.
func dropped(inbound bool, segment hostlog.Segment) func(*hostlog.Block) {
	return func(b *hostlog.Block) {
		*b = hostlog.Block{
			Time: b.Time, Until: b.Time + second/2, Action: hostlog.Blocked, PID: b.PID, Local: b.Local, Remote: b.Remote, Inbound: inbound,
			Packets: 3, Segment: segment, Origin: "kernel drop reason", Rule: "NETFILTER_DROP", Provider: "packet filter (netfilter)",
		}
	}
}

func evidenceOf(v *diagnose.Verdict, id string) *diagnose.Evidence {
	for i := range v.Evidence {
		if v.Evidence[i].ID == id {
			return &v.Evidence[i]
		}
	}
	return nil
}

// TestBlockedAttempts holds what a record of a blocked connection says where the
// capture has no packet of it.
func TestBlockedAttempts(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(*hostlog.Block)
		blocked bool
		listed  int // events
	}{
		{"by number and ends", nil, true, 1},
		{"by program alone, as net events have it", func(b *hostlog.Block) { b.PID = 0 }, true, 1},
		{"of git's helper", func(b *hostlog.Block) { b.PID, b.Path = helpPID, "" }, true, 1},
		{"without a local port", func(b *hostlog.Block) { b.Local = ap("192.0.2.10:0") }, true, 1},
		{"only noted", func(b *hostlog.Block) { b.Action = hostlog.Audited }, false, 1},
		{"logged by a rule that need not have dropped it", func(b *hostlog.Block) { b.Action = hostlog.Logged }, false, 1},
		{"of a connection that came in", func(b *hostlog.Block) { b.Inbound = true }, false, 1},
		{"of another program", func(b *hostlog.Block) { b.PID, b.Path = 9, `C:\Windows\System32\svchost.exe` }, false, 0},
		{"an hour before", func(b *hostlog.Block) { b.Time -= 3600 * second }, false, 0},
		{"an hour after", func(b *hostlog.Block) { b.Time += 3600 * second }, false, 0},
		{"without ends", func(b *hostlog.Block) { b.Local, b.Remote = ap("0.0.0.0:0"), ap("198.51.100.9:0") }, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := attempting()
			records := w.blockedNow(c.change)
			w.now += second
			w.lossless()
			w.talk("192.0.2.10:40001", otherHost).connect().tls("other.example", 500).close(0)
			r := analyse(t, w, Options{Records: records})
			v := &r.Verdict
			if !c.blocked {
				if v.Class != diagnose.OK || len(r.Attempts) > 0 {
					t.Errorf("%s, %d attempts", v.Class, len(r.Attempts))
				}
			} else if v.Class != diagnose.ConnectNotSent || v.Level != diagnose.Proven || !slices.Equal(v.Place, []diagnose.Place{diagnose.Host}) || len(r.Attempts) != 1 {
				t.Errorf("%s in %v, %s, %d attempts", v.Class, v.Place, v.Level, len(r.Attempts))
			} else if e := evidenceOf(v, "block.recorded"); e == nil {
				t.Errorf("evidence %v", v.Evidence)
			} else if s := messages.English.Evidence(e); !strings.Contains(s, "Security 5157") || !strings.Contains(s, `"Block Outbound", of Example Guard`) {
				t.Errorf("evidence: %s", s)
			}
			if len(r.Events) != c.listed {
				t.Errorf("events %+v, want %d", r.Events, c.listed)
			}
		})
	}
	t.Run("in a capture that lost packets", func(t *testing.T) {
		w := attempting()
		records := w.blockedNow(nil)
		lost := uint64(3)
		w.info.Interfaces[0].OSDropped = &lost
		w.lossless()
		if v := analyse(t, w, Options{Records: records}).Verdict; v.Class != diagnose.ConnectNotSent || v.Level != diagnose.Proven {
			t.Errorf("%s, %s", v.Class, v.Level)
		}
	})
	t.Run("told twice, by two logs", func(t *testing.T) {
		w := attempting()
		records := append(w.blockedNow(nil), w.blockedNow(func(b *hostlog.Block) { b.PID, b.Origin = 0, "WFP net event" })...)
		w.now += second
		w.lossless()
		if r := analyse(t, w, Options{Records: records}); len(r.Attempts) != 1 {
			t.Errorf("attempts %+v", r.Attempts)
		}
	})
}

// TestBlockedConnections holds what such records change about connections with
// packets, and what they do not.
func TestBlockedConnections(t *testing.T) {
	const quiet = 12 * second
	host := []diagnose.Place{diagnose.Host}
	held := func(w *wire) { // the handshake, then nothing of the client
		w.tell(w.claim(goPID, tryClient, tryServer))
		w.talk(tryClient, tryServer).connect()
		w.now += quiet
	}
	deaf := func(w *wire) { // the SYN/ACK comes again and again
		k := w.talk(tryClient, tryServer)
		for range 4 {
			w.add(k.syn())
			w.now += 20 * millisecond
			w.add(k.packet(1).Seq(k.seq[1] - 1).Flags(packets.SYN).MSS(k.mss))
			w.now += second
		}
	}
	reset := func(w *wire) {
		w.tell(w.claim(goPID, tryClient, tryServer))
		k := w.talk(tryClient, tryServer).connect().send(0, clientHello("proxy.example"), 0)
		w.now += 20 * millisecond
		w.add(k.packet(1).Flags(packets.RST))
	}
	whole := func(w *wire) {
		w.tell(w.claim(goPID, tryClient, tryServer))
		w.talk(tryClient, tryServer).connect().tls("proxy.example", 500).close(0)
	}
	input := func(b *hostlog.Block) { b.Origin, b.Inbound, b.Layer = "Security 5152", true, "" }
	also := func(f ...func(*hostlog.Block)) func(*hostlog.Block) {
		return func(b *hostlog.Block) {
			for _, g := range f {
				g(b)
			}
		}
	}
	for _, c := range []struct {
		name   string
		play   func(*wire)
		change func(*hostlog.Block) // nil for no record
		class  diagnose.Class
		place  []diagnose.Place
		level  diagnose.Level
		says   string
	}{
		{"a ClientHello held back", held, nil, diagnose.TLSClientHelloNotSent, []diagnose.Place{diagnose.Host, diagnose.Client}, diagnose.Consistent, ""},
		{"the same, on record", held, also(), diagnose.TLSClientHelloNotSent, host, diagnose.Proven, "block.recorded"},
		{"from other ports", held, func(b *hostlog.Block) { b.Local, b.Path, b.PID = ap("192.0.2.10:45001"), "other.exe", 9 }, diagnose.TLSClientHelloNotSent, []diagnose.Place{diagnose.Host, diagnose.Client}, diagnose.Consistent, ""},
		{"by another process", held, func(b *hostlog.Block) { b.PID, b.Path = 9, "" }, diagnose.TLSClientHelloNotSent, []diagnose.Place{diagnose.Host, diagnose.Client}, diagnose.Consistent, ""},
		{"by another program", held, func(b *hostlog.Block) { b.PID, b.Path = 0, `C:\other.exe` }, diagnose.TLSClientHelloNotSent, []diagnose.Place{diagnose.Host, diagnose.Client}, diagnose.Consistent, ""},
		{"at another time", held, func(b *hostlog.Block) { b.PID, b.Path, b.Time = 0, "", b.Time-5*second }, diagnose.TLSClientHelloNotSent, []diagnose.Place{diagnose.Host, diagnose.Client}, diagnose.Consistent, ""},
		{"what came in was blocked, what did not go out is open", held, input, diagnose.TLSClientHelloNotSent, []diagnose.Place{diagnose.Host, diagnose.Client}, diagnose.Consistent, ""},
		{"Defender's record of host and program", held, defends, diagnose.TLSClientHelloNotSent, host, diagnose.Suggested, "block.recorded"},
		{"of another program", held, also(defends, func(b *hostlog.Block) { b.Path = `C:\chrome.exe` }), diagnose.TLSClientHelloNotSent, []diagnose.Place{diagnose.Host, diagnose.Client}, diagnose.Consistent, ""},
		{"of another host", held, also(defends, func(b *hostlog.Block) { b.Host = "other.example" }), diagnose.TLSClientHelloNotSent, []diagnose.Place{diagnose.Host, diagnose.Client}, diagnose.Consistent, ""},
		{"in audit mode", held, also(defends, func(b *hostlog.Block) { b.Action = hostlog.Audited }), diagnose.TLSClientHelloNotSent, []diagnose.Place{diagnose.Host, diagnose.Client}, diagnose.Consistent, ""},
		{"a SYN/ACK ignored", deaf, nil, diagnose.ConnectAnswerIgnored, host, diagnose.Suggested, ""},
		{"the same, on record", deaf, input, diagnose.ConnectAnswerIgnored, host, diagnose.Proven, "block.recorded"},
		{"outgoing", deaf, also(), diagnose.ConnectAnswerIgnored, host, diagnose.Suggested, ""},
		{"a reset that packets show to come from elsewhere", reset, defends, diagnose.TLSReset, []diagnose.Place{diagnose.Network, diagnose.Remote}, diagnose.Proven, "block.beside"},
		{"a ClientHello that the kernel dropped", held, dropped(false, hostlog.SegmentData), diagnose.TLSClientHelloNotSent, host, diagnose.Proven, "block.dropped-out"},
		{"only an earlier SYN dropped", held, dropped(false, hostlog.SegmentSYN), diagnose.TLSClientHelloNotSent, []diagnose.Place{diagnose.Host, diagnose.Client}, diagnose.Consistent, ""},
		{"an acknowledgement dropped", held, dropped(false, hostlog.SegmentOther), diagnose.TLSClientHelloNotSent, []diagnose.Place{diagnose.Host, diagnose.Client}, diagnose.Consistent, ""},
		{"data dropped that came in", held, dropped(true, hostlog.SegmentData), diagnose.TLSClientHelloNotSent, []diagnose.Place{diagnose.Host, diagnose.Client}, diagnose.Consistent, ""},
		{"dropped of another connection", held, also(dropped(false, hostlog.SegmentData), func(b *hostlog.Block) { b.Local = ap("192.0.2.10:45001") }), diagnose.TLSClientHelloNotSent, []diagnose.Place{diagnose.Host, diagnose.Client}, diagnose.Consistent, ""},
		{"dropped of another process", held, also(dropped(false, hostlog.SegmentData), func(b *hostlog.Block) { b.PID = 9 }), diagnose.TLSClientHelloNotSent, []diagnose.Place{diagnose.Host, diagnose.Client}, diagnose.Consistent, ""},
		{"dropped long before", held, also(dropped(false, hostlog.SegmentData), func(b *hostlog.Block) { b.Time, b.Until = b.Time-5*second, b.Until-5*second }), diagnose.TLSClientHelloNotSent, []diagnose.Place{diagnose.Host, diagnose.Client}, diagnose.Consistent, ""},
		{"a SYN/ACK that the kernel dropped", deaf, dropped(true, hostlog.SegmentSYNACK), diagnose.ConnectAnswerIgnored, host, diagnose.Proven, "block.dropped-in"},
		{"a SYN dropped, which came again", deaf, dropped(false, hostlog.SegmentSYN), diagnose.ConnectAnswerIgnored, host, diagnose.Suggested, ""},
		{"a reset by the network, and data dropped", reset, dropped(false, hostlog.SegmentData), diagnose.TLSReset, []diagnose.Place{diagnose.Network, diagnose.Remote}, diagnose.Proven, ""},
		{"data dropped of a download that was well", whole, dropped(true, hostlog.SegmentData), diagnose.OK, nil, diagnose.Proven, ""},
		{"a SYN dropped of a download that was well", whole, dropped(false, hostlog.SegmentSYN), diagnose.OK, nil, diagnose.Proven, ""},
		{"a download that was well", whole, also(), diagnose.OK, nil, diagnose.Proven, ""},
		{"another that was well", whole, defends, diagnose.OK, nil, diagnose.Proven, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWire()
			w.info.Names = map[string][]string{"198.51.100.9": {"proxy.example"}}
			w.talk("192.0.2.10:40000", otherHost).connect().tls("other.example", 500).close(0)
			w.now += 6 * second
			w.family()
			var records []hostlog.Record
			if c.change != nil {
				records = w.blockedNow(c.change)
			}
			c.play(w)
			w.lossless()
			r := analyse(t, w, Options{Records: records, Targets: []string{"proxy.example"}})
			v := connections(t, r)[1].Verdict
			if v.Class != c.class || v.Level != c.level || !slices.Equal(v.Place, c.place) {
				t.Errorf("%s in %v, %s; want %s in %v, %s (%v)", v.Class, v.Place, v.Level, c.class, c.place, c.level, v.Evidence)
			}
			for _, id := range []string{"block.recorded", "block.beside", "block.dropped-in", "block.dropped-out"} {
				if (evidenceOf(&v, id) != nil) != (c.says == id) {
					t.Errorf("evidence %v, want %q", v.Evidence, c.says)
				}
			}
			if e := evidenceOf(&v, "block.beside"); e != nil && !strings.Contains(messages.English.Evidence(e), "Microsoft Defender") {
				t.Errorf("evidence: %s", messages.English.Evidence(e))
			}
		})
	}
}

// TestOwnersFromEventLogs holds that a record of a permitted connection names its
// owner although the log's clock is not the capture's, and one of another time
// does not.
func TestOwnersFromEventLogs(t *testing.T) {
	for late, want := range map[int64]uint32{0: goPID, -second: goPID, 600 * millisecond: goPID, 9 * second: 0, -9 * second: 0} {
		w := newWire()
		w.talk("192.0.2.10:40000", otherHost).connect().tls("other.example", 500).close(0)
		w.now += 20 * second
		records := []hostlog.Record{
			&hostlog.Process{Time: w.now + late, PID: goPID, Path: goPath, Source: hostlog.EventLog},
			&hostlog.Claim{Time: w.now + late, PID: goPID, Local: ap(tryClient), Remote: ap(tryServer), Source: hostlog.EventLog},
		}
		w.talk(tryClient, tryServer).connect().tls("proxy.example", 500).close(0)
		w.now += 20 * second
		w.talk("192.0.2.10:40002", otherHost).connect().tls("other.example", 500).close(0)
		p := connections(t, analyse(t, w, Options{Records: records}))[1].Process
		switch {
		case want == 0 && p != nil:
			t.Errorf("%d s apart: process %+v", late/second, p)
		case want != 0 && (p == nil || p.PID != want || p.Name != "go.exe" || p.Source != "event log" || p.Confidence != "strong"):
			t.Errorf("%d s apart: process %+v", late/second, p)
		}
	}
}

// TestDropsAdd holds that records which count packets of one connection become
// one sentence with all of them.
func TestDropsAdd(t *testing.T) {
	w := newWire()
	w.talk("192.0.2.10:40000", otherHost).connect().tls("other.example", 500).close(0)
	w.now += 6 * second
	w.family()
	w.tell(w.claim(goPID, tryClient, tryServer))
	var records []hostlog.Record
	for i := range int64(6) {
		for _, s := range []hostlog.Segment{hostlog.SegmentData, hostlog.SegmentOther} {
			r := w.blockedNow(dropped(false, s))[0].(*hostlog.Block)
			r.Time, r.Until = r.Time+i*second, r.Until+i*second
			records = append(records, r)
		}
	}
	w.talk(tryClient, tryServer).connect()
	w.now += 12 * second
	w.lossless()
	v := connections(t, analyse(t, w, Options{Records: records, Targets: []string{"proxy.example"}}))[1].Verdict
	e := evidenceOf(&v, "block.dropped-out")
	if e == nil || !strings.Contains(messages.English.Evidence(e), "this machine's packet filter (netfilter) dropped what the connection sent (18 packets, the first") {
		t.Errorf("evidence %+v", v.Evidence)
	}
}

// TestDroppedSYNs holds what it means that this host dropped SYNs of a connection
// of which the capture, made elsewhere, holds nothing: that it died of that where
// all were dropped, and nothing where the next one passed.
func TestDroppedSYNs(t *testing.T) {
	for _, x := range []struct {
		name  string
		at    []int64 // of the dropped SYNs, after the first
		ended int64   // of the attempt by the kernel's account, zero for under way
		told  bool    // the kernel tells of the attempt
		died  bool
	}{
		{"all of them", []int64{0, 1, 3, 7, 15}, 0, true, true},
		{"all, and the attempt is not told of", []int64{0, 1, 3, 7, 15}, 0, false, true},
		{"all, evenly at first", []int64{0, 1, 2, 3, 4, 6, 10, 18}, 0, true, true},
		{"all until it was given up", []int64{0, 1}, 2, true, true},
		{"one, by a limit on their rate", []int64{0}, 0, true, false},
		{"one, and the attempt is not told of", []int64{0}, 0, false, false},
		{"two", []int64{0, 1}, 0, true, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := attempting()
			w.now += second
			begin := w.now
			var records []hostlog.Record
			if x.told {
				a := w.tried("10.9.0.1:45000", tryServer, x.ended*second, "")
				records = append(records, a)
			}
			for _, s := range x.at {
				w.now = begin + s*second
				r := w.blockedNow(dropped(false, hostlog.SegmentSYN))[0].(*hostlog.Block)
				r.Packets, r.Until, r.Local = 1, r.Time, ap("10.9.0.1:45000")
				records = append(records, r)
			}
			w.now = begin + 20*second
			w.talk("192.0.2.10:40001", otherHost).connect().tls("other.example", 500).close(0)
			w.lossless()
			r := analyse(t, w, Options{Records: records})
			if died := r.Verdict.Class == diagnose.ConnectNotSent && r.Verdict.Level == diagnose.Proven; died != x.died || !died && r.Verdict.Class != diagnose.OK {
				t.Errorf("%s, %s", r.Verdict.Class, r.Verdict.Level)
			}
			if len(r.Attempts) > 1 {
				t.Errorf("one attempt is told of as %d", len(r.Attempts))
			}
			if e := evidenceOf(&r.Verdict, "block.dropped-out"); x.died && (e == nil || !strings.Contains(messages.English.Evidence(e), fmt.Sprintf("%d packets", len(x.at)))) {
				t.Errorf("evidence %+v", r.Verdict.Evidence)
			}
		})
	}
}

// TestLateDrops holds that what this host drops of a connection which is over is
// no attempt to connect: a filter that forgets connections drops their last
// packets, and nothing died of it.
func TestLateDrops(t *testing.T) {
	for _, x := range []struct {
		name   string
		change func(*hostlog.Block)
		later  int64
		died   bool
	}{
		{"an acknowledgement", dropped(false, hostlog.SegmentOther), 30 * second, false},
		{"data", dropped(false, hostlog.SegmentData), 30 * second, false},
		{"what its log calls a packet", func(b *hostlog.Block) { b.Origin = "Security 5152" }, 30 * second, false},
		{"a new attempt from the same port", dropped(false, hostlog.SegmentSYN), 30 * second, true},
		{"what its log blocked when the port may be used again", nil, 300 * second, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newWire()
			w.family()
			w.tell(w.claim(goPID, tryClient, tryServer))
			w.talk(tryClient, tryServer).connect().tls("proxy.example", 500).close(0)
			w.now += x.later
			records := w.blockedNow(x.change)
			w.now += second
			w.lossless()
			r := analyse(t, w, Options{Records: records, Targets: []string{"proxy.example"}})
			if died := len(r.Attempts) > 0; died != x.died {
				t.Errorf("attempts %+v, verdict %s", r.Attempts, r.Verdict.Class)
			}
		})
	}
}

// TestPermittedProvesNothing holds that the record of a connection which was let
// pass (Security 5156) tells whose it was and raises nothing.
func TestPermittedProvesNothing(t *testing.T) {
	w := newWire()
	w.talk("192.0.2.10:40000", otherHost).connect().tls("other.example", 500).close(0)
	w.now += 6 * second
	records := []hostlog.Record{
		&hostlog.Process{Time: w.now, PID: goPID, Path: goPath, Source: hostlog.EventLog},
		&hostlog.Claim{Time: w.now, PID: goPID, Local: ap(tryClient), Remote: ap(tryServer), Source: hostlog.EventLog},
	}
	w.talk(tryClient, tryServer).connect()
	w.now += 12 * second
	w.lossless()
	c := connections(t, analyse(t, w, Options{Records: records, Targets: []string{"proxy.example"}}))[1]
	if v := c.Verdict; v.Class != diagnose.TLSClientHelloNotSent || v.Level != diagnose.Consistent || len(v.Place) != 2 || c.Process == nil || c.Process.PID != goPID {
		t.Errorf("%s in %v, %s, of %+v", v.Class, v.Place, v.Level, c.Process)
	}
}
