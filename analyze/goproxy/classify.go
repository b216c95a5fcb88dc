package goproxy

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// phrase is a piece of an error text that tells its kind; lower case.
type phrase struct {
	text string
	kind Kind
}

// phrases in the order in which they are looked for: the particular before
// the general. Linux, macOS and Windows (FormatMessage) wording, then git's,
// curl's and ssh's, which print for "direct".
var phrases = []phrase{
	{"tls handshake timeout", KindHandshakeTimeout},
	{"server gave http response to https client", KindPlainHTTP},
	{"first record does not look like a tls handshake", KindNotTLS},
	{"remote error: tls:", KindRemoteAlert},
	{"x509:", KindCertificate},
	{"failed to verify certificate", KindCertificate},
	{"ssl certificate problem", KindCertificate},
	{"certificate verification failed", KindCertificate},
	{"server certificate verification failed", KindCertificate},
	{"stream error:", KindStream},
	{"http2: server sent goaway", KindStream},
	{"http/2 stream", KindStream}, // curl: HTTP/2 stream 1 was not closed cleanly

	{"connection refused", KindRefused},
	{"actively refused", KindRefused},
	{"no route to host", KindNoRoute},
	{"host is down", KindNoRoute},
	{"network is unreachable", KindNoRoute},
	{"unreachable host", KindNoRoute},
	{"unreachable network", KindNoRoute},
	{"by its access permissions", KindNotPermitted},
	{"operation not permitted", KindNotPermitted},
	{"permission denied", KindNotPermitted},

	{"no such host", KindNoSuchHost},
	{"name or service not known", KindNoSuchHost},
	{"nodename nor servname provided", KindNoSuchHost},
	{"no data of the requested type", KindNoSuchHost},
	{"could not resolve", KindNoSuchHost},
	{"no address associated with", KindNoSuchHost},
	{"server misbehaving", KindLookupFailed},
	{"temporary failure in name resolution", KindLookupFailed},
	{"temporary error during hostname resolution", KindLookupFailed},
	{"non-recoverable error occurred during a database lookup", KindLookupFailed},

	{"reset by peer", KindReset},
	{"forcibly closed by the remote host", KindReset},
	{"connection was reset", KindReset},
	{"broken pipe", KindBroken},
	{"connection was aborted", KindBroken},
	{"connection abort", KindBroken},
	{"i/o timeout", KindReadTimeout},
	{"timed out", KindReadTimeout},
	{"did not properly respond", KindReadTimeout},
	{"unexpected eof", KindUnexpectedEOF},
	{"early eof", KindUnexpectedEOF},
	{"remote end hung up unexpectedly", KindUnexpectedEOF},
	{"local error: tls:", KindLocalTLS},
}

// classify reads a failure's text: the chain of net.OpErrors, from the
// outermost operation on. What stands in quotes may come from the server and
// is not looked at.
func (s *Statement) classify(text string) {
	s.Alert = -1
	text = unquoted(text)
	dial, lookup := false, false
	for {
		rest, again := text, false
		switch {
		case cut(&rest, "proxyconnect tcp: "):
			s.Proxied, again = true, true
		case cut(&rest, "dial tcp: "), cut(&rest, "dial tcp4: "), cut(&rest, "dial tcp6: "), cut(&rest, "dial: "):
			dial, again = true, true
		case cut(&rest, "dial tcp "), cut(&rest, "dial tcp4 "), cut(&rest, "dial tcp6 "), cut(&rest, "dial udp "):
			dial = true
			again = s.addresses(&rest)
		case cut(&rest, "read tcp "), cut(&rest, "write tcp "), cut(&rest, "read tcp4 "), cut(&rest, "write tcp4 "),
			cut(&rest, "read tcp6 "), cut(&rest, "write tcp6 "), cut(&rest, "read udp "), cut(&rest, "write udp "), cut(&rest, "readfrom tcp "):
			again = s.addresses(&rest)
		case cut(&rest, "lookup "):
			lookup = true
			again = s.resolver(&rest)
		}
		text = rest
		if !again {
			break
		}
	}
	s.Kind = kindOf(text)
	switch {
	case lookup && s.Kind == KindReadTimeout:
		s.Kind = KindLookupTimeout
	case lookup && !s.Kind.Lookup():
		s.Kind = KindLookupFailed
	case dial && s.Kind == KindReadTimeout:
		s.Kind = KindDialTimeout
	}
	lower := strings.ToLower(text)
	switch s.Kind {
	case KindRemoteAlert:
		s.Alert = alertNumber(lower[strings.Index(lower, "tls:")+len("tls:"):])
	case KindCertificate:
		s.Reason = text
		if i := strings.Index(lower, "x509: "); i >= 0 {
			s.Reason = text[i+len("x509: "):]
		}
		s.Reason = clip(s.Reason)
	case KindStream:
		s.Phrase = streamError(text)
	case KindOther:
		if n := statusOfPhrase(text); n != 0 {
			// What a CONNECT proxy's refusal leaves of the answer
			// (net/http/transport.go, dialConn).
			s.Kind, s.Status, s.Phrase = KindProxyStatus, n, text
		}
	}
	if s.Kind == KindHTTPStatus {
		s.Status, s.Phrase, _ = status(text)
	}
}

// kindOf finds the kind of the innermost error.
func kindOf(text string) Kind {
	lower := strings.ToLower(strings.TrimSpace(text))
	if lower == "eof" || strings.HasSuffix(lower, ": eof") {
		return KindEOF
	}
	if _, _, ok := status(text); ok {
		return KindHTTPStatus
	}
	for i := range phrases {
		if !strings.Contains(lower, phrases[i].text) {
			continue
		}
		if phrases[i].kind == KindReadTimeout && strings.Contains(lower, "failed to connect") {
			return KindDialTimeout // curl's words
		}
		return phrases[i].kind
	}
	if strings.HasPrefix(lower, "tls: ") {
		return KindLocalTLS
	}
	return KindOther
}

// status reads "403 Forbidden", as net/http.Response.Status has it, and git's
// "The requested URL returned error: 403".
func status(text string) (code int, phrase string, ok bool) {
	text = strings.TrimSpace(text)
	if i := strings.Index(text, "returned error: "); i >= 0 {
		text = text[i+len("returned error: "):]
	}
	if len(text) < 3 || len(text) > 3 && text[3] != ' ' {
		return 0, "", false
	}
	n, err := strconv.ParseUint(text[:3], 10, 16)
	if err != nil || n < 100 || n > 599 {
		return 0, "", false
	}
	// -x appends how long it took.
	if i := strings.LastIndex(text, " ("); i > 0 && strings.HasSuffix(text, "s)") {
		text = text[:i]
	}
	return int(n), clip(strings.TrimSpace(text[3:])), true
}

// statusOfPhrase returns the HTTP error whose standard text is all of text.
func statusOfPhrase(text string) int {
	text = strings.TrimSpace(text)
	for code := 400; code < 600; code++ {
		if t := http.StatusText(code); t != "" && t == text {
			return code
		}
	}
	return 0
}

// streamError returns the code of an HTTP/2 error, such as INTERNAL_ERROR.
func streamError(text string) string {
	for _, w := range strings.FieldsFunc(text, func(r rune) bool { return r != '_' && (r < 'A' || r > 'Z') }) {
		if len(w) > 3 && (strings.Contains(w, "_") || w == "CANCEL" || w == "GOAWAY") {
			return clip(w)
		}
	}
	return ""
}

// addresses takes "A->B: " or "B: " off the front of text.
func (s *Statement) addresses(text *string) bool {
	head, rest, ok := strings.Cut(*text, ": ")
	if !ok {
		return false
	}
	local, remote, both := strings.Cut(head, "->")
	if !both {
		remote, local = local, ""
	}
	r, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	s.Local, s.Remote = netip.AddrPort{}, plainAddr(r)
	if l, err := netip.ParseAddrPort(local); err == nil {
		s.Local = plainAddr(l)
	}
	*text = rest
	return true
}

// plainAddr drops what packets do not hold: an IPv6 zone, the IPv4-in-IPv6 form.
func plainAddr(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// resolver takes "H on R: " or "H: " off the front of text.
func (s *Statement) resolver(text *string) bool {
	head, rest, ok := strings.Cut(*text, ": ")
	if !ok {
		return false
	}
	name, server, _ := strings.Cut(head, " on ")
	if name == "" || strings.ContainsAny(name, " \t") {
		return false
	}
	s.setHost(name)
	if r, err := netip.ParseAddrPort(server); err == nil {
		s.Remote = plainAddr(r)
	}
	*text = rest
	return true
}

func (s *Statement) setHost(host string) { s.Host = clip(plainHost(host)) }

func cut(text *string, prefix string) bool {
	rest, ok := strings.CutPrefix(*text, prefix)
	if ok {
		*text = rest
	}
	return ok
}

// unquoted replaces what stands in double quotes.
func unquoted(text string) string {
	if strings.IndexByte(text, '"') < 0 {
		return text
	}
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(text, `"`)
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		b.WriteString(`"…"`)
		n := quoteEnd(after)
		if n < 0 {
			return b.String()
		}
		text = after[n+1:]
	}
}

// quoteEnd returns the index of the closing quote in what follows an opening
// one, -1 for none.
func quoteEnd(s string) int {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}
