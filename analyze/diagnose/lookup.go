package diagnose

import (
	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/dnswire"
	"goproxytrace/analyze/tcpflow"
)

// Record types that yield addresses.
const (
	typeA    = 1
	typeAAAA = 28
)

// goUDPSize is the payload size that Go's own resolver announces, without any
// option (maxDNSPacketSize in net/dnsclient_unix.go).
const goUDPSize = 1232

// Lookup judges one lookup.
func Lookup(l *dnswire.Lookup, env *Env) Verdict {
	q := newQuestion(l)
	return q.judge(env)
}

// Lookup takes a finished lookup, the i-th of the capture, with its verdict.
// isTarget says that its name is a host of GOPROXY or GOSUMDB.
func (a *Aggregator) Lookup(i int, l *dnswire.Lookup, v *Verdict, isTarget bool) {
	q := newQuestion(l)
	a.question(i, &q, v, isTarget)
}

// newQuestion reduces a lookup to what the rules ask for. Answers that fit no
// question are left out: nobody takes them.
func newQuestion(l *dnswire.Lookup) question {
	q := question{
		client: decode.Addr(l.Client.Addr),
		name:   l.Name, address: l.Type == typeA || l.Type == typeAAAA, v6: l.Type == typeAAAA,
		server: tcpflow.Endpoint{Addr: l.Server.Addr, Port: l.Server.Port}, sent: l.Sent(),
	}
	q.byGo = len(l.Queries) > 0
	for i := range l.Queries {
		o := &l.Queries[i]
		q.queries = append(q.queries, tcpflow.Point{Frame: o.Frame, Time: o.Time})
		q.byGo, q.port = q.byGo && o.UDPSize == goUDPSize && o.Options == 0, l.Queries[0].Port
	}
	for i := range l.Responses {
		r := &l.Responses[i]
		if r.Mismatch || r.Malformed != "" {
			q.cut = q.cut || !r.Mismatch
			continue
		}
		q.answers = append(q.answers, newAnswer(r))
	}
	if first, second := l.Conflict(); first != nil {
		a, b := newAnswer(first), newAnswer(second)
		q.conflict = []answer{a, b}
	}
	for i := range l.Unreachable {
		if u := &l.Unreachable[i]; !u.Answer {
			q.icmp = &tcpflow.ICMPError{
				Point: tcpflow.Point{Frame: u.Frame, Time: u.Time}, From: u.From, IPVersion: u.IPVersion, Type: u.Type, Code: u.Code,
			}
			break
		}
	}
	if first, _ := l.Conflict(); first != nil {
		for i := range l.Unreachable {
			if u := &l.Unreachable[i]; u.Answer {
				q.unwanted = append(q.unwanted, tcpflow.Point{Frame: u.Frame, Time: u.Time})
			}
		}
	}
	return q
}

func newAnswer(r *dnswire.Response) answer {
	a := answer{Point: tcpflow.Point{Frame: r.Frame, Time: r.Time}, rcode: int(r.Message.RCode), truncated: r.Message.Truncated}
	for i := range r.Message.Answers {
		if addr := r.Message.Answers[i].Addr; addr.IsValid() {
			a.addrs = append(a.addrs, decode.Addr(addr.As16()))
		}
	}
	for i := range r.Message.Errors {
		a.ede = append(a.ede, r.Message.Errors[i].Code)
	}
	return a
}
