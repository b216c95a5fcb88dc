package diagnose

import (
	"slices"
	"strings"

	"goproxytrace/analyze/tcpflow"
)

// revocationPort is where certificates are checked for having been revoked:
// lists and OCSP responders are asked over plain HTTP, since TLS would need a
// check of its own (RFC 5280, section 8).
const revocationPort = 80

// maxRevocations bounds the attempts that are remembered.
const maxRevocations = 16

// revocationNames are how authorities name the hosts of their lists and
// responders: the beginning of the first label, or a domain for nothing else.
var (
	revocationLabels  = []string{"ocsp", "crl"}
	revocationDomains = []string{"lencr.org", "pki.goog", "ctldl.windowsupdate.com"}
)

// revocationName reports whether a name is one of such a host.
func revocationName(name string) bool {
	name = plainName(name)
	return slices.ContainsFunc(revocationLabels, func(l string) bool { return strings.HasPrefix(name, l) }) && strings.Contains(name, ".") ||
		slices.ContainsFunc(revocationDomains, func(d string) bool { return name == d || strings.HasSuffix(name, "."+d) })
}

// unanswered says how far a request for revocation came.
type unanswered uint8

const (
	unresolved unanswered = iota // its name was asked for
	unreached                    // SYNs to its port 80
	unserved                     // a request on a connection
)

// revocation is a certificate check's request that nobody answered.
type revocation struct {
	kind  unanswered
	start tcpflow.Point
	last  tcpflow.Point
	host  string
	addr  string
	pid   uint32
	count int64 // SYNs or questions
}

// revocation remembers a connection that may be a certificate check's.
func (a *Aggregator) revocation(w *view) {
	if w.c.ServerEnd().Port != revocationPort || w.client == nil || w.c.Loopback || len(a.revocations) >= maxRevocations {
		return
	}
	r := revocation{
		kind: unreached, start: w.client.SYN, last: w.client.LastSYN, host: w.hostText(), addr: endpointText(w.c.ServerEnd()),
		pid: w.c.ProcessID, count: int64(w.client.SYNs),
	}
	switch {
	case !r.start.Seen():
		return
	case w.server == nil && w.client.SYNs >= synRepeats:
	case w.server != nil && w.established() && w.client.NewBytes > 0 && w.server.NewBytes == 0 && w.until-w.client.FirstData.Time >= quietFinding:
		r.kind, r.last = unserved, w.client.FirstData
	default:
		return
	}
	a.revocations = append(a.revocations, r)
}

// revocationLookup remembers a lookup that may be a certificate check's.
func (a *Aggregator) revocationLookup(q *question, v *Verdict) {
	if v.Class != DNSNoAnswer || !revocationName(q.name) || len(q.queries) == 0 || len(a.revocations) >= maxRevocations {
		return
	}
	a.revocations = append(a.revocations, revocation{
		kind: unresolved, start: q.queries[0], last: q.queries[len(q.queries)-1], host: q.name, addr: endpointText(q.server), count: int64(q.sent),
	})
}

// verification turns the verdict on a client that did not go on with a complete
// server flight into what it waited for (L9), where requests of the same
// machine for revocation began while it was silent and stayed without an answer.
func (a *Aggregator) verification(k *contact) Verdict {
	v := *k.death
	if v.Class != ClientStalled {
		return v
	}
	for i := range a.revocations {
		r := &a.revocations[i]
		if d := r.start.Time - v.failed; d < 0 || d > tlsTimeout || k.pid != 0 && r.pid != 0 && k.pid != r.pid {
			continue
		}
		if n := a.names[plainName(r.host)]; r.kind == unresolved && n != nil && n.answered > r.start.Time {
			continue // the other address family had an answer
		}
		if v.Class == ClientStalled {
			was, level := v, Consistent
			if was.Level == Suggested {
				level = Suggested
			}
			v = newVerdict(ClientVerificationStalled, level, atThisEnd, was.Values...)
			v.failed, v.Evidence, v.NotAssessed, v.Notes = was.failed, was.Evidence[:len(was.Evidence):len(was.Evidence)], was.NotAssessed, was.Notes
		}
		switch r.kind {
		case unresolved:
			v.evidence("revocation.unresolved", frames(r.start, r.last), Text("host", r.host), Text("address", r.addr), Num("count", r.count))
		case unreached:
			v.evidence("revocation.unanswered", frames(r.start, r.last), Text("host", r.host), Text("address", r.addr), Num("count", r.count))
		case unserved:
			v.evidence("revocation.no-response", frames(r.start, r.last), Text("host", r.host), Text("address", r.addr))
		}
	}
	return v
}
