package owner

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"goproxytrace/capture/hostlog"
)

var (
	here  = netip.MustParseAddrPort("192.0.2.7:40000")
	there = netip.MustParseAddrPort("198.51.100.1:443")
)

const base0 = int64(1_700_000_000) * second

// kernelTold makes a socket whose beginning and end the kernel told.
func kernelTold(pid uint32, from, until int64) *holding {
	h := &holding{begins: true, told: true, sure: base0 + from, key: socketKey{1, uint64(base0 + from)}}
	h.claim = hostlog.Claim{Local: here, Remote: there, PID: pid, Time: base0 + from}
	if until != 0 {
		h.claim.Until = base0 + until
	}
	return h
}

// tableSeen makes a socket that a table showed from one time to another.
func tableSeen(pid uint32, from, last int64) *holding {
	h := kernelTold(pid, from, 0)
	h.begins, h.told, h.sure, h.last = false, false, 0, base0+last
	return h
}

// An answer that is said to last does: whatever is known of a tuple, asking
// later gives the same.
func TestLasting(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	lasted := 0
	for range 20_000 {
		b := newBook()
		for range random.IntN(3) {
			from := random.Int64N(100)
			h := tableSeen(uint32(1+random.IntN(2)), from, from-10+random.Int64N(50))
			if random.IntN(2) == 0 {
				h = kernelTold(uint32(1+random.IntN(2)), from, 0)
			}
			if random.IntN(3) == 0 {
				h.claim.Until = base0 + from + random.Int64N(40)
			}
			if random.IntN(3) == 0 {
				h.begins, h.sure = true, h.claim.Time+random.Int64N(20)
			}
			b.add(h)
		}
		for range random.IntN(3) {
			b.syn(tupleOf(here, there), base0+random.Int64N(150))
		}
		if random.IntN(3) == 0 {
			b.unchanged(0, base0+random.Int64N(150))
		}
		if random.IntN(3) == 0 {
			b.lost(base0 + random.Int64N(150))
		}
		at := base0 + random.Int64N(150)
		pid, ok := b.owner(tupleOf(here, there), at)
		until := b.lasting(tupleOf(here, there), at)
		for later := at; later <= min(until, base0+300); later++ {
			if again, still := b.owner(tupleOf(here, there), later); again != pid || still != ok {
				t.Fatalf("at %d: %d, %v until %d; at %d: %d, %v", at-base0, pid, ok, until-base0, later-base0, again, still)
			}
			lasted++
		}
	}
	if lasted < 100_000 {
		t.Errorf("only %d answers were asked again: nothing lasts", lasted)
	}
}

func TestOwner(t *testing.T) {
	ms := millisecond
	type ask struct {
		at   int64
		want uint32 // zero unknown
	}
	for name, c := range map[string]struct {
		sockets []*holding
		syns    []int64
		lost    int64
		asks    []ask
	}{
		"nothing known": {asks: []ask{{0, 0}}},
		"open": {
			sockets: []*holding{kernelTold(7, 100*ms, 0)},
			asks:    []ask{{50 * ms, 0}, {99*ms + 500_000, 7}, {100 * ms, 7}, {3600 * second, 7}},
		},
		"the same ports again, at once": {
			sockets: []*holding{kernelTold(7, 100*ms, 200*ms), kernelTold(8, 201*ms, 300*ms)},
			syns:    []int64{100*ms + 1000, 201*ms + 1000},
			asks:    []ask{{150 * ms, 7}, {200 * ms, 7}, {201*ms + 1000, 8}, {250 * ms, 8}},
		},
		"the last packets of the first come while nobody has the ports": {
			sockets: []*holding{kernelTold(7, 100*ms, 200*ms), kernelTold(8, 500*ms, 0)},
			asks:    []ask{{210 * ms, 7}, {498 * ms, 7}, {500 * ms, 8}},
		},
		"long after its end it is another's": {
			sockets: []*holding{kernelTold(7, 100*ms, 200*ms)},
			asks:    []ask{{200*ms + linger, 7}, {201*ms + linger, 0}},
		},
		"a connection in between that no mechanism told of": {
			sockets: []*holding{kernelTold(7, 100*ms, 200*ms), kernelTold(8, 500*ms, 0)},
			syns:    []int64{101 * ms, 300 * ms, 501 * ms},
			asks:    []ask{{250 * ms, 7}, {300 * ms, 0}, {310 * ms, 0}, {500 * ms, 8}},
		},
		"events were lost since": {
			sockets: []*holding{kernelTold(7, 100*ms, 200*ms)}, lost: 250 * ms,
			asks: []ask{{150 * ms, 7}, {240 * ms, 7}, {260 * ms, 0}},
		},
		"one begins to connect before it has the ports of the other": {
			sockets: []*holding{kernelTold(7, 100*ms, 200*ms), {
				begins: true, told: true, sure: base0 + 205*ms,
				claim: hostlog.Claim{Local: here, Remote: there, PID: 8, Time: base0 + 150*ms, Until: base0 + 300*ms},
			}},
			asks: []ask{{180 * ms, 7}, {250 * ms, 8}},
		},
		"a table's claim reaches back to its SYN and on to the next": {
			sockets: []*holding{tableSeen(7, 130*ms, 180*ms)},
			syns:    []int64{100 * ms, 300 * ms},
			asks:    []ask{{99 * ms, 0}, {100 * ms, 7}, {150 * ms, 7}, {250 * ms, 7}, {300 * ms, 0}},
		},
		"a table saw the second of two, not the first": {
			sockets: []*holding{tableSeen(8, 130*ms, 180*ms)},
			syns:    []int64{100 * ms, 120 * ms},
			asks:    []ask{{100 * ms, 0}, {110 * ms, 0}, {120 * ms, 8}},
		},
		"a table saw both, and the SYN of the second is missing": {
			sockets: []*holding{tableSeen(7, 110*ms, 120*ms), tableSeen(8, 150*ms, 180*ms)},
			syns:    []int64{100 * ms},
			asks:    []ask{{115 * ms, 7}, {130 * ms, 0}, {160 * ms, 8}},
		},
		"a table's row was read late": {
			sockets: []*holding{tableSeen(7, 150*ms, 110*ms)},
			syns:    []int64{100 * ms, 300 * ms},
			asks:    []ask{{99 * ms, 0}, {100 * ms, 7}, {130 * ms, 7}, {200 * ms, 7}, {300 * ms, 0}},
		},
		"a table's row was read late, and another may have the ports by then": {
			sockets: []*holding{tableSeen(7, 150*ms, 110*ms)},
			syns:    []int64{100 * ms, 130 * ms},
			asks:    []ask{{105 * ms, 0}, {120 * ms, 0}, {130 * ms, 0}, {140 * ms, 0}, {150 * ms, 0}, {200 * ms, 0}},
		},
		"a table alone read a row late": {
			sockets: []*holding{tableSeen(7, 150*ms, 110*ms)},
			asks:    []ask{{110 * ms, 0}, {130 * ms, 0}, {150 * ms, 0}},
		},
		"the same owner before and after": {
			sockets: []*holding{tableSeen(7, 110*ms, 120*ms), tableSeen(7, 150*ms, 180*ms)},
			syns:    []int64{100 * ms},
			asks:    []ask{{130 * ms, 7}},
		},
		"a table alone knows nothing between its reads": {
			sockets: []*holding{tableSeen(7, 110*ms, 120*ms), tableSeen(7, 150*ms, 180*ms)},
			asks:    []ask{{105 * ms, 0}, {115 * ms, 7}, {130 * ms, 0}, {181 * ms, 0}},
		},
		"a SYN sent again": {
			sockets: []*holding{tableSeen(7, 105*ms, 1500*ms)},
			syns:    []int64{100 * ms, 1100 * ms},
			asks:    []ask{{100 * ms, 7}, {1100 * ms, 7}, {1200 * ms, 7}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBook()
			for _, h := range c.sockets {
				b.add(h)
			}
			for _, s := range c.syns {
				b.syn(tuple{here, there}, base0+s)
			}
			if c.lost != 0 {
				b.lost(base0 + c.lost)
			}
			for _, a := range c.asks {
				pid, ok := b.owner(tuple{here, there}, base0+a.at)
				if pid != a.want || ok != (a.want != 0) {
					t.Errorf("at %d ms: %d %t, want %d", a.at/ms, pid, ok, a.want)
				}
				if pid, ok := b.owner(tuple{there, here}, base0+a.at); ok {
					t.Errorf("the other end is PID %d", pid)
				}
			}
		})
	}
}

// TestOwnerOfTwoNamespaces has one tuple in two network namespaces: nothing
// says which of them a packet is from.
func TestOwnerOfTwoNamespaces(t *testing.T) {
	b := newBook()
	for i, pid := range []uint32{7, 8} {
		h := kernelTold(pid, int64(i), 0)
		h.namespace = uint64(100 + i)
		b.add(h)
	}
	if pid, ok := b.owner(tuple{here, there}, base0+second); ok {
		t.Errorf("PID %d", pid)
	}
	b.close(socketKey{1, uint64(base0 + 1)}, base0+second)
	if pid, ok := b.owner(tuple{here, there}, base0+3*second); !ok || pid != 7 {
		t.Errorf("once the other is closed: %d %t, want 7", pid, ok)
	}
}

// TestUnchanged has a table's socket stay because nothing changed.
func TestUnchanged(t *testing.T) {
	b := newBook()
	b.add(tableSeen(7, second, 2*second))
	b.unchanged(0, base0+5*second)
	for at, want := range map[int64]bool{4 * second: true, 5 * second: true, 6 * second: false} {
		if _, ok := b.owner(tuple{here, there}, base0+at); ok != want {
			t.Errorf("at %d s: %t, want %t", at/second, ok, want)
		}
	}
	if out := b.unseen(1, nil); len(out) != 1 || out[0].Until != base0+5*second {
		t.Errorf("closed: %+v", out)
	}
}

// TestSeenOnce has a socket that one read of a table showed, late, and the next
// no more: its end is not told as before its beginning, and yet nothing is sure
// of that moment.
func TestSeenOnce(t *testing.T) {
	b := newBook()
	b.add(tableSeen(7, 150*millisecond, 110*millisecond))
	b.syn(tuple{here, there}, base0+100*millisecond)
	b.syn(tuple{here, there}, base0+130*millisecond)
	if out := b.unseen(1, nil); len(out) != 1 || out[0].Until != out[0].Time {
		t.Errorf("closed: %+v", out)
	}
	for _, at := range []int64{105, 120, 130, 150, 200} {
		if pid, ok := b.owner(tuple{here, there}, base0+at*millisecond); ok {
			t.Errorf("at %d ms: PID %d", at, pid)
		}
	}
}

func TestTupleIsPlain(t *testing.T) {
	mapped := tupleOf(netip.MustParseAddrPort("[::ffff:192.0.2.7]:40000"), netip.MustParseAddrPort("[::ffff:198.51.100.1]:443"))
	if mapped != (tuple{here, there}) {
		t.Errorf("%v", mapped)
	}
	a := tupleOf(netip.MustParseAddrPort("[fe80::1%eth0]:1"), there)
	if a.local.Addr().Zone() != "" {
		t.Errorf("%v has a zone, which packets do not have", a.local)
	}
}

func TestBookForgets(t *testing.T) {
	b := newBook()
	b.add(kernelTold(7, 0, second))
	open := kernelTold(8, 2*second, 0)
	b.add(open)
	b.syn(tuple{here, there}, base0)
	b.forget(base0 + second + keep + 1)
	if list := b.byTuple[tuple{here, there}]; len(list) != 1 || list[0] != open {
		t.Errorf("%d sockets are left, want the open one", len(list))
	}
	if len(b.syns) != 0 {
		t.Errorf("%d SYNs are left", len(b.syns))
	}
	if out := b.unseen(1, nil); len(out) != 0 {
		t.Errorf("%+v ended because a table does not show it, but the kernel tells its end", out)
	}
}
