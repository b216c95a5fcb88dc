package redact

import (
	"net/netip"
	"strings"
)

// token returns a token without what is private in it.
func (r *Redactor) token(t string) string {
	core := strings.TrimRight(t, ".:!?…*")
	tail := t[len(core):]
	head := ""
	if strings.HasPrefix(core, "[") {
		// An address in brackets with a port, or brackets of the sentence.
		if _, err := netip.ParseAddrPort(core); err != nil && !strings.HasSuffix(core, "]") {
			head, core = "[", core[1:]
		}
	}
	if core == "" {
		return t
	}
	return head + r.classified(core) + tail
}

func (r *Redactor) classified(t string) string {
	if len(t) < 2 {
		return t
	}
	switch {
	case strings.Index(t, "://") > 0:
		return r.URL(t)
	case strings.HasPrefix(t, "h1:"): // a line of go.sum
		return t
	}
	// Linux's packet filter logs both link addresses and the Ethernet type as
	// one, which in part has the form of an address of IPv6.
	if len(t) > 18 && t[17] == ':' {
		if m, sep, ok := parseMAC(t[:17]); ok && sep == ':' {
			return formatMAC(r.MAC(m), sep) + ":" + r.token(t[18:])
		}
	}
	if a, err := netip.ParseAddrPort(t); err == nil {
		return r.AddrPort(a).String()
	}
	if a, err := netip.ParseAddr(strings.Trim(t, "[]")); err == nil && strings.ContainsAny(t, ".:") {
		return r.Endpoint(bracketed(a, t))
	}
	if p, err := netip.ParsePrefix(t); err == nil {
		return r.Prefix(p)
	}
	if m, sep, ok := parseMAC(t); ok {
		return formatMAC(r.MAC(m), sep)
	}
	switch {
	case t[0] == '/' && !strings.HasPrefix(t, "/@v"), t[0] == '~', len(t) > 2 && t[1] == ':' && (t[2] == '\\' || t[2] == '/'), strings.HasPrefix(t, `\\`), strings.HasPrefix(t, "./"), strings.HasPrefix(t, "../"):
		if strings.HasPrefix(t, "/sumdb/") || strings.HasPrefix(t, "/") && strings.Contains(t, "/@v/") {
			return r.urlPath(t)
		}
		return r.Path(t)
	case strings.IndexByte(t, '%') >= 0 && percent(t):
		return hidden
	case strings.IndexByte(t, '@') > 0:
		return r.atSign(t)
	case strings.IndexByte(t, '\\') >= 0:
		return r.Path(t)
	case strings.IndexByte(t, '/') > 0:
		return r.slashed(t)
	case opaque(t):
		return hidden
	}
	host, port := t, ""
	if i := strings.LastIndexByte(t, ':'); i > 0 && digits(t[i+1:]) {
		host, port = t[:i], t[i:]
	}
	if _, seen := r.hosts[lower(host)]; seen || hostForm(host) {
		return r.Host(host) + port
	}
	if ext := extension(t); ext != "" && !usual[lower(t)] && strings.Trim(t, wordBytes+".") == "" && !r.reveal[Paths] {
		if stem := t[:len(t)-len(ext)]; strings.Contains(stem, ".") && !r.reveal[Hosts] {
			return r.Host(t) // such a domain may exist
		} else if stem != "" && !digits(stem) {
			return r.numbered("file", t) + ext
		}
	}
	return r.pieces(t)
}

// atSign reads module@version, user@host and git@host:path.
func (r *Redactor) atSign(t string) string {
	name, rest, _ := strings.Cut(t, "@")
	if len(rest) > 0 && (rest[0] == 'v' || !strings.Contains(rest, ".")) && strings.Contains(name, ".") || rest == "latest" {
		return r.Module(t)
	}
	host, p, ok := strings.Cut(rest, ":")
	out := "git"
	if name != "git" {
		if strings.Contains(name, ":") {
			out = hidden
		} else {
			out = r.User(name)
		}
	}
	host, slash, below := strings.Cut(host, "/")
	out += "@" + r.Host(host)
	if below {
		out += "/" + r.elements(slash)
	}
	if ok {
		if digits(p) {
			return out + ":" + p
		}
		return out + ":" + r.elements(p)
	}
	return out
}

// platforms are values of GOOS and GOARCH.
var platforms = set("linux windows darwin freebsd openbsd netbsd amd64 arm64 386 arm riscv64 ppc64le s390x loong64 mips64le")

// slashed reads what has a slash in it: a module's path, as a rule.
func (r *Redactor) slashed(t string) string {
	host, rest, _ := strings.Cut(t, "/")
	switch {
	case hostForm(host), strings.Contains(host, ".") && r.hosts[lower(host)] != "":
		if i := strings.Index(rest, "@v/"); i >= 0 && (i == 0 || rest[i-1] == '/') || strings.HasSuffix(rest, "@latest") {
			return r.Host(host) + r.urlPath("/"+rest)
		}
		return r.Module(t)
	case strings.EqualFold(host, "http") || strings.EqualFold(host, "https"):
		return t // HTTP/1.1
	case platforms[host] && platforms[rest]:
		return t // linux/amd64
	case standard[host] && strings.Trim(t, wordBytes+"/") == "":
		return t
	case digits(strings.ReplaceAll(t, "/", "")):
		return t
	}
	if r.reveal[Paths] {
		return r.words(t)
	}
	parts := strings.Split(t, "/")
	for i, e := range parts {
		if a, err := netip.ParseAddr(e); err == nil {
			parts[i] = r.Addr(a).String()
		} else if parts[i] = r.words(e); parts[i] == e && !usual[strings.ToLower(e)] && !ordinary[strings.ToLower(e)] && len(e) > 3 {
			parts[i] = r.numbered("dir", e)
		}
	}
	return strings.Join(parts, "/")
}

// hostForm reports whether a token has the form of a host name with a domain,
// and is neither a version nor a file.
func hostForm(t string) bool {
	t = strings.TrimSuffix(t, ".")
	i := strings.LastIndexByte(t, '.')
	if i <= 0 || len(t) > 253 {
		return false
	}
	last := t[i+1:]
	if len(last) < 2 || extensions[strings.ToLower(last)] || strings.Trim(last, "0123456789") == "" {
		return false
	}
	for _, c := range []byte(t) {
		if c < 0x80 && c != '.' && c != '*' && strings.IndexByte(wordBytes, c) < 0 {
			return false
		}
	}
	first := t[0]
	if (first == 'v' || first == 'V' || first == 'g') && i > 1 && digits(strings.ReplaceAll(strings.TrimPrefix(t[1:i], "o"), ".", "")) {
		return false // v1.2.3-rc, go1.26.rc
	}
	return last[0] < '0' || last[0] > '9'
}

// words replaces the learned words in a token.
func (r *Redactor) words(t string) string {
	if len(r.known) == 0 {
		return t
	}
	low := lower(t)
	if k, ok := r.known[low]; ok && !r.reveal[k] {
		return r.word(low)
	}
	var b strings.Builder
	done := 0
	for i := 0; i < len(t); {
		if !alnum(t[i]) {
			i++
			continue
		}
		j := i
		for j < len(t) && (alnum(t[j])) {
			j++
		}
		if k, ok := r.known[low[i:j]]; ok && !r.reveal[k] {
			b.WriteString(t[done:i])
			b.WriteString(r.word(low[i:j]))
			done = j
		}
		i = j
	}
	if done == 0 {
		return t
	}
	b.WriteString(t[done:])
	return b.String()
}

func alnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// word returns the pseudonym of a learned word.
func (r *Redactor) word(w string) string {
	if r.known[w] == Users {
		return r.numbered("user", strings.ToLower(w))
	}
	return r.Host(w)
}

// percent reports whether a token has an octet in percent-encoding.
func percent(t string) bool {
	for i := 0; i+2 < len(t); i++ {
		if t[i] == '%' && hexDigit(t[i+1]) && hexDigit(t[i+2]) {
			return true
		}
	}
	return false
}

func hexDigit(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// opaque reports whether a token looks like a key, or like something in hex or
// base64.
func opaque(t string) bool {
	if len(t) < 16 || strings.HasPrefix(t, "h1:") {
		return false
	}
	hex, digit, up, low := true, false, false, false
	for _, c := range []byte(t) {
		hex = hex && hexDigit(c)
		switch {
		case c >= '0' && c <= '9':
			digit = true
		case c >= 'A' && c <= 'Z':
			up = true
		case c >= 'a' && c <= 'z':
			low = true
		case c != '+' && c != '/' && c != '_' && c != '-':
			return false
		}
	}
	return hex && digit || digit && up && low || up && low && len(t) >= 24
}

func parseMAC(t string) (m [6]byte, sep byte, ok bool) {
	if len(t) != 17 || t[2] != ':' && t[2] != '-' {
		return m, 0, false
	}
	sep = t[2]
	for i := range m {
		if i > 0 && t[3*i-1] != sep || !hexDigit(t[3*i]) || !hexDigit(t[3*i+1]) {
			return m, 0, false
		}
		m[i] = unhex(t[3*i])<<4 | unhex(t[3*i+1])
	}
	return m, sep, true
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c >= 'a':
		return c - 'a' + 10
	}
	return c - 'A' + 10
}

func formatMAC(m [6]byte, sep byte) string {
	const hex = "0123456789abcdef"
	b := make([]byte, 0, 17)
	for i, c := range m {
		if i > 0 {
			b = append(b, sep)
		}
		b = append(b, hex[c>>4], hex[c&15])
	}
	return string(b)
}
