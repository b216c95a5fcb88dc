package hostlog

import (
	"regexp"
	"strings"
)

// redacted stands where a secret was; it is what net/url.URL.Redacted writes.
const redacted = "xxxxx"

// secretWords mark names whose values are secrets.
const secretWords = `token|passw(?:or)?d|passphrase|secret|signature|api_?key|private_?key`

var (
	secretName = regexp.MustCompile(`(?i)(?:` + secretWords + `)`)
	// secretValue is NAME=value, as in a query, a flag or an environment.
	secretValue = regexp.MustCompile(`(?i)([\w.-]*(?:` + secretWords + `)[\w.-]*=)[^\s&"']+`)
	// secretHeader is a header with credentials, as git takes it in
	// http.extraHeader.
	secretHeader = regexp.MustCompile(`(?i)((?:authorization|cookie)\s*[:=]\s*)[^\s"'][^"'\r\n]*`)
	// userAtHost is user:password@host without a scheme, the whole value.
	userAtHost = regexp.MustCompile(`^[^\s/@]*:[^\s@]*@[^\s@/]+(/.*)?$`)
	assignment = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)
	// drivePath is a path on Windows, whose drive looks like a user: a module
	// cache is full of C:\...\toolchain@v0.0.1.
	drivePath = regexp.MustCompile(`^[A-Za-z]:\\`)
)

// RedactText cuts credentials out of a text: the user and password of every
// URL, the values of names that speak of tokens, passwords and the like, and
// what follows Authorization: or Cookie:. What is left says that there was
// something ("https://xxxxx@proxy.example").
func RedactText(s string) string {
	s = redactURLs(s)
	if strings.IndexByte(s, '=') >= 0 {
		s = secretValue.ReplaceAllString(s, "${1}"+redacted)
	}
	if strings.ContainsAny(s, ":=") {
		s = secretHeader.ReplaceAllString(s, "${1}"+redacted)
	}
	return s
}

// RedactSetting cuts credentials out of the value of a setting or of an
// environment variable. Proxy settings may hold user:password@host without a
// scheme (x/net/http/httpproxy adds it).
func RedactSetting(name, value string) string {
	switch upper := strings.ToUpper(name); {
	case secretName.MatchString(name):
		if value == "" {
			return ""
		}
		return redacted
	case upper == "GOPROXY":
		// What is left of an element may belong to a URL that begins in one before
		// it: a password may have the list's separators in it.
		return RedactText(eachElement(RedactText(value), redactAuthority))
	case strings.HasSuffix(upper, "_PROXY") && upper != "NO_PROXY":
		return redactAuthority(RedactText(value))
	}
	return RedactText(value)
}

// RedactArgs cuts credentials out of a command line. The slice is copied where
// something is cut.
func RedactArgs(args []string) []string {
	out, copied := args, false
	for i, a := range args {
		b := a
		name := assignment.FindString(a)
		switch {
		case i > 0 && secretFlag(args[i-1]) && !strings.HasPrefix(a, "-") && a != "":
			b = redacted
		case name != "":
			b = name + RedactSetting(name[:len(name)-1], a[len(name):])
		default:
			b = RedactText(a)
			if userAtHost.MatchString(b) && !strings.Contains(b, "://") && !drivePath.MatchString(b) {
				b = redactAuthority(b)
			}
		}
		if b != a {
			if !copied {
				out, copied = append([]string(nil), args...), true
			}
			out[i] = b
		}
	}
	return out
}

// secretFlag says whether the argument after a is a secret.
func secretFlag(a string) bool {
	return strings.HasPrefix(a, "-") && strings.IndexByte(a, '=') < 0 && secretName.MatchString(a)
}

// eachElement applies f to the elements of a GOPROXY list.
func eachElement(list string, f func(string) string) string {
	var b strings.Builder
	for list != "" {
		i := strings.IndexAny(list, ",|")
		if i < 0 {
			b.WriteString(f(list))
			break
		}
		b.WriteString(f(list[:i]))
		b.WriteByte(list[i])
		list = list[i+1:]
	}
	return b.String()
}

// redactAuthority cuts the user information out of a value that is a URL
// without a scheme.
func redactAuthority(s string) string {
	if i := strings.LastIndexByte(s, '@'); i >= 0 && !strings.Contains(s, "://") {
		return redacted + s[i:]
	}
	return s
}

// redactURLs cuts the user information out of every URL (RFC 3986, 3.2.1). It
// looks at every byte a few times at most, whatever the text.
func redactURLs(s string) string {
	const mark = "://"
	var b strings.Builder
	// The text from done on is not yet in b. token is where the run of
	// characters that a URL can consist of ends, at its last '@'.
	done, token, at := 0, 0, -1
	for from := 0; ; {
		i := strings.Index(s[from:], mark)
		if i < 0 {
			break
		}
		begin := from + i + len(mark)
		if begin >= token {
			token = len(s)
			if n := strings.IndexFunc(s[begin:], endsURL); n >= 0 {
				token = begin + n
			}
			at = begin + strings.LastIndexByte(s[begin:token], '@')
		}
		from = begin
		end := infoEnd(s[begin:token], at-begin)
		if end == 0 {
			continue
		}
		// "ssh://git@host" names a public account.
		if info := s[begin : begin+end]; !hasSSH(s[:begin-len(mark)]) || strings.IndexByte(info, ':') >= 0 {
			b.WriteString(s[done:begin])
			b.WriteString(redacted)
			done = begin + end
		}
		from = begin + end
	}
	if done == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}

func hasSSH(scheme string) bool {
	return len(scheme) >= 3 && strings.EqualFold(scheme[len(scheme)-3:], "ssh")
}

// infoEnd returns the length of the user information at the beginning of what
// follows a URL's "://"; lastAt is the place of its last '@', below zero for
// none.
func infoEnd(s string, lastAt int) int {
	if lastAt < 0 {
		return 0
	}
	authority := s
	if i := strings.IndexAny(s, "/?#"); i >= 0 {
		authority = s[:i]
	}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		return i
	}
	// A password with an unescaped '/', '?' or '#' ends the authority early:
	// then what stands behind the colon is no port.
	colon := strings.LastIndexByte(authority, ':')
	if colon < 0 || strings.HasSuffix(authority, "]") || isPort(authority[colon+1:], s[len(authority):]) {
		return 0
	}
	// The path may have an '@' of its own ("/@v/list"): cut too much rather
	// than too little.
	return lastAt
}

func isPort(port, rest string) bool {
	if port == "" {
		// "a.example,https:" before "//": the next element of a list.
		return rest == "" || strings.HasPrefix(rest, "//")
	}
	return strings.Trim(port, "0123456789") == ""
}

func endsURL(r rune) bool {
	return r <= ' ' || r == 0x7f || r == '"' || r == '<' || r == '>'
}
