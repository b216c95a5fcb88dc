package live

import (
	"testing"

	"goproxytrace/capture"
	"goproxytrace/internal/packets"
)

// agree compares the quick look with the close one.
func agree(t *testing.T, p *capture.Packet) {
	t.Helper()
	var k flowKey
	kind, flags, data := quick(p, &k)
	tuple, ok := tupleOf(p)
	switch {
	case kind == notTCP && ok:
		t.Errorf("%x: the quick look sees no TCP, the close one %v", p.Data, tuple)
	case kind == tcpSegment && (!ok || flags != tuple.flags || data > 0 != tuple.payload || data > 1 != tuple.moves):
		t.Errorf("%x: flags %x and %d bytes; the close look says %v, %+v", p.Data, flags, data, ok, tuple)
	case kind == tcpSegment && k == flowKey{}:
		t.Errorf("%x has no key", p.Data)
	}
	if ok && tuple.flags&flagSYN != 0 && !mayOpen(p) {
		t.Errorf("%x: an attempt to connect is passed over", p.Data)
	}
}

func FuzzQuick(f *testing.F) {
	tcp := packets.TCP("192.0.2.1:40000", "198.51.100.1:443").Flags(packets.ACK)
	f.Add(uint16(1), tcp.Ethernet())
	f.Add(uint16(1), packets.TCP("192.0.2.1:40000", "198.51.100.1:443").Flags(packets.SYN).Ethernet())
	f.Add(uint16(1), tcp.Payload([]byte("x")).Ethernet())
	f.Add(uint16(1), tcp.Payload([]byte("text")).VLAN(7).Ethernet())
	f.Add(uint16(1), tcp.TotalLength(0).Ethernet())
	f.Add(uint16(101), packets.TCP("[2001:db8::1]:1", "[2001:db8::2]:443").Payload([]byte("text")).Ethernet()[14:])
	f.Add(uint16(1), packets.UDP("192.0.2.1:40000", "198.51.100.1:443").Ethernet())
	f.Fuzz(func(t *testing.T, link uint16, data []byte) {
		for n := range data {
			agree(t, &capture.Packet{LinkType: capture.LinkType(link), Data: data[:n]})
		}
		agree(t, &capture.Packet{LinkType: capture.LinkType(link), Data: data})
	})
}

// segment is one that neither opens nor ends a connection.
func segment(at int64, from, to string, direction capture.Direction, payload string) capture.Packet {
	b := packets.TCP(from, to).Flags(packets.ACK).Seq(1).Text(payload).Ethernet()
	return capture.Packet{Time: at, HasTime: true, Data: b, LinkType: 1, FCSLen: -1, Direction: direction}
}

// The owners are asked once for a connection's packets, and again when they
// know more, when the answer has run out, and for another way of the same
// addresses.
func TestOwnersAskedOnce(t *testing.T) {
	const client, server = "192.0.2.1:40001", "198.51.100.1:443"
	w := newWatcher()
	s := New(Options{Source: newEngine(1), Owners: w})
	take := func(at int64, direction capture.Direction) uint32 {
		from, to := client, server
		if direction == capture.Inbound {
			from, to = to, from
		}
		p := segment(at, from, to, direction, "data")
		s.attribute(&p, new(stir))
		return p.ProcessID
	}
	for i, step := range []struct {
		at        int64
		direction capture.Direction
		before    func()
		pid       uint32
		asked     int
	}{
		{at: 10, direction: capture.Outbound, asked: 1},
		{at: 11, direction: capture.Outbound, asked: 1},
		{at: 12, direction: capture.Outbound, before: func() { w.own(client, 7) }, pid: 7, asked: 2},
		{at: 13, direction: capture.Outbound, pid: 7, asked: 2},
		{at: 13, direction: capture.Inbound, pid: 7, asked: 3},
		{at: 14, direction: capture.Inbound, pid: 7, asked: 3},
		// Before the time that was asked for.
		{at: 5, direction: capture.Outbound, pid: 7, asked: 4},
		{at: 20, direction: capture.Outbound, before: func() { w.until = 25; w.own(client, 8) }, pid: 8, asked: 5},
		{at: 25, direction: capture.Outbound, pid: 8, asked: 5},
		{at: 26, direction: capture.Outbound, pid: 8, asked: 6},
	} {
		if step.before != nil {
			step.before()
		}
		if pid := take(step.at, step.direction); pid != step.pid || w.asked != step.asked {
			t.Errorf("step %d: owner %d after %d questions, want %d after %d", i, pid, w.asked, step.pid, step.asked)
		}
	}
}

// What remembered flows show of a connection is what each segment shows.
func TestOpenByFlow(t *testing.T) {
	const client, server = "192.0.2.1:40001", "198.51.100.1:443"
	s := New(Options{Source: newEngine(1)})
	var by activity // told of every segment
	for i, step := range []struct {
		flags   uint16
		payload string
		inbound bool
	}{
		{flags: packets.ACK}, {flags: packets.ACK, payload: "a"}, {flags: packets.ACK, payload: "ab", inbound: true},
		{flags: packets.ACK, payload: "ab"}, {flags: packets.RST, inbound: true}, {flags: packets.ACK}, {flags: packets.ACK, payload: "ab"},
		{flags: packets.FIN | packets.ACK}, {flags: packets.ACK, payload: "ab", inbound: true}, {flags: packets.FIN | packets.ACK, inbound: true},
		{flags: packets.ACK}, {flags: packets.SYN}, {flags: packets.ACK, payload: "x"},
	} {
		p := segment(1, client, server, capture.Outbound, step.payload)
		from, to := client, server
		if step.inbound {
			p.Direction = capture.Inbound
			from, to = to, from
		}
		p.Data = packets.TCP(from, to).Flags(step.flags).Seq(1).Text(step.payload).Ethernet()
		tuple, _ := tupleOf(&p)
		by.segment(&tuple)
		var now stir
		s.attribute(&p, &now)
		if got := s.Activity().Open; got != by.Open || !now.heard || now.moved != (len(step.payload) > 1) {
			t.Errorf("step %d: %d open, want %d; %+v", i, got, by.Open, now)
		}
	}
}

func TestFlowsApart(t *testing.T) {
	seen := map[flowKey]bool{}
	for _, p := range []capture.Packet{
		segment(1, "192.0.2.1:1", "192.0.2.2:2", capture.Outbound, ""), segment(1, "192.0.2.2:2", "192.0.2.1:1", capture.Outbound, ""),
		segment(1, "192.0.2.1:1", "192.0.2.2:2", capture.Inbound, ""), segment(1, "192.0.2.1:2", "192.0.2.2:1", capture.Outbound, ""),
		segment(1, "[2001:db8::1]:1", "[2001:db8::2]:2", capture.Outbound, ""), segment(1, "[2001:db8::1]:1", "[2001:db8::3]:2", capture.Outbound, ""),
	} {
		var k flowKey
		if kind, _, _ := quick(&p, &k); kind != tcpSegment || seen[k] {
			t.Errorf("%x: kind %d, key %+v again", p.Data, kind, k)
		}
		seen[k] = true
	}
}
