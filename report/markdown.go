package report

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/internal/markdown"
	"goproxytrace/internal/terminal"
	"goproxytrace/report/messages"
)

// Bounds on a Markdown report. GitHub takes 65,536 characters for an issue or a
// comment, in which a person has things to say too.
const (
	// MaxMarkdown is the most bytes that WriteMarkdown writes.
	MaxMarkdown = 60_000
	// closingBytes are kept for the last section.
	closingBytes = 3_000
	// maxMarkdownText bounds one sentence in bytes, maxMarkdownFilter a display
	// filter, which is left out rather than cut, maxMarkdownCell a table's cell
	// in columns of a terminal.
	maxMarkdownText   = 1_200
	maxMarkdownFilter = 600
	maxMarkdownCell   = 64
)

// WriteMarkdown writes the report as GitHub-flavoured Markdown to paste into an
// issue: what the terminal shows, in at most MaxMarkdown bytes whatever the
// capture holds. Nothing in it is markup, a link, a mention or HTML but what
// WriteMarkdown makes.
func WriteMarkdown(w io.Writer, d *Document) error {
	m := &reportMarkdown{l: d.Language}
	v := &d.Verdict
	m.verdict(d)
	m.evidence(v)
	m.list("heading.next-steps", v.NextSteps, true)
	m.list("heading.refuted-by", v.RefutedBy, false)
	m.list("heading.processes", processLines(m.l, d.Processes), false)
	m.list("heading.lookups", lookupLines(m.l, d.Lookups), false)
	m.list("heading.attempts", attemptLines(m.l, d.Attempts), false)
	if err := m.connections(d); err != nil {
		return err
	}
	m.list("heading.capture", captureLines(m.l, &d.Capture), false)
	m.list("heading.not-assessed", v.NotAssessed, false)
	m.versions(d)
	_, err := w.Write(m.b.Bytes())
	return err
}

// reportMarkdown writes lines as long as there is room.
type reportMarkdown struct {
	b bytes.Buffer
	l messages.Language
	// closing is true for the last section, for which room was kept.
	closing bool
}

// room reports whether n more bytes fit.
func (m *reportMarkdown) room(n int) bool {
	most := MaxMarkdown
	if !m.closing {
		most -= closingBytes
	}
	return m.b.Len()+n <= most
}

// lines writes lines together, or none of them and false where there is no
// room.
func (m *reportMarkdown) lines(lines ...string) bool {
	n := 0
	for _, s := range lines {
		n += len(s) + 1
	}
	if !m.room(n) {
		return false
	}
	for _, s := range lines {
		m.b.WriteString(s)
		m.b.WriteByte('\n')
	}
	return true
}

// heading writes a heading; where not even that fits there is no section.
func (m *reportMarkdown) heading(s string) bool { return m.lines("", "### "+s, "") }

// text returns a sentence of bounded length as inline Markdown.
func (m *reportMarkdown) text(s string) string {
	s = terminal.Clean(s)
	if len(s) <= maxMarkdownText {
		return markdown.Text(s)
	}
	n := maxMarkdownText
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return markdown.Text(s[:n]) + " " + m.l.Label("markdown.cut")
}

func (m *reportMarkdown) verdict(d *Document) {
	v, l := &d.Verdict, m.l
	if s := m.text(v.Summary); s != "" {
		m.lines("**" + s + "**")
	}
	head, rule, row := "|", "|", "|"
	add := func(column, value string) {
		head += " " + l.Label(column) + " |"
		rule += "---|"
		row += " " + value + " |"
	}
	add("markdown.class", markdown.Code(terminal.Shorten(cellText(v.Class), maxMarkdownCell)))
	if v.Died {
		add("markdown.stage", m.cell(l.Label("stage."+v.Stage)))
	}
	if len(v.Place) > 0 {
		add("markdown.place", m.cell(placeWords(l, v.Place)))
	}
	if v.Level != "" && v.Level != "none" {
		add("markdown.level", m.cell(l.Label("level."+v.Level)))
	}
	m.lines("", head, rule, row)
	notes := verdictNotes(d)
	if len(notes) > 0 && m.lines("") {
		m.items(notes, false, l.Label("note"))
	}
}

// cellText cleans a cell, in which no bar is left.
func cellText(s string) string { return strings.ReplaceAll(terminal.Clean(s), "|", `\x7c`) }

// cell shortens a cell before it becomes Markdown.
func (m *reportMarkdown) cell(s string) string {
	return markdown.Cell(terminal.Shorten(cellText(s), maxMarkdownCell))
}

func (m *reportMarkdown) evidence(v *Verdict) {
	if len(v.Evidence) == 0 || !m.heading(m.l.Label("heading.evidence")) {
		return
	}
	omitted := 0
	for _, e := range v.Evidence {
		lines := []string{"- " + m.text(e.Text)}
		if e.Filter != "" && len(e.Filter) <= maxMarkdownFilter {
			lines[0] += "<br>" + markdown.Code(e.Filter)
		}
		if !m.lines(lines...) {
			omitted++
		}
	}
	if filter := FrameFilter(allFrames(v.Evidence)); len(v.Evidence) > 1 && filter != "" && len(filter) <= maxMarkdownFilter {
		m.lines("- " + m.l.Label("evidence.all") + "<br>" + markdown.Code(filter))
	}
	m.leftOut(omitted)
}

// leftOut says what had no room.
func (m *reportMarkdown) leftOut(n int) {
	if n > 0 {
		closing := m.closing
		m.closing = true // a statement always has room
		m.lines("", m.text(m.l.Count("markdown.left-out", uint64(n))))
		m.closing = closing
	}
}

// list writes a section whose heading is a label.
func (m *reportMarkdown) list(heading string, items []string, numbered bool) {
	if len(items) == 0 {
		return
	}
	if !m.heading(m.l.Label(heading)) {
		return
	}
	m.items(items, numbered, "")
}

func (m *reportMarkdown) items(items []string, numbered bool, before string) {
	omitted := 0
	for i, s := range items {
		mark := "- "
		if numbered {
			mark = fmt.Sprintf("%d. ", i+1)
		}
		if omitted > 0 || !m.lines(mark+before+m.text(s)) {
			omitted++
		}
	}
	m.leftOut(omitted)
}

// connections writes those that matter most, folded.
func (m *reportMarkdown) connections(d *Document) error {
	if d.Connections == 0 && len(d.Unanswered) == 0 {
		return nil
	}
	picked, err := choose(d, tableRows)
	if err != nil {
		return err
	}
	l := m.l
	title := connectionsTitle(l, d, &picked)
	if !m.lines("", "<details>", "<summary>"+title+"</summary>", "") {
		return nil
	}
	// What ends the section must fit, too.
	const end = "</details>"
	tables := 0
	if len(picked.rows) > 0 {
		// A column in which nothing stands is left out.
		columns := slices.DeleteFunc(slices.Clone(tableColumns), func(c tableColumn) bool {
			return c.drop > 0 && !slices.ContainsFunc(picked.rows, func(r *Connection) bool { s := c.text(r); return s != "" && s != "-" })
		})
		head, rule := "|", "|"
		for _, c := range columns {
			head += " " + l.Label(c.title) + " |"
			if c.right {
				rule += "---:|"
			} else {
				rule += "---|"
			}
		}
		m.lines(head, rule)
		for _, r := range picked.rows {
			row := "|"
			for _, c := range columns {
				row += " " + m.cell(c.text(r)) + " |"
			}
			if tables > 0 || !m.lines(row) {
				tables++
			}
		}
	}
	var more []string
	if picked.omitted > 0 {
		more = append(more, picked.omission(l))
	}
	more = append(more, unansweredLines(l, d)...)
	if len(more) > 0 && m.lines("") {
		m.items(more, false, "")
	}
	m.leftOut(tables)
	m.closing = true
	m.lines("", end)
	m.closing = false
	return nil
}

func (m *reportMarkdown) versions(d *Document) {
	m.closing = true
	l := m.l
	known := func(s string) string {
		if s == "" {
			return l.Label("versions.unknown")
		}
		return terminal.Shorten(terminal.Clean(s), maxMarkdownCell)
	}
	m.heading(l.Label("heading.versions"))
	m.lines("- " + m.text(l.Label("versions.tool", diagnose.Text("version", known(d.Version)))))
	m.lines("- " + m.text(l.Label("versions.go", diagnose.Text("version", known(d.GoVersion)))))
	m.lines("- " + m.text(l.Label("versions.platform", diagnose.Text("platform", known(d.Platform)))))
	if d.redact != nil {
		m.lines("", m.text(l.Label("markdown.redacted")))
	}
}
