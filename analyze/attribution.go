package analyze

import (
	"fmt"

	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/capture/hostlog"
)

// maxSources bounds the processes whose best source is remembered.
const maxSources = 64 << 10

// ownership is whose one end of a connection is.
type ownership struct {
	pid    uint32
	at     int64
	source hostlog.Source
	// grade is that of an annotation, zero for other sources.
	grade decode.OwnerGrade
	// effective is the process on whose behalf this one acts, zero for none.
	effective uint32
	others    []*claim
	// program is nil where nothing tells more than the number; command is
	// the go command that it is or works for, nil for none.
	program, command *program
}

// claimedBy returns who owns an end of a connection by the records of the host.
func (p *pipeline) claimedBy(c *tcpflow.Conn, e tcpflow.Endpoint) (o ownership, ok bool) {
	best, others := p.owners.find(c, e)
	if best == nil {
		return o, false
	}
	o = ownership{pid: best.pid, at: best.at, source: best.source, others: others}
	p.identify(&o)
	return o, true
}

// identify adds what is known of the process.
func (p *pipeline) identify(o *ownership) {
	if o.program = p.processes.at(o.pid, o.at); o.program != nil {
		o.command = p.processes.command(o.program)
	}
	if o.effective == 0 || o.command != nil {
		return
	}
	if q := p.processes.at(o.effective, o.at); q != nil {
		o.command = p.processes.command(q)
		if o.program == nil && o.command != nil {
			// No more than its number is known of the process itself.
			o.program = &program{life: &life{pid: o.pid}, at: o.at}
		}
	}
}

// confidence says in a word how much the source is worth.
func (o *ownership) confidence() string {
	switch o.grade {
	case decode.OwnerExact:
		return "exact"
	case decode.OwnerStrong:
		return "strong"
	case decode.OwnerWeak:
		return "weak"
	}
	return confidence(o.source)
}

// origin is where it is known from who a process is.
type origin struct {
	source     hostlog.Source
	confidence string
}

// attribute finds the owners of both ends of a connection, and tells f of the
// client's.
func (p *pipeline) attribute(f *diagnose.Flow) (client, server *Process) {
	c := f.Conn
	if p.claimed && !c.ClientKnown {
		p.roles(c)
	}
	named, other := p.annotated.of(c)
	o, ok := p.claimedBy(c, c.ClientEnd())
	switch {
	case ok:
		if named != nil && named.Grade > decode.OwnerWeak && named.PID != o.pid {
			o.others = append(o.others, &claim{pid: named.PID, source: hostlog.Annotation})
		}
		c.ProcessID = o.pid
	case f.Socket != nil && f.Socket.Last.PID != 0 && (named == nil || named.Grade == decode.OwnerWeak):
		o = ownership{pid: f.Socket.Last.PID, at: f.Socket.Last.Time, source: hostlog.SocketTable}
		p.identify(&o)
		c.ProcessID = o.pid
		ok = true
	case named != nil && named.Grade == decode.OwnerWeak:
		// Not enough to judge connections together by.
		o = p.annotatedOwner(c, named)
		client = p.processOf(&o)
	case named != nil:
		o = p.annotatedOwner(c, named)
		c.ProcessID = o.pid
		ok = true
	}
	if ok {
		client = p.processOf(&o)
		f.Owner, f.ProcessName, f.ProcessText, f.GoCommand = p.ownerOf(&o)
		f.Outside = p.outside(o.program)
	}
	if s, ok := p.claimedBy(c, c.ServerEnd()); ok {
		server = p.processOf(&s)
	} else if other != nil {
		s := p.annotatedOwner(c, other)
		server = p.processOf(&s)
	}
	return client, server
}

// ownerOf tells of an owner as package diagnose needs it. What works for a go
// command counts as the go command that started it.
func (p *pipeline) ownerOf(o *ownership) (key uint32, name, text string, isGo bool) {
	defer func() {
		have, known := p.sources[key]
		if !known && len(p.sources) < maxSources || known && rank(o.source) > rank(have.source) {
			p.sources[key] = origin{o.source, o.confidence()}
		}
	}()
	if o.program == nil {
		if rank(o.source) > rank(hostlog.Annotation) {
			text = fmt.Sprintf("PID %d", o.pid)
		}
		return o.pid, "", text, false
	}
	if o.command == nil {
		return p.processes.keyOf(o.program.life), o.program.name, p.processes.words(o.program), false
	}
	text = p.processes.words(o.command)
	if o.command.life != o.program.life {
		text += ", by " + o.program.who()
	}
	return p.processes.keyOf(o.command.life), o.program.name, text, true
}

// processOf makes the record of an owner.
func (p *pipeline) processOf(o *ownership) *Process {
	out := &Process{PID: o.pid, Source: string(o.source), Confidence: o.confidence(), EffectivePID: o.effective}
	if o.program != nil {
		out.Name, out.Command = o.program.name, o.program.command
	}
	if o.command != nil && o.command.life != o.program.life {
		out.GoCommand = o.command.pid
	}
	for _, m := range o.others {
		out.Contradicted = append(out.Contradicted, OtherOwner{PID: m.pid, Source: string(m.source)})
	}
	return out
}

// roles takes from claims which end of a connection is the client, where no
// packet told.
func (p *pipeline) roles(c *tcpflow.Conn) {
	for m := range p.owners.of(tupleOf(c.End[0], c.End[1])) {
		if rank(m.source) < rank(hostlog.SystemCall) || !m.fits(c) {
			continue // a table does not tell who began
		}
		client := uint8(0)
		if (m.local == c.End[0]) == m.server {
			client = 1
		}
		c.ClientDir, c.ClientKnown = client, true
		return
	}
}
