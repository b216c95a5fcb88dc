package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"
	"golang.org/x/sync/errgroup"

	"goproxytrace/fleet/parts"
	"goproxytrace/fleet/rows"
	"goproxytrace/fleet/storage"
	"goproxytrace/fleet/summary"
	"goproxytrace/report"
)

// Schema names the shape of summary.json.
const Schema = "goproxytrace.fleet/v1"

// maxProblems bounds the files that summary.json names; the table files has all.
const maxProblems = 1000

// Summary is what a run found, for programs and people.
type Summary struct {
	Schema string `json:"schema"`
	Tool   struct {
		Version string `json:"version"`
	} `json:"tool"`
	// Redacted is true where names and addresses are pseudonyms; Key is by what
	// their key is known: results with the same one have the same pseudonyms.
	Redacted bool   `json:"redacted"`
	Key      string `json:"pseudonym_key,omitempty"`
	// Files counts the input by what became of it; ok, damaged, unreadable, not
	// analysed and duplicate together are all that matched.
	Files struct {
		Matched     int64 `json:"matched"`
		OK          int64 `json:"ok"`
		Damaged     int64 `json:"damaged"`
		Unreadable  int64 `json:"unreadable"`
		NotAnalysed int64 `json:"not_analysed"`
		Duplicate   int64 `json:"duplicate"`
	} `json:"files"`
	// Cases are the captures that were counted, Quiet those of them that are no
	// download; Duplicates are reports that were left out because their case is
	// counted from another file.
	Cases      int64 `json:"cases"`
	Quiet      int64 `json:"quiet"`
	Duplicates int64 `json:"duplicates"`
	// Rows counts the rows of the tables.
	Rows map[string]int64 `json:"rows"`
	// Problems are the files that are not ok, ProblemsOmitted counts further
	// ones.
	Problems        []Problem `json:"problems"`
	ProblemsOmitted int       `json:"problems_omitted,omitempty"`
	// Unit says what is counted, Interval how intervals are computed.
	Unit       string        `json:"unit"`
	Interval   Interval      `json:"interval"`
	Start      *time.Time    `json:"start"`
	End        *time.Time    `json:"end"`
	Summaries  []summary.Row `json:"summaries"`
	RowsCutOff int           `json:"summaries_omitted,omitempty"`
}

// Interval says how confidence intervals are computed.
type Interval struct {
	Method     string  `json:"method"`
	Confidence float64 `json:"confidence"`
}

// unit says what a rate is over.
const unit = "download: one run of the go command where the capture says whose a connection is, else the case; connections of one download are not independent"

// Manifest is what _SUCCESS holds: the parts of the tables, and no others are
// results.
type Manifest struct {
	Schema string            `json:"schema"`
	Parts  map[string][]Part `json:"parts"`
}

// publish checks that no file is lost, adds up what was counted, and moves the parts
// to their tables. It may be run again after any step of it.
func (p *Plan) publish(ctx context.Context, shards []string) error {
	slices.Sort(shards)
	shards = slices.Compact(shards) // a bundle that ran twice
	results, err := p.results(ctx, shards)
	if err != nil {
		return err
	}
	if err := p.complete(results); err != nil {
		return err
	}
	s := p.summarise(results)
	m := &Manifest{Schema: Schema, Parts: make(map[string][]Part)}
	for _, r := range results {
		for _, table := range rows.Tables {
			if part, ok := r.Parts[table]; ok {
				m.Parts[table] = append(m.Parts[table], part)
			}
		}
	}
	moves, moving := errgroup.WithContext(ctx)
	moves.SetLimit(16)
	for _, table := range rows.Tables {
		for _, part := range m.Parts[table] {
			moves.Go(func() error { return p.move(moving, table, part.Name) })
			s.Rows[table] += part.Rows
		}
	}
	if err := moves.Wait(); err != nil {
		return err
	}
	for _, table := range rows.Tables {
		if len(m.Parts[table]) > 0 {
			continue
		}
		// Whoever reads the directory finds the columns.
		part := Part{Name: "part-none.parquet"}
		if err := parts.Empty(ctx, table, storage.Join(p.Out, table, part.Name)); err != nil {
			return err
		}
		m.Parts[table], s.Rows[table] = []Part{part}, 0
	}
	part := Part{Name: "part-all.parquet", Rows: int64(len(s.Summaries))}
	if err := writeSummaries(ctx, storage.Join(p.Out, SummaryTable, part.Name), s.Summaries); err != nil {
		return err
	}
	m.Parts[SummaryTable] = []Part{part}
	for _, f := range []struct {
		name  string
		value any
	}{{SummaryFile, s}, {successFile, m}} {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetIndent("", " ")
		if err := e.Encode(f.value); err != nil {
			return err
		}
		if err := storage.Write(ctx, storage.Join(p.Out, f.name), b.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

func (p *Plan) results(ctx context.Context, shards []string) ([]*Result, error) {
	out := make([]*Result, len(shards))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for i, name := range shards {
		g.Go(func() error {
			r, err := p.done(ctx, name)
			if err == nil && r == nil {
				err = fmt.Errorf("shard %s has no result", name)
			}
			out[i] = r
			return err
		})
	}
	return out, g.Wait()
}

// complete makes sure that each file is in one shard: none is lost, and none is
// counted twice.
func (p *Plan) complete(results []*Result) error {
	seen := make([]int, p.Files)
	for _, r := range results {
		for _, i := range r.Indexes {
			if i < 0 || i >= len(seen) {
				return fmt.Errorf("shard %s tells of file %d of %d", r.Shard, i, len(seen))
			}
			seen[i]++
		}
	}
	wrong, first := 0, 0
	for i, n := range seen {
		if n != 1 {
			if wrong == 0 {
				first = i
			}
			wrong++
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d of %d files are not accounted for once, the first of them number %d (%d times)", wrong, p.Files, first, seen[first])
	}
	return nil
}

func (p *Plan) summarise(results []*Result) *Summary {
	s := &Summary{Schema: Schema, Redacted: !p.Ingest.Whole, Key: p.KeyID, Rows: make(map[string]int64), Problems: []Problem{}, Unit: unit}
	s.Tool.Version = p.Ingest.Version
	s.Interval = Interval{summary.Method, summary.Confidence}
	s.Files.Matched = int64(p.Files)
	var sum summary.Sum
	for _, r := range results {
		sum.Add(&r.Sum)
		s.Files.OK += r.Status[rows.StatusOK]
		s.Files.Damaged += r.Status[rows.StatusDamaged]
		s.Files.Unreadable += r.Status[rows.StatusUnreadable]
		s.Files.NotAnalysed += r.Status[rows.StatusNotAnalysed]
		s.Files.Duplicate += r.Status[rows.StatusDuplicate]
		s.Duplicates += r.Duplicates
		s.Problems = append(s.Problems, r.Problems...)
	}
	// The worst first.
	rank := []string{rows.StatusNotAnalysed, rows.StatusUnreadable, rows.StatusDamaged, rows.StatusDuplicate}
	slices.SortFunc(s.Problems, func(a, b Problem) int {
		if n := slices.Index(rank, a.Status) - slices.Index(rank, b.Status); n != 0 {
			return n
		}
		return a.Index - b.Index
	})
	if n := len(s.Problems); n > maxProblems {
		s.Problems, s.ProblemsOmitted = s.Problems[:maxProblems], n-maxProblems
	}
	s.Cases, s.Quiet = sum.Cases, sum.Quiet
	s.Summaries, s.RowsCutOff = sum.Rows()
	for i := range s.Summaries {
		if r := &s.Summaries[i]; r.Dimension == summary.Total {
			s.Start, s.End = r.FirstSeen, r.LastSeen
		}
	}
	return s
}

func writeSummaries(ctx context.Context, path string, list []summary.Row) error {
	w, err := storage.Create(ctx, path)
	if err != nil {
		return err
	}
	defer w.Abort()
	out := parquet.NewGenericWriter[summary.Row](w, parts.Options...)
	if _, err := out.Write(list); err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	return w.Commit()
}

// move moves a part to its table.
func (p *Plan) move(ctx context.Context, table, part string) error {
	from, to := p.partPath(table, part), storage.Join(p.Out, table, part)
	there, err := storage.Exists(ctx, from)
	if err != nil {
		return err
	}
	if !there {
		// An earlier try has moved it.
		if there, err = storage.Exists(ctx, to); err == nil && !there {
			err = fmt.Errorf("part %s of %s is gone", part, table)
		}
		return err
	}
	return storage.Rename(ctx, from, to)
}

// ReadSummary reads the summary of a run that finished.
func ReadSummary(ctx context.Context, out string) (*Summary, error) {
	there, err := storage.Exists(ctx, storage.Join(out, successFile))
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, fmt.Errorf("%s: it holds no run that finished", out)
	}
	raw, err := storage.Read(ctx, storage.Join(out, SummaryFile), maxList)
	if err != nil {
		return nil, err
	}
	s := new(Summary)
	if err := json.Unmarshal(raw, s); err != nil {
		return nil, fmt.Errorf("%s: %w", SummaryFile, err)
	}
	return s, nil
}

// Discard removes what runs have left in an output directory, and nothing else.
func Discard(ctx context.Context, out string) error {
	// Without it, what is still there is no result.
	if err := storage.Remove(ctx, storage.Join(out, successFile)); err != nil {
		return err
	}
	if err := storage.Remove(ctx, storage.Join(out, SummaryFile)); err != nil {
		return err
	}
	for _, table := range append(slices.Clone(rows.Tables), SummaryTable) {
		list, err := storage.List(ctx, storage.Join(out, table, "part-*.parquet"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, path := range list {
			if err := storage.Remove(ctx, path); err != nil {
				return err
			}
		}
		if storage.IsLocal(out) {
			_ = os.Remove(storage.Join(out, table)) // not where it holds something else
		}
	}
	return Clean(ctx, out)
}

// Clean removes the run's own files, with its key. Results stay.
func Clean(ctx context.Context, out string) error {
	dir := storage.Join(out, runDir)
	if storage.IsLocal(dir) {
		return os.RemoveAll(dir)
	}
	list, err := storage.List(ctx, storage.Join(dir, "**"))
	if err != nil {
		return err
	}
	for _, path := range list {
		if err := storage.Remove(ctx, path); err != nil {
			return err
		}
	}
	return nil
}

// Classes returns the verdicts that downloads have, each once.
func (s *Summary) Classes() (out []report.Verdict) {
	for i := range s.Summaries {
		if r := &s.Summaries[i]; r.Dimension == summary.Class && r.Class == "" && r.Downloads > 0 {
			out = append(out, report.Verdict{Class: r.Value, Died: r.DownloadsDied > 0})
		}
	}
	return out
}
