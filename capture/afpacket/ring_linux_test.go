package afpacket

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"goproxytrace/capture"
)

// ringOf is a ring as the kernel would have left it, with the given times of
// packets of size bytes, block by block.
func ringOf(block, size int, blocks ...[]int64) *ring {
	const first, mac = 48, frameHeader + 20
	r := &ring{fd: -1, block: block, memory: make([]byte, block*(len(blocks)+1))}
	native := binary.NativeEndian
	for i, times := range blocks {
		b := r.memory[i*block:]
		native.PutUint32(b[blockStatus:], unix.TP_STATUS_USER)
		native.PutUint32(b[blockCount:], uint32(len(times)))
		native.PutUint32(b[blockFirst:], first)
		at := first
		for _, t := range times {
			h := b[at:]
			native.PutUint32(h[frameNext:], uint32(mac+size))
			native.PutUint32(h[frameSec:], uint32(t/int64(time.Second)))
			native.PutUint32(h[frameNsec:], uint32(t%int64(time.Second)))
			native.PutUint32(h[frameSnaplen:], uint32(size))
			native.PutUint32(h[frameLen:], uint32(size))
			native.PutUint16(h[frameMAC:], mac)
			at += mac + size
		}
	}
	return r
}

// batches reads all of a ring.
func (r *ring) batches() (all [][]int64) {
	one := func(int, []byte) *member { return &member{} }
	for emptied := false; !emptied; {
		var b capture.Batch
		emptied = r.fill(&b, one)
		var times []int64
		for _, p := range b.Packets {
			times = append(times, p.Time)
		}
		if times != nil {
			all = append(all, times)
		}
	}
	return all
}

// Two processors put packets into the ring at once: the later may get the
// earlier place, the one may stand still for a while, and the end of a batch
// parts none of them. A clock that is set back changes no order.
func TestTwoProcessors(t *testing.T) {
	const ms, s = int64(time.Millisecond), int64(time.Second)
	const start = 1_900_000_000 * s
	// Nine packets of 64,000 bytes fill a batch.
	steady := func(n int) (times []int64) {
		for i := range n {
			times = append(times, start+int64(i)*ms)
		}
		return times
	}
	for _, c := range []struct {
		name   string
		blocks [][]int64
		want   [][]int64
	}{
		{
			name:   "in order",
			blocks: [][]int64{steady(4), {start + 4*ms}},
			want:   [][]int64{steady(5)},
		},
		{
			name:   "a place too early",
			blocks: [][]int64{{start, start + 32_530, start + 20_000}, {start + 10_000, start + ms}},
			want:   [][]int64{{start, start + 10_000, start + 20_000, start + 32_530, start + ms}},
		},
		{
			name:   "a processor stood still",
			blocks: [][]int64{{start, start + 9*ms, start + 2*ms, start + 31*ms}},
			want:   [][]int64{{start, start + 2*ms, start + 9*ms, start + 31*ms}},
		},
		{
			name:   "where a batch is full",
			blocks: [][]int64{steady(4), steady(8)[4:], {start + 9*ms, start + 8*ms, start + 10*ms}},
			want:   [][]int64{steady(10), {start + 10*ms}},
		},
		{
			name:   "where a batch and a block are full",
			blocks: [][]int64{steady(4), steady(8)[4:], {start + 9*ms}, {start + 8*ms, start + 10*ms}},
			want:   [][]int64{steady(10), {start + 10*ms}},
		},
		{
			name:   "no end of earlier ones",
			blocks: [][]int64{steady(4), steady(8)[4:], {start + 20*ms, start + 12*ms, start + 11*ms, start + 10*ms}},
			want:   [][]int64{append(steady(8), start+12*ms, start+20*ms), {start + 10*ms, start + 11*ms}},
		},
		{
			name:   "the clock set back",
			blocks: [][]int64{{start, start + ms, start - 200*ms, start - 199*ms}},
			want:   [][]int64{{start, start + ms, start - 200*ms, start - 199*ms}},
		},
	} {
		got := ringOf(DefaultBlockSize, 64_000, c.blocks...).batches()
		if !slices.EqualFunc(got, c.want, slices.Equal) {
			t.Errorf("%s: batches of %v\nwant %v", c.name, got, c.want)
		}
	}
}

// Packets that go on being earlier than the last do not keep a batch from
// ending.
func TestInvertedForever(t *testing.T) {
	var times []int64
	for i := range maxPackets + 2*sparePackets {
		times = append(times, 1_900_000_000*int64(time.Second)-int64(i))
	}
	all := ringOf(1<<20, 64, times).batches()
	if len(all) != 2 || len(all[0]) != maxPackets+sparePackets || len(all[1]) != sparePackets {
		t.Fatalf("%d batches, the first of %d packets", len(all), len(all[0]))
	}
	for _, b := range all {
		if !slices.IsSorted(b) {
			t.Error("a batch is not in order")
		}
	}
}

// What gathers is bounded in time and in bytes, and a small ring bounds it more.
func TestGathering(t *testing.T) {
	c := Capture{ring: &ring{memory: make([]byte, 8<<20)}}
	c.TakeTime()
	small := *c.gathering.Load()
	for _, x := range []struct {
		name  string
		g     gathering
		bytes int
		since time.Duration
		want  time.Duration
	}{
		{"few bytes", hurried, 10_000, 35 * time.Millisecond, hurried.time},
		{"as many as may gather", hurried, 1 << 20, 35 * time.Millisecond, hurried.time},
		{"twice as many", hurried, 2 << 20, 35 * time.Millisecond, hurried.time / 2},
		{"since no time", hurried, 1 << 20, 0, time.Millisecond},
		{"a clock set back", hurried, 1 << 20, -time.Hour, time.Millisecond},
		{"patient", patient, 2 << 20, 100 * time.Millisecond, patient.time},
		{"patient, twice as many", patient, 8 << 20, 100 * time.Millisecond, patient.time / 2},
		{"after days without an empty ring", patient, 1 << 50, time.Millisecond, 0},
		{"patient with a small ring", small, 1 << 20, 50 * time.Millisecond, patient.time / 2},
	} {
		if got := x.g.over(x.bytes, x.since); got != x.want {
			t.Errorf("%s: %v, want %v", x.name, got, x.want)
		}
	}
}

// What fills a quarter of the ring is read though its time has not come.
func TestFilling(t *testing.T) {
	blocks := make([][]int64, 11) // and one that is the kernel's
	for i := range blocks {
		blocks[i] = []int64{int64(i)}
	}
	r := ringOf(4096, 64, blocks...)
	for left := len(blocks); ; left-- {
		if got, want := r.filling(), left >= 3; got != want {
			t.Errorf("%d of 12 blocks are to be read: filling is %v", left, got)
		}
		h := r.peek()
		if h == nil {
			break
		}
		r.take(h)
		r.peek() // hands the block back
	}
	if one := ringOf(4096, 64); one.filling() {
		t.Error("a ring of one block is filling before there is anything")
	}
}
