package hostevents

import (
	"context"
	"sync"
	"time"

	"goproxytrace/capture/hostlog"
)

// Watcher reads what this host logs about connections while packets are captured
// on it, and how it is set up: on Windows the event logs, the filtering platform's
// net events, its filters and providers, filter drivers and the proxy settings; on
// Linux the kernel's log lines, and the counters of connection tracking and of
// rules that drop what goes out or comes in. It only reads. What cannot be read,
// mostly for want of rights, is a hostlog.Unread among the records.
type Watcher struct {
	c       collector
	ctx     context.Context
	abandon context.CancelFunc
	records chan hostlog.Record
	stop    chan struct{}
	once    sync.Once
}

// Watch begins to read. What needs rights that the process is about to give up is
// opened here; what a source holds from before is passed over, and a source that
// keeps little is read at intervals, too. Nothing of the host is changed.
func Watch() *Watcher {
	w := &Watcher{c: collector{system: thisSystem()}, records: make(chan hostlog.Record, 256), stop: make(chan struct{})}
	w.c.since = w.c.now()
	w.ctx, w.abandon = context.WithCancel(context.Background())
	w.c.begin()
	go w.run()
	return w
}

// Records yields what the host logged. It is closed after Close, when the last
// reading is over and everything was taken from it.
func (w *Watcher) Records() <-chan hostlog.Record { return w.records }

// Close has everything read once more, with its time bounded by Limit: what is
// then still missing is told of as hostlog.Unread. It does not wait for that.
func (w *Watcher) Close() error {
	w.once.Do(func() { close(w.stop) })
	return nil
}

// Abandon gives up a last reading under way.
func (w *Watcher) Abandon() { w.abandon() }

func (w *Watcher) run() {
	defer close(w.records)
	defer w.c.close()
	t := time.NewTicker(w.c.interval())
	defer t.Stop()
	for {
		select {
		case <-t.C:
			w.put(w.c.meanwhile(w.ctx))
		case <-w.stop:
			w.put(w.c.end(w.ctx))
			return
		}
	}
}

// put hands records over, as long as somebody takes them.
func (w *Watcher) put(list []hostlog.Record) {
	for _, r := range list {
		select {
		case w.records <- r:
		case <-w.ctx.Done():
			return
		}
	}
}
