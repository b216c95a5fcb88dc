package twopoint

import (
	"cmp"
	"slices"
	"sort"

	"goproxytrace/analyze/decode"
)

// progress is how far an end acknowledged, over time.
type progress struct {
	at    []int64
	acked []int64 // rising
}

func newProgress(list []*segment) *progress {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b *segment) int { return cmp.Compare(a.at, b.at) })
	p := new(progress)
	for _, s := range list {
		// What a reset acknowledges may be made up.
		if s.flags&decode.RST != 0 || s.acked < 0 {
			continue
		}
		if n := len(p.acked); n == 0 || s.acked > p.acked[n-1] {
			p.at, p.acked = append(p.at, s.at), append(p.acked, s.acked)
		}
	}
	return p
}

// passed returns when everything before a place was acknowledged.
func (p *progress) passed(to int64) (at int64, ok bool) {
	i := sort.Search(len(p.acked), func(i int) bool { return p.acked[i] >= to })
	if i == len(p.acked) {
		return 0, false
	}
	return p.at[i], true
}

// reach is which ranges of sequence numbers segments cover, and since when. The
// ranges of a stepwise table do not overlap.
type reach struct {
	from, to []int64
	since    []int64
	// work counts entries that were moved; torn is true where they became too
	// many and what came later is left out.
	work int
	torn bool
}

// maxWork bounds the entries that a table moves: segments in order move none.
const maxWork = 1 << 29

func newReach(list []*segment) *reach {
	spans := make([]*segment, 0, len(list))
	for _, s := range list {
		if s.to > s.from && s.flags&decode.RST == 0 {
			spans = append(spans, s)
		}
	}
	slices.SortStableFunc(spans, func(a, b *segment) int { return cmp.Compare(a.at, b.at) })
	// The earliest segment counts for what it covers first.
	r := new(reach)
	for _, s := range spans {
		r.insert(s.from, s.to, s.at)
	}
	return r
}

// insert adds what of a range is not covered yet.
func (r *reach) insert(from, to, since int64) {
	for from < to {
		i := sort.Search(len(r.to), func(i int) bool { return r.to[i] > from })
		if r.work += len(r.to) - i; r.work > maxWork {
			r.torn = true
			return
		}
		if i < len(r.from) && r.from[i] <= from {
			from = r.to[i]
			continue
		}
		end := to
		if i < len(r.from) {
			end = min(end, r.from[i])
		}
		r.from, r.to, r.since = slices.Insert(r.from, i, from), slices.Insert(r.to, i, end), slices.Insert(r.since, i, since)
		from = end
	}
}

// covered returns when all of a range was covered.
func (r *reach) covered(from, to int64) (at int64, ok bool) {
	for i := sort.Search(len(r.to), func(i int) bool { return r.to[i] > from }); from < to; i++ {
		if i >= len(r.from) || r.from[i] > from {
			return 0, false
		}
		at, from = max(at, r.since[i]), r.to[i]
	}
	return at, true
}

// touches reports whether any of a range is covered.
func (r *reach) touches(from, to int64) bool {
	i := sort.Search(len(r.to), func(i int) bool { return r.to[i] > from })
	return i < len(r.from) && r.from[i] < to
}
