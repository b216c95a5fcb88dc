package push

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"goproxytrace/fleet/otlp"
	"goproxytrace/fleet/spans"
)

// metricsEvery is the default of OTEL_METRIC_EXPORT_INTERVAL.
const metricsEvery = time.Minute

func (p *Pusher) every() time.Duration {
	if p.Every > 0 {
		return p.Every
	}
	return metricsEvery
}

// Flush sends the counters if they were not sent since they changed, or for as
// long as they are sent at most apart.
func (p *Pusher) Flush(ctx context.Context) error {
	if p.dirty {
		return p.metricsNow(ctx, 0)
	}
	return p.metricsNow(ctx, p.every())
}

// metricsNow sends the counters if that was not done for a time. They are sums
// since State.Started: one that is lost or sent twice changes nothing.
func (p *Pusher) metricsNow(ctx context.Context, every time.Duration) error {
	if p.NoMetrics || p.noMetrics || every > 0 && time.Since(p.sentMetrics) < every {
		return nil
	}
	md, err := p.metrics(time.Now())
	if err != nil {
		return err
	}
	if md.DataPointCount() == 0 {
		return nil
	}
	rejected, err := p.Sender.Send(ctx, func(ctx context.Context, client otlp.Client) (otlp.Rejection, error) {
		return client.Metrics(ctx, md)
	})
	var f *otlp.Failure
	switch {
	case err == nil:
		if rejected != (otlp.Rejection{}) {
			p.warn(fmt.Errorf("counters: the endpoint says: %s", rejected))
		}
	case !errors.As(err, &f):
		return err
	case f.NotServed:
		// Many backends take traces alone.
		p.noMetrics = true
		p.warn(fmt.Errorf("the endpoint takes no metrics (%w): traces alone are sent, the counters are kept", f))
	case f.Kind == otlp.Refused || f.Kind == otlp.TooLarge:
		p.warn(fmt.Errorf("the endpoint does not take the counters, which are kept: %w", f))
	default:
		return f
	}
	p.sentMetrics, p.dirty = time.Now(), false
	return nil
}

// metrics makes a request of all counters.
func (p *Pusher) metrics(now time.Time) (pmetric.Metrics, error) {
	md := pmetric.NewMetrics()
	list, err := p.State.Counters()
	if err != nil {
		return md, err
	}
	hosts := map[string]pmetric.ScopeMetrics{}
	sums := map[[2]string]pmetric.Sum{}
	for i := range list {
		c := &list[i]
		sm, ok := hosts[c.Host]
		if !ok {
			rm := md.ResourceMetrics().AppendEmpty()
			rm.SetSchemaUrl(spans.Schema)
			p.resource(rm.Resource().Attributes())
			if c.Host != "" {
				rm.Resource().Attributes().PutStr(string(semconv.HostNameKey), c.Host)
			}
			sm = rm.ScopeMetrics().AppendEmpty()
			sm.SetSchemaUrl(spans.Schema)
			sm.Scope().SetName(scope)
			sm.Scope().SetVersion(p.Version)
			hosts[c.Host] = sm
		}
		sum, ok := sums[[2]string{c.Host, c.Metric}]
		if !ok {
			m := sm.Metrics().AppendEmpty()
			m.SetName(c.Metric)
			m.SetUnit(spans.Units[c.Metric])
			m.SetDescription("Verdicts of goproxytrace")
			sum = m.SetEmptySum()
			sum.SetIsMonotonic(true)
			sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
			sums[[2]string{c.Host, c.Metric}] = sum
		}
		p.point(sum.DataPoints().AppendEmpty(), c, now)
	}
	return md, nil
}

func (p *Pusher) point(d pmetric.NumberDataPoint, c *Counter, now time.Time) {
	d.SetStartTimestamp(pcommon.NewTimestampFromTime(p.State.Started))
	d.SetTimestamp(pcommon.NewTimestampFromTime(now))
	d.SetIntValue(int64(c.Value))
	for name, value := range c.Attributes {
		if name == OverflowKey {
			d.Attributes().PutBool(name, true)
			continue
		}
		d.Attributes().PutStr(name, value)
	}
}

// resource sets what is the same for all that this state sends.
func (p *Pusher) resource(m pcommon.Map) {
	m.PutStr(string(semconv.ServiceNameKey), "goproxytrace")
	m.PutStr(string(semconv.ServiceVersionKey), p.Version)
	m.PutStr(string(semconv.ServiceInstanceIDKey), p.State.Instance)
	for name, value := range p.Resource {
		m.PutStr(name, value)
	}
}
