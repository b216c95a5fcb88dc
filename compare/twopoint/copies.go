package twopoint

import (
	"slices"

	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/tcpflow"
)

// Captures hold frames of one packet more than once: on every interface that it
// passes, from a mirror port that copies what comes in and what goes out, in a
// cooked capture of a bridge and its members. Such copies are not packets.

// twins is how long after a frame a copy of it comes at most, in ns: shorter
// than any repetition that is otherwise alike.
const twins = int64(1e6)

// thin removes from each direction of each connection the copies that the
// capture made, where it made them of most packets: of single ones it is the
// network that makes them.
func (p *Point) thin() {
	for _, f := range p.flows {
		for d := range f.sent {
			before := len(f.sent[d])
			f.sent[d] = thinned(f.sent[d])
			p.Copies += int64(before - len(f.sent[d]))
			p.Segments -= int64(before - len(f.sent[d]))
		}
	}
}

// frame is what a segment and a copy of it have in common.
type frame struct {
	hash              uint64
	seq, ack, len     uint32
	tsval, tsecr      uint32
	sack              uint32
	flags, window, id uint16
	ttl               uint8
}

func thinned(list []*segment) []*segment {
	type group struct{ first, n int }
	latest := make(map[frame]int, len(list))
	var groups []group
	of := make([]int, len(list)) // the group of each segment
	for i, s := range list {
		k := frame{s.hash, s.seq, s.ack, s.len, s.tsval, s.tsecr, s.sack, s.flags, s.window, s.ipid, s.ttl}
		g, seen := latest[k]
		if !seen || s.time-list[groups[g].first].time > twins {
			g = len(groups)
			groups = append(groups, group{first: i})
			latest[k] = g
		}
		groups[g].n++
		of[i] = g
	}
	if len(groups) == len(list) {
		return list
	}
	// Acknowledgements alone may well be alike: what takes sequence numbers
	// says how often the capture has each packet.
	var sizes []int
	for _, g := range groups {
		if s := list[g.first]; s.len > 0 || s.flags&(decode.SYN|decode.FIN) != 0 {
			sizes = append(sizes, g.n)
		}
	}
	if len(sizes) == 0 {
		return list
	}
	slices.Sort(sizes)
	times := sizes[(len(sizes)-1)/2]
	if times < 2 {
		return list
	}
	out := make([]*segment, 0, len(groups))
	kept := make([]int, len(groups))
	for i, s := range list {
		if g := of[i]; kept[g]*times < groups[g].n {
			kept[g]++
			out = append(out, s)
		}
	}
	return out
}

// asksAgain is how soon somebody asks a question again at the least, or answers
// one, in ns: what is alike before that is a copy.
const asksAgain = int64(100e6)

// header is the length of a DNS message's header in bytes (RFC 1035, section
// 4.1.1).
const header = 12

// datagram takes a DNS message.
func (r *collector) datagram(s *decode.Segment) {
	p := r.p
	g := datagram{
		frame: s.Frame, time: s.Time, src: tcpflow.Endpoint{Addr: s.Src, Port: s.SrcPort}, dst: tcpflow.Endpoint{Addr: s.Dst, Port: s.DstPort},
		len: s.Len, hash: weigh(s.Payload), head: weigh(s.Payload[:min(len(s.Payload), header)]), ttl: s.TTL, answer: s.SrcPort == dnsPort,
		whole: uint32(len(s.Payload)) >= s.Len,
	}
	if !g.whole {
		p.Sliced++
		p.headsOnly = true
		p.headless = p.headless || len(s.Payload) < header
	}
	p.datagrams = append(p.datagrams, g)
}
