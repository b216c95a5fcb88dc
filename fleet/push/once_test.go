package push_test

import (
	"context"
	"maps"
	"math"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"goproxytrace/fleet/internal/collector"
	"goproxytrace/fleet/otlp"
)

// Every connection of every capture comes to a collector's own receiver once, by
// each protocol, with the times, the place and the status that the JSON report
// has; and the counters are what the reports add up to.
func TestEveryConnectionOnce(t *testing.T) {
	for _, protocol := range otlp.Protocols {
		t.Run(strings.ReplaceAll(string(protocol), "/", "-"), func(t *testing.T) {
			c := collector.New(t)
			endpoint := c.HTTP
			if protocol == otlp.GRPC {
				endpoint = c.GRPC
			}
			p, warned := pusher(t, protocol, endpoint, state(t))
			total := map[string]int64{}
			for _, file := range captures(t) {
				c.Reset()
				pushFile(t, p, whole(), file)
				o := oracleOf(t, file)
				compare(t, file, c, o)
				for k, n := range o.count() {
					total[k] += n
				}
				before := len(c.Spans())
				pushFile(t, p, whole(), file)
				if now := len(c.Spans()); now != before {
					t.Errorf("%s: the second time %d spans more", file, now-before)
				}
			}
			if err := p.Flush(context.Background()); err != nil {
				t.Fatal(err)
			}
			if got := counters(c); !maps.Equal(got, total) {
				t.Errorf("counters %v\nwant %v", got, total)
			}
			if len(*warned) > 0 {
				t.Errorf("warnings: %q", *warned)
			}
			if p.Stats.Refused != 0 || p.Stats.Cases != len(captures(t)) || p.Stats.Known != len(captures(t)) {
				t.Errorf("%+v", p.Stats)
			}
		})
	}
}

// count are the counters that a report adds to.
func (o *oracle) count() map[string]int64 {
	out := map[string]int64{"cases " + o.Verdict.Class: 1}
	for _, c := range o.Connections {
		out["connections "+c.Verdict.Class]++
	}
	for _, l := range o.Lookups {
		out["lookups "+l.Verdict.Class]++
	}
	for _, a := range o.Attempts {
		out["attempts "+a.Verdict.Class]++
	}
	for _, p := range o.Processes {
		out["processes "+p.Verdict.Class]++
	}
	return out
}

func compare(t *testing.T, file string, c *collector.Collector, o *oracle) {
	t.Helper()
	all := c.Spans()
	byID := map[string]collector.Span{}
	for k, n := range keys(all) {
		if n != 1 {
			t.Errorf("%s: span %s came %d times", file, k, n)
		}
	}
	for _, s := range all {
		byID[s.TraceID().String()+"/"+s.SpanID().String()] = s
	}
	connections := map[int64]collector.Span{}
	stages := map[int64]map[string]collector.Span{}
	lookups := 0
	for _, s := range all {
		parent, under := byID[s.TraceID().String()+"/"+s.ParentSpanID().String()]
		if !s.ParentSpanID().IsEmpty() && !under {
			t.Errorf("%s: %s is below a span that did not come", file, s.Name())
		}
		for _, l := range s.Links().All() {
			if _, ok := byID[l.TraceID().String()+"/"+l.SpanID().String()]; !ok {
				t.Errorf("%s: %s has a link to a span that did not come", file, s.Name())
			}
		}
		if s.StartTimestamp() == 0 || s.EndTimestamp() < s.StartTimestamp() {
			t.Errorf("%s: %s lasts from %v to %v", file, s.Name(), s.StartTimestamp(), s.EndTimestamp())
		}
		id, ok := s.Attr("goproxytrace.connection.id").(int64)
		stage, _ := s.Attr("goproxytrace.stage").(string)
		switch {
		case stage == "dns":
			lookups++
		case ok && stage == "":
			if _, twice := connections[id]; twice {
				t.Errorf("%s: connection %d came twice", file, id)
			}
			connections[id] = s
			if s.Kind() != ptrace.SpanKindClient {
				t.Errorf("%s: connection %d is of kind %v", file, id, s.Kind())
			}
		case ok:
			if stages[id] == nil {
				stages[id] = map[string]collector.Span{}
			}
			stages[id][stage] = s
			if parent.Attr("goproxytrace.connection.id") != id {
				t.Errorf("%s: stage %s of connection %d is below %s", file, stage, id, parent.Name())
			}
		}
	}
	if len(connections) != len(o.Connections) || lookups != len(o.Lookups) {
		t.Errorf("%s: %d connections and %d lookups, want %d and %d", file, len(connections), lookups, len(o.Connections), len(o.Lookups))
	}
	for i := range o.Connections {
		w := &o.Connections[i]
		s, ok := connections[w.ID]
		if !ok {
			t.Errorf("%s: connection %d is missing", file, w.ID)
			continue
		}
		end := w.Start.Add(time.Duration(math.Round(w.Duration * 1e6)))
		if !s.StartTimestamp().AsTime().Equal(w.Start) || !s.EndTimestamp().AsTime().Equal(end) {
			t.Errorf("%s: connection %d from %v to %v, want %v to %v", file, w.ID, s.StartTimestamp().AsTime(), s.EndTimestamp().AsTime(), w.Start, end)
		}
		if died := s.Status().Code() == ptrace.StatusCodeError; died != w.Verdict.died() {
			t.Errorf("%s: connection %d of class %s has status %v", file, w.ID, w.Verdict.Class, s.Status().Code())
		}
		if w.Verdict.died() && (s.Status().Message() != w.Verdict.Summary || s.Attr("error.type") != w.Verdict.Class) {
			t.Errorf("%s: connection %d: %q, error.type %v, want %q and %s", file, w.ID, s.Status().Message(), s.Attr("error.type"), w.Verdict.Summary, w.Verdict.Class)
		}
		if s.Events().Len() != 1 || s.Events().At(0).Name() != "goproxytrace.verdict" {
			t.Errorf("%s: connection %d has %d events", file, w.ID, s.Events().Len())
		} else if v, _ := s.Events().At(0).Attributes().Get("goproxytrace.verdict.level"); v.Str() != w.Verdict.Level {
			t.Errorf("%s: connection %d: level %q, want %q", file, w.ID, v.Str(), w.Verdict.Level)
		}
		root := byID[s.TraceID().String()+"/"+s.ParentSpanID().String()]
		if w.Process != nil {
			if root.Attr("process.pid") != w.Process.PID || s.Attr("process.pid") != w.Process.PID {
				t.Errorf("%s: connection %d of PID %d is below %s, PID %v", file, w.ID, w.Process.PID, root.Name(), root.Attr("process.pid"))
			}
		} else if !strings.HasPrefix(root.Name(), "connections to ") || !root.ParentSpanID().IsEmpty() {
			t.Errorf("%s: connection %d of nobody known is below %q", file, w.ID, root.Name())
		}
		if root.StartTimestamp() > s.StartTimestamp() || root.EndTimestamp() < s.EndTimestamp() {
			t.Errorf("%s: connection %d lies outside of %s", file, w.ID, root.Name())
		}
		if w.ServerName != "" && s.Attr("server.address") != w.ServerName {
			t.Errorf("%s: connection %d: server.address %v, want %s", file, w.ID, s.Attr("server.address"), w.ServerName)
		}
		compareStages(t, file, w.ID, stages[w.ID], w.Stages, w.Start, end, w.Verdict)
	}
}

func compareStages(t *testing.T, file string, id int64, got map[string]collector.Span, want map[string]float64, start, end time.Time, v verdict) {
	t.Helper()
	for stage, member := range map[string]string{"connect": "connect", "tls": "tls", "http": "first_byte", "transfer": "transfer"} {
		ms, passed := want[member]
		s, ok := got[stage]
		died := v.died() && v.Stage == stage
		if ok != (passed || died || stage == "tls" && want["tls_start"] > 0) {
			t.Errorf("%s: connection %d: stage %s is there: %t", file, id, stage, ok)
			continue
		}
		if !ok {
			continue
		}
		if red := s.Status().Code() == ptrace.StatusCodeError; red != died {
			t.Errorf("%s: connection %d died in %s: stage %s has status %v", file, id, v.Stage, stage, s.Status().Code())
		}
		if s.Attr("goproxytrace.stage.completed") != (passed && !died) {
			t.Errorf("%s: connection %d: stage %s completed: %v", file, id, stage, s.Attr("goproxytrace.stage.completed"))
		}
		from, until := s.StartTimestamp().AsTime(), s.EndTimestamp().AsTime()
		if from.Before(start) || until.After(end) {
			t.Errorf("%s: connection %d: stage %s from %v to %v lies outside of %v to %v", file, id, stage, from, until, start, end)
		}
		if died {
			if !until.Equal(end) {
				t.Errorf("%s: connection %d: stage %s, in which it died, ends at %v and not at %v", file, id, stage, until, end)
			}
			continue
		}
		if passed {
			if stage == "transfer" {
				ms -= want["first_byte"]
			}
			if lasted := float64(until.Sub(from)) / 1e6; math.Abs(lasted-ms) > 2e-6 {
				t.Errorf("%s: connection %d: stage %s lasts %g ms, want %g", file, id, stage, lasted, ms)
			}
		}
		if at, ok := want["tls_start"]; ok && stage == "tls" {
			if after := float64(from.Sub(start)) / 1e6; math.Abs(after-at) > 2e-6 {
				t.Errorf("%s: connection %d: TLS begins after %g ms, want %g", file, id, after, at)
			}
		}
	}
}
