package merge

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"goproxytrace/capture"
)

// tap shows each packet a while after its time.
type tap struct {
	clock   *int64
	packets []shown
	asked   int
	err     error
}

type shown struct{ time, from int64 }

func (a *tap) Next(p *capture.Packet) (bool, error) {
	a.asked++
	if len(a.packets) == 0 || a.packets[0].from > *a.clock {
		return false, a.err
	}
	*p = capture.Packet{Time: a.packets[0].time, Data: []byte{byte(a.packets[0].time)}}
	a.packets = a.packets[1:]
	return true, nil
}

const ms = int64(time.Millisecond)

func merger(clock *int64, hold time.Duration, taps ...Tap) *Merger {
	m := New(hold, taps...)
	m.now = func() int64 { return *clock }
	return m
}

// play advances the clock to the end and returns the times in the order of
// delivery, and the longest a packet was held.
func play(t *testing.T, m *Merger, clock *int64, step, until int64) (times []int64, longest int64) {
	t.Helper()
	var b capture.Batch
	for ; *clock < until; *clock += step {
		for {
			if err := m.Fill(&b, false); err != nil {
				t.Fatal(err)
			}
			if len(b.Packets) == 0 {
				break
			}
			for _, p := range b.Packets {
				times = append(times, p.Time)
				longest = max(longest, *clock-p.Time)
				if p.Data[0] != byte(p.Time) || p.Number != int64(len(times)) {
					t.Fatalf("packet %d: number %d, data %v", len(times), p.Number, p.Data)
				}
			}
		}
	}
	return times, longest
}

// Packets that a tap shows up to the hold late come out in order, every one,
// and none waits much longer than that.
func TestOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		clock := int64(time.Hour)
		var taps []Tap
		total := 0
		for range 1 + random.IntN(4) {
			a := &tap{clock: &clock}
			at := clock
			for range random.IntN(300) {
				at += random.Int64N(2 * ms)
				// A block is shown as a whole, in order.
				from := at + random.Int64N(20*ms)
				if n := len(a.packets); n > 0 {
					from = max(from, a.packets[n-1].from)
				}
				a.packets = append(a.packets, shown{at, min(from, at+20*ms)})
			}
			slices.SortFunc(a.packets, func(x, y shown) int { return int(x.from - y.from) })
			total += len(a.packets)
			taps = append(taps, a)
		}
		m := merger(&clock, 20*time.Millisecond, taps...)
		times, longest := play(t, m, &clock, ms, clock+1000*ms)
		if len(times) != total || !slices.IsSorted(times) {
			t.Fatalf("%d of %d packets, sorted %v", len(times), total, slices.IsSorted(times))
		}
		if longest > 50*ms {
			t.Fatalf("a packet was held for %v", time.Duration(longest))
		}
	}
}

// A packet that comes later than it may is delivered all the same.
func TestTooLate(t *testing.T) {
	clock := int64(time.Hour)
	start := clock
	a := &tap{clock: &clock, packets: []shown{{start, start}}}
	b := &tap{clock: &clock, packets: []shown{{start - ms, start + 500*ms}}}
	times, _ := play(t, merger(&clock, 20*time.Millisecond, a, b), &clock, ms, start+1000*ms)
	if !slices.Equal(times, []int64{start, start - ms}) {
		t.Errorf("delivered %v", times)
	}
}

// When the clock is set back by hours, packets from before do not wait until
// it gets there again.
func TestClockSetBack(t *testing.T) {
	clock := int64(10 * time.Hour)
	before := clock
	a := &tap{clock: &clock, packets: []shown{{before, 0}, {before + 1, 0}}}
	b := &tap{clock: &clock}
	m := merger(&clock, 20*time.Millisecond, a, b)
	var batch capture.Batch
	if err := m.Fill(&batch, false); err != nil || len(batch.Packets) != 0 {
		t.Fatalf("%d packets before the hold is over, %v", len(batch.Packets), err)
	}
	clock -= int64(5 * time.Hour)
	times, _ := play(t, m, &clock, ms, clock+100*ms)
	if len(times) != 2 {
		t.Errorf("%d of 2 packets", len(times))
	}
}

// Where packets flow one way only, the other tap is not asked for each.
func TestIdleTapLeftAlone(t *testing.T) {
	clock := int64(time.Hour)
	a, b := &tap{clock: &clock}, &tap{clock: &clock}
	const packets = 10_000
	for i := range int64(packets) {
		at := clock + i*10_000
		a.packets = append(a.packets, shown{at, at})
	}
	times, _ := play(t, merger(&clock, 20*time.Millisecond, a, b), &clock, ms/10, clock+200*ms)
	if len(times) != packets || b.asked > packets/20 {
		t.Errorf("%d packets; the idle tap was asked %d times", len(times), b.asked)
	}
}

func TestFlushAndError(t *testing.T) {
	clock := int64(time.Hour)
	broken := errors.New("broken")
	a := &tap{clock: &clock, packets: []shown{{clock, 0}, {clock + 2, 0}}}
	b := &tap{clock: &clock, packets: []shown{{clock + 1, 0}}, err: broken}
	m := merger(&clock, time.Hour, a, b)
	var batch capture.Batch
	var times []int64
	var err error
	for err == nil {
		if err = m.Fill(&batch, true); err != nil {
			break
		}
		for _, p := range batch.Packets {
			times = append(times, p.Time)
		}
	}
	if !errors.Is(err, broken) || !slices.Equal(times, []int64{clock, clock + 1}) {
		t.Errorf("%v, then %v", times, err)
	}
	if !m.Pending() {
		t.Error("the packet behind the error is gone")
	}
}

func TestNoAllocation(t *testing.T) {
	clock := int64(time.Hour)
	a, b := &endless{at: clock, data: make([]byte, 1500)}, &endless{at: clock, data: make([]byte, 1500)}
	m := merger(&clock, 0, a, b)
	var batch capture.Batch
	run := func() {
		if err := m.Fill(&batch, false); err != nil || len(batch.Packets) < 100 {
			t.Fatalf("%d packets, %v", len(batch.Packets), err)
		}
	}
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations per batch", n)
	}
}

// endless always has a packet.
type endless struct {
	at   int64
	data []byte
}

func (a *endless) Next(p *capture.Packet) (bool, error) {
	a.at++
	*p = capture.Packet{Time: a.at, Data: a.data}
	return true, nil
}
