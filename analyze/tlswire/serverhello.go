package tlswire

import (
	"strconv"

	"golang.org/x/crypto/cryptobyte"
)

const (
	versionSSL3  = 0x0300
	versionTLS12 = 0x0303
	versionTLS13 = 0x0304
)

// retryRandom is the random value of a HelloRetryRequest (RFC 8446, section
// 4.1.3).
const retryRandom = "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91" +
	"\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c"

// normalVersion gives the drafts of TLS 1.3 (and Facebook's of it) its number.
func normalVersion(v uint16) uint16 {
	if v>>8 == 0x7f || v>>8 == 0xfb {
		return versionTLS13
	}
	return v
}

// serverHello reads a ServerHello or HelloRetryRequest, complete or cut.
func (c *Conversation) serverHello(m *message) *ServerHello {
	h := &ServerHello{
		Place: m.place, First: m.first, Offset: m.offset, End: m.end,
		Bytes: 4 + m.length, RecordVersion: m.version, Cut: m.cut,
	}
	r := newReader(m.body)
	h.LegacyVersion = r.uint16("version")
	h.Version = normalVersion(h.LegacyVersion)
	random := r.bytes(32, "random")
	if len(random) == 32 {
		h.Retry = string(random) == retryRandom
		tail := string(random[24:])
		h.Downgrade = tail == "DOWNGRD\x01" || tail == "DOWNGRD\x00"
	}
	// Drafts 18 to 21 of TLS 1.3 left out the session id and the
	// compression method.
	short := h.LegacyVersion>>8 == 0x7f && h.LegacyVersion&0xff <= 21
	if !short {
		id := r.vector8("session id")
		if len(id) > 32 {
			r.fail("session id of " + strconv.Itoa(len(id)) + " bytes")
			id = id[:32]
		}
		h.SessionID = string(id)
	}
	h.CipherSuite = r.uint16("cipher suite")
	if !short {
		h.Compression = r.uint8("compression method")
	}
	if r.bad == "" && len(r.String) > 0 {
		c.serverExtensions(m, h, r.vector16("extensions"), r)
		if r.bad == "" && len(r.String) > 0 {
			r.fail(strconv.Itoa(len(r.String)) + " bytes behind the extensions")
		}
	}
	if r.bad != "" && !m.cut {
		c.malformed(m.dir, m.place, m.offset, 4+r.at, "ServerHello: "+r.bad)
	}
	h.Extensions = limit(h.Extensions)
	return h
}

func (c *Conversation) serverExtensions(m *message, h *ServerHello, list cryptobyte.String, outer *reader) {
	base := outer.size - len(outer.String) - len(list)
	for len(list) > 0 {
		at, whole := base, len(list)
		var typ, n uint16
		if !list.ReadUint16(&typ) || !list.ReadUint16(&n) {
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
		var body []byte
		list.ReadBytes(&body, int(n))
		base += whole - len(list)
		e := newReader(body)
		h.extension(typ, e)
		if e.bad != "" && !m.cut && !cut {
			c.malformed(m.dir, m.place, m.offset, 4+at+4+e.at, "ServerHello: extension "+strconv.Itoa(int(typ))+": "+e.bad)
		}
	}
}

func (h *ServerHello) extension(typ uint16, e *reader) {
	switch typ {
	case extALPN:
		l := newReader(e.vector16("protocol list"))
		name := l.vector8("protocol name")
		if l.bad != "" {
			e.fail(l.bad)
			return
		}
		h.ALPN = string(name)
	case extSupportedVersions:
		if v := e.uint16("version"); e.bad == "" {
			h.Version = normalVersion(v)
		}
	case extKeyShare, extKeyShareDraft:
		if v := e.uint16("group"); e.bad == "" {
			h.Group = v
		}
	case extPreSharedKey:
		h.PSK = true
	}
}
