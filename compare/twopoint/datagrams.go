package twopoint

import (
	"goproxytrace/analyze/decode"
)

// message is what two frames of one DNS message share: questions and answers
// carry an identifier, names and addresses of their own, so that a message is
// known behind address translation too.
type message struct {
	hash   uint64
	len    uint32
	answer bool
}

// messageOf returns what messages are known by: where a capture cut some, by
// their headers and lengths.
func messageOf(a, b *Point) func(*datagram) message {
	if a.headsOnly || b.headsOnly {
		return func(g *datagram) message { return message{g.head, g.len, g.answer} }
	}
	return func(g *datagram) message { return message{g.hash, g.len, g.answer} }
}

// direction of a datagram: questions go to the server.
func (g *datagram) direction() int {
	if g.answer {
		return 1
	}
	return 0
}

// ends returns what was sent and what arrived of one direction.
func ends[T any](d int, client, server []T) (sent, arrived []T) {
	if d == 0 {
		return client, server
	}
	return server, client
}

func datagramsOf(p *Point, d int) (out []*datagram) {
	for i := range p.datagrams {
		if g := &p.datagrams[i]; g.direction() == d {
			out = append(out, g)
		}
	}
	return out
}

// lookupDelays takes the times of messages that were sent once.
func (m *matcher) lookupDelays(a, b *Point) {
	of := messageOf(a, b)
	for d := range 2 {
		once := func(p *Point) map[message]*datagram {
			out := make(map[message]*datagram)
			for _, g := range datagramsOf(p, d) {
				if _, twice := out[of(g)]; twice {
					out[of(g)] = nil
				} else {
					out[of(g)] = g
				}
			}
			return out
		}
		there := once(b)
		for k, g := range once(a) {
			if o := there[k]; g != nil && o != nil {
				m.delays = append(m.delays, delay{g.time, o.time, d})
			}
		}
	}
}

// datagrams matches DNS messages: pairs, what only one point has, and what
// arrived more often than it was sent.
func (m *matcher) datagrams(a, b *Point, d int) (pairs [][2]*datagram, vanished, appeared, repeated []*datagram) {
	if a.headless || b.headless {
		return nil, nil, nil, nil // nothing to know them by
	}
	of := messageOf(a, b)
	for i := range a.datagrams {
		a.datagrams[i].at = a.datagrams[i].time
	}
	for i := range b.datagrams {
		b.datagrams[i].at = m.clock.toClient(b.datagrams[i].time)
	}
	sent, arrived := ends(d, datagramsOf(a, d), datagramsOf(b, d))
	stacks := make(map[message][]*datagram)
	for _, g := range sent {
		stacks[of(g)] = append(stacks[of(g)], g)
	}
	passed := make(map[message]uint8) // with the TTL that it arrived with
	for i := len(arrived) - 1; i >= 0; i-- {
		r := arrived[i]
		stack := stacks[of(r)]
		for len(stack) > 0 && !m.could(stack[len(stack)-1].at, r.at, d) {
			stack = stack[:len(stack)-1]
		}
		if n := len(stack); n > 0 {
			stack[n-1].done, r.done = true, true
			passed[of(r)] = r.ttl
			pairs = append(pairs, [2]*datagram{stack[n-1], r})
			stack = stack[:n-1]
		}
		stacks[of(r)] = stack
	}
	came := make(map[message]int64) // when what arrived was sent
	for _, p := range pairs {
		came[of(p[0])] = p[0].at
	}
	for _, g := range sent {
		at, ok := came[of(g)]
		if ok = ok && max(at-g.at, g.at-at) < asksAgain; !ok && !g.done {
			vanished = append(vanished, g)
		}
	}
	for _, g := range arrived {
		ttl, ok := passed[of(g)]
		switch {
		case g.done:
		case ok && max(ttl, g.ttl)-min(ttl, g.ttl) <= 1:
			// A forger has no reason to say the same, and comes from elsewhere.
			repeated = append(repeated, g)
		default:
			appeared = append(appeared, g)
		}
	}
	return pairs, vanished, appeared, repeated
}

// notice is what two frames of one ICMP error share.
type notice struct {
	kind, code uint8
	proto      decode.Proto
	to         uint16
	seq        uint32
	ipid       uint16
}

func (e *icmpError) notice() notice {
	return notice{e.kind, e.code, e.quote.Proto, e.quote.DstPort, e.quote.Seq, e.quote.IPID}
}

// notices finds the ICMP errors that only one point has. Errors go back to who
// sent what they quote.
func (m *matcher) notices(a, b *Point, d int, mine func(*icmpError) bool) (appeared, passed []*icmpError) {
	for i := range a.errors {
		a.errors[i].at = a.errors[i].time
	}
	for i := range b.errors {
		b.errors[i].at = m.clock.toClient(b.errors[i].time)
	}
	of := func(p *Point) (out []*icmpError) {
		for i := range p.errors {
			if e := &p.errors[i]; mine(e) {
				out = append(out, e)
			}
		}
		return out
	}
	sent, arrived := ends(d, of(a), of(b))
	known := make(map[notice]bool)
	for _, e := range sent {
		known[e.notice()] = true
	}
	for _, e := range arrived {
		if known[e.notice()] { // a copy came from as far
			passed = append(passed, e)
		} else {
			appeared = append(appeared, e)
		}
	}
	return appeared, passed
}
