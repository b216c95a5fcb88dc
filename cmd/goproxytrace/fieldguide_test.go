package main

import (
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"goproxytrace/probe"
)

// guides are the field guide in each language, with the heading of what is
// refuted.
var guides = map[string]string{"../../docs/field-guide.md": "## Refuted", "../../docs/field-guide.zh.md": "## 已被否定的说法"}

// falseCommands are in circulation and wrong, or harmful; none is advice.
var falseCommands = []string{
	"GOEXPERIMENT", "-NetworkProtectionEnabled", "GONOSUMCHECK", "DisableRealtimeMonitoring", "Get-MpThreatDetection", "ufw allow", "DONT_VERIFY_PEER",
	"telnet", "InsecureSkipVerify", "perf trace", "tcp.port == 80", "port 8080", "GOFLAGS=-insecure", "sslflags", "/sumdb/sum",
}

// neverRun are settings that the guide explains and never has anybody run.
var neverRun = []string{"GOSUMDB=off", "GOINSECURE=", "GONOSUMDB=*", "GOPRIVATE=*", "-ExclusionPath", "-ExclusionProcess", "Add-MpPreference", "curl -k", "--insecure"}

var (
	fence     = regexp.MustCompile("(?s)```[a-z]*\n(.*?)```")
	backticks = regexp.MustCompile("`([^`\n]+)`")
	own       = regexp.MustCompile(`goproxytrace [a-z][^#|;&]*`)
)

// The guide's commands of this program exist, with their flags; what is wrong
// stands under its heading alone.
func TestFieldGuide(t *testing.T) {
	sections := map[string][]string{}
	for path, heading := range guides {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(raw), "\r\n", "\n")
		advice, refuted, found := strings.Cut(text, heading+"\n")
		if !found || !strings.Contains(refuted, "GONOSUMCHECK") {
			t.Fatalf("%s has no section %q", path, heading)
		}
		for _, bad := range falseCommands {
			if strings.Contains(advice, bad) {
				t.Errorf("%s advises %q", path, bad)
			}
			if bad != "InsecureSkipVerify" && bad != "/sumdb/sum" && !strings.Contains(refuted, bad) {
				t.Errorf("%s does not refute %q", path, bad)
			}
		}
		n := 0
		for _, block := range fence.FindAllStringSubmatch(advice, -1) {
			for _, bad := range neverRun {
				if strings.Contains(block[1], bad) {
					t.Errorf("%s has %q run", path, bad)
				}
			}
			for line := range strings.Lines(block[1]) {
				if c := own.FindString(line); c != "" {
					n++
					checkCommand(t, path, c)
				}
			}
			sections[path] = append(sections[path], withoutComments(block[1]))
		}
		for _, m := range backticks.FindAllStringSubmatch(fence.ReplaceAllString(advice, ""), -1) {
			if strings.HasPrefix(m[1], "goproxytrace ") {
				checkCommand(t, path, m[1])
			}
		}
		if n < 10 {
			t.Errorf("%s: %d commands found", path, n)
		}
	}
	// Both languages have the same commands.
	var first []string
	for path, list := range sections {
		if first != nil && !slices.Equal(first, list) {
			t.Errorf("%s has other commands than its translation", path)
		}
		first = list
	}
}

func withoutComments(block string) string {
	return regexp.MustCompile(`(?m)^\s*#.*\n`).ReplaceAllString(block, "")
}

// checkCommand parses one of this program's commands without running it.
func checkCommand(t *testing.T, path, command string) {
	t.Helper()
	args := strings.Fields(command)[1:]
	root := newRootCommand(streams{strings.NewReader(""), io.Discard, io.Discard})
	cmd, rest, err := root.Find(args)
	if err != nil || cmd == root {
		t.Errorf("%s: %q: %v", path, command, err)
		return
	}
	if err := cmd.ParseFlags(rest); err != nil {
		t.Errorf("%s: %q: %v", path, command, err)
		return
	}
	// What the arguments mean is checked where it needs no file.
	if cmd.Name() == "probe" || cmd.Name() == "live" || cmd.Name() == "doctor" {
		if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
			t.Errorf("%s: %q: %v", path, command, err)
		}
	}
}

// The steps' control tests exist, too.
func TestProbeGroupsAreKnown(t *testing.T) {
	raw, err := os.ReadFile("../../docs/verdicts.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, m := range regexp.MustCompile("`goproxytrace\\s+probe\\s+--arms\\s+([a-z,-]+)\\s+HOST`").FindAllStringSubmatch(string(raw), -1) {
		n++
		for g := range strings.SplitSeq(m[1], ",") {
			if !slices.Contains(probe.Groups, probe.Group(g)) {
				t.Errorf("%s: no such group", m[0])
			}
		}
	}
	if n < 5 {
		t.Errorf("%d steps found", n)
	}
}
