package probe

import (
	"crypto/tls"
	"strings"
)

// defaultHello is the length that Padded aims at: that of Go's own ClientHello
// with a name of usual length. More than one full segment is what counts.
const defaultHello = 1530

// smallHello is about the length of a ClientHello without post-quantum groups.
const smallHello = 310

// clientConfig is the TLS configuration of an arm. Certificates are judged by
// the caller (verify), so that their chain is known whatever comes of it.
func clientConfig(arm Arm, name string) *tls.Config {
	c := &tls.Config{ServerName: name, NextProtos: []string{"h2", "http/1.1"}, InsecureSkipVerify: true}
	switch arm {
	case NoMLKEM:
		c.CurvePreferences = classicCurves
	case Padded:
		c.CurvePreferences = classicCurves
		c.NextProtos = append(c.NextProtos, padding(defaultHello-smallHello)...)
	case HTTP1:
		c.NextProtos = []string{"http/1.1"}
	}
	return c
}

var classicCurves = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}

// padding makes protocol names that take that many bytes of a ClientHello. A
// server ignores names that it does not know (RFC 7301, section 3.2); crypto/tls
// sends no padding extension (RFC 7685).
func padding(n int) (out []string) {
	for n > 1 {
		// A name takes one byte for its length.
		size := min(n-1, 255)
		out = append(out, "x-padding-"[:min(size, 10)]+strings.Repeat("0", max(size-10, 0)))
		n -= size + 1
	}
	return out
}
