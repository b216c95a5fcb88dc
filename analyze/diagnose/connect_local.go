package diagnose

import "goproxytrace/analyze/decode"

// connectRejectedLocally finds an attempt that this host refused itself (L2):
// the refusal is seen, on the loopback interface, and no SYN left the host.
func connectRejectedLocally(w *view) (Verdict, bool) {
	if w.client != nil && (w.client.DataPackets > 0 || w.client.SYN.Seen()) {
		if w.localReset != nil && w.server != nil && !w.server.SYN.Seen() {
			v := w.verdict(ConnectRejectedLocally, Proven, inHost, w.localReset.Time)
			v.evidence("reset.loopback", frames(w.localReset.Point))
			return v, true
		}
		return Verdict{}, false
	}
	if w.localReset == nil || w.server == nil || w.server.Packets != uint64(w.server.RSTs) {
		return Verdict{}, false
	}
	v := w.verdict(ConnectRejectedLocally, Proven, inHost, w.localReset.Time)
	v.evidence("reset.loopback", frames(w.localReset.Point))
	v.evidence("syn.not-on-wire", nil)
	return v, true
}

// connectAnswerIgnored finds SYN/ACKs that reached this host and were not
// accepted (L5). The acknowledgement number and the checksum must be right:
// else the host did well to discard them.
func connectAnswerIgnored(w *view) (Verdict, bool) {
	s, c := w.server, w.client
	if s == nil || c == nil || !s.SYN.Seen() || !c.SYN.Seen() || w.left.Seen() || w.serverReset != nil {
		return Verdict{}, false
	}
	if s.SYNs < synackRepeats || c.LastSYN.Time <= s.SYN.Time || s.BadChecksums > 0 || s.HighAck != 1 {
		return Verdict{}, false
	}
	level, ok := w.blameHost()
	if !ok {
		return w.unusable([]string{"skip.capture-elsewhere"}), true
	}
	v := w.verdict(ConnectAnswerIgnored, level, inHost, w.until)
	v.restsOnPlace()
	v.failed = w.c.Start.Time
	v.evidence("synack.repeated", frames(s.SYN, s.LastSYN), Num("count", int64(s.SYNs)))
	v.evidence("syn.repeated-after-answer", frames(c.SYN, c.LastSYN), Num("count", int64(c.SYNs)))
	if w.f.Conn.SYNACKVariants > 0 {
		v.evidence("synack.differs", frames(s.SYN, s.LastSYN), Num("count", int64(w.c.SYNACKVariants)))
	}
	return v, true
}

// clientHelloRejected finds a handshake that this host itself reset when the
// ClientHello was to leave (L3): the reset came over loopback, or it
// acknowledges bytes that are sure not to have left.
func clientHelloRejected(w *view) (Verdict, bool) {
	if w.client.DataPackets > 0 {
		return Verdict{}, false
	}
	if r := w.localReset; r != nil {
		v := w.verdict(TLSClientHelloNotSent, Proven, inHost, r.Time)
		v.evidence("reset.loopback", frames(r.Point))
		v.evidence("clienthello.absent", frames(w.c.HandshakeACK), Dur("quiet", max(r.Time-w.c.HandshakeACK.Time, 0)))
		return v, true
	}
	r := w.serverReset
	if r == nil || r.Flags&decode.ACK == 0 || r.Time < w.c.HandshakeACK.Time {
		return Verdict{}, false
	}
	if ahead := int32(r.Ack - w.client.SentEnd()); ahead > 0 && ahead < 1<<16 {
		// Bytes that only the capture lost look the same (K1).
		if !w.env.lossless() || w.vantage() < likelyHere {
			return w.unusable([]string{"skip.capture-missed"}), true
		}
		v := w.verdict(TLSClientHelloNotSent, Suggested, inHost, r.Time)
		v.evidence("reset.acks-unsent", frames(w.c.HandshakeACK, r.Point), Bytes("bytes", int64(ahead)))
		v.evidence("clienthello.absent", frames(w.c.HandshakeACK), Dur("quiet", max(r.Time-w.c.HandshakeACK.Time, 0)))
		return v, true
	}
	return Verdict{}, false
}
