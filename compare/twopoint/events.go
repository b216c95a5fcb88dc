package twopoint

import (
	"strconv"

	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/diagnose"
)

func (j *judge) vanished(p *pair, v span, d int, come *reach) {
	_, receiver, _, far := j.points(d)
	level, ok := j.trust(receiver, far, kind{decode.ProtoTCP, p.client.end[1].Port, d == 0})
	if !ok {
		return
	}
	f := j.finding(findingKey{event: Vanished, kind: p.kind(v.s, d), d: d, place: Between, level: level, server: p.client.end[1]}, p)
	f.Count++
	f.near(d, v.s.frame)
	if n := min(v.to, v.s.from+int64(v.s.len)) - v.from; v.s.len > 0 && n > 0 {
		f.Bytes += n
		if f.largest == 0 || int64(v.s.len) < f.largest {
			f.largest = int64(v.s.len)
		}
	}
	if v.to > v.from {
		if _, ok := come.covered(v.from, v.to); ok {
			f.madeUp++
		}
	}
}

func (j *judge) appeared(p *pair, o *matched, d int) {
	sender, _, near, _ := j.points(d)
	since := p.begun()
	for _, v := range o.appeared {
		if !j.ran(v.s.at, since, d) {
			continue
		}
		level, ok := j.trust(sender, near, kind{decode.ProtoTCP, p.client.end[1].Port, d == 0})
		if !ok {
			continue
		}
		f := j.finding(findingKey{event: Appeared, kind: p.kind(v.s, d), d: d, place: Between, level: level, server: p.client.end[1]}, p)
		if f.Count == 0 {
			f.TTL = v.s.ttl
		} else if f.TTL != v.s.ttl {
			f.TTL = 0
		}
		f.Count++
		f.Bytes += int64(v.s.len)
		f.far(d, v.s.frame)
	}
	for _, l := range o.links {
		if l.r.flags&decode.RST != 0 {
			continue
		}
		from := p.client.end[d].Addr
		if j.ttls[from] == nil {
			j.ttls[from] = make(map[uint8]int)
		}
		j.ttls[from][l.r.ttl]++
	}
}

// changed compares what two frames of one packet have in common.
func (j *judge) changed(p *pair, l link, d int) {
	say := func(what, from, to string) {
		f := j.finding(findingKey{event: Changed, kind: p.kind(l.s, d), d: d, place: Between, level: diagnose.Proven, server: p.client.end[1], what: what, from: from, to: to}, p)
		f.What, f.From, f.To = what, from, to
		f.Count++
		f.both(d, l)
	}
	number := func(n int) string { return strconv.Itoa(n) }
	flag := func(b bool) string {
		if b {
			return "yes"
		}
		return "no"
	}
	s, r := l.s, l.r
	if s.flags&decode.SYN != 0 && !s.cut && !r.cut {
		if s.mss != r.mss {
			say("mss", number(int(s.mss)), number(int(r.mss)))
		}
		if s.wscale != r.wscale {
			say("window-scale", number(int(s.wscale)), number(int(r.wscale)))
		}
		if s.sackPermitted != r.sackPermitted {
			say("sack-permitted", flag(s.sackPermitted), flag(r.sackPermitted))
		}
		if s.hasTS != r.hasTS {
			say("timestamps", flag(s.hasTS), flag(r.hasTS))
		}
	}
	// The numbers of other windows are many; that there are any is what counts.
	if s.window != r.window {
		say("window", "", "")
	}
	if s.df != r.df {
		say("dont-fragment", flag(s.df), flag(r.df))
	}
	if s.hasTS && r.hasTS && s.tsval != r.tsval {
		say("timestamp-value", "", "")
	}
	if hops, known := j.m.hopsOf(d); known && s.flags&decode.RST == 0 && int(s.ttl)-int(r.ttl) != hops {
		say("ttl", number(int(s.ttl)-hops), number(int(r.ttl)))
	}
}

// quietFor is how long something that arrived must have gone without an
// acknowledgement: three of the initial retransmission timeouts of RFC 6298.
const quietFor = int64(3e9)

// unanswered finds what reached the far point more than once and was never
// acknowledged there.
func (j *judge) unanswered(p *pair, arrived []*segment, d int) {
	_, receiver, _, far := j.points(d)
	acks := newProgress(p.acks(d))
	type place struct{ from, to int64 }
	times := make(map[place][]*segment)
	var order []place
	for _, s := range arrived {
		if s.to == s.from || s.flags&decode.RST != 0 {
			continue
		}
		if _, ok := acks.passed(s.to); ok {
			continue
		}
		k := place{s.from, s.to}
		if times[k] == nil {
			order = append(order, k)
		}
		times[k] = append(times[k], s)
	}
	for _, k := range order {
		list := times[k]
		if len(list) < 2 || list[len(list)-1].at-list[0].at < quietFor {
			continue
		}
		where := BehindServer
		if d == 1 {
			where = BeforeClient
		}
		level := diagnose.Proven
		switch {
		case receiver.Dropped != nil && *receiver.Dropped > 0, j.missed[far] > 0:
			level = diagnose.Consistent
		case receiver.Dropped == nil:
			level = diagnose.Suggested
		}
		f := j.finding(findingKey{event: Unanswered, kind: p.kind(list[0], d), d: d, place: where, level: level, server: p.client.end[1]}, p)
		f.Count += len(list)
		for _, s := range list {
			f.far(d, s.frame)
		}
	}
}
