package diagnose

import (
	"strings"

	"goproxytrace/analyze/tlswire"
)

// changeCipherSpecRecord is the size of the only record that may stand in clear
// between a client's hello and its first encrypted record.
const changeCipherSpecRecord = 6

// handshakeMost is more than any server sends in a handshake, its certificates
// included: what goes beyond it is an answer.
const handshakeMost = 16384

// firstEncrypted returns the client's first encrypted record in the capture.
// known is true where it is the first that the client sent: nothing is missing
// in front of it.
func (w *view) firstEncrypted() (r tlswire.Record, known bool) {
	if w.cs == nil || len(w.cs.First) == 0 {
		return tlswire.Record{}, false
	}
	r = w.cs.First[0]
	if w.cs.Missing == 0 && w.cs.SyncLost == 0 {
		return r, true
	}
	gap, ok := w.behindHello(r.Offset)
	return r, ok && (gap == 0 || gap == changeCipherSpecRecord)
}

// behindHello returns how far a stream offset of the client's lies behind the
// end of its latest hello.
func (w *view) behindHello(offset int64) (n int64, ok bool) {
	hellos := w.f.TLS.ClientHellos
	if len(hellos) == 0 || w.f.TLS.HelloRetry != nil && len(hellos) == 1 {
		return 0, false
	}
	return offset - hellos[len(hellos)-1].End, true
}

// refused reports whether the client answered the server's flight in TLS 1.3
// with an encrypted alert and nothing else.
func (w *view) refused() bool {
	r, known := w.firstEncrypted()
	return known && w.tls13() && r.Length == refusalRecord
}

// finished13 reports whether the client is known to have sent its Finished
// message in TLS 1.3: a record that no alert is as long as, or room for one in
// what the capture lacks.
func (w *view) finished13() bool {
	if _, known := w.firstEncrypted(); known {
		return !w.refused()
	}
	for _, r := range w.cs.First {
		if r.Length != refusalRecord {
			return true
		}
	}
	var end int64
	switch {
	case len(w.cs.First) > 0:
		end = w.cs.First[0].Offset
	case w.f.Request == nil && w.client != nil:
		// Without a record, the sequence numbers tell what was sent.
		end = int64(w.client.SentEnd()) - 1
		if w.client.FIN.Seen() {
			end--
		}
	}
	gap, ok := w.behindHello(end)
	return ok && gap >= finishedRecord+5
}

// cutVersion13 reports whether TLS 1.3 was negotiated although the capture does
// not hold as much of the ServerHello as names the version: the client's first
// encrypted record is of type handshake in the versions before (RFC 5246,
// section 7.4.9), and of type application data in this one.
func (w *view) cutVersion13() bool {
	if sh := w.f.TLS.ServerHello; sh != nil && !sh.Cut {
		return false
	}
	r, known := w.firstEncrypted()
	return known && r.Type == 23
}

// tagSize returns what the negotiated cipher suite adds to the content of a
// record, least and most; most is -1 where that is not known. TLS 1.3 adds the
// content type too (RFC 8446, section 5.2), and may add padding, which is not
// in use.
func (w *view) tagSize() (least, most int) {
	if w.tls13() {
		return recordOverhead13, recordOverhead13
	}
	sh := w.f.TLS.ServerHello
	if sh == nil || sh.Cut {
		return 0, -1
	}
	switch n := tlswire.CipherSuiteName(sh.CipherSuite); {
	case strings.Contains(n, "CHACHA20_POLY1305"):
		return 16, 16 // RFC 7905: no explicit nonce
	case strings.Contains(n, "_CCM_8"):
		return 16, 16 // RFC 6655: explicit nonce of 8, tag of 8
	case strings.Contains(n, "_GCM_"), strings.Contains(n, "_CCM"):
		return 24, 24 // RFC 5288
	case strings.Contains(n, "_CBC_"):
		return 16 + 20 + 1, 16 + 48 + 16 // initialisation vector, MAC, padding
	}
	return 0, -1
}

// isRequest reports whether a client's record is one that no HTTP/2 control
// frames fit. What cannot be told is none.
func (w *view) isRequest(r tlswire.Record) bool {
	if r.Type != 23 {
		return false
	}
	least, most := w.tagSize()
	if most < 0 {
		return false
	}
	for n := int(r.Length) - most; n <= int(r.Length)-least; n++ {
		if tlswire.IsControl(n) {
			return false
		}
	}
	return true
}

// isFarewell reports whether a client's record is an alert, as close_notify is.
func (w *view) isFarewell(r tlswire.Record) bool {
	if w.tls13() {
		return r.Length == refusalRecord
	}
	return r.Type == 21
}

// saidFarewell reports whether all that the client sent without an
// acknowledgement is its farewell (close_notify, FIN) after it had what it
// wanted: nobody waits for an answer to that.
func (w *view) saidFarewell() bool {
	if w.cs == nil || w.ss == nil || !w.left.Seen() || w.ss.Open.Frame != 0 {
		return false
	}
	size, before := uint32(0), w.cs.Last[1]
	if w.client.FIN.Seen() {
		size = 1
	}
	if w.isFarewell(before) {
		size += uint32(before.Length) + 5
		before = w.cs.Last[0]
	}
	if w.c.Outstanding(w.cd) > size || w.left.Time-w.server.Last.Time >= quietFinding && w.c.KeepAliveRound > 0 {
		return false
	}
	return before.Frame == 0 || before.Time < w.server.LastNewData.Time || !w.isRequest(before)
}

// endedStream reports whether the server's latest record is as long as an empty
// HTTP/2 frame, behind others of an answer: the frame that ends the stream
// (END_STREAM; RFC 9113, section 6.1), which Go's own server sends by itself.
// Other servers mark their last data frame, whose length tells nothing.
func (w *view) endedStream() bool {
	return w.ss != nil && w.tls13() && w.started() && w.ss.Open.Frame == 0 && int(w.ss.Last[1].Length) == emptyFrame+recordOverhead13
}

// delivered reports whether the server sent data of an answer. Where the
// capture cut the records, the byte counts still tell.
func (w *view) delivered() bool {
	switch {
	case w.server == nil || w.server.NewBytes == 0:
		return false
	case w.hello == nil && !w.expectsTLS(), w.shaken():
		return true
	}
	return w.client != nil && w.client.NewBytes > 0 && w.c.SlicedSegments() > 0 && w.server.NewBytes > handshakeMost
}
