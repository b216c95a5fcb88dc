package spans

import (
	"cmp"
	"net/netip"

	"go.opentelemetry.io/collector/pdata/ptrace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// lookupPlace is where a lookup stands: in the first trace of its owner.
func (b *Plan) lookupPlace(i int) place {
	return place{b.trace(b.lookups[i], 0), b.ids.span("lookup", int64(i))}
}

// lookup makes the span of a lookup. One without an answer lasted an unknown
// time: its span has no length.
func (b *Plan) lookup(i int) ptrace.SpanSlice {
	out := ptrace.NewSpanSlice()
	l := &b.c.Document.Lookups[i]
	o := b.lookups[i]
	from := l.Start
	if from.IsZero() { // of a report that does not say it
		from = o.span().first
	}
	if from.IsZero() {
		from, _ = b.during()
	}
	end := after(from, fromMS(l.MS))
	name := l.Name
	s := b.span(out, "DNS lookup "+name, ptrace.SpanKindClient, b.lookupPlace(i), b.root(o, 0).span, from, end)
	a := attrs{s.Attributes()}
	a.str(keyStage, "dns")
	a.PutBool(keyCompleted, l.MS != nil)
	a.str(key(semconv.DNSQuestionNameKey), name)
	a.list(key(semconv.DNSAnswersKey), l.Answers)
	a.str(keyQuestionType, l.Type)
	a.str(keyRCode, l.RCode)
	server := l.Server
	if to, err := netip.ParseAddrPort(server); err == nil {
		a.str(key(semconv.ServerAddressKey), to.Addr().String())
		a.int(key(semconv.ServerPortKey), int64(to.Port()))
		a.str(key(semconv.NetworkPeerAddressKey), to.Addr().String())
		a.int(key(semconv.NetworkPeerPortKey), int64(to.Port()))
	} else {
		a.str(key(semconv.ServerAddressKey), server)
	}
	if from, err := netip.ParseAddrPort(l.Client); err == nil {
		a.str(key(semconv.NetworkLocalAddressKey), from.Addr().String())
	}
	if len(l.Frames) > 0 {
		a.int(keyFirstFrame, l.Frames[0])
		a.int(keyLastFrame, l.Frames[len(l.Frames)-1])
	}
	b.judged(s, &l.Verdict, end)
	return out
}

// attempt makes the span of an attempt to connect of which the capture holds no
// packet.
func (b *Plan) attempt(i int) ptrace.SpanSlice {
	out := ptrace.NewSpanSlice()
	t := &b.c.Document.Attempts[i]
	o := b.attempts[i]
	end := t.Time
	if t.Ended != nil {
		end = *t.Ended
	}
	target, name := t.Target, t.Host
	s := b.span(out, "attempt", ptrace.SpanKindClient, place{b.trace(o, 0), b.ids.span("attempt", int64(i))}, b.root(o, 0).span, t.Time, end)
	a := attrs{s.Attributes()}
	a.str(keyStage, "connect")
	a.PutBool(keyCompleted, false)
	if to, err := netip.ParseAddrPort(target); err == nil {
		a.str(key(semconv.NetworkTransportKey), "tcp")
		a.str(key(semconv.NetworkPeerAddressKey), to.Addr().String())
		a.int(key(semconv.NetworkPeerPortKey), int64(to.Port()))
		a.str(key(semconv.NetworkTypeKey), family(to.Addr()))
		a.int(key(semconv.ServerPortKey), int64(to.Port()))
		name = cmp.Or(name, to.Addr().String())
	}
	a.str(key(semconv.ServerAddressKey), name)
	if t.PID != nil {
		a.int(key(semconv.ProcessPIDKey), int64(*t.PID))
	}
	a.str(key(semconv.ProcessExecutableNameKey), t.Name)
	a.str(keyAttempt, t.Source)
	a.str(keyAttemptError, t.Error)
	a.positive(keyFirstFrame, t.Frame)
	b.judged(s, &t.Verdict, end)
	return out
}
