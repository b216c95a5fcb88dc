package twopoint

import (
	"slices"

	"goproxytrace/analyze/decode"
)

// maxParts bounds the parts that overlapping segments are cut into.
const maxParts = 4_000_000

// parts matches by byte ranges what is left: segments that offload or
// fragmentation has cut in another way at the other point.
func (o *matched) parts(m *matcher, sent, arrived []*segment, d int) {
	left := func(list []*segment) (out []*segment) {
		for _, s := range list {
			if !s.done && s.to > s.from && s.flags&decode.RST == 0 {
				out = append(out, s)
			}
		}
		return out
	}
	s, r := left(sent), left(arrived)
	if len(s) == 0 || len(r) == 0 {
		return
	}
	var cuts []int64
	for _, list := range [][]*segment{s, r} {
		for _, x := range list {
			cuts = append(cuts, x.from, x.to)
		}
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	place := func(at int64) int { i, _ := slices.BinarySearch(cuts, at); return i }
	total := 0
	at := func(list []*segment) [][]int {
		out := make([][]int, len(cuts))
		for i, x := range list {
			for k := place(x.from); cuts[k] < x.to; k++ {
				if total++; total > maxParts {
					return nil
				}
				out[k] = append(out[k], i)
			}
		}
		return out
	}
	sAt, rAt := at(s), at(r)
	if sAt == nil || rAt == nil {
		o.tangled = true
		return
	}
	sets := newSets(len(s) + len(r))
	// The last part, counted from one, in which a segment met another.
	sMet, rMet := make([]int, len(s)), make([]int, len(r))
	sGone, rNew := make([][]span, len(s)), make([][]span, len(r))
	grow := func(list []span, x *segment, from, to int64) []span {
		if n := len(list); n > 0 && list[n-1].to == from {
			list[n-1].to = to
			return list
		}
		return append(list, span{x, from, to})
	}
	for k := range len(cuts) - 1 {
		from, to := cuts[k], cuts[k+1]
		for _, l := range m.part(s, r, sAt[k], rAt[k], d, o.stamps) {
			sets.join(l[0], len(s)+l[1])
			sMet[l[0]], rMet[l[1]] = k+1, k+1
		}
		for _, i := range sAt[k] {
			if sMet[i] != k+1 {
				sGone[i] = grow(sGone[i], s[i], from, to)
			}
		}
		for _, i := range rAt[k] {
			if rMet[i] != k+1 {
				rNew[i] = grow(rNew[i], r[i], from, to)
			}
		}
	}
	whole := func(x *segment, list []span) bool {
		return len(list) == 1 && list[0].from == x.from && list[0].to == x.to
	}
	for i, x := range s {
		if !whole(x, sGone[i]) {
			x.done = true
			o.vanished = append(o.vanished, sGone[i]...)
		}
	}
	for i, x := range r {
		if !whole(x, rNew[i]) {
			x.done = true
			o.appeared = append(o.appeared, rNew[i]...)
		}
	}
	o.verify(sets, s, r, sGone, rNew)
}

// part pairs what was sent and what arrived of one range of bytes.
func (m *matcher) part(s, r []*segment, sent, arrived []int, d int, stamps bool) (out [][2]int) {
	if len(sent) == 0 || len(arrived) == 0 {
		return nil
	}
	stacks := make(map[uint32][]int, len(sent))
	key := func(x *segment) uint32 {
		if stamps && x.hasTS {
			return x.tsval
		}
		return 0
	}
	for _, i := range sent { // in order of time
		stacks[key(s[i])] = append(stacks[key(s[i])], i)
	}
	for n := len(arrived) - 1; n >= 0; n-- {
		j := arrived[n]
		stack := stacks[key(r[j])]
		for len(stack) > 0 && !m.could(s[stack[len(stack)-1]].at, r[j].at, d) {
			stack = stack[:len(stack)-1]
		}
		if k := len(stack); k > 0 {
			out = append(out, [2]int{stack[k-1], j})
			stack = stack[:k-1]
		}
		stacks[key(r[j])] = stack
	}
	return out
}

// verify compares the payload of segments that share parts and have no others.
func (o *matched) verify(sets *sets, s, r []*segment, sGone, rNew [][]span) {
	type sum struct {
		sent, arrived uint64
		open          bool // not all of it is there to be compared
		l             link
	}
	sums := make(map[int]*sum)
	take := func(i int, x *segment, spare []span, arrived bool) {
		root := sets.find(i)
		y := sums[root]
		if y == nil {
			y = new(sum)
			sums[root] = y
		}
		y.open = y.open || len(spare) > 0 || !x.whole || x.from < 0
		h := mul(x.hash, power(uint64(max(x.from, 0))))
		if arrived {
			y.arrived, y.l.r = (y.arrived+h)%prime, x
		} else {
			y.sent, y.l.s = (y.sent+h)%prime, x
		}
	}
	for i, x := range s {
		take(i, x, sGone[i], false)
	}
	for i, x := range r {
		take(len(s)+i, x, rNew[i], true)
	}
	for i := range s {
		if y := sums[sets.find(i)]; y != nil && !y.open && y.sent != y.arrived && y.l.s != nil && y.l.r != nil {
			o.altered = append(o.altered, y.l)
			y.open = true // once for all of them
		}
	}
}

// leftovers sorts out what has no counterpart at all.
func (o *matched) leftovers(m *matcher, sent, arrived []*segment, d int) {
	type content struct {
		from, to, acked int64
		tsval           uint32
		flags, ipid     uint16
		ttl             uint8
	}
	type exact struct {
		content
		hash uint64
	}
	hops, _ := m.hopsOf(d)
	key := func(s *segment, near bool) content {
		k := content{from: s.from, to: s.to, flags: s.shape()}
		if s.flags&decode.RST != 0 {
			// One that somebody else made in between has other marks.
			k.acked, k.flags, k.ipid, k.ttl = s.acked, s.flags, s.ipid, s.ttl
			if near {
				k.ttl -= uint8(hops)
			}
		}
		if s.len == 0 {
			k.acked = s.acked
		}
		if o.stamps && s.hasTS {
			k.tsval = s.tsval
		}
		return k
	}
	// Payload that the snapshot length cut is any: known by its range alone.
	known, cut, ranges := make(map[exact]bool, len(sent)), make(map[content]bool), make(map[content]bool, len(sent))
	for _, s := range sent {
		k := key(s, true)
		known[exact{k, s.hash}], ranges[k] = true, true
		if !s.whole {
			cut[k] = true
		}
		if !s.done {
			o.vanished = append(o.vanished, span{s, s.from, s.to})
		}
	}
	for _, r := range arrived {
		switch {
		case r.done:
		case known[exact{key(r, false), r.hash}], cut[key(r, false)], !r.whole && ranges[key(r, false)]:
			// Sent once, arrived twice: the network's own copy.
			o.repeated = append(o.repeated, r)
		default:
			o.appeared = append(o.appeared, span{r, r.from, r.to})
		}
	}
}

// sets are disjoint sets of segments.
type sets struct{ parent []int }

func newSets(n int) *sets {
	s := &sets{make([]int, n)}
	for i := range s.parent {
		s.parent[i] = i
	}
	return s
}

func (s *sets) find(i int) int {
	for s.parent[i] != i {
		s.parent[i] = s.parent[s.parent[i]]
		i = s.parent[i]
	}
	return i
}

func (s *sets) join(i, j int) {
	i, j = s.find(i), s.find(j)
	s.parent[max(i, j)] = min(i, j)
}
