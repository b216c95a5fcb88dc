package tlswire

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
)

// fingerprint sets JA3, JA3Hash and JA4 of a complete ClientHello.
func fingerprint(h *ClientHello) {
	b := appendJA3(nil, h)
	sum := md5.Sum(b)
	h.JA3Hash = hex.EncodeToString(sum[:])
	if len(b) <= maxJA3 {
		h.JA3 = string(b)
	}
	h.JA4 = ja4(h)
}

// appendJA3 appends the JA3 string: version, suites, extensions, groups and
// point formats, GREASE left out, as its authors define it.
func appendJA3(b []byte, h *ClientHello) []byte {
	b = strconv.AppendUint(b, uint64(h.Version), 10)
	b = appendList(append(b, ','), h.CipherSuites)
	b = append(b, ',')
	first := true
	for _, e := range h.Extensions {
		if isGREASE(e.Type) {
			continue
		}
		if !first {
			b = append(b, '-')
		}
		first = false
		b = strconv.AppendUint(b, uint64(e.Type), 10)
	}
	b = appendList(append(b, ','), h.Groups)
	b = append(b, ',')
	for i, p := range h.PointFormats {
		if i > 0 {
			b = append(b, '-')
		}
		b = strconv.AppendUint(b, uint64(p), 10)
	}
	return b
}

func appendList(b []byte, l []uint16) []byte {
	first := true
	for _, v := range l {
		if isGREASE(v) {
			continue
		}
		if !first {
			b = append(b, '-')
		}
		first = false
		b = strconv.AppendUint(b, uint64(v), 10)
	}
	return b
}

// ja4 returns the JA4 fingerprint of a hello over TCP, as its technical details
// define it.
func ja4(h *ClientHello) string {
	version := uint16(0)
	for _, v := range h.SupportedVersions {
		if !isGREASE(v) {
			version = max(version, normalVersion(v))
		}
	}
	if version == 0 {
		version = h.Version
	}
	suites := withoutGREASE(h.CipherSuites)
	slices.Sort(suites)
	var exts []uint16 // without SNI and ALPN
	count := 0
	sni := byte('i')
	for _, e := range h.Extensions {
		switch {
		case isGREASE(e.Type):
			continue
		case e.Type == extServerName:
			sni = 'd'
		case e.Type != extALPN:
			exts = append(exts, e.Type)
		}
		count++
	}
	slices.Sort(exts)

	b := append(make([]byte, 0, 36), 't')
	b = append(b, ja4Version(version)...)
	b = append(b, sni)
	b = appendCount(b, len(suites))
	b = appendCount(b, count)
	b = append(b, ja4ALPN(h.ALPN)...)
	b = append(b, '_')
	list := appendHexList(nil, suites)
	b = appendHash(b, list)
	b = append(b, '_')
	list = appendHexList(list[:0], exts)
	if len(list) > 0 {
		if algs := withoutGREASE(h.SignatureAlgorithms); len(algs) > 0 {
			list = appendHexList(append(list, '_'), algs)
		}
	}
	b = appendHash(b, list)
	return string(b)
}

func ja4Version(v uint16) string {
	switch v {
	case versionTLS13:
		return "13"
	case versionTLS12:
		return "12"
	case 0x0302:
		return "11"
	case 0x0301:
		return "10"
	case versionSSL3:
		return "s3"
	case 0x0002:
		return "s2"
	}
	return "00"
}

// ja4ALPN is the first and last character of the first protocol, or of its hex
// form where one of them is not alphanumeric.
func ja4ALPN(protocols []string) string {
	if len(protocols) == 0 || protocols[0] == "" {
		return "00"
	}
	p := protocols[0]
	first, last := p[0], p[len(p)-1]
	if !alphanumeric(first) || !alphanumeric(last) {
		const digits = "0123456789abcdef"
		first, last = digits[first>>4], digits[last&0xf]
	}
	return string([]byte{first, last})
}

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

func appendCount(b []byte, n int) []byte {
	n = min(n, 99)
	return append(b, byte('0'+n/10), byte('0'+n%10))
}

func appendHexList(b []byte, l []uint16) []byte {
	for i, v := range l {
		if i > 0 {
			b = append(b, ',')
		}
		b = hex.AppendEncode(b, []byte{byte(v >> 8), byte(v)})
	}
	return b
}

func appendHash(b, list []byte) []byte {
	if len(list) == 0 {
		return append(b, "000000000000"...)
	}
	sum := sha256.Sum256(list)
	return hex.AppendEncode(b, sum[:6])
}

func withoutGREASE(l []uint16) []uint16 {
	out := make([]uint16, 0, len(l))
	for _, v := range l {
		if !isGREASE(v) {
			out = append(out, v)
		}
	}
	return out
}
