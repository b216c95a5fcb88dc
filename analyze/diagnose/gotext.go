package diagnose

import (
	"net/netip"

	"goproxytrace/analyze/dnswire"
	"goproxytrace/analyze/goproxy"
	"goproxytrace/analyze/tcpflow"
)

// finding is what the packets say to one statement of the go command.
type finding uint8

const (
	unclear finding = iota // the packets cannot show it
	agrees
	denies
)

// claim is one statement of the go command with what the packets say to it.
type claim struct {
	*goproxy.Statement
	// agreed, denied and unclear count connections (or lookups).
	agreed, denied, unclear int
	frames                  []int64 // of those that agree
	deniedFrames            []int64
	deniedClass             Class // the verdict on the first that denies
	// death is the verdict on a connection that agrees and died, conn its
	// connection.
	death *Verdict
	conn  int64
}

// peer is the connection that an answer inside TLS may have come over.
type peer struct {
	conn    int64
	address string
	after   int64 // ns from its start to the server's last data
	last    int64 // when that came
	bytes   int64
	frames  []int64
	count   int // connections that qualify
}

// lastContact is the go command's connection that was used last.
type lastContact struct {
	conn          int64
	host, address string
	after, at     int64
	// left is true where the client ended it, unfinished where an answer was
	// due or it was still open.
	left, unfinished bool
	frames           []int64
}

// GoText joins the go command's own words to connections and lookups, and
// checks them against the packets. Words never change what packets show; they
// decide what packets cannot show. A nil GoText is ready for use and does
// nothing.
type GoText struct {
	out     *goproxy.Output
	claims  []claim
	tuples  map[[2]netip.AddrPort][]int // claims by client and server
	remotes map[netip.AddrPort][]int    // claims by server alone
	hosts   map[string][]int            // claims that name no address
	names   map[string][]int            // claims about lookups
	peers   map[string]*peer            // by host, only of hosts with a claim inside TLS
	last    *lastContact
}

// NewGoText prepares the statements for joining; nil for nil.
func NewGoText(out *goproxy.Output) *GoText {
	if out == nil {
		return nil
	}
	g := &GoText{
		out:    out,
		tuples: make(map[[2]netip.AddrPort][]int), remotes: make(map[netip.AddrPort][]int),
		hosts: make(map[string][]int), names: make(map[string][]int), peers: make(map[string]*peer),
	}
	g.Extend()
	return g
}

// Extend takes the statements that the output has gained since.
func (g *GoText) Extend() {
	for i := range g.claims {
		g.claims[i].Statement = &g.out.Statements[i] // the list may have moved
	}
	for i := len(g.claims); i < len(g.out.Statements); i++ {
		s := &g.out.Statements[i]
		g.claims = append(g.claims, claim{Statement: s, conn: -1})
		switch {
		case s.Kind.Lookup():
			g.names[s.Host] = append(g.names[s.Host], i)
		case s.Local.IsValid() && s.Remote.IsValid():
			key := [2]netip.AddrPort{s.Local, s.Remote}
			g.tuples[key] = append(g.tuples[key], i)
		case s.Remote.IsValid():
			g.remotes[s.Remote] = append(g.remotes[s.Remote], i)
		case s.Host != "" && !s.Proxied:
			g.hosts[s.Host] = append(g.hosts[s.Host], i)
		}
		if s.Kind.InsideTLS() && g.peers[s.Host] == nil {
			g.peers[s.Host] = new(peer)
		}
	}
}

// Knows reports whether the go command's words show that it asked host.
func (g *GoText) Knows(host string) bool { return g != nil && g.out.Knows(host) }

func addrPort(e tcpflow.Endpoint) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(e.Addr).Unmap(), e.Port)
}

// Connection checks what go says about a connection and adds it to the
// verdict. exact is true where go's words name this very connection. hold is
// true where Verdict may yet find that an answer inside it was an HTTP error.
func (g *GoText) Connection(id int64, f *Flow, v *Verdict) (exact, hold bool) {
	if g == nil {
		return false, false
	}
	client, server := addrPort(f.Conn.ClientEnd()), addrPort(f.Conn.ServerEnd())
	host := plainName(f.ServerName)
	if host == "" {
		host = server.Addr().String()
	}
	tuple := g.tuples[[2]netip.AddrPort{client, server}]
	if len(tuple) == 0 && !f.Conn.ClientKnown {
		tuple = g.tuples[[2]netip.AddrPort{server, client}]
	}
	byRemote, byHost := g.remotes[server], g.hosts[host]
	known := len(tuple)+len(byRemote)+len(byHost) > 0 || g.out.Knows(host)
	if !known {
		return false, false
	}
	w := views.Get().(*view)
	w.init(f)
	defer func() {
		*w = view{}
		views.Put(w)
	}()
	for _, i := range tuple {
		g.connection(w, i, id, v, true)
	}
	for _, list := range [2][]int{byRemote, byHost} {
		for _, i := range list {
			g.connection(w, i, id, v, false)
		}
	}
	g.contacted(w, id, host)
	return len(tuple) > 0, v.Class == OK && g.answered(w, id, host)
}

// connection checks one claim against one connection.
func (g *GoText) connection(w *view, i int, id int64, v *Verdict, exact bool) {
	c := &g.claims[i]
	found, seen := w.check(c.Statement, v)
	switch found {
	case agrees:
		c.agreed++
		c.frames = tidy(append(c.frames, seen...))
		if v.Died() {
			if !v.has("go.agrees") {
				v.evidence("go.agrees", seen, Text("text", c.Text))
			}
			if c.Kind == goproxy.KindCertificate {
				v.certificateReason(c.Statement)
			}
			if c.death == nil || c.death.failed < v.failed {
				copied := *v
				c.death, c.conn = &copied, id
			}
		}
	case denies:
		c.denied++
		c.deniedFrames = tidy(append(c.deniedFrames, seen...))
		if c.deniedClass == "" {
			c.deniedClass = v.Class
		}
		if exact {
			v.contradicted(c, seen)
		}
	case unclear:
		c.unclear++
	}
}

// contradicted puts both statements into the verdict and decides nothing.
func (v *Verdict) contradicted(c *claim, frames []int64) {
	v.note("go-output.contradiction")
	v.evidence("go.contradicts", frames, Text("text", c.Text), Text("class", string(c.deniedClass)))
}

// certificateReason adds why go refused a certificate, which TLS 1.3 hides.
func (v *Verdict) certificateReason(s *goproxy.Statement) {
	if v.Class != TLSCertificateRejected || s.Reason == "" {
		return
	}
	v.evidence("go.certificate-reason", nil, Text("reason", s.Reason))
	kept := make([]string, 0, len(v.NotAssessed))
	for _, id := range v.NotAssessed {
		if id != "skip.certificate-encrypted" {
			kept = append(kept, id)
		}
	}
	v.NotAssessed = kept
}

// answered remembers a connection over which an answer came inside TLS, to a
// host about whose answers go complains.
func (g *GoText) answered(w *view, id int64, host string) bool {
	p := g.peers[host]
	if p == nil || w.server == nil || w.server.NewBytes == 0 || !w.shaken() && w.expectsTLS() {
		return false
	}
	p.count++
	if at := w.server.LastNewData; at.Time >= p.last {
		p.conn, p.address, p.last = id, endpointText(w.c.ServerEnd()), at.Time
		p.after, p.bytes = max(at.Time-w.c.Start.Time, 0), int64(w.server.NewBytes)
		p.frames = frames(w.server.FirstData, at)
	}
	return true
}

// contacted remembers the go command's connection that was used last.
func (g *GoText) contacted(w *view, id int64, host string) {
	if g.last != nil && g.last.at > w.c.Last.Time {
		return
	}
	l := &lastContact{
		conn: id, host: host, address: endpointText(w.c.ServerEnd()), at: w.c.Last.Time,
		after: max(w.until-w.c.Start.Time, 0), left: w.left.Seen() && (w.server == nil || !w.server.FIN.Seen() || w.left.Time < w.server.FIN.Time),
		frames: frames(w.left, w.c.Last),
	}
	l.unfinished = w.open || !w.established() || w.server != nil && w.client != nil && w.due()
	g.last = l
}

// Lookup checks what go says about a lookup, the one with verdict v.
func (g *GoText) Lookup(l *dnswire.Lookup, v *Verdict) {
	if g == nil {
		return
	}
	list := g.names[plainName(l.Name)]
	if len(list) == 0 || l.Type != typeA && l.Type != typeAAAA {
		return
	}
	q := newQuestion(l)
	points := append([]tcpflow.Point(nil), q.queries[:min(len(q.queries), 4)]...)
	for i := range q.answers[:min(len(q.answers), 4)] {
		points = append(points, q.answers[i].Point)
	}
	seen := frames(points...)
	for _, i := range list {
		c := &g.claims[i]
		switch checkLookup(c.Kind, v) {
		case agrees:
			c.agreed++
			c.frames = tidy(append(c.frames, seen...))
			if v.Died() && !v.has("go.agrees") {
				v.evidence("go.agrees", seen, Text("text", c.Text))
			}
		case denies:
			c.denied++
			c.deniedFrames = tidy(append(c.deniedFrames, seen...))
			c.deniedClass = v.Class
		case unclear:
			c.unclear++
		}
	}
}
