package htmltest

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"goproxytrace/analyze"
	"goproxytrace/capture"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/internal/htmltest/browser"
	"goproxytrace/report"
	"goproxytrace/report/messages"
	"goproxytrace/report/page"
)

var keep = flag.String("pictures", "", "keep the pages and their pictures in this directory")

const pcaps = "../../testdata/pcaps"

// pageOf writes the page of a capture.
func pageOf(t testing.TB, src capture.Source, file string) []byte {
	t.Helper()
	r, err := analyze.Run(context.Background(), src, analyze.Options{Trace: true, Targets: []string{"proxy.example"}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var docs []*report.Document
	for _, l := range messages.Languages {
		docs = append(docs, report.Build(r, report.Options{File: file, Version: "test", Language: l}))
	}
	var b bytes.Buffer
	if err := page.Write(&b, docs...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// pages writes pages of captures that differ in what they show.
func pages(t *testing.T, dir string) (out []browser.Page) {
	t.Helper()
	for _, path := range []string{
		"sni-reset-inline.pcapng", "large-dropped.pcapng", "healthy-http1-near.pcapng", "stalled-body.pcapng", "dns-nxdomain.pcapng", "icmp-prohibited.pcapng",
		"../cases/stalled-make.pcapng",
	} {
		src, err := pcapfile.Open(filepath.Join(pcaps, path))
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(path), ".pcapng")
		file := filepath.Join(dir, name+".html")
		if err := os.WriteFile(file, pageOf(t, src, filepath.Base(path)), 0o600); err != nil {
			t.Fatal(err)
		}
		src.Close()
		out = append(out, browser.Page{Name: name, Path: file, Drawn: name != "dns-nxdomain"})
	}
	return out
}

func place(t *testing.T) string {
	if *keep == "" {
		return t.TempDir()
	}
	if err := os.MkdirAll(*keep, 0o755); err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.Abs(*keep)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestBrowser(t *testing.T) {
	browser.Tools(t)
	dir := place(t)
	list := pages(t, dir)
	for name, f := range browser.Look(t, list, dir) {
		for _, fault := range f.Faults {
			t.Errorf("%s: %s", name, fault)
		}
	}
}

var styleSource = regexp.MustCompile(`style-src .*?; script-src`)

// The checks find what they are for.
func TestFaultsAreFound(t *testing.T) {
	browser.Tools(t)
	dir := t.TempDir()
	src, err := pcapfile.Open(filepath.Join(pcaps, "sni-reset-inline.pcapng"))
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	good := string(pageOf(t, src, "x.pcapng"))
	spoiled := map[string]struct{ from, to, only, want string }{
		"request":  {`<main id="main">`, `<main id="main"><img alt="" src="http://127.0.0.1:9/x.png">`, "open", "console error"},
		"script":   {`<main id="main">`, `<main id="main"><script>document.title = 1</script>`, "open", "console error"},
		"contrast": {"--soft: #565c65", "--soft: #c6ccd5", "audit", "axe"},
		"wide":     {"<footer>", `<footer><pre>` + strings.Repeat("x", 500) + `</pre>`, "widths", "the page is"},
		"link":     {`id="f25"`, `id="gone"`, "links", "the evidence"},
		"language": {`:not([lang="zh-Hans"]) { display: none; }`, `:not([lang="zh-Hans"]) { color: red; }`, "language", "English texts show"},
		"name":     {`<label for="lang-zh"`, `<span data-for="lang-zh"`, "audit", "axe"},
	}
	var list []browser.Page
	for name, s := range spoiled {
		bad := strings.ReplaceAll(good, s.from, s.to)
		if bad == good {
			t.Fatalf("%s: nothing was spoiled", name)
		}
		if name == "link" {
			bad = strings.ReplaceAll(strings.ReplaceAll(bad, `href="#f25"`, `href="#f21000"`), `href="#f24"`, `href="#f21000"`)
		}
		if strings.Contains("contrast language", name) { // the policy names the style's hash
			bad = styleSource.ReplaceAllString(bad, "style-src 'unsafe-inline'; script-src")
		}
		file := filepath.Join(dir, name+".html")
		if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		list = append(list, browser.Page{Name: name, Path: file, Drawn: true, Only: s.only})
	}
	for name, f := range browser.Look(t, list, dir) {
		if !strings.Contains(strings.Join(f.Faults, "\n"), spoiled[name].want) {
			t.Errorf("%s: found %q", name, f.Faults)
		}
	}
}

func TestValidHTML(t *testing.T) {
	browser.Tools(t)
	var files []string
	for _, p := range pages(t, t.TempDir()) {
		files = append(files, p.Path)
	}
	if out, err := browser.Validate(t, files...); err != nil || out != "" {
		t.Errorf("%v\n%.6000s", err, out)
	}
	bad := filepath.Join(t.TempDir(), "bad.html")
	if err := os.WriteFile(bad, []byte("<!doctype html><html lang=\"en\"><title>x</title><p><div id=a></div><div id=a></div></p>"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, _ := browser.Validate(t, bad); out == "" {
		t.Error("what is no HTML is not found")
	}
}
