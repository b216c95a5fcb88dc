package pipeline

import (
	"context"
	"fmt"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"

	"goproxytrace/fleet/ingest"
	"goproxytrace/fleet/rows"
)

// Note is something that a file of reports holds: a case, or that a capture of the
// run is about it.
type Note struct {
	// Index is the place of the file in the list, Document the report's number
	// in it; -1 for a capture.
	Index, Document int
	// New is true where the report is to be counted.
	New bool
	// Aside is true where the file was set aside, and nothing is known of it.
	Aside bool
}

func init() {
	register.DoFn3x1[context.Context, int, func(string, Candidate), error](&sniffFn{})
	register.DoFn5x1[context.Context, string, func(*Candidate) bool, func(int, Candidate), func(int, Candidate), error](&distinctFn{})
	register.DoFn3x0[int, Candidate, func(int, Candidate)](&laneFn{})
	register.DoFn5x1[context.Context, int, func(*Candidate) bool, func(string), func(string, Note), error](&captureFn{})
	register.DoFn4x1[context.Context, int, Candidate, func(string, Note), error](&casesFn{})
	register.DoFn4x0[string, func(*Note) bool, func(*Note) bool, func(int, Note)](&newFn{})
	register.DoFn4x0[int, func(*Candidate) bool, func(*Note) bool, func(int, Candidate)](&assignFn{})
	register.DoFn4x1[context.Context, int, func(*Candidate) bool, func(string), error](&reportFn{})
	register.DoFn3x1[context.Context, int, func(*string) bool, error](&publishFn{})
	register.Emitter2[string, Candidate]()
	register.Emitter2[int, Candidate]()
	register.Emitter2[string, Note]()
	register.Emitter2[int, Note]()
	register.Emitter1[string]()
	register.Iter1[Candidate]()
	register.Iter1[Note]()
	register.Iter1[string]()
}

// Build makes the pipeline of a run.
func Build(p *Plan, l Lanes) *beam.Pipeline {
	pipeline, s := beam.NewPipelineWithRoot()
	// A branch is a part of the pipeline of its own, since a runner may work on
	// the elements of one stage one after another (Prism does, for a while), and
	// knows one worker for each part (see worker pools).
	lane := func(stage string, n int) beam.Scope { return s.Scope(laneScope(stage, n)) }
	in := inWork{Plan: *p, AtOnce: l.AtOnce}

	var sniffed []beam.PCollection
	for n := range l.Branches {
		var chunks []int
		for c := n; c < p.Chunks; c += l.Branches {
			chunks = append(chunks, c)
		}
		if len(chunks) > 0 {
			s := lane("sniff", n)
			sniffed = append(sniffed, beam.ParDo(s, &sniffFn{in}, beam.Reshuffle(s, beam.CreateList(s, chunks))))
		}
	}
	captures, reports := beam.ParDo2(s.Scope("distinct"), &distinctFn{in}, beam.GroupByKey(s, flatten(s, sniffed)))

	var done, cases []beam.PCollection
	for n := range l.Branches {
		s := lane("captures", n)
		mine := beam.GroupByKey(s, beam.ParDo(s, &laneFn{n, l.Branches}, captures))
		shards, notes := beam.ParDo2(s, &captureFn{in}, mine)
		done, cases = append(done, shards), append(cases, notes)
	}
	var told []beam.PCollection
	for n := range l.Branches {
		s := lane("cases", n)
		mine := beam.ParDo(s, &laneFn{n, l.Branches}, reports)
		told = append(told, beam.ParDo(s, &casesFn{in}, beam.Reshuffle(s, mine)))
	}
	fresh := beam.ParDo(s.Scope("new"), &newFn{}, beam.CoGroupByKey(s, flatten(s, cases), flatten(s, told)))
	assigned := beam.ParDo(s.Scope("assign"), &assignFn{in}, beam.CoGroupByKey(s, reports, fresh))
	for n := range l.Branches {
		s := lane("reports", n)
		mine := beam.GroupByKey(s, beam.ParDo(s, &laneFn{n, l.Branches}, assigned))
		done = append(done, beam.ParDo(s, &reportFn{in}, mine))
	}
	s = s.Scope("publish")
	beam.ParDo0(s, &publishFn{in}, beam.GroupByKey(s, beam.AddFixedKey(s, flatten(s, done))))
	return pipeline
}

func laneScope(stage string, n int) string { return fmt.Sprintf("%s-lane-%d", stage, n) }

func flatten(s beam.Scope, list []beam.PCollection) beam.PCollection {
	if len(list) == 1 {
		return list[0]
	}
	return beam.Flatten(s, list...)
}

// inWork is what the DoFns that read files have in common.
type inWork struct {
	Plan   Plan
	AtOnce int
}

// reader returns the reader of files. Each process has one for each run.
func (w *inWork) reader(ctx context.Context) (*ingest.Reader, error) {
	key, err := w.Plan.key(ctx)
	if err != nil {
		return nil, err
	}
	return ingest.New(w.Plan.Ingest, key)
}

// sniffFn finds out what the files of a chunk are.
type sniffFn struct{ Work inWork }

func (f *sniffFn) ProcessElement(ctx context.Context, chunk int, emit func(string, Candidate)) error {
	r, err := f.Work.reader(ctx)
	if err != nil {
		return err
	}
	list, err := f.Work.Plan.chunk(ctx, chunk)
	if err != nil {
		return err
	}
	a, err := f.Work.Plan.begin(ctx, fmt.Sprintf("s%06d", chunk), f.Work.AtOnce)
	if err != nil {
		return err
	}
	read := false
	defer func() { a.end(ctx, read) }()
	for i, path := range list {
		c := Candidate{Index: chunk*chunkFiles + i, Path: path}
		if a.aside(c.Index) {
			c.setAside()
			emit(fmt.Sprintf("unreadable %d", c.Index), c)
			continue
		}
		if err := a.reads(ctx, c.Index); err != nil {
			return err
		}
		h, out, ok := r.Sniff(ctx, path)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !ok {
			c.Status, c.Reason, c.Size = out.Status, out.Reason, out.Bytes
			emit(fmt.Sprintf("unreadable %d", c.Index), c)
			continue
		}
		c.Kind, c.Size, c.Hash = h.Kind, h.Size, h.Hash
		emit(fmt.Sprintf("%x", h.Sum), c)
	}
	read = true
	return nil
}

// distinctFn keeps one of the files that have the same bytes, of those that begin
// in the same way and have the same size.
type distinctFn struct{ Work inWork }

func (f *distinctFn) ProcessElement(ctx context.Context, _ string, list func(*Candidate) bool, captures, reports func(int, Candidate)) error {
	var all []Candidate
	var c Candidate
	for list(&c) {
		all = append(all, c)
	}
	r, err := f.Work.reader(ctx)
	if err != nil {
		return err
	}
	return distinct(ctx, r, all, func(c Candidate) {
		if c.Kind == rows.KindCapture || c.Status != "" {
			captures(c.Index%f.Work.Plan.Shards, c)
		} else {
			reports(c.Index, c)
		}
	})
}

// laneFn passes on the elements of one branch.
type laneFn struct{ Lane, Lanes int }

func (f *laneFn) ProcessElement(key int, c Candidate, emit func(int, Candidate)) {
	if key%f.Lanes == f.Lane {
		emit(key, c)
	}
}

// captureFn reads a shard of captures.
type captureFn struct{ Work inWork }

func (f *captureFn) ProcessElement(ctx context.Context, shard int, list func(*Candidate) bool, done func(string), cases func(string, Note)) error {
	r, err := f.Work.shard(ctx, fmt.Sprintf("c%06d", shard), list)
	if err != nil {
		return err
	}
	for _, id := range r.Cases {
		cases(id, Note{Index: -1, Document: -1})
	}
	done(r.Shard)
	return nil
}

// shard reads a shard, unless that was done, when there is a place for it.
func (w *inWork) shard(ctx context.Context, name string, list func(*Candidate) bool) (*Result, error) {
	var all []Candidate
	var c Candidate
	for list(&c) {
		all = append(all, c)
	}
	r, err := w.reader(ctx)
	if err != nil {
		return nil, err
	}
	a, err := w.Plan.begin(ctx, name, w.AtOnce)
	if err != nil {
		return nil, err
	}
	result, err := w.Plan.shard(ctx, r, a, name, all)
	a.end(ctx, err == nil)
	return result, err
}

// casesFn finds out what the reports of a file are about.
type casesFn struct{ Work inWork }

func (f *casesFn) ProcessElement(ctx context.Context, index int, c Candidate, emit func(string, Note)) error {
	o := f.Work.Plan.Ingest
	o.Whole = true // nothing of it is kept
	r, err := ingest.New(o, nil)
	if err != nil {
		return err
	}
	a, err := f.Work.Plan.begin(ctx, fmt.Sprintf("n%06d", index), f.Work.AtOnce)
	if err != nil {
		return err
	}
	read := false
	defer func() { a.end(ctx, read) }()
	if a.aside(index) {
		read = true
		emit(fmt.Sprintf("set aside %d", index), Note{Index: index, Document: -1, Aside: true})
		return nil
	}
	if err := a.reads(ctx, index); err != nil {
		return err
	}
	err = caseIDs(ctx, r, &c, func(id string, document int) { emit(id, Note{Index: index, Document: document}) })
	read = err == nil
	return err
}

// newFn decides which report on a case is counted: none where there is a capture,
// else the first in the order of the list.
type newFn struct{}

func (f *newFn) ProcessElement(_ string, captures, reports func(*Note) bool, emit func(int, Note)) {
	var n Note
	have := captures(&n)
	first := Note{Index: -1}
	var all []Note
	for reports(&n) {
		all = append(all, n)
		if first.Index < 0 || n.Index < first.Index || n.Index == first.Index && n.Document < first.Document {
			first = n
		}
	}
	for _, n := range all {
		n.New = !have && n == first
		emit(n.Index, n)
	}
}

// assignFn deals the files of reports to shards.
type assignFn struct{ Work inWork }

func (f *assignFn) ProcessElement(index int, files func(*Candidate) bool, notes func(*Note) bool, emit func(int, Candidate)) {
	var c Candidate
	if !files(&c) {
		return
	}
	c.Wanted, c.Known = nil, 0
	var n Note
	for notes(&n) {
		if n.Aside {
			c.setAside()
		} else if n.New {
			c.Wanted = append(c.Wanted, n.Document)
		} else {
			c.Known++
		}
	}
	emit(index%f.Work.Plan.Shards, c)
}

// reportFn reads a shard of files of reports.
type reportFn struct{ Work inWork }

func (f *reportFn) ProcessElement(ctx context.Context, shard int, list func(*Candidate) bool, done func(string)) error {
	r, err := f.Work.shard(ctx, fmt.Sprintf("r%06d", shard), list)
	if err != nil {
		return err
	}
	done(r.Shard)
	return nil
}

// publishFn ends the run.
type publishFn struct{ Work inWork }

func (f *publishFn) ProcessElement(ctx context.Context, _ int, shards func(*string) bool) error {
	var names []string
	var name string
	for shards(&name) {
		names = append(names, name)
	}
	return f.Work.Plan.publish(ctx, names)
}
