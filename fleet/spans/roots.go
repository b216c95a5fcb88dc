package spans

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// trace returns the trace of an owner, its first part from 0.
func (b *Plan) trace(o owner, part int) pcommon.TraceID {
	if o.process != nil {
		return b.ids.trace("process", int64(o.process.top.id.PID), int64(part))
	}
	return b.ids.trace("exchange", o.exchange.number, int64(part))
}

// root returns where the span stands that is above what an owner has.
func (b *Plan) root(o owner, part int) place {
	if o.process != nil {
		return place{b.trace(o, part), b.ids.span("process", int64(o.process.id.PID), int64(part))}
	}
	return place{b.trace(o, part), b.ids.span("exchange", o.exchange.number, int64(part))}
}

// whole is where the span of the case stands.
func (b *Plan) whole() place { return place{b.ids.trace("case"), b.ids.span("case")} }

func (b *Plan) span(to ptrace.SpanSlice, name string, kind ptrace.SpanKind, at place, parent pcommon.SpanID, from, until time.Time) ptrace.Span {
	s := to.AppendEmpty()
	s.SetName(text(name))
	s.SetKind(kind)
	s.SetTraceID(at.trace)
	s.SetSpanID(at.span)
	s.SetParentSpanID(parent)
	s.SetFlags(1) // sampled (W3C Trace Context)
	s.SetStartTimestamp(stamp(from))
	s.SetEndTimestamp(max(stamp(until), stamp(from)))
	s.Attributes().PutStr(keyCase, text(b.c.ID))
	return s
}

func link(s ptrace.Span, to place) {
	l := s.Links().AppendEmpty()
	l.SetTraceID(to.trace)
	l.SetSpanID(to.span)
	l.SetFlags(1)
}

// roots returns what makes the spans that others are below.
func (b *Plan) roots() (list []func() ptrace.SpanSlice) {
	list = append(list, b.caseSpan)
	for _, p := range b.processes.order {
		for part := range p.top.parts() {
			list = append(list, func() ptrace.SpanSlice { return b.processSpan(p, part) })
		}
	}
	for _, e := range b.exchanges.order {
		for part := range e.parts() {
			list = append(list, func() ptrace.SpanSlice { return b.exchangeSpan(e, part) })
		}
	}
	return list
}

// caseSpan is the span of the whole capture. A capture without a time has none.
func (b *Plan) caseSpan() ptrace.SpanSlice {
	out := ptrace.NewSpanSlice()
	d := b.c.Document
	first, last := b.during()
	if first.IsZero() {
		return out
	}
	s := b.span(out, "capture", ptrace.SpanKindInternal, b.whole(), pcommon.SpanID{}, first, last)
	a := attrs{s.Attributes()}
	a.str(keyFile, d.Capture.File)
	a.str(keyFormat, d.Capture.Format)
	a.int(keyPackets, d.Capture.Packets)
	if n := d.Capture.Dropped; n != nil {
		a.uint(keyDropped, *n)
	}
	if n := d.Capture.TruncatedAt; n != nil {
		a.int(keyTruncated, *n)
	}
	var health []string
	for i := range d.Capture.Health {
		health = append(health, d.Capture.Health[i].ID)
	}
	a.list(keyHealth, health)
	a.int(keyConnections, int64(d.Connections))
	a.PutBool(keyRedacted, d.Pseudonyms)
	a.str(keyTool, d.Version)
	a.str(keyGoVersion, d.GoVersion)
	b.judged(s, &d.Verdict, last)
	if b.subject.trace != (pcommon.TraceID{}) {
		link(s, b.subject)
	}
	for _, p := range b.processes.order {
		if p.top == p && s.Links().Len() < maxLinks {
			link(s, b.root(owner{process: p}, 0))
		}
	}
	for _, e := range b.exchanges.order {
		if s.Links().Len() < maxLinks {
			link(s, b.root(owner{exchange: e}, 0))
		}
	}
	return out
}

// during is when the capture was made, as far as that is known.
func (b *Plan) during() (first, last time.Time) {
	var all span
	c := &b.c.Document.Capture
	if c.Start != nil {
		all.cover(*c.Start, *c.Start)
	}
	if c.End != nil {
		all.cover(*c.End, *c.End)
	}
	if all.first.IsZero() {
		for _, p := range b.processes.order {
			all.cover(p.first, p.last)
		}
		for _, e := range b.exchanges.order {
			all.cover(e.first, e.last)
		}
	}
	return all.first, all.last
}

// processSpan is the span of a process in one trace of its top.
func (b *Plan) processSpan(p *process, part int) ptrace.SpanSlice {
	out := ptrace.NewSpanSlice()
	from, until := p.first, p.last
	if from.IsZero() {
		from, until = b.during()
	}
	if from.IsZero() {
		return out
	}
	o := owner{process: p}
	at := b.root(o, part)
	var parent pcommon.SpanID
	if p.top != p {
		parent = b.root(owner{process: p.top}, part).span
	}
	name := p.id.Name
	if name == "" {
		name = "process"
	}
	s := b.span(out, name, ptrace.SpanKindInternal, at, parent, from, until)
	a := attrs{s.Attributes()}
	a.int(key(semconv.ProcessPIDKey), int64(p.id.PID))
	a.str(key(semconv.ProcessExecutableNameKey), p.id.Name)
	a.str(key(semconv.ProcessCommandLineKey), p.id.Command)
	a.str(keySource, p.id.Source)
	a.str(keyConfidence, p.id.Confidence)
	a.positive(keyGoCommand, int64(p.id.GoCommand))
	if l := p.listed; l != nil {
		a.positive(key(semconv.ProcessParentPIDKey), int64(l.Parent))
		if l.Exit != nil {
			a.int(key(semconv.ProcessExitCodeKey), int64(*l.Exit))
		}
		b.judged(s, &l.Verdict, until)
	}
	b.parts(s, &p.top.span, part, o, p.top == p)
	return out
}

// exchangeSpan is the span above what one client and one host said to each other.
func (b *Plan) exchangeSpan(e *exchange, part int) ptrace.SpanSlice {
	out := ptrace.NewSpanSlice()
	from, until := e.first, e.last
	if from.IsZero() {
		from, until = b.during()
	}
	if from.IsZero() {
		return out
	}
	o := owner{exchange: e}
	host := e.host
	s := b.span(out, "connections to "+host, ptrace.SpanKindInternal, b.root(o, part), pcommon.SpanID{}, from, until)
	a := attrs{s.Attributes()}
	a.str(key(semconv.ServerAddressKey), host)
	a.str(key(semconv.NetworkLocalAddressKey), e.client)
	b.parts(s, &e.span, part, o, true)
	return out
}

// parts says of a root which of the traces it is in.
func (b *Plan) parts(s ptrace.Span, all *span, part int, o owner, top bool) {
	a := attrs{s.Attributes()}
	if top {
		a.int(keyConnections, int64(min(all.connections-part*perTrace, perTrace)))
		link(s, b.whole())
	}
	if all.parts() > 1 {
		a.int(keyPart, int64(part+1))
		if part > 0 {
			link(s, b.root(o, 0))
		}
	}
}
