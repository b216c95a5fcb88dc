package tlswire

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"testing"
)

// script makes a fuzz input of a recording: an operation byte (bit 0 the
// direction, bit 1 missing bytes, bit 2 a segment start), a length and, unless
// missing, the bytes.
func script(log []chunk) []byte {
	var b []byte
	for _, k := range log {
		for p := k.b; len(p) > 0; {
			n := min(len(p), 1460)
			b = append(b, byte(k.dir)|4)
			b = binary.BigEndian.AppendUint16(b, uint16(n))
			b = append(b, p[:n]...)
			p = p[n:]
		}
	}
	return b
}

func run(c *Conversation, in []byte) {
	for frame := int64(1); len(in) >= 3; frame++ {
		op, n := in[0], int(binary.BigEndian.Uint16(in[1:]))
		in = in[3:]
		if op&2 != 0 {
			c.Missing(int(op&1), frame, frame, n)
			continue
		}
		n = min(n, len(in))
		if op&4 != 0 {
			c.SegmentStart(int(op & 1))
		}
		c.Data(int(op&1), frame, frame, in[:n])
		in = in[n:]
	}
}

func FuzzConversation(f *testing.F) {
	for _, log := range recordings(f) {
		s := script(log)
		f.Add(s)
		// Hostile kin: a length that lies, a hole, a cut.
		lie := bytes.Clone(s)
		copy(lie[9:], "\xff\xff\xff")
		f.Add(lie)
		f.Add(append([]byte{2, 0, 200}, s...))
		f.Add(append(bytes.Clone(s[:min(len(s), 300)]), 2, 0x10, 0))
		f.Add(s[:len(s)/2])
	}
	f.Add(script([]chunk{{0, ssl2Hello}}))
	f.Fuzz(func(t *testing.T, in []byte) {
		c := New()
		fed := [2]int64{}
		c.OnMessage = func(dir int, frame int64, m Message) {
			if m.Kind == 0 || frame <= 0 && !m.Cut {
				t.Fatalf("message %+v on frame %d", m, frame)
			}
		}
		run(c, in)
		for i := range c.dirs {
			d := &c.dirs[i]
			fed[i] = d.off
			if d.asm != nil && len(d.asm.buf) > maxHandshake+4+maxRecordBytes {
				t.Fatalf("%d bytes buffered", len(d.asm.buf))
			}
			if d.remain < 0 || d.msgSkip < 0 {
				t.Fatalf("counters %d %d", d.remain, d.msgSkip)
			}
		}
		c.End()
		facts := c.Facts()
		for i := range facts.Sides {
			s := &facts.Sides[i]
			if s.AppBytes > fed[i] || s.Unread > fed[i] || s.Missing > fed[i] || len(s.First) > firstRecords {
				t.Fatalf("of %d bytes: %+v", fed[i], s)
			}
		}
		for _, m := range facts.Malformed {
			if m.Offset < 0 || m.Offset > fed[m.Dir] || m.At < 0 || m.Reason == "" {
				t.Fatalf("malformed %+v of %d bytes", m, fed[m.Dir])
			}
		}
	})
}

// FuzzChunking holds that facts do not depend on segment boundaries.
func FuzzChunking(f *testing.F) {
	for _, log := range recordings(f) {
		f.Add(stream(log, 0), stream(log, 1), uint16(7))
		f.Add(stream(log, 1), stream(log, 0), uint16(1))
	}
	f.Add(ssl2Hello, []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), uint16(3))
	f.Fuzz(func(t *testing.T, a, b []byte, size uint16) {
		// A PROXY header is only looked for in one piece.
		if bytes.Contains(a, proxyText) || bytes.Contains(a, proxyBinary) || bytes.Contains(b, proxyText) || bytes.Contains(b, proxyBinary) {
			return
		}
		log := []chunk{{0, a}, {1, b}}
		want := fixedFacts(log, func(n int) int { return n })
		got := fixedFacts(log, func(n int) int { return min(n, 1+int(size)) })
		if !reflect.DeepEqual(got, want) {
			t.Errorf("in pieces of %d: %+v\nwant %+v", 1+int(size), got, want)
		}
	})
}

func FuzzCertificate(f *testing.F) {
	keysOnce.Do(keys)
	for _, der := range append(leaf.Certificate, rsaLeaf.Certificate...) {
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		cert := (*Cache)(nil).certificate(der)
		if len(cert.Names) > maxCertNames || cert.Bytes != len(der) || len(cert.Subject)+len(cert.Issuer) > 16*len(der)+64 {
			t.Errorf("%+v", cert)
		}
	})
}

func FuzzLooksLikeRecord(f *testing.F) {
	for _, log := range recordings(f) {
		for _, k := range log {
			f.Add(k.b[:min(len(k.b), 200)])
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if !LooksLikeRecord(b) {
			return
		}
		c := New()
		c.SegmentStart(0)
		c.Data(0, 1, 1, b)
		if s := c.Facts().Sides[0]; s.Records == 0 {
			t.Errorf("% x looks like a record and is none: %+v", b[:min(len(b), 16)], s)
		}
	})
}
