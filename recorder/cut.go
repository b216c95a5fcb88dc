package recorder

import (
	"goproxytrace/analyze/httpwire"
	"goproxytrace/analyze/tlswire"
)

// Which bytes of a connection are kept.
const (
	// maxClear bounds what is kept of a direction while it speaks no TLS:
	// heads of HTTP messages, most of all that of a CONNECT and its answer.
	maxClear = httpwire.MaxHead
	// maxHead is how much of a segment that begins with an HTTP head is kept
	// beyond that.
	maxHead = 1 << 10
	// maxHandshake bounds the bodies of TLS records that are no application
	// data, in bytes of a direction: a chain of certificates takes some.
	maxHandshake = 128 << 10
	// maxEarly is how many segments of a direction may wait for one in front
	// of them that was not captured yet.
	maxEarly = 256
	// recordHeader is the length of a TLS record's header (RFC 8446, section
	// 5.1), applicationData the type of one whose content is not kept.
	recordHeader    = 5
	applicationData = 23
	// maxRecord is the longest body of a record that is believed: what TLS
	// 1.2 allows (RFC 5246, section 6.2.3).
	maxRecord = 1<<14 + 2048
)

// reader follows one direction of a connection far enough to know which bytes
// are the headers of TLS records, and which belong to handshakes and alerts.
// The zero reader expects the first bytes.
type reader struct {
	mode readerMode
	// left are the bytes of a record's body still to come, of a type.
	left   int
	typ    byte
	header [recordHeader]byte
	had    int // bytes of a header
	clear  int // bytes kept while no TLS was seen
	bodies int // bytes kept of records' bodies
}

type readerMode uint8

const (
	readStart readerMode = iota // nothing seen
	readPlain                   // no TLS, or not yet
	readTLS
	readLost // TLS, whose record boundaries are not known
)

// payload says which parts of the next bytes are kept. out is memory for the
// answer.
func (r *reader) payload(b []byte, out []span) []span {
	if len(b) == 0 {
		return out
	}
	if r.mode != readTLS && tlswire.LooksLikeRecord(b) {
		r.mode, r.had, r.left = readTLS, 0, 0
	}
	switch r.mode {
	case readStart, readPlain:
		r.mode = readPlain
		n := min(len(b), maxClear-r.clear)
		if httpwire.LooksLikeRequest(b) || httpwire.LooksLikeResponse(b) {
			n = max(n, min(len(b), maxHead))
		}
		r.clear = min(r.clear+n, maxClear)
		return add(out, 0, n)
	case readLost:
		return out
	}
	for at := 0; at < len(b); {
		if r.left > 0 {
			n := min(r.left, len(b)-at)
			if r.typ != applicationData && r.bodies < maxHandshake {
				r.bodies += n
				out = add(out, at, at+n)
			}
			r.left -= n
			at += n
			continue
		}
		n := copy(r.header[r.had:], b[at:])
		out = add(out, at, at+n)
		r.had += n
		at += n
		if r.had < recordHeader {
			return out
		}
		r.had = 0
		r.typ, r.left = r.header[0], int(r.header[3])<<8|int(r.header[4])
		if r.typ < 20 || r.typ > 24 || r.header[1] != 3 || r.left > maxRecord {
			r.lose()
			return out
		}
	}
	return out
}

// lose gives up the boundaries of records, which begin again with a segment.
func (r *reader) lose() {
	if r.mode == readTLS {
		r.mode = readLost
	}
}

// add appends a part, joined with one that it follows.
func add(list []span, from, to int) []span {
	if from >= to {
		return list
	}
	if n := len(list); n > 0 && list[n-1].to == from {
		list[n-1].to = to
		return list
	}
	return append(list, span{from, to})
}

// half is one direction of a connection.
type half struct {
	reader reader
	// next is the sequence number that is expected, once known.
	next  uint32
	known bool
	fin   bool
	// bytes counts new payload.
	bytes uint64
	// early are segments that came before one in front of them; they are kept
	// whole until that comes.
	early []early
}

type early struct {
	seq, size uint32
	head      int // where the payload begins in the frame
	frame     *frame
}

// smallest is the payload up to which a segment is kept as it is, in a
// connection that speaks TLS: most of them are messages of their own, and their
// checksums can be proven right.
const smallest = 256

// place says what a segment is for its direction.
type place uint8

const (
	inOrder place = iota
	again         // nothing in it is new
	ahead         // something in front of it is missing
)

// syn takes the segment that opens the direction.
func (h *half) syn(seq uint32) {
	if !h.known || h.bytes == 0 {
		*h = half{next: seq + 1, known: true}
	}
}

// segment says which parts of a segment's payload are kept. b may be shorter
// than the size that the segment had on the wire. Of one that is ahead all is.
func (h *half) segment(seq uint32, b []byte, size uint32, out []span) ([]span, place) {
	if !h.known {
		// The recorder came late. Records are found where a segment begins
		// with one.
		h.next, h.known = seq, true
		h.reader.mode = readLost
	}
	d := int32(seq - h.next)
	switch {
	case size == 0:
		return add(out, 0, len(b)), inOrder
	case d > 0:
		return add(out, 0, len(b)), ahead
	case d < 0 && int64(size) <= -int64(d):
		// The first copy tells what it held; those of a handshake are short.
		if size <= smallest || h.bytes <= maxClear {
			out = add(out, 0, len(b))
		}
		return out, again
	}
	skip := -int(d)
	h.next += size - uint32(skip)
	h.bytes += uint64(size) - uint64(skip)
	out = h.reader.payload(b[min(skip, len(b)):], out)
	for i := range out {
		out[i].from += skip
		out[i].to += skip
	}
	if missing := int(size) - max(len(b), skip); missing > 0 {
		h.missing(missing)
	}
	if h.reader.mode == readTLS && size <= smallest {
		out = add(out[:0], 0, len(b))
	}
	return out, inOrder
}

// missing passes over bytes that the capture does not hold.
func (h *half) missing(n int) {
	r := &h.reader
	if r.mode == readTLS && r.had == 0 && n <= r.left {
		r.left -= n
		return
	}
	r.lose()
}

// skip gives up waiting for what is missing in front of a sequence number.
func (h *half) skip(seq uint32) {
	h.missing(int(seq - h.next))
	h.next = seq
}

// ready takes the earliest of the segments that came early, if it is in order
// now.
func (h *half) ready() (e early, ok bool) {
	for i := range h.early {
		if int32(h.early[i].seq-h.next) <= 0 {
			e = h.early[i]
			h.early = append(h.early[:i], h.early[i+1:]...)
			return e, true
		}
	}
	return e, false
}

// first is the lowest sequence number of the segments that came early.
func (h *half) first() uint32 {
	seq := h.early[0].seq
	for _, e := range h.early[1:] {
		if int32(e.seq-seq) < 0 {
			seq = e.seq
		}
	}
	return seq
}
