// Package ingest makes reports of files, whatever is in them.
//
// In goes the path of a capture, of a file of reports (JSON, NDJSON) or of a page
// with a report in it; out come report.Documents, redacted unless that is turned
// off, and an Outcome: what became of the file. A file that cannot be read is an
// Outcome and no error: a fleet has many files, and one that is broken, hostile
// or too large says nothing about the others.
package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"goproxytrace/analyze/goproxy"
	"goproxytrace/fleet/rows"
	"goproxytrace/fleet/storage"
	"goproxytrace/redact"
	"goproxytrace/report"
)

// Options say how files are read. They are the same on all machines that work on
// one run, and travel there as JSON: no secret is among them.
type Options struct {
	// Version is this program's.
	Version string
	// Settings are what go commands were told to talk to, where a capture does
	// not say; SettingsFrom says how that is known.
	Settings     goproxy.Settings
	SettingsFrom goproxy.Source
	// Whole turns redaction off. Reveal lists kinds that are not replaced
	// (redact.KindNames).
	Whole  bool
	Reveal []string
	// Hosts and Users are names that are replaced wherever they stand: those
	// of the machine where the run was started.
	Hosts, Users []string
	// MaxTime and MaxBytes bound what is spent on one file: time, and bytes of
	// packets; zero for no bound. What was read until then is reported.
	MaxTime  time.Duration
	MaxBytes int64
	// MachineFrom is a regular expression whose first group, in a path, is the
	// name of the machine that captured; empty for none.
	MachineFrom string
}

// Reader reads files.
type Reader struct {
	o       Options
	key     []byte
	reveal  []redact.Kind
	machine *regexp.Regexp // nil for none
}

// New returns a Reader. key makes the pseudonyms; it may be empty where
// Options.Whole is set.
func New(o Options, key []byte) (*Reader, error) {
	r := &Reader{o: o, key: key}
	if !o.Whole && len(key) == 0 {
		return nil, errors.New("pseudonyms need a key")
	}
	for _, name := range o.Reveal {
		k, err := redact.ParseKind(name)
		if err != nil {
			return nil, err
		}
		r.reveal = append(r.reveal, k)
	}
	if o.MachineFrom != "" {
		var err error
		if r.machine, err = regexp.Compile(o.MachineFrom); err != nil {
			return nil, err
		}
		if r.machine.NumSubexp() < 1 {
			return nil, fmt.Errorf("%q has no group that is the machine's name", o.MachineFrom)
		}
	}
	return r, nil
}

// redactor returns a new Redactor, nil for none. Each file has its own: with the
// key, pseudonyms are the same all the same, and memory does not grow.
func (r *Reader) redactor() *redact.Redactor {
	if r.o.Whole {
		return nil
	}
	x := redact.New(redact.Options{Public: goproxy.PublicEnd, Reveal: r.reveal, Key: r.key})
	for _, h := range r.o.Hosts {
		x.LearnHost(h)
	}
	for _, u := range r.o.Users {
		x.LearnUser(u)
	}
	return x
}

// Source returns what is known of a file's rows before it is read.
func (r *Reader) Source(path string) rows.Source {
	x := r.redactor()
	s := rows.Source{File: path}
	if r.machine != nil {
		if m := r.machine.FindStringSubmatch(path); m != nil {
			s.Machine = m[1]
		}
	}
	if x != nil {
		s.File = x.Path(path)
		if s.Machine != "" {
			s.Machine = x.Host(s.Machine)
		}
	}
	// Parquet's strings are UTF-8; names of files are any bytes.
	s.File, s.Machine = strings.ToValidUTF8(s.File, "\uFFFD"), strings.ToValidUTF8(s.Machine, "\uFFFD")
	return s
}

// Take is called with each document of a file, by its number from 0, and with the
// file's hash, empty where that is not known. The document is valid during the
// call. An error ends the reading and is Read's.
type Take func(n int, hash string, d *report.Document) error

// Outcome says what became of a file: it is a row of the table files but for the
// path and what was counted.
type Outcome struct {
	Status string
	// Offset is where the damage begins, nil where that has no place.
	Offset *int64
	Reason string
	// Hash is the SHA-256 of the file's bytes; empty where it was not read to
	// its end.
	Hash  string
	Bytes int64
}

// Read reads a file of a kind that Sniff has found out, and whose hash is known
// already or empty. The error is not about the file: it is take's, or ctx's.
func (r *Reader) Read(ctx context.Context, path, kind, sum string, take Take) (Outcome, error) {
	out := Outcome{Status: rows.StatusOK, Hash: sum}
	in, size, err := storage.Open(ctx, path)
	if err != nil {
		return r.unreadable(out, err), ctx.Err()
	}
	defer in.Close()
	out.Bytes = size
	limited, cancel := ctx, func() {}
	if r.o.MaxTime > 0 {
		limited, cancel = context.WithTimeout(ctx, r.o.MaxTime)
	}
	defer cancel()
	raw := &file{ctx: limited, r: in, sum: sha256.New(), known: sum}
	failed := &takeError{}
	guarded := func(n int, hash string, d *report.Document) error {
		if err := take(n, hash, d); err != nil {
			failed.err = err
			return failed
		}
		return nil
	}
	read := r.reports
	if kind == rows.KindCapture {
		read = r.capture
	}
	r.careful(limited, read, path, kind, raw, size, guarded, &out)
	switch {
	case failed.err != nil:
		return out, failed.err
	case ctx.Err() != nil:
		return out, ctx.Err()
	case limited.Err() != nil:
		out.Status, out.Reason = rows.StatusDamaged, fmt.Sprintf("not read to its end within %v", r.o.MaxTime)
		return out, nil
	}
	out.Hash = raw.hash()
	return out, ctx.Err()
}

type readFunc func(ctx context.Context, path, kind string, in *file, size int64, take Take, out *Outcome)

// careful keeps a fault in the reading of one file from ending the run.
func (r *Reader) careful(ctx context.Context, read readFunc, path, kind string, in *file, size int64, take Take, out *Outcome) {
	defer func() {
		if p := recover(); p != nil {
			*out = r.unreadable(*out, fmt.Errorf("a fault of this program: %v", p))
		}
	}()
	read(ctx, path, kind, in, size, take, out)
}

// takeError marks errors of the taker.
type takeError struct{ err error }

func (e *takeError) Error() string { return e.err.Error() }

func (r *Reader) unreadable(out Outcome, err error) Outcome {
	out.Status, out.Reason = rows.StatusUnreadable, r.reason(err)
	return out
}

// maxReason bounds a reason, in bytes: errors quote what they are about, and that
// may be a name of many megabytes.
const maxReason = 500

// reason says an error without the path that it is about.
func (r *Reader) reason(err error) string {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	} else if inner := errors.Unwrap(err); errors.Is(err, storage.ErrNotFile) && inner != nil {
		err = storage.ErrNotFile
	}
	text := bounded(err.Error(), 64<<10)
	if x := r.redactor(); x != nil {
		text = x.Text(text)
	}
	return bounded(strings.ToValidUTF8(text, "\uFFFD"), maxReason)
}

// bounded cuts a text after most bytes.
func bounded(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most] + "…"
}

// file is the file as it is stored. It stops where ctx ends.
type file struct {
	ctx   context.Context
	r     io.Reader
	sum   hash.Hash
	known string // the hash, where it is known already
}

func (f *file) Read(b []byte) (int, error) {
	if err := f.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := f.r.Read(b)
	if f.known == "" {
		f.sum.Write(b[:n])
	}
	return n, err
}

// hash reads what is left of the file and returns the SHA-256 of all of it, empty
// where it cannot be read.
func (f *file) hash() string {
	if f.known == "" {
		if _, err := io.Copy(io.Discard, f); err == nil {
			f.known = hex.EncodeToString(f.sum.Sum(nil))
		}
	}
	return f.known
}
