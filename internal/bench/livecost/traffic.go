package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

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

// connections is how many are open at once in segments.
const connections = 16

// Offsets in a frame of Ethernet, IPv4 and TCP without options.
const (
	atSeq = 14 + 20 + 4
	atAck = 14 + 20 + 8
	atSum = 14 + 20 + 16
)

// put changes a field of a TCP header, and the checksum with it (RFC 1624,
// section 3).
func put(b []byte, at int, v uint32) {
	sum := uint32(^binary.BigEndian.Uint16(b[atSum:]))
	for i, half := range [2]uint16{uint16(v >> 16), uint16(v)} {
		field := b[at+2*i:]
		sum += uint32(^binary.BigEndian.Uint16(field)) + uint32(half)
		binary.BigEndian.PutUint16(field, half)
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(b[atSum:], ^uint16(sum))
}

// applicationData is a TLS record's type (RFC 8446, section 5.1).
const applicationData = 23

// segments sends the packets of some downloads in turn: three that open each
// connection, then each segment of the server and its acknowledgement. Each
// segment holds one TLS record.
func segments(size int) generator {
	type connection struct {
		data, ack []byte
		opening   []frame
		seq       uint32
	}
	body := make([]byte, size)
	body[0], body[1], body[2] = applicationData, 3, 3
	binary.BigEndian.PutUint16(body[3:], uint16(size-5))
	list := make([]*connection, connections)
	for i := range list {
		p := packets.TCPBetween(netip.AddrPortFrom(client, uint16(40000+i)), netip.AddrPortFrom(server, 443))
		syn := p.Clone().Seq(999).Flags(packets.SYN).Ethernet()
		answer := p.Reply().Seq(4999).Flags(packets.SYN).Ack(1000).Ethernet()
		ack := p.Clone().Seq(1000).Ack(5000).Ethernet()
		data := p.Reply().Seq(5000).Ack(1000).Flags(packets.PSH).Payload(body).Ethernet()
		list[i] = &connection{data: data, ack: ack, seq: 5000, opening: []frame{{syn, false}, {answer, true}, {slices.Clone(ack), false}}}
	}
	at, acknowledge := 0, false
	return func() frame {
		c := list[at]
		if len(c.opening) > 0 {
			f := c.opening[0]
			c.opening = c.opening[1:]
			if len(c.opening) == 0 {
				at = (at + 1) % len(list)
			}
			return f
		}
		if acknowledge {
			acknowledge = false
			put(c.ack, atAck, c.seq)
			at = (at + 1) % len(list)
			return frame{c.ack, false}
		}
		put(c.data, atSeq, c.seq)
		c.seq += uint32(size)
		acknowledge = true
		return frame{c.data, true}
	}
}
