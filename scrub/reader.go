package scrub

import (
	"encoding/binary"

	"goproxytrace/analyze/httpwire"
	"goproxytrace/analyze/tlswire"
	"goproxytrace/redact"
)

const dnsPort = 53

// reader reads both directions of a connection as the analysis does (HTTP
// heads, TLS behind them, or DNS), and plans what is written of them.
type reader struct {
	redactor *redact.Redactor
	dns      bool
	place    [2]place
	out      [2]stream
	sides    [2]side
	request  *httpwire.Request
	response *httpwire.Response
}

type side struct {
	mode mode
	tls  records
	// head is an incomplete HTTP head, or a DNS message with its length, and
	// headAt where that begins.
	head   []byte
	headAt uint64
	lost   bool // of DNS
}

type mode uint8

const (
	modeStart mode = iota // nothing seen yet
	modeHead              // collecting an HTTP head
	modeTLS               // everything is read as TLS
)

func newReader(r *redact.Redactor, dns bool) *reader {
	out := &reader{redactor: r, dns: dns}
	for d := range out.sides {
		out.sides[d].tls.redactor = r
		out.sides[d].tls.out = &out.out[d]
	}
	return out
}

// data takes the next bytes of direction d, which stand at offset; start is
// true where they begin a segment.
func (r *reader) data(d uint8, offset uint64, b []byte, start bool) {
	if r.dns {
		r.dnsData(d, offset, b)
		return
	}
	s := &r.sides[d]
	http := httpwire.LooksLikeRequest(b) || httpwire.LooksLikeResponse(b)
	switch {
	case s.mode == modeHead:
		r.headData(d, offset, b)
	case http && (s.mode == modeStart || start && r.ungranted()):
		s.mode, s.headAt = modeHead, offset
		r.headData(d, offset, b)
	default:
		s.mode = modeTLS
		s.tls.data(offset, b, start)
	}
}

// ungranted reports whether a tunnel was asked for and is not there yet.
func (r *reader) ungranted() bool {
	return r.request != nil && r.request.Method == "CONNECT" && (r.response == nil || r.response.Status/100 != 2)
}

func (r *reader) headData(d uint8, offset uint64, b []byte) {
	s := &r.sides[d]
	before := len(s.head)
	take := min(len(b), httpwire.MaxHead-before)
	s.head = append(s.head, b[:take]...)
	end := httpwire.HeadEnd(s.head)
	if end < 0 && len(s.head) < httpwire.MaxHead {
		return
	}
	used := take
	if end >= 0 {
		used = end - before
		s.head = s.head[:end]
	}
	r.headDone(d)
	if used < len(b) {
		s.tls.data(offset+uint64(used), b[used:], true)
	}
}

// headDone plans what was collected of a head.
func (r *reader) headDone(d uint8) {
	s := &r.sides[d]
	head := s.head
	s.head, s.mode = nil, modeTLS
	if len(head) == 0 {
		return
	}
	r.out[d].put(s.headAt, httpHead(r.redactor, head))
	if q, ok := httpwire.ParseRequest(head); ok && (r.request == nil || r.ungranted()) {
		if r.request != nil {
			r.response = nil
		}
		r.request = &q
		return
	}
	if a, ok := httpwire.ParseResponse(head); ok && (r.response == nil || r.ungranted()) {
		r.response = &a
	}
}

func (r *reader) missing(d uint8, n int) {
	s := &r.sides[d]
	if r.dns {
		s.lost = true
		return
	}
	if s.mode == modeHead {
		r.headDone(d)
	}
	s.mode = modeTLS
	s.tls.missing(n)
}

func (r *reader) finish() {
	for d := range r.sides {
		s := &r.sides[d]
		if r.dns {
			continue
		}
		if s.mode == modeHead {
			r.headDone(uint8(d))
		}
		s.tls.end()
	}
}

// maxDNS bounds a DNS message over TCP, with its length (RFC 1035, section
// 4.2.2).
const maxDNS = 2 + 65535

func (r *reader) dnsData(d uint8, offset uint64, b []byte) {
	s := &r.sides[d]
	for len(b) > 0 && !s.lost {
		if len(s.head) == 0 {
			s.headAt = offset
		}
		want := 2
		if len(s.head) >= 2 {
			want = 2 + int(binary.BigEndian.Uint16(s.head))
		}
		n := min(want-len(s.head), len(b))
		s.head = append(s.head, b[:n]...)
		b, offset = b[n:], offset+uint64(n)
		if len(s.head) < 2 || len(s.head) < 2+int(binary.BigEndian.Uint16(s.head)) {
			continue
		}
		out := append(s.head[:2:2], dnsMessage(r.redactor, s.head[2:])...)
		r.out[d].put(s.headAt, out)
		s.head = s.head[:0]
	}
}

// Content types of TLS records (RFC 8446, section 5.1).
const (
	typeChangeCipherSpec = 20
	typeAlert            = 21
	typeHandshake        = 22
	typeHeartbeat        = 24
)

const recordHeader = 5

// records reads the TLS records of one direction, as tlswire.Conversation does:
// their boundaries, where they are lost and where they are found again.
type records struct {
	redactor *redact.Redactor
	out      *stream

	hdr    []byte // of an incomplete header
	hdrAt  uint64
	inBody bool
	body   []byte // of a record that is looked into
	bodyAt uint64
	keep   bool
	remain int
	typ    byte

	started, lost, ccs, ssl2 bool
	flight                   flight
}

// data takes the next bytes.
func (t *records) data(offset uint64, b []byte, segment bool) {
	for len(b) > 0 {
		switch {
		case t.inBody:
			n := min(len(b), t.remain)
			if t.keep {
				t.body = append(t.body, b[:n]...)
			}
			t.remain -= n
			b, offset = b[n:], offset+uint64(n)
			if t.remain == 0 {
				t.endRecord()
			}
		case t.lost:
			if !segment || !tlswire.LooksLikeRecord(b) {
				return
			}
			t.lost = false
			continue
		default:
			n := t.header(offset, b, segment)
			b, offset = b[n:], offset+uint64(n)
		}
		segment = false
	}
}

// header takes bytes of a record header and returns how many.
func (t *records) header(offset uint64, b []byte, segment bool) int {
	skipped := 0
	if len(t.hdr) == 0 && !t.started {
		if n := tlswire.Preamble(b); n > 0 {
			t.out.put(offset, blankPreamble(b[:n]))
			skipped, b, offset = n, b[n:], offset+uint64(n)
			if len(b) == 0 {
				return skipped
			}
		}
	}
	if len(t.hdr) == 0 {
		t.hdrAt = offset
	}
	had := len(t.hdr)
	n := min(recordHeader-had, len(b))
	h := append(t.hdr, b[:n]...)
	t.ssl2 = !t.started && hello2Prefix(h)
	if !t.ssl2 && !headerPrefix(h) {
		t.lose()
		if had > 0 && segment && tlswire.LooksLikeRecord(b) {
			t.lost = false
			return skipped
		}
		return skipped + len(b)
	}
	t.hdr = h
	if len(h) < recordHeader {
		return skipped + n
	}
	t.out.put(t.hdrAt, h)
	t.started, t.inBody, t.keep = true, true, false
	t.body, t.bodyAt = t.body[:0], t.hdrAt+recordHeader
	t.typ, t.remain = h[0], int(binary.BigEndian.Uint16(h[3:]))
	switch {
	case t.ssl2:
		t.keep = true
		t.remain = int(binary.BigEndian.Uint16(h)&0x7fff) - 3
	case t.typ == typeHandshake, t.typ == typeChangeCipherSpec, t.typ == typeAlert && t.remain == 2:
		t.keep = true
	default:
		t.flight.drop(t.redactor, t.out)
	}
	t.hdr = t.hdr[:0]
	if t.remain == 0 {
		t.endRecord()
	}
	return skipped + n
}

// Bounds of a ClientHello in SSL 2.0 framing: the header, type, version and three
// lengths, and what the analysis takes for one at most.
const (
	leastHello2 = 11
	mostHello2  = 16 << 10
)

// hello2Prefix reports whether h, of three bytes or more, begins a ClientHello in
// SSL 2.0 framing (RFC 5246, appendix E.2).
func hello2Prefix(h []byte) bool {
	if len(h) < 3 || h[0]&0x80 == 0 || h[2] != 1 {
		return false
	}
	if n := int(binary.BigEndian.Uint16(h) & 0x7fff); n < leastHello2 || n > mostHello2 {
		return false
	}
	return len(h) < 5 || h[3] == 0 && h[4] == 2 || h[3] == 3 && h[4] <= 4
}

// hello2 returns what follows the version in such a hello. No name is in it, but
// other protocols begin with the same few bytes: only one whose lengths fit is
// copied, the others are zero, which fits as little.
func hello2(b []byte) []byte {
	const lengths = 6
	out := make([]byte, len(b))
	if len(b) < lengths {
		return out
	}
	suites, session, challenge := int(binary.BigEndian.Uint16(b)), int(binary.BigEndian.Uint16(b[2:])), int(binary.BigEndian.Uint16(b[4:]))
	if suites > 0 && suites%3 == 0 && session <= 32 && challenge >= 16 && challenge <= 32 && lengths+suites+session+challenge == len(b) {
		copy(out, b)
	}
	return out
}

// headerPrefix reports whether h can begin the header of a record.
func headerPrefix(h []byte) bool {
	switch {
	case len(h) > 0 && (h[0] < typeChangeCipherSpec || h[0] > typeHeartbeat),
		len(h) > 1 && h[1] != 3,
		len(h) > 2 && h[2] > 4:
		return false
	case len(h) < recordHeader:
		return true
	}
	n := binary.BigEndian.Uint16(h[3:])
	switch h[0] {
	case typeChangeCipherSpec:
		return n == 1
	case typeAlert:
		return n >= 2 && n <= maxRecord
	case typeHandshake:
		return n >= 1 && n <= maxRecord
	}
	return n <= maxRecord
}

// maxRecord is the longest record of any version (RFC 5246, section 6.2.3).
const maxRecord = 1<<14 + 2048

func (t *records) endRecord() {
	t.inBody = false
	switch {
	case !t.keep:
	case t.ssl2:
		t.out.put(t.bodyAt, hello2(t.body))
	case t.typ == typeHandshake && (!t.ccs || oneHello(t.body)):
		t.flight.record(t.redactor, t.out, t.bodyAt, t.body)
	case t.typ == typeHandshake:
		t.out.put(t.bodyAt, encrypted(len(t.body)))
	case t.typ == typeChangeCipherSpec:
		t.ccs = true
		t.flight.drop(t.redactor, t.out)
		fallthrough
	default:
		t.out.put(t.bodyAt, t.body)
	}
}

// beginsHello reports whether b begins with a hello, which is in clear also
// where a change_cipher_spec came before it (RFC 8446, appendix D.4); oneHello
// whether it is all of b.
func beginsHello(b []byte) bool {
	return len(b) > 6 && (b[0] == clientHello || b[0] == serverHello) && b[1] == 0 && (b[4] == 3 && b[5] <= 4 || b[4] == 0x7f)
}

func oneHello(b []byte) bool {
	return beginsHello(b) && 4+int(binary.BigEndian.Uint16(b[2:])) == len(b)
}

// encrypted stands for a handshake record that cannot be read: no message in
// clear begins like it.
func encrypted(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 0xff
	}
	return b
}

func (t *records) lose() {
	t.flight.drop(t.redactor, t.out)
	t.hdr = t.hdr[:0]
	t.lost = true
}

// missing says that the next n bytes were not captured.
func (t *records) missing(n int) {
	if t.inBody {
		k := min(n, t.remain)
		if t.keep {
			t.torn()
		}
		t.remain -= k
		n -= k
		if t.remain == 0 {
			t.inBody = false
		}
	}
	if n > 0 {
		t.lose()
	}
}

// torn plans what was captured of a record in front of a hole in it; the rest
// of it has no known place in a message.
func (t *records) torn() {
	if t.typ == typeHandshake && (!t.ccs || len(t.flight.buf) == 0 && beginsHello(t.body)) {
		t.flight.record(t.redactor, t.out, t.bodyAt, t.body)
		t.flight.drop(t.redactor, t.out)
	} else if t.typ == typeHandshake {
		t.out.put(t.bodyAt, encrypted(len(t.body)))
	}
	t.keep = false
}

func (t *records) end() {
	switch {
	case t.inBody && t.keep && len(t.body) > 0:
		if t.typ == typeAlert || t.typ == typeChangeCipherSpec {
			t.out.put(t.bodyAt, t.body)
		} else {
			t.torn()
		}
	case len(t.hdr) > 0:
		t.out.put(t.hdrAt, t.hdr)
	}
	t.flight.drop(t.redactor, t.out)
}

// blankPreamble keeps the form of a PROXY protocol header and none of its
// addresses.
func blankPreamble(b []byte) []byte {
	out := make([]byte, len(b))
	if b[0] == 'P' {
		for i := range out {
			out[i] = 'x'
		}
		copy(out, "PROXY ")
		copy(out[len(out)-2:], "\r\n")
		return out
	}
	copy(out, b[:min(16, len(b))])
	return out
}
