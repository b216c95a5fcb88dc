package diagnose

import "goproxytrace/analyze/tcpflow"

// clientHelloLost finds a ClientHello that the server never acknowledged: all
// of it (P1), its first and largest part (P2, a path MTU fault), or its last
// (P3). Random loss is the look-alike; one resend mends it.
func clientHelloLost(w *view) (Verdict, bool) {
	if w.hello == nil || w.answered() || w.f.TLS.ServerHello != nil || w.c.Outstanding(w.cd) == 0 {
		return Verdict{}, false
	}
	start, end := w.helloSpan()
	acked := w.acknowledged()
	if int32(acked-end) >= 0 {
		return Verdict{}, false
	}
	at := tcpflow.Point(w.hello.First)
	last := w.until
	if w.env.Final && !w.c.Closed() && w.env.End > last {
		// Behind the client's FIN the repeats go on.
		last = max(last, w.c.Last.Time)
	}
	d := last - at.Time
	n := w.client.ResendCount
	toolarge := w.tooLarge()
	few := n < repeats
	if few && int32(acked-start) <= 0 {
		// With nothing acknowledged each resent part tells the same; a slow
		// timer has sent few of them by now.
		n = max(n, w.client.Retransmissions+w.client.FastRetransmissions+w.client.OutOfOrder)
	}
	if toolarge == nil && (n == 0 || n < repeats && d < quietFinding || d < repeatsSpan) {
		return Verdict{}, false
	}
	if toolarge != nil && d < repeatsSpan && !w.left.Seen() {
		return Verdict{}, false
	}
	s := w.server
	sacked := s.SACKAt.Seen() && int32(s.SACKLeft-acked) > 0
	class, level := TLSClientHelloLost, Suggested
	if d < quietFinding || few {
		level = Consistent
	}
	switch {
	case toolarge != nil:
		class, level = TLSLargePacketsLost, Proven
	case sacked:
		class = TLSLargePacketsLost
	}
	v := w.verdict(class, level, inNetwork, last)
	v.failed = at.Time
	switch {
	case toolarge != nil:
		v.evidence("icmp.too-big", frames(toolarge.Point), Text("router", addressText(toolarge.From)), Bytes("mtu", int64(toolarge.MTU)))
		v.evidence("clienthello.unacknowledged", frames(at), Bytes("bytes", int64(end-start)))
	case sacked:
		v.evidence("clienthello.first-part-lost", frames(at, s.SACKAt), Num("from", int64(acked-start)), Num("to", int64(s.SACKLeft-start)))
	case int32(acked-start) <= 0:
		v.evidence("clienthello.unacknowledged", frames(at), Bytes("bytes", int64(end-start)))
	default:
		v.evidence("clienthello.last-part-lost", frames(at, s.Progress), Bytes("acknowledged", int64(acked-start)), Bytes("bytes", int64(end-start)))
	}
	if n > 0 {
		v.evidence("clienthello.resent", marks(w.client.Resends), Num("count", int64(n)), Dur("span", d))
	}
	return v, true
}

// tooLarge returns an ICMP message that says that a packet of the client was
// too large for a link on the way.
func (w *view) tooLarge() *tcpflow.ICMPError {
	for i := range w.c.ICMP {
		e := &w.c.ICMP[i]
		if e.QuotedDir == w.cd && (e.IPVersion == 6 && e.Type == 2 || e.IPVersion != 6 && e.Type == 3 && e.Code == 4) {
			return e
		}
	}
	return nil
}

// serverFlightLost finds a hole in the server's flight that is never filled
// while later parts arrive (P4).
func serverFlightLost(w *view) (Verdict, bool) {
	c, s := w.client, w.server
	sacked := c.SACKAt.Seen() && int32(c.SACKLeft-c.HighAck) > 0
	// Without selective acknowledgements it is one that says again what the
	// client waits for, once more has come, and that the capture lacks too.
	repeated := s.LostSegments > 0 && c.Repeated.Seen() && c.Repeated.Time >= s.LastData.Time && w.c.Outstanding(w.sd) > 0
	if w.hello == nil || !w.answered() || !sacked && !repeated || w.passedUnheard() {
		return Verdict{}, false
	}
	since := s.FirstData
	if w.until-since.Time < quietFinding {
		return Verdict{}, false
	}
	v := w.verdict(TLSLargePacketsLost, Suggested, inNetwork, w.until)
	v.failed = since.Time
	told := c.Repeated
	if sacked {
		told = c.SACKAt
		v.evidence("serverflight.hole", frames(s.FirstData, told), Num("from", int64(c.HighAck-1)), Num("to", int64(c.SACKLeft-1)))
	}
	if c.DuplicateACKs > 0 {
		v.evidence("client.duplicate-acks", frames(told), Num("count", int64(c.DuplicateACKs)))
	}
	return v, true
}

// passedUnheard reports whether what the client waits for crossed the capture
// point intact, again and again, and its TCP said nothing to that, whether or
// not it has what comes later. Where the network lost it, this file has no
// repetition of it; where the client's TCP gets it and cannot accept it (RFC
// 9293, section 3.10.7.4; RFC 7323, section 5.3), it says so each time.
func (w *view) passedUnheard() bool {
	c, s := w.client, w.server
	return s.BadChecksums == 0 && s.ResendCount >= repeats && len(s.Resends) >= repeats &&
		(!c.Repeated.Seen() || c.Repeated.Time < s.Resends[repeats-1].Time)
}

// answerIgnored finds server data that reached this host in order and intact,
// again and again, and was never acknowledged (L6).
func answerIgnored(w *view) (Verdict, bool) {
	s := w.server
	if !w.answered() || w.c.Outstanding(w.sd) == 0 || !w.passedUnheard() || w.c.Last.Time-s.FirstData.Time < repeatsSpan {
		return Verdict{}, false
	}
	level, ok := w.blameHost()
	if !ok {
		return w.unusable([]string{"skip.capture-elsewhere"}), true
	}
	v := w.verdict(TLSAnswerIgnored, level, inHost, w.c.Last.Time)
	v.restsOnPlace()
	v.failed = s.FirstData.Time
	v.evidence("answer.unacknowledged", frames(s.FirstData), Bytes("bytes", int64(w.c.Outstanding(w.sd))))
	v.evidence("answer.resent", marks(s.Resends), Num("count", int64(s.ResendCount)))
	return v, true
}

// noServerHello finds silence after an acknowledged ClientHello (P5, P6).
func noServerHello(w *view) (Verdict, bool) {
	if w.client.DataPackets == 0 || w.answered() || w.f.TLS != nil && w.f.TLS.ServerHello != nil {
		return Verdict{}, false
	}
	since := w.spokeAt()
	level, ok := w.silence(since.Time)
	if !ok {
		return Verdict{}, false
	}
	if w.hello != nil {
		if _, end := w.helloSpan(); int32(w.acknowledged()-end) < 0 {
			// Neither acknowledged nor sent again: packets are missing here.
			return w.unusable([]string{"skip.capture-excerpt"}), true
		}
	}
	// Also where the far end's TCP is alive a box may hold back its answer.
	v := w.verdict(TLSNoServerHello, level, beyond, w.until)
	v.failed = since.Time
	if w.hello != nil || int32(w.acknowledged()-w.client.SentEnd()) >= 0 {
		v.evidence("clienthello.acknowledged", frames(since, w.server.Progress))
	}
	w.silenceEvidence(&v, since)
	w.finTest(&v)
	ahead := int64(w.server.SentEnd()) - 1 - int64(w.server.NewBytes)
	if w.server.FIN.Seen() {
		ahead-- // it takes a number of its own
	}
	if ahead > 0 {
		v.evidence("server.sequence-ahead", frames(w.server.Last), Bytes("bytes", ahead))
	}
	return v, true
}

// unheard reports whether payload of h was neither acknowledged by o nor sent
// again. Who hears it acknowledges it, and who hears no acknowledgement sends
// it again, so that a file with neither lacks packets.
func unheard(h, o *tcpflow.Half) bool {
	end := h.SentEnd()
	if h.FIN.Seen() {
		end--
	}
	again := h.ResendCount > 0 || h.Retransmissions+h.FastRetransmissions+h.SpuriousRetransmissions+h.OutOfOrder > 0
	return int32(o.HighAck-end) < 0 && !again
}

// finTest adds whether the client's FIN was acknowledged: a free probe of the
// connection after the client gave up.
func (w *view) finTest(v *Verdict) {
	fin := w.client.FIN
	if !fin.Seen() {
		return
	}
	switch {
	case w.acknowledged() >= w.client.SentEnd():
		v.evidence("fin.acknowledged", frames(fin, w.server.Progress))
	case w.env.observed(fin.Frame)-fin.Time >= probeAnswer || w.client.FINs >= synRepeats:
		v.evidence("fin.unanswered", frames(fin), Num("count", int64(w.client.FINs)))
	}
}

// serverFlightStalled finds a server that began its flight and did not end
// it, or a client that does not go on with a complete one (L9).
func serverFlightStalled(w *view) (Verdict, bool) {
	if w.f.TLS == nil || !w.answered() || w.ss == nil {
		return Verdict{}, false
	}
	since, state := w.server.LastNewData, w.flight()
	if state == flightComplete && !w.tls13() && w.client.LastNewData.Time > since.Time {
		// The client did go on; what the server has to say after that is due
		// (RFC 5246, section 7.3).
		since, state = w.client.LastNewData, flightIncomplete
	}
	level, ok := w.silence(since.Time)
	if !ok {
		return Verdict{}, false
	}
	if unheard(w.server, w.client) || unheard(w.client, w.server) {
		return w.unusable([]string{"skip.capture-excerpt"}), true
	}
	class, places, id := TLSServerFlightStalled, beyond, ""
	switch state {
	case flightIncomplete:
		id = "serverflight.incomplete"
	case flightComplete:
		class, places, id = ClientStalled, atThisEnd, "serverflight.complete"
		if level == Proven {
			// That the client sent nothing is proven, not that the go command
			// stood still: a filter of the host may have held it back.
			level = Suggested
		}
	case flightAcknowledged:
		class, places, id, level = ClientStalled, atThisEnd, "serverflight.acknowledged", Consistent
	default:
		// Either end may be the one that does not go on.
		id, level = "serverflight.unclear", Consistent
	}
	v := w.verdict(class, level, places, w.until)
	v.Stage = StageTLS
	v.failed = since.Time
	switch id {
	case "serverflight.incomplete":
		v.evidence("serverflight.incomplete", frames(w.server.FirstData, since), Bytes("bytes", int64(w.server.NewBytes)))
	case "serverflight.complete":
		v.evidence("serverflight.complete", frames(w.server.FirstData, since), Bytes("bytes", int64(w.server.NewBytes)))
	case "serverflight.acknowledged":
		v.evidence("serverflight.acknowledged", frames(w.server.FirstData, since, w.client.Progress), Bytes("bytes", int64(w.server.NewBytes)))
	default:
		v.evidence("serverflight.unclear", frames(w.server.FirstData, since), Bytes("bytes", int64(w.server.NewBytes)))
		v.skip("skip.flight-unclear")
	}
	w.silenceEvidence(&v, since)
	w.finTest(&v)
	return v, true
}

type flightState uint8

const (
	flightUnclear flightState = iota
	flightIncomplete
	flightComplete
	// flightAcknowledged is one that may well be complete: messages joined in
	// one record that has room for all of them, and acknowledged.
	flightAcknowledged
)

// flight tells whether the server's first flight has ended. In TLS 1.3 it
// ends with Finished, in a record of a size of its own where the server does
// not join messages.
func (w *view) flight() flightState {
	t := w.f.TLS
	switch {
	case w.ss.Open.Frame != 0:
		return flightIncomplete
	case t.ServerHello == nil:
		if w.ss.Records == 0 {
			return flightUnclear
		}
		return flightIncomplete
	case !w.tls13():
		if t.ServerDone.Frame != 0 {
			return flightComplete
		}
		return flightIncomplete
	case w.ss.Encrypted == 0:
		return flightIncomplete
	}
	switch w.ss.Last[1].Length {
	case finishedRecord, finishedRecord384:
		return flightComplete
	}
	first := int(w.ss.First[0].Length)
	switch {
	case t.ServerHello.PSK || w.c.Outstanding(w.sd) > 0:
		return flightUnclear
	case first < joinedFlight:
		// EncryptedExtensions alone: this server gives each message a record
		// of its own, and that of Finished has not come.
		return flightIncomplete
	case w.ss.Encrypted == 1:
		return flightAcknowledged
	}
	return flightUnclear
}
