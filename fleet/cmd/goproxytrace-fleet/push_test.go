package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"goproxytrace/fleet/internal/collector"
	"goproxytrace/fleet/internal/reported"
	"goproxytrace/recorder"
)

// TestPushProcess is the program itself, where argumentsVariable holds a command
// line: tests that end it start this binary so.
func TestPushProcess(t *testing.T) {
	raw := os.Getenv(argumentsVariable)
	if raw == "" {
		return // it is a test, and has nothing to show
	}
	var args []string
	if err := json.Unmarshal([]byte(raw), &args); err != nil {
		t.Fatal(err)
	}
	os.Exit(run(args, os.Stdin, os.Stdout, os.Stderr))
}

const argumentsVariable = "GOPROXYTRACE_FLEET_TEST_ARGUMENTS"

// process prepares the program with a state of its own.
func process(t *testing.T, variables []string, args ...string) *exec.Cmd {
	t.Helper()
	raw, err := json.Marshal(args)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestPushProcess$")
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "OTEL_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(append(cmd.Env, argumentsVariable+"="+string(raw), "GOPROXY=https://goproxy.cn,direct", "GOSUMDB=off"), variables...)
	return cmd
}

// call runs the program to its end.
func call(t *testing.T, variables []string, args ...string) (out, errs string, code int) {
	t.Helper()
	cmd := process(t, variables, args...)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatal(err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

func pcaps(t *testing.T) []string {
	t.Helper()
	list, err := filepath.Glob(pcap("*.pcapng"))
	if err != nil || len(list) < 40 {
		t.Fatal(len(list), "captures", err)
	}
	return list
}

func spanKeys(list []collector.Span) map[string]int {
	out := map[string]int{}
	for _, s := range list {
		out[s.TraceID().String()+"/"+s.SpanID().String()]++
	}
	return out
}

// sentBy are the spans that files make, by --dry-run.
func sentBy(t *testing.T, args ...string) map[string]int {
	t.Helper()
	out, errs, code := call(t, nil, append([]string{"push", "--dry-run", "--no-go-env"}, args...)...)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	keys := map[string]int{}
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, `{"resourceSpans"`) {
			continue
		}
		td, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		for _, rs := range td.ResourceSpans().All() {
			for _, ss := range rs.ScopeSpans().All() {
				for _, s := range ss.Spans().All() {
					keys[s.TraceID().String()+"/"+s.SpanID().String()]++
				}
			}
		}
	}
	return keys
}

// gate stands in front of a collector. It can end the program that is sending
// before it, or after the collector has taken a request.
type gate struct {
	addr string
	mu   sync.Mutex
	n    int
	// kill is called with the number of a request, from 1, once the collector
	// has taken it and before the answer goes out; and again after that.
	kill func(n int, answered bool)
}

func newGate(t *testing.T, c *collector.Collector) *gate {
	t.Helper()
	g := &gate{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g.addr = l.Addr().String()
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		defer g.mu.Unlock()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		req, err := http.NewRequest(http.MethodPost, "http://"+c.HTTP+r.URL.Path, bytes.NewReader(body))
		if err != nil {
			return
		}
		req.Header = r.Header.Clone()
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return
		}
		defer resp.Body.Close()
		answer, _ := io.ReadAll(resp.Body)
		if r.URL.Path == "/v1/traces" {
			g.n++
			g.kill(g.n, false)
		}
		w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
		w.Header().Set("Content-Length", fmt.Sprint(len(answer)))
		w.WriteHeader(resp.StatusCode)
		w.Write(answer)
		w.(http.Flusher).Flush()
		if r.URL.Path == "/v1/traces" {
			g.kill(g.n, true)
		}
	})}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return g
}

// The program is killed again and again: in the moment between the endpoint's
// answer and the record of it, before the answer, and after. All spans come; only
// those of the requests that were cut so come twice, as the same spans; and the
// counters count all once.
func TestPushKilled(t *testing.T) {
	files := pcaps(t)[:20]
	want := sentBy(t, files...)
	c := collector.New(t)
	g := newGate(t, c)
	var running *exec.Cmd
	killed, unanswered := 0, 0
	g.kill = func(n int, answered bool) {
		// Every third request ends the program, by turns before and after the
		// answer.
		if n%3 == 0 && n < 30 && answered == (n%2 == 0) {
			running.Process.Kill()
			killed++
			if !answered {
				unanswered++
			}
		}
	}
	state := filepath.Join(t.TempDir(), "state")
	args := append([]string{"push", "--no-go-env", "--state", state, "--endpoint", "http://" + g.addr}, files...)
	for try := 0; ; try++ {
		if try > 40 {
			t.Fatal("it does not come to its end")
		}
		cmd := process(t, nil, args...)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		g.mu.Lock()
		running = cmd
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		g.mu.Unlock()
		cmd.Wait()
		if cmd.ProcessState.Success() {
			break
		}
		if code := cmd.ProcessState.ExitCode(); code > 0 {
			t.Fatalf("exit code %d: %s", code, errs.String())
		}
	}
	if killed < 5 || unanswered < 2 {
		t.Fatalf("killed %d times, %d times without an answer", killed, unanswered)
	}
	got := spanKeys(c.Spans())
	for k := range want {
		if got[k] == 0 {
			t.Errorf("span %s was lost", k)
		}
	}
	for k := range got {
		if want[k] == 0 {
			t.Errorf("span %s is none", k)
		}
	}
	// Requests, by the spans in them: one more than once is one that was cut.
	requests := map[string]int{}
	for _, td := range c.Traces() {
		first := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
		requests[first.TraceID().String()+"/"+first.SpanID().String()]++
	}
	again := 0
	for _, n := range requests {
		again += n - 1
	}
	if again < unanswered || again > killed {
		t.Errorf("%d requests came again, the program was killed %d times, %d times without an answer", again, killed, unanswered)
	}
	t.Logf("killed %d times, %d times without an answer; %d of %d requests came again", killed, unanswered, again, len(requests))
	cases := int64(0)
	all := c.Metrics()
	for _, rm := range all[len(all)-1].ResourceMetrics().All() {
		for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
			if m.Name() == "goproxytrace.cases" {
				for _, d := range m.Sum().DataPoints().All() {
					cases += d.IntValue()
				}
			}
		}
	}
	if cases != int64(len(files)) {
		t.Errorf("%d cases counted, want %d", cases, len(files))
	}
}

// Counters go on where they were, from the same beginning, under the same
// instance.
func TestPushCountersGoOn(t *testing.T) {
	c := collector.New(t)
	state := filepath.Join(t.TempDir(), "state")
	type stream struct {
		instance any
		start    time.Time
		value    int64
	}
	var seen []stream
	for _, f := range pcaps(t)[:3] {
		if _, errs, code := call(t, nil, "push", "--no-go-env", "--state", state, "--endpoint", "http://"+c.HTTP, f); code != 0 {
			t.Fatal(errs)
		}
		all := c.Metrics()
		rm := all[len(all)-1].ResourceMetrics().At(0)
		s := stream{instance: rm.Resource().Attributes().AsRaw()["service.instance.id"]}
		for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
			for _, d := range m.Sum().DataPoints().All() {
				s.start = d.StartTimestamp().AsTime()
				if m.Name() == "goproxytrace.cases" {
					s.value += d.IntValue()
				}
			}
		}
		seen = append(seen, s)
	}
	for i, s := range seen {
		if s.value != int64(i+1) || s.instance != seen[0].instance || !s.start.Equal(seen[0].start) || s.instance == nil {
			t.Errorf("call %d: %+v, the first %+v", i, s, seen[0])
		}
	}
}

// messages is a program's standard error, which can be read while it runs.
type messages struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (m *messages) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.b.Write(p)
}

func (m *messages) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.b.String()
}

// The program follows a recorder while its endpoint is away, is interrupted and
// started again.
func TestPushFollow(t *testing.T) {
	c := collector.New(t)
	dir := t.TempDir()
	state := filepath.Join(t.TempDir(), "state")
	log := filepath.Join(dir, "verdicts.ndjson")
	add := func(name string, n int) {
		out, errs, code := call(t, nil, "push", "--dry-run", "--no-go-env", pcap(name+".pcapng"))
		if code != 0 {
			t.Fatal(out, errs)
		}
		line := recordedLine(t, pcap(name+".pcapng"), recorder.Line{Schema: recorder.Schema, CaseID: fmt.Sprintf("%06xaaaaaa", n), Trigger: recorder.Ended, Host: "build7"})
		f, err := os.OpenFile(log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]int{}
	until := func() {
		deadline := time.Now().Add(30 * time.Second)
		for len(spanKeys(c.Spans())) < len(want) && time.Now().Before(deadline) {
			time.Sleep(20 * time.Millisecond)
		}
		got := spanKeys(c.Spans())
		if len(got) != len(want) {
			t.Fatalf("%d spans, want %d", len(got), len(want))
		}
		for k := range want {
			if got[k] != 1 {
				t.Fatalf("%s came %d times", k, got[k])
			}
		}
	}
	expect := func(name string) {
		for k := range sentBy(t, pcap(name+".pcapng")) {
			want[k] = 1
		}
	}
	for i, names := range [][]string{{"hello-reset", "syn-drop"}, {"hello-closed", "dns-nxdomain"}} {
		cmd := process(t, nil, "push", "--follow", dir, "--no-go-env", "--state", state, "--endpoint", "http://"+c.HTTP)
		var errs messages
		cmd.Stderr = &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		add(names[0], 2*i+1)
		expect(names[0])
		until()
		c.Stop(t)
		add(names[1], 2*i+2)
		expect(names[1])
		for deadline := time.Now().Add(30 * time.Second); !strings.Contains(errs.String(), "next try in"); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("it does not tell that the endpoint is away: %s", errs.String())
			}
		}
		c.Start(t)
		until()
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		cmd.Wait()
		if cmd.ProcessState.ExitCode() != 0 || !strings.Contains(errs.String(), "answers again after") || !strings.Contains(errs.String(), "2 cases with") {
			t.Errorf("exit code %d: %s", cmd.ProcessState.ExitCode(), errs.String())
		}
	}
	for _, s := range c.Spans() {
		if host, _ := s.Resource["host.name"].(string); host == "" || host == "build7" {
			t.Fatalf("host.name %q", host)
		}
	}
}

func recordedLine(t *testing.T, file string, l recorder.Line) []byte {
	t.Helper()
	head, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	return append(append(append([]byte(`{"recorder":`), head...), ','), reported.JSON(t, file)[1:]...)
}
