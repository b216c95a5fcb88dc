package analyze

import (
	"context"
	"encoding/binary"
	"io"
	"testing"

	"goproxytrace/capture"
	"goproxytrace/internal/packets"
)

// download is a capture of one long TLS download in which every second
// segment is acknowledged: 48 bytes of each frame change, the rest is ready
// made, so that making it costs next to nothing beside reading it.
type download struct {
	generator
	hello   []byte // the packets of the handshake, one after the other
	lengths []int
	data    []byte
	ack     []byte
}

func newDownload(count int) *download {
	w := newWire()
	k := w.talk(healthClient, healthServer).connect().tls("proxy.example", 100)
	d := &download{}
	for _, p := range w.packets {
		d.hello = append(d.hello, p.Data[14:]...)
		d.lengths = append(d.lengths, len(p.Data)-14)
	}
	payload := record(23, make([]byte, 1455))
	d.data = k.packet(1).Payload(payload).IP()
	d.ack = k.packet(0).IP()
	server, client := k.seq[1], k.seq[0]
	at := 0
	starts := make([]int, len(d.lengths))
	for i, n := range d.lengths {
		starts[i] = at
		at += n
	}
	d.count, d.step = count, 10*microsecond
	d.frame = func(i int, b []byte) []byte {
		if i < len(starts) {
			return append(b, d.hello[starts[i]:starts[i]+d.lengths[i]]...)
		}
		i -= len(starts)
		from := len(b)
		if i%3 == 2 {
			b = append(b, d.ack...)
			binary.BigEndian.PutUint32(b[from+24:], client)
			binary.BigEndian.PutUint32(b[from+28:], server+uint32(i/3*2+2)*uint32(len(payload)))
		} else {
			b = append(b, d.data...)
			binary.BigEndian.PutUint32(b[from+24:], server+uint32(i/3*2+i%3)*uint32(len(payload)))
			binary.BigEndian.PutUint32(b[from+28:], client)
		}
		binary.BigEndian.PutUint16(b[from+4:], uint16(i))
		return b
	}
	return d
}

var _ capture.Source = (*download)(nil)

// rate reports the packets that were read in a second.
func rate(b *testing.B, packets int) {
	b.ReportMetric(float64(packets)*float64(b.N)/b.Elapsed().Seconds(), "packets/s")
}

func BenchmarkRun(b *testing.B) {
	const count = 200_000
	b.ReportAllocs()
	for b.Loop() {
		r, err := Run(context.Background(), newDownload(count), Options{})
		if err != nil || r.Capture.Segments != count || r.Connections.Len() != 1 {
			b.Fatalf("%+v, %v", r, err)
		}
		_ = r.Connections.Close()
	}
	rate(b, count)
}

func BenchmarkWriteFrames(b *testing.B) {
	const count = 200_000
	b.ReportAllocs()
	for b.Loop() {
		if err := WriteFrames(context.Background(), newDownload(count), io.Discard, Options{}); err != nil {
			b.Fatal(err)
		}
	}
	rate(b, count)
}

func BenchmarkShortConnections(b *testing.B) {
	const count = 200_000
	b.ReportAllocs()
	for b.Loop() {
		r, err := Run(context.Background(), shortConnections(count), Options{})
		if err != nil || r.Capture.Segments != count {
			b.Fatalf("%+v, %v", r, err)
		}
		_ = r.Connections.Close()
	}
	rate(b, count)
}

// shortConnections refuses one connection after the other.
func shortConnections(count int) *generator {
	syn := packets.TCP("10.0.0.0:40000", "198.51.100.1:443").Flags(packets.SYN).MSS(1460).IP()
	rst := packets.TCP("198.51.100.1:443", "10.0.0.0:40000").Flags(packets.RST).Ack(1).IP()
	return &generator{count: count, step: 10 * microsecond, frame: func(i int, b []byte) []byte {
		from := len(b)
		if i%2 == 0 {
			b = append(b, syn...)
			binary.BigEndian.PutUint32(b[from+12:], 0x0a000000|uint32(i/2))
		} else {
			b = append(b, rst...)
			binary.BigEndian.PutUint32(b[from+16:], 0x0a000000|uint32(i/2))
		}
		return b
	}}
}

// TestNoAllocationPerPacket holds that a download four times as long costs no
// allocation more than what the end of a capture costs anyhow.
func TestNoAllocationPerPacket(t *testing.T) {
	mallocs := func(count int) float64 {
		return testing.AllocsPerRun(1, func() {
			r, err := Run(context.Background(), newDownload(count), Options{})
			if err != nil || r.Capture.Segments != int64(count) {
				t.Fatal(err)
			}
			c := only(t, r)
			if c.TCP.Retransmissions+c.TCP.LostSegments+c.TCP.OutOfOrder+c.TCP.ACKLostSegments != 0 || c.TLS == nil || len(c.TLS.Malformed) > 0 {
				t.Fatalf("the download is not as meant: %+v", c.TCP)
			}
			_ = r.Connections.Close()
		})
	}
	short, long := mallocs(20_000), mallocs(80_000)
	if more := long - short; more > 600 {
		t.Errorf("60,000 packets more make %.0f allocations more", more)
	}
}
