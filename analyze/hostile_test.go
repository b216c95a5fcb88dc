package analyze

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"goproxytrace/analyze/decode"
	"goproxytrace/internal/corpus"
	"goproxytrace/internal/packets"
)

// unescapeFrameValue is the inverse of what the frames output does to a name.
func unescapeFrameValue(t *testing.T, s string) string {
	t.Helper()
	var b []byte
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b = append(b, s[i])
			continue
		}
		n, err := strconv.ParseUint(s[i+2:i+4], 16, 8)
		if err != nil || s[i+1] != 'x' {
			t.Fatalf("%q: %v", s[i:i+4], err)
		}
		b = append(b, byte(n))
		i += 3
	}
	return string(b)
}

// TestHostileNamesInFrames holds that no byte of a name reaches the output
// that could move a cursor, end a column or turn text around, and that the
// name can be read back from what does.
func TestHostileNamesInFrames(t *testing.T) {
	names := []string{
		"\x1b]0;owned\x07\x1b[2J", "a\u202egnp.exe", "\u2066left\u2069", "\xff\xfe\xc0\x80", "tab\there", "line\r\nfeed\x00", "back\\x41slash",
		"two,names", "\u009b31m", "\x7f", "<script>", strings.Repeat("\x1b[1m", 15_000),
	}
	w := newWire()
	for i, name := range names {
		w.talk(fmt.Sprintf("192.0.2.10:%d", 40_000+i), "198.51.100.1:443").connect().tls(name, 100).close(0)
	}
	out := framesOf(t, w)
	for i := range len(out) {
		if c := out[i]; c != '\t' && c != '\n' && (c < 0x20 || c > 0x7e) {
			t.Fatalf("byte %#02x at %d: %q", c, i, out[max(i-40, 0):i+1])
		}
	}
	lines, err := corpus.ReadFrames(strings.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) != len(w.packets) {
		t.Errorf("%d lines for %d segments", len(lines), len(w.packets))
	}
	var got []string
	for _, l := range lines {
		if l.SNI != "" {
			got = append(got, unescapeFrameValue(t, l.SNI))
		}
	}
	if len(got) != len(names) {
		t.Fatalf("%d names in the output, want %d", len(got), len(names))
	}
	for i, name := range names {
		if got[i] != name {
			t.Errorf("name %d is %.60q, want %.60q", i, got[i], name)
		}
	}
}

// TestHostileNamesSpill holds that a hostile name is the same whether its
// connection is among the first or went to the disk.
func TestHostileNamesSpill(t *testing.T) {
	s := NewStore()
	defer s.Close()
	for i := range int64(inMemory) {
		s.Add(&Connection{ID: i})
	}
	const name = "\x1b[31m\u202e<b>\x00"
	s.Add(&Connection{ID: inMemory, ServerName: name})
	var last *Connection
	for c, err := range s.All() {
		if err != nil {
			t.Fatal(err)
		}
		last = c
	}
	if last.ServerName != name {
		t.Errorf("%q came back as %q", name, last.ServerName)
	}
}

// repeated plays one TCP connection whose client sends pattern again and
// again, n bytes in all.
func repeated(pattern []byte, n int) *generator {
	const size = 1400
	double := append(bytes.Clone(pattern), pattern...)
	for len(double) < len(pattern)+size {
		double = append(double, pattern...)
	}
	a, b := netip.MustParseAddrPort("192.0.2.10:40000"), netip.MustParseAddrPort("198.51.100.1:443")
	return &generator{step: microsecond, count: 3 + n/size, frame: func(i int, buf []byte) []byte {
		switch i {
		case 0:
			return packets.TCPBetween(a, b).Seq(0).Flags(packets.SYN).MSS(size).AppendIP(buf)
		case 1:
			return packets.TCPBetween(b, a).Seq(0).Ack(1).Flags(packets.SYN).MSS(size).AppendIP(buf)
		case 2:
			return packets.TCPBetween(a, b).Seq(1).Ack(1).AppendIP(buf)
		}
		at := (i - 3) * size
		from := at % len(pattern)
		return packets.TCPBetween(a, b).Seq(1 + uint32(at)).Ack(1).Payload(double[from : from+size]).AppendIP(buf)
	}}
}

// TestHugeHandshakeLength holds that a handshake message is not believed its
// length: 16 MiB announced and sent take no such memory.
func TestHugeHandshakeLength(t *testing.T) {
	const bound = 12 * mib // batches in flight, and a bounded message
	rec := append([]byte{22, 3, 3, 0x40, 0}, make([]byte, 1<<14)...)
	copy(rec[5:], []byte{1, 0xff, 0xff, 0xff})
	for _, f := range []struct {
		name string
		run  func()
	}{
		{"run", func() {
			if c := only(t, analyse(t, repeated(rec, 20*mib), Options{})); c.TLS == nil {
				t.Error("no TLS was found")
			}
		}},
		{"frames", func() {
			if err := WriteFrames(context.Background(), repeated(rec, 20*mib), io.Discard, Options{}); err != nil {
				t.Error(err)
			}
		}},
	} {
		if grown := peakMemory(f.run); grown > bound {
			t.Errorf("%s: %d MiB of memory", f.name, grown/mib)
		}
	}
}

// TestTinyHandshakeMessages holds that messages of four bytes each, the
// smallest there are, take no more memory than the frames they fill.
func TestTinyHandshakeMessages(t *testing.T) {
	const sent = 24 * mib
	rec := append([]byte{22, 3, 3, 0x40, 0}, make([]byte, 1<<14)...) // 4,096 HelloRequests
	grown := peakMemory(func() {
		if err := WriteFrames(context.Background(), repeated(rec, sent), io.Discard, Options{}); err != nil {
			t.Error(err)
		}
	})
	if grown > 2*sent {
		t.Errorf("%d MiB of memory for %d MiB of messages", grown/mib, sent/mib)
	}
	if grown := peakMemory(func() { only(t, analyse(t, repeated(rec, sent), Options{})) }); grown > sent {
		t.Errorf("facts take %d MiB", grown/mib)
	}
}

// synFlood asks for n connections from different clients to servers servers
// in turn; nobody answers.
func synFlood(n, servers int) *generator {
	p := packets.TCP("10.0.0.0:1", "198.51.0.0:443").Flags(packets.SYN).MSS(1460).IP()
	return &generator{step: 10 * microsecond, count: n, frame: func(i int, b []byte) []byte {
		at := len(b)
		b = append(b, p...)
		binary.BigEndian.PutUint32(b[at+12:], 0x0a000000|uint32(i>>4))
		binary.BigEndian.PutUint16(b[at+20:], uint16(1024+i&15))
		binary.BigEndian.PutUint16(b[at+18:], uint16(i%servers))
		binary.BigEndian.PutUint32(b[at+24:], uint32(i)*2654435761)
		return b
	}}
}

// floodSize is the number of SYNs of a flood.
func floodSize() int {
	if testing.Short() {
		return 50_000
	}
	return 1_000_000
}

// allocated returns how many bytes f allocates in all: work that does not
// depend on the machine's speed.
func allocated(f func()) uint64 {
	var a, b runtime.MemStats
	runtime.ReadMemStats(&a)
	f()
	runtime.ReadMemStats(&b)
	return b.TotalAlloc - a.TotalAlloc
}

// TestSYNFlood holds that unanswered connections beyond the first 10,000 are
// summed up and not one is lost, in memory and work that grow with their number.
func TestSYNFlood(t *testing.T) {
	n := floodSize()
	// For each attempt that is waited for (tcpflow's default is 200,000) a
	// kibibyte, and as much garbage as memory in use.
	const fixed, each, open = 64 * mib, 1 << 10, 200_000
	for _, servers := range []int{1, 300, maxSummed + 2000} {
		var grown int64
		check := func(n int) uint64 {
			return allocated(func() {
				grown = peakMemory(func() {
					r, err := Run(context.Background(), synFlood(n, servers), Options{})
					if err != nil {
						t.Fatal(err)
					}
					defer r.Connections.Close()
					sum, others := int64(0), false
					for _, u := range r.Unanswered {
						sum += u.Connections
						others = others || u.Server == "others"
						if u.FirstFrame < 1 || u.LastFrame < u.FirstFrame || u.LastFrame > int64(n) || u.Connections < 1 {
							t.Fatalf("%+v of %d frames", u, n)
						}
					}
					if listed := int64(r.Connections.Len()); listed != maxUnanswered || listed+sum != int64(n) {
						t.Errorf("%d SYNs: %d listed, %d summed up", n, listed, sum)
					}
					if len(r.Unanswered) != min(servers, maxSummed+1) || others != (servers > maxSummed) {
						t.Errorf("%d servers: %d sums, others %v", servers, len(r.Unanswered), others)
					}
					for i := 1; i < len(r.Unanswered); i++ {
						if r.Unanswered[i].Connections > r.Unanswered[i-1].Connections {
							t.Error("the sums are not in order")
							break
						}
					}
				})
			})
		}
		if !testing.Short() && servers == 300 {
			quarter := check(n / 4)
			if whole := check(n); whole > 5*quarter {
				t.Errorf("%d SYNs allocate %d MiB, a quarter of them %d MiB", n, whole/mib, quarter/mib)
			}
		} else {
			check(50_000)
		}
		if grown > 2*(fixed+each*int64(min(n, open))) {
			t.Errorf("%d SYNs to %d servers: %d MiB of memory", n, servers, grown/mib)
		}
	}
}

// TestAnsweredAreNeverSummedUp is the flood's look-alike: as many connections
// that a server refuses are listed one by one.
func TestAnsweredAreNeverSummedUp(t *testing.T) {
	const n = maxUnanswered + 2000
	a := netip.MustParseAddr("10.1.0.0").As4()
	server := netip.MustParseAddrPort("198.51.100.1:443")
	r := analyse(t, &generator{step: 10 * microsecond, count: 2 * n, frame: func(i int, b []byte) []byte {
		binary.BigEndian.PutUint16(a[2:], uint16(i/2))
		client := netip.AddrPortFrom(netip.AddrFrom4(a), 40_000)
		if i%2 == 0 {
			return packets.TCPBetween(client, server).Seq(7).Flags(packets.SYN).AppendIP(b)
		}
		return packets.TCPBetween(server, client).Ack(8).Flags(packets.RST).AppendIP(b)
	}}, Options{})
	if len(r.Unanswered) != 0 || r.Connections.Len() != n {
		t.Errorf("%d connections listed, want %d; summed up: %+v", r.Connections.Len(), n, r.Unanswered)
	}
}

// dnsMessage returns a question for name, or its answer with an address.
func dnsMessage(id uint16, name string, answer bool) []byte {
	b := binary.BigEndian.AppendUint16(nil, id)
	if answer {
		b = append(b, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0)
	} else {
		b = append(b, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0)
	}
	for label := range strings.SplitSeq(name, ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	b = append(b, 0, 0, 1, 0, 1)
	if answer {
		b = append(b, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 198, 51, 100, 9)
	}
	return b
}

// lookups plays n lookups of different names, each answered with an address
// or with the word that there is no such name.
func lookups(n int, exists bool) *generator {
	client, server := netip.MustParseAddr("192.0.2.10"), netip.MustParseAddrPort("192.0.2.53:53")
	return &generator{step: millisecond, count: 2 * n, frame: func(i int, b []byte) []byte {
		k := i / 2
		c := netip.AddrPortFrom(client, uint16(10_000+k%50_000))
		name := "host" + strconv.Itoa(k) + ".example"
		if i%2 == 0 {
			return packets.UDPBetween(c, server).Payload(dnsMessage(uint16(k), name, false)).AppendIP(b)
		}
		m := dnsMessage(uint16(k), name, exists)
		if !exists {
			m[2], m[3] = 0x81, 0x83 // NXDOMAIN (RFC 1035, section 4.1.1)
		}
		return packets.UDPBetween(server, c).Payload(m).AppendIP(b)
	}}
}

// TestManyLookups holds that the list of lookups is bounded, failed ones too,
// and that what is left out is counted.
func TestManyLookups(t *testing.T) {
	for _, exists := range []bool{true, false} {
		const n = 4 * maxLookups
		var r *Result
		grown := peakMemory(func() { r = analyse(t, lookups(n, exists), Options{}) })
		if len(r.Lookups) > 2*maxLookups || int64(len(r.Lookups))+r.LookupsOmitted != n {
			t.Errorf("exists %v: %d listed, %d left out of %d", exists, len(r.Lookups), r.LookupsOmitted, n)
		}
		if r.SubjectLookup >= len(r.Lookups) {
			t.Errorf("exists %v: the verdict is about lookup %d of %d", exists, r.SubjectLookup, len(r.Lookups))
		}
		for i := range r.Lookups {
			if got := r.Lookups[i].Verdict.Died(); got == exists {
				t.Fatalf("exists %v: lookup %d: %+v", exists, i, r.Lookups[i])
			}
		}
		if grown > 96*mib {
			t.Errorf("exists %v: %d MiB of memory", exists, grown/mib)
		}
	}
}

// TestLateAnswerCounts holds that an answer beyond the listed lookups still
// makes the failure of the same name good.
func TestLateAnswerCounts(t *testing.T) {
	w := newWire()
	ask := func(id uint16, name string, answer bool) {
		port := 1024 + int(id)%60_000
		client, server := fmt.Sprintf("192.0.2.10:%d", port), "192.0.2.53:53"
		w.add(packets.UDP(client, server).Payload(dnsMessage(id, name, false)))
		if answer {
			w.add(packets.UDP(server, client).Payload(dnsMessage(id, name, true)))
		}
	}
	ask(1, "proxy.example", false)
	w.now += 40 * second
	for i := range maxLookups + 10 {
		ask(uint16(2+i), "other"+strconv.Itoa(i)+".example", true)
	}
	ask(60_000, "proxy.example", true)
	if r := analyse(t, w, lookedFor); r.Verdict.Died() {
		t.Errorf("verdict %s about lookup %d, although the second try was answered", r.Verdict.Class, r.SubjectLookup)
	}
}

// TestManyInterfaces holds that thousands of interfaces, more than are kept
// track of, do no harm.
func TestManyInterfaces(t *testing.T) {
	g := synFlood(20_000, 7)
	g.interfaces = 10_000
	r := analyse(t, g, Options{})
	if r.Capture.Segments != 20_000 || len(r.Capture.Interfaces) != 10_000 {
		t.Errorf("%d segments on %d interfaces", r.Capture.Segments, len(r.Capture.Interfaces))
	}
	for _, f := range r.Capture.Health {
		if f.ID == "K8.clock-back" || f.ID == "K8.clock-ahead" {
			t.Errorf("fact %s", f.ID)
		}
	}
}

// TestICMPFlood holds that errors beyond a few are not kept, whether they
// quote a known connection, an unknown one, or a lookup.
func TestICMPFlood(t *testing.T) {
	const n = 60_000
	syn := packets.TCP("192.0.2.10:40000", "198.51.100.1:443").Seq(5).Flags(packets.SYN)
	known := packets.ICMPError("203.0.113.1", "192.0.2.10", 3, 13, syn).IP()
	question := packets.UDP("192.0.2.10:5000", "192.0.2.53:53").Payload(dnsMessage(9, "a.example", false))
	about := packets.ICMPError("203.0.113.1", "192.0.2.10", 3, 3, question).IP()
	var r *Result
	grown := peakMemory(func() {
		r = analyse(t, &generator{step: microsecond, count: n, frame: func(i int, b []byte) []byte {
			switch {
			case i == 0:
				return syn.AppendIP(b)
			case i == 1:
				return question.AppendIP(b)
			case i%3 == 0:
				return append(b, known...)
			case i%3 == 1:
				return append(b, about...)
			}
			from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), uint16(i))
			quoted := packets.TCPBetween(from, netip.MustParseAddrPort("198.51.100.1:443")).Flags(packets.SYN)
			return packets.ICMPError(from.Addr().String(), from.Addr().String(), 3, 10, quoted).AppendIP(b)
		}}, Options{})
	})
	c := only(t, r)
	if len(c.ICMP) == 0 || len(c.ICMP) > 16 {
		t.Errorf("%d ICMP errors on the connection", len(c.ICMP))
	}
	if len(r.Lookups) != 1 || len(r.Lookups[0].Frames) > 64 {
		t.Errorf("lookups: %+v", r.Lookups)
	}
	if grown > 24*mib {
		t.Errorf("%d MiB of memory", grown/mib)
	}
}

// TestTupleReuse holds that each of 10,000 connections on one tuple is told
// of by itself, and that memory depends on the one that is open.
func TestTupleReuse(t *testing.T) {
	const n = 10_000
	a, b := netip.MustParseAddrPort("192.0.2.10:40000"), netip.MustParseAddrPort("198.51.100.1:443")
	source := func() *generator {
		return &generator{step: microsecond, count: 4 * n, frame: func(i int, buf []byte) []byte {
			isn := uint32(i/4) * 70_000
			switch i % 4 {
			case 0:
				return packets.TCPBetween(a, b).Seq(isn).Flags(packets.SYN).AppendIP(buf)
			case 1:
				return packets.TCPBetween(b, a).Seq(isn + 9).Ack(isn + 1).Flags(packets.SYN).AppendIP(buf)
			case 2:
				return packets.TCPBetween(a, b).Seq(isn + 1).Ack(isn + 10).AppendIP(buf)
			}
			return packets.TCPBetween(a, b).Seq(isn + 1).Ack(isn + 10).Text("hello").AppendIP(buf)
		}}
	}
	r := analyse(t, source(), Options{})
	id := int64(0)
	for _, c := range connections(t, r) {
		if c.ID != id || c.TCP.Packets != 4 || c.Bytes.FromClient != 5 || c.FirstFrame != 4*id+1 {
			t.Fatalf("connection %d: %+v", id, c)
		}
		id++
	}
	if id != n {
		t.Errorf("%d connections, want %d", id, n)
	}
	lines, err := corpus.ReadFrames(strings.NewReader(framesOf(t, source())))
	if err != nil || len(lines) != 4*n {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	for i, l := range lines {
		if l.Stream != int64(i/4) {
			t.Fatalf("frame %d is in stream %d", i+1, l.Stream)
		}
		if reused := strings.Contains(l.Flags, "reused_ports"); reused != (i%4 == 0 && i > 0) {
			t.Fatalf("frame %d: flags %q", i+1, l.Flags)
		}
	}
}

// TestAddressText holds that addresses are told in their shortest form.
func TestAddressText(t *testing.T) {
	for text, want := range map[string]string{"::ffff:192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::1", "::": "::"} {
		if got := address(decode.Addr(netip.MustParseAddr(text).As16())).String(); got != want {
			t.Errorf("%s is told as %s", text, got)
		}
	}
}
