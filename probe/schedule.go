package probe

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"goproxytrace/analyze/diagnose"
)

// schedule decides what is tried next. It knows only what has happened, and
// no clock but the times that it is given.
type schedule struct {
	o     *Options
	lanes []*progress
	ends  map[string]*shadow // by remote end
	last  time.Time          // end of the latest attempt
}

// progress is how far a lane has come.
type progress struct {
	Lane
	tries map[Arm]*tries
	last  time.Time
}

// tries are the attempts of one arm in one lane.
type tries struct {
	n        int // all of them
	counted  int // those that say something
	passed   bool
	failed   bool
	lastPass bool // the latest one that says something has passed
	stage    diagnose.Stage
	end      End
	slow     bool
	private  bool // the issuer is on no public list
}

// shadow is what failures at one remote end may have left behind.
type shadow struct {
	failed, passed time.Time
	// denied is true where something failed in the shadow since: more of the
	// same would only be burnt.
	denied bool
	// gated says which arms were tried since the failure.
	gated map[Arm]bool
}

// maxTries bounds the attempts of an arm in one lane.
const maxTries = 6

// newSchedule plans attempts that come after those that were made.
func newSchedule(o *Options, lanes []Lane, made []*Attempt) *schedule {
	s := &schedule{o: o, ends: map[string]*shadow{}}
	if n := len(made); n > 0 {
		s.last = made[n-1].Ended
	}
	for _, l := range lanes {
		s.lanes = append(s.lanes, &progress{Lane: l, tries: map[Arm]*tries{}})
	}
	return s
}

func (p *progress) arm(a Arm) *tries {
	t := p.tries[a]
	if t == nil {
		t = &tries{}
		p.tries[a] = t
	}
	return t
}

// key names the remote end of a lane's attempts, by which boxes that block
// remember (address and port).
func (l *Lane) key() string {
	switch {
	case l.Via != "":
		return l.Via
	case l.isLookup() && l.Resolver.IsValid():
		return l.Resolver.String()
	case l.isLookup():
		return ""
	}
	return netip.AddrPortFrom(l.Address, l.Port).String()
}

func (l *Lane) isLookup() bool { return !l.Address.IsValid() && l.Via == "" }

// step is what to try.
type step struct {
	lane *progress
	arm  Arm
}

// next returns what to try at a time, or until when to wait for it; ok is
// false where nothing is left.
func (s *schedule) next(now time.Time) (st step, wait Wait, ok bool) {
	lanes := slices.Clone(s.lanes)
	slices.SortStableFunc(lanes, func(a, b *progress) int { return a.last.Compare(b.last) })
	for _, p := range lanes {
		arm, until := s.ofLane(p, now)
		switch {
		case arm != "":
			if spaced := s.last.Add(s.o.Timing.Spacing); !s.last.IsZero() && now.Before(spaced) {
				return step{p, arm}, Wait{Until: spaced}, true
			}
			return step{p, arm}, Wait{}, true
		case !until.IsZero() && (wait.Until.IsZero() || until.Before(wait.Until)):
			wait, st, ok = Wait{Until: until, Residual: true, Address: p.key()}, step{p, ""}, true
		}
	}
	return st, wait, ok
}

// ofLane returns the lane's next arm, or until when it has to wait; neither
// where it is done.
func (s *schedule) ofLane(p *progress, now time.Time) (Arm, time.Time) {
	wanted := s.wanted(p)
	var open []Arm
	for _, a := range wanted {
		if t := p.arm(a); t.counted < s.repeats(p) && t.n < maxTries {
			open = append(open, a)
		}
	}
	if len(open) == 0 {
		return "", time.Time{}
	}
	fewest := func(list []Arm) Arm {
		return slices.MinFunc(list, func(a, b Arm) int { return cmp.Compare(p.arm(a).n, p.arm(b).n) })
	}
	sh := s.ends[p.key()]
	if p.isLookup() || sh == nil || !sh.covers(now, s.o.Timing.Residual) {
		return fewest(open), time.Time{}
	}
	// In a failure's shadow only what may pass is worth an attempt.
	if !sh.denied {
		for _, a := range likely {
			if slices.Contains(open, a) && p.arm(a).n == 0 {
				return a, time.Time{}
			}
		}
	}
	for _, a := range wanted {
		if t := p.arm(a); t.lastPass && !sh.gated[a] && t.n < maxTries {
			return a, time.Time{}
		}
	}
	if s.o.Timing.Quick {
		return fewest(open), time.Time{}
	}
	return "", sh.failed.Add(s.o.Timing.Residual)
}

// likely are the arms that may well pass where another has failed, best first.
var likely = []Arm{OtherName, NoMLKEM, SmallSegments, OtherAddress, Padded, HTTP1, OtherPort}

func (s *schedule) repeats(p *progress) int {
	if p.isLookup() && len(s.o.Groups) > 0 && !s.o.asked(GroupDNS) {
		return 1
	}
	return s.o.Repeats
}

func (sh *shadow) covers(now time.Time, residual time.Duration) bool {
	return !sh.failed.IsZero() && sh.failed.After(sh.passed) && now.Before(sh.failed.Add(residual))
}

// wanted lists the arms of a lane that have a point, as far as is known.
func (s *schedule) wanted(p *progress) []Arm {
	switch {
	case p.Resolver.IsValid():
		return []Arm{AskA, AskAAAA}
	case p.isLookup():
		return []Arm{SystemLookup}
	case p.Borrowed:
		// Where the name was refused at its own address.
		if own := s.own(p); own != nil && (s.forced(OtherAddress) || own.arm(Default).failed && own.arm(Default).stage == diagnose.StageTLS && own.arm(Default).end != Certificate) {
			return []Arm{OtherAddress}
		}
		return nil
	}
	d := p.arm(Default)
	want := []Arm{Default}
	add := func(arms ...Arm) {
		for _, a := range arms {
			if !slices.Contains(want, a) && s.possible(p, a) {
				want = append(want, a)
			}
		}
	}
	for _, g := range s.o.Groups {
		add(armsOf[g]...)
	}
	if len(s.o.Groups) > 0 {
		return want
	}
	deadAt := func(stages ...diagnose.Stage) bool { return d.failed && slices.Contains(stages, d.stage) }
	if !deadAt(diagnose.StageConnect, diagnose.StageProxy, diagnose.StageDNS) && s.first(p) {
		add(NoMLKEM)
		if !deadAt(diagnose.StageTLS) {
			add(HTTP1)
		}
	}
	switch {
	case deadAt(diagnose.StageTLS) && d.end == Certificate:
		add(OtherName)
	case deadAt(diagnose.StageTLS):
		add(OtherName, SmallSegments, NoMLKEM)
		if p.arm(NoMLKEM).passed {
			add(Padded)
		}
	case deadAt(diagnose.StageHTTP) && d.end != Status:
		add(SmallSegments)
	case deadAt(diagnose.StageConnect) && d.end != Forbidden:
		add(OtherPort)
	case d.passed && (d.slow || d.private):
		add(OtherName)
	}
	return want
}

// possible says whether a lane has an arm at all.
func (s *schedule) possible(p *progress, a Arm) bool {
	switch a {
	case OtherAddress, SystemLookup, AskA, AskAAAA:
		return false // a lane of its own
	case SmallSegments:
		return canLimitSegments && p.Via == ""
	case OtherPort:
		return p.Via == "" && p.Port != otherPort
	}
	return true
}

// forced reports whether the user has asked for a group with an arm.
func (s *schedule) forced(a Arm) bool {
	return slices.ContainsFunc(s.o.Groups, func(g Group) bool { return slices.Contains(armsOf[g], a) })
}

// own is the lane of the host's first address.
func (s *schedule) own(p *progress) *progress {
	i := slices.IndexFunc(s.lanes, func(q *progress) bool { return q.Host == p.Host && q.Address.IsValid() && !q.Borrowed })
	if i < 0 {
		return nil
	}
	return s.lanes[i]
}

// first reports whether a lane is the way that the go command would take.
func (s *schedule) first(p *progress) bool {
	i := slices.IndexFunc(s.lanes, func(q *progress) bool { return q.Host == p.Host && !q.isLookup() })
	return i >= 0 && s.lanes[i] == p
}

// slow is how long a handshake takes that is worth comparing with another.
const slow = time.Second

// done takes an attempt into account, and marks it where it lies in a shadow.
func (s *schedule) done(p *progress, a *Attempt) {
	s.last, p.last = a.Ended, a.Ended
	t := p.arm(a.Arm)
	t.n++
	if a.End == Stopped {
		return
	}
	if p.isLookup() {
		t.counted++
		return
	}
	sh := s.ends[p.key()]
	if sh == nil {
		sh = &shadow{}
		s.ends[p.key()] = sh
	}
	// Another port is no sign for or against a block of this one.
	blocked := a.mayLinger() && a.Arm != OtherPort
	a.Shadowed = blocked && sh.covers(a.Begin, s.o.Timing.Residual)
	switch {
	case blocked:
		sh.denied = a.Shadowed || sh.denied && sh.covers(a.Begin, s.o.Timing.Residual)
		if !a.Shadowed {
			sh.gated = nil
		}
		sh.failed = a.Ended
	case a.Arm != OtherPort:
		sh.passed, sh.denied = a.Ended, false
	}
	if sh.gated == nil {
		sh.gated = map[Arm]bool{}
	}
	sh.gated[a.Arm] = true
	if a.Shadowed && !s.o.Timing.Quick {
		return
	}
	t.counted++
	t.lastPass = !a.Died()
	if a.Died() {
		t.failed, t.stage, t.end = true, a.Stage, a.End
	} else {
		t.passed = true
		t.slow = t.slow || max(a.TLS, a.FirstByte) > slow
		t.private = t.private || len(a.Chain) > 0 && !a.Chain[0].Public
	}
}

// mayLinger reports whether a failure is of the kind that a block leaves
// behind, and that one left over causes: silence and resets, not an answer.
func (a *Attempt) mayLinger() bool {
	switch a.End {
	case Timeout, Reset, Closed, Refused:
		return a.Stage == diagnose.StageConnect || a.Stage == diagnose.StageTLS || a.Stage == diagnose.StageHTTP
	}
	return false
}
