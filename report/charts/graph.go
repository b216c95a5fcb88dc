package charts

import (
	"math"
	"slices"
)

// Graph is a time-sequence graph of one direction of a connection, as tcptrace
// draws it: segments as bars from their first to their last byte, the
// receiver's acknowledgements and window as stairs, and what was remarkable as
// marks. A panel below shows round-trip times.
type Graph struct {
	Frame
	// Segments are in order of time.
	Segments []Bar
	// Acks and Windows are the stairs of the receiver: what it had
	// acknowledged, and up to where it had room.
	Acks, Windows []Point
	SACKs         []Bar
	Marks         []Mark
	Bands         []Band
	RTT           []Point
	// Names of what is drawn, for the axes.
	SeqName, RTTName Words
	// Silence is the text of a break in the time axis; %s is how long.
	Silence func(ms float64) Words
}

// Point is a value at a time, in milliseconds since the connection began.
type Point struct{ T, V float64 }

// Bar is a range of sequence numbers at a time.
type Bar struct {
	T, From, To float64
	// Again is true where the bytes were sent before.
	Again bool
}

// MarkKind is a shape.
type MarkKind string

// The shapes of marks. Each has its own, besides its colour.
const (
	MarkResent  MarkKind = "resent"  // a diamond
	MarkDupAck  MarkKind = "dupack"  // a small cross-bar
	MarkLost    MarkKind = "lost"    // a gap: two short bars
	MarkReset   MarkKind = "reset"   // a cross
	MarkFIN     MarkKind = "fin"     // a square
	MarkSYN     MarkKind = "syn"     // a triangle
	MarkZero    MarkKind = "zero"    // a ring with a bar
	MarkAlive   MarkKind = "alive"   // a ring
	MarkICMP    MarkKind = "icmp"    // a triangle that stands on its tip
	MarkAlert   MarkKind = "alert"   // an exclamation mark
	MarkOrdered MarkKind = "ordered" // two dots: out of order
)

// shapes are paths around the origin.
var shapes = []struct {
	kind MarkKind
	path string
}{
	{MarkResent, "M0-5 5 0 0 5-5 0z"},
	{MarkDupAck, "M-4 0h8M0-2.5v5"},
	{MarkLost, "M-5-2h10M-5 2h10"},
	{MarkReset, "M-5-5 5 5M5-5-5 5"},
	{MarkFIN, "M-4-4h8v8h-8z"},
	{MarkSYN, "M0-5 5 4h-10z"},
	{MarkZero, "M-5 0h10M0-5a5 5 0 1 0 .01 0z"},
	{MarkAlive, "M0-4a4 4 0 1 0 .01 0z"},
	{MarkICMP, "M0 5 5-4h-10z"},
	{MarkAlert, "M0-6v7M0 4v1.5"},
	{MarkOrdered, "M-3 0h.01M3 0h.01"},
}

// Shape draws one mark alone, for a legend.
func Shape(k MarkKind) string {
	for _, s := range shapes {
		if s.kind == k {
			return `<svg class="shape" viewBox="-7 -7 14 14" aria-hidden="true"><path class="mk ` + string(k) + `" d="` + s.path + `"/></svg>`
		}
	}
	return ""
}

// Mark is something remarkable at a time and sequence number.
type Mark struct {
	T, Seq float64
	Kind   MarkKind
	Label  Words // what it is, with its frame
	Href   string
	// Number is that of the evidence that speaks of it, empty for none.
	Number string
	// Calm is true where a reset or alert ended nothing before its time.
	Calm bool
}

// Band is a TLS record's range of sequence numbers.
type Band struct {
	From, To float64
	Label    Words // empty for a record whose content is not readable
}

// Measures of a graph.
const (
	graphWidth  = 1000.0
	graphLeft   = 78.0
	graphRight  = 986.0
	graphTop    = 18.0
	graphBottom = 372.0
	rttTop      = 408.0
	rttBottom   = 484.0
	graphFont   = 11.0
	gutter      = 10.0 // width of the TLS records at the left edge
	// mostMarks is how many marks are drawn as elements of their own; further
	// ones of a kind that comes in crowds become dots of one path.
	mostMarks = 400
)

// Scale is what a script needs to know to find a packet on a drawn graph.
type Scale struct {
	// Pieces are stretches of the time axis: from, to in milliseconds, and
	// the places of both.
	Pieces [][4]float64 `json:"x"`
	// Y is the least and the greatest sequence number, and their places.
	Y [4]float64 `json:"y"`
}

// Draw draws the graph and returns its scale.
func (g *Graph) Draw() (string, Scale) {
	var times []float64
	low, high := math.Inf(1), math.Inf(-1)
	reach := func(v float64) { low, high = min(low, v), max(high, v) }
	for _, s := range g.Segments {
		times = append(times, s.T)
		reach(s.From)
		reach(s.To)
	}
	for _, m := range g.Marks {
		times = append(times, m.T)
		reach(m.Seq)
	}
	for _, p := range g.Acks {
		times = append(times, p.T)
		reach(p.V)
	}
	for _, s := range g.SACKs {
		times = append(times, s.T)
		reach(s.To)
	}
	for _, p := range g.RTT {
		times = append(times, p.T)
	}
	if low > high {
		low, high = 0, 1
	}
	if pad := max((high-low)*0.06, 1); true {
		low, high = max(low-pad/2, min(low, 0)), high+pad
	}
	bottom := graphBottom
	height := rttBottom + 26
	if len(g.RTT) == 0 {
		height = graphBottom + 26
	}
	x := newAxis(times, graphLeft+gutter+10, graphRight-10)
	y := func(v float64) float64 { return bottom - (v-low)/(high-low)*(bottom-graphTop) }
	d := begin(&g.Frame, "tsg", graphWidth, height, "")
	clip := g.ID + "-c"
	d.raw(`<clipPath id="`, clip, `">`)
	d.rect("", graphLeft, graphTop-8, graphRight-graphLeft, bottom-graphTop+16, "")
	d.raw("</clipPath>")
	g.drawShapes(d)
	d.raw(`<g class="axis">`)
	for _, v := range ticks(low, high, 6) {
		d.line("grid", graphLeft, y(v), graphRight, y(v))
		d.text("tick e", graphLeft-6, y(v)+3.5, Say(Bytes(v, step(high-low, 6))))
	}
	g.drawTime(d, x, bottom)
	d.raw("</g>")
	d.text("axisname", graphLeft, graphTop-6, g.SeqName)
	d.raw(`<g clip-path="url(#`, clip, `)"><g class="plot">`)
	g.drawBands(d, y, low, high)
	g.drawStairs(d, "window", g.Windows, x, y, high)
	g.drawStairs(d, "ack", g.Acks, x, y, high)
	drawBars(d, "sack", g.SACKs, x, y, false)
	drawBars(d, "segment", g.Segments, x, y, false)
	drawBars(d, "again", g.Segments, x, y, true)
	g.drawMarks(d, x, y)
	d.raw("</g></g>")
	if len(g.RTT) > 0 {
		g.drawRTT(d, x)
	}
	scale := Scale{Y: [4]float64{low, high, y(low), y(high)}}
	for _, p := range x {
		scale.Pieces = append(scale.Pieces, [4]float64{p.from, p.to, p.left, p.right})
	}
	return d.end(), scale
}

func (g *Graph) drawShapes(d *drawing) {
	used := map[MarkKind]bool{}
	for i := range g.Marks {
		used[g.Marks[i].Kind] = true
	}
	d.raw("<defs>")
	for _, s := range shapes {
		if used[s.kind] {
			d.raw(`<path id="`, g.ID, "-", string(s.kind), `" d="`, s.path, `"/>`)
		}
	}
	d.raw("</defs>")
}

func (g *Graph) drawTime(d *drawing, x axis, bottom float64) {
	for i, p := range x {
		apart := step(p.to-p.from, max(int((p.right-p.left)/110), 1))
		if p.to <= p.from {
			d.line("tickmark", (p.left+p.right)/2, bottom, (p.left+p.right)/2, bottom+4)
			d.text("tick m", (p.left+p.right)/2, bottom+16, Say(Millis(p.from, max(p.from/100, 0.01))))
		} else {
			last := math.Inf(-1)
			for _, t := range ticks(p.from, p.to, max(int((p.right-p.left)/110), 1)) {
				at := x.at(t)
				d.line("grid", at, graphTop-4, at, bottom)
				if at-last > 56 {
					d.text("tick m", at, bottom+16, Say(Millis(t, apart)))
					last = at
				}
			}
		}
		if i+1 < len(x) {
			d.rect("pause", p.right, graphTop-4, breakWidth, bottom-graphTop+4, "")
			if g.Silence != nil {
				mid := p.right + breakWidth/2
				d.raw(`<g transform="rotate(-90 `)
				d.number(mid)
				d.raw(" ")
				d.number((graphTop + bottom) / 2)
				d.raw(`)">`)
				d.text("pausetext m", mid, (graphTop+bottom)/2+4, g.Silence(x[i+1].from-p.to))
				d.raw("</g>")
			}
		}
	}
	d.line("base", graphLeft, bottom, graphRight, bottom)
	d.line("base", graphLeft, graphTop-4, graphLeft, bottom)
}

// drawBands draws TLS records at the left edge, and across where they are
// readable. Those too thin to be told apart become one.
func (g *Graph) drawBands(d *drawing, y func(float64) float64, low, high float64) {
	const thin = 2.5
	var last float64 = math.Inf(1)
	odd := false
	for i := range g.Bands {
		b := &g.Bands[i]
		top, bottom := y(min(b.To, high)), y(max(b.From, low))
		readable := b.Label.in(0) != ""
		if bottom-top < thin && !readable && math.Abs(last-top) < thin {
			continue
		}
		last = top
		class := "record"
		if odd {
			class = "record odd"
		}
		odd = !odd
		d.raw("<g>")
		d.tip(b.Label)
		if readable {
			d.rect("band", graphLeft, top, graphRight-graphLeft, max(bottom-top, 0.5), "")
		}
		d.rect(class, graphLeft, top, gutter, max(bottom-top, 0.6), "")
		d.raw("</g>")
		if readable && bottom-top >= 11 {
			d.text("bandtext e", graphRight-6, (top+bottom)/2+3.5, b.Label.cut(10, 300))
		}
	}
}

// drawStairs draws values that hold until the next one.
func (g *Graph) drawStairs(d *drawing, class string, points []Point, x axis, y func(float64) float64, high float64) {
	if len(points) == 0 {
		return
	}
	d.raw(`<path class="`, class, `" d="`)
	lastX, lastY := 0.0, 0.0
	for i, p := range points {
		// Far above the picture one place is as good as another.
		px, py := round(x.at(p.T)), round(y(min(p.V, high*2)))
		switch {
		case i == 0:
			d.raw("M")
			d.number(px)
			d.raw(" ")
			d.number(py)
		default:
			if px != lastX {
				d.raw("h")
				d.number(px - lastX)
			}
			if py != lastY {
				d.raw("v")
				d.number(py - lastY)
			}
		}
		lastX, lastY = px, py
	}
	end := x[len(x)-1].right
	if end > lastX {
		d.raw("h")
		d.number(end - lastX)
	}
	d.raw(`"/>`)
}

func round(v float64) float64 { return math.Round(v*100) / 100 }

// drawBars draws ranges as upright lines, in one path.
func drawBars(d *drawing, class string, bars []Bar, x axis, y func(float64) float64, again bool) {
	open := false
	lastX, lastY := 0.0, 0.0
	for _, b := range bars {
		if b.Again != again {
			continue
		}
		px, top, bottom := round(x.at(b.T)), round(y(b.To)), round(y(b.From))
		if bottom-top < 1.2 { // always to be seen
			mid := (top + bottom) / 2
			top, bottom = round(mid-0.6), round(mid+0.6)
		}
		if !open {
			d.raw(`<path class="`, class, `" d="M`)
			d.number(px)
			d.raw(" ")
			d.number(bottom)
			open = true
		} else {
			d.raw("m")
			d.number(px - lastX)
			if v := bottom - lastY; v >= 0 {
				d.raw(" ")
				d.number(v)
			} else {
				d.number(v)
			}
		}
		d.raw("v")
		d.number(top - bottom)
		lastX, lastY = px, top
	}
	if open {
		d.raw(`"/>`)
	}
}

// drawMarks draws marks: the proofs last, on top of all others.
func (g *Graph) drawMarks(d *drawing, x axis, y func(float64) float64) {
	order := make([]int, len(g.Marks))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return rank(&g.Marks[a]) - rank(&g.Marks[b]) })
	crowds := map[MarkKind][]int{}
	var kinds []MarkKind
	if spare := len(order) - mostMarks; spare > 0 {
		for _, i := range order[:spare] {
			k := g.Marks[i].Kind
			if crowds[k] == nil {
				kinds = append(kinds, k)
			}
			crowds[k] = append(crowds[k], i)
		}
		order = order[spare:]
	}
	for _, k := range kinds {
		d.raw(`<path class="crowd `, string(k), `" d="`)
		for _, i := range crowds[k] {
			d.raw("M")
			d.number(x.at(g.Marks[i].T))
			d.raw(" ")
			d.number(y(g.Marks[i].Seq))
			d.raw("h0")
		}
		d.raw(`"/>`)
	}
	var beside rings
	for _, i := range order {
		m := &g.Marks[i]
		px, py := x.at(m.T), y(m.Seq)
		label := m.Label.in(0)
		if m.Number != "" {
			label = m.Number + ": " + label
		}
		d.link(m.Href, label)
		d.raw(`<g class="at" transform="translate(`)
		d.number(px)
		d.raw(" ")
		d.number(py)
		d.raw(`)">`)
		d.tip(m.Label)
		aside := 0.0
		if m.Number != "" {
			aside = beside.place(px, py)
		}
		if aside != 0 {
			d.line("leader", 0, 0, aside, 0)
			d.raw(`<g transform="translate(`)
			d.number(aside)
			d.raw(`)">`)
		}
		if m.Number != "" {
			d.raw(`<circle class="halo" r="9.5"/>`)
		}
		class := string(m.Kind)
		if m.Calm {
			class += " calm"
		}
		d.raw(`<use class="mk `, class, `" href="#`, g.ID, "-", string(m.Kind), `"/>`)
		if m.Number != "" {
			// At a corner, where neither an upright bar nor a level stair runs.
			up, to, anchor := -9.0, 9.0, "prooftext"
			if py < graphTop+22 {
				up = 17
			}
			if px+aside > graphRight-36 {
				to, anchor = -9, "prooftext e"
			}
			d.text(anchor, to, up, Say(cut(m.Number, 10, 30)))
		}
		if aside != 0 {
			d.raw("</g>")
		}
		d.raw("</g>")
		d.unlink(m.Href)
	}
}

// rings are the places of the rings of evidence that are drawn.
type rings [][2]float64

// place returns how far beside its place a ring is drawn so that it covers no
// other, and takes that place; a crowd covers itself.
func (r *rings) place(x, y float64) float64 {
	const apart, most = 26.0, 6
	for i := range most {
		// By turns to the right and to the left, within the picture.
		aside := apart * float64((i+1)/2)
		if i%2 == 0 {
			aside = -aside
		}
		at := x + aside
		if at < graphLeft+gutter || at > graphRight-10 {
			continue
		}
		free := true
		for _, o := range *r {
			free = free && (math.Abs(o[0]-at) >= apart-3 || math.Abs(o[1]-y) >= apart-3)
		}
		if free {
			*r = append(*r, [2]float64{at, y})
			return aside
		}
	}
	return 0
}

// rank says what is drawn above what.
func rank(m *Mark) int {
	n := 0
	switch m.Kind {
	case MarkDupAck, MarkOrdered:
	case MarkResent, MarkLost, MarkAlive:
		n = 1
	default:
		n = 2
	}
	if m.Number != "" {
		n += 10
	}
	return n
}

func (g *Graph) drawRTT(d *drawing, x axis) {
	most := 0.0
	for _, p := range g.RTT {
		most = max(most, p.V)
	}
	if most <= 0 {
		most = 1
	}
	most *= 1.1
	y := func(v float64) float64 { return rttBottom - v/most*(rttBottom-rttTop) }
	apart := step(most, 3)
	d.raw(`<g class="axis">`)
	for _, v := range ticks(0, most, 3) {
		d.line("grid", graphLeft, y(v), graphRight, y(v))
		d.text("tick e", graphLeft-6, y(v)+3.5, Say(Millis(v, apart)))
	}
	d.line("base", graphLeft, rttTop-4, graphLeft, rttBottom)
	d.text("axisname", graphLeft, rttTop-6, g.RTTName)
	d.raw(`</g><g clip-path="url(#`, g.ID, `-r)"><g class="plot rtt"><path class="rttdot" d="`)
	for _, p := range g.RTT {
		d.raw("M")
		d.number(x.at(p.T))
		d.raw(" ")
		d.number(y(p.V))
		d.raw("h0")
	}
	d.raw(`"/></g></g><clipPath id="`, g.ID, `-r">`)
	d.rect("", graphLeft, rttTop-4, graphRight-graphLeft, rttBottom-rttTop+8, "")
	d.raw("</clipPath>")
}
