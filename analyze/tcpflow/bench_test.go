package tcpflow

import (
	"testing"

	"goproxytrace/analyze/decode"
)

// bulk is an established download that goes on for ever.
type bulk struct {
	table   *Table
	g       *segments
	now     int64
	seq     uint32
	payload []byte
}

func newBulk() *bulk {
	b := &bulk{table: NewTable(discard{}, Options{}), seq: 5001, payload: make([]byte, 1448)}
	client, server := testEnds(0)
	b.g = newSegments(client, server)
	b.table.Segment(b.g.at(0, 0, decode.SYN, 1000, 0, 0))
	b.table.Segment(b.g.at(1, 1, decode.SYN|decode.ACK, 5000, 1001, 0))
	b.table.Segment(b.g.at(2, 0, decode.ACK, 1001, 5001, 0))
	return b
}

// round sends two full segments and their acknowledgement.
func (b *bulk) round() {
	for range 2 {
		b.now += 1000
		s := b.g.at(b.now, 1, decode.ACK, b.seq, 1001, 1448)
		s.HasTimestamps, s.HasIPID, s.IPID, s.Payload = true, true, uint16(b.now), b.payload
		b.table.Segment(s)
		b.seq += 1448
	}
	b.now += 1000
	b.table.Segment(b.g.at(b.now, 0, decode.ACK, 1001, b.seq, 0))
}

// TestBulkAllocatesNothing holds the hot path free of allocation: payload and
// its acknowledgements in an established connection.
func TestBulkAllocatesNothing(t *testing.T) {
	b := newBulk()
	for range 1000 {
		b.round()
	}
	if n := testing.AllocsPerRun(5000, b.round); n != 0 {
		t.Errorf("%v allocations in three segments, want none", n)
	}
	// The same with more in flight than is acknowledged at once.
	window := func() {
		for range 40 {
			b.now += 1000
			b.table.Segment(b.g.at(b.now, 1, decode.ACK, b.seq, 1001, 1448))
			b.seq += 1448
		}
		for n := uint32(40); n > 0; n-- {
			b.now += 1000
			b.table.Segment(b.g.at(b.now, 0, decode.ACK, 1001, b.seq-(n-1)*1448, 0))
		}
	}
	window()
	if n := testing.AllocsPerRun(500, window); n != 0 {
		t.Errorf("%v allocations in a window of 40 segments, want none", n)
	}
}

// shortConnection opens, carries a request and an answer, and closes.
func shortConnection(table *Table, n int, now int64) {
	client, server := testEnds(n)
	g := newSegments(client, server)
	const a = decode.ACK
	table.Segment(g.at(now, 0, decode.SYN, 1000, 0, 0))
	table.Segment(g.at(now+1, 1, decode.SYN|a, 5000, 1001, 0))
	table.Segment(g.at(now+2, 0, a, 1001, 5001, 0))
	table.Segment(g.at(now+3, 0, a, 1001, 5001, 300))
	table.Segment(g.at(now+4, 1, a, 5001, 1301, 1448))
	table.Segment(g.at(now+5, 0, decode.FIN|a, 1301, 6449, 0))
	table.Segment(g.at(now+6, 1, decode.FIN|a, 6449, 1302, 0))
	table.Segment(g.at(now+7, 0, a, 1302, 6450, 0))
}

// TestShortConnectionsReuseMemory holds that connections which come and go
// live in the memory of those before them.
func TestShortConnectionsReuseMemory(t *testing.T) {
	table := NewTable(discard{}, Options{MaxClosed: 100})
	n := 0
	one := func() {
		shortConnection(table, n, int64(n)*1000)
		n++
	}
	for range 2 * maxGraves {
		one()
	}
	if got := testing.AllocsPerRun(2000, one); got > 1 {
		t.Errorf("%v allocations for a connection of eight segments, want at most the test's own one", got)
	}
}

func BenchmarkBulk(b *testing.B) {
	d := newBulk()
	b.ReportAllocs()
	b.SetBytes(2 * 1448)
	for b.Loop() {
		d.round()
	}
}

func BenchmarkShortConnections(b *testing.B) {
	table := NewTable(discard{}, Options{})
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		shortConnection(table, n, int64(n)*1000)
	}
}

func BenchmarkSYNFlood(b *testing.B) {
	table := NewTable(discard{}, Options{})
	g := newSegments(testEnds(0))
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		g.end[0], _ = testEnds(n)
		table.Segment(g.at(int64(n), 0, decode.SYN, uint32(n), 0, 0))
	}
	b.ReportMetric(float64(table.Peak), "peak-connections")
}
