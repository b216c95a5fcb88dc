package push_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"goproxytrace/fleet/internal/collector"
	"goproxytrace/fleet/internal/reported"
	"goproxytrace/fleet/otlp"
	"goproxytrace/fleet/push"
	"goproxytrace/fleet/spans"
	"goproxytrace/redact"
)

// captures lists all captures of the project.
func captures(t testing.TB) (files []string) {
	t.Helper()
	for _, dir := range []string{"pcaps", "cases"} {
		list, err := filepath.Glob(filepath.Join("..", "..", "testdata", dir, "*.pcapng"))
		if err != nil || len(list) == 0 {
			t.Fatalf("no captures in testdata/%s: %v", dir, err)
		}
		files = append(files, list...)
	}
	return files
}

func one(name string) string {
	return filepath.Join("..", "..", "testdata", "pcaps", name+".pcapng")
}

// oracle is the JSON report of a capture, as goproxytrace analyze --json has it.
type oracle struct {
	Connections []struct {
		ID         int64     `json:"id"`
		Client     string    `json:"client"`
		Server     string    `json:"server"`
		ServerName string    `json:"server_name"`
		Start      time.Time `json:"start"`
		Duration   float64   `json:"duration_ms"`
		Process    *struct {
			PID       int64 `json:"pid"`
			GoCommand int64 `json:"go_command"`
		} `json:"process"`
		Stages map[string]float64 `json:"stages_ms"`
		TLS    *struct {
			Version string `json:"version"`
		} `json:"tls"`
		Verdict verdict `json:"verdict"`
	} `json:"connections"`
	Lookups   []struct{ Verdict verdict } `json:"lookups"`
	Attempts  []struct{ Verdict verdict } `json:"attempts"`
	Processes []struct{ Verdict verdict } `json:"processes"`
	Verdict   verdict                     `json:"verdict"`
}

type verdict struct {
	Class   string   `json:"class"`
	Stage   string   `json:"stage"`
	Place   []string `json:"place"`
	Level   string   `json:"level"`
	Summary string   `json:"summary"`
}

func (v verdict) died() bool {
	return v.Class != "ok" && v.Class != "no-traffic" && v.Class != "capture.unusable"
}

func oracleOf(t testing.TB, file string) *oracle {
	t.Helper()
	o := &oracle{}
	if err := json.Unmarshal(reported.JSON(t, file), o); err != nil {
		t.Fatal(err)
	}
	return o
}

func environment(pairs ...string) func(string) string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(name string) string { return m[name] }
}

// pusher returns one that sends to an endpoint and keeps its state in a file.
// What it warns of goes to the list.
func pusher(t testing.TB, protocol otlp.Protocol, endpoint, state string) (*push.Pusher, *[]string) {
	t.Helper()
	s, err := otlp.Load(otlp.Flags{Endpoint: "http://" + endpoint, Protocol: string(protocol)}, environment("OTEL_EXPORTER_OTLP_TIMEOUT", "2000"))
	if err != nil {
		t.Fatal(err)
	}
	s.UserAgent = "test"
	c, err := otlp.NewClient(s)
	if err != nil {
		t.Fatal(err)
	}
	st, err := push.Open(state, "test", false)
	if err != nil {
		t.Fatal(err)
	}
	warned := &[]string{}
	p := &push.Pusher{
		State: st, Version: "v1",
		Sender: &otlp.Sender{Client: c, First: 20 * time.Millisecond, Longest: 100 * time.Millisecond, GiveUp: time.Minute},
		Warn:   func(err error) { *warned = append(*warned, err.Error()) },
	}
	t.Cleanup(func() { closePusher(p) })
	return p, warned
}

func closePusher(p *push.Pusher) {
	p.Sender.Client.Close()
	p.State.Close()
}

func state(t testing.TB) string { return filepath.Join(t.TempDir(), "state") }

// whole is a reader that replaces nothing.
func whole() *push.Reader { return &push.Reader{Version: "v1"} }

func redacting(key string) *push.Reader {
	return &push.Reader{Version: "v1", Redact: func() *redact.Redactor { return redact.New(redact.Options{Key: []byte(key)}) }}
}

// pushFile sends a file, or bytes in the place of one.
func pushFile(t testing.TB, p *push.Pusher, r *push.Reader, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := r.File(context.Background(), path, f, func(c *push.Case) error { return p.Push(context.Background(), c) }); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// keys names spans by both identifiers.
func keys(list []collector.Span) map[string]int {
	out := map[string]int{}
	for _, s := range list {
		trace, span := s.TraceID(), s.SpanID()
		out[hex.EncodeToString(trace[:])+"/"+hex.EncodeToString(span[:])]++
	}
	return out
}

// wanted are the spans that files make, by the plan itself.
func wanted(t testing.TB, r *push.Reader, files ...string) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		err = r.File(context.Background(), file, f, func(c *push.Case) error {
			plan, err := spans.New(c.Case)
			if err != nil {
				return err
			}
			for part, err := range plan.Parts() {
				if err != nil {
					return err
				}
				for _, s := range part.All() {
					for k := range keys([]collector.Span{{Span: s}}) {
						out[k]++
					}
				}
			}
			return nil
		})
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// same compares spans that were received with those that are wanted: each once.
func same(t testing.TB, got, want map[string]int) {
	t.Helper()
	missing, twice, other := 0, 0, 0
	for k := range want {
		if got[k] == 0 {
			missing++
		}
	}
	for k, n := range got {
		if want[k] == 0 {
			other++
		}
		if n > 1 {
			twice++
		}
	}
	if missing+twice+other > 0 {
		t.Errorf("of %d spans %d are missing and %d came more than once; %d came that nobody sent", len(want), missing, twice, other)
	}
}

// counters sums up the last counters that were received, by metric and class.
func counters(c *collector.Collector) map[string]int64 {
	out := map[string]int64{}
	all := c.Metrics()
	if len(all) == 0 {
		return out
	}
	for _, rm := range all[len(all)-1].ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				for _, d := range m.Sum().DataPoints().All() {
					class := ""
					if v, ok := d.Attributes().Get("goproxytrace.verdict.class"); ok {
						class = v.Str()
					}
					out[strings.TrimPrefix(m.Name(), "goproxytrace.")+" "+class] += d.IntValue()
				}
			}
		}
	}
	return out
}

func mustWrite(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
