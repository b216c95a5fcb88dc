package page

import (
	"html/template"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/fleet/summary"
	"goproxytrace/report/charts"
	"goproxytrace/report/messages"
	"goproxytrace/report/page/frame"
)

func newRate(r *summary.Row) rate { return rateOf(r.Hits, r.Of) }

func rateOf(hits, of int64) rate {
	share, low, high := 0.0, 0.0, 1.0
	if of > 0 {
		share = float64(hits) / float64(of)
		low, high = summary.Interval(hits, of)
	}
	return rate{hits, of, percent(share), strings.TrimSuffix(percent(low), "\u202f%") + "–" + percent(high), template.HTML(charts.Interval(low, share, high))}
}

func title(class string) string {
	return frame.Tame(messages.English.ClassTitle(diagnose.Class(class)))
}

// places writes a place: several mean one of them.
func places(s string) string {
	if s == "" {
		return "none"
	}
	return frame.Name(strings.ReplaceAll(s, ",", " or "))
}

func words(level string, kinds int) string {
	s := strings.ReplaceAll(level, "-", " ")
	if kinds > 1 {
		s = "mostly " + s
	}
	return frame.Name(s)
}

func top(m map[string]int64) (name string, n int64) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if m[k] > n {
			name, n = k, m[k]
		}
	}
	return name, n
}

func sum(m map[string]int64) (n int64) {
	for _, x := range m {
		n += x
	}
	return n
}

// span returns the hours of the first and the last death.
func span(h History) (first, last time.Time) {
	for at, n := range h {
		if n.Died == 0 {
			continue
		}
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if at.After(last) {
			last = at
		}
	}
	return first, last
}

func join(between string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), between)
}

func percent(share float64) string {
	return strconv.FormatFloat(100*share, 'f', 1, 64) + "\u202f%"
}

// number writes a count with its thousands apart.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

func count(n int64, thing string) string {
	switch {
	case n == 1:
	case strings.HasSuffix(thing, "s"):
		thing += "es"
	default:
		thing += "s"
	}
	return number(n) + " " + thing
}

const day = "2 Jan 2006"

func minute(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04") }

func hour(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:00") + " UTC" }

func stamp(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2 Jan 15:00")
}

func period(from, to *time.Time) string {
	if from == nil || to == nil {
		return ""
	}
	a, b := from.UTC().Format(day), to.UTC().Format(day)
	if a == b {
		return a
	}
	if from.UTC().Year() == to.UTC().Year() {
		a = from.UTC().Format("2 Jan")
	}
	return a + " to " + b
}
