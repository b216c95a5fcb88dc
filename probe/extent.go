package probe

import (
	"net/netip"
	"time"

	"goproxytrace/analyze/diagnose"
)

// Extent is how much a plan can come to.
type Extent struct {
	// Attempts and Took are what it comes to where everything passes, Most
	// and Longest what it comes to at most.
	Attempts, Most int
	Took, Longest  time.Duration
}

// Extent plays the schedule through without sending anything: once where
// everything passes, and with several kinds of failures, of which the longest
// counts. Hosts are taken to have as many addresses as are probed at most.
func (o Options) Extent() (e Extent) {
	o.fill()
	o.Reachable = func(netip.Addr) bool { return true }
	addresses := maxAddresses
	quick := func(Arm, Lane) (End, diagnose.Stage) { return Passed, diagnose.StageDone }
	e.Attempts, e.Took = o.rehearse(1, quick)
	silent := func(stage diagnose.Stage, passing ...Arm) func(Arm, Lane) (End, diagnose.Stage) {
		return func(a Arm, _ Lane) (End, diagnose.Stage) {
			for _, p := range passing {
				if p == a {
					return Passed, diagnose.StageDone
				}
			}
			return Timeout, stage
		}
	}
	for _, outcome := range []func(Arm, Lane) (End, diagnose.Stage){
		quick, silent(diagnose.StageConnect), silent(diagnose.StageTLS), silent(diagnose.StageHTTP),
		silent(diagnose.StageTLS, OtherName), silent(diagnose.StageTLS, NoMLKEM), silent(diagnose.StageTLS, NoMLKEM, OtherName),
		silent(diagnose.StageTLS, NoMLKEM, OtherName, SmallSegments),
	} {
		n, took := o.rehearse(addresses, outcome)
		e.Most, e.Longest = max(e.Most, n), max(e.Longest, took)
	}
	return e
}

// rehearse plays the schedule on a clock of its own.
func (o *Options) rehearse(addresses int, outcome func(Arm, Lane) (End, diagnose.Stage)) (n int, took time.Duration) {
	begin := time.Unix(1, 0)
	now := begin
	var made []*Attempt
	play := func(lanes []Lane) {
		s := newSchedule(o, lanes, made)
		for {
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
			a := &Attempt{Lane: st.lane.Lane, Arm: st.arm, Begin: now}
			a.End, a.Stage = outcome(a.Arm, a.Lane)
			now = now.Add(o.lasting(a))
			a.Ended = now
			s.done(st.lane, a)
			made = append(made, a)
		}
	}
	play(o.lookupLanes())
	play(o.connectionLanes(o.imagined(addresses)))
	return len(made), now.Sub(begin)
}

// imagined are lookups that give each host that many addresses of each family.
func (o *Options) imagined(n int) (out []*Attempt) {
	for i, t := range o.Targets {
		a := &Attempt{Lane: Lane{Host: t.Host, Port: t.Port}, Arm: SystemLookup}
		var list []netip.Addr
		for j := range n {
			list = append(list, netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + i*maxAddresses + j)}))
			if n > 1 {
				list = append(list, netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: byte(1 + i*maxAddresses + j)}))
			}
		}
		a.Answers = []Answer{{Addresses: list}}
		out = append(out, a)
	}
	return out
}

// lasting is how long an attempt takes that ends so: what passes is quick.
func (o *Options) lasting(a *Attempt) time.Duration {
	const soon = 300 * time.Millisecond
	switch {
	case a.End == Passed && a.Resolver.IsValid():
		return afterFirst
	case a.End == Passed:
		return soon
	case a.isLookup():
		return o.Timing.Lookup
	case a.Stage == diagnose.StageConnect:
		return o.Timing.Connect
	case a.Stage == diagnose.StageTLS:
		return soon + o.Timing.TLS
	}
	return 2*soon + o.Timing.Request
}
