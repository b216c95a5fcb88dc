package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"

	"goproxytrace/internal/terminal"
)

// CSV writes connections as comma-separated values: one line each, one column
// for each member of the JSON connection, members of members joined by dots.
type CSV struct {
	w       *csv.Writer
	columns []column
	header  bool
}

// NewCSV returns a CSV that writes to w.
func NewCSV(w io.Writer) *CSV {
	return &CSV{w: csv.NewWriter(w), columns: connectionColumns}
}

// Write writes the connections of one document, which must be in English,
// after the header line if they are the first.
func (c *CSV) Write(d *Document) error {
	if err := forPrograms(d); err != nil {
		return fmt.Errorf("connection table: %w", err)
	}
	line := make([]string, 0, len(c.columns)+1)
	if !c.header {
		c.header = true
		line = append(line, "capture")
		for _, col := range c.columns {
			line = append(line, col.name)
		}
		if err := c.w.Write(line); err != nil {
			return err
		}
	}
	file := cell(d.Capture.File)
	for row, err := range d.Rows() {
		if err != nil {
			return err
		}
		conn, err := row.Connection()
		if err != nil {
			return err
		}
		line = append(line[:0], file)
		v := reflect.ValueOf(conn).Elem()
		for _, col := range c.columns {
			line = append(line, col.text(v))
		}
		if err := c.w.Write(line); err != nil {
			return err
		}
	}
	c.w.Flush()
	return c.w.Error()
}

// column is one scalar, or one list, of a connection.
type column struct {
	name string
	path []int
}

// connectionColumns come from the types themselves, so that no member of the
// JSON connection is forgotten.
var connectionColumns = columnsOf(nil, "", nil, reflect.TypeFor[Connection]())

func columnsOf(out []column, prefix string, path []int, t reflect.Type) []column {
	for i := range t.NumField() {
		f := t.Field(i)
		at := append(append([]int(nil), path...), i)
		ft := f.Type
		if ft.Kind() == reflect.Pointer {
			ft = ft.Elem()
		}
		if f.Anonymous {
			out = columnsOf(out, prefix, at, ft)
			continue
		}
		name := memberName(f)
		if prefix == "" && name == "verdict" && len(path) > 0 {
			continue // the verdict in words has its place in Connection
		}
		if ft.Kind() == reflect.Struct && ft != timeType {
			out = columnsOf(out, prefix+name+".", at, ft)
			continue
		}
		out = append(out, column{prefix + name, at})
	}
	return out
}

var timeType = reflect.TypeFor[time.Time]()

// memberName is a field's name in JSON; Verdict's fields have no tag and are
// named by their words.
func memberName(f reflect.StructField) string {
	if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); tag != "" {
		return tag
	}
	var b strings.Builder
	for i, r := range f.Name {
		if r >= 'A' && r <= 'Z' {
			if i > 0 {
				b.WriteByte('_')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

func (c column) text(v reflect.Value) string {
	for _, i := range c.path {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return ""
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return valueText(v, true)
}

// valueText writes a scalar, or a list with spaces (of structures: with
// semicolons) between its elements. Only a whole cell is made formula-safe.
func valueText(v reflect.Value, whole bool) string {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return ""
		}
		return valueText(v.Elem(), whole)
	case reflect.String:
		if whole {
			return cell(v.String())
		}
		return terminal.Clean(v.String())
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'f', -1, 64)
	case reflect.Slice:
		parts := make([]string, v.Len())
		sep := " "
		for i := range parts {
			if v.Index(i).Kind() == reflect.Struct {
				sep = "; "
			}
			parts[i] = valueText(v.Index(i), false)
		}
		return safe(strings.Join(parts, sep))
	case reflect.Struct:
		if t, ok := v.Interface().(time.Time); ok {
			if t.IsZero() {
				return ""
			}
			return t.Format(time.RFC3339Nano)
		}
		var parts []string
		for i := range v.NumField() {
			if s := valueText(v.Field(i), false); s != "" {
				parts = append(parts, memberName(v.Type().Field(i))+"="+s)
			}
		}
		return strings.Join(parts, " ")
	}
	if v.CanInt() {
		return strconv.FormatInt(v.Int(), 10)
	}
	return strconv.FormatUint(v.Uint(), 10)
}

// cell cleans text from a capture for a spreadsheet.
func cell(s string) string { return safe(terminal.Clean(s)) }

// safe keeps a spreadsheet from taking a cell for a formula.
func safe(s string) string {
	if s != "" && strings.ContainsRune("=+-@", rune(s[0])) {
		return "'" + s
	}
	return s
}
