package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goproxytrace/internal/terminal"
)

var update = flag.Bool("update", false, "rewrite README.md's examples and its picture")

const picture = "../../docs/report.svg"

// readmes are the README in each language.
var readmes = []string{"../../README.md", "../../README.zh.md"}

// readmeEnv is what the README says its examples ran with.
func readmeEnv() []string { return append(testEnv(), "GOPROXY=https://proxy.example", "COLUMNS=110") }

// workplace makes a directory that looks like a checkout to the examples.
func workplace(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	files, err := filepath.Glob(filepath.Join(pcaps, "*.pcapng"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures in %s: %v", pcaps, err)
	}
	words, err := filepath.Glob(filepath.Join(pcaps, "*.go-output.txt"))
	if err != nil {
		t.Fatal(err)
	}
	cases, err := filepath.Glob("../../testdata/cases/*.pcapng")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no case files: %v", err)
	}
	compared, err := filepath.Glob("../../testdata/compare/*")
	if err != nil || len(compared) == 0 {
		t.Fatalf("nothing to compare: %v", err)
	}
	for _, f := range slices.Concat(files, words, cases, compared, readmes) {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		rel, err := filepath.Rel("../..", f)
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, rel)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var (
	consoleBlock = regexp.MustCompile("(?s)```console\n(.*?)```\n")
	exampleWord  = regexp.MustCompile(`'[^']*'|[^ ]+`)
)

// runExample runs one command line and returns all it printed, with its exit
// code in a last line where that is not 0.
func runExample(t *testing.T, program, dir, line string) string {
	t.Helper()
	var args []string
	for _, w := range exampleWord.FindAllString(line, -1) {
		args = append(args, strings.Trim(w, "'"))
	}
	if len(args) == 0 || args[0] != "goproxytrace" {
		t.Fatalf("example %q does not run goproxytrace", line)
	}
	cmd := exec.Command(program, args[1:]...)
	cmd.Dir, cmd.Env = dir, readmeEnv()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(out), "\r\n", "\n")
	if exit != nil {
		text += fmt.Sprintf("(exit code %d)\n", exit.ExitCode())
	}
	return text
}

// The READMEs' examples are what the program prints.
func TestReadme(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the README shows UTF-8; on Windows a pipe gets ASCII")
	}
	for _, path := range readmes {
		t.Run(filepath.Base(path), func(t *testing.T) { checkReadme(t, path) })
	}
}

func checkReadme(t *testing.T, readme string) {
	raw, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	raw = bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n"))
	program, dir, n := program(t), workplace(t), 0
	fresh := consoleBlock.ReplaceAllStringFunc(string(raw), func(block string) string {
		n++
		line, _, _ := strings.Cut(strings.TrimPrefix(consoleBlock.FindStringSubmatch(block)[1], "$ "), "\n")
		return "```console\n$ " + line + "\n" + runExample(t, program, dir, line) + "```\n"
	})
	if n < 4 {
		t.Fatalf("%d examples found", n)
	}
	if fresh == string(raw) {
		return
	}
	if *update {
		if err := os.WriteFile(readme, []byte(fresh), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s differs from what the program prints (go test ./cmd/goproxytrace -update rewrites it, -want +got):\n%s",
		filepath.Base(readme), cmp.Diff(strings.Split(string(raw), "\n"), strings.Split(fresh, "\n")))
}

// The README's picture is the coloured report on the stalled download.
func TestPicture(t *testing.T) {
	line := "goproxytrace analyze --color=always testdata/pcaps/stalled-download.pcapng"
	text := runExample(t, program(t), workplace(t), line)
	svg := drawTerminal("$ go run ./cmd/goproxytrace analyze testdata/pcaps/stalled-download.pcapng\n" + text)
	if *update {
		if err := os.WriteFile(picture, svg, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(bytes.ReplaceAll(have, []byte("\r\n"), []byte("\n"))), string(svg)); diff != "" {
		t.Errorf("the picture is out of date (-update draws it, -have +want):\n%s", diff)
	}
}

var (
	sgr     = regexp.MustCompile("\x1b\\[([0-9]+)m")
	sgrFill = map[string]string{
		"1": `font-weight="bold"`, "2": `fill="#8b949e"`, "31": `fill="#ff7b72"`, "32": `fill="#7ee787"`, "33": `fill="#e3b341"`,
	}
)

// drawTerminal draws text with SGR sequences as an SVG picture.
func drawTerminal(text string) []byte {
	const cell, lineHeight, margin = 8.43, 19, 16
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	columns := 0
	for _, l := range lines {
		columns = max(columns, terminal.Width(l))
	}
	width, height := int(float64(columns)*cell)+2*margin, len(lines)*lineHeight+2*margin
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="Terminal report of goproxytrace">`+"\n",
		width, height, width, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" rx="8" fill="#0d1117"/>`+"\n")
	fmt.Fprintf(&b, `<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,monospace" font-size="14" fill="#e6edf3" xml:space="preserve">`+"\n")
	for i, l := range lines {
		if l == "" {
			continue
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d">`, margin, margin+(i+1)*lineHeight-5)
		open, at := "", 0
		write := func(s string) {
			if s == "" {
				return
			}
			if s = html.EscapeString(s); open != "" {
				s = "<tspan" + open + ">" + s + "</tspan>"
			}
			b.WriteString(s)
		}
		for _, m := range sgr.FindAllStringSubmatchIndex(l, -1) {
			write(l[at:m[0]])
			if attr, ok := sgrFill[l[m[2]:m[3]]]; ok {
				open += " " + attr
			} else {
				open = ""
			}
			at = m[1]
		}
		write(l[at:])
		b.WriteString("</text>\n")
	}
	b.WriteString("</g>\n</svg>\n")
	return b.Bytes()
}
