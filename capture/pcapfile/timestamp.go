package pcapfile

import (
	"math"
	"math/bits"
)

const nsPerSecond = 1_000_000_000

// A clock turns a pcapng timestamp into Unix nanoseconds.
type clock struct {
	// units is the number of timestamp units in a second.
	units uint64
	// mult is nsPerSecond/units where that is whole, else zero.
	mult uint64
	// limit is the largest timestamp whose product with mult fits an int64.
	limit uint64
	// offset is added to the seconds (if_tsoffset).
	offset int64
}

func newClock(units uint64, offset int64) clock {
	c := clock{units: units, offset: offset}
	if units <= nsPerSecond && nsPerSecond%units == 0 {
		c.mult = nsPerSecond / units
		c.limit = math.MaxInt64 / c.mult
	}
	return c
}

// unitsOf decodes if_tsresol; ok is false where a second of units does not
// fit 64 bits.
func unitsOf(tsresol byte) (units uint64, ok bool) {
	exp := tsresol & 0x7f
	if tsresol&0x80 != 0 {
		if exp > 63 {
			return 0, false
		}
		return 1 << exp, true
	}
	if exp > 19 {
		return 0, false
	}
	units = 1
	for range exp {
		units *= 10
	}
	return units, true
}

// ns converts ts; exact is false where the time lies outside an int64 of
// nanoseconds (years 1678 to 2262). Such a time is taken as a negative number
// of units where it can be one, so that the distances between packets stay
// right, and is clamped otherwise.
func (c *clock) ns(ts uint64) (ns int64, exact bool) {
	if c.mult != 0 && c.offset == 0 && ts <= c.limit {
		return int64(ts * c.mult), true
	}
	if ns, ok := c.wide(ts, false); ok {
		return ns, true
	}
	if ts > math.MaxInt64 {
		if ns, ok := c.wide(-ts, true); ok {
			return ns, false
		}
	}
	if c.offset < 0 && ts/c.units < uint64(-c.offset) {
		return math.MinInt64, false
	}
	return math.MaxInt64, false
}

// wide converts any number of units; ok is false where the result does not
// fit.
func (c *clock) wide(ts uint64, negative bool) (ns int64, ok bool) {
	const maxSec = math.MaxInt64/nsPerSecond - 1
	sec, frac := ts/c.units, ts%c.units
	// The product needs up to 94 bits, the quotient never overflows
	// because frac < units.
	hi, lo := bits.Mul64(frac, nsPerSecond)
	sub, _ := bits.Div64(hi, lo, c.units)
	// Beyond these bounds the sum cannot come back into range.
	if sec > math.MaxInt64/2 || c.offset > math.MaxInt64/2 || c.offset < -math.MaxInt64/2 {
		return 0, false
	}
	s, f := int64(sec), int64(sub)
	if negative {
		s, f = -s, -f
	}
	s += c.offset
	if s > maxSec || s < -maxSec {
		return 0, false
	}
	return s*nsPerSecond + f, true
}
