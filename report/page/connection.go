package page

import (
	"encoding/json"
	"html/template"
	"strconv"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/report"
	"goproxytrace/report/charts"
	"goproxytrace/report/page/frame"
)

// connView is a connection with diagrams.
type connView struct {
	ID      int64
	Heading string
	Class   string
	Died    bool
	Subject bool
	Summary []span
	Facts   []fact
	Proofs  []proofView
	// Sequence and Graphs are drawings, empty without segments.
	Sequence template.HTML
	Graphs   []graphView
	Legend   []legend
	// Packets is the table that shows: all packets, or the evidence among
	// them; then All has the whole.
	Packets packetTable
	All     *packetTable
	AllName []span
	Thinned []span
	Columns template.HTML

	verdict func(*report.Document) *report.Verdict
}

type graphView struct {
	ID     string
	Title  []span
	SVG    template.HTML
	Second bool
}

// connections makes the diagrams.
func (v *view) connections(anchors map[int64]bool) error {
	b := v.b
	traced, trouble, err := b.docs[0].Traced(mostTraced)
	if err != nil {
		return err
	}
	if trouble != nil {
		v.Trouble = b.spans(b.say("page.trouble", diagnose.Text("reason", frame.Tame(trouble.Error()))))
	}
	// The same connections in the other languages, for their verdicts' words.
	words := make([]map[int64]*report.Verdict, len(b.docs))
	for i, d := range b.docs {
		words[i] = map[int64]*report.Verdict{}
		list, _, err := d.Foremost(mostTraced)
		if err != nil {
			return err
		}
		for _, c := range list {
			words[i][c.ID] = &c.Verdict
		}
	}
	proofs := numbers(&b.docs[0].Verdict)
	for i := range traced {
		c := &traced[i]
		cv := connView{
			ID: c.ID, Heading: heading(c.Connection), Class: c.Verdict.Class, Died: c.Verdict.Died, Subject: c.ID == b.docs[0].Subject,
			verdict: func(d *report.Document) *report.Verdict {
				for k := range b.docs {
					if b.docs[k] == d && words[k][c.ID] != nil {
						return words[k][c.ID]
					}
				}
				return &c.Verdict
			},
		}
		cv.Summary = b.spans(b.each(func(d *report.Document) string { return cv.verdict(d).Summary }))
		cv.Facts = b.connFacts(c)
		if len(c.Trace.Segments) > 0 {
			f := newFlow(b, c, i, proofs)
			cv.draw(f, anchors)
		}
		v.Conns = append(v.Conns, cv)
	}
	return nil
}

func (cv *connView) draw(f *flow, anchors map[int64]bool) {
	id := "k" + strconv.FormatInt(cv.ID, 10)
	b := f.book
	rows := f.rows(anchors) // first: the drawings lead there
	if len(rows) > mostOpen {
		foremost := f.foremost(rows)
		all := newPacketTable(rows)
		cv.Packets, cv.All = newPacketTable(foremost), &all
		cv.AllName = b.spans(b.count("page.all-packets", uint64(f.conn.Trace.Total)))
	} else {
		cv.Packets = newPacketTable(rows)
	}
	seq := charts.Sequence{
		Frame: charts.Frame{
			ID: id + "s", Languages: b.tags, LabelledBy: id + "sh",
			Title: b.join("colon", b.say("page.sequence"), charts.Say(cv.Heading)),
			Desc:  b.say("page.sequence-desc", diagnose.Num("segments", int64(f.conn.Trace.Total)), diagnose.Text("server", cv.Heading)),
		},
		Lanes: [3]charts.Words{f.clientName(), b.say("page.network"), f.farName()},
		Steps: f.steps(),
	}
	cv.Sequence = template.HTML(seq.Draw())
	used := map[charts.MarkKind]bool{}
	scales := []any{}
	for i, dir := range f.directions() {
		g := f.graph(dir)
		gid := id + "g" + strconv.Itoa(i)
		title := "page.graph-far"
		if dir {
			title = "page.graph-client"
		}
		g.Frame = charts.Frame{
			ID: gid, Languages: b.tags, LabelledBy: gid + "h",
			Title: b.join("colon", b.say(title), charts.Say(cv.Heading)),
			Desc:  b.say("page.graph-desc", diagnose.Num("segments", int64(len(g.Segments))), diagnose.Num("marks", int64(len(g.Marks))), diagnose.Num("rtts", int64(len(g.RTT)))),
		}
		svg, scale := g.Draw()
		cv.Graphs = append(cv.Graphs, graphView{ID: gid, Title: b.spans(b.say(title)), SVG: template.HTML(svg), Second: i > 0})
		client := 0
		if dir {
			client = 1
		}
		scales = append(scales, map[string]any{"id": gid, "client": client, "scale": scale})
		for k := range g.Marks {
			used[g.Marks[k].Kind] = true
		}
	}
	for _, k := range []charts.MarkKind{charts.MarkSYN, charts.MarkResent, charts.MarkOrdered, charts.MarkLost, charts.MarkDupAck, charts.MarkZero,
		charts.MarkAlive, charts.MarkAlert, charts.MarkICMP, charts.MarkFIN, charts.MarkReset} {
		if used[k] {
			cv.Legend = append(cv.Legend, legend{template.HTML(charts.Shape(k)), b.spans(b.say("page.mark-" + string(k)))})
		}
	}
	t := &f.conn.Trace
	switch {
	case t.Lost > 0:
		cv.Thinned = b.spans(b.say("page.thinned-lost", diagnose.Text("left", grouped(int64(t.Thinned+t.Lost))), diagnose.Text("all", grouped(int64(t.Total))), diagnose.Text("lost", grouped(int64(t.Lost)))))
	case t.Thinned > 0:
		cv.Thinned = b.spans(b.say("page.thinned", diagnose.Text("left", grouped(int64(t.Thinned))), diagnose.Text("all", grouped(int64(t.Total)))))
	}
	// What is inside is numbers and names of TLS messages, which
	// encoding/json escapes for HTML.
	raw, err := json.Marshal(map[string]any{"graphs": scales, "packets": f.columns(), "names": foundNames})
	if err == nil {
		cv.Columns = frame.Element("script", ` type="application/json" class="packets" id="`+id+`p"`, string(raw))
	}
}

// foundNames are the names of tcp.analysis flags by bit.
var foundNames = func() (out []string) {
	for f := tcpflow.Flags(1); f.String() != ""; f <<= 1 {
		out = append(out, f.String())
	}
	return out
}()

// heading names a connection: by its server, or by the CONNECT proxy and what it
// was asked for.
func heading(c *report.Connection) string {
	if c.Proxy == nil {
		return frame.Name(serverText(c))
	}
	return frame.Name(c.Server) + " (CONNECT " + frame.Name(c.Proxy.Target) + ")"
}

// farName names the far end of a connection, which of a tunnel is the proxy.
func (f *flow) farName() charts.Words {
	if f.conn.Proxy != nil {
		return f.say("page.stage-proxy")
	}
	return charts.Say(frame.Name(serverText(f.conn.Connection)))
}

func (f *flow) clientName() charts.Words {
	if p := f.conn.Process; p != nil && p.Name != "" {
		return charts.Say(frame.Name(p.Name) + " (PID " + strconv.FormatUint(uint64(p.PID), 10) + ")")
	}
	return f.say("page.client")
}
