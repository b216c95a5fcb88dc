package push

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"goproxytrace/fleet/otlp"
	"goproxytrace/fleet/spans"
)

// Pusher sends cases one after the other.
type Pusher struct {
	Sender *otlp.Sender
	State  *State
	// Resource are attributes of the resource that all spans and counters are
	// of (OTEL_RESOURCE_ATTRIBUTES); what a case says of its host comes
	// before them.
	Resource map[string]string
	// Version is this program's.
	Version string
	// NoMetrics sends traces alone. The counters are kept all the same.
	NoMetrics bool
	// Again sends cases again of which the endpoint refused something.
	Again bool
	// Every is how often counters are sent while cases come, zero for
	// metricsEvery.
	Every time.Duration
	// Warn is called with what has to be known: what was refused, and why.
	Warn func(error)

	Stats Stats

	sentMetrics time.Time
	dirty       bool
	noMetrics   bool // the endpoint takes none
}

// Stats count what became of cases and spans.
type Stats struct {
	// Cases were acknowledged now, Known before; of RefusedBefore among those
	// the endpoint then refused something. Refused lost spans or all;
	// Superseded were left out for others that tell more.
	Cases, Known, RefusedBefore, Refused, Superseded int
	// Spans were acknowledged, Lost were refused.
	Spans, Lost int64
	// Unreadable counts files and lines that hold no case.
	Unreadable int
}

// Case is a case to send.
type Case struct {
	spans.Case
	// Name is what people call it: a file, a line of one.
	Name string
	// Recorder is the identifier that a flight recorder gave it, Completes
	// that of an earlier case about the same build; "" for none.
	Recorder, Completes string
	// Provisional is true where a later case may complete it.
	Provisional bool
}

// maxRequest is how many bytes of spans go into one request, a quarter of what
// a collector's gRPC receiver takes.
const maxRequest = 1 << 20

// Push sends a case unless it was sent already. Its error says that nothing more
// can be sent: the case is then not recorded as sent. What concerns this case
// alone goes to Warn.
func (p *Pusher) Push(ctx context.Context, c *Case) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r, err := p.State.Case(c.ID)
	if err != nil {
		return err
	}
	if r.Done != nil && !(p.Again && r.Refused > 0) {
		p.Stats.Known++
		if r.Refused > 0 {
			p.Stats.RefusedBefore++
		}
		return nil
	}
	counted := r.Done != nil
	if r.Done != nil || r.Version != p.Version {
		r = Record{Version: p.Version} // other versions may make other parts
	}
	plan, err := spans.New(c.Case)
	if err != nil {
		p.Stats.Unreadable++
		p.warn(fmt.Errorf("%s: %w", c.Name, err))
		return nil
	}
	if err := p.parts(ctx, c, plan, &r); err != nil {
		return err
	}
	now := time.Now().UTC()
	r.Done = &now
	add := plan.Counts()
	if counted {
		add = nil
	}
	if c.Provisional {
		r.Counts = add
	}
	if add, err = p.beyond(c, add); err != nil {
		return err
	}
	if err := p.State.Save(c.ID, c.Recorder, r, add); err != nil {
		return fmt.Errorf("%s was sent, which could not be recorded: it will be sent again, with the same identifiers: %w", c.Name, err)
	}
	p.dirty = p.dirty || len(add) > 0
	if r.Refused > 0 {
		p.Stats.Refused++
	} else {
		p.Stats.Cases++
	}
	return p.metricsNow(ctx, p.every())
}

// beyond takes from counts what the case that c completes has added to them.
func (p *Pusher) beyond(c *Case, add map[string]uint64) (map[string]uint64, error) {
	if c.Completes == "" {
		return add, nil
	}
	id, err := p.State.Recorded(c.Completes)
	if err != nil || id == "" {
		return add, err
	}
	earlier, err := p.State.Case(id)
	if err != nil {
		return nil, err
	}
	out := map[string]uint64{}
	for k, n := range add {
		if have := earlier.Counts[k]; n > have {
			out[k] = n - have
		}
	}
	return out, nil
}

// Supersede records a case that is not sent since another one tells the same, and
// more.
func (p *Pusher) Supersede(c *Case) error {
	r, err := p.State.Case(c.ID)
	if err != nil || r.Done != nil {
		return err
	}
	now := time.Now().UTC()
	r.Done, r.Superseded = &now, true
	p.Stats.Superseded++
	return p.State.Save(c.ID, c.Recorder, r, nil)
}

// parts sends the parts of a case that are not acknowledged yet.
func (p *Pusher) parts(ctx context.Context, c *Case, plan *spans.Plan, r *Record) error {
	var batch []ptrace.SpanSlice
	size, n := 0, 0
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		if err := p.send(ctx, c, plan, batch, r); err != nil {
			return err
		}
		r.Parts = n
		batch, size = batch[:0], 0
		return nil
	}
	done := r.Parts
	for part, err := range plan.Parts() {
		if err != nil {
			p.Stats.Unreadable++
			p.warn(fmt.Errorf("%s: %w", c.Name, err))
			break
		}
		if n++; n <= done {
			continue
		}
		bytes := sizeOf(part)
		if size+bytes > maxRequest && size > 0 {
			n--
			if err := flush(); err != nil {
				return err
			}
			// A long case is recorded as far as it has come.
			if err := p.State.Save(c.ID, "", *r, nil); err != nil {
				return fmt.Errorf("%s: %w", c.Name, err)
			}
			n++
		}
		batch, size = append(batch, part), size+bytes
	}
	return flush()
}

func sizeOf(s ptrace.SpanSlice) (n int) {
	var m ptrace.ProtoMarshaler
	for _, span := range s.All() {
		n += m.SpanSize(span)
	}
	return n
}

// send sends parts in one request, or in several where the endpoint takes none so
// large.
func (p *Pusher) send(ctx context.Context, c *Case, plan *spans.Plan, batch []ptrace.SpanSlice, r *Record) error {
	td := p.request(plan, batch)
	rejected, err := p.Sender.Send(ctx, func(ctx context.Context, client otlp.Client) (otlp.Rejection, error) {
		return client.Traces(ctx, td)
	})
	total := int64(td.SpanCount())
	var f *otlp.Failure
	switch {
	case err == nil:
		lost := min(max(rejected.Items, 0), total)
		p.Stats.Spans += total - lost
		if lost > 0 {
			p.refused(c, r, lost, rejected.String())
		} else if rejected.Message != "" {
			p.warn(fmt.Errorf("%s: the endpoint says: %s", c.Name, rejected))
		}
		return nil
	case !errors.As(err, &f):
		return err
	case f.Kind == otlp.TooLarge && len(batch) > 1:
		half := len(batch) / 2
		if err := p.send(ctx, c, plan, batch[:half], r); err != nil {
			return err
		}
		return p.send(ctx, c, plan, batch[half:], r)
	case f.Kind == otlp.TooLarge || f.Kind == otlp.Refused:
		p.refused(c, r, total, f.Error())
		return nil
	}
	return f
}

func (p *Pusher) refused(c *Case, r *Record, n int64, why string) {
	r.Refused += n
	r.Reason = why
	p.Stats.Lost += n
	p.warn(fmt.Errorf("%s: the endpoint does not take %d spans: %s", c.Name, n, why))
}

func (p *Pusher) warn(err error) {
	if p.Warn != nil {
		p.Warn(err)
	}
}

// request makes a request of parts, which stay as they are.
func (p *Pusher) request(plan *spans.Plan, batch []ptrace.SpanSlice) ptrace.Traces {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.SetSchemaUrl(spans.Schema)
	p.resource(rs.Resource().Attributes())
	plan.Resource(rs.Resource().Attributes())
	ss := rs.ScopeSpans().AppendEmpty()
	ss.SetSchemaUrl(spans.Schema)
	ss.Scope().SetName(scope)
	ss.Scope().SetVersion(p.Version)
	for _, part := range batch {
		for _, s := range part.All() {
			s.CopyTo(ss.Spans().AppendEmpty())
		}
	}
	return td
}

// scope names what makes the spans and counters.
const scope = "goproxytrace/fleet/push"
