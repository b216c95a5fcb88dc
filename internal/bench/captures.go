package main

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/netip"

	"golang.org/x/net/dns/dnsmessage"

	"goproxytrace/internal/packets"
)

// epoch is when every capture begins: 2026-01-05 08:00 UTC.
const epoch int64 = 1767600000 * second

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)) }

func ip4(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

func ip6(n uint16) netip.Addr {
	return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 14: byte(n >> 8), 15: byte(n)})
}

// writeDownloads writes a capture of module downloads over TLS until it holds
// size bytes: real handshakes, then requests and bodies, some connections at
// a time, one direction of bulk with its acknowledgements. average is the mean
// number of bytes a connection carries.
func writeDownloads(w io.Writer, format string, seed uint64, size, average int64) (*captureWriter, error) {
	out, err := newCaptureWriter(w, format, 262144)
	if err != nil {
		return nil, err
	}
	handshakes, err := recordHandshakes(24)
	if err != nil {
		return nil, err
	}
	rng, s, now := seeded(seed), newSchedule(), epoch
	started := 0
	for out.bytes < size {
		if s.Len() < 4+started%9 {
			client, server := ip4(0xc000020a), ip4(0xcb007100+uint32(rng.IntN(6)))
			if started%5 == 4 {
				client, server = ip6(0x10), ip6(uint16(0x100+rng.IntN(6)))
			}
			if started%6 == 0 {
				if err := writeLookup(out, rng, now, client); err != nil {
					return nil, err
				}
			}
			c := newConn(rng, now+between(rng, 0, 20*millisecond),
				netip.AddrPortFrom(client, uint16(32768+started%28000)), netip.AddrPortFrom(server, 443))
			c.loss, c.reorder = 0.0006, 0.0004
			c.reset = rng.IntN(20) == 0
			c.tlsTurns(handshakes[started%len(handshakes)], average)
			s.start(c)
			started++
		}
		if _, err := s.step(out); err != nil {
			return nil, err
		}
		now = out.last
	}
	return out, out.finish()
}

// tlsTurns gives the connection a recorded handshake and some requests, whose
// bodies add up to about average bytes.
func (c *conn) tlsTurns(handshake []flight, average int64) {
	for _, f := range handshake {
		side := 0
		if f.fromServer {
			side = 1
		}
		c.content[side].add(int64(len(f.data)), f.data, 0)
		c.steps = append(c.steps, step{f.fromServer, int64(len(f.data)), between(c.rng, 0, 3*millisecond)})
	}
	record := []int64{16406, 16406, 16406, 8215, 4118, 1405}[c.rng.IntN(6)]
	requests := 1 + c.rng.IntN(9)
	for range requests {
		ask := 60 + c.rng.Int64N(200)
		c.content[0].add(ask, nil, ask)
		c.steps = append(c.steps, step{false, ask, between(c.rng, 0, 30*millisecond)})
		// Log-normal with a mean of average: few large modules, many small.
		body := int64(float64(average) / float64(requests) * math.Exp(c.rng.NormFloat64()*1.1-0.6))
		body = max(body, 300)
		if tail := body % record; tail > 0 && tail < 32 {
			body += 32 // a record is never shorter than its own framing
		}
		c.content[1].add(body, nil, record)
		c.steps = append(c.steps, step{true, body, between(c.rng, 0, 40*millisecond)})
	}
}

// writeLookup writes a DNS question for proxy.example and its answer.
func writeLookup(out *captureWriter, rng *rand.Rand, t int64, client netip.Addr) error {
	resolver := ip4(0xc0000235)
	typ := dnsmessage.TypeA
	if client.Is6() {
		resolver, typ = ip6(0x53), dnsmessage.TypeAAAA
	}
	name := dnsmessage.MustNewName("proxy.example.")
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: uint16(rng.Uint32()), RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: name, Type: typ, Class: dnsmessage.ClassINET}},
	}
	q, err := m.Pack()
	if err != nil {
		return err
	}
	m.Response, m.RecursionAvailable = true, true
	var body dnsmessage.ResourceBody = &dnsmessage.AResource{A: [4]byte{203, 0, 113, 1}}
	if client.Is6() {
		body = &dnsmessage.AAAAResource{AAAA: ip6(0x100).As16()}
	}
	m.Answers = []dnsmessage.Resource{{
		Header: dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: 60}, Body: body,
	}}
	a, err := m.Pack()
	if err != nil {
		return err
	}
	p := packets.UDPBetween(netip.AddrPortFrom(client, uint16(32768+rng.IntN(28000))), netip.AddrPortFrom(resolver, 53))
	if err := out.packet(t, p.Payload(q).Ethernet()); err != nil {
		return err
	}
	return out.packet(t, p.Reply().Payload(a).Ethernet())
}

// writeMixed writes exactly count packets cut to 96 bytes: conns connections
// that open, carry a little and close, two dozen bulk flows beside them, scans
// that nobody answers, refusals and UDP.
func writeMixed(w io.Writer, format string, seed uint64, count, conns int64) (*captureWriter, error) {
	out, err := newCaptureWriter(w, format, 96)
	if err != nil {
		return nil, err
	}
	handshakes, err := recordHandshakes(24)
	if err != nil {
		return nil, err
	}
	rng, s, now := seeded(seed), newSchedule(), epoch
	bulk := map[*conn]bool{}
	var started int64
	for out.packets < count {
		for len(bulk) < 24 {
			c := newConn(rng, now+between(rng, 0, 200*millisecond), mixedClient(rng), mixedServer(rng))
			c.loss, c.reorder = 0.0015, 0.001
			n := between(rng, 1<<20, 1<<27)
			c.content[0].add(200, nil, 0)
			c.content[1].add(n, nil, 0)
			c.steps = []step{{false, 200, 0}, {true, n, 0}}
			bulk[c] = true
			s.start(c)
		}
		for ; started*count < out.packets*conns; started++ {
			c := newConn(rng, now+between(rng, 0, 5*millisecond), mixedClient(rng), mixedServer(rng))
			c.loss, c.reorder = 0.004, 0.002
			c.reset = rng.IntN(8) == 0
			switch kind := rng.IntN(20); {
			case kind == 0:
				c.silent = true
			case kind == 1:
				c.refused = true
			case kind < 12:
				c.tlsTurns(handshakes[rng.IntN(len(handshakes))], 6000)
			default:
				for range 1 + rng.IntN(3) {
					ask, answer := 80+rng.Int64N(700), between(rng, 100, 20000)
					c.content[0].add(ask, nil, 0)
					c.content[1].add(answer, nil, 0)
					c.steps = append(c.steps, step{false, ask, 0}, step{true, answer, between(rng, 0, 50*millisecond)})
				}
			}
			s.start(c)
		}
		if rng.IntN(25) == 0 {
			p := packets.UDPBetween(mixedClient(rng), mixedServer(rng))
			n := 20 + rng.IntN(1200)
			if err := out.packet(now, p.Payload(pool[:n]).Ethernet()); err != nil {
				return nil, err
			}
			continue
		}
		ended, err := s.step(out)
		if err != nil {
			return nil, err
		}
		delete(bulk, ended)
		now = out.last
	}
	return out, out.finish()
}

func mixedClient(rng *rand.Rand) netip.AddrPort {
	return netip.AddrPortFrom(ip4(0x0a000000+uint32(rng.IntN(4096))), uint16(1024+rng.IntN(64000)))
}

func mixedServer(rng *rand.Rand) netip.AddrPort {
	ports := []uint16{443, 443, 443, 80, 80, 22, 993, 8443}
	return netip.AddrPortFrom(ip4(0xcb007100+uint32(rng.IntN(250))), ports[rng.IntN(len(ports))])
}

// writeFlood writes count SYNs from as many different address and port pairs
// to one server, none of them answered.
func writeFlood(w io.Writer, format string, seed uint64, count int64) (*captureWriter, error) {
	if count < 0 || count > 1<<26 {
		return nil, fmt.Errorf("flood of %d packets: want 0 to %d", count, 1<<26)
	}
	out, err := newCaptureWriter(w, format, 262144)
	if err != nil {
		return nil, err
	}
	rng := seeded(seed)
	server := netip.AddrPortFrom(ip4(0xcb007101), 443)
	var frame []byte
	for i := range count {
		// An odd multiplier permutes 32-bit values: every tuple is different.
		mixed := uint32(i) * 2654435761
		client := netip.AddrPortFrom(ip4(0x64400000|mixed>>10), uint16(mixed&0x3ff)+20000)
		p := packets.TCPBetween(client, server).Flags(packets.SYN).Seq(rng.Uint32()).ID(uint16(i))
		frame = p.MSS(1460).AppendEthernet(frame[:0])
		if err := out.packet(epoch+i*3*microsecond, frame); err != nil {
			return nil, err
		}
	}
	return out, out.finish()
}
