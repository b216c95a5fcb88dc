package spans

import (
	"cmp"
	"iter"
	"net/netip"
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"goproxytrace/analyze"
	"goproxytrace/report"
)

// perTrace is how many connections one trace holds: with their stages about two
// megabytes, of the five that backends usually take.
const perTrace = 500

// Plan is what has to be known of a whole case before its first span is made.
type Plan struct {
	c         Case
	ids       ids
	processes processes
	exchanges exchanges
	answers   answers
	lookups   []owner // of each lookup of the document
	attempts  []owner
	counts    counts
	// subject is where the connection stands that the case's verdict is about.
	subject place
}

// owner is what the trace is about that something belongs to: exactly one field
// is set.
type owner struct {
	process  *process
	exchange *exchange
}

func (o owner) span() *span {
	if o.process != nil {
		return &o.process.top.span
	}
	return &o.exchange.span
}

// span is what is below one that has no time of its own.
type span struct {
	first, last time.Time
	connections int // below it
	// next is how many of them were placed.
	next int
}

func (s *span) cover(from, to time.Time) {
	if from.IsZero() {
		return
	}
	if s.first.IsZero() || from.Before(s.first) {
		s.first = from
	}
	if to.After(s.last) {
		s.last = to
	}
}

// parts is how many traces there are of it.
func (s *span) parts() int { return max((s.connections+perTrace-1)/perTrace, 1) }

// process is a process that connected, or that the report names.
type process struct {
	span
	id analyze.Process
	// listed is what the report says of it, nil for nothing.
	listed *report.Process
	// top is the process of whose trace it is part: the go command that it
	// works for, or itself. It is above others where leads is true.
	top   *process
	leads bool
}

type processes struct {
	byPID map[uint32]*process
	order []*process
}

// add returns the process of an identity, which may have been known already.
func (p *processes) add(id analyze.Process) *process {
	known := p.byPID[id.PID]
	if known == nil {
		known = &process{id: id}
		known.top = known
		p.byPID[id.PID] = known
		p.order = append(p.order, known)
	}
	if known.id.Name == "" {
		known.id = id
	}
	if id.GoCommand != 0 && id.GoCommand != id.PID && known.top == known && !known.leads {
		top := p.add(analyze.Process{PID: id.GoCommand})
		if top.top == top { // chains of them cannot be: only a hostile report has one
			known.top, top.leads = top, true
		}
	}
	return known
}

// exchange is what one client and one host said to each other, where no process
// is known for it.
type exchange struct {
	span
	number       int64
	client, host string
}

type exchangeKey struct{ client, host string }

type exchanges struct {
	byKey map[exchangeKey]*exchange
	order []*exchange
}

func (e *exchanges) add(client, host string) *exchange {
	k := exchangeKey{client, host}
	known := e.byKey[k]
	if known == nil {
		known = &exchange{number: int64(len(e.order)), client: client, host: host}
		e.byKey[k] = known
		e.order = append(e.order, known)
	}
	return known
}

// New reads a case once.
func New(c Case) (*Plan, error) {
	p := &Plan{
		c: c, ids: ids{c.ID},
		processes: processes{byPID: map[uint32]*process{}},
		exchanges: exchanges{byKey: map[exchangeKey]*exchange{}},
		counts:    counts{},
	}
	d := c.Document
	for i := range d.Processes {
		known := p.processes.add(d.Processes[i].Process)
		if known.listed == nil {
			known.listed = &d.Processes[i]
		}
		p.counts.add(metricProcesses, &d.Processes[i].Verdict, "")
	}
	p.answers = indexAnswers(d)
	if err := p.readConnections(); err != nil {
		return nil, err
	}
	p.placeLookups()
	p.placeAttempts()
	for _, e := range p.processes.order {
		if e.top != e {
			e.top.cover(e.first, e.last)
		}
	}
	p.counts.add(metricCases, &d.Verdict, "")
	return p, nil
}

// readConnections places all connections, and what they say of the lookups.
func (b *Plan) readConnections() error {
	for row, err := range b.c.Document.Rows() {
		if err != nil {
			return err
		}
		c, err := row.Connection()
		if err != nil {
			return err
		}
		used := b.answers.usedBy(c)
		o := b.owner(c, used)
		o.span().connections++
		end := after(c.Start, c.Duration)
		o.span().cover(c.Start, end)
		if o.process != nil {
			o.process.cover(c.Start, end)
		}
		if used >= 0 {
			b.answers.use(used, o)
		}
		at := b.connectionPlace(c, o)
		if c.ID == b.c.Document.Subject {
			b.subject = at
		}
		server := c.ServerName
		if server == "" {
			server = host(c.Server)
		}
		b.counts.add(metricConnections, &c.Verdict, server)
	}
	for _, e := range b.processes.order {
		e.next = 0
	}
	for _, e := range b.exchanges.order {
		e.next = 0
	}
	return nil
}

func (b *Plan) owner(c *report.Connection, lookup int) owner {
	if c.Process != nil && c.Process.PID != 0 {
		return owner{process: b.processes.add(*c.Process)}
	}
	name := c.ServerName
	if name == "" && lookup >= 0 {
		name = b.c.Document.Lookups[lookup].Name
	}
	if name == "" {
		name = host(c.Server)
	}
	return owner{exchange: b.exchanges.add(host(c.Client), name)}
}

// connectionPlace places the next connection of its owner.
func (b *Plan) connectionPlace(c *report.Connection, o owner) place {
	s := o.span()
	part := s.next / perTrace
	s.next++
	return place{b.trace(o, part), b.ids.span("connection", c.ID)}
}

// placeLookups gives each lookup to the owner of the connection that used its
// answer, or of those that used another of the same name.
func (b *Plan) placeLookups() {
	d := b.c.Document
	b.lookups = make([]owner, len(d.Lookups))
	for i := range d.Lookups {
		l := &d.Lookups[i]
		b.counts.add(metricLookups, &l.Verdict, "")
		o, ok := b.answers.users[i]
		if !ok {
			o, ok = b.answers.only(l)
		}
		if !ok {
			o = owner{exchange: b.exchanges.add(host(l.Client), l.Name)}
		}
		b.lookups[i] = o
		end := after(l.Start, fromMS(l.MS))
		o.span().cover(l.Start, end)
	}
}

func (b *Plan) placeAttempts() {
	d := b.c.Document
	b.attempts = make([]owner, len(d.Attempts))
	for i := range d.Attempts {
		a := &d.Attempts[i]
		b.counts.add(metricAttempts, &a.Verdict, cmp.Or(a.Host, host(a.Target)))
		o := owner{}
		if a.PID != nil && *a.PID != 0 {
			o.process = b.processes.add(analyze.Process{PID: *a.PID, Name: a.Name, Source: a.Source})
		} else {
			o.exchange = b.exchanges.add("", cmp.Or(a.Host, host(a.Target)))
		}
		b.attempts[i] = o
		end := a.Time
		if a.Ended != nil {
			end = *a.Ended
		}
		o.span().cover(a.Time, end)
		if o.process != nil {
			o.process.cover(a.Time, end)
		}
	}
}

// Parts yields the spans of the case, those of one connection together. The order
// is the same each time.
func (b *Plan) Parts() iter.Seq2[ptrace.SpanSlice, error] {
	return func(yield func(ptrace.SpanSlice, error) bool) {
		for _, make := range b.roots() {
			if s := make(); s.Len() > 0 && !yield(s, nil) {
				return
			}
		}
		for i := range b.c.Document.Lookups {
			if !yield(b.lookup(i), nil) {
				return
			}
		}
		for i := range b.c.Document.Attempts {
			if !yield(b.attempt(i), nil) {
				return
			}
		}
		for _, e := range b.processes.order {
			e.next = 0
		}
		for _, e := range b.exchanges.order {
			e.next = 0
		}
		for row, err := range b.c.Document.Rows() {
			if err != nil {
				yield(ptrace.SpanSlice{}, err)
				return
			}
			c, err := row.Connection()
			if err != nil {
				yield(ptrace.SpanSlice{}, err)
				return
			}
			if !yield(b.connection(c), nil) {
				return
			}
		}
	}
}

// host is the address of ip:port.
func host(s string) string {
	if a, err := netip.ParseAddrPort(s); err == nil {
		return a.Addr().String()
	}
	return s
}

func fromMS(ms *float64) float64 {
	if ms == nil {
		return 0
	}
	return *ms
}

// answers finds the lookup that a connection's address came from.
type answers struct {
	d *report.Document
	// byAddress lists lookups by the addresses they gave, by when they ended.
	byAddress map[string][]int
	// users are the owners of the first connections that used a lookup.
	users map[int]owner
	// names are those of all lookups of one name by one client; two is true
	// where there are several.
	names map[exchangeKey]struct {
		owner
		two bool
	}
}

func indexAnswers(d *report.Document) answers {
	a := answers{d: d, byAddress: map[string][]int{}, users: map[int]owner{}, names: map[exchangeKey]struct {
		owner
		two bool
	}{}}
	for i := range d.Lookups {
		for _, s := range d.Lookups[i].Answers {
			if ip, err := netip.ParseAddr(s); err == nil {
				s = ip.Unmap().String()
				a.byAddress[s] = append(a.byAddress[s], i)
			}
		}
	}
	for _, list := range a.byAddress {
		slices.SortStableFunc(list, func(i, j int) int { return a.ended(i).Compare(a.ended(j)) })
	}
	return a
}

func (a *answers) ended(i int) time.Time {
	return after(a.d.Lookups[i].Start, fromMS(a.d.Lookups[i].MS))
}

// mostTried bounds how many answers with one address are looked at.
const mostTried = 64

// usedBy returns the last lookup that gave the connection's address before it
// began, of the same name where the connection says one; -1 for none.
func (a *answers) usedBy(c *report.Connection) int {
	addr, err := netip.ParseAddrPort(c.Server)
	if err != nil {
		return -1
	}
	list := a.byAddress[addr.Addr().Unmap().String()]
	n, _ := slices.BinarySearchFunc(list, c.Start, func(i int, t time.Time) int {
		if a.ended(i).After(t) {
			return 1
		}
		return -1
	})
	for k := n - 1; k >= max(n-mostTried, 0); k-- {
		l := &a.d.Lookups[list[k]]
		if c.ServerName != "" && l.Name != c.ServerName || !sameHost(l.Client, c.Client) {
			continue
		}
		return list[k]
	}
	return -1
}

// sameHost reports whether two clients can be one machine: a resolver of its own
// is asked over loopback.
func sameHost(a, b string) bool {
	x, err := netip.ParseAddr(host(a))
	y, other := netip.ParseAddr(host(b))
	if err != nil || other != nil {
		return a == b
	}
	return x == y || x.IsLoopback() || y.IsLoopback() || x.Is4() != y.Is4()
}

// use notes that a connection of o used lookup i.
func (a *answers) use(i int, o owner) {
	if o.process != nil {
		o = owner{process: o.process.top}
	}
	if _, have := a.users[i]; !have {
		a.users[i] = o
	}
	l := &a.d.Lookups[i]
	k := exchangeKey{host(l.Client), l.Name}
	n, have := a.names[k]
	if !have {
		n.owner = o
	}
	n.two = n.two || n.owner != o
	a.names[k] = n
}

// only returns the one owner of what lookups of a name led to.
func (a *answers) only(l *report.Lookup) (owner, bool) {
	n, have := a.names[exchangeKey{host(l.Client), l.Name}]
	return n.owner, have && !n.two
}
