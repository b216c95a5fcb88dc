package twopoint

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/capture"
	"goproxytrace/internal/packets"
	"goproxytrace/internal/terminal"
)

// world is a client, a server and what lies between, seen at two points. Times
// are in microseconds.
type world struct {
	clientIP, serverIP string // as the client has them
	natIP              string // what the server has for the client's, "" for the same
	natPort            uint16
	rtt                int64
	offset             int64 // of the server's clock, in ns
	drift              float64
	stamps             bool

	near, far []capture.Packet
	id        uint16
	far0      func(*capture.Info) // what the server's container says
	from      int64
}

const second = int64(1e6)

func newWorld() *world {
	return &world{clientIP: "192.0.2.1", serverIP: "198.51.100.1", rtt: 20_000, stamps: true, from: 1_000 * second}
}

// unit is one packet in the making.
type unit struct {
	up              bool
	flags           uint16
	seq, ack        uint32
	payload         []byte
	tsval           uint32
	window          uint16
	mss             uint16
	ttl             uint8
	clientPort, ids uint16
}

func (w *world) frame(u unit, far bool) []byte {
	c, s := netip.AddrPortFrom(netip.MustParseAddr(w.clientIP), u.clientPort), netip.AddrPortFrom(netip.MustParseAddr(w.serverIP), 443)
	if far && w.natIP != "" {
		c = netip.AddrPortFrom(netip.MustParseAddr(w.natIP), u.clientPort+w.natPort)
	}
	src, dst := c, s
	if !u.up {
		src, dst = s, c
	}
	p := packets.TCPBetween(src, dst).Flags(u.flags).Seq(u.seq).Window(u.window).TTL(u.ttl).ID(u.ids).Payload(u.payload)
	if u.flags&packets.ACK != 0 {
		p = p.Ack(u.ack)
	}
	if u.mss != 0 {
		p = p.MSS(u.mss)
	}
	if w.stamps && u.tsval != 0 {
		p = p.Timestamps(u.tsval, 1)
	}
	return p.Ethernet()
}

func (w *world) put(list *[]capture.Packet, at int64, data []byte) {
	*list = append(*list, capture.Packet{Time: at, HasTime: true, Data: data, Length: len(data), LinkType: 1, FCSLen: -1})
}

// serverTime is a time by the server's clock, in ns.
func (w *world) serverTime(us int64) int64 {
	return us*1000 + w.offset + int64(w.drift*float64(us-w.from)/1e6)
}

// send sends a packet at a time; what alters it between may drop it (nil).
func (w *world) send(at int64, u unit, between func(*unit) bool) {
	w.id++
	u.ids = w.id
	if u.ttl == 0 {
		u.ttl = 64
	}
	if u.window == 0 {
		u.window = 500
	}
	if u.tsval == 0 {
		u.tsval = uint32(at/1000) | 1
	}
	v := u
	v.ttl -= 7
	arrives := between == nil || between(&v)
	if u.up {
		w.put(&w.near, at*1000, w.frame(u, false))
		if arrives {
			w.put(&w.far, w.serverTime(at+w.rtt/2), w.frame(v, true))
		}
		return
	}
	w.put(&w.far, w.serverTime(at), w.frame(u, true))
	if arrives {
		w.put(&w.near, (at+w.rtt/2)*1000, w.frame(v, false))
	}
}

func pass(*unit) bool { return true }
func drop(*unit) bool { return false }

// hello is a made-up ClientHello of several hundred bytes.
func hello(n int) []byte {
	b := make([]byte, 700)
	for i := range b {
		b[i] = byte(i*7 + n)
	}
	copy(b, []byte{22, 3, 1, byte((len(b) - 5) >> 8), byte(len(b) - 5)})
	return b
}

// download plays a connection from a client port at a time: handshake, hello,
// n segments of data with the fate that between gives each transmission.
func (w *world) download(at int64, port uint16, n int, between func(what string, i, try int) func(*unit) bool) {
	fate := func(what string, i, try int) func(*unit) bool {
		if between == nil {
			return pass
		}
		return between(what, i, try)
	}
	const c0, s0 = 5000, 90000
	k, half := uint32(port)*1000, w.rtt/2
	up := func(at int64, f uint16, seq, ack uint32, b []byte, how func(*unit) bool) {
		w.send(at, unit{up: true, clientPort: port, flags: f, seq: c0 + k + seq, ack: s0 + k + ack, payload: b}, how)
	}
	down := func(at int64, f uint16, seq, ack uint32, b []byte, how func(*unit) bool) {
		w.send(at, unit{clientPort: port, flags: f, seq: s0 + k + seq, ack: c0 + k + ack, payload: b}, how)
	}
	w.send(at, unit{up: true, clientPort: port, flags: packets.SYN, seq: c0 + k, mss: 1460}, fate("syn", 0, 0))
	w.send(at+half, unit{clientPort: port, flags: packets.SYN | packets.ACK, seq: s0 + k, ack: c0 + k + 1, mss: 1460}, fate("syn-ack", 0, 0))
	up(at+w.rtt, packets.ACK, 1, 1, nil, fate("ack", 0, 0))
	h := hello(int(port))
	up(at+w.rtt+100, packets.ACK|packets.PSH, 1, 1, h, fate("hello", 0, 0))
	end := uint32(1 + len(h))
	t := at + w.rtt + 100 + half
	type arrival struct {
		at int64
		i  int
	}
	var arrivals []arrival
	for i := range n {
		b := bytes.Repeat([]byte{byte(i + 1), byte(port)}, 500)
		for try := range 3 {
			when := t + int64(i)*50 + int64(try)*200_000
			before := len(w.near)
			down(when, packets.ACK, uint32(1+1000*i), end, b, fate("data", i, try))
			if len(w.near) > before {
				arrivals = append(arrivals, arrival{when + half, i})
				break
			}
		}
	}
	slices.SortFunc(arrivals, func(a, b arrival) int { return cmp.Compare(a.at, b.at) })
	have, next := make(map[int]bool), 0
	for k, x := range arrivals {
		for have[x.i] = true; have[next]; next++ {
		}
		up(x.at+10, packets.ACK, end, uint32(1+1000*next), nil, fate("ack", k+1, 0))
	}
}

func (w *world) points(t testing.TB) (a, b *Point) {
	t.Helper()
	read := func(name string, list []capture.Packet, change func(*capture.Info)) *Point {
		list = slices.Clone(list)
		slices.SortStableFunc(list, func(a, b capture.Packet) int { return cmp.Compare(a.Time, b.Time) })
		var from, to int64
		for i := range list {
			list[i].Number = int64(i + 1)
			if from == 0 {
				from = list[i].Time
			}
			to = list[i].Time
		}
		none := uint64(0)
		info := &capture.Info{Application: "Dumpcap", Interfaces: []capture.Interface{{Name: "eth0", LinkType: 1, Dropped: &none, Start: from - 1e9, End: to + 3e9}}}
		if change != nil {
			change(info)
		}
		p, err := Read(t.Context(), &memory{list, info}, name)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	return read("client", w.near, nil), read("server", w.far, w.far0)
}

// memory is a capture in memory.
type memory struct {
	list []capture.Packet
	info *capture.Info
}

func (m *memory) Read(b *capture.Batch) error {
	if len(m.list) == 0 {
		return io.EOF
	}
	n := min(len(m.list), 100)
	b.Packets = append(b.Packets[:0], m.list[:n]...)
	m.list = m.list[n:]
	return nil
}
func (m *memory) Info() *capture.Info { return m.info }
func (m *memory) Close() error        { return nil }

// told lists the findings that are more than what came through.
func told(r *Result) (out []string) {
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Event == Passed {
			continue
		}
		s := fmt.Sprintf("%s %s %s %d %s", f.Event, f.Kind, f.Direction, f.Count, f.Level)
		if f.What != "" {
			s += " " + f.What
		}
		if f.From+f.To != "" {
			s += " " + f.From + ">" + f.To
		}
		out = append(out, s)
	}
	return out
}

func compareWorld(t testing.TB, w *world) *Result {
	t.Helper()
	a, b := w.points(t)
	r, err := Compare(a, b, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWorlds(t *testing.T) {
	lose := func(what string, i, tries int) func(string, int, int) func(*unit) bool {
		return func(w string, k, try int) func(*unit) bool {
			if w == what && k == i && try < tries {
				return drop
			}
			return pass
		}
	}
	change := func(what string, f func(*unit)) func(string, int, int) func(*unit) bool {
		return func(w string, _, _ int) func(*unit) bool {
			return func(u *unit) bool {
				if w == what {
					f(u)
				}
				return true
			}
		}
	}
	reset := func(w *world, up bool, at int64, ttl uint8) {
		u := unit{up: up, clientPort: 40000, flags: packets.RST | packets.ACK, seq: 90000 + 40000*1000 + 1, ack: 5000 + 40000*1000 + 701, ttl: ttl, window: 1}
		data := w.frame(u, up)
		if up {
			w.put(&w.far, w.serverTime(at), data)
		} else {
			w.put(&w.near, at*1000, data)
		}
	}
	for _, c := range []struct {
		name string
		play func(*world)
		want []string
		not  []NotJudged
		ask  func(*testing.T, *Result)
	}{
		{name: "healthy", play: func(w *world) { w.download(w.from, 40000, 20, nil) }},
		{name: "lost and made good", play: func(w *world) { w.download(w.from, 40000, 20, lose("data", 7, 1)) }, want: []string{"vanished data to-client 1 proven"},
			ask: func(t *testing.T, r *Result) {
				// The original vanished, not the repetition.
				f := &r.Findings[0]
				first := frameOf(t, r.Server, 90000+40000*1000+1+7000, 0)
				if f.madeUp != 1 || !slices.Equal(f.ServerFrames, []int64{first}) || f.Bytes != 1000 {
					t.Errorf("made good %d, frames %v (the original is %d), %d bytes", f.madeUp, f.ServerFrames, first, f.Bytes)
				}
			}},
		{name: "lost twice, without timestamps", play: func(w *world) { w.stamps = false; w.download(w.from, 40000, 20, lose("data", 7, 2)) }, want: []string{"vanished data to-client 2 proven"}},
		{name: "acknowledgement lost", play: func(w *world) { w.download(w.from, 40000, 20, lose("ack", 5, 1)) }, want: []string{"vanished ack to-server 1 proven"}},
		{name: "hello lost", play: func(w *world) {
			w.download(w.from, 40000, 0, lose("hello", 0, 1))
			w.download(w.from+second, 40001, 5, nil)
		},
			want: []string{"vanished client-hello to-server 1 proven"}},
		{name: "reset injected to the client", play: func(w *world) { w.download(w.from, 40000, 3, nil); reset(w, false, w.from+25_000, 99) },
			want: []string{"appeared reset to-client 1 proven"}, ask: func(t *testing.T, r *Result) {
				if f := &r.Findings[0]; f.TTL != 99 || f.Usual != 57 || f.Claimed != "198.51.100.1:443" {
					t.Errorf("TTL %d, usually %d, claimed %s", f.TTL, f.Usual, f.Claimed)
				}
			}},
		{name: "reset injected to the server", play: func(w *world) { w.download(w.from, 40000, 3, nil); reset(w, true, w.from+35_000, 99) },
			want: []string{"appeared reset to-server 1 proven"}},
		{name: "reset of the server", play: func(w *world) {
			w.download(w.from, 40000, 3, nil)
			w.send(w.from+50_000, unit{clientPort: 40000, flags: packets.RST, seq: 90000 + 40000*1000 + 1}, pass)
		}},
		{name: "maximum segment size clamped", play: func(w *world) {
			w.download(w.from, 40000, 3, change("syn", func(u *unit) { u.mss = 1360 }))
		}, want: []string{"changed syn to-server 1 proven mss 1460>1360"}},
		{name: "window changed", play: func(w *world) { w.download(w.from, 40000, 3, change("ack", func(u *unit) { u.window = 9 })) },
			want: []string{"changed ack to-server 4 proven window"}},
		{name: "payload changed", play: func(w *world) {
			w.download(w.from, 40000, 3, change("hello", func(u *unit) { u.payload = append([]byte(nil), u.payload...); u.payload[300] ^= 1 }))
		}, want: []string{"changed client-hello to-server 1 proven payload"}},
		{name: "behind address translation", play: func(w *world) {
			w.natIP, w.natPort = "203.0.113.9", 77
			w.download(w.from, 40000, 10, lose("data", 3, 1))
			w.download(w.from+1000, 40001, 10, nil)
		}, want: []string{"vanished data to-client 1 proven"}, ask: func(t *testing.T, r *Result) {
			if r.Connections != 2 || r.Translated != 2 {
				t.Errorf("%d connections, %d translated", r.Connections, r.Translated)
			}
		}},
		{name: "the server's clock is ahead and drifts", play: func(w *world) {
			w.offset, w.drift = 3_600e9, 40_000 // an hour, 40 ppm
			for i := range 60 {
				w.download(w.from+int64(i)*2*second, 40000+uint16(i), 5, lose("data", 2, i%2))
			}
		}, want: []string{"vanished data to-client 30 proven"}, ask: func(t *testing.T, r *Result) {
			k := &r.Clock
			if math.Abs(k.Drift-40_000) > 2000 || k.Least > 3_600e9 || k.Most < 3_600e9 || math.Abs(float64(k.Offset)-3_600e9) > 1e6 {
				t.Errorf("clock %+v", k)
			}
		}},
		{name: "the server's capture dropped packets", play: func(w *world) {
			w.download(w.from, 40000, 0, lose("hello", 0, 1))
			w.far0 = func(i *capture.Info) { *i.Interfaces[0].Dropped = 3 }
		}, not: []NotJudged{{reasonDropped, 1}}},
		{name: "drops unknown", play: func(w *world) {
			w.download(w.from, 40000, 0, lose("hello", 0, 1))
			w.far0 = func(i *capture.Info) { i.Interfaces[0].Dropped = nil }
		}, want: []string{"vanished client-hello to-server 1 strongly-suggested"}},
		{name: "the server's capture missed one", play: func(w *world) {
			w.download(w.from, 40000, 5, nil)
			w.far = slices.DeleteFunc(w.far, func(p capture.Packet) bool { return bytes.Contains(p.Data, hello(40000)) })
		}, not: []NotJudged{{reasonMissed, 1}}},
		{name: "the server's capture missed data that was sent", play: func(w *world) {
			w.download(w.from, 40000, 5, nil)
			w.far = slices.DeleteFunc(w.far, func(p capture.Packet) bool { return bytes.Contains(p.Data, []byte{3, 64, 3, 64, 3, 64}) })
		}, not: []NotJudged{{reasonMissed, 1}}},
		{name: "the server's capture ended before", play: func(w *world) {
			w.download(w.from, 40000, 0, lose("hello", 0, 1))
			w.far0 = func(i *capture.Info) { i.Interfaces[0].End = 0 }
		}, not: []NotJudged{{reasonTime, 1}}},
		{name: "filtered", play: func(w *world) {
			w.download(w.from, 40000, 5, nil)
			q := packets.UDP("192.0.2.1:5353", "198.51.100.1:53").Payload([]byte("a question of thirty bytes....")).Ethernet()
			w.put(&w.near, (w.from+1000)*1000, q)
			w.far0 = func(i *capture.Info) { i.Interfaces[0].Filter = "tcp port 443" }
		}, not: []NotJudged{{reasonFilter, 1}}},
		{name: "question lost", play: func(w *world) {
			w.download(w.from, 40000, 5, nil)
			q := packets.UDP("192.0.2.1:5353", "198.51.100.1:53").Payload([]byte("a question of thirty bytes....")).Ethernet()
			w.put(&w.near, (w.from+1000)*1000, q)
		}, want: []string{"vanished dns-question to-server 1 proven"}},
		{name: "a copy made by the network", play: func(w *world) {
			w.download(w.from, 40000, 5, nil)
			for _, p := range w.near {
				if bytes.Contains(p.Data, []byte{3, 64, 3, 64, 3, 64}) {
					w.put(&w.near, p.Time+3000, p.Data)
					break
				}
			}
		}, want: []string{"repeated data to-client 1 proven"}},
		{name: "lost behind the server's capture", play: func(w *world) {
			w.download(w.from, 40001, 3, nil)
			for i := range 4 {
				w.send(w.from+int64(i)*2*second, unit{up: true, clientPort: 40000, flags: packets.SYN, seq: 77, mss: 1460}, pass)
			}
		}, want: []string{"unanswered syn to-server 4 proven"}},
		{name: "each packet captured twice at the client", play: func(w *world) {
			w.download(w.from, 40000, 5, lose("data", 2, 1))
			twice(&w.near)
		}, want: []string{"vanished data to-client 1 proven"}},
		{name: "each packet captured three times at the server", play: func(w *world) {
			w.stamps = false
			w.download(w.from, 40000, 5, lose("data", 2, 1))
			n := len(w.far)
			twice(&w.far)
			w.far = append(w.far, w.far[n:]...)
		}, want: []string{"vanished data to-client 1 proven"}},
		{name: "the server's clock was set", play: func(w *world) {
			for i := range 10 {
				w.download(w.from+int64(i)*2*second, 40000+uint16(i), 5, nil)
			}
			for i := range w.far {
				if w.far[i].Time > (w.from+9*second)*1000 {
					w.far[i].Time += 5e9
				}
			}
		}, ask: func(t *testing.T, r *Result) {
			if n := r.Clock.Unsteady; n != 4_980e6 || !slices.ContainsFunc(r.Cautions, func(c Caution) bool { return c.ID == "points.unsteady" }) {
				t.Errorf("unsteady by %d, cautions %v", n, r.Cautions)
			}
		}},
		{name: "the server's clock was set back, and data lost", play: func(w *world) {
			for i := range 10 {
				w.download(w.from+int64(i)*2*second, 40000+uint16(i), 5, lose("data", 2, i/9))
			}
			for i := range w.far {
				if w.far[i].Time > (w.from+9*second)*1000 {
					w.far[i].Time -= 1e9
				}
			}
			w.far0 = func(i *capture.Info) { i.Interfaces[0].End += 10e9 }
		}, want: []string{"vanished data to-client 1 consistent"}},
		{name: "headers alone at the server", play: func(w *world) { w.download(w.from, 40000, 5, nil); shorten(w.far, 64) }},
		{name: "headers alone at the client", play: func(w *world) { w.download(w.from, 40000, 5, nil); shorten(w.near, 64) }},
		{name: "headers alone, and a copy made by the network", play: func(w *world) {
			w.download(w.from, 40000, 5, nil)
			copied(w, []byte{3, 64, 3, 64, 3, 64})
			shorten(w.far, 64)
		}, want: []string{"repeated data to-client 1 proven"}},
		{name: "headers alone of what arrived, and a copy made by the network", play: func(w *world) {
			w.download(w.from, 40000, 5, nil)
			copied(w, []byte{3, 64, 3, 64, 3, 64})
			shorten(w.near, 64)
		}, want: []string{"repeated data to-client 1 proven"}},
		{name: "headers alone of an answer", play: func(w *world) { w.download(w.from, 40000, 5, nil); w.answer(57); shorten(w.far, 64) }},
		{name: "a question captured twice at the client", play: func(w *world) {
			w.download(w.from, 40000, 5, nil)
			q := packets.UDP("192.0.2.1:5353", "198.51.100.1:53").Payload([]byte("a question of thirty bytes....")).Ethernet()
			w.put(&w.near, (w.from+1000)*1000, q)
			w.put(&w.near, (w.from+1005)*1000, q)
			w.put(&w.far, w.serverTime(w.from+11_000), q)
		}},
		{name: "an answer captured twice at the client", play: func(w *world) {
			w.download(w.from, 40000, 5, nil)
			w.answer(57)
			w.put(&w.near, w.near[len(w.near)-1].Time+5000, w.near[len(w.near)-1].Data)
		}, want: []string{"repeated dns-answer to-client 1 proven"}},
		{name: "an answer forged as the server gives it", play: func(w *world) {
			w.download(w.from, 40000, 5, nil)
			w.answer(57)
			w.put(&w.near, w.near[len(w.near)-1].Time-5e6, answerFrame(99))
		}, want: []string{"appeared dns-answer to-client 1 proven"}},
		{name: "a reset of the server, and a copy made by the network", play: func(w *world) {
			w.download(w.from, 40000, 3, nil)
			w.send(w.from+50_000, unit{clientPort: 40000, flags: packets.RST, seq: 90000 + 40000*1000 + 1}, pass)
			w.put(&w.near, w.near[len(w.near)-1].Time+3000, w.near[len(w.near)-1].Data)
		}, want: []string{"repeated reset to-client 1 proven"}},
		{name: "a reset of the server by a route longer by one", play: func(w *world) {
			w.download(w.from, 40000, 3, nil)
			w.send(w.from+50_000, unit{clientPort: 40000, flags: packets.RST, seq: 90000 + 40000*1000 + 1}, func(u *unit) bool { u.ttl--; return true })
		}},
		{name: "captured before and behind address translation at the client", play: func(w *world) {
			inside := *w
			inside.clientIP = "172.17.0.2"
			w.download(w.from, 40000, 5, lose("data", 2, 1))
			inside.download(w.from, 40000, 5, lose("data", 2, 1))
			w.near = append(w.near, inside.near...)
		}, want: []string{"vanished data to-client 1 proven"}},
		{name: "captured before and behind address translation at the server", play: func(w *world) {
			inside := *w
			inside.serverIP = "10.0.0.80"
			w.download(w.from, 40000, 5, lose("data", 2, 1))
			inside.download(w.from, 40000, 5, lose("data", 2, 1))
			w.far = append(w.far, inside.far...)
		}, want: []string{"vanished data to-client 1 proven"}},
		{name: "other clients of the server", play: func(w *world) {
			w.download(w.from, 40000, 3, nil)
			other := *w
			other.clientIP, other.near, other.far = "192.0.2.77", nil, nil
			other.download(w.from, 50000, 3, nil)
			w.far = append(w.far, other.far...)
		}},
		{name: "other servers of the client", play: func(w *world) {
			w.download(w.from, 40000, 3, nil)
			other := *w
			other.serverIP, other.near, other.far = "198.51.100.200", nil, nil
			other.download(w.from, 50000, 3, nil)
			w.near = append(w.near, other.near...)
		}, ask: func(t *testing.T, r *Result) {
			if len(r.Unseen) != 1 || r.Unseen[0].Server != "198.51.100.200:443" {
				t.Errorf("unseen: %v", r.Unseen)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld()
			c.play(w)
			r := compareWorld(t, w)
			if got := told(r); !slices.Equal(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
			if !slices.Equal(r.NotJudged, c.not) {
				t.Errorf("not judged: %v, want %v", r.NotJudged, c.not)
			}
			if c.ask != nil && !t.Failed() {
				c.ask(t, r)
			}
			if t.Failed() {
				var b strings.Builder
				_ = WriteText(&b, r, terminal.Output{Columns: 120})
				t.Log("\n" + b.String())
			}
			for i := range r.Findings {
				if f := &r.Findings[i]; strings.Contains(f.sentence(0), "points.") || f.Level == diagnose.None {
					t.Errorf("no words for %q", f.sentence(0))
				}
			}
		})
	}
}

// twice adds a copy of each frame, as a mirror port does.
func twice(list *[]capture.Packet) {
	for _, p := range slices.Clone(*list) {
		p.Time += 5000
		*list = append(*list, p)
	}
}

// copied adds a copy of the first frame at the client that holds what.
func copied(w *world, what []byte) {
	i := slices.IndexFunc(w.near, func(p capture.Packet) bool { return bytes.Contains(p.Data, what) })
	w.put(&w.near, w.near[i].Time+3000, w.near[i].Data)
}

// shorten cuts frames as a snapshot length does.
func shorten(list []capture.Packet, n int) {
	for i := range list {
		list[i].Data = list[i].Data[:min(len(list[i].Data), n)]
	}
}

func answerFrame(ttl uint8) []byte {
	return packets.UDP("198.51.100.1:53", "192.0.2.1:5353").TTL(ttl).Payload([]byte("an answer of thirty bytes......")).Ethernet()
}

// answer sends a DNS answer that arrives with a TTL.
func (w *world) answer(ttl uint8) {
	w.put(&w.far, w.serverTime(w.from+1000), answerFrame(ttl+7))
	w.put(&w.near, (w.from+11_000)*1000, answerFrame(ttl))
}

// frameOf is the frame of the nth segment with a sequence number.
func frameOf(t *testing.T, p *Point, seq uint32, n int) int64 {
	t.Helper()
	for _, f := range p.flows {
		for d := range 2 {
			for _, s := range f.sent[d] {
				if s.seq == seq && s.len > 0 {
					if n == 0 {
						return s.frame
					}
					n--
				}
			}
		}
	}
	t.Fatalf("no segment %d", seq)
	return 0
}

func TestHashesAdd(t *testing.T) {
	b := make([]byte, 5000)
	for i := range b {
		b[i] = byte(i * i)
	}
	for _, cut := range []int{0, 1, 7, 1448, 2500, 5000} {
		sum := (weigh(b[:cut]) + mul(weigh(b[cut:]), power(uint64(cut)))) % prime
		if sum != weigh(b) {
			t.Errorf("cut at %d: %d, want %d", cut, sum, weigh(b))
		}
	}
	if weigh([]byte{0}) == weigh([]byte{0, 0}) || weigh([]byte{0, 1}) == weigh([]byte{1, 0}) {
		t.Error("zeros and order do not count")
	}
}
