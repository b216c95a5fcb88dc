package diagnose

import (
	"cmp"
	"slices"
)

// ClockStep is a jump of the capture's clock that the senders' clocks did not
// make (K8).
type ClockStep struct {
	// Time is the first capture time after the jump, in Unix ns; By is how
	// far it jumped ahead, in ns.
	Time, By int64
}

// Break is a place in the file on whose two sides packets of different captures
// stand: nobody recorded what lay between.
type Break struct {
	// Frame is the first frame behind it; Until the latest capture time in
	// front of it, in Unix ns.
	Frame, Until int64
}

// IsBreak reports whether a packet, gap ns of capture time behind the one in
// front of it in the file, is of another capture.
func IsBreak(gap int64) bool { return gap >= captureBreak || gap <= -captureBreak }

// observed returns up to when the capture went on that holds frame.
func (e *Env) observed(frame int64) int64 {
	i, _ := slices.BinarySearchFunc(e.Breaks, frame+1, func(b Break, f int64) int { return cmp.Compare(b.Frame, f) })
	if i < len(e.Breaks) {
		return e.Breaks[i].Until
	}
	return e.End
}

// elapsed returns the time from one moment to another without what steps of
// the capture's clock between them added.
func (e *Env) elapsed(from, to int64) int64 {
	d := to - from
	for _, s := range e.ClockSteps {
		if s.Time > from && s.Time <= to {
			d -= s.By
		}
	}
	return d
}

// stepped reports whether a verdict rests on a time that a step of the
// capture's clock made up.
func (w *view) stepped(v *Verdict) bool {
	if len(w.env.ClockSteps) == 0 {
		return false
	}
	if v.has("client.left-waiting") {
		return w.env.elapsed(w.client.FirstData.Time, w.left.Time) < min(w.left.Time-w.client.FirstData.Time, giveUp)
	}
	if !Classes[v.Class].Absence {
		return false
	}
	end := max(w.until, w.c.Last.Time)
	d := w.env.elapsed(v.failed, end)
	return d < end-v.failed && d < quietFinding
}
