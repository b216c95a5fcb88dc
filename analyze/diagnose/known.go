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
	if int(r.Length)-least < requestLeast {
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

// endedInControl reports whether the server's latest record is as long as one or
// two HTTP/2 frames without content of an answer: what ends a stream or the
// connection (END_STREAM, GOAWAY), or keeps it in order, and not the middle of an
// answer.
func (w *view) endedInControl() bool {
	if !w.tls13() || !w.started() || w.ss.Open.Frame != 0 {
		return false
	}
	n := int(w.ss.Last[1].Length) - recordOverhead13
	return n >= emptyFrame && tlswire.IsOneControl(n)
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

// lastSaid returns the client's latest record that is no farewell, and how many
// encrypted ones it sent up to that one: a client says farewell too when the
// server left it without an answer.
func (w *view) lastSaid() (r tlswire.Record, n int64) {
	if w.isFarewell(w.cs.Last[1]) && w.cs.Encrypted > 1 {
		return w.cs.Last[0], w.cs.Encrypted - 1
	}
	return w.cs.Last[1], w.cs.Encrypted
}

// lastHeard returns when new payload of the server last came, its farewell left
// out.
func (w *view) lastHeard() int64 {
	if w.ss.Open.Frame == 0 && w.ss.Missing == 0 && w.ss.SyncLost == 0 && w.ss.Encrypted > 1 && w.farewell(w.server.LastNewData.Time) {
		return w.ss.Last[0].Time
	}
	return w.server.LastNewData.Time
}

// mayRetry reports whether the client's latest request is one that net/http
// sends again by itself: on an HTTP/1.1 connection that has served before, and
// of whose answer nothing had come (persistConn.shouldRetryRequest).
func (w *view) mayRetry() bool {
	if !w.asked() || w.ss.Open.Frame != 0 || w.cs.Missing > 0 || w.cs.SyncLost > 0 || w.http2() {
		return false
	}
	_, n := w.lastSaid()
	if w.tls13() {
		return n >= 3 // Finished, a request, and this one
	}
	return w.cs.AppRecords >= 2
}

// http2 reports whether the client speaks HTTP/2: the server chose it in clear,
// or the client's first record behind the handshake has the size of the preface:
// 24 bytes, and SETTINGS and WINDOW_UPDATE behind it (RFC 9113, section 3.4).
func (w *view) http2() bool {
	if !w.tls13() {
		return w.f.TLS.ALPN == "h2"
	}
	if len(w.cs.First) < 2 {
		return false
	}
	return settingsSize(int(w.cs.First[1].Length) - recordOverhead13 - prefaceBytes)
}

// settingsSize reports whether n bytes may be an HTTP/2 SETTINGS frame of at
// most eight settings, be it with a WINDOW_UPDATE behind it.
func settingsSize(n int) bool {
	n -= emptyFrame
	return n >= 0 && n <= 48+13 && (n%6 == 0 || n >= 13 && (n-13)%6 == 0)
}
