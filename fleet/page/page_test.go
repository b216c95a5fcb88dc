package page

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"golang.org/x/net/html"

	"goproxytrace/fleet/internal/farm"
	"goproxytrace/fleet/pipeline"
	"goproxytrace/fleet/rows"
	"goproxytrace/fleet/summary"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))) // Beam tells much
	beam.Init()
	os.Exit(m.Run())
}

// farmed makes the farm's files and a run over them. In the directory that it
// returns, captures holds the files and out the run.
func farmed(t *testing.T, key string) string {
	t.Helper()
	dir := t.TempDir()
	captures := filepath.Join(dir, "captures")
	if err := farm.Write("../../testdata/pcaps", captures); err != nil {
		t.Fatal(err)
	}
	if key != "" {
		path := filepath.Join(dir, "key")
		if err := os.WriteFile(path, []byte(key), 0o600); err != nil {
			t.Fatal(err)
		}
		key = path
	}
	if err := farm.Analyze(t.Context(), captures, filepath.Join(dir, "out"), key); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, d *Data) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, d); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func read(t *testing.T, dir string) *Data {
	t.Helper()
	d, err := Read(t.Context(), filepath.Join(dir, "out"), filepath.Join(dir, "page.html"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// text is what a person reads on the page.
func text(t *testing.T, page string) string {
	t.Helper()
	var b strings.Builder
	skip := false
	z := html.NewTokenizer(strings.NewReader(page))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return strings.Join(strings.Fields(strings.ReplaceAll(b.String(), "\u202f", " ")), " ")
		case html.StartTagToken:
			name, _ := z.TagName()
			skip = string(name) == "style"
		case html.EndTagToken:
			skip = false
			b.WriteByte(' ')
		case html.TextToken:
			if !skip {
				b.Write(z.Text())
			}
		}
	}
}

// TestPage compares the page with the farm's reports, read as JSON.
func TestPage(t *testing.T) {
	dir := farmed(t, "")
	downloads, died, reset := 0, 0, 0
	files, err := filepath.Glob(filepath.Join(dir, "captures", "*", "2*.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(raw) {
			var c struct {
				Processes []struct{ Verdict struct{ Class string } }
			}
			if err := json.Unmarshal(line, &c); err != nil {
				t.Fatal(err)
			}
			switch class := c.Processes[0].Verdict.Class; class {
			case "capture.unusable", "no-traffic":
			case "ok":
				downloads++
			default:
				downloads++
				died++
				if class == "tls.reset" {
					reset++
				}
			}
		}
	}
	d := read(t, dir)
	page := write(t, d)
	check(t, page)
	got := text(t, page)
	for _, want := range []string{
		fmt.Sprintf("%d of %d downloads died", died, downloads), fmt.Sprintf("%d of %d deaths", reset, died), "handshake reset", "on the way to mirror.example",
		"18 Nov 2026, 11:00 UTC", "9 Nov to 22 Nov 2026, 6 machines", "build-6/2026-11-19.ndjson, report 2", "goproxytrace explain tls.reset", "notes.txt unreadable",
		"full-disk.pcapng damaged", "copy of 2026-11-09.ndjson duplicate", "CN=Inspection Root,O=Lab", "shows private names",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	// An IPv6-only machine's names have no A records, and that kills nothing.
	if strings.Contains(got, "dns.nodata") {
		t.Error("the page tells of dns.nodata, of which nothing died")
	}
	if len(page) > 500_000 {
		t.Errorf("%d bytes", len(page))
	}
	sums := 0
	for _, h := range d.Hosts {
		sums += int(h.Died)
	}
	if sums != died {
		t.Errorf("hosts killed %d downloads, %d died", sums, died)
	}
	if again := write(t, read(t, dir)); again != page {
		t.Error("two pages of one run differ")
	}
}

// A page of pseudonyms holds no name, and says so.
func TestRedactedPage(t *testing.T) {
	page := write(t, read(t, farmed(t, strings.Repeat("k", 40))))
	check(t, page)
	for _, name := range []string{"mirror.example", "build-1", "build-6", "192.168.52.1 said"} {
		if strings.Contains(page, name) {
			i := strings.Index(page, name)
			t.Errorf("%s is on the page: %s", name, page[max(i-200, 0):i+60])
		}
	}
	if got := text(t, page); !strings.Contains(got, "are pseudonyms") || !strings.Contains(got, "made with the key") || strings.Contains(got, "Nothing is replaced") {
		t.Error("the page does not say that names are pseudonyms")
	}
}

const hostile = "</style><script>alert(1)</script><img src=x onerror=alert(1)>\"' \u202egnp.exe \x1b[31m javascript:alert(1) %s {{.}}"

// made returns a run with so many hosts, of which something died on the way to
// each.
func made(hosts int, name string) *Data {
	start := time.Date(2026, 11, 9, 8, 0, 0, 0, time.UTC)
	d := &Data{Summary: &pipeline.Summary{Start: &start, End: &start, Cases: int64(hosts), Interval: pipeline.Interval{Method: summary.Method, Confidence: summary.Confidence}}, Hosts: map[string]*Host{}, All: History{}}
	c := Class{Name: "tls.reset", Places: map[string]int64{"network": int64(hosts)}, Levels: map[string]int64{"proven": int64(hosts)}, Hosts: map[string]int64{}, History: History{}}
	if name != "" {
		c.Name = name
	}
	add := func(dimension, value, class string, n int64) {
		d.Summaries = append(d.Summaries, summary.Row{Dimension: dimension, Value: value, Class: class, Hits: n, Of: n, Downloads: n, DownloadsDied: n, RateOf: summary.RateDeaths})
	}
	add(summary.Total, "", "", int64(hosts))
	add(summary.Class, c.Name, "", int64(hosts))
	for i := range hosts {
		host := fmt.Sprintf("%s%d.example", name, i)
		at := start.Add(time.Duration(i) * time.Hour)
		h := &Host{Classes: map[string]int64{c.Name: 12}, History: History{}, Downloads: 12, Died: 12}
		h.History[at] = Hour{All: 12, Died: 12}
		d.Hosts[host] = h
		c.Hosts[host] = 12
		d.All[at], c.History[at] = Hour{All: 12, Died: 12}, Hour{All: 12, Died: 12}
		for _, dimension := range []string{summary.Host, summary.Machine, summary.Resolver, summary.CertificateIssuer, summary.GoVersion} {
			add(dimension, host, "", 12)
			add(dimension, host, c.Name, 12)
		}
		d.Problems = append(d.Problems, pipeline.Problem{File: "/captures/" + host, Status: rows.StatusUnreadable, Reason: name + "is no capture"})
	}
	for range mostExamples {
		c.Examples = append(c.Examples, Example{Case: "00ff", File: "/captures/" + name + "x", Machine: name, Host: name, Level: "proven", Summary: name + " died", Time: &start, Href: "./x.html"})
	}
	c.Steps = []string{"Run `" + name + "` again."}
	d.Classes = []Class{c}
	d.Unassessed = []Said{{"No " + name, 3}}
	return d
}

func TestHostileNames(t *testing.T) { check(t, write(t, made(40, hostile))) }

func TestManyHosts(t *testing.T) {
	page := write(t, made(5000, ""))
	check(t, page)
	t.Logf("%d bytes for 5000 hosts", len(page))
	if len(page) > 1_000_000 {
		t.Errorf("%d bytes for 5000 hosts", len(page))
	}
	if got := text(t, page); !strings.Contains(got, "and 4 975 hosts more that killed 59 700 downloads") || !strings.Contains(got, "and 4 960 files more") || !strings.Contains(got, "and 4985 more: 59 820 of 59 820 downloads died") {
		t.Error("the page does not say what it leaves out")
	}
}

func TestNothingDied(t *testing.T) {
	fine := made(0, "")
	fine.Classes = nil
	fine.Summaries = []summary.Row{{Dimension: summary.Total, Of: 50, RateHigh: 0.071, Downloads: 50}}
	page := write(t, fine)
	check(t, page)
	if got := text(t, page); !strings.Contains(got, "None of 50 downloads died") || !strings.Contains(got, "no proof of health") {
		t.Errorf("the page says %.400s", got)
	}
	fine.Summaries = nil
	page = write(t, fine)
	check(t, page)
	if got := text(t, page); !strings.Contains(got, "No download could be judged") {
		t.Errorf("the page says %.400s", got)
	}
}

// check makes sure that nothing on a page acts, loads, or leads elsewhere.
func check(t *testing.T, page string) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	ids, hrefs, policy, styles := map[string]bool{}, []string{}, "", 0
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch n.Data {
		case "script", "iframe", "object", "embed", "link", "base", "form", "img", "foreignobject":
			t.Errorf("there is an element %s", n.Data)
		case "style":
			styles++
		}
		for _, a := range n.Attr {
			switch {
			case strings.HasPrefix(a.Key, "on"), a.Key == "style", a.Key == "src", a.Key == "srcset", a.Key == "action":
				t.Errorf("%s has %s=%q", n.Data, a.Key, a.Val)
			case a.Key == "id":
				if ids[a.Val] {
					t.Errorf("%s is there twice", a.Val)
				}
				ids[a.Val] = true
			case a.Key == "href", a.Key == "aria-labelledby", a.Key == "aria-describedby":
				hrefs = append(hrefs, a.Val)
			case a.Key == "content" && strings.HasPrefix(a.Val, "default-src"):
				policy = a.Val
			}
		}
	}
	for _, h := range hrefs {
		if !strings.HasPrefix(h, "./") && !ids[strings.TrimPrefix(h, "#")] {
			t.Errorf("%q leads away, or nowhere", h)
		}
	}
	if !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "script-src") || styles != 1 {
		t.Errorf("the policy is %q", policy)
	}
	if i := strings.IndexAny(page, "\x00\x1b\u202e"); i >= 0 {
		t.Errorf("a character that acts at offset %d", i)
	}
}

// Pages that lie beside a case's file are linked, whatever letters their names
// have, and others are not.
func TestLinks(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.pcapng", "a.html", "javascript:b%20 c.pcapng.html", "d.pcapng"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tally := &tally{page: filepath.Join(dir, "pages", "fleet.html"), whole: true}
	for file, want := range map[string]string{
		"a.pcapng": "./../a.html", "a.html": "./../a.html", "javascript:b%20 c.pcapng": "./../javascript:b%2520%20c.pcapng.html", "d.pcapng": "", "gone.html": "",
	} {
		if got := tally.href(filepath.Join(dir, file)); got != want {
			t.Errorf("%s is linked as %q, want %q", file, got, want)
		}
	}
	tally.whole = false
	if got := tally.href(filepath.Join(dir, "a.pcapng")); got != "" {
		t.Errorf("a path of pseudonyms is linked as %q", got)
	}
}

func TestChange(t *testing.T) {
	start := time.Date(2026, 11, 9, 0, 0, 0, 0, time.UTC)
	series := func(r *rand.Rand, hours, perHour int, share func(i int) float64) History {
		h := History{}
		for i := range hours {
			for range perHour {
				h.add(start.Add(time.Duration(i)*time.Hour), r.Float64() < share(i))
			}
		}
		return h
	}
	r := rand.New(rand.NewPCG(1, 2))
	found := 0
	for range 200 {
		c, ok := series(r, 100, 4, func(i int) float64 {
			if i < 70 {
				return 0.05
			}
			return 0.4
		}).change()
		if d := c.Since.Sub(start.Add(70 * time.Hour)).Abs(); ok && d <= 6*time.Hour && c.To > c.From && c.Since.Sub(c.Before) == time.Hour {
			found++
		}
	}
	if found < 190 {
		t.Errorf("%d of 200 changes are found", found)
	}
	alarms, most := 0, 2000
	for i := range most {
		if _, ok := series(r, 60, 3, func(int) float64 { return []float64{0.02, 0.1, 0.3, 0.9}[i%4] }).change(); ok {
			alarms++
		}
	}
	t.Logf("%d of %d series without a change have one", alarms, most)
	if alarms > most/100 {
		t.Errorf("%d of %d series without a change have one", alarms, most)
	}
	if _, ok := (History{}).change(); ok {
		t.Error("an empty history changes")
	}
}
