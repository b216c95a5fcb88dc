package diagnose

import (
	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/tcpflow"
)

// Where a reset came from (R1 to R3). Headers are not authenticated, so what
// is sought is a sender that cannot be the far end: one that answers sooner
// than the far end can, or one beside which the far end goes on.

// faster reports whether delay is too short for an answer over rtt.
func faster(delay, rtt int64) bool {
	return delay >= 0 && delay*100 < rtt*rttSharePercent && rtt-delay > rttMargin
}

// comparable reports whether times may be compared with rtt at all: not
// where a local proxy or TUN device answers for the far address (S8, K9).
func (w *view) comparable(rtt int64) bool {
	return rtt >= localRTT && !w.c.Loopback && !fakeAddress(w.c.ServerEnd().Addr)
}

// fakeAddress reports whether a lies in 198.18.0.0/15, which TUN proxies hand
// out as stand-ins.
func fakeAddress(a decode.Addr) bool {
	v4 := decode.Addr{10: 0xff, 11: 0xff}
	return [12]byte(a[:12]) == [12]byte(v4[:12]) && a[12] == 198 && a[13]&0xfe == 18
}

func ttlOutside(ttl, low, high uint8) bool {
	return int(ttl) <= int(low)-ttlStep || int(ttl) >= int(high)+ttlStep
}

// provenance adds to v what r's header and time tell, and narrows v's place
// where that excludes the far end.
func (w *view) provenance(v *Verdict, r *tcpflow.Mark) {
	proofs, signs := 0, 0
	s := w.server
	rtt, samples := w.roundTrips()
	if ack, at := w.triggered(r); at.Seen() && w.comparable(rtt) {
		delay := r.Time - at.Time
		switch {
		case faster(delay, rtt) && ack && samples < rttSamples:
			signs++
			v.evidence("reset.faster-once", frames(at, r.Point), Dur("delay", delay), Dur("rtt", rtt))
		case faster(delay, rtt) && ack:
			proofs++
			v.evidence("reset.faster-than-rtt", frames(at, r.Point), Dur("delay", delay), Dur("rtt", rtt))
		case faster(delay, rtt):
			signs++
			v.evidence("reset.early", frames(at, r.Point), Dur("delay", delay), Dur("rtt", rtt))
		default:
			v.evidence("reset.time-fits", frames(at, r.Point), Dur("delay", delay), Dur("rtt", rtt))
		}
	}
	if n := w.c.AfterReset[w.sd]; n > 0 && (w.c.AfterResetFirst[w.sd].Time-r.Time >= secondSender ||
		n >= repeats && w.c.AfterResetLast[w.sd].Time-r.Time >= secondSender) {
		// What the reset merely overtook on the way looks the same: not so what
		// lies behind it, nor what is later than packets overtake each other.
		signs++
		if w.c.BeyondReset[w.sd] > 0 || 2*(w.c.AfterResetLast[w.sd].Time-r.Time) >= rtt {
			signs++
		}
		v.evidence("reset.sender-continues", frames(r.Point, w.c.AfterResetFirst[w.sd]), Num("count", int64(n)))
	}
	if s.MaxTTL > 0 && ttlOutside(r.TTL, s.MinTTL, s.MaxTTL) {
		signs++
		v.evidence("reset.ttl", frames(r.Point), Num("ttl", int64(r.TTL)), Num("low", int64(s.MinTTL)), Num("high", int64(s.MaxTTL)))
	}
	if w.outOfSeries(r) {
		signs++
		v.evidence("reset.ipid", frames(r.Point), Num("ipid", int64(r.IPID)), Num("last", int64(s.IPIDs[0])))
	}
	if n, list := w.sweep(r); n > 1 {
		signs++
		v.evidence("reset.sequence-sweep", list, Num("count", int64(n)))
	}
	if r.Len > 0 {
		signs++
		v.evidence("reset.payload", frames(r.Point), Bytes("bytes", int64(r.Len)))
	}
	if s.Timestamps && !r.HasTS {
		// No sign of its own: a stack that has lost the socket sends none.
		v.evidence("reset.no-timestamps", frames(r.Point))
	}
	switch {
	case proofs > 0:
		v.Place, v.Level = inNetwork, Proven
	case signs >= 2:
		v.Place, v.Level = inNetwork, Suggested
	}
}

// triggered returns the client's segment that r answers, and whether r
// acknowledges it, being the first packet to do so.
func (w *view) triggered(r *tcpflow.Mark) (acked bool, at tcpflow.Point) {
	c, s := w.client, w.server
	if !c.FirstData.Seen() || c.FirstData.Time > r.Time {
		return false, tcpflow.Point{}
	}
	if w.hello != nil && !w.shaken() && w.hello.First.Frame != 0 && w.hello.First.Time <= r.Time {
		start, end := w.helloSpan()
		at = tcpflow.Point(w.hello.First)
		if r.Flags&decode.ACK == 0 || int32(r.Ack-start) <= 0 || int32(r.Ack-end) > 0 {
			return false, at
		}
		// An acknowledgement that came before it may be the far end's.
		if s.HighAck >= r.Ack && s.Progress.Time < r.Time {
			return false, tcpflow.Point{}
		}
		return true, at
	}
	if c.LastNewData.Time > r.Time || r.Flags&decode.ACK == 0 || r.Ack != c.SentEnd() {
		return false, tcpflow.Point{}
	}
	if s.HighAck >= r.Ack && s.Progress.Time < r.Time {
		return false, tcpflow.Point{}
	}
	return true, c.LastNewData
}

// outOfSeries reports whether the server's IP identifications are a counter
// that r does not continue. Zero is what a stack without a socket uses.
func (w *view) outOfSeries(r *tcpflow.Mark) bool {
	s := w.server
	if !r.HasIPID || r.IPID == 0 || s.IPIDCount < 4 || w.c.AfterReset[w.sd] > 0 {
		return false
	}
	for i := 0; i+1 < int(s.IPIDCount); i++ {
		if step := s.IPIDs[i] - s.IPIDs[i+1]; step == 0 || step > ipidStep {
			return false
		}
	}
	next := r.IPID - s.IPIDs[0]
	return next == 0 || next > ipidReach
}

// sweep returns how many resets of the server follow r shortly with a higher
// sequence number each, none of them an echo of an acknowledgement: guesses
// at what the client will accept (RFC 5961, section 3).
func (w *view) sweep(r *tcpflow.Mark) (n int, list []int64) {
	last := r.Seq
	n, list = 1, append(list, r.Frame)
	for i := range w.c.Resets {
		m := &w.c.Resets[i]
		if m.Dir != w.sd || m.Time < r.Time || m.Frame == r.Frame || m.Time-r.Time > resetBurst {
			continue
		}
		if m.Flags&decode.ACK != 0 && int32(m.Seq-last) > 2 {
			n++
			last = m.Seq
			list = append(list, m.Frame)
		}
	}
	return n, tidy(list)
}
