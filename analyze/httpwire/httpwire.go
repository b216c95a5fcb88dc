// Package httpwire reads the plain HTTP that matters for a module download:
// the CONNECT request to a proxy with its answer, and an HTTP answer where TLS
// was expected. In come the first bytes of each direction of a connection,
// out come request and status lines as facts. Bodies are never read.
package httpwire

import (
	"bytes"
	"strconv"
)

// MaxHead bounds how many bytes of a message head are looked at.
const MaxHead = 16 << 10

// Request is the first line of an HTTP/1 request.
type Request struct {
	Method    string
	Target    string // as sent, at most 1,024 bytes
	Version   string // "HTTP/1.1"
	UserAgent string // at most 256 bytes
	// HasCredentials is true where a Proxy-Authorization field was sent.
	HasCredentials bool
}

// Response is the status line of an HTTP/1 answer and the fields that name
// who answered.
type Response struct {
	Status   int // 100 to 599
	Reason   string
	Location string
	Server   string
	Via      string
	// ProxyAuthenticate is the scheme and realm a proxy asks for.
	ProxyAuthenticate string
	ContentType       string
}

var methods = [][]byte{
	[]byte("CONNECT "), []byte("GET "), []byte("HEAD "), []byte("POST "), []byte("PUT "), []byte("OPTIONS "),
}

// LooksLikeRequest reports whether b may be the beginning of an HTTP/1
// request. A prefix of a method is enough.
func LooksLikeRequest(b []byte) bool {
	for _, m := range methods {
		if n := min(len(b), len(m)); n > 0 && bytes.Equal(b[:n], m[:n]) {
			return true
		}
	}
	return false
}

// LooksLikeResponse reports whether b may be the beginning of an HTTP/1 answer.
func LooksLikeResponse(b []byte) bool {
	const p = "HTTP/1."
	n := min(len(b), len(p))
	return n > 0 && string(b[:n]) == p[:n]
}

// HeadEnd returns the length of the message head in b, its empty line
// included, or -1 where it is not complete.
func HeadEnd(b []byte) int {
	if i := bytes.Index(b, []byte("\r\n\r\n")); i >= 0 {
		return i + 4
	}
	if i := bytes.Index(b, []byte("\n\n")); i >= 0 {
		return i + 2
	}
	return -1
}

// ParseRequest reads as much of a request head as b holds; ok is false where
// not even the first line is complete or well formed.
func ParseRequest(b []byte) (r Request, ok bool) {
	line, rest, found := cutLine(b)
	if !found {
		return r, false
	}
	parts := bytes.SplitN(line, []byte(" "), 3)
	if len(parts) != 3 || !bytes.HasPrefix(parts[2], []byte("HTTP/1.")) {
		return r, false
	}
	r.Method, r.Target, r.Version = clip(parts[0], 16), clip(parts[1], 1024), clip(parts[2], 16)
	fields(rest, func(name string, value []byte) {
		switch name {
		case "proxy-authorization":
			r.HasCredentials = true
		case "user-agent":
			r.UserAgent = clip(value, 256)
		}
	})
	return r, true
}

// ParseResponse reads as much of an answer's head as b holds; ok is false
// where not even the status line is complete or well formed.
func ParseResponse(b []byte) (r Response, ok bool) {
	line, rest, found := cutLine(b)
	if !found || !LooksLikeResponse(line) || len(line) < 12 {
		return r, false
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil || line[8] != ' ' || status < 100 || status > 599 {
		return r, false
	}
	r.Status = status
	r.Reason = clip(bytes.TrimSpace(line[12:]), 256)
	fields(rest, func(name string, value []byte) {
		v := clip(value, 512)
		switch name {
		case "location":
			r.Location = v
		case "server":
			r.Server = v
		case "via":
			r.Via = v
		case "proxy-authenticate":
			r.ProxyAuthenticate = v
		case "content-type":
			r.ContentType = v
		}
	})
	return r, true
}

// cutLine splits b after its first line; found is false where it has no end.
func cutLine(b []byte) (line, rest []byte, found bool) {
	line, rest, found = bytes.Cut(b, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), rest, found
}

// fields calls f for each complete header field in b up to the empty line.
func fields(b []byte, f func(name string, value []byte)) {
	for {
		line, rest, found := cutLine(b)
		if !found || len(line) == 0 {
			return
		}
		b = rest
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && len(name) <= 64 {
			f(string(bytes.ToLower(name)), bytes.TrimSpace(value))
		}
	}
}

func clip(b []byte, n int) string { return string(b[:min(len(b), n)]) }
