package messages

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"goproxytrace/analyze/diagnose"
)

// entries flattens a catalogue: each text by the field and the keys that lead
// to it.
func entries(c *catalogue) map[string]string {
	out := map[string]string{}
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		switch v.Kind() {
		case reflect.String:
			out[path] = v.String()
		case reflect.Map:
			for _, k := range v.MapKeys() {
				walk(fmt.Sprintf("%s[%s]", path, k), v.MapIndex(k))
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
			}
		case reflect.Struct:
			for i := range v.NumField() {
				walk(path+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case reflect.Func:
		default:
			panic("a catalogue holds " + v.Kind().String())
		}
	}
	whole := *c
	whole.words, whole.matchers = nil, nil // English has none
	walk("", reflect.ValueOf(whole))
	return out
}

// structure is what a template must share with its translation: which values
// it holds, and which of them stand in brackets together.
func structure(template string) string {
	parts := regexp.MustCompile(`\[[^\]]*\]`).FindAllString(template, -1)
	free := placeholders(regexp.MustCompile(`\[[^\]]*\]`).ReplaceAllString(template, ""))
	slices.Sort(free)
	var bracketed []string
	for _, p := range parts {
		names := placeholders(p)
		slices.Sort(names)
		bracketed = append(bracketed, "["+strings.Join(names, " ")+"]")
	}
	slices.Sort(bracketed)
	return strings.Join(free, " ") + " " + strings.Join(bracketed, "")
}

// compare returns how a catalogue differs from the English one in anything but
// words.
func compare(c *catalogue) (faults []string) {
	want, got := entries(&english), entries(c)
	for _, id := range slices.Sorted(maps.Keys(want)) {
		text, ok := got[id]
		if !ok {
			faults = append(faults, id+" is missing")
			continue
		}
		a, b := want[id], text
		if strings.HasPrefix(id, ".labels") {
			_, a, _ = cutForms(a)
			_, b, _ = cutForms(b)
		}
		switch {
		case (strings.TrimSpace(text) == "") != (strings.TrimSpace(want[id]) == ""):
			faults = append(faults, fmt.Sprintf("%s is %q, and %q in English", id, text, want[id]))
		case structure(a) != structure(b):
			faults = append(faults, fmt.Sprintf("%s has the values %q, and %q in English", id, structure(b), structure(a)))
		case !slices.Equal(code(a), code(b)):
			faults = append(faults, fmt.Sprintf("%s has the code %q, and %q in English", id, code(b), code(a)))
		}
	}
	for id := range got {
		if _, ok := want[id]; !ok {
			faults = append(faults, id+" is in no English catalogue")
		}
	}
	return faults
}

// code is what must be the same in every language: what stands between
// backquotes, sorted.
func code(s string) []string {
	out := regexp.MustCompile("`[^`]+`").FindAllString(s, -1)
	slices.Sort(out)
	return out
}

func TestCataloguesAreAlike(t *testing.T) {
	for _, l := range Languages {
		for _, fault := range compare(l.catalogue()) {
			t.Errorf("%s: %s", l, fault)
		}
	}
}

// The comparison finds what it is for.
func TestCatalogueFaultsAreFound(t *testing.T) {
	for name, spoil := range map[string]func(*catalogue){
		"a missing sentence":  func(c *catalogue) { delete(c.evidence, "alert.client") },
		"an unknown sentence": func(c *catalogue) { c.texts["skip.nothing"] = "x" },
		"a missing value":     func(c *catalogue) { c.evidence["alert.client"] = "alert {alert}" },
		"a value in brackets": func(c *catalogue) { c.evidence["alert.client"] = "alert {alert}[ ({number})]" },
		"brackets taken apart": func(c *catalogue) {
			c.evidence["block.beside"] = strings.ReplaceAll(c.evidence["block.beside"], "[", "")
		},
		"an empty sentence":     func(c *catalogue) { c.steps["next.repeat"] = "" },
		"a changed command":     func(c *catalogue) { c.steps["next.audit-mode"] = "{command} `Set-MpPreference`" },
		"an explanation cut":    func(c *catalogue) { c.explanations[diagnose.OK] = Explanation{Seen: "x"} },
		"a form without number": func(c *catalogue) { c.labels["count.packets"] = "one packet|packets" },
	} {
		c := english
		c.evidence, c.texts, c.steps, c.labels = maps.Clone(c.evidence), maps.Clone(c.texts), maps.Clone(c.steps), maps.Clone(c.labels)
		c.explanations = maps.Clone(c.explanations)
		spoil(&c)
		if len(compare(&c)) == 0 {
			t.Errorf("%s is not found", name)
		}
	}
}

// usedLabels reads from the source of renderers which labels they ask for:
// those given as they are, and beginnings that something is added to.
func usedLabels(t *testing.T) (whole, beginnings map[string]bool) {
	t.Helper()
	whole, beginnings = map[string]bool{}, map[string]bool{}
	files, err := filepath.Glob("../*.go")
	if err != nil {
		t.Fatal(err)
	}
	own, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	below, err := filepath.Glob("../*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	program, err := filepath.Glob("../../cmd/goproxytrace/*.go")
	if err != nil || len(program) == 0 {
		t.Fatalf("%d files of the program, %v", len(program), err)
	}
	for _, name := range slices.Concat(files, own, below, program) {
		if strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, "_en.go") || strings.HasSuffix(name, "_zh.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if l, ok := n.(*ast.BasicLit); ok {
				if s, ok := literal(l); ok {
					whole[s] = true
					if strings.HasSuffix(s, ".") || strings.HasSuffix(s, "-") {
						beginnings[s] = true
					}
				}
			}
			return true
		})
	}
	return whole, beginnings
}

// Every label is used by a renderer, and every label that one asks for is there.
func TestEveryLabel(t *testing.T) {
	whole, beginnings := usedLabels(t)
	for id := range english.labels {
		used := whole[id]
		for b := range beginnings {
			used = used || strings.HasPrefix(id, b)
		}
		if !used {
			t.Errorf("no renderer uses the label %q", id)
		}
	}
	groups := map[string]bool{}
	for id := range english.labels {
		if g, _, ok := strings.Cut(id, "."); ok {
			groups[g] = true
		}
	}
	label := regexp.MustCompile(`^([a-z]+)\.[a-z-]*[a-z]$`)
	file := regexp.MustCompile(`\.(?:csv|html|json|md|pcapng|txt|zip)$`)
	for s := range whole {
		m := label.FindStringSubmatch(s)
		if m == nil || !groups[m[1]] || file.MatchString(s) || english.labels[s] != "" || english.evidence[s] != "" || english.texts[s] != "" || english.probe[s] != "" || english.compared[s] != "" {
			continue
		}
		if diagnose.Classes[diagnose.Class(s)] == nil {
			t.Errorf("there is no label %q", s)
		}
	}
	for _, s := range diagnose.ClassOrder {
		info := diagnose.Classes[s]
		for _, id := range []string{"stage." + string(info.Stage)} {
			if english.labels[id] == "" {
				t.Errorf("there is no label %q", id)
			}
		}
		for _, r := range diagnose.Descriptions[s].Reach {
			if id := "level." + string(r.Level); english.labels[id] == "" {
				t.Errorf("there is no label %q", id)
			}
			for _, p := range r.Place {
				if id := "place." + string(p); english.labels[id] == "" {
					t.Errorf("there is no label %q", id)
				}
			}
		}
	}
}

func TestLabel(t *testing.T) {
	for want, got := range map[string]string{
		"level proven":   English.Label("verdict.level", diagnose.Text("level", "proven")),
		"no.such-label":  English.Label("no.such-label"),
		"1 packet":       English.Count("count.packets", 1),
		"12,345 packets": English.Count("count.packets", 12345),
		"0 packets":      English.Count("count.packets", 0),
		"7 things":       English.Count("things", 7),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := Language(9).Label("heading.evidence"); got != "Evidence" {
		t.Errorf("an unknown language says %q", got)
	}
}

func TestLanguages(t *testing.T) {
	for _, l := range Languages {
		if got, err := ParseLanguage(l.String()); err != nil || got != l {
			t.Errorf("%s: %v, %v", l, got, err)
		}
	}
	for _, s := range []string{"", "EN", "zh_CN", "de"} {
		if _, err := ParseLanguage(s); err == nil {
			t.Errorf("ParseLanguage(%q) gave no error", s)
		}
	}
	for _, tt := range []struct {
		name  string
		want  Language
		known bool
	}{
		{"", English, false}, {"C", English, false}, {"C.UTF-8", English, false}, {"POSIX", English, false},
		{"en_US.UTF-8", English, true}, {"de_DE@euro", English, true}, {"zha_CN", English, true},
		{"zh", Chinese, true}, {"zh_CN.UTF-8", Chinese, true}, {"zh_SG", Chinese, true}, {"zh-Hans-CN", Chinese, true},
		{"zh_TW.Big5", Chinese, true}, {"zh-Hant", Chinese, true}, {"ZH_CN", Chinese, true}, {"zh@pinyin", Chinese, true},
	} {
		if l, known := LanguageOfLocale(tt.name); l != tt.want || known != tt.known {
			t.Errorf("%q: %v, %v; want %v, %v", tt.name, l, known, tt.want, tt.known)
		}
	}
}
