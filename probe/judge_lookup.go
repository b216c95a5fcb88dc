package probe

import (
	"slices"

	"goproxytrace/analyze/diagnose"
)

// lookupFinding judges where the name itself is the matter: it leads nowhere,
// or to two places at once of which one is wrong.
func (j *judge) lookupFinding() (Finding, bool) {
	lookups := j.lookups()
	if len(lookups) == 0 {
		return Finding{}, false
	}
	var forged, failed []*Cell
	for _, c := range lookups {
		switch {
		case c.alwaysDied() && c.Class == diagnose.DNSForged:
			forged = append(forged, c)
		case c.alwaysDied():
			failed = append(failed, c)
		}
	}
	if d := j.main(); len(forged) > 0 && d != nil && !d.alwaysPassed() {
		pair := j.defaultPair()
		f := j.make(LookupForged, forged[0], []diagnose.Place{diagnose.Network}, pair...)
		if pair == nil {
			// Both addresses die, or there is but one: what else is wrong there
			// is not known.
			f.Level = diagnose.Consistent
			f.Evidence = append(f.Evidence, observation(d))
		}
		return f, true
	}
	system := j.cell(func(c *Cell) bool { return c.Arm == SystemLookup })
	if system == nil || !system.alwaysDied() {
		return Finding{}, false
	}
	d := system
	// A resolver's own answer says more than the system's error.
	for _, c := range failed {
		if c.Resolver.IsValid() && c.Class != "" {
			d = c
			break
		}
	}
	f := j.make(LookupFailed, d, beyond, lookups...)
	f.Evidence = f.Evidence[1:] // it is among the lookups
	if passed := slices.ContainsFunc(lookups, func(c *Cell) bool { return c.Resolver.IsValid() && c.alwaysPassed() }); passed {
		f.Notes = append(f.Notes, "probe.other-resolver-answers")
	}
	return f, true
}

// defaultPair are the go command's own attempts at two addresses, one of which
// always died while the other always passed.
func (j *judge) defaultPair() []*Cell {
	var passed, died *Cell
	for _, c := range j.defaults() {
		switch {
		case c.alwaysPassed() && passed == nil:
			passed = c
		case (c.alwaysDied() || c.Counted() == 0 && c.Shadowed > 0) && died == nil:
			died = c
		}
	}
	if passed == nil || died == nil {
		return nil
	}
	return []*Cell{died, passed}
}
