package report

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"goproxytrace/analyze/diagnose"
)

// declaredClasses reads the constants of type Class out of package diagnose.
func declaredClasses(t *testing.T) []diagnose.Class {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "analyze", "diagnose", "verdict.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []diagnose.Class
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || len(v.Values) != 1 {
			return true
		}
		if id, ok := v.Type.(*ast.Ident); ok && id.Name == "Class" {
			if lit, ok := v.Values[0].(*ast.BasicLit); ok {
				s, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, diagnose.Class(s))
			}
		}
		return true
	})
	if len(out) < 40 {
		t.Fatalf("found %d classes in diagnose, want all of them", len(out))
	}
	return out
}

// Renderers see the Document alone: no capture, no packet library.
func TestImports(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal("no source files: ", err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			if strings.Contains(i.Path.Value, "goproxytrace/capture") || strings.Contains(i.Path.Value, "gopacket") {
				t.Errorf("%s imports %s", name, i.Path.Value)
			}
		}
	}
}
