package analyze

import (
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"goproxytrace/capture"
)

// paced is a source that knows its size, and lets more than a progress
// interval pass before each batch but the first.
type paced struct {
	*wire
	batches int
	mu      sync.Mutex
	read    int64
}

func (p *paced) Read(b *capture.Batch) error {
	if p.batches++; p.batches > 1 {
		time.Sleep(progressInterval + 20*time.Millisecond)
	}
	err := p.wire.Read(b)
	p.mu.Lock()
	p.read += int64(len(b.Packets))
	p.mu.Unlock()
	return err
}

func (p *paced) Progress() (read, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.read, int64(len(p.packets))
}

// TestProgress holds that progress is told while reading goes on, never
// backwards, and not at every batch of a fast source.
func TestProgress(t *testing.T) {
	w := newWire()
	healthy(w)
	w.perBatch = (len(w.packets) + 3) / 4
	src := &paced{wire: w}
	var told []int64
	analyse(t, src, Options{Progress: func(read, total int64) {
		if total != int64(len(w.packets)) {
			t.Errorf("total %d, want %d", total, len(w.packets))
		}
		told = append(told, read)
	}})
	if len(told) == 0 || len(told) > src.batches {
		t.Fatalf("told %d times in %d batches", len(told), src.batches)
	}
	for i, n := range told {
		if n < 0 || n > int64(len(w.packets)) || i > 0 && n < told[i-1] {
			t.Errorf("told %v of %d", told, len(w.packets))
		}
	}
	// A source that does not know its size has no progress to tell.
	w.next = 0
	analyse(t, w, Options{Progress: func(int64, int64) { t.Error("progress of a source without any") }})
}

// cancelling cancels after so many batches.
type cancelling struct {
	*wire
	after  int
	cancel context.CancelFunc
}

func (c *cancelling) Read(b *capture.Batch) error {
	if c.after--; c.after == 0 {
		c.cancel()
	}
	return c.wire.Read(b)
}

// TestCancel holds that a cancelled analysis says so, and still tells what
// was read until then.
func TestCancel(t *testing.T) {
	w := newWire()
	for i := range 50 {
		w.talk("192.0.2.10:"+string([]byte{'4', '0', '0', byte('0' + i/10), byte('0' + i%10)}), healthServer).connect().tls("proxy.example", 4000).close(0)
	}
	w.perBatch = 10
	ctx, cancel := context.WithCancel(context.Background())
	r, err := Run(ctx, &cancelling{w, 4, cancel}, Options{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if r == nil {
		t.Fatal("no result")
	}
	defer r.Connections.Close()
	// The batch in whose Read it was cancelled still counts.
	if n := r.Capture.Segments; n != 40 {
		t.Errorf("%d segments of 40 read", n)
	}
	if n := r.Connections.Len(); n < 2 || n >= 50 || r.Verdict.Class == "" || r.Damage != nil {
		t.Errorf("%d connections, verdict %q, damage %v", n, r.Verdict.Class, r.Damage)
	}

	w.next = 0
	ctx, cancel = context.WithCancel(context.Background())
	var out strings.Builder
	if err := WriteFrames(ctx, &cancelling{w, 4, cancel}, &out, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("frames: error %v", err)
	}
	if n := strings.Count(out.String(), "\n"); n != 41 {
		t.Errorf("frames: %d lines, want a header and 40", n)
	}

	ctx, cancel = context.WithCancel(context.Background())
	cancel()
	w.next = 0
	early, err := Run(ctx, w, Options{})
	if !errors.Is(err, context.Canceled) || early == nil || early.Capture.Segments != 0 {
		t.Errorf("cancelled before the start: %+v, %v", early, err)
	}
}

// TestReadError holds that an error that is neither the end nor damage is
// returned with what came before it.
func TestReadError(t *testing.T) {
	broken := errors.New("the device went away")
	w := newWire()
	healthy(w)
	w.fail = broken
	r, err := Run(context.Background(), w, lookedFor)
	if !errors.Is(err, broken) || r == nil {
		t.Fatalf("result %v, error %v", r, err)
	}
	defer r.Connections.Close()
	if c := only(t, r); c.ServerName != "proxy.example" || r.Damage != nil || r.Capture.TruncatedAt != 0 {
		t.Errorf("connection %+v, damage %v", c, r.Damage)
	}
	w.next = 0
	var out strings.Builder
	if err := WriteFrames(context.Background(), w, &out, Options{}); !errors.Is(err, broken) || strings.Count(out.String(), "\n") != len(w.packets)+1 {
		t.Errorf("frames: error %v, %d lines", err, strings.Count(out.String(), "\n"))
	}
	// Damage is no error of Run: the result holds it.
	w.next, w.fail = 0, &capture.DamageError{Offset: 4711, Packet: int64(len(w.packets)) + 1, Reason: "cut"}
	r = analyse(t, w, lookedFor)
	if r.Damage == nil || r.Damage.Offset != 4711 || r.Capture.TruncatedAt != 4711 || r.Connections.Len() != 1 {
		t.Errorf("damage %+v, truncated at %d, %d connections", r.Damage, r.Capture.TruncatedAt, r.Connections.Len())
	}
}

// failingWriter takes n bytes.
type failingWriter struct{ n int }

var errFull = errors.New("the disk is full")

func (f *failingWriter) Write(b []byte) (int, error) {
	if f.n -= len(b); f.n < 0 {
		return 0, errFull
	}
	return len(b), nil
}

// TestFramesWriteError holds that an output that ends early is an error.
func TestFramesWriteError(t *testing.T) {
	for _, n := range []int{0, 70 << 10} {
		w := newWire()
		for range 600 {
			healthy(w)
		}
		if err := WriteFrames(context.Background(), w, &failingWriter{n}, Options{}); !errors.Is(err, errFull) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

// TestNoGoroutineStays holds that reading ends with the analysis, however
// that ends.
func TestNoGoroutineStays(t *testing.T) {
	before := runtime.NumGoroutine()
	for i := range 60 {
		w := newWire()
		healthy(w)
		w.perBatch = 1 + i%7
		ctx, cancel := context.WithCancel(context.Background())
		var src capture.Source = w
		switch i % 3 {
		case 1:
			w.fail = errors.New("gone")
		case 2:
			src = &cancelling{w, 1 + i%5, cancel}
		}
		if r, _ := Run(ctx, src, Options{}); r != nil {
			_ = r.Connections.Close()
		}
		w.next = 0
		_ = WriteFrames(ctx, src, io.Discard, Options{})
		cancel()
	}
	// A goroutine that was told to end may still be on its way out.
	for range 1000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	buf := make([]byte, 1<<16)
	t.Errorf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
}

// TestEmptySource holds that a capture without a packet gives a whole result.
func TestEmptySource(t *testing.T) {
	r := analyse(t, newWire(), lookedFor)
	if r.Verdict.Class != "no-traffic" || r.Subject != -1 || r.SubjectLookup != -1 || r.Capture.Start != 0 || r.Connections.Len() != 0 {
		t.Errorf("%+v", r)
	}
	if got := framesOf(t, newWire()); got != FramesHeader {
		t.Errorf("frames %q", got)
	}
}
