package pcapfile

import (
	"math"
	"testing"
)

func TestClock(t *testing.T) {
	for _, c := range []struct {
		resol  byte
		offset int64
		ts     uint64
		want   int64
		exact  bool
	}{
		{6, 0, 1_600_000_000_123_456, 1_600_000_000_123_456_000, true},
		{9, 0, math.MaxInt64, math.MaxInt64, true},
		{9, 0, 1 << 63, math.MaxInt64, false},
		{0, 0, 9_223_372_036, 9_223_372_036_000_000_000, true},
		{0, 0, 9_300_000_000, math.MaxInt64, false},
		{12, 0, 7_000_000_000_999, 7_000_000_000, true},
		{19, 0, 15_000_000_000_000_000_000, 1_500_000_000, true},
		{0x80, 0, 7, 7_000_000_000, true},
		{0x81, 0, 7, 3_500_000_000, true},
		{0xa8, 0, 3<<40 + 1<<39, 3_500_000_000, true},
		{0xbf, 0, 1<<63 + 1<<62, 1_500_000_000, true},
		{6, -5, 2_500_000, -2_500_000_000, true},
		{6, 5, 2_500_000, 7_500_000_000, true},
		{6, math.MaxInt64, 1, math.MaxInt64, false},
		{6, math.MinInt64, 1, math.MinInt64, false},
		{6, 0, math.MaxUint64, -1000, false},
		{6, 0, 1 << 62, math.MaxInt64, false},
	} {
		units, ok := unitsOf(c.resol)
		if !ok {
			t.Fatalf("resolution %#x refused", c.resol)
		}
		clk := newClock(units, c.offset)
		if got, exact := clk.ns(c.ts); got != c.want || exact != c.exact {
			t.Errorf("resolution %#x offset %d: %d gives %d (%v), want %d (%v)", c.resol, c.offset, c.ts, got, exact, c.want, c.exact)
		}
	}
	for _, resol := range []byte{20, 0x7f, 0xc0, 0xff} {
		if _, ok := unitsOf(resol); ok {
			t.Errorf("resolution %#x accepted", resol)
		}
	}
}
