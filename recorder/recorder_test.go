package recorder

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"goproxytrace/capture"
	"goproxytrace/capture/hostlog"
	"goproxytrace/internal/packets"
)

// A build whose download died leaves a case, with all that belongs to it and the
// same verdict as its line; a healthy one leaves nothing.
func TestDeathsAreKept(t *testing.T) {
	h := newHarness(t, nil)
	for i, b := range []struct {
		file  string
		class string // "" for a healthy one
	}{
		{"hello-reset.pcapng", "tls.reset"}, {"healthy-h2.pcapng", ""}, {"connect-refused.pcapng", "connect.refused"},
		{"reset-body.pcapng", "transfer.reset"}, {"healthy-http1.pcapng", ""}, {"healthy-tls12.pcapng", ""},
		{"certificate-untrusted-tls13.pcapng", "tls.certificate-rejected"}, {"syn-drop.pcapng", "connect.no-answer"}, {"tunnel-407.pcapng", "proxy.refused"},
		{"dns-nxdomain.pcapng", ""}, // nobody knows whose lookup that was
		{"healthy-near.pcapng", ""},
	} {
		before := len(lines(t, h.dir))
		code := 0
		if b.class != "" {
			code = 1
		}
		h.build(b.file, uint32(1000+i), code)
		list := lines(t, h.dir)
		if b.class == "" {
			if len(list) != before {
				t.Errorf("%s: %+v", b.file, list[before:])
			}
			continue
		}
		if len(list) != before+1 {
			t.Errorf("%s: %d lines", b.file, len(list)-before)
			continue
		}
		l := list[before]
		if string(l.Recorder.Class) != b.class || l.Verdict.Class != b.class || l.Recorder.PID != uint32(1000+i) || l.Recorder.Exit == nil || *l.Recorder.Exit != 1 || l.Recorder.Why != "died" || l.Recorder.Host != "builder" {
			t.Errorf("%s: %+v", b.file, l)
		}
		if d := analysed(t, filepath.Join(h.dir, l.Recorder.Case)); d.Verdict.Class != l.Verdict.Class || d.Verdict.Summary != l.Verdict.Summary || d.Verdict.Level != l.Verdict.Level {
			t.Errorf("%s: the case says %+v", b.file, d.Verdict)
		}
	}
	if len(cases(t, h.dir)) != len(lines(t, h.dir)) || len(h.said) != len(lines(t, h.dir)) {
		t.Errorf("cases %v, said %q", cases(t, h.dir), h.said)
	}
	for _, name := range append(cases(t, h.dir), filepath.Join(h.dir, "verdicts.ndjson")) {
		if st, err := os.Stat(name); err != nil || sharedMode(st.Mode()|0o044) && st.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", name, st.Mode(), err)
		}
	}
	if h.r.bytes > 64<<10 {
		t.Errorf("%d bytes are held after all that", h.r.bytes)
	}
}

// A failed lookup of the very host that a failed build was told to ask is its
// own; the same beside a build that did something else, or succeeded, is not.
func TestLookupsOfTheProxy(t *testing.T) {
	setting := func(host string) func(*Options) {
		return func(o *Options) {
			o.Surroundings = func(p *hostlog.Process) []*hostlog.Setting {
				return []*hostlog.Setting{{Time: p.Time, Name: "GOPROXY", Value: "https://" + host + ",direct", From: "environment"}}
			}
		}
	}
	frames := analysed(t, filepath.Join("..", "testdata", "pcaps", "dns-nxdomain.pcapng"))
	host := frames.Lookups[0].Name
	for _, c := range []struct {
		host string
		code int
		want int
	}{{host, 1, 1}, {"other.example", 1, 0}, {host, 0, 0}} {
		h := newHarness(t, setting(c.host))
		h.build("dns-nxdomain.pcapng", 7, c.code)
		if n := len(lines(t, h.dir)); n != c.want {
			t.Errorf("asked %s, exit code %d: %d cases", c.host, c.code, n)
		}
	}
}

// With --keep-ok 1 every healthy build is kept, with 0 none, between them those
// that are drawn; the line says at which rate.
func TestKeepOK(t *testing.T) {
	draws := []float64{0.004, 0.5, 0.009}
	h := newHarness(t, func(o *Options) {
		o.KeepOK = 0.01
		o.Draw = func() float64 {
			d := draws[0]
			draws = draws[1:]
			return d
		}
	})
	for i := range 3 {
		h.build("healthy-h2.pcapng", uint32(10+i), 0)
	}
	list := lines(t, h.dir)
	if len(list) != 2 || list[0].Recorder.Why != "sampled" || list[0].Recorder.KeepOK != 0.01 || list[0].Verdict.Class != "ok" || list[1].Recorder.PID != 12 {
		t.Errorf("%+v", list)
	}
	if len(cases(t, h.dir)) != 2 {
		t.Errorf("%v", cases(t, h.dir))
	}
}

// A build that stalls is told of while it does, once; when it ends, a second line
// replaces the first.
func TestStall(t *testing.T) {
	h := newHarness(t, nil)
	h.start(9)
	h.play("stalled-body.pcapng", 9, 0) // keep-alives go on for 48 s
	h.pass(50 * time.Second)
	if h.idle(); len(lines(t, h.dir)) > 0 {
		t.Fatalf("told of before it is sure: %+v", lines(t, h.dir))
	}
	h.pass(10 * time.Second)
	h.idle()
	list := lines(t, h.dir)
	if len(list) != 1 || list[0].Recorder.Trigger != Stalled || list[0].Verdict.Class != "transfer.remote-idle" || list[0].Recorder.Exit != nil {
		t.Fatalf("while it stalls: %+v, warnings %q", list, h.warns)
	}
	h.pass(300 * time.Second)
	if h.idle(); len(lines(t, h.dir)) != 1 {
		t.Fatalf("told of again: %+v", lines(t, h.dir))
	}
	h.exit(9, 1)
	h.pass(8 * time.Second)
	h.idle()
	list = lines(t, h.dir)
	if len(list) != 2 || list[1].Recorder.Completes != list[0].Recorder.CaseID || list[1].Recorder.CaseID == list[0].Recorder.CaseID ||
		list[1].Recorder.Class != "transfer.remote-idle" || list[1].Recorder.Why != "died" {
		t.Fatalf("at its end: %+v", list)
	}
	if names := cases(t, h.dir); len(names) != 1 || !strings.Contains(names[0], list[1].Recorder.CaseID) {
		t.Errorf("cases %v", names)
	}
}

// A build that stalls, and then goes on and succeeds, has a line that says so.
func TestStallComesRound(t *testing.T) {
	const name = "healthy-h2.pcapng"
	frames, _ := load(t, name)
	told := 0
	// Where a healthy connection is silent, it may be as good as dead or not.
	for part := 2; part < 10; part++ {
		h := newHarness(t, nil)
		n := len(frames) * part / 10
		h.start(9)
		h.play(name, 9, n)
		h.pass(130 * time.Second)
		h.idle()
		before := lines(t, h.dir)
		h.playFrom(name, 9, n, 0)
		h.exit(9, 0)
		h.pass(8 * time.Second)
		h.idle()
		list := lines(t, h.dir)
		if len(before) == 0 {
			if len(list) > 0 {
				t.Errorf("silent after %d frames: %+v", n, list)
			}
			continue
		}
		told++
		if len(list) != 2 || list[1].Recorder.Completes != list[0].Recorder.CaseID || list[1].Recorder.Why != "completed" || list[1].Verdict.Class != "ok" {
			t.Errorf("silent after %d frames: %+v", n, list)
		}
	}
	if told == 0 {
		t.Error("no silence was told of")
	}
}

// Time for which the machine sleeps is no silence of a build's, and is told of.
func TestSleep(t *testing.T) {
	h := newHarness(t, nil)
	h.start(9)
	h.play("stalled-download.pcapng", 9, 0)
	h.pass(2 * time.Second)
	h.clock.sleep(3 * time.Hour)
	h.pass(40 * time.Second)
	if h.idle(); len(lines(t, h.dir)) > 0 {
		t.Fatalf("sleep counts as silence: %+v", lines(t, h.dir))
	}
	h.pass(60 * time.Second)
	h.idle()
	list := lines(t, h.dir)
	if len(list) != 1 || len(list[0].Recorder.Suspended) != 1 {
		t.Fatalf("%+v", list)
	}
	g := list[0].Recorder.Suspended[0]
	if d := g.Until.Sub(g.From); d < 3*time.Hour-time.Second || d > 3*time.Hour+time.Second {
		t.Errorf("slept from %v until %v", g.From, g.Until)
	}
	d := analysed(t, filepath.Join(h.dir, list[0].Recorder.Case))
	if !slices.ContainsFunc(d.Capture.Notes, func(s string) bool { return strings.Contains(s, "slept for 3h0m0s") }) {
		t.Errorf("the case does not tell: %q", d.Capture.Notes)
	}
	h.exit(9, 1)
	h.pass(8 * time.Second)
	h.idle()

	// One that ended before the machine slept is judged as ever.
	h.start(10)
	h.play("hello-reset.pcapng", 10, 0)
	h.clock.sleep(time.Hour)
	h.exit(10, 1)
	h.pass(8 * time.Second)
	h.idle()
	if list = lines(t, h.dir); list[len(list)-1].Recorder.Class != "tls.reset" {
		t.Errorf("%+v", list[len(list)-1].Recorder)
	}
}

// A clock that is set is told of, and neither ends nor hides anything.
func TestClockIsSet(t *testing.T) {
	h := newHarness(t, nil)
	h.start(9)
	h.play("hello-reset.pcapng", 9, 0)
	h.clock.mu.Lock()
	h.clock.now = h.clock.now.Add(-2 * time.Hour)
	h.clock.mu.Unlock()
	h.pass(2 * time.Second)
	h.exit(9, 1)
	h.pass(8 * time.Second)
	h.idle()
	list := lines(t, h.dir)
	if len(list) != 1 || list[0].Recorder.Class != "tls.reset" || len(list[0].Recorder.Suspended) != 0 {
		t.Fatalf("%+v", list)
	}
	d := analysed(t, filepath.Join(h.dir, list[0].Recorder.Case))
	if !slices.ContainsFunc(d.Capture.Notes, func(s string) bool { return strings.Contains(s, "clock was set by -2h0m0s") }) {
		t.Errorf("%q", d.Capture.Notes)
	}
}

// Weeks after the clock was set builds still die of lookups, and of nobody else's:
// a process's start is told by the clock as it was.
func TestStartAfterClockWasSet(t *testing.T) {
	for _, step := range []time.Duration{-2 * time.Hour, 2 * time.Hour} {
		h := newHarness(t, func(o *Options) {
			o.Surroundings = func(*hostlog.Process) []*hostlog.Setting {
				return []*hostlog.Setting{{Name: "GOPROXY", Value: "https://proxy.example"}}
			}
		})
		h.pass(time.Second)
		h.clock.mu.Lock()
		h.clock.now = h.clock.now.Add(step)
		h.clock.mu.Unlock()
		h.pass(time.Hour)
		start := func(pid uint32) {
			p := testProcess
			p.PID, p.Time = pid, h.clock.now.UnixNano()
			p.Start = p.Time - int64(step)
			h.r.Learn(&p)
		}
		h.play("dns-nxdomain.pcapng", 0, 0) // another's
		h.pass(time.Second)
		start(9)
		h.pass(100 * time.Millisecond)
		h.exit(9, 1)
		h.pass(8 * time.Second)
		h.idle()
		if list := lines(t, h.dir); len(list) > 0 {
			t.Errorf("clock set by %v: %+v", step, list)
		}
		start(10)
		h.play("dns-nxdomain.pcapng", 0, 0)
		h.exit(10, 1)
		h.pass(8 * time.Second)
		h.idle()
		if list := lines(t, h.dir); len(list) != 1 || list[0].Recorder.Class != "dns.nxdomain" {
			t.Errorf("clock set by %v: %+v", step, list)
		}
	}
}

// A recorder that is stopped judges what is open: what is dead is kept, a build
// under way is not.
func TestStopped(t *testing.T) {
	h := newHarness(t, nil)
	h.start(9)
	h.play("healthy-h2.pcapng", 9, 30)
	h.start(10)
	h.play("hello-reset.pcapng", 10, 0)
	h.exit(10, 1)
	h.end()
	list := lines(t, h.dir)
	if len(list) != 1 || list[0].Recorder.PID != 10 || list[0].Recorder.Class != "tls.reset" {
		t.Errorf("%+v", list)
	}
}

// Two builds at a time have a case each, with the packets of their own.
func TestBuildsAtOnce(t *testing.T) {
	h := newHarness(t, nil)
	h.start(9)
	h.start(10)
	h.play("healthy-h2.pcapng", 9, 40)
	h.play("hello-reset.pcapng", 10, 0)
	h.exit(10, 1)
	h.pass(8 * time.Second)
	h.idle()
	list := lines(t, h.dir)
	if len(list) != 1 {
		t.Fatalf("%+v", list)
	}
	for _, pid := range ownersIn(t, filepath.Join(h.dir, list[0].Recorder.Case)) {
		if pid != 10 {
			t.Errorf("a packet of process %d", pid)
		}
	}
}

// What nobody owns is forgotten when it is old.
func TestNobodysIsForgotten(t *testing.T) {
	h := newHarness(t, nil)
	for i := range 30 {
		h.play("healthy-http1.pcapng", 0, 0)
		h.pass(60 * time.Second)
		if h.r.bytes > 256<<10 {
			t.Fatalf("round %d: %d bytes", i, h.r.bytes)
		}
	}
	if len(h.r.flows) > 0 || len(h.r.shared) > 0 || h.r.bytes != 0 {
		t.Errorf("%d connections, %d other frames, %d bytes are left", len(h.r.flows), len(h.r.shared), h.r.bytes)
	}
}

// A build that hangs and is killed is judged as it was before: that its end closes
// the connection says nothing of what it waited for.
func TestKilledWhileItHangs(t *testing.T) {
	h := newHarness(t, nil)
	h.start(9)
	h.play("stalled-body.pcapng", 9, 0)
	// The kernel closes what the process had.
	var last *capture.Packet
	frames, _ := load(t, "stalled-body.pcapng")
	for i := range frames {
		if isTCP(&frames[i]) && isRequest(&frames[i]) {
			last = &frames[i]
		}
	}
	fin := *last
	fin.Data = slices.Clone(fin.Data)
	fin.Data[14+20+13] |= byte(packets.FIN)
	fin.Time, fin.ProcessID = h.clock.now.UnixNano(), 9
	if _, err := h.r.Packets([]capture.Packet{fin}); err != nil {
		t.Fatal(err)
	}
	h.r.Learn(&hostlog.Exit{Time: h.clock.now.UnixNano() + 1000, PID: 9, Code: -1, Signal: 9})
	h.pass(8 * time.Second)
	h.idle()
	list := lines(t, h.dir)
	if len(list) != 1 || list[0].Recorder.Class != "transfer.remote-idle" || list[0].Verdict.Class != "transfer.remote-idle" || *list[0].Recorder.Exit != 137 {
		t.Fatalf("%+v", list)
	}
	d := analysed(t, filepath.Join(h.dir, list[0].Recorder.Case))
	if d.Verdict.Class != "transfer.remote-idle" || !slices.ContainsFunc(d.Capture.Notes, func(s string) bool { return strings.Contains(s, "ended by signal 9") }) {
		t.Errorf("the case: %s, %q", d.Verdict.Class, d.Capture.Notes)
	}
	// A healthy one that is killed while it downloads is no death of the network's.
	h.start(10)
	h.play("healthy-h2.pcapng", 10, 40)
	h.r.Learn(&hostlog.Exit{Time: h.clock.now.UnixNano(), PID: 10, Code: -1, Signal: 15})
	h.pass(8 * time.Second)
	h.idle()
	for _, l := range lines(t, h.dir)[1:] {
		t.Errorf("%+v", l.Recorder)
	}
}

// Who leaves while a server sends was stopped by somebody; who leaves what was
// silent may have died of that.
func TestInterrupted(t *testing.T) {
	for _, silent := range []time.Duration{0, 8 * time.Second} {
		h := newHarness(t, nil)
		h.start(9)
		h.play("client-interrupted-http1.pcapng", 9, 0)
		e := h.r.episodes[0]
		e.fed = h.clock.now.Add(-silent).UnixNano()
		h.r.Learn(&hostlog.Exit{Time: h.clock.now.UnixNano(), PID: 9, Code: -1, Signal: 2})
		h.pass(8 * time.Second)
		h.idle()
		list := lines(t, h.dir)
		if silent == 0 && len(list) != 0 || silent > 0 && (len(list) != 1 || list[0].Recorder.Class != "client.aborted") {
			t.Errorf("silent for %v: %+v", silent, list)
		}
	}
}

// What nobody owns is no build's that had ended before, or began after.
func TestOthersDeath(t *testing.T) {
	for _, code := range []int{0, 1} {
		for _, name := range []string{"hello-reset.pcapng", "connect-refused.pcapng", "dns-nxdomain.pcapng", "icmp-prohibited.pcapng"} {
			h := newHarness(t, func(o *Options) {
				o.Surroundings = func(*hostlog.Process) []*hostlog.Setting {
					return []*hostlog.Setting{{Name: "GOPROXY", Value: "https://proxy.example"}}
				}
			})
			h.start(9)
			h.play("healthy-h2.pcapng", 9, 0)
			h.exit(9, code)
			h.pass(50 * time.Millisecond)
			h.play(name, 0, 0)
			h.pass(50 * time.Millisecond)
			h.start(10) // fails of something that has nothing to do with a network
			h.pass(100 * time.Millisecond)
			h.exit(10, code)
			h.pass(8 * time.Second)
			h.idle()
			for _, l := range lines(t, h.dir) {
				t.Errorf("exit code %d, %s: %+v", code, name, l)
			}
		}
	}
}

// A go command whose environment cannot be read, since it lies in a file system
// that never answers, holds nothing up.
func TestSurroundingsHang(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	h := newHarness(t, func(o *Options) {
		o.Surroundings = func(*hostlog.Process) []*hostlog.Setting {
			<-hang
			return nil
		}
	})
	for i := range 20 {
		h.start(uint32(100 + i))
	}
	h.build("hello-reset.pcapng", 9, 1)
	if list := lines(t, h.dir); len(list) != 1 || list[0].Recorder.Class != "tls.reset" {
		t.Errorf("%+v", list)
	}
}

// What a program does that go run has started is not the go command's; a process
// that goes on for days holds nothing back for days.
func TestLongLived(t *testing.T) {
	h := newHarness(t, nil)
	h.start(9)
	child := hostlog.Process{PID: 10, Parent: 9, Name: "server", Path: "/tmp/go-build1/b001/exe/server", Time: h.clock.now.UnixNano(), Start: h.clock.now.UnixNano()}
	h.r.Learn(&child)
	for i := range 40 {
		h.play("reset-body.pcapng", 10, 0)
		grandchild := hostlog.Process{PID: uint32(100 + i), Parent: 10, Name: "worker", Time: h.clock.now.UnixNano(), Start: h.clock.now.UnixNano()}
		h.r.Learn(&grandchild)
		h.r.Learn(&hostlog.Exit{Time: h.clock.now.UnixNano(), PID: grandchild.PID})
		h.pass(10 * time.Minute)
	}
	if e := h.r.episodes[0]; e.network || len(e.flows) > 0 || len(e.records) > 4 {
		t.Errorf("network %v, %d connections, %d records", e.network, len(e.flows), len(e.records))
	}
	if h.r.bytes > 256<<10 {
		t.Errorf("%d bytes are held", h.r.bytes)
	}
	h.exit(10, 1)
	h.exit(9, 1)
	h.pass(8 * time.Second)
	h.idle()
	if list := lines(t, h.dir); len(list) > 0 {
		t.Errorf("%+v", list)
	}
}

// A process whose end was never told is over once its number is another's.
func TestEndNotTold(t *testing.T) {
	h := newHarness(t, nil)
	for range 3 {
		h.start(9)
		h.play("hello-reset.pcapng", 9, 0)
		h.pass(time.Minute)
	}
	h.exit(9, 1)
	h.pass(8 * time.Second)
	h.idle()
	if list := lines(t, h.dir); len(list) != 3 || len(h.r.episodes) != 0 {
		t.Errorf("%d lines; %d builds are under way", len(list), len(h.r.episodes))
	}
}

// A connection whose owner is learned after its packets is its owner's.
func TestOwnerLearnedLate(t *testing.T) {
	h := newHarness(t, nil)
	h.start(9)
	h.play("hello-reset.pcapng", 0, 0)
	frames, _ := load(t, "hello-reset.pcapng")
	var local, remote netip.AddrPort
	for i := range frames {
		b := frames[i].Data
		if isTCP(&frames[i]) && isRequest(&frames[i]) && !local.IsValid() {
			local = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[26:30])), uint16(b[34])<<8|uint16(b[35]))
			remote = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[30:34])), uint16(b[36])<<8|uint16(b[37]))
		}
	}
	h.r.Learn(&hostlog.Claim{Local: local, Remote: remote, PID: 9, Time: h.clock.now.UnixNano(), Source: hostlog.SocketTable})
	h.exit(9, 1)
	h.pass(8 * time.Second)
	h.idle()
	list := lines(t, h.dir)
	if len(list) != 1 || list[0].Recorder.Class != "tls.reset" {
		t.Errorf("%+v", list)
	}
}

// Of a machine that has had many interfaces a case names those that matter.
func TestManyInterfaces(t *testing.T) {
	h := newHarness(t, nil)
	for i := range 5000 {
		if _, err := h.r.Interface(&capture.Interface{Name: "veth" + itoa(i+1), LinkType: 1}); err != nil {
			t.Fatal(err)
		}
	}
	h.start(9)
	frames, _ := load(t, "hello-reset.pcapng")
	for _, p := range frames {
		p.Time, p.Interface = h.clock.now.UnixNano()+p.Time-frames[0].Time, 4321
		if isTCP(&p) {
			p.ProcessID = 9
		}
		if _, err := h.r.Packets([]capture.Packet{p}); err != nil {
			t.Fatal(err)
		}
	}
	h.pass(2 * time.Second)
	h.exit(9, 1)
	h.pass(8 * time.Second)
	h.idle()
	list := lines(t, h.dir)
	if len(list) != 1 || list[0].Recorder.Class != "tls.reset" {
		t.Fatalf("%+v, warnings %q", list, h.warns)
	}
	d := analysed(t, filepath.Join(h.dir, list[0].Recorder.Case))
	if n := len(d.Capture.Interfaces); n != firstInterfaces+1 || d.Capture.Interfaces[n-1].Name != "veth4322" || d.Capture.Interfaces[n-1].Packets != int64(len(frames)) {
		t.Errorf("%+v", d.Capture.Interfaces)
	}
}

// An ICMP message about a connection that nobody saw is about another's where the
// go command's own attempts are known.
func TestStrayMessage(t *testing.T) {
	frames, interfaces := load(t, "icmp-prohibited.pcapng")
	h := newHarness(t, nil)
	h.start(9)
	h.play("healthy-h2.pcapng", 9, 0)
	for i := range interfaces {
		if _, err := h.r.Interface(&interfaces[i]); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for _, p := range frames {
		if b := p.Data; len(b) > 34 && b[12] == 8 && b[23] == 1 {
			// As the host's own packet filter sends it: from its own address.
			b = slices.Clone(b)
			copy(b[26:30], b[30:34])
			b[24], b[25] = 0, 0
			sum := uint32(0)
			for i := 14; i < 34; i += 2 {
				sum += uint32(b[i])<<8 | uint32(b[i+1])
			}
			sum = sum&0xffff + sum>>16
			sum = ^(sum&0xffff + sum>>16)
			b[24], b[25] = byte(sum>>8), byte(sum)
			p.Data, p.Time = b, h.clock.now.UnixNano()
			n++
			if _, err := h.r.Packets([]capture.Packet{p}); err != nil {
				t.Fatal(err)
			}
		}
	}
	h.pass(time.Millisecond)
	h.exit(9, 1)
	h.pass(8 * time.Second)
	h.idle()
	if list := lines(t, h.dir); len(list) > 0 || n == 0 {
		t.Errorf("%d messages: %+v", n, list)
	}
}
