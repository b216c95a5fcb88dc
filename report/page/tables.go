package page

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/report"
	"goproxytrace/report/charts"
	"goproxytrace/report/messages"
	"goproxytrace/report/page/frame"
)

// listed is a connection of the table.
type listed struct {
	conn    *report.Connection
	summary charts.Words
	weight  int
}

// num is a cell that sorts by a number.
type num struct {
	Text string
	Sort float64
}

type tableRow struct {
	ID      string // empty where the connection has a section
	Href    string // of its section
	Frame   num
	Server  string
	Address string
	Client  string
	Process string
	Connect num
	TLS     num
	First   num
	Lasted  num
	Sent    num
	Got     num
	Resent  num
	Class   string
	Died    bool
	Summary []span
}

// tableColumns says which columns of the table of connections have anything in
// them; the others are left out.
type tableColumns struct {
	Process, Connect, TLS, First bool
}

func (h *tableColumns) see(r *tableRow) {
	h.Process = h.Process || r.Process != ""
	h.Connect = h.Connect || r.Connect.Sort >= 0
	h.TLS = h.TLS || r.TLS.Sort >= 0
	h.First = h.First || r.First.Sort >= 0
}

type lookupRow struct {
	ID      string
	Frames  []anchored
	Name    string
	Type    string
	Answer  string
	Took    num
	Server  string
	Class   string
	Died    bool
	Summary []span
}

// anchored is a frame that a row is the place of.
type anchored struct {
	ID, Frame string
}

type attemptRow struct {
	Time, Process, Target, Host, Error, Class string
	Died                                      bool
	Summary                                   []span
}

type processRow struct {
	Name, Parent, Command, Exit, Class string
	Died                               bool
	Summary                            []span
}

type goRow struct {
	Line    string
	Text    string
	Packets string
	Frames  []frameLink
	Count   int
}

type eventRow struct {
	Anchor             string
	Time, Source, Text string
}

func ms(v *float64) num {
	if v == nil {
		return num{"–", -1}
	}
	return num{millisText(v), *v}
}

func size(n uint64) num { return num{bytesText(n), float64(n)} }

func processName(name_ string, pid uint32) string {
	if name_ == "" {
		return strconv.FormatUint(uint64(pid), 10)
	}
	return frame.Name(name_) + "[" + strconv.FormatUint(uint64(pid), 10) + "]"
}

func (v *view) tables(anchors map[int64]bool) error {
	b := v.b
	d := b.docs[0]
	conns, omitted, err := b.listed()
	if err != nil {
		return err
	}
	if omitted > 0 {
		v.TableMore = b.spans(b.say("page.omitted-connections", diagnose.Text("more", grouped(int64(omitted)))))
	}
	sections := map[int64]bool{}
	for i := range v.Conns {
		sections[v.Conns[i].ID] = true
	}
	for i := range conns {
		c := conns[i].conn
		r := tableRow{
			ID: "c" + strconv.FormatInt(c.ID, 10), Frame: num{strconv.FormatInt(c.FirstFrame, 10), float64(c.FirstFrame)},
			Server: frame.Name(c.ServerName), Address: frame.Name(c.Server), Client: frame.Name(c.Client),
			Connect: ms(c.Stages.Connect), TLS: ms(c.Stages.TLS), First: ms(c.Stages.FirstByte), Lasted: ms(&c.Duration),
			Sent: size(c.Bytes.FromClient), Got: size(c.Bytes.FromServer), Resent: num{messages.Grouped(resent(c)), float64(resent(c))},
			Class: c.Verdict.Class, Died: c.Verdict.Died, Summary: b.spans(conns[i].summary),
		}
		if p := c.Process; p != nil {
			r.Process = processName(p.Name, p.PID)
		}
		if sections[c.ID] {
			r.ID, r.Href = "", "#"+r.ID
		}
		v.Table = append(v.Table, r)
		v.TableHas.see(&r)
	}
	v.lookups(anchors)
	v.attempts()
	v.processes()
	for i := range d.GoOutput {
		s := &d.GoOutput[i]
		r := goRow{Line: strconv.Itoa(s.Line), Text: frame.Tame(s.Text), Packets: frame.Name(s.Packets), Count: s.Count}
		for _, f := range s.Frames[:min(len(s.Frames), mostFrames)] {
			r.Frames = append(r.Frames, linkTo(f, anchors))
		}
		v.GoOutput = append(v.GoOutput, r)
	}
	for i := range d.Events[:min(len(d.Events), mostEvents)] {
		e := &d.Events[i]
		r := eventRow{Source: frame.Name(e.Source), Text: frame.Tame(e.Text)}
		if e.Time != nil {
			r.Time = e.Time.UTC().Format("15:04:05.000")
		}
		if e.Frame != 0 && !anchors[e.Frame] {
			anchors[e.Frame] = true
			r.Anchor = "f" + strconv.FormatInt(e.Frame, 10)
		}
		v.Events = append(v.Events, r)
	}
	if n := int64(len(d.Events)-len(v.Events)) + d.EventsOmitted; n > 0 {
		v.EventsMore = b.spans(b.say("page.omitted", diagnose.Text("more", grouped(n))))
	}
	fall, left := b.fall(conns)
	if len(fall.Groups) > 0 {
		bars := 0
		for i := range fall.Groups {
			bars += len(fall.Groups[i].Rows)
		}
		fall.Frame = charts.Frame{
			ID: "fall", Languages: b.tags, LabelledBy: "timeline", Title: b.say("page.timeline"),
			Desc: b.say("page.fall-desc", diagnose.Num("bars", int64(bars))),
		}
		v.Fall = frame.Element("div", ` class="scroll" tabindex="0" role="group" aria-labelledby="timeline"`, fall.Draw())
		for _, k := range []charts.PartKind{charts.PartDNS, charts.PartConnect, charts.PartTLS, charts.PartFirst, charts.PartTransfer, charts.PartQuiet} {
			v.Swatches = append(v.Swatches, legend{frame.Element("span", "", charts.Swatch(k)), b.spans(b.say("page.part-" + string(k)))})
		}
		if left > 0 {
			v.FallOmitted = b.spans(b.say("page.omitted", diagnose.Text("more", grouped(int64(left)))))
		}
	}
	return nil
}

// listed returns the connections of the table, with the verdicts' words.
func (b *book) listed() (out []listed, omitted int, err error) {
	lists := make([][]*report.Connection, len(b.docs))
	for i, d := range b.docs {
		if lists[i], omitted, err = d.Foremost(mostListed); err != nil {
			return nil, 0, err
		}
	}
	for k, c := range lists[0] {
		l := listed{conn: c, weight: 2}
		switch {
		case c.ID == b.docs[0].Subject:
			l.weight = 0
		case c.Verdict.Died || c.Target:
			l.weight = 1
		}
		for i := range b.docs {
			s := c.Verdict.Summary
			if k < len(lists[i]) {
				s = lists[i][k].Verdict.Summary
			}
			l.summary = append(l.summary, frame.Tame(s))
		}
		out = append(out, l)
	}
	return out, omitted, nil
}

func (v *view) lookups(anchors map[int64]bool) {
	b := v.b
	d := b.docs[0]
	// Where there are too many, those that failed stay.
	order := make([]int, 0, len(d.Lookups))
	for i := range d.Lookups {
		if d.Lookups[i].Verdict.Died || len(d.Lookups) <= mostLookups {
			order = append(order, i)
		}
	}
	order = order[:min(len(order), mostLookups)]
	for _, i := range order {
		l := &d.Lookups[i]
		r := lookupRow{
			ID: "l" + strconv.Itoa(i), Name: frame.Name(l.Name), Type: frame.Name(l.Type), Took: ms(l.MS), Server: frame.Name(l.Server), Class: l.Verdict.Class, Died: l.Verdict.Died,
			Answer:  frame.Name(l.RCode),
			Summary: b.spans(b.lookupSummary(i)),
		}
		if len(l.Answers) > 0 {
			var list []string
			for _, a := range l.Answers[:min(len(l.Answers), 6)] {
				list = append(list, frame.Name(a))
			}
			r.Answer = strings.Join(list, ", ")
		}
		// What answers with an ICMP error stands with the question.
		frames := slices.Clone(l.Frames[:min(len(l.Frames), 12)])
		for _, e := range l.Verdict.Evidence {
			frames = append(frames, e.Frames...)
		}
		slices.Sort(frames)
		for _, f := range slices.Compact(frames) {
			a := anchored{Frame: strconv.FormatInt(f, 10)}
			if !anchors[f] {
				anchors[f] = true
				a.ID = "f" + a.Frame
			}
			r.Frames = append(r.Frames, a)
		}
		v.Lookups = append(v.Lookups, r)
	}
	if n := int64(len(d.Lookups)-len(order)) + d.LookupsOmitted; n > 0 {
		v.LookupsMore = b.spans(b.say("page.omitted", diagnose.Text("more", grouped(n))))
	}
}

// lookupSummary is what the documents say of their i-th lookup.
func (b *book) lookupSummary(i int) charts.Words {
	return b.each(func(d *report.Document) string {
		if i < len(d.Lookups) {
			return d.Lookups[i].Verdict.Summary
		}
		return ""
	})
}

func (v *view) attempts() {
	for i := range v.b.docs[0].Attempts[:min(len(v.b.docs[0].Attempts), mostEvents)] {
		a := &v.b.docs[0].Attempts[i]
		r := attemptRow{
			Time: a.Time.UTC().Format("15:04:05.000"), Target: frame.Name(a.Target), Host: frame.Name(a.Host), Error: frame.Name(a.Error), Class: a.Verdict.Class, Died: a.Verdict.Died,
			Summary: v.b.spans(v.b.each(func(d *report.Document) string { return d.Attempts[i].Verdict.Summary })),
		}
		if a.PID != nil {
			r.Process = processName(a.Name, *a.PID)
		}
		v.Attempts = append(v.Attempts, r)
	}
}

func (v *view) processes() {
	for i := range v.b.docs[0].Processes[:min(len(v.b.docs[0].Processes), mostEvents)] {
		p := &v.b.docs[0].Processes[i]
		r := processRow{
			Name: processName(p.Name, p.PID), Command: frame.Tame(p.Command), Class: p.Verdict.Class, Died: p.Verdict.Died,
			Summary: v.b.spans(v.b.each(func(d *report.Document) string { return d.Processes[i].Verdict.Summary })),
		}
		if p.Parent != 0 || p.ParentName != "" {
			r.Parent = processName(p.ParentName, p.Parent)
		}
		if p.Exit != nil {
			r.Exit = strconv.Itoa(*p.Exit)
		}
		v.Processes = append(v.Processes, r)
	}
}

// captureView says what the capture is fit for.
type captureView struct {
	File   string
	Facts  [][]span
	Health []healthRow
	// Interfaces are those with packets, or a count of drops.
	Interfaces []ifaceRow
}

type healthRow struct {
	ID     string
	Text   []span
	Filter string
}

type ifaceRow struct {
	Name, Link, Filter, Packets, Dropped string
}

func (v *view) capture() {
	b := v.b
	c := &b.docs[0].Capture
	v.Capture.File = frame.Tame(c.File)
	healths := b.lists(func(d *report.Document) (s []string) {
		for _, h := range d.Capture.Health {
			s = append(s, h.Text)
		}
		return s
	})
	for i := range c.Health {
		h := &c.Health[i]
		v.Capture.Health = append(v.Capture.Health, healthRow{frame.Name(h.ID), b.spans(healths[i]), report.FrameFilter(h.Frames)})
	}
	v.Capture.Facts = b.all(b.lists((*report.Document).CaptureLines))
	for i := range c.Interfaces[:min(len(c.Interfaces), 64)] {
		f := &c.Interfaces[i]
		r := ifaceRow{Name: frame.Name(cmp.Or(f.Name, "#"+strconv.Itoa(i))), Link: frame.Name(f.LinkType), Filter: frame.Tame(f.Filter), Packets: grouped(f.Packets), Dropped: "?"}
		if f.Dropped != nil {
			r.Dropped = messages.Grouped(*f.Dropped)
		}
		v.Capture.Interfaces = append(v.Capture.Interfaces, r)
	}
	d := b.docs[0]
	add := func(label string, text string, mono bool) {
		if text != "" {
			v.Facts = append(v.Facts, fact{b.spans(b.say(label)), []span{{"", []frame.Part{{Text: frame.Tame(text)}}}}, mono})
		}
	}
	add("page.env-program", "goproxytrace "+d.Version, false)
	add("page.env-platform", d.Platform, false)
	add("page.env-targets", strings.Join(d.Targets, ", "), false)
	add("page.env-file", c.File, true)
	add("page.env-format", c.Format, false)
	private := "page.private-kept"
	if d.Redacted() {
		private = "page.private-replaced"
	}
	v.Facts = append(v.Facts, fact{b.spans(b.say("page.env-private")), b.spans(b.say(private)), false})
	if c.Start != nil {
		add("page.env-start", c.Start.UTC().Format("2006-01-02 15:04:05.000 UTC"), false)
	}
	if c.Start != nil && c.End != nil {
		span := c.End.Sub(*c.Start).Seconds() * 1e3
		add("page.env-span", millisText(&span), false)
	}
}

// connFacts are the numbers of a connection.
func (b *book) connFacts(c *report.Traced) (out []fact) {
	add := func(label, text string, mono bool) {
		if text != "" {
			out = append(out, fact{b.spans(b.say(label)), []span{{"", []frame.Part{{Text: frame.Tame(text)}}}}, mono})
		}
	}
	add("page.fact-ends", c.Client+" → "+c.Server, true)
	if p := c.Process; p != nil {
		add("page.fact-process", processName(p.Name, p.PID)+confidence(p.Confidence), false)
	}
	add("page.fact-start", c.Start.UTC().Format(time.TimeOnly+".000")+" UTC", false)
	add("page.fact-lasted", millisText(&c.Duration), false)
	if rest := b.restOf(c.Connection); rest > 0 && c.Verdict.Died {
		add("page.fact-rest", millisText(&rest), false)
	}
	add("page.fact-bytes", bytesText(c.Bytes.FromClient)+" / "+bytesText(c.Bytes.FromServer), false)
	if rtt := handshake(c.Connection); rtt != nil {
		add("page.fact-rtt", millisText(rtt), false)
	}
	if t := c.TLS; t != nil {
		var list []string
		for _, s := range []string{t.Version, t.Cipher, t.ALPNChosen} {
			if s != "" {
				list = append(list, s)
			}
		}
		add("page.fact-tls", strings.Join(list, ", "), false)
		if t.ClientHelloBytes > 0 {
			add("page.fact-hello", messages.Grouped(uint64(t.ClientHelloBytes))+" B / "+strconv.Itoa(t.ClientHelloSegments), false)
		}
		add("page.fact-ja4", t.JA4, true)
		for i := range t.Certificates[:min(len(t.Certificates), 1)] {
			add("page.fact-issuer", t.Certificates[i].Issuer, false)
		}
	}
	add("page.fact-resent", messages.Grouped(resent(c.Connection))+" / "+messages.Grouped(c.TCP.Packets), false)
	return out
}

// restOf returns how many milliseconds the capture went on after a connection's
// last packet, zero where nothing is to be said of it: where the silence that
// was counted for it does not reach beyond that packet.
func (b *book) restOf(c *report.Connection) float64 {
	end := b.docs[0].Capture.End
	if end == nil || c.Stages.Quiet == nil {
		return 0
	}
	last := c.Start.Add(time.Duration(c.Duration * 1e6))
	rest := end.Sub(last).Seconds() * 1e3
	if rest < 100 || *c.Stages.Quiet < rest-1 {
		return 0
	}
	return rest
}

// resent counts retransmissions, those on copies of packets left out.
func resent(c *report.Connection) uint64 {
	return uint64(c.TCP.Retransmissions - c.TCP.CopiedRetransmissions)
}

func confidence(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}
