package compare

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"goproxytrace/report/messages"
)

// Schema names the shape of the JSON document.
const Schema = "goproxytrace.compare/v1"

// Alpha is the usual bound on the chance of a false alarm anywhere in the table:
// stricter than the 5 % of a single test, since people act on what is named, and
// ten runs of each side tell a clear difference from chance all the same.
const Alpha = 0.01

// Options direct a comparison.
type Options struct {
	// Alpha bounds the chance that a difference is named anywhere in the
	// comparison although the two sides do not differ; zero means Alpha.
	Alpha float64
	// Names are what the sides are called, "A" and "B" where empty.
	Names [2]string
	// Version is the version of this program.
	Version string
	// Language is that of what is written for people.
	Language messages.Language
}

// Comparison is what differs between two sides.
type Comparison struct {
	Version  string
	Language messages.Language
	Alpha    float64
	Sides    [2]Side
	// Tests is how many rows were tested as one family; Needed the number of
	// runs of each side from which on a clear difference can be told from
	// chance, zero where there are enough.
	Tests, Needed int
	// Groups are the runs as a whole and then each host, in order of first
	// appearance.
	Groups []Group
	// Cautions name what else differs or was not controlled: with it, a
	// difference need not come of what the sides are meant to differ in.
	Cautions []Caution
	// masked is true where some runs have pseudonyms and others names: the same
	// host may have two names then, and the same machine two addresses.
	masked bool
}

// Side is one of the two.
type Side struct {
	Name string
	Runs []*Run
}

// Group is what the comparison says of one host, or of whole runs.
type Group struct {
	// Host is empty for the runs as a whole.
	Host string
	Rows []Row
	// Pairs are the host's connections side by side, where each side has one
	// run: matched by how far they came, then by order.
	Pairs []Pair
}

// Pair are two connections; one of them is nil where the other has no match.
type Pair struct{ A, B *Connection }

// Connection is one connection of a pair.
type Connection struct {
	Client     string
	FirstFrame int64
	Reached    string
	Verdict    string
	// Connect, TLS, FirstByte and Transfer are in ms, nil where not seen.
	Connect, TLS, FirstByte, Transfer *float64
	FromServer                        uint64 // bytes
	Retransmissions, Resets           uint32
}

// Result says what a row's test found.
type Result string

// The results.
const (
	// Differs: more than what repeated runs of one side show.
	Differs Result = "differs"
	// NoDifference: no significant one. That is no proof of equality.
	NoDifference Result = "no-significant-difference"
	// Same: all runs of both sides have one value.
	Same Result = "same"
	// TooFew: with so few runs no difference of this kind could be told from
	// chance.
	TooFew Result = "too-few-runs"
	// OneSided: only one side has any value.
	OneSided Result = "one-sided"
)

// Row is one thing that is compared.
type Row struct {
	ID string
	// Unit is that of the numbers. A row of outcomes has none, and Outcomes is
	// true.
	Unit     Unit
	Outcomes bool
	A, B     Sample
	// P is the test's own p-value, Adjusted the one corrected for the number
	// of tests; NaN where nothing was tested or it takes no part.
	P, Adjusted float64
	Result      Result
}

// Sample is what one side's runs say.
type Sample struct {
	// Runs is the number of runs that have a value, Of that of all runs.
	Runs, Of int
	// Values are the runs' numbers in order of the runs. Median is theirs, Low
	// and High are its confidence interval at 95 %, or the least and largest
	// value where there are too few for one (Bounded is false then).
	Values            []float64
	Median, Low, High float64
	Bounded           bool
	// Counts are the outcomes with the number of runs that had each, the most
	// frequent first.
	Counts []OutcomeCount
}

// OutcomeCount is how many runs had an outcome.
type OutcomeCount struct {
	Outcome string `json:"outcome"`
	Runs    int    `json:"runs"`
}

// Count returns how many runs had an outcome.
func (s *Sample) Count(outcome string) int {
	for _, c := range s.Counts {
		if c.Outcome == outcome {
			return c.Runs
		}
	}
	return 0
}

// Delta is the difference of the medians, absolute and as a share of A's; ok is
// false for outcomes and where A's median is zero.
func (r *Row) Delta() (absolute, relative float64, ok bool) {
	absolute = r.B.Median - r.A.Median
	if r.Outcomes || r.A.Median == 0 {
		return absolute, 0, false
	}
	return absolute, absolute / r.A.Median, true
}

// Differences yields the rows that differ, those of the runs as a whole first.
func (c *Comparison) Differences() func(func(*Group, *Row) bool) {
	return func(yield func(*Group, *Row) bool) {
		for i := range c.Groups {
			for j := range c.Groups[i].Rows {
				if r := &c.Groups[i].Rows[j]; r.Result == Differs && !yield(&c.Groups[i], r) {
					return
				}
			}
		}
	}
}

// Single reports whether each side has one run, with which nothing is tested.
func (c *Comparison) Single() bool { return len(c.Sides[0].Runs) == 1 && len(c.Sides[1].Runs) == 1 }

// ErrTwice says that a side has the same capture more than once.
var ErrTwice = errors.New("is the same capture")

// Compare compares two sides of at least one run each. A run that is given twice
// to one side is an error: it would count as two that agree.
func Compare(a, b []*Run, o Options) (*Comparison, error) {
	c := &Comparison{Version: o.Version, Language: o.Language, Alpha: o.Alpha, Sides: [2]Side{{o.Names[0], a}, {o.Names[1], b}}}
	if c.Alpha == 0 {
		c.Alpha = Alpha
	}
	for i, name := range []string{"A", "B"} {
		side := &c.Sides[i]
		if side.Name == "" {
			side.Name = name
		}
		if len(side.Runs) == 0 {
			return nil, fmt.Errorf("side %s has no runs", side.Name)
		}
		if err := twice(side); err != nil {
			return nil, err
		}
	}
	c.masked = pseudonyms(a, b)
	c.Groups = append(c.Groups, wholeRuns(a, b))
	for _, name := range hostNames(a, b) {
		c.Groups = append(c.Groups, c.host(name, a, b))
	}
	c.test()
	c.Cautions = cautions(c)
	return c, nil
}

// pseudonyms reports whether some runs have pseudonyms and others names.
func pseudonyms(sides ...[]*Run) bool {
	var masked, plain bool
	for _, runs := range sides {
		for _, r := range runs {
			masked, plain = masked || r.Redacted, plain || !r.Redacted
		}
	}
	return masked && plain
}

// identity is what two reports of one capture have in common.
type identity struct {
	start          time.Time
	packets, bytes int64
	first          int64
}

// identity is ok where it can be known.
func (r *Run) identity() (id identity, ok bool) {
	return identity{r.Start.UTC(), r.Packets, r.Bytes, r.first}, !r.Start.IsZero()
}

func twice(s *Side) error {
	seen := make(map[identity]*Run)
	for _, r := range s.Runs {
		id, ok := r.identity()
		if !ok {
			continue
		}
		if other := seen[id]; other != nil {
			return fmt.Errorf("side %s: %s %w as %s, which would count as two runs that agree", s.Name, r.File, ErrTwice, other.File)
		}
		seen[id] = r
	}
	return nil
}

// hostNames lists the hosts of all runs in order of first appearance.
func hostNames(sides ...[]*Run) (names []string) {
	seen := make(map[string]bool)
	for _, runs := range sides {
		for _, r := range runs {
			for _, h := range r.hosts {
				if !seen[h.name] && len(names) < maxHosts {
					seen[h.name] = true
					names = append(names, h.name)
				}
			}
		}
	}
	return names
}

func wholeRuns(a, b []*Run) (g Group) {
	for _, n := range runNumbers {
		g.numbers(n.id, n.unit, sampleNumbers(a, n.of), sampleNumbers(b, n.of))
	}
	for _, n := range runOutcomes {
		g.outcomes(n.id, sampleOutcomes(a, n.of), sampleOutcomes(b, n.of))
	}
	return g
}

// host compares what the runs say of one host. A run that never spoke to it has
// no values, but is one in which it was not contacted.
func (c *Comparison) host(name string, a, b []*Run) Group {
	g := Group{Host: name}
	for _, n := range outcomeRows {
		if c.masked && n.id == "server_address" {
			continue
		}
		of := func(r *Run) string {
			if h := r.byName[name]; h != nil {
				return n.of(h)
			}
			return ""
		}
		g.outcomes(n.id, sampleOutcomes(a, of), sampleOutcomes(b, of))
	}
	contacted := func(r *Run) string {
		if h := r.byName[name]; h != nil && h.connections > 0 {
			return yes
		}
		return no
	}
	if !c.masked {
		g.outcomes("contacted", sampleOutcomes(a, contacted), sampleOutcomes(b, contacted))
	}
	for _, n := range numberRows {
		of := func(r *Run) (float64, bool) {
			if h := r.byName[name]; h != nil && (h.connections > 0 || n.id == "lookup") {
				return n.of(h)
			}
			return 0, false
		}
		g.numbers(n.id, n.unit, sampleNumbers(a, of), sampleNumbers(b, of))
	}
	if c.Single() {
		g.Pairs = pairs(a[0].byName[name], b[0].byName[name])
	}
	return g
}

// pairs matches the connections of two runs.
func pairs(a, b *host) (out []Pair) {
	list := func(h *host) (out []*Connection) {
		if h == nil {
			return nil
		}
		slots := ranked(h.slots)
		for i := range slots[:min(len(slots), maxSlots)] {
			s := &slots[i]
			out = append(out, &Connection{
				Client: s.client, FirstFrame: s.firstFrame, Reached: s.stage.String(), Verdict: s.class,
				Connect: s.stages.Connect, TLS: s.stages.TLS, FirstByte: s.stages.FirstByte, Transfer: s.stages.Transfer,
				FromServer: s.fromServer, Retransmissions: s.resent, Resets: s.resets,
			})
		}
		return out
	}
	x, y := list(a), list(b)
	for i := range max(len(x), len(y)) {
		var p Pair
		if i < len(x) {
			p.A = x[i]
		}
		if i < len(y) {
			p.B = y[i]
		}
		out = append(out, p)
	}
	return out
}

// maxNumber bounds numbers that count: in ms it is 30,000 years.
const maxNumber = 1e15

func sampleNumbers(runs []*Run, of func(*Run) (float64, bool)) Sample {
	s := Sample{Of: len(runs)}
	for _, r := range runs {
		if v, ok := of(r); ok && math.Abs(v) <= maxNumber { // no NaN either
			s.Values = append(s.Values, v)
		}
	}
	if s.Runs = len(s.Values); s.Runs > 0 {
		m := summarize(s.Values)
		s.Median, s.Low, s.High, s.Bounded = m.median, m.low, m.high, m.bounded
	}
	return s
}

func sampleOutcomes(runs []*Run, of func(*Run) string) Sample {
	s := Sample{Of: len(runs)}
	for _, r := range runs {
		v := of(r)
		if v == "" {
			continue
		}
		s.Runs++
		at := slices.IndexFunc(s.Counts, func(c OutcomeCount) bool { return c.Outcome == v })
		if at < 0 {
			at = len(s.Counts)
			s.Counts = append(s.Counts, OutcomeCount{Outcome: v})
		}
		s.Counts[at].Runs++
	}
	slices.SortStableFunc(s.Counts, func(a, b OutcomeCount) int { return b.Runs - a.Runs })
	return s
}

func (g *Group) numbers(id string, u Unit, a, b Sample) {
	if a.Runs+b.Runs > 0 {
		g.Rows = append(g.Rows, Row{ID: id, Unit: u, A: a, B: b})
	}
}

func (g *Group) outcomes(id string, a, b Sample) {
	if a.Runs+b.Runs > 0 {
		g.Rows = append(g.Rows, Row{ID: id, Outcomes: true, A: a, B: b})
	}
}

// test fills in the results of all rows, as one family.
func (c *Comparison) test() {
	var rows []*Row
	for i := range c.Groups {
		for j := range c.Groups[i].Rows {
			rows = append(rows, &c.Groups[i].Rows[j])
		}
	}
	family := make([]test, len(rows))
	varied := 0
	for i, r := range rows {
		family[i] = r.hypothesis()
		if r.A.Runs > 0 && r.B.Runs > 0 && r.varies() {
			varied++
		}
	}
	adjusted := adjust(family, c.Alpha)
	for i, r := range rows {
		r.P, r.Adjusted = family[i].p, adjusted[i]
		switch {
		case r.A.Runs == 0 || r.B.Runs == 0:
			r.Result, r.P = OneSided, math.NaN()
		case !r.varies():
			r.Result, r.P = Same, math.NaN()
		case math.IsNaN(r.Adjusted):
			r.Result = TooFew
		case r.Adjusted <= c.Alpha:
			r.Result, c.Tests = Differs, c.Tests+1
		default:
			r.Result, c.Tests = NoDifference, c.Tests+1
		}
	}
	if n := runsNeeded(varied, c.Alpha); min(len(c.Sides[0].Runs), len(c.Sides[1].Runs)) < n {
		c.Needed = n
	}
}

// varies reports whether the runs of both sides together have more than one
// value.
func (r *Row) varies() bool {
	if r.Outcomes {
		return !(len(r.A.Counts) == 1 && len(r.B.Counts) == 1 && r.A.Counts[0].Outcome == r.B.Counts[0].Outcome)
	}
	all := slices.Concat(r.A.Values, r.B.Values)
	return len(all) > 0 && slices.Min(all) != slices.Max(all)
}

func (r *Row) hypothesis() test {
	if r.A.Runs == 0 || r.B.Runs == 0 {
		return test{1, 1}
	}
	if !r.Outcomes {
		return numbers(r.A.Values, r.B.Values)
	}
	names := make([]string, 0, len(r.A.Counts)+len(r.B.Counts))
	for _, c := range slices.Concat(r.A.Counts, r.B.Counts) {
		if !slices.Contains(names, c.Outcome) {
			names = append(names, c.Outcome)
		}
	}
	slices.Sort(names)
	x, y := make([]int, len(names)), make([]int, len(names))
	for i, n := range names {
		x[i], y[i] = r.A.Count(n), r.B.Count(n)
	}
	return outcomes(x, y)
}
