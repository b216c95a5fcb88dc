package messages

import (
	"strconv"
	"strings"
	"time"

	"goproxytrace/analyze/diagnose"
)

// format prints one value with its unit.
func (c *catalogue) format(v *diagnose.Value) string {
	switch v.Unit {
	case diagnose.UnitText:
		return c.word(v.Name, v.Text)
	case diagnose.UnitDuration:
		return c.duration(v.Number)
	case diagnose.UnitBytes:
		return c.bytes(v.Number)
	case diagnose.UnitTime:
		return time.Unix(0, v.Number).UTC().Format("2006-01-02 15:04:05 UTC")
	}
	return strconv.FormatInt(v.Number, 10)
}

// word returns the text of a value in the catalogue's language where rules or
// readers have worded it; all other text is from outside.
func (c *catalogue) word(name, text string) string {
	if c.words == nil {
		return text
	}
	if w, ok := c.words[name+"."+text]; ok {
		return w
	}
	switch name {
	case "process", "owner", "status", "rule":
		return c.phrase(text, maxPhraseDepth)
	}
	return text
}

func (c *catalogue) bytes(n int64) string {
	one, many, _ := cutForms(c.labels["unit.bytes"])
	if n == 1 {
		many = one
	}
	return strings.ReplaceAll(many, "{n}", signed(n))
}

// duration prints ns with two or three significant digits.
func (c *catalogue) duration(ns int64) string {
	unit := func(n, name string) string { return n + c.labels[name] }
	whole := func(n int64, name string) string { return unit(strconv.FormatInt(n, 10), name) }
	switch abs := max(ns, -ns); {
	case abs < 1e3:
		return whole(ns, "unit.ns")
	case abs < 1e6:
		return whole(ns/1e3, "unit.us")
	case abs < 10e6:
		return unit(strconv.FormatFloat(float64(ns)/1e6, 'f', 1, 64), "unit.ms")
	case abs < 1e9:
		return whole(ns/1e6, "unit.ms")
	case abs < 120e9:
		return unit(strconv.FormatFloat(float64(ns)/1e9, 'f', 1, 64), "unit.s")
	case abs < 3600e9:
		return whole(ns/60e9, "unit.min") + " " + whole(ns%60e9/1e9, "unit.s")
	}
	return whole(ns/3600e9, "unit.h") + " " + whole(ns%3600e9/60e9, "unit.min")
}

// Grouped prints n with commas between thousands.
func Grouped(n uint64) string { return groups(strconv.FormatUint(n, 10)) }

func signed(n int64) string { return groups(strconv.FormatInt(n, 10)) }

func groups(s string) string {
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
