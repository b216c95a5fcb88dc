package main

import (
	"fmt"
	"net/netip"

	"goproxytrace/internal/packets"
)

// frame is one packet on the wire; fromServer ones arrive at the host that is
// captured on, others leave it.
type frame struct {
	data       []byte
	fromServer bool
}

// generator yields frames without end. What it returns is valid until the next
// call.
type generator func() frame

// The host that is captured on, and the server. Neither address is configured
// anywhere: no TCP answers what is injected.
var client, server = netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("10.9.1.2")

func newGenerator(traffic string, size int) (generator, error) {
	switch traffic {
	case "udp":
		return datagrams(size), nil
	case "tcp":
		return segments(size), nil
	}
	return nil, fmt.Errorf("no such traffic: %q", traffic)
}

// datagrams sends to a port that is captured and that nothing is read on.
func datagrams(size int) generator {
	f := frame{data: packets.UDPBetween(netip.AddrPortFrom(client, 40000), netip.AddrPortFrom(server, 443)).Payload(make([]byte, size)).Ethernet()}
	return func() frame { return f }
}

// connections is how many downloads there are at once.
const connections = 16

// segments sends the packets of downloads.
func segments(size int) generator {
	d := packets.NewDownload(netip.AddrPortFrom(client, 40000), netip.AddrPortFrom(server, 443), connections, size)
	return func() frame {
		data, fromServer := d.Next()
		return frame{data, fromServer}
	}
}
