//go:build linux

package lab

import (
	"context"
	"net"
)

// Scenarios in which the go command itself is the end of it.
func clientScenarios() []Scenario {
	slow := Path{Box: []Maker{Shape(300_000, 300_000, Down)}}
	aborted := truth("client.aborted", "client", "client")
	return []Scenario{
		{
			Name: "client-interrupted", About: "SIGINT ends the go command in the middle of a body",
			Truth: aborted, Quick: true, End: Fails, Modules: large(), Path: slow,
			Proxy: Site{Body: func(_ context.Context, l *Lab, _ *net.TCPConn) { l.Interrupt() }},
		},
		{
			Name: "client-interrupted-http1", About: "the same over HTTP/1.1, offloads off",
			Truth: aborted, Quick: true, End: Fails, Modules: []Module{{"example.net/alpha", 150_000}},
			Path:  Path{Plain: true, Box: []Maker{Shape(60_000, 300_000, Down)}},
			Proxy: Site{HTTP1: true, Body: func(_ context.Context, l *Lab, _ *net.TCPConn) { l.Interrupt() }},
		},
		{
			Name: "client-killed", About: "SIGKILL ends the go command in the middle of a body",
			Truth: aborted, Quick: true, End: Fails, Modules: large(), Path: slow,
			Proxy: Site{Body: func(_ context.Context, l *Lab, _ *net.TCPConn) { l.Kill() }},
		},
		{
			Name: "client-interrupted-waiting", About: "SIGINT ends the go command while the server thinks",
			Truth: aborted, Quick: true, End: Fails, Modules: small(),
			Proxy: Site{Request: InterruptThenThink},
		},
		{
			Name: "client-paused-reading", About: "the go command is stopped in the middle of a big body: its window closes",
			Truth: truth("transfer.receiver-stalled|client.stalled", "client", "host|client"), End: Hangs, Limit: 25e9, Modules: []Module{{"example.net/large", 12 << 20}},
			Path:  Path{Box: []Maker{Do(All(Down, Past(400_000)), (*Lab).Pause)}},
			Proxy: Site{HTTP1: true},
		},
		{
			Name: "client-paused-before-hello", About: "the go command is stopped when its connection is made: no ClientHello follows",
			Truth: truth("tls.client-hello-not-sent|client.stalled", "client", "host|client"), Quick: true, End: Hangs, Limit: 15e9, Modules: small(),
			Path: Path{RTT: 150 * ms, Box: []Maker{Do(SynAck, (*Lab).Pause)}},
		},
		{
			Name: "client-paused-lookup", About: "the go command is stopped when its lookup is answered: no SYN follows",
			Truth: truth("connect.not-sent|client.stalled", "client", "host|client"), Quick: true, End: Hangs, Limit: 15e9, Modules: small(),
			Path: Path{RTT: 150 * ms, Box: []Maker{Do(Response, (*Lab).Pause)}},
		},
	}
}
