//go:build linux

package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"goproxytrace/analyze"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/internal/terminal"
	"goproxytrace/report"
)

var (
	all      = flag.Bool("all", false, "play every scenario, not the quick ones only")
	only     = flag.String("scenario", "", "play the scenarios whose names match this regular expression")
	seed     = flag.Uint64("seed", 0, "seed of what is left to chance; other than zero it also varies the scenarios (Vary) and makes up some (Stress)")
	write    = flag.String("write", "", "leave captures and truth in this directory")
	again    = flag.String("judge", "", "judge once more the captures that -write left in this directory")
	parallel = flag.Int("at-once", 6, "how many scenarios run at a time; most of their time is waiting")
)

// chosen are the scenarios that the flags ask for.
func chosen(t *testing.T) (out []Scenario) {
	t.Helper()
	match, err := regexp.Compile("^(?:" + *only + ")$")
	if err != nil {
		t.Fatalf("-scenario: %v", err)
	}
	for _, s := range append(Catalogue(), Stress(*seed)...) {
		if *only != "" && match.MatchString(s.Name) || *only == "" && (*all || s.Quick) {
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		t.Fatalf("no scenario matches %q", *only)
	}
	return out
}

// TestScenarios plays scenarios and judges the analysis of their captures.
func TestScenarios(t *testing.T) {
	needLab(t)
	if err := RemoveStale(t.Context()); err != nil {
		t.Errorf("what an earlier run left behind: %v", err)
	}
	dir := *write
	if dir == "" {
		dir = t.TempDir()
	}
	// Interrupted, the lab still removes what it made.
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt)
	defer stop()
	list := chosen(t)
	// Those that take longest begin first.
	order := slices.Clone(list)
	slices.SortStableFunc(order, func(a, b Scenario) int {
		rank := func(s Scenario) int {
			if s.Quick {
				return 1
			}
			return 0
		}
		return rank(a) - rank(b)
	})
	type outcome struct {
		r   *Result
		err error
	}
	outcomes := map[string]chan outcome{}
	work := make(chan Scenario)
	for _, s := range order {
		outcomes[s.Name] = make(chan outcome, 1)
	}
	for range *parallel {
		go func() {
			for s := range work {
				r, err := Run(ctx, s, dir, *seed)
				outcomes[s.Name] <- outcome{r, err}
			}
		}()
	}
	go func() {
		defer close(work)
		for _, s := range order {
			work <- s
		}
	}()
	tally, twice := map[Score]int{}, 0
	for _, s := range list {
		o := <-outcomes[s.Name]
		t.Run(s.Name, func(t *testing.T) {
			if o.err != nil {
				t.Fatal(o.err)
			}
			if sayUnstaged(t, o.r) {
				twice++
			}
			if *write != "" {
				writeTruth(t, dir, o.r)
			}
			checkCapture(t, o.r)
			tally[judge(t, o.r)]++
		})
	}
	t.Logf("%d scenarios, seed %d: %v; %d played twice", len(list), *seed, tally, twice)
	if twice > 2+len(list)/20 {
		t.Errorf("%d of %d scenarios had to be played twice: that is no chance", twice, len(list))
	}
	checkNothingLeft(t)
}

// sayUnstaged logs why a scenario was played twice, and reports whether it was.
func sayUnstaged(t *testing.T, r *Result) bool {
	if r.Unstaged == "" {
		return false
	}
	t.Logf("%s was played twice; the first time %s", r.Scenario, r.Unstaged)
	return true
}

// judge scores what the analysis says of a capture where it knows the hosts of
// GOPROXY and GOSUMDB, and where it does not; it returns the worse.
func judge(t *testing.T, r *Result) Score {
	t.Helper()
	told, untold := judgeWith(t, r, r.Targets), judgeWith(t, r, nil)
	if told != Right {
		return told
	}
	return untold
}

// judgeWith analyses a capture and prints the report where the verdict is
// wrong.
func judgeWith(t *testing.T, r *Result, targets []string) Score {
	t.Helper()
	src, err := pcapfile.Open(r.Capture)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	result, err := analyze.Run(t.Context(), src, analyze.Options{Targets: targets})
	if err != nil {
		t.Fatal(err)
	}
	defer result.Connections.Close()
	v := &result.Verdict
	places := make([]string, len(v.Place))
	for i, p := range v.Place {
		places[i] = string(p)
	}
	score := r.Truth.Score(string(v.Class), places)
	if score != Right {
		var text bytes.Buffer
		if err := report.WriteText(&text, report.Build(result, report.Options{File: filepath.Base(r.Capture)}), terminal.Output{Columns: terminal.PipeColumns}); err != nil {
			t.Error(err)
		}
		t.Errorf("targets %q: %s: %s at %v (%s); want %v, by %v, within %v (drawn: %s)\n%s\ngo printed:\n%s", targets, score, v.Class, places, v.Level,
			r.Truth.Classes, r.Truth.Culprits, r.Truth.Widest, r.Drawn, indent(text.String()), indent(r.Output))
	}
	return score
}

func indent(s string) string {
	return "    " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n    ")
}

// writeTruth leaves beside a capture what really happened.
func writeTruth(t *testing.T, dir string, r *Result) {
	t.Helper()
	kept := *r
	kept.Capture = filepath.Base(kept.Capture)
	b, err := json.MarshalIndent(kept, "", " ")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, r.Scenario+".truth.json"), append(b, '\n'), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// checkCapture looks for what every capture of the lab has.
func checkCapture(t *testing.T, r *Result) {
	t.Helper()
	b, err := os.ReadFile(r.Capture)
	if err != nil {
		t.Fatal(err)
	}
	packets, statistics := countBlocks(t, b)
	quiet := slices.Contains(r.Truth.Classes, "no-traffic") || slices.Contains(r.Truth.Classes, "capture.unusable")
	if packets < 2 && !quiet || statistics == 0 {
		t.Errorf("%d packets and %d statistics blocks in the capture", packets, statistics)
	}
}

// countBlocks walks a little-endian pcapng file.
func countBlocks(t *testing.T, b []byte) (packets, statistics int) {
	t.Helper()
	for len(b) >= 12 {
		n := int(b[4]) | int(b[5])<<8 | int(b[6])<<16 | int(b[7])<<24
		if n < 12 || n > len(b) {
			t.Fatalf("block of %d bytes with %d left", n, len(b))
		}
		switch b[0] {
		case 6:
			packets++
		case 5:
			statistics++
		}
		b = b[n:]
	}
	return packets, statistics
}

// TestJudge judges captures that -write left behind.
func TestJudge(t *testing.T) {
	if *again == "" {
		t.Skip("-judge names no directory")
	}
	list, err := filepath.Glob(filepath.Join(*again, "*.truth.json"))
	if err != nil || len(list) == 0 {
		t.Fatalf("no captures in %s (error %v)", *again, err)
	}
	tally := map[Score]int{}
	for _, path := range list {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".truth.json"), func(t *testing.T) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			r := new(Result)
			if err := json.Unmarshal(b, r); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			r.Capture = filepath.Join(filepath.Dir(path), r.Capture)
			tally[judge(t, r)]++
		})
	}
	t.Logf("%d captures: %v", len(list), tally)
}

func needLab(t *testing.T) {
	t.Helper()
	missing := Missing()
	switch {
	case len(missing) == 0:
	case os.Getenv("GOPROXYTRACE_CI") == "1":
		t.Fatalf("the fault lab needs %s", strings.Join(missing, ", "))
	default:
		t.Skipf("the fault lab needs %s", strings.Join(missing, ", "))
	}
}

func TestCatalogue(t *testing.T) {
	places := []string{"host", "client", "network", "remote"}
	seen, classes := map[string]bool{}, map[string]bool{}
	for _, s := range Catalogue() {
		if seen[s.Name] || !regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`).MatchString(s.Name) || s.About == "" || len(s.Truth.Classes) == 0 {
			t.Errorf("scenario %q is double or lacks a part", s.Name)
		}
		seen[s.Name] = true
		for _, p := range s.Truth.Culprits {
			if !slices.Contains(s.Truth.Widest, p) {
				t.Errorf("%s: culprit %s is not within %v", s.Name, p, s.Truth.Widest)
			}
		}
		for _, p := range s.Truth.Widest {
			if !slices.Contains(places, p) {
				t.Errorf("%s: there is no place %q", s.Name, p)
			}
		}
		nobody := !slices.ContainsFunc(s.Truth.Classes, func(c string) bool { return !slices.Contains([]string{"ok", "no-traffic", "capture.unusable"}, c) })
		if nobody != (len(s.Truth.Widest) == 0) {
			t.Errorf("%s: %v dies within %v", s.Name, s.Truth.Classes, s.Truth.Widest)
		}
		if nobody && slices.Contains(s.Truth.Classes, "ok") != (s.End == Succeeds) && !slices.Contains(s.Truth.Classes, "capture.unusable") || !nobody && s.End == Succeeds {
			t.Errorf("%s: truth %v and end %d do not agree", s.Name, s.Truth.Classes, s.End)
		}
		if s.End == Hangs && s.Limit == 0 {
			t.Errorf("%s: hangs without a limit", s.Name)
		}
		if s.Quick && s.Limit > 25*time.Second {
			t.Errorf("%s is not quick: its limit is %v", s.Name, s.Limit)
		}
		for _, c := range s.Truth.Classes {
			classes[c] = true
		}
	}
	if len(seen) < 60 {
		t.Errorf("%d scenarios", len(seen))
	}
	for _, c := range knownClasses(t) {
		if !classes[c] {
			t.Errorf("no scenario for class %s", c)
		}
	}
}

// knownClasses are those of the program.
func knownClasses(t *testing.T) (out []string) {
	t.Helper()
	f, err := os.ReadFile(filepath.Join("..", "..", "analyze", "diagnose", "verdict.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\t\w+ +Class = "([a-z.-]+)"`).FindAllStringSubmatch(string(f), -1) {
		out = append(out, m[1])
	}
	if len(out) < 30 {
		t.Fatalf("%d classes found", len(out))
	}
	return out
}

func TestRunReportsWhatDidNotHappen(t *testing.T) {
	s := Scenario{Name: "x", End: Fails, Says: "EOF|reset by peer"}
	for _, c := range []struct {
		r    Result
		want string
	}{
		{Result{Exit: 1, Output: "unexpected EOF"}, ""},
		{Result{Exit: 1, Output: "connection reset by peer"}, ""},
		{Result{Exit: 1, Output: "connection refused"}, `want "EOF|reset by peer" in it`},
		{Result{Exit: 0}, "want to fail"},
		{Result{Hung: true, Exit: -1}, "want to fail"},
	} {
		got := fmt.Sprint(s.ended(&c.r))
		if c.want == "" && got != "<nil>" || !strings.Contains(got, c.want) {
			t.Errorf("%+v: %s, want %q", c.r, got, c.want)
		}
	}
}

// TestUnstagedIsRepeated: what did not take place is tried once more, and only
// once.
func TestUnstagedIsRepeated(t *testing.T) {
	needLab(t)
	for works, want := range map[int]string{1: "", 2: "refused", 3: "refused"} {
		tries := 0
		r, err := Run(t.Context(), Scenario{Name: "unstaged", Program: func(context.Context, *Lab) error {
			if tries++; tries < works {
				return errors.New("connection refused")
			}
			return nil
		}}, t.TempDir(), 0)
		switch {
		case tries != min(works, 2):
			t.Errorf("works at try %d: %d tries", works, tries)
		case works < 3 && (err != nil || !strings.Contains(r.Unstaged, want) || want == "" && r.Unstaged != ""):
			t.Errorf("works at try %d: %+v, %v", works, r, err)
		case works == 3 && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("works at try 3: %v", err)
		}
	}
	checkNothingLeft(t)
}

func TestCancelRemovesEverything(t *testing.T) {
	needLab(t)
	var s Scenario
	for _, c := range Catalogue() {
		if c.Name == "stalled-download" {
			s = c
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	// The middlebox's deed is where the scenario is at its busiest: go and
	// dumpcap run.
	var cancelled atomic.Pointer[time.Time]
	s.Path.Box = append(s.Path.Box, Do(Hello, func(*Lab) {
		now := time.Now()
		cancelled.CompareAndSwap(nil, &now)
		cancel()
	}))
	if _, err := Run(ctx, s, t.TempDir(), 1); !errors.Is(err, context.Canceled) {
		t.Errorf("Run returned %v", err)
	}
	at := cancelled.Load()
	if at == nil {
		t.Fatal("it was never cancelled")
	}
	if d := time.Since(*at); d > 10*time.Second {
		t.Errorf("it took %v to stop", d)
	}
	checkNothingLeft(t)
}

func TestBrokenScenarioRemovesEverything(t *testing.T) {
	needLab(t)
	s := Scenario{Name: "broken", Path: Path{Forward: []string{"this is no statement"}}}
	if _, err := Run(t.Context(), s, t.TempDir(), 1); err == nil || !strings.Contains(err.Error(), "scenario broken: ") {
		t.Errorf("Run returned %v", err)
	}
	checkNothingLeft(t)
}
