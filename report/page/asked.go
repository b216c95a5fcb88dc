package page

import (
	"slices"
	"strconv"
	"strings"

	"goproxytrace/analyze"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/report/charts"
	"goproxytrace/report/page/frame"
)

// Bounds on the packets of lookups that are shown.
const (
	mostAsked    = 12 // lookups
	mostMessages = 40 // packets of one
	mostAnswers  = 6  // addresses of one answer
)

// askedView is what was sent for a lookup that failed.
type askedView struct {
	ID      string // of the element
	Heading string
	Class   string
	Died    bool
	Summary []span
	Rows    []askedRow
	More    []span
}

type askedRow struct {
	ID, Frame, Proof string
	Time             string // since the first question
	Way              string // question, answer or ICMP
	What             []span
	Bad              bool
}

// asked lists the packets of the lookups that failed: those of the verdict
// first.
func (v *view) asked(anchors map[int64]bool) {
	b := v.b
	d := b.docs[0]
	proofs := numbers(&d.Verdict)
	var first, others []int
	for i := range d.Lookups {
		l := &d.Lookups[i]
		switch {
		case len(l.Messages) == 0:
		case slices.ContainsFunc(l.Messages, func(m analyze.LookupMessage) bool { return proofs[m.Frame] != "" }):
			first = append(first, i)
		case l.Verdict.Died:
			others = append(others, i)
		}
	}
	order := append(first, others...)
	v.AskedFirst = len(first) > 0 && d.Subject < 0
	for _, i := range order[:min(len(order), mostAsked)] {
		l := &d.Lookups[i]
		a := askedView{
			ID: "q" + strconv.Itoa(i), Heading: frame.Name(l.Name) + " " + frame.Name(l.Type), Class: l.Verdict.Class, Died: l.Verdict.Died,
			Summary: b.spans(b.lookupSummary(i)),
		}
		start := l.Messages[0].Time
		for k := range l.Messages[:min(len(l.Messages), mostMessages)] {
			m := &l.Messages[k]
			r := askedRow{Frame: strconv.FormatInt(m.Frame, 10), Proof: proofs[m.Frame], Time: stamp(float64(m.Time-start) / 1e6), What: b.spans(b.message(m, l.Server, l.Type, l.Name))}
			r.Way = [...]string{analyze.LookupQuestion: "to", analyze.LookupAnswer: "from", analyze.LookupICMP: "icmp"}[m.Kind]
			r.Bad = m.Kind == analyze.LookupICMP
			if !anchors[m.Frame] {
				anchors[m.Frame] = true
				r.ID = "f" + r.Frame
			}
			a.Rows = append(a.Rows, r)
		}
		if n := len(l.Messages) - len(a.Rows); n > 0 {
			a.More = b.spans(b.say("page.omitted", diagnose.Text("more", grouped(int64(n)))))
		}
		v.Asked = append(v.Asked, a)
	}
}

// message says what a message of a lookup is.
func (b *book) message(m *analyze.LookupMessage, server, kind, asked string) charts.Words {
	ids := b.say("page.dns-id", diagnose.Num("port", int64(m.Port)), diagnose.Text("id", "0x"+hex16(m.ID)))
	switch m.Kind {
	case analyze.LookupQuestion:
		return b.join("comma", b.say("page.dns-question", diagnose.Text("type", frame.Name(kind)), diagnose.Text("name", frame.Name(asked)), diagnose.Text("address", frame.Name(server))), ids)
	case analyze.LookupICMP:
		parts := []charts.Words{charts.Say("ICMP " + strconv.Itoa(int(m.Type)) + "/" + strconv.Itoa(int(m.Code))), b.say("page.icmp-from", diagnose.Text("address", frame.Name(m.From)))}
		if m.Refused {
			parts = append(parts, b.say("page.dns-refused"))
		}
		return b.join("comma", parts...)
	}
	said := frame.Name(m.RCode)
	if len(m.Answers) > 0 {
		var list []string
		for _, a := range m.Answers[:min(len(m.Answers), mostAnswers)] {
			list = append(list, frame.Name(a))
		}
		said = strings.Join(list, ", ")
	}
	parts := []charts.Words{b.say("page.dns-answer", diagnose.Text("answer", said)), ids}
	if m.Mismatch {
		parts = append(parts, b.say("page.dns-mismatch"))
	}
	if m.Malformed {
		parts = append(parts, b.say("page.dns-malformed"))
	}
	return b.join("comma", parts...)
}
