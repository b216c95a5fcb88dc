package charts

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// hostile is text that would do harm where it is not escaped.
const hostile = "</script><svg onload=alert(1)>\"' \u202egnp.exe \x00\x1b[31m \xff&amp;"

var languages = []string{"en", "zh-Hans"}

// parse reads a drawing as XML and returns its elements by name, and all text.
func parse(t *testing.T, svg string) (elements map[string]int, text string) {
	t.Helper()
	elements = map[string]int{}
	ids := map[string]bool{}
	var refs []string
	d := xml.NewDecoder(strings.NewReader(svg))
	var b strings.Builder
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("no XML: %v in %.300q", err, svg)
		}
		switch e := tok.(type) {
		case xml.StartElement:
			elements[e.Name.Local]++
			for _, a := range e.Attr {
				switch {
				case a.Name.Local == "id":
					if ids[a.Value] {
						t.Errorf("the identifier %q is there twice", a.Value)
					}
					ids[a.Value] = true
				case e.Name.Local == "use" && a.Name.Local == "href", a.Name.Local == "clip-path":
					refs = append(refs, strings.TrimPrefix(strings.TrimSuffix(strings.TrimPrefix(a.Value, "url("), ")"), "#"))
				case strings.HasPrefix(a.Name.Local, "on"), a.Name.Local == "style":
					t.Errorf("attribute %s", a.Name.Local)
				}
				if strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") {
					t.Errorf("%s has %s=%q", e.Name.Local, a.Name.Local, a.Value)
				}
			}
		case xml.CharData:
			b.Write(e)
		}
	}
	for _, r := range refs {
		if !ids[r] {
			t.Errorf("a reference to %q, which is not there", r)
		}
	}
	if elements["script"] > 0 || elements["foreignObject"] > 0 {
		t.Errorf("elements that can act: %v", elements)
	}
	if elements["svg"] != 1 || elements["title"] == 0 || elements["desc"] != 1 {
		t.Errorf("a drawing needs one title and one desc: %v", elements)
	}
	return elements, b.String()
}

func frame() Frame {
	return Frame{ID: "k1", Languages: languages, Title: Words{"A title", "标题"}, Desc: Words{"What it shows", "内容"}}
}

func TestSequence(t *testing.T) {
	s := Sequence{Frame: frame(), Lanes: [3]Words{Say("client"), {"network", "网络"}, Say("proxy.example")}, Steps: []Step{
		{From: LaneClient, To: LaneFar, Time: "0 ms", Label: Say("SYN"), Href: "#f1"},
		{From: LaneClient, To: LaneFar, Label: Say("ClientHello"), Fate: EndsNetwork, Tone: ToneWarn, Number: "1–3"},
		{From: LaneFar, To: LaneClient, Label: Say("ServerHello"), Fate: Unacknowledged, Tone: ToneWarn},
		{From: LaneFar, To: LaneClient, Label: Say("RST"), Unsure: true, Tone: ToneBad, Detail: Say("TTL 77")},
		{Kind: StepFold, From: LaneFar, To: LaneClient, Double: true, Label: Words{"12 segments", "12 个报文段"}},
		{Kind: StepBreak, Label: Words{"nothing for 10 s", "10 s 内没有任何报文"}},
	}}
	svg := s.Draw()
	elements, text := parse(t, svg)
	for _, want := range []string{"SYN", "ClientHello", "1–3", "TTL 77", "12 segments", "12 个报文段", "nothing for 10 s", "网络"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the drawing", want)
		}
	}
	for what, want := range map[string]int{`class="cross"`: 1, `class="unheard"`: 2, `class="origin"`: 1, `class="tail"`: 1, `class="tear"`: 4, `class="head"`: 5, `class="proof"`: 1, `lang="zh-Hans"`: 3, `href="#f1"`: 1} {
		if got := strings.Count(svg, what); got != want {
			t.Errorf("%d × %s, want %d", got, what, want)
		}
	}
	if elements["a"] != 1 {
		t.Errorf("%d links, want 1", elements["a"])
	}
	if again := s.Draw(); again != svg {
		t.Error("drawn again it is another")
	}
}

func TestGraph(t *testing.T) {
	g := Graph{Frame: frame(), SeqName: Say("bytes"), RTTName: Say("RTT"),
		Segments: []Bar{{0, 1, 1449, false}, {1, 1449, 2897, false}, {200, 1, 1449, true}},
		Acks:     []Point{{0.5, 1}, {201, 2897}}, Windows: []Point{{0.5, 65_000}, {201, 65_000}},
		SACKs: []Bar{{2, 1449, 2897, false}}, RTT: []Point{{201, 1}},
		Bands: []Band{{1, 1500, Say("ClientHello")}, {1500, 2897, nil}},
		Marks: []Mark{{T: 200, Seq: 1449, Kind: MarkResent, Label: Say("#3"), Href: "#f3", Number: "2"}, {T: 2, Seq: 1, Kind: MarkDupAck}},
	}
	svg, scale := g.Draw()
	elements, text := parse(t, svg)
	if !strings.Contains(text, "ClientHello") || elements["use"] != 2 || elements["clipPath"] != 2 {
		t.Errorf("elements %v", elements)
	}
	for _, class := range []string{"segment", "again", "ack", "window", "sack", "rttdot", "halo", "record", "band"} {
		if !strings.Contains(svg, `class="`+class+`"`) {
			t.Errorf("nothing of class %s", class)
		}
	}
	if len(scale.Pieces) != 2 || scale.Y[0] > 1 || scale.Y[1] < 2897 || scale.Y[2] <= scale.Y[3] {
		t.Errorf("scale %+v: want a break in time, and sequence numbers that rise", scale)
	}
	if again, _ := g.Draw(); again != svg {
		t.Error("drawn again it is another")
	}
}

// A crowd of marks costs little each, and none is lost.
func TestCrowd(t *testing.T) {
	g := Graph{Frame: frame()}
	const n = 50_000
	for i := range n {
		g.Marks = append(g.Marks, Mark{T: float64(i), Seq: float64(i), Kind: MarkDupAck, Label: Say("#1"), Href: "#f1"})
	}
	g.Marks = append(g.Marks, Mark{T: 1, Seq: 1, Kind: MarkReset}, Mark{T: 2, Seq: 2, Kind: MarkDupAck, Number: "1"})
	svg, _ := g.Draw()
	elements, _ := parse(t, svg)
	if dots := strings.Count(svg, "h0M") + 1 + elements["use"]; dots < n || elements["use"] != mostMarks {
		t.Errorf("%d dots, %d marks of %d", dots, elements["use"], n)
	}
	if !strings.Contains(svg, `class="mk reset"`) || !strings.Contains(svg, `class="halo"`) {
		t.Error("what matters is lost in the crowd")
	}
	if len(svg) > 30*n {
		t.Errorf("%d bytes for %d marks", len(svg), n)
	}
}

func TestWaterfall(t *testing.T) {
	w := Waterfall{Frame: frame(), Span: 1000, Groups: []Group{
		{Name: Words{"go", "go"}, Rows: []Row{
			{Label: Say("proxy.example"), From: 0, To: 990, Died: true, Note: Say("tls.reset"), Href: "#c1", Parts: []Part{{PartConnect, 0, 20}, {PartQuiet, 20, 990}}},
			{Label: Say("DNS A"), From: 5, To: 6, Lookup: true, Parts: []Part{{PartDNS, 5, 6}}},
		}},
	}}
	svg := w.Draw()
	_, text := parse(t, svg)
	for _, want := range []string{"proxy.example", "tls.reset", "go", "400"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the drawing", want)
		}
	}
	for what, want := range map[string]int{`class="died"`: 1, `class="part quiet"`: 1, `class="part dns"`: 1} {
		if got := strings.Count(svg, what); got != want {
			t.Errorf("%d × %s, want %d", got, what, want)
		}
	}
}

// Text from outside is shown, not obeyed, wherever it may stand.
func TestHostileText(t *testing.T) {
	h := Words{hostile, hostile + "2"}
	f := Frame{ID: "k", Languages: languages, Title: h, Desc: h}
	s := Sequence{Frame: f, Lanes: [3]Words{h, h, h}, Steps: []Step{{Label: h, Detail: h, Time: hostile, Href: "#\"><b>", Number: hostile}, {Kind: StepFold, Label: h, Detail: h}, {Kind: StepBreak, Label: h}}}
	parse(t, s.Draw())
	g := Graph{Frame: f, SeqName: h, RTTName: h, RTT: []Point{{1, 1}}, Bands: []Band{{0, 10, h}}, Marks: []Mark{{Label: h, Number: hostile, Kind: MarkReset, Href: "#\"><b>"}}, Silence: func(float64) Words { return h }}
	svg, _ := g.Draw()
	parse(t, svg)
	w := Waterfall{Frame: f, Groups: []Group{{h, []Row{{Label: h, Note: h, Tip: h, Href: "#\"><b>"}}}}}
	parse(t, w.Draw())
}

// Whatever the numbers, a drawing is a drawing.
func TestOddNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	odd := []float64{0, -1, 1, math.NaN(), math.Inf(1), math.Inf(-1), 1e300, -1e300, 1e-300, 1 << 32, 1 << 62}
	num := func() float64 { return odd[r.IntN(len(odd))] }
	for range 300 {
		g := Graph{Frame: frame()}
		for range r.IntN(6) {
			g.Segments = append(g.Segments, Bar{num(), num(), num(), r.IntN(2) == 0})
			g.Acks = append(g.Acks, Point{num(), num()})
			g.Windows = append(g.Windows, Point{num(), num()})
			g.RTT = append(g.RTT, Point{num(), num()})
			g.Marks = append(g.Marks, Mark{T: num(), Seq: num(), Kind: MarkZero})
			g.Bands = append(g.Bands, Band{num(), num(), Say("x")})
		}
		svg, _ := g.Draw()
		parse(t, svg)
		w := Waterfall{Frame: frame(), Span: num(), Groups: []Group{{Rows: []Row{{From: num(), To: num(), Parts: []Part{{PartTLS, num(), num()}}}}}}}
		parse(t, w.Draw())
	}
}

func TestAxis(t *testing.T) {
	// Ten seconds of silence between two bursts would leave a line each.
	x := newAxis([]float64{0, 1, 2, 3, 10_003, 10_004}, 0, 1000)
	if len(x) != 2 {
		t.Fatalf("pieces %v", x)
	}
	if a, b := x.at(3)-x.at(0), x.at(10_004)-x.at(10_003); a < 400 || b < 100 {
		t.Errorf("bursts %v and %v wide", a, b)
	}
	// A client that sends again after 0.2, 0.4, 0.8 s … is to be seen as that.
	if x := newAxis([]float64{0, 200, 600, 1400, 3000, 6200, 12_600}, 0, 1000); len(x) != 1 {
		t.Errorf("the retransmission timer's doubling is broken: %v", x)
	}
	last := math.Inf(-1)
	for ms := -5.0; ms < 10_010; ms += 0.5 {
		at := x.at(ms)
		if at < last-1e-9 {
			t.Fatalf("time goes back at %v ms", ms)
		}
		last = at
	}
}

func TestNumbers(t *testing.T) {
	for in, want := range map[float64]string{0: "0", 0.5: ".5", -0.5: "-.5", 12.345: "12.35", 100: "100", -3: "-3", -0.001: "0"} {
		if got := string(appendNumber(nil, in)); got != want {
			t.Errorf("%v is written %s, want %s", in, got, want)
		}
	}
	for _, c := range []struct{ v, apart float64 }{{1500, 500}, {0.25, 0.05}, {20_000, 5000}} {
		if s := Millis(c.v, c.apart); s == "" || strings.Contains(s, "e") {
			t.Errorf("Millis(%v) = %q", c.v, s)
		}
	}
	if got := strings.Join([]string{Bytes(1.5e6, 5e5), Bytes(1500, 500), Millis(1500, 500)}, " "); got != "1.5\u202fMB 1500\u202fB 1500\u202fms" {
		t.Errorf("got %q", got)
	}
}

// Rings of evidence cover no other, and stand within the picture; a lone one
// stays where it belongs.
func TestRings(t *testing.T) {
	var r rings
	for i := range 5 {
		x := 500 + float64(i)
		at := x + r.place(x, 100)
		for _, o := range r[:len(r)-1] {
			if math.Abs(o[0]-at) < 19 {
				t.Errorf("ring %d at %g covers that at %g", i, at, o[0])
			}
		}
	}
	if aside := (&rings{}).place(500, 100); aside != 0 {
		t.Errorf("a lone ring stands %g beside its place", aside)
	}
	if aside := r.place(501, 200); aside != 0 {
		t.Errorf("a ring far above another stands %g beside its place", aside)
	}
	edge := rings{{graphRight - 12, 50}}
	if aside := edge.place(graphRight-12, 50); aside >= 0 {
		t.Errorf("at the edge a ring goes %g out of the picture", aside)
	}
	crowd := rings{}
	for range 50 {
		crowd.place(500, 100)
	}
	if len(crowd) > 6 {
		t.Errorf("%d rings of a crowd found a place", len(crowd))
	}
}
