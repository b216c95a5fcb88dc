package dnswire

import (
	"fmt"
	"slices"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

func framed(msgs ...[]byte) []byte {
	var b []byte
	for _, m := range msgs {
		b = append(b, byte(len(m)>>8), byte(len(m)))
		b = append(b, m...)
	}
	return b
}

func TestStream(t *testing.T) {
	one := packet(t, 1, dnsmessage.TypeA, nil)
	two := packet(t, 2, dnsmessage.TypeA, addresses("192.0.2.1"))
	in := framed(one, two, one)
	for size := 1; size <= len(in); size++ {
		var s Stream
		var got []string
		for b := in; len(b) > 0; {
			n := min(size, len(b))
			s.Data(b[:n], func(m []byte) { got = append(got, string(m)) })
			b = b[n:]
		}
		if !slices.Equal(got, []string{string(one), string(two), string(one)}) {
			t.Fatalf("pieces of %d: %d messages", size, len(got))
		}
		if s.buf != nil {
			t.Fatalf("pieces of %d: memory is held", size)
		}
	}
}

func TestStreamMissing(t *testing.T) {
	one := packet(t, 1, dnsmessage.TypeA, nil)
	in := framed(one, one)
	for _, k := range []struct{ at, n, want int }{
		{5, 10, 1},               // inside the first message: the second is read
		{5, len(one) - 3, 1},     // to its end
		{5, len(one) - 2, 0},     // beyond
		{2 + len(one), 2, 1},     // the second one's length
		{2 + len(one) + 2, 3, 1}, // inside the second
	} {
		var s Stream
		n := 0
		emit := func([]byte) { n++ }
		s.Data(in[:k.at], emit)
		s.Missing(k.n)
		s.Data(in[k.at+k.n:], emit)
		if n != k.want {
			t.Errorf("%d bytes missing at %d: %d messages, want %d", k.n, k.at, n, k.want)
		}
	}
	var s Stream
	s.Data([]byte("HTTP/1.1 400 Bad Request\r\n"), func(m []byte) { t.Errorf("message %q", m) })
	s.Data([]byte{0, 3, 1, 2, 3}, func(m []byte) { t.Errorf("message %q", m) })
}

func FuzzTracker(f *testing.F) {
	a := packet(f, 1, dnsmessage.TypeA, nil)
	good := packet(f, 1, dnsmessage.TypeA, addresses("192.0.2.1", "192.0.2.2"))
	f.Add(framed(a, good))
	f.Add(framed(a, a, good, packet(f, 1, dnsmessage.TypeA, edns(2, 22, "no reachable authority"))))
	f.Add(framed(a, packet(f, 1, dnsmessage.TypeA, soa), good[:30]))
	f.Fuzz(func(t *testing.T, in []byte) {
		done := 0
		tr := Tracker{Done: func(l *Lookup) {
			done++
			l.Answer()
			l.Conflict()
			if len(l.Queries) > maxEvents || len(l.Responses) > maxEvents || len(l.Queries) > l.QueryCount {
				t.Fatalf("%+v", l)
			}
		}}
		var s Stream
		time, frame := int64(0), int64(0)
		s.Data(in, func(m []byte) {
			frame++
			time += int64(m[0]) * 1e8
			src, dst := client, resolver
			src.Port += uint16(m[1] & 3)
			if m[2]&0x80 != 0 {
				src, dst = dst, src
			}
			tr.Feed(frame, time, src, dst, UDP, m)
			if m[3]&1 != 0 {
				tr.Unreachable(src, dst, UDP, int(m[0]&3)-1, Unreachable{Frame: frame, Time: time})
			}
		})
		tr.Flush()
		if tr.Open() != 0 || len(tr.byName) != 0 || len(tr.byTuple) != 0 {
			t.Fatalf("left behind: %s", fmt.Sprint(tr.Open(), len(tr.byName), len(tr.byTuple)))
		}
	})
}

func BenchmarkTracker(b *testing.B) {
	q, r := packet(b, 1, dnsmessage.TypeA, nil), packet(b, 1, dnsmessage.TypeA, addresses("192.0.2.1"))
	var tr Tracker
	b.ReportAllocs()
	for i := int64(0); b.Loop(); i++ {
		tr.Query(Packet{Time: i * 1e9, Client: client, Server: resolver, Payload: q})
		tr.Answer(Packet{Time: i * 1e9, Client: client, Server: resolver, Payload: r})
	}
}
