//go:build linux

package lab

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Box is the middlebox: a bridge between the interfaces near (to the client)
// and away (to the server) that forwards every frame itself. Its elements see
// packets as they arrive; the delay of the path lies between it and the
// server.
type Box struct {
	lab      *Lab
	elements []Element
	hops     byte
	half     time.Duration
	cut      atomic.Bool
	dropped  atomic.Int64
	injected atomic.Int64

	mu     sync.Mutex // guards what follows
	chance *rand.Rand
	flows  map[flowKey]*flow
	queue  frameQueue
	order  uint64
	now    time.Time     // when the frame under way came
	late   time.Duration // by how much a forged frame left too late at most
	deeds  []Deed
	wake   chan struct{}

	near, away *link
	closed     atomic.Bool
	done       sync.WaitGroup
}

// openBox starts the middlebox in the namespace.
func openBox(l *Lab, namespace string, path *Path, seed uint64) (*Box, error) {
	b := &Box{
		lab: l, hops: path.Hops, half: path.RTT / 2,
		chance: rand.New(rand.NewPCG(seed, 0)), flows: map[flowKey]*flow{}, wake: make(chan struct{}, 1),
	}
	for _, make := range path.Box {
		b.elements = append(b.elements, make(b))
	}
	err := inNamespace(namespace, func() (err error) {
		if b.near, err = openLink("near"); err == nil {
			b.away, err = openLink("away")
		}
		return err
	})
	if err != nil {
		if b.near != nil {
			b.near.close()
		}
		return nil, fmt.Errorf("middlebox: %w", err)
	}
	b.done.Add(3)
	go b.read(b.near, true)
	go b.read(b.away, false)
	go b.deliver()
	return b, nil
}

func (b *Box) read(l *link, up bool) {
	defer b.done.Done()
	buf := make([]byte, 1<<16)
	for {
		n, at, err := l.receive(buf)
		if err != nil {
			return
		}
		b.take(append([]byte(nil), buf[:n]...), up, at)
	}
}

// take sends one frame, which came at the given time, through the elements.
func (b *Box) take(frame []byte, up bool, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = at
	p := parse(frame, up)
	if p == nil { // ARP, and what is not ours to judge
		b.push(frame, up, 0)
		return
	}
	if p.proto == protoTCP && len(p.body) >= 20 {
		b.track(p)
	}
	if b.cut.Load() && !neighbour(p) {
		b.drop(p)
		return
	}
	if neighbour(p) { // its hop limit must stay 255 (RFC 4861, section 7.1)
		b.push(frame, up, 0)
		return
	}
	for _, e := range b.elements {
		if !e(p) {
			b.drop(p)
			return
		}
	}
	p.setTTL(max(p.ttl(), b.hops+1) - b.hops)
	b.push(frame, up, b.half+p.Delay)
}

// maxDeeds bounds what is told one by one.
const maxDeeds = 10_000

func (b *Box) tell(p *Packet, injected bool, at time.Time) {
	if p != nil && len(b.deeds) < maxDeeds {
		b.deeds = append(b.deeds, Deed{Time: at.UnixNano(), Injected: injected, Up: p.Up, Proto: p.proto, Flags: p.flags, Payload: len(p.payload)})
	}
}

func (b *Box) drop(p *Packet) {
	b.dropped.Add(1)
	b.tell(p, false, b.now)
}

// told is what the middlebox did so far.
func (b *Box) told() []Deed {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.deeds)
}

// neighbour is true for the messages of IPv6 neighbour and router discovery.
func neighbour(p *Packet) bool {
	return p.proto == protoICMP6 && len(p.body) > 0 && p.body[0] >= 130 && p.body[0] <= 143
}

// inject sends a frame of the middlebox's own. The caller is an element.
func (b *Box) inject(frame []byte, up bool, after time.Duration) {
	b.injected.Add(1)
	b.tell(parse(frame, up), true, b.now.Add(after))
	b.enqueue(queued{due: b.now.Add(after), frame: frame, up: up, forged: true})
}

func (b *Box) push(frame []byte, up bool, after time.Duration) {
	b.enqueue(queued{due: b.now.Add(after), frame: frame, up: up})
}

func (b *Box) enqueue(q queued) {
	b.order++
	q.order = b.order
	heap.Push(&b.queue, q)
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *Box) send(frame []byte, up bool) {
	if up {
		b.away.send(frame)
	} else {
		b.near.send(frame)
	}
}

// deliver sends queued frames when their time has come.
func (b *Box) deliver() {
	defer b.done.Done()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for !b.closed.Load() {
		b.mu.Lock()
		wait := 200 * time.Millisecond
		for len(b.queue) > 0 {
			if wait = time.Until(b.queue[0].due); wait > 0 {
				break
			}
			q := heap.Pop(&b.queue).(queued)
			if q.forged {
				b.late = max(b.late, -wait)
			}
			b.send(q.frame, q.up)
			wait = 200 * time.Millisecond
		}
		b.mu.Unlock()
		timer.Reset(min(wait, 200*time.Millisecond))
		select {
		case <-timer.C:
		case <-b.wake:
		}
	}
}

// lateness is by how much a forged frame left too late at most.
func (b *Box) lateness() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.late
}

// close stops the bridge; the interfaces stay.
func (b *Box) close() {
	b.closed.Store(true)
	b.near.close()
	b.away.close()
	b.done.Wait()
}

// queued is a frame on its way.
type queued struct {
	due   time.Time
	order uint64 // frames that are due together keep their order
	frame []byte
	up    bool
	// forged is true for a frame of the middlebox's own.
	forged bool
}

type frameQueue []queued

func (q frameQueue) Len() int { return len(q) }
func (q frameQueue) Less(i, j int) bool {
	if q[i].due.Equal(q[j].due) {
		return q[i].order < q[j].order
	}
	return q[i].due.Before(q[j].due)
}
func (q frameQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *frameQueue) Push(x any)   { *q = append(*q, x.(queued)) }
func (q *frameQueue) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}
