// Package arch holds the import rules of this module as a test; those of
// goproxytrace itself are in goproxytrace/internal/archtest.
package arch

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"goproxytrace/internal/archtest"
)

// own are packages of this module.
func own(paths ...string) []string {
	for i := range paths {
		paths[i] = archtest.Module + "/fleet/" + paths[i]
	}
	return paths
}

var beam = []string{"github.com/apache/beam/..."}

var rules = []archtest.Rule{
	{From: []string{"rows"}, Deny: append(own("..."), beam...), Why: "rows are made of a report and nothing else"},
	{From: []string{"summary"}, Deny: append(own("storage", "ingest", "parts", "pipeline", "cluster", "cmd/..."), beam...), Why: "what is counted are rows"},
	{From: []string{"ingest", "parts"}, Deny: append(own("pipeline", "cluster", "cmd/..."), beam...), Why: "imports run one way: cmd -> pipeline -> ingest, parts, summary -> rows"},
	{From: []string{"storage", "cluster"}, Deny: own("rows", "ingest", "parts", "summary", "pipeline", "cmd/..."), Why: "files and processes know no captures"},
	{From: []string{"cluster"}, Deny: beam, Why: "a process is a process"},
	{From: []string{"pipeline"}, Deny: own("cluster", "cmd/..."), Why: "where a pipeline runs is cmd's choice"},
	{From: []string{"page"}, Deny: own("cluster", "ingest", "cmd/..."), Why: "a page is made of what a run has written"},
	{From: []string{"storage", "ingest", "parts", "summary", "pipeline", "cluster"}, Deny: own("page"), Why: "a page is cmd's choice"},
	{From: []string{"..."}, Except: []string{"storage", "pipeline", "cmd/..."}, Deny: beam, Why: "Beam is known to the pipeline, its files and its command line"},
	{From: []string{"..."}, Except: []string{"internal/..."}, Deny: own("internal/..."), Why: "what is internal here is for tests and measurements"},
}

func TestImportRules(t *testing.T) {
	root := filepath.Join("..", "..")
	if mod, err := os.ReadFile(filepath.Join(root, "go.mod")); err != nil || !strings.HasPrefix(string(mod), "module "+archtest.Module+"/fleet\n") {
		t.Fatalf("this is not the module's root (%v)", err)
	}
	imports, err := archtest.Imports(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(imports["pipeline"], "github.com/apache/beam/sdks/v2/go/pkg/beam") {
		t.Fatal("the walk does not find that pipeline imports Beam")
	}
	for _, line := range archtest.Check(imports, rules) {
		t.Error(line)
	}
	for _, r := range rules {
		for _, p := range slices.Concat(r.From, r.Except) {
			if p = strings.TrimSuffix(strings.TrimSuffix(p, "..."), "/"); p == "" {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(p))); err != nil {
				t.Errorf("a rule speaks of %s: %v", p, err)
			}
		}
	}
}

func TestViolationsAreFound(t *testing.T) {
	for _, c := range []struct{ pkg, imports string }{
		{"rows", archtest.Module + "/fleet/storage"}, {"ingest", beamPackage}, {"pipeline", archtest.Module + "/fleet/cluster"}, {"summary", archtest.Module + "/fleet/pipeline"},
	} {
		if got := archtest.Check(map[string][]string{c.pkg: {c.imports}}, rules); len(got) == 0 {
			t.Errorf("%s may import %s", c.pkg, c.imports)
		}
	}
}

const beamPackage = "github.com/apache/beam/sdks/v2/go/pkg/beam"
