package page

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"goproxytrace/fleet/summary"
	"goproxytrace/internal/htmltest/browser"
)

var keep = flag.String("pictures", "", "keep the pages and their pictures in this directory")

// The page in Chromium: on a narrow and a wide window, dark, in print, for a
// screen reader (axe), by keys, without a request; and as HTML.
func TestBrowser(t *testing.T) {
	browser.Tools(t)
	dir := t.TempDir()
	if *keep != "" {
		var err error
		if dir, err = filepath.Abs(*keep); err != nil {
			t.Fatal(err)
		}
	}
	fine := made(0, "")
	fine.Classes = nil
	fine.Summaries = []summary.Row{{Dimension: summary.Total, Of: 50, RateHigh: 0.071, Downloads: 50}}
	// What the checks are for is found.
	spoiled := map[string]struct{ from, to, only, want string }{
		"request":  {`<main id="main">`, `<main id="main"><img alt="" src="http://127.0.0.1:9/x.png">`, "open", "console error"},
		"script":   {`<main id="main">`, `<main id="main"><script>document.title = 1</script>`, "open", "console error"},
		"wide":     {"<footer", "<pre>" + strings.Repeat("x", 500) + "</pre><footer", "widths", "the page is"},
		"anchor":   {`id="basis"`, `id="gone"`, "anchors", "leads nowhere"},
		"unnamed":  {`<html lang="en">`, `<html>`, "audit", "axe"},
		"headless": {`<th scope="col">Class</th>`, `<th scope="col"></th>`, "audit", "axe"},
	}
	var list []browser.Page
	var files []string
	add := func(name, page, only string) {
		path := filepath.Join(dir, name+".html")
		if err := os.WriteFile(path, []byte(page), 0o600); err != nil {
			t.Fatal(err)
		}
		list = append(list, browser.Page{Name: name, Path: path, Plain: true, Only: only})
		if _, bad := spoiled[name]; !bad {
			files = append(files, path)
		}
	}
	farm := write(t, read(t, farmed(t, "")))
	add("farm", farm, "")
	add("fine", write(t, fine), "audit")
	add("hostile", write(t, made(60, hostile)), "widths")
	for name, s := range spoiled {
		bad := strings.Replace(farm, s.from, s.to, 1)
		if bad == farm {
			t.Fatalf("%s: nothing was spoiled", name)
		}
		add(name, bad, s.only)
	}
	for name, f := range browser.Look(t, list, dir) {
		s, bad := spoiled[name]
		if bad {
			if !strings.Contains(strings.Join(f.Faults, "\n"), s.want) {
				t.Errorf("%s: found %q", name, f.Faults)
			}
			continue
		}
		for _, fault := range f.Faults {
			t.Errorf("%s: %s", name, fault)
		}
	}
	if out, err := browser.Validate(t, files...); err != nil || out != "" {
		t.Errorf("%v\n%.6000s", err, out)
	}
}
