package twopoint

import (
	"strconv"
	"time"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/report"
	"goproxytrace/report/messages"
)

// kindText names packets.
func kindText(l messages.Language, k Kind) string { return l.Compared("points.kind." + string(k)) }

// sentence says what became of packets.
func (f *Finding) sentence(l messages.Language) string {
	text := func(name, v string) diagnose.Value { return diagnose.Text(name, v) }
	beyond := l.Compared("points." + string(f.Place))
	what := l.Compared("points.what." + f.What)
	if f.Kind == ICMP {
		what = f.What
	}
	of := int64(f.Of)
	if f.Of <= 0 {
		of = 0
	}
	values := []diagnose.Value{
		diagnose.Num("n", int64(f.Count)), diagnose.Num("of", of), text("kind", kindText(l, f.Kind)), text("direction", l.Compared("points."+string(f.Direction))),
		text("claimed", f.Claimed), text("peer", f.Peer), diagnose.Bytes("bytes", f.Bytes), diagnose.Num("connections", int64(f.Connections)),
		diagnose.Num("good", int64(f.madeUp)), text("what", what), text("from", f.From), text("to", f.To), text("beyond", beyond),
	}
	if f.TTL != 0 {
		values = append(values, diagnose.Num("ttl", int64(f.TTL)))
		if f.Usual != 0 && f.Usual != f.TTL {
			values = append(values, diagnose.Num("usual", int64(f.Usual)))
		}
	}
	id := "points." + string(f.Event)
	switch {
	case f.Kind == ICMP && f.Event == Appeared:
		id = "points.icmp"
	case f.Kind == ICMP && f.Event == Passed:
		id = "points.icmp.passed"
	}
	return l.Compared(id, values...)
}

// notable reports whether a finding is worth a headline: an ICMP error, a copy
// or what came through is none.
func (f *Finding) notable() bool {
	return f.Kind != ICMP && (f.Event == Appeared || f.Event == Vanished || f.Event == Changed || f.Event == Parted)
}

// headline is the result in one sentence.
func (r *Result) headline() string {
	l := r.Language
	counts := make(map[Event]int)
	for i := range r.Findings {
		if f := &r.Findings[i]; f.notable() {
			counts[f.Event] += f.Count
		}
	}
	values := []diagnose.Value{diagnose.Text("client", r.Client.Name), diagnose.Text("server", r.Server.Name)}
	n := func(e Event) []diagnose.Value {
		return append(values, diagnose.Text("n", messages.Grouped(uint64(counts[e]))))
	}
	switch {
	case counts[Appeared] > 0:
		return l.Compared("points.headline.appeared", n(Appeared)...)
	case !r.Clock.Known:
		return l.Compared("points.headline.common", values...)
	case counts[Vanished] > 0:
		return l.Compared("points.headline.lost", n(Vanished)...)
	case counts[Changed]+counts[Parted] > 0:
		return l.Compared("points.headline.changed", values...)
	case len(r.Unseen) > 0:
		n := 0
		for _, u := range r.Unseen {
			n += u.Connections
		}
		return l.Compared("points.headline.unseen", append(values, diagnose.Text("n", messages.Grouped(uint64(n))))...)
	}
	return l.Compared("points.headline.nothing", values...)
}

// facts are what is known of the whole, a sentence each.
func (r *Result) facts() (out []string) {
	l := r.Language
	if r.Connections > 0 {
		out = append(out, l.Compared("points.matched",
			diagnose.Num("connections", int64(r.Connections)), diagnose.Num("translated", int64(r.Translated)),
			diagnose.Num("m0", int64(r.Matched[0])), diagnose.Num("n0", int64(r.Sent[0])), diagnose.Num("m1", int64(r.Matched[1])), diagnose.Num("n1", int64(r.Sent[1]))))
	}
	if r.Hops[0] != nil && r.Hops[1] != nil {
		out = append(out, l.Compared("points.hops", diagnose.Num("up", int64(*r.Hops[0])), diagnose.Num("down", int64(*r.Hops[1]))))
	}
	c := &r.Clock
	if !c.Known {
		return out
	}
	name := diagnose.Text("server", r.Server.Name)
	if !c.bounded() {
		return append(out, l.Compared("points.clock.one-way", name, diagnose.Dur("offset", c.Offset)))
	}
	id, offset, least, most := "points.clock", c.Offset, c.Least, c.Most
	if offset < 0 {
		id, offset, least, most = "points.clock.behind", -offset, -most, -least
	}
	return append(out, l.Compared(id, name, diagnose.Dur("offset", offset), diagnose.Dur("least", least), diagnose.Dur("most", most),
		diagnose.Text("drift", ppm(c.Drift))))
}

// ppm writes a drift in parts per million, empty for none.
func ppm(drift float64) string {
	if drift == 0 {
		return ""
	}
	return strconv.FormatFloat(drift/1000, 'f', 1, 64)
}

// filters are display filters for both captures, a line each.
func (f *Finding) filters(r *Result) (out []string) {
	for _, x := range []struct {
		name   string
		frames []int64
	}{{r.Client.Name, f.ClientFrames}, {r.Server.Name, f.ServerFrames}} {
		if len(x.frames) > 0 {
			out = append(out, r.Language.Compared("points.frames", diagnose.Text("file", x.name), diagnose.Text("filter", report.FrameFilter(x.frames))))
		}
	}
	return out
}

func (u *Unseen) sentence(l messages.Language) string {
	return l.Compared("points.unseen", diagnose.Num("n", int64(u.Connections)), diagnose.Text("peer", u.Server), diagnose.Text("address", u.address()))
}

func (n *NotJudged) sentence(l messages.Language) string {
	return l.Compared("points.not-judged."+n.Reason, diagnose.Num("n", int64(n.Count)))
}

func (c *Caution) sentence(l messages.Language) string { return l.Compared(c.ID, c.Values...) }

func (p *Point) sentence(l messages.Language) string {
	when := func(ns int64) string {
		if ns == 0 {
			return "-"
		}
		return time.Unix(0, ns).UTC().Format("2006-01-02 15:04:05.000 UTC")
	}
	return l.Compared("points.capture", diagnose.Text("file", p.Name), diagnose.Text("packets", messages.Grouped(uint64(p.Packets))),
		diagnose.Text("segments", messages.Grouped(uint64(p.Segments))), diagnose.Text("start", when(p.Start)), diagnose.Text("end", when(p.End)))
}
