package charts

import (
	"strings"
	"testing"
)

func TestHistory(t *testing.T) {
	h := History{Frame: frame(), Mark: 2, Ticks: []HistoryTick{{0, Say("9 Nov")}, {3, Say(hostile)}}, Spans: []Span{
		{All: 12, Kind: 3, Tip: Say(hostile)}, {}, {All: 6, Kind: 6}, {All: 1},
	}}
	elements, _ := parse(t, h.Draw())
	// Three bars of all with two of the kind; a stretch of which nothing is
	// known has none, and a line of its own.
	if svg := h.Draw(); elements["rect"] != 5 || strings.Count(svg, `class="unknown"`) != 1 || strings.Count(svg, `class="mark"`) != 1 {
		t.Errorf("%v in %s", elements, svg)
	}
	for _, h := range []History{{Frame: frame(), Mark: -1}, {Frame: frame(), Mark: 7, Spans: make([]Span, 3)}} {
		if svg := h.Draw(); strings.Contains(svg, `class="mark"`) {
			t.Errorf("a mark where there is none: %s", svg)
		} else {
			parse(t, svg)
		}
	}
}

func TestInterval(t *testing.T) {
	if svg := Interval(0.25, 0.5, 0.75); !strings.Contains(svg, `class="range" x="23.5" y="4" width="43"`) || !strings.Contains(svg, `M45 1L45 13`) {
		t.Error(svg)
	}
	for _, svg := range []string{Interval(0, 0, 0), Interval(-1, 2, 5)} {
		if strings.Contains(svg, "NaN") || strings.Contains(svg, `width="-`) {
			t.Error(svg)
		}
	}
}
