package diagnose

import (
	"slices"
	"strings"

	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/tcpflow"
)

// question is one lookup as the rules see it.
type question struct {
	name    string
	address bool // asks for A or AAAA
	v6      bool
	// byGo is true where every query has the form of Go's own resolver; port
	// is what the first came from.
	byGo   bool
	port   uint16
	server tcpflow.Endpoint
	client decode.Addr
	// cut is true where an answer is not whole in the capture.
	cut     bool
	queries []tcpflow.Point
	sent    int // queries in all
	answers []answer
	// conflict are two answers to one question sent once that differ;
	// unwanted are the client's ICMP errors about a late answer.
	conflict []answer
	unwanted []tcpflow.Point
	icmp     *tcpflow.ICMPError
}

// answer is one response.
type answer struct {
	tcpflow.Point
	rcode     int
	addrs     []decode.Addr
	truncated bool
	ede       []uint16 // extended error codes (RFC 8914)
}

// Response codes (RFC 1035, section 4.1.1).
const (
	rcodeServFail = 2
	rcodeNXDomain = 3
	rcodeRefused  = 5
)

type lookupRule func(q *question, env *Env) (Verdict, bool)

// lookupRules in order of decision: what is wrong with the answers first.
var lookupRules = []lookupRule{dnsForged, dnsSinkhole, dnsError, dnsNoData, dnsUnreachable, dnsNoAnswer}

// judge returns the verdict on one lookup.
func (q *question) judge(env *Env) Verdict {
	if q.address && len(q.queries) > 0 {
		for _, r := range lookupRules {
			v, ok := r(q, env)
			if !ok {
				continue
			}
			if Classes[v.Class].Absence && env.DropsKnown && env.Drops > 0 {
				return Verdict{Class: CaptureUnusable, Stage: StageCapture, Level: None, NotAssessed: []string{"skip.capture-dropped"}}
			}
			return v
		}
	}
	if len(q.answers) == 0 {
		return Verdict{Class: OK, Stage: StageDone, Level: Consistent}
	}
	return Verdict{Class: OK, Stage: StageDone, Level: Proven}
}

// verdict begins the verdict on a lookup that failed.
func (q *question) verdict(c Class, l Level, places []Place, at int64, more ...Value) Verdict {
	values := append([]Value{
		Text("host", q.name),
		Text("address", endpointText(q.server)),
		Dur("after", max(at-q.queries[0].Time, 0)),
		Text("name", q.name),
	}, more...)
	v := newVerdict(c, l, places, values...)
	v.failed = q.queries[0].Time
	return v
}

// dnsForged finds two answers to one question that say different things (D5).
// A resolver that is asked twice may answer twice, and differently.
func dnsForged(q *question, _ *Env) (Verdict, bool) {
	if len(q.conflict) != 2 || !differ(&q.conflict[0], &q.conflict[1]) {
		return Verdict{}, false
	}
	first, second := &q.conflict[0], &q.conflict[1]
	v := q.verdict(DNSForged, Suggested, inNetwork, second.Time, Text("answer", answerText(first)))
	v.evidence("dns.two-answers", frames(q.queries[0], first.Point, second.Point),
		Text("first", answerText(first)), Text("second", answerText(second)))
	v.evidence("dns.early-answer", frames(q.queries[0], first.Point, second.Point),
		Dur("first", first.Time-q.queries[0].Time), Dur("second", second.Time-q.queries[0].Time))
	if len(q.unwanted) > 0 {
		v.evidence("dns.second-unwanted", frames(q.unwanted...))
	}
	return v, true
}

// differ reports whether two answers contradict each other: no address in
// common, or addresses against an error or none.
func differ(a, b *answer) bool {
	if a.truncated || b.truncated {
		return false
	}
	if len(a.addrs) == 0 || len(b.addrs) == 0 {
		return len(a.addrs) != len(b.addrs) || a.rcode != b.rcode
	}
	for _, x := range a.addrs {
		if slices.Contains(b.addrs, x) {
			return false
		}
	}
	return true
}

func answerText(a *answer) string {
	if len(a.addrs) > 0 {
		return addressText(a.addrs[0])
	}
	return rcodeText(a.rcode)
}

func rcodeText(n int) string {
	switch n {
	case 0:
		return "no address"
	case 1:
		return "FORMERR"
	case rcodeServFail:
		return "SERVFAIL"
	case rcodeNXDomain:
		return "NXDOMAIN"
	case 4:
		return "NOTIMP"
	case rcodeRefused:
		return "REFUSED"
	}
	return "another error"
}

// dnsSinkhole finds answers that lead nowhere (D4): the unspecified address
// or this host itself. Private addresses are what a company's own proxy has.
func dnsSinkhole(q *question, _ *Env) (Verdict, bool) {
	if localName(q.name) {
		return Verdict{}, false
	}
	for i := range q.answers {
		a := &q.answers[i]
		if len(a.addrs) == 0 || !slices.ContainsFunc(a.addrs, nowhere) {
			continue
		}
		v := q.verdict(DNSSinkhole, Suggested, beyond, a.Time, Text("answer", answerText(a)))
		v.evidence("dns.nowhere", frames(q.queries[0], a.Point), Text("answer", answerText(a)))
		return v, true
	}
	return Verdict{}, false
}

// nowhere reports whether a is unspecified or a loopback address.
func nowhere(a decode.Addr) bool {
	if isV4(a) {
		return a[12] == 127 || [4]byte(a[12:]) == [4]byte{}
	}
	return a == decode.Addr{} || a == decode.Addr{15: 1}
}

// localName reports whether a name may well stand for this host or network
// (RFC 6761, RFC 6762).
func localName(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if !strings.Contains(name, ".") {
		return true
	}
	for _, s := range []string{".localhost", ".local", ".test", ".internal", ".lan", ".home.arpa", ".arpa", ".invalid"} {
		if strings.HasSuffix(name, s) {
			return true
		}
	}
	return false
}

// good returns the first answer with addresses, or nil.
func (q *question) good() *answer {
	for i := range q.answers {
		if len(q.answers[i].addrs) > 0 || q.answers[i].truncated {
			return &q.answers[i]
		}
	}
	return nil
}

// dnsError finds an answer with an error code (D2, D3).
func dnsError(q *question, _ *Env) (Verdict, bool) {
	if len(q.answers) == 0 || q.good() != nil {
		return Verdict{}, false
	}
	a := &q.answers[0]
	class := DNSServFail
	switch a.rcode {
	case 0:
		return Verdict{}, false
	case rcodeNXDomain:
		class = DNSNXDomain
	case rcodeRefused:
		class = DNSRefused
	}
	v := q.verdict(class, Proven, beyond, a.Time)
	v.evidence("dns.error", frames(q.queries[0], a.Point), Text("rcode", rcodeText(a.rcode)), Dur("delay", a.Time-q.queries[0].Time))
	if len(a.ede) > 0 {
		v.evidence("dns.extended-error", frames(a.Point), Num("code", int64(a.ede[0])))
	}
	return v, true
}

// dnsNoData finds a name that exists and has no IPv4 address (D2). Without
// an IPv6 address a name is complete.
func dnsNoData(q *question, _ *Env) (Verdict, bool) {
	if len(q.answers) == 0 || q.v6 || q.good() != nil || q.answers[0].rcode != 0 {
		return Verdict{}, false
	}
	a := &q.answers[0]
	v := q.verdict(DNSNoData, Proven, beyond, a.Time)
	v.evidence("dns.empty", frames(q.queries[0], a.Point))
	return v, true
}

// dnsUnreachable finds an ICMP error in answer to the query.
func dnsUnreachable(q *question, _ *Env) (Verdict, bool) {
	e := q.icmp
	if len(q.answers) > 0 || e == nil {
		return Verdict{}, false
	}
	is, prohibited, expired := unreachable(e)
	if !is {
		return Verdict{}, false
	}
	places := beyond
	if (prohibited || expired) && e.From != q.server.Addr {
		places = inNetwork
	}
	v := q.verdict(DNSUnreachable, Proven, places, e.Time, Text("router", addressText(e.From)))
	v.evidence("icmp.unreachable", frames(q.queries[0], e.Point), Text("router", addressText(e.From)), Num("type", int64(e.Type)), Num("code", int64(e.Code)))
	return v, true
}

// dnsNoAnswer finds queries that nothing came back for (D1).
func dnsNoAnswer(q *question, env *Env) (Verdict, bool) {
	if len(q.answers) > 0 || q.cut {
		return Verdict{}, false
	}
	last := q.queries[len(q.queries)-1]
	until := last.Time
	if env.Final || env.End > until {
		until = max(until, env.observed(last.Frame))
	}
	d := env.elapsed(q.queries[0].Time, until)
	if d < quietFinding {
		return Verdict{}, false
	}
	level := Proven
	if q.sent < synRepeats && d < quietSure || !env.Heard {
		level = Consistent
	}
	v := q.verdict(DNSNoAnswer, level, beyond, until, Num("queries", int64(q.sent)))
	v.evidence("dns.unanswered", frames(q.queries...), Num("count", int64(q.sent)), Dur("span", d))
	if !env.Heard {
		v.skip("skip.nothing-heard")
	}
	return v, true
}
