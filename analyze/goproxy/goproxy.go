// Package goproxy knows what the go command talks to.
//
// In come GOPROXY and GOSUMDB, from the environment, from go env or from the
// go command's own defaults; out comes the list of endpoints that a module
// download contacts. Credentials in addresses are dropped on the way in.
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
	add := func(raw string) {
		e, ok := parseURL(raw)
		if !ok {
			return
		}
		for _, have := range out {
			if have == e {
				return
			}
		}
		out = append(out, e)
	}
	for _, p := range proxies(s.GOPROXY) {
		add(p)
	}
	if db := sumDB(s.GOSUMDB); db != "" {
		add(db)
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

// proxies splits a GOPROXY list at commas and bars. What follows "off" or
// "direct" is never used (go help goproxy).
func proxies(list string) []string {
	var out []string
	for _, p := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == '|' }) {
		switch p = strings.TrimSpace(p); p {
		case "":
		case "off", "direct":
			return out
		default:
			out = append(out, p)
		}
	}
	return out
}

// sumDB returns the address of the checksum database that GOSUMDB names: "off",
// a known name, a verifier key "name+hash+key", or one of these and an address.
func sumDB(v string) string {
	fields := strings.Fields(v)
	switch {
	case len(fields) == 0 || fields[0] == "off":
		return ""
	case len(fields) > 1:
		return fields[1]
	}
	name, _, _ := strings.Cut(fields[0], "+")
	if u, ok := knownSumDBs[name]; ok {
		return u
	}
	return "https://" + name
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
