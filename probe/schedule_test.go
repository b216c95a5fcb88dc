package probe

import (
	"net/netip"
	"net/url"
	"slices"
	"testing"
	"time"

	"goproxytrace/analyze/diagnose"
)

// world says how an attempt ends at a time; what it passes is quick.
type world func(l Lane, a Arm, at time.Duration) (End, diagnose.Stage)

// play runs the schedule on a virtual clock and returns its attempts.
func play(t *testing.T, o Options, w world) []*Attempt {
	t.Helper()
	if o.Reachable == nil {
		o.Reachable = func(netip.Addr) bool { return true }
	}
	o.fill()
	begin := time.Unix(1000, 0)
	now := begin
	var out []*Attempt
	run := func(lanes []Lane) {
		s := newSchedule(&o, lanes, out)
		for range 1000 {
			st, wait, ok := s.next(now)
			if !ok {
				return
			}
			if now.Before(wait.Until) {
				now = wait.Until
			}
			if wait.Residual {
				continue
			}
			a := &Attempt{Lane: st.lane.Lane, Arm: st.arm, Begin: now, Remote: netip.AddrPortFrom(st.lane.Address, st.lane.Port)}
			a.End, a.Stage = w(a.Lane, a.Arm, now.Sub(begin))
			if a.End == "" {
				a.End, a.Stage = Passed, diagnose.StageDone
			}
			if a.isLookup() && a.Resolver == (netip.AddrPort{}) {
				a.Answers = []Answer{{Addresses: addressesFor(a.Host)}}
			}
			now = now.Add(o.lasting(a))
			a.Ended = now
			a.classify()
			s.done(st.lane, a)
			out = append(out, a)
		}
		t.Fatal("the schedule does not end")
	}
	run(o.lookupLanes())
	run(o.connectionLanes(out))
	return out
}

// addressesFor gives each host addresses of its own.
func addressesFor(host string) []netip.Addr {
	switch host {
	case "proxy.example":
		return []netip.Addr{netip.MustParseAddr("203.0.113.10")}
	case "dual.example":
		return []netip.Addr{netip.MustParseAddr("2001:db8::10"), netip.MustParseAddr("203.0.113.20")}
	case "two.example":
		return []netip.Addr{netip.MustParseAddr("203.0.113.30"), netip.MustParseAddr("203.0.113.31")}
	}
	return []netip.Addr{netip.MustParseAddr("203.0.113.99")}
}

func targets(hosts ...string) (out []Target) {
	for _, h := range hosts {
		out = append(out, Target{Host: h, Port: 443})
	}
	return out
}

func fine0(Lane, Arm, time.Duration) (End, diagnose.Stage) { return "", "" }

// dying lets one name die in the handshake, and leaves a block of its address
// behind that takes everything.
func dying(leaves time.Duration) world {
	var until time.Duration = -1
	return func(l Lane, a Arm, at time.Duration) (End, diagnose.Stage) {
		switch {
		case l.isLookup():
			return "", ""
		case at < until:
			return Timeout, diagnose.StageTLS
		case a != OtherName && a != OtherPort:
			if leaves > 0 {
				// A reset takes no time of its own worth mentioning.
				until = at + leaves
			}
			return Reset, diagnose.StageTLS
		}
		return "", ""
	}
}

// A healthy way takes no controls, no waits, and a bounded number of attempts.
func TestHealthySchedule(t *testing.T) {
	o := Options{Targets: targets("proxy.example")}
	all := play(t, o, fine0)
	for _, a := range all {
		if !slices.Contains([]Arm{SystemLookup, Default, NoMLKEM, HTTP1}, a.Arm) {
			t.Errorf("%s was tried where nothing failed", a.Arm)
		}
	}
	if took := all[len(all)-1].Ended.Sub(all[0].Begin); took > time.Minute {
		t.Errorf("took %v", took)
	}
	f := Judge(o, all)
	if f[0].Cause != Healthy || f[0].Class != diagnose.OK || len(f[0].Place) != 0 {
		t.Errorf("%+v", f[0])
	}
}

// No two attempts are closer than the spacing, and what fails in the shadow of
// another failure is tried again when that has passed.
func TestSpacingAndShadows(t *testing.T) {
	for _, leaves := range []time.Duration{0, 60 * time.Second, 150 * time.Second} {
		o := Options{Targets: targets("proxy.example")}
		all := play(t, o, dying(leaves))
		for i := range all[1:] {
			if gap := all[i+1].Begin.Sub(all[i].Ended); gap < DefaultTiming.Spacing {
				t.Fatalf("%v between attempts %d and %d", gap, i, i+1)
			}
		}
		f := Judge(o, all)[0]
		if f.Cause != NameBlock {
			t.Errorf("a block that leaves %v behind: cause %s", leaves, f.Cause)
		}
		if got := slices.Contains(f.Notes, "probe.residual"); got != (leaves > 0) {
			t.Errorf("a block that leaves %v behind: noted: %v", leaves, got)
		}
		for _, c := range f.Cells {
			if c.Arm == OtherName && c.Died > 0 {
				t.Errorf("a block that leaves %v behind counts against the harmless name", leaves)
			}
		}
	}
}

// In a hurry nothing waits, and the verdict on what fell into a shadow is no
// more than consistent.
func TestQuickCountsAll(t *testing.T) {
	for _, quick := range []bool{true, false} {
		o := Options{Targets: targets("proxy.example"), Timing: DefaultTiming}
		o.Timing.Quick = quick
		all := play(t, o, dying(100*time.Second))
		shadowed, uncounted := 0, 0
		for _, c := range Judge(o, all)[0].Cells {
			shadowed, uncounted = shadowed+c.Shadowed, uncounted+c.Uncounted()
		}
		if shadowed == 0 || quick != (uncounted == 0) {
			t.Errorf("quick %v: %d in a shadow, %d not counted", quick, shadowed, uncounted)
		}
	}
}

func TestQuick(t *testing.T) {
	o := Options{Targets: targets("proxy.example"), Timing: DefaultTiming}
	o.Timing.Quick = true
	all := play(t, o, dying(60*time.Second))
	if took := all[len(all)-1].Ended.Sub(all[0].Begin); took > 3*time.Minute {
		t.Errorf("took %v", took)
	}
	f := Judge(o, all)[0]
	if f.Level == diagnose.Suggested || f.Level == diagnose.Proven {
		t.Errorf("%s at level %s", f.Cause, f.Level)
	}
	if !slices.Contains(f.Notes, "probe.quick") {
		t.Errorf("notes %v", f.Notes)
	}
}

// What is announced as the most is not exceeded by any kind of failure.
func TestExtentBounds(t *testing.T) {
	for _, hosts := range [][]string{{"proxy.example"}, {"dual.example"}, {"two.example", "proxy.example"}} {
		for _, quick := range []bool{false, true} {
			o := Options{Targets: targets(hosts...), Resolvers: []netip.AddrPort{netip.MustParseAddrPort("203.0.113.53:53")}, Timing: DefaultTiming}
			o.Timing.Quick = quick
			e := o.Extent()
			if e.Attempts > e.Most || e.Took > e.Longest || e.Attempts == 0 {
				t.Errorf("%+v", e)
			}
			for i, w := range []world{fine0, dying(0), dying(60 * time.Second), always(Timeout, diagnose.StageConnect), always(Timeout, diagnose.StageTLS), always(Refused, diagnose.StageConnect)} {
				all := play(t, o, w)
				if len(all) > e.Most {
					t.Errorf("%v, world %d: %d attempts, announced were at most %d", hosts, i, len(all), e.Most)
				}
				if took := all[len(all)-1].Ended.Sub(all[0].Begin); took > e.Longest {
					t.Errorf("%v, world %d: %v, announced was at most %v", hosts, i, took, e.Longest)
				}
			}
		}
	}
}

func always(end End, stage diagnose.Stage) world {
	return func(l Lane, _ Arm, _ time.Duration) (End, diagnose.Stage) {
		if l.isLookup() {
			return "", ""
		}
		return end, stage
	}
}

// Who has no route of a family has nothing to complain of: most hosts have
// addresses of both, and many machines one.
func TestNoRouteIsNoFault(t *testing.T) {
	o := Options{Targets: targets("dual.example"), Reachable: netip.Addr.Is4}
	all := play(t, o, fine0)
	for _, a := range all {
		if a.Address.Is6() {
			t.Errorf("%s is tried without a route", a.Address)
		}
	}
	if f := Judge(o, all)[0]; f.Cause != Healthy {
		t.Errorf("cause %s", f.Cause)
	}
	// With a route, a family that always dies is one.
	broken := func(l Lane, _ Arm, _ time.Duration) (End, diagnose.Stage) {
		if l.Address.Is6() {
			return Timeout, diagnose.StageTLS
		}
		return "", ""
	}
	o.Reachable = nil
	if f := Judge(o, play(t, o, broken))[0]; f.Cause != Family {
		t.Errorf("cause %s", f.Cause)
	}
	// Without a route at all, that is what is told.
	o = Options{Targets: targets("dual.example"), Reachable: func(netip.Addr) bool { return false }}
	if f := Judge(o, play(t, o, always(Unreachable, diagnose.StageConnect)))[0]; f.Class != diagnose.ConnectUnreachable {
		t.Errorf("class %s", f.Class)
	}
}

// Two answers to one question are blamed where the go command's way dies, and
// noted where it passes.
func TestTwoAnswers(t *testing.T) {
	resolver := netip.MustParseAddrPort("203.0.113.53:53")
	o := Options{Targets: targets("two.example"), Resolvers: []netip.AddrPort{resolver}}
	dead := func(first bool) world {
		return func(l Lane, a Arm, _ time.Duration) (End, diagnose.Stage) {
			switch {
			case a == AskA:
				return Failed, diagnose.StageDNS
			case !l.isLookup() && first == (l.Address == netip.MustParseAddr("203.0.113.30")):
				return Timeout, diagnose.StageConnect
			}
			return "", ""
		}
	}
	for first, want := range map[bool]Cause{true: LookupForged, false: Healthy} {
		all := play(t, o, dead(first))
		for _, a := range all {
			if a.Arm == AskA {
				a.Class = diagnose.DNSForged
			}
		}
		f := Judge(o, all)[0]
		if f.Cause != want {
			t.Errorf("the first address dies %v: cause %s, want %s", first, f.Cause, want)
		}
		if first && (len(f.Place) == 0 || f.Place[0] != diagnose.Network && f.Place[0] != diagnose.Host) {
			t.Errorf("place %v", f.Place)
		}
	}
}

// Behind a proxy nobody needs to know the host's addresses.
func TestProxyNeedsNoLookup(t *testing.T) {
	o := Options{Targets: targets("proxy.example"), ProxyFor: func(string, uint16) *url.URL { return &url.URL{Scheme: "http", Host: "192.0.2.80:3128"} }}
	w := func(l Lane, a Arm, _ time.Duration) (End, diagnose.Stage) {
		if l.isLookup() {
			return Failed, diagnose.StageDNS
		}
		return "", ""
	}
	if f := Judge(o, play(t, o, w))[0]; f.Cause != Healthy {
		t.Errorf("cause %s", f.Cause)
	}
	o.ProxyFor = nil
	if f := Judge(o, play(t, o, w))[0]; f.Cause != LookupFailed {
		t.Errorf("without a proxy: cause %s", f.Cause)
	}
}

// Groups narrow what is tried to what was asked for.
func TestGroups(t *testing.T) {
	for _, tt := range []struct {
		groups []Group
		want   []Arm
	}{
		{[]Group{GroupHelloSize}, []Arm{SystemLookup, Default, NoMLKEM, Padded}},
		{[]Group{GroupName}, []Arm{SystemLookup, Default, OtherName}},
		{[]Group{GroupFamily}, []Arm{SystemLookup, Default}},
		{[]Group{GroupDNS}, []Arm{SystemLookup, AskA, AskAAAA, Default}},
		{[]Group{GroupRequest}, []Arm{SystemLookup, Default, HTTP1}},
	} {
		o := Options{Targets: targets("proxy.example"), Groups: tt.groups, Resolvers: []netip.AddrPort{netip.MustParseAddrPort("203.0.113.53:53")}}
		seen := map[Arm]int{}
		for _, a := range play(t, o, fine0) {
			seen[a.Arm]++
			if !slices.Contains(tt.want, a.Arm) {
				t.Errorf("%v: %s was tried", tt.groups, a.Arm)
			}
		}
		for _, a := range tt.want {
			if seen[a] == 0 {
				t.Errorf("%v: %s was not tried", tt.groups, a)
			}
		}
	}
}

// Behind a proxy the go command's way comes first, and the direct one beside
// it.
func TestProxyLanes(t *testing.T) {
	o := Options{Targets: targets("proxy.example"), ProxyFor: func(string, uint16) *url.URL {
		return &url.URL{Scheme: "http", Host: "192.0.2.80:3128", User: url.UserPassword("u", "secret")}
	}}
	all := play(t, o, fine0)
	var first *Attempt
	direct := false
	for _, a := range all {
		if !a.isLookup() && first == nil {
			first = a
		}
		direct = direct || a.Via == "" && a.Address.IsValid()
		if a.Via != "" && a.Via != "192.0.2.80:3128" {
			t.Errorf("via %q", a.Via)
		}
	}
	if first == nil || first.Via == "" || !direct {
		t.Errorf("first %+v, direct %v", first, direct)
	}
}
