package probe

import (
	"net/netip"
	"slices"
	"strings"

	"goproxytrace/analyze"
	"goproxytrace/analyze/diagnose"
)

// Join replaces what sockets told by what the packets of a capture say, which
// was made on this host meanwhile.
func Join(all []*Attempt, r *analyze.Result) error {
	if r == nil {
		return nil
	}
	seen := map[tuple][]*analyze.Connection{}
	if r.Connections != nil {
		for c, err := range r.Connections.All() {
			if err != nil {
				return err
			}
			if t, ok := tupleOf(c.Client, c.Server); ok {
				kept := *c
				seen[t] = append(seen[t], &kept)
			}
		}
	}
	for _, a := range all {
		switch {
		case a.End == Stopped:
		case a.isLookup():
			a.joinLookup(r.Lookups)
		default:
			if !a.joinConnection(seen) {
				a.joinAttempt(r.Attempts)
			}
		}
	}
	return nil
}

// tuple is a connection's own port and its far end: this host's address may
// not be known.
type tuple struct {
	port   uint16
	remote netip.AddrPort
}

func tupleOf(client, server string) (tuple, bool) {
	c, err1 := netip.ParseAddrPort(client)
	s, err2 := netip.ParseAddrPort(server)
	return tuple{c.Port(), netip.AddrPortFrom(s.Addr().Unmap(), s.Port())}, err1 == nil && err2 == nil
}

// joinConnection takes the judgement on the attempt's own packets.
func (a *Attempt) joinConnection(seen map[tuple][]*analyze.Connection) bool {
	for _, c := range seen[tuple{a.Local.Port(), a.Remote}] {
		if c.Start.Before(a.Begin.Add(-slack)) || c.Start.After(a.Ended.Add(slack)) {
			continue
		}
		a.ByPackets = true
		v := &c.Verdict
		if !a.Died() || !a.agrees(v) {
			return true
		}
		a.Class, a.Place, a.Level = v.Class, slices.Clone(v.Place), v.Level
		return true
	}
	return false
}

// slack is how far a capture's clock and this program's may be apart.
const slack = 2e9

// agrees reports whether a verdict is on what the attempt died of. Inside TLS
// the attempt knows what no packet tells, and where its own time was over, the
// packets show only that it closed.
func (a *Attempt) agrees(v *diagnose.Verdict) bool {
	switch {
	case !v.Died():
		return false
	case v.Class == diagnose.ClientAborted, v.Class == diagnose.ClientStalled:
		return false
	case a.Class == diagnose.HTTPError, a.Class == diagnose.ProxyRefused, a.Class == diagnose.TLSCertificateRejected, a.Class == diagnose.TLSNotTLS:
		return v.Class == a.Class
	}
	return true
}

// joinAttempt takes the judgement on an attempt of which no packet was seen.
func (a *Attempt) joinAttempt(list []analyze.Attempt) {
	for i := range list {
		t := &list[i]
		if t.Target != a.Remote.String() || t.Time.Before(a.Begin.Add(-slack)) || t.Time.After(a.Ended.Add(slack)) || !t.Verdict.Died() || !a.Died() {
			continue
		}
		a.ByPackets = true
		a.Class, a.Place, a.Level = t.Verdict.Class, slices.Clone(t.Verdict.Place), t.Verdict.Level
		return
	}
}

// joinLookup takes the judgement on a lookup's packets. An analysis takes
// questions that nobody answered for repetitions of the first, whose port is
// another attempt's.
func (a *Attempt) joinLookup(list []analyze.Lookup) {
	kind := map[Arm]string{AskA: "A", AskAAAA: "AAAA"}[a.Arm]
	if kind == "" {
		return
	}
	var same *analyze.Lookup
	for i := range list {
		l := &list[i]
		if l.Type != kind || l.Server != a.Resolver.String() || !strings.EqualFold(strings.TrimSuffix(l.Name, "."), strings.TrimSuffix(a.Host, ".")) {
			continue
		}
		if client, err := netip.ParseAddrPort(l.Client); err == nil && client.Port() == a.Local.Port() {
			same = l
			break
		}
		if same == nil && len(a.Answers) == 0 && len(l.Answers) == 0 {
			same = l
		}
	}
	if same == nil {
		return
	}
	a.ByPackets = true
	if a.Died() && same.Verdict.Died() {
		a.Class, a.Place, a.Level = same.Verdict.Class, slices.Clone(same.Verdict.Place), same.Verdict.Level
	}
}
