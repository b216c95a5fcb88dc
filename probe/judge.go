package probe

import (
	"slices"

	"goproxytrace/analyze/diagnose"
)

// Judge says of each target which difference decides.
func Judge(o Options, all []*Attempt) (out []Finding) {
	o.fill()
	for _, t := range o.Targets {
		j := judge{matrix: matrix{cells(t.Host, all, o.Timing.Quick), o.Timing.Quick}, o: &o, all: all}
		f := j.finding(t)
		f.Target, f.Cells = t, j.list
		if f.Level == "" {
			f.Level = diagnose.None
		}
		f.Stage = stageOf(f.Class)
		f.NextSteps = nextSteps[f.Cause]
		f.RefutedBy = refutedBy[f.Cause]
		f.NotAssessed = j.notAssessed()
		out = append(out, f)
	}
	return out
}

// Worst is the finding that explains the go command's failure: the first
// host's that has one.
func Worst(list []Finding) *Finding {
	for _, rank := range []func(*Finding) bool{(*Finding).blames, func(f *Finding) bool { return f.Cause != Healthy }, func(*Finding) bool { return true }} {
		for i := range list {
			if rank(&list[i]) {
				return &list[i]
			}
		}
	}
	return nil
}

// blames reports whether a finding says that something is wrong.
func (f *Finding) blames() bool {
	return f.Cause != Healthy && f.Cause != Readable && f.Cause != NotRun
}

func stageOf(c diagnose.Class) diagnose.Stage {
	if info := diagnose.Classes[c]; info != nil {
		return info.Stage
	}
	return diagnose.StageDone
}

// judge is the judgement on one host under way.
type judge struct {
	matrix
	o   *Options
	all []*Attempt
}

func (j *judge) finding(t Target) Finding {
	d := j.main()
	if d == nil || d.Via == "" {
		// Behind a proxy it is the proxy that looks names up.
		if f, ok := j.lookupFinding(); ok {
			return f
		}
	}
	switch {
	case d == nil || d.Counted() == 0 && d.Shadowed == 0:
		return Finding{Cause: NotRun, Verdict: diagnose.Verdict{Class: diagnose.NoTraffic}}
	case d.Passed > 0 && d.Died > 0:
		f := j.make(Intermittent, d, anywhere)
		f.Place, f.Level = anywhere, diagnose.Consistent // one loss is nobody's deed
		return f
	case d.Passed > 0:
		return j.passing(d)
	}
	switch d.Stage {
	case diagnose.StageProxy:
		return j.proxyFinding(d)
	case diagnose.StageConnect, diagnose.StageDNS:
		return j.connectFinding(d)
	case diagnose.StageTLS:
		return j.handshakeFinding(d)
	}
	return j.requestFinding(d)
}

// make builds a finding on a lane that died, against the cells that differ
// from it. Two outcomes each, in turns, with their packets, are strong; less
// is consistent.
func (j *judge) make(cause Cause, d *Cell, widest []diagnose.Place, controls ...*Cell) Finding {
	controls = slices.DeleteFunc(controls, func(c *Cell) bool { return c == nil })
	f := Finding{Cause: cause, Address: d.key()}
	f.Class, f.Level = d.Class, diagnose.Consistent
	if j.strong(d, controls) {
		f.Level = diagnose.Suggested
	}
	if !byPackets(d) && !slices.Contains(widest, diagnose.Host) && len(widest) > 1 {
		// Without packets nobody knows whether they left this host.
		widest = append([]diagnose.Place{diagnose.Host}, widest...)
	}
	f.Place = places(widest, d)
	f.Values = []diagnose.Value{
		diagnose.Text("host", d.Host), diagnose.Text("address", f.Address), diagnose.Text("detail", lastDetail(d)), diagnose.Num("status", lastStatus(d)),
		diagnose.Text("issuer", issuerOf(d)),
	}
	for _, c := range append([]*Cell{d}, controls...) {
		f.Evidence = append(f.Evidence, observation(c))
	}
	if j.lingered(d) {
		f.Notes = append(f.Notes, "probe.residual")
	}
	if j.quick {
		f.Notes = append(f.Notes, "probe.quick")
	}
	return f
}

// strong reports whether a difference is more than chance and leftovers.
func (j *judge) strong(d *Cell, controls []*Cell) bool {
	if d.Died < j.o.Repeats || d.Passed > 0 || !byPackets(d) || len(controls) == 0 {
		return false
	}
	for _, c := range controls {
		if c.Counted() < j.o.Repeats || c.Passed > 0 && c.Died > 0 {
			return false
		}
	}
	// In a hurry, failures were counted that an earlier one may have caused.
	return !j.quick || !slices.ContainsFunc(append([]*Cell{d}, controls...), func(c *Cell) bool { return c.Shadowed > 0 })
}

// lingered reports whether failures in the shadow of others were followed by
// something that passed at the same remote end: the block had worn off.
func (j *judge) lingered(d *Cell) bool {
	seen := false
	for _, a := range j.all {
		if a.isLookup() || a.key() != d.key() {
			continue
		}
		if a.Shadowed {
			// The same arm passes without a shadow.
			c := j.at(a.Lane, a.Arm)
			seen = seen || c != nil && c.Passed > 0
		}
	}
	return seen
}

// observation is what one cell came to.
func observation(c *Cell) diagnose.Evidence {
	id := "probe.arm-died"
	switch {
	case c.Died == 0 && c.Passed == 0:
		id = "probe.arm-shadowed"
	case c.Passed > 0 && c.Died > 0:
		id = "probe.arm-mixed"
	case c.Passed > 0:
		id = "probe.arm-passed"
	}
	return diagnose.Evidence{ID: id, Values: armValues(c)}
}

func lastDetail(c *Cell) string {
	for _, a := range slices.Backward(c.Attempts) {
		if a.Died() && a.Detail != "" {
			return a.Detail
		}
	}
	return ""
}

func lastStatus(c *Cell) int64 {
	for _, a := range slices.Backward(c.Attempts) {
		if a.HTTP != 0 {
			return int64(a.HTTP)
		}
	}
	return 0
}

func issuerOf(c *Cell) string {
	for _, a := range slices.Backward(c.Attempts) {
		if len(a.Chain) > 0 {
			return a.Chain[0].Issuer
		}
	}
	return ""
}

// notAssessed lists what these attempts could not show.
func (j *judge) notAssessed() (out []string) {
	seen := func(arm Arm) bool { return j.cell(func(c *Cell) bool { return c.Arm == arm }) != nil }
	if d := j.main(); d != nil && d.alwaysDied() && d.Stage == diagnose.StageTLS && d.End != Certificate && !canLimitSegments {
		out = append(out, "unassessed.probe-segments")
	}
	if slices.ContainsFunc(j.list, func(c Cell) bool { return !c.isLookup() && !byPackets(&c) }) {
		out = append(out, "unassessed.probe-packets")
	}
	if d := j.main(); d != nil && d.alwaysPassed() && !seen(OtherName) {
		out = append(out, "unassessed.probe-load")
	}
	return out
}
