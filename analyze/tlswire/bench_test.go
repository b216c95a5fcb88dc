package tlswire

import "testing"

// bulkStream is TLS 1.3 application data in full records.
func bulkStream() []byte {
	var b []byte
	for range 8 {
		b = append(b, 23, 3, 3, 0x40, 0x11)
		b = append(b, make([]byte, 0x4011)...)
	}
	return b
}

func TestBulkAllocatesNothing(t *testing.T) {
	c := New()
	feed(c, recordings(t)["TLS 1.2"])
	c.OnMessage = func(int, int64, Message) {}
	// Fill what the facts keep of the first records.
	b := bulkStream()
	c.Data(1, 1, 1, b)
	frame := int64(1)
	if n := testing.AllocsPerRun(20, func() {
		for p := b; len(p) > 0; {
			k := min(1448, len(p))
			frame++
			c.SegmentStart(1)
			c.Data(1, frame, frame, p[:k])
			p = p[k:]
		}
		c.Missing(1, frame, frame, 0)
	}); n != 0 {
		t.Errorf("%v allocations for a stream of %d bytes", n, len(b))
	}
	if s := &c.Facts().Sides[1]; s.SyncLost != 0 || s.LastApp.Frame != frame {
		t.Errorf("%+v", s)
	}
}

func BenchmarkBulk(b *testing.B) {
	stream := bulkStream()
	c := New()
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		for p := stream; len(p) > 0; {
			k := min(1448, len(p))
			c.SegmentStart(1)
			c.Data(1, 1, 1, p[:k])
			p = p[k:]
		}
	}
}

func BenchmarkHandshake(b *testing.B) {
	logs := recordings(b)
	for _, name := range []string{"TLS 1.2", "TLS 1.3"} {
		b.Run(name, func(b *testing.B) {
			log := logs[name]
			var cache Cache
			b.ReportAllocs()
			for b.Loop() {
				c := Conversation{Cache: &cache}
				feed(&c, log)
			}
		})
	}
}
