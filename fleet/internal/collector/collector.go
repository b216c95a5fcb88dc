// Package collector runs a collector's own OTLP receiver within a test, and keeps
// what it received.
//
// It is for tests alone.
package collector

import (
	"context"
	"sync"
	"testing"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/receiver/receivertest"
)

// Collector listens at two addresses of loopback, which stay its own when it is
// stopped and started.
type Collector struct {
	GRPC, HTTP string // host:port

	// Verdict is what the pipeline behind the receiver says of each request,
	// nil for that it takes it.
	Verdict func() error

	mu      sync.Mutex
	traces  []ptrace.Traces
	metrics []pmetric.Metrics
	stop    func() error
}

// New reserves addresses and starts a collector, which ends with the test.
func New(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{GRPC: Address(t), HTTP: Address(t)}
	c.Start(t)
	t.Cleanup(func() { c.Stop(t) })
	return c
}

// Start starts the receiver; Stop stops it.
func (c *Collector) Start(t testing.TB) {
	t.Helper()
	f := otlpreceiver.NewFactory()
	cfg := f.CreateDefaultConfig().(*otlpreceiver.Config)
	cfg.Protocols.GRPC.GetOrInsertDefault().NetAddr.Endpoint = c.GRPC
	cfg.Protocols.HTTP.GetOrInsertDefault().ServerConfig.NetAddr.Endpoint = c.HTTP
	traces, err := consumer.NewTraces(c.takeTraces)
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := consumer.NewMetrics(c.takeMetrics)
	if err != nil {
		t.Fatal(err)
	}
	set := receivertest.NewNopSettings(f.Type())
	var parts []component.Component
	r, err := f.CreateTraces(context.Background(), set, cfg, traces)
	if err != nil {
		t.Fatal(err)
	}
	m, err := f.CreateMetrics(context.Background(), set, cfg, metrics)
	if err != nil {
		t.Fatal(err)
	}
	parts = append(parts, r, m)
	for _, p := range parts {
		if err := p.Start(context.Background(), componenttest.NewNopHost()); err != nil {
			t.Fatal(err)
		}
	}
	c.stop = func() error {
		for _, p := range parts {
			if err := p.Shutdown(context.Background()); err != nil {
				return err
			}
		}
		return nil
	}
}

// Stop stops the receiver, which then listens no more.
func (c *Collector) Stop(t testing.TB) {
	t.Helper()
	if c.stop == nil {
		return
	}
	if err := c.stop(); err != nil {
		t.Error(err)
	}
	c.stop = nil
}

func (c *Collector) takeTraces(_ context.Context, td ptrace.Traces) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Verdict != nil {
		if err := c.Verdict(); err != nil {
			return err
		}
	}
	kept := ptrace.NewTraces()
	td.CopyTo(kept)
	c.traces = append(c.traces, kept)
	return nil
}

func (c *Collector) takeMetrics(_ context.Context, md pmetric.Metrics) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Verdict != nil {
		if err := c.Verdict(); err != nil {
			return err
		}
	}
	kept := pmetric.NewMetrics()
	md.CopyTo(kept)
	c.metrics = append(c.metrics, kept)
	return nil
}

// Answer sets Verdict while requests come.
func (c *Collector) Answer(verdict func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Verdict = verdict
}

// Traces and Metrics return the requests that were taken, in their order.
func (c *Collector) Traces() []ptrace.Traces {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]ptrace.Traces(nil), c.traces...)
}

// Metrics is described at Traces.
func (c *Collector) Metrics() []pmetric.Metrics {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]pmetric.Metrics(nil), c.metrics...)
}

// Reset forgets what was received.
func (c *Collector) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.traces, c.metrics = nil, nil
}

// Span is a span with the resource that it came with.
type Span struct {
	ptrace.Span
	Resource map[string]any
}

// Attr returns an attribute, nil for none.
func (s Span) Attr(name string) any {
	if v, ok := s.Attributes().Get(name); ok {
		return v.AsRaw()
	}
	return nil
}

// Spans lists all spans that were taken.
func (c *Collector) Spans() (out []Span) {
	for _, td := range c.Traces() {
		for _, rs := range td.ResourceSpans().All() {
			for _, ss := range rs.ScopeSpans().All() {
				for _, s := range ss.Spans().All() {
					out = append(out, Span{s, rs.Resource().Attributes().AsRaw()})
				}
			}
		}
	}
	return out
}
