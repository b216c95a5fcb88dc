package tcpflow

import (
	"math"

	"goproxytrace/analyze/decode"
)

// checkedSegments is how many payload segments of each direction have their
// checksums verified: enough for the handshake, nothing of the bulk.
const checkedSegments = 8

// holeWait is the least silence in ns that counts into Half.HoleWait: the
// initial retransmission timeout of RFC 6298, section 2.1.
const holeWait = 1_000_000_000

// touch records that a segment without usable lengths was seen.
func (t *Table) touch(c *Conn, h *Half, s *decode.Segment) Point {
	at := Point{s.Frame, s.Time}
	h.Packets++
	if !h.First.Seen() || s.Time < h.First.Time {
		h.First = at
	}
	if !h.Last.Seen() || s.Time >= h.Last.Time {
		h.Last = at
	}
	if s.Time < c.Start.Time {
		c.Start = at
	}
	if s.Time >= c.Last.Time {
		c.Last = at
	}
	return at
}

// observe gathers the facts of one analysed segment. nextBefore is the
// highest sequence number sent in this direction before it, if known.
func (t *Table) observe(c *Conn, d uint8, s *decode.Segment, flags Flags, nextBefore uint32, known bool) {
	h := c.Half[d]
	at := t.touch(c, h, s)
	if t.isCopy(c, h, s) {
		// The findings on it stand, but it tells nothing: it was sent once.
		h.Copied.count(flags)
		h.Bytes += uint64(s.Len)
		h.observeHeader(s)
		return
	}
	h.Counts.count(flags)
	if h.strayed || s.Flags&decode.RST != 0 {
		flags, nextBefore = h.stray(s, flags, nextBefore, known)
	}
	if uint32(len(s.Payload)) < s.Len {
		c.cutSegments++
	}
	if s.Flags&decode.RST != 0 {
		t.observeReset(c, d, s, at)
	} else {
		h.observeHeader(s)
		h.LastWindow = h.FinalWindow()
		if h.RSTs > 0 && at.Time >= c.firstReset(d) {
			if c.AfterReset[d] == 0 {
				c.AfterResetFirst[d] = at
			}
			c.AfterReset[d]++
			c.AfterResetLast[d] = at
			if after(s.Seq+s.Len-h.base, c.lowestReset(d)) {
				c.BeyondReset[d]++
			}
		}
	}
	if s.Flags&decode.SYN != 0 {
		c.observeSYN(h, d, s, at)
	}
	if s.Flags&decode.FIN != 0 {
		h.FINs++
		if !h.FIN.Seen() || at.Time < h.FIN.Time {
			h.FIN = at
		}
		c.fins |= 1 << d
		c.closed = c.closed || c.fins == 3
	}
	if s.Flags&decode.ACK != 0 && s.Flags&decode.RST == 0 {
		c.observeACK(h, d, s, at)
	}
	if s.Len > 0 {
		c.observeData(h, s, at, flags, nextBefore, known)
	}
	if h.sentAgain(s, flags) {
		h.resent, h.resentEnd = true, h.nextseq
		if rel := s.Seq - h.base; !after(rel, c.ackedOf(d)) {
			h.ResendCount++
			h.Resends = appendBounded(h.Resends, c.Mark(d, s, at))
		}
	}
	c.observeKeepAlive(d, s, at, flags)
	if flags&ZeroWindow != 0 {
		c.ZeroWindows = appendBounded(c.ZeroWindows, c.Mark(d, s, at))
	}
}

// sentAgain reports whether s sends payload, SYN or FIN again that was not known
// to be received. What is flagged out-of-order was sent before only if its
// bytes were.
func (h *Half) sentAgain(s *decode.Segment, flags Flags) bool {
	switch {
	case flags&SpuriousRetransmission != 0:
		return false
	case flags&Retransmission != 0:
		return true
	}
	st := &h.stream
	return flags&OutOfOrder != 0 && s.Len > 0 && st.delivered && !after(s.Seq+s.Len, st.next)
}

// stray keeps facts apart from what a reset, or a SYN/ACK that differs from the
// one before, does to the sequence analysis: Wireshark takes the highest
// sequence number from it, and all that follows below for repetitions, also
// where the receiver had no use for it.
func (h *Half) stray(s *decode.Segment, flags Flags, nextBefore uint32, known bool) (Flags, uint32) {
	if s.Flags&decode.RST != 0 {
		if !h.strayed && known && h.nextseq != nextBefore {
			h.strayed, h.high = true, nextBefore
		}
		return flags, nextBefore
	}
	nextBefore = h.high
	if s.Flags&decode.SYN != 0 && s.Seq != h.base {
		return flags, nextBefore // one that the client did not accept
	}
	end := s.Seq + s.Len
	if s.Flags&(decode.SYN|decode.FIN) != 0 {
		end++
	}
	if after(end, h.high) {
		h.high = end
		flags &^= Retransmission | FastRetransmission | SpuriousRetransmission | OutOfOrder
	}
	return flags, nextBefore
}

// appendBounded appends m; a full list loses its second oldest entry, so that
// the first and the latest stay.
func appendBounded(l []Mark, m Mark) []Mark {
	if len(l) < maxMarks {
		return append(l, m)
	}
	copy(l[1:], l[2:])
	l[len(l)-1] = m
	return l
}

func (n *Counts) count(f Flags) {
	if f == 0 {
		return
	}
	add := func(count *uint32, bit Flags) {
		if f&bit != 0 {
			*count++
		}
	}
	switch {
	case f&FastRetransmission != 0:
		n.FastRetransmissions++
	case f&SpuriousRetransmission != 0:
		n.SpuriousRetransmissions++
	case f&Retransmission != 0:
		n.Retransmissions++
	}
	add(&n.OutOfOrder, OutOfOrder)
	add(&n.DuplicateACKs, DuplicateACK)
	add(&n.LostSegments, LostSegment)
	add(&n.ACKLostSegments, ACKLostSegment)
	add(&n.ZeroWindows, ZeroWindow)
	add(&n.ZeroWindowProbes, ZeroWindowProbe)
	add(&n.ZeroWindowProbeACKs, ZeroWindowProbeACK)
	add(&n.WindowFull, WindowFull)
	add(&n.WindowUpdates, WindowUpdate)
	add(&n.KeepAlives, KeepAlive)
	add(&n.KeepAliveACKs, KeepAliveACK)
}

func (h *Half) observeHeader(s *decode.Segment) {
	if h.MinTTL == 0 || s.TTL < h.MinTTL {
		h.MinTTL = s.TTL
	}
	h.MaxTTL = max(h.MaxTTL, s.TTL)
	if s.Direction != 0 && !s.Loopback {
		h.Directions |= 1 << (s.Direction & 7)
	}
	h.Timestamps = s.HasTimestamps
	if s.HasTimestamps {
		h.TSval, h.TSvalTime = s.TSval, s.Time
	}
	if s.HasIPID {
		h.IPIDs = [4]uint16{s.IPID, h.IPIDs[0], h.IPIDs[1], h.IPIDs[2]}
		h.IPIDCount = min(h.IPIDCount+1, 4)
	}
	if s.Flags&decode.SYN != 0 || s.Len > 0 && h.DataPackets < checkedSegments {
		switch ok, tested := s.ChecksumValid(); {
		case tested && !ok && h.BadChecksums < 0xFFFF:
			h.BadChecksums++
		case !tested && h.Unfilled < 0xFFFF && s.ChecksumUnfilled():
			h.Unfilled++
		}
	}
}

func (c *Conn) observeSYN(h *Half, d uint8, s *decode.Segment, at Point) {
	if h.SYNs < 0xFFFF {
		h.SYNs++
	}
	h.LastSYN = at
	if !h.SYN.Seen() {
		h.SYN = at
		h.MSS = s.MSS
		h.WindowScale = s.WindowScale
		h.SACKPermitted = s.SACKPermitted
	}
	if s.Flags&decode.ACK == 0 {
		c.ClientDir = d
	} else {
		c.ClientDir = 1 - d
	}
	c.ClientKnown = true
}

// ackedOf returns up to where direction d's data was acknowledged, relative.
func (c *Conn) ackedOf(d uint8) uint32 {
	if o := c.Half[1-d]; o != nil {
		return o.HighAck
	}
	return 0
}

func (c *Conn) observeACK(h *Half, d uint8, s *decode.Segment, at Point) {
	o := c.Half[1-d]
	if o == nil || !o.baseSet {
		return
	}
	rel := s.Ack - o.base
	if s.Flags&decode.SYN == 0 && !c.HandshakeACK.Seen() && o.SYN.Seen() && d == c.ClientDir && int32(rel) >= 1 {
		c.HandshakeACK = at
	}
	// The first one may lie before the capture; later ones pass 2 GiB.
	if h.HighAck == 0 && int32(rel) >= 0 || h.HighAck != 0 && after(rel, h.HighAck) {
		h.HighAck = rel
		h.Progress = at
		o.Resends = o.Resends[:0]
		o.ResendCount = 0
	} else if s.Len == 0 && s.Flags&(decode.SYN|decode.FIN|decode.RST) == 0 && rel == h.HighAck && after(o.SentEnd(), rel) {
		h.Repeated = at
	}
	if s.SACKCount > 0 {
		// A first block below the acknowledgement tells of a duplicate
		// (RFC 2883, section 4); the hole is in front of the next.
		b := s.SACK[0]
		if s.SACKCount > 1 && !after(b[0], s.Ack) {
			b = s.SACK[1]
		}
		h.SACKLeft, h.SACKRight, h.SACKAt = b[0]-o.base, b[1]-o.base, at
	}
}

func (c *Conn) observeData(h *Half, s *decode.Segment, at Point, flags Flags, nextBefore uint32, known bool) {
	h.DataPackets++
	h.Bytes += uint64(s.Len)
	h.MaxLen = max(h.MaxLen, s.Len)
	if !h.FirstData.Seen() || at.Time < h.FirstData.Time {
		h.FirstData = at
	}
	if gap := at.Time - h.LastData.Time; h.LastData.Seen() && gap >= holeWait {
		o := c.Half[0]
		if o == h {
			o = c.Half[1]
		}
		if o != nil && (o.SACKAt.Seen() && o.SACKAt.Time >= o.Progress.Time && after(o.SACKLeft, o.HighAck) || o.Repeated.Time > o.Progress.Time && after(h.SentEnd(), o.HighAck)) {
			h.HoleWait += gap
			h.HoleWaits++
		}
	} else if h.LastData.Seen() && gap > 0 {
		h.Flowing += gap
	}
	if !h.LastData.Seen() || at.Time >= h.LastData.Time {
		h.LastData = at
	}
	if flags&(KeepAlive|Retransmission) != 0 {
		return
	}
	end, fresh := s.Seq+s.Len, uint64(0)
	switch {
	case !known || !before(s.Seq, nextBefore):
		fresh = uint64(s.Len)
	case after(end, nextBefore):
		fresh = uint64(end - nextBefore)
	}
	h.NewBytes += fresh
	if c.leftBefore(h, at) {
		h.LateBytes += fresh
	}
	if !h.LastNewData.Seen() || at.Time >= h.LastNewData.Time {
		h.LastNewData = at
	}
	c.KeepAlives, c.KeepAliveACKs = c.KeepAlives[:0], c.KeepAliveACKs[:0]
	c.KeepAliveRound, c.KeepAliveAnswered, c.keepAliveOpen = 0, 0, 0
}

// leftBefore reports whether the end opposite to h had closed or reset the
// connection before at; times decide, as a file need not be in their order.
func (c *Conn) leftBefore(h *Half, at Point) bool {
	for d, o := range c.Half {
		if o == nil || o == h {
			continue
		}
		if o.FIN.Seen() && o.FIN.Time < at.Time {
			return true
		}
		for i := range c.Resets {
			if r := &c.Resets[i]; int(r.Dir) == d && r.Time < at.Time {
				return true
			}
		}
	}
	return false
}

// firstReset returns the time of direction d's first reset; it has one.
func (c *Conn) firstReset(d uint8) int64 {
	first := int64(math.MaxInt64)
	for i := range c.Resets {
		if r := &c.Resets[i]; r.Dir == d {
			first = min(first, r.Time)
		}
	}
	return first
}

// lowestReset returns the lowest relative sequence number of direction d's
// resets; it has one.
func (c *Conn) lowestReset(d uint8) uint32 {
	lowest, seen := uint32(0), false
	for i := range c.Resets {
		if r := &c.Resets[i]; r.Dir == d && (!seen || after(lowest, r.Seq)) {
			lowest, seen = r.Seq, true
		}
	}
	return lowest
}

// observeKeepAlive pairs keep-alive probes with answers. Any segment of the
// other end answers but another probe, which may have been sent before.
func (c *Conn) observeKeepAlive(d uint8, s *decode.Segment, at Point, flags Flags) {
	if flags&KeepAlive != 0 {
		c.KeepAlives = appendBounded(c.KeepAlives, c.Mark(d, s, at))
		c.KeepAliveRound++
		c.keepAliveOpen = d + 1
		return
	}
	if c.keepAliveOpen == 2-d && s.Flags&decode.RST == 0 {
		c.KeepAliveACKs = appendBounded(c.KeepAliveACKs, c.Mark(d, s, at))
		c.KeepAliveAnswered++
		c.KeepAliveAnsweredTotal++
		c.keepAliveOpen = 0
	}
}

func (t *Table) observeReset(c *Conn, d uint8, s *decode.Segment, at Point) {
	h := c.Half[d]
	c.closed = true
	if h.RSTs < 0xFFFF {
		h.RSTs++
	}
	m := c.Mark(d, s, at)
	if o := c.Half[1-d]; o != nil {
		m.Next = o.HighAck
		if o.SYN.Seen() {
			m.Reach = o.FinalWindow()
		}
	}
	if len(c.Resets) < maxResets {
		c.Resets = append(c.Resets, m)
	} else {
		c.Resets[maxResets-1] = m // the first and the latest tell most
	}
}

// Mark describes a segment of direction d by what tells its origin.
func (c *Conn) Mark(d uint8, s *decode.Segment, at Point) Mark {
	m := Mark{
		Point: at, Seq: s.Seq, Ack: s.Ack, Len: s.Len, IPID: s.IPID, Flags: s.Flags, Window: s.Window, TTL: s.TTL,
		Dir: d, HasIPID: s.HasIPID, DF: s.DontFragment, HasTS: s.HasTimestamps, Loopback: s.Loopback,
	}
	if h := c.Half[d]; h != nil && h.baseSet {
		m.Seq -= h.base
	}
	if o := c.Half[1-d]; o != nil && o.baseSet && s.Flags&decode.ACK != 0 {
		m.Ack -= o.base
	}
	return m
}
