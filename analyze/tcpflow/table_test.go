package tcpflow

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"goproxytrace/analyze/decode"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// ids records which connections ended, in order.
type ids struct {
	discard
	done []int64
}

func (h *ids) Done(c *Conn) { h.done = append(h.done, c.ID) }

// openAndReset makes connection n of table, resets it at a time in ns and
// returns it.
func openAndReset(table *Table, n int, at int64) *Conn {
	g := newSegments(testEnds(n))
	table.Segment(g.at(at, 0, decode.SYN, 1000, 0, 0))
	c, _, _ := table.Segment(g.at(at, 1, decode.RST|decode.ACK, 0, 1001, 0))
	return c
}

func TestClosedConnectionsAreLetGo(t *testing.T) {
	h := &ids{}
	table := NewTable(h, Options{MaxClosed: 10})
	for n := range 25 {
		openAndReset(table, n, int64(n))
		if table.Open > 11 {
			t.Fatalf("%d connections are held", table.Open)
		}
	}
	equal(t, "let go, the oldest first", h.done, []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14})
	equal(t, "peak", table.Peak, 11)

	// A late segment of one that was let go opens nothing.
	g := newSegments(testEnds(3))
	for _, flags := range []uint16{decode.ACK, decode.RST, decode.FIN | decode.ACK, decode.SYN | decode.ACK} {
		if c, _, _ := table.Segment(g.at(30, 0, flags, 1001, 1, 0)); c != nil {
			t.Errorf("a late segment with flags %#x belongs to connection %d", flags, c.ID)
		}
	}
	equal(t, "late", table.Late, int64(4))
	equal(t, "connections", table.Connections(), int64(25))

	// A SYN does, and what follows belongs to it.
	c, d, flags := table.Segment(g.at(31, 0, decode.SYN, 1000, 0, 0))
	if c == nil || c.ID != 25 || d != 0 || flags != 0 {
		t.Fatalf("a SYN on an old tuple: %+v, %d, %v", c, d, flags)
	}
	if again, _, _ := table.Segment(g.at(32, 1, decode.SYN|decode.ACK, 7000, 1001, 0)); again != c {
		t.Error("its answer is not of the same connection")
	}
	// A tuple that was never seen is no late one.
	if c, _, _ := table.Segment(newSegments(testEnds(99)).at(33, 0, decode.ACK, 1, 1, 0)); c == nil {
		t.Error("a segment of an unknown connection opens none")
	}
}

func TestLinger(t *testing.T) {
	for _, x := range []struct {
		after int64
		gone  bool
	}{{defaultLinger - 1, false}, {defaultLinger, true}} {
		h := &ids{}
		table := NewTable(h, Options{})
		openAndReset(table, 0, 1)
		openAndReset(table, 1, 1+x.after)
		equal(t, fmt.Sprintf("let go after %d ns", x.after), len(h.done) == 1, x.gone)
	}
	// What is heard of again is kept.
	h := &ids{}
	table := NewTable(h, Options{MaxClosed: 2})
	for n := range 2 {
		openAndReset(table, n, int64(n))
	}
	table.Segment(newSegments(testEnds(0)).at(5, 0, decode.ACK, 1001, 1, 0))
	openAndReset(table, 2, 6)
	equal(t, "let go", h.done, []int64{1})
}

func TestKeepAll(t *testing.T) {
	h := &ids{}
	table := NewTable(h, Options{KeepAll: true, MaxClosed: 1, MaxUnanswered: 1})
	first := openAndReset(table, 0, 0)
	for n := 1; n < 50; n++ {
		openAndReset(table, n, int64(n)*defaultLinger)
		table.Segment(newSegments(testEnds(1000+n)).at(int64(n)*defaultLinger, 0, decode.SYN, 1, 0, 0))
	}
	equal(t, "let go", len(h.done), 0)
	if c, _, _ := table.Segment(newSegments(testEnds(0)).at(1e15, 1, decode.ACK, 1, 1001, 0)); c != first {
		t.Error("a late segment is not of its connection")
	}
}

func TestUnansweredAreBounded(t *testing.T) {
	h := &ids{}
	table := NewTable(h, Options{MaxUnanswered: 5})
	for n := range 12 {
		g := newSegments(testEnds(n))
		table.Segment(g.at(int64(n), 0, decode.SYN, 1000, 0, 0))
		switch n {
		case 1: // answered: no longer waited for
			table.Segment(g.at(int64(n), 1, decode.SYN|decode.ACK, 5000, 1001, 0))
		case 2: // sent again: still waited for
			table.Segment(g.at(int64(n), 0, decode.SYN, 1000, 0, 0))
		}
	}
	equal(t, "let go, the oldest first", h.done, []int64{0, 2, 3, 4, 5, 6})
	equal(t, "open", table.Open, 6)
	// The answer to one that was let go comes too late.
	if c, _, _ := table.Segment(newSegments(testEnds(3)).at(20, 1, decode.SYN|decode.ACK, 5000, 1001, 0)); c != nil {
		t.Error("a late answer opens a connection")
	}
	// A connection that speaks without having asked is none of these.
	g := newSegments(testEnds(50))
	for range 3 {
		table.Segment(g.at(21, 0, decode.ACK, 1, 1, 10))
	}
	equal(t, "open", table.Open, 7)
}

func TestGravesAreBounded(t *testing.T) {
	table := NewTable(discard{}, Options{MaxClosed: 1})
	const n = maxGraves + 100
	for i := range n {
		openAndReset(table, i, 0)
	}
	if len(table.graves) > maxGraves {
		t.Errorf("%d tuples are remembered, want at most %d", len(table.graves), maxGraves)
	}
	late := func(i int) bool {
		_, ok := table.graves[testKey(i)]
		return ok
	}
	if late(0) || !late(n-2) {
		t.Errorf("the oldest tuple is remembered: %v; the latest: %v", late(0), late(n-2))
	}
}

// testKey returns the key of connection i.
func testKey(i int) key {
	client, server := testEnds(i)
	k, _ := keyOf(&client.Addr, &server.Addr, client.Port, server.Port)
	return k
}

// TestGraveOfALaterConnection holds that the tuple of a connection is
// remembered from when it was last let go, though it was before, too.
func TestGraveOfALaterConnection(t *testing.T) {
	table := NewTable(discard{}, Options{MaxClosed: 1})
	openAndReset(table, 0, 0)
	for i := 1; i < maxGraves-3; i++ {
		openAndReset(table, i, 0)
	}
	openAndReset(table, 0, 0)
	for i := maxGraves; i < maxGraves+10; i++ {
		openAndReset(table, i, 0)
	}
	if c, _, _ := table.Segment(newSegments(testEnds(0)).at(1, 0, decode.ACK, 1001, 1, 0)); c != nil {
		t.Error("a late segment opens a connection")
	}
}

func TestFinishOrder(t *testing.T) {
	h := &ids{}
	table := NewTable(h, Options{})
	var want []int64
	for n := range 100 {
		table.Segment(newSegments(testEnds(97*n)).at(int64(100-n), 0, decode.SYN, 1, 0, 0))
		want = append(want, int64(n))
	}
	table.Finish()
	equal(t, "order", h.done, want)
	equal(t, "open", table.Open, 0)
}

func TestReuse(t *testing.T) {
	p := newPlay(t, Options{})
	c := p.feed(parseScript(t, opened+`
30   > A  1001 5001 len=100
31   > A  1201 5001 len=100 => lost_segment
1000 > S  9000              => reused_ports
1010 < SA 7000 9001
1020 > A  9001 7001
1030 > A  9001 7001 len=10`, 0))
	equal(t, "connections", p.Connections(), int64(2))
	equal(t, "the old one is handed over", []int64{int64(len(p.done)), p.done[0].ID}, []int64{1, 0})
	equal(t, "its stream", p.stream(0, 0), "100 -100 100")
	equal(t, "the new one's", p.stream(1, 0), "10")
	equal(t, "marks", []bool{p.done[0].ReusedPorts, c.ReusedPorts}, []bool{false, true})
	equal(t, "its initial RTT", c.InitialRTT, int64(20e6))
}

func TestSplit(t *testing.T) {
	p := newPlay(t, Options{})
	c := p.feed(parseScript(t, opened, 0))
	p.Split(c)
	p.feed(parseScript(t, "30 > A 1001 5001 len=10\n31 < A 5001 1011 len=10", 0))
	equal(t, "connections", p.Connections(), int64(2))
	equal(t, "the first ended", len(p.done), 1)
	equal(t, "goes on", p.last.Continued, true)
	equal(t, "stream", p.stream(1, 0)+" "+p.stream(1, 1), "10 10")
}

// TestUnanalysed holds that segments whose lengths are not known belong to
// their connection and change nothing of its state.
func TestUnanalysed(t *testing.T) {
	for _, kind := range []string{"fragment", "short"} {
		table := NewTable(discard{}, Options{})
		g := newSegments(testEnds(0))
		mark := func(s *decode.Segment) *decode.Segment {
			s.Fragment, s.Short = kind == "fragment", kind == "short"
			return s
		}
		c, _, flags := table.Segment(mark(g.at(0, 0, decode.ACK, 5000, 1, 0)))
		if c == nil || flags != 0 || c.Half[0].nextseq != 0 || c.Half[0].Packets != 1 {
			t.Fatalf("%s: %+v, findings %v", kind, c, flags)
		}
		table.Segment(g.at(1, 0, decode.ACK, 1000, 1, 10))
		table.Segment(mark(g.at(2, 0, decode.ACK, 5000, 1, 0)))
		again, _, flags := table.Segment(g.at(3, 0, decode.ACK, 1010, 1, 10))
		if again != c || flags != 0 {
			t.Errorf("%s: findings %v", kind, flags)
		}
		equal(t, kind+": packets", c.Half[0].Packets, uint64(4))
		equal(t, kind+": last", c.Last.Frame, int64(4))
	}
	// A fragment's SYN is none.
	table := NewTable(discard{}, Options{})
	g := newSegments(testEnds(0))
	table.Segment(g.at(0, 0, decode.SYN, 1000, 0, 0))
	s := g.at(1, 0, decode.SYN, 2000, 0, 0)
	s.Fragment = true
	table.Segment(s)
	equal(t, "connections", table.Connections(), int64(1))
}

// TestUnacknowledgedBound holds Wireshark's limit of segments that wait for
// an acknowledgement, beyond which a FIN's number is not counted.
func TestUnacknowledgedBound(t *testing.T) {
	for _, x := range []struct {
		segments int
		want     Flags
	}{{maxUnacked - 1, 0}, {maxUnacked, ACKLostSegment}} {
		table := NewTable(discard{}, Options{})
		g := newSegments(testEnds(0))
		for i := range x.segments {
			table.Segment(g.at(int64(i), 0, decode.ACK, 1000+uint32(i)*10, 1, 10))
		}
		end := 1000 + uint32(x.segments)*10
		c, _, _ := table.Segment(g.at(1e9, 0, decode.FIN|decode.ACK, end, 1, 0))
		if n := c.Half[0].pending(); n > maxUnacked {
			t.Errorf("%d segments are remembered", n)
		}
		_, _, flags := table.Segment(g.at(2e9, 1, decode.ACK, 1, end+1, 0))
		equal(t, fmt.Sprintf("%d segments, then a FIN and its acknowledgement", x.segments), flags.String(), x.want.String())
		if n := c.Half[0].pending(); n != 0 {
			t.Errorf("%d segments wait after all was acknowledged", n)
		}
	}
}

func TestICMP(t *testing.T) {
	p, c := run(t, opened+"30 > A 1001 5001 len=100")
	quote := func(dir uint8, hasSeq bool) *decode.Segment {
		from, to := c.End[dir], c.End[1-dir]
		return &decode.Segment{
			Frame: 5, Time: ms(40), Proto: decode.ProtoICMP, IPVersion: 4, TTL: 250, ICMPType: 3, ICMPCode: 4, Src: decode.Addr{15: 9},
			Quote: &decode.Quote{Proto: decode.ProtoTCP, Src: from.Addr, Dst: to.Addr, SrcPort: from.Port, DstPort: to.Port,
				Seq: 1001, HasSeq: hasSeq, MTU: 1400},
		}
	}
	if got := p.ICMP(quote(0, true)); got != c {
		t.Fatal("the error is not joined to its connection")
	}
	want := ICMPError{Point: Point{5, ms(40)}, From: decode.Addr{15: 9}, Type: 3, Code: 4, IPVersion: 4, TTL: 250, MTU: 1400, QuotedSeq: 1, HasSeq: true}
	equal(t, "error", c.ICMP[0], want)
	p.ICMP(quote(1, false))
	equal(t, "direction", c.ICMP[1].QuotedDir, uint8(1))
	for _, change := range []func(*decode.Segment){
		func(s *decode.Segment) { s.Quote.SrcPort++ },
		func(s *decode.Segment) { s.Quote.Dst[15]++ },
		func(s *decode.Segment) { s.Quote.Proto = decode.ProtoUDP },
		func(s *decode.Segment) { s.Quote = nil },
	} {
		s := quote(0, true)
		change(s)
		if p.ICMP(s) != nil {
			t.Errorf("an error that quotes %+v is joined", s.Quote)
		}
	}
	for range 20 {
		p.ICMP(quote(0, true))
	}
	equal(t, "bound", len(c.ICMP), maxICMP)
	equal(t, "an error opens no connection", p.Connections(), int64(1))
}

// TestMemoryUsedAgain plays the same traffic on a table that has let go of
// many connections and on a fresh one: nothing may leak from one connection
// into the next that uses its memory.
func TestMemoryUsedAgain(t *testing.T) {
	play := func(warm int) []Conn {
		p := newPlay(t, Options{MaxClosed: 1})
		p.loose = true
		for i := range warm {
			for _, f := range parseScript(t, randomScript(rand.New(rand.NewPCG(3, uint64(i))), 40), 1000+i) {
				p.segment(f)
			}
			p.Finish()
		}
		p.done, p.next = nil, 0
		for i := range 50 {
			for _, f := range parseScript(t, randomScript(rand.New(rand.NewPCG(4, uint64(i))), 40), i) {
				p.segment(f)
			}
		}
		p.Finish()
		for i := range p.done {
			p.done[i].ID = int64(i)
		}
		return p.done
	}
	fresh, used := play(0), play(60)
	if len(fresh) < 50 {
		t.Fatalf("only %d connections", len(fresh))
	}
	// Capacity of lists and the pools may differ, what they hold may not.
	d := cmp.Diff(fresh, used, cmp.AllowUnexported(Conn{}, Half{}, seqState{}, key{}, sent{}, signature{}, stream{}, chunk{}),
		cmpopts.IgnoreFields(Conn{}, "prev", "next", "list"), cmpopts.IgnoreFields(seqState{}, "unacked", "unackedHead", "small"), cmpopts.EquateEmpty())
	if d != "" {
		t.Errorf("a used table differs from a fresh one (-fresh +used):\n%.2000s", d)
	}
}
