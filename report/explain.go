package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/internal/terminal"
	"goproxytrace/report/messages"
)

// explained is a topic laid out for both renderers.
type explained struct {
	language  messages.Language
	id, title string
	facts     string // one line, empty for none
	seen      string
	sections  []section
}

// section is a part of an explanation; title is a label.
type section struct {
	title    string
	numbered bool
	items    []item
}

// item is one entry: a name that readers look for, and what is said of it.
type item struct {
	name, text string
}

// lay fills in what is known about a topic. reasons tells whether thresholds
// are listed with their reasons.
func (t *Topic) lay(reasons bool) explained {
	l := t.language
	e := explained{language: l, id: t.ID, title: t.Title}
	if t.note != nil {
		e.facts, e.seen = l.Label(t.kind), t.note.Seen
		e.sections = []section{{title: "topic.follows", items: []item{{text: t.note.Means}}}}
		e.rows(func(r *diagnose.Row) bool { return contains(r.Notes, t.ID) || contains(r.Health, t.ID) })
		return e
	}
	c := t.class
	d, info := diagnose.Descriptions[c], diagnose.Classes[c]
	x, _ := l.Explain(c)
	e.seen = x.Seen
	e.facts = l.Label("verdict.stage", diagnose.Text("stage", l.Label("stage."+string(info.Stage))))
	if len(d.Widest) > 0 {
		e.facts += l.Label("comma") + l.Label("verdict.widest", diagnose.Text("places", placeWords(l, d.Widest)))
	}
	var alikes, levels, evidence, thresholds []item
	for _, a := range x.Alikes {
		alikes = append(alikes, item{a.What, a.Told})
	}
	for _, r := range d.Reach {
		name := l.Label("level." + string(r.Level))
		if len(r.Place) > 0 {
			name += l.Label("comma") + placeWords(l, r.Place)
		}
		levels = append(levels, item{name, l.When(r.When)})
	}
	if info.Absence {
		levels = append(levels, item{text: l.Label("topic.absence")})
	}
	for _, id := range d.Evidence {
		evidence = append(evidence, item{id, l.Pattern(id)})
	}
	for _, c := range d.From {
		evidence = append(evidence, item{text: l.Label("topic.from", diagnose.Text("class", string(c)))})
	}
	for _, id := range d.Thresholds {
		thresholds = append(thresholds, thresholdItem(l, id, reasons))
	}
	e.add("topic.alikes", false, alikes...)
	e.add("topic.levels", false, levels...)
	e.add("topic.evidence", false, evidence...)
	e.add("topic.thresholds", false, thresholds...)
	e.add("topic.next-steps", true, steps(l, info.NextSteps)...)
	e.add("topic.refuted-by", false, sentences(l, info.RefutedBy)...)
	e.rows(func(r *diagnose.Row) bool { return contains(r.Classes, c) })
	return e
}

func (e *explained) add(title string, numbered bool, items ...item) {
	if len(items) > 0 {
		e.sections = append(e.sections, section{title, numbered, items})
	}
}

// rows adds the rows of the taxonomy that belong to the topic.
func (e *explained) rows(belongs func(*diagnose.Row) bool) {
	var items []item
	for i := range diagnose.Rows {
		if r := &diagnose.Rows[i]; belongs(r) {
			items = append(items, item{r.ID, e.language.RowName(r.ID)})
		}
	}
	e.add("topic.rows", false, items...)
}

func sentences(l messages.Language, ids []string) (out []item) {
	for _, id := range ids {
		out = append(out, item{text: l.Text(id)})
	}
	return out
}

// steps are next steps with the commands of all platforms.
func steps(l messages.Language, ids []string) (out []item) {
	for _, s := range l.Steps(ids, diagnose.AnyPlatform) {
		out = append(out, item{text: s})
	}
	return out
}

// thresholdItem names a threshold with its value, and with its reason and
// source where wanted.
func thresholdItem(l messages.Language, name string, reasons bool) item {
	for i := range diagnose.Thresholds {
		t := &diagnose.Thresholds[i]
		if t.Value.Name != name {
			continue
		}
		value, reason := l.Threshold(t)
		if !reasons {
			return item{name, value}
		}
		it := item{name + " = " + value, reason}
		if t.Source != "" {
			it.text += l.Label("topic.source", diagnose.Text("source", t.Source))
		}
		return it
	}
	return item{name: name}
}

func contains[T comparable](list []T, v T) bool {
	for _, x := range list {
		if x == v {
			return true
		}
	}
	return false
}

// WriteTopics lists topics in one line each.
func WriteTopics(w io.Writer, topics []Topic, o terminal.Output) error {
	t := &textWriter{w: bufio.NewWriter(w), o: o}
	longest := 0
	for i := range topics {
		longest = max(longest, len(topics[i].ID))
	}
	for i := range topics {
		id := topics[i].ID
		title := terminal.Shorten(o.Text(topics[i].Title), o.Columns-longest-2)
		t.line(strings.TrimRight(id+strings.Repeat(" ", longest-len(id)+2)+title, " "))
	}
	return t.w.Flush()
}

// WriteExplanations explains topics on a terminal.
func WriteExplanations(w io.Writer, topics []Topic, o terminal.Output) error {
	t := &textWriter{w: bufio.NewWriter(w), o: o}
	for i := range topics {
		if i > 0 {
			t.line("")
			t.line("")
		}
		e := topics[i].lay(true)
		for line := range strings.SplitSeq(terminal.Wrap(o.Text(e.id+e.language.Label("colon")+e.title), o.Columns, "", ""), "\n") {
			t.line(o.Paint(terminal.Bold, line))
		}
		if e.facts != "" {
			t.wrapped("", e.facts)
		}
		t.line("")
		t.wrapped("", e.seen)
		for _, s := range e.sections {
			t.heading(e.language.Label(s.title))
			for n, it := range s.items {
				line := it.text
				if it.name != "" {
					line = it.name + e.language.Label("colon") + it.text
				}
				if s.numbered {
					t.wrapped(fmt.Sprintf("%3d. ", n+1), line)
				} else {
					t.bullet(line)
				}
			}
		}
	}
	return t.w.Flush()
}
