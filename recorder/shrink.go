package recorder

import (
	"cmp"
	"fmt"
	"slices"
)

// shrink gives up what is least worth keeping until there is room again: first
// what is nobody's, then connections that are over and look healthy, the oldest
// first, then the middle of those that are open, and in the end whole
// connections that are over. The beginning of an open connection stays.
func (r *Recorder) shrink() {
	most := r.ringBytes() * 3 / 4
	if !r.full {
		r.full = true
		r.o.Warn(fmt.Errorf("more is going on than %d MiB hold: what looks healthy is given up, the oldest first", r.ringBytes()>>20))
	}
	enough := func() bool { return r.bytes <= most }
	if r.jobs.shed(&r.bytes, most); enough() {
		return
	}
	r.shedNobodys(enough)
	if enough() {
		return
	}
	owned := r.owned()
	for _, f := range owned {
		if enough() {
			return
		}
		if f.sound() {
			r.giveUp(f)
		}
	}
	for _, f := range owned {
		if enough() {
			return
		}
		freed, gone := f.thin()
		r.bytes -= freed
		f.owner.gaveUp.Packets += int64(gone)
	}
	for _, f := range owned {
		if enough() {
			return
		}
		if f.closed() && f.bytes > 0 {
			r.giveUp(f)
		}
	}
	// So many connections are open that their beginnings alone are too much.
	for _, f := range owned {
		if enough() {
			return
		}
		if f.bytes > 0 {
			r.giveUp(f)
		}
	}
}

// owned lists the connections of all episodes, those that ended first or were
// silent for longest first.
func (r *Recorder) owned() (out []*flow) {
	for _, e := range r.episodes {
		out = append(out, e.flows...)
	}
	slices.SortStableFunc(out, func(a, b *flow) int { return cmp.Compare(a.last, b.last) })
	return out
}

// giveUp forgets a connection of an episode.
func (r *Recorder) giveUp(f *flow) {
	e := f.owner
	e.gaveUp.Connections++
	e.gaveUp.Packets += int64(len(f.frames))
	r.bytes -= f.bytes
	f.frames, f.bytes = nil, 0
	if f.closed() {
		e.flows = slices.DeleteFunc(e.flows, func(o *flow) bool { return o == f })
		if r.flows[f.key] == f {
			delete(r.flows, f.key)
		}
	}
}

// shedNobodys gives up what no episode owns.
func (r *Recorder) shedNobodys(enough func() bool) {
	var free []*flow
	for _, f := range r.flows {
		if f.owner == nil {
			free = append(free, f)
		}
	}
	slices.SortFunc(free, func(a, b *flow) int { return cmp.Compare(a.last, b.last) })
	for _, f := range free {
		if enough() {
			return
		}
		r.drop(f)
	}
	for len(r.shared) > 0 && !enough() {
		n := (len(r.shared) + 7) / 8
		for _, f := range r.shared[:n] {
			r.bytes -= f.cost()
			r.sharedBytes -= f.cost()
			r.lost = max(r.lost, f.at)
			for _, e := range r.episodes {
				if f.at >= e.begin {
					e.gaveUp.Packets++
				}
			}
		}
		r.shared = trimmed(r.shared, n)
	}
	for len(r.recent) > 0 && !enough() {
		r.shedRecent()
	}
}

// shedRecent gives up an eighth of the records that are nobody's, the oldest.
func (r *Recorder) shedRecent() {
	n := (len(r.recent) + 7) / 8
	for _, rec := range r.recent[:n] {
		c := recordCost(rec)
		r.bytes -= c
		r.recentBytes -= c
	}
	r.recent = trimmed(r.recent, n)
}
