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
		v.evidence("clienthello.first-part-lost", frames(at, s.SACKAt), Bytes("from", int64(acked-start)), Bytes("to", int64(s.SACKLeft-start)))
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
	if w.hello == nil || !w.answered() || !c.SACKAt.Seen() || int32(c.SACKLeft-c.HighAck) <= 0 {
		return Verdict{}, false
	}
	since := s.FirstData
	if w.until-since.Time < quietFinding {
		return Verdict{}, false
	}
	v := w.verdict(TLSLargePacketsLost, Suggested, inNetwork, w.until)
	v.failed = since.Time
	v.evidence("serverflight.hole", frames(s.FirstData, c.SACKAt), Bytes("from", int64(c.HighAck-1)), Bytes("to", int64(c.SACKLeft-1)))
	if c.DuplicateACKs > 0 {
		v.evidence("client.duplicate-acks", frames(c.SACKAt), Num("count", int64(c.DuplicateACKs)))
	}
	return v, true
}

// answerIgnored finds server data that reached this host in order and intact,
// again and again, and was never acknowledged (L6).
func answerIgnored(w *view) (Verdict, bool) {
	c, s := w.client, w.server
	if !w.answered() || s.BadChecksums > 0 || s.ResendCount < repeats || w.c.Outstanding(w.sd) == 0 ||
		c.SACKAt.Seen() && int32(c.SACKLeft-c.HighAck) > 0 {
		return Verdict{}, false
	}
	if w.c.Last.Time-s.FirstData.Time < repeatsSpan {
		return Verdict{}, false
	}
	if !w.nearClient() {
		return w.unusable([]string{"skip.capture-elsewhere"}), true
	}
	level, places := w.blameHost()
	v := w.verdict(TLSAnswerIgnored, level, places, w.c.Last.Time)
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
			return w.unusable([]string{"skip.capture-missed"}), true
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
	if w.server.SentEnd() > 1 {
		v.evidence("server.sequence-ahead", frames(w.server.Last), Bytes("bytes", int64(w.server.SentEnd()-1)))
	}
	return v, true
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
	case w.env.End-fin.Time >= probeAnswer || w.client.FINs >= synRepeats:
		v.evidence("fin.unanswered", frames(fin), Num("count", int64(w.client.FINs)))
	}
}

// serverFlightStalled finds a server that began its flight and did not end
// it, or a client that does not go on with a complete one (L9).
func serverFlightStalled(w *view) (Verdict, bool) {
	if w.f.TLS == nil || !w.answered() || w.ss == nil {
		return Verdict{}, false
	}
	since := w.server.LastNewData
	level, ok := w.silence(since.Time)
	if !ok {
		return Verdict{}, false
	}
	class, places, id := TLSServerFlightStalled, beyond, ""
	switch w.flight() {
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
