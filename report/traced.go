package report

import (
	"cmp"
	"slices"

	"goproxytrace/analyze/segtrace"
)

// Bounds on the segments of a connection that a Traced holds; remarkable ones
// come on top.
const (
	subjectSegments = 20_000
	otherSegments   = 4_000
)

// candidates is how many connections are looked at for those that are shown.
const candidates = 200

func rankOfConnection(c *Connection) int {
	switch {
	case c.Verdict.Died:
		return 0
	case c.Target:
		return 1
	}
	return 2
}

// Traced is a connection that matters, with what its segments were.
type Traced struct {
	*Connection
	// Trace has no segments where the analysis did not keep them.
	Trace segtrace.Connection
}

// Foremost returns the connections that matter most, at most limit: the
// verdict's own first, then those to GOPROXY and GOSUMDB and deaths. omitted
// counts the others.
func (d *Document) Foremost(limit int) (list []*Connection, omitted int, err error) {
	picked, err := choose(d, limit)
	return picked.rows, picked.omitted, err
}

// Traced returns the connections that matter most, at most limit: the
// verdict's subject first, then deaths and those to the targets. Where there
// are none of them it is the first ones. trouble says why segments are
// missing, nil where the trace is whole.
func (d *Document) Traced(limit int) (list []Traced, trouble, err error) {
	picked, err := choose(d, candidates)
	if err != nil {
		return nil, nil, err
	}
	if d.Subject < 0 {
		// Nobody died for good: what was hardest, and largest, shows most.
		slices.SortStableFunc(picked.rows, func(a, b *Connection) int {
			return cmp.Or(cmp.Compare(rankOfConnection(a), rankOfConnection(b)), cmp.Compare(b.TCP.Retransmissions, a.TCP.Retransmissions),
				cmp.Compare(b.Bytes.FromServer, a.Bytes.FromServer))
		})
	}
	picked.rows = picked.rows[:min(len(picked.rows), limit)]
	matter := 0
	for matter < len(picked.rows) {
		if c := picked.rows[matter]; !c.Verdict.Died && !c.Target && c.ID != d.Subject {
			break
		}
		matter++
	}
	if matter == 0 {
		matter = min(len(picked.rows), limit/2)
	}
	var wishes []segtrace.Wish
	proofs := map[int64]bool{}
	for _, v := range append([]*Verdict{&d.Verdict}, verdictsOf(picked.rows[:matter])...) {
		for _, e := range v.Evidence {
			for _, f := range e.Frames {
				proofs[f] = true
			}
		}
	}
	for i, c := range picked.rows[:matter] {
		list = append(list, Traced{Connection: c})
		w := segtrace.Wish{ID: c.ID, Segments: otherSegments, Frames: proofs}
		if i == 0 {
			w.Segments = subjectSegments
		}
		wishes = append(wishes, w)
	}
	if d.trace == nil {
		return list, nil, nil
	}
	traces, trouble := d.trace.Read(wishes)
	for i := range traces {
		list[i].Trace = traces[i]
	}
	if trouble == nil {
		trouble = d.trace.Err()
	}
	return list, trouble, nil
}

func verdictsOf(rows []*Connection) (out []*Verdict) {
	for _, c := range rows {
		out = append(out, &c.Verdict)
	}
	return out
}
