package compare

import (
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func cautioned(c *Comparison, id string) bool {
	return slices.ContainsFunc(c.Cautions, func(x Caution) bool { return x.ID == id })
}

// rename gives the host of all runs another name, as redaction does.
func rename(runs []*Run, name string) []*Run {
	for _, r := range runs {
		for _, h := range r.hosts {
			delete(r.byName, h.name)
			h.name = name
			r.byName[name] = h
		}
		r.clients, r.Redacted = []string{"240.0.0.1"}, true
	}
	return runs
}

// Pseudonyms are no hosts that one side alone has contacted.
func TestPseudonyms(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	for _, c := range []struct {
		name   string
		a, b   []*Run
		differ int // hosts said to be contacted by one side
		want   string
	}{
		{"one side redacted", generate(r, 10, usual), rename(generate(r, 10, usual), "host1.example"), 0, "caution.masked"},
		{"both redacted", rename(generate(r, 10, usual), "host1.example"), rename(generate(r, 10, usual), "host1.example"), 0, "caution.redacted"},
		{"another host", generate(r, 10, usual), func() []*Run {
			runs := rename(generate(r, 10, usual), "other.example")
			for _, r := range runs {
				r.Redacted = false
			}
			return runs
		}(), 2, ""},
	} {
		got, err := Compare(c.a, c.b, Options{})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for range got.Differences() {
			n++
		}
		if n != c.differ {
			t.Errorf("%s: %d differences, want %d", c.name, n, c.differ)
		}
		for _, id := range []string{"caution.masked", "caution.redacted"} {
			if cautioned(got, id) != (id == c.want) {
				t.Errorf("%s: %s: %v", c.name, id, cautioned(got, id))
			}
		}
		if cautioned(got, "caution.clients") && c.want == "caution.masked" {
			t.Errorf("%s: a pseudonym is taken for another address", c.name)
		}
	}
}

func TestSameCaptureOnBothSides(t *testing.T) {
	runs := generate(rand.New(rand.NewPCG(9, 9)), 10, usual)
	same, err := Compare(runs, runs, Options{})
	if err != nil || !cautioned(same, "caution.same-capture") {
		t.Errorf("not told of: %v", err)
	}
	if other, err := Compare(runs[:5], runs[5:], Options{}); err != nil || cautioned(other, "caution.same-capture") {
		t.Errorf("told of without reason: %v", err)
	}
}

func TestVersions(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 10))
	a, b := generate(r, 2, usual), generate(r, 2, usual)
	for _, x := range slices.Concat(a, b) {
		x.Tool = "v1.0.0"
	}
	if c, err := Compare(a, b, Options{}); err != nil || cautioned(c, "caution.versions") {
		t.Errorf("one version: %v", err)
	}
	b[1].Tool = "v2.0.0"
	if c, err := Compare(a, b, Options{}); err != nil || !cautioned(c, "caution.versions") {
		t.Errorf("two versions: %v", err)
	}
}

// Sides of very different sizes are tested as well as others.
func TestLopsidedOutcomes(t *testing.T) {
	for _, c := range []struct {
		a, b []int
		p    float64
	}{
		{[]int{1, 0}, []int{0, 1500}, 1.0 / 1501},
		{[]int{10, 0}, []int{1500, 0}, 1},
		{[]int{0, 1500}, []int{1, 0}, 1.0 / 1501},
	} {
		if got := outcomes(c.a, c.b); math.Abs(got.p-c.p) > 1e-9 || math.IsNaN(got.least) {
			t.Errorf("%v, %v: p = %v, least %v, want %v", c.a, c.b, got.p, got.least, c.p)
		}
	}
}

// A value that never ends is refused before it fills the memory.
func TestEndlessValue(t *testing.T) {
	for _, begin := range []string{`{"x":"`, `{"schema":"`, `{"connections":[{"client":"`, `{"x":1,`} {
		fill := "a"
		if strings.HasSuffix(begin, ",") {
			fill = " "
		}
		in := io.MultiReader(strings.NewReader(begin), &endless{[]byte(strings.Repeat(fill, 1<<20))})
		if _, err := ReadReports(in, "x"); !errors.Is(err, errValue) {
			t.Errorf("%s: %v", begin, err)
		}
	}
}

type endless struct{ b []byte }

func (e *endless) Read(p []byte) (n int, err error) {
	for n < len(p) {
		n += copy(p[n:], e.b)
	}
	return n, nil
}

// What a report claims to last for ever still has a number.
func TestEndlessDuration(t *testing.T) {
	runs, err := ReadReports(strings.NewReader(`{"schema":"goproxytrace.report/v1","connections":[{"server":"x","start":"2026-01-01T00:00:00Z","duration_ms":1e308},
		{"server":"x","start":"2026-01-01T00:00:00Z","duration_ms":-1e308}]}`), "x")
	if err != nil {
		t.Fatal(err)
	}
	if d, ok := runNumbers[0].of(runs[0]); !ok || d < 0 || d > mostDuration {
		t.Errorf("%v ms, %v", d, ok)
	}
}
