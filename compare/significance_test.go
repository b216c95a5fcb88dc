package compare

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// splits calls f with every way to deal values to a first side of n.
func splits(values []float64, n int, f func(a, b []float64)) {
	var walk func(i int, a, b []float64)
	walk = func(i int, a, b []float64) {
		if i == len(values) {
			if len(a) == n {
				f(a, b)
			}
			return
		}
		if len(a) < n {
			walk(i+1, append(slices.Clone(a), values[i]), b)
		}
		if len(b) < len(values)-n {
			walk(i+1, a, append(slices.Clone(b), values[i]))
		}
	}
	walk(0, nil, nil)
}

// A p-value of p or less occurs in at most p of all arrangements, with ties and
// sides of different sizes too.
func TestNumbersAreValid(t *testing.T) {
	for _, c := range []struct {
		values []float64
		n      int
	}{
		{[]float64{1, 2, 3, 4, 5, 6, 7, 8}, 4},
		{[]float64{1, 2, 3, 4, 5, 6, 7, 8, 9}, 3},
		{[]float64{0, 0, 0, 0, 0, 0, 1, 2, 3}, 3},
		{[]float64{0, 0, 0, 0, 0, 0, 0, 0, 5, 6}, 2},
		{[]float64{0, 0, 0, 0, 1, 1, 1, 2, 2, 9}, 6},
		{[]float64{0, 0, 0, 0, 0, 0, 0, 1, 1, 1}, 5},
	} {
		var ps []float64
		least := math.NaN()
		splits(c.values, c.n, func(a, b []float64) {
			r := numbers(a, b)
			ps = append(ps, r.p)
			least = r.least
		})
		slices.Sort(ps)
		for i, p := range ps {
			if i+1 < len(ps) && ps[i+1] == p {
				continue
			}
			if share := float64(i+1) / float64(len(ps)); share > p+1e-9 {
				t.Errorf("%v by %d: p <= %v in %v of the arrangements", c.values, c.n, p, share)
			}
		}
		if math.Abs(ps[0]-least) > 1e-9 {
			t.Errorf("%v by %d: least p-value %v, said to be %v", c.values, c.n, ps[0], least)
		}
	}
}

// Known values: those of R's wilcox.test and fisher.test.
func TestKnownValues(t *testing.T) {
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-6*max(1, want) {
			t.Errorf("%s: p = %v, want %v", what, got, want)
		}
	}
	near("5 below 5", numbers([]float64{1, 2, 3, 4, 5}, []float64{6, 7, 8, 9, 10}).p, 2.0/252)
	near("all alike", numbers([]float64{1, 1, 1}, []float64{1, 1, 1}).p, 1)
	near("all alike, least", numbers([]float64{1, 1, 1}, []float64{1, 1, 1}).least, 1)
	near("tea", outcomes([]int{3, 1}, []int{1, 3}).p, 34.0/70)
	near("10 of 10 against none", outcomes([]int{10, 0}, []int{0, 10}).p, 2/184756.0)
	near("10 of 10 against none, least", outcomes([]int{8, 2}, []int{2, 8}).least, 2/184756.0)
	near("one and one", outcomes([]int{1, 0}, []int{0, 1}).p, 1)
	// matrix(c(3,0,1, 0,2,2), 3): 13 tables... the chance of those as rare.
	near("three outcomes", outcomes([]int{4, 0, 0}, []int{0, 2, 2}).p, 2.0/70)
	near("every run its own", outcomes([]int{1, 1, 1, 0, 0, 0}, []int{0, 0, 0, 1, 1, 1}).p, 1)
}

// Outcomes are valid as numbers are, lumped ones too.
func TestOutcomesAreValid(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, kinds := range []int{2, 3, 5, 40} {
		below, n := 0, 1000
		for range n {
			a, b := make([]int, kinds), make([]int, kinds)
			for range 10 {
				a[r.IntN(kinds)]++
				b[r.IntN(kinds)]++
			}
			if outcomes(a, b).p <= 0.05 {
				below++
			}
		}
		if share := float64(below) / float64(n); share > 0.065 {
			t.Errorf("%d outcomes: p <= 0.05 in %v of the cases", kinds, share)
		}
	}
}

func TestAdjust(t *testing.T) {
	same := func(p ...float64) (out []test) {
		for _, p := range p {
			out = append(out, test{p, 1e-6})
		}
		return out
	}
	for _, c := range []struct {
		family []test
		want   []float64
	}{
		{same(0.01), []float64{0.01}},
		{same(0.01, 0.04, 0.03), []float64{0.03, 0.06, 0.06}},
		{same(0.5, 0.6), []float64{1, 1}},
		// One that could never be significant does not cost the others.
		{[]test{{0.02, 1e-6}, {1, 1}, {1, 0.2}}, []float64{0.02, math.NaN(), math.NaN()}},
		// Three that could be at 0.03 alone, and never as three.
		{[]test{{0.03, 0.03}, {0.03, 0.03}, {0.03, 0.03}}, []float64{math.NaN(), math.NaN(), math.NaN()}},
		{nil, []float64{}},
	} {
		got := adjust(c.family, 0.05)
		for i := range c.want {
			if math.Abs(got[i]-c.want[i]) > 1e-9 || math.IsNaN(got[i]) != math.IsNaN(c.want[i]) {
				t.Errorf("%v: %v, want %v", c.family, got, c.want)
				break
			}
		}
	}
}

func TestRunsNeeded(t *testing.T) {
	for n, want := range map[int]int{1: 4, 6: 5, 20: 6, 40: 7, 1000: 9} {
		if got := runsNeeded(n, 0.05); got != want {
			t.Errorf("%d tests need %d runs, want %d", n, got, want)
		}
	}
}

func TestSummarize(t *testing.T) {
	if s := summarize([]float64{3, 1, 2}); s != (summary{2, 1, 3, false}) {
		t.Errorf("three values: %+v", s)
	}
	if s := summarize([]float64{1, 2, 3, 4, 5, 6}); s != (summary{3.5, 1, 6, true}) {
		t.Errorf("six values: %+v", s)
	}
}
