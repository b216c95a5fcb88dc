package questions

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// answer is what a database says: columns and rows of plain text.
type answer struct {
	columns []string
	rows    [][]string
}

// null is how a value that is not there is written.
const null = "-"

// plain writes a value in the one way in which both databases' values are
// compared: numbers without trailing zeros, times without a zone and without
// fractions of seconds.
func plain(v any) string {
	switch v := v.(type) {
	case nil:
		return null
	case time.Time:
		return v.UTC().Format(time.DateTime)
	case float64:
		return strconv.FormatFloat(v+0, 'f', -1, 64) // no negative zero
	case string:
		if f, err := strconv.ParseFloat(v, 64); err == nil && !strings.ContainsAny(v, "xXpP_") {
			return plain(f)
		}
		if t, err := time.Parse("2006-01-02 15:04:05.999999999", v); err == nil {
			return plain(t)
		}
		return v
	}
	return plain(fmt.Sprint(v))
}

// below takes the directory of the test, which is never the same, from a path.
func below(dir, path string) string {
	return strings.ReplaceAll(strings.TrimPrefix(path, dir+string(filepath.Separator)), `\`, "/")
}

// String lays the answer out as the document shows it.
func (a answer) String() string {
	widths := make([]int, len(a.columns))
	right := make([]bool, len(a.columns))
	for i, c := range a.columns {
		widths[i] = utf8.RuneCountInString(c)
		right[i] = len(a.rows) > 0
		for _, r := range a.rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(r[i]))
			if _, err := strconv.ParseFloat(r[i], 64); err != nil && r[i] != null {
				right[i] = false
			}
		}
	}
	var b strings.Builder
	for _, r := range append([][]string{a.columns}, a.rows...) {
		var line strings.Builder
		for i, cell := range r {
			gap := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i > 0 {
				line.WriteString("  ")
			}
			if right[i] {
				line.WriteString(gap + cell)
			} else {
				line.WriteString(cell + gap)
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}
