package twopoint

import (
	"cmp"
	"slices"

	"goproxytrace/analyze/diagnose"
)

// finish puts everything in order.
func (j *judge) finish() {
	for k, f := range j.findings {
		f.Connections = len(f.flows)
		if k.event == Vanished {
			f.Of = j.sentKinds[findingKey{kind: k.kind, d: k.d, server: k.server}]
		}
		if k.event == Appeared && k.kind != ICMP {
			most := 0
			for ttl, n := range j.ttls[k.server.Addr] {
				if k.d == 1 && (n > most || n == most && ttl > f.Usual) {
					f.Usual, most = ttl, n
				}
			}
		}
		j.r.Findings = append(j.r.Findings, *f)
	}
	rank := map[Event]int{Appeared: 0, Vanished: 1, Changed: 2, Parted: 3, Unanswered: 4, Passed: 5, Repeated: 6}
	weight := map[Kind]int{Reset: 0, Answer: 1, Data: 2, SYNACK: 3, ClientHello: 4, SYN: 5, Question: 6, FIN: 7, ICMP: 8, ACK: 9}
	slices.SortFunc(j.r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(rank[a.Event], rank[b.Event]), cmp.Compare(weight[a.Kind], weight[b.Kind]), cmp.Compare(a.Direction, b.Direction),
			cmp.Compare(a.Claimed, b.Claimed), cmp.Compare(a.Peer, b.Peer), cmp.Compare(a.What, b.What), cmp.Compare(a.From, b.From),
			cmp.Compare(a.To, b.To), cmp.Compare(a.Level, b.Level), cmp.Compare(a.Place, b.Place))
	})
	for _, reason := range []string{reasonTime, reasonDropped, reasonMissed, reasonFilter, reasonTangled} {
		if n := j.notJudged[reason]; n > 0 {
			j.r.NotJudged = append(j.r.NotJudged, NotJudged{reason, n})
		}
	}
	for d := range 2 {
		if hops, known := j.m.hopsOf(d); known {
			j.r.Hops[d] = &hops
		}
	}
	j.cautions()
}

func (j *judge) cautions() {
	say := func(id string, values ...diagnose.Value) { j.r.Cautions = append(j.r.Cautions, Caution{id, values}) }
	if !j.m.clock.Known {
		say("points.nothing-common")
	}
	if n := j.m.clock.Unsteady; n > 0 {
		say("points.unsteady", diagnose.Dur("by", n))
	}
	for i, p := range []*Point{j.a, j.b} {
		name := diagnose.Text("file", p.Name)
		switch {
		case p.Damage != nil:
			say("points.damaged", name)
		case p.Full:
			say("points.full", name)
		}
		switch {
		case p.Dropped == nil:
			say("points.drops-unknown", name)
		case *p.Dropped > 0:
			say("points.dropped", name, diagnose.Num("n", int64(*p.Dropped)))
		}
		if p.Undrained > 0 {
			say("points.undrained", name, diagnose.Num("n", int64(p.Undrained)))
		}
		if j.missed[i] > 0 {
			say("points.missed", name, diagnose.Num("n", int64(j.missed[i])))
		}
		if p.Sliced > 0 {
			say("points.sliced", name, diagnose.Num("n", p.Sliced))
		}
		if !p.EndKnown {
			say("points.end-unknown", name)
		}
	}
}
