package report

import (
	"bufio"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/internal/terminal"
	"goproxytrace/report/messages"
)

// markdownColumns is how wide paragraphs of a Markdown document are.
const markdownColumns = 120

type markdownWriter struct {
	w *bufio.Writer
	l messages.Language
}

// WriteTopicsMarkdown explains topics in Markdown.
func WriteTopicsMarkdown(w io.Writer, topics []Topic) error {
	m := markdownWriter{w: bufio.NewWriter(w)}
	for i := range topics {
		if i > 0 {
			m.line("")
		}
		m.topic(&topics[i], "##", true)
	}
	return m.w.Flush()
}

// WriteVerdictsMarkdown writes the reference of all verdicts, docs/verdicts.md.
func WriteVerdictsMarkdown(w io.Writer, l messages.Language) error {
	m := markdownWriter{bufio.NewWriter(w), l}
	topics := Topics(l)
	m.intro()
	m.header("class", "short", "stage", "widest", "faults")
	for i := range topics {
		t := &topics[i]
		if t.class == "" {
			continue
		}
		d := diagnose.Descriptions[t.class]
		m.line("| [`" + t.ID + "`](#" + anchor(t.ID) + ") | " + t.Title + " | " + l.Label("stage."+string(diagnose.Classes[t.class].Stage)) + " | " +
			orDash(placeWords(l, d.Widest)) + " | " + orDash(strings.Join(diagnose.RowsOf(t.class), l.Label("list"))) + " |")
	}
	group := ""
	for i := range topics {
		t := &topics[i]
		if g := groupOf(t); g != group {
			group = g
			m.line("")
			m.line("## " + l.Label(g))
		}
		m.line("")
		m.topic(t, "###", false)
	}
	m.configured()
	m.thresholds()
	m.rows()
	return m.w.Flush()
}

// headings are those of what is no class, by kind.
var headings = map[string]string{kindNote: "topic.group-notes", kindHealth: "topic.group-health"}

// groupOf returns the label of the heading that a topic stands under.
func groupOf(t *Topic) string {
	switch {
	case t.note != nil:
		return headings[t.kind]
	}
	group, _, dotted := strings.Cut(t.ID, ".")
	switch {
	case !dotted || group == "capture" || group == "link":
		return "topic.group-capture"
	}
	return "topic.group-" + group
}

func (m markdownWriter) intro() {
	say := func(id string) {
		m.paragraph(m.l.Label(id))
		m.line("")
	}
	m.line("# " + m.l.Label("document.title"))
	m.line("")
	m.line("<!-- Written by: goproxytrace explain --markdown. go test ./report -update rewrites it. -->")
	m.line("")
	say("document.what")
	say("document.verdict")
	for _, p := range []diagnose.Place{diagnose.Host, diagnose.Client, diagnose.Network, diagnose.Remote} {
		m.item("- ", m.name("place."+string(p))+m.l.Label("colon")+m.l.Label("document.place."+string(p)))
	}
	m.line("")
	say("document.level")
	for _, v := range []diagnose.Level{diagnose.Proven, diagnose.Suggested, diagnose.Consistent, diagnose.None} {
		m.item("- ", m.name("level."+string(v))+m.l.Label("colon")+m.l.Label("document.level."+string(v)))
	}
	m.line("")
	say("document.together")
	say("document.patterns")
	m.line("## " + m.l.Label("document.classes"))
	m.line("")
}

// name writes an identifier, and its word where the language has another.
func (m markdownWriter) name(label string) string {
	_, id, _ := strings.Cut(label, ".")
	if word := m.l.Label(label); word != id {
		return m.l.Label("document.word", diagnose.Text("id", "`"+id+"`"), diagnose.Text("word", word))
	}
	return "`" + id + "`"
}

// header writes the head of a table whose columns are labels.
func (m markdownWriter) header(columns ...string) {
	head, rule := "|", "|"
	for _, c := range columns {
		head += " " + m.l.Label("document.column."+c) + " |"
		rule += "---|"
	}
	m.line(head)
	m.line(rule)
}

func (m markdownWriter) topic(t *Topic, level string, reasons bool) {
	m.l = t.language
	e := t.lay(reasons)
	m.line(level + " " + e.id)
	m.line("")
	m.paragraph("**" + escapeMarkdown(upper(e.title)) + "**" + m.l.Label("semicolon") + escapeMarkdown(e.facts) + m.l.Label("stop"))
	m.line("")
	m.paragraph(escapeMarkdown(e.seen))
	for _, s := range e.sections {
		m.line("")
		m.line("**" + m.l.Label(s.title) + "**")
		m.line("")
		if s.title == "topic.thresholds" && !reasons {
			m.paragraph(m.thresholdLine(s.items))
			continue
		}
		for n, it := range s.items {
			text := escapeMarkdown(it.text)
			if name := it.name; name != "" {
				if !strings.Contains(name, " ") {
					name = "`" + name + "`"
				} else {
					name = "*" + escapeMarkdown(name) + "*"
				}
				text = name + m.l.Label("colon") + text
			}
			if s.numbered {
				m.item(strconv.Itoa(n+1)+". ", text)
			} else {
				m.item("- ", text)
			}
		}
	}
}

func (m markdownWriter) thresholdLine(items []item) string {
	var s []string
	for _, it := range items {
		s = append(s, "`"+it.name+"` "+it.text)
	}
	return strings.Join(s, m.l.Label("comma")) + " ([" + m.l.Label("topic.reasons") + "](#" + anchor(m.l.Label("document.thresholds")) + "))"
}

// configured lists what can join a verdict of any class.
func (m markdownWriter) configured() {
	ids := messages.ConfiguredEvidence()
	if len(ids) == 0 {
		return
	}
	m.line("")
	m.line("## " + m.l.Label("document.beside"))
	m.line("")
	m.paragraph(m.l.Label("document.beside.what"))
	m.line("")
	for _, id := range ids {
		m.item("- ", "`"+id+"`"+m.l.Label("colon")+escapeMarkdown(m.l.Pattern(id)))
	}
}

func (m markdownWriter) thresholds() {
	m.line("")
	m.line("## " + m.l.Label("document.thresholds"))
	m.line("")
	m.header("name", "value", "reason", "source")
	for i := range diagnose.Thresholds {
		t := &diagnose.Thresholds[i]
		value, reason := m.l.Threshold(t)
		source := t.Source
		if source == "" {
			source = m.l.Label("document.chosen")
		}
		m.line("| `" + t.Value.Name + "` | " + value + " | " + escapeMarkdown(reason) + " | " + source + " |")
	}
}

func (m markdownWriter) rows() {
	m.line("")
	m.line("## " + m.l.Label("document.rows"))
	m.line("")
	m.header("fault", "name", "class", "told-apart")
	for i := range diagnose.Rows {
		r := &diagnose.Rows[i]
		var as []string
		for _, c := range r.Classes {
			as = append(as, link(string(c)))
		}
		for _, n := range r.Notes {
			as = append(as, m.l.Label("document.row.note", diagnose.Text("note", link(n))))
		}
		for _, id := range r.Health {
			as = append(as, link(id))
		}
		if r.AnyDeath {
			as = append(as, m.l.Label("document.row.any-death"))
		}
		var by []string
		for _, id := range r.Evidence {
			by = append(by, "`"+id+"`")
		}
		m.line("| " + r.ID + " | " + m.l.RowName(r.ID) + " | " + strings.Join(as, m.l.Label("list")) + " | " + strings.Join(by, m.l.Label("list")) + " |")
	}
}

func (m markdownWriter) line(s string) {
	m.w.WriteString(strings.TrimRight(s, " "))
	m.w.WriteByte('\n')
}

func (m markdownWriter) paragraph(s string) { m.item("", s) }

func (m markdownWriter) item(first, s string) {
	columns := markdownColumns
	if m.l == messages.Chinese {
		columns = math.MaxInt // Markdown makes a space of each line's end
	}
	m.line(terminal.Wrap(s, columns, first, strings.Repeat(" ", len(first))))
}

func link(id string) string { return "[`" + id + "`](#" + anchor(id) + ")" }

// anchor is the fragment that renderers of Markdown give to a heading: lower
// case, without dots, spaces as hyphens.
func anchor(id string) string { return strings.ToLower(anchors.Replace(id)) }

var anchors = strings.NewReplacer(".", "", " ", "-")

var markdownEscapes = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "[", `\[`, "]", `\]`, "<", `\<`, "|", `\|`)

// escapeMarkdown escapes text for Markdown; what stands between backquotes is
// code and stays as it is.
func escapeMarkdown(s string) string {
	parts := strings.Split(s, "`")
	if len(parts)%2 == 0 {
		return markdownEscapes.Replace(s)
	}
	for i := 0; i < len(parts); i += 2 {
		parts[i] = markdownEscapes.Replace(parts[i])
	}
	return strings.Join(parts, "`")
}

// upper begins with a capital letter, where there are such.
func upper(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
