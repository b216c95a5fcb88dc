package analyze

import (
	"cmp"
	"slices"
	"strings"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/analyze/goproxy"
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/capture"
	"goproxytrace/capture/hostlog"
)

// Bounds on records of blocked connections, which may be hostile.
const (
	maxBlocks  = 16 << 10
	maxMatches = 4 // told of one connection
)

// logClock is how far the clock of an event log and that of the capture may lie
// apart, in ns: both are the system's, but Windows' capture drivers count on
// from a reading of their own.
const logClock = int64(2e9)

// block is a record of a blocked connection.
type block struct {
	*hostlog.Block
	local, remote tcpflow.Endpoint
	program       string // base name of the executable
	frame         int64
	told          diagnose.Block // but for Ends
	// joined is true where it is about a connection of the capture, or an
	// attempt.
	joined bool
}

// blocks are those that the host told of, by what joins them to connections.
type blocks struct {
	list    []*block
	byTuple map[tuple][]*block
	byPeer  map[tcpflow.Endpoint][]*block // the local port is not known
	byHost  map[string][]*block           // the remote address is not known
	// byRemote are all whose remote end is known.
	byRemote map[tcpflow.Endpoint][]*block
}

func (t *blocks) add(r *hostlog.Block, frame int64) {
	if len(t.list) >= maxBlocks {
		return
	}
	b := &block{Block: r, local: endOf(r.Local), remote: endOf(r.Remote), program: programName(r.Path), frame: frame}
	b.tell()
	if t.byTuple == nil {
		t.byTuple, t.byHost = make(map[tuple][]*block), make(map[string][]*block)
		t.byPeer, t.byRemote = make(map[tcpflow.Endpoint][]*block), make(map[tcpflow.Endpoint][]*block)
	}
	if r.Remote.Port() != 0 {
		t.byRemote[b.remote] = append(t.byRemote[b.remote], b)
	}
	switch {
	case r.Remote.Port() != 0 && r.Local.Port() != 0:
		key := tupleOf(b.local, b.remote)
		t.byTuple[key] = append(t.byTuple[key], b)
	case r.Remote.Port() != 0:
		t.byPeer[b.remote] = append(t.byPeer[b.remote], b)
	case r.Host != "":
		t.byHost[strings.ToLower(r.Host)] = append(t.byHost[strings.ToLower(r.Host)], b)
	default:
		return
	}
	t.list = append(t.list, b)
}

// programName returns the last part of a path of any system.
func programName(path string) string { return path[strings.LastIndexAny(path, `/\`)+1:] }

// sameProgram compares names as every system has them.
func sameProgram(a, b string) bool {
	p, q := program{name: a}, program{name: b}
	return p.plain() == q.plain()
}

// subject is what a record may be about.
type subject struct {
	local, remote tcpflow.Endpoint // the local port is zero where not known
	host          string
	first, last   int64 // Unix ns
	pid           uint32
	program       string // empty where unknown
}

// by reports whether a record can be of the subject's process. One that names
// neither its number nor its program does not contradict.
func (b *block) by(s *subject) bool {
	if b.PID != 0 && s.pid != 0 {
		return b.PID == s.pid
	}
	return b.program == "" || s.program == "" || sameProgram(b.program, s.program)
}

// sameProcess reports whether a record names the subject's process.
func (b *block) sameProcess(s *subject) bool {
	return b.PID != 0 && b.PID == s.pid || b.program != "" && sameProgram(b.program, s.program)
}

// unsentLife is how long a connection may go on, in ns, whose packets this host
// drops before they can be captured: TCP repeats them for 100 s at least (RFC
// 9293, section 3.8.3).
const unsentLife = int64(100e9)

// within reports whether a record is of the subject's time. What the kernel
// dropped of the very process's connection may come after its last packet that
// left.
func (b *block) within(s *subject) bool {
	late := logClock
	if b.Packets > 0 && b.Segment != hostlog.SegmentSYN && b.PID != 0 && b.PID == s.pid {
		late = unsentLife
	}
	return max(b.Time, b.Until) >= s.first-logClock && b.Time <= s.last+late
}

// of returns the records on a subject: those with its own ends first, then those
// of its process to the same end, then those of its process to the same host.
// Where nothing tells whose the subject is, a record that names no ports must be
// of the go command or what works for it.
func (t *blocks) of(s *subject) (found []diagnose.Block) {
	take := func(list []*block, ends bool, fits func(*block) bool) {
		for _, b := range list {
			if (len(found) < maxMatches || b.Packets > 0) && b.within(s) && b.by(s) && fits(b) {
				b.joined = true
				found = b.addTo(found, ends)
			}
		}
	}
	if s.local.Port != 0 {
		take(t.byTuple[tupleOf(s.local, s.remote)], true, func(*block) bool { return true })
	}
	take(t.byPeer[s.remote], true, func(b *block) bool { return b.sameProcess(s) })
	if s.host != "" {
		take(t.byHost[strings.ToLower(strings.TrimSuffix(s.host, "."))], false, func(b *block) bool {
			return b.sameProcess(s) || s.program == "" && s.pid == 0 && downloads(b.program)
		})
	}
	return found
}

// downloads reports whether a program is the go command, or one that works for
// it.
func downloads(name string) bool {
	p := program{name: name}
	return p.isGo() || goproxy.Child(p.plain()) || strings.HasPrefix(p.plain(), "git-")
}

// addTo adds what the record tells to what others tell of the same subject.
// Records that count packets come again and again: those that differ in nothing
// else become one.
func (b *block) addTo(found []diagnose.Block, ends bool) []diagnose.Block {
	told := b.told
	told.Ends = ends
	if told.Packets > 0 {
		for i := range found {
			f := &found[i]
			if same := told; f.Packets > 0 {
				same.Packets, same.Time, same.Last, same.Frame = f.Packets, f.Time, f.Last, f.Frame
				if same == *f {
					f.Packets, f.Last = f.Packets+told.Packets, max(f.Last, told.Last)
					return found
				}
			}
		}
	}
	if len(found) >= maxMatches {
		return found
	}
	return append(found, told)
}

// tell makes what is told of the record: once, since a flood of records may be
// about each of a flood of attempts.
func (b *block) tell() {
	last := int64(0)
	if b.Packets > 0 {
		last = max(b.Time, b.Until)
	}
	b.told = diagnose.Block{
		Packets: int64(b.Packets), Segment: b.Segment, Last: last,
		Enforced: b.Action == hostlog.Blocked, Inbound: b.Inbound, Time: b.Time, Frame: b.frame,
		Origin: clipped(b.Origin, maxProcessName), Rule: clipped(b.Rule, maxEventText), Provider: clipped(b.Provider, maxEventText),
		Layer: clipped(b.Layer, maxProcessName), Program: clipped(b.program, maxProcessName),
	}
}

// blocksOf returns the host's records on a connection with an owner.
func (p *pipeline) blocksOf(f *diagnose.Flow, owner *Process) []diagnose.Block {
	if len(p.blocks.list) == 0 {
		return nil
	}
	c := f.Conn
	s := subject{local: c.ClientEnd(), remote: c.ServerEnd(), host: f.ServerName, first: c.Start.Time, last: c.Last.Time}
	if owner != nil {
		s.pid, s.program = owner.PID, owner.Name
	}
	return p.blocks.of(&s)
}

// blocksOn returns the host's records on an attempt.
func (p *pipeline) blocksOn(a *attempt, name string, who *program) []diagnose.Block {
	if len(p.blocks.list) == 0 {
		return nil
	}
	s := subject{local: a.local, remote: a.remote, host: name, first: a.Time, last: p.until(a), pid: a.PID}
	if who != nil {
		s.program = who.name
	}
	found := p.blocks.of(&s)
	if s.local.Port == 0 {
		// The kernel had not chosen the port when the attempt was recorded.
		for _, b := range p.blocks.byRemote[a.remote] {
			if b.within(&s) && b.sameProcess(&s) && (len(found) < maxMatches || b.Packets > 0) {
				b.joined = true
				found = b.addTo(found, true)
			}
		}
	}
	return found
}

// blockedAttempts makes attempts of records that nothing in the capture is about:
// the go command, or what works for it, was to connect somewhere and was kept
// from it, so that no packet left.
func (p *pipeline) blockedAttempts() {
	known := make(map[tcpflow.Endpoint][]int)
	for i := range p.attempts.list {
		known[p.attempts.list[i].remote] = append(known[p.attempts.list[i].remote], i)
	}
	for _, b := range p.blocks.list {
		if b.joined || b.Inbound || b.Action != hostlog.Blocked || b.Remote.Port() == 0 || b.Segment != "" && b.Segment != hostlog.SegmentSYN {
			continue
		}
		if p.attempts.before(b) {
			continue
		}
		if !p.concerns(b) || slices.ContainsFunc(known[b.remote], func(i int) bool { return p.isOf(b, &p.attempts.list[i]) }) {
			continue
		}
		n, ended := len(p.attempts.list), b.Time
		if b.Packets > 0 {
			ended = 0 // the kernel tells of packets, and not of what became of the rest
		}
		p.attempts.add(&hostlog.Attempt{
			Time: b.Time, Ended: ended, PID: b.PID, Local: b.Local, Remote: b.Remote, Source: hostlog.EventLog,
		}, b.frame)
		if n < len(p.attempts.list) {
			known[b.remote] = append(known[b.remote], n)
		}
	}
}

// nameByBlock names the program of an attempt by a record that knows it.
func nameByBlock(d *diagnose.Attempt) {
	for i := range d.Blocks {
		if name := d.Blocks[i].Program; name != "" {
			d.ProcessName, d.ProcessText, d.GoCommand = name, cmp.Or(d.ProcessText, name), downloads(name)
			return
		}
	}
}

// until is how long an attempt went on: to the end of the capture where nothing
// tells otherwise, and where what it is about can be told from other attempts.
func (p *pipeline) until(a *attempt) int64 {
	if a.Ended == 0 && a.local.Port != 0 {
		return max(a.Time, p.env.End)
	}
	return max(a.Time, a.Ended)
}

// isOf reports whether a record with the same remote end is about an attempt.
func (p *pipeline) isOf(b *block, a *attempt) bool {
	s := subject{first: a.Time, last: p.until(a), pid: a.PID}
	return (a.local.Port == 0 || b.local.Port == 0 || a.local == b.local) && b.within(&s) && b.by(&s)
}

// concerns reports whether a record is about the go command: its own program or
// one that works for it, by the record or by what is known of the process. One
// without a program concerns it where its far end is a host that was looked for.
func (p *pipeline) concerns(b *block) bool {
	if b.program != "" && downloads(b.program) {
		return true
	}
	if b.PID != 0 {
		if q := p.processes.at(b.PID, b.Time); q != nil {
			return p.processes.command(q) != nil
		}
	}
	return b.program == "" && (p.isTarget(p.names[b.remote.Addr]) || p.isTarget(b.Host))
}

// listBlocks lists the records that are about a connection of the capture or
// about the go command; those of other programs are nobody's business here.
func (p *pipeline) listBlocks() {
	for _, b := range p.blocks.list {
		if b.joined || p.concerns(b) {
			p.event(Event{
				Time: capture.Timestamp(b.Time), Source: clipped(b.Origin, maxProcessName), Text: clipped(b.Message(), maxEventText),
				PID: b.PID, Frame: b.frame,
			})
		}
	}
}

// logged are the records of the host's own logs, which are no part of the
// capture, in order of time.
type logged struct {
	list []hostlog.Record
	next int
}

// tell takes the records up to a time, as far as they are of the capture's time.
// A process may have been started before.
func (p *pipeline) tell(until int64) {
	l := &p.logged
	if p.env.Start == 0 {
		return
	}
	for ; l.next < len(l.list) && l.list[l.next].When() <= until; l.next++ {
		r := l.list[l.next]
		started, ok := r.(*hostlog.Process)
		if r.When() >= p.env.Start-logClock || ok && started.Start != 0 {
			p.record(r, 0)
		}
	}
}
