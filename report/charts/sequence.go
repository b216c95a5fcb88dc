package charts

// Sequence is a diagram of who sent what to whom, time running down, in three
// lanes: the client, the network between, and the far end.
type Sequence struct {
	Frame
	Lanes [3]Words
	Steps []Step
}

// Lane is an end of a Step.
type Lane uint8

// The lanes, from left to right.
const (
	LaneClient Lane = iota
	LaneNetwork
	LaneFar
)

// Fate says what became of a segment after it was captured.
type Fate uint8

const (
	// Arrived is the fate of most.
	Arrived Fate = iota
	// EndsNear, EndsNetwork and EndsSomewhere show no sign of having arrived:
	// the arrow ends with a cross beside its sender or in the network lane,
	// in EndsSomewhere with a dotted rest, because it may have arrived.
	EndsNear
	EndsNetwork
	EndsSomewhere
	// Unacknowledged came to the end of its arrow, as far as is known, and was
	// not acknowledged: a bar stands before the head.
	Unacknowledged
)

// Cut reports whether an arrow ends before its lane: nothing tells that the
// segment arrived.
func (f Fate) Cut() bool { return f == EndsNear || f == EndsNetwork || f == EndsSomewhere }

// StepKind says what a Step is.
type StepKind uint8

const (
	// StepArrow is one segment or message.
	StepArrow StepKind = iota
	// StepFold stands for many that are not drawn one by one.
	StepFold
	// StepBreak is time in which nothing happened, or nothing is drawn.
	StepBreak
)

// Tone says how a Step or mark stands out. A tone is a class of the style
// sheet; a shape or word goes with each that matters.
type Tone string

// The tones.
const (
	TonePlain Tone = "plain"
	ToneData  Tone = "data" // carries payload
	ToneTLS   Tone = "tls"  // carries a readable TLS message
	ToneWarn  Tone = "warn" // repeated, lost, out of order
	ToneBad   Tone = "bad"  // ends the connection before its time
)

// Step is one line of a Sequence.
type Step struct {
	Kind     StepKind
	From, To Lane
	Fate     Fate
	// Unsure is true where the sender is not known to be the end it names: the
	// arrow begins in the network lane, with a dotted tail to that end.
	Unsure bool
	// Double is true for traffic in both directions (a fold).
	Double bool
	Time   string
	Label  Words
	Detail Words // smaller, below the label
	Tone   Tone
	Href   string
	// Number is that of the sentence of evidence that speaks of it, empty for
	// none.
	Number string
}

// Measures of a sequence diagram.
const (
	seqWidth  = 720.0
	seqTop    = 50.0
	seqTime   = 84.0 // right edge of the times
	seqFont   = 12.5
	seqSmall  = 10.5
	seqArrow  = 34.0 // height of a line with an arrow
	seqDetail = 13.0 // more for a detail
	seqFold   = 46.0
	seqBreak  = 34.0
	seqBeyond = 24.0 // of a cross behind the network's middle, up to which labels reach
)

var laneX = [...]float64{130, 415, 690}

// Draw draws the diagram.
func (s *Sequence) Draw() string {
	height := seqTop + 14
	for i := range s.Steps {
		height += s.Steps[i].height()
	}
	d := begin(&s.Frame, "seq", seqWidth, height, "")
	for i, x := range laneX {
		class := "lane"
		if Lane(i) == LaneNetwork {
			class = "lane net"
			d.rect("cloud", x-44, 34, 88, height-42, ` rx="6"`)
		}
		d.line(class, x, 36, x, height-8)
		anchor := "lanename m"
		if Lane(i) == LaneFar {
			anchor = "lanename e"
		}
		room := 200.0
		at := x
		if Lane(i) == LaneFar {
			at = seqWidth - 4
		}
		d.text(anchor, at, 22, s.Lanes[i].cut(13, room))
	}
	y := seqTop
	for i := range s.Steps {
		st := &s.Steps[i]
		st.draw(d, y)
		y += st.height()
	}
	return d.end()
}

func (st *Step) height() float64 {
	h := seqArrow
	switch st.Kind {
	case StepFold:
		return seqFold
	case StepBreak:
		return seqBreak
	}
	if st.Detail.in(0) != "" {
		h += seqDetail
	}
	return h
}

func (st *Step) draw(d *drawing, y float64) {
	d.raw(`<g class="step `, string(st.Tone), `">`)
	switch st.Kind {
	case StepBreak:
		st.drawBreak(d, y)
	case StepFold:
		st.drawFold(d, y)
	default:
		st.drawArrow(d, y)
	}
	d.raw("</g>")
}

func (st *Step) drawBreak(d *drawing, y float64) {
	mid := y + seqBreak/2
	for _, x := range [...]float64{laneX[LaneClient], laneX[LaneFar]} {
		d.rect("gap", x-3, mid-7, 6, 14, "")
		d.line("tear", x-7, mid-3, x+7, mid-7)
		d.line("tear", x-7, mid+7, x+7, mid+3)
	}
	// The network's lane is not torn: the text stands there.
	d.rect("gap", laneX[LaneNetwork]-3, y+2, 6, seqBreak-4, "")
	d.text("breaktext m", laneX[1], mid+4, st.Label.cut(seqFont, 460))
}

func (st *Step) drawFold(d *drawing, y float64) {
	top, h := y+2, seqFold-10
	d.text("time e", seqTime, top+14, Say(st.Time))
	d.link(st.Href, "")
	d.rect("fold", laneX[0]+6, top, laneX[2]-laneX[0]-12, h, ` rx="4"`)
	left, right := laneX[0]+6, laneX[2]-6
	if st.Double || st.From < st.To {
		head(d, right+4, top+h/2, 1)
	}
	if st.Double || st.From > st.To {
		head(d, left-4, top+h/2, -1)
	}
	room := right - left - 24
	mid := (left + right) / 2
	if st.Detail.in(0) == "" {
		d.text("label m", mid, top+h/2+4, st.Label.cut(seqFont, room))
	} else {
		d.text("label m", mid, top+15, st.Label.cut(seqFont, room))
		d.text("detail m", mid, top+29, st.Detail.cut(seqSmall, room))
	}
	d.unlink(st.Href)
}

func (st *Step) drawArrow(d *drawing, y float64) {
	line := y + 22
	from, to := laneX[st.From], laneX[st.To]
	way := 1.0
	if to < from {
		way = -1
	}
	d.text("time e", seqTime, line+4, Say(st.Time))
	d.link(st.Href, "")
	begin, tip := from, to-way*2
	if st.Unsure {
		begin = laneX[LaneNetwork]
		d.line("tail", from, line, begin, line)
		d.raw(`<circle class="origin" r="4"`)
		d.attr("cx", begin)
		d.attr("cy", line)
		d.raw("/>")
	}
	switch st.Fate {
	case EndsNear:
		// Off the lane, and beyond the label's own end: labels stand above.
		tip = from + way*(laneX[LaneNetwork]-laneX[LaneClient])*0.3
	case EndsNetwork:
		tip = laneX[LaneNetwork] + way*seqBeyond
	case EndsSomewhere:
		tip = laneX[LaneNetwork] + way*seqBeyond
		d.line("tail", tip, line, to, line)
	}
	d.line("arrow", begin, line, tip, line)
	if st.Fate.Cut() {
		d.raw(`<path class="cross" d="M`)
		d.number(tip - 5)
		d.raw(" ")
		d.number(line - 5)
		d.raw(`l10 10m0-10l-10 10"/>`)
	} else {
		head(d, tip+way*1, line, way)
		if st.Fate == Unacknowledged {
			d.line("unheard", tip-way*13, line-6, tip-way*13, line+6)
			d.line("unheard", tip-way*17, line-6, tip-way*17, line+6)
		}
	}
	x, anchor := from+way*10, "s"
	if way < 0 {
		anchor = "e"
	}
	room := laneX[2] - laneX[0] - 40
	if from == laneX[LaneNetwork] || to == laneX[LaneNetwork] {
		room = laneX[1] - laneX[0] - 20
	}
	if st.Number != "" {
		// The numbers of the evidence stand at the sender's side.
		number := cut(st.Number, 9.5, 60)
		w := max(Width(number, 9.5)+9, 16)
		left := x - 8
		if way < 0 {
			left = x + 8 - w
		}
		d.raw(`<g class="proof">`)
		d.rect("", left, line-18, w, 15, ` rx="7.5"`)
		d.text("m", left+w/2, line-7.2, Say(number))
		d.raw("</g>")
		x += way * (w - 2)
		room -= w
	}
	d.text("label "+anchor, x, line-6, st.Label.cut(seqFont, room))
	if st.Detail.in(0) != "" {
		// Below the arrow there is nothing but this: it may be long.
		d.text("detail", laneX[0]+10, line+14, st.Detail.cut(seqSmall, laneX[2]-laneX[0]-20))
	}
	d.unlink(st.Href)
}

// head draws an arrow's head with its tip at x, y.
func head(d *drawing, x, y, way float64) {
	d.raw(`<path class="head" d="M`)
	d.number(x)
	d.raw(" ")
	d.number(y)
	d.raw("l")
	d.number(-8 * way)
	d.raw("-4.5v9z\"/>")
}
