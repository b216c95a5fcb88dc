package scrub

import (
	"bytes"
	"strings"

	"goproxytrace/redact"
)

// plainFields are header fields whose values say nothing about who talks.
var plainFields = map[string]bool{
	"accept": true, "accept-encoding": true, "accept-ranges": true, "age": true, "cache-control": true, "connection": true,
	"content-encoding": true, "content-length": true, "content-type": true, "date": true, "expires": true, "keep-alive": true,
	"last-modified": true, "pragma": true, "proxy-connection": true, "retry-after": true, "transfer-encoding": true, "upgrade": true, "vary": true,
}

// plainWords are what the values of those fields consist of, beside numbers.
var plainWords = func() map[string]bool {
	m := make(map[string]bool)
	for _, w := range strings.Fields(`application text image multipart html plain json xml zip gzip x-gzip octet-stream form-data charset utf-8 iso-8859-1 us-ascii q
		x-git-upload-pack-request x-git-upload-pack-result x-git-upload-pack-advertisement deflate br zstd identity compress chunked trailers
		bytes none no-cache no-store no-transform max-age s-maxage must-revalidate proxy-revalidate public private immutable stale-while-revalidate
		stale-if-error only-if-cached close keep-alive upgrade te timeout max h2c http websocket tls http2-settings
		accept accept-encoding accept-language origin user-agent cookie authorization host
		mon tue wed thu fri sat sun jan feb mar apr may jun jul aug sep oct nov dec gmt utc`) {
		m[w] = true
	}
	return m
}()

// plainValue blanks the words of a value that are no usual ones.
func plainValue(v string) string {
	word := func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' || c >= 0x80
	}
	b := []byte(v)
	for i := 0; i < len(b); {
		k := i
		for k < len(b) && word(b[k]) {
			k++
		}
		if w := v[i:k]; w != "" && !plainWords[strings.ToLower(w)] && (!digits(strings.Replace(w, ".", "", 1)) || len(w) > 12) {
			copy(b[i:k], redact.Blank(w))
		}
		i = max(k, i+1)
	}
	return string(b)
}

// textFields are those in which somebody tells who he is: they stay, but for
// the names and addresses in them.
var textFields = map[string]bool{"server": true, "user-agent": true, "x-powered-by": true, "x-squid-error": true}

// knownFields are names of other fields that stay.
var knownFields = map[string]bool{
	"host": true, "location": true, "via": true, "authorization": true, "proxy-authorization": true, "proxy-authenticate": true, "www-authenticate": true,
	"cookie": true, "set-cookie": true, "etag": true, "referer": true, "x-forwarded-for": true, "content-disposition": true,
}

// httpHead returns an HTTP/1 head, or the beginning of one, of the same length
// without names and credentials.
func httpHead(r *redact.Redactor, head []byte) []byte {
	out := make([]byte, 0, len(head))
	for first := true; len(head) > 0; first = false {
		line, rest, found := bytes.Cut(head, []byte("\n"))
		end := ""
		if found {
			end = "\n"
		}
		if n := len(line); n > 0 && line[n-1] == '\r' {
			line, end = line[:n-1], "\r"+end
		}
		var s string
		if first {
			s = startLine(r, string(line), found)
		} else {
			s = field(r, string(line), found)
		}
		out = append(out, sized(s, len(line))...)
		out = append(out, end...)
		head = rest
	}
	return out
}

// sized makes a text n bytes long.
func sized(s string, n int) string {
	if len(s) >= n {
		return s[:n]
	}
	return s + strings.Repeat(" ", n-len(s))
}

// startLine returns a request or status line without names.
func startLine(r *redact.Redactor, line string, whole bool) string {
	if strings.HasPrefix(line, "HTTP/1.") {
		if len(line) < 12 {
			return line
		}
		code, reason := line[9:12], strings.TrimLeft(line[12:], " ")
		if !digits(code) {
			code = redact.Blank(code)
		}
		return line[:8] + " " + code + strings.Repeat(" ", len(line)-12-len(reason)) + r.Phrase(strings.TrimRight(reason, " "))
	}
	method, rest, ok := strings.Cut(line, " ")
	if !ok {
		return line // of a method, or less
	}
	target, version, ok := strings.Cut(rest, " ")
	if !ok || !whole || !strings.HasPrefix(version, "HTTP/1.") {
		return method + " " + blankWords(rest)
	}
	if len(version) > len("HTTP/1.1") {
		version = version[:len("HTTP/1.1")] + redact.Blank(version[len("HTTP/1.1"):])
	}
	return method + " " + requestTarget(r, method, target) + " " + version
}

func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// requestTarget returns a request's target of the same length (RFC 9112, section
// 3.2).
func requestTarget(r *redact.Redactor, method, target string) string {
	if method == "CONNECT" {
		return authority(r, target)
	}
	return url(r, target)
}

// url returns a URL, or the path of one, of the same length: the host replaced,
// and of the path nothing but its slashes.
func url(r *redact.Redactor, u string) string {
	out := ""
	if i := strings.Index(u, "://"); i >= 0 {
		end := strings.IndexAny(u[i+3:]+"/", "/?#") + i + 3
		out = u[:i+3] + authority(r, u[i+3:end])
		u = u[end:]
	}
	return out + blankWords(u)
}

// authority returns host:port of the same length, with user and password blank.
func authority(r *redact.Redactor, a string) string {
	user := ""
	if i := strings.LastIndexByte(a, '@'); i >= 0 {
		user, a = redact.Blank(a[:i])+"@", a[i+1:]
	}
	host, port := a, ""
	if i := strings.LastIndexByte(a, ':'); i >= 0 && digits(a[i+1:]) {
		host, port = a[:i], a[i:]
	}
	p := r.Host(host)
	switch {
	case len(p) < len(host) && port != "":
		// An address in fewer digits: zeros in front change no port.
		port = ":" + strings.Repeat("0", len(host)-len(p)) + port[1:]
	case len(p) != len(host):
		p = redact.Blank(host)
	}
	return user + p + port
}

// blankWords keeps the punctuation of a path and none of its words.
func blankWords(s string) string {
	b := []byte(s)
	for i, c := range b {
		switch c {
		case '/', '?', '&', '=', ' ', ':', '.', ',', ';':
		default:
			b[i] = 'x'
		}
	}
	return string(b)
}

// field returns a header field without what is private in its value.
func field(r *redact.Redactor, line string, whole bool) string {
	name, value, ok := strings.Cut(line, ":")
	low := strings.ToLower(strings.TrimSpace(name))
	if !ok || !whole {
		if line == "" || !whole && prefixOfKnown(low) {
			return line[:min(len(line), len(name))]
		}
		return redact.Blank(line)
	}
	lead := value[:len(value)-len(strings.TrimLeft(value, " \t"))]
	v := value[len(lead):]
	switch {
	case plainFields[low]:
		v = plainValue(v)
	case low == "via":
		v = r.Via(v)
	case low == "user-agent":
		// Programs may be told apart; what else one says of itself may be its
		// user's.
		words := strings.Split(r.Products(v), " ")
		for i, w := range words {
			if !strings.Contains(w, "/") {
				words[i] = blankWords(w)
			}
		}
		v = strings.Join(words, " ")
	case textFields[low]:
		v = r.Products(v)
	case low == "host":
		v = authority(r, v)
	case low == "location":
		v = url(r, v)
	case low == "proxy-authenticate" || low == "www-authenticate":
		// The scheme says what is asked for, the realm whose it is.
		scheme, rest, more := strings.Cut(v, " ")
		if !knownSchemes[strings.ToLower(scheme)] {
			scheme = redact.Blank(scheme)
		}
		v = scheme
		if more {
			v += " " + blankWords(rest)
		}
	case knownFields[low]:
		v = redact.Blank(v)
	default:
		return redact.Blank(name) + ":" + lead + redact.Blank(v)
	}
	return name + ":" + lead + sized(v, len(value)-len(lead))
}

var knownSchemes = map[string]bool{"basic": true, "digest": true, "ntlm": true, "negotiate": true, "bearer": true, "kerberos": true}

func prefixOfKnown(s string) bool {
	for _, m := range []map[string]bool{plainFields, textFields, knownFields} {
		for name := range m {
			if strings.HasPrefix(name, s) {
				return true
			}
		}
	}
	return false
}
