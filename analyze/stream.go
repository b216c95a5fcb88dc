package analyze

import (
	"slices"

	"goproxytrace/analyze/httpwire"
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/analyze/tlswire"
)

// app is what is read of one connection's payload: a CONNECT exchange or
// another plain HTTP head first where there is one, TLS behind it.
type app struct {
	tls *tlswire.Conversation
	// helloSegments counts the TCP segments that carried the ClientHello,
	// from its first byte to its last. helloDone is true once it is known,
	// or not to be expected any more.
	helloSegments int
	helloDone     bool
	sides         [2]appSide
	request       *httpwire.Request
	requestAt     tcpflow.Point
	response      *httpwire.Response
	responseAt    tcpflow.Point
	// end is the relative sequence number behind the bytes that are being
	// read, in front of those that are missing.
	end uint32
}

// appSide is one direction's reading state.
type appSide struct {
	mode   appMode
	frames []int64 // of the segments given to the TLS reader, until helloDone
	head   []byte  // of an incomplete HTTP head
	// tlsSeq is the relative sequence number of the first byte that was given
	// to the TLS reader, tlsBegun whether there was one.
	tlsSeq   uint32
	tlsBegun bool
	start    []byte // first bytes where they are neither TLS nor HTTP, at most 64
	at       tcpflow.Point
	// bytes counts what was delivered: each byte of the stream once, those
	// that filled a hole too.
	bytes uint64
}

type appMode uint8

const (
	modeStart appMode = iota // nothing seen yet
	modeHead                 // collecting an HTTP head
	modeTLS                  // everything goes to the TLS reader
)

const keptStart = 64

// data takes the next bytes of direction d.
func (a *app) data(d uint8, at tcpflow.Point, b []byte, start bool) {
	s := &a.sides[d]
	s.bytes += uint64(len(b))
	switch s.mode {
	case modeStart:
		s.at = at
		if httpwire.LooksLikeRequest(b) || httpwire.LooksLikeResponse(b) {
			s.mode = modeHead
			a.headData(d, at, b)
			return
		}
		s.mode = modeTLS
		if !tlswire.LooksLikeRecord(b) {
			s.start = append([]byte(nil), b[:min(len(b), keptStart)]...)
		}
	case modeHead:
		a.headData(d, at, b)
		return
	case modeTLS:
		if start && a.ungranted() && (httpwire.LooksLikeRequest(b) || httpwire.LooksLikeResponse(b)) {
			s.mode = modeHead
			s.at = at
			a.headData(d, at, b)
			return
		}
	}
	a.tlsData(d, at, b, start)
}

func (a *app) tlsData(d uint8, at tcpflow.Point, b []byte, start bool) {
	if start {
		a.tls.SegmentStart(int(d))
	}
	a.tlsBegins(d, len(b))
	a.tls.Data(int(d), at.Frame, at.Time, b)
	if a.helloDone {
		return
	}
	s := &a.sides[d]
	s.frames = append(s.frames, at.Frame)
	h := a.tls.ClientHello()
	if h == nil && len(s.frames) < maxHelloSegments {
		return
	}
	a.helloDone = true
	if h != nil && h.Frame == at.Frame {
		first := slices.Index(s.frames, h.First.Frame)
		a.helloSegments = len(s.frames) - max(first, 0)
	}
	a.sides[0].frames, a.sides[1].frames = nil, nil
}

// tlsBegins notes where the TLS reader's stream begins; n is how many of the
// bytes that are being read it gets, the last ones.
func (a *app) tlsBegins(d uint8, n int) {
	if s := &a.sides[d]; !s.tlsBegun {
		s.tlsBegun, s.tlsSeq = true, a.end-uint32(n)
	}
}

// maxHelloSegments is after how many segments of one direction no ClientHello
// is waited for.
const maxHelloSegments = 64

// ungranted reports whether a tunnel was asked for and is not there yet: a
// client may ask again on the same connection, with the credentials that the
// proxy wants (RFC 9110, section 11.7.1).
func (a *app) ungranted() bool {
	return a.request != nil && a.request.Method == "CONNECT" && (a.response == nil || a.response.Status/100 != 2)
}

// headData collects an HTTP head; what follows it may be TLS.
func (a *app) headData(d uint8, at tcpflow.Point, b []byte) {
	s := &a.sides[d]
	before := len(s.head)
	take := min(len(b), httpwire.MaxHead-before)
	s.head = append(s.head, b[:take]...)
	end := httpwire.HeadEnd(s.head)
	if end < 0 && len(s.head) < httpwire.MaxHead {
		return
	}
	a.headDone(d, at)
	rest := b[take:]
	if end >= 0 {
		rest = b[end-before:]
	}
	s.head = nil
	s.mode = modeTLS
	if len(rest) > 0 {
		a.tlsData(d, at, rest, true)
	}
}

// headDone reads what was collected of a head, complete or not.
func (a *app) headDone(d uint8, at tcpflow.Point) {
	s := &a.sides[d]
	if r, ok := httpwire.ParseRequest(s.head); ok && (a.request == nil || a.ungranted()) {
		if a.request != nil { // the earlier answer was to the earlier request
			a.response, a.responseAt = nil, tcpflow.Point{}
		}
		a.request, a.requestAt = &r, at
		return
	}
	if r, ok := httpwire.ParseResponse(s.head); ok {
		if a.response == nil || a.ungranted() {
			a.response, a.responseAt = &r, at
		}
		return
	}
	s.start = append([]byte(nil), s.head[:min(len(s.head), keptStart)]...)
}

// missing notes bytes that were not captured.
func (a *app) missing(d uint8, at tcpflow.Point, n uint32) {
	s := &a.sides[d]
	if s.mode == modeHead {
		a.headDone(d, at)
		s.head = nil
	}
	s.mode = modeTLS
	a.tlsBegins(d, 0)
	a.tls.Missing(int(d), at.Frame, at.Time, int(n))
}

// finish reads heads that never ended.
func (a *app) finish() {
	for d := range a.sides {
		if s := &a.sides[d]; s.mode == modeHead && len(s.head) > 0 {
			a.headDone(uint8(d), s.at)
			s.head = nil
		}
	}
}

// serverName returns the name that the client gave the server: in its
// ClientHello, or to the proxy in front.
func (a *app) serverName(facts *tlswire.Facts) string {
	if name := facts.ClientHello().ServerName(); name != "" {
		return name
	}
	if a.request != nil && a.request.Method == "CONNECT" {
		return hostOf(a.request.Target)
	}
	return ""
}
