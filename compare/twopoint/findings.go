package twopoint

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/analyze/tcpflow"
)

// maxFrames bounds the frames that a finding names.
const maxFrames = 32

// Reasons for not judging a packet.
const (
	reasonTime    = "time"    // the far capture did not run then
	reasonDropped = "dropped" // the far capture lost packets
	reasonMissed  = "missed"  // the far end had it, its capture has not
	reasonFilter  = "filter"  // the far capture may not let such packets through
	reasonTangled = "tangled" // too many overlapping segments
)

type findingKey struct {
	event  Event
	kind   Kind
	d      int
	place  Place
	level  diagnose.Level
	server tcpflow.Endpoint
	what   string
	from   string
	to     string
}

// judge turns what was matched into findings.
type judge struct {
	m         *matcher
	a, b      *Point
	r         *Result
	behind    map[decode.Addr]bool
	clients   map[decode.Addr]bool // of connections without translation
	findings  map[findingKey]*Finding
	notJudged map[string]int
	missed    [2]int // packets that a capture missed: client's, server's
	sentKinds map[findingKey]int
	ttls      map[decode.Addr]map[uint8]int // at the client's point, of what was matched
}

// Compare says what became of packets between two points.
func Compare(client, server *Point, o Options) (*Result, error) {
	j := &judge{
		m: &matcher{hops: [2]map[int]int{{}, {}}}, a: client, b: server,
		r:      &Result{Version: o.Version, Language: o.Language, Client: client, Server: server},
		behind: make(map[decode.Addr]bool), clients: make(map[decode.Addr]bool), findings: make(map[findingKey]*Finding),
		notJudged: make(map[string]int), sentKinds: make(map[findingKey]int), ttls: make(map[decode.Addr]map[uint8]int),
	}
	for _, s := range o.Behind {
		a, err := netip.ParseAddr(strings.Trim(s, "[]"))
		if err != nil {
			return nil, fmt.Errorf("behind: %w", err)
		}
		j.behind[a.As16()] = true
	}
	pairs := join(client, server)
	for _, p := range pairs {
		j.r.Connections++
		if p.client.end != p.server.end {
			j.r.Translated++
		} else {
			j.clients[p.client.end[0].Addr] = true
		}
		j.behind[p.client.end[1].Addr] = true
	}
	for a := range server.sources {
		j.behind[a] = true
	}
	j.m.estimate(pairs, client, server)
	j.r.Clock = j.m.clock
	j.datagrams()
	pairs = append(pairs, j.alone()...)
	results := make([][2]*matched, len(pairs))
	for i, p := range pairs {
		for d := range 2 {
			results[i][d] = j.m.direction(p, d)
			j.reach(results[i][d], d)
		}
	}
	// What captures missed decides on how far the rest can be trusted.
	for i, p := range pairs {
		for d := range 2 {
			j.sortOut(p, results[i][d], d)
		}
	}
	for i, p := range pairs {
		j.pair(p, &results[i])
	}
	j.notices()
	j.finish()
	return j.r, nil
}

// reach widens the clock's largest delays by what was matched.
func (j *judge) reach(o *matched, d int) {
	for _, l := range o.links {
		j.m.clock.slowest[d] = max(j.m.clock.slowest[d], l.r.at-l.s.at)
	}
}

// alone makes pairs with an empty other side of the connections that one
// capture alone has, where the other lies on their way.
func (j *judge) alone() (pairs []*pair) {
	unseen := make(map[string]*Unseen)
	again := [2]func(*flow) bool{translatedAgain(j.a.flows), translatedAgain(j.b.flows)}
	for _, f := range j.a.flows {
		if f.match != nil || f.loopback || again[0](f) {
			continue
		}
		if !j.behind[f.end[1].Addr] {
			name := endpoint(f.end[1])
			u := unseen[name]
			if u == nil {
				u = &Unseen{Server: name}
				unseen[name] = u
			}
			u.Connections++
			if s := f.firstFrame(); len(u.Frames) < maxFrames {
				u.Frames = append(u.Frames, s)
			}
			continue
		}
		pairs = append(pairs, &pair{client: f, server: &flow{end: f.end}, how: byTuple})
	}
	for _, f := range j.b.flows {
		// Other clients of the server never passed the client's capture.
		if f.match == nil && !f.loopback && j.clients[f.end[0].Addr] && !again[1](f) {
			pairs = append(pairs, &pair{client: &flow{end: f.end}, server: f, how: byTuple})
		}
	}
	for _, p := range pairs {
		p.number()
		for _, f := range []*flow{p.client, p.server} {
			for d := range 2 {
				for _, s := range f.sent[d] {
					s.at = s.time
					if f == p.server {
						s.at = j.m.clock.toClient(s.time)
					}
				}
			}
		}
	}
	for _, u := range unseen {
		j.r.Unseen = append(j.r.Unseen, *u)
	}
	slices.SortFunc(j.r.Unseen, func(a, b Unseen) int { return cmp.Compare(a.Frames[0], b.Frames[0]) })
	return pairs
}

// translatedAgain returns what tells a flow that is another of the same capture
// under other addresses: where the capture point translates itself (containers,
// routers, load balancers), it has each packet before and behind that.
func translatedAgain(flows []*flow) func(*flow) bool {
	const soon = int64(1e9) // a SYN is not held back longer
	begun := make(map[uint32]int64)
	for _, f := range flows {
		if f.match != nil && f.hasISN[0] && len(f.sent[0]) > 0 {
			begun[f.isn[0]] = f.sent[0][0].time
		}
	}
	return func(f *flow) bool {
		if !f.hasISN[0] || len(f.sent[0]) == 0 {
			return false
		}
		at, ok := begun[f.isn[0]]
		return ok && max(at-f.sent[0][0].time, f.sent[0][0].time-at) < soon
	}
}

func (f *flow) firstFrame() int64 {
	first := int64(0)
	for d := range 2 {
		for _, s := range f.sent[d] {
			if first == 0 || s.frame < first {
				first = s.frame
			}
		}
	}
	return first
}

// points returns the capture near the sender of a direction, and the one near
// the receiver, with their places in judge.missed.
func (j *judge) points(d int) (sender, receiver *Point, s, r int) {
	if d == 0 {
		return j.a, j.b, 0, 1
	}
	return j.b, j.a, 1, 0
}

// sortOut takes out of what was matched what a capture missed.
func (j *judge) sortOut(p *pair, o *matched, d int) {
	_, _, near, far := j.points(d)
	sent, arrived := p.side(d)
	acks := newProgress(p.acks(d))
	come, gone := newReach(arrived), newReach(sent)
	if come.torn || gone.torn {
		o.tangled = true
		return
	}
	o.vanished = slices.DeleteFunc(o.vanished, func(v span) bool {
		if v.to == v.from {
			return false // an acknowledgement alone is not acknowledged
		}
		at, ok := acks.passed(v.to)
		if !ok || at < v.s.at {
			return false
		}
		// Acknowledged before, or without, any of it having come.
		if when, ok := come.covered(v.from, v.to); ok && when <= at {
			return false
		}
		j.missed[far]++
		j.notJudged[reasonMissed]++
		return true
	})
	// The sender went on behind bytes that its own capture does not have.
	last := int64(-1)
	for _, s := range sent {
		if s.flags&decode.RST == 0 && s.len > 0 {
			last = max(last, s.from)
		}
	}
	o.appeared = slices.DeleteFunc(o.appeared, func(v span) bool {
		if v.to == v.from || v.s.flags&decode.RST != 0 || last < v.to {
			return false
		}
		if _, ok := gone.covered(v.from, v.to); ok || gone.touches(v.from, v.to) {
			return false
		}
		j.missed[near]++
		j.notJudged[reasonMissed]++
		return true
	})
}

// pair judges one connection.
func (j *judge) pair(p *pair, results *[2]*matched) {
	if p.parts(results) {
		f := j.finding(findingKey{event: Parted, d: 0, place: Between, level: diagnose.Suggested, server: p.client.end[1]}, p)
		f.Count++
		f.frames(firstOf(p.client), firstOf(p.server))
		return
	}
	for d := range 2 {
		o := results[d]
		sent, arrived := p.side(d)
		if o.tangled {
			j.notJudged[reasonTangled] += len(o.vanished) + len(o.appeared)
			continue
		}
		if len(p.client.sent[0])+len(p.client.sent[1]) > 0 && len(p.server.sent[0])+len(p.server.sent[1]) > 0 {
			j.r.Sent[d] += len(sent)
			for _, s := range sent {
				if s.done {
					j.r.Matched[d]++
				}
			}
		}
		for _, s := range sent {
			j.sentKinds[findingKey{kind: p.kind(s, d), d: d, server: p.client.end[1]}]++
		}
		come := newReach(arrived)
		for _, v := range o.vanished {
			if j.covered(v.s.at, d) {
				j.vanished(p, v, d, come)
			}
		}
		j.appeared(p, o, d)
		for _, r := range o.repeated {
			f := j.finding(findingKey{event: Repeated, kind: p.kind(r, d), d: d, place: Between, level: diagnose.Proven, server: p.client.end[1]}, p)
			f.Count++
			f.far(d, r.frame)
		}
		for _, l := range o.links {
			j.changed(p, l, d)
			if l.s.flags&decode.RST != 0 {
				f := j.finding(findingKey{event: Passed, kind: Reset, d: d, place: origin(d), level: diagnose.Proven, server: p.client.end[1]}, p)
				f.Count++
				f.both(d, l)
			}
		}
		for _, l := range o.altered {
			f := j.finding(findingKey{event: Changed, kind: p.kind(l.s, d), d: d, place: Between, level: diagnose.Proven, server: p.client.end[1], what: "payload"}, p)
			f.Count++
			f.both(d, l)
		}
		j.unanswered(p, arrived, d)
	}
	if p.rewritten[0] || p.rewritten[1] {
		f := j.finding(findingKey{event: Changed, kind: SYN, d: 0, place: Between, level: diagnose.Proven, server: p.client.end[1], what: "sequence-numbers"}, p)
		f.Count++
		f.frames(firstOf(p.client), firstOf(p.server))
	}
}

// origin is where what passed both points in a direction came from.
func origin(d int) Place {
	if d == 0 {
		return BeforeClient
	}
	return BehindServer
}

func firstOf(f *flow) int64 { return f.firstFrame() }

// parts reports whether the two flows are two connections: their numbers differ
// in both directions, and most acknowledgements have no counterpart.
func (p *pair) parts(results *[2]*matched) bool {
	if !p.rewritten[0] || !p.rewritten[1] {
		return false
	}
	links, lone := 0, 0
	for d := range 2 {
		for _, l := range results[d].links {
			if l.s.bare() {
				links++
			}
		}
		for _, v := range results[d].vanished {
			if v.s.bare() {
				lone++
			}
		}
		for _, v := range results[d].appeared {
			if v.s.bare() {
				lone++
			}
		}
	}
	return lone > links
}

// kind says what a segment is.
func (p *pair) kind(s *segment, d int) Kind {
	switch {
	case s.flags&decode.RST != 0:
		return Reset
	case s.flags&(decode.SYN|decode.ACK) == decode.SYN|decode.ACK:
		return SYNACK
	case s.flags&decode.SYN != 0:
		return SYN
	case s.len > 0 && d == 0 && s.from <= int64(max(p.client.hello, p.server.hello)) && max(p.client.hello, p.server.hello) > 0 && s.from >= 1:
		return ClientHello
	case s.len > 0:
		return Data
	case s.flags&decode.FIN != 0:
		return FIN
	}
	return ACK
}

// covered reports whether the far capture ran when a packet should have passed
// it, and counts those for which it did not.
func (j *judge) covered(at int64, d int) bool {
	_, receiver, _, _ := j.points(d)
	from, to := receiver.Start, receiver.End
	if receiver == j.b {
		from, to = j.m.clock.toClient(from), j.m.clock.toClient(to)
	}
	c := &j.m.clock
	if at+c.fastest[d]/2-c.Unsteady < from || at+max(c.slowest[d], 2*c.fastest[d], 20e6)+c.Unsteady > to {
		j.notJudged[reasonTime]++
		return false
	}
	return true
}

// ran reports whether the sender's capture ran when what appeared should have
// passed it: not before since, when what it answers was sent (zero where that is
// not known).
func (j *judge) ran(at, since int64, d int) bool {
	sender, _, _, _ := j.points(d)
	from, to := sender.Start, sender.End
	if sender == j.b {
		from, to = j.m.clock.toClient(from), j.m.clock.toClient(to)
	}
	c := &j.m.clock
	left := at - max(c.slowest[d], 2*c.fastest[d], 20e6) - c.Unsteady
	if max(left, since) < from || at-c.fastest[d]/2+c.Unsteady > to {
		j.notJudged[reasonTime]++
		return false
	}
	return true
}

// begun is when the client asked for a connection, zero where that is not
// captured.
func (p *pair) begun() int64 {
	for _, s := range p.client.sent[0] {
		if s.shape() == decode.SYN {
			return s.at
		}
	}
	return 0
}

// asked is when the question was sent that a DNS answer is for, zero where that
// is not captured.
func (j *judge) asked(g *datagram) int64 {
	if !g.answer {
		return 0
	}
	for i := range j.a.datagrams {
		if q := &j.a.datagrams[i]; !q.answer && q.src == g.dst && q.dst == g.src && q.at <= g.at {
			return q.at
		}
	}
	return 0
}

// trust says how far the absence of a packet from a capture can be trusted; ok
// is false where it says nothing.
func (j *judge) trust(absent *Point, which int, k kind) (level diagnose.Level, ok bool) {
	switch {
	case absent.Dropped != nil && *absent.Dropped > 0 || absent.Undrained > 0:
		j.notJudged[reasonDropped]++
		return "", false
	case absent.Filtered && !absent.kinds[k]:
		j.notJudged[reasonFilter]++
		return "", false
	case j.missed[which] > 0, j.m.clock.Unsteady > 0:
		return diagnose.Consistent, true
	case absent.Dropped == nil:
		return diagnose.Suggested, true
	}
	return diagnose.Proven, true
}

// finding returns the one that a key belongs to, made on first use.
func (j *judge) finding(k findingKey, p *pair) *Finding {
	f := j.findings[k]
	if f == nil {
		f = &Finding{
			Event: k.event, Kind: k.kind, Direction: directions[k.d], Place: k.place, Level: k.level, What: k.what, key: k,
			flows: make(map[*flow]bool), server: k.server,
		}
		j.findings[k] = f
	}
	if p != nil {
		f.flows[p.client] = true
		client, server := p.client.end[0].Addr, endpoint(p.client.end[1])
		f.Claimed, f.Peer = address(client), server
		if k.d == 1 {
			f.Claimed, f.Peer = server, address(client)
		}
	}
	return f
}

func (f *Finding) frames(client, server int64) {
	add := func(list []int64, n int64) []int64 {
		if n == 0 {
			return list
		}
		at, found := slices.BinarySearch(list, n)
		if found || len(list) >= maxFrames {
			return list
		}
		return slices.Insert(list, at, n)
	}
	f.ClientFrames, f.ServerFrames = add(f.ClientFrames, client), add(f.ServerFrames, server)
}

// near and far take a frame of the capture near the sender, and of the other.
func (f *Finding) near(d int, frame int64) {
	if d == 0 {
		f.frames(frame, 0)
	} else {
		f.frames(0, frame)
	}
}

func (f *Finding) far(d int, frame int64) { f.near(1-d, frame) }

func (f *Finding) both(d int, l link) {
	f.near(d, l.s.frame)
	f.far(d, l.r.frame)
}

func endpoint(e tcpflow.Endpoint) string {
	return netip.AddrPortFrom(netip.AddrFrom16(e.Addr).Unmap(), e.Port).String()
}

func address(a decode.Addr) string { return netip.AddrFrom16(a).Unmap().String() }
