package redact

import (
	"net/netip"
	"strings"
)

// pieceEnds are bytes that part a token into pieces, as in "10.1.2.3#53".
const pieceEnds = "#&+^$~!?;*[]"

func endsPiece(c byte) bool { return c < 0x20 || c == 0x7f || strings.IndexByte(pieceEnds, c) >= 0 }

// pieces replaces the pieces of a token that is nothing as a whole.
func (r *Redactor) pieces(t string) string {
	i := 0
	for i < len(t) && !endsPiece(t[i]) {
		i++
	}
	if i == len(t) {
		return r.portions(t)
	}
	out := t[i : i+1]
	if i > 0 {
		out = r.token(t[:i]) + out
	}
	if i+1 < len(t) {
		out += r.token(t[i+1:])
	}
	return out
}

// portions replaces what colons part: a host and the name of a port, or a
// file and a place in it. An address in IPv6 holds colons itself.
func (r *Redactor) portions(t string) string {
	i := strings.LastIndexByte(t, ':')
	if i <= 0 || i == len(t)-1 {
		return r.words(r.embedded(t))
	}
	return r.token(t[:i]) + ":" + r.token(t[i+1:])
}

// embedded replaces addresses of IPv4 within a token, also where other signs
// than dots part the numbers: "ip-10-1-2-3", "10.1.2.3-10.1.2.9".
func (r *Redactor) embedded(t string) string {
	if r.reveal[Addresses] {
		return t
	}
	var b strings.Builder
	done := 0
	for i := 0; i < len(t); {
		if !digit(t[i]) {
			i++
			continue
		}
		a, sep, n := dotted(t[i:])
		if n == 0 {
			for i < len(t) && digit(t[i]) {
				i++
			}
			continue
		}
		if p := r.addr(a); p != a {
			b.WriteString(t[done:i])
			b.WriteString(strings.ReplaceAll(p.String(), ".", sep))
			done = i + n
		}
		i += n
	}
	if done == 0 {
		return t
	}
	b.WriteString(t[done:])
	return b.String()
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// dotted reads four numbers below 256 at the beginning of s, which dots, or
// dashes or underscores, part; n is how long that is, zero where it is not so.
func dotted(s string) (a netip.Addr, sep string, n int) {
	var b [4]byte
	for k := range b {
		if k > 0 {
			if n >= len(s) || strings.IndexByte(".-_", s[n]) < 0 || sep != "" && s[n] != sep[0] {
				return a, "", 0
			}
			sep = s[n : n+1]
			n++
		}
		v, from := 0, n
		for n < len(s) && digit(s[n]) && n-from < 4 {
			v = 10*v + int(s[n]-'0')
			n++
		}
		if n == from || v > 255 {
			return a, "", 0
		}
		b[k] = byte(v)
	}
	if n < len(s) && (digit(s[n]) || s[n] == sep[0] && n+1 < len(s) && digit(s[n+1]) && sep == ".") {
		return a, "", 0 // more numbers: a version, say
	}
	return netip.AddrFrom4(b), sep, n
}

// named replaces a host without a domain, or a user, where the words around it
// say what it is: before is the text in front of it, after that behind it.
func (r *Redactor) named(t, before, after string) (string, bool) {
	core := strings.TrimRight(t, ".:")
	if core == "" || ordinary[lower(core)] || strings.Trim(core, wordBytes) != "" || strings.Trim(core, "0123456789") == "" || r.reveal[Hosts] {
		return "", false
	}
	ends := func(words ...string) bool {
		for _, w := range words {
			if len(before) >= len(w) && lower(before[len(before)-len(w):]) == w {
				return true
			}
		}
		return false
	}
	if ends(" login ") && strings.Contains(before, "machine ") {
		return r.User(t), true // netrc
	}
	colon := strings.HasSuffix(t, ":")
	switch {
	case ends("lookup ") && (colon || strings.HasPrefix(after, " on ")), // net.DNSError
		ends("hostname ") && colon, ends("connect to ", "to host ") && strings.HasPrefix(after, " port "), // ssh, curl
		ends("resolve host: ", "resolve proxy: "),              // curl
		ends("machine ") && strings.HasPrefix(after, " login"): // netrc
		return r.Host(core) + t[len(core):], true
	}
	return "", false
}
