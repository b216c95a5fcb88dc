package diagnose

import "goproxytrace/analyze/tcpflow"

// socketRules judge a connection that began before the capture by the state of
// its socket and the packets that the capture does hold, if any.
var socketRules = []rule{
	socketConnecting, socketUnread, socketZeroWindow, socketUnacknowledged, socketProbes, socketUnanswered, socketQuiet,
}

// socketState reports whether the state of the client's socket can tell what
// the capture does not: the connection was there before it, and nothing ended
// it since.
func (w *view) socketState() bool {
	s := w.f.Socket
	if s == nil || w.begun() || !w.open {
		return false
	}
	switch s.Last.State {
	case stateEstablished, stateSYNSent, stateCloseWait:
		return true
	}
	return false
}

// bySocket judges such a connection.
func (w *view) bySocket() Verdict {
	v := w.first(socketRules)
	if !v.Died() && v.Class == OK {
		v.Level = Consistent
		v.skip("skip.started-before-capture")
	}
	if v.Died() && w.client == nil {
		v.skip("skip.socket-only")
	}
	return v
}

// socketQuietSince returns since when no payload moved, by the socket and by the
// packets, and up to when that is known.
func (w *view) socketQuietSince() (since, until int64) {
	s := w.f.Socket
	since, until = s.quietSince(), s.Last.Time
	for _, h := range []*tcpflow.Half{w.client, w.server} {
		// A keep-alive probe may carry one byte of garbage (RFC 9293, section
		// 3.8.4), which the capture cannot tell from the first payload it sees.
		if h != nil && h.NewBytes > 1 {
			since = max(since, h.LastNewData.Time)
		}
	}
	if w.client != nil || w.server != nil {
		until = max(until, w.until)
	}
	return since, until
}

// socketAlive reports whether the far end's TCP spoke well after payload last
// moved.
func (w *view) socketAlive(since int64) bool {
	if w.server != nil && w.server.Last.Time-since >= quietFinding || w.serverAlive() {
		return true
	}
	return w.f.Socket.Last.Probes == 0 && w.f.Socket.acknowledged()
}

// socketDeaf returns how many probes of the client got no answer: by the
// socket's own count, or by the packets that went out after the last that came.
func (w *view) socketDeaf() int64 {
	n := int64(w.f.Socket.Last.Probes)
	if w.client != nil && w.client.Packets > 0 && (w.server == nil || w.client.Last.Time > w.server.Last.Time) &&
		w.until-w.client.Last.Time >= probeAnswer && w.client.DataPackets == 0 {
		n = max(n, 1)
	}
	return n
}

// verdict begins the verdict on such a connection.
func (s *Socket) verdict(c Class, w *view, l Level, places []Place, since, until int64) Verdict {
	v := w.verdict(c, l, places, until)
	for i := range v.Values {
		if v.Values[i].Name == "after" {
			v.Values[i] = Dur("after", until-since)
		}
	}
	n, _ := s.received()
	v.Values = append(v.Values, Dur("quiet", until-since), Bytes("bytes", int64(n)))
	v.failed = since
	return v
}

// told adds what the socket table said.
func (w *view) told(v *Verdict, since, until int64) {
	s := w.f.Socket
	n, known := s.received()
	if known {
		v.evidence("socket.counters", s.frames(), Bytes("bytes", int64(n)), Dur("quiet", until-since), Text("state", s.Last.State))
	}
	switch deaf := w.socketDeaf(); {
	case w.socketAlive(since) && w.server != nil:
		v.evidence("socket.answered", frames(w.server.Last), Dur("quiet", w.server.Last.Time-since))
	case w.socketAlive(since):
		v.evidence("socket.acknowledged", s.frames())
	case deaf > 0:
		var at tcpflow.Point
		if w.client != nil {
			at = w.client.Last
		}
		v.evidence("socket.probes", tidy(append(s.frames(), frames(at)...)), Num("count", deaf))
	default:
		v.skip("skip.no-keepalive")
	}
}

// socketConnecting finds a socket that waits for the answer to its SYN (S1,
// L1). Without a packet of it in a capture that would hold them, and with
// repetitions counted, its SYNs do not leave this host.
func socketConnecting(w *view) (Verdict, bool) {
	s := w.f.Socket
	if s.Last.State != stateSYNSent {
		return Verdict{}, false
	}
	// Linux repeats a SYN after a second at the earliest each time.
	since := min(s.First.Time, s.Last.Time-int64(min(s.Last.Retransmits, 64))*second)
	if s.Last.Time-since < quietFinding {
		return Verdict{}, false
	}
	if w.unseen() {
		v := s.verdict(ConnectNotSent, w, Proven, inHost, since, s.Last.Time)
		v.evidence("socket.unseen", s.frames(), Num("count", int64(s.Last.Retransmits-s.First.Retransmits)))
		return v, true
	}
	v := s.verdict(ConnectNoAnswer, w, Consistent, beyond, since, s.Last.Time)
	v.Values = append(v.Values, Num("syns", int64(s.Last.Retransmits)+1))
	v.evidence("socket.connecting", s.frames(), Num("count", int64(s.Last.Retransmits)))
	return v, true
}

// socketUnread finds a process that does not take what came (L8): the same bytes
// lie in the socket at both readings and none were taken between. A few bytes are
// a server's farewell, or its control frames, in an idle connection of a client
// that looks only when it has something to ask.
func socketUnread(w *view) (Verdict, bool) {
	s := w.f.Socket
	if s.First.Unread <= controlBytes || s.read() || s.span() < quietFinding {
		return Verdict{}, false
	}
	full := s.Last.ReceiveWindow != nil && *s.Last.ReceiveWindow == 0 || w.client != nil && len(w.c.ZeroWindows) > 0 && w.client.LastWindow == 0
	if full {
		v := s.verdict(TransferReceiverStalled, w, Proven, atThisEnd, s.First.Time, s.Last.Time)
		v.evidence("socket.unread", s.frames(), Bytes("unread", int64(s.Last.Unread)), Dur("quiet", s.span()))
		if w.client != nil && len(w.c.ZeroWindows) > 0 {
			v.evidence("client.zero-window", marks(w.c.ZeroWindows), Dur("quiet", s.span()))
		}
		return v, true
	}
	// With room left the far end need not have noticed.
	level := Suggested
	if s.span() < quietSure {
		level = Consistent
	}
	v := s.verdict(ClientStalled, w, level, atThisEnd, s.First.Time, s.Last.Time)
	v.Stage = StageTransfer
	v.evidence("socket.unread", s.frames(), Bytes("unread", int64(s.Last.Unread)), Dur("quiet", s.span()))
	return v, true
}

// socketZeroWindow finds by packets alone that the client takes no more data,
// where the socket table does not count what it has not read.
func socketZeroWindow(w *view) (Verdict, bool) {
	if w.client == nil || w.server == nil {
		return Verdict{}, false
	}
	return receiverStalled(w)
}

// socketUnacknowledged finds payload that was sent again and again without an
// acknowledgement: the first that the client said (P1, L4), or a later request
// (T2, T3).
func socketUnacknowledged(w *view) (Verdict, bool) {
	s := w.f.Socket
	since, until := w.socketQuietSince()
	if s.Last.State != stateEstablished || s.Last.Unsent == 0 || s.Last.Retransmits < repeats || until-since < quietFinding && s.Last.Retransmits <= repeats {
		return Verdict{}, false
	}
	if at, known := s.ago(s.Last.LastAckReceived); known {
		since = min(since, at)
	}
	n, known := s.received()
	early := known && n == 0 && !s.delivered()
	if w.client == nil {
		if early && w.unseen() && w.expectsTLS() {
			v := s.verdict(TLSClientHelloNotSent, w, Proven, inHost, since, until)
			v.evidence("socket.unacknowledged", s.frames(), Bytes("bytes", int64(s.Last.Unsent)), Num("count", int64(s.Last.Retransmits)))
			v.evidence("socket.unseen", s.frames(), Num("count", int64(s.Last.Retransmits-s.First.Retransmits)))
			return v, true
		}
		// A filter of this host and a dead path look the same from here.
		return w.unusable([]string{"skip.socket-uncaptured"}), true
	}
	if early && w.expectsTLS() {
		v := s.verdict(TLSClientHelloLost, w, Suggested, inNetwork, since, until)
		v.evidence("socket.unacknowledged", tidy(append(s.frames(), frames(w.client.Last)...)), Bytes("bytes", int64(s.Last.Unsent)), Num("count", int64(s.Last.Retransmits)))
		return v, true
	}
	v := s.verdict(TransferPathDead, w, Proven, beyond, since, until)
	v.evidence("socket.unacknowledged", tidy(append(s.frames(), frames(w.client.Last)...)), Bytes("bytes", int64(s.Last.Unsent)), Num("count", int64(s.Last.Retransmits)))
	return v, true
}

// socketProbes finds a connection whose keep-alive probes get no answer (T2).
// Probes of a zero window are another matter: the far end takes no more.
func socketProbes(w *view) (Verdict, bool) {
	s := w.f.Socket
	since, until := w.socketQuietSince()
	deaf := w.socketDeaf()
	if s.Last.State != stateEstablished || deaf == 0 || s.Last.Unsent > 0 || until-since < quietFinding || w.socketAlive(since) && s.Last.Probes == 0 {
		return Verdict{}, false
	}
	level := Suggested
	if deaf >= 2 {
		level = Proven
	}
	if w.client == nil {
		if s.Covered && w.env.lossless() {
			return w.unusable([]string{"skip.socket-uncaptured"}), true
		}
		level = Consistent
	}
	if n, known := s.received(); known && n == 0 && w.expectsTLS() {
		v := s.verdict(TLSNoServerHello, w, level, beyond, since, until)
		w.told(&v, since, until)
		return v, true
	}
	v := s.verdict(TransferPathDead, w, level, beyond, since, until)
	w.told(&v, since, until)
	return v, true
}

// socketLevel grades a silence that the socket tells of: a keep-alive round in
// the capture proves it; the kernel's word for one alone is one sign less.
func (w *view) socketLevel(since int64) Level {
	switch {
	case !w.socketAlive(since):
		return Consistent
	case w.server == nil:
		return Suggested
	}
	return Proven
}

// socketPlace is where such a silence is: the far end alone where its TCP lives.
func (w *view) socketPlace(since int64) []Place {
	if w.socketAlive(since) {
		return inRemote
	}
	return beyond
}

// socketUnanswered finds a connection on which the far end acknowledged what the
// client said and never sent a byte (P5, T1).
func socketUnanswered(w *view) (Verdict, bool) {
	s := w.f.Socket
	since, until := w.socketQuietSince()
	n, known := s.received()
	if s.Last.State != stateEstablished || !known || n > 0 || !s.delivered() || s.Last.Unsent > 0 || until-since < quietFinding ||
		w.server != nil && w.server.NewBytes > 1 {
		return Verdict{}, false
	}
	if w.c.ServerEnd().Port != 443 {
		v := s.verdict(HTTPNoResponse, w, w.socketLevel(since), w.socketPlace(since), since, until)
		w.told(&v, since, until)
		return v, true
	}
	// A box that holds the ClientHello back may answer for the far end.
	v := s.verdict(TLSNoServerHello, w, w.socketLevel(since), beyond, since, until)
	w.told(&v, since, until)
	return v, true
}

// socketQuiet finds a connection that moved data and went quiet (T1, T5). The
// connection of a go command that has nothing to ask looks alike: no more than
// "consistent" is said unless the client spoke last, and nothing while the
// command builds.
func socketQuiet(w *view) (Verdict, bool) {
	s := w.f.Socket
	since, until := w.socketQuietSince()
	n, known := s.received()
	if s.Last.State != stateEstablished || !known || n == 0 || s.Last.Unsent > 0 || until-since < quietFinding {
		return Verdict{}, false
	}
	places := w.socketPlace(since)
	if s.asked() && !(w.server != nil && w.server.NewBytes > 1) {
		v := s.verdict(HTTPNoResponse, w, w.socketLevel(since), places, since, until)
		w.told(&v, since, until)
		return v, true
	}
	if s.Busy {
		return Verdict{}, false
	}
	v := s.verdict(TransferRemoteIdle, w, Consistent, places, since, until)
	v.idle = true
	w.told(&v, since, until)
	return v, true
}
