//go:build linux

package lab

// Scenarios in which the capture itself cannot tell.
func captureScenarios() []Scenario {
	return []Scenario{
		{
			Name: "capture-one-direction", About: "the server never says a word, and a capture filter hides whatever it sends",
			Truth: truth("capture.unusable", "", ""), Quick: true, End: Fails, Says: "TLS handshake timeout", Modules: small(),
			Filter: "src host " + clientAddr.v4.String() + " and tcp", Proxy: Site{Hello: Silent},
		},
		{
			Name: "capture-one-direction-healthy", About: "nothing wrong, and a capture filter hides what the server sends",
			Truth: truth("capture.unusable", "", ""), Quick: true, End: Succeeds, Filter: "src host " + clientAddr.v4.String() + " and tcp",
		},
		{
			Name: "capture-sliced", About: "the server never says a word, and the packets are cut in their TCP headers",
			Truth: truth("capture.unusable|no-traffic", "", ""), Quick: true, End: Fails, Says: "TLS handshake timeout", Modules: small(),
			Snap: 40, Proxy: Site{Hello: Silent},
		},
		{
			Name: "capture-sliced-healthy", About: "nothing wrong; the packets are cut behind their TCP headers, as for statistics",
			Truth: truth("ok|capture.unusable", "", ""), Quick: true, End: Succeeds, Snap: 96,
		},
	}
}
