package diagnose

import (
	"slices"
	"strings"

	"goproxytrace/analyze/decode"
)

// maxNames bounds the names whose lookups are remembered.
const maxNames = 4096

// nameFacts is what the lookups of one name yielded.
type nameFacts struct {
	relevance relevance
	// answered is the time of the latest answer with addresses, frame and
	// lookup where it is; zero for none.
	answered int64
	frame    int64
	lookup   int
	addrs    []decode.Addr // at most maxAnswers
	// death is the latest failed lookup, deathLookup its index.
	death       *Verdict
	deathLookup int
	firstFailed int64
	// client asked; asked is true where a question is in the capture, cut
	// where an answer is not whole in it.
	client     decode.Addr
	asked, cut bool
	// goPorts are where Go's resolver asked from for A and for AAAA, zero
	// where it did not: it asks for both at once, from a port each.
	goPorts [2]uint16
	// poisoned is true where an answer was forged or led nowhere.
	poisoned bool
}

func plainName(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// question takes a judged lookup.
func (a *Aggregator) question(i int, q *question, v *Verdict, isTarget bool) {
	if !q.address {
		return
	}
	a.revocationLookup(q, v)
	rel := other
	switch {
	case isTarget:
		rel = target
	case sourceHost(q.name):
		rel = related
	}
	a.seen[rel]++
	if len(q.answers) > 0 {
		a.heard = true
	}
	if a.names == nil {
		a.names = make(map[string]*nameFacts)
	}
	key := plainName(q.name)
	n := a.names[key]
	if n == nil {
		if len(a.names) >= maxNames {
			a.omitted++
			return
		}
		n = &nameFacts{lookup: -1, deathLookup: -1}
		a.names[key] = n
	}
	n.relevance = max(n.relevance, rel)
	if q.byGo {
		family := 0
		if q.v6 {
			family = 1
		}
		n.goPorts[family] = q.port
	}
	n.client, n.asked, n.cut = q.client, n.asked || len(q.queries) > 0, n.cut || q.cut
	if g := q.good(); g != nil {
		if g.Time > n.answered {
			n.answered, n.frame, n.lookup = g.Time, g.Frame, i
		}
		for _, addr := range g.addrs {
			if len(n.addrs) < maxAnswers && !slices.Contains(n.addrs, addr) {
				n.addrs = append(n.addrs, addr)
			}
		}
	}
	if !v.Died() {
		return
	}
	bad := v.Class == DNSForged || v.Class == DNSSinkhole
	if n.firstFailed == 0 || v.failed < n.firstFailed {
		n.firstFailed = v.failed
	}
	if n.death == nil || bad || !n.poisoned && v.failed >= n.death.failed && gravity(v) >= gravity(n.death) {
		copied := *v
		n.death, n.deathLookup = &copied, i
	}
	n.poisoned = n.poisoned || bad
}

// lookups adds what the names' lookups died of, and the lookups that were
// answered and followed by no attempt to connect.
func (a *Aggregator) lookups(env *Env, h *Health) {
	for name, n := range a.names {
		// An answer that came after the question of a failed lookup was
		// asked makes that good: the other family, or the second try.
		if d := n.death; d != nil && (n.poisoned && !a.delivered(name) || !n.poisoned && d.failed > n.answered) {
			if k := a.contact(contactKey{host: name}, n.firstFailed); k != nil {
				k.relevance = max(k.relevance, n.relevance)
				k.died(d, -1, n.deathLookup)
			}
			continue
		}
		a.notSent(name, n, env, h)
	}
}

// delivered reports whether any connection to host brought data.
func (a *Aggregator) delivered(host string) bool {
	for key, k := range a.contacts {
		if key.host == host && k.delivered > 0 {
			return true
		}
	}
	return false
}

// poisoned reports whether k is a connection that a forged answer led to: its
// own death is a consequence.
func (a *Aggregator) poisoned(k *contact) bool {
	if k.lookup >= 0 || k.conn < 0 {
		return false
	}
	n := a.names[k.host]
	return n != nil && n.poisoned && !a.delivered(k.host)
}

// notSent finds a lookup that was answered and followed by no attempt to
// connect (L1), in a capture that would have shown one.
func (a *Aggregator) notSent(name string, n *nameFacts, env *Env, h *Health) {
	if n.answered == 0 || len(n.addrs) == 0 || n.relevance < a.asked() || env.Drops > 0 || env.Damaged ||
		env.elapsed(n.answered, env.observed(n.frame)) < quietFinding || a.attempted(name, n) {
		return
	}
	if why := a.unseen(n, env, h); why != "" {
		if a.unclear == "" || why < a.unclear {
			a.unclear = why
		}
		return
	}
	k := a.contact(contactKey{host: name}, n.answered)
	if k == nil {
		return
	}
	quiet := env.observed(n.frame) - n.answered
	v := newVerdict(ConnectNotSent, Consistent, atThisEnd,
		Text("host", name), Text("address", addressText(n.addrs[0])), Dur("after", quiet))
	v.failed = n.answered
	v.evidence("syn.absent", []int64{n.frame}, Text("address", addressText(n.addrs[0])), Dur("quiet", quiet))
	v.skip("skip.no-host-events")
	k.relevance = max(k.relevance, n.relevance)
	k.died(&v, -1, n.lookup)
}

// unseen returns why an attempt to connect after the lookup of n may have gone
// out and not be in the capture, empty where it would be.
func (a *Aggregator) unseen(n *nameFacts, env *Env, h *Health) string {
	host := env.host(n.client)
	switch {
	case host == nil || host.vantage() == elsewhere:
		return "skip.capture-elsewhere"
	case !n.asked:
		return "skip.question-missing"
	case n.cut:
		return "skip.answer-cut"
	case a.unnamed >= n.answered:
		return "skip.host-unknown"
	case h.Unfiltered, host.TCP, isLoopback(n.client) && h.Segments > 0:
		return ""
	}
	return "skip.no-tcp"
}

// isLoopback reports whether a is an address of the host's own, such as
// programs use towards a resolver on the same machine.
func isLoopback(a decode.Addr) bool {
	if isV4(a) {
		return a[12] == 127
	}
	return a == decode.Addr{15: 1}
}

// byGo reports whether Go's own resolver looked the name up.
func (n *nameFacts) byGo() bool {
	return n.goPorts[0] != 0 && n.goPorts[1] != 0 && n.goPorts[0] != n.goPorts[1]
}

// asked returns the relevance of names that are sure to have been looked up
// for the go command: other programs look up much that they never visit.
func (a *Aggregator) asked() relevance {
	if a.seen[target] == 0 {
		return related
	}
	return target
}

// attempted reports whether any connection went to the name or its addresses.
func (a *Aggregator) attempted(name string, n *nameFacts) bool {
	for key := range a.contacts {
		if key.addr == (decode.Addr{}) {
			continue
		}
		if key.host == name || slices.Contains(n.addrs, key.addr) {
			return true
		}
	}
	return false
}
