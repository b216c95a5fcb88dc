package compare

import (
	"slices"
	"time"

	"goproxytrace/analyze/diagnose"
)

// Caution is something that was not the same for both sides, or not controlled.
type Caution struct {
	// ID names it; report/messages has a sentence for each.
	ID     string
	Values []diagnose.Value
}

// cautions finds what else than the sides' meaning may make a difference.
func cautions(c *Comparison) (out []Caution) {
	say := func(id string, values ...diagnose.Value) { out = append(out, Caution{id, values}) }
	names := []diagnose.Value{diagnose.Text("A", c.Sides[0].Name), diagnose.Text("B", c.Sides[1].Name)}
	with := func(values ...diagnose.Value) []diagnose.Value { return append(slices.Clone(names), values...) }
	a, b := c.Sides[0].Runs, c.Sides[1].Runs
	if c.Single() {
		say("caution.single", names...)
	}
	if n := shared(a, b); n > 0 {
		say("caution.same-capture", with(diagnose.Num("n", n))...)
	}
	switch redacted := slices.ContainsFunc(slices.Concat(a, b), func(r *Run) bool { return r.Redacted }); {
	case c.masked:
		say("caution.masked")
	case redacted:
		say("caution.redacted")
	}
	if v := versions(a, b); len(v) > 1 {
		say("caution.versions", diagnose.Text("versions", some(v)))
	}
	if first, gap, ok := ordered(a, b); ok && !c.Single() {
		f, l := c.Sides[first].Name, c.Sides[1-first].Name
		say("caution.order", diagnose.Text("first", f), diagnose.Text("last", l), diagnose.Dur("gap", max(int64(gap), 1)))
	} else if ok {
		say("caution.time", diagnose.Dur("gap", max(int64(gap), 1)))
	}
	if x, y := clients(a), clients(b); !c.masked && len(x) > 0 && len(y) > 0 && !overlap(x, y) {
		say("caution.clients", with(diagnose.Text("a", some(x)), diagnose.Text("b", some(y)))...)
	}
	for i := range c.Groups {
		g := &c.Groups[i]
		for _, id := range []string{"server_address", "ja4", "client_hello_bytes", "bytes_from_server"} {
			if r := g.row(id); r != nil && g.Host != "" && r.confounds(c.Single()) && !r.slight() {
				say("caution."+id, with(diagnose.Text("host", g.Host))...)
			}
		}
	}
	for i := range c.Sides {
		s := &c.Sides[i]
		of := func(f func(*Run) bool) (n int64) {
			for _, r := range s.Runs {
				if f(r) {
					n++
				}
			}
			return n
		}
		count := func(id string, n int64) {
			if n > 0 {
				say(id, diagnose.Text("side", s.Name), diagnose.Num("n", n), diagnose.Num("of", int64(len(s.Runs))))
			}
		}
		count("caution.dropped", of(func(r *Run) bool { return r.Dropped != nil && *r.Dropped > 0 }))
		count("caution.damaged", of(func(r *Run) bool { return r.Damaged }))
		count("caution.empty", of(func(r *Run) bool { return len(r.hosts) == 0 }))
		count("caution.unseen", of(func(r *Run) bool { return slices.Contains(r.Health, "K1.acked-unseen") }))
		count("caution.one-direction", of(func(r *Run) bool { return slices.Contains(r.Health, "K3.one-direction") }))
		count("caution.omitted", of(func(r *Run) bool { return r.omitted > 0 }))
	}
	offload := func(runs []*Run) (n int) {
		for _, r := range runs {
			if slices.Contains(r.Health, "K4.offload") {
				n++
			}
		}
		return n
	}
	if x, y := offload(a), offload(b); x == 0 && y == len(b) || y == 0 && x == len(a) {
		say("caution.offload", names...)
	}
	return out
}

// ordered reports whether all runs of one side ended before the first of the
// other began, which side, and how much time lay between.
func ordered(a, b []*Run) (first int, gap time.Duration, ok bool) {
	span := func(runs []*Run) (from, to time.Time) {
		for _, r := range runs {
			if r.Start.IsZero() {
				return time.Time{}, time.Time{}
			}
			if from.IsZero() || r.Start.Before(from) {
				from = r.Start
			}
			if r.Start.After(to) {
				to = r.Start
			}
		}
		return from, to
	}
	af, at := span(a)
	bf, bt := span(b)
	switch {
	case af.IsZero() || bf.IsZero():
	case at.Before(bf):
		return 0, bf.Sub(at), true
	case bt.Before(af):
		return 1, af.Sub(bt), true
	}
	return 0, 0, false
}

// shared counts the captures that both sides have.
func shared(a, b []*Run) (n int64) {
	seen := make(map[identity]bool)
	for _, r := range a {
		if id, ok := r.identity(); ok {
			seen[id] = true
		}
	}
	for _, r := range b {
		if id, ok := r.identity(); ok && seen[id] {
			n++
		}
	}
	return n
}

// versions lists those of this program that judged the runs.
func versions(sides ...[]*Run) (out []string) {
	for _, runs := range sides {
		for _, r := range runs {
			out = add(out, r.Tool)
		}
	}
	return out
}

func clients(runs []*Run) (out []string) {
	for _, r := range runs {
		for _, c := range r.clients {
			out = add(out, c)
		}
	}
	return out
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// some names the first of several.
func some(list []string) string {
	const named = 3
	if len(list) > named {
		return set(list[:named]) + ", …"
	}
	return set(list)
}

func (g *Group) row(id string) *Row {
	for i := range g.Rows {
		if g.Rows[i].ID == id {
			return &g.Rows[i]
		}
	}
	return nil
}

// confounds reports whether the two sides differ in the row: significantly, or,
// where nothing can be tested, at all.
func (r *Row) confounds(single bool) bool {
	return r.Result == Differs || r.Result == TooFew && (single || r.separate())
}

// slightly is the share by which amounts may differ that are of one download:
// sizes of headers and padding vary.
const slightly = 0.05

func (r *Row) slight() bool {
	_, relative, ok := r.Delta()
	return r.Unit == Bytes && r.ID != "client_hello_bytes" && ok && max(relative, -relative) < slightly
}

// separate reports whether no outcome of one side occurs at the other.
func (r *Row) separate() bool {
	return r.Outcomes && !slices.ContainsFunc(r.A.Counts, func(c OutcomeCount) bool { return r.B.Count(c.Outcome) > 0 })
}
