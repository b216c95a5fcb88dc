package page

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"goproxytrace/analyze"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/report"
	"goproxytrace/report/page/frame"
)

// node is what a test looks at of an element.
type node struct {
	name  string
	attrs map[string]string
}

// parsed is a page as a browser reads it.
type parsed struct {
	nodes []node
	ids   map[string]bool
	// scripts are the contents of script elements by type, style that of the
	// style element, text all other text.
	scripts map[string][]string
	style   string
	text    string
}

func parsePage(t testing.TB, page string) *parsed {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	p := &parsed{ids: map[string]bool{}, scripts: map[string][]string{}}
	var text strings.Builder
	var walk func(n *html.Node)
	walk = func(n *html.Node) {
		switch n.Type {
		case html.ElementNode:
			e := node{n.Data, map[string]string{}}
			for _, a := range n.Attr {
				key := a.Key
				if a.Namespace != "" {
					key = a.Namespace + ":" + a.Key
				}
				e.attrs[key] = a.Val
			}
			p.nodes = append(p.nodes, e)
			if id, ok := e.attrs["id"]; ok {
				if p.ids[id] {
					t.Errorf("the identifier %q is there twice", id)
				}
				p.ids[id] = true
			}
			switch n.Data {
			case "script":
				content := ""
				if n.FirstChild != nil {
					content = n.FirstChild.Data
				}
				p.scripts[e.attrs["type"]] = append(p.scripts[e.attrs["type"]], content)
				return
			case "style":
				p.style += n.FirstChild.Data
				return
			}
		case html.TextNode:
			text.WriteString(n.Data)
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(root)
	p.text = text.String()
	return p
}

// allowed are the elements that a page is made of.
var allowed = map[string]bool{}

func init() {
	for _, n := range strings.Fields(`html head meta title style body input header a p span label main section h1 h2 h3 h4 ol ul li b em code div
		dl dt dd figure figcaption details summary table thead tbody tr th td button footer script svg desc g path rect circle text use defs clipPath`) {
		allowed[n] = true
	}
}

// checkPage holds what is true of every page, whatever the capture.
func checkPage(t testing.TB, page string) *parsed {
	t.Helper()
	p := parsePage(t, page)
	for _, n := range p.nodes {
		if !allowed[n.name] {
			t.Errorf("an element %s", n.name)
		}
		for key, value := range n.attrs {
			switch {
			case strings.HasPrefix(key, "on"), key == "style", key == "src", key == "srcset", key == "action", key == "formaction", key == "background", key == "xlink:href":
				t.Errorf("%s has %s=%q", n.name, key, value)
			case key == "href":
				if target, ok := strings.CutPrefix(value, "#"); !ok || !p.ids[target] {
					t.Errorf("%s leads to %q, which is not on the page", n.name, value)
				}
			case key == "for", key == "aria-labelledby", key == "aria-describedby", key == "data-for":
				for id := range strings.FieldsSeq(value) {
					if !p.ids[id] {
						t.Errorf("%s has %s=%q, which is not on the page", n.name, key, value)
					}
				}
			}
		}
	}
	if len(p.scripts[""]) != 1 || p.scripts[""][0] != scriptSource || p.style != frame.Style {
		t.Errorf("%d scripts, a style of %d bytes: not the page's own", len(p.scripts[""]), len(p.style))
	}
	for kind := range p.scripts {
		if kind != "" && kind != "application/json" {
			t.Errorf("a script of type %q", kind)
		}
	}
	for _, raw := range p.scripts["application/json"] {
		if !json.Valid([]byte(raw)) {
			t.Errorf("no JSON: %.200q", raw)
		}
	}
	policy := ""
	for _, n := range p.nodes {
		if n.attrs["http-equiv"] == "Content-Security-Policy" {
			policy = n.attrs["content"]
		}
	}
	if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, hashOf(p.style)) || !strings.Contains(policy, hashOf(p.scripts[""][0])) || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
	return p
}

// hashOf is the source of a policy for an element with this content.
func hashOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func TestPages(t *testing.T) {
	for _, path := range captures(t) {
		base := strings.TrimSuffix(filepath.Base(path), ".pcapng")
		t.Run(base, func(t *testing.T) {
			docs := documents(t, path)
			page := write(t, docs)
			writeKept(t, base, page)
			p := checkPage(t, page)
			if again := write(t, docs); again != page {
				t.Error("written again it is another")
			}
			if len(page) > 1_000_000 {
				t.Errorf("%d bytes", len(page))
			}
			checkContent(t, docs, p)
		})
	}
}

// checkContent holds that the page says what the documents say.
func checkContent(t *testing.T, docs []*report.Document, p *parsed) {
	t.Helper()
	said := squeeze(p.text)
	wants := func(what, text string) {
		if text = squeeze(strings.ReplaceAll(text, "`", "")); !strings.Contains(said, text) {
			t.Errorf("%s is not on the page: %q", what, text)
		}
	}
	for _, d := range docs {
		wants("the verdict", d.Verdict.Summary)
		for _, e := range d.Verdict.Evidence {
			wants("evidence", e.Text)
		}
		for _, s := range slices.Concat(d.Verdict.NextSteps, d.Verdict.RefutedBy, d.Verdict.NotAssessed, d.CaptureLines(), d.Notes()) {
			wants("a sentence", s)
		}
	}
	d := docs[0]
	wants("the class", d.Verdict.Class)
	linked := map[string]bool{}
	for _, n := range p.nodes {
		if f, ok := strings.CutPrefix(n.attrs["href"], "#f"); ok && n.name == "a" {
			linked[f] = true
		}
	}
	for _, e := range d.Verdict.Evidence {
		for _, f := range e.Frames {
			if s := strconv.FormatInt(f, 10); !linked[s] && !hostRecord(d, f) {
				t.Errorf("evidence %s: frame %d is not on the page", e.ID, f)
			}
		}
	}
	var raw bytes.Buffer
	if err := report.WriteJSON(&raw, d, false); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(p.scripts["application/json"], raw.String()) {
		t.Error("the page does not hold the report as JSON")
	}
}

// hostRecord reports whether a frame holds what the host said, which stands
// nowhere on the page by itself.
func hostRecord(d *report.Document, frame int64) bool {
	for i := range d.GoOutput {
		if slices.Contains(d.GoOutput[i].Frames, frame) {
			return true
		}
	}
	return d.Capture.Records > 0
}

var spaces = regexp.MustCompile(`\s+`)

func squeeze(s string) string { return spaces.ReplaceAllString(s, " ") }

// hostileName is what a capture may carry as a server's name.
var hostileName = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'`{{.}}\u202egpj.exe\u2028\x00\x1b[2J\xff" + strings.Repeat("a", 60_000) + ".example"

// What a capture holds is shown, not obeyed, and does not fill the page.
func TestHostileNames(t *testing.T) {
	r := hostileResult(hostileName)
	defer r.Close()
	page := write(t, build(r, "<b>"+hostileName+".pcapng"))
	p := checkPage(t, page)
	shown := len(page)
	for _, raw := range p.scripts["application/json"] {
		shown -= len(raw) // the report for programs is whole
	}
	if shown > 200_000 {
		t.Errorf("%d bytes are shown", shown)
	}
	for _, bad := range []string{"\u202e", "\u2028", "\x1b", "\x00", strings.Repeat("a", 1000)} {
		if strings.Contains(p.text, bad) {
			t.Errorf("the page shows %.20q", bad)
		}
	}
	if strings.Count(page, "<script") != strings.Count(page, "</script") {
		t.Error("a name closed a script")
	}
}

func TestNothingToShow(t *testing.T) {
	store := analyze.NewStore()
	r := &analyze.Result{Connections: store, Subject: -1, SubjectLookup: -1, Verdict: diagnose.Verdict{Class: diagnose.NoTraffic, Stage: diagnose.StageCapture}}
	defer r.Close()
	p := checkPage(t, write(t, build(r, "empty.pcapng")))
	if !strings.Contains(p.text, "no proof of health") {
		t.Error("an empty page does not say that it proves nothing")
	}
}

func TestEnglishIsNeeded(t *testing.T) {
	docs := documents(t, captures(t)[0])
	if err := Write(new(bytes.Buffer), docs[1]); err == nil {
		t.Error("a page without an English document has no JSON")
	}
	if err := Write(new(bytes.Buffer)); err == nil {
		t.Error("a page of nothing")
	}
}

// The page opens in the language of the first document.
func TestFirstLanguage(t *testing.T) {
	docs := documents(t, captures(t)[0])
	p := checkPage(t, write(t, []*report.Document{docs[1], docs[0]}))
	for _, n := range p.nodes {
		switch {
		case n.name == "html" && n.attrs["lang"] != docs[1].Language.Tag():
			t.Errorf("lang %q", n.attrs["lang"])
		case n.name == "input" && n.attrs["type"] == "radio":
			if _, checked := n.attrs["checked"]; checked != (n.attrs["value"] == docs[1].Language.Tag()) {
				t.Errorf("the switch %v", n.attrs)
			}
		}
	}
}

// The report is read back as it was written.
func TestExtract(t *testing.T) {
	docs := documents(t, filepath.Join(pcaps, "sni-reset-inline.pcapng"))
	page := write(t, docs)
	raw, err := Extract(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := report.WriteJSON(&want, docs[0], false); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(raw, want.Bytes()) {
		t.Error("what is read is not what was written")
	}
	if _, err := report.ReadJSON(raw); err != nil {
		t.Error(err)
	}
	if !IsPage([]byte(page)) || IsPage([]byte("\x0a\x0d\x0d\x0a")) || !IsPage([]byte("\ufeff <!DOCTYPE HTML>")) {
		t.Error("pages are not told from captures")
	}
	if _, err := Extract(strings.NewReader("<!doctype html><p>" + hostileName)); err != ErrNoReport {
		t.Errorf("another page: %v", err)
	}
	if _, err := Extract(strings.NewReader(page[:strings.Index(page, dataID)+200])); err == nil || !strings.Contains(err.Error(), "offset") {
		t.Errorf("a page that is cut: %v", err)
	}
	r := hostileResult(hostileName)
	defer r.Close()
	if raw, err := Extract(strings.NewReader(write(t, build(r, "x")))); err != nil || !json.Valid(raw) {
		t.Errorf("names broke the report: %v", err)
	}
}

// Text is legible in both schemes: WCAG 2.2, success criterion 1.4.3 wants 4.5
// for text, 1.4.11 wants 3 for what shapes are made of.
func TestContrast(t *testing.T) {
	light, rest, ok := strings.Cut(frame.Style, "@media (prefers-color-scheme: dark)")
	if !ok {
		t.Fatal("no dark scheme")
	}
	dark, _, _ := strings.Cut(rest, "*, ::before")
	variable := regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6})`)
	for name, css := range map[string]string{"light": light, "dark": dark} {
		colors := map[string]float64{}
		for _, m := range variable.FindAllStringSubmatch(css, -1) {
			colors[m[1]] = luminance(t, m[2])
		}
		for _, pair := range []struct {
			ink, papers string
			least       float64
		}{
			{"ink", "paper card shade bad-paper warn-paper ok-paper", 4.5},
			{"soft", "paper card shade", 4.5}, {"link", "paper card bad-paper warn-paper", 4.5},
			{"bad", "paper card bad-paper", 4.5}, {"warn", "paper card warn-paper", 4.5}, {"ok", "paper card ok-paper", 4.5}, {"tls", "paper card shade", 4.5},
			{"mark-ink", "mark-paper", 4.5}, {"data", "paper card shade", 3}, {"edge", "paper card shade", 3},
		} {
			for paper := range strings.FieldsSeq(pair.papers) {
				a, okA := colors[pair.ink]
				b, okB := colors[paper]
				if !okA || !okB {
					t.Errorf("%s: %s or %s is no colour", name, pair.ink, paper)
					continue
				}
				if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); ratio < pair.least {
					t.Errorf("%s: %s on %s has a contrast of %.2f, want %.1f", name, pair.ink, paper, ratio, pair.least)
				}
			}
		}
	}
}

// luminance is the relative luminance of a colour (WCAG 2.2, definitions).
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	n, err := strconv.ParseUint(hex[1:], 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	linear := func(v uint64) float64 {
		c := float64(v&255) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(n>>16) + 0.7152*linear(n>>8) + 0.0722*linear(n)
}
