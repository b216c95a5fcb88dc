//go:build linux

package lab

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

func healthyScenarios() []Scenario {
	return []Scenario{
		{
			Name: "healthy-h2", About: "three modules over HTTP/2, nothing wrong",
			Truth: healthy, Quick: true, Proxy: Site{HTTP2: true},
		},
		{
			Name: "healthy-http1", About: "three modules over HTTP/1.1, nothing wrong",
			Truth: healthy, Quick: true, Proxy: Site{HTTP1: true},
		},
		{
			Name: "healthy-near", About: "the server is 1 ms away, offloads are off",
			Truth: healthy, Quick: true, Path: Path{RTT: ms, Plain: true},
		},
		{
			Name: "healthy-distant", About: "the server is 150 ms away",
			Truth: healthy, Quick: true, Path: Path{RTT: 150 * ms},
		},
		{
			Name: "healthy-http1-near", About: "HTTP/1.1, the server is 1 ms away, offloads are off",
			Truth: healthy, Quick: true, Path: Path{RTT: ms, Plain: true}, Proxy: Site{HTTP1: true},
		},
		{
			Name: "healthy-http1-distant", About: "HTTP/1.1, the server is 150 ms away, offloads are off",
			Truth: healthy, Quick: true, Path: Path{RTT: 150 * ms, Plain: true}, Proxy: Site{HTTP1: true},
		},
		{
			Name: "healthy-http1-ipv6", About: "HTTP/1.1 over IPv6 alone, 1 ms away",
			Truth: healthy, Path: Path{RTT: ms, Family: IPv6Only}, Proxy: Site{HTTP1: true},
		},
		{
			Name: "healthy-ipv6", About: "IPv6 alone",
			Truth: healthy, Quick: true, Path: Path{Family: IPv6Only},
		},
		{
			Name: "healthy-dual-stack", About: "both families, IPv6 is used",
			Truth: healthy, Path: Path{Family: DualStack, Plain: true},
		},
		{
			Name: "healthy-tls12", About: "TLS 1.2",
			Truth: healthy, Quick: true, Proxy: Site{TLS: func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }},
		},
		{
			Name: "healthy-tls12-http1", About: "TLS 1.2 and HTTP/1.1",
			Truth: healthy, Proxy: Site{HTTP1: true, TLS: func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }},
		},
		{
			Name: "healthy-hello-retry", About: "the server knows no group that the client sent a key share for: HelloRetryRequest",
			Truth: healthy, Quick: true, Proxy: Site{TLS: func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP384} }},
		},
		{
			Name: "healthy-small-hello", About: "a ClientHello without post-quantum key share, in one segment",
			Truth: healthy, Env: []string{"GODEBUG=tlsmlkem=0,tlssecpmlkem=0"},
		},
		{
			Name: "healthy-big-module", About: "a module of 3 MB",
			Truth: healthy, Quick: true, Modules: large(),
		},
		{
			Name: "healthy-loss-1", About: "1 % of all packets are lost, both ways",
			Truth: healthy, Quick: true, Modules: large(), Proxy: Site{HTTP2: true}, Path: Path{Most: brisk, Box: []Maker{Loss(0.01, TCP)}},
		},
		{
			Name: "healthy-loss-3", About: "3 % of all packets are lost, both ways, HTTP/1.1",
			Truth: healthy, Modules: large(), Proxy: Site{HTTP1: true}, Path: Path{Most: brisk, Box: []Maker{Loss(0.03, TCP)}},
		},
		{
			Name: "healthy-loss-distant", About: "2 % of the packets to the client are lost on a path of 150 ms, offloads off",
			Truth: healthy, Modules: []Module{{"example.net/large", 1 << 20}}, Path: Path{RTT: 150 * ms, Plain: true, Box: []Maker{Loss(0.02, All(Down, Data))}},
		},
		{
			Name: "healthy-first-hello-lost", About: "each ClientHello is lost once and gets through when sent again",
			Truth: healthy, Quick: true, Path: Path{Box: []Maker{DropFirst(2, Hello)}},
		},
		{
			Name: "healthy-first-syn-lost", About: "each SYN is lost once",
			Truth: healthy, Quick: true, Path: Path{Box: []Maker{DropFirst(1, Syn)}},
		},
		{
			Name: "healthy-reordered", About: "one packet in ten to the client is overtaken by later ones",
			Truth: healthy, Quick: true, Modules: large(), Proxy: Site{HTTP2: true}, Path: Path{Most: brisk, Box: []Maker{Hold(0.1, 8*ms, All(Down, Data))}},
		},
		{
			Name: "healthy-reordered-http1", About: "the same over HTTP/1.1, offloads off",
			Truth: healthy, Modules: large(), Proxy: Site{HTTP1: true}, Path: Path{Plain: true, Most: brisk, Box: []Maker{Hold(0.1, 8*ms, All(Down, Data))}},
		},
		{
			Name: "healthy-shaped-http1", About: "a link of 250 kB/s with a deep queue, HTTP/1.1, 150 ms away, offloads off",
			Truth: healthy, Modules: large(), Proxy: Site{HTTP1: true}, Path: Path{RTT: 150 * ms, Plain: true, Box: []Maker{Shape(250_000, 500_000, Down)}},
		},
		{
			Name: "healthy-policed-http1", About: "a policer drops what exceeds 200 kB/s, HTTP/1.1, IPv6, 1 ms away",
			Truth: healthy, Modules: large(), Proxy: Site{HTTP1: true}, Path: Path{RTT: ms, Family: IPv6Only, Box: []Maker{Police(200_000, 30_000, Down)}},
		},
		{
			Name: "healthy-slow-server-http1", About: "the server thinks for 20 s before it sends a zip, HTTP/1.1, IPv6, offloads off",
			Truth: healthy, Modules: small(), Path: Path{Family: IPv6Only, Plain: true}, Proxy: Site{HTTP1: true, Request: For(".zip", Think(20*time.Second))},
		},
		{
			Name: "healthy-shaped", About: "a link of 250 kB/s with a deep queue",
			Truth: healthy, Modules: large(), Proxy: Site{HTTP2: true}, Path: Path{Box: []Maker{Shape(250_000, 500_000, Down)}},
		},
		{
			Name: "healthy-policed", About: "a policer drops what exceeds 200 kB/s",
			Truth: healthy, Modules: large(), Proxy: Site{HTTP2: true}, Path: Path{Most: brisk, Box: []Maker{Police(200_000, 30_000, Down)}},
		},
		{
			Name: "healthy-small-mtu", About: "a hop takes 1,400 bytes at most and says so by ICMP, both ways",
			Truth: healthy, Quick: true, Path: Path{Sized: true, Box: []Maker{TooBig(1400)}},
		},
		{
			Name: "healthy-small-mtu-ipv6", About: "a hop takes 1,320 bytes at most and says so by ICMPv6 Packet Too Big",
			Truth: healthy, Path: Path{Family: IPv6Only, Plain: true, Sized: true, Box: []Maker{TooBig(1320)}},
		},
		{
			Name: "healthy-slow-server", About: "the server thinks for 20 s before it sends a zip",
			Truth: healthy, Modules: small(), Proxy: Site{HTTP2: true, Request: For(".zip", Think(20*time.Second))},
		},
		{
			Name: "healthy-keep-alive", About: "the server thinks for 50 s; keep-alives of both ends are answered meanwhile, HTTP/1.1",
			Truth: healthy, Modules: small(), Proxy: Site{HTTP1: true, Request: For(".zip", Think(50*time.Second))},
		},
		{
			Name: "healthy-body-pause", About: "the server pauses for 12 s in the middle of a body",
			Truth: healthy, Modules: one(), Proxy: Site{Body: PauseBody(12 * time.Second)},
		},
		{
			Name: "healthy-spare-closed", About: "the server closes connections that nobody uses, HTTP/1.1",
			Truth: healthy, Quick: true,
			Modules: DefaultModules(),
			// Long enough that no pause of a busy machine looks like idleness.
			Proxy: Site{HTTP1: true, Idle: 3 * time.Second, Request: For(".mod", Think(5*time.Second))},
		},
		{
			Name: "healthy-reset-forged-ignored", About: "a forged reset outside the window is ignored and the download goes on",
			Truth: healthy, Quick: true, Path: Path{Box: []Maker{Inject(Reset{Step: 1 << 24, Count: 2, Bare: true, Stale: true}, HelloStart)}},
		},
		{
			Name: "healthy-dns-retry", About: "the first questions of each kind stay without an answer",
			Truth: healthy, Quick: true, Path: Path{Box: []Maker{DropFirst(2, Query)}},
		},
		{
			Name: "healthy-dns-aaaa-silent", About: "the question for IPv6 addresses is never answered; the download waits 10 s for it",
			Truth: healthy,
			Lookup: func(q dnsmessage.Question) *dnsmessage.Message {
				if q.Type == dnsmessage.TypeAAAA {
					return silence
				}
				return nil
			},
		},
		{
			Name: "healthy-other-program", About: "another program's connection elsewhere is refused; the download is not concerned",
			Truth: healthy, Quick: true,
			Path: Path{Box: []Maker{Shape(60_000, 500_000, All(Down, Server(ProxyName)))}},
			While: func(ctx context.Context, l *Lab) {
				pause(ctx, 300*ms)
				l.Client(func() {
					c, err := net.DialTimeout("tcp", net.JoinHostPort(tunnelAddr.v4.String(), "443"), 2*time.Second)
					if err == nil {
						c.Close()
					}
				})
			},
		},
	}
}
