package report

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/internal/terminal"
	"goproxytrace/report/messages"
)

// docs/verdicts.md and docs/verdicts.zh.md are what the program writes.
func TestVerdictsDocument(t *testing.T) {
	for l, name := range map[messages.Language]string{messages.English: "verdicts.md", messages.Chinese: "verdicts.zh.md"} {
		t.Run(name, func(t *testing.T) { checkDocument(t, l, filepath.Join("..", "docs", name)) })
	}
}

func checkDocument(t *testing.T, l messages.Language, path string) {
	var b bytes.Buffer
	if err := WriteVerdictsMarkdown(&b, l); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	have = bytes.ReplaceAll(have, []byte("\r\n"), []byte("\n"))
	if diff := cmp.Diff(strings.Split(string(have), "\n"), strings.Split(b.String(), "\n")); diff != "" {
		t.Errorf("%s is out of date (go test ./report -update rewrites it, -have +want):\n%s", path, diff)
	}
}

// Each link of the document leads to a heading, and each class has one.
func TestVerdictsDocumentLinks(t *testing.T) {
	for _, l := range messages.Languages {
		t.Run(l.String(), func(t *testing.T) { checkLinks(t, l) })
	}
}

func checkLinks(t *testing.T, l messages.Language) {
	var b bytes.Buffer
	if err := WriteVerdictsMarkdown(&b, l); err != nil {
		t.Fatal(err)
	}
	anchors := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(b.String(), -1) {
		// GitHub's rule: lower case, no punctuation but hyphens, spaces to hyphens.
		a := regexp.MustCompile(`[^\p{L}\p{N} -]`).ReplaceAllString(strings.ToLower(m[1]), "")
		anchors[strings.ReplaceAll(a, " ", "-")]++
	}
	links := regexp.MustCompile(`\]\(#([^)]*)\)`).FindAllStringSubmatch(b.String(), -1)
	if len(links) < len(diagnose.ClassOrder) {
		t.Fatalf("only %d links", len(links))
	}
	for _, l := range links {
		if anchors[l[1]] != 1 {
			t.Errorf("link to #%s: %d headings", l[1], anchors[l[1]])
		}
	}
	for _, topic := range Topics(messages.English) {
		if !strings.Contains(b.String(), "\n### "+topic.ID+"\n") {
			t.Errorf("%s has no section", topic.ID)
		}
	}
}

// Every part of a class's description is in its explanation, in both forms.
func TestExplanationsAreWhole(t *testing.T) {
	for _, l := range messages.Languages {
		t.Run(l.String(), func(t *testing.T) { checkWhole(t, l) })
	}
}

func checkWhole(t *testing.T, l messages.Language) {
	for _, topic := range Topics(l) {
		var text, md bytes.Buffer
		o := terminal.Output{Columns: 400}
		if err := WriteExplanations(&text, []Topic{topic}, o); err != nil {
			t.Fatal(err)
		}
		if err := WriteTopicsMarkdown(&md, []Topic{topic}); err != nil {
			t.Fatal(err)
		}
		// Lines end at spaces and, in Chinese, anywhere.
		squeeze := func(s string) string { return strings.Join(strings.Fields(s), "") }
		flat, flatText := squeeze(md.String()), squeeze(text.String())
		want := func(s string) {
			t.Helper()
			if !strings.Contains(flatText, squeeze(s)) {
				t.Errorf("the text on %s lacks %q", topic.ID, s)
			}
			if !strings.Contains(flat, squeeze(escapeMarkdown(s))) {
				t.Errorf("the Markdown on %s lacks %q", topic.ID, s)
			}
		}
		if topic.Title == "" || topic.Title == topic.ID {
			t.Errorf("%s has no title", topic.ID)
		}
		if topic.class == "" {
			want(topic.note.Seen)
			want(topic.note.Means)
			continue
		}
		d, info := diagnose.Descriptions[topic.class], diagnose.Classes[topic.class]
		x, _ := l.Explain(topic.class)
		want(x.Seen)
		for _, a := range x.Alikes {
			want(a.Told)
		}
		for _, r := range d.Reach {
			want(l.When(r.When))
		}
		for _, id := range d.Evidence {
			want(l.Pattern(id))
		}
		for _, id := range d.Thresholds {
			i := slices.IndexFunc(diagnose.Thresholds, func(h diagnose.Threshold) bool { return h.Value.Name == id })
			value, reason := l.Threshold(&diagnose.Thresholds[i])
			want(id + " = " + value)
			want(reason)
			want(diagnose.Thresholds[i].Source)
		}
		for _, s := range l.Steps(info.NextSteps, diagnose.AnyPlatform) {
			want(s)
		}
		for _, id := range info.RefutedBy {
			want(l.Text(id))
		}
		for _, id := range diagnose.RowsOf(topic.class) {
			want(l.RowName(id))
		}
	}
}

// No line is wider than the terminal, but for words that must stay whole.
func TestExplanationWidth(t *testing.T) {
	for _, columns := range []int{40, 80, 200, -40, -80, -200} {
		l := messages.English
		if columns < 0 {
			l, columns = messages.Chinese, -columns
		}
		var b bytes.Buffer
		if err := WriteExplanations(&b, Topics(l), terminal.Output{Columns: columns}); err != nil {
			t.Fatal(err)
		}
		if err := WriteTopics(&b, Topics(l), terminal.Output{Columns: columns}); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if line = strings.TrimRight(line, "\n"); terminal.Width(line) > columns && len(strings.Fields(line)) > 2 {
				t.Errorf("%d columns: %q", columns, line)
			}
		}
	}
}

func TestFindTopics(t *testing.T) {
	for name, want := range map[string]int{
		"tls.reset": 1, "ok": 1, "fallback": 1, "K1.dropped": 1, "K1.": 2, "K1.*": 2, "proxy.": 2, "proxy.*": 2, "http.": 2,
	} {
		got, err := FindTopics(name, messages.English)
		if err != nil || len(got) != want {
			t.Errorf("%q: %d topics, %v; want %d", name, len(got), err, want)
		}
	}
	for name, near := range map[string]string{
		"tls.rest": "tls.reset", "TLS.RESET": "tls.reset", "dns.nxdomian": "dns.nxdomain", "tls": "tls.", "dns": "dns.", "k4": "K4.",
		"no-answer": "dns.no-answer", "certificate": "tls.certificate-rejected", "tls.rest.*": "tls.reset", "gateway": "link.gateway-silent",
	} {
		_, err := FindTopics(name, messages.English)
		var unknown *UnknownTopicError
		if !errors.As(err, &unknown) || len(unknown.Near) == 0 || unknown.Near[0] != near || len(unknown.Near) > 3 {
			t.Errorf("%q: %v, near %v; want %s first", name, err, unknown, near)
		}
	}
	for _, name := range []string{"", ".", "*", ".*", "zzzzzz", strings.Repeat("tls.", 1000), "\x1b[31m"} {
		_, err := FindTopics(name, messages.English)
		var unknown *UnknownTopicError
		if !errors.As(err, &unknown) || len(unknown.Near) > 0 {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"reset", "reset", 0}, {"rest", "reset", 1}, {"kitten", "sitting", 3}, {"ab", "ba", 2}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
