package tlswire

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Certificate is one certificate of a chain. Strings are as in the
// certificate, unescaped.
type Certificate struct {
	// Subject and Issuer are in the form of RFC 2253; empty where
	// unreadable.
	Subject, Issuer string
	// Names lists the subject alternative names of types DNS name and IP
	// address, at most 256; NameCount counts all. Nothing is taken from
	// the common name.
	Names     []string
	NameCount int
	// NotBefore and NotAfter bound the validity; zero where unreadable.
	NotBefore, NotAfter time.Time
	// SelfSigned is true where issuer and subject are the same bytes.
	SelfSigned bool
	// IsCA is true where basic constraints say so.
	IsCA bool
	// PublicKey names the key's algorithm ("RSA", "ECDSA", "Ed25519", or
	// its object identifier); empty where unreadable.
	PublicKey string
	// Fingerprint is the SHA-256 of the certificate's bytes.
	Fingerprint [sha256.Size]byte
	// Bytes is its length in bytes.
	Bytes int
	// Err says why the certificate is not fully readable; empty where it is.
	Err string
}

// Cache keeps certificates that conversations share, at most 1024. The zero
// Cache is ready for use. It is not safe for concurrent use.
type Cache struct {
	known map[[sha256.Size]byte]*Certificate
}

const maxCached = 1024

func (c *Cache) certificate(raw []byte) *Certificate {
	sum := sha256.Sum256(raw)
	if c == nil {
		return parseCertificate(raw, sum)
	}
	if known := c.known[sum]; known != nil {
		return known
	}
	cert := parseCertificate(raw, sum)
	if c.known == nil || len(c.known) >= maxCached {
		c.known = make(map[[sha256.Size]byte]*Certificate)
	}
	c.known[sum] = cert
	return cert
}

// certificates reads a Certificate message of TLS 1.2 and before (RFC 5246,
// section 7.4.2), complete or cut.
func (c *Conversation) certificates(m *message) *Chain {
	chain := &Chain{Place: m.place, First: m.first, Offset: m.offset, Bytes: 4 + m.length, Cut: m.cut}
	b := cryptobyte.String(m.body)
	size := len(b)
	bad := func(reason string) {
		if !m.cut {
			c.malformed(m.dir, m.place, m.offset, 4+size-len(b), "Certificate: "+reason)
		}
	}
	var total uint32
	if !b.ReadUint24(&total) {
		bad("list length is cut short")
		return chain
	}
	if int(total) != len(b) {
		bad("list of " + strconv.Itoa(int(total)) + " bytes, " + strconv.Itoa(len(b)) + " are left")
	}
	for len(b) > 0 {
		var n uint32
		if !b.ReadUint24(&n) {
			bad("certificate length is cut short")
			return chain
		}
		if int(n) > len(b) {
			bad("certificate of " + strconv.Itoa(int(n)) + " bytes, " + strconv.Itoa(len(b)) + " are left")
			return chain
		}
		var raw []byte
		b.ReadBytes(&raw, int(n))
		chain.Count++
		if len(chain.Certificates) < maxCerts {
			chain.Certificates = append(chain.Certificates, c.Cache.certificate(raw))
		}
	}
	return chain
}

func parseCertificate(raw []byte, sum [sha256.Size]byte) *Certificate {
	out := &Certificate{Fingerprint: sum, Bytes: len(raw)}
	if err := out.fields(raw); err != "" {
		out.Err = err
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		if out.Err == "" {
			out.Err = err.Error()
		}
		return out
	}
	out.Err = ""
	out.IsCA = cert.BasicConstraintsValid && cert.IsCA
	return out
}

// fields reads what is reported of a certificate without judging it, since
// x509 refuses as a whole what browsers and other clients accept (negative
// serial numbers, odd strings, unknown curves).
func (out *Certificate) fields(raw []byte) string {
	var cert, tbs, serial, issuer, validity, subject, spki cryptobyte.String
	in := cryptobyte.String(raw)
	if !in.ReadASN1(&cert, casn1.SEQUENCE) || !cert.ReadASN1(&tbs, casn1.SEQUENCE) {
		return "not a certificate"
	}
	tbs.SkipOptionalASN1(casn1.Tag(0).Constructed().ContextSpecific())
	if !tbs.ReadASN1(&serial, casn1.INTEGER) || !tbs.SkipASN1(casn1.SEQUENCE) {
		return "serial number or signature algorithm unreadable"
	}
	if !tbs.ReadASN1Element(&issuer, casn1.SEQUENCE) {
		return "issuer unreadable"
	}
	out.Issuer = distinguishedName(issuer)
	if !tbs.ReadASN1(&validity, casn1.SEQUENCE) {
		return "validity unreadable"
	}
	out.NotBefore = certTime(&validity)
	out.NotAfter = certTime(&validity)
	if !tbs.ReadASN1Element(&subject, casn1.SEQUENCE) {
		return "subject unreadable"
	}
	out.Subject = distinguishedName(subject)
	out.SelfSigned = string(issuer) == string(subject)
	if !tbs.ReadASN1(&spki, casn1.SEQUENCE) {
		return "public key unreadable"
	}
	out.PublicKey = keyAlgorithm(spki)
	tbs.SkipOptionalASN1(casn1.Tag(1).ContextSpecific())
	tbs.SkipOptionalASN1(casn1.Tag(2).ContextSpecific())
	var explicit, list cryptobyte.String
	var has bool
	if !tbs.ReadOptionalASN1(&explicit, &has, casn1.Tag(3).Constructed().ContextSpecific()) || !has {
		return ""
	}
	if !explicit.ReadASN1(&list, casn1.SEQUENCE) {
		return "extensions unreadable"
	}
	for len(list) > 0 {
		var ext, value cryptobyte.String
		var oid asn1.ObjectIdentifier
		if !list.ReadASN1(&ext, casn1.SEQUENCE) || !ext.ReadASN1ObjectIdentifier(&oid) ||
			!ext.SkipOptionalASN1(casn1.BOOLEAN) || !ext.ReadASN1(&value, casn1.OCTET_STRING) {
			return "extensions unreadable"
		}
		if oid.Equal(oidAltName) && !out.altNames(value) {
			return "subject alternative names unreadable"
		}
	}
	return ""
}

var oidAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// altNames reads a SubjectAltName (RFC 5280, section 4.2.1.6).
func (out *Certificate) altNames(value cryptobyte.String) bool {
	var names cryptobyte.String
	if !value.ReadASN1(&names, casn1.SEQUENCE) {
		return false
	}
	for len(names) > 0 {
		var name cryptobyte.String
		var tag casn1.Tag
		if !names.ReadAnyASN1(&name, &tag) {
			return false
		}
		var text string
		switch tag {
		case casn1.Tag(2).ContextSpecific():
			text = string(name)
		case casn1.Tag(7).ContextSpecific():
			addr, ok := netip.AddrFromSlice(name)
			if !ok {
				continue
			}
			text = addr.String()
		default:
			continue
		}
		out.NameCount++
		if len(out.Names) < maxCertNames {
			out.Names = append(out.Names, text)
		}
	}
	return true
}

// distinguishedName renders a Name, or returns "".
func distinguishedName(der []byte) string {
	var rdns pkix.RDNSequence
	if _, err := asn1.Unmarshal(der, &rdns); err != nil {
		return looseName(der)
	}
	// RDNSequence.String escapes what RFC 2253 asks for and keeps the rest.
	return rdns.String()
}

// looseName renders the strings of a Name that encoding/asn1 refuses, without
// their types.
func looseName(der []byte) string {
	var parts []string
	var walk func(s cryptobyte.String, depth int)
	walk = func(s cryptobyte.String, depth int) {
		for len(s) > 0 && len(parts) < 32 {
			var v cryptobyte.String
			var tag casn1.Tag
			if !s.ReadAnyASN1(&v, &tag) {
				return
			}
			switch {
			case tag&0x20 != 0:
				if depth < 8 {
					walk(v, depth+1)
				}
			case tag != casn1.OBJECT_IDENTIFIER:
				parts = append(parts, string(v))
			}
		}
	}
	walk(der, 0)
	return strings.Join(parts, ",")
}

func certTime(s *cryptobyte.String) time.Time {
	var t time.Time
	switch {
	case s.PeekASN1Tag(casn1.UTCTime):
		if s.ReadASN1UTCTime(&t) {
			return t.UTC()
		}
	case s.PeekASN1Tag(casn1.GeneralizedTime):
		if s.ReadASN1GeneralizedTime(&t) {
			return t.UTC()
		}
	}
	var skipped cryptobyte.String
	var tag casn1.Tag
	s.ReadAnyASN1(&skipped, &tag)
	return time.Time{}
}

func keyAlgorithm(spki cryptobyte.String) string {
	var alg cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !spki.ReadASN1(&alg, casn1.SEQUENCE) || !alg.ReadASN1ObjectIdentifier(&oid) {
		return ""
	}
	s := oid.String()
	if name, ok := keyNames[s]; ok {
		return name
	}
	return s
}

var keyNames = map[string]string{
	"1.2.840.113549.1.1.1":    "RSA",
	"1.2.840.113549.1.1.10":   "RSA-PSS",
	"1.2.840.10040.4.1":       "DSA",
	"1.2.840.10045.2.1":       "ECDSA",
	"1.3.101.112":             "Ed25519",
	"1.3.101.113":             "Ed448",
	"1.2.643.7.1.1.1.1":       "GOST R 34.10-2012 (256 bit)",
	"1.2.643.7.1.1.1.2":       "GOST R 34.10-2012 (512 bit)",
	"2.16.840.1.101.3.4.3.17": "ML-DSA-44",
	"2.16.840.1.101.3.4.3.18": "ML-DSA-65",
	"2.16.840.1.101.3.4.3.19": "ML-DSA-87",
}
