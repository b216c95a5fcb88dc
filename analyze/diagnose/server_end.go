package diagnose

import (
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/analyze/tlswire"
)

// endedByServer returns where the server ended a connection that the client had
// asked something on and still kept open, some time behind the last complete
// record. Whether an answer was due is encrypted: a connection that waits in the
// client's pool ends alike. The zero Point for none.
func (w *view) endedByServer() tcpflow.Point {
	end := w.finOf(w.server)
	if r := w.serverReset; r != nil && (!end.Seen() || r.Time < end.Time) {
		end = r.Point
	}
	if !end.Seen() || w.left.Seen() && w.left.Time < end.Time || !w.shaken() || w.ss == nil {
		return tcpflow.Point{}
	}
	if w.cs == nil || w.tls13() && w.cs.Encrypted < preambleMessages || !w.tls13() && w.cs.AppRecords == 0 {
		return tcpflow.Point{} // a spare: nothing was asked
	}
	last, at := w.lastAnswer()
	if n := int(last.Length) - recordOverhead13; w.tls13() && n >= emptyFrame && tlswire.IsOneControl(n) {
		return tcpflow.Point{} // the frame that ends an answer, or one about none
	}
	// A client that knows its answer to be complete, and wants no more, closes
	// at once.
	if end.Time-at < readerCloses {
		return tcpflow.Point{}
	}
	return end
}

// lastAnswer returns the server's last record and when its last payload came,
// its farewell left out of both.
func (w *view) lastAnswer() (last tlswire.Record, at int64) {
	at = w.server.LastNewData.Time
	if w.ss == nil {
		return last, at
	}
	last = w.ss.Last[1]
	if before := w.ss.Last[0]; w.farewell(at) && before.Frame != 0 {
		last, at = before, before.Time
	}
	return last, at
}

// endedEarly lowers what is said of a connection that the server ended.
func (w *view) endedEarly(v *Verdict) {
	if w.client == nil || w.server == nil {
		return
	}
	if end := w.endedByServer(); end.Seen() {
		v.Level, v.ended = Consistent, end.Time
		v.skip("skip.ended-by-server")
	}
}
