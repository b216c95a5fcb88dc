//go:build linux

package lab

import "net/http"

const bothByComma = "https://" + ProxyName + ",https://" + SecondName
const bothByBar = "https://" + ProxyName + "|https://" + SecondName

// gitModule is one that only the git host has.
func gitModule() []Module { return []Module{{GitName + "/team/tool", 4000}} }

func fallbackScenarios() []Scenario {
	return []Scenario{
		{
			Name: "fallback-comma-404", About: "the first proxy knows no module (404), the second has them",
			Truth: healthy, Quick: true, GOPROXY: bothByComma, Proxy: Site{Request: Status(http.StatusNotFound)},
		},
		{
			Name: "fallback-bar-refused", About: "the first proxy refuses connections, the second is asked after a bar",
			Truth: healthy, Quick: true, GOPROXY: bothByBar, Proxy: Site{Closed: true},
		},
		{
			Name: "fallback-bar-reset", About: "the first proxy's name provokes resets, the second delivers",
			Truth: healthy, Quick: true, GOPROXY: bothByBar, Path: Path{Least: forged, Box: []Maker{Inject(Reset{TTL: 47, IPID: 11}, All(HelloStart, Named(ProxyName)))}},
		},
		{
			Name: "fallback-bar-silent", About: "the first proxy's ClientHello is lost, the second delivers after the timeout",
			Truth: healthy, GOPROXY: bothByBar, Modules: small(), Path: Path{Box: []Maker{Drop(All(Hello, Named(ProxyName)))}},
		},
		{
			Name: "no-fallback-after-comma", About: "the first proxy refuses connections; after a comma the second is not asked",
			Truth: truth("connect.refused", "remote", "network|remote"), Quick: true, End: Fails, Says: "connection refused",
			GOPROXY: bothByComma, Proxy: Site{Closed: true},
		},
		{
			Name: "fallback-both-fail", About: "the first proxy knows no module, the second one's connections are reset by the server",
			Truth: truth("tls.reset", "remote", "network|remote"), Quick: true, End: Fails, Says: "connection reset by peer",
			GOPROXY: bothByComma, Proxy: Site{Request: Status(http.StatusNotFound)}, Second: Site{Hello: ResetAfterHello},
		},
		{
			Name: "sums-through-proxy", About: "the checksum database is asked through the proxy",
			Truth: healthy, Quick: true, Sums: ProxiedSums,
		},
		{
			Name: "sums-direct", About: "the proxy does not serve the checksum database, so it is asked itself",
			Truth: healthy, Quick: true, Sums: DirectSums,
		},
		{
			Name: "sums-reset", About: "modules come, but the name of the checksum database provokes resets",
			Truth: truth("tls.reset", "network", "network"), Quick: true, End: Fails, Says: "connection reset by peer",
			Sums: DirectSums, Path: Path{Least: forged, Box: []Maker{Inject(Reset{TTL: 101, IPID: 7, Count: 3}, All(HelloStart, Named(SumDBName)))}},
		},
		{
			Name: "sums-unreachable", About: "modules come, but SYNs to the checksum database stay without an answer",
			Truth: truth("connect.no-answer", "network", "network|remote"), End: Fails, Says: "i/o timeout", Modules: small(),
			Sums: DirectSums, Path: Path{Box: []Maker{Drop(All(Syn, Server(SumDBName)))}},
		},
		{
			Name: "redirect", About: "zips are redirected to another host",
			Truth: healthy, Quick: true, Proxy: Site{Request: For(".zip", RedirectTo(StorageName))},
		},
		{
			Name: "redirect-reset", About: "zips are redirected to a host whose name provokes resets",
			Truth: truth("tls.reset", "network", "network"), Quick: true, End: Fails, Says: "connection reset by peer",
			Proxy: Site{Request: For(".zip", RedirectTo(StorageName))},
			Path:  Path{Least: forged, Box: []Maker{Inject(Reset{TTL: 110, IPID: 4000, Fragment: true}, All(HelloStart, Named(StorageName)))}},
		},
		{
			Name: "redirect-refused", About: "zips are redirected to a host that refuses connections",
			Truth: truth("connect.refused", "remote", "network|remote"), Quick: true, End: Fails, Says: "connection refused",
			Proxy: Site{Request: For(".zip", RedirectTo(StorageName))}, Storage: Site{Closed: true},
		},
		{
			Name: "git-direct", About: "a module comes from a git repository",
			Truth: healthy, Quick: true, GOPROXY: "direct", Modules: gitModule(),
		},
		{
			Name: "git-after-404", About: "the proxy does not know a module, so it comes from a git repository",
			Truth: healthy, Quick: true, GOPROXY: "https://" + ProxyName + ",direct", Modules: append(gitModule(), small()...),
		},
		{
			Name: "git-reset", About: "the proxy does not know a module, and the git host's name provokes resets",
			Truth: truth("tls.reset", "network", "network"), Quick: true, End: Fails,
			GOPROXY: "https://" + ProxyName + ",direct", Modules: gitModule(),
			Path: Path{Least: forged, Box: []Maker{Inject(Reset{TTL: 77, IPID: 153, Count: 3}, All(HelloStart, Named(GitName)))}},
		},
		{
			Name: "ipv6-dead-ipv4-fine", About: "SYNs over IPv6 stay without an answer, IPv4 takes over after 300 ms",
			Truth: healthy, Quick: true, Path: Path{Family: DualStack, Box: []Maker{Drop(All(TCP, V6))}},
		},
		{
			Name: "ipv6-unreachable-ipv4-fine", About: "ICMPv6 answers SYNs over IPv6, IPv4 takes over at once",
			Truth: healthy, Quick: true, Path: Path{Family: DualStack, Box: []Maker{ICMP(1, 0, 0, false, All(Syn, V6))}},
		},
		{
			Name: "first-address-dead", About: "the first of two addresses never answers, the second delivers after 15 s",
			Truth: healthy, Modules: small(),
			Path:   Path{Box: []Maker{Drop(All(TCP, To("198.51.100.99")))}},
			Lookup: Resolved("198.51.100.99", siteAddrs[ProxyName].v4.String()),
		},
	}
}
