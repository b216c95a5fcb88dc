package compare

import (
	"math"
	"slices"

	"golang.org/x/perf/benchmath"
)

// A test is a hypothesis test of one row.
type test struct {
	// p is the two-sided p-value, least the smallest that any arrangement of
	// the same values over sides of these sizes could have given.
	p, least float64
}

// numbers tests whether the values of two sides come from one distribution, by
// the Mann-Whitney U test.
func numbers(a, b []float64) test {
	all := slices.Concat(a, b)
	slices.Sort(all)
	// With ties in sides of different sizes the distribution of U is skewed:
	// the extremes are its two ends.
	low := mannWhitney(all[:len(a)], all[len(a):])
	high := mannWhitney(all[len(b):], all[:len(b)])
	return test{mannWhitney(a, b), min(low, high)}
}

// mannWhitney returns the two-sided p-value, exact for up to 50 values a side
// (25 with ties). It is symmetric in its arguments, which a doubled tail of a
// skewed distribution is not: the larger one counts.
func mannWhitney(a, b []float64) float64 {
	return min(1, max(uTest(a, b), uTest(b, a)))
}

func uTest(a, b []float64) float64 {
	// Samples are sorted in place, so they get copies.
	one := benchmath.NewSample(slices.Clone(a), &benchmath.DefaultThresholds)
	two := benchmath.NewSample(slices.Clone(b), &benchmath.DefaultThresholds)
	return benchmath.AssumeNothing.Compare(one, two).P // 1 where all values are equal
}

// maxTables bounds the tables that outcomes enumerates.
const maxTables = 20_000

// outcomes tests whether the outcomes of two sides come from one distribution,
// by Fisher's exact test for 2×k tables (Freeman and Halton 1951): the chance of
// all tables with the same sums that are no more likely than this one. a[i] and
// b[i] count the runs of either side with outcome i. Where k makes too many
// tables the rarest outcomes count as one, which their sums alone decide.
func outcomes(a, b []int) test {
	a, b = slices.Clone(a), slices.Clone(b)
	for len(a) > 2 && tables(a, b) > maxTables {
		lump(&a, &b)
	}
	n := 0
	sums := make([]int, len(a))
	for i := range a {
		n += a[i]
		sums[i] = a[i] + b[i]
	}
	observed := logTable(a, sums)
	total := 0
	for _, s := range sums {
		total += s
	}
	e := enumeration{sums: sums, logs: make(map[float64]float64), scale: logChoose(total, n)}
	e.walk(0, n, 0)
	all, least := 0.0, math.Inf(1)
	for _, p := range e.logs {
		all += p
	}
	below := func(limit float64) (p float64) {
		// Equal chances differ by rounding.
		for _, l := range slices.Sorted(keysOf(e.logs)) {
			if l <= limit+1e-7 {
				p += e.logs[l]
			}
		}
		return min(1, p/all)
	}
	for l := range e.logs {
		least = min(least, l)
	}
	return test{below(observed), below(least)}
}

func keysOf(m map[float64]float64) func(func(float64) bool) {
	return func(yield func(float64) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// enumeration sums the chances of all tables by their logarithms, rounded so
// that equal ones meet.
type enumeration struct {
	sums []int
	logs map[float64]float64
	// scale keeps chances within range: the logarithm of the number of all
	// tables' arrangements.
	scale float64
}

// walk deals the n runs of the first side that are left to outcomes i and on.
func (e *enumeration) walk(i, n int, log float64) {
	if i == len(e.sums)-1 {
		if n > e.sums[i] {
			return
		}
		log += logChoose(e.sums[i], n)
		e.logs[math.Round(log*1e9)/1e9] += math.Exp(log - e.scale)
		return
	}
	for k := range min(n, e.sums[i]) + 1 {
		e.walk(i+1, n-k, log+logChoose(e.sums[i], k))
	}
}

// tables bounds the number of tables with the same sums.
func tables(a, b []int) float64 {
	out := 1.0
	for i := range len(a) - 1 {
		out *= float64(a[i] + b[i] + 1)
	}
	return out
}

// lump makes one of the two rarest outcomes.
func lump(a, b *[]int) {
	x, y := *a, *b
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return x[i] + y[i] - x[j] - y[j] })
	i, j := order[0], order[1]
	x[j], y[j] = x[j]+x[i], y[j]+y[i]
	*a, *b = slices.Delete(x, i, i+1), slices.Delete(y, i, i+1)
}

func logTable(a, sums []int) (log float64) {
	for i := range a {
		log += logChoose(sums[i], a[i])
	}
	return math.Round(log*1e9) / 1e9
}

func logChoose(n, k int) float64 {
	l := func(n int) float64 { v, _ := math.Lgamma(float64(n) + 1); return v }
	return l(n) - l(k) - l(n-k)
}

// adjust corrects the p-values of a family of tests so that the chance of one
// or more false alarms in all of it is at most alpha, and returns them in order;
// NaN stands for a test that takes no part.
//
// Tests that could not have come out significant whatever the arrangement are
// left out first (Tarone 1990, A modified Bonferroni method for discrete data):
// with k tests, only those count whose least p-value is at most alpha/k, for the
// smallest k that is no less than their number. The values over both sides alone
// decide that, not how they fall. Among the rest p-values are adjusted by Holm's
// step-down method (1979).
func adjust(family []test, alpha float64) []float64 {
	out := make([]float64, len(family))
	for i := range out {
		out[i] = math.NaN()
	}
	var order []int
	for k := 1; ; k++ {
		order = order[:0]
		for i, t := range family {
			if t.least <= alpha/float64(k) {
				order = append(order, i)
			}
		}
		if len(order) <= k {
			break
		}
	}
	slices.SortStableFunc(order, func(i, j int) int {
		switch {
		case family[i].p < family[j].p:
			return -1
		case family[i].p > family[j].p:
			return 1
		}
		return 0
	})
	last := 0.0
	for rank, i := range order {
		last = max(last, min(1, float64(len(order)-rank)*family[i].p))
		out[i] = last
	}
	return out
}

// maxNeeded bounds the number of runs that runsNeeded tells.
const maxNeeded = 50

// runsNeeded returns how many runs a side a family of n tests needs at least to
// show a difference however clear: the least p-value of the U test and of
// Fisher's for two outcomes is 2/C(2r, r).
func runsNeeded(n int, alpha float64) int {
	for r := 2; r < maxNeeded; r++ {
		if math.Log(2)-logChoose(2*r, r) <= math.Log(alpha/float64(max(n, 1))) {
			return r
		}
	}
	return maxNeeded
}

// summary is what a row shows of one side's numbers, as benchstat does: the
// median and its confidence interval at 95 %.
type summary struct {
	median, low, high float64
	// bounded is false where there are too few values (below six) for the
	// interval to be finite; low and high are the least and largest then.
	bounded bool
}

func summarize(values []float64) summary {
	s := benchmath.AssumeNothing.Summary(benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds), 0.95)
	out := summary{median: s.Center, low: s.Lo, high: s.Hi, bounded: true}
	if math.IsInf(s.Lo, 0) || math.IsInf(s.Hi, 0) {
		out.low, out.high, out.bounded = slices.Min(values), slices.Max(values), false
	}
	return out
}
