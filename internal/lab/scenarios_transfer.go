//go:build linux

package lab

import "time"

// Scenarios in which a body stops half way.
func transferScenarios() []Scenario {
	far := "network|remote"
	// What the client writes during a body of HTTP/2 can meet the reset first;
	// the socket tells of it once, and the next read finds only the end.
	const resetInBody = "connection reset by peer|unexpected EOF"
	// Where chance takes every packet of the last half minute, the answer to a
	// keep-alive included, nothing tells this from a path that died; where it
	// takes those of the last seconds and leaves no hole, nothing from a server
	// that fell silent.
	lossy := truth("transfer.heavy-loss|transfer.path-dead|transfer.remote-idle", "network", far)
	return []Scenario{
		{
			Name: "stalled-body", About: "the server stops in the middle of a body, HTTP/2; keep-alives of both ends are answered",
			Truth: truth("transfer.remote-idle", "remote", "remote"), End: Hangs, Limit: stall, Modules: one(), Proxy: Site{Body: StopBody},
		},
		{
			Name: "stalled-body-http1", About: "the same over HTTP/1.1, 150 ms away, offloads off",
			Truth: truth("transfer.remote-idle", "remote", "remote"), End: Hangs, Limit: stall, Modules: one(), Proxy: Site{HTTP1: true, Body: StopBody},
			Path: Path{RTT: 150 * ms, Plain: true},
		},
		{
			Name: "stalled-body-short", About: "the same, with a capture that ends after 15 s: before any keep-alive of the client",
			Truth: truth("transfer.remote-idle|ok", "", far), Quick: true, End: Hangs, Limit: 15e9, Modules: one(), Proxy: Site{Body: StopBody},
		},
		{
			Name: "stalled-body-other-program", About: "the server stops in the middle of a body while another program downloads from it without trouble",
			Truth: truth("transfer.remote-idle", "remote", "remote"), End: Hangs, Limit: stall, Modules: one(), Proxy: Site{Body: StopBody},
			While: OtherDownload(3*time.Second, ProxyName, "/example.net/alpha/@v/v1.2.3.mod"),
		},
		{
			Name: "blackhole-body", About: "everything is dropped from the middle of a body on; keep-alives stay unanswered",
			Truth: truth("transfer.path-dead", "network", far), End: Hangs, Limit: stall + 2e9, Modules: one(), Proxy: Site{Body: LoseBody},
		},
		{
			Name: "blackhole-body-ipv6", About: "the same over IPv6, HTTP/1.1",
			Truth: truth("transfer.path-dead", "network", far), End: Hangs, Limit: stall + 2e9, Modules: one(), Proxy: Site{HTTP1: true, Body: LoseBody},
			Path: Path{Family: IPv6Only},
		},
		{
			Name: "blackhole-flying", About: "the path dies while a big body is on its way",
			Truth: truth("transfer.path-dead", "network", far), End: Hangs, Limit: stall, Modules: large(),
			Path: Path{Box: []Maker{CutAll(All(Down, Past(150_000)))}},
		},
		{
			Name: "freeze-16k", About: "a connection is frozen when 16 KB have come, both ways; others live on",
			Truth: truth("transfer.path-dead", "network", far), End: Hangs, Limit: stall, Modules: one(),
			Path: Path{Box: []Maker{Cut(All(Down, Past(16_000)))}},
		},
		{
			Name: "heavy-loss", About: "60 % of the packets to the client are lost from 100 KB on",
			Truth: lossy, End: Hangs, Limit: stall, Modules: large(),
			Path: Path{Most: brisk, Box: []Maker{Loss(0.6, All(Down, Past(100_000)))}},
		},
		{
			Name: "heavy-loss-distant", About: "half of the packets to the client are lost on a path of 150 ms, and some never get through; offloads off",
			Truth: truth("transfer.heavy-loss", "network", "network"), End: Hangs, Limit: stall, Modules: large(),
			Path: Path{RTT: 150 * ms, Plain: true, Box: []Maker{Loss(0.5, All(Down, Past(60_000))), Drop(All(Down, Over(90_000)))}},
		},
		{
			Name: "reset-body", About: "the server resets the connection in the middle of a body, HTTP/1.1",
			Truth: truth("transfer.reset", "remote", far), Quick: true, End: Fails, Says: "connection reset by peer", Modules: one(),
			Proxy: Site{HTTP1: true, Body: ResetBody},
		},
		{
			Name: "reset-body-h2", About: "the same over HTTP/2, 150 ms away, offloads off",
			Truth: truth("transfer.reset", "remote", far), Quick: true, End: Fails, Says: resetInBody, Modules: one(),
			Proxy: Site{HTTP2: true, Body: ResetBody}, Path: Path{RTT: 150 * ms, Plain: true},
		},
		{
			Name: "reset-body-forged", About: "a box on the path resets a connection when 40 KB have come; its TTL is another and the server's data goes on",
			Truth: truth("transfer.reset", "network", "network"), Quick: true, End: Fails, Says: resetInBody, Modules: large(),
			Path: Path{Least: forged, Box: []Maker{Inject(Reset{TTL: 44, IPID: 99, Bare: true, Count: 3}, All(Down, Data, Past(40_000)))}},
		},
		{
			Name: "closed-body", About: "the server closes the connection in the middle of a body, HTTP/1.1",
			Truth: truth("transfer.truncated", "remote", far), Quick: true, End: Fails, Says: "unexpected EOF", Modules: one(),
			Proxy: Site{HTTP1: true, Body: CloseBody},
		},
		{
			Name: "closed-body-h2", About: "the same over HTTP/2",
			Truth: truth("transfer.truncated", "remote", far), Quick: true, End: Fails, Modules: one(),
			Proxy: Site{HTTP2: true, Body: CloseBody},
		},
	}
}
