package compare

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"goproxytrace/analyze"
	"goproxytrace/report"
)

// FromDocument makes a run of an analysed capture.
func FromDocument(d *report.Document) (*Run, error) {
	c := &d.Capture
	r := &Run{File: c.File, Packets: c.Packets, Bytes: c.Bytes, Class: d.Verdict.Class, Dropped: c.Dropped, Damaged: c.Damage != nil || c.Interrupted}
	r.Redacted, r.Tool = d.Pseudonyms, clip(d.Version)
	if c.Start != nil {
		r.Start = *c.Start
	}
	if c.End != nil {
		r.End = *c.End
	}
	for _, h := range c.Health {
		r.Health = add(r.Health, h.ID)
	}
	for i := range d.Lookups {
		r.lookup(d.Lookups[i].Name, d.Lookups[i].MS)
	}
	for row, err := range d.Rows() {
		if err != nil {
			return nil, err
		}
		c, err := row.Connection()
		if err != nil {
			return nil, err
		}
		r.connection(c.Connection, c.Verdict.Class)
	}
	return r, nil
}

// ErrNotReport says that JSON is something else than reports of this program.
var ErrNotReport = errors.New("not a report of goproxytrace (analyze --json)")

// ReadReports reads reports as analyze --json writes them: one document, or
// several one after another. Each is a run. Of each connection some numbers are
// kept, 50 bytes or so.
func ReadReports(in io.Reader, file string) ([]*Run, error) {
	b := &bounded{r: in}
	d := &decoder{json.NewDecoder(b), b}
	var runs []*Run
	for {
		r, err := readReport(d)
		if errors.Is(err, io.EOF) && len(runs) > 0 {
			return runs, nil
		}
		if errors.Is(err, io.EOF) {
			return nil, ErrNotReport
		}
		if err != nil {
			return nil, fmt.Errorf("at byte %d: %w", d.InputOffset(), err)
		}
		if r.File == "" {
			r.File = file
		}
		runs = append(runs, r)
	}
}

// maxValue bounds what one value of a report takes, in bytes: a small compressed
// file may hold gigabytes.
const maxValue = 16 << 20

var errValue = fmt.Errorf("a value of more than %d MiB", maxValue>>20)

// bounded is a reader that fails where one value takes too much.
type bounded struct {
	r    io.Reader
	used int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.used > maxValue {
		return 0, errValue
	}
	n, err := b.r.Read(p)
	b.used += n
	return n, err
}

// decoder reads JSON value by value, none of which may be too large.
type decoder struct {
	*json.Decoder
	b *bounded
}

func (d *decoder) Token() (json.Token, error) {
	d.b.used = 0
	return d.Decoder.Token()
}

func (d *decoder) Decode(v any) error {
	d.b.used = 0
	return d.Decoder.Decode(v)
}

// jsonConnection is a connection of a report: its verdict is in words.
type jsonConnection struct {
	analyze.Connection
	Verdict jsonVerdict `json:"verdict"`
}

type jsonVerdict struct {
	Class string `json:"class"`
}

// jsonCapture is what a comparison takes of a report's capture.
type jsonCapture struct {
	File        string          `json:"file"`
	Packets     int64           `json:"packets"`
	Bytes       int64           `json:"bytes"`
	Start       *time.Time      `json:"start"`
	End         *time.Time      `json:"end"`
	Dropped     *uint64         `json:"dropped"`
	Damage      json.RawMessage `json:"damage"`
	Interrupted bool            `json:"interrupted"`
	Health      []struct {
		ID string `json:"id"`
	} `json:"health"`
}

// readReport reads one document; io.EOF says that there is none.
func readReport(d *decoder) (*Run, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	if t != json.Delim('{') {
		return nil, ErrNotReport
	}
	r, schema := new(Run), ""
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, cut(err)
		}
		switch key {
		case "schema":
			err = d.Decode(&schema)
		case "tool":
			var tool struct {
				Version string `json:"version"`
			}
			err = d.Decode(&tool)
			r.Tool = clip(tool.Version)
		case "redacted":
			err = d.Decode(&r.Redacted)
		case "capture":
			var c jsonCapture
			if err = d.Decode(&c); err == nil {
				r.capture(&c)
			}
		case "verdict":
			var v jsonVerdict
			err = d.Decode(&v)
			r.Class = clip(v.Class)
		case "connections":
			err = elements(d, func(c *jsonConnection) { r.connection(&c.Connection, c.Verdict.Class) })
		case "lookups":
			err = elements(d, func(l *analyze.Lookup) { r.lookup(l.Name, l.MS) })
		default:
			err = skip(d)
		}
		if err != nil {
			return nil, cut(err)
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, cut(err)
	}
	if schema != report.Schema {
		return nil, ErrNotReport
	}
	return r, nil
}

// cut keeps an end in the middle of a document from passing for that of the
// input.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the report is cut: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// elements decodes an array one element at a time.
func elements[T any](d *decoder, take func(*T)) error {
	t, err := d.Token()
	if err != nil || t == nil {
		return err // null is an empty list
	}
	if t != json.Delim('[') {
		return fmt.Errorf("%w: %v where a list should be", ErrNotReport, t)
	}
	for d.More() {
		var v T
		if err := d.Decode(&v); err != nil {
			return err
		}
		take(&v)
	}
	_, err = d.Token()
	return err
}

// skip passes over a value without holding it.
func skip(d *decoder) error {
	for depth := 0; ; {
		t, err := d.Token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

func (r *Run) capture(c *jsonCapture) {
	r.File, r.Packets, r.Bytes, r.Dropped = clip(c.File), c.Packets, c.Bytes, c.Dropped
	r.Damaged = len(c.Damage) > 0 && string(c.Damage) != "null" || c.Interrupted
	if c.Start != nil {
		r.Start = *c.Start
	}
	if c.End != nil {
		r.End = *c.End
	}
	for _, h := range c.Health {
		r.Health = add(r.Health, h.ID)
	}
}
