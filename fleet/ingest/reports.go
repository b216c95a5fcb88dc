package ingest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"goproxytrace/capture/pcapfile"
	"goproxytrace/fleet/rows"
	"goproxytrace/report"
	"goproxytrace/report/page"
)

// maxDocument bounds one report, in bytes: it is held in memory as a whole.
const maxDocument = 64 << 20

// reports reads the reports of a file: one document, several one after another,
// or one on each line (NDJSON). A line that is none does not hide those after it.
func (r *Reader) reports(ctx context.Context, path, kind string, in *file, _ int64, take Take, out *Outcome) {
	n, bad := 0, 0
	hand := func(raw []byte, at int64) (goOn bool) {
		d, err := report.ReadJSON(raw)
		if err != nil {
			if bad++; bad == 1 {
				out.Offset, out.Reason = &at, r.reason(err)
			}
			return true
		}
		if d.Capture.File == "" {
			d.Capture.File = path
		}
		if x := r.redactor(); x != nil {
			d = report.Redacted(d, x)
		}
		if err := take(n, in.known, d); err != nil {
			var own *takeError
			if !errors.As(err, &own) {
				*out = r.unreadable(*out, err)
			}
			return false
		}
		n++
		return true
	}
	fail := func(at int64, err error) {
		if bad++; bad == 1 {
			out.Offset, out.Reason = &at, r.reason(err)
		}
	}
	defer func() {
		switch {
		case bad > 0 && n > 0:
			out.Status = rows.StatusDamaged
			if bad > 1 {
				out.Reason += fmt.Sprintf(" (and %d more)", bad-1)
			}
		case bad > 0:
			out.Status = rows.StatusUnreadable
		case n == 0 && out.Status == rows.StatusOK:
			*out = r.unreadable(*out, errors.New("it holds no report"))
		}
	}()
	if kind == rows.KindPage {
		raw, err := page.Extract(in)
		if err != nil {
			fail(0, err)
			return
		}
		hand(raw, 0)
		return
	}
	d, err := pcapfile.Decompress(in)
	if err != nil {
		fail(0, err)
		return
	}
	defer d.Close()
	split(d, hand, fail)
}

// split takes a stream of JSON documents apart and stops where hand asks for it.
func split(in io.Reader, hand func(raw []byte, at int64) bool, fail func(at int64, err error)) {
	b := bufio.NewReaderSize(in, 256<<10)
	first, n, err := line(b)
	if err == nil && !json.Valid(first) {
		// A document on many lines, or a log whose first line is cut.
		seen := &bytes.Buffer{}
		if at, err := stream(io.MultiReader(bytes.NewReader(first), b), seen, hand); err != nil {
			fail(at, err)
			whole := func(raw []byte, at int64) bool { return !json.Valid(raw) || hand(raw, at) }
			if seen.Len() > 0 {
				lines(bufio.NewReaderSize(io.MultiReader(seen, b), 256<<10), 0, whole, fail)
			}
		}
		return
	}
	if !take(first, 0, err, hand, fail) {
		return
	}
	lines(b, n, hand, fail)
}

// lines hands out each line; at is where the first of them begins.
func lines(b *bufio.Reader, at int64, hand func(raw []byte, at int64) bool, fail func(at int64, err error)) {
	for {
		text, n, err := line(b)
		if !take(text, at, err, hand, fail) {
			return
		}
		at += n
	}
}

// take hands out one line and reports whether there may be more.
func take(text []byte, at int64, err error, hand func(raw []byte, at int64) bool, fail func(at int64, err error)) bool {
	if text = bytes.TrimSpace(text); len(text) > 0 && !hand(text, at) {
		return false
	}
	if err != nil && !errors.Is(err, io.EOF) {
		fail(at+int64(len(text)), err)
	}
	return err == nil || errors.Is(err, errDocument)
}

var errDocument = fmt.Errorf("a report of more than %d MiB", maxDocument>>20)

// line returns the next line with its end and how many bytes it has, and with
// io.EOF what follows the last. One that is too long is left out, with
// errDocument.
func line(b *bufio.Reader) (out []byte, n int64, err error) {
	long := false
	for {
		part, err := b.ReadSlice('\n')
		n += int64(len(part))
		if long = long || n > maxDocument; long {
			out = nil
		} else {
			out = append(out, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case long && (err == nil || errors.Is(err, io.EOF)):
			return nil, n, errDocument
		default:
			return out, n, err
		}
	}
}

// stream reads documents that stand one after another on any lines. Where it fails,
// it says where; seen then has what was read, unless a document was whole.
func stream(in io.Reader, seen *bytes.Buffer, hand func(raw []byte, at int64) bool) (at int64, err error) {
	limited := &documentReader{r: in, seen: seen}
	d := json.NewDecoder(limited)
	for {
		at := d.InputOffset()
		limited.used = 0
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			if errors.Is(err, io.EOF) {
				return 0, nil
			}
			if errors.Is(err, io.ErrUnexpectedEOF) {
				err = errors.New("the report is cut")
			}
			return at, err
		}
		if limited.seen != nil {
			limited.seen = nil
			*seen = bytes.Buffer{}
		}
		if !hand(raw, at) {
			return 0, nil
		}
	}
}

// documentReader fails where one document takes too much.
type documentReader struct {
	r    io.Reader
	used int
	seen *bytes.Buffer // takes what is read; nil for nothing
}

func (d *documentReader) Read(b []byte) (int, error) {
	if d.used > maxDocument {
		return 0, errDocument
	}
	n, err := d.r.Read(b)
	d.used += n
	if d.seen != nil {
		d.seen.Write(b[:n])
	}
	return n, err
}
