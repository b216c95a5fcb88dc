package redact

import (
	"net/http"
	"strings"
)

// Name returns the pseudonym of a certificate's distinguished name in the form
// of RFC 2253. An issuer's stays but for hosts, addresses and learned words:
// who issued a certificate that nobody expected is what matters of it.
func (r *Redactor) Name(dn string, issuer bool) string {
	if dn == "" || r.reveal[Hosts] {
		return dn
	}
	var b strings.Builder
	for len(dn) > 0 {
		end := attributeEnd(dn)
		attribute := dn[:end]
		typ, value, ok := strings.Cut(attribute, "=")
		if !ok {
			typ, value = "", attribute
		} else {
			b.WriteString(typ)
			b.WriteByte('=')
		}
		b.WriteString(r.attribute(value, issuer))
		if end < len(dn) {
			b.WriteByte(dn[end])
			end++
		}
		dn = dn[end:]
	}
	return b.String()
}

// attributeEnd returns where the first attribute of a name ends: before a comma
// or plus sign that no backslash escapes.
func attributeEnd(dn string) int {
	for i := 0; i < len(dn); i++ {
		switch dn[i] {
		case '\\':
			i++
		case ',', '+':
			return i
		}
	}
	return len(dn)
}

// attribute returns the pseudonym of a value in a certificate's name, of the
// same length.
func (r *Redactor) attribute(v string, issuer bool) string {
	low := lower(v)
	if hostForm(low) || r.known[low] == Hosts {
		return r.Host(low)
	}
	if issuer && r.Text(v) == v {
		return v
	}
	return Blank(v)
}

// Attribute is the pseudonym of one value of a certificate's name, of the same
// length in bytes; see Name.
func (r *Redactor) Attribute(v string, issuer bool) string {
	if r.reveal[Hosts] {
		return v
	}
	return r.attribute(v, issuer)
}

// Blank returns a text of the same length in bytes that says nothing.
func Blank(s string) string { return strings.Repeat("x", len(s)) }

// knownProtocols are names of ALPN that say nothing about who uses them.
var knownProtocols = set("h2 h2c h3 http/1.1 http/1.0 http/0.9 spdy/3 spdy/3.1 acme-tls/1 dot stun.turn")

// Protocol returns a name of ALPN, blank where it is not a known one.
func (r *Redactor) Protocol(name string) string {
	if knownProtocols[name] || r.reveal[Hosts] {
		return name
	}
	return Blank(name)
}

// Phrase returns the reason phrase of an HTTP status line, blank where it is not
// one of those that everybody uses.
func (r *Redactor) Phrase(s string) string {
	if s == "" || r.reveal[Hosts] || phrases[strings.ToLower(s)] {
		return s
	}
	return Blank(s)
}

// phrases are the reason phrases of the registry of status codes, and one that
// proxies use.
var phrases = func() map[string]bool {
	m := map[string]bool{"connection established": true}
	for code := 100; code < 600; code++ {
		if t := http.StatusText(code); t != "" {
			m[strings.ToLower(t)] = true
		}
	}
	return m
}()

// ProxyName returns the pseudonym of an element of GOPROXY.
func (r *Redactor) ProxyName(s string) string { return r.proxy(s) }

// Target returns the pseudonym of what an HTTP request asks for: host:port, a
// URL or a path.
func (r *Redactor) Target(s string) string {
	switch {
	case strings.Contains(s, "://"):
		return r.URL(s)
	case strings.HasPrefix(s, "/"):
		path, _, query := strings.Cut(s, "?")
		path = r.urlPath(path)
		if query {
			path += "?" + hidden
		}
		return path
	}
	return r.Endpoint(s)
}

// viaNames are names of services that call themselves so in Via.
var viaNames = set("varnish google squid vegur haproxy nginx envoy cloudfront")

// Via returns the value of a Via field (RFC 9110, section 7.6.3) with the hosts
// replaced: a proxy may have a name without a domain there.
func (r *Redactor) Via(s string) string {
	parts := strings.Split(s, ",")
	for i, p := range parts {
		words := strings.Split(p, " ")
		n := 0 // of words in front of the comment
		for k, w := range words {
			if strings.HasPrefix(w, "(") {
				words[k] = r.Products(strings.Join(words[k:], " "))
				words = words[:k+1]
				break
			}
			if w == "" {
				continue
			}
			if n++; n == 1 && strings.Trim(w, "0123456789./HTPhtp") == "" {
				continue
			}
			if viaNames[lower(w)] {
				continue
			}
			words[k] = r.Endpoint(w)
		}
		parts[i] = strings.Join(words, " ")
	}
	return strings.Join(parts, ",")
}

// Products returns the names and versions of programs, as in Server and
// User-Agent (RFC 9110, section 10.1.5): who answers is what matters of an answer
// that nobody expected. What has another form is free text.
func (r *Redactor) Products(s string) string {
	var out, text []string
	flush := func() {
		if len(text) > 0 {
			out, text = append(out, r.Text(strings.Join(text, " "))), nil
		}
	}
	for w := range strings.SplitSeq(s, " ") {
		if core := strings.Trim(w, "(),;"); isProduct(core) {
			flush()
			product, version, _ := strings.Cut(core, "/")
			out = append(out, strings.Replace(w, core, r.words(product)+"/"+r.words(r.embedded(version)), 1))
		} else {
			text = append(text, w) // the words around one may tell what it is
		}
	}
	flush()
	return strings.Join(out, " ")
}

// isProduct reports whether w is a product and its version, "squid/5.7".
func isProduct(w string) bool {
	product, version, _ := strings.Cut(w, "/")
	number := strings.TrimLeft(version, "v")
	return product != "" && number != "" && digit(number[0]) && !hostForm(product) && !opaque(product) && !opaque(version) &&
		strings.Trim(product, wordBytes) == "" && strings.Trim(version, wordBytes+".") == ""
}
