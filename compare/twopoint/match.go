package twopoint

import (
	"cmp"
	"slices"

	"goproxytrace/analyze/decode"
)

// matcher matches the packets of two points.
type matcher struct {
	clock  Clock
	delays []delay
	// hops counts differences of TTL by direction, over matched segments.
	hops [2]map[int]int
}

// slack is how much earlier than the fastest packet another may seem to arrive:
// what capture timestamps are late by.
const slack = int64(200e3)

// could reports whether what was sent at one time may have arrived at another.
func (m *matcher) could(sent, arrived int64, d int) bool {
	return m.clock.Unsteady > 0 || arrived-sent >= m.clock.fastest[d]/2-slack
}

// side returns what a direction's packets are near their sender, and near their
// receiver.
func (p *pair) side(d int) (sent, arrived []*segment) {
	if d == 0 {
		return p.client.sent[0], p.server.sent[0]
	}
	return p.server.sent[1], p.client.sent[1]
}

// acks returns what the receiver of direction d's packets sent itself.
func (p *pair) acks(d int) []*segment {
	if d == 0 {
		return p.server.sent[1]
	}
	return p.client.sent[0]
}

// identity is what two frames of one packet share.
type identity struct {
	from, to, acked int64
	hash            uint64
	tsval, tsecr    uint32
	sack            uint32
	flags, window   uint16
	ipid            uint16
	ttl             uint8
}

// shape are the flags that make a segment what it is.
func (s *segment) shape() uint16 { return s.flags & (decode.SYN | decode.FIN | decode.RST) }

func (s *segment) bare() bool { return s.len == 0 && s.shape() == 0 }

// stamped reports whether timestamps tell repetitions apart: both points have
// them, and they are the same.
func stamped(sent, arrived []*segment) bool {
	var s, r *segment
	for _, x := range sent {
		if x.hasTS {
			s = x
			break
		}
	}
	seen := make(map[uint32]bool)
	for _, x := range sent {
		if x.hasTS {
			seen[x.tsval] = true
		}
	}
	for _, x := range arrived {
		if x.hasTS {
			r = x
			if seen[x.tsval] {
				return true
			}
		}
	}
	// Where the very first packets have other ones, something rewrites them.
	return s != nil && r != nil && !(s.shape() == decode.SYN && r.shape() == decode.SYN)
}

// estimate matches what is alike beyond doubt, and sets the clock by it.
func (m *matcher) estimate(pairs []*pair, a, b *Point) {
	for _, p := range pairs {
		for d := range 2 {
			sent, arrived := p.side(d)
			stamps := stamped(sent, arrived)
			key := func(s *segment) identity {
				i := identity{from: s.from, to: s.to, acked: s.acked, flags: s.shape()}
				if s.whole {
					i.hash = s.hash
				}
				if stamps {
					i.tsval, i.tsecr = s.tsval, s.tsecr
				}
				return i
			}
			once := func(list []*segment) map[identity]*segment {
				out := make(map[identity]*segment, len(list))
				for _, s := range list {
					if k := key(s); s.flags&decode.RST == 0 {
						if _, twice := out[k]; twice {
							out[k] = nil
						} else {
							out[k] = s
						}
					}
				}
				return out
			}
			there := once(arrived)
			for k, s := range once(sent) {
				r := there[k]
				if s == nil || r == nil {
					continue
				}
				x := delay{s.time, r.time, d}
				if d == 1 {
					x = delay{r.time, s.time, d}
				}
				m.delays = append(m.delays, x)
			}
		}
	}
	m.lookupDelays(a, b)
	m.clock = setClock(m.delays)
	at := func(f *flow, near bool) {
		for d := range 2 {
			for _, s := range f.sent[d] {
				s.at = s.time
				if !near {
					s.at = m.clock.toClient(s.time)
				}
			}
		}
	}
	for _, f := range a.flows {
		at(f, true)
	}
	for _, f := range b.flows {
		at(f, false)
	}
}

// link is one packet, or a part of one, at both points.
type link struct{ s, r *segment }

// alike matches segments with the same key; ok leaves some out. Of several that
// were sent, each that arrived is the latest that it can be: what was lost is
// then the earlier one, of which the later is the repetition.
func (m *matcher) alike(sent, arrived []*segment, d int, key func(s *segment, near bool) (identity, bool), took func(link)) {
	stacks := make(map[identity][]*segment)
	for _, s := range sent {
		if k, ok := key(s, true); ok && !s.done {
			stacks[k] = append(stacks[k], s)
		}
	}
	if len(stacks) == 0 {
		return
	}
	for i := len(arrived) - 1; i >= 0; i-- {
		r := arrived[i]
		if r.done {
			continue
		}
		k, ok := key(r, false)
		if !ok {
			continue
		}
		stack := stacks[k]
		for len(stack) > 0 && !m.could(stack[len(stack)-1].at, r.at, d) {
			stack = stack[:len(stack)-1] // too late for what arrived before, too
		}
		if n := len(stack); n > 0 {
			s := stack[n-1]
			stack = stack[:n-1]
			s.done, r.done = true, true
			took(link{s, r})
		}
		stacks[k] = stack
	}
}

// span is a part of a segment that has no counterpart.
type span struct {
	s        *segment
	from, to int64
}

// matched is what became of one direction of a connection.
type matched struct {
	links []link // one segment here, one there
	// vanished and appeared have no counterpart; repeated are copies that only
	// the far point has.
	vanished, appeared []span
	repeated           []*segment
	// altered are segments whose payload differs between the points.
	altered []link
	stamps  bool
	// tangled is true where so many segments overlap that parts of them were
	// not compared.
	tangled bool
}

// direction matches one direction of a connection.
func (m *matcher) direction(p *pair, d int) *matched {
	sent, arrived := byTime(p.side(d))
	out := &matched{stamps: stamped(sent, arrived)}
	took := func(l link) {
		out.links = append(out.links, l)
		if l.s.flags&decode.RST == 0 {
			m.hops[d][int(l.s.ttl)-int(l.r.ttl)]++
		}
	}
	plain := func(s *segment) identity {
		i := identity{from: s.from, to: s.to, flags: s.shape()}
		if s.len == 0 {
			i.acked = s.acked
		}
		if s.whole {
			i.hash = s.hash
		}
		if out.stamps && s.hasTS {
			i.tsval = s.tsval
			if s.len == 0 {
				i.tsecr = s.tsecr
			}
		}
		return i
	}
	steady := func(s *segment) bool { return s.flags&decode.RST == 0 }
	// The surest first.
	m.alike(sent, arrived, d, func(s *segment, _ bool) (identity, bool) {
		i := plain(s)
		i.acked, i.window, i.sack, i.ipid = s.acked, s.window, s.sack, s.ipid
		return i, steady(s)
	}, took)
	m.alike(sent, arrived, d, func(s *segment, _ bool) (identity, bool) {
		i := plain(s)
		i.sack = s.sack
		return i, steady(s)
	}, took)
	m.alike(sent, arrived, d, func(s *segment, _ bool) (identity, bool) { return plain(s), steady(s) }, took)
	out.parts(m, sent, arrived, d)
	m.resets(sent, arrived, d, out, took)
	out.leftovers(m, sent, arrived, d)
	return out
}

// byTime orders the segments of both points by the common clock.
func byTime(sent, arrived []*segment) (s, r []*segment) {
	order := func(list []*segment) []*segment {
		out := slices.Clone(list)
		slices.SortStableFunc(out, func(a, b *segment) int { return cmp.Compare(a.at, b.at) })
		return out
	}
	return order(sent), order(arrived)
}

// resets matches resets. They carry little to be told by, and forgers imitate
// it: one that has passed another number of routers than the rest is not the
// same.
func (m *matcher) resets(sent, arrived []*segment, d int, out *matched, took func(link)) {
	hops, known := m.hopsOf(d)
	// A route may change by a router: only larger differences tell.
	key := func(ids bool, route int) func(*segment, bool) (identity, bool) {
		return func(s *segment, near bool) (identity, bool) {
			i := identity{from: s.from, to: s.to, acked: s.acked, flags: s.flags, hash: s.hash, ttl: s.ttl}
			if ids {
				i.ipid = s.ipid
			}
			if near {
				i.ttl -= uint8(hops + route)
			}
			if !known {
				i.ttl = 0
			}
			return i, s.flags&decode.RST != 0
		}
	}
	m.alike(sent, arrived, d, key(true, 0), took)
	m.alike(sent, arrived, d, key(false, 0), took)
	if known {
		m.alike(sent, arrived, d, key(true, 1), took)
		m.alike(sent, arrived, d, key(true, -1), took)
	}
}

// hopsOf is the usual difference of TTL in a direction.
func (m *matcher) hopsOf(d int) (hops int, known bool) {
	most := 0
	for h, n := range m.hops[d] {
		if n > most || n == most && h < hops {
			hops, most = h, n
		}
	}
	return hops, most > 0
}
