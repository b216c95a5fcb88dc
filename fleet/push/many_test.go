package push_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"goproxytrace/fleet/internal/collector"
	"goproxytrace/fleet/otlp"
	"goproxytrace/fleet/push"
)

// many is a report of so many connections.
func many(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"schema":"goproxytrace.report/v1","capture":{"file":"many.pcapng","packets":9,"start":"2026-01-01T00:00:00Z","end":"2026-01-01T01:00:00Z"},"verdict":{"class":"ok","stage":"done"},"connections":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%d,"client":"192.0.2.1:%d","server":"198.51.100.1:443","server_name":"host%d.example","start":"2026-01-01T00:00:%02dZ","duration_ms":5,"stages_ms":{"connect":1},"verdict":{"class":"ok","stage":"done","level":"proven"}}`, i, 1024+i, i, i%60)
	}
	b.WriteString("]}\n")
	return b.Bytes()
}

func pushRaw(p *push.Pusher, r *push.Reader, raw []byte) error {
	return r.File(context.Background(), "many.json", bytes.NewReader(raw), func(c *push.Case) error { return p.Push(context.Background(), c) })
}

// A case of many requests goes on where it was interrupted: what was acknowledged
// before is not sent again.
func TestLongCaseGoesOn(t *testing.T) {
	c := collector.New(t)
	path := state(t)
	raw := many(3000)
	p, _ := pusher(t, otlp.GRPC, c.GRPC, path)
	n := 0
	stop := errors.New("stop")
	c.Answer(func() error {
		if n++; n > 2 {
			return stop
		}
		return nil
	})
	p.Sender.GiveUp = 1
	err := pushRaw(p, whole(), raw)
	var f *otlp.Failure
	if !errors.As(err, &f) || len(c.Traces()) != 2 {
		t.Fatalf("%v after %d requests", err, len(c.Traces()))
	}
	closePusher(p)
	c.Answer(nil)
	p, _ = pusher(t, otlp.GRPC, c.GRPC, path)
	if err := pushRaw(p, whole(), raw); err != nil {
		t.Fatal(err)
	}
	if err := p.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	list := c.Spans()
	for k, n := range keys(list) {
		if n != 1 {
			t.Fatalf("%s came %d times", k, n)
		}
	}
	seen := 0
	for _, s := range list {
		if s.Attr("goproxytrace.connection.id") != nil && s.Attr("goproxytrace.stage") == nil {
			seen++
		}
	}
	if seen != 3000 || len(c.Traces()) < 4 {
		t.Errorf("%d connections in %d requests", seen, len(c.Traces()))
	}
	if got := counters(c); got["connections ok"] != 3000 {
		t.Errorf("counters %v", got)
	}
}

// However many hosts there are, the counters are bounded, and none is lost.
func TestCountersAreBounded(t *testing.T) {
	c := collector.New(t)
	p, _ := pusher(t, otlp.HTTP, c.HTTP, state(t))
	if err := pushRaw(p, whole(), many(3000)); err != nil {
		t.Fatal(err)
	}
	if err := p.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	points, sum, overflow := 0, int64(0), int64(0)
	all := c.Metrics()
	for _, rm := range all[len(all)-1].ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				for _, d := range m.Sum().DataPoints().All() {
					points++
					if strings.HasSuffix(m.Name(), "connections") {
						sum += d.IntValue()
					}
					if v, ok := d.Attributes().Get("otel.metric.overflow"); ok && v.Bool() {
						overflow += d.IntValue()
					}
				}
			}
		}
	}
	if points > 2010 || sum != 3000 || overflow == 0 || counters(c)["connections ok"] != 3000 {
		t.Errorf("%d points, %d connections, %d of them in the series for the rest", points, sum, overflow)
	}
}

// A state belongs to one process and one endpoint.
func TestStateHasOneOwner(t *testing.T) {
	path := state(t)
	s, err := push.Open(path, "a", false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := push.Open(path, "a", false); !errors.Is(err, push.ErrInUse) {
		t.Errorf("a second one: %v", err)
	}
	s.Close()
	if _, err := push.Open(path, "b", false); !push.IsOtherEndpoint(err) {
		t.Errorf("another endpoint: %v", err)
	}
	if s, err = push.Open(path, "b", true); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if s, err = push.Open(path, "b", false); err != nil {
		t.Fatal(err)
	}
	s.Close()
	mustWrite(t, path, []byte("not a state"))
	if _, err := push.Open(path, "b", false); err == nil {
		t.Error("any file is a state")
	}
	mustWrite(t, path, bytes.Repeat([]byte{0xed, 0x0c, 0xda, 0xed, 0, 1}, 4096))
	if _, err := push.Open(path, "b", false); err == nil {
		t.Error("any bytes are a state")
	}
}
