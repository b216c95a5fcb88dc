package diagnose

import "goproxytrace/analyze/tcpflow"

// handshakeReset finds a reset in the handshake (R1 to R5). Resets after the
// client closed are answers to that and no finding.
func handshakeReset(w *view) (Verdict, bool) {
	r := w.serverReset
	if r == nil {
		return Verdict{}, false
	}
	if fin := w.server.FIN; fin.Seen() && fin.Time < r.Time {
		return Verdict{}, false // handshakeClosed tells it
	}
	v := w.verdict(TLSReset, Proven, beyond, r.Time)
	switch {
	case w.client.DataPackets == 0 || w.client.FirstData.Time > r.Time:
		v.evidence("reset.before-clienthello", frames(w.c.HandshakeACK, r.Point))
	case w.f.TLS != nil && w.f.TLS.ServerHello != nil:
		v.evidence("reset.in-handshake", frames(tcpflow.Point(w.f.TLS.ServerHello.Place), r.Point), Num("ttl", int64(r.TTL)))
	default:
		v.evidence("reset.after-clienthello", frames(w.spokeAt(), r.Point), Dur("delay", max(r.Time-w.spokeAt().Time, 0)), Num("ttl", int64(r.TTL)))
	}
	w.provenance(&v, r)
	return v, true
}

// handshakeClosed finds a server that closed in the handshake without an
// alert (R6).
func handshakeClosed(w *view) (Verdict, bool) {
	fin := w.server.FIN
	if !fin.Seen() || w.left.Seen() && w.left.Time < fin.Time {
		return Verdict{}, false
	}
	if w.missed() {
		return w.unusable([]string{"skip.capture-missed"}), true
	}
	v := w.verdict(TLSClosed, Proven, beyond, fin.Time)
	if w.answered() {
		v.evidence("close.in-handshake", frames(w.spokeAt(), fin), Bytes("bytes", int64(w.server.NewBytes)))
	} else {
		v.evidence("close.without-answer", frames(w.spokeAt(), fin))
	}
	return v, true
}

// clientHelloNotSent finds a connection that was made and never used (L4).
// Its innocent look-alike is the spare connection that Go drops at once.
func clientHelloNotSent(w *view) (Verdict, bool) {
	since := w.c.HandshakeACK
	if w.inTunnel() && w.hello == nil && w.client.LastNewData.Time <= w.f.ResponseAt.Time {
		since = w.f.ResponseAt
	} else if w.client.DataPackets > 0 {
		return Verdict{}, false
	}
	if w.answered() {
		return Verdict{}, false
	}
	until, end, gaveUp := w.until, w.left, false
	switch fin, r := w.server.FIN, w.serverReset; {
	case fin.Seen() && (!w.left.Seen() || fin.Time < w.left.Time):
		// A server that ends what it waited on for long is not at fault.
		until, end, gaveUp = fin.Time, fin, true
	case fin.Seen():
		return Verdict{}, false
	case r != nil:
		until, end, gaveUp = r.Time, r.Point, true
	}
	d := until - since.Time
	if d < quietFinding {
		return Verdict{}, false
	}
	if w.vantage() == elsewhere {
		// It may have left and been lost before the capture point.
		return w.unusable([]string{"skip.capture-elsewhere"}), true
	}
	level := Consistent
	if !gaveUp && (w.left.Seen() && d >= tlsTimeout || w.serverAlive()) {
		level = Suggested
	}
	v := w.verdict(TLSClientHelloNotSent, level, atThisEnd, until)
	v.failed, v.spare = since.Time, level == Consistent
	v.evidence("clienthello.absent", frames(since, end), Dur("quiet", d))
	return v, true
}

// handshakeAbandoned finds a client that left in the handshake before its
// own timer, while the server still had time to answer (L10).
func handshakeAbandoned(w *view) (Verdict, bool) {
	if w.client.DataPackets == 0 || !w.left.Seen() {
		return Verdict{}, false
	}
	if d := w.left.Time - w.spokeAt().Time; d < giveUp || d >= quietFinding {
		return Verdict{}, false
	}
	v := w.verdict(ClientAborted, Consistent, inClient, w.left.Time)
	v.Stage = StageTLS
	// A spare connection is dropped as it is where others bring all that was
	// wanted: data that came meanwhile makes this one of those.
	v.failed, v.resumable = w.spokeAt().Time, true
	v.evidence("client.left-waiting", frames(w.spokeAt(), w.left), Dur("waited", w.left.Time-w.spokeAt().Time))
	return v, true
}
