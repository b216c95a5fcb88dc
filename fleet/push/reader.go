package push

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"goproxytrace/analyze"
	"goproxytrace/analyze/goproxy"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/fleet/rows"
	"goproxytrace/recorder"
	"goproxytrace/redact"
	"goproxytrace/report"
	"goproxytrace/report/page"
)

// Reader makes cases of files.
type Reader struct {
	// Version is this program's.
	Version string
	// Host is the name of the machine that captured, where a file does not say
	// it; empty where unknown. It is redacted as other names are.
	Host string
	// Redact makes the Redactor of one case, nil for none. With a key,
	// pseudonyms are the same in all of them.
	Redact func() *redact.Redactor
	// Settings are what go commands were told to talk to, where a capture does
	// not say it; SettingsFrom says how that is known.
	Settings     goproxy.Settings
	SettingsFrom goproxy.Source
}

// Take is called with each case, which is valid during the call. An error ends
// the reading.
type Take func(*Case) error

// maxDocument bounds one report, in bytes: it is held in memory as a whole.
const maxDocument = 64 << 20

// notCase is an error about a file or a part of it.
type notCase struct{ error }

func (e notCase) Unwrap() error { return e.error }

// IsUnreadable reports whether an error is about what was to be read, and not
// about taking it.
func IsUnreadable(err error) bool {
	var e notCase
	return errors.As(err, &e)
}

// File reads a file of any kind: a capture, reports in JSON (one, or one on each
// line), a page with a report in it. What is damaged is taken as far as it goes,
// and then an error (IsUnreadable).
func (r *Reader) File(ctx context.Context, path string, in io.Reader, take Take) error {
	plain, err := pcapfile.Decompress(in)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return notCase{fmt.Errorf("%s: %w", path, err)}
	}
	defer plain.Close()
	head := bufio.NewReaderSize(plain, 64<<10)
	begin, err := head.Peek(512)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil && !errors.Is(err, io.EOF):
		return notCase{fmt.Errorf("%s: %w", path, err)}
	case page.IsPage(begin):
		raw, err := page.Extract(head)
		if err != nil {
			return notCase{fmt.Errorf("%s: %w", path, err)}
		}
		return r.line(path, raw, 0, take)
	case bytes.HasPrefix(bytes.TrimLeft(begin, " \t\r\n"), []byte("{")):
		return r.reports(ctx, path, head, take)
	}
	return r.capture(ctx, path, head, take)
}

// capture analyses a capture as goproxytrace analyze does.
func (r *Reader) capture(ctx context.Context, path string, in io.Reader, take Take) error {
	sum := sha256.New()
	in = io.TeeReader(in, sum)
	src, err := pcapfile.NewReader(in, 1)
	if err != nil {
		return notCase{fmt.Errorf("%s: %w", path, err)}
	}
	defer src.Close()
	result, err := analyze.Run(ctx, src, analyze.Options{
		Settings: r.Settings, SettingsFrom: r.SettingsFrom, Targets: r.Settings.Hosts(),
	})
	if result != nil {
		defer result.Close()
	}
	switch {
	case ctx.Err() != nil:
		// A part of the case would be recorded as all of it.
		return ctx.Err()
	case err != nil:
		return notCase{fmt.Errorf("%s: %w", path, err)}
	}
	_, _ = io.Copy(io.Discard, in) // to the end, for the sum
	var x *redact.Redactor
	if r.Redact != nil {
		x = r.Redact()
	}
	d := report.Build(result, report.Options{File: path, Version: r.Version, Redact: x})
	if err := take(r.named(path, d, hex.EncodeToString(sum.Sum(nil)), 0, x, nil)); err != nil {
		return err
	}
	if result.Damage != nil {
		return notCase{fmt.Errorf("%s: %w", path, result.Damage)}
	}
	return nil
}

func (r *Reader) named(name string, d *report.Document, hash string, number int, x *redact.Redactor, l *recorder.Line) *Case {
	c := &Case{Name: name}
	c.Document, c.Host = d, r.Host
	if l != nil {
		if l.Host != "" {
			c.Host = l.Host
		}
		c.Recorder, c.Completes, c.Provisional = l.CaseID, l.Completes, provisional(l)
	}
	if x != nil && c.Host != "" {
		c.Host = x.Host(c.Host)
	}
	c.ID = rows.CaseID(d, hash, number)
	return c
}

// reports reads a file of reports.
func (r *Reader) reports(ctx context.Context, path string, in io.Reader, take Take) error {
	lines := &lineReader{r: bufio.NewReaderSize(in, 256<<10)}
	var bad error
	number := 0
	for {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		raw, _, err := lines.next()
		if len(bytes.TrimSpace(raw)) > 0 {
			number++
			if number == 1 && !json.Valid(raw) && err == nil {
				// Perhaps one document on many lines.
				rest, more := io.ReadAll(io.LimitReader(lines.r, maxDocument-int64(len(raw))+1))
				whole := append(bytes.Clone(raw), rest...)
				if more == nil && len(whole) <= maxDocument && json.Valid(whole) {
					return r.line(path, whole, 0, take)
				}
				lines.r = bufio.NewReaderSize(io.MultiReader(bytes.NewReader(rest), lines.r), 256<<10)
			}
			name := fmt.Sprintf("%s, line %d", path, number)
			if took := r.line(name, raw, number-1, take); IsUnreadable(took) {
				bad = errors.Join(bad, took)
			} else if took != nil {
				return took
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return bad
		case errors.Is(err, errLong):
			number++
			bad = errors.Join(bad, notCase{fmt.Errorf("%s, line %d: %w", path, number, err)})
		case err != nil:
			return errors.Join(bad, notCase{fmt.Errorf("%s, line %d: %w", path, number+1, err)})
		}
	}
}

// line takes one report.
func (r *Reader) line(name string, raw []byte, number int, take Take) error {
	l, err := recorderLine(raw)
	if err != nil {
		return notCase{fmt.Errorf("%s: %w", name, err)}
	}
	d, err := report.ReadJSON(raw)
	if err != nil {
		return notCase{fmt.Errorf("%s: %w", name, err)}
	}
	var x *redact.Redactor
	if r.Redact != nil {
		x = r.Redact()
		d = report.Redacted(d, x)
	}
	sum := sha256.Sum256(bytes.TrimSpace(raw))
	return take(r.named(name, d, hex.EncodeToString(sum[:]), number, x, l))
}

// provisional reports whether a recorder's case is of a build that still ran: a
// later one tells the same, and more.
func provisional(l *recorder.Line) bool {
	return l.Trigger == recorder.Stalled || l.Trigger == recorder.Quiet
}

// recorderLine reads the recorder's member of a line, nil where there is none.
func recorderLine(raw []byte) (*recorder.Line, error) {
	var in struct {
		Recorder *recorder.Line `json:"recorder"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, err
	}
	return in.Recorder, nil
}

// lineReader reads lines. One that is too long is left out.
type lineReader struct {
	r *bufio.Reader
	// at is how many bytes were read, to the end of the last line that was
	// returned.
	at int64
}

var errLong = fmt.Errorf("it has more than %d MiB", maxDocument>>20)

// next returns the next line with its end. whole is false for what follows the
// last end, which comes with io.EOF.
func (l *lineReader) next() (out []byte, whole bool, err error) {
	long := false
	var n int64
	for {
		part, err := l.r.ReadSlice('\n')
		n += int64(len(part))
		if !long {
			out = append(out, part...)
		}
		if len(out) > maxDocument {
			out, long = nil, true
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err == nil && long:
			l.at += n
			return nil, true, errLong
		case err == nil:
			l.at += n
			return out, true, nil
		}
		return out, false, err
	}
}

// Waiting reads what open opens, a pipe or terminal that may keep who reads it
// waiting for ever: where ctx ends, so does the reading.
func Waiting(ctx context.Context, open func() (io.Reader, error)) io.Reader {
	r, w := io.Pipe()
	context.AfterFunc(ctx, func() { w.CloseWithError(ctx.Err()) })
	go func() {
		in, err := open()
		if err == nil {
			_, err = io.Copy(w, in)
		}
		w.CloseWithError(err)
	}()
	return r
}
