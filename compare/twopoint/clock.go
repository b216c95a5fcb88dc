package twopoint

import (
	"cmp"
	"math"
	"slices"
)

// Clock is what the server capture's clock is ahead of the client capture's.
// One-way delays cannot be told from a difference of clocks by packets alone;
// what can is that no packet arrives before it was sent. So the difference lies
// between two bounds, and its estimate, halfway, supposes that the fastest
// packet of either direction took equally long.
type Clock struct {
	// Known is false where no packet was matched.
	Known bool
	// Offset, Least and Most are in ns, at the first packet that was matched.
	// Least is math.MinInt64 and Most math.MaxInt64 where packets were matched
	// in the other direction only.
	Offset, Least, Most int64
	// Drift is how much the offset grows in ns for each second; zero where it
	// is too small to be measured over the capture.
	Drift float64
	// Unsteady is by how much the bounds contradict each other, in ns; zero
	// where they do not. A clock was set meanwhile, or timestamps are late by
	// more than the way takes. Times then decide nothing.
	Unsteady int64
	// origin is the time at the server that Offset holds for.
	origin int64
	// fastest is the least delay of either direction by this clock, slowest the
	// largest, in ns.
	fastest, slowest [2]int64
}

// toClient turns a time of the server capture into one of the client's.
func (c *Clock) toClient(at int64) int64 {
	return at - c.Offset - int64(c.Drift*float64(at-c.origin)/1e9)
}

// bounded reports whether packets of both directions were matched.
func (c *Clock) bounded() bool { return c.Least != math.MinInt64 && c.Most != math.MaxInt64 }

// delay is one packet seen at both points: the times at the client and at the
// server.
type delay struct {
	client, server int64
	d              int // direction
}

// minimal number of windows with both directions, and span in ns, from which a
// drift is measured.
const (
	driftWindows = 3
	driftSpan    = int64(10e9)
)

// setClock estimates the clock from packets that were matched beyond doubt.
func setClock(list []delay) (c Clock) {
	if len(list) == 0 {
		return c
	}
	slices.SortFunc(list, func(a, b delay) int { return cmp.Compare(a.server, b.server) })
	c = clockOf(list, drift(list))
	if c.Unsteady > 0 && c.Drift != 0 {
		c = clockOf(list, 0) // a step looks like drift
	}
	return c
}

// clockOf estimates the clock where it drifts as given.
func clockOf(list []delay, drift float64) (c Clock) {
	c.Known, c.origin, c.Drift = true, list[0].server, drift
	least := [2]int64{math.MaxInt64, math.MaxInt64}
	for _, x := range list {
		behind := x.server - x.client - int64(c.Drift*float64(x.server-c.origin)/1e9)
		if x.d == 1 {
			behind = -behind
		}
		least[x.d] = min(least[x.d], behind)
	}
	c.Most, c.Least = least[0], math.MinInt64
	if least[1] != math.MaxInt64 {
		c.Least = -least[1]
	}
	if c.bounded() && c.Least-c.Most > 2*slack {
		c.Unsteady = c.Least - c.Most
	}
	switch {
	case least[1] == math.MaxInt64:
		c.Offset = c.Most
	case least[0] == math.MaxInt64:
		c.Offset = c.Least
	default:
		c.Offset = c.Least/2 + c.Most/2
	}
	c.fastest = [2]int64{math.MaxInt64, math.MaxInt64}
	for _, x := range list {
		took := c.toClient(x.server) - x.client
		if x.d == 1 {
			took = -took
		}
		c.fastest[x.d], c.slowest[x.d] = min(c.fastest[x.d], took), max(c.slowest[x.d], took)
	}
	for d := range c.fastest {
		if c.fastest[d] == math.MaxInt64 {
			c.fastest[d] = 0
		}
	}
	return c
}

// drift is the median slope (Theil and Sen) of the offsets that windows of the
// capture give by themselves; zero unless it moves the clock by more than those
// offsets scatter.
func drift(list []delay) float64 {
	first, span := list[0].server, list[len(list)-1].server-list[0].server
	if span < driftSpan {
		return 0
	}
	const windows = 12
	type window struct {
		least [2]int64
		at    int64
	}
	var w [windows]window
	for i := range w {
		w[i].least = [2]int64{math.MaxInt64, math.MaxInt64}
	}
	for _, x := range list {
		i := min(int(float64(x.server-first)/float64(span)*windows), windows-1)
		v := x.server - x.client
		if x.d == 1 {
			v = -v
		}
		if v < w[i].least[x.d] {
			w[i].least[x.d], w[i].at = v, x.server
		}
	}
	type point struct{ t, v float64 }
	var points []point
	for _, x := range w {
		if x.least[0] != math.MaxInt64 && x.least[1] != math.MaxInt64 {
			points = append(points, point{float64(x.at-first) / 1e9, float64(x.least[0]-x.least[1]) / 2})
		}
	}
	if len(points) < driftWindows {
		return 0
	}
	var slopes []float64
	for i := range points {
		for j := range i {
			if dt := points[i].t - points[j].t; dt > 1 {
				slopes = append(slopes, (points[i].v-points[j].v)/dt)
			}
		}
	}
	if len(slopes) == 0 {
		return 0
	}
	slices.Sort(slopes)
	slope := slopes[len(slopes)/2]
	var off []float64
	for _, p := range points {
		off = append(off, p.v-slope*p.t)
	}
	slices.Sort(off)
	scatter := off[len(off)*3/4] - off[len(off)/4]
	if math.Abs(slope)*float64(span)/1e9 <= 2*scatter+50e3 {
		return 0
	}
	return slope
}
