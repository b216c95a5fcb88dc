package diagnose

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// ruleSource is what the package's source says about one function.
type ruleSource struct {
	makes    map[string]bool // names of the class constants that it begins verdicts of
	evidence map[string]bool
	notes    map[string]bool
	uses     map[string]bool // every identifier
	calls    map[string]bool
}

// descriptive files talk about the rules and hold none.
var descriptive = []string{"describe.go", "rows.go", "thresholds_table.go", "classes.go", "verdict.go"}

// readSource parses the package's functions, by name; that of a method begins
// with its receiver's name, which is the same wherever it is called.
func readSource(t *testing.T) map[string]*ruleSource {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no source: %v", err)
	}
	out := map[string]*ruleSource{}
	fset := token.NewFileSet()
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") || slices.Contains(descriptive, name) {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			s := &ruleSource{map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}}
			name := fn.Name.Name
			if fn.Recv != nil && len(fn.Recv.List[0].Names) > 0 {
				name = fn.Recv.List[0].Names[0].Name + "." + name
			}
			out[name] = s
			ast.Inspect(fn.Body, s.node)
		}
	}
	return out
}

func ident(e ast.Expr) string {
	if i, ok := e.(*ast.Ident); ok {
		return i.Name
	}
	return ""
}

func (s *ruleSource) node(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.Ident:
		s.uses[n.Name] = true
	case *ast.KeyValueExpr:
		if ident(n.Key) == "Class" {
			s.makes[ident(n.Value)] = true
		}
	case *ast.AssignStmt:
		for i, l := range n.Lhs {
			if ident(l) == "class" && i < len(n.Rhs) {
				s.makes[ident(n.Rhs[i])] = true
			}
		}
	case *ast.CallExpr:
		name := ident(n.Fun)
		if sel, ok := n.Fun.(*ast.SelectorExpr); ok {
			name = sel.Sel.Name
			s.calls[ident(sel.X)+"."+name] = true
		}
		s.calls[name] = true
		if len(n.Args) == 0 {
			break
		}
		first, quoted := "", false
		if l, ok := n.Args[0].(*ast.BasicLit); ok {
			if text, err := strconv.Unquote(l.Value); err == nil {
				first, quoted = text, true
			}
		}
		switch {
		case name == "verdict" || name == "newVerdict":
			s.makes[ident(n.Args[0])] = true
		case name == "evidence" && quoted:
			s.evidence[first] = true
		case name == "note" && quoted:
			s.notes[first] = true
		}
	}
	return true
}

// classNames maps the names of the class constants to the classes.
func classNames(t *testing.T) map[string]Class {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "verdict.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]Class{}
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || ident(v.Type) != "Class" {
			return true
		}
		for i, name := range v.Names {
			if text, err := strconv.Unquote(v.Values[i].(*ast.BasicLit).Value); err == nil {
				out[name.Name] = Class(text)
			}
		}
		return true
	})
	if len(out) < 40 {
		t.Fatalf("only %d class constants found", len(out))
	}
	return out
}

// predicates only ask for the stage that a connection reached; what they
// compare with belongs to no rule.
var predicates = []string{"w.shaken", "w.missed", "w.gate", "w.ok", "w.unusable", "w.init", "w.first", "w.midstream", "w.started"}

// reached returns what function name leads to through helpers that begin no
// verdict of their own.
func reached(src map[string]*ruleSource, name string, classes map[string]Class) (evidence, uses map[string]bool) {
	evidence, uses = map[string]bool{}, map[string]bool{}
	done := map[string]bool{}
	var walk func(string, bool)
	walk = func(n string, top bool) {
		s := src[n]
		if s == nil || done[n] || slices.Contains(predicates, n) {
			return
		}
		done[n] = true
		if !top && len(s.classes(classes)) > 0 {
			return
		}
		for id := range s.evidence {
			evidence[id] = true
		}
		for id := range s.uses {
			uses[id] = true
		}
		for c := range s.calls {
			walk(c, false)
		}
	}
	walk(name, true)
	return evidence, uses
}

func (s *ruleSource) classes(names map[string]Class) (out []Class) {
	for n := range s.makes {
		if c, ok := names[n]; ok {
			out = append(out, c)
		}
	}
	return out
}

// Each description lists what the rules that yield its class can observe and
// compare with, and nothing else.
func TestDescriptionsMatchRules(t *testing.T) {
	names, src := classNames(t), readSource(t)
	thresholds := map[string]bool{}
	for i := range Thresholds {
		thresholds[Thresholds[i].Value.Name] = true
	}
	canObserve, canUse := map[Class]map[string]bool{}, map[Class]map[string]bool{}
	made := map[Class]bool{}
	for name, s := range src {
		classes := s.classes(names)
		if len(classes) == 0 {
			continue
		}
		evidence, uses := reached(src, name, names)
		told, compared := map[string]bool{}, map[string]bool{}
		for _, c := range classes {
			made[c] = true
			d := Descriptions[c]
			if d == nil {
				continue // TestEveryClassDescribed tells
			}
			for _, id := range d.Evidence {
				told[id] = true
			}
			for _, id := range d.Thresholds {
				compared[id] = true
			}
			for m, from := range map[*map[Class]map[string]bool]map[string]bool{&canObserve: evidence, &canUse: uses} {
				if (*m)[c] == nil {
					(*m)[c] = map[string]bool{}
				}
				for id := range from {
					(*m)[c][id] = true
				}
			}
		}
		for id := range evidence {
			if !told[id] && !configured(id) {
				t.Errorf("%s can observe %s; the descriptions of %v in describe.go leave it out", name, id, classes)
			}
		}
		for id := range uses {
			if thresholds[id] && !compared[id] {
				t.Errorf("%s compares with %s; the descriptions of %v in describe.go leave it out", name, id, classes)
			}
		}
	}
	for c, d := range Descriptions {
		if !made[c] {
			t.Errorf("no rule begins a verdict of %s", c)
		}
		for _, id := range d.Evidence {
			if !canObserve[c][id] {
				t.Errorf("%s: no rule of it observes %s", c, id)
			}
		}
		for _, id := range d.Thresholds {
			switch {
			case !thresholds[id]:
				t.Errorf("%s: %s is no threshold", c, id)
			case c != OK && !canUse[c][id] && !usedByPredicate(src, id):
				t.Errorf("%s: no rule of it compares with %s", c, id)
			}
		}
		for _, l := range []struct {
			name  string
			level Level
		}{{"Proven", Proven}, {"Suggested", Suggested}} {
			says := slices.ContainsFunc(d.Reach, func(r Reach) bool { return r.Level == l.level })
			if says && !canUse[c][l.name] {
				t.Errorf("%s: no rule of it reaches %s", c, l.level)
			}
		}
	}
}

// configured reports whether an observation can join a verdict of any class.
func configured(id string) bool {
	return slices.ContainsFunc(ConfiguredEvidence, func(p string) bool { return strings.HasPrefix(id, p) })
}

func usedByPredicate(src map[string]*ruleSource, id string) bool {
	for _, p := range predicates {
		if s := src[p]; s != nil && s.uses[id] {
			return true
		}
	}
	return false
}

func TestNotesMatchRules(t *testing.T) {
	emitted := map[string]bool{}
	for _, n := range notesLossy {
		emitted[n] = true
	}
	for _, s := range readSource(t) {
		for id := range s.notes {
			emitted[id] = true
		}
	}
	for _, n := range Notes {
		if !emitted[n] {
			t.Errorf("no rule emits the note %s", n)
		}
		delete(emitted, n)
	}
	for n := range emitted {
		t.Errorf("note %s is emitted and not listed in Notes", n)
	}
}

func TestEveryClassDescribed(t *testing.T) {
	seen := map[Class]bool{}
	for _, c := range ClassOrder {
		if seen[c] {
			t.Errorf("%s stands twice in ClassOrder", c)
		}
		seen[c] = true
	}
	for name, c := range classNames(t) {
		d := Descriptions[c]
		if d == nil || Classes[c] == nil || !seen[c] {
			t.Errorf("%s (%s): described %v, in Classes %v, in ClassOrder %v", c, name, d != nil, Classes[c] != nil, seen[c])
			continue
		}
		if len(d.Reach) == 0 {
			t.Errorf("%s says nothing about its levels", c)
		}
		for _, r := range d.Reach {
			for _, p := range r.Place {
				if !slices.Contains(d.Widest, p) {
					t.Errorf("%s: %s (%s) is outside its widest places %v", c, p, r.When, d.Widest)
				}
			}
		}
		for _, list := range [][]string{d.Evidence, d.Thresholds} {
			sorted := slices.Sorted(slices.Values(list))
			if len(slices.Compact(sorted)) != len(list) {
				t.Errorf("%s: something is listed twice in %v", c, list)
			}
		}
	}
	if len(seen) != len(Descriptions) || len(seen) != len(Classes) {
		t.Errorf("%d classes in order, %d described, %d known", len(seen), len(Descriptions), len(Classes))
	}
}

// Thresholds holds every constant of thresholds.go, under its name. Reasons
// stand in report/messages alone.
func TestThresholdTable(t *testing.T) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "thresholds.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range f.Comments {
		if c.Pos() > f.Decls[0].Pos() {
			t.Errorf("%v: a reason beside the one in report/messages", fset.Position(c.Pos()))
		}
	}
	var want, have []string
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok {
			for _, name := range v.Names {
				if name.Name != "millisecond" && name.Name != "second" {
					want = append(want, name.Name)
				}
			}
		}
		return true
	})
	for i := range Thresholds {
		have = append(have, Thresholds[i].Value.Name)
		if Thresholds[i].Value.Number <= 0 {
			t.Errorf("threshold %s has no value", Thresholds[i].Value.Name)
		}
	}
	if !slices.Equal(want, have) {
		t.Errorf("thresholds.go and the table differ:\n%v\n%v", want, have)
	}
	// Each entry's value is the constant of its name.
	table, err := parser.ParseFile(token.NewFileSet(), "thresholds_table.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(table, func(n ast.Node) bool {
		c, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if l, ok := c.Args[0].(*ast.BasicLit); !ok || l.Value != strconv.Quote(ident(c.Args[1])) {
			t.Errorf("an entry's name and constant differ: %v %v", c.Args[0], c.Args[1])
		}
		return true
	})
}

// allows reports what of a verdict its class's description does not foresee,
// empty for nothing.
func allows(v *Verdict) string {
	d := Descriptions[v.Class]
	if d == nil {
		return "class " + string(v.Class)
	}
	same := func(r Reach) bool {
		return r.Level == v.Level && slices.Equal(slices.Sorted(slices.Values(r.Place)), slices.Sorted(slices.Values(v.Place)))
	}
	if !slices.ContainsFunc(d.Reach, same) {
		return fmt.Sprintf("%s, level %s, places %v", v.Class, v.Level, v.Place)
	}
	for _, e := range v.Evidence {
		brought := func(c Class) bool { return slices.Contains(Descriptions[c].Evidence, e.ID) }
		if !slices.Contains(d.Evidence, e.ID) && !configured(e.ID) && !slices.ContainsFunc(d.From, brought) {
			return fmt.Sprintf("%s rests on %s", v.Class, e.ID)
		}
	}
	return ""
}

// Allows lets tests of whole captures compare verdicts with descriptions.
var Allows = allows

func TestAllows(t *testing.T) {
	if s := allows(&Verdict{Class: TLSReset, Level: Proven, Place: inNetwork}); s != "" {
		t.Errorf("refused: %s", s)
	}
	for _, v := range []Verdict{
		{Class: "tls.unheard-of"}, {Class: TLSReset, Level: Proven, Place: inRemote}, {Class: TLSReset, Level: Consistent, Place: beyond},
		{Class: TLSReset, Level: Proven, Place: beyond, Evidence: []Evidence{{ID: "syn.reset"}}},
	} {
		if allows(&v) == "" {
			t.Errorf("%s, %s, %v passed", v.Class, v.Level, v.Place)
		}
	}
}
