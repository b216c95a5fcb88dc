package tcpflow

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"goproxytrace/analyze/decode"
)

func TestStream(t *testing.T) {
	for _, x := range []struct {
		name, script string
		want         string // "100": bytes that begin a segment, "+100": not, "-100": missing
		open         string // what is delivered before the end, where that differs
	}{
		{name: "in order", script: opened + `
30 > A 1001 5001 len=100
31 > A 1101 5001 len=50`, want: "100 50"},
		{name: "out of order", script: opened + `
30 > A 1101 5001 len=100 => lost_segment
31 > A 1001 5001 len=100 => out_of_order`, want: "100 100"},
		{name: "three in reverse", script: opened + `
30 > A 1201 5001 len=100 => lost_segment
31 > A 1101 5001 len=100 => out_of_order
32 > A 1001 5001 len=100 => out_of_order`, want: "100 100 100"},
		{name: "a hole that is never filled", script: opened + `
30 > A 1001 5001 len=100
31 > A 1201 5001 len=100 => lost_segment`, want: "100 -100 100", open: "100"},
		{name: "a hole at the start", script: opened + `
30 > A 1011 5001 len=100 => lost_segment`, want: "-10 100", open: ""},
		{name: "two holes", script: opened + `
31 > A 1011 5001 len=10 => lost_segment
32 > A 1041 5001 len=10 => lost_segment`, want: "-10 10 -20 10", open: ""},
		{name: "a hole filled late", script: opened + `
30  > A 1001 5001 len=100
31  > A 1201 5001 len=100 => lost_segment
300 > A 1101 5001 len=100 => retransmission`, want: "100 100 100"},
		{name: "a hole filled in part", script: opened + `
30  > A 1001 5001 len=100
31  > A 1201 5001 len=100 => lost_segment
300 > A 1101 5001 len=60 => retransmission`, want: "100 60 -40 100", open: "100 60"},
		{name: "sent again", script: opened + `
30  > A 1001 5001 len=100
300 > A 1001 5001 len=100 => retransmission`, want: "100"},
		{name: "sent again with more", script: opened + `
30  > A 1001 5001 len=100
300 > A 1001 5001 len=150 => retransmission`, want: "100 +50"},
		{name: "overlap behind a hole", script: opened + `
30 > A 1101 5001 len=100 => lost_segment
31 > A 1151 5001 len=100 => out_of_order
60 > A 1001 5001 len=120 => retransmission`, want: "120 +80 +50"},
		{name: "a shorter and a longer copy behind a hole", script: opened + `
30 > A 1101 5001 len=10 => lost_segment
60 > A 1101 5001 len=80 => retransmission
61 > A 1101 5001 len=30 => out_of_order
90 > A 1001 5001 len=100 => retransmission`, want: "100 10 +70"},
		{name: "sliced", script: opened + `
30 > A 1001 5001 len=100 cap=40
31 > A 1101 5001 len=100 cap=0
32 > A 1201 5001 len=100`, want: "40 -60 -100 100"},
		{name: "sliced behind a hole", script: opened + `
30 > A 1101 5001 len=100 cap=40 => lost_segment
60 > A 1001 5001 len=100 cap=90 => retransmission`, want: "90 -10 40 -60"},
		{name: "wraps", script: `
0  > S -50
10 < SA 5000 -49
20 > A -49 5001
30 > A -49 5001 len=100
31 > A 151 5001 len=100 => lost_segment
60 > A 51 5001 len=100  => retransmission`, want: "100 100 100"},
		{name: "with the SYN", script: `
0  > S  1000 len=20
10 < SA 5000 1021
20 > A  1021 5001 len=30`, want: "20 30"},
		{name: "FIN with payload", script: opened + `
30 > FA 1001 5001 len=20`, want: "20"},
		{name: "a reset's payload is a message to people", script: opened + `
30 > R 1001 len=20`, want: ""},
		{name: "a keep-alive's byte", script: opened + `
30    > A 1001 5001 len=100
15000 > A 1100 5001 len=1 => keep_alive
15001 > A 1101 5001 len=10`, want: "100 10"},
		{name: "the capture begins within", script: `
30 > A 1001 5001 len=100
31 > A 1101 5001 len=100`, want: "100 100"},
		{name: "the capture begins with a keep-alive's byte", script: `
0     > A 1001 5001
15000 > A 1000 5001 len=1 => keep_alive
15010 < A 5001 1001
15020 > A 1001 5001 len=100`, want: "100"},
		{name: "far ahead, then the real ones", script: opened + `
30 > A 900001001 5001 len=10 => lost_segment
90 > A 1001 5001 len=100     => retransmission
91 > A 1101 5001 len=100     => retransmission`, want: "100 100 -899999800 10", open: "100 100"},
		{name: "more than half the space ahead is behind", script: opened + `
30 > A 1001 5001 len=100
90 > A 3147484648 5001 len=10 => retransmission,spurious_retransmission`, want: "100"},
	} {
		t.Run(x.name, func(t *testing.T) {
			p, c := run(t, x.script)
			id, d := c.ID, c.ClientDir
			open := x.open
			if open == "" && !strings.Contains(x.want, "-") {
				open = x.want
			}
			if x.open != "" || !strings.Contains(x.want, "-") {
				equal(t, "before the end", p.stream(id, d), open)
			}
			p.Finish()
			equal(t, "delivered", p.stream(id, d), x.want)
			equal(t, "held", p.held, uint64(0))
		})
	}
}

// TestAcknowledgedHole holds that a hole which the receiver has acknowledged
// is given up after some segments, as its bytes were not captured; one that it
// has not is waited for.
func TestAcknowledgedHole(t *testing.T) {
	for _, x := range []struct {
		ack  uint32
		want string
	}{
		{1201, "-100" + strings.Repeat(" 10", ackedChunks+1)},
		{1101, "-100" + strings.Repeat(" 10", ackedChunks+1)},
		{1100, ""},
		{1001, ""},
	} {
		p, _ := run(t, opened)
		client, server := Endpoint{}, Endpoint{}
		for _, c := range p.conns {
			client, server = c.End[0], c.End[1]
		}
		g := newSegments(client, server)
		seq := uint32(1101)
		for i := range ackedChunks + 1 {
			s := g.at(ms(30+float64(i)), 0, decode.ACK, seq, 5001, 10)
			s.Payload = payloadAt(0, seq, 10)
			p.Segment(s)
			seq += 10
			if i == 0 {
				p.Segment(g.at(ms(30.5), 1, decode.ACK, 5001, x.ack, 0))
			}
		}
		equal(t, fmt.Sprintf("acknowledged up to %d", x.ack), p.stream(0, 0), x.want)
	}
}

// TestHeldBounds holds that what waits behind holes is bounded, per direction
// and in all, however small the segments are.
func TestHeldBounds(t *testing.T) {
	for _, size := range []uint32{0, 1, 1460, 60000} {
		table := NewTable(discard{}, Options{})
		payload := make([]byte, size)
		for i := range 30 {
			g := newSegments(testEnds(i))
			table.Segment(g.at(0, 0, decode.SYN, 0, 0, 0))
			for k := range uint32(2 * maxHeldChunks) {
				s := g.at(1, 0, decode.ACK, 100+k*70000, 1, max(size, 1))
				s.Payload = payload
				c, _, _ := table.Segment(s)
				if st := &c.Half[0].stream; len(st.chunks) > maxHeldChunks || st.held > maxHeldPerHalf {
					t.Fatalf("%d segments and %d bytes wait in one direction", len(st.chunks), st.held)
				}
				if table.held > maxHeldTotal {
					t.Fatalf("%d bytes wait in all", table.held)
				}
			}
		}
		var held uint64
		for _, c := range table.conns {
			for k := range c.Half[0].stream.chunks {
				held += uint64(c.Half[0].stream.chunks[k].cost())
			}
		}
		equal(t, "accounted", table.held, held)
		if size == 1460 && held < maxHeldTotal/2 {
			t.Errorf("only %d bytes wait: the bound in all is not reached", held)
		}
		table.Finish()
		equal(t, "after the end", table.held, uint64(0))
	}
}

// TestIgnore holds that an ignored direction delivers nothing more, also when
// the handler decides so while it is called.
func TestIgnore(t *testing.T) {
	p, c := run(t, opened+`
30 > A 1001 5001 len=100
31 > A 1201 5001 len=100 => lost_segment`)
	p.Ignore(c, 0)
	equal(t, "held", p.held, uint64(0))
	p.feed(parseScript(t, "300 > A 1101 5001 len=100 => retransmission\n301 < A 5001 1301 len=7", 0))
	p.Finish()
	equal(t, "ignored", p.stream(0, 0), "100")
	equal(t, "the other direction", p.stream(0, 1), "7")

	for _, kind := range []string{"data", "missing"} {
		h := &ignorer{kind: kind}
		h.table = NewTable(h, Options{})
		g := newSegments(testEnds(0))
		send := func(seq uint32, captured int) {
			s := g.at(0, 0, decode.ACK, seq, 1, 10)
			s.Payload = make([]byte, captured)
			h.table.Segment(s)
		}
		h.table.Segment(g.at(0, 0, decode.SYN, 0, 0, 0))
		send(21, 10)
		send(11, 4)
		send(31, 10)
		send(1, 4)
		send(41, 10)
		h.table.Finish()
		equal(t, kind+": calls", h.calls, map[string]int{"data": 1, "missing": 2}[kind])
		equal(t, kind+": held", h.table.held, uint64(0))
	}
}

// ignorer ignores a direction at the first call of a kind.
type ignorer struct {
	discard
	table *Table
	kind  string
	calls int
}

func (h *ignorer) Data(c *Conn, d uint8, _ Point, _ []byte, _ bool) {
	h.calls++
	if h.kind == "data" {
		h.table.Ignore(c, d)
	}
}

func (h *ignorer) Missing(c *Conn, d uint8, _ Point, _ uint32) {
	h.calls++
	if h.kind == "missing" {
		h.table.Ignore(c, d)
	}
}

// TestStreamInvariance holds that segments in any order, repeated and cut
// anew, deliver the same bytes once.
func TestStreamInvariance(t *testing.T) {
	const total = 20000
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		first := uint32(1000)
		if seed%3 == 0 {
			first = -uint32(rng.IntN(total)) // wraps on the way
		}
		type piece struct{ from, to int }
		var pieces []piece
		for at := 0; at < total; {
			n := min(1+rng.IntN(1460), total-at)
			pieces = append(pieces, piece{at, at + n})
			at += n
		}
		for range rng.IntN(30) { // overlaps and repetitions
			from := rng.IntN(total)
			pieces = append(pieces, piece{from, min(total, from+1+rng.IntN(3000))})
		}
		rng.Shuffle(len(pieces), func(i, k int) { pieces[i], pieces[k] = pieces[k], pieces[i] })

		p := newPlay(t, Options{})
		client, server := testEnds(0)
		g := newSegments(client, server)
		p.Segment(g.at(0, 0, decode.SYN, first-1, 0, 0))
		for i, x := range pieces {
			seq := first + uint32(x.from)
			s := g.at(int64(i+1), 0, decode.ACK, seq, 1, uint32(x.to-x.from))
			s.Payload = payloadAt(0, seq, x.to-x.from)
			c, d, _ := p.Segment(s)
			clear(s.Payload) // borrowed memory is used again
			if d != 0 || c.ID != 0 {
				t.Fatalf("seed %d: connection %d, direction %d", seed, c.ID, d)
			}
		}
		p.Finish()
		got := p.stream(0, 0)
		sum := 0
		for _, w := range strings.Fields(got) {
			n := 0
			fmt.Sscanf(strings.TrimPrefix(w, "+"), "%d", &n)
			if n < 0 {
				t.Fatalf("seed %d: bytes are missing: %s", seed, got)
			}
			sum += n
		}
		if sum != total {
			t.Fatalf("seed %d: %d bytes delivered, want %d", seed, sum, total)
		}
	}
}
