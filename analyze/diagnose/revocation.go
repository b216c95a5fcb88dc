package diagnose

import "goproxytrace/analyze/tcpflow"

// revocationPort is where certificates are checked for having been revoked:
// lists and OCSP responders are asked over plain HTTP, since TLS would need a
// check of its own (RFC 5280, section 8).
const revocationPort = 80

// maxRevocations bounds the attempts that are remembered.
const maxRevocations = 16

// revocation is an attempt to reach a port 80 that nobody answered.
type revocation struct {
	start tcpflow.Point
	last  tcpflow.Point
	host  string
	addr  string
	pid   uint32
	syns  int64
}

// revocation remembers a connection that may be a certificate check's.
func (a *Aggregator) revocation(w *view) {
	if w.c.ServerEnd().Port != revocationPort || w.client == nil || w.server != nil || w.client.SYNs < synRepeats || w.c.Loopback ||
		len(a.revocations) >= maxRevocations {
		return
	}
	a.revocations = append(a.revocations, revocation{
		w.client.SYN, w.client.LastSYN, w.hostText(), endpointText(w.c.ServerEnd()), w.c.ProcessID, int64(w.client.SYNs),
	})
}

// verification turns the verdict on a client that did not go on with a complete
// server flight into what it waited for (L9), where attempts to reach a port 80
// began while it was silent and stayed without an answer.
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
		if v.Class == ClientStalled {
			was, level := v, Consistent
			if was.Level == Suggested {
				level = Suggested
			}
			v = newVerdict(ClientVerificationStalled, level, atThisEnd, was.Values...)
			v.failed, v.Evidence, v.NotAssessed, v.Notes = was.failed, was.Evidence[:len(was.Evidence):len(was.Evidence)], was.NotAssessed, was.Notes
		}
		v.evidence("revocation.unanswered", frames(r.start, r.last), Text("host", r.host), Text("address", r.addr), Num("count", r.syns))
	}
	return v
}
