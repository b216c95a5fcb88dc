package pipeline

import (
	"context"
	"slices"
	"sync"

	"golang.org/x/sync/semaphore"

	"goproxytrace/fleet/ingest"
	"goproxytrace/fleet/rows"
	"goproxytrace/report"
)

// distinct emits all files of a group, whose beginnings and sizes are the same:
// those that have the same bytes as one before them in the list as duplicates.
func distinct(ctx context.Context, r *ingest.Reader, group []Candidate, emit func(Candidate)) error {
	slices.SortFunc(group, func(a, b Candidate) int { return a.Index - b.Index })
	first := make(map[string]string)
	for _, c := range group {
		// The hash of a report stands in the rows of the first report in it.
		if c.Status == "" && c.Hash == "" && (len(group) > 1 || c.Kind != rows.KindCapture) {
			sum, err := ingest.Hash(ctx, c.Path)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err == nil {
				c.Hash = sum
			} // else whoever reads it says why
		}
		if c.Status == "" && c.Hash != "" {
			if of, ok := first[c.Hash]; ok {
				c.Status, c.Reason = rows.StatusDuplicate, "the same bytes as "+r.Source(of).File
			} else {
				first[c.Hash] = c.Path
			}
		}
		emit(c)
	}
	return nil
}

// caseIDs emits what each report of a file is about.
func caseIDs(ctx context.Context, r *ingest.Reader, c *Candidate, emit func(id string, document int)) error {
	_, err := r.Read(ctx, c.Path, c.Kind, c.Hash, func(n int, hash string, d *report.Document) error {
		emit(rows.CaseID(d, hash, n), n)
		return nil
	})
	return err
}

// places are those of units that are worked on side by side in this process, by
// their number: what its memory follows.
var (
	makingPlaces sync.Mutex
	places       = map[int]*semaphore.Weighted{}
)

// enter waits until fewer than atOnce are in, or nobody is who is to be alone, and
// returns how to leave.
func enter(ctx context.Context, atOnce int, alone bool) (leave func(), err error) {
	all := int64(max(atOnce, 1))
	makingPlaces.Lock()
	s := places[atOnce]
	if s == nil {
		s = semaphore.NewWeighted(all)
		places[atOnce] = s
	}
	makingPlaces.Unlock()
	n := int64(1)
	if alone {
		n = all
	}
	return func() { s.Release(n) }, s.Acquire(ctx, n)
}
