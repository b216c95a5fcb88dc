package scrub

import (
	"encoding/binary"
	"slices"

	"goproxytrace/redact"
)

// Handshake types (RFC 8446, section 4; RFC 5246, section 7.4).
const (
	helloRequest      = 0
	clientHello       = 1
	serverHello       = 2
	certificate       = 11
	serverKeyExchange = 12
	serverHelloDone   = 14
	clientKeyExchange = 16
)

// maxMessage bounds a handshake message that is put together, in bytes.
const maxMessage = 256 << 10

// knownMessages are the types that a record in clear may begin with.
var knownMessages = []byte{0, 1, 2, 3, 4, 5, 6, 8, 11, 12, 13, 14, 15, 16, 20, 21, 22, 23, 24, 25, 67}

// flight puts handshake messages together that span records.
type flight struct {
	buf    []byte
	pieces []piece
}

// piece is where bytes of a flight stand in the stream.
type piece struct {
	offset uint64
	length int
}

// record takes the content of a handshake record in clear.
func (f *flight) record(r *redact.Redactor, out *stream, offset uint64, b []byte) {
	f.buf = append(f.buf, b...)
	f.pieces = append(f.pieces, piece{offset, len(b)})
	done := 0
	for {
		rest := f.buf[done:]
		if len(rest) < 4 {
			break
		}
		n := 4 + int(rest[1])<<16 + int(rest[2])<<8 + int(rest[3])
		if !slices.Contains(knownMessages, rest[0]) || n > maxMessage {
			f.write(out, done, encrypted(len(rest)))
			f.clear()
			return
		}
		if len(rest) < n {
			break
		}
		f.write(out, done, handshake(r, rest[:n]))
		done += n
	}
	f.pass(done)
}

// drop plans the beginning of a message whose rest does not come.
func (f *flight) drop(r *redact.Redactor, out *stream) {
	if n := len(f.buf); n > 0 {
		if slices.Contains(knownMessages, f.buf[0]) {
			f.write(out, 0, handshake(r, f.buf))
		} else {
			f.write(out, 0, encrypted(n))
		}
	}
	f.clear()
}

func (f *flight) clear() { f.buf, f.pieces = nil, nil }

// pass forgets the first n bytes.
func (f *flight) pass(n int) {
	f.buf = append([]byte(nil), f.buf[n:]...)
	for n > 0 && len(f.pieces) > 0 {
		p := &f.pieces[0]
		k := min(n, p.length)
		p.offset, p.length, n = p.offset+uint64(k), p.length-k, n-k
		if p.length == 0 {
			f.pieces = f.pieces[1:]
		}
	}
	if len(f.buf) == 0 {
		f.clear()
	}
}

// write plans b for the bytes of the flight from done on.
func (f *flight) write(out *stream, done int, b []byte) {
	for _, p := range f.pieces {
		if done >= p.length {
			done -= p.length
			continue
		}
		n := min(p.length-done, len(b))
		out.put(p.offset+uint64(done), b[:n])
		b, done = b[n:], 0
		if len(b) == 0 {
			return
		}
	}
}

// handshake returns a handshake message, or the beginning of one, without what
// is private in it.
func handshake(r *redact.Redactor, m []byte) []byte {
	out := make([]byte, len(m))
	n := copy(out, m[:min(4, len(m))])
	in, body := m[n:], out[n:]
	if len(in) == 0 {
		return out
	}
	switch m[0] {
	case clientHello:
		hello(r, in, body, true)
	case serverHello:
		hello(r, in, body, false)
	case certificate:
		chain(r, in, body)
	case serverKeyExchange:
		// A named curve and a public key (RFC 8422, section 5.4); other
		// forms may hold an identity hint.
		if in[0] == 3 {
			copy(body, in)
		}
	case clientKeyExchange:
		if int(in[0]) == len(in)-1 {
			copy(body, in)
		}
	}
	return out
}

// hello copies a ClientHello or ServerHello, which may be cut, without the
// contents of extensions that may hold more than parameters.
func hello(r *redact.Redactor, in, out []byte, client bool) {
	at := 0
	// take copies n bytes and reports whether they were all there.
	take := func(n int) bool {
		k := min(n, len(in)-at)
		copy(out[at:at+k], in[at:at+k])
		at += k
		return k == n
	}
	vector := func(size int) bool {
		if !take(size) {
			return false
		}
		n := 0
		for _, b := range in[at-size : at] {
			n = n<<8 | int(b)
		}
		return take(n)
	}
	if !take(2+32) || !vector(1) { // version, random, session id
		return
	}
	if client {
		if !vector(2) || !vector(1) { // cipher suites, compression methods
			return
		}
	} else if !take(3) {
		return
	}
	if !take(2) {
		return
	}
	for at < len(in) {
		if !take(4) {
			return
		}
		typ, n := binary.BigEndian.Uint16(in[at-4:]), int(binary.BigEndian.Uint16(in[at-2:]))
		k := min(n, len(in)-at)
		extension(r, typ, in[at:at+k], out[at:at+k], client)
		at += k
	}
}

// Extensions (IANA's registry of TLS extension types).
const (
	extServerName    = 0
	extStatusRequest = 5
	extALPN          = 16
	extPreSharedKey  = 41
	extRenegotiation = 0xff01
)

// parameters are extensions whose whole content is parameters or keys made for
// the connection.
var parameters = []uint16{
	1, 10, 11, 13, 15, 17, 18, 22, 23, 27, 28, 34, 40, 42, 43, 45, 49, 50, 51, // RFC 8446 and others
	0xfe0d, // encrypted ClientHello: a ciphertext
}

func extension(r *redact.Redactor, typ uint16, in, out []byte, client bool) {
	switch {
	case slices.Contains(parameters, typ):
		copy(out, in)
	case typ == extServerName:
		serverNames(r, in, out)
	case typ == extALPN:
		protocols(r, in, out)
	case typ == extStatusRequest && len(in) <= 5, typ == extRenegotiation && len(in) == 1, typ == extPreSharedKey && !client && len(in) == 2:
		copy(out, in)
	}
}

// serverNames copies a server_name extension (RFC 6066, section 3) with each
// name replaced.
func serverNames(r *redact.Redactor, in, out []byte) {
	if len(in) < 2 {
		return
	}
	copy(out, in[:2])
	in, out = in[2:], out[2:]
	for len(in) >= 3 {
		copy(out, in[:3])
		n := int(binary.BigEndian.Uint16(in[1:]))
		in, out = in[3:], out[3:]
		name := in[:min(n, len(in))]
		if len(name) == n {
			copyName(out, r, string(name))
		} else {
			// Cut: which name it is the beginning of is not known.
			copy(out, redact.Blank(string(name)))
		}
		in, out = in[len(name):], out[len(name):]
	}
}

// copyName writes the pseudonym of a host name where it has the name's length.
func copyName(out []byte, r *redact.Redactor, name string) {
	p := r.Host(name)
	if len(p) != len(name) {
		p = redact.Blank(name)
	}
	copy(out, p)
}

// protocols copies an ALPN extension (RFC 7301, section 3.1).
func protocols(r *redact.Redactor, in, out []byte) {
	if len(in) < 2 {
		return
	}
	copy(out, in[:2])
	in, out = in[2:], out[2:]
	for len(in) >= 1 {
		out[0] = in[0]
		name := in[1:min(1+int(in[0]), len(in))]
		copy(out[1:], r.Protocol(string(name)))
		in, out = in[1+len(name):], out[1+len(name):]
	}
}
