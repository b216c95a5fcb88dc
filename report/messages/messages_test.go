package messages

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"testing"

	"goproxytrace/analyze/diagnose"
)

// emitted is what the rules' source says about the identifiers that they emit.
type emitted struct {
	evidence map[string][][]string // identifier -> value names of each call
	texts    map[string]bool
}

func literal(e ast.Expr) (string, bool) {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(l.Value)
	return s, err == nil
}

// valueName returns the name of the Value that e makes.
func valueName(t *testing.T, fset *token.FileSet, e ast.Expr) string {
	if c, ok := e.(*ast.CallExpr); ok {
		switch f := c.Fun.(type) {
		case *ast.Ident:
			if slices.Contains([]string{"Num", "Dur", "Bytes", "Time", "Text"}, f.Name) {
				if s, ok := literal(c.Args[0]); ok {
					return s
				}
			}
		case *ast.SelectorExpr:
			switch f.Sel.Name {
			case "received":
				return "bytes"
			case "quiet":
				return "quiet"
			}
		}
	}
	t.Fatalf("%v: cannot tell the name of this value", fset.Position(e.Pos()))
	return ""
}

// readRules collects the identifiers from the source of package diagnose: what
// rules can emit, not only what some test makes them emit.
func readRules(t *testing.T) emitted {
	t.Helper()
	out := emitted{evidence: map[string][][]string{}, texts: map[string]bool{}}
	fset := token.NewFileSet()
	pkgs, err := parser.ParseDir(fset, "../../analyze/diagnose", func(i fs.FileInfo) bool { return !strings.HasSuffix(i.Name(), "_test.go") }, 0)
	if err != nil {
		t.Fatal(err)
	}
	visit := func(n ast.Node) bool {
		if l, ok := n.(*ast.BasicLit); ok {
			s, _ := literal(l)
			for _, prefix := range []string{"skip.", "next.", "refute."} {
				if strings.HasPrefix(s, prefix) {
					out.texts[s] = true
				}
			}
		}
		c, ok := n.(*ast.CallExpr)
		if !ok || len(c.Args) == 0 {
			return true
		}
		s, ok := c.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		switch s.Sel.Name {
		case "evidence":
			id, ok := literal(c.Args[0])
			if !ok {
				t.Fatalf("%v: evidence without a literal identifier", fset.Position(c.Pos()))
			}
			var names []string
			for _, a := range c.Args[2:] {
				names = append(names, valueName(t, fset, a))
			}
			out.evidence[id] = append(out.evidence[id], names)
		case "note":
			if id, ok := literal(c.Args[0]); ok {
				out.texts[id] = true
			}
		}
		return true
	}
	for _, p := range pkgs {
		ast.Inspect(p, visit)
	}
	if len(out.evidence) < 20 || len(out.texts) < 20 {
		t.Fatalf("found only %d evidence and %d text identifiers in the source", len(out.evidence), len(out.texts))
	}
	out.texts["lossy"] = true
	return out
}

func TestEverySentence(t *testing.T) {
	e := readRules(t)
	for id, calls := range e.evidence {
		sentence, ok := english.evidence[id]
		if !ok {
			t.Errorf("evidence %s has no sentence", id)
			continue
		}
		for _, names := range calls {
			for _, p := range placeholders(sentence) {
				if !slices.Contains(names, p) {
					t.Errorf("the sentence of %s asks for {%s}; a rule supplies only %v", id, p, names)
				}
			}
		}
	}
	for id := range english.evidence {
		if e.evidence[id] == nil && !strings.HasPrefix(id, "K") && !strings.HasPrefix(id, "host.") {
			t.Errorf("no rule emits evidence %s", id)
		}
	}
	for id := range e.texts {
		if english.texts[id] == "" && English.Step(id, diagnose.AnyPlatform) == id {
			t.Errorf("%s has no sentence", id)
		}
	}
	for id := range english.steps {
		if !e.texts[id] {
			t.Errorf("no rule emits %s", id)
		}
	}
	for id := range english.texts {
		if !e.texts[id] {
			t.Errorf("no rule emits %s", id)
		}
	}
}

func TestEveryClass(t *testing.T) {
	for c, info := range diagnose.Classes {
		if english.titles[c] == "" || english.summaries[c] == "" {
			t.Errorf("%s lacks a title or a summary", c)
		}
		known := append(slices.Clone(info.Values), diagnose.CommonValues...)
		for _, p := range placeholders(english.summaries[c]) {
			if !slices.Contains(known, p) {
				t.Errorf("the summary of %s asks for {%s}; its verdicts carry %v", c, p, known)
			}
		}
		for _, v := range info.Values {
			if !slices.Contains(placeholders(english.summaries[c]), v) {
				t.Errorf("the summary of %s leaves out {%s}", c, v)
			}
		}
	}
	for c := range english.summaries {
		if diagnose.Classes[c] == nil {
			t.Errorf("summary of the unknown class %s", c)
		}
	}
	for c, by := range english.summariesBy {
		for id, s := range by {
			if !slices.Contains(diagnose.Descriptions[c].Evidence, id) {
				t.Errorf("a summary of %s for %s, which no rule of it observes", c, id)
			}
			known := append(slices.Clone(diagnose.Classes[c].Values), diagnose.CommonValues...)
			for _, p := range placeholders(s) {
				if !slices.Contains(known, p) {
					t.Errorf("the summary of %s for %s asks for {%s}; its verdicts carry %v", c, id, p, known)
				}
			}
		}
	}
}

// A connection that ended before an answer had begun was not in the middle of one.
func TestSummaryByEvidence(t *testing.T) {
	v := diagnose.Verdict{
		Class: diagnose.TransferTruncated, Place: []diagnose.Place{diagnose.Network, diagnose.Remote}, Level: diagnose.Suggested,
		Values: []diagnose.Value{
			diagnose.Text("host", "goproxy.cn"), diagnose.Text("address", "198.51.100.1:443"), diagnose.Dur("after", 30_400_000), diagnose.Bytes("bytes", 1858),
		},
	}
	const middle = "in the middle of an answer"
	for id, want := range map[string]bool{"close.in-record": true, "close.before-answer": false, "close.without-notify": false} {
		v.Evidence = []diagnose.Evidence{{ID: "go.agrees"}, {ID: id}}
		if s := English.Summary(&v); strings.Contains(s, middle) != want || !strings.Contains(s, "goproxy.cn (198.51.100.1:443)") {
			t.Errorf("%s: %q", id, s)
		}
	}
}

func TestSummary(t *testing.T) {
	v := diagnose.Verdict{
		Class: diagnose.TLSReset, Place: []diagnose.Place{diagnose.Network}, Level: diagnose.Proven,
		Values: []diagnose.Value{
			diagnose.Text("host", "goproxy.cn"), diagnose.Text("address", "198.51.100.1:443"), diagnose.Dur("after", 30_400_000), diagnose.Text("process", "go"),
		},
	}
	const want = "go: the TLS handshake with goproxy.cn (198.51.100.1:443) was reset after 30 ms; the evidence puts it on the network, not at the far end"
	if got := English.Summary(&v); got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
	// What is only consistent with a place is not put there.
	v.Level = diagnose.Consistent
	const weak = "go: the TLS handshake with goproxy.cn (198.51.100.1:443) was reset after 30 ms; the evidence fits a fault on the network"
	if got := English.Summary(&v); got != weak {
		t.Errorf("got %q\nwant %q", got, weak)
	}
	v.Class, v.Place = diagnose.ConnectAnswerIgnored, []diagnose.Place{diagnose.Host}
	if got := English.Summary(&v); !strings.HasSuffix(got, "fits a fault on this machine, provided that the capture was made there and not beside it") {
		t.Errorf("got %q", got)
	}
	if got := English.Summary(&diagnose.Verdict{Class: diagnose.OK}); got != english.labels["summary.ok-connection"] {
		t.Errorf("got %q", got)
	}
}

func TestFill(t *testing.T) {
	values := []diagnose.Value{
		diagnose.Text("name", "x"), diagnose.Text("empty", ""), diagnose.Num("zero", 0), diagnose.Bytes("size", 1234567), diagnose.Bytes("one", 1),
		diagnose.Dur("d", 1_234_000_000), diagnose.Time("at", 1_700_000_000_000_000_000),
	}
	for _, c := range [][2]string{
		{"a {name} b", "a x b"},
		{"a[ ({name})]", "a (x)"},
		{"a[ ({empty})]", "a"},
		{"a[ ({zero})]", "a"},
		{"a[ ({missing})]", "a"},
		{"{missing}a", "a"},
		{"{size}, {one}, {d}, {at}", "1,234,567 bytes, 1 byte, 1.2 s, 2023-11-14 22:13:20 UTC"},
		{"{unclosed", "{unclosed"},
		{"[unclosed", "[unclosed"},
	} {
		if got := english.fill(c[0], values); got != c[1] {
			t.Errorf("%q became %q, want %q", c[0], got, c[1])
		}
	}
}

func TestDuration(t *testing.T) {
	for _, c := range []struct {
		ns   int64
		want string
	}{
		{0, "0 ns"}, {950, "950 ns"}, {4_200, "4 µs"}, {3_300_000, "3.3 ms"}, {42_000_000, "42 ms"}, {9_960_000_000, "10.0 s"},
		{119e9, "119.0 s"}, {168e9, "2 min 48 s"}, {7322e9, "2 h 2 min"},
	} {
		if got := english.duration(c.ns); got != c.want {
			t.Errorf("%d ns became %q, want %q", c.ns, got, c.want)
		}
	}
}

func BenchmarkSummaryOK(b *testing.B) {
	v := &diagnose.Verdict{Class: diagnose.OK}
	b.ReportAllocs()
	for range b.N {
		_ = English.Summary(v)
	}
}
