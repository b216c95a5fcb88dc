package report

import (
	"bufio"
	"io"
	"strconv"
	"strings"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/internal/terminal"
	"goproxytrace/report/messages"
)

// markdownColumns is how wide paragraphs of a Markdown document are.
const markdownColumns = 120

type markdownWriter struct{ w *bufio.Writer }

// WriteTopicsMarkdown explains topics in Markdown.
func WriteTopicsMarkdown(w io.Writer, topics []Topic) error {
	m := markdownWriter{bufio.NewWriter(w)}
	for i := range topics {
		if i > 0 {
			m.line("")
		}
		m.topic(&topics[i], "##", true)
	}
	return m.w.Flush()
}

// WriteVerdictsMarkdown writes the reference of all verdicts, docs/verdicts.md.
func WriteVerdictsMarkdown(w io.Writer) error {
	m := markdownWriter{bufio.NewWriter(w)}
	topics := Topics()
	m.intro()
	m.line("| class | in short | stage | widest place | faults |")
	m.line("|---|---|---|---|---|")
	for i := range topics {
		t := &topics[i]
		if t.class == "" {
			continue
		}
		d := diagnose.Descriptions[t.class]
		m.line("| [`" + t.ID + "`](#" + anchor(t.ID) + ") | " + t.Title + " | " + string(diagnose.Classes[t.class].Stage) + " | " +
			orDash(places(d.Widest)) + " | " + orDash(strings.Join(diagnose.RowsOf(t.class), ", ")) + " |")
	}
	group := ""
	for i := range topics {
		t := &topics[i]
		if g := groupOf(t); g != group {
			group = g
			m.line("")
			m.line("## " + g)
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
var headings = map[string]string{kindNote: "Notes on a verdict", kindHealth: "Capture health"}

func groupOf(t *Topic) string {
	switch {
	case t.note != nil:
		return headings[t.kind]
	}
	group, _, dotted := strings.Cut(t.ID, ".")
	switch {
	case !dotted || group == "capture" || group == "link":
		return "The capture as a whole"
	case group == "dns":
		return "Name resolution"
	case group == "connect":
		return "TCP connection"
	case group == "proxy":
		return "CONNECT proxy"
	case group == "tls":
		return "TLS handshake"
	case group == "http":
		return "Request and answer"
	case group == "transfer":
		return "Transfer"
	}
	return "The client's own doing"
}

func (m markdownWriter) intro() {
	m.line("# Verdicts")
	m.line("")
	m.line("<!-- Written by: goproxytrace explain --markdown. go test ./report -update rewrites it. -->")
	m.line("")
	m.paragraph("Every verdict that goproxytrace gives, what it rests on, and what it cannot say. `goproxytrace explain CLASS` prints the same for one class. " +
		"The lists of evidence and thresholds are compared with the rules' source by a test.")
	m.line("")
	m.paragraph("A verdict has a class, a stage (how far the request came), a place and a level. The place is the smallest set that the evidence allows:")
	m.line("")
	m.item("- ", "`host`: this machine (firewall, security product, routing)")
	m.item("- ", "`client`: the go command, its child, or the user")
	m.item("- ", "`network`: anything between, the local link included")
	m.item("- ", "`remote`: what answers at the far address (module proxy, resolver, CONNECT proxy)")
	m.line("")
	m.paragraph("Two places mean that the capture cannot tell them apart. The level is how much the evidence carries:")
	m.line("")
	m.item("- ", "`proven`: what crossed or did not cross the capture point, arithmetic on it, or text read in clear")
	m.item("- ", "`strongly-suggested`: independent signs, with the look-alikes ruled out by something seen")
	m.item("- ", "`consistent`: one sign, or a look-alike remains")
	m.item("- ", "`none`: no statement")
	m.line("")
	m.paragraph("The level belongs to the class and the places together: proven in `network, remote` means that it is proven to have happened and to be one of the two. " +
		"TCP and IP headers are not authenticated: \"the server reset it\" is always \"a packet with the server's address reset it\", unless the evidence says more.")
	m.line("")
	m.paragraph("In the sentences of evidence, names in angle brackets stand for values, and what is in square brackets is left out where it is not known.")
	m.line("")
	m.line("## Classes")
	m.line("")
}

func (m markdownWriter) topic(t *Topic, level string, reasons bool) {
	e := t.lay(reasons)
	m.line(level + " " + e.id)
	m.line("")
	m.paragraph("**" + escapeMarkdown(upper(e.title)) + "**; " + escapeMarkdown(e.facts) + ".")
	m.line("")
	m.paragraph(escapeMarkdown(e.seen))
	for _, s := range e.sections {
		m.line("")
		m.line("**" + s.title + "**")
		m.line("")
		if s.title == "Thresholds" && !reasons {
			m.paragraph(thresholdLine(s.items))
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
				text = name + ": " + text
			}
			if s.numbered {
				m.item(strconv.Itoa(n+1)+". ", text)
			} else {
				m.item("- ", text)
			}
		}
	}
}

func thresholdLine(items []item) string {
	var s []string
	for _, it := range items {
		s = append(s, "`"+it.name+"` "+it.text)
	}
	return strings.Join(s, ", ") + " ([reasons](#thresholds))"
}

// configured lists what can join a verdict of any class.
func (m markdownWriter) configured() {
	ids := messages.ConfiguredEvidence()
	if len(ids) == 0 {
		return
	}
	m.line("")
	m.line("## The go command's view")
	m.line("")
	m.paragraph("Where GOPROXY or the go command's own output is known, these observations join a verdict of any class. They move neither class nor place, " +
		"except that `http.error` and an interrupted command (`client.aborted`) can be told from words alone, and that a death with which the command ended counts although another host delivered later.")
	m.line("")
	for _, id := range ids {
		m.item("- ", "`"+id+"`: "+escapeMarkdown(messages.Pattern(id)))
	}
}

func (m markdownWriter) thresholds() {
	m.line("")
	m.line("## Thresholds")
	m.line("")
	m.line("| name | value | reason | source |")
	m.line("|---|---|---|---|")
	for i := range diagnose.Thresholds {
		t := &diagnose.Thresholds[i]
		value, reason := messages.Threshold(t)
		source := t.Source
		if source == "" {
			source = "chosen for this program"
		}
		m.line("| `" + t.Value.Name + "` | " + value + " | " + escapeMarkdown(reason) + " | " + source + " |")
	}
}

func (m markdownWriter) rows() {
	m.line("")
	m.line("## Faults, and what they show up as")
	m.line("")
	m.line("| fault | name | class | told apart by |")
	m.line("|---|---|---|---|")
	for i := range diagnose.Rows {
		r := &diagnose.Rows[i]
		var as []string
		for _, c := range r.Classes {
			as = append(as, link(string(c)))
		}
		for _, n := range r.Notes {
			as = append(as, "note "+link(n))
		}
		for _, id := range r.Health {
			as = append(as, link(id))
		}
		if r.AnyDeath {
			as = append(as, "the class of that host's death; the summary names the host")
		}
		var by []string
		for _, id := range r.Evidence {
			by = append(by, "`"+id+"`")
		}
		m.line("| " + r.ID + " | " + messages.RowName(r.ID) + " | " + strings.Join(as, ", ") + " | " + strings.Join(by, ", ") + " |")
	}
}

func (m markdownWriter) line(s string) {
	m.w.WriteString(strings.TrimRight(s, " "))
	m.w.WriteByte('\n')
}

func (m markdownWriter) paragraph(s string) { m.line(terminal.Wrap(s, markdownColumns, "", "")) }

func (m markdownWriter) item(first, s string) {
	m.line(terminal.Wrap(s, markdownColumns, first, strings.Repeat(" ", len(first))))
}

func link(id string) string { return "[`" + id + "`](#" + anchor(id) + ")" }

// anchor is the fragment that renderers of Markdown give to a heading: lower
// case, without dots.
func anchor(id string) string { return strings.ToLower(strings.ReplaceAll(id, ".", "")) }

var markdownEscapes = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "[", `\[`, "]", `\]`, "<", `\<`, "|", `\|`)

func escapeMarkdown(s string) string { return markdownEscapes.Replace(s) }

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
