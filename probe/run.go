package probe

import (
	"context"
	"net/url"
	"time"
)

// Runner makes the attempts.
type Runner struct{ o Options }

// New makes a Runner.
func New(o Options) *Runner {
	o.fill()
	return &Runner{o: o}
}

// Run makes all attempts, lookups first. Where ctx ends it returns at once
// with what is there.
func (r *Runner) Run(ctx context.Context) []*Attempt {
	found := r.play(ctx, newSchedule(&r.o, r.o.lookupLanes(), nil))
	return append(found, r.play(ctx, newSchedule(&r.o, r.o.connectionLanes(found), found))...)
}

func (r *Runner) play(ctx context.Context, s *schedule) (out []*Attempt) {
	for ctx.Err() == nil {
		st, wait, ok := s.next(r.o.Now())
		if !ok {
			return out
		}
		if !wait.Until.IsZero() {
			d := wait.Until.Sub(r.o.Now())
			if r.o.OnWait != nil && d > time.Second {
				r.o.OnWait(wait)
			}
			r.o.Sleep(d, ctx.Done())
			if ctx.Err() != nil {
				break
			}
			if wait.Residual {
				continue
			}
		}
		var a *Attempt
		if st.lane.isLookup() {
			a = r.lookup(ctx, st.lane.Lane, st.arm)
		} else {
			a = r.connection(ctx, st.lane.Lane, st.arm)
		}
		s.done(st.lane, a)
		out = append(out, a)
		if r.o.OnAttempt != nil {
			r.o.OnAttempt(a)
		}
	}
	return out
}

// proxy is the configured proxy of a host.
func (r *Runner) proxy(l *Lane) *url.URL { return r.o.ProxyFor(l.Host, l.Port) }
