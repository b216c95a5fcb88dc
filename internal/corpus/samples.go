package corpus

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// Names of the environment variables that say where the lab samples are, their
// directory or archive, and the table of what is expected of them.
const (
	SamplesEnv  = "GOPROXYTRACE_LAB_SAMPLES"
	ExpectedEnv = "GOPROXYTRACE_LAB_EXPECTED"
)

// LabSamples returns the directory of the lab samples and their expectations:
// captures of real go mod download runs with one injected fault each, which are
// not part of the project. Without SamplesEnv, ../shared beside the module is
// tried; where they are absent the test is skipped.
func LabSamples(t testing.TB) (dir, expected string) {
	t.Helper()
	at := os.Getenv(SamplesEnv)
	if at == "" {
		at = besideModule("lab-samples.tar.zst")
	}
	info, err := os.Stat(at)
	if err != nil {
		t.Skipf("no lab samples: set %s to their directory or archive (%v)", SamplesEnv, err)
	}
	expected = filepath.Join(filepath.Dir(at), "lab-samples-expected.tsv")
	if e := os.Getenv(ExpectedEnv); e != "" {
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

func unpack(t testing.TB, archive, dir string) {
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

// SampleTargets returns the hosts of the GOPROXY that a sample was made with.
func SampleTargets(t testing.TB, path string) []string {
	t.Helper()
	b, err := os.ReadFile(strings.TrimSuffix(path, ".pcapng") + ".truth.json")
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
