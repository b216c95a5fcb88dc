package tlswire

import (
	"strconv"

	"golang.org/x/crypto/cryptobyte"
)

// Extension numbers that this package looks into.
const (
	extServerName          = 0
	extSupportedGroups     = 10
	extPointFormats        = 11
	extSignatureAlgorithms = 13
	extALPN                = 16
	extSessionTicket       = 35
	extPreSharedKey        = 41
	extEarlyData           = 42
	extSupportedVersions   = 43
	extSignatureAlgsCert   = 50
	extKeyShare            = 51
	extESNI                = 0xffce
	extECH                 = 0xfe0d
	extECHDraft8           = 0xfe08
	extECHDraft9           = 0xfe09
	extECHDraft10          = 0xfe0a
	extKeyShareDraft       = 40 // before draft-ietf-tls-tls13-23
)

// isGREASE reports whether v is one of RFC 8701's reserved values.
func isGREASE(v uint16) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff }

// reader takes a message apart. Once something does not fit, bad says what and
// where, and what can still be read is.
type reader struct {
	cryptobyte.String
	size int // bytes at the start
	bad  string
	at   int
}

func newReader(b []byte) *reader { return &reader{String: b, size: len(b)} }

func (r *reader) fail(reason string) {
	if r.bad == "" {
		r.bad, r.at = reason, r.size-len(r.String)
	}
}

func (r *reader) uint8(what string) uint8 {
	var v uint8
	if r.bad == "" && !r.ReadUint8(&v) {
		r.fail(what + " is cut short")
	}
	return v
}

func (r *reader) uint16(what string) uint16 {
	var v uint16
	if r.bad == "" && !r.ReadUint16(&v) {
		r.fail(what + " is cut short")
	}
	return v
}

func (r *reader) bytes(n int, what string) cryptobyte.String {
	if r.bad != "" {
		return nil
	}
	if n > len(r.String) {
		r.fail(what + " of " + strconv.Itoa(n) + " bytes, " + strconv.Itoa(len(r.String)) + " are left")
		n = len(r.String)
	}
	var b []byte
	r.ReadBytes(&b, n)
	return b
}

func (r *reader) vector8(what string) cryptobyte.String {
	return r.bytes(int(r.uint8(what+" length")), what)
}

func (r *reader) vector16(what string) cryptobyte.String {
	return r.bytes(int(r.uint16(what+" length")), what)
}

// clientHello reads a ClientHello, complete or cut (RFC 8446, section 4.1.2).
func (c *Conversation) clientHello(m *message) *ClientHello {
	h := &ClientHello{
		Place: m.place, First: m.first, Offset: m.offset, End: m.end,
		Bytes: 4 + m.length, RecordBytes: m.recordBytes, Records: m.records,
		RecordVersion: m.version, Cut: m.cut,
	}
	r := newReader(m.body)
	h.Version = r.uint16("version")
	r.bytes(32, "random")
	id := r.vector8("session id")
	if len(id) > 32 {
		r.fail("session id of " + strconv.Itoa(len(id)) + " bytes")
		id = id[:32]
	}
	h.SessionID = string(id)
	h.CipherSuites = uint16s(r.vector16("cipher suites"), r, "cipher suites")
	h.Compressions = clone(r.vector8("compression methods"))
	if r.bad == "" && len(r.String) > 0 {
		list := r.vector16("extensions")
		c.clientExtensions(m, h, list, r)
		if r.bad == "" && len(r.String) > 0 {
			r.fail(strconv.Itoa(len(r.String)) + " bytes behind the extensions")
		}
	}
	if !m.cut {
		if r.bad != "" {
			c.malformed(m.dir, m.place, m.offset, 4+r.at, "ClientHello: "+r.bad)
		}
		fingerprint(h)
	}
	h.bound()
	return h
}

// clientExtensions reads the extensions of h; r is the message's reader, which
// stands behind them.
func (c *Conversation) clientExtensions(m *message, h *ClientHello, list cryptobyte.String, outer *reader) {
	base := outer.size - len(outer.String) - len(list)
	for len(list) > 0 {
		at := base
		var typ uint16
		var body cryptobyte.String
		whole := len(list)
		ok := list.ReadUint16(&typ)
		var n uint16
		if ok = ok && list.ReadUint16(&n); !ok {
			outer.failAt("extension header is cut short", at)
			return
		}
		h.Extensions = append(h.Extensions, Extension{typ, n})
		h.ExtensionCount++
		cut := int(n) > len(list)
		if cut {
			outer.failAt("extension "+strconv.Itoa(int(typ))+" of "+strconv.Itoa(int(n))+" bytes, "+strconv.Itoa(len(list))+" are left", at)
			n = uint16(len(list))
		}
		list.ReadBytes((*[]byte)(&body), int(n))
		base += whole - len(list)
		e := newReader(body)
		h.extension(typ, e)
		if e.bad != "" && !m.cut && !cut {
			c.malformed(m.dir, m.place, m.offset, 4+at+4+e.at, "ClientHello: extension "+strconv.Itoa(int(typ))+": "+e.bad)
		}
	}
}

func (r *reader) failAt(reason string, at int) {
	if r.bad == "" {
		r.bad, r.at = reason, at
	}
}

// extension reads one extension's content.
func (h *ClientHello) extension(typ uint16, e *reader) {
	switch typ {
	case extServerName: // RFC 6066, section 3
		list := e.vector16("server name list")
		l := newReader(list)
		for len(l.String) > 0 && len(h.ServerNames) < maxListed {
			l.uint8("name type")
			name := l.vector16("server name")
			if l.bad != "" {
				e.fail(l.bad)
				return
			}
			h.ServerNames = append(h.ServerNames, string(name))
		}
	case extALPN: // RFC 7301, section 3.1
		list := e.vector16("protocol list")
		l := newReader(list)
		for len(l.String) > 0 {
			name := l.vector8("protocol name")
			if l.bad != "" {
				e.fail(l.bad)
				return
			}
			h.ALPN = append(h.ALPN, string(name))
		}
	case extSupportedGroups:
		h.Groups = append(h.Groups, uint16s(e.vector16("group list"), e, "group list")...)
	case extPointFormats:
		h.PointFormats = append(h.PointFormats, e.vector8("point format list")...)
	case extSignatureAlgorithms:
		h.SignatureAlgorithms = append(h.SignatureAlgorithms, uint16s(e.vector16("signature algorithms"), e, "signature algorithms")...)
	case extSignatureAlgsCert:
		h.SignatureAlgorithmsCert = append(h.SignatureAlgorithmsCert, uint16s(e.vector16("signature algorithms"), e, "signature algorithms")...)
	case extSupportedVersions:
		h.SupportedVersions = append(h.SupportedVersions, uint16s(e.vector8("version list"), e, "version list")...)
	case extKeyShare, extKeyShareDraft:
		list := e.vector16("key share list")
		l := newReader(list)
		for len(l.String) > 0 {
			group := l.uint16("group")
			key := l.vector16("key share")
			if l.bad != "" {
				// Extension 40 had another meaning before it was
				// given up; only a list that parses is one.
				if typ == extKeyShare {
					e.fail(l.bad)
				}
				return
			}
			h.KeyShares = append(h.KeyShares, KeyShare{group, uint16(len(key))})
			h.GREASE = h.GREASE || isGREASE(group)
		}
	case extSessionTicket:
		h.TicketExtension, h.Ticket = true, e.size
	case extPreSharedKey:
		h.PSK = true
	case extEarlyData:
		h.EarlyData = true
	case extECH, extECHDraft8, extECHDraft9, extECHDraft10:
		h.ECH = true
	case extESNI:
		h.ESNI = true
	}
}

// uint16s reads a whole vector of 16-bit numbers.
func uint16s(b cryptobyte.String, r *reader, what string) []uint16 {
	if len(b) < 2 {
		if len(b) == 1 {
			r.fail(what + " of odd length")
		}
		return nil
	}
	out := make([]uint16, 0, len(b)/2)
	for len(b) >= 2 {
		out = append(out, uint16(b[0])<<8|uint16(b[1]))
		b = b[2:]
	}
	if len(b) > 0 {
		r.fail(what + " of odd length")
	}
	return out
}

// bound cuts the lists down to what is kept, and notes GREASE before.
func (h *ClientHello) bound() {
	for _, l := range [][]uint16{h.CipherSuites, h.Groups, h.SupportedVersions, h.SignatureAlgorithms} {
		for _, v := range l {
			h.GREASE = h.GREASE || isGREASE(v)
		}
	}
	for _, e := range h.Extensions {
		h.GREASE = h.GREASE || isGREASE(e.Type)
	}
	h.CipherSuites = limit(h.CipherSuites)
	h.Extensions = limit(h.Extensions)
	h.Groups = limit(h.Groups)
	h.KeyShares = limit(h.KeyShares)
	h.SupportedVersions = limit(h.SupportedVersions)
	h.SignatureAlgorithms = limit(h.SignatureAlgorithms)
	h.SignatureAlgorithmsCert = limit(h.SignatureAlgorithmsCert)
	h.ALPN = limit(h.ALPN)
}

// limit returns at most maxListed entries without holding on to the rest.
func limit[T any](l []T) []T {
	if len(l) <= maxListed {
		return l
	}
	return append([]T(nil), l[:maxListed]...)
}

func clone(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return append([]byte(nil), b...)
}
