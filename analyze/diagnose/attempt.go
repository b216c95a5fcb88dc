package diagnose

import (
	"slices"

	"goproxytrace/analyze/goproxy"
	"goproxytrace/analyze/tcpflow"
)

// Attempt is an attempt to connect that the host told of and of which the
// capture holds no packet.
type Attempt struct {
	// Local is zero where it is not known; its port is zero where the kernel
	// had not chosen one.
	Local, Remote tcpflow.Endpoint
	// Time is when connect() was called, Ended when that failed or was given
	// up, zero where it was under way at the end; in Unix nanoseconds.
	Time, Ended int64
	// Error is the system's name for why it failed, empty where it has none.
	Error string
	// Frame is where the host's record stands in the capture.
	Frame int64
	// Host is the server's name, empty where unknown; Target is true where it
	// is a host of GOPROXY or GOSUMDB.
	Host   string
	Target bool
	// Covered is true where the capture would have shown its packets: the
	// interface was captured and the filter lets them pass.
	Covered bool
	// The owner, as in Flow.
	Owner                    uint32
	ProcessName, ProcessText string
	GoCommand, Outside       bool
	// Blocks are the host's records of having blocked it, in order of time.
	Blocks []Block
}

// Names of errors (errno(3), and Windows Sockets): a rule of this host forbade
// the connection, or it knows no way to the address.
var (
	forbidden = []string{"EPERM", "EACCES", "WSAEACCES"}
	noRoute   = []string{"ENETUNREACH", "ENETDOWN", "EHOSTUNREACH", "EHOSTDOWN", "EADDRNOTAVAIL", "EAFNOSUPPORT", "WSAENETUNREACH", "WSAEHOSTUNREACH", "WSAEADDRNOTAVAIL"}
	refusal   = []string{"ECONNREFUSED", "WSAECONNREFUSED"}
)

// Attempt judges an attempt and counts it.
func (a *Aggregator) Attempt(t *Attempt, env *Env) Verdict {
	v, unclear := t.judge(env)
	if unclear != "" && (a.unclear == "" || unclear < a.unclear) {
		a.unclear = unclear
	}
	rel := t.relevance()
	a.seen[rel]++
	k := a.contact(contactKey{plainName(t.Host), t.Remote.Addr, t.Owner}, t.Time)
	if k == nil {
		return v
	}
	k.relevance = max(k.relevance, rel)
	k.attempted = true
	k.tried = max(k.tried, t.Time, t.Ended)
	if v.Died() {
		k.died(&v, -1, -1)
	}
	return v
}

// relevance ranks whose attempt it is.
func (t *Attempt) relevance() relevance {
	switch {
	case t.Outside:
		return outside
	case t.Target:
		return target
	case t.GoCommand:
		return related
	case t.ProcessName == "" && goproxy.SourceHost(t.Host):
		return related
	case t.Remote.Port == 443:
		return https
	}
	return other
}

// judge says what became of an attempt; unclear is the identifier of why that
// cannot be said where it may matter.
func (t *Attempt) judge(env *Env) (v Verdict, unclear string) {
	end := t.Ended
	if end == 0 {
		end = env.End
	}
	if v, ok := t.blocked(end); ok && !slices.Contains(forbidden, t.Error) {
		return v, ""
	}
	switch took := max(end-t.Time, 0); {
	case slices.Contains(forbidden, t.Error):
		v = t.rejected(end)
		v.recorded(t.Blocks, t.Time)
		return v, ""
	case isLoopback(t.Remote.Addr):
		// Of itself the host knows a way; what answers there, or does not, is
		// in a capture of the loopback interface.
		return t.fine(), ""
	case slices.Contains(noRoute, t.Error):
		if took <= hostTurnaround || t.Covered && env.lossless() && took < giveUp {
			return t.rejected(end), ""
		}
		if t.Error == "EHOSTUNREACH" || t.Error == "EHOSTDOWN" || t.Error == "WSAEHOSTUNREACH" {
			return t.gatewaySilent(env, end)
		}
		return t.fine(), "skip.attempt-uncaptured"
	case slices.Contains(refusal, t.Error):
		if t.Covered && env.lossless() {
			return t.rejected(end), ""
		}
		return t.fine(), "skip.attempt-uncaptured"
	default:
		return t.notSent(env, end)
	}
}

// fine is the verdict on an attempt that nothing is known against.
func (t *Attempt) fine() Verdict { return Verdict{Class: OK, Stage: StageDone, Level: Consistent} }

// verdict begins the verdict on an attempt that failed.
func (t *Attempt) verdict(c Class, l Level, places []Place, end int64) Verdict {
	host := t.Host
	if host == "" {
		host = addressText(t.Remote.Addr)
	}
	values := []Value{Text("host", host), Text("address", endpointText(t.Remote)), Dur("after", max(end-t.Time, 0))}
	if t.ProcessText != "" {
		values = append(values, Text("process", t.ProcessText))
	}
	v := newVerdict(c, l, places, values...)
	v.failed = t.Time
	return v
}

func (t *Attempt) record() []int64 { return frames(tcpflow.Point{Frame: t.Frame}) }

// rejected tells of a connect() that this host itself refused (L1, L2): with the
// system's own word for it, and sooner than any packet could have come back or
// with none in a capture that would hold them. An address family without a route
// is common, and no loss to a client that has another: what came later, by any
// way, makes that good.
func (t *Attempt) rejected(end int64) Verdict {
	v := t.verdict(ConnectRejectedLocally, Proven, inHost, end)
	v.resumable = slices.Contains(noRoute, t.Error)
	v.evidence("attempt.refused", t.record(), Text("error", t.Error), Dur("delay", max(end-t.Time, 0)), Text("address", endpointText(t.Remote)))
	return v
}

// gatewaySilent tells of an attempt that ended as Linux ends it when nobody
// answers for the neighbour that packets go to first: after three questions, a
// second apart. A router's ICMP error has the same name and would be in the
// capture.
func (t *Attempt) gatewaySilent(env *Env, end int64) (Verdict, string) {
	if !t.Covered || !env.lossless() {
		return t.fine(), "skip.attempt-uncaptured"
	}
	v := t.verdict(LinkGatewaySilent, Consistent, linkOrHost, end)
	v.evidence("attempt.unreachable", t.record(), Text("error", t.Error), Dur("delay", max(end-t.Time, 0)), Text("address", endpointText(t.Remote)))
	return v, ""
}

// notSent tells of an attempt whose SYN did not leave this host (L1): the
// system's record of connect() is there and the packet is not, in a capture that
// would hold it. Linux sends a SYN at once, and again after 1, 2 and 3 s (RFC
// 9293, section 3.8.1, has one second at least), so that a filter which drops it
// without a word shows as several that are missing. A short attempt may have
// been one of several addresses that the client tried at once (RFC 8305), and
// one without an error in a capture elsewhere may have come about.
func (t *Attempt) notSent(env *Env, end int64) (Verdict, string) {
	begin := max(t.Time, env.Start)
	d := env.elapsed(begin, end)
	switch {
	case d < quietFinding:
		return t.fine(), ""
	case env.Drops > 0, env.Undrained > 0:
		return t.fine(), "skip.capture-dropped"
	case env.Damaged, !t.Covered:
		return t.fine(), "skip.attempt-uncaptured"
	}
	level := Proven
	if !env.DropsKnown || t.Ended == 0 && d < quietSure {
		level = Consistent
	}
	v := t.verdict(ConnectNotSent, level, inHost, end)
	id := t.Error
	if id == "" {
		id = "none"
	}
	v.evidence("attempt.not-sent", t.record(), Text("address", endpointText(t.Remote)), Dur("quiet", d), Text("error", id))
	return v, ""
}

// Idle is the verdict on a process of which no connection and no attempt is in
// the capture.
func Idle() Verdict { return newVerdict(NoTraffic, None, nil) }
