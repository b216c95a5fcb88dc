package diagnose_test

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"goproxytrace/analyze"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/internal/corpus"
)

// The lab samples are captures of real `go mod download` runs with one fault
// injected into each. They are not part of this project: GOPROXYTRACE_LAB_SAMPLES
// names their directory or archive, else ../shared beside the module is tried.

// honest is what an honest reading of a sample may say.
type honest struct {
	classes       []string
	truth, widest []string
}

func readExpected(t *testing.T, path string) map[string]honest {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	split := func(s string) []string {
		if s == "" {
			return nil
		}
		return strings.Split(s, "|")
	}
	out := make(map[string]honest)
	for s := bufio.NewScanner(f); s.Scan(); {
		cells := strings.Split(s.Text(), "\t")
		if strings.HasPrefix(s.Text(), "#") || cells[0] == "name" || len(cells) < 2 {
			continue
		}
		cells = append(cells, "", "")
		out[cells[0]] = honest{split(cells[1]), split(cells[2]), split(cells[3])}
	}
	if len(out) == 0 {
		t.Fatalf("no expectations in %s", path)
	}
	return out
}

// score grades a verdict; "" is right. The order is that of how bad it is.
func (h *honest) score(v *diagnose.Verdict) string {
	places := make([]string, len(v.Place))
	for i, p := range v.Place {
		places[i] = string(p)
	}
	meets := func(list []string) bool {
		return slices.ContainsFunc(places, func(p string) bool { return slices.Contains(list, p) })
	}
	truth := h.truth
	if len(truth) == 0 {
		truth = h.widest
	}
	listed := slices.Contains(h.classes, string(v.Class))
	switch {
	case len(h.classes) == 1 && h.classes[0] == "ok" && !listed:
		return "false alarm"
	case len(places) > 0 && len(truth) > 0 && !meets(truth):
		return "blamed an innocent"
	case v.Class == diagnose.OK && !listed:
		return "missed"
	case !listed:
		return "wrong class"
	case slices.ContainsFunc(places, func(p string) bool { return !slices.Contains(h.widest, p) }):
		return "too wide"
	}
	return ""
}

func TestLabSamples(t *testing.T) {
	dir, table := corpus.LabSamples(t)
	expected := readExpected(t, table)
	files, err := filepath.Glob(filepath.Join(dir, "*.pcapng"))
	if err != nil {
		t.Fatal(err)
	}
	judged := 0
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".pcapng")
		h, ok := expected[strings.TrimSuffix(name, "__nooff")]
		if !ok || strings.HasSuffix(name, ".server") {
			continue
		}
		judged++
		t.Run(name, func(t *testing.T) {
			targets := corpus.SampleTargets(t, path)
			for _, o := range []analyze.Options{{Targets: targets}, {}} {
				src, err := pcapfile.Open(path)
				if err != nil {
					t.Fatal(err)
				}
				r, err := analyze.Run(context.Background(), src, o)
				if err != nil {
					t.Fatal(err)
				}
				_ = r.Connections.Close()
				_ = src.Close()
				v := &r.Verdict
				if s := h.score(v); s != "" {
					t.Errorf("targets %q: %s: %s %v %s, want one of %q within %q meeting %q\n%+v", o.Targets, s, v.Class, v.Place, v.Level, h.classes, h.widest, h.truth, v.Evidence)
				}
			}
		})
	}
	if judged < len(expected) {
		t.Errorf("%d samples judged, %d expected", judged, len(expected))
	}
}
