package report

import (
	"bytes"
	"encoding/binary"
	"regexp"
	"slices"
	"strings"
	"testing"

	"goproxytrace/analyze"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/internal/markdown/inert"
	"goproxytrace/report/messages"
)

// ownHTML is all the HTML that a Markdown report may hold.
var ownHTML = regexp.MustCompile(`^(?:<br>|<details>|</details>|<summary>[^<>&]*</summary>)$`)

func renderMarkdown(t testing.TB, d *Document) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteMarkdown(&b, d); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// checkMarkdown holds what is promised of every Markdown report.
func checkMarkdown(t testing.TB, d *Document) *inert.Page {
	t.Helper()
	source := renderMarkdown(t, d)
	if n := len(source); n > MaxMarkdown {
		t.Fatalf("%d bytes", n)
	}
	p, err := inert.Parse(source, ownHTML)
	if err != nil {
		t.Fatalf("%v in:\n%s", err, source)
	}
	var known []string
	for _, id := range []string{"evidence", "next-steps", "refuted-by", "processes", "lookups", "attempts", "capture", "not-assessed", "versions"} {
		known = append(known, d.Language.Label("heading."+id))
	}
	at := 0
	for _, h := range p.Headings {
		i := slices.Index(known, h)
		if i < at {
			t.Fatalf("heading %q is unknown or out of order:\n%s", h, source)
		}
		at = i
	}
	if !slices.Contains(p.Headings, d.Language.Label("heading.versions")) || !strings.Contains(p.Text, "goproxytrace") {
		t.Fatalf("no versions:\n%s", source)
	}
	open, closed := 0, 0
	for _, tag := range p.HTML {
		switch tag {
		case "<details>":
			open++
		case "</details>":
			closed++
		}
	}
	if open != closed || open > 1 {
		t.Fatalf("%d details begin and %d end:\n%s", open, closed, source)
	}
	if len(p.Tables) == 0 {
		t.Fatalf("no table of the verdict:\n%s", source)
	}
	for _, table := range p.Tables {
		for _, row := range table {
			if len(row) != len(table[0]) || len(row) == 0 {
				t.Fatalf("rows of %d and %d cells:\n%s", len(table[0]), len(row), source)
			}
		}
	}
	return p
}

func TestMarkdown(t *testing.T) {
	for _, l := range messages.Languages {
		d := deathDocument(t, "a|b\x1b[31m\u202e@octocat.example", 45)
		d.Language, d.GoVersion, d.Platform = l, "go1.26.0", "linux"
		golden(t, "markdown-"+l.String(), []byte(renderMarkdown(t, d)))
		checkMarkdown(t, d)
	}
}

// Every capture of the project, in both languages, and whatever it is that the
// terminal shows is in the Markdown report too.
func TestMarkdownOfFixtures(t *testing.T) {
	eachFixture(t, func(t *testing.T, r *analyze.Result) {
		for _, l := range messages.Languages {
			d := Build(r, Options{File: "case.pcapng", Version: "v1", Language: l})
			text := checkMarkdown(t, d).Text
			squeezed := strings.Join(strings.Fields(text), "")
			for _, s := range sentencesOf(&Document{Verdict: d.Verdict}) {
				if want := strings.Join(strings.Fields(strings.ReplaceAll(s, "`", "")), ""); !strings.Contains(squeezed, want) {
					t.Errorf("%s: %q is missing", l, s)
				}
			}
			for _, e := range d.Verdict.Evidence {
				if e.Filter != "" && !strings.Contains(text, e.Filter) {
					t.Errorf("%s: the filter %q is missing", l, e.Filter)
				}
			}
			if !strings.Contains(text, d.Verdict.Class) {
				t.Errorf("%s: no class", l)
			}
		}
	})
}

// The report says what it leaves out, and is never longer than it may be.
func TestMarkdownIsBounded(t *testing.T) {
	long := strings.Repeat("包裹 <b> `x` ", 400)
	for _, n := range []int{0, 1, 20, 500} {
		d := deathDocument(t, long, 60)
		for i := range n {
			frames := make([]int64, i%200)
			for k := range frames {
				frames[k] = int64(3 * k)
			}
			d.Verdict.Evidence = append(d.Verdict.Evidence, Evidence{ID: "e", Text: long, Frames: frames, Filter: FrameFilter(frames)})
			d.Verdict.NextSteps = append(d.Verdict.NextSteps, long)
			d.Verdict.Notes = append(d.Verdict.Notes, long)
			d.Capture.Notes = append(d.Capture.Notes, long)
			d.Lookups = append(d.Lookups, Lookup{Lookup: analyze.Lookup{Name: long, Type: "A"}, Verdict: Verdict{Class: long, Summary: long, Died: true}})
			d.Processes = append(d.Processes, Process{ParentName: long, Verdict: Verdict{Summary: long}})
			d.Attempts = append(d.Attempts, Attempt{Target: long, Verdict: Verdict{Died: true, Summary: long}})
			d.Unanswered = append(d.Unanswered, analyze.Unanswered{Server: long})
		}
		p := checkMarkdown(t, d)
		if left := strings.Contains(p.Text, "left out to keep this short"); left != (n >= 20) {
			t.Errorf("%d of each: a statement on what is left out: %v", n, left)
		}
	}
}

// dealer deals texts out of fuzzed bytes.
type dealer struct{ rest []byte }

func (d *dealer) number(n int) int {
	if len(d.rest) == 0 {
		return 0
	}
	v := int(d.rest[0])
	d.rest = d.rest[1:]
	return v % n
}

func (d *dealer) text() string {
	if len(d.rest) < 2 {
		return "x"
	}
	n := int(binary.LittleEndian.Uint16(d.rest)) % 3000
	d.rest = d.rest[2:]
	n = min(n, len(d.rest))
	s := string(d.rest[:n])
	d.rest = d.rest[n:]
	return s
}

func (d *dealer) texts() (out []string) {
	for range d.number(30) {
		out = append(out, d.text())
	}
	return out
}

func (d *dealer) verdict() Verdict {
	v := Verdict{
		Class: d.text(), Stage: d.text(), Place: d.texts(), Level: d.text(), Summary: d.text(), Notes: d.texts(),
		RefutedBy: d.texts(), NextSteps: d.texts(), NotAssessed: d.texts(), Died: d.number(2) == 1,
	}
	for range d.number(12) {
		v.Evidence = append(v.Evidence, Evidence{ID: d.text(), Text: d.text(), Frames: []int64{1, int64(2 + d.number(200))}, Filter: d.text()})
	}
	return v
}

func FuzzMarkdown(f *testing.F) {
	f.Add([]byte(hostile), false, "goproxy.cn")
	f.Add(bytes.Repeat([]byte("\x05\x00</details>\n\n# x\n"), 50), true, hostile)
	f.Add(bytes.Repeat([]byte("\x08\x00@a #1 `|"), 200), false, "a|b`c")
	f.Add(bytes.Repeat([]byte("\xb8\x0b"+strings.Repeat("| `` www.x.example [a](b) ", 120)), 12), true, "<img src=x>")
	f.Fuzz(func(t *testing.T, raw []byte, chinese bool, server string) {
		x := &dealer{raw}
		r := fakeResult(x.number(30), server)
		defer r.Connections.Close()
		o := Options{File: x.text(), Version: x.text(), Platform: diagnose.Platform(x.text())}
		if chinese {
			o.Language = messages.Chinese
		}
		d := Build(r, o)
		d.Verdict, d.GoVersion = x.verdict(), x.text()
		d.Capture.Notes, d.Capture.Format = x.texts(), x.text()
		d.Capture.Damage = &Damage{Reason: x.text()}
		for range x.number(14) {
			d.Capture.Health = append(d.Capture.Health, Health{ID: x.text(), Text: x.text()})
			d.Capture.Unread = append(d.Capture.Unread, Unread{Name: x.text()})
			d.Processes = append(d.Processes, Process{ParentName: x.text(), Verdict: x.verdict()})
			d.Lookups = append(d.Lookups, Lookup{Lookup: analyze.Lookup{Name: x.text(), Type: x.text()}, Verdict: x.verdict()})
			d.Attempts = append(d.Attempts, Attempt{Target: x.text(), Verdict: x.verdict()})
			d.Unanswered = append(d.Unanswered, analyze.Unanswered{Server: x.text()})
		}
		checkMarkdown(t, d)
	})
}
