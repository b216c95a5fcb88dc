//go:build linux

package lab

import "net/http"

// Scenarios in which the handshake is done and the answer does not come, or
// is an error.
func responseScenarios() []Scenario {
	silent := truth("http.no-response", "remote", "remote")
	status := truth("ok|http.error", "", "network|remote")
	return []Scenario{
		{
			Name: "response-silent-h2", About: "the server never answers a request over HTTP/2; keep-alives are answered",
			Truth: silent, End: Hangs, Limit: stall, Modules: small(), Proxy: Site{HTTP2: true, Request: NoAnswer},
		},
		{
			Name: "response-silent-http1", About: "the same over HTTP/1.1, offloads off",
			Truth: silent, End: Hangs, Limit: stall, Modules: small(), Proxy: Site{HTTP1: true, Request: NoAnswer}, Path: Path{Plain: true},
		},
		{
			Name: "response-silent-short", About: "the same, with a capture that ends after 12 s: before any keep-alive",
			Truth: truth("http.no-response|ok", "", "network|remote"), Quick: true, End: Hangs, Limit: 12e9, Modules: small(), Proxy: Site{Request: NoAnswer},
		},
		{
			Name: "response-path-dead", About: "the path dies while the server thinks: keep-alives stay without an answer",
			Truth: truth("http.no-response|transfer.path-dead", "network", "network|remote"), End: Hangs, Limit: stall, Modules: small(),
			Proxy: Site{Request: CutThenThink},
		},
		{
			Name: "status-403", About: "the proxy forbids everything", Truth: status, Quick: true, End: Fails, Says: "403 Forbidden",
			Proxy: Site{Request: Status(http.StatusForbidden)},
		},
		{
			Name: "status-404", About: "the proxy knows nothing", Truth: status, Quick: true, End: Fails, Says: "404 Not Found",
			Proxy: Site{Request: Status(http.StatusNotFound)},
		},
		{
			Name: "status-500", About: "the proxy fails, HTTP/1.1", Truth: status, Quick: true, End: Fails, Says: "500 Internal Server Error",
			Proxy: Site{HTTP1: true, Request: Status(http.StatusInternalServerError)},
		},
	}
}
