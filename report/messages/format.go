package messages

import (
	"strconv"
	"time"

	"goproxytrace/analyze/diagnose"
)

// format prints one value with its unit.
func format(v *diagnose.Value) string {
	switch v.Unit {
	case diagnose.UnitText:
		return v.Text
	case diagnose.UnitDuration:
		return duration(v.Number)
	case diagnose.UnitBytes:
		if v.Number == 1 {
			return "1 byte"
		}
		return grouped(v.Number) + " bytes"
	case diagnose.UnitTime:
		return time.Unix(0, v.Number).UTC().Format("2006-01-02 15:04:05 UTC")
	}
	return strconv.FormatInt(v.Number, 10)
}

// duration prints ns with two or three significant digits.
func duration(ns int64) string {
	switch abs := max(ns, -ns); {
	case abs < 1e3:
		return strconv.FormatInt(ns, 10) + " ns"
	case abs < 1e6:
		return strconv.FormatInt(ns/1e3, 10) + " µs"
	case abs < 10e6:
		return strconv.FormatFloat(float64(ns)/1e6, 'f', 1, 64) + " ms"
	case abs < 1e9:
		return strconv.FormatInt(ns/1e6, 10) + " ms"
	case abs < 120e9:
		return strconv.FormatFloat(float64(ns)/1e9, 'f', 1, 64) + " s"
	case abs < 3600e9:
		return strconv.FormatInt(ns/60e9, 10) + " min " + strconv.FormatInt(ns%60e9/1e9, 10) + " s"
	}
	return strconv.FormatInt(ns/3600e9, 10) + " h " + strconv.FormatInt(ns%3600e9/60e9, 10) + " min"
}

// grouped prints n with commas between thousands.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
