package report

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"goproxytrace/internal/terminal"
	"goproxytrace/report/messages"
)

// WriteText writes the report that a person reads on a terminal: verdict,
// evidence, next steps, connections, capture health, and what was not assessed.
func WriteText(w io.Writer, d *Document, o terminal.Output) error {
	t := &textWriter{w: bufio.NewWriter(w), o: o}
	t.verdict(d)
	t.evidence(&d.Verdict)
	t.list("Next steps", d.Verdict.NextSteps, true)
	t.list("What would refute this", d.Verdict.RefutedBy, false)
	t.processes(d)
	t.lookups(d)
	if err := t.connections(d); err != nil {
		return err
	}
	t.capture(&d.Capture)
	t.list("Not assessed", d.Verdict.NotAssessed, false)
	return t.w.Flush()
}

type textWriter struct {
	w *bufio.Writer
	o terminal.Output
}

// line prints one line; the text is trusted, what is in it was cleaned.
func (t *textWriter) line(s string) {
	t.w.WriteString(s)
	t.w.WriteByte('\n')
}

func (t *textWriter) heading(s string) {
	t.line("")
	t.line(t.o.Paint(terminal.Bold, s))
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
	facts := "class " + v.Class
	if v.Died {
		facts += ", stage " + v.Stage
	}
	if len(v.Place) > 0 {
		facts += ", place " + strings.Join(v.Place, " or ")
	}
	if v.Level != "" && v.Level != "none" {
		facts += ", level " + v.Level
	}
	t.wrapped("", facts)
	for _, n := range v.Notes {
		t.wrapped("note: ", messages.Text(n))
	}
	if d.Interrupted {
		t.wrapped("note: ", "Reading was interrupted: this is what the capture showed up to there.")
	}
	if v.Class == "no-traffic" || v.Class == "capture.unusable" || v.Class == "ok" && d.Connections == 0 {
		t.wrapped("note: ", "Finding nothing is no proof of health.")
	}
}

func (t *textWriter) evidence(v *Verdict) {
	if len(v.Evidence) == 0 {
		return
	}
	t.heading("Evidence")
	for _, e := range v.Evidence {
		t.bullet(e.Text)
		if e.Filter != "" {
			// A filter is for copying: it is never broken into lines.
			t.line("    " + t.o.Paint(terminal.Dim, e.Filter))
		}
	}
	if all := allFrames(v.Evidence); len(v.Evidence) > 1 && len(all) > 0 {
		t.bullet("all of it in Wireshark:")
		t.line("    " + t.o.Paint(terminal.Dim, FrameFilter(all)))
	}
}

func allFrames(list []Evidence) []int64 {
	var all []int64
	with := 0
	for _, e := range list {
		all = append(all, e.Frames...)
		if len(e.Frames) > 0 {
			with++
		}
	}
	if with < 2 {
		return nil
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (t *textWriter) list(title string, items []string, numbered bool) {
	if len(items) == 0 {
		return
	}
	t.heading(title)
	for i, s := range items {
		if numbered {
			t.wrapped(fmt.Sprintf("%3d. ", i+1), s)
		} else {
			t.bullet(s)
		}
	}
}

// listed bounds the lines of a section that a capture can make long.
const listed = 10

func (t *textWriter) processes(d *Document) {
	if len(d.Processes) < 2 {
		return
	}
	t.heading("Processes")
	for i := range d.Processes[:min(len(d.Processes), listed)] {
		p := &d.Processes[i]
		t.bullet(fmt.Sprintf("%s[%d]: %s: %s", p.Name, p.PID, p.Verdict.Class, p.Verdict.Summary))
	}
	t.more(len(d.Processes)-listed, "process", "processes", "--json")
}

// failed are the failed lookups of one name that ended alike.
type failed struct {
	last  *Lookup
	types []string
	count int
}

func (t *textWriter) lookups(d *Document) {
	var groups []*failed
	byName := make(map[[2]string]*failed)
	for i := range d.Lookups {
		l := &d.Lookups[i]
		if !l.Verdict.Died {
			continue
		}
		key := [2]string{l.Name, l.Verdict.Class}
		g := byName[key]
		if g == nil {
			g = new(failed)
			byName[key] = g
			groups = append(groups, g)
		}
		g.last = l
		g.count++
		if !slices.Contains(g.types, l.Type) {
			g.types = append(g.types, l.Type)
		}
	}
	if len(groups) == 0 {
		return
	}
	t.heading("Name lookups that failed")
	for _, g := range groups[:min(len(groups), listed)] {
		t.bullet(fmt.Sprintf("%s %s (%s): %s: %s", g.last.Name, strings.Join(g.types, ", "),
			count(g.count, "question", "questions"), g.last.Verdict.Class, g.last.Verdict.Summary))
	}
	t.more(len(groups)-listed, "name", "names", "--json")
}

func (t *textWriter) more(n int, singular, plural, flag string) {
	if n > 0 {
		t.bullet(fmt.Sprintf("and %s; %s lists them all", count(n, "more "+singular, "more "+plural), flag))
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
	title := "Connections"
	if picked.omitted > 0 {
		title = fmt.Sprintf("Connections (%d of %s)", len(picked.rows), grouped(uint64(d.Connections)))
	}
	t.heading(title)
	if len(picked.rows) > 0 {
		var b strings.Builder
		if err := writeTable(&b, picked.rows, t.o); err != nil {
			return err
		}
		for line := range strings.Lines(b.String()) {
			t.line(strings.TrimRight(line, " \n"))
		}
	}
	if picked.omitted > 0 {
		s := "and " + grouped(uint64(picked.omitted)) + " more"
		if picked.omittedDeaths > 0 {
			s += fmt.Sprintf(" (%s of them died)", grouped(uint64(picked.omittedDeaths)))
		}
		t.wrapped("", s+": --connections=FILE writes all of them, --host and --port narrow the view")
	}
	for _, u := range d.Unanswered[:min(len(d.Unanswered), listed)] {
		t.bullet(fmt.Sprintf("%s to %s that nobody answered, frames %d to %d",
			count(u.Connections, "further connection", "further connections"), u.Server, u.FirstFrame, u.LastFrame))
	}
	t.more(len(d.Unanswered)-listed, "unanswered server", "unanswered servers", "--json")
	return nil
}

func (t *textWriter) capture(c *Capture) {
	t.heading("Capture")
	line := fmt.Sprintf("%s: %s, %s", c.File, count(c.Packets, "packet", "packets"), bytesText(uint64(max(c.Bytes, 0))))
	if c.Format != "" {
		line += ", " + c.Format
	}
	if c.Start != nil && c.End != nil {
		ms := float64(c.End.Sub(*c.Start)) / float64(time.Millisecond)
		line += fmt.Sprintf(", %s UTC, %s", c.Start.Format("2006-01-02 15:04:05"), millis(&ms))
	}
	t.bullet(line)
	if d := c.Damage; d != nil {
		t.bullet(fmt.Sprintf("damaged at packet %d, file offset %d: %s; everything before was read", d.Packet, d.Offset, d.Reason))
	}
	switch {
	case c.Dropped == nil:
		t.bullet("the capture does not say whether packets were dropped")
	case *c.Dropped > 0:
		t.bullet(count(*c.Dropped, "packet was", "packets were") + " dropped while capturing")
	default:
		t.bullet("no packet was dropped while capturing")
	}
	for _, h := range c.Health {
		t.bullet(h.ID + ": " + h.Text)
	}
	for _, u := range c.Unread[:min(len(c.Unread), listed)] {
		t.bullet(fmt.Sprintf("not read: %s of %s (first: frame %d)", count(u.Count, "frame", "frames"), u.Name, u.First))
	}
	t.more(len(c.Unread)-listed, "kind of unread frames", "kinds of unread frames", "--json")
	if c.HasSecrets {
		t.bullet("the file holds TLS keys: whoever gets it can decrypt what it shows")
	}
	for _, n := range c.Notes {
		t.bullet(n)
	}
}
