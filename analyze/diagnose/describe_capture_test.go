package diagnose_test

import (
	"context"
	"path/filepath"
	"testing"

	"goproxytrace/analyze"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/internal/corpus"
)

// foreseen fails where a verdict on the capture, its connections or lookups
// is none that its class's description foresees, and returns how many there
// were.
func foreseen(t *testing.T, path string) (n int) {
	t.Helper()
	src, err := pcapfile.Open(path)
	if err != nil {
		return 0 // tests of the reader tell
	}
	defer src.Close()
	r, err := analyze.Run(context.Background(), src, analyze.Options{Targets: []string{"proxy.example"}})
	if r == nil {
		t.Fatalf("%s: %v", path, err)
	}
	defer r.Connections.Close()
	check := func(v *diagnose.Verdict) {
		n++
		if s := diagnose.Allows(v); s != "" {
			t.Errorf("%s: the description does not foresee %s", filepath.Base(path), s)
		}
	}
	check(&r.Verdict)
	for i := range r.Lookups {
		check(&r.Lookups[i].Verdict)
	}
	for c, err := range r.Connections.All() {
		if err != nil {
			t.Fatal(err)
		}
		check(&c.Verdict)
	}
	return n
}

// What the rules say of real captures is what their descriptions foresee.
func TestDescriptionsForeseeVerdicts(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "pcaps", "*.pcapng"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	n := 0
	for _, f := range files {
		n += foreseen(t, f)
	}
	if n < 2*len(files) {
		t.Errorf("only %d verdicts in %d captures", n, len(files))
	}
}

func TestDescriptionsForeseeCorpus(t *testing.T) {
	if testing.Short() {
		t.Skip("the corpus takes long")
	}
	dir, n := corpus.Dir(t), 0
	for _, f := range corpus.Captures(t, dir) {
		n += foreseen(t, filepath.Join(dir, "captures", f))
	}
	t.Logf("%d verdicts", n)
}

func TestDescriptionsForeseeLab(t *testing.T) {
	dir, _ := corpus.LabSamples(t)
	files, err := filepath.Glob(filepath.Join(dir, "*.pcap*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures in %s: %v", dir, err)
	}
	for _, f := range files {
		foreseen(t, f)
	}
}
