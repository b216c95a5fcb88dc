package charts

import "strconv"

// History shows how many of the things that happened in stretches of time of the
// same length, one after another, were of one kind: a small picture, of which
// several stand side by side.
type History struct {
	Frame
	Spans []Span
	// Ticks are names of stretches, by their place from 0.
	Ticks []HistoryTick
	// Mark is the stretch from which on it is another share; -1 for none.
	Mark int
}

// Span is one stretch of time. All is zero where nothing is known of it.
type Span struct {
	All, Kind int64
	Tip       Words
}

// HistoryTick is a name on the time axis.
type HistoryTick struct {
	At   int
	Name Words
}

// Measures of a history.
const (
	historyWidth = 360.0
	historyLeft  = 26.0
	historyRight = 354.0
	historyTop   = 14.0
	historyBase  = 88.0
	historyHigh  = 108.0
)

// Draw draws the history. Bars are outlines of all, filled by what is of the kind;
// stretches of which nothing is known have no bar and a dotted line.
func (h *History) Draw() string {
	d := begin(&h.Frame, "history", historyWidth, historyHigh, "")
	most := int64(1)
	for _, s := range h.Spans {
		most = max(most, s.All)
	}
	n := float64(max(len(h.Spans), 1))
	apart := (historyRight - historyLeft) / n
	gap := min(apart*0.18, 4)
	y := func(v int64) float64 { return historyBase - (historyBase-historyTop)*float64(v)/float64(most) }
	d.raw(`<g class="axis">`)
	d.line("grid", historyLeft, historyTop, historyRight, historyTop)
	d.text("tick e", historyLeft-4, historyTop+4, Say(strconv.FormatInt(most, 10)))
	d.text("tick e", historyLeft-4, historyBase+3, Say("0"))
	d.raw("</g>")
	for i, s := range h.Spans {
		x := historyLeft + float64(i)*apart
		if s.All <= 0 {
			d.line("unknown", x, historyBase, x+apart, historyBase)
			continue
		}
		d.raw("<g>")
		d.tip(s.Tip)
		d.rect("all", x+gap/2, y(s.All), apart-gap, historyBase-y(s.All), "")
		if s.Kind > 0 {
			d.rect("kind", x+gap/2, y(s.Kind), apart-gap, historyBase-y(s.Kind), "")
		}
		d.line("base", x, historyBase, x+apart, historyBase)
		d.raw("</g>")
	}
	if h.Mark >= 0 && h.Mark < len(h.Spans) {
		x := historyLeft + float64(h.Mark)*apart
		d.line("mark", x, historyTop-10, x, historyBase+4)
		d.raw(`<path class="markhead" d="M`)
		d.number(x)
		d.raw(" ")
		d.number(historyTop - 10)
		d.raw(`l8 4l-8 4z"/>`)
	}
	for _, t := range h.Ticks {
		x := historyLeft + (float64(t.At)+0.5)*apart
		anchor := "tick m"
		switch {
		case x < historyLeft+16:
			anchor, x = "tick s", historyLeft
		case x > historyRight-20:
			anchor, x = "tick e", historyRight
		}
		d.raw(`<g class="axis">`)
		d.text(anchor, x, historyHigh-4, t.Name)
		d.raw("</g>")
	}
	return d.end()
}

// Interval draws a share between 0 and 1 with its interval, for a cell of a table
// that has the numbers, too.
func Interval(low, share, high float64) string {
	const width, height = 90.0, 14.0
	x := func(v float64) float64 { return 2 + max(0, min(v, 1))*(width-4) }
	d := &drawing{}
	d.raw(`<svg class="interval" viewBox="0 0 90 14" aria-hidden="true">`)
	d.line("scale", 2, height/2, width-2, height/2)
	d.rect("range", x(low), height/2-3, max(x(high)-x(low), 1.5), 6, "")
	d.line("share", x(share), 1, x(share), height-1)
	return d.end()
}
