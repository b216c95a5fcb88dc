package analyze

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/capture"
	"goproxytrace/capture/hostlog"
)

// Bounds on connection attempts that the host told of.
const (
	maxAttempts = 10_000
	// maxPast is how many connections that are done are remembered for
	// attempts that are told of later.
	maxPast = 4096
)

// portsRest is two maximum segment lifetimes, in ns.
const portsRest = int64(240e9)

// discardPort is where resolvers point a UDP socket to learn which address of
// its own the host would use (RFC 6724); nothing is sent to it.
const discardPort = 9

// attempt is one attempt to connect, until a packet of it is found.
type attempt struct {
	hostlog.Attempt
	local, remote tcpflow.Endpoint
	frame         int64
	seen          bool // the capture holds a packet of it
}

// attempts are those that the host told of.
type attempts struct {
	list    []attempt
	omitted int64
	byTuple map[tuple][]int            // attempts whose local port is known
	byPeer  map[tcpflow.Endpoint][]int // the others, by remote end
	past    []pastConn
	next    int
}

// pastConn is a connection that is done.
type pastConn struct {
	key         tuple
	client      tcpflow.Endpoint
	server      tcpflow.Endpoint
	start, last int64
	pid         uint32
}

// add takes an attempt. Of two records of one the later one tells how it ended.
func (t *attempts) add(r *hostlog.Attempt, frame int64) {
	if r.Remote.Port() == 0 || r.Remote.Port() == discardPort || !r.Remote.Addr().IsValid() || r.Remote.Addr().IsUnspecified() {
		return
	}
	a := attempt{Attempt: *r, local: endOf(r.Local), remote: endOf(r.Remote), frame: frame}
	a.Error = clipped(r.Error, maxProcessName)
	known := a.local.Port != 0 && r.Local.Addr().IsValid()
	var same []int
	if known {
		same = t.byTuple[tupleOf(a.local, a.remote)]
	} else {
		same = t.byPeer[a.remote]
	}
	for _, i := range same[max(len(same)-maxPerTuple, 0):] {
		if b := &t.list[i]; b.PID == a.PID && b.Time == a.Time && b.local == a.local {
			b.Error, b.Ended = cmp.Or(a.Error, b.Error), max(a.Ended, b.Ended)
			return
		}
	}
	if len(t.list) >= maxAttempts {
		t.omitted++
		return
	}
	if t.byTuple == nil {
		t.byTuple, t.byPeer = make(map[tuple][]int), make(map[tcpflow.Endpoint][]int)
	}
	for i := range t.past {
		a.seen = a.seen || a.matches(&t.past[i])
	}
	if known {
		key := tupleOf(a.local, a.remote)
		t.byTuple[key] = append(t.byTuple[key], len(t.list))
	} else {
		t.byPeer[a.remote] = append(t.byPeer[a.remote], len(t.list))
	}
	t.list = append(t.list, a)
}

// connection takes one that is done: its packets are those of an attempt.
func (t *attempts) connection(c *tcpflow.Conn) {
	q := pastConn{
		key: tupleOf(c.End[0], c.End[1]), client: c.ClientEnd(), server: c.ServerEnd(),
		start: c.Start.Time, last: c.Last.Time, pid: c.ProcessID,
	}
	for _, i := range t.byTuple[q.key] {
		t.list[i].seen = t.list[i].seen || t.list[i].matches(&q)
	}
	for _, i := range t.byPeer[q.server] {
		t.list[i].seen = t.list[i].seen || t.list[i].matches(&q)
	}
	if len(t.past) < maxPast {
		t.past = append(t.past, q)
		return
	}
	t.past[t.next] = q
	t.next = (t.next + 1) % maxPast
}

// before reports whether the capture holds a connection with the ends of a record
// that ended not long before: what this host drops of it then is late, and no
// attempt to connect. Ports may be used again after two maximum segment lifetimes
// (RFC 9293, section 3.4.3).
func (t *attempts) before(b *block) bool {
	if b.local.Port == 0 || b.Segment == hostlog.SegmentSYN {
		return false
	}
	key := tupleOf(b.local, b.remote)
	return slices.ContainsFunc(t.past, func(c pastConn) bool {
		return c.key == key && c.start <= b.Time && b.Time-c.last <= portsRest
	})
}

// matches reports whether the packets of a connection may be the attempt's.
func (a *attempt) matches(c *pastConn) bool {
	if a.Time > c.last+ownerJitter || a.Ended != 0 && a.Ended < c.start-ownerJitter {
		return false
	}
	if a.local.Port != 0 {
		return c.key == tupleOf(a.local, a.remote)
	}
	return c.server == a.remote && (a.local.Addr == decode.Addr{} || c.client.Addr == a.local.Addr) &&
		(a.PID == 0 || c.pid == 0 || a.PID == c.pid)
}

// underWay are names of errors that say no more than that connect() went on.
var underWay = []string{"EINPROGRESS", "EALREADY", "EAGAIN", "EINTR", "WSAEWOULDBLOCK"}

// judgeAttempts tells of the attempts without a packet, and judges them.
func (p *pipeline) judgeAttempts(info *capture.Info) {
	all := p.attempts.list
	slices.SortStableFunc(all, func(a, b attempt) int { return cmp.Compare(a.Time, b.Time) })
	p.result.AttemptsOmitted = p.attempts.omitted
	for i := range all {
		a := &all[i]
		if a.seen {
			continue
		}
		if slices.Contains(underWay, a.Error) {
			a.Error = ""
		}
		name := p.names[a.remote.Addr]
		if !p.opts.attemptInView(a, name) {
			p.hidden++
			continue
		}
		o := ownership{pid: a.PID, at: a.Time, source: a.Source}
		p.identify(&o)
		d := diagnose.Attempt{
			Local: a.local, Remote: a.remote, Time: a.Time, Ended: a.Ended, Error: a.Error, Frame: a.frame,
			Host: name, Target: p.isTarget(name), Covered: p.covers(info, a.local.Addr, a.remote),
		}
		if a.PID != 0 {
			d.Owner, d.ProcessName, d.ProcessText, d.GoCommand = p.ownerOf(&o)
			d.Outside = p.outside(o.program)
		}
		d.Blocks = p.blocksOn(a, name, o.program)
		if d.ProcessName == "" {
			nameByBlock(&d)
		}
		v := p.agg.Attempt(&d, &p.env)
		out := Attempt{
			PID: a.PID, Target: endpoint(a.remote), Host: name, Time: capture.Timestamp(a.Time), Error: a.Error,
			Source: string(a.Source), Frame: a.frame, Verdict: v,
		}
		out.Name = d.ProcessName
		if a.Ended != 0 {
			ended := capture.Timestamp(a.Ended)
			out.Ended = &ended
		}
		p.result.Attempts = append(p.result.Attempts, out)
	}
}

// Link types of captures on all interfaces at once.
const (
	linkCooked  = capture.LinkType(113)
	linkCooked2 = capture.LinkType(276)
)

// covers reports whether the capture would hold the packets that go from an
// address of this host to a remote end: it was made on all interfaces, or holds
// others of that address, and its filter lets that port pass.
func (p *pipeline) covers(info *capture.Info, local decode.Addr, remote tcpflow.Endpoint) bool {
	if isLoopbackAddr(remote.Addr) || remote.Addr == local {
		return false // the loopback interface need not be captured
	}
	all, passes := false, p.syns.has(remote.Port)
	for i := range info.Interfaces {
		f := &info.Interfaces[i]
		all = all || f.Name == "any" || f.LinkType == linkCooked || f.LinkType == linkCooked2
		passes = passes || f.Name != "lo" && filterPasses(f.Filter, remote.Port)
	}
	h := p.hosts[local]
	return passes && (all || h != nil && (h.MinTTL > 0 || h.Turnaround > 0))
}

func isLoopbackAddr(a decode.Addr) bool { return address(a).IsLoopback() }

// filterPasses reports whether a capture filter is sure to let TCP packets of a
// port pass: there is none, or it is a list of alternatives with that port among
// them. Others may pass them too; that is not for here to find out.
func filterPasses(filter string, port uint16) bool {
	if filter == "" {
		return true
	}
	depth := 0
	var term []string
	words := strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ", "||", " or ").Replace(filter))
	passes := func() bool {
		defer func() { term = term[:0] }()
		if len(term) > 0 && term[0] == "tcp" {
			if len(term) == 1 {
				return true
			}
			term = term[1:]
		}
		return len(term) == 2 && term[0] == "port" && term[1] == strconv.Itoa(int(port))
	}
	for _, w := range words {
		switch {
		case w == "(":
			depth++
		case w == ")":
			depth--
		case depth != 0:
		case w == "or":
			if passes() {
				return true
			}
			continue
		}
		term = append(term, w)
	}
	return passes()
}

// ports is a set of TCP ports.
type ports [1 << 16 / 64]uint64

func (s *ports) add(n uint16)      { s[n/64] |= 1 << (n % 64) }
func (s *ports) has(n uint16) bool { return s[n/64]&(1<<(n%64)) != 0 }
