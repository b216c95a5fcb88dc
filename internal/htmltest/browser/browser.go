// Package browser opens pages in Chromium for tests.
//
// In go paths of HTML files, out comes what is wrong with them. What it needs is
// installed by npm ci in internal/htmltest/testdata/browser; without, tests skip,
// in CI they fail.
package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"goproxytrace/internal/corpus"
)

// Page is a page that the browser opens.
type Page struct {
	Name string `json:"name"`
	Path string `json:"path"`
	// Drawn is true where there is a connection to draw.
	Drawn bool `json:"drawn"`
	// Plain is true for a page without script and with one language.
	Plain bool `json:"plain"`
	Heavy bool `json:"heavy"`
	// Only names the one check to make, empty for all.
	Only string `json:"only,omitempty"`
}

// Found is what the browser says of one page.
type Found struct {
	Faults  []string           `json:"faults"`
	Figures map[string]float64 `json:"figures"`
}

// scripts returns the directory of the scripts, which is below that of the module.
func scripts(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for dir != filepath.Dir(dir) {
		path := filepath.Join(dir, "internal", "htmltest", "testdata", "browser")
		if _, err := os.Stat(path); err == nil {
			return path
		}
		dir = filepath.Dir(dir)
	}
	t.Fatal("internal/htmltest/testdata/browser is not above this directory")
	return ""
}

// Tools returns the paths of node and Chromium, or skips.
func Tools(t *testing.T) (node, chromium string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		corpus.Skip(t, "node is not installed: pages are not opened in a browser")
	}
	if _, err := os.Stat(filepath.Join(scripts(t), "node_modules", "playwright-core")); err != nil {
		corpus.Skip(t, "playwright-core is not installed (npm ci in internal/htmltest/testdata/browser): pages are not opened in a browser")
	}
	for _, name := range []string{"/usr/bin/chromium", "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return node, path
		}
	}
	corpus.Skip(t, "Chromium is not installed: pages are not opened in a browser")
	return "", ""
}

// Look opens pages and returns what was found, by their names. Pictures of them go
// to a directory.
func Look(t *testing.T, list []Page, pictures string) map[string]Found {
	t.Helper()
	node, chromium := Tools(t)
	order, err := json.Marshal(map[string]any{"chromium": chromium, "profile": t.TempDir(), "pages": list, "pictures": pictures})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, "check.mjs")
	cmd.Dir, cmd.Stdin = scripts(t), bytes.NewReader(order)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var out struct {
		Browser string           `json:"browser"`
		Pages   map[string]Found `json:"pages"`
	}
	if err := json.Unmarshal(stdout.Bytes(), &out); err != nil {
		t.Fatalf("%v in %.500s", err, stdout.String())
	}
	if len(out.Pages) != len(list) {
		t.Fatalf("%d pages of %d were looked at", len(out.Pages), len(list))
	}
	return out.Pages
}

// Validate returns what is no valid HTML in files, one line each, and how that
// ended.
func Validate(t *testing.T, files ...string) (string, error) {
	t.Helper()
	node, _ := Tools(t)
	cmd := exec.Command(node, append([]string{"validate.mjs"}, files...)...)
	cmd.Dir = scripts(t)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
