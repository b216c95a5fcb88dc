package analyze

import (
	"context"
	"errors"
	"slices"
	"strings"

	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/analyze/dnswire"
	"goproxytrace/analyze/goproxy"
	"goproxytrace/analyze/segtrace"
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/analyze/tlswire"
	"goproxytrace/capture"
	"goproxytrace/capture/hostlog"
)

// Bounds on what a Result lists one by one.
const (
	maxUnanswered = 10_000 // unanswered connections; more are summed up by server
	maxSummed     = 4096   // servers in that sum
	maxLookups    = 10_000
	// maxFailedLookups is how many failed lookups are listed beyond that.
	maxFailedLookups = 10_000
	maxNames         = 16 << 10 // addresses with a name from a lookup
)

// Options narrows and directs an analysis. The zero value analyses everything.
type Options struct {
	// Targets are the host names of GOPROXY and GOSUMDB; connections to
	// them come first.
	Targets []string
	// Hosts and Ports narrow the view: only connections (and lookups) of
	// one of these hosts or addresses, and one of these ports, are told of.
	Hosts []string
	Ports []uint16
	// Settings are what the go command was told to talk to, SettingsFrom
	// says how that is known. Empty, nothing is explained from them.
	Settings     goproxy.Settings
	SettingsFrom goproxy.Source
	// GoOutput is what the go command printed, nil where unknown.
	GoOutput *goproxy.Output
	// Records are what the host's own logs say, which are no part of the
	// capture, in order of time (capture/hostevents). Those of another time
	// than the capture's are left out.
	Records []hostlog.Record
	// Trace keeps what the segments of all connections were, for
	// Result.Trace: about 60 bytes for each, in a temporary file.
	Trace bool
	// OneByOne reads, decodes and analyses each batch before the next. It
	// takes longer than doing all at once and costs less: for a source that
	// is waited for, such as a live capture.
	OneByOne bool
	// Progress is called at most four times a second with the bytes read
	// and the input's size (zero where unknown).
	Progress func(read, total int64)
	// Observe is called from within Run at most four times a second with
	// what is known so far. The View is valid during the call.
	Observe func(*View)
}

// Run analyses src to its end. The Result is complete in itself also where
// src is damaged (Result.Damage says where) and where ctx was cancelled (Run
// then returns ctx's error with it). The caller closes the Result.
func Run(ctx context.Context, src capture.Source, o Options) (*Result, error) {
	p := newPipeline(o)
	d := decode.New()
	err := forEachBatch(ctx, src, d, &o, p.batch)
	var damage *capture.DamageError
	p.env.Damaged = errors.As(err, &damage)
	r := p.finish(src.Info(), d)
	if damage != nil {
		r.Damage = damage
		r.Capture.TruncatedAt = damage.Offset
		err = nil
	}
	return r, err
}

// pipeline is one analysis under way. It is the connection table's handler.
type pipeline struct {
	opts    Options
	table   *tcpflow.Table
	lookups dnswire.Tracker
	certs   tlswire.Cache
	agg     diagnose.Aggregator
	health  health
	env     diagnose.Env
	names   addressNames
	took    map[decode.Addr]int64 // time of the lookup that yielded an address, ns
	addrs   map[decode.Addr]*diagnose.AddressFacts
	hosts   map[decode.Addr]*diagnose.HostFacts // by client address
	result  *Result
	summed  map[tcpflow.Endpoint]*Unanswered
	silent  int
	hidden  int64 // connections and lookups that Options.Hosts and Ports leave out
	goView  goView
	// remarks are the live capture's own.
	remarks []string
	// named and others are the clients of the hosts that were looked for, and
	// of all other TLS servers.
	named, others diagnose.Senders
	// What the host itself said, by journal entries of the capture.
	owners    owners
	processes processes
	subjects  []*hostlog.Subject
	attempts  attempts
	sockets   sockets
	blocks    blocks
	logged    logged
	hosted    bool // there are any
	claimed   bool // there are claims
	annotated annotated
	// sources are the best sources by which processes are known, by the keys
	// that verdicts have for them.
	sources  map[uint32]origin
	syns     ports           // of segments with SYN
	observer *observer       // nil for none
	spool    *segtrace.Spool // nil for none
}

func newPipeline(o Options) *pipeline {
	p := &pipeline{
		opts:    o,
		names:   make(addressNames),
		took:    make(map[decode.Addr]int64),
		addrs:   make(map[decode.Addr]*diagnose.AddressFacts),
		hosts:   make(map[decode.Addr]*diagnose.HostFacts),
		summed:  make(map[tcpflow.Endpoint]*Unanswered),
		sources: make(map[uint32]origin),
		result:  &Result{Connections: NewStore(), Targets: o.Targets, Subject: -1, SubjectLookup: -1},
	}
	p.logged.list, p.hosted = o.Records, len(o.Records) > 0
	p.goView = newGoView(&o)
	p.table = tcpflow.NewTable(p, tcpflow.Options{})
	p.lookups.Done = p.lookup
	p.env.Host = func(a decode.Addr) *diagnose.HostFacts { return p.hosts[a] }
	p.env.Address = func(a decode.Addr) *diagnose.AddressFacts { return p.addrs[a] }
	p.env.Owner = p.processes.name
	if o.Trace {
		p.spool = segtrace.NewSpool()
		p.result.Trace = p.spool
	}
	if o.Observe != nil {
		p.observer = newObserver(p, o.Observe)
	}
	return p
}

// batch takes the segments of one batch in file order.
func (p *pipeline) batch(w *work) {
	if w.start != 0 && (p.env.Start == 0 || w.start < p.env.Start) {
		p.env.Start = w.start
	}
	p.env.End = max(p.env.End, w.end)
	p.tell(p.env.End + logClock)
	for i := range w.processes {
		p.processes.describe(&w.processes[i])
	}
	told := 0
	for i := range w.segments {
		s := &w.segments[i]
		for told < len(w.entries) && w.entries[told].at <= i {
			p.entry(&w.entries[told])
			told++
		}
		p.health.segment(s)
		if len(p.env.Breaks) != len(p.health.breaks) {
			p.env.Breaks = p.health.breaks
		}
		switch s.Proto {
		case decode.ProtoTCP:
			p.tcp(s)
		case decode.ProtoUDP:
			p.env.Heard = p.env.Heard || s.SrcPort == dnsPort && s.DstPort != dnsPort
			if s.DstPort == dnsPort {
				if h := p.host(s.Src); h != nil {
					h.Datagram(s)
				}
			}
			feedLookup(&p.lookups, s)
		case decode.ProtoICMP, decode.ProtoICMPv6:
			p.icmp(s)
		case decode.ProtoARP:
			if d := p.health.neighbours.segment(s); d > 0 {
				if h := p.host(s.Src); h != nil {
					h.Answered(d)
				}
			}
		}
	}
	for ; told < len(w.entries); told++ {
		p.entry(&w.entries[told])
	}
	if p.observer != nil {
		p.observer.batch(w)
	}
}

func (p *pipeline) tcp(s *decode.Segment) {
	p.health.segments++
	if p.health.jumpBy != 0 {
		if c, d := p.table.Lookup(s.Src, s.Dst, s.SrcPort, s.DstPort); c != nil {
			p.health.timestamps(s, c, d)
			p.env.ClockSteps = p.health.steps
		}
	}
	c, d, flags := p.table.Segment(s)
	if c == nil {
		return
	}
	if flags&tcpflow.ACKLostSegment != 0 && s.Flags&decode.RST == 0 {
		p.env.Unseen++ // what a reset acknowledges may be made up
	}
	if s.Owner.PID != 0 {
		p.annotated.add(c, d, s)
	}
	if s.Flags&decode.SYN != 0 {
		p.syns.add(s.SrcPort)
		p.syns.add(s.DstPort)
	}
	if p.observer != nil {
		p.observer.segment(c, s)
	}
	if p.spool != nil {
		p.trace(c, d, s, flags)
	}
	if !p.env.Heard && c.Half[0] != nil && c.Half[1] != nil && c.Half[0].Packets > 0 && c.Half[1].Packets > 0 {
		p.env.Heard = true
	}
}

// icmp joins an ICMP error to the connection or lookup it is about.
func (p *pipeline) icmp(s *decode.Segment) {
	if s.Quote == nil {
		return
	}
	p.env.Heard = p.env.Heard || s.Src != s.Quote.Src // this host's own errors are no answer
	if s.Quote.Proto == decode.ProtoUDP {
		p.unreachableLookup(s)
		return
	}
	c := p.table.ICMP(s)
	if c == nil && s.Quote.Proto == decode.ProtoTCP {
		p.strayICMP(s)
	}
	if c != nil && p.spool != nil {
		p.spool.ICMP(c.ID, segtrace.ICMP{Frame: s.Frame, Time: s.Time, TTL: s.TTL})
	}
}

// strayICMP takes an ICMP error about an attempt that no interface carried.
func (p *pipeline) strayICMP(s *decode.Segment) {
	q := s.Quote
	e := tcpflow.ICMPError{
		Point: tcpflow.Point{Frame: s.Frame, Time: s.Time}, From: s.Src, Type: s.ICMPType, Code: s.ICMPCode,
		IPVersion: s.IPVersion, TTL: s.TTL, Loopback: s.Loopback,
	}
	p.agg.StrayICMP(&e, tcpflow.Endpoint{Addr: q.Src, Port: q.SrcPort}, tcpflow.Endpoint{Addr: q.Dst, Port: q.DstPort}, s.Loopback)
}

// app returns the reader of a connection's payload, made on first use.
func (p *pipeline) app(c *tcpflow.Conn) *app {
	if a, ok := c.User.(*app); ok {
		return a
	}
	a := &app{tls: tlswire.New()}
	a.tls.Cache = &p.certs
	c.User = a
	if p.spool != nil {
		p.traceTLS(c, a)
	}
	return a
}

// Data is part of tcpflow.Handler.
func (p *pipeline) Data(c *tcpflow.Conn, d uint8, at tcpflow.Point, b []byte, start bool) {
	if c.End[0].Port == dnsPort || c.End[1].Port == dnsPort {
		p.dnsStream(c, d, at, b)
		return
	}
	a := p.app(c)
	a.end = c.Half[d].StreamSeq() + uint32(len(b))
	a.data(d, at, b, start)
}

// Missing is part of tcpflow.Handler.
func (p *pipeline) Missing(c *tcpflow.Conn, d uint8, at tcpflow.Point, n uint32) {
	if c.End[0].Port == dnsPort || c.End[1].Port == dnsPort {
		p.table.Ignore(c, d)
		return
	}
	a := p.app(c)
	a.end = c.Half[d].StreamSeq()
	a.missing(d, at, n)
}

// Done is part of tcpflow.Handler: it judges a finished connection.
func (p *pipeline) Done(c *tcpflow.Conn) {
	p.health.connection(c)
	p.judge(p.flow(c))
	if p.spool != nil {
		p.spool.Roles(c.ID, c.ClientDir)
	}
	p.annotated.release(c)
	if p.hosted {
		p.attempts.connection(c)
		p.owners.release(c)
	}
}

// judge judges a connection and lists it; it reports whether it is in view.
func (p *pipeline) judge(f *diagnose.Flow) bool {
	c := f.Conn
	client, server := p.attribute(f)
	p.learnAddress(f)
	if !p.opts.inView(c, f.ServerName) {
		p.hidden++
		p.observer.done(c, f, nil, nil)
		return false
	}
	f.Target = p.isTarget(f.ServerName)
	p.learnSender(f)
	f.Blocks = p.blocksOf(f, client)
	v := diagnose.Connection(f)
	named, hold := p.goView.text.Connection(c.ID, f, &v)
	p.agg.Connection(c.ID, f, &v, named || f.Target)
	p.observer.done(c, f, &v, client)
	if p.sumUp(c) {
		return true
	}
	out := connection(f, &v)
	out.Process, out.ServerProcess = client, server
	if took, ok := p.took[c.ServerEnd().Addr]; ok {
		out.Stages.DNS = ms(took)
	}
	out.Target = named || f.Target
	if !hold || !p.goView.hold(out) {
		p.result.Connections.Add(out)
	}
	return true
}

// flow gathers what is known about a connection.
func (p *pipeline) flow(c *tcpflow.Conn) *diagnose.Flow {
	f := &diagnose.Flow{Conn: c, Env: &p.env, Socket: p.state(p.sockets.of(c))}
	if a, ok := c.User.(*app); ok {
		a.finish()
		a.tls.End()
		facts := a.tls.Facts()
		if client := facts.Client(); client >= 0 && !c.ClientKnown {
			c.ClientDir, c.ClientKnown = uint8(client), true
		}
		if sawTLS(facts) {
			f.TLS = facts
		}
		f.ServerName = a.serverName(facts)
		f.HelloSegments = a.helloSegments
		f.Request, f.RequestAt = a.request, a.requestAt
		f.Response, f.ResponseAt = a.response, a.responseAt
		server := &a.sides[1-c.ClientDir]
		f.ServerBytes, f.ServerBytesAt = server.start, server.at
	}
	if f.ServerName == "" {
		f.ServerName = p.names[c.ServerEnd().Addr]
	}
	return f
}

// sawTLS reports whether any record was read in either direction.
func sawTLS(f *tlswire.Facts) bool { return f.Sides[0].Records > 0 || f.Sides[1].Records > 0 }

// hostOf strips the port off host:port.
func hostOf(target string) string {
	if i := strings.LastIndexByte(target, ':'); i >= 0 {
		target = target[:i]
	}
	return strings.Trim(target, "[]")
}

// learnAddress remembers what a connection showed about its ends' addresses.
func (p *pipeline) learnAddress(f *diagnose.Flow) {
	c := f.Conn
	if h := p.host(c.ClientEnd().Addr); h != nil {
		h.LearnClient(c)
	}
	server := c.Server()
	if server == nil || server.Packets == 0 {
		return
	}
	a := c.ServerEnd().Addr
	facts := p.addrs[a]
	if facts == nil {
		if len(p.addrs) >= maxNames {
			return
		}
		facts = new(diagnose.AddressFacts)
		p.addrs[a] = facts
	}
	facts.Learn(c)
}

// host returns the facts about a client's address, made on first use; nil
// where too many are known already.
func (p *pipeline) host(a decode.Addr) *diagnose.HostFacts {
	h := p.hosts[a]
	if h == nil && len(p.hosts) < maxNames {
		h = new(diagnose.HostFacts)
		p.hosts[a] = h
	}
	return h
}

// isTarget reports whether name is one of the hosts that were looked for, or
// that the go command's own words name.
func (p *pipeline) isTarget(name string) bool {
	name = strings.TrimSuffix(name, ".")
	return name != "" && (slices.ContainsFunc(p.opts.Targets, func(t string) bool { return strings.EqualFold(t, name) }) ||
		p.goView.target(strings.ToLower(name)))
}

// sumUp reports whether an unanswered connection is only counted by server.
func (p *pipeline) sumUp(c *tcpflow.Conn) bool {
	server := c.Server()
	if server != nil && server.Packets > 0 || len(c.ICMP) > 0 {
		return false
	}
	if p.silent++; p.silent <= maxUnanswered {
		return false
	}
	u := p.summed[c.ServerEnd()]
	if u == nil {
		end := c.ServerEnd()
		name := endpoint(end)
		if len(p.summed) >= maxSummed {
			end, name = tcpflow.Endpoint{}, "others"
			u = p.summed[end]
		}
		if u == nil {
			u = &Unanswered{Server: name, FirstFrame: c.Start.Frame}
			p.summed[end] = u
		}
	}
	u.Connections++
	u.LastFrame = c.Last.Frame
	return true
}
