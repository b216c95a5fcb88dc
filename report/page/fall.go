package page

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"goproxytrace/report"
	"goproxytrace/report/charts"
	"goproxytrace/report/page/frame"
)

// mostBars bounds the bars of the waterfall.
const mostBars = 300

// bar is a row with what it is ordered by.
type bar struct {
	row     charts.Row
	pid     uint32
	process string
	start   time.Time
	weight  int // what stays where there are too many: the least
	table   int // row of the table, -1 where it is not in it
}

// fall makes the waterfall of all connections and lookups. It returns how many
// it leaves out.
func (b *book) fall(conns []listed) (*charts.Waterfall, int) {
	d := b.docs[0]
	var bars []bar
	first, last := time.Time{}, time.Time{}
	reach := func(from, to time.Time) {
		if first.IsZero() || from.Before(first) {
			first = from
		}
		if to.After(last) {
			last = to
		}
	}
	for i := range conns {
		c := conns[i].conn
		end := c.Start.Add(time.Duration(c.Duration * 1e6))
		reach(c.Start, end)
		bars = append(bars, bar{start: c.Start, weight: conns[i].weight, table: i})
		if p := c.Process; p != nil {
			bars[len(bars)-1].pid, bars[len(bars)-1].process = p.PID, p.Name
		}
	}
	for i := range d.Lookups {
		l := &d.Lookups[i]
		if l.Start.IsZero() {
			continue
		}
		end := l.Start
		if l.MS != nil {
			end = end.Add(time.Duration(*l.MS * 1e6))
		}
		reach(l.Start, end)
		n := bar{start: l.Start, table: -1 - i, weight: 3}
		if l.Verdict.Died {
			n.weight = 1
		}
		bars = append(bars, n)
	}
	// Silence up to the end of the capture counts where something died of it.
	died := slices.ContainsFunc(conns, func(l listed) bool { return l.conn.Verdict.Died })
	if e := d.Capture.End; died && e != nil && e.After(last) && !first.IsZero() && e.Sub(last) < time.Hour {
		last = *e
	}
	w := &charts.Waterfall{Span: last.Sub(first).Seconds() * 1e3}
	omitted := max(len(bars)-mostBars, 0)
	if omitted > 0 {
		slices.SortStableFunc(bars, func(a, b bar) int { return cmp.Compare(a.weight, b.weight) })
		bars = bars[:mostBars]
	}
	// Lookups stand with the process whose connections they are for, as far
	// as that is known: with the only one.
	groups := map[uint32]bool{}
	for i := range bars {
		if bars[i].table >= 0 {
			groups[bars[i].pid] = true
		}
	}
	if len(groups) == 1 {
		for pid := range groups {
			for i := range bars {
				if bars[i].table < 0 {
					bars[i].pid = pid
				}
			}
		}
	}
	slices.SortStableFunc(bars, func(a, b bar) int {
		return cmp.Or(cmp.Compare(b.pid, a.pid), a.start.Compare(b.start))
	})
	offset := func(t time.Time) float64 { return t.Sub(first).Seconds() * 1e3 }
	for i := range bars {
		n := &bars[i]
		if i == 0 || bars[i-1].pid != n.pid {
			w.Groups = append(w.Groups, charts.Group{Name: b.process(n.pid)})
			if len(groups) == 1 && n.pid == 0 {
				w.Groups[0].Name = nil
			}
		}
		var r charts.Row
		if n.table >= 0 {
			r = b.connBar(conns, n.table, offset(n.start), w.Span)
		} else {
			r = b.lookupBar(-1-n.table, offset(n.start))
		}
		g := &w.Groups[len(w.Groups)-1]
		g.Rows = append(g.Rows, r)
	}
	return w, omitted
}

// process names a process of a group.
func (b *book) process(pid uint32) charts.Words {
	if pid == 0 {
		return b.say("page.process-unknown")
	}
	for i := range b.docs[0].Processes {
		if p := &b.docs[0].Processes[i]; p.PID == pid {
			return charts.Say(frame.Name(cmp.Or(p.Name, "?")) + " (PID " + strconv.FormatUint(uint64(pid), 10) + ")")
		}
	}
	return charts.Say("PID " + strconv.FormatUint(uint64(pid), 10))
}

// parts lays out the stages of a connection, which has durations of stages
// only: they follow each other, and what is quiet is at the end.
func stagesOf(c *report.Connection, start float64) (parts []charts.Part) {
	s := &c.Stages
	at := start
	add := func(kind charts.PartKind, ms *float64) {
		if ms != nil {
			parts = append(parts, charts.Part{Kind: kind, From: at, To: at + *ms})
			at += *ms
		}
	}
	add(charts.PartConnect, s.Connect)
	add(charts.PartTLS, s.TLS)
	if s.Transfer != nil {
		transfer := *s.Transfer
		if s.FirstByte != nil {
			add(charts.PartFirst, s.FirstByte)
			transfer -= *s.FirstByte
		}
		add(charts.PartTransfer, &transfer)
	} else {
		add(charts.PartFirst, s.FirstByte)
	}
	return parts
}

// quiet adds the silence that a connection ended in. It was counted to the
// connection's last packet, or to the end of the capture where that connection
// was not closed: to the one from which it reaches back into the connection.
func quiet(parts []charts.Part, start, last, length, span float64) ([]charts.Part, float64) {
	const slack = 1.0 // of rounding
	from, to := last-length, last
	if end := span - length; from < start-slack && end >= start-slack && end <= last+slack {
		from, to = end, max(span, last)
	}
	from = max(from, start)
	if n := len(parts); n > 0 {
		from = max(from, min(parts[n-1].To, to))
	}
	return append(parts, charts.Part{Kind: charts.PartQuiet, From: from, To: to}), to
}

func (b *book) connBar(conns []listed, i int, start, span float64) charts.Row {
	c := conns[i].conn
	r := charts.Row{
		Label: charts.Say(frame.Name(serverText(c))), From: start, To: start + c.Duration, Parts: stagesOf(c, start), Died: c.Verdict.Died,
		Href: "#c" + strconv.FormatInt(c.ID, 10),
	}
	if q := c.Stages.Quiet; q != nil && *q > 0 {
		r.Parts, r.To = quiet(r.Parts, r.From, r.To, *q, span)
	}
	if c.Verdict.Died {
		r.Note = charts.Say(c.Verdict.Class)
	}
	r.Tip = charts.Say(fmt.Sprintf("%s %s: %s, %s", serverText(c), c.Server, millisText(&c.Duration), c.Verdict.Class))
	r.Tip[0] = frame.Tame(r.Tip[0])
	return r
}

func (b *book) lookupBar(i int, start float64) charts.Row {
	l := &b.docs[0].Lookups[i]
	r := charts.Row{
		Label: charts.Say("DNS " + l.Type + " " + frame.Name(l.Name)), From: start, To: start, Lookup: true, Died: l.Verdict.Died,
		Href: "#l" + strconv.Itoa(i), Tip: charts.Say(frame.Tame("DNS " + l.Type + " " + l.Name + ": " + millisText(l.MS) + " " + l.RCode)),
	}
	if l.MS != nil {
		r.To = start + *l.MS
		r.Parts = []charts.Part{{Kind: charts.PartDNS, From: start, To: r.To}}
	}
	if l.Verdict.Died {
		r.Note = charts.Say(l.Verdict.Class)
	}
	return r
}

func serverText(c *report.Connection) string { return cmp.Or(c.ServerName, c.Server) }

// millisText writes milliseconds for a person, a dash for unknown.
func millisText(ms *float64) string {
	if ms == nil {
		return "–"
	}
	v := *ms
	digits := 0
	switch {
	case v < 1:
		digits = 2
	case v < 10:
		digits = 1
	case v >= 10_000:
		return strconv.FormatFloat(v/1000, 'f', 1, 64) + " s"
	}
	return strconv.FormatFloat(v, 'f', digits, 64) + " ms"
}
