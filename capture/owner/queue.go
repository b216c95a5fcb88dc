package owner

import (
	"sync"

	"goproxytrace/capture/hostlog"
)

// maxQueued bounds what waits for a reader that does not keep up; some 200
// bytes each.
const maxQueued = 1 << 19

// queue hands records to one reader without ever making the writers wait: the
// kernel's ring buffer must be emptied whatever the reader does.
type queue struct {
	ch chan hostlog.Record

	mu     sync.Mutex
	wake   sync.Cond
	wait   []hostlog.Record
	lost   uint64
	closed bool
}

func newQueue() *queue {
	q := &queue{ch: make(chan hostlog.Record, 64)}
	q.wake.L = &q.mu
	go q.run()
	return q
}

func (q *queue) put(r hostlog.Record) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	if len(q.wait) >= maxQueued {
		q.lost++
		return
	}
	q.wait = append(q.wait, r)
	q.wake.Signal()
}

func (q *queue) run() {
	defer close(q.ch)
	for {
		q.mu.Lock()
		for len(q.wait) == 0 && !q.closed {
			q.wake.Wait()
		}
		batch := q.wait
		q.wait = nil
		q.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		for _, r := range batch {
			q.ch <- r
		}
	}
}

// close lets the reader take what is queued, and no more.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.wake.Signal()
}

func (q *queue) dropped() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost
}
