package live

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"goproxytrace/analyze/goproxy"
)

// basePorts are captured in any case: module proxies, lookups, revocation
// checks and plain HTTP, and ssh for modules that are fetched directly.
var basePorts = []uint16{443, 53, 80, 22}

// proxyVariables name the proxies that the go command and git use, in the
// order in which net/http looks at them.
var proxyVariables = []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"}

// Proxies lists the servers in the environment's proxy settings, each once.
// What is no address yields nothing.
func Proxies(getenv func(string) string) []goproxy.Endpoint {
	var out []goproxy.Endpoint
	for _, name := range proxyVariables {
		if e, ok := proxyEndpoint(getenv(name)); ok && !slices.Contains(out, e) {
			out = append(out, e)
		}
	}
	return out
}

// proxyEndpoint reads a proxy setting as net/http does: without a scheme it is
// an HTTP proxy.
func proxyEndpoint(raw string) (e goproxy.Endpoint, ok bool) {
	if raw == "" {
		return e, false
	}
	if !strings.Contains(raw, "://") {
		raw = "http://" + raw
	}
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" {
		return e, false
	}
	e.Host = strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	switch u.Scheme {
	case "http":
		e.Port = 80
	case "https":
		e.Port = 443
	case "socks5", "socks5h", "socks":
		e.Port = 1080
	}
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil {
			return e, false
		}
		e.Port = uint16(n)
	}
	return e, e.Port != 0
}

// Ports lists the TCP and UDP ports to capture: the usual ones, those of the
// servers that are contacted, and more.
func Ports(servers []goproxy.Endpoint, more []uint16) []uint16 {
	out := slices.Clone(basePorts)
	for _, e := range servers {
		out = append(out, e.Port)
	}
	out = append(out, more...)
	slices.Sort(out)
	out = slices.Compact(out)
	return slices.DeleteFunc(out, func(p uint16) bool { return p == 0 })
}

// Addresses lists those of the servers that are addresses, and leaves the rest
// as names.
func Addresses(servers []goproxy.Endpoint) (addresses []netip.Addr, names []string) {
	for _, e := range servers {
		if a, err := netip.ParseAddr(e.Host); err == nil {
			addresses = append(addresses, a)
		} else {
			names = append(names, e.Host)
		}
	}
	return addresses, names
}
