package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"goproxytrace/fleet/ingest"
	"goproxytrace/fleet/parts"
	"goproxytrace/fleet/rows"
	"goproxytrace/fleet/storage"
	"goproxytrace/fleet/summary"
	"goproxytrace/report"
)

// Candidate is a file of the input.
type Candidate struct {
	// Index is the file's place in the list.
	Index int
	Path  string
	Kind  string
	Size  int64
	Hash  string
	// Status is empty where the file is to be read; Reason says why it is not.
	Status string
	Reason string
	// Wanted are the documents of a file of reports that are new, Known counts
	// the others. A capture has neither.
	Wanted []int
	Known  int
}

// setAside marks a file that is not read any more.
func (c *Candidate) setAside() {
	c.Status, c.Reason = rows.StatusNotAnalysed, asideReason
}

// Result is what became of a shard.
type Result struct {
	Shard string `json:"shard"`
	// Parts are the parts that were written, by table.
	Parts map[string]Part `json:"parts"`
	// Indexes are the places of the shard's files in the list.
	Indexes []int `json:"indexes"`
	// Status counts files by what became of them; Problems are those that are
	// not ok.
	Status   map[string]int64 `json:"status"`
	Problems []Problem        `json:"problems,omitempty"`
	// Duplicates counts documents that were left out.
	Duplicates int64       `json:"duplicates,omitempty"`
	Sum        summary.Sum `json:"sum"`
	// Cases are what the shard's captures are about.
	Cases []string `json:"cases,omitempty"`
}

// Part is one part of a table.
type Part struct {
	Name string `json:"name"`
	Rows int64  `json:"rows"`
}

// Problem is a file that is not ok.
type Problem struct {
	Index    int    `json:"index"`
	File     string `json:"file"`
	FileHash string `json:"file_sha256,omitempty"`
	Status   string `json:"status"`
	Offset   *int64 `json:"offset,omitempty"`
	Reason   string `json:"reason"`
}

// shard reads the files of a shard and writes their rows, unless that was done.
func (p *Plan) shard(ctx context.Context, r *ingest.Reader, a *attempt, name string, list []Candidate) (*Result, error) {
	slices.SortFunc(list, func(a, b Candidate) int { return a.Index - b.Index })
	if done, err := p.done(ctx, name); done != nil || err != nil {
		return done, err
	}
	for i := range list {
		if c := &list[i]; c.Status == "" && a.aside(c.Index) {
			c.setAside()
		}
	}
	w := &work{
		ctx: ctx, reader: r, attempt: a, counts: summary.NewCollector(),
		result: &Result{Shard: name, Parts: make(map[string]Part), Status: make(map[string]int64)},
	}
	part := fmt.Sprintf("part-%s-%s.parquet", name, p.partDigest(list))
	w.parts = parts.New(ctx, func(table string) string { return p.partPath(table, part) })
	defer w.parts.Abort()
	for i := range list {
		if err := w.file(&list[i]); err != nil {
			return nil, fmt.Errorf("file %d: %w", list[i].Index, err)
		}
	}
	if err := a.reads(ctx, -1); err != nil {
		return nil, err
	}
	counts, err := w.parts.Commit()
	if err != nil {
		return nil, err
	}
	for table, n := range counts {
		w.result.Parts[table] = Part{part, n}
	}
	w.result.Sum = *w.counts.Sum()
	raw, err := json.Marshal(w.result)
	if err != nil {
		return nil, err
	}
	return w.result, storage.Write(ctx, p.donePath(name), raw)
}

// done returns the result of a shard that is done, nil where it is not.
func (p *Plan) done(ctx context.Context, name string) (*Result, error) {
	path := p.donePath(name)
	if there, err := storage.Exists(ctx, path); err != nil || !there {
		return nil, err
	}
	raw, err := storage.Read(ctx, path, maxList)
	if err != nil {
		return nil, err
	}
	out := new(Result)
	if err := json.Unmarshal(raw, out); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return out, nil
}

// partPath returns where a part is until all are there.
func (p *Plan) partPath(table, part string) string {
	return storage.Join(p.Out, runDir, table, part)
}

// partDigest stands for what is in a part: the files, and how they are read.
func (p *Plan) partDigest(list []Candidate) string {
	h := sha256.New()
	fmt.Fprintln(h, p.Digest)
	for i := range list {
		c := &list[i]
		fmt.Fprintf(h, "%d %q %s %s %v\n", c.Index, c.Path, c.Kind, c.Status, c.Wanted)
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}

// work is a shard under way. It is a rows.Sink.
type work struct {
	ctx     context.Context
	reader  *ingest.Reader
	attempt *attempt
	parts   *parts.Set
	counts  *summary.Collector
	result  *Result
	row     *rows.File // of the file under way
}

// beginsFile is called before a file is read; tests stop there.
var beginsFile = func(shard string, c *Candidate) {}

// file reads one file.
func (w *work) file(c *Candidate) error {
	beginsFile(w.result.Shard, c)
	source := w.reader.Source(c.Path)
	row := &rows.File{File: source.File, FileHash: c.Hash, Kind: c.Kind, Duplicates: int32(c.Known)}
	w.row = row
	if c.Size > 0 || c.Status == "" {
		row.Bytes = &c.Size
	}
	out := ingest.Outcome{Status: c.Status, Reason: c.Reason, Hash: c.Hash}
	if c.Status == "" {
		err := w.attempt.reads(w.ctx, c.Index)
		if err != nil {
			return err
		}
		take := func(n int, hash string, d *report.Document) error {
			if c.Kind != rows.KindCapture && !slices.Contains(c.Wanted, n) {
				return nil
			}
			s := source
			s.FileHash, s.Document = hash, int32(n)
			s.CaseID = rows.CaseID(d, hash, n)
			row.Documents++
			row.ConnectionsOmitted += int64(d.ConnectionsOmitted)
			if c.Kind == rows.KindCapture {
				w.result.Cases = append(w.result.Cases, s.CaseID)
			}
			w.counts.Begin(s)
			if err := rows.Write(d, s, w); err != nil {
				return err
			}
			w.counts.End()
			return nil
		}
		if out, err = w.reader.Read(w.ctx, c.Path, c.Kind, c.Hash, take); err != nil {
			return err
		}
		if out.Status == rows.StatusOK && row.Documents == 0 && c.Known > 0 {
			out.Status, out.Reason = rows.StatusDuplicate, "all its cases are counted from other files"
		}
	}
	row.Status, row.Offset, row.Reason, row.FileHash = out.Status, out.Offset, out.Reason, out.Hash
	w.result.Indexes = append(w.result.Indexes, c.Index)
	w.result.Status[out.Status]++
	w.result.Duplicates += int64(c.Known)
	if out.Status != rows.StatusOK {
		w.result.Problems = append(w.result.Problems, Problem{
			Index: c.Index, File: row.File, FileHash: row.FileHash, Status: row.Status, Offset: row.Offset, Reason: row.Reason,
		})
	}
	return w.parts.File(row)
}

func (w *work) Connection(r *rows.Connection) error {
	w.row.Connections++
	return errors.Join(w.parts.Connection(r), w.counts.Connection(r))
}

func (w *work) Lookup(r *rows.Lookup) error {
	return errors.Join(w.parts.Lookup(r), w.counts.Lookup(r))
}

func (w *work) Verdict(r *rows.Verdict) error {
	return errors.Join(w.parts.Verdict(r), w.counts.Verdict(r))
}

func (w *work) Evidence(r *rows.Evidence) error { return w.parts.Evidence(r) }

func (w *work) Event(r *rows.Event) error { return w.parts.Event(r) }
