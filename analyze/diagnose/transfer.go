package diagnose

import (
	"slices"

	"goproxytrace/analyze/tcpflow"
	"goproxytrace/analyze/tlswire"
)

// received is the number of payload bytes the server delivered, as a Value.
func (w *view) received() Value { return Bytes("bytes", int64(w.server.NewBytes)) }

func (w *view) quiet(since int64) Value { return Dur("quiet", max(w.until-since, 0)) }

// transferReset finds a reset after the handshake (T10). A server that tidies
// up an idle connection, or answers the client's close, is no finding.
func transferReset(w *view) (Verdict, bool) {
	r := w.serverReset
	if r == nil || w.server.FIN.Seen() && w.server.FIN.Time <= r.Time || w.farewell(r.Time) {
		return Verdict{}, false
	}
	due := w.due() || w.c.AfterReset[w.sd] > 0 || w.c.Outstanding(w.sd) > 0
	if !due && r.Time-w.lastMoved() > midBody {
		return Verdict{}, false
	}
	v := w.verdict(TransferReset, Proven, beyond, r.Time, w.received())
	v.resumable = w.mayRetry()
	if !due && w.endedStream() {
		// As far as the records tell, the client had all that it asked for.
		v.Level, v.idle, v.settled = Consistent, true, true
	}
	v.evidence("reset.in-transfer", frames(w.server.LastNewData, r.Point), w.received(), Num("ttl", int64(r.TTL)))
	w.provenance(&v, r)
	return v, true
}

// lastMoved returns when new payload last moved, in either direction.
func (w *view) lastMoved() int64 {
	return max(w.client.LastNewData.Time, w.server.LastNewData.Time)
}

// farewell reports whether the server had said close_notify before t.
func (w *view) farewell(t int64) bool {
	if w.ss == nil {
		return false
	}
	last := w.ss.Last[1]
	if last.Frame == 0 || last.Time > t || w.ss.Open.Frame != 0 {
		return false
	}
	if w.tls13() {
		return last.Length == refusalRecord
	}
	return w.ss.EncryptedAlerts > 0 && last.Type == 21
}

// due reports whether an answer is known to be due: a record of the server
// has begun and not ended, or the client's latest record is a request and
// nothing came after it.
func (w *view) due() bool {
	return w.ss != nil && w.ss.Open.Frame != 0 || w.asked()
}

// asked reports whether the client's latest message is a request that the
// server has not answered.
func (w *view) asked() bool {
	if w.cs == nil || w.ss == nil {
		return false
	}
	if w.askedBeside() {
		return true
	}
	last, n := w.lastSaid()
	if last.Frame == 0 || w.lastHeard() > last.Time {
		return false
	}
	if w.tls13() && n < 2 {
		return false // the Finished message
	}
	return w.isRequest(last)
}

// askedBeside reports whether control frames alone went on beside a request
// without an answer: in HTTP/2 the server's SETTINGS come after the client has
// asked already, and the client acknowledges them.
func (w *view) askedBeside() bool {
	if !w.tls13() || w.cs.Messages < preambleMessages+1 {
		return false
	}
	settings := w.settings()
	asked, answered := w.cs.LastMessage.Place, w.ss.LastOther
	if answered.Time <= asked.Time {
		// Without SETTINGS of the server this may be any protocol.
		return settings.Frame != 0 && w.ss.Open.Frame == 0
	}
	return settings.Frame != 0 && answered == settings && w.ss.Open.Frame == 0
}

// settings returns the server's first record behind the client's Finished
// where it has the size of HTTP/2 SETTINGS, be it with a WINDOW_UPDATE behind
// it: 9 bytes and 6 for each of at most eight settings, and 13. The zero Record
// where it has not.
func (w *view) settings() tlswire.Record {
	if len(w.cs.First) == 0 {
		return tlswire.Record{}
	}
	for _, r := range w.ss.First {
		if r.Time < w.cs.First[0].Time {
			continue
		}
		if settingsSize(int(r.Length) - recordOverhead13) {
			return r
		}
		break
	}
	return tlswire.Record{}
}

// requestAt returns where the client's latest request ended.
func (w *view) requestAt() tcpflow.Point {
	if w.tls13() && w.cs.Messages > 1 && w.askedBeside() {
		return tcpflow.Point(w.cs.LastMessage.Place)
	}
	last, _ := w.lastSaid()
	return tcpflow.Point(last.Place)
}

// started reports whether the server sent more after the handshake than
// tickets and control frames.
func (w *view) started() bool {
	if w.ss == nil {
		return false
	}
	n := w.ss.AppBytes
	if w.answeredInClear() {
		return true
	}
	if w.tls13() && len(w.cs.First) > 0 {
		for _, r := range w.ss.First {
			if r.Time <= w.cs.First[0].Time {
				n -= int64(r.Length)
			}
		}
	}
	if w.ss.SyncLost > 0 && len(w.cs.First) > 0 {
		// Records went by unread: the sequence numbers count them.
		for _, r := range w.ss.First {
			if r.Time > w.cs.First[0].Time {
				n = max(n, int64(w.server.SentEnd())-1-r.Offset)
				break
			}
		}
	}
	return n > controlBytes
}

// answeredInClear reports whether, by its type, place or length, a record of
// the server's can be nothing but part of an answer. Before TLS 1.3 tickets have
// a type of their own (RFC 5077, section 3.3); control frames are short, and the
// client acknowledges the SETTINGS that come after its request.
func (w *view) answeredInClear() bool {
	if w.tls13() || w.cs == nil || w.cs.AppRecords == 0 || w.cs.SyncLost > 0 {
		return false
	}
	asked := w.cs.FirstApp.Time
	if w.ss.LastApp.Time > w.cs.LastApp.Time {
		return true
	}
	answer := func(r tlswire.Record) bool {
		return r.Type == 23 && r.Time > asked && r.Length >= answerLeast
	}
	return slices.ContainsFunc(w.ss.First, answer) || slices.ContainsFunc(w.ss.Last[:], answer)
}

// receiverStalled finds a client that stopped reading (L8).
func receiverStalled(w *view) (Verdict, bool) {
	n := len(w.c.ZeroWindows)
	if n == 0 || w.client.LastWindow > 0 || w.c.ZeroWindows[n-1].Time < w.client.Progress.Time {
		return Verdict{}, false
	}
	first := w.c.ZeroWindows[n-1]
	for i := n - 1; i >= 0 && w.c.ZeroWindows[i].Time >= w.client.Progress.Time; i-- {
		first = w.c.ZeroWindows[i]
	}
	if first.Dir != w.cd || w.until-first.Time < quietFinding {
		return Verdict{}, false
	}
	v := w.verdict(TransferReceiverStalled, Proven, atThisEnd, w.until, w.quiet(first.Time), w.received())
	v.failed = first.Time
	v.evidence("client.zero-window", marks(w.c.ZeroWindows), w.quiet(first.Time))
	if w.server.Counts.ZeroWindowProbes+w.server.Counts.KeepAlives > 0 {
		v.evidence("server.probes-window", nil, Num("count", int64(w.server.Counts.ZeroWindowProbes+w.server.Counts.KeepAlives)))
	}
	return v, true
}

// heavyLoss finds a hole in the server's data that was never filled after
// many others (T4). A capture that lost the packets itself is excluded by the
// client's own duplicate acknowledgements.
func heavyLoss(w *view) (Verdict, bool) {
	c, s := w.client, w.server
	if s.LostSegments+s.OutOfOrder < holes {
		return Verdict{}, false
	}
	end, at := c.SACKLeft, c.SACKAt
	if !at.Seen() || int32(end-c.HighAck) <= 0 || at.Time < c.Progress.Time {
		// The sequence number of a bare acknowledgement can show it too; and
		// most of the time may have gone by in front of holes that are filled.
		told := s.HoleWait >= quietFinding || c.Repeated.Seen() && c.Repeated.Time >= s.LastData.Time
		bare := told && w.c.Outstanding(w.sd) > 0 && s.Last.Time >= c.Progress.Time
		// What came is acknowledged, and more is known to have been sent.
		ahead := w.c.Outstanding(w.sd) > 0 && c.Progress.Time >= s.LastData.Time && w.until-s.LastData.Time >= quietFinding
		if !bare && !ahead && !w.trickles() {
			return Verdict{}, false
		}
		end, at = s.SentEnd(), s.Last
	}
	since, level := s.LastData, Suggested
	if w.until-since.Time < quietFinding {
		// The sender's timer doubles (RFC 6298, section 5.5): what it sends now
		// and then is no progress.
		if w.left.Seen() || s.HoleWait+w.until-since.Time < holesSpan {
			return Verdict{}, false
		}
		level = Consistent
	}
	v := w.verdict(TransferHeavyLoss, level, inNetwork, w.until, w.quiet(since.Time), w.received())
	v.failed = c.Progress.Time
	if int32(end-c.HighAck) > 0 {
		v.evidence("server.hole", frames(c.Progress, at), Num("from", int64(c.HighAck)), Num("to", int64(end)))
	}
	v.evidence("server.gaps", nil, Num("count", int64(s.LostSegments)), Num("again", int64(s.Retransmissions+s.FastRetransmissions+s.OutOfOrder)))
	if c.DuplicateACKs > 0 {
		v.evidence("client.duplicate-acks", frames(c.SACKAt), Num("count", int64(c.DuplicateACKs)))
	}
	return v, true
}

// trickles reports whether the server is in the middle of a record, and most of
// the connection's time went by in silence in front of holes.
func (w *view) trickles() bool {
	s := w.server
	return w.ss != nil && w.ss.Open.Frame != 0 && !w.left.Seen() && s.HoleWait >= holesSpan && 2*s.HoleWait >= w.until-w.c.HandshakeACK.Time
}

// pathDead finds a connection on which nothing comes back any more (T2, T3):
// the client's data or its keep-alives stay without an answer.
func pathDead(w *view) (Verdict, bool) {
	c, s := w.client, w.server
	probes := w.unansweredProbes()
	resent := w.c.Outstanding(w.cd) > 0 && c.ResendCount >= repeats && c.LastData.Time-s.Last.Time >= repeatsSpan
	if probes == 0 && (!resent || w.saidFarewell()) || w.serverReset != nil {
		return Verdict{}, false
	}
	since := s.Last
	level := Suggested
	if probes >= 2 || resent && c.ResendCount > repeats {
		level = Proven
	}
	until := w.until
	if c.Last.Time > until {
		until = c.Last.Time
	}
	if until-since.Time < quietFinding {
		return Verdict{}, false
	}
	v := w.verdict(TransferPathDead, level, beyond, until, Dur("quiet", until-since.Time), w.received())
	v.failed = since.Time
	if resent {
		v.evidence("request.resent", marks(c.Resends), Num("count", int64(c.ResendCount)))
	}
	if probes > 0 {
		v.evidence("keepalive.unanswered", marks(w.c.KeepAlives), Num("count", int64(probes)))
	}
	v.evidence("server.last-heard", frames(s.Last), Dur("quiet", until-since.Time))
	w.froze(&v)
	return v, true
}

// froze tells where what the server sent ends in the range in which filters are
// known to stop a connection without a reset (T6). Once seen it is no more than
// a hint: any answer may end there.
func (w *view) froze(v *Verdict) {
	if n := w.server.NewBytes; n >= freezeLeast && n <= freezeMost {
		v.evidence("server.froze", frames(w.server.LastNewData), Bytes("bytes", int64(n)))
	}
}

// truncated finds a server that ended the connection in the middle of an
// answer (T9): inside a record, or while data flowed and without the
// close_notify that ends a TLS connection (RFC 8446, section 6.1).
func truncated(w *view) (Verdict, bool) {
	fin := w.server.FIN
	if !fin.Seen() || w.left.Seen() && w.left.Time < fin.Time {
		return Verdict{}, false
	}
	switch {
	case w.ss != nil && w.ss.Open.Frame != 0 && w.ss.Missing == 0:
		v := w.verdict(TransferTruncated, Proven, beyond, fin.Time, w.received())
		v.evidence("close.in-record", frames(tcpflow.Point(w.ss.Open.Place), fin), Bytes("have", int64(w.ss.OpenHave)), Bytes("length", int64(w.ss.Open.Length)))
		return v, true
	case w.asked():
		v := w.verdict(TransferTruncated, Suggested, beyond, fin.Time, w.received())
		if last, _ := w.lastSaid(); w.mayRetry() {
			v.resumable = true
			if int64(w.server.HighAck) <= last.Offset+1 {
				v.Level = Consistent // it crossed the end of an idle connection
			}
		}
		v.evidence("close.before-answer", frames(w.requestAt(), fin))
		return v, true
	case w.cutShort(fin):
		v := w.verdict(TransferTruncated, Consistent, beyond, fin.Time, w.received())
		v.resumable = true
		v.evidence("close.without-notify", frames(w.server.LastNewData, fin), Dur("after", fin.Time-w.server.LastNewData.Time))
		return v, true
	}
	return Verdict{}, false
}

// cutShort reports whether the server closed behind a large answer without
// close_notify, at a time when the client was still reading: soon after data,
// so that it is no idle connection, and not at once, so that a client that
// knew the answer to be complete would have closed first.
func (w *view) cutShort(fin tcpflow.Point) bool {
	if w.ss == nil || w.cs == nil || w.ss.Missing > 0 || w.ss.Open.Frame != 0 || w.farewell(fin.Time) || w.endedInControl() || !w.started() {
		return false
	}
	since := fin.Time - w.server.LastNewData.Time
	return since >= readerCloses && since <= midBody && w.server.NewBytes >= lateData
}

// httpNoResponse finds a request without a first byte of an answer (T1, T2).
func httpNoResponse(w *view) (Verdict, bool) {
	if w.serverReset != nil || w.server.FIN.Seen() || w.ss == nil || w.ss.Open.Frame != 0 || w.started() && !w.asked() {
		return Verdict{}, false
	}
	if w.cs == nil || w.tls13() && w.cs.Encrypted < 2 || !w.tls13() && w.cs.AppRecords == 0 {
		return Verdict{}, false // no request left yet: an idle spare
	}
	since := w.requestAt()
	if !since.Seen() {
		since = w.client.LastNewData
	}
	if w.server.LastNewData.Time > since.Time {
		since = w.server.LastNewData
	}
	level, ok := w.silence(since.Time)
	if !ok {
		return Verdict{}, false
	}
	if unheard(w.client, w.server) || unheard(w.server, w.client) {
		return w.unusable([]string{"skip.capture-excerpt"}), true
	}
	v := w.verdict(HTTPNoResponse, level, w.whereSilent(), w.until)
	v.failed = since.Time
	v.idle = !w.asked()
	if v.idle {
		w.perhapsIdle(&v, since)
	}
	v.evidence("request.acknowledged", frames(w.requestAt(), w.server.Progress))
	w.silenceEvidence(&v, since)
	return v, true
}

// perhapsIdle lowers a verdict on a silence in which no answer is known to be
// due: a go command that has all it asked for keeps the connection in its pool.
// It does not for longer than its time limit, and what it keeps open beyond that
// is one on which it waits.
func (w *view) perhapsIdle(v *Verdict, since tcpflow.Point) {
	v.Level = Consistent
	if quiet := w.until - since.Time; w.open && quiet >= poolTimeout && !w.endedStream() && w.hello != nil && fromCryptoTLS(w.hello) {
		v.Level, v.idle, v.settled = Suggested, false, false
		v.evidence("client.kept-open", frames(since), Dur("quiet", quiet))
		return
	}
	v.skip("skip.maybe-idle")
}

// remoteIdle finds a server that went quiet with all its data acknowledged
// (T5). Where no answer is known to be due, an idle connection looks alike.
func remoteIdle(w *view) (Verdict, bool) {
	s := w.server
	if w.serverReset != nil || s.FIN.Seen() || !s.LastNewData.Seen() || w.c.Outstanding(w.sd) > 0 {
		return Verdict{}, false
	}
	due := w.due()
	if w.left.Seen() && !due {
		return Verdict{}, false // the client had what it wanted
	}
	since := s.LastNewData
	if w.client.LastNewData.Time > since.Time {
		since = w.client.LastNewData
	}
	level, ok := w.silence(since.Time)
	if !ok {
		return Verdict{}, false
	}
	v := w.verdict(TransferRemoteIdle, level, w.whereSilent(), w.until, w.quiet(since.Time), w.received())
	v.failed = since.Time
	v.idle = !due
	v.settled = !due && w.endedStream()
	if !due {
		w.perhapsIdle(&v, since)
	}
	v.evidence("server.all-acknowledged", frames(s.LastNewData, w.client.Progress), w.received())
	if w.ss != nil && w.ss.Open.Frame != 0 {
		v.evidence("server.stopped-in-record", frames(tcpflow.Point(w.ss.Open.Place)), Bytes("have", int64(w.ss.OpenHave)), Bytes("length", int64(w.ss.Open.Length)))
	}
	w.silenceEvidence(&v, since)
	w.froze(&v)
	return v, true
}

// clientLeft finds a client that left in the middle of an answer (L10): the
// server's data went on after its close, or a record never ended. A server's
// own farewell after the client's FIN is a normal end (T14).
func clientLeft(w *view) (Verdict, bool) {
	if !w.left.Seen() || w.server.FIN.Seen() && w.server.FIN.Time < w.left.Time {
		return Verdict{}, false
	}
	late := w.server.LateBytes
	inRecord := w.ss != nil && w.ss.Open.Frame != 0 && w.ss.Missing == 0 && !w.missed() && w.f.TLS.Role(int(w.sd)) == tlswire.RoleServer
	waited := w.asked() && w.ss.SyncLost == 0 && w.left.Time-w.requestAt().Time >= giveUp
	if late < lateData && !inRecord && !waited {
		return Verdict{}, false
	}
	v := w.verdict(ClientAborted, Suggested, inClient, w.left.Time)
	v.Stage = StageTransfer
	switch {
	case late >= lateData:
		v.evidence("client.left-midway", frames(w.left, w.server.Last), Bytes("late", int64(late)))
	case inRecord:
		v.evidence("client.left-in-record", frames(w.left, tcpflow.Point(w.ss.Open.Place)), Bytes("have", int64(w.ss.OpenHave)), Bytes("length", int64(w.ss.Open.Length)))
	default:
		v.Level = Consistent
		v.evidence("client.left-waiting", frames(w.requestAt(), w.left), Dur("waited", w.left.Time-w.requestAt().Time))
	}
	return v, true
}
