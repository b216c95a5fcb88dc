package owner

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"goproxytrace/capture/hostlog"
)

// Nanoseconds.
const (
	millisecond = int64(1e6)
	second      = int64(1e9)

	// linger is how long packets of a connection may follow its socket's end:
	// TIME-WAIT on Linux (RFC 9293, section 3.4.2; TCP_TIMEWAIT_LEN).
	linger = 60 * second
	// keep is how long a closed socket can be asked for.
	keep = 2 * linger
	// skew is how far the clock of the kernel's events, converted, and that
	// of packets may be apart.
	skew = millisecond
)

// tuple is a connection as its owner sees it, without IPv4-mapped addresses
// (RFC 4291, section 2.5.5.2) and zones, which packets do not have.
type tuple struct{ local, remote netip.AddrPort }

func tupleOf(local, remote netip.AddrPort) tuple { return tuple{plain(local), plain(remote)} }

func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// socketKey names a socket; older kernels count cookies per namespace.
type socketKey struct{ namespace, cookie uint64 }

// holding is one socket's life, as far as it is known. Times are Unix
// nanoseconds.
type holding struct {
	claim     hostlog.Claim
	key       socketKey
	namespace uint64 // inode number of the network namespace, zero unknown
	// begins is true where claim.Time is no later than when the socket got
	// its tuple, and sure is no earlier; they are the same where the kernel
	// told. Else claim.Time is a moment no earlier than when the socket was first
	// seen.
	begins bool
	sure   int64
	// told is true where its end will be told by the kernel: it is open
	// until then. Else last is a moment no later than when the socket was last
	// seen: before claim.Time where it was seen once.
	told bool
	last int64
}

// end is the last moment at which the socket is known to have been there.
func (h *holding) end() int64 {
	switch {
	case h.claim.Until != 0 && (h.told || h.claim.Until > h.claim.Time):
		return h.claim.Until
	case h.told:
		return 1<<63 - 1
	case h.claim.Until != 0:
		// Seen once, and given no end before its beginning.
		return min(h.last, h.claim.Until)
	default:
		return h.last
	}
}

// end is the same with what is known of all sockets of a namespace.
func (b *book) end(h *holding) int64 {
	end := h.end()
	if h.claim.Until == 0 && !h.told {
		end = max(end, b.checked[h.namespace])
	}
	return end
}

// book is what is known of sockets, by tuple and by cookie.
type book struct {
	mu       sync.RWMutex
	byTuple  map[tuple][]*holding // by claim.Time
	bySocket map[socketKey]*holding
	syns     map[tuple][]int64 // times of captured SYNs, sorted
	// told is true once a SYN was told of: then each is, and where none is
	// known between two times no connection began.
	told bool
	// checked is when the sockets of a namespace that are not closed were
	// sure to be there, by namespace.
	checked map[uint64]int64
	// lostAt is when events of the kernel were lost last.
	lostAt int64
	// changes counts what may have changed an answer of owner.
	changes atomic.Uint64
}

func newBook() *book {
	return &book{byTuple: map[tuple][]*holding{}, bySocket: map[socketKey]*holding{}, syns: map[tuple][]int64{}, checked: map[uint64]int64{}}
}

// add takes a holding whose tuple is complete.
func (b *book) add(h *holding) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.changes.Add(1) // before the lock is released
	t := tupleOf(h.claim.Local, h.claim.Remote)
	list := b.byTuple[t]
	i := len(list)
	for i > 0 && list[i-1].claim.Time > h.claim.Time {
		i--
	}
	b.byTuple[t] = slices.Insert(list, i, h)
	if h.key.cookie != 0 {
		b.bySocket[h.key] = h
	}
}

// socket returns the holding of a socket that is not closed, or nil.
func (b *book) socket(k socketKey) *holding {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.bySocket[k]
}

// current returns the latest holding of a tuple by a process that is not
// closed, or nil.
func (b *book) current(t tuple, pid uint32) *holding {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, h := range slices.Backward(b.byTuple[t]) {
		if h.claim.PID == pid && h.claim.Until == 0 {
			return h
		}
	}
	return nil
}

// exactly notes when a socket that a table has shown got its tuple, between
// two times, as the kernel has told since.
func (b *book) exactly(h *holding, from, to int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.changes.Add(1) // before the lock is released
	h.begins, h.sure, h.last = true, to, max(h.last, to)
	h.claim.Time, h.claim.Source = from, hostlog.KernelEvent
	list := b.byTuple[tupleOf(h.claim.Local, h.claim.Remote)]
	slices.SortStableFunc(list, func(x, y *holding) int { return cmp.Compare(x.claim.Time, y.claim.Time) })
}

// close notes a socket's end and returns its claim.
func (b *book) close(k socketKey, at int64) (hostlog.Claim, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.changes.Add(1) // before the lock is released
	h := b.bySocket[k]
	if h == nil {
		return hostlog.Claim{}, false
	}
	delete(b.bySocket, k)
	h.claim.Until = max(at, h.claim.Time)
	return h.claim, true
}

// again notes that a socket table shows the socket still.
func (b *book) again(h *holding, at int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.changes.Add(1) // before the lock is released
	h.last = max(h.last, at)
}

// unchanged notes that no socket of a namespace began or ended up to a time.
func (b *book) unchanged(namespace uint64, at int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.changes.Add(1) // before the lock is released
	b.checked[namespace] = max(b.checked[namespace], at)
}

// unseen closes the sockets of a namespace that a table read at a time no
// longer shows, and that nothing else would tell the end of. Their end is when
// they were last seen.
func (b *book) unseen(namespace uint64, shown map[uint64]bool) (out []hostlog.Claim) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.changes.Add(1) // before the lock is released
	for k, h := range b.bySocket {
		if k.namespace == namespace && !h.told && !shown[k.cookie] {
			delete(b.bySocket, k)
			h.claim.Until = max(b.end(h), h.claim.Time)
			out = append(out, h.claim)
		}
	}
	return out
}

// lost notes that events of the kernel were lost at a time.
func (b *book) lost(at int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.changes.Add(1) // before the lock is released
	b.lostAt = max(b.lostAt, at)
}

// syn notes a captured SYN.
func (b *book) syn(t tuple, at int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.changes.Add(1) // before the lock is released
	b.told = true
	list := b.syns[t]
	i, found := slices.BinarySearch(list, at)
	if !found {
		b.syns[t] = slices.Insert(list, i, at)
	}
}

// start is from when on a socket is sure to have had its tuple: where that is
// known between two times only, its SYN tells.
func (b *book) start(t tuple, h *holding) int64 {
	if !h.begins || h.sure <= h.claim.Time {
		return h.claim.Time
	}
	list := b.syns[t]
	if i, _ := slices.BinarySearch(list, h.claim.Time); i < len(list) && list[i] <= h.sure {
		return list[i]
	}
	return h.sure
}

// synIn reports whether a SYN was captured after one time, up to another.
func (b *book) synIn(t tuple, after, to int64) bool {
	list := b.syns[t]
	i, found := slices.BinarySearch(list, after)
	if found {
		i++
	}
	return i < len(list) && list[i] <= to
}

// lasting says up to when the answer about a tuple at a time stays the same, if
// nothing changes: to the end where no socket or only one that is open is known,
// but for a SYN, with which the life of another begins.
func (b *book) lasting(t tuple, at int64) int64 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	switch list := b.byTuple[t]; {
	case len(list) == 0:
		return math.MaxInt64
	case len(list) > 1 || b.lostAt > at || list[0].claim.Until != 0 || b.start(t, list[0]) > at || !list[0].told && b.end(list[0]) >= at:
		return at
	}
	syns := b.syns[t]
	if i, _ := slices.BinarySearch(syns, at+1); i < len(syns) {
		return syns[i] - 1
	}
	return math.MaxInt64
}

// owner finds who owned a tuple at a time.
func (b *book) owner(t tuple, at int64) (uint32, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	// Sockets that were there at the time; else the one before, whose last
	// packets it may be, and the one after, whose first it may be.
	var now, before, after *holding
	for _, h := range b.byTuple[t] {
		start := b.start(t, h)
		switch {
		case start > at:
			if after == nil {
				after = h
			}
		case b.end(h) < at:
			if before == nil || b.end(before) < b.end(h) {
				before = h
			}
		case now != nil && now.namespace != h.namespace && now.claim.PID != h.claim.PID:
			return 0, false
		case now != nil && now.claim.Until != 0:
			// The next one has begun to connect, but has its tuple only
			// since this one's end.
		default:
			now = h
		}
	}
	if now != nil {
		return now.claim.PID, true
	}
	if before != nil && !b.reaches(before, t, at) {
		before = nil
	}
	if after != nil && !b.precedes(t, at, after) {
		after = nil
	}
	switch {
	case before != nil && after != nil && before.claim.PID != after.claim.PID:
		return 0, false
	case before != nil:
		return before.claim.PID, true
	case after != nil:
		return after.claim.PID, true
	}
	return 0, false
}

// reaches says whether a packet after the last that is known of a socket can
// only be its own.
func (b *book) reaches(h *holding, t tuple, at int64) bool {
	if !h.told && !b.told {
		return false
	}
	end := b.end(h)
	open := h.claim.Until == 0
	return (open || at-end <= linger) && !b.synIn(t, end, at) && (b.lostAt < end || b.lostAt > at)
}

// precedes says whether a packet before the first that is known of a socket
// can only be its own: a SYN between the two would begin another's life, or
// its own.
func (b *book) precedes(t tuple, at int64, h *holding) bool {
	if !h.told && !b.told {
		return false
	}
	start, early := b.start(t, h), linger
	if h.begins {
		early = skew + h.sure - h.claim.Time
	}
	// One that was seen once may have been gone before its start.
	return start-at <= early && !b.synIn(t, min(at, b.end(h)), start)
}

// forget drops what is too old to be asked for at a time.
func (b *book) forget(now int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.changes.Add(1) // before the lock is released
	for t, list := range b.byTuple {
		list = slices.DeleteFunc(list, func(h *holding) bool { return h.claim.Until != 0 && now-h.claim.Until > keep })
		if len(list) == 0 {
			delete(b.byTuple, t)
		} else {
			b.byTuple[t] = list
		}
	}
	for t, list := range b.syns {
		i, _ := slices.BinarySearch(list, now-keep)
		if i == len(list) {
			delete(b.syns, t)
		} else {
			b.syns[t] = slices.Delete(list, 0, i)
		}
	}
}
