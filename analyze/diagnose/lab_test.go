package diagnose_test

import (
	"archive/tar"
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"goproxytrace/analyze"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/capture/pcapfile"
)

// The lab samples are captures of real `go mod download` runs with one fault
// injected into each. They are not part of this project: GOPROXYTRACE_LAB_SAMPLES
// names their directory or archive, else ../shared beside the module is tried.

// labSamples returns the directory of the samples and their expectations.
func labSamples(t *testing.T) (dir, expected string) {
	t.Helper()
	at := os.Getenv("GOPROXYTRACE_LAB_SAMPLES")
	if at == "" {
		at = filepath.Join("..", "..", "..", "shared", "lab-samples.tar.zst")
	}
	info, err := os.Stat(at)
	if err != nil {
		t.Skipf("no lab samples: set GOPROXYTRACE_LAB_SAMPLES to their directory or archive (%v)", err)
	}
	expected = filepath.Join(filepath.Dir(at), "lab-samples-expected.tsv")
	if e := os.Getenv("GOPROXYTRACE_LAB_EXPECTED"); e != "" {
		expected = e
	}
	if _, err := os.Stat(expected); err != nil {
		t.Skipf("no expectations for the lab samples: %v", err)
	}
	if info.IsDir() {
		return at, expected
	}
	dir = t.TempDir()
	unpack(t, at, dir)
	inner, err := filepath.Glob(filepath.Join(dir, "*", "*.truth.json"))
	if err == nil && len(inner) > 0 {
		dir = filepath.Dir(inner[0])
	}
	return dir, expected
}

func unpack(t *testing.T, archive, dir string) {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg || !filepath.IsLocal(h.Name) {
			continue
		}
		path := filepath.Join(dir, h.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		out, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(out, r); err != nil {
			t.Fatal(err)
		}
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

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

// targetsOf returns the hosts of the GOPROXY that a sample was made with.
func targetsOf(t *testing.T, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var truth struct {
		SNI json.RawMessage   `json:"sni"`
		Env map[string]string `json:"env_proxy"`
	}
	if err := json.Unmarshal(b, &truth); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, p := range strings.FieldsFunc(truth.Env["GOPROXY"], func(r rune) bool { return r == ',' || r == '|' }) {
		if host, ok := strings.CutPrefix(p, "https://"); ok {
			out = append(out, host)
		}
	}
	var one string
	if json.Unmarshal(truth.SNI, &one) == nil && one != "" && len(out) == 0 {
		out = append(out, one)
	}
	return out
}

func TestLabSamples(t *testing.T) {
	dir, table := labSamples(t)
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
			targets := targetsOf(t, strings.TrimSuffix(path, ".pcapng")+".truth.json")
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
