package tcpflow

import (
	"encoding/binary"

	"goproxytrace/analyze/decode"
)

// A packet may stand in a capture several times: taken by two interfaces, on
// both sides of a switch's mirror, or at each component of the host's network
// stack that it passed. pktmon does the last, and its conversion to pcapng keeps
// no trace of the components (learn.microsoft.com, "pktmon etl2pcap"): equal
// packets of one interface follow each other.

// Times in microseconds within which an equal segment is the same packet
// captured again: with the same IP identification (a sender comes round to it
// after 65,536 packets only), and by another sign (no sender repeats itself so
// soon without a reason that changes its header).
const (
	identifiedWindow = 100_000
	copyWindow       = 10_000
)

// Bounds on the segments that a copy is looked for among, the latest of a
// direction: a stack hands on whole bursts, so that the copies of all come
// behind them where it is watched at several places.
const (
	recentSegments = 8
	recentBurst    = 128
)

// Copies among a capture's segments that make it one which repeats packets.
const (
	copiesLeast = 16
	copiesShare = 3 // one in so many
)

// signature is what tells a segment from others, to find copies of it.
type signature struct {
	seq, ack, len uint32
	at            uint32 // capture time in microseconds, modulo 2^32
	flags, id     uint16
	check         uint16 // TCP's checksum, zero where it was not captured
	iface         int16
	ttl           uint8
	used          bool
}

func (g *signature) set(s *decode.Segment) {
	g.seq, g.ack, g.len = s.Seq, s.Ack, s.Len
	g.at = uint32(s.Time / 1000)
	g.flags, g.id = s.Flags, s.IPID
	g.check = 0
	if len(s.Transport) >= 18 {
		g.check = binary.BigEndian.Uint16(s.Transport[16:])
	}
	g.iface, g.ttl, g.used = int16(s.Interface), s.TTL, true
}

// equal reports whether both may stand for one packet.
func (g *signature) equal(o *signature) bool {
	return g.seq == o.seq && g.ack == o.ack && g.len == o.len && g.id == o.id && g.flags == o.flags && g.used
}

// isCopy reports whether s is one of the last segments of its direction captured
// again, and counts it. A retransmission has a new IP identification. Where the
// sender leaves that at zero, or IPv6 has none, another interface or time to live
// must tell; or the whole header is the same and either it opens the connection,
// which nobody does twice within milliseconds, or this capture is known to
// repeat packets.
func (t *Table) isCopy(c *Conn, h *Half, s *decode.Segment) bool {
	t.segments++
	var sig signature
	sig.set(s)
	identified := s.HasIPID && s.IPID != 0
	alike := !identified && (s.Flags&(decode.SYN|decode.RST) == decode.SYN || c.repeated || t.repeats())
	find := func(list []signature) bool {
		for i := range list {
			p := &list[i]
			if !p.equal(&sig) {
				continue
			}
			apart := int32(sig.at - p.at)
			if apart < 0 {
				apart = -apart
			}
			elsewhere := p.iface != sig.iface || p.ttl != sig.ttl
			if identified && apart < identifiedWindow || apart < copyWindow && (elsewhere || alike && p.check == sig.check) {
				if !elsewhere {
					c.repeated = true
					t.copies++
				}
				h.Duplicates++
				h.LastCopy = s.Frame
				return true
			}
		}
		return false
	}
	if find(h.recent[:]) || len(h.burst) > 0 && find(h.burst) {
		return true
	}
	if c.repeated || t.repeats() {
		// What the ring loses goes on being looked at.
		if len(h.burst) < recentBurst {
			h.burst = append(h.burst, h.recent[h.recentNext])
		} else {
			h.burst[h.burstNext] = h.recent[h.recentNext]
			h.burstNext = (h.burstNext + 1) % recentBurst
		}
	}
	h.recent[h.recentNext] = sig
	h.recentNext = (h.recentNext + 1) % recentSegments
	return false
}

// repeats reports whether the capture as a whole holds packets several times.
func (t *Table) repeats() bool { return t.copies >= copiesLeast && t.copies*copiesShare >= t.segments }
