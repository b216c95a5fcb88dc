package diagnose

import "goproxytrace/analyze/tcpflow"

// blind reports whether a reset of the server was of no use to the client: it
// lies outside the client's receive window (RFC 9293, section 3.10.7.4, and
// RFC 5961, section 3.2), or the client's stack went on with the connection.
// Guesses of somebody who does not see the connection look so.
func (w *view) blind(r *tcpflow.Mark) bool {
	if w.client == nil || !w.established() {
		return false
	}
	if r.Next > 0 && r.Reach > 0 {
		beside := int64(int32(r.Seq - r.Next))
		if beside > 0 {
			// Acknowledgements that the capture point has not seen yet have
			// moved the window on by no more than itself.
			beside = max(beside-2*int64(r.Reach)-windowSlack, 0)
		}
		if beside < 0 {
			beside = -beside
		}
		if beside > 0 {
			w.farthest = max(w.farthest, beside)
			return true
		}
	}
	margin := secondSender
	if w.vantage() == elsewhere {
		margin += w.roundTrip() // what the client sent before it heard of it
	}
	for _, p := range []tcpflow.Point{w.client.Progress, w.client.LastNewData} {
		if p.Seen() && p.Time-r.Time > margin {
			return true
		}
	}
	return false
}

// noteBlind adds the resets that the client ignored.
func (w *view) noteBlind(v *Verdict) {
	if len(w.ignored) == 0 || v.Class == CaptureUnusable {
		return
	}
	v.note("blind-reset-ignored")
	v.evidence("reset.ignored", tidy(w.ignored), Num("count", int64(len(w.ignored))), Bytes("beside", w.farthest))
}
