package compare

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"goproxytrace/analyze/diagnose"
)

// format writes a number with its unit, to three digits or so.
func (u Unit) format(v float64) string {
	switch u {
	case Milliseconds:
		switch abs := math.Abs(v); {
		case abs < 9999.5:
			return digits(v) + " ms"
		case abs < 600_000, abs > math.MaxInt64/1e6:
			return digits(v/1000) + " s"
		}
		return (time.Duration(v) * time.Millisecond).Round(time.Second).String()
	case Bytes:
		return bytesText(v)
	case BytesPerSecond:
		return bytesText(v) + "/s"
	case Share:
		return digits(v*100) + " %"
	}
	return digits(v)
}

func bytesText(v float64) string {
	switch abs := math.Abs(v); {
	case abs < 10_000:
		return strconv.FormatFloat(math.Round(v), 'f', -1, 64) + " B"
	case abs < 1e6:
		return digits(v/1e3) + " kB"
	case abs < 1e9:
		return digits(v/1e6) + " MB"
	}
	return digits(v/1e9) + " GB"
}

// digits writes three significant digits, and all of those before the point.
func digits(v float64) string {
	switch abs := math.Abs(v); {
	case v == math.Trunc(v) || abs >= 100:
		return strconv.FormatFloat(math.Round(v), 'f', -1, 64)
	case abs >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case abs >= 1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'g', 2, 64)
}

// pText writes a p-value.
func pText(p float64) string {
	switch {
	case math.IsNaN(p):
		return ""
	case p < 0.0001:
		return "<0.0001"
	case p < 0.01:
		return fmt.Sprintf("%.4f", p)
	case p < 0.1:
		return fmt.Sprintf("%.3f", p)
	}
	return fmt.Sprintf("%.2f", p)
}

// text is what a table shows of a side.
func (s *Sample) text(c *Comparison, r *Row) string {
	if s.Runs == 0 {
		return c.Language.Compared("no-value")
	}
	if r.Outcomes {
		return s.outcomesText(c, r)
	}
	t := r.Unit.format(s.Median)
	switch {
	case s.Low == s.High: // nothing to add
	case s.Bounded && s.Median > 0 && s.Low > 0:
		spread := max(s.High/s.Median-1, 1-s.Low/s.Median)
		t += fmt.Sprintf(" ± %.0f%%", 100*spread)
	default:
		t += " [" + r.Unit.format(s.Low) + ", " + r.Unit.format(s.High) + "]"
	}
	if s.Runs < s.Of {
		t += " (" + s.ofRuns(c, s.Runs) + ")"
	}
	return t
}

func (s *Sample) ofRuns(c *Comparison, n int) string {
	return c.Language.Compared("of-runs", diagnose.Num("n", int64(n)), diagnose.Num("of", int64(s.Of)))
}

func (s *Sample) outcomesText(c *Comparison, r *Row) string {
	const listed = 3
	t := ""
	for i, x := range s.Counts[:min(len(s.Counts), listed)] {
		if i > 0 {
			t += "; "
		}
		t += c.outcome(r, x.Outcome)
		if s.Of > 1 {
			t += " " + s.ofRuns(c, x.Runs)
		}
	}
	if n := len(s.Counts) - listed; n > 0 {
		t += "; " + c.Language.Compared("more-outcomes", diagnose.Num("n", int64(n)))
	}
	return t
}

// difference is what a table shows of a row's test.
func (r *Row) difference(c *Comparison) string {
	single := c.Single()
	switch r.Result {
	case Differs:
		d := ""
		if _, relative, ok := r.Delta(); ok {
			d = percent(relative) + " "
		} else if !r.Outcomes {
			absolute, _, _ := r.Delta()
			d = signed(r.Unit, absolute) + " "
		}
		return d + "(p = " + pText(r.Adjusted) + ")"
	case NoDifference:
		return "~ (p = " + pText(r.Adjusted) + ")"
	case TooFew:
		if _, relative, ok := r.Delta(); single && ok {
			return percent(relative) + ", " + c.Language.Compared("result.untested")
		}
		if single {
			return c.Language.Compared("result.untested")
		}
		return c.Language.Compared("result.too-few")
	case OneSided:
		return c.Language.Compared("result.one-sided")
	}
	return c.Language.Compared("result.same")
}

func percent(share float64) string {
	if share >= 9.995 {
		return "x" + digits(share+1)
	}
	return fmt.Sprintf("%+.0f%%", 100*share)
}

func signed(u Unit, v float64) string {
	if v > 0 {
		return "+" + u.format(v)
	}
	return u.format(v)
}

// headline is the comparison in one sentence.
func (c *Comparison) headline() string {
	n := 0
	for range c.Differences() {
		n++
	}
	values := c.values(diagnose.Text("n", strconv.Itoa(n)), diagnose.Text("tests", strconv.Itoa(c.Tests)))
	switch {
	case c.Single():
		return c.Language.Compared("headline.single", values...)
	case c.Tests == 0 && c.Needed > 0:
		return c.Language.Compared("headline.few", values...)
	case n == 0:
		return c.Language.Compared("headline.none", values...)
	}
	return c.Language.Compared("headline.differs", values...)
}

// values are the sides' names and numbers of runs, and more.
func (c *Comparison) values(more ...diagnose.Value) []diagnose.Value {
	a, b := &c.Sides[0], &c.Sides[1]
	return append([]diagnose.Value{
		diagnose.Text("A", a.Name), diagnose.Text("B", b.Name),
		diagnose.Text("na", strconv.Itoa(len(a.Runs))), diagnose.Text("nb", strconv.Itoa(len(b.Runs))),
		diagnose.Text("alpha", digits(c.Alpha*100)+" %"),
	}, more...)
}

// sentence says how a row differs.
func (c *Comparison) sentence(g *Group, r *Row) string {
	values := []diagnose.Value{
		diagnose.Text("host", g.Host), diagnose.Text("A", c.Sides[0].Name), diagnose.Text("B", c.Sides[1].Name),
		diagnose.Text("what", c.Language.Compared("row."+r.ID)), diagnose.Text("p", pText(r.Adjusted)),
		diagnose.Text("na", strconv.Itoa(r.A.Runs)), diagnose.Text("nb", strconv.Itoa(r.B.Runs)),
	}
	if !r.Outcomes {
		delta := ""
		if _, relative, ok := r.Delta(); ok {
			delta = percent(relative)
		}
		return c.Language.Compared("differ.number", append(values,
			diagnose.Text("a", r.Unit.format(r.A.Median)), diagnose.Text("b", r.Unit.format(r.B.Median)), diagnose.Text("delta", delta))...)
	}
	id, outcome := "differ.outcome", r.telling()
	switch r.ID {
	case "client_hello_acknowledged":
		id, outcome = "differ.acked", yes
	case "contacted":
		id, outcome = "differ.contacted", yes
	}
	other := ""
	if top := r.B.Counts[0].Outcome; top != outcome {
		other = top
	}
	return c.Language.Compared(id, append(values, diagnose.Text("outcome", c.outcome(r, outcome)), diagnose.Text("other", c.outcome(r, other)),
		diagnose.Text("ca", strconv.Itoa(r.A.Count(outcome))), diagnose.Text("cb", strconv.Itoa(r.B.Count(outcome))))...)
}

// telling is the outcome whose share differs most, one of A's where two do.
func (r *Row) telling() (outcome string) {
	most := -1.0
	for _, s := range []*Sample{&r.A, &r.B} {
		for _, c := range s.Counts {
			d := math.Abs(float64(r.A.Count(c.Outcome))/float64(r.A.Runs) - float64(r.B.Count(c.Outcome))/float64(r.B.Runs))
			if d > most+1e-12 {
				most, outcome = d, c.Outcome
			}
		}
	}
	return outcome
}

// outcome is an outcome in the reader's words, where it is no name.
func (c *Comparison) outcome(r *Row, s string) string {
	switch r.ID {
	case "reached", "client_hello_acknowledged", "contacted", "alert":
		if t := c.Language.Compared("outcome." + s); t != "outcome."+s {
			return t
		}
	}
	return s
}
