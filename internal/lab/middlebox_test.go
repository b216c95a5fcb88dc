//go:build linux

package lab

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// testBox is a middlebox without interfaces: what it sends is in its queue.
func testBox(makers ...Maker) *Box {
	b := &Box{half: time.Hour, chance: rand.New(rand.NewPCG(1, 0)), flows: map[flowKey]*flow{}, wake: make(chan struct{}, 1)}
	for _, m := range makers {
		b.elements = append(b.elements, m(b))
	}
	return b
}

// sent empties the queue, in order of time, and parses it.
func (b *Box) sent(t *testing.T) (out []*Packet) {
	t.Helper()
	for len(b.queue) > 0 {
		q := b.queue[0]
		b.queue[0] = b.queue[len(b.queue)-1]
		b.queue = b.queue[:len(b.queue)-1]
		if p := parse(q.frame, q.up); p != nil {
			out = append(out, p)
		} else {
			t.Fatalf("no packet: %x", q.frame)
		}
	}
	return out
}

var (
	clientEnd = netip.AddrPortFrom(clientAddr.v4, 40000)
	serverEnd = netip.AddrPortFrom(siteAddrs[ProxyName].v4, 443)
)

// segment makes a TCP frame between two ends.
func segment(from, to netip.AddrPort, flags byte, seq, ack uint32, payload []byte) []byte {
	h := make([]byte, 20, 20+len(payload))
	binary.BigEndian.PutUint16(h, from.Port())
	binary.BigEndian.PutUint16(h[2:], to.Port())
	binary.BigEndian.PutUint32(h[4:], seq)
	binary.BigEndian.PutUint32(h[8:], ack)
	h[12], h[13] = 5<<4, flags
	return datagram(from, to, protoTCP, append(h, payload...))
}

func datagram(from, to netip.AddrPort, proto byte, body []byte) []byte {
	frame := make([]byte, ethernetLen)
	v6 := from.Addr().Is6()
	binary.BigEndian.PutUint16(frame[12:], 0x0800)
	if v6 {
		binary.BigEndian.PutUint16(frame[12:], 0x86dd)
	}
	p := &Packet{v6: v6, frame: frame, src: to, dst: from}
	return p.toward(from.Addr(), to.Addr(), proto, 64, 1, false, body)
}

// hello is a ClientHello record for a name, padded to 1,523 bytes as Go's is.
func hello(name string) []byte {
	sni := binary.BigEndian.AppendUint16(nil, uint16(len(name)+3))
	sni = append(sni, 0)
	sni = append(binary.BigEndian.AppendUint16(sni, uint16(len(name))), name...)
	extensions := append([]byte{0, 23, 0, 0, 0, 0}, byte(len(sni)>>8), byte(len(sni)))
	extensions = append(extensions, sni...)
	body := append([]byte{3, 3}, make([]byte, 32)...)
	body = append(body, 0, 0, 2, 0x13, 1, 1, 0, byte(len(extensions)>>8), byte(len(extensions)))
	body = append(body, extensions...)
	body = append(body, make([]byte, 1523-9-len(body))...)
	record := append([]byte{22, 3, 1, byte((len(body) + 4) >> 8), byte(len(body) + 4), 1, 0, byte(len(body) >> 8), byte(len(body))}, body...)
	return record
}

// shake takes a connection to where the ClientHello may come.
func shake(b *Box, t *testing.T) {
	t.Helper()
	b.take(segment(clientEnd, serverEnd, flagSYN, 1000, 0, nil), true, time.Now())
	b.take(segment(serverEnd, clientEnd, flagSYN|flagACK, 5000, 1001, nil), false, time.Now())
	b.take(segment(clientEnd, serverEnd, flagACK, 1001, 5001, nil), true, time.Now())
	if got := b.sent(t); len(got) != 3 {
		t.Fatalf("%d packets of the handshake came through", len(got))
	}
}

// sayHello sends the ClientHello in two segments and returns what comes of it.
func sayHello(b *Box, t *testing.T, name string) []*Packet {
	t.Helper()
	h := hello(name)
	b.take(segment(clientEnd, serverEnd, flagACK, 1001, 5001, h[:1448]), true, time.Now())
	b.take(segment(clientEnd, serverEnd, flagPSH|flagACK, 1001+1448, 5001, h[1448:]), true, time.Now())
	return b.sent(t)
}

func TestClientHelloOfTheFirstSegment(t *testing.T) {
	h := hello(ProxyName)
	for _, cut := range []int{len(h), 1448, 120} {
		if record, name := clientHello(h[:cut]); record != 1523 || name != ProxyName {
			t.Errorf("first %d bytes: record of %d bytes, name %q", cut, record, name)
		}
	}
	for cut := range 110 {
		if _, name := clientHello(h[:cut]); name != "" && name != ProxyName {
			t.Errorf("first %d bytes: name %q", cut, name)
		}
	}
	if record, _ := clientHello([]byte("GET / HTTP/1.1\r\nHost: example.net\r\nAccept: */*\r\n\r\n")); record != 0 {
		t.Errorf("a request is a ClientHello of %d bytes", record)
	}
}

func TestParseKeepsWithinTheFrame(t *testing.T) {
	whole := segment(clientEnd, serverEnd, flagACK, 1, 2, []byte("data"))
	if p := parse(whole, true); p == nil || string(p.payload) != "data" || p.src != clientEnd || p.dst != serverEnd {
		t.Fatalf("parsed as %+v", p)
	}
	for cut := range len(whole) {
		if p := parse(whole[:cut], true); p != nil {
			t.Errorf("%d bytes of %d are a packet", cut, len(whole))
		}
	}
	// Padding of a short frame is not payload.
	padded := append(segment(clientEnd, serverEnd, flagACK, 1, 2, nil), 0, 0, 0, 0, 0, 0)
	if p := parse(padded, true); p == nil || len(p.payload) != 0 {
		t.Errorf("padding is payload: %+v", p)
	}
}

func TestChecksumsOfForgedPackets(t *testing.T) {
	for _, end := range []netip.Addr{siteAddrs[ProxyName].v4, siteAddrs[ProxyName].v6} {
		client := clientEnd
		if end.Is6() {
			client = netip.AddrPortFrom(clientAddr.v6, 40000)
		}
		f := segment(netip.AddrPortFrom(end, 443), client, flagRST, 1, 0, []byte("odd"))
		p := parse(f, false)
		if p == nil {
			t.Fatalf("%v: no packet", end)
		}
		if !end.Is6() && fold(sum(0, p.ip[:20])) != 0xffff {
			t.Errorf("%v: header checksum is wrong", end)
		}
		pseudo := sum(sum(0, end.AsSlice()), client.Addr().AsSlice()) + protoTCP + uint32(len(p.body))
		if fold(sum(pseudo, p.body)) != 0xffff {
			t.Errorf("%v: TCP checksum is wrong", end)
		}
		p.setTTL(7)
		if p.ttl() != 7 || !end.Is6() && fold(sum(0, p.ip[:20])) != 0xffff {
			t.Errorf("%v: TTL %d, or its header checksum is wrong", end, p.ttl())
		}
	}
}

func TestDropsOfTheHello(t *testing.T) {
	for _, c := range []struct {
		name   string
		match  Match
		server string
		want   int // segments of the hello that come through
	}{
		{"whole", Hello, ProxyName, 0},
		{"first", HelloStart, ProxyName, 1},
		{"second", HelloRest, ProxyName, 1},
		{"by size", All(Up, Larger(1400)), ProxyName, 1},
		{"by name", All(Hello, Named(ProxyName)), ProxyName, 0},
		{"by another name", All(Hello, Named(SecondName)), ProxyName, 2},
		{"not that name", All(Hello, Not(Named(ProxyName))), ProxyName, 2},
		{"to another server", All(TCP, Server(SecondName)), ProxyName, 2},
		{"other family", All(Hello, V6), ProxyName, 2},
	} {
		b := testBox(Drop(c.match))
		shake(b, t)
		if got := sayHello(b, t, c.server); len(got) != c.want {
			t.Errorf("%s: %d segments came through, want %d", c.name, len(got), c.want)
		}
	}
}

func TestInjectedResets(t *testing.T) {
	named := All(HelloStart, Named(ProxyName))
	for _, c := range []struct {
		name         string
		reset        Reset
		down, passes int
		check        func(*Packet) bool
	}{
		{"beside the path", Reset{TTL: 77, IPID: 153}, 1, 2, func(p *Packet) bool {
			return p.ttl() == 77 && p.seq == 5001 && p.ack == 1001+1448 && p.flags == flagRST|flagACK
		}},
		{"in line", Reset{InLine: true}, 1, 0, func(p *Packet) bool { return p.ttl() == 64 }},
		{"three", Reset{Count: 3, Step: 1460, Bare: true}, 3, 2, func(p *Packet) bool { return p.flags == flagRST && (p.seq-5001)%1460 == 0 }},
		{"with payload", Reset{Payload: "blocked"}, 1, 2, func(p *Packet) bool { return string(p.payload) == "blocked" }},
		{"outside the window", Reset{Stale: true}, 1, 2, func(p *Packet) bool { return p.seq == 5001+1<<30 }},
	} {
		b := testBox(Inject(c.reset, named))
		shake(b, t)
		down, up := 0, 0
		for _, p := range sayHello(b, t, ProxyName) {
			if p.Up {
				up++
				continue
			}
			down++
			if p.src != serverEnd || p.dst != clientEnd || !c.check(p) {
				t.Errorf("%s: a reset from %v with TTL %d, seq %d, ack %d, flags %#x, %q", c.name, p.src, p.ttl(), p.seq, p.ack, p.flags, p.payload)
			}
		}
		if down != c.down || up != c.passes {
			t.Errorf("%s: %d resets and %d segments, want %d and %d", c.name, down, up, c.down, c.passes)
		}
	}
	b := testBox(Inject(Reset{}, named))
	shake(b, t)
	if got := sayHello(b, t, SecondName); len(got) != 2 {
		t.Errorf("another name: %d packets, want the hello alone", len(got))
	}
}

func TestResidualSparesTheFirst(t *testing.T) {
	b := testBox(Residual(time.Hour, HelloStart))
	shake(b, t)
	if got := sayHello(b, t, ProxyName); len(got) != 2 {
		t.Errorf("first connection: %d segments came through", len(got))
	}
	b.take(segment(netip.AddrPortFrom(clientAddr.v4, 40001), serverEnd, flagSYN, 9, 0, nil), true, time.Now())
	if got := b.sent(t); len(got) != 0 {
		t.Error("a second connection came through")
	}
	b.take(segment(netip.AddrPortFrom(clientAddr.v4, 40002), netip.AddrPortFrom(siteAddrs[SecondName].v4, 443), flagSYN, 9, 0, nil), true, time.Now())
	if got := b.sent(t); len(got) != 1 {
		t.Error("a connection to another server did not come through")
	}
}

func TestCutIsOfOneConnectionCutAllOfEvery(t *testing.T) {
	for _, c := range []struct {
		maker Maker
		want  int
	}{{Cut(Past(10)), 1}, {CutAll(Past(10)), 0}} {
		b := testBox(c.maker)
		shake(b, t)
		b.take(segment(serverEnd, clientEnd, flagACK, 5001, 1001, make([]byte, 10)), false, time.Now())
		if len(b.sent(t)) != 1 {
			t.Error("cut too early")
		}
		b.take(segment(serverEnd, clientEnd, flagACK, 5011, 1001, make([]byte, 1)), false, time.Now())
		b.take(segment(clientEnd, serverEnd, flagACK, 1001, 5011, nil), true, time.Now())
		if len(b.sent(t)) != 0 {
			t.Error("not cut")
		}
		b.take(segment(netip.AddrPortFrom(clientAddr.v4, 40001), serverEnd, flagSYN, 9, 0, nil), true, time.Now())
		if got := len(b.sent(t)); got != c.want {
			t.Errorf("%d packets of another connection, want %d", got, c.want)
		}
	}
}

func TestLossIsTheShare(t *testing.T) {
	b := testBox(Loss(0.3, All(Down, Data)))
	shake(b, t)
	through := 0
	for i := range 2000 {
		b.take(segment(serverEnd, clientEnd, flagACK, 5001+uint32(i), 1001, []byte{0}), false, time.Now())
		through += len(b.sent(t))
	}
	if through < 1300 || through > 1500 {
		t.Errorf("%d of 2000 came through, want about 1400", through)
	}
	b.take(segment(serverEnd, clientEnd, flagACK, 7001, 1001, nil), false, time.Now())
	if len(b.sent(t)) != 1 {
		t.Error("what does not match was lost")
	}
}

func TestPolicerAndShaper(t *testing.T) {
	count := func(m Maker) (through int, last time.Duration) {
		b := testBox(m)
		shake(b, t)
		for i := range 100 {
			b.take(segment(serverEnd, clientEnd, flagACK, 5001+uint32(i)*960, 1001, make([]byte, 960)), false, time.Now())
		}
		for _, q := range b.queue {
			last = max(last, time.Until(q.due)-b.half)
		}
		return len(b.sent(t)), last
	}
	// A burst of 20,000 bytes holds twenty packets of 1,000 bytes.
	if n, _ := count(Police(1000, 20_000, All(Down, Data))); n < 19 || n > 22 {
		t.Errorf("policer: %d came through, want about 20", n)
	}
	// The queue takes 50 packets, and the last of them waits five seconds.
	if n, last := count(Shape(10_000, 50_000, All(Down, Data))); n < 50 || n > 52 || last < 4*time.Second || last > 6*time.Second {
		t.Errorf("shaper: %d came through, the last after %v", n, last)
	}
}

func TestICMPQuotesAndDrops(t *testing.T) {
	b := testBox(ICMP(3, 13, 0, false, Syn), TooBig(1400))
	b.take(segment(clientEnd, serverEnd, flagSYN, 1000, 0, nil), true, time.Now())
	got := b.sent(t)
	if len(got) != 1 || got[0].Up || got[0].proto != protoICMP || got[0].src.Addr() != hopAddr.v4 || got[0].body[0] != 3 || got[0].body[1] != 13 {
		t.Fatalf("a SYN gives %+v", got)
	}
	if q := got[0].body[8:]; !bytes.Equal(q[12:20], append(clientAddr.v4.AsSlice(), siteAddrs[ProxyName].v4.AsSlice()...)) {
		t.Errorf("it quotes %x", q)
	}
	b.take(segment(clientEnd, serverEnd, flagACK, 1001, 1, make([]byte, 1448)), true, time.Now())
	if got = b.sent(t); len(got) != 1 || got[0].body[1] != 4 || binary.BigEndian.Uint32(got[0].body[4:]) != 1400 {
		t.Fatalf("a large packet gives %+v", got)
	}
	b.take(segment(clientEnd, serverEnd, flagACK, 1001, 1, make([]byte, 500)), true, time.Now())
	if got = b.sent(t); len(got) != 1 || !got[0].Up {
		t.Errorf("a small packet gives %+v", got)
	}
}

func TestForgedAnswer(t *testing.T) {
	ask := func(name string) []byte {
		m := dnsmessage.Message{Header: dnsmessage.Header{ID: 77}, Questions: []dnsmessage.Question{{
			Name: dnsmessage.MustNewName(name + "."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}
		text, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		h := []byte{0x9c, 0x40, 0, 53, byte((8 + len(text)) >> 8), byte(8 + len(text)), 0, 0}
		return datagram(clientEnd, netip.AddrPortFrom(resolverAddr.v4, 53), protoUDP, append(h, text...))
	}
	b := testBox(Forge(ProxyName, wrongAddr))
	b.take(ask(SecondName), true, time.Now())
	if got := b.sent(t); len(got) != 1 || !got[0].Up {
		t.Errorf("another name gives %d packets", len(got))
	}
	b.take(ask(ProxyName), true, time.Now())
	var forged *Packet
	got := b.sent(t)
	for _, p := range got {
		if !p.Up {
			forged = p
		}
	}
	if len(got) != 2 || forged == nil {
		t.Fatalf("%d packets", len(got))
	}
	var m dnsmessage.Message
	if err := m.Unpack(forged.payload); err != nil || m.ID != 77 || len(m.Answers) != 1 ||
		m.Answers[0].Body.(*dnsmessage.AResource).A != wrongAddr.v4.As4() {
		t.Errorf("forged answer %v, %+v", err, m)
	}
}

func TestFamilyAddresses(t *testing.T) {
	if a := far(53); a.v4.String() != "203.0.113.53" || a.v6.String() != "2001:db8:113::53" {
		t.Errorf("machine 53 is at %v and %v", a.v4, a.v6)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(segment(clientEnd, serverEnd, flagACK, 1, 2, hello(ProxyName)), true)
	f.Add(segment(netip.AddrPortFrom(siteAddrs[ProxyName].v6, 443), netip.AddrPortFrom(clientAddr.v6, 9), flagRST, 1, 2, nil), false)
	f.Fuzz(func(t *testing.T, frame []byte, up bool) {
		b := testBox(Inject(Reset{InLine: true, Each: true}, Hello), Forge(ProxyName, wrongAddr), TooBig(100), Drop(Named("x")))
		b.take(frame, up, time.Now())
	})
}

// TestForgerIsLate holds that a forged frame is due by when its occasion came, not
// by when the middlebox got to see it, and that what it leaves too late is told.
func TestForgerIsLate(t *testing.T) {
	for _, c := range []struct {
		ago  time.Duration // since the ClientHello came
		late bool
	}{{0, false}, {300 * time.Millisecond, true}} {
		b := testBox(Inject(Reset{TTL: 77, After: 100 * time.Millisecond}, HelloStart))
		shake(b, t)
		b.take(segment(clientEnd, serverEnd, flagACK, 1001, 5001, hello("proxy.example")[:1448]), true, time.Now().Add(-c.ago))
		forged := slices.IndexFunc(b.queue, func(q queued) bool { return q.forged })
		if forged < 0 {
			t.Fatal("nothing was forged")
		}
		if wait := time.Until(b.queue[forged].due); (wait < 0) != c.late {
			t.Errorf("%v after the occasion, the forged reset is due in %v", c.ago, wait)
		}
	}
}
