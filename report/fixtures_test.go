package report

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/olekukonko/tablewriter/pkg/twwidth"

	"goproxytrace/analyze"
	"goproxytrace/analyze/goproxy"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/internal/terminal"
	"goproxytrace/report/messages"
)

// eachFixture calls f with the result of each capture of the project, with and
// without the go command's own output where there is some.
func eachFixture(t *testing.T, f func(t *testing.T, r *analyze.Result)) {
	t.Helper()
	var files []string
	for _, dir := range []string{"pcaps", "cases"} {
		list, err := filepath.Glob(filepath.Join("..", "testdata", dir, "*.pcapng"))
		if err != nil || len(list) == 0 {
			t.Fatalf("no captures in testdata/%s: %v", dir, err)
		}
		files = append(files, list...)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".pcapng")
		t.Run(name, func(t *testing.T) { analyseFixture(t, file, "", f) })
		words := strings.TrimSuffix(file, ".pcapng") + ".go-output.txt"
		if _, err := os.Stat(words); err == nil {
			t.Run(name+" with go's output", func(t *testing.T) { analyseFixture(t, file, words, f) })
		}
	}
}

func analyseFixture(t *testing.T, file, words string, f func(*testing.T, *analyze.Result)) {
	t.Helper()
	o := analyze.Options{SettingsFrom: goproxy.FromEnvironment, Settings: goproxy.Settings{GOPROXY: "https://proxy.example,direct", GOSUMDB: "off"}}
	o.Targets = o.Settings.Hosts()
	if words != "" {
		in, err := os.Open(words)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		if o.GoOutput, err = goproxy.ReadOutput(in); err != nil {
			t.Fatal(err)
		}
	}
	src, err := pcapfile.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	r, err := analyze.Run(context.Background(), src, o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Connections.Close()
	f(t, r)
}

// A report in Chinese is in Chinese: no sentence of the English one is left in
// it, no line is wider than the terminal but for what must stay whole, and none
// begins with punctuation that closes.
func TestChineseReports(t *testing.T) {
	twwidth.SetEastAsian(false) // whatever the terminal that tests run in
	eachFixture(t, func(t *testing.T, r *analyze.Result) {
		en, zh := Build(r, Options{File: "case.pcapng"}), Build(r, Options{File: "case.pcapng", Language: messages.Chinese})
		for _, columns := range []int{40, 80, 120} {
			text := string(render(t, zh, terminal.Output{Columns: columns}))
			if text == "" {
				t.Fatal("no report")
			}
			for line := range strings.Lines(text) {
				line = strings.TrimRight(line, "\n")
				body := strings.TrimLeft(line, " -")
				if strings.HasPrefix(body, "frame.number in {") || body == "" {
					continue
				}
				if n := terminal.Width(line); n > columns && strings.Contains(body, " ") && !strings.Contains(line, "  ") {
					t.Errorf("%d columns: line of %d: %q", columns, n, line)
				}
				if first := []rune(body)[0]; strings.ContainsRune("，。、；：！？）」』】》”", first) {
					t.Errorf("%d columns: a line begins with %c: %q", columns, first, line)
				}
			}
		}
		english := sentencesOf(en)
		for _, s := range sentencesOf(zh) {
			if slices.Contains(english, s) {
				t.Errorf("the same in both languages: %q", s)
			}
		}
		if len(english) != len(sentencesOf(zh)) {
			t.Errorf("%d sentences in English, %d in Chinese", len(english), len(sentencesOf(zh)))
		}
	})
}

// sentencesOf lists what a document's verdicts and facts say.
func sentencesOf(d *Document) (out []string) {
	add := func(v *Verdict) {
		out = append(out, v.Summary)
		for _, e := range v.Evidence {
			out = append(out, e.Text)
		}
		out = slices.Concat(out, v.RefutedBy, v.NextSteps, v.NotAssessed)
	}
	add(&d.Verdict)
	for i := range d.Processes {
		add(&d.Processes[i].Verdict)
	}
	for i := range d.Lookups {
		add(&d.Lookups[i].Verdict)
	}
	for _, h := range d.Capture.Health {
		out = append(out, h.Text)
	}
	return append(out, d.Capture.Notes...)
}
