package diagnose

import (
	"strings"

	"goproxytrace/analyze/goproxy"
	"goproxytrace/analyze/httpwire"
	"goproxytrace/analyze/tlswire"
)

// relevance ranks whose traffic a connection or lookup is.
type relevance uint8

const (
	outside relevance = iota // of a process that the session is not about: it never counts
	other                    // another program's
	https                    // of a TLS client that may be any program
	related                  // a host that the go command goes to on a target's account
	target                   // a host of GOPROXY or GOSUMDB
)

// relevanceOf ranks a connection.
func relevanceOf(w *view, isTarget bool) relevance {
	switch {
	case w.f.Outside:
		return outside
	case isTarget || w.f.Target:
		return target
	case goLike(w):
		return related
	case w.hello != nil, w.c.ServerEnd().Port == 443, w.f.Request != nil && w.f.Request.Method == "CONNECT":
		return https
	}
	return other
}

// goLike reports whether a connection to another host than the targets is
// the go command's or its child's: its owner says so, or it goes to a host
// that modules are fetched from and its hello is no browser's (those carry
// GREASE, RFC 8701).
func goLike(w *view) bool {
	if w.f.GoCommand {
		return true
	}
	switch name := strings.TrimSuffix(strings.ToLower(w.f.ProcessName), ".exe"); {
	case name == "":
	case name == "go", goproxy.Child(name):
		return true
	default:
		return false
	}
	if r := w.f.Request; r != nil && moduleRequest(r) {
		return true
	}
	if w.hello != nil && (w.hello.GREASE || w.hello.ECH) {
		return false
	}
	return w.hello != nil && fromCryptoTLS(w.hello) || sourceHost(w.f.ServerName)
}

// moduleRequest reports whether a plain HTTP request is one of the go command:
// it names Go's HTTP client, or a path of the module proxy protocol.
func moduleRequest(r *httpwire.Request) bool {
	if strings.HasPrefix(r.UserAgent, "Go-http-client/") {
		return true
	}
	for _, part := range []string{"/@v/", "/@latest", "/sumdb/"} {
		if strings.Contains(r.Target, part) {
			return true
		}
	}
	return false
}

// fromCryptoTLS reports whether a hello is that of Go's own TLS: its group
// list with the post-quantum ones in front, which no other library sends in
// this order (crypto/tls/defaults.go), or the shorter one of a Go that has
// them off, with Go's first cipher suites.
func fromCryptoTLS(h *tlswire.ClientHello) bool {
	if len(h.Groups) >= 3 && h.Groups[0] == 0x11ec && h.Groups[1] == 0x11eb && h.Groups[2] == 0x11ed {
		return true
	}
	return false
}

// sourceHost reports whether modules are commonly fetched from host: version
// control services and the storage that Go's own proxy redirects to.
func sourceHost(host string) bool {
	return goproxy.SourceHost(host) || strings.EqualFold(strings.TrimSuffix(host, "."), goproxy.StorageOfGo)
}
