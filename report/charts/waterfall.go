package charts

import "math"

// Waterfall shows what happened when: one bar for each connection and lookup,
// by process.
type Waterfall struct {
	Frame
	// Span is how many milliseconds the capture lasted.
	Span   float64
	Groups []Group
}

// Group is what one process did.
type Group struct {
	Name Words
	Rows []Row
}

// Row is one connection or lookup.
type Row struct {
	Label Words
	// From and To are its times in milliseconds since the capture began.
	From, To float64
	Parts    []Part
	// Died puts a cross at its end.
	Died bool
	// Note stands behind the bar.
	Note Words
	Tip  Words
	Href string
	// Lookup draws a lookup rather than a connection.
	Lookup bool
}

// PartKind is a stage of a connection. It is a class of the style sheet.
type PartKind string

// The stages that are drawn, each with a height of its own besides its colour.
const (
	PartDNS      PartKind = "dns"
	PartConnect  PartKind = "connect"
	PartTLS      PartKind = "tls"
	PartFirst    PartKind = "first"
	PartTransfer PartKind = "transfer"
	PartQuiet    PartKind = "quiet"
)

// heights are shares of a row's height.
var heights = map[PartKind]float64{PartDNS: 0.45, PartConnect: 0.6, PartTLS: 0.8, PartFirst: 0.45, PartTransfer: 1, PartQuiet: 0.3}

// Part is one stage.
type Part struct {
	Kind     PartKind
	From, To float64
}

// Swatch draws one stage alone, for a legend.
func Swatch(k PartKind) string {
	d := &drawing{}
	d.raw(`<svg class="swatch" viewBox="0 0 22 14" aria-hidden="true">`)
	h := 12 * heights[k]
	d.rect("part "+string(k), 1, 7-h/2, 20, h, "")
	return d.end()
}

// Measures of a waterfall.
const (
	fallWidth = 1000.0
	fallLeft  = 250.0
	fallRight = 980.0
	fallTop   = 30.0
	fallRow   = 20.0
	fallGroup = 24.0
	fallBar   = 13.0
)

// Draw draws the waterfall.
func (w *Waterfall) Draw() string {
	height := fallTop + 10
	for i := range w.Groups {
		height += float64(len(w.Groups[i].Rows))*fallRow + 4
		if w.Groups[i].Name.in(0) != "" {
			height += fallGroup
		}
	}
	span := w.Span
	if span <= 0 {
		span = 1
	}
	x := func(ms float64) float64 { return fallLeft + max(min(ms/span, 1), 0)*(fallRight-fallLeft) }
	d := begin(&w.Frame, "fall", fallWidth, height, "")
	d.raw(`<g class="axis">`)
	apart := step(span, 7)
	for _, v := range ticks(0, span, 7) {
		d.line("grid", x(v), fallTop-6, x(v), height-6)
		anchor := "tick m"
		if v == 0 {
			anchor = "tick s"
		}
		d.text(anchor, x(v), fallTop-12, Say(Millis(v, apart)))
	}
	d.raw("</g>")
	y := fallTop
	for i := range w.Groups {
		g := &w.Groups[i]
		if g.Name.in(0) != "" {
			d.text("group", 4, y+16, g.Name.cut(12, fallWidth-20))
			y += fallGroup
		}
		for k := range g.Rows {
			g.Rows[k].draw(d, y, x)
			y += fallRow
		}
		y += 4
	}
	return d.end()
}

func (r *Row) draw(d *drawing, y float64, x func(float64) float64) {
	mid := y + fallRow/2
	d.link(r.Href, "")
	d.raw("<g>")
	d.tip(r.Tip)
	d.rect("hit", 0, y, fallWidth, fallRow, "")
	class := "rowname"
	if r.Lookup {
		class = "rowname lookup"
	}
	d.text(class, 14, mid+4, r.Label.cut(11.5, fallLeft-30))
	from, to := x(r.From), x(r.To)
	to = max(to, from+2)
	d.line("life", from, mid, to, mid)
	for _, p := range r.Parts {
		h := fallBar * heights[p.Kind]
		left := x(p.From)
		d.rect("part "+string(p.Kind), left, mid-h/2, max(x(p.To)-left, 1.2), h, "")
	}
	end := to
	if r.Died {
		d.raw(`<path class="died" d="M`)
		d.number(end - 4)
		d.raw(" ")
		d.number(mid - 4)
		d.raw(`l8 8m0-8l-8 8"/>`)
		end += 5
	}
	if r.Note.in(0) != "" {
		// Behind the bar where there is room, else on it, else before it.
		wide := 0.0
		for i := range r.Note {
			wide = max(wide, Width(r.Note[i], 10.5))
		}
		switch {
		case end+6+wide <= fallWidth:
			d.text("rownote", end+6, mid+3.5, r.Note)
		case end-from > wide+24, from-6-wide < fallLeft:
			// On the bar, beside its cross.
			d.text("rownote onbar e", math.Min(end, fallRight)-12, mid+3.5, r.Note)
		default:
			d.text("rownote e", from-6, mid+3.5, r.Note)
		}
	}
	d.raw("</g>")
	d.unlink(r.Href)
}
