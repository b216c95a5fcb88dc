// Package corpus finds the public captures with ground truth that tests
// compare with, and reads that truth. The captures are not part of the
// project; where they are absent, tests say so and skip.
package corpus

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Env names the environment variable that points to the corpus.
const Env = "GOPROXYTRACE_CORPUS"

// CI names the variable under which nothing may be skipped.
const CI = "GOPROXYTRACE_CI"

// Dir returns the corpus directory, or skips (fails in CI) where there is none.
func Dir(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv(Env); dir != "" {
		return dir
	}
	if c := besideModule("corpus"); c != "" {
		return c
	}
	Skip(t, "the capture corpus is not here: set "+Env)
	return ""
}

// besideModule returns what the directory of shared files beside the module has
// under this name, empty where there is no such thing.
func besideModule(name string) string {
	for dir, err := os.Getwd(); err == nil && dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
			continue
		}
		path := filepath.Join(filepath.Dir(dir), "shared", name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
		break
	}
	return ""
}

// Skip skips the test with a visible reason; in CI, where everything must be
// installed, it fails instead.
func Skip(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv(CI) != "" {
		t.Fatal("in CI nothing is skipped: ", reason)
	}
	t.Skip(reason)
}

// Captures returns the paths of all captures below dir, relative to
// dir/captures, sorted.
func Captures(t testing.TB, dir string) []string {
	t.Helper()
	root := filepath.Join(dir, "captures")
	var out []string
	err := filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			rel, _ := filepath.Rel(root, p)
			out = append(out, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil || len(out) == 0 {
		t.Fatalf("reading the corpus at %s: %d captures, error %v", root, len(out), err)
	}
	return out
}

// Line is what the truth (or --frames) says about one TCP segment.
type Line struct {
	Frame, Stream                     int64
	Flags, SNI, Handshake, JA3, Alert string
}

// ReadFrames reads the tab-separated layout of `analyze --frames`.
func ReadFrames(r io.Reader) ([]Line, error) {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 1<<20)
	var out []Line
	for n := 0; sc.Scan(); n++ {
		if n == 0 {
			continue
		}
		f := strings.Split(sc.Text(), "\t")
		if len(f) != 7 {
			return out, fmt.Errorf("line %d has %d columns, want 7", n+1, len(f))
		}
		frame, err1 := strconv.ParseInt(f[0], 10, 64)
		stream, err2 := strconv.ParseInt(f[1], 10, 64)
		if err1 != nil || err2 != nil {
			return out, fmt.Errorf("line %d: frame %q, stream %q", n+1, f[0], f[1])
		}
		out = append(out, Line{frame, stream, f[2], f[3], f[4], f[5], f[6]})
	}
	return out, sc.Err()
}

// Truth reads the ground truth of a capture; ok is false where it has none.
func Truth(t testing.TB, dir, capture string) (lines []Line, ok bool) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "truth", filepath.FromSlash(capture)+".tsv"))
	if err != nil {
		return nil, false
	}
	defer f.Close()
	lines, err = ReadFrames(f)
	if err != nil {
		t.Fatalf("truth of %s: %v", capture, err)
	}
	return lines, true
}
