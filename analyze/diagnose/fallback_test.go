package diagnose

import (
	"slices"
	"strings"
	"testing"

	"goproxytrace/analyze/goproxy"
)

// contacts makes an Aggregator that was told of hosts: "name" delivered,
// "name!" died, one second after the other.
func contacts(t *testing.T, list ...string) *Aggregator {
	t.Helper()
	a := &Aggregator{}
	for i, item := range list {
		name, died := strings.CutSuffix(item, "!")
		k := a.contact(contactKey{host: name}, int64(i+1)*second)
		k.relevance = target
		if died {
			k.died(&Verdict{Class: TLSReset, Level: Proven, failed: int64(i+1) * second}, int64(i), -1)
		} else {
			k.delivered = int64(i+2) * second
		}
	}
	return a
}

func fallbackIDs(v *Verdict) string {
	var out []string
	for _, e := range v.Evidence {
		out = append(out, e.ID)
	}
	return strings.Join(out, " ")
}

func TestExplain(t *testing.T) {
	const a, b = "https://a.example", "https://b.example"
	hung := Verdict{Class: HTTPNoResponse, Values: []Value{Text("host", "a.example")}}
	died := func(host string) Verdict {
		return Verdict{Class: TLSReset, Values: []Value{Text("host", host)}}
	}
	status := func(s string) Verdict {
		return Verdict{Class: HTTPError, Values: []Value{Text("host", "a.example"), Text("status", s)}}
	}
	madeGood := Verdict{Class: OK, Notes: []string{"fallback"}}
	for _, tt := range []struct {
		name     string
		v        Verdict
		goproxy  string
		contacts []string
		want     string
	}{
		{"comma", died("a.example"), a + "," + b, []string{"a.example!"}, "fallback.not-tried-comma"},
		{"comma, but the next was used for something else", died("a.example"), a + "," + b, []string{"b.example", "a.example!"}, "fallback.tried"},
		{"bar, next died too", died("b.example"), a + "|" + b, []string{"a.example!", "b.example!"}, "fallback.after-failure fallback.none"},
		{"comma before, its failure is no reason", died("b.example"), a + "," + b, []string{"a.example!", "b.example!"}, "fallback.none"},
		{"bar, next not seen", died("a.example"), a + "|" + b, []string{"a.example!"}, "fallback.not-seen"},
		{"bar, direct tried", died("a.example"), a + "|direct", []string{"a.example!", "github.com!"}, "fallback.tried"},
		{"bar, direct: usage counters are no modules", died("a.example"), a + "|direct", []string{"a.example!", "telemetry.go.dev"}, "fallback.not-seen"},
		{"hanging", hung, a + "|" + b, []string{"a.example!"}, "fallback.waiting"},
		{"403 behind a comma", status("403 Forbidden"), a + "," + b, []string{"a.example"}, "fallback.not-tried-status"},
		{"404 behind a comma", status("404 Not Found"), a + "," + b, []string{"a.example"}, "fallback.not-seen"},
		{"500 behind a bar", status("500 Internal Server Error"), a + "|" + b, []string{"a.example"}, "fallback.not-seen"},
		{"sumdb", died("sum.example"), a, []string{"a.example", "sum.example!"}, "fallback.sumdb"},
		{"redirect", died("storage.googleapis.com"), a, []string{"a.example", "storage.googleapis.com!"}, "fallback.redirect"},
		{"storage while the proxy never delivered", died("storage.googleapis.com"), a, []string{"a.example!", "storage.googleapis.com!"}, ""},
		{"direct", died("github.com"), a + ",direct", []string{"a.example", "github.com!"}, "fallback.direct"},
		{"direct alone", died("github.com"), "direct", []string{"github.com!"}, "fallback.direct-only"},
		{"a source host without direct", died("github.com"), a, []string{"github.com!"}, ""},
		{"a host of nobody's", died("www.example"), a + ",direct", []string{"www.example!"}, ""},
		{"made good", madeGood, a + "|" + b, []string{"a.example!", "b.example"}, "fallback.made-good"},
		{"made good by direct", madeGood, a + "|direct", []string{"a.example!", "github.com"}, "fallback.made-good"},
		{"another address made it good", madeGood, a + "|" + b, []string{"a.example!"}, ""},
		{"nothing failed", Verdict{Class: OK}, a + "|" + b, []string{"a.example", "b.example"}, ""},
	} {
		v := tt.v
		agg := contacts(t, tt.contacts...)
		agg.Explain(&v, &GoConfig{Settings: goproxy.Settings{GOPROXY: tt.goproxy, GOSUMDB: "sum.example+1+k"}, Source: goproxy.FromEnvironment})
		if got := fallbackIDs(&v); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		v = tt.v
		agg.Explain(&v, &GoConfig{Settings: goproxy.Settings{GOPROXY: tt.goproxy}, Source: goproxy.FromDefaults})
		if got := fallbackIDs(&v); got != "" {
			t.Errorf("%s: %q although nobody knows GOPROXY", tt.name, got)
		}
	}
	v := died("b.example")
	contacts(t, "a.example", "b.example!").Explain(&v, &GoConfig{Settings: goproxy.Settings{GOPROXY: a + "," + b}, Source: goproxy.FromGoEnv,
		Hosts: map[string]goproxy.Requests{"a.example": {Sent: 1, Answered: 1, NotFound: 1}}})
	if got := fallbackIDs(&v); got != "fallback.after-not-found fallback.none" {
		t.Errorf("by the trace: %q", got)
	}
	v = died("sum.example")
	contacts(t, "a.example", "sum.example!").Explain(&v, &GoConfig{Settings: goproxy.Settings{GOPROXY: a, GOSUMDB: "k https://sum.example"}, Source: goproxy.FromGoEnv})
	if got := fallbackIDs(&v); got != "fallback.sumdb-explicit" || slices.Contains(v.NextSteps, "next.sumdb-proxy") {
		t.Errorf("explicit database: %q, %q", got, v.NextSteps)
	}
}

// TestNotMadeGood: a host that delivered later made nothing good where go
// itself ended with the failure, and did where only its trace tells of it.
func TestNotMadeGood(t *testing.T) {
	for _, trace := range []bool{false, true} {
		g := NewGoText(&goproxy.Output{Statements: []goproxy.Statement{
			{Kind: goproxy.KindReset, Host: "a.example", Text: "reset", Alert: -1, Trace: trace, Line: 1, Count: 1},
		}})
		g.claims[0].agreed, g.claims[0].conn = 1, 7
		g.claims[0].death = &Verdict{Class: TLSReset, Level: Proven, Values: []Value{Text("host", "a.example")}}
		v := Verdict{Class: OK, Notes: []string{"fallback", "lossy"}}
		subject, _ := g.Verdict(&v, -1, false)
		if trace != (v.Class == OK) || trace != (subject == -1) {
			t.Errorf("trace %v: %s, subject %d", trace, v.Class, subject)
		}
		if !trace && (!v.has("go.not-made-good") || !slices.Equal(v.Notes, []string{"lossy"}) || subject != 7) {
			t.Errorf("%+v, subject %d", v, subject)
		}
	}
	var none *GoText
	v := Verdict{Class: OK}
	if s, held := none.Verdict(&v, 3, false); s != 3 || held != -1 || len(v.Evidence) != 0 || none.Checks() != nil || none.Knows("x") {
		t.Error("without words something was said")
	}
}
