package scrub

import (
	"bytes"
	"iter"
	"net/netip"

	"goproxytrace/redact"
)

// chain copies a Certificate message of TLS 1.2 and before (RFC 5246, section
// 7.4.2), which may be cut.
func chain(r *redact.Redactor, in, out []byte) {
	if len(in) < 3 {
		return
	}
	copy(out, in[:3])
	in, out = in[3:], out[3:]
	var before []byte // the issuer of the certificate in front
	for len(in) >= 3 {
		copy(out, in[:3])
		n := int(in[0])<<16 | int(in[1])<<8 | int(in[2])
		in, out = in[3:], out[3:]
		k := min(n, len(in))
		before = x509(r, in[:k], out[:k], before)
		in, out = in[k:], out[k:]
	}
}

// Tags of ASN.1 (ITU-T X.690); those of a certificate are below 31.
const (
	tagBoolean     = 1
	tagInteger     = 2
	tagBits        = 3
	tagOctets      = 4
	tagNull        = 5
	tagOID         = 6
	tagEnumerated  = 10
	tagUTF8        = 12
	tagNumeric     = 18
	tagPrintable   = 19
	tagTeletex     = 20
	tagIA5         = 22
	tagUTCTime     = 23
	tagGeneralTime = 24
	tagVisible     = 26
	tagUniversal   = 28
	tagBMP         = 30
	constructed    = 0x20
	tagSequence    = 16 | constructed
	contextual     = 0x80
)

// element is an element of DER: where its content begins, and how long that is
// and how much of it is there.
type element struct {
	tag            byte
	header, length int
}

// next reads the element at the beginning of b.
func next(b []byte) (e element, ok bool) {
	if len(b) < 2 || b[0]&0x1f == 0x1f {
		return e, false
	}
	e.tag, e.header, e.length = b[0], 2, int(b[1])
	if b[1]&0x80 != 0 {
		n := int(b[1] & 0x7f)
		if n == 0 || n > 3 || len(b) < 2+n {
			return e, false
		}
		e.length = 0
		for _, c := range b[2 : 2+n] {
			e.length = e.length<<8 | int(c)
		}
		e.header += n
	}
	return e, true
}

// part is an element that is copied: its header is, its content is not yet.
type part struct {
	element
	raw     []byte // the captured part of the element
	content []byte // of its content
	out     []byte // where the content goes
}

// whole says whether all of the content was captured.
func (p *part) whole() bool { return len(p.content) == p.length }

// parts copies the headers of a row of elements, up to the first that is none.
func parts(in, out []byte) iter.Seq[part] {
	return func(yield func(part) bool) {
		for len(in) > 0 {
			e, ok := next(in)
			if !ok {
				return
			}
			h, n := min(e.header, len(in)), min(e.header+e.length, len(in))
			copy(out, in[:h])
			if !yield(part{e, in[:n], in[h:n], out[h:n]}) {
				return
			}
			in, out = in[n:], out[n:]
		}
	}
}

// x509 copies a certificate (RFC 5280, section 4.1) with its names replaced, and
// returns its issuer. Who issued it stays; before is the issuer of the
// certificate that this one certifies.
func x509(r *redact.Redactor, in, out, before []byte) (issuer []byte) {
	for whole := range parts(in, out) {
		if whole.tag != tagSequence {
			return nil
		}
		place := 0
		for p := range parts(whole.content, whole.out) {
			switch {
			case place > 0 && p.tag&constructed != 0:
				// The algorithm and the signature hold no names.
				numbers(p.content, p.out, 1)
			case place > 0 && isNumber(p.tag):
				copy(p.out, p.content)
			case place == 0 && p.tag != tagSequence:
				return nil
			case place == 0:
				issuer = fields(r, p.content, p.out, before)
			}
			place++
		}
		return issuer
	}
	return nil
}

// fields copies the fields of a certificate that is to be signed.
func fields(r *redact.Redactor, in, out, before []byte) (issuer []byte) {
	place := 0
	for p := range parts(in, out) {
		if place == 0 && p.tag != contextual|constructed {
			place++ // a certificate of version 1 does not say so
		}
		switch {
		case place == 3:
			issuer = p.raw
			attributes(r, p.content, p.out, true, 0)
		case place == 5:
			kept := bytes.Equal(p.raw, issuer) || before != nil && bytes.Equal(p.raw, before)
			attributes(r, p.content, p.out, kept, 0)
		case p.tag == contextual|constructed|3:
			extensions(r, p.content, p.out)
		case p.tag&constructed != 0:
			numbers(p.content, p.out, 1)
		case isNumber(p.tag):
			copy(p.out, p.content)
		}
		place++
	}
	return issuer
}

// maxDepth bounds how deep elements are nested.
const maxDepth = 16

// numbers copies elements with all that is no text.
func numbers(in, out []byte, depth int) {
	if depth >= maxDepth {
		return
	}
	for p := range parts(in, out) {
		switch {
		case p.tag&constructed != 0:
			numbers(p.content, p.out, depth+1)
		case isNumber(p.tag):
			copy(p.out, p.content)
		}
	}
}

func isNumber(tag byte) bool {
	switch tag {
	case tagBoolean, tagInteger, tagBits, tagNull, tagOID, tagEnumerated, tagUTCTime, tagGeneralTime:
		return true
	}
	return false
}

// attributes copies the parts of a distinguished name.
func attributes(r *redact.Redactor, in, out []byte, issuer bool, depth int) {
	if depth >= maxDepth {
		return
	}
	for p := range parts(in, out) {
		c, dst := p.content, p.out
		switch p.tag {
		case tagUTF8, tagPrintable, tagIA5, tagVisible, tagTeletex, tagNumeric:
			v := redact.Blank(string(c))
			if p.whole() {
				if a := r.Attribute(string(c), issuer); len(a) == len(c) {
					v = a
				}
			}
			copy(dst, v)
		case tagBMP, tagUniversal:
			size := 2
			if p.tag == tagUniversal {
				size = 4
			}
			for i := size - 1; i < len(dst); i += size {
				dst[i] = 'x'
			}
		default:
			if p.tag&constructed != 0 {
				attributes(r, c, dst, issuer, depth+1)
			} else if isNumber(p.tag) {
				copy(dst, c)
			}
		}
	}
}

// Object identifiers of extensions, as they are encoded (RFC 5280, section
// 4.2).
const (
	oidSubjectKey  = "\x55\x1d\x0e"
	oidKeyUsage    = "\x55\x1d\x0f"
	oidAltName     = "\x55\x1d\x11"
	oidIssuerAlt   = "\x55\x1d\x12"
	oidConstraints = "\x55\x1d\x13"
	oidPolicies    = "\x55\x1d\x20"
	oidIssuerKey   = "\x55\x1d\x23"
	oidExtKeyUsage = "\x55\x1d\x25"
)

// extensions copies a certificate's extensions; those that may hold a name are
// zero but for alternative names, which are replaced.
func extensions(r *redact.Redactor, in, out []byte) {
	for list := range parts(in, out) {
		if list.tag != tagSequence {
			return
		}
		for p := range parts(list.content, list.out) {
			one(r, p.content, p.out)
		}
		return
	}
}

// one copies one extension.
func one(r *redact.Redactor, in, out []byte) {
	var oid string
	for p := range parts(in, out) {
		c, dst := p.content, p.out
		switch p.tag {
		case tagOID:
			oid = string(c)
			copy(dst, c)
		case tagBoolean:
			copy(dst, c)
		case tagOctets:
			switch oid {
			case oidSubjectKey, oidKeyUsage, oidConstraints, oidExtKeyUsage:
				copy(dst, c)
			case oidAltName, oidIssuerAlt, oidIssuerKey, oidPolicies:
				general(r, c, dst, oid == oidIssuerKey, 0)
			default:
				blank(c, dst, 0)
			}
		}
	}
}

// general copies GeneralNames (RFC 5280, section 4.2.1.6): DNS names and
// addresses replaced, all others blank. keyed is true for an authority key
// identifier, whose first element is one.
func general(r *redact.Redactor, in, out []byte, keyed bool, depth int) {
	if depth >= maxDepth {
		return
	}
	for p := range parts(in, out) {
		c, dst := p.content, p.out
		switch {
		case p.tag&constructed != 0:
			general(r, c, dst, keyed, depth+1)
		case isNumber(p.tag), keyed && p.tag&0x1f <= 2:
			copy(dst, c)
		case p.tag == contextual|2 && p.whole():
			copyName(dst, r, string(c))
		case p.tag == contextual|7 && p.whole() && (len(c) == 4 || len(c) == 16):
			a, _ := netip.AddrFromSlice(c)
			copy(dst, r.Addr(a).AsSlice())
		default:
			copy(dst, redact.Blank(string(c)))
		}
	}
}

// blank copies the form of elements and no content.
func blank(in, out []byte, depth int) {
	if depth >= maxDepth {
		return
	}
	for p := range parts(in, out) {
		c, dst := p.content, p.out
		switch {
		case p.tag&constructed != 0:
			blank(c, dst, depth+1)
		case p.tag == tagOID || p.tag == tagNull || p.tag == tagBoolean:
			copy(dst, c)
		case p.tag&0xc0 == contextual:
			copy(dst, redact.Blank(string(c)))
		}
	}
}
