package report

import (
	"cmp"
	"slices"
)

// Excerpt returns the document with the foremost connections alone, at most
// limit, in order of their IDs, and with as many lookups, attempts and events
// at most. What is left out is counted. The excerpt needs no Result.
func (d *Document) Excerpt(limit int) (*Document, error) {
	picked, err := choose(d, limit)
	if err != nil {
		return nil, err
	}
	e := *d
	e.store, e.trace = nil, nil
	e.rows = picked.rows
	slices.SortFunc(e.rows, func(a, b *Connection) int { return cmp.Compare(a.ID, b.ID) })
	e.ConnectionsOmitted, e.DeathsOmitted = picked.omitted, picked.omittedDeaths
	e.Lookups, e.LookupsOmitted = first(d.Lookups, limit, d.LookupsOmitted, func(l *Lookup) bool { return l.Verdict.Died })
	e.Attempts, e.AttemptsOmitted = first(d.Attempts, limit, d.AttemptsOmitted, func(a *Attempt) bool { return a.Verdict.Died })
	e.Events, e.EventsOmitted = first(d.Events, limit, d.EventsOmitted, func(*Event) bool { return false })
	return &e, nil
}

// first keeps the first elements of a list, those that matter before others,
// in their order, and adds the others to a count.
func first[T any](list []T, limit int, omitted int64, matters func(*T) bool) ([]T, int64) {
	if len(list) <= limit {
		return list, omitted
	}
	strong := 0
	for i := range list {
		if matters(&list[i]) {
			strong++
		}
	}
	plain := max(limit-strong, 0)
	var out []T
	for i := range list {
		switch {
		case len(out) == limit:
		case matters(&list[i]):
			out = append(out, list[i])
		case plain > 0:
			plain--
			out = append(out, list[i])
		}
	}
	return out, omitted + int64(len(list)-len(out))
}
