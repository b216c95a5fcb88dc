package page

import (
	"math"
	"slices"
	"time"
)

// Change is a place in time from which on another share of downloads dies.
type Change struct {
	// Before is the last hour that had downloads before it, Since the first
	// hour after it: hours between had none.
	Before, Since time.Time
	// Shares of downloads that died.
	From, To float64
	// Score is twice the logarithm of the likelihood ratio of two shares against
	// one.
	Score float64
}

// leastScore is what a change must score to be told. The best of many places
// scores more than one that was named beforehand: of series without any change
// about one in a hundred reaches 13 (Andrews, "Tests for parameter instability and
// structural change with unknown change point", Econometrica 61 (1993), table I),
// and a page looks at many series.
const leastScore = 15

// change returns the place that cuts a history in two best; ok is false where it
// may be chance.
func (h History) change() (c Change, ok bool) {
	hours := make([]time.Time, 0, len(h))
	var n, k int64
	for at, x := range h {
		hours = append(hours, at)
		n, k = n+x.All, k+x.Died
	}
	slices.SortFunc(hours, time.Time.Compare)
	var n1, k1 int64
	for i, at := range hours {
		if i > 0 {
			if s := 2 * (likelihood(k1, n1) + likelihood(k-k1, n-n1) - likelihood(k, n)); s > c.Score {
				c = Change{hours[i-1], at, float64(k1) / float64(n1), float64(k-k1) / float64(n-n1), s}
			}
		}
		n1, k1 = n1+h[at].All, k1+h[at].Died
	}
	return c, c.Score >= leastScore
}

// likelihood is the logarithm of the greatest likelihood of k of n.
func likelihood(k, n int64) float64 {
	sum := 0.0
	for _, x := range [...]int64{k, n - k} {
		if x > 0 {
			sum += float64(x) * math.Log(float64(x)/float64(n))
		}
	}
	return sum
}
