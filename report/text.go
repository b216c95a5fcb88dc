package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"goproxytrace/internal/terminal"
	"goproxytrace/report/messages"
)

// WriteText writes the report that a person reads on a terminal: verdict,
// evidence, next steps, connections, capture health, and what was not assessed.
func WriteText(w io.Writer, d *Document, o terminal.Output) error {
	t := &textWriter{w: bufio.NewWriter(w), o: o, l: d.Language}
	t.verdict(d)
	t.evidence(&d.Verdict)
	t.list("heading.next-steps", d.Verdict.NextSteps, true)
	t.list("heading.refuted-by", d.Verdict.RefutedBy, false)
	t.list("heading.processes", processLines(t.l, d.Processes), false)
	t.list("heading.lookups", lookupLines(t.l, d.Lookups), false)
	t.list("heading.attempts", attemptLines(t.l, d.Attempts), false)
	if err := t.connections(d); err != nil {
		return err
	}
	t.list("heading.capture", captureLines(t.l, &d.Capture), false)
	t.list("heading.not-assessed", d.Verdict.NotAssessed, false)
	return t.w.Flush()
}

type textWriter struct {
	w *bufio.Writer
	o terminal.Output
	l messages.Language
}

// line prints one line; the text is trusted, what is in it was cleaned.
func (t *textWriter) line(s string) {
	t.w.WriteString(s)
	t.w.WriteByte('\n')
}

func (t *textWriter) heading(s string) {
	t.line("")
	t.line(t.o.Paint(terminal.Bold, t.o.Text(s)))
}

// wrapped prints text from outside in lines that fit, after an indentation.
func (t *textWriter) wrapped(first, s string) {
	rest := strings.Repeat(" ", len(first))
	t.line(terminal.Wrap(t.o.Text(s), t.o.Columns, first, rest))
}

func (t *textWriter) bullet(s string) { t.wrapped("  - ", s) }

func (t *textWriter) verdict(d *Document) {
	v := &d.Verdict
	style := terminal.Yellow
	switch {
	case v.Died:
		style = terminal.Red
	case v.Class == "ok":
		style = terminal.Green
	}
	for line := range strings.SplitSeq(terminal.Wrap(t.o.Text(v.Summary), t.o.Columns, "", ""), "\n") {
		t.line(t.o.Paint(terminal.Bold+style, line))
	}
	t.wrapped("", verdictFacts(t.l, v))
	for _, n := range verdictNotes(d) {
		t.wrapped(t.l.Label("note"), n)
	}
}

func (t *textWriter) evidence(v *Verdict) {
	if len(v.Evidence) == 0 {
		return
	}
	t.heading(t.l.Label("heading.evidence"))
	for _, e := range v.Evidence {
		t.bullet(e.Text)
		if e.Filter != "" {
			// A filter is for copying: it is never broken into lines.
			t.line("    " + t.o.Paint(terminal.Dim, e.Filter))
		}
	}
	if all := allFrames(v.Evidence); len(v.Evidence) > 1 && len(all) > 0 {
		t.bullet(t.l.Label("evidence.all"))
		t.line("    " + t.o.Paint(terminal.Dim, FrameFilter(all)))
	}
}

// list prints a section whose heading is a label.
func (t *textWriter) list(heading string, items []string, numbered bool) {
	if len(items) == 0 {
		return
	}
	t.heading(t.l.Label(heading))
	for i, s := range items {
		if numbered {
			t.wrapped(fmt.Sprintf("%3d. ", i+1), s)
		} else {
			t.bullet(s)
		}
	}
}

func (t *textWriter) connections(d *Document) error {
	if d.Connections == 0 && len(d.Unanswered) == 0 {
		return nil
	}
	picked, err := choose(d, tableRows)
	if err != nil {
		return err
	}
	t.heading(connectionsTitle(t.l, d, &picked))
	if len(picked.rows) > 0 {
		var b strings.Builder
		if err := writeTable(&b, picked.rows, t.l, t.o); err != nil {
			return err
		}
		for line := range strings.Lines(b.String()) {
			t.line(strings.TrimRight(line, " \n"))
		}
	}
	if picked.omitted > 0 {
		t.wrapped("", picked.omission(t.l))
	}
	for _, s := range unansweredLines(t.l, d) {
		t.bullet(s)
	}
	return nil
}
