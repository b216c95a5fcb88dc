package goproxy

import "strings"

// Entry is one element of a GOPROXY list.
type Entry struct {
	// Name is "direct", "off", or the address without credentials, query
	// and fragment.
	Name string
	// Endpoint is the zero value for direct, off, directories and what the
	// go command refuses.
	Endpoint Endpoint
	// OnAnyError is true where a bar follows: the go command then goes on
	// to the next entry after any error, otherwise only after 404 and 410
	// (cmd/go/internal/modfetch/proxy.go, TryProxies).
	OnAnyError bool
}

// Names of the entries that are no addresses.
const (
	Direct = "direct"
	Off    = "off"
)

// Proxies returns the GOPROXY list up to and including the first "direct" or
// "off": what follows these is never used (cmd/go/internal/modfetch/proxy.go,
// proxyList).
func (s Settings) Proxies() []Entry {
	var out []Entry
	for list := s.GOPROXY; list != ""; {
		item, bar := list, false
		if i := strings.IndexAny(list, ",|"); i >= 0 {
			item, bar, list = list[:i], list[i] == '|', list[i+1:]
		} else {
			list = ""
		}
		switch item = strings.TrimSpace(item); item {
		case "":
			continue
		case Direct, Off:
			return append(out, Entry{Name: item})
		}
		endpoint, _ := parseURL(item)
		out = append(out, Entry{Name: Redact(item), Endpoint: endpoint, OnAnyError: bar})
	}
	return out
}

// MovesOn reports whether the go command goes on to the next entry after e
// answered a request with an HTTP status; zero stands for any failure without
// one.
func (e Entry) MovesOn(status int) bool {
	return e.OnAnyError || status == 404 || status == 410
}

// NoProxy reports whether a module path is fetched without a proxy: it
// matches GONOPROXY, which is GOPRIVATE where it is not set.
func (s Settings) NoProxy(modulePath string) bool {
	return matchesPrefix(firstOf(s.GONOPROXY, s.GOPRIVATE), modulePath)
}

// NoSumDB reports whether a module path is not looked up in the checksum
// database.
func (s Settings) NoSumDB(modulePath string) bool {
	if _, ok := s.SumDB(); !ok {
		return true
	}
	return matchesPrefix(firstOf(s.GONOSUMDB, s.GOPRIVATE), modulePath)
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
