package push_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"goproxytrace/fleet/internal/collector"
	"goproxytrace/fleet/otlp"
	"goproxytrace/fleet/push"
)

// outage is for how long an endpoint is away in tests of it: a minute where
// GOPROXYTRACE_OUTAGE says so (a duration).
func outage(t testing.TB) time.Duration {
	v := os.Getenv("GOPROXYTRACE_OUTAGE")
	if v == "" {
		return 700 * time.Millisecond
	}
	d, err := time.ParseDuration(v)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// An endpoint goes away in the middle and comes back, in each way that it can: all
// connections come once, and the counters are those of the reports.
func TestOutage(t *testing.T) {
	files := captures(t)[:24]
	want := wanted(t, whole(), files...)
	total := map[string]int64{}
	for _, f := range files {
		for k, n := range oracleOf(t, f).count() {
			total[k] += n
		}
	}
	// Each lasts for d, and longer until the pusher has noticed.
	ways := map[string]func(t *testing.T, c *collector.Collector, addr string, d time.Duration, noticed func()){
		"refuses connections": func(t *testing.T, c *collector.Collector, _ string, d time.Duration, noticed func()) {
			c.Stop(t)
			time.Sleep(d)
			noticed()
			c.Start(t)
		},
		"accepts and hangs": func(t *testing.T, c *collector.Collector, addr string, d time.Duration, noticed func()) {
			c.Stop(t)
			hang(t, addr, d)
			noticed()
			c.Start(t)
		},
		"accepts and closes": func(t *testing.T, c *collector.Collector, addr string, d time.Duration, noticed func()) {
			c.Stop(t)
			closing(t, addr, d)
			noticed()
			c.Start(t)
		},
		"has no room (503, UNAVAILABLE)": func(_ *testing.T, c *collector.Collector, _ string, d time.Duration, noticed func()) {
			c.Answer(func() error { return errors.New("the queue is full") })
			time.Sleep(d)
			noticed()
			c.Answer(nil)
		},
	}
	for _, protocol := range []otlp.Protocol{otlp.HTTP, otlp.GRPC} {
		for _, way := range slices.Sorted(maps.Keys(ways)) {
			t.Run(strings.ReplaceAll(string(protocol), "/", "-")+" "+way, func(t *testing.T) {
				t.Parallel()
				c := collector.New(t)
				addr := c.HTTP
				if protocol == otlp.GRPC {
					addr = c.GRPC
				}
				p, warned := pusher(t, protocol, addr, state(t))
				var waited atomic.Int64
				p.Sender.Waiting = func(*otlp.Failure, time.Duration, time.Duration) { waited.Add(1) }
				noticed := func() {
					for end := time.Now().Add(20 * time.Second); waited.Load() == 0 && time.Now().Before(end); {
						time.Sleep(5 * time.Millisecond)
					}
				}
				p.Sender.GiveUp = outage(t) + time.Minute
				var down sync.WaitGroup
				for i, f := range files {
					if i == 8 {
						begun := make(chan bool)
						down.Go(func() {
							go func() { time.Sleep(20 * time.Millisecond); close(begun) }()
							ways[way](t, c, addr, outage(t), noticed)
						})
						<-begun
					}
					pushFile(t, p, whole(), f)
				}
				down.Wait()
				if err := p.Flush(context.Background()); err != nil {
					t.Fatal(err)
				}
				if waited.Load() == 0 {
					t.Error("the endpoint was never away")
				}
				same(t, keys(c.Spans()), want)
				if got := counters(c); !maps.Equal(got, total) {
					t.Errorf("counters %v\nwant %v", got, total)
				}
				if len(*warned) > 0 || p.Stats.Lost > 0 {
					t.Errorf("%+v, warnings %q", p.Stats, *warned)
				}
			})
		}
	}
}

// hang listens for a time and answers nothing.
func hang(t *testing.T, addr string, d time.Duration) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Error(err)
		return
	}
	var conns []net.Conn
	done := make(chan bool)
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns = append(conns, c)
		}
	}()
	time.Sleep(d)
	l.Close()
	<-done
	for _, c := range conns {
		c.Close()
	}
}

// closing listens for a time and closes what it accepts.
func closing(t *testing.T, addr string, d time.Duration) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Error(err)
		return
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	time.Sleep(d)
	l.Close()
}

// An endpoint that asks for time gets it.
func TestThrottled(t *testing.T) {
	c := collector.New(t)
	var mu sync.Mutex
	var asked []time.Time
	addr := between(t, c, func(w http.ResponseWriter, n int, forward func() *http.Response) {
		mu.Lock()
		asked = append(asked, time.Now())
		mu.Unlock()
		if n <= 2 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		give(w, forward())
	})
	p, _ := pusher(t, otlp.HTTP, addr, state(t))
	pushFile(t, p, whole(), one("hello-reset"))
	same(t, keys(c.Spans()), wanted(t, whole(), one("hello-reset")))
	for i := 1; i < 3; i++ {
		if d := asked[i].Sub(asked[i-1]); d < time.Second {
			t.Errorf("asked again after %v, the endpoint said 1 s", d)
		}
	}
}

// between stands between a pusher and a collector, and decides over each request
// by its number from 1.
func between(t *testing.T, c *collector.Collector, decide func(w http.ResponseWriter, n int, forward func() *http.Response)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	var mu sync.Mutex
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		mu.Lock()
		n++
		this := n
		mu.Unlock()
		decide(w, this, func() *http.Response {
			req, err := http.NewRequest(http.MethodPost, "http://"+c.HTTP+r.URL.Path, strings.NewReader(string(body)))
			if err != nil {
				t.Error(err)
				return nil
			}
			req.Header = r.Header.Clone()
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Error(err)
				return nil
			}
			return resp
		})
	})}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return l.Addr().String()
}

func give(w http.ResponseWriter, resp *http.Response) {
	if resp == nil {
		return
	}
	defer resp.Body.Close()
	w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
	w.WriteHeader(resp.StatusCode)
	io.Copy(w, resp.Body)
}

// An answer that is lost on its way makes the request come again, with the same
// identifiers; the counters do not notice.
func TestAnswerLost(t *testing.T) {
	c := collector.New(t)
	addr := between(t, c, func(w http.ResponseWriter, n int, forward func() *http.Response) {
		resp := forward()
		if n == 1 {
			resp.Body.Close()
			panic(http.ErrAbortHandler)
		}
		give(w, resp)
	})
	p, _ := pusher(t, otlp.HTTP, addr, state(t))
	pushFile(t, p, whole(), one("hello-reset"))
	pushFile(t, p, whole(), one("syn-drop"))
	if err := p.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	got, first := keys(c.Spans()), wanted(t, whole(), one("hello-reset"))
	for k := range wanted(t, whole(), one("hello-reset"), one("syn-drop")) {
		want := 1
		if first[k] > 0 {
			want = 2
		}
		if got[k] != want {
			t.Errorf("%s came %d times, want %d", k, got[k], want)
		}
	}
	if n := counters(c); n["cases tls.reset"] != 1 || n["cases connect.no-answer"] != 1 {
		t.Errorf("counters %v", n)
	}
}

// What an endpoint will not take is named and counted, once, and does not stop
// what it will.
func TestRefused(t *testing.T) {
	c := collector.New(t)
	p, warned := pusher(t, otlp.HTTP, c.HTTP, state(t))
	c.Answer(func() error { return consumererror.NewPermanent(errors.New("no such tenant")) })
	pushFile(t, p, whole(), one("hello-reset"))
	c.Answer(nil)
	pushFile(t, p, whole(), one("connect-refused"))
	pushFile(t, p, whole(), one("hello-reset"))
	same(t, keys(c.Spans()), wanted(t, whole(), one("connect-refused")))
	if s := p.Stats; s.Refused != 1 || s.Cases != 1 || s.Known != 1 || s.RefusedBefore != 1 || s.Lost != int64(len(wanted(t, whole(), one("hello-reset")))) {
		t.Errorf("%+v", s)
	}
	if len(*warned) != 2 || !strings.Contains((*warned)[0], "hello-reset.pcapng: the endpoint does not take") || !strings.Contains((*warned)[1], "counters, which are kept") {
		t.Errorf("warnings %q", *warned)
	}
	// The operator has seen to it and asks for it.
	p.Again = true
	pushFile(t, p, whole(), one("hello-reset"))
	same(t, keys(c.Spans()), wanted(t, whole(), one("connect-refused"), one("hello-reset")))
	if err := p.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := counters(c); got["cases tls.reset"] != 1 || got["cases connect.refused"] != 1 {
		t.Errorf("counters %v", got)
	}
}

// An endpoint that takes nothing because of a wrong setting ends the run, and
// nothing is recorded: with the right one all is sent.
func TestUnusable(t *testing.T) {
	c := collector.New(t)
	wrong := true
	addr := between(t, c, func(w http.ResponseWriter, _ int, forward func() *http.Response) {
		if wrong {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		give(w, forward())
	})
	p, _ := pusher(t, otlp.HTTP, addr, state(t))
	f, err := os.Open(one("hello-reset"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	err = whole().File(context.Background(), "x", f, func(c *push.Case) error { return p.Push(context.Background(), c) })
	var failure *otlp.Failure
	if !errors.As(err, &failure) || failure.Kind != otlp.Unusable || push.IsUnreadable(err) {
		t.Errorf("%v", err)
	}
	wrong = false
	pushFile(t, p, whole(), one("hello-reset"))
	same(t, keys(c.Spans()), wanted(t, whole(), one("hello-reset")))
}

// An endpoint for traces alone is told of once, and gets the traces.
func TestTracesAlone(t *testing.T) {
	c := collector.New(t)
	metrics := 0
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/traces", func(w http.ResponseWriter, r *http.Request) {
		req, _ := http.NewRequest(http.MethodPost, "http://"+c.HTTP+"/v1/traces", r.Body)
		req.Header = r.Header.Clone()
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		give(w, resp)
	})
	mux.HandleFunc("/v1/metrics", func(w http.ResponseWriter, _ *http.Request) {
		metrics++
		http.NotFound(w, nil)
	})
	srv := &http.Server{Handler: mux}
	go srv.Serve(l)
	defer srv.Close()
	p, warned := pusher(t, otlp.HTTP, l.Addr().String(), state(t))
	for _, f := range captures(t)[:5] {
		pushFile(t, p, whole(), f)
		if err := p.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	same(t, keys(c.Spans()), wanted(t, whole(), captures(t)[:5]...))
	if metrics != 1 || len(*warned) != 1 || !strings.Contains((*warned)[0], "takes no metrics") {
		t.Errorf("%d requests for metrics, warnings %q", metrics, *warned)
	}
}

// A part that the endpoint leaves out is named; what it took is not sent again.
func TestPartialSuccess(t *testing.T) {
	n := 0
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/metrics" {
			return
		}
		n++
		answer := ptraceotlp.NewExportResponse()
		answer.PartialSuccess().SetRejectedSpans(3)
		answer.PartialSuccess().SetErrorMessage("spans of last year")
		b, _ := answer.MarshalProto()
		w.Header().Set("Content-Type", "application/x-protobuf")
		w.Write(b)
	})}
	go srv.Serve(l)
	defer srv.Close()
	p, warned := pusher(t, otlp.HTTP, l.Addr().String(), state(t))
	pushFile(t, p, whole(), one("hello-reset"))
	pushFile(t, p, whole(), one("hello-reset"))
	total := int64(len(wanted(t, whole(), one("hello-reset"))))
	if n != 1 || p.Stats.Lost != 3 || p.Stats.Spans != total-3 || p.Stats.Refused != 1 {
		t.Errorf("%d requests, %+v", n, p.Stats)
	}
	if len(*warned) != 1 || !strings.Contains((*warned)[0], "3 rejected: spans of last year") {
		t.Errorf("warnings %q", *warned)
	}
}

// A request that is too large for the endpoint is sent in parts, and what is
// larger than it takes at all is refused alone.
func TestTooLarge(t *testing.T) {
	c := collector.New(t)
	const most = 4 << 10
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/v1/traces" && len(b) > most {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		req, _ := http.NewRequest(http.MethodPost, "http://"+c.HTTP+r.URL.Path, strings.NewReader(string(b)))
		req.Header = r.Header.Clone()
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		give(w, resp)
	})}
	go srv.Serve(l)
	defer srv.Close()
	p, _ := pusher(t, otlp.HTTP, l.Addr().String(), state(t))
	pushFile(t, p, whole(), one("sni-reset-three"))
	want := wanted(t, whole(), one("sni-reset-three"))
	got := keys(c.Spans())
	if int64(len(want)-len(got)) != p.Stats.Lost || p.Stats.Spans != int64(len(got)) || len(got) == 0 {
		t.Errorf("%d of %d spans came, %+v", len(got), len(want), p.Stats)
	}
	for k, n := range got {
		if n != 1 || want[k] != 1 {
			t.Errorf("%s came %d times", k, n)
		}
	}
	if len(c.Traces()) < 3 {
		t.Errorf("%d requests", len(c.Traces()))
	}
}
