package report

import (
	"slices"
	"strings"
	"time"

	"goproxytrace/analyze"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/report/messages"
)

// What the sections of a report say, line by line, for every renderer that
// people read.

// verdictFacts tells class, stage, place and level in one line.
func verdictFacts(l messages.Language, v *Verdict) string {
	facts := []string{l.Label("verdict.class", diagnose.Text("class", v.Class))}
	if v.Died {
		facts = append(facts, l.Label("verdict.stage", diagnose.Text("stage", l.Label("stage."+v.Stage))))
	}
	if len(v.Place) > 0 {
		facts = append(facts, l.Label("verdict.place", diagnose.Text("places", placeWords(l, v.Place))))
	}
	if v.Level != "" && v.Level != "none" {
		facts = append(facts, l.Label("verdict.level", diagnose.Text("level", l.Label("level."+v.Level))))
	}
	return strings.Join(facts, l.Label("comma"))
}

// verdictNotes are the sentences that go with the verdict on a capture.
func verdictNotes(d *Document) (out []string) {
	v := &d.Verdict
	for _, n := range v.Notes {
		out = append(out, d.Language.Text(n))
	}
	if d.Interrupted {
		out = append(out, d.Language.Label("note.interrupted"))
	}
	if v.Class == "no-traffic" || v.Class == "capture.unusable" || v.Class == "ok" && d.Connections == 0 {
		out = append(out, d.Language.Label("note.no-proof"))
	}
	return out
}

// placeWords lists places as alternatives.
func placeWords[P ~string](l messages.Language, list []P) string {
	var b strings.Builder
	for i, p := range list {
		switch {
		case i > 0 && i == len(list)-1:
			b.WriteString(l.Label("or"))
		case i > 0:
			b.WriteString(l.Label("list"))
		}
		b.WriteString(l.Label("place." + string(p)))
	}
	return b.String()
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

// listed bounds the lines of a section that a capture can make long.
const listed = 10

// some returns what line says of each of the first things of a list, and how
// many there are beyond.
func some[T any](l messages.Language, list []T, more string, line func(*T) string) (out []string) {
	for i := range list[:min(len(list), listed)] {
		out = append(out, line(&list[i]))
	}
	if n := len(list) - listed; n > 0 {
		out = append(out, l.Label("more", diagnose.Text("more", l.Count(more, uint64(n))), diagnose.Text("flag", "--json")))
	}
	return out
}

// processLines tell of processes; of one alone that nothing more is known of
// the verdict has said all.
func processLines(l messages.Language, list []Process) []string {
	known := slices.ContainsFunc(list, func(p Process) bool { return p.ParentName != "" || p.Exit != nil })
	if len(list) < 2 && !known {
		return nil
	}
	return some(l, list, "count.more-processes", func(p *Process) string { return processLine(l, p) })
}

// said joins what a verdict is on, its class and its sentence.
func said(l messages.Language, subject string, v *Verdict) string {
	return strings.Join([]string{subject, v.Class, v.Summary}, l.Label("colon"))
}

// processLine tells which process it was, how it ended, and its verdict.
func processLine(l messages.Language, p *Process) string {
	pid := diagnose.Num("pid", int64(p.PID))
	s := l.Label("process.pid", pid)
	if p.Name != "" {
		s = l.Label("process.named", diagnose.Text("process", p.Name), pid)
	}
	if p.ParentName != "" {
		s += l.Label("process.started-by", diagnose.Text("parent", p.ParentName), diagnose.Num("pid", int64(p.Parent)))
	}
	if p.Exit != nil {
		s += l.Label("process.exit", diagnose.Num("exit", int64(*p.Exit)))
	}
	if p.Verdict.Class == "no-traffic" {
		return s + l.Label("colon") + l.Label("process.idle")
	}
	return said(l, s, &p.Verdict)
}

// attemptLines tell of the attempts to connect that died without a packet.
func attemptLines(l messages.Language, list []Attempt) []string {
	died := slices.DeleteFunc(slices.Clone(list), func(a Attempt) bool { return !a.Verdict.Died })
	return some(l, died, "count.more-attempts", func(a *Attempt) string { return said(l, a.Target, &a.Verdict) })
}

// failed are the failed lookups of one name that ended alike.
type failed struct {
	last  *Lookup
	types []string
	count int
}

// lookupLines tell of the lookups that failed.
func lookupLines(l messages.Language, list []Lookup) []string {
	var groups []*failed
	byName := make(map[[2]string]*failed)
	for i := range list {
		q := &list[i]
		if !q.Verdict.Died {
			continue
		}
		key := [2]string{q.Name, q.Verdict.Class}
		g := byName[key]
		if g == nil {
			g = new(failed)
			byName[key] = g
			groups = append(groups, g)
		}
		g.last = q
		g.count++
		if !slices.Contains(g.types, q.Type) {
			g.types = append(g.types, q.Type)
		}
	}
	return some(l, groups, "count.more-names", func(p **failed) string {
		g := *p
		return said(l, l.Label("lookup.group", diagnose.Text("name", g.last.Name), diagnose.Text("types", strings.Join(g.types, l.Label("list"))),
			diagnose.Text("questions", l.Count("count.questions", uint64(g.count)))), &g.last.Verdict)
	})
}

// connectionsTitle heads the table of the connections that were picked.
func connectionsTitle(l messages.Language, d *Document, picked *shown) string {
	if picked.omitted == 0 {
		return l.Label("heading.connections")
	}
	return l.Label("heading.connections-of", diagnose.Num("shown", int64(len(picked.rows))), diagnose.Text("all", messages.Grouped(uint64(d.Connections))))
}

// unansweredLines tell of connections that are in no table.
func unansweredLines(l messages.Language, d *Document) []string {
	return some(l, d.Unanswered, "count.more-unanswered-servers", func(u *analyze.Unanswered) string {
		return l.Label("connections.unanswered", diagnose.Text("connections", l.Count("count.further-connections", uint64(max(u.Connections, 0)))),
			diagnose.Text("server", u.Server), diagnose.Num("first", u.FirstFrame), diagnose.Num("last", u.LastFrame))
	})
}

// captureLines describe the file and say how far it is to be trusted.
func captureLines(l messages.Language, c *Capture) []string {
	out := append([]string{captureLine(l, c)}, captureFacts(l, c)...)
	out = append(out, some(l, c.Unread, "count.more-unread", func(u *Unread) string { return unreadLine(l, u) })...)
	if c.HasSecrets {
		out = append(out, l.Label("capture.secrets"))
	}
	return append(out, c.Notes...)
}

// captureLine describes the file.
func captureLine(l messages.Language, c *Capture) string {
	line := l.Label("capture.line", diagnose.Text("file", c.File), diagnose.Text("packets", packetsText(l, c)),
		diagnose.Text("bytes", bytesText(uint64(max(c.Bytes, 0)))), diagnose.Text("format", c.Format))
	if c.Start != nil && c.End != nil {
		ms := float64(c.End.Sub(*c.Start)) / float64(time.Millisecond)
		line += l.Label("capture.time", diagnose.Text("start", c.Start.Format("2006-01-02 15:04:05")), diagnose.Text("span", millis(&ms)))
	}
	return line
}

// captureFacts says how far the capture is to be trusted.
func captureFacts(l messages.Language, c *Capture) (out []string) {
	if d := c.Damage; d != nil {
		out = append(out, l.Label("capture.damaged", diagnose.Num("packet", d.Packet), diagnose.Num("offset", d.Offset), diagnose.Text("reason", d.Reason)))
	}
	switch {
	case c.Dropped == nil:
		out = append(out, l.Label("capture.drops-unknown"))
	case *c.Dropped > 0:
		out = append(out, l.Count("capture.dropped", *c.Dropped))
	default:
		out = append(out, l.Label("capture.none-dropped"))
	}
	for _, h := range c.Health {
		out = append(out, h.ID+l.Label("colon")+h.Text)
	}
	return out
}

func unreadLine(l messages.Language, u *Unread) string {
	return l.Label("capture.unread", diagnose.Text("frames", l.Count("count.frames", uint64(max(u.Count, 0)))), diagnose.Text("name", u.Name), diagnose.Num("first", u.First))
}

// packetsText tells packets from the host's records, which take frame numbers
// too.
func packetsText(l messages.Language, c *Capture) string {
	packets := l.Count("count.packets", uint64(max(c.Packets-c.Records, 0)))
	if c.Records == 0 {
		return packets
	}
	return l.Label("capture.records", diagnose.Text("packets", packets), diagnose.Text("records", l.Count("count.records", uint64(c.Records))))
}
