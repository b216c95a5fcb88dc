package analyze

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"testing"
	"time"

	"goproxytrace/capture"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/internal/packets"
)

// Link types of the captures that tests make.
const (
	linkEthernet = capture.LinkType(1)
	linkRaw      = capture.LinkType(101)
	linkSLL2     = capture.LinkType(276)
)

// clockStart is when captures made by tests begin.
const clockStart = int64(1_700_000_000e9)

const (
	microsecond = int64(1e3)
	millisecond = int64(1e6)
	second      = int64(1e9)
)

// wire is a capture in the making, and a capture.Source of it.
type wire struct {
	now     int64
	packets []capture.Packet
	info    capture.Info
	// fail comes after the last packet instead of io.EOF.
	fail error
	// perBatch is how many packets one Read yields; zero means 64.
	perBatch int
	next     int
}

func newWire() *wire {
	return &wire{now: clockStart, info: capture.Info{Format: "pcapng", Interfaces: []capture.Interface{{LinkType: linkEthernet}}}}
}

// add captures p now.
func (w *wire) add(p *packets.Packet) *capture.Packet {
	b := p.Ethernet()
	w.packets = append(w.packets, capture.Packet{
		Number: int64(len(w.packets)) + 1, Time: w.now, HasTime: true, Data: b, Length: len(b), LinkType: linkEthernet, FCSLen: -1,
	})
	w.now += 100 * microsecond
	return &w.packets[len(w.packets)-1]
}

func (w *wire) Read(b *capture.Batch) error {
	n := w.perBatch
	if n == 0 {
		n = 64
	}
	if w.next == len(w.packets) {
		if w.fail != nil {
			return w.fail
		}
		return io.EOF
	}
	n = min(n, len(w.packets)-w.next)
	b.Packets = append(b.Packets[:0], w.packets[w.next:w.next+n]...)
	w.next += n
	w.info.Packets = int64(w.next)
	return nil
}

func (w *wire) Info() *capture.Info { return &w.info }
func (w *wire) Close() error        { return nil }

// generator is a source of packets that are made when they are read, so that
// the source itself takes no memory worth counting.
type generator struct {
	count int
	// frame appends the bytes of frame i (from 0) to b.
	frame func(i int, b []byte) []byte
	// step is the time between two frames in ns.
	step       int64
	interfaces int
	next       int
	info       capture.Info
}

func (g *generator) Read(b *capture.Batch) error {
	if g.next >= g.count {
		return io.EOF
	}
	b.Packets, b.Buf = b.Packets[:0], b.Buf[:0]
	type span struct{ from, to int }
	var spans [256]span
	n := min(len(spans), g.count-g.next)
	for i := range n {
		from := len(b.Buf)
		b.Buf = g.frame(g.next+i, b.Buf)
		spans[i] = span{from, len(b.Buf)}
	}
	for i := range n {
		data := b.Buf[spans[i].from:spans[i].to]
		b.Packets = append(b.Packets, capture.Packet{
			Number: int64(g.next+i) + 1, Time: clockStart + int64(g.next+i)*g.step, HasTime: true, Data: data, Length: len(data),
			LinkType: linkRaw, FCSLen: -1, Interface: int32((g.next + i) % max(g.interfaces, 1)),
		})
	}
	g.next += n
	g.info.Packets = int64(g.next)
	return nil
}

func (g *generator) Info() *capture.Info {
	g.info.Format = "pcapng"
	g.info.Interfaces = make([]capture.Interface, max(g.interfaces, 1))
	return &g.info
}

func (g *generator) Close() error { return nil }

// talk is one TCP connection being played. Direction 0 is the client's.
type talk struct {
	w    *wire
	end  [2]string
	seq  [2]uint32
	id   [2]uint16
	mss  uint16
	ts   bool
	zero int64 // when the timestamp clocks read 1000
	rtt  int64
	ttl  uint8 // the client's, zero for the packets' own
}

func (w *wire) talk(client, server string) *talk {
	return &talk{w: w, end: [2]string{client, server}, seq: [2]uint32{1000, 50_000}, id: [2]uint16{100, 7000}, mss: 1460, zero: w.now, rtt: 20 * millisecond}
}

// packet returns an empty segment of direction d that acknowledges all.
func (t *talk) packet(d int) *packets.Packet {
	t.id[d]++
	p := packets.TCP(t.end[d], t.end[1-d]).Seq(t.seq[d]).Ack(t.seq[1-d]).ID(t.id[d]).DontFragment()
	switch {
	case d == 1:
		p.TTL(52)
	case t.ttl > 0:
		p.TTL(t.ttl)
	}
	if t.ts {
		ticks := uint32(1000 + (t.w.now-t.zero)/millisecond)
		p.Timestamps(ticks, ticks)
	}
	return p
}

func (t *talk) syn() *packets.Packet {
	t.id[0]++
	p := packets.TCP(t.end[0], t.end[1]).Seq(t.seq[0] - 1).ID(t.id[0]).Flags(packets.SYN).MSS(t.mss).DontFragment()
	if t.ttl > 0 {
		p.TTL(t.ttl)
	}
	if t.ts {
		p.Timestamps(uint32(1000+(t.w.now-t.zero)/millisecond), 0)
	}
	return p
}

// connect plays the three-way handshake.
func (t *talk) connect() *talk {
	t.w.add(t.syn())
	t.w.now += t.rtt
	t.w.add(t.packet(1).Seq(t.seq[1] - 1).Flags(packets.SYN).MSS(t.mss))
	t.w.add(t.packet(0))
	return t
}

// send plays b in segments of at most size bytes (zero: the maximum segment
// size) and the acknowledgement.
func (t *talk) send(d int, b []byte, size int) *talk {
	if size == 0 {
		size = int(t.mss)
	}
	for len(b) > 0 {
		n := min(size, len(b))
		t.w.add(t.packet(d).Payload(b[:n]).Flags(packets.PSH))
		t.seq[d] += uint32(n)
		b = b[n:]
	}
	t.w.now += t.rtt
	t.w.add(t.packet(1 - d))
	return t
}

// close plays an orderly close that side d begins.
func (t *talk) close(d int) *talk {
	for _, side := range []int{d, 1 - d} {
		t.w.add(t.packet(side).Flags(packets.FIN))
		t.seq[side]++
		t.w.now += t.rtt
	}
	t.w.add(t.packet(d))
	return t
}

// record puts content into TLS records of at most 16,384 bytes.
func record(typ byte, content []byte) (b []byte) {
	for first := true; first || len(content) > 0; first = false {
		n := min(len(content), 1<<14)
		b = append(b, typ, 3, 3, byte(n>>8), byte(n))
		b = append(b, content[:n]...)
		content = content[n:]
	}
	return b
}

// handshake puts a body into a handshake message.
func handshake(typ byte, body []byte) []byte {
	return append([]byte{typ, byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}, body...)
}

func vector16(b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
}

// clientHello returns a ClientHello for name in its records (RFC 8446,
// section 4.1.2).
func clientHello(name string) []byte {
	b := append([]byte{3, 3}, make([]byte, 32)...)
	b = append(b, 0)                            // session id
	b = append(b, 0, 4, 0x13, 0x01, 0xc0, 0x2f) // cipher suites
	b = append(b, 1, 0)                         // compression
	sni := vector16(append([]byte{0}, vector16([]byte(name))...))
	ext := append([]byte{0, 0}, vector16(sni)...)
	ext = append(ext, 0, 43, 0, 5, 4, 3, 4, 3, 3) // supported_versions
	ext = append(ext, 0, 10, 0, 4, 0, 2, 0, 29)   // supported_groups
	return record(22, handshake(1, append(b, vector16(ext)...)))
}

// serverHello returns a TLS 1.3 ServerHello with the encrypted flight behind it.
func serverHello() []byte {
	b := append([]byte{3, 3}, make([]byte, 32)...)
	b[5] = 7
	b = append(b, 0, 0x13, 0x01, 0)
	b = append(b, vector16([]byte{0, 43, 0, 2, 3, 4})...)
	out := record(22, handshake(2, b))
	out = append(out, record(20, []byte{1})...)
	return append(out, record(23, make([]byte, 900))...)
}

// tls plays a TLS 1.3 handshake for name with a request and an answer of n bytes.
func (t *talk) tls(name string, n int) *talk {
	t.send(0, clientHello(name), 0).send(1, serverHello(), 0)
	t.send(0, append(record(20, []byte{1}), record(23, make([]byte, 53))...), 0)
	t.send(0, record(23, make([]byte, 120)), 0)
	return t.send(1, record(23, make([]byte, n)), 0)
}

// analyse runs the pipeline and closes what it holds when the test ends.
func analyse(t testing.TB, src capture.Source, o Options) *Result {
	t.Helper()
	r, err := Run(context.Background(), src, o)
	if err != nil {
		t.Fatalf("analysing: %v", err)
	}
	t.Cleanup(func() { _ = r.Connections.Close() })
	return r
}

// connections returns all connections of a result.
func connections(t testing.TB, r *Result) (out []*Connection) {
	t.Helper()
	for c, err := range r.Connections.All() {
		if err != nil {
			t.Fatalf("reading connections: %v", err)
		}
		out = append(out, c)
	}
	return out
}

// only returns the one connection of a result.
func only(t testing.TB, r *Result) *Connection {
	t.Helper()
	list := connections(t, r)
	if len(list) != 1 {
		t.Fatalf("%d connections, want 1", len(list))
	}
	return list[0]
}

// framesOf returns what WriteFrames writes for src.
func framesOf(t testing.TB, src capture.Source) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteFrames(context.Background(), src, &b, Options{}); err != nil {
		t.Fatalf("frames: %v", err)
	}
	return b.String()
}

// ownCaptures lists the captures in testdata.
func ownCaptures(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("..", "testdata", "pcaps", "*.pcapng"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no captures in testdata/pcaps (error %v)", err)
	}
	return paths
}

// load reads a capture file into memory. A damaged one yields what comes
// before the damage.
func load(t testing.TB, path string) *wire {
	t.Helper()
	r, err := pcapfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w := &wire{}
	var b capture.Batch
	for {
		err := r.Read(&b)
		var damage *capture.DamageError
		if errors.Is(err, io.EOF) || errors.As(err, &damage) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range b.Packets {
			p.Data = bytes.Clone(p.Data)
			w.packets = append(w.packets, p)
		}
	}
	w.info = *r.Info()
	return w
}

// renumber numbers the packets in their present order.
func (w *wire) renumber() {
	for i := range w.packets {
		w.packets[i].Number = int64(i) + 1
	}
}

// peakMemory runs f and returns by how many bytes the objects on the heap grew
// at most while it ran, sampled, garbage that is not collected yet included.
func peakMemory(f func()) int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	read := func(s []metrics.Sample) int64 {
		metrics.Read(s)
		return int64(s[0].Value.Uint64())
	}
	// What is held is asked for, not what waits to be collected, of which a busy
	// machine leaves more.
	defer debug.SetGCPercent(debug.SetGCPercent(25))
	runtime.GC()
	before := read(sample)
	peak := before
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		own := slices.Clone(sample)
		for {
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
				peak = max(peak, read(own))
			}
		}
	}()
	f()
	close(stop)
	<-done
	return max(peak, read(sample)) - before
}

const mib = 1 << 20
