// Package parts writes rows as Parquet.
//
// In go rows, in the order in which they are to stand; out come files of one
// part of a table each. The same rows give the same bytes, whoever writes them
// and when. Memory is bounded: a row group is written out when it is full.
package parts

import (
	"context"
	"errors"

	"github.com/parquet-go/parquet-go"

	"goproxytrace/fleet/rows"
	"goproxytrace/fleet/storage"
)

const (
	// groupRows bounds the rows of a row group, which is held in memory until
	// it is full.
	groupRows = 20_000
	// atOnce is how many rows are handed to the encoder together.
	atOnce = 64
	// pageBytes and writeBytes are the encoder's buffers, for each column and
	// for each file. Most parts are small.
	pageBytes  = 16 << 10
	writeBytes = 64 << 10
)

// Set is one part of each table. It is a rows.Sink.
type Set struct {
	connections table[rows.Connection]
	lookups     table[rows.Lookup]
	verdicts    table[rows.Verdict]
	evidence    table[rows.Evidence]
	events      table[rows.Event]
	files       table[rows.File]
}

// New begins the parts; path returns where that of a table is to be. Files of
// tables without rows are not made.
func New(ctx context.Context, path func(table string) string) *Set {
	s := new(Set)
	s.connections.begin(ctx, path(rows.Connections))
	s.lookups.begin(ctx, path(rows.Lookups))
	s.verdicts.begin(ctx, path(rows.Verdicts))
	s.evidence.begin(ctx, path(rows.Evidences))
	s.events.begin(ctx, path(rows.Events))
	s.files.begin(ctx, path(rows.Files))
	return s
}

// Connection, Lookup, Verdict, Evidence and Event are rows.Sink.
func (s *Set) Connection(r *rows.Connection) error { return s.connections.add(r) }
func (s *Set) Lookup(r *rows.Lookup) error         { return s.lookups.add(r) }
func (s *Set) Verdict(r *rows.Verdict) error       { return s.verdicts.add(r) }
func (s *Set) Evidence(r *rows.Evidence) error     { return s.evidence.add(r) }
func (s *Set) Event(r *rows.Event) error           { return s.events.add(r) }

// File adds a row of the table files.
func (s *Set) File(r *rows.File) error { return s.files.add(r) }

// part is a table whatever its rows are.
type part interface {
	commit() (int64, error)
	abort()
}

func (s *Set) parts() map[string]part {
	return map[string]part{
		rows.Connections: &s.connections, rows.Lookups: &s.lookups, rows.Verdicts: &s.verdicts,
		rows.Evidences: &s.evidence, rows.Events: &s.events, rows.Files: &s.files,
	}
}

// Commit completes the parts and returns how many rows each has, by table; those
// without rows are left out.
func (s *Set) Commit() (map[string]int64, error) {
	counts := make(map[string]int64)
	all := s.parts()
	for _, name := range rows.Tables {
		n, err := all[name].commit()
		if err != nil {
			s.Abort()
			return nil, err
		}
		if n > 0 {
			counts[name] = n
		}
	}
	return counts, nil
}

// Abort gives up what was not committed.
func (s *Set) Abort() {
	for _, p := range s.parts() {
		p.abort()
	}
}

// Empty writes a part without rows of a table, which tells readers its columns.
func Empty(ctx context.Context, table, path string) error {
	s := New(ctx, func(string) string { return path })
	p := s.parts()[table]
	if o, ok := p.(interface{ open() error }); ok {
		if err := o.open(); err != nil {
			return err
		}
	}
	_, err := p.commit()
	return err
}

// table writes one part of a table.
type table[T any] struct {
	ctx  context.Context
	path string
	out  *storage.Writer // nil until there is a row
	w    *parquet.GenericWriter[T]
	wait []T
	rows int64
	err  error
}

func (t *table[T]) begin(ctx context.Context, path string) { t.ctx, t.path = ctx, path }

func (t *table[T]) add(r *T) error {
	if t.out == nil && t.err == nil {
		t.err = t.open()
	}
	if t.err != nil {
		return t.err
	}
	t.rows++
	if t.wait = append(t.wait, *r); len(t.wait) == atOnce {
		t.flush()
	}
	return t.err
}

func (t *table[T]) open() error {
	var err error
	if t.out, err = storage.Create(t.ctx, t.path); err != nil {
		return err
	}
	t.w = parquet.NewGenericWriter[T](t.out, Options...)
	t.wait = make([]T, 0, atOnce)
	return nil
}

// Options do not depend on the machine: the same rows are the same bytes.
var Options = []parquet.WriterOption{
	parquet.Compression(&parquet.Zstd),
	parquet.MaxRowsPerRowGroup(groupRows),
	parquet.PageBufferSize(pageBytes),
	parquet.WriteBufferSize(writeBytes),
	parquet.CreatedBy("goproxytrace-fleet", "1", "0"),
}

func (t *table[T]) flush() {
	if _, err := t.w.Write(t.wait); err != nil {
		t.err = err
	}
	clear(t.wait) // rows point to texts
	t.wait = t.wait[:0]
}

func (t *table[T]) commit() (int64, error) {
	if t.out == nil || t.err != nil {
		return 0, t.err
	}
	if len(t.wait) > 0 {
		t.flush()
	}
	if err := errors.Join(t.err, t.w.Close()); err != nil {
		return 0, err
	}
	out := t.out
	t.out = nil
	return t.rows, out.Commit()
}

func (t *table[T]) abort() {
	if t.out != nil {
		t.out.Abort()
		t.out = nil
	}
}
