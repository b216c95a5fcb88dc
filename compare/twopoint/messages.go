package twopoint

import (
	"fmt"

	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/analyze/tcpflow"
)

// datagrams judges DNS messages.
func (j *judge) datagrams() {
	for d := range 2 {
		pairs, vanished, appeared, repeated := j.m.datagrams(j.a, j.b, d)
		for _, p := range pairs {
			j.m.clock.slowest[d] = max(j.m.clock.slowest[d], p[1].at-p[0].at)
			j.behind[p[0].resolver(d).Addr] = true
			if p[0].src.Addr == p[1].src.Addr && p[0].dst.Addr == p[1].dst.Addr {
				j.clients[p[0].asker(d).Addr] = true
			}
		}
		for _, g := range repeated {
			f := j.message(Repeated, g, d, diagnose.Proven)
			f.far(d, g.frame)
		}
		sender, receiver, near, far := j.points(d)
		for _, g := range vanished {
			resolver := g.resolver(d)
			if sender == j.b && !j.clients[g.asker(d).Addr] || sender == j.a && !j.behind[resolver.Addr] || !j.covered(g.at, d) {
				continue
			}
			if level, ok := j.trust(receiver, far, kind{decode.ProtoUDP, dnsPort, d == 0}); ok {
				f := j.message(Vanished, g, d, level)
				f.near(d, g.frame)
			}
		}
		for _, g := range appeared {
			resolver := g.resolver(d)
			if d == 1 && !j.behind[resolver.Addr] || d == 0 && !j.clients[g.asker(d).Addr] || !j.ran(g.at, j.asked(g), d) {
				continue
			}
			if level, ok := j.trust(sender, near, kind{decode.ProtoUDP, dnsPort, d == 0}); ok {
				f := j.message(Appeared, g, d, level)
				f.far(d, g.frame)
				if f.TTL = g.ttl; f.Count > 1 && f.TTL != g.ttl {
					f.TTL = 0
				}
			}
		}
	}
}

// resolver is the end that is asked, asker the other.
func (g *datagram) resolver(d int) tcpflow.Endpoint {
	if d == 0 {
		return g.dst
	}
	return g.src
}

func (g *datagram) asker(d int) tcpflow.Endpoint { return g.resolver(1 - d) }

func (j *judge) message(e Event, g *datagram, d int, level diagnose.Level) *Finding {
	k := Question
	if d == 1 {
		k = Answer
	}
	f := j.finding(findingKey{event: e, kind: k, d: d, place: Between, level: level, server: g.resolver(d)}, nil)
	f.Claimed, f.Peer = address(g.asker(d).Addr), endpoint(g.resolver(d))
	if d == 1 {
		f.Claimed, f.Peer = f.Peer, f.Claimed
	}
	f.Count++
	f.Bytes += int64(g.len)
	return f
}

// notices tells of ICMP errors, which routers between may well make.
func (j *judge) notices() {
	for d := range 2 {
		// Errors that go to the client quote what the client sent.
		appeared, passed := j.m.notices(j.a, j.b, d, func(e *icmpError) bool {
			toClient := j.clients[e.quote.Src]
			return e.src != e.quote.Src && toClient == (d == 1) && (toClient || j.clients[e.quote.Dst])
		})
		sender, _, near, _ := j.points(d)
		for _, e := range appeared {
			if !j.ran(e.at, 0, d) {
				continue
			}
			level := diagnose.Proven
			if sender.Dropped == nil {
				level = diagnose.Suggested
			}
			if sender.Dropped != nil && *sender.Dropped > 0 || j.missed[near] > 0 {
				level = diagnose.Consistent
			}
			j.notice(Appeared, e, d, Between, level).far(d, e.frame)
		}
		for _, e := range passed {
			j.notice(Passed, e, d, origin(d), diagnose.Proven).far(d, e.frame)
		}
	}
}

func (j *judge) notice(event Event, e *icmpError, d int, where Place, level diagnose.Level) *Finding {
	what := fmt.Sprintf("type %d, code %d", e.kind, e.code)
	f := j.finding(findingKey{event: event, kind: ICMP, d: d, place: where, level: level, server: tcpflow.Endpoint{Addr: e.src}, what: what}, nil)
	f.Claimed, f.Peer, f.What = address(e.src), address(e.dst), what
	f.Count++
	return f
}
