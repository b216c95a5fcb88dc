package live

import (
	"slices"

	"goproxytrace/capture"
)

// frameLimit leaves out what an engine delivers beyond a number of frames: it
// stops a little later than it is told to.
type frameLimit struct {
	most, frames int64 // most is zero for no limit
	last         int64 // time of the last frame that was let through
	surplus      []uint64
}

// cut shortens a batch to what may still come, and reports whether that is all.
func (l *frameLimit) cut(b *capture.Batch) bool {
	if l.most == 0 {
		return false
	}
	keep := int(min(int64(len(b.Packets)), l.most-l.frames))
	for _, p := range b.Packets[keep:] {
		if p.Interface >= 0 {
			l.surplus = append(l.surplus, make([]uint64, max(int(p.Interface)+1-len(l.surplus), 0))...)
			l.surplus[p.Interface]++
		}
	}
	b.Packets = b.Packets[:keep]
	if keep > 0 {
		l.frames += int64(keep)
		l.last = b.Packets[keep-1].Time
	}
	return l.frames >= l.most
}

// correct makes the interfaces' counters those of the frames that were let
// through. Where others came, the capture ends with the last of them: the
// silence behind it is none.
func (l *frameLimit) correct(statistics []capture.Interface) {
	if !slices.ContainsFunc(l.surplus, func(n uint64) bool { return n > 0 }) {
		return
	}
	for i := range statistics {
		in := &statistics[i]
		if l.last != 0 {
			in.End = l.last
		}
		if i >= len(l.surplus) {
			continue
		}
		in.Packets -= int64(l.surplus[i])
		for _, n := range []**uint64{&in.Received, &in.FilterAccepted, &in.Delivered} {
			if *n != nil {
				rest := **n - min(l.surplus[i], **n)
				*n = &rest
			}
		}
	}
}
