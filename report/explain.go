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
	id, title string
	facts     string // one line, empty for none
	seen      string
	sections  []section
}

type section struct {
	title    string
	numbered bool
	items    []item
}

// item is one entry: a name that readers look for, and what is said of it.
type item struct {
	name, text string
}

const absenceText = "It rests on something that was not seen: from a capture that dropped or missed packets no such verdict is given."

// lay fills in what is known about a topic. reasons tells whether thresholds
// are listed with their reasons.
func (t *Topic) lay(reasons bool) explained {
	e := explained{id: t.ID, title: t.Title}
	if t.note != nil {
		e.facts, e.seen = t.kind, t.note.Seen
		e.sections = []section{{title: "What follows", items: []item{{text: t.note.Means}}}}
		e.rows(func(r *diagnose.Row) bool { return contains(r.Notes, t.ID) || contains(r.Health, t.ID) })
		return e
	}
	c := t.class
	d, info := diagnose.Descriptions[c], diagnose.Classes[c]
	x, _ := messages.Explain(c)
	e.seen = x.Seen
	e.facts = "stage " + string(info.Stage)
	if len(d.Widest) > 0 {
		e.facts += ", place " + places(d.Widest) + " at the widest"
	}
	if x.Unreported != "" {
		e.add("Not reported", false, item{text: x.Unreported})
	}
	var alikes, levels, evidence, thresholds []item
	for _, a := range x.Alikes {
		alikes = append(alikes, item{a.What, a.Told})
	}
	for _, r := range d.Reach {
		name := string(r.Level)
		if len(r.Place) > 0 {
			name += ", " + places(r.Place)
		}
		levels = append(levels, item{name, messages.When(r.When)})
	}
	if info.Absence && !d.Unreported {
		levels = append(levels, item{text: absenceText})
	}
	for _, id := range d.Evidence {
		evidence = append(evidence, item{id, messages.Pattern(id)})
	}
	for _, id := range d.Thresholds {
		thresholds = append(thresholds, thresholdItem(id, reasons))
	}
	e.add("What looks like it", false, alikes...)
	e.add("Levels", false, levels...)
	e.add("Evidence", false, evidence...)
	e.add("Thresholds", false, thresholds...)
	if !d.Unreported {
		e.add("Next steps", true, sentences(info.NextSteps)...)
		e.add("What would refute it", false, sentences(info.RefutedBy)...)
	}
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
			items = append(items, item{r.ID, messages.RowName(r.ID)})
		}
	}
	e.add("Faults that show up as it", false, items...)
}

func sentences(ids []string) (out []item) {
	for _, id := range ids {
		out = append(out, item{text: messages.Text(id)})
	}
	return out
}

// thresholdItem names a threshold with its value, and with its reason and
// source where wanted.
func thresholdItem(name string, reasons bool) item {
	for i := range diagnose.Thresholds {
		t := &diagnose.Thresholds[i]
		if t.Value.Name != name {
			continue
		}
		value, reason := messages.Threshold(t)
		if !reasons {
			return item{name, value}
		}
		it := item{name + " = " + value, reason}
		if t.Source != "" {
			it.text += " (" + t.Source + ")"
		}
		return it
	}
	return item{name: name}
}

// places lists places as alternatives.
func places(list []diagnose.Place) string {
	var b strings.Builder
	for i, p := range list {
		switch {
		case i > 0 && i == len(list)-1:
			b.WriteString(" or ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(string(p))
	}
	return b.String()
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
		title := terminal.Shorten(topics[i].Title, o.Columns-longest-2)
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
		for line := range strings.SplitSeq(terminal.Wrap(e.id+": "+e.title, o.Columns, "", ""), "\n") {
			t.line(o.Paint(terminal.Bold, line))
		}
		if e.facts != "" {
			t.wrapped("", e.facts)
		}
		t.line("")
		t.wrapped("", e.seen)
		for _, s := range e.sections {
			t.heading(s.title)
			for n, it := range s.items {
				line := it.text
				if it.name != "" {
					line = it.name + ": " + it.text
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
