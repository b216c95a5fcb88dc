//go:build linux

package lab

import (
	"context"
	"net"
	"net/http"
	"time"
)

// Scenarios with a CONNECT proxy.
func tunnelScenarios() []Scenario {
	refused := func(name, about, says string, status int, header string) Scenario {
		return Scenario{
			Name: name, About: about, Truth: truth("proxy.refused", "remote", "remote"), Quick: true, End: Fails, Says: says,
			Tunnel: &Tunnel{Scheme: "http", Reply: Refuse(status, header)},
		}
	}
	silent := func(ctx context.Context, _ *net.TCPConn, _ string) bool {
		<-ctx.Done()
		return true
	}
	return []Scenario{
		{
			Name: "tunnel-healthy", About: "everything goes through a CONNECT proxy",
			Truth: healthy, Quick: true, Tunnel: &Tunnel{Scheme: "http"},
		},
		refused("tunnel-403", "the CONNECT proxy forbids the host", "Forbidden", http.StatusForbidden, ""),
		refused("tunnel-407", "the CONNECT proxy wants credentials", "Proxy Authentication Required", http.StatusProxyAuthRequired, "Proxy-Authenticate: Basic realm=\"lab\"\r\n"),
		refused("tunnel-502", "the CONNECT proxy cannot reach the host", "Bad Gateway", http.StatusBadGateway, ""),
		{
			Name: "tunnel-silent", About: "the CONNECT proxy takes the request and says nothing; keep-alives are answered",
			Truth: truth("proxy.silent", "remote", "remote"), End: Hangs, Limit: stall, Modules: small(),
			Tunnel: &Tunnel{Scheme: "http", Reply: silent},
		},
		{
			Name: "tunnel-refused", About: "nothing listens at the CONNECT proxy's port",
			Truth: truth("connect.refused", "remote", "network|remote"), Quick: true, End: Fails, Says: "proxyconnect tcp",
			Tunnel: &Tunnel{Scheme: "http", Closed: true},
		},
		{
			Name: "tunnel-reset", About: "the CONNECT proxy makes the tunnel and resets it after the ClientHello",
			Truth: truth("tls.reset", "network|remote", "network|remote"), Quick: true, End: Fails, Says: "connection reset by peer",
			Tunnel: &Tunnel{Scheme: "http", Through: func(ctx context.Context, c *net.TCPConn) bool {
				pause(ctx, 20*time.Millisecond)
				c.SetLinger(0)
				return true
			}},
		},
		{
			Name: "tunnel-hello-silent", About: "the CONNECT proxy makes the tunnel, and then nothing comes through it",
			Truth: truth("tls.no-server-hello", "network|remote", "network|remote"), Quick: true, End: Fails, Says: "TLS handshake timeout", Modules: small(),
			Tunnel: &Tunnel{Scheme: "http"}, Proxy: Site{Hello: Silent},
		},
		{
			Name: "tunnel-tls-to-plain", About: "HTTPS_PROXY says https, but the proxy speaks plain HTTP",
			Truth: truth("tls.not-tls", "client", "client"), Quick: true, End: Fails,
			Tunnel: &Tunnel{Scheme: "https"},
		},
	}
}
