package packets

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// Download yields the packets of some downloads in turn, without end: three that
// open each connection, then each segment of the server and its
// acknowledgement. Each segment holds one TLS record.
type Download struct {
	size        int
	list        []*downloading
	at          int
	acknowledge bool
}

type downloading struct {
	data, ack []byte
	opening   []step
	seq       uint32
}

type step struct {
	data       []byte
	fromServer bool
}

// Offsets in a frame of Ethernet, IPv4 and TCP without options.
const (
	atSeq = 14 + 20 + 4
	atAck = 14 + 20 + 8
	atSum = 14 + 20 + 16
)

// applicationData is a TLS record's type (RFC 8446, section 5.1).
const applicationData = 23

// NewDownload makes so many connections from a client, its ports from first on,
// to a server, whose segments have size bytes of payload, five of them or more.
func NewDownload(client netip.AddrPort, server netip.AddrPort, connections, size int) *Download {
	body := make([]byte, size)
	body[0], body[1], body[2] = applicationData, 3, 3
	binary.BigEndian.PutUint16(body[3:], uint16(size-5))
	d := &Download{size: size}
	for i := range connections {
		p := TCPBetween(netip.AddrPortFrom(client.Addr(), client.Port()+uint16(i)), server)
		syn := p.Clone().Seq(999).Flags(SYN).Ethernet()
		answer := p.Reply().Seq(4999).Flags(SYN).Ack(1000).Ethernet()
		ack := p.Clone().Seq(1000).Ack(5000).Ethernet()
		data := p.Reply().Seq(5000).Ack(1000).Flags(PSH).Payload(body).Ethernet()
		d.list = append(d.list, &downloading{data: data, ack: ack, seq: 5000, opening: []step{{syn, false}, {answer, true}, {slices.Clone(ack), false}}})
	}
	return d
}

// Next returns the next frame, which is valid until the next call, and whether
// it is the server's.
func (d *Download) Next() (frame []byte, fromServer bool) {
	c := d.list[d.at]
	switch {
	case len(c.opening) > 0:
		s := c.opening[0]
		c.opening = c.opening[1:]
		if len(c.opening) == 0 {
			d.at = (d.at + 1) % len(d.list)
		}
		return s.data, s.fromServer
	case d.acknowledge:
		d.acknowledge = false
		put(c.ack, atAck, c.seq)
		d.at = (d.at + 1) % len(d.list)
		return c.ack, false
	}
	put(c.data, atSeq, c.seq)
	c.seq += uint32(d.size)
	d.acknowledge = true
	return c.data, true
}

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
