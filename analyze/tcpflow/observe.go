package tcpflow

import "goproxytrace/analyze/decode"

// checkedSegments is how many payload segments of each direction have their
// checksums verified: enough for the handshake, nothing of the bulk.
const checkedSegments = 8

// duplicateWindow is the time in ns within which a frame with the same IP
// identification is the same packet captured twice.
const duplicateWindow = 10_000_000

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
	if s.Interface != c.Interface {
		c.ifaceMany = true
	}
	return at
}

// observe gathers the facts of one analysed segment. nextBefore is the
// highest sequence number sent in this direction before it, if known.
func (t *Table) observe(c *Conn, d uint8, s *decode.Segment, flags Flags, nextBefore uint32, known bool) {
	h := c.Half[d]
	at := t.touch(c, h, s)
	h.count(flags)
	duplicate := h.isDuplicate(s)
	if uint32(len(s.Payload)) < s.Len {
		c.cutSegments++
	}
	if s.Flags&decode.RST != 0 {
		t.observeReset(c, d, s, at, duplicate)
	} else {
		h.observeHeader(s)
		if h.RSTs > 0 && !duplicate {
			if c.AfterReset[d] == 0 {
				c.AfterResetFirst[d] = at
			}
			c.AfterReset[d]++
		}
	}
	if s.Flags&decode.SYN != 0 {
		c.observeSYN(h, d, s, at)
	}
	if s.Flags&decode.FIN != 0 {
		h.FINs++
		if !h.FIN.Seen() {
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
	if flags&Retransmission != 0 && flags&SpuriousRetransmission == 0 && !duplicate {
		h.resent, h.resentEnd = true, h.nextseq
		if rel := s.Seq - h.base; !after(rel, c.ackedOf(d)) {
			h.ResendCount++
			h.Resends = appendBounded(h.Resends, c.mark(d, s, at))
		}
	}
	c.observeKeepAlive(d, s, at, flags)
	if flags&ZeroWindow != 0 {
		c.ZeroWindows = appendBounded(c.ZeroWindows, c.mark(d, s, at))
	}
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

func (h *Half) count(f Flags) {
	if f == 0 {
		return
	}
	add := func(n *uint32, bit Flags) {
		if f&bit != 0 {
			*n++
		}
	}
	switch {
	case f&FastRetransmission != 0:
		h.FastRetransmissions++
	case f&SpuriousRetransmission != 0:
		h.SpuriousRetransmissions++
	case f&Retransmission != 0:
		h.Retransmissions++
	}
	add(&h.OutOfOrder, OutOfOrder)
	add(&h.DuplicateACKs, DuplicateACK)
	add(&h.LostSegments, LostSegment)
	add(&h.ACKLostSegments, ACKLostSegment)
	add(&h.ZeroWindows, ZeroWindow)
	add(&h.ZeroWindowProbes, ZeroWindowProbe)
	add(&h.ZeroWindowProbeACKs, ZeroWindowProbeACK)
	add(&h.WindowFull, WindowFull)
	add(&h.WindowUpdates, WindowUpdate)
	add(&h.KeepAlives, KeepAlive)
	add(&h.KeepAliveACKs, KeepAliveACK)
}

// isDuplicate reports whether s is the previous segment of its direction
// captured again. A retransmission has a new IP identification; where the
// sender leaves that at zero, another interface or time to live must tell.
func (h *Half) isDuplicate(s *decode.Segment) bool {
	sig := signature{s.Time, s.Seq, s.Ack, s.Len, s.IPID, s.Flags, s.Interface, s.TTL}
	p := h.lastSig
	h.lastSig = sig
	if h.Packets < 2 || p.seq != sig.seq || p.ack != sig.ack || p.len != sig.len || p.flags != sig.flags ||
		p.ipid != sig.ipid || sig.time-p.time >= duplicateWindow || p.time-sig.time >= duplicateWindow {
		return false
	}
	if (!s.HasIPID || s.IPID == 0) && p.iface == sig.iface && p.ttl == sig.ttl {
		return false
	}
	h.Duplicates++
	return true
}

func (h *Half) observeHeader(s *decode.Segment) {
	if h.MinTTL == 0 || s.TTL < h.MinTTL {
		h.MinTTL = s.TTL
	}
	h.MaxTTL = max(h.MaxTTL, s.TTL)
	h.Timestamps = s.HasTimestamps
	if s.HasTimestamps {
		h.TSval, h.TSvalTime = s.TSval, s.Time
	}
	if s.HasIPID {
		h.IPIDs = [4]uint16{s.IPID, h.IPIDs[0], h.IPIDs[1], h.IPIDs[2]}
		h.IPIDCount = min(h.IPIDCount+1, 4)
	}
	if s.Flags&decode.SYN != 0 || s.Len > 0 && h.DataPackets < checkedSegments {
		if ok, tested := s.ChecksumValid(); tested && !ok && h.BadChecksums < 0xFFFF {
			h.BadChecksums++
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
	}
	if s.SACKCount > 0 {
		h.SACKLeft, h.SACKRight, h.SACKAt = s.SACK[0][0]-o.base, s.SACK[0][1]-o.base, at
	}
}

func (c *Conn) observeData(h *Half, s *decode.Segment, at Point, flags Flags, nextBefore uint32, known bool) {
	h.DataPackets++
	h.Bytes += uint64(s.Len)
	h.MaxLen = max(h.MaxLen, s.Len)
	if !h.FirstData.Seen() || at.Time < h.FirstData.Time {
		h.FirstData = at
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
	if o := c.Half[0]; o != nil && o != h && (o.FINs > 0 || o.RSTs > 0) {
		h.LateBytes += fresh
	} else if o := c.Half[1]; o != nil && o != h && (o.FINs > 0 || o.RSTs > 0) {
		h.LateBytes += fresh
	}
	if !h.LastNewData.Seen() || at.Time >= h.LastNewData.Time {
		h.LastNewData = at
	}
	c.KeepAlives, c.KeepAliveACKs = c.KeepAlives[:0], c.KeepAliveACKs[:0]
	c.KeepAliveRound, c.KeepAliveAnswered, c.keepAliveOpen = 0, 0, 0
}

// observeKeepAlive pairs keep-alive probes with answers. Any segment of the
// other end answers but another probe, which may have been sent before.
func (c *Conn) observeKeepAlive(d uint8, s *decode.Segment, at Point, flags Flags) {
	if flags&KeepAlive != 0 {
		c.KeepAlives = appendBounded(c.KeepAlives, c.mark(d, s, at))
		c.KeepAliveRound++
		c.keepAliveOpen = d + 1
		return
	}
	if c.keepAliveOpen == 2-d && s.Flags&decode.RST == 0 {
		c.KeepAliveACKs = appendBounded(c.KeepAliveACKs, c.mark(d, s, at))
		c.KeepAliveAnswered++
		c.KeepAliveAnsweredTotal++
		c.keepAliveOpen = 0
	}
}

func (t *Table) observeReset(c *Conn, d uint8, s *decode.Segment, at Point, duplicate bool) {
	h := c.Half[d]
	c.closed = true
	if duplicate {
		return
	}
	if h.RSTs < 0xFFFF {
		h.RSTs++
	}
	if len(c.Resets) < maxResets {
		c.Resets = append(c.Resets, c.mark(d, s, at))
	}
}

func (c *Conn) mark(d uint8, s *decode.Segment, at Point) Mark {
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
