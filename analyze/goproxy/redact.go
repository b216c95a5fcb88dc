package goproxy

import "strings"

// Redact takes out of a text what the addresses in it may hold of secrets:
// user and password, and every query but the go command's own. "…" stands for
// what was there.
func Redact(text string) string {
	if !strings.Contains(text, "@") && !strings.Contains(text, "?") {
		return text
	}
	var b strings.Builder
	for text != "" {
		i := strings.Index(text, "://")
		if i < 0 {
			break
		}
		b.WriteString(text[:i+3])
		address := text[i+3:]
		end := strings.IndexAny(address, " \t\r\n\"'<>`")
		if end < 0 {
			end = len(address)
		}
		text = address[end:]
		writeRedacted(&b, address[:end])
	}
	if b.Len() == 0 && looksLikeAddress(text) {
		// One without a scheme, as GOPROXY allows.
		writeRedacted(&b, text)
		return b.String()
	}
	b.WriteString(text)
	return b.String()
}

func looksLikeAddress(s string) bool { return !strings.ContainsAny(s, " \t\"'") }

// writeRedacted writes an address behind its scheme.
func writeRedacted(b *strings.Builder, address string) {
	// A colon, a comma and the like behind an address are of the sentence.
	tail := ""
	if n := len(strings.TrimRight(address, ":;,.)")); n < len(address) {
		address, tail = address[:n], address[n:]
	}
	query := ""
	if i := strings.IndexByte(address, '?'); i >= 0 {
		address, query = address[:i], address[i:]
		if query != "?go-get=1" {
			query = "?…"
		}
	}
	host, path := address, ""
	if i := strings.IndexByte(address, '/'); i >= 0 {
		host, path = address[:i], address[i:]
	}
	// A password may hold a slash that nobody escaped: what stands behind the
	// colon is then no port.
	if i := strings.LastIndexByte(path, '@'); i >= 0 && !strings.Contains(host, "@") && !portOrNone(host) {
		host, path = path[i:], ""
		if k := strings.IndexByte(host, '/'); k >= 0 {
			host, path = host[:k], host[k:]
		}
	}
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = "…@" + host[i+1:]
	}
	b.WriteString(host)
	b.WriteString(path)
	b.WriteString(query)
	b.WriteString(tail)
}

// portOrNone reports whether what stands behind host's last colon may be a
// port, or there is none.
func portOrNone(host string) bool {
	_, port, ok := strings.Cut(host[strings.LastIndexByte(host, ']')+1:], ":")
	return !ok || strings.Trim(port, "0123456789") == ""
}
