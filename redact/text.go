package redact

import (
	"net/netip"
	"strings"
	"unicode/utf8"
)

// wordBytes are what a word consists of.
const wordBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

// ordinary are words that no learned name may take out of a text.
var ordinary = set(`go git ssh localhost direct off on get read write dial tcp udp proxy server client lookup connection connect host error failed
	timeout reset refused http https the and for with from not http2 tls eof any all none test dev main make bash sh env curl`)

// Text returns free text without what is private in it: addresses, names of
// hosts, paths, modules, addresses of the web with what they carry, words that
// were learned, and what looks like a key.
func (r *Redactor) Text(s string) string {
	if s == "" {
		return s
	}
	s = r.credentials(s)
	for _, p := range r.phrases {
		if !r.reveal[r.known[p]] && strings.Contains(lower(s), p) {
			s = replaceFold(s, p, r.word(p))
		}
	}
	s = r.profiles(s)
	var b strings.Builder
	b.Grow(len(s) + len(s)/8)
	for whole := s; len(s) > 0; {
		n := tokenEnd(s)
		if n == 0 {
			_, size := utf8.DecodeRuneInString(s)
			b.WriteString(s[:size])
			s = s[size:]
			continue
		}
		if host, ok := r.named(s[:n], whole[:len(whole)-len(s)], s[n:]); ok {
			b.WriteString(host)
		} else {
			b.WriteString(r.token(s[:n]))
		}
		s = s[n:]
	}
	return b.String()
}

// profiles replaces names of users in paths of Windows, which may hold spaces.
func (r *Redactor) profiles(s string) string {
	if r.reveal[Users] {
		return s
	}
	for _, users := range []string{`\users\`, `:/users/`} {
		for at := 0; ; {
			i := strings.Index(lower(s[at:]), users)
			if i < 0 {
				break
			}
			begin := at + i + len(users)
			for begin < len(s) && s[begin] == '\\' {
				begin++ // backslashes are doubled in quotes
			}
			at = begin
			n := strings.IndexAny(s[begin:], "\\/:*?\"<>|\r\n")
			if n < 0 || s[begin+n] != '\\' && s[begin+n] != '/' {
				continue // where it ends is not known
			}
			if name := s[begin : begin+n]; strings.IndexByte(name, ' ') > 0 && len(name) <= 64 {
				p := r.User(name)
				s, at = s[:begin]+p+s[begin+n:], begin+len(p)
			}
		}
	}
	return s
}

// tokenEnd returns how long the token at the beginning of s is.
func tokenEnd(s string) int {
	n := strings.IndexAny(s, " \t\r\n\"'`<>,;|()={}")
	if n < 0 {
		n = len(s)
	}
	if strings.Contains(s[:n], "://") {
		return urlEnd(s)
	}
	if n > 0 && n < len(s) && s[n] == '>' && s[n-1] == '-' {
		return n - 1 // both ends of a net.OpError: "a->b"
	}
	return n
}

// urlEnd returns how long the URL at the beginning of s is. A comma or bar ends
// it, as in GOPROXY, unless it stands in a password.
func urlEnd(s string) int {
	end := strings.IndexAny(s, " \t\r\n\"'`<>")
	if end < 0 {
		end = len(s)
	}
	from := strings.Index(s, "://") + 3
	for {
		n := strings.IndexAny(s[from:end], ",|")
		if n < 0 {
			return end
		}
		n += from
		rest := s[n+1 : end]
		at := strings.IndexByte(rest, '@')
		next := strings.Index(rest, "://")
		slash := strings.IndexByte(rest, '/')
		if at < 0 || next >= 0 && next < at || slash >= 0 && slash < at {
			return n
		}
		from = n + 1
	}
}

// Prefix returns the pseudonym of a range of addresses, as far as one has it.
func (r *Redactor) Prefix(p netip.Prefix) string {
	out := netip.PrefixFrom(r.Addr(p.Addr()), p.Bits())
	return out.String()
}
