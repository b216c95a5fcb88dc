package twopoint

import (
	"bufio"
	"encoding/json"
	"io"
	"strings"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/compare"
	"goproxytrace/internal/terminal"
	"goproxytrace/report"
	"goproxytrace/report/messages"
	"goproxytrace/report/page"
)

// sections are the lists of sentences behind the findings.
func (r *Result) sections() []section {
	var unseen, judged, captures []string
	for i := range r.Unseen {
		unseen = append(unseen, r.Unseen[i].sentence(r.Language))
	}
	for i := range r.NotJudged {
		judged = append(judged, r.NotJudged[i].sentence(r.Language))
	}
	for i := range r.Cautions {
		judged = append(judged, r.Cautions[i].sentence(r.Language))
	}
	for _, p := range []*Point{r.Client, r.Server} {
		captures = append(captures, p.sentence(r.Language))
	}
	return []section{
		{r.Language.Compared("points.heading.unseen"), unseen}, {r.Language.Compared("points.heading.judged"), judged},
		{r.Language.Compared("points.heading.captures"), captures},
	}
}

type section struct {
	title string
	items []string
}

// level says how sure a finding is, and where it happened.
func (f *Finding) level(l messages.Language) string {
	return l.Compared("points.level", diagnose.Text("level", l.Compared("points.level."+string(f.Level))), diagnose.Text("place", l.Compared("points."+string(f.Place))))
}

// WriteText writes the result for a terminal.
func WriteText(w io.Writer, r *Result, o terminal.Output) error {
	b := bufio.NewWriter(w)
	line := func(s string) {
		b.WriteString(s)
		b.WriteByte('\n')
	}
	wrapped := func(first, s string) {
		line(terminal.Wrap(o.Text(s), o.Columns, first, strings.Repeat(" ", len(first))))
	}
	heading := func(s string) {
		line("")
		line(o.Paint(terminal.Bold, s))
	}
	wrapped("", r.headline())
	for _, s := range r.facts() {
		wrapped("", s)
	}
	if len(r.Findings) > 0 {
		heading(r.Language.Compared("points.heading.found"))
		for i := range r.Findings {
			f := &r.Findings[i]
			wrapped("  - ", f.sentence(r.Language))
			wrapped("    ", f.level(r.Language))
			for _, s := range f.filters(r) {
				// A filter is for copying: it is never broken into lines.
				line("    " + o.Paint(terminal.Dim, o.Text(s)))
			}
		}
		wrapped("  ", r.Language.Compared("points.limits"))
	}
	for _, s := range r.sections() {
		if len(s.items) > 0 {
			heading(s.title)
			for _, x := range s.items {
				wrapped("  - ", x)
			}
		}
	}
	return b.Flush()
}

// WriteHTML writes the result as a page that needs nothing else.
func WriteHTML(w io.Writer, r *Result) error {
	s := &page.Sheet{
		Language: r.Language, Title: r.Client.Name + " / " + r.Server.Name + " – goproxytrace", Kind: r.Language.Compared("heading.page"), Headline: r.headline(),
		Lead: r.facts(),
	}
	found := page.Part{Title: r.Language.Compared("points.heading.found"), Note: r.Language.Compared("points.limits")}
	for i := range r.Findings {
		f := &r.Findings[i]
		found.Items = append(found.Items, page.Item{Text: f.sentence(r.Language), More: f.level(r.Language), Code: f.filters(r)})
	}
	if len(found.Items) > 0 {
		s.Parts = append(s.Parts, found)
	}
	for _, x := range r.sections() {
		p := page.Part{Title: x.title}
		for _, text := range x.items {
			p.Items = append(p.Items, page.Item{Text: text})
		}
		if len(p.Items) > 0 {
			s.Parts = append(s.Parts, p)
		}
	}
	return page.WriteSheet(w, s)
}

// WriteMarkdown writes the result for an issue or a page.
func WriteMarkdown(w io.Writer, r *Result) error {
	b := bufio.NewWriter(w)
	line := func(s string) {
		b.WriteString(s)
		b.WriteByte('\n')
	}
	line("**" + compare.Markdown(r.headline()) + "**\n")
	for _, s := range r.facts() {
		line("- " + compare.Markdown(s))
	}
	if len(r.Findings) > 0 {
		line("\n## " + r.Language.Compared("points.heading.found") + "\n")
		for i := range r.Findings {
			f := &r.Findings[i]
			line("- " + compare.Markdown(f.sentence(r.Language)) + " (" + compare.Markdown(f.level(r.Language)) + ")")
			for _, s := range f.filters(r) {
				line("  - " + compare.Markdown(s))
			}
		}
		line("\n" + r.Language.Compared("points.limits"))
	}
	for _, s := range r.sections() {
		if len(s.items) > 0 {
			line("\n## " + s.title + "\n")
			for _, x := range s.items {
				line("- " + compare.Markdown(x))
			}
		}
	}
	return b.Flush()
}

// The JSON document.
type (
	jsonResult struct {
		Schema      string          `json:"schema"`
		Tool        map[string]any  `json:"tool"`
		Summary     string          `json:"summary"`
		Client      jsonPoint       `json:"client"`
		Server      jsonPoint       `json:"server"`
		Clock       *jsonClock      `json:"clock"`
		Connections int             `json:"connections"`
		Translated  int             `json:"translated"`
		ToServer    jsonWay         `json:"to_server"`
		ToClient    jsonWay         `json:"to_client"`
		Findings    []jsonFinding   `json:"findings"`
		Unseen      []jsonUnseen    `json:"unseen"`
		NotJudged   []jsonNotJudged `json:"not_judged"`
		Cautions    []jsonCaution   `json:"cautions"`
	}
	jsonPoint struct {
		File     string  `json:"file"`
		Packets  int64   `json:"packets"`
		Segments int64   `json:"tcp_segments"`
		Dropped  *uint64 `json:"dropped"`
	}
	jsonClock struct {
		Offset int64   `json:"offset_ns"`
		Least  *int64  `json:"least_ns"`
		Most   *int64  `json:"most_ns"`
		Drift  float64 `json:"drift_ns_per_s"`
	}
	jsonWay struct {
		Sent    int  `json:"sent"`
		Matched int  `json:"matched"`
		Hops    *int `json:"hops"`
	}
	jsonFinding struct {
		Event       Event          `json:"event"`
		Kind        Kind           `json:"kind"`
		Direction   Direction      `json:"direction"`
		Place       Place          `json:"place"`
		Level       diagnose.Level `json:"level"`
		Claimed     string         `json:"claimed_sender"`
		Peer        string         `json:"peer"`
		Count       int            `json:"count"`
		Of          int            `json:"of,omitempty"`
		MadeGood    int            `json:"made_good,omitempty"`
		Connections int            `json:"connections"`
		Bytes       int64          `json:"bytes"`
		What        string         `json:"what,omitempty"`
		From        string         `json:"from,omitempty"`
		To          string         `json:"to,omitempty"`
		TTL         uint8          `json:"ttl,omitempty"`
		Usual       uint8          `json:"usual_ttl,omitempty"`
		Text        string         `json:"text"`
		Client      jsonFrames     `json:"client"`
		Server      jsonFrames     `json:"server"`
	}
	jsonFrames struct {
		Frames []int64 `json:"frames"`
		Filter string  `json:"filter"`
	}
	jsonUnseen struct {
		Server      string  `json:"server"`
		Connections int     `json:"connections"`
		Frames      []int64 `json:"client_frames"`
	}
	jsonNotJudged struct {
		Reason string `json:"reason"`
		Count  int    `json:"count"`
	}
	jsonCaution struct {
		ID   string `json:"id"`
		Text string `json:"text"`
	}
)

// WriteJSON writes the result as a JSON document, in English.
func WriteJSON(w io.Writer, r *Result) error {
	english := *r
	english.Language = messages.English // what programs read is in one language
	r = &english
	point := func(p *Point) jsonPoint { return jsonPoint{p.Name, p.Packets, p.Segments, p.Dropped} }
	out := jsonResult{
		Schema: Schema, Tool: map[string]any{"version": r.Version}, Summary: r.headline(), Client: point(r.Client), Server: point(r.Server),
		Connections: r.Connections, Translated: r.Translated,
		ToServer: jsonWay{r.Sent[0], r.Matched[0], r.Hops[0]}, ToClient: jsonWay{r.Sent[1], r.Matched[1], r.Hops[1]},
		Findings: []jsonFinding{}, Unseen: []jsonUnseen{}, NotJudged: []jsonNotJudged{}, Cautions: []jsonCaution{},
	}
	if c := &r.Clock; c.Known {
		out.Clock = &jsonClock{Offset: c.Offset, Drift: c.Drift}
		if c.bounded() {
			out.Clock.Least, out.Clock.Most = &c.Least, &c.Most
		}
	}
	frames := func(list []int64) jsonFrames {
		if list == nil {
			list = []int64{}
		}
		return jsonFrames{list, report.FrameFilter(list)}
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		out.Findings = append(out.Findings, jsonFinding{
			f.Event, f.Kind, f.Direction, f.Place, f.Level, f.Claimed, f.Peer, f.Count, f.Of, f.madeUp, f.Connections, f.Bytes, f.What, f.From, f.To,
			f.TTL, f.Usual, f.sentence(r.Language), frames(f.ClientFrames), frames(f.ServerFrames),
		})
	}
	for _, u := range r.Unseen {
		out.Unseen = append(out.Unseen, jsonUnseen(u))
	}
	for _, n := range r.NotJudged {
		out.NotJudged = append(out.NotJudged, jsonNotJudged(n))
	}
	for i := range r.Cautions {
		out.Cautions = append(out.Cautions, jsonCaution{r.Cautions[i].ID, r.Cautions[i].sentence(r.Language)})
	}
	raw, err := json.MarshalIndent(out, "", " ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(report.EscapeJSON(raw), '\n'))
	return err
}
