package diagnose

import (
	"strconv"
	"strings"

	"goproxytrace/analyze/goproxy"
)

// Bounds on what the go command's words add to one verdict.
const (
	maxContradictions = 3
	maxAbsent         = 3
)

// Verdict adds to the capture's verdict what the go command's words say about
// it. conn is the subject, and the result is the subject again: another one
// where only the words decide. narrowed is true where only a part of the
// capture was looked at, so that nothing can be said to be absent. held is
// the connection that alone can have carried an HTTP error, -1 for none.
func (g *GoText) Verdict(v *Verdict, conn int64, narrowed bool) (subject, held int64) {
	subject, held = conn, -1
	if g == nil {
		return subject, held
	}
	if v.Class == OK {
		switch c := g.notMadeGood(); {
		case c != nil:
			notes := v.Notes
			*v, subject = *c.death, c.conn
			for _, n := range notes {
				if n != "fallback" && n != "one-family-broken" {
					v.note(n)
				}
			}
			v.evidence("go.not-made-good", nil, Text("text", c.Text))
		default:
			if c := g.httpError(); c != nil {
				p := g.peers[c.Host]
				*v = g.httpVerdict(c, v.Notes)
				subject = p.conn
				if p.count == 1 {
					held = p.conn
				}
			}
		}
	}
	if c := g.interrupted(); c != nil {
		switch {
		case v.Class == OK && g.last != nil && g.last.unfinished:
			*v, subject = g.abortVerdict(c, v.Notes), g.last.conn
		case v.Died():
			v.evidence("go.interrupted", nil, Text("text", c.Text))
		}
	}
	g.compare(v)
	if !narrowed {
		g.absent(v)
	}
	return subject, held
}

// HTTPError returns the verdict on the only connection that can have carried
// the HTTP error that the capture's verdict tells of.
func (g *GoText) HTTPError() Verdict {
	c := g.httpError()
	if c == nil {
		return Verdict{Class: OK, Stage: StageDone, Level: Proven}
	}
	return g.httpVerdict(c, nil)
}

// notMadeGood returns the last death, seen in the packets, that the go command
// ended with. That another host delivered afterwards made nothing good then.
func (g *GoText) notMadeGood() *claim {
	var last *claim
	for i := range g.claims {
		c := &g.claims[i]
		if c.Trace || c.death == nil || c.Kind.InsideTLS() || c.Kind == goproxy.KindInterrupted {
			continue
		}
		if last == nil || c.death.failed > last.death.failed {
			last = c
		}
	}
	return last
}

// httpError returns the last failure inside TLS that the go command ended with
// and that an answer in the packets goes with.
func (g *GoText) httpError() *claim {
	var last *claim
	for i := range g.claims {
		c := &g.claims[i]
		if !c.Trace && c.Kind.InsideTLS() && c.agreed > 0 && g.peers[c.Host] != nil && g.peers[c.Host].count > 0 {
			last = c
		}
	}
	return last
}

// httpVerdict tells of an HTTP status or stream error (T11, T12): from go's
// words, which the packets can only fit.
func (g *GoText) httpVerdict(c *claim, notes []string) Verdict {
	p := g.peers[c.Host]
	what := c.Phrase
	if c.Kind == goproxy.KindHTTPStatus {
		what = strings.TrimSpace(strconv.Itoa(c.Status) + " " + c.Phrase)
	} else {
		what = strings.TrimSpace("an HTTP/2 stream error " + c.Phrase)
	}
	v := newVerdict(HTTPError, Suggested, inRemote,
		Text("host", c.Host), Text("address", p.address), Dur("after", p.after), Text("status", what))
	v.failed = p.last
	v.Notes = notes
	v.evidence("go.inside-tls", nil, Text("text", c.Text))
	v.evidence("go.answer", p.frames, Bytes("bytes", p.bytes), Text("address", p.address), Num("connections", int64(p.count)))
	return v
}

// interrupted returns the statement that a signal ended the command.
func (g *GoText) interrupted() *claim {
	for i := range g.claims {
		if g.claims[i].Kind == goproxy.KindInterrupted {
			return &g.claims[i]
		}
	}
	return nil
}

// abortVerdict tells of a command that was ended while it was at work (L10).
func (g *GoText) abortVerdict(c *claim, notes []string) Verdict {
	l := g.last
	level := Consistent
	if l.left && g.out.Hosts[l.host].Pending() > 0 {
		level = Suggested
	}
	v := newVerdict(ClientAborted, level, inClient, Text("host", l.host), Text("address", l.address), Dur("after", l.after))
	v.failed = l.at
	v.Notes = notes
	v.evidence("go.interrupted", l.frames, Text("text", c.Text))
	return v
}

// compare adds agreement, contradictions and what is still under way.
func (g *GoText) compare(v *Verdict) {
	host := subjectHost(v)
	if v.Died() && v.Class != HTTPError {
		if c := g.about(host); c != nil && !v.has("go.agrees") && !v.has("go.contradicts") {
			v.evidence("go.agrees", c.frames, Text("text", c.Text))
		}
		if c := g.elsewhere(host); c != nil && !v.has("go.agrees") {
			v.evidence("go.other-failure", nil, Text("text", c.Text))
		}
		if n := g.out.Hosts[host].Pending(); n > 0 && len(g.out.Reported()) == 0 {
			v.evidence("go.pending", nil, Num("count", int64(n)), Text("host", host))
		}
	}
	told := 0
	for i := range g.claims {
		c := &g.claims[i]
		if c.denied == 0 || c.agreed > 0 || c.unclear > 0 || told == maxContradictions {
			continue
		}
		if told++; !v.tells(c) {
			v.contradicted(c, c.deniedFrames)
		}
	}
}

// tells reports whether a contradiction is in the verdict already.
func (v *Verdict) tells(c *claim) bool {
	for i := range v.Evidence {
		e := &v.Evidence[i]
		if e.ID == "go.contradicts" && len(e.Values) > 0 && e.Values[0].Text == c.Text {
			return true
		}
	}
	return false
}

// about returns a statement about host that the packets agree with, one that
// the command ended with before one of its trace.
func (g *GoText) about(host string) *claim {
	var found *claim
	for i := range g.claims {
		c := &g.claims[i]
		if c.Host != host || c.agreed == 0 || c.Kind.InsideTLS() {
			continue
		}
		if found == nil || found.Trace && !c.Trace {
			found = c
		}
	}
	return found
}

// elsewhere returns what the command ended with, where none of that is about
// host.
func (g *GoText) elsewhere(host string) *claim {
	var other *claim
	for i := range g.claims {
		c := &g.claims[i]
		if c.Trace || c.Host == "" {
			continue
		}
		if c.Host == host || c.Remote.IsValid() && c.Remote.Addr().String() == host {
			return nil
		}
		other = c
	}
	return other
}

// absent tells of connections that go speaks of and the capture lacks.
func (g *GoText) absent(v *Verdict) {
	told := 0
	for i := range g.claims {
		c := &g.claims[i]
		if c.agreed+c.denied+c.unclear > 0 || !c.Remote.IsValid() || c.Kind.Lookup() || told == maxAbsent {
			continue
		}
		told++
		if c.Local.IsValid() {
			v.evidence("go.absent", nil, Text("text", c.Text))
			continue
		}
		v.evidence("go.attempt-absent", nil, Text("address", c.Remote.String()), Text("text", c.Text))
	}
}

// subjectHost returns the lower-case host that a verdict is about.
func subjectHost(v *Verdict) string {
	for _, name := range []string{"name", "host"} {
		for i := range v.Values {
			if v.Values[i].Name == name && v.Values[i].Text != "" {
				return plainName(v.Values[i].Text)
			}
		}
	}
	return ""
}

// What the packets say to a statement.
const (
	PacketsAgree      = "agree"
	PacketsContradict = "contradict"
	PacketsUnclear    = "unclear" // they cannot show it
	PacketsAbsent     = "absent"  // they hold nothing that it is about
)

// GoCheck is one statement of the go command with what the packets say to it.
type GoCheck struct {
	*goproxy.Statement
	// Packets is one of the constants above.
	Packets string
	// Subjects is the number of connections or lookups that it was compared
	// with, Frames show what was found (at most 32).
	Subjects int
	Frames   []int64
}

// Checks returns what became of every statement, in the order of the output.
func (g *GoText) Checks() []GoCheck {
	if g == nil {
		return nil
	}
	out := make([]GoCheck, len(g.claims))
	for i := range g.claims {
		c := &g.claims[i]
		k := GoCheck{Statement: c.Statement, Packets: PacketsAbsent, Subjects: c.agreed + c.denied + c.unclear, Frames: c.frames}
		switch {
		case c.agreed > 0:
			k.Packets = PacketsAgree
		case c.unclear > 0:
			k.Packets = PacketsUnclear
		case c.denied > 0:
			k.Packets, k.Frames = PacketsContradict, c.deniedFrames
		}
		out[i] = k
	}
	return out
}
