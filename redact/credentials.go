package redact

import "strings"

// secretFields are header fields whose values are credentials.
var secretFields = []string{"authorization:", "cookie:", "authorization=", "authentication-info:", "x-auth-token:", "www-authenticate:", "proxy-authenticate:"}

// secretNames are parts of names whose values are credentials.
var secretNames = []string{
	"token", "passwd", "password", "passphrase", "secret", "apikey", "api_key", "api-key", "private_key", "signature", "credential",
	"pass", "pwd", "auth",
}

// secretSchemes are schemes of authentication (IANA's registry) in front of
// credentials.
var secretSchemes = []string{"basic ", "bearer ", "negotiate ", "ntlm "}

// encoded reports whether a word looks like credentials behind a scheme: base64,
// or a token.
func encoded(w string) bool {
	if len(w) < 4 || strings.Trim(w, wordBytes+".+/=") != "" {
		return false
	}
	return strings.ContainsAny(w, "0123456789=+/") || strings.ContainsAny(w[1:], "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
}

// valueAfter returns where the value begins of a name that ends at a place, -1
// where it has none: name=value, "name": "value", and where the name is exactly
// a secret's also name: value. follows is true where a space is enough.
func valueAfter(s string, at int, exact, follows bool) int {
	quoted := at < len(s) && (s[at] == '"' || s[at] == '\'')
	if quoted {
		at++
	}
	switch {
	case at >= len(s):
		return -1
	case s[at] == '=':
		at++
	case s[at] == ':' && (exact || quoted):
		at++
		for at < len(s) && s[at] == ' ' {
			at++
		}
	case s[at] == ' ' && follows:
		at++
	default:
		return -1
	}
	if at < len(s) && (s[at] == '"' || s[at] == '\'') {
		at++
	}
	if at >= len(s) {
		return -1
	}
	return at
}

// credentials cuts off what follows a header field of credentials.
func (r *Redactor) credentials(s string) string {
	low := lower(s)
	for _, f := range secretFields {
		for at := 0; ; {
			i := strings.Index(low[at:], f)
			if i < 0 {
				break
			}
			begin := at + i + len(f)
			end := begin + strings.IndexAny(low[begin:]+"\n", "\r\n\"'")
			s, low = s[:begin]+" "+hidden+s[end:], low[:begin]+" "+hidden+low[end:]
			at = begin + 1 + len(hidden)
		}
	}
	for _, n := range secretNames {
		for at := 0; ; {
			i := strings.Index(low[at:], n)
			if i < 0 {
				break
			}
			begin := at + i
			flag := strings.HasSuffix(low[:begin], "--")
			first := begin == 0 || strings.IndexByte(wordBytes, low[begin-1]) < 0 || flag || strings.HasSuffix(low[:begin], "x-")
			netrc := strings.Contains(low[:begin], "login ")
			begin += len(n)
			exact := begin
			for begin < len(low) && strings.IndexByte(wordBytes, low[begin]) >= 0 {
				begin++
			}
			at = begin
			whole := first && begin == exact
			begin = valueAfter(low, begin, whole, whole && (flag || netrc))
			if begin < 0 {
				continue
			}
			end := begin + strings.IndexAny(low[begin:]+" ", " \t\r\n&\"'")
			s, low = s[:begin]+hidden+s[end:], low[:begin]+hidden+low[end:]
			at = begin + len(hidden)
		}
	}
	for _, n := range secretSchemes {
		for at := 0; ; {
			i := strings.Index(low[at:], n)
			if i < 0 {
				break
			}
			begin := at + i + len(n)
			at = begin
			end := begin + strings.IndexAny(low[begin:]+" ", " \t\r\n,;\"'")
			if !encoded(s[begin:end]) {
				continue
			}
			s, low = s[:begin]+hidden+s[end:], low[:begin]+hidden+low[end:]
			at = begin + len(hidden)
		}
	}
	return s
}

// lower makes ASCII letters small and changes no length.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// replaceFold replaces a phrase (in lower case) wherever it is in s.
func replaceFold(s, phrase, by string) string {
	low := lower(s)
	var b strings.Builder
	for {
		i := strings.Index(low, phrase)
		if i < 0 {
			break
		}
		b.WriteString(s[:i])
		b.WriteString(by)
		s, low = s[i+len(phrase):], low[i+len(phrase):]
	}
	b.WriteString(s)
	return b.String()
}
