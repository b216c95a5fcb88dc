package diagnose

import "goproxytrace/analyze/tcpflow"

// resentUnheard reports whether the bytes that the client waits for crossed the
// capture point intact and within its window, again and again and for seconds,
// while its TCP said nothing to that. since is the first repetition. Repetitions
// that came after the client gave up count for nothing.
func (w *view) resentUnheard() (since tcpflow.Point, ok bool) {
	c, s := w.client, w.server
	if w.c.Outstanding(w.sd) == 0 || s.BadChecksums > 0 || w.serverReset != nil {
		return since, false
	}
	var third, last tcpflow.Point
	n := 0
	for i := range s.Resends {
		r := &s.Resends[i]
		if w.left.Seen() && r.Time >= w.left.Time {
			break
		}
		if r.Len > c.LastWindow {
			return since, false // the client has no room for it: that is its right
		}
		switch n++; n {
		case 1:
			since = r.Point
		case repeats:
			third = r.Point
		}
		last = r.Point
	}
	if n < repeats || last.Time-since.Time < repeatsSpan || w.until-since.Time < quietFinding {
		return since, false
	}
	return since, !c.Repeated.Seen() || c.Repeated.Time < third.Time || w.ownProbe(c.Repeated) && c.DuplicateACKs < repeats
}

// ownProbe reports whether p is a keep-alive of the client, which it sends
// whatever it has received (RFC 9293, section 3.8.4).
func (w *view) ownProbe(p tcpflow.Point) bool {
	for i := range w.c.KeepAlives {
		if k := &w.c.KeepAlives[i]; k.Dir == w.cd && k.Frame == p.Frame {
			return true
		}
	}
	return false
}

// dataIgnored finds server data that reached this host after the handshake and
// was never taken (L8): the window is open, and this machine's own filter, or
// its stack, throws the data away. Beside the client, a link lies between that
// may have lost it.
func dataIgnored(w *view) (Verdict, bool) {
	since, ok := w.resentUnheard()
	if !ok {
		return Verdict{}, false
	}
	at := w.vantage()
	if at < likelyHere {
		return Verdict{}, false
	}
	level := Suggested
	if at == here {
		level = Proven
	}
	v := w.verdict(TransferReceiverStalled, level, inHost, w.until, w.quiet(since.Time), Bytes("bytes", max(int64(w.client.HighAck)-1, 0)))
	v.failed = since.Time
	v.evidence("answer.unacknowledged", frames(since), Bytes("bytes", int64(w.c.Outstanding(w.sd))))
	v.evidence("answer.resent", marks(w.server.Resends), Num("count", int64(w.server.ResendCount)))
	w.gate(&v)
	return v, true
}

// dataUnheard is what remains of it where the capture point is not the client:
// the data was lost, or thrown away, behind the capture point.
func dataUnheard(w *view) (Verdict, bool) {
	if _, ok := w.resentUnheard(); !ok {
		return Verdict{}, false
	}
	return w.unusable([]string{"skip.capture-elsewhere"}), true
}
