package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	write = flag.String("write", "", "play every scenario and leave captures and truth in this directory")
	only  = flag.String("scenario", "", "comma-separated scenarios to play; default: the quick ones, or all with -write")
)

// parallel bounds the scenarios at work; most of their time is waiting.
const parallel = 8

// quick are those that end within a few seconds.
var quick = []string{"healthy-h2", "healthy-http1", "reset-body", "connect-refused", "icmp-prohibited", "hello-reset",
	"hello-closed", "hello-alert", "plain-http", "dns-nxdomain", "stalled-download", "hello-dropped", "large-dropped"}

func TestScenarios(t *testing.T) {
	needLab(t)
	dir := *write
	if dir == "" {
		dir = t.TempDir()
	}
	var chosen []Scenario
	for _, s := range Catalogue() {
		switch {
		case *only != "":
			if !slices.Contains(strings.Split(*only, ","), s.Name) {
				continue
			}
		case *write == "" && !slices.Contains(quick, s.Name):
			continue
		}
		chosen = append(chosen, s)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	// Interrupted, the lab still removes what it made.
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	slots := make(chan struct{}, parallel)
	type outcome struct {
		r   *Result
		err error
	}
	outcomes := make([]chan outcome, len(chosen))
	for i, s := range chosen {
		outcomes[i] = make(chan outcome, 1)
		go func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			r, err := Run(ctx, s, dir)
			outcomes[i] <- outcome{r, err}
		}()
	}
	for i, s := range chosen {
		o := <-outcomes[i]
		t.Run(s.Name, func(t *testing.T) {
			if o.err != nil {
				t.Fatal(o.err)
			}
			checkResult(t, s, o.r)
			if *write != "" {
				kept := *o.r
				kept.Capture = filepath.Base(kept.Capture)
				b, err := json.MarshalIndent(kept, "", " ")
				if err == nil {
					err = os.WriteFile(filepath.Join(dir, s.Name+".truth.json"), append(b, '\n'), 0o644)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	checkNothingLeft(t)
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

// checkNothingLeft looks for this process's namespaces and for processes that
// still run in one.
func checkNothingLeft(t *testing.T) {
	t.Helper()
	for _, dir := range []string{"/run/netns", "/etc/netns"} {
		if left, _ := filepath.Glob(filepath.Join(dir, namespacePrefix()+"*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
	tasks, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, f := range tasks {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // ended meanwhile
		}
		// Fields after the name in parentheses: state, parent.
		fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(os.Getpid()) {
			t.Errorf("a child still runs: %s", b)
		}
	}
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
	// The hook is where the scenario is at its busiest: go and dumpcap run.
	s.Hello = func(ctx context.Context, c *net.TCPConn, hello []byte) bool {
		cancel()
		return Silent(ctx, c, hello)
	}
	begin := time.Now()
	if _, err := Run(ctx, s, t.TempDir()); !errors.Is(err, context.Canceled) {
		t.Errorf("Run returned %v", err)
	}
	if d := time.Since(begin); d > 8*time.Second {
		t.Errorf("it took %v to stop", d)
	}
	checkNothingLeft(t)
}

func TestBrokenScenarioRemovesEverything(t *testing.T) {
	needLab(t)
	s := Scenario{Name: "broken", Forward: []string{"this is no statement"}}
	if _, err := Run(t.Context(), s, t.TempDir()); err == nil || !strings.Contains(err.Error(), "scenario broken: ") {
		t.Errorf("Run returned %v", err)
	}
	checkNothingLeft(t)
}

// said is what the go command must have printed where the scenario worked: the
// fault took place, and no other.
var said = map[string]string{
	"stalled-download": "TLS handshake timeout",
	"hello-dropped":    "TLS handshake timeout",
	"large-dropped":    "TLS handshake timeout",
	"reset-body":       "connection reset by peer",
	"syn-drop":         "i/o timeout",
	"connect-refused":  "connection refused",
	"icmp-prohibited":  "no route to host",
	"hello-reset":      "connection reset by peer",
	"hello-closed":     "EOF",
	"hello-alert":      "handshake failure",
	"plain-http":       "server gave HTTP response to HTTPS client",
	"dns-silent":       "i/o timeout",
	"dns-nxdomain":     "no such host",
}

func checkResult(t *testing.T, s Scenario, r *Result) {
	t.Helper()
	if want := said[s.Name]; !strings.Contains(r.Output, want) {
		t.Errorf("go said %q, want %q in it", r.Output, want)
	}
	b, err := os.ReadFile(r.Capture)
	if err != nil {
		t.Fatal(err)
	}
	packets, statistics := countBlocks(t, b)
	if packets < 2 || statistics == 0 {
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

func TestCatalogue(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range Catalogue() {
		if seen[s.Name] || s.Name == "" || s.About == "" || s.Truth.Class == "" {
			t.Errorf("scenario %q is double or lacks a part", s.Name)
		}
		seen[s.Name] = true
		if s.Truth.Culprit != "" && !slices.Contains(s.Truth.Widest, s.Truth.Culprit) {
			t.Errorf("%s: culprit %s is not within %v", s.Name, s.Truth.Culprit, s.Truth.Widest)
		}
		if (s.Truth.Class == "ok") != (s.Truth.Culprit == "") || s.Fails && s.Hangs {
			t.Errorf("%s: truth and outcome do not agree", s.Name)
		}
		if s.Fails != (said[s.Name] != "") {
			t.Errorf("%s: the test knows no words of go's for it, or too many", s.Name)
		}
	}
	for _, name := range quick {
		if !seen[name] {
			t.Errorf("quick scenario %q is not in the catalogue", name)
		}
	}
}

func TestFilesOfAProxy(t *testing.T) {
	tree, err := files([]Module{{"example.org/gamma/v2", 22000}})
	if err != nil {
		t.Fatal(err)
	}
	for _, ext := range []string{".info", ".mod", ".zip"} {
		if len(tree["/example.org/gamma/v2/@v/v2.1.0"+ext]) == 0 {
			t.Errorf("no %s file", ext)
		}
	}
	if n := len(tree["/example.org/gamma/v2/@v/v2.1.0.zip"]); n < 22000 || n > 24000 {
		t.Errorf("zip of %d bytes, want about 22000", n)
	}
}
