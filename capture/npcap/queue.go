package npcap

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"goproxytrace/capture"
)

// queueLimit bounds the bytes that wait to be read; beyond it the driver's
// buffer fills, and the driver counts what it drops.
const queueLimit = 8 << 20

// queue carries an adapter's packets from the goroutine that waits for them
// to the merger. It is a merge.Tap.
type queue struct {
	adapter *Adapter
	handle  Handle
	entry   int32
	link    capture.LinkType

	mu sync.Mutex
	// room is signalled when filling was taken.
	room    *sync.Cond
	filling chunk
	// err is why the handle ended; nil while it runs.
	err error

	reading chunk
	next    int
	// delivered counts what the merger took, dropped what the driver says.
	delivered uint64
	dropped   atomic.Uint64
}

// chunk is a run of packets in memory of its own.
type chunk struct {
	bytes   []byte
	records []record
}

type record struct {
	start, end, length int
	at                 int64
}

var errStopped = errors.New("stopped")

func newQueue(a *Adapter, h Handle, entry int32) *queue {
	q := &queue{adapter: a, handle: h, entry: entry, link: h.LinkType()}
	q.room = sync.NewCond(&q.mu)
	return q
}

// pump moves packets from the handle into the queue until the handle fails,
// or until stop is closed and all that came before was read.
func (q *queue) pump(stop <-chan struct{}) {
	var stopped, counted time.Time
	stopping := false
	for {
		if !stopping {
			select {
			case <-stop:
				stopping, stopped = true, time.Now()
			default:
			}
		}
		if time.Since(counted) >= countEvery {
			counted = time.Now()
			q.count()
		}
		data, at, length, err := q.handle.Next()
		switch {
		case err == nil:
			q.put(data, at, length)
			// On a busy adapter something always comes; what came in after
			// the stop ends the reading.
			if stopping && (at > stopped.Add(tick).UnixNano() || time.Since(stopped) > drainLimit) {
				q.end(errStopped)
				return
			}
		case !errors.Is(err, ErrTimeout):
			q.end(err)
			return
		case stopping:
			q.end(errStopped)
			return
		}
	}
}

func (q *queue) put(data []byte, at int64, length int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.filling.bytes) > queueLimit {
		q.room.Wait()
	}
	start := len(q.filling.bytes)
	q.filling.bytes = append(q.filling.bytes, data...)
	q.filling.records = append(q.filling.records, record{start, len(q.filling.bytes), max(length, len(data)), at})
}

// count asks for the drops. It runs where Next runs: the driver's library is
// not made for two callers at once.
func (q *queue) count() {
	if n, err := q.handle.Dropped(); err == nil {
		q.dropped.Store(n)
	}
}

func (q *queue) end(err error) {
	q.count()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.err = err
}

// ended returns why the handle ended, nil while it runs or packets wait.
func (q *queue) ended() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.next < len(q.reading.records) || len(q.filling.records) > 0 {
		return nil
	}
	return q.err
}

// waiting reports whether packets wait to be read.
func (q *queue) waiting() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.next < len(q.reading.records) || len(q.filling.records) > 0
}

// over reports whether the pump has ended.
func (q *queue) over() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.err != nil
}

// release lets a pump that waits for room go on; what it brings is lost.
func (q *queue) release() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.filling = chunk{}
	q.room.Broadcast()
}

// Next implements merge.Tap.
func (q *queue) Next(p *capture.Packet) (bool, error) {
	if q.next == len(q.reading.records) {
		q.mu.Lock()
		q.reading.bytes, q.reading.records = q.reading.bytes[:0], q.reading.records[:0]
		q.reading, q.filling = q.filling, q.reading
		q.room.Signal()
		q.mu.Unlock()
		q.next = 0
		if len(q.reading.records) == 0 {
			return false, nil
		}
	}
	r := q.reading.records[q.next]
	q.next++
	data := q.reading.bytes[r.start:r.end]
	*p = capture.Packet{
		Time: r.at, HasTime: true, Data: data, Length: r.length, FCSLen: -1,
		Interface: q.entry, LinkType: q.link, Loopback: q.adapter.Loopback,
		Direction: q.adapter.direction(q.link, data),
	}
	q.delivered++
	return true, nil
}
