package tcpflow

import (
	"math"

	"goproxytrace/analyze/decode"
)

// Constants of Wireshark 4.0.17's tcp_analyze_sequence_number.
const (
	fastRetransmitWindow = 20_000_000 // ns between the last packet of the receiver and the resend
	defaultOutOfOrder    = 3_000_000  // ns, where the initial RTT is unknown
	maxUnacked           = 10_000     // segments remembered as unacknowledged
	maxScale             = 14         // RFC 7323, section 2.3
	maxMPTCP             = 5          // highest multipath TCP subtype that counts (MP_PRIO)
)

// Window scale shifts that are no shifts.
const (
	scaleUnknown = -1
	scaleUnused  = -2
)

// seqState is what the sequence analysis remembers of one direction.
type seqState struct {
	base, nextseq, maxToBeAcked, lastack uint32
	latestISN                            uint32 // of the latest SYN or SYN/ACK, accepted or not
	dupacks                              uint32 // unsigned on purpose: -1 satisfies "two or more"
	nextseqTime, lastTime                int64
	unacked                              []sent
	small                                [smallUnacked]sent // what unacked lies in at first
	unackedHead                          uint32
	unsorted                             bool   // unacked is not ascending by end
	resentEnd                            uint32 // highest sequence number sent when bytes were last resent
	resent                               bool   // resentEnd is not acknowledged yet
	baseSet, onlySYN                     bool
	window                               uint16
	mpOps                                uint16
	lastFlags                            Flags
	scale                                int8
}

// sent is a segment that was not acknowledged yet. Its time is noSample where
// the bytes were sent before: an acknowledgement could then belong to either
// copy (Karn's algorithm, RFC 6298, section 3). The same holds for everything
// up to resentEnd, whose acknowledgement may have waited for the repetition.
type sent struct {
	time int64
	end  uint32
}

const noSample = math.MinInt64

// after reports whether sequence number a lies after b (RFC 9293, section 3.4).
func after(a, b uint32) bool { return int32(a-b) > 0 }

// before reports whether sequence number a lies before b.
func before(a, b uint32) bool { return int32(a-b) < 0 }

// analyze judges segment s of direction d by the state before it and then
// updates that state.
func (t *Table) analyze(c *Conn, d uint8, s *decode.Segment) (flags Flags) {
	f := c.Half[d]
	r := c.Half[1-d]
	if r == nil {
		r = &t.silent
	}
	if !f.baseSet {
		f.base = s.Seq
		if s.Flags&decode.SYN == 0 {
			f.base--
		}
		f.latestISN = f.base
		f.baseSet = true
	}
	if s.Flags&decode.ACK != 0 && !r.baseSet {
		r = c.half(1-d, t)
		r.base = s.Ack - 1
		r.latestISN = r.base
		r.baseSet = true
	}
	const sfr = decode.SYN | decode.FIN | decode.RST
	quiet := s.Flags&sfr == 0
	counted := s.Len > 0 || s.Flags&(decode.SYN|decode.FIN) != 0

	flags = c.checkWindow(f, r, s, quiet)

	if s.Ack != f.lastack {
		f.dupacks = 0
	}
	if s.Flags&decode.ACK != 0 && r.maxToBeAcked != 0 && after(s.Ack, r.maxToBeAcked) {
		if before(r.maxToBeAcked, r.nextseq) {
			r.maxToBeAcked = r.nextseq
			flags |= ACKLostSegment
		} else {
			// The mark keeps this from being flagged again until the
			// receiver's acknowledgement changes.
			if r.dupacks == 0 {
				flags |= ACKLostSegment
			}
			r.dupacks = math.MaxUint32
		}
	}
	if counted && flags&KeepAlive == 0 {
		flags |= c.checkRepeated(f, r, s)
	}
	t.updateSequence(c, d, f, r, s, flags, counted)
	return flags
}

// checkWindow finds what depends on windows and bare acknowledgements.
func (c *Conn) checkWindow(f, r *Half, s *decode.Segment, quiet bool) (flags Flags) {
	if s.Len == 1 && s.Seq == f.nextseq && r.window == 0 {
		return ZeroWindowProbe
	}
	if s.Window == 0 && quiet {
		flags |= ZeroWindow
	}
	if f.nextseq != 0 && after(s.Seq, f.nextseq) && s.Flags&decode.RST == 0 {
		flags |= LostSegment
	}
	if !quiet {
		return flags
	}
	if s.Len <= 1 && s.Seq == f.nextseq-1 {
		flags |= KeepAlive
	}
	if s.Len > 0 {
		if r.scale != scaleUnknown {
			shift := uint(0)
			if r.scale > 0 && !r.onlySYN {
				shift = uint(r.scale)
			}
			if s.Seq+s.Len == r.lastack+uint32(r.window)<<shift {
				flags |= WindowFull
			}
		}
		return flags
	}
	if s.Seq != f.nextseq || s.Ack != f.lastack {
		return flags
	}
	if s.Window != f.window {
		if s.Window != 0 {
			flags |= WindowUpdate
		}
		return flags
	}
	switch {
	case s.Window != 0 && r.lastFlags&KeepAlive != 0:
		return flags | KeepAliveACK
	case s.Window == 0 && r.lastFlags&ZeroWindowProbe != 0:
		return flags | ZeroWindowProbeACK
	}
	// Multipath TCP repeats acknowledgements to carry its options (RFC 8684, section 4).
	if s.Window != 0 && !(c.mptcp && c.mpOps != f.mpOps) {
		f.dupacks++
		if f.dupacks == 0 {
			f.dupacks = 1
		}
		flags |= DuplicateACK
	}
	return flags
}

// checkRepeated classifies payload, SYN or FIN below the highest sequence number.
func (c *Conn) checkRepeated(f, r *Half, s *decode.Segment) Flags {
	end := s.Seq + s.Len
	old := f.nextseq != 0 && before(s.Seq, f.nextseq)
	if s.Len > 1 && s.Seq == f.nextseq-1 {
		old = false
	}
	if s.Len > 0 && r.lastack != 0 && !after(end, r.lastack) {
		return SpuriousRetransmission | Retransmission
	}
	if !old {
		return 0
	}
	if r.dupacks >= 2 && r.lastack == s.Seq && uint64(s.Time-r.lastTime) < fastRetransmitWindow {
		return FastRetransmission | Retransmission
	}
	limit := uint64(defaultOutOfOrder)
	if c.InitialRTT != 0 {
		limit = uint64(c.InitialRTT)
	}
	if s.Flags&(decode.SYN|decode.FIN) != 0 {
		end++
	}
	if uint64(s.Time-f.nextseqTime) < limit && f.nextseq != end {
		return OutOfOrder
	}
	return Retransmission
}

// updateSequence brings the state up to date after the checks.
func (t *Table) updateSequence(c *Conn, d uint8, f, r *Half, s *decode.Segment, flags Flags, counted bool) {
	end := s.Seq + s.Len
	if counted && f.pending() < maxUnacked {
		if s.Flags&(decode.SYN|decode.FIN) != 0 {
			end++
		}
		e := sent{time: s.Time, end: end}
		if flags&(Retransmission|OutOfOrder) != 0 {
			e.time = noSample
		}
		t.remember(f, e)
	}
	probe := flags&ZeroWindowProbe != 0
	if (f.nextseq == 0 || after(end, f.nextseq)) && !probe {
		f.nextseq = end
		f.nextseqTime = s.Time
	}
	if (s.Seq == f.maxToBeAcked || f.maxToBeAcked == 0) && !probe {
		f.maxToBeAcked = f.nextseq
	}
	f.window = s.Window
	f.lastack = s.Ack
	f.lastTime = s.Time
	f.lastFlags = flags
	if c.mptcp {
		f.mpOps = c.mpOps
	}
	if len(r.unacked) > 0 {
		t.acknowledge(r, s)
	}
	// The initial RTT and the options take effect from the next segment on.
	if s.Flags&decode.ACK != 0 && s.Flags&decode.SYN == 0 {
		if c.synTime != 0 && c.InitialRTT == 0 {
			c.InitialRTT = s.Time - c.synTime
		}
		f.onlySYN = false
	}
	if s.Flags&decode.SYN != 0 {
		f.onlySYN = true
		if s.Flags&decode.ACK == 0 {
			c.synTime = s.Time
		}
	}
	if s.WindowScale >= 0 || s.Flags&decode.SYN != 0 {
		c.learnScale(d, s)
	}
	if s.MPTCP >= 0 && s.MPTCP <= maxMPTCP && !s.OptionsCut {
		c.mptcp = true
		c.mpOps |= 1 << uint(s.MPTCP)
	}
}

// learnScale reads the window scale option, which Wireshark takes from any
// segment. Scaling is on only if both SYNs carry it (RFC 7323, section 2.2);
// Wireshark asks that of what it knows by then, so a SYN that is repeated
// without the option turns nothing off.
func (c *Conn) learnScale(d uint8, s *decode.Segment) {
	f, r := c.Half[d], c.Half[1-d]
	if s.WindowScale >= 0 {
		f.scale = min(s.WindowScale, maxScale)
	}
	if s.Flags&decode.SYN == 0 || s.OptionsCut {
		return
	}
	switch {
	case f.scale == scaleUnknown:
		f.scale = scaleUnused
		if r != nil {
			r.scale = scaleUnused
		}
	case s.Flags&decode.ACK != 0 && r != nil && r.scale == scaleUnused:
		f.scale = scaleUnused
	}
}

// pending returns how many segments are unacknowledged.
func (q *seqState) pending() int { return len(q.unacked) - int(q.unackedHead) }

// remember adds a segment to the unacknowledged ones.
func (t *Table) remember(f *Half, e sent) {
	if n := len(f.unacked); n > int(f.unackedHead) && before(e.end, f.unacked[n-1].end) {
		f.unsorted = true
	}
	if len(f.unacked) == cap(f.unacked) {
		if h := int(f.unackedHead); h > 0 && h >= len(f.unacked)/2 {
			n := copy(f.unacked, f.unacked[h:])
			f.unacked = f.unacked[:n]
			f.unackedHead = 0
		} else {
			t.growUnacked(f)
		}
	}
	f.unacked = append(f.unacked, e)
}

// acknowledge removes from r's unacknowledged segments what s acknowledges
// and takes the round-trip time of a segment that it acknowledges exactly.
func (t *Table) acknowledge(r *Half, s *decode.Segment) {
	if !r.unsorted {
		h := int(r.unackedHead)
		for h < len(r.unacked) {
			e := &r.unacked[h]
			if after(e.end, s.Ack) {
				break
			}
			if e.end == s.Ack {
				r.sampleSent(e, s)
			}
			h++
		}
		r.unackedHead = uint32(h)
	} else {
		kept := r.unacked[:0]
		sorted := true
		for _, e := range r.unacked[r.unackedHead:] {
			if !after(e.end, s.Ack) {
				if e.end == s.Ack {
					r.sampleSent(&e, s)
				}
				continue
			}
			if n := len(kept); n > 0 && before(e.end, kept[n-1].end) {
				sorted = false
			}
			kept = append(kept, e)
		}
		r.unacked = kept
		r.unackedHead = 0
		r.unsorted = !sorted
	}
	if r.resent && !before(s.Ack, r.resentEnd) {
		r.resent = false
	}
	if r.pending() == 0 {
		r.unsorted = false
		t.releaseUnacked(r)
	}
}

// sampleSent takes the round-trip time of a segment that s acknowledges. A
// reset gives none: another than the far end may have sent it.
func (h *Half) sampleSent(e *sent, s *decode.Segment) {
	rtt := s.Time - e.time
	if e.time == noSample || rtt < 0 || s.Flags&decode.RST != 0 || h.resent && !after(e.end, h.resentEnd) {
		return
	}
	if h.RTT.Samples == 0 || rtt < h.RTT.Min {
		h.RTT.Min = rtt
	}
	h.RTT.Max = max(h.RTT.Max, rtt)
	h.RTT.Sum += rtt
	h.RTT.Samples++
	h.LastRTT, h.LastRTTFrame = rtt, s.Frame
}

// smallUnacked is how many unacknowledged segments a direction has room for in
// itself; memory for more is lent to it while it has them.
const smallUnacked = 2

// minPooled is the least room that is lent.
const minPooled = 16

func (t *Table) growUnacked(f *Half) {
	if f.unacked == nil {
		f.unacked = f.small[:0]
		return
	}
	old := f.unacked[f.unackedHead:]
	need := len(old) + 1
	var b []sent
	if n := len(t.unackedPool); n > 0 && cap(t.unackedPool[n-1]) >= need {
		b = t.unackedPool[n-1][:0]
		t.unackedPool = t.unackedPool[:n-1]
	} else {
		size := max(minPooled, 2*len(old))
		b = make([]sent, 0, size)
	}
	b = append(b, old...)
	if cap(f.unacked) > smallUnacked {
		t.poolUnacked(f.unacked)
	}
	f.unacked = b
	f.unackedHead = 0
}

func (t *Table) releaseUnacked(h *Half) {
	h.unackedHead = 0
	if cap(h.unacked) > smallUnacked {
		t.poolUnacked(h.unacked)
		h.unacked = nil
		return
	}
	h.unacked = h.unacked[:0]
}

func (t *Table) poolUnacked(b []sent) {
	if len(t.unackedPool) < 256 && cap(b) >= minPooled && cap(b) <= 4096 {
		t.unackedPool = append(t.unackedPool, b[:0])
	}
}

// anotherISN takes a SYN/ACK of f with another sequence number than the one
// before. A client that acknowledged one keeps to it (RFC 9293, section
// 3.10.7.4); until then the latest is the one that counts. The sequence
// analysis knows neither, so that facts have a highest number of their own.
func (c *Conn) anotherISN(f *Half, isn uint32) {
	if c.HandshakeACK.Seen() && !c.closed && len(c.Resets) == 0 {
		if !f.strayed {
			f.strayed, f.high = true, f.nextseq
		}
		return
	}
	f.base = isn
	f.strayed, f.high = true, isn
	if !f.stream.delivered {
		f.stream.started = false
	}
}
