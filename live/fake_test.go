package live

import (
	"errors"
	"io"
	"net/netip"
	"sync"
	"testing"
	"time"

	"goproxytrace/capture"
	"goproxytrace/capture/hostlog"
	"goproxytrace/internal/packets"
)

// engine is a capture.Live that delivers what a test gives it.
type engine struct {
	batches  chan []capture.Packet
	stop     chan struct{}
	once     sync.Once
	info     capture.Info
	mu       sync.Mutex
	counters capture.Counters
	handed   uint64 // by the last Read; they count once the session has passed them on
	fail     error  // returned once batches is closed; nil means io.EOF
	end      int64  // of the statistics
	remarks  chan string
	late     []capture.Packet // what the kernel has when it is stopped
}

func newEngine(depth int) *engine {
	return &engine{
		batches: make(chan []capture.Packet, depth),
		stop:    make(chan struct{}),
		info:    capture.Info{Interfaces: []capture.Interface{{Name: "eth0", LinkType: 1}}},
	}
}

func (e *engine) Read(b *capture.Batch) error {
	b.Packets = b.Packets[:0]
	e.mu.Lock()
	e.counters.Received += e.handed
	e.counters.Delivered += e.handed
	e.handed = 0
	e.mu.Unlock()
	select {
	case text := <-e.remarks:
		e.info.Notes = append(e.info.Notes, text)
		return nil
	default:
	}
	var list []capture.Packet
	var ok bool
	select {
	case list, ok = <-e.batches:
	default:
		select {
		case list, ok = <-e.batches:
		case <-e.stop:
			select { // what the kernel had taken in before
			case list, ok = <-e.batches:
			default:
				list, ok = e.late, e.late != nil
				e.late = nil
			}
		case <-time.After(50 * time.Millisecond):
			return nil
		}
	}
	if !ok {
		n := e.counters.Delivered
		e.info.Interfaces[0].Received, e.info.Interfaces[0].Delivered, e.info.Interfaces[0].End = &n, &n, e.end
		if e.fail != nil {
			return e.fail
		}
		return io.EOF
	}
	b.Buf = b.Buf[:0]
	for _, p := range list {
		start := len(b.Buf)
		b.Buf = append(b.Buf, p.Data...)
		p.Length = len(p.Data)
		p.Data = b.Buf[start:len(b.Buf):len(b.Buf)]
		b.Packets = append(b.Packets, p)
	}
	// Appending may have moved the memory.
	at := 0
	for i := range b.Packets {
		n := len(b.Packets[i].Data)
		b.Packets[i].Data = b.Buf[at : at+n]
		at += n
	}
	e.handed = uint64(len(list))
	return nil
}

func (e *engine) Info() *capture.Info { return &e.info }
func (e *engine) Close() error        { return nil }
func (e *engine) Stop()               { e.once.Do(func() { close(e.stop) }) }
func (e *engine) Counters() capture.Counters {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.counters
}

// watcher is an Owners that knows what a test tells it.
type watcher struct {
	records chan hostlog.Record
	last    []hostlog.Record // sent at the end
	mu      sync.Mutex
	seen    []netip.AddrPort
	owners  map[netip.AddrPort]uint32
	once    sync.Once
	hang    bool // Close never ends the records
	changes uint64
	asked   int   // how often Holder was
	until   int64 // of Holder's answers; zero for no end
}

func newWatcher() *watcher {
	return &watcher{records: make(chan hostlog.Record, 64), owners: map[netip.AddrPort]uint32{}}
}

func (w *watcher) Records() <-chan hostlog.Record { return w.records }
func (w *watcher) Seen(local, _ netip.AddrPort, _ int64) {
	w.mu.Lock()
	w.seen = append(w.seen, local)
	w.mu.Unlock()
}

func (w *watcher) Holder(local, _ netip.AddrPort, _ int64) (uint32, int64, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	pid, ok := w.owners[local]
	if w.until != 0 {
		return pid, w.until, ok
	}
	return pid, 1<<63 - 1, ok
}

func (w *watcher) Changes() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changes
}

func (w *watcher) own(local string, pid uint32) {
	w.mu.Lock()
	w.owners[netip.MustParseAddrPort(local)] = pid
	w.changes++
	w.mu.Unlock()
}

func (w *watcher) Close() error {
	w.once.Do(func() {
		for _, r := range w.last {
			w.records <- r
		}
		if !w.hang {
			close(w.records)
		}
	})
	return nil
}

// tape is a CaseFile that remembers; it fails from item failAt on, where that
// is not zero.
type tape struct {
	mu         sync.Mutex
	interfaces []string
	items      []item
	statistics []capture.Interface
	failAt     int
	failures   int
	closed     int
}

type item struct {
	number int64 // zero for records: the file counts them itself
	time   int64
	pid    uint32
	record hostlog.Record
}

var errFull = errors.New("no space left on device")

func (t *tape) add(i item) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failAt > 0 && len(t.items)+1 >= t.failAt {
		t.failures++
		return errFull
	}
	t.items = append(t.items, i)
	return nil
}

func (t *tape) Interface(in *capture.Interface) (int, error) {
	t.interfaces = append(t.interfaces, in.Name)
	return len(t.interfaces) - 1, nil
}

func (t *tape) Packets(run []capture.Packet) (int, error) {
	for i := range run {
		p := &run[i]
		if err := t.add(item{number: p.Number, time: p.Time, pid: p.ProcessID}); err != nil {
			return i, err
		}
	}
	return len(run), nil
}
func (t *tape) Record(r hostlog.Record) error { return t.add(item{time: r.When(), record: r}) }
func (t *tape) Statistics(_ int, _ int64, in *capture.Interface) error {
	t.statistics = append(t.statistics, *in)
	return nil
}

func (t *tape) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed++
	return nil
}

func (t *tape) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.items)
}

// frame makes an outgoing SYN at a time.
func frame(at int64, client string) capture.Packet {
	b := packets.TCP(client, "198.51.100.1:443").Flags(packets.SYN).Seq(1).MSS(1460).Ethernet()
	return capture.Packet{Time: at, HasTime: true, Data: b, LinkType: 1, FCSLen: -1, Direction: capture.Outbound}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 10 s", what)
		}
	}
}
