package charts

import (
	"math"
	"slices"
	"strconv"
)

// piece is a stretch of a time axis: between two breaks time runs evenly.
type piece struct {
	from, to    float64 // milliseconds
	left, right float64
}

// axis maps times to places, leaving out silences that would squeeze all else.
type axis []piece

// Bounds on the breaks of a time axis.
const (
	maxBreaks   = 3
	breakShare  = 0.6  // of the time that is left, that a silence must take
	breakWidth  = 46.0 // what stands for it
	leastPiece  = 34.0
	breakMillis = 50 // a silence that is shorter is drawn
)

// newAxis lays out times, which need not be sorted, between two places.
func newAxis(times []float64, left, right float64) axis {
	times = slices.Clone(times)
	slices.Sort(times)
	if len(times) == 0 {
		times = []float64{0}
	}
	first, last := times[0], times[len(times)-1]
	span := last - first
	type gap struct{ from, to float64 }
	var gaps []gap
	for i := 1; i < len(times); i++ {
		if g := times[i] - times[i-1]; g >= breakMillis {
			gaps = append(gaps, gap{times[i-1], times[i]})
		}
	}
	slices.SortStableFunc(gaps, func(a, b gap) int {
		switch d := (b.to - b.from) - (a.to - a.from); {
		case d > 0:
			return 1
		case d < 0:
			return -1
		}
		return 0
	})
	left0 := span
	n := 0
	for n < len(gaps) && n < maxBreaks && gaps[n].to-gaps[n].from > breakShare*left0 {
		left0 -= gaps[n].to - gaps[n].from
		n++
	}
	gaps = gaps[:n]
	slices.SortFunc(gaps, func(a, b gap) int {
		if a.from < b.from {
			return -1
		}
		return 1
	})
	room := right - left - float64(n)*breakWidth - float64(n+1)*leastPiece
	var out axis
	at, from := left, first
	for i := 0; i <= n; i++ {
		to := last
		if i < n {
			to = gaps[i].from
		}
		width := leastPiece
		if left0 > 0 {
			width += room * (to - from) / left0
		} else {
			width += room / float64(n+1)
		}
		out = append(out, piece{from, to, at, at + width})
		at += width + breakWidth
		if i < n {
			from = gaps[i].to
		}
	}
	return out
}

// at returns the place of a time.
func (a axis) at(t float64) float64 {
	for i, p := range a {
		if t > p.to && i+1 < len(a) {
			if t < a[i+1].from {
				return p.right + (a[i+1].left-p.right)*(t-p.to)/(a[i+1].from-p.to)
			}
			continue
		}
		if p.to <= p.from {
			return (p.left + p.right) / 2
		}
		return p.left + (p.right-p.left)*(t-p.from)/(p.to-p.from)
	}
	return 0
}

// step returns a round distance between ticks, for about n of them over span.
func step(span float64, n int) float64 {
	if span <= 0 || n <= 0 {
		return 1
	}
	raw := span / float64(n)
	unit := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range [...]float64{1, 2, 5, 10} {
		if unit*m >= raw {
			return unit * m
		}
	}
	return unit * 10
}

// ticks returns the round values between from and to.
func ticks(from, to float64, n int) []float64 {
	s := step(to-from, n)
	var out []float64
	for k := math.Ceil(from/s - 1e-9); k*s <= to+s*1e-9 && len(out) <= 4*n+4; k++ {
		out = append(out, k*s+0) // no negative zero
	}
	return out
}

// Millis writes a time in milliseconds for an axis whose ticks are so far
// apart.
func Millis(ms, apart float64) string {
	if ms == 0 {
		return "0"
	}
	unit, name := 1.0, "ms"
	switch {
	case apart >= 1000 || math.Abs(ms) >= 10_000:
		unit, name = 1000, "s"
	case apart < 0.001:
		unit, name = 1e-6, "ns"
	case apart < 0.1 && math.Abs(ms) < 10:
		unit, name = 0.001, "µs"
	}
	digits := 0
	for d := apart / unit; d < 0.999 && digits < 6; d *= 10 {
		digits++
	}
	return strconv.FormatFloat(ms/unit, 'f', digits, 64) + "\u202f" + name
}

// Bytes writes a number of bytes for an axis.
func Bytes(v, apart float64) string {
	unit, name := 1.0, "B"
	switch {
	case math.Abs(v) >= 1e9 || apart >= 1e9:
		unit, name = 1e9, "GB"
	case math.Abs(v) >= 1e6 && apart >= 1e4:
		unit, name = 1e6, "MB"
	case math.Abs(v) >= 1e4 || apart >= 1e3:
		unit, name = 1e3, "kB"
	}
	digits := 0
	for d := apart / unit; d < 0.999 && digits < 3; d *= 10 {
		digits++
	}
	return strconv.FormatFloat(v/unit, 'f', digits, 64) + "\u202f" + name
}
