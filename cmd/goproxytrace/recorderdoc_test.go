package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// docBlock returns the one block of a language in docs/recorder.md.
func docBlock(t *testing.T, language string) string {
	t.Helper()
	b, err := os.ReadFile("../../docs/recorder.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```"+language+"\n(.*?)```\n").FindAllStringSubmatch(strings.ReplaceAll(string(b), "\r\n", "\n"), -1)
	if len(found) != 1 {
		t.Fatalf("%d blocks of %s", len(found), language)
	}
	return found[0][1]
}

// The unit in the documentation is one that systemd takes.
func TestRecorderUnit(t *testing.T) {
	unit := docBlock(t, "systemd")
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		if os.Getenv("GOPROXYTRACE_CI") == "1" {
			t.Fatal("GOPROXYTRACE_CI=1 asks for this test, which needs systemd-analyze")
		}
		t.Skip("needs systemd-analyze")
	}
	verify := func(unit string) (string, error) {
		file := filepath.Join(t.TempDir(), "goproxytrace-recorder.service")
		// It looks whether the program is there.
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(unit, "/usr/local/bin/goproxytrace", "/bin/sh")), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(tool, "verify", "--man=no", file).CombinedOutput()
		return string(out), err
	}
	if out, err := verify(unit); err != nil || strings.Contains(out, "goproxytrace-recorder.service:") {
		t.Errorf("%v: %s", err, out)
	}
	// And it does look.
	if out, _ := verify(strings.Replace(unit, "ProtectHome=yes", "ProtectHome=perhaps", 1)); !strings.Contains(out, "goproxytrace-recorder.service:") {
		t.Errorf("a wrong unit is taken: %q", out)
	}
}

// The property list in the documentation is XML, and its command line is one that
// live takes.
func TestRecorderPlist(t *testing.T) {
	d := xml.NewDecoder(strings.NewReader(docBlock(t, "xml")))
	var texts []string
	depth := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			depth++
			if depth == 1 && token.Name.Local != "plist" {
				t.Errorf("the root is %s", token.Name.Local)
			}
		case xml.EndElement:
			depth--
		case xml.CharData:
			if s := strings.TrimSpace(string(token)); s != "" {
				texts = append(texts, s)
			}
		}
	}
	checkLine(t, texts, "/usr/local/bin/goproxytrace", "RunAtLoad")
}

// The command lines of the unit and of the Windows service are ones that live
// takes, too.
func TestRecorderCommandLines(t *testing.T) {
	for _, line := range strings.Split(docBlock(t, "systemd"), "\n") {
		if rest, ok := strings.CutPrefix(line, "ExecStart="); ok {
			checkLine(t, append(strings.Fields(rest), "end"), "/usr/local/bin/goproxytrace", "end")
		}
	}
	b, err := os.ReadFile("../../docs/recorder.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`goproxytrace\.exe\\" (live [^"]+)"`).FindSubmatch(b)
	if found == nil {
		t.Fatal("no command line of a Windows service")
	}
	checkLine(t, append(append([]string{"program"}, strings.Fields(string(found[1]))...), "end"), "program", "end")
}

// checkLine takes the words between two, which are a command line.
func checkLine(t *testing.T, words []string, from, to string) {
	t.Helper()
	i, j := -1, -1
	for k, w := range words {
		if w == from {
			i = k
		}
		if w == to {
			j = k
		}
	}
	if i < 0 || j <= i+1 || words[i+1] != "live" {
		t.Fatalf("no command line in %q", words)
	}
	cmd := newLiveCommand(streams{nil, io.Discard, io.Discard})
	if err := cmd.ParseFlags(words[i+2 : j]); err != nil {
		t.Errorf("%q: %v", words[i+1:j], err)
	}
	if err := cmd.Args(cmd, cmd.Flags().Args()); err != nil {
		t.Errorf("%q: %v", words[i+1:j], err)
	}
	if v := cmd.Flag("recorder").Value.String(); v == "" {
		t.Errorf("%q has no directory", words[i+1:j])
	}
}
