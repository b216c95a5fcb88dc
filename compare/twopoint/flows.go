package twopoint

import (
	"goproxytrace/analyze/decode"
)

// Ways in which a connection was found at both points.
const (
	byTuple   = "tuple"   // addresses and ports
	byISN     = "isn"     // initial sequence numbers, behind address translation
	byPayload = "payload" // the client's first bytes
)

// pair is one connection at both points.
type pair struct {
	client, server *flow // as captured near the client, and near the server
	how            string
	// rewritten says by direction that the initial sequence numbers differ.
	rewritten [2]bool
	// parted is true where the two are not the same connection on the wire:
	// something between ends one and makes another.
	parted bool
}

// join finds the connections that both captures hold.
func join(a, b *Point) (pairs []*pair) {
	link := func(x, y *flow, how string) {
		p := &pair{client: x, server: y, how: how}
		x.match, y.match = p, p
		pairs = append(pairs, p)
	}
	type tuple struct{ c, s decode.Addr }
	type ports struct {
		tuple
		c, s uint16
	}
	tupleOf := func(f *flow) ports {
		return ports{tuple{f.end[0].Addr, f.end[1].Addr}, f.end[0].Port, f.end[1].Port}
	}
	// Connections of one tuple follow each other: those with the same initial
	// sequence number are one, else those that could be by time and order.
	type begun struct {
		ports
		isn uint32
	}
	byTuples, bySYN := make(map[ports][]*flow), make(map[begun]*flow)
	for _, f := range b.flows {
		if f.loopback {
			continue
		}
		k := tupleOf(f)
		byTuples[k] = append(byTuples[k], f)
		if f.hasISN[0] {
			bySYN[begun{k, f.isn[0]}] = f
		}
	}
	for _, f := range a.flows {
		if f.loopback || !f.hasISN[0] {
			continue
		}
		if y := bySYN[begun{tupleOf(f), f.isn[0]}]; y != nil && y.match == nil {
			link(f, y, byTuple)
		}
	}
	candidates := func(f *flow) []*flow {
		k := tupleOf(f)
		if list := byTuples[k]; list != nil {
			return list
		}
		// The roles are a guess where no SYN was captured.
		turned := ports{tuple{k.tuple.s, k.tuple.c}, k.s, k.c}
		for _, y := range few(byTuples[turned]) {
			switch {
			case !y.clientKnown:
				y.turn()
			case !f.clientKnown:
				f.turn()
			}
		}
		return byTuples[turned]
	}
	for _, f := range a.flows {
		if f.loopback || f.match != nil {
			continue
		}
		for _, y := range few(candidates(f)) {
			if y.match == nil && f.match == nil && sameNumbers(f, y) {
				link(f, y, byTuple)
			}
		}
	}
	// Behind address translation the numbers stay.
	type numbers struct {
		isn   uint32
		tsval uint32
		port  uint16
	}
	unmatched := func(list []*flow, key func(*flow) (any, bool)) map[any]*flow {
		out := make(map[any]*flow)
		for _, f := range list {
			if f.match != nil || f.loopback {
				continue
			}
			if k, ok := key(f); ok {
				if _, twice := out[k]; twice {
					out[k] = nil // two that look alike tell nothing
				} else {
					out[k] = f
				}
			}
		}
		return out
	}
	both := func(how string, key func(*flow) (any, bool)) {
		x, y := unmatched(a.flows, key), unmatched(b.flows, key)
		for _, f := range a.flows {
			k, ok := key(f)
			if ok && f.match == nil && x[k] == f && y[k] != nil && y[k].match == nil {
				link(f, y[k], how)
			}
		}
	}
	both(byISN, func(f *flow) (any, bool) {
		if !f.hasISN[0] || len(f.sent[0]) == 0 {
			return nil, false
		}
		return numbers{f.isn[0], f.sent[0][0].tsval, f.end[1].Port}, true
	})
	both(byPayload, func(f *flow) (any, bool) { return f.first, f.first != 0 && f.hello > 0 })
	// What is left with the same addresses and ports is one connection whose
	// numbers something between has changed.
	for _, f := range a.flows {
		if f.match != nil || f.loopback {
			continue
		}
		for _, y := range few(byTuples[tupleOf(f)]) {
			if y.match == nil && f.match == nil && f.hasISN[0] && y.hasISN[0] {
				link(f, y, byTuple)
			}
		}
	}
	for _, p := range pairs {
		p.number()
	}
	return pairs
}

// few bounds the connections of one tuple that are looked through.
func few(list []*flow) []*flow { return list[:min(len(list), 64)] }

// turn swaps the roles of a connection's ends.
func (f *flow) turn() {
	f.end[0], f.end[1] = f.end[1], f.end[0]
	f.sent[0], f.sent[1] = f.sent[1], f.sent[0]
	f.isn[0], f.isn[1] = f.isn[1], f.isn[0]
	f.hasISN[0], f.hasISN[1] = f.hasISN[1], f.hasISN[0]
}

// sameNumbers reports whether the sequence numbers of two flows of one tuple are
// those of one connection.
func sameNumbers(x, y *flow) bool {
	for d := range x.isn {
		if x.hasISN[d] && y.hasISN[d] {
			if x.isn[d] == y.isn[d] {
				return true
			}
			continue
		}
		if len(x.sent[d]) > 0 && len(y.sent[d]) > 0 {
			if gap := int32(x.sent[d][0].seq - y.sent[d][0].seq); gap > -1<<28 && gap < 1<<28 {
				return true
			}
		}
	}
	return false
}

// number gives the segments of both flows their places in common sequence
// spaces, one for each direction.
func (p *pair) number() {
	var base [2][2]uint32 // by point and direction
	for d := range 2 {
		x, y := p.client, p.server
		switch {
		case x.hasISN[d] && y.hasISN[d]:
			base[0][d], base[1][d] = x.isn[d], y.isn[d]
			p.rewritten[d] = x.isn[d] != y.isn[d]
		case x.hasISN[d]:
			base[0][d], base[1][d] = x.isn[d], x.isn[d]
		case y.hasISN[d]:
			base[0][d], base[1][d] = y.isn[d], y.isn[d]
		case len(x.sent[d]) > 0:
			base[0][d] = x.sent[d][0].seq - 1
			base[1][d] = base[0][d]
		case len(y.sent[d]) > 0:
			base[1][d] = y.sent[d][0].seq - 1
			base[0][d] = base[1][d]
		}
	}
	p.client.number(base[0])
	p.server.number(base[1])
}

func (f *flow) number(base [2]uint32) {
	for d := range 2 {
		var seq, ack int64 // unwrapped, of the segment before
		for _, s := range f.sent[d] {
			seq += int64(int32(s.seq - base[d] - uint32(seq)))
			s.from, s.to = seq, seq+int64(s.len)
			if s.flags&(decode.SYN|decode.FIN) != 0 && s.flags&decode.RST == 0 {
				s.to++
			}
			s.acked = -1
			if s.flags&decode.ACK != 0 {
				ack += int64(int32(s.ack - base[1-d] - uint32(ack)))
				s.acked = ack
			}
		}
	}
}
