package live

import (
	"cmp"
	"slices"
	"time"

	"goproxytrace/capture"
	"goproxytrace/capture/hostlog"
)

// chunk is a run of packets, and of records between them, on its way through
// the session. It holds the memory that its packets borrow.
type chunk struct {
	batch capture.Batch
	// records are those of the batch's events, in order.
	records []hostlog.Record
	// added are interfaces that the capture knows since this chunk.
	added []capture.Interface
	// statistics are the interfaces' counters at the end of the capture, nil
	// before it.
	statistics []capture.Interface
	// notes are what the engine remarks on the capture since the chunk before.
	notes []string
	// last is true for the chunk behind the last packet.
	last bool
	// arrived is when the session got the chunk.
	arrived time.Time
	// bytes counts the frames' and records' bytes, by the interface's index how
	// many frames there are of each; what is of none is left out.
	bytes  int
	frames []int64
	// own is true where the chunk was made for records: its batch is none of
	// the engine's.
	own bool
}

func (c *chunk) reset() {
	c.batch.Packets = c.batch.Packets[:0]
	c.records, c.added, c.statistics, c.notes = c.records[:0], nil, nil, nil
	c.bytes = 0
	clear(c.frames)
}

// count takes n frames of one interface.
func (c *chunk) count(index int32, n int64) {
	if index < 0 || n == 0 {
		return
	}
	for int(index) >= len(c.frames) {
		c.frames = append(c.frames, 0)
	}
	c.frames[index] += n
}

// held is what the session has received and not yet passed on. Packets stay in
// the engine's order. A record is put behind the last packet that is not later
// than what it tells, however the clock may have been set in between.
type held struct {
	chunks []*chunk
	// loose are records later than every packet so far: packets that come now
	// may still belong in front of them.
	loose   []loose
	bytes   int
	records int
}

type loose struct {
	record  hostlog.Record
	entry   []byte // what the case file holds of it
	arrived time.Time
}

// Bounds on what is held back: bytes, and records while the analysis takes
// nothing.
const (
	maxHeldBytes   = 16 << 20
	maxHeldRecords = 64 << 10
)

func (h *held) add(c *chunk) {
	h.bytes += c.bytes
	h.chunks = append(h.chunks, c)
	rest := h.loose[:0]
	for _, l := range h.loose {
		if !h.place(l) {
			rest = append(rest, l)
		}
	}
	clear(h.loose[len(rest):])
	h.loose = rest
}

// insert takes a record.
func (h *held) insert(r hostlog.Record, entry []byte, now time.Time) {
	h.bytes += len(entry)
	h.records++
	if l := (loose{r, entry, now}); !h.place(l) {
		h.loose = append(h.loose, l)
	}
}

// place puts a record in front of a later packet; false where there is none.
func (h *held) place(l loose) bool {
	at := l.record.When()
	for i := len(h.chunks) - 1; i >= 0; i-- {
		c := h.chunks[i]
		for j := len(c.batch.Packets) - 1; j >= 0; j-- {
			if p := &c.batch.Packets[j]; p.HasTime && p.Time > at {
				continue
			}
			if i == len(h.chunks)-1 && j == len(c.batch.Packets)-1 {
				return false
			}
			c.insert(j+1, l.record, l.entry)
			return true
		}
	}
	if len(h.chunks) == 0 {
		return false
	}
	if len(h.chunks[0].added) > 0 { // interfaces come before what follows them
		h.chunks = append([]*chunk{{arrived: l.arrived, own: true}}, h.chunks...)
	}
	h.chunks[0].insert(0, l.record, l.entry)
	return true
}

// settle gives up waiting for packets that belong in front of loose records.
func (h *held) settle(now time.Time, holdBack time.Duration, force bool) {
	n := 0
	for n < len(h.loose) && (force || now.Sub(h.loose[n].arrived) >= holdBack) {
		n++
	}
	if n == 0 {
		return
	}
	if len(h.chunks) == 0 {
		h.chunks = append(h.chunks, &chunk{arrived: h.loose[0].arrived, own: true})
	}
	c := h.chunks[len(h.chunks)-1]
	latest := h.loose[0].record.When()
	for _, l := range h.loose[1:n] {
		latest = max(latest, l.record.When())
	}
	// What tells of earlier things goes with them, however late it came.
	var settled, later []loose
	for i, l := range h.loose {
		if i < n || l.record.When() <= latest {
			settled = append(settled, l)
		} else {
			later = append(later, l)
		}
	}
	slices.SortStableFunc(settled, func(a, b loose) int { return cmp.Compare(a.record.When(), b.record.When()) })
	for _, l := range settled {
		c.insert(len(c.batch.Packets), l.record, l.entry)
	}
	h.loose = later
}

// insert puts a record in front of packet i.
func (c *chunk) insert(i int, r hostlog.Record, entry []byte) {
	before := 0
	switch {
	case i == len(c.batch.Packets):
		before = len(c.records)
	case len(c.records) > 0:
		for j := range i {
			if c.batch.Packets[j].Kind == capture.KindEvent {
				before++
			}
		}
	}
	c.bytes += len(entry)
	c.batch.Packets = append(c.batch.Packets, capture.Packet{})
	copy(c.batch.Packets[i+1:], c.batch.Packets[i:])
	c.batch.Packets[i] = capture.Packet{
		Kind: capture.KindEvent, Interface: -1, FCSLen: -1, Data: entry, Length: len(entry),
		// A journal entry's own time is in microseconds.
		Time: max(r.When(), 0) / 1000 * 1000, HasTime: true,
	}
	c.records = append(c.records, nil)
	copy(c.records[before+1:], c.records[before:])
	c.records[before] = r
}

// due takes the oldest chunk where it is to be passed on: because it was held
// long enough, or because more is held than may be, or by force.
func (h *held) due(now time.Time, holdBack time.Duration, force bool) *chunk {
	h.settle(now, holdBack, force)
	if len(h.chunks) == 0 {
		return nil
	}
	c := h.chunks[0]
	if !force && now.Sub(c.arrived) < holdBack && h.bytes <= maxHeldBytes {
		return nil
	}
	h.chunks[0] = nil
	h.chunks = h.chunks[1:]
	h.bytes -= c.bytes
	h.records -= len(c.records)
	return c
}

// wait says how long the oldest chunk or record is still to be held.
func (h *held) wait(now time.Time, holdBack time.Duration) (time.Duration, bool) {
	var oldest time.Time
	switch {
	case len(h.chunks) > 0:
		oldest = h.chunks[0].arrived
	case len(h.loose) > 0:
		oldest = h.loose[0].arrived
	default:
		return 0, false
	}
	return max(holdBack-now.Sub(oldest), 0), true
}
