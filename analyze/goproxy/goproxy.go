// Package goproxy knows what the go command talks to, in which order, for how
// long, and what it prints when that fails.
//
// In come GOPROXY and GOSUMDB, from the environment, from go env or from the
// go command's own defaults; out comes what a module download contacts, one
// after the other, and what makes it go on from one to the next. In comes the
// go command's output too; out come its statements on failures. It knows no
// packets. Credentials in addresses are dropped on the way in.
package goproxy

import (
	"net/url"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// Endpoint is a server that the go command may contact.
type Endpoint struct {
	// Host is a lower-case name or an IP address without brackets.
	Host string
	// Port is the TCP port: the address's own or its scheme's.
	Port uint16
}

// Settings are the values that decide what a download contacts.
type Settings struct {
	GOPROXY, GOSUMDB string
	// GOPRIVATE, GONOPROXY and GONOSUMDB are patterns of modules that are
	// fetched without proxy or checksum database; empty for none.
	GOPRIVATE, GONOPROXY, GONOSUMDB string
}

// Endpoints lists what the settings make the go command contact, proxies
// first, each once. Values that do not parse yield nothing.
func (s Settings) Endpoints() []Endpoint {
	var out []Endpoint
	add := func(e Endpoint) {
		if e.Host == "" {
			return
		}
		for _, have := range out {
			if have == e {
				return
			}
		}
		out = append(out, e)
	}
	for _, p := range s.Proxies() {
		add(p.Endpoint)
	}
	if db, ok := s.SumDB(); ok {
		add(db.Endpoint)
	}
	return out
}

// Hosts lists the endpoints' host names, each once.
func (s Settings) Hosts() []string {
	var out []string
next:
	for _, e := range s.Endpoints() {
		for _, h := range out {
			if h == e.Host {
				continue next
			}
		}
		out = append(out, e.Host)
	}
	return out
}

// parseURL reads an address as the go command does: one without a scheme that
// looks like a host is taken for https.
func parseURL(raw string) (Endpoint, bool) {
	if strings.ContainsAny(raw, ".:/") && !strings.Contains(raw, ":/") && !filepath.IsAbs(raw) && !path.IsAbs(raw) {
		raw = "https://" + raw
	}
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" {
		return Endpoint{}, false
	}
	e := Endpoint{Host: strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))}
	switch u.Scheme {
	case "https":
		e.Port = 443
	case "http":
		e.Port = 80
	default: // file:// and what the go command refuses
		return Endpoint{}, false
	}
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return Endpoint{}, false
		}
		e.Port = uint16(n)
	}
	return e, true
}
