package diagnose

import (
	"slices"

	"goproxytrace/analyze/tcpflow"
)

// maxFrames bounds the frames of one piece of evidence.
const maxFrames = 32

// frames returns the frame numbers of what was seen, ascending and each once.
func frames(points ...tcpflow.Point) []int64 {
	out := make([]int64, 0, min(len(points), maxFrames))
	for _, p := range points {
		if p.Seen() {
			out = append(out, p.Frame)
		}
	}
	return tidy(out)
}

func tidy(out []int64) []int64 {
	slices.Sort(out)
	out = slices.Compact(out)
	if len(out) > maxFrames {
		// The first and the last tell where it began and ended.
		out = append(out[:maxFrames/2], out[len(out)-maxFrames/2:]...)
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// marks returns the frames of a list of marks.
func marks(list []tcpflow.Mark) []int64 {
	out := make([]int64, 0, len(list))
	for i := range list {
		out = append(out, list[i].Frame)
	}
	return tidy(out)
}

// evidence adds an observation.
func (v *Verdict) evidence(id string, frames []int64, values ...Value) {
	v.Evidence = append(v.Evidence, Evidence{ID: id, Frames: frames, Values: values})
}

// skip notes what could not be assessed.
func (v *Verdict) skip(id string) {
	if !slices.Contains(v.NotAssessed, id) {
		v.NotAssessed = append(slices.Clip(v.NotAssessed), id)
	}
}

// note adds a note.
func (v *Verdict) note(id string) {
	if !slices.Contains(v.Notes, id) {
		v.Notes = append(slices.Clip(v.Notes), id)
	}
}

// has reports whether the verdict rests on the named observation.
func (v *Verdict) has(id string) bool {
	return slices.ContainsFunc(v.Evidence, func(e Evidence) bool { return e.ID == id })
}

// newVerdict returns a verdict of class c with what all of its class share.
func newVerdict(c Class, l Level, places []Place, values ...Value) Verdict {
	info := Classes[c]
	return Verdict{
		Class: c, Stage: info.Stage, Place: places, Level: l, Values: values,
		RefutedBy: info.RefutedBy, NextSteps: info.NextSteps,
	}
}

// withinHost leaves the network out of the places of a connection that never
// left this machine. What a proxy on it carries on to the far end does leave it.
func (w *view) withinHost(v *Verdict) {
	if !w.c.Loopback || w.inTunnel() || !slices.Contains(v.Place, Network) {
		return
	}
	v.Place = slices.DeleteFunc(slices.Clone(v.Place), func(p Place) bool { return p == Network })
	if len(v.Place) == 0 {
		v.Place = inHost
	}
}

// The sets of places that verdicts use.
var (
	inHost       = []Place{Host}
	inClient     = []Place{Client}
	inNetwork    = []Place{Network}
	inRemote     = []Place{Remote}
	atThisEnd    = []Place{Host, Client}
	linkOrHost   = []Place{Host, Network}
	beyond       = []Place{Network, Remote}
	notesLossy   = []string{"lossy"}
	skippedStart = []string{"skip.started-before-capture"}
	skippedHalf  = []string{"skip.one-direction"}
)
