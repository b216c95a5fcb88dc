package diagnose

import (
	"slices"
	"testing"
)

// A connection on which no answer is known to be due may be one that the go
// command keeps in its pool; longer than its time limit it is not.
func TestPooledConnection(t *testing.T) {
	probed := func(w *wire, until int64) int64 {
		end := w.now + until
		for w.wait(30 * sec); w.now < end; w.wait(15 * sec) {
			w.keepAlive(true)
		}
		return end
	}
	for _, s := range []struct {
		name  string
		play  func(t *testing.T, w *wire) int64
		class Class
		level Level
		says  bool // that it may be idle
	}{
		{"quiet behind a whole record for less than the limit", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(9000))
			return probed(w, 80*sec)
		}, TransferRemoteIdle, Consistent, true},
		{"quiet for longer than go keeps one", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(9000))
			return probed(w, 100*sec)
		}, TransferRemoteIdle, Suggested, false},
		{"closed by go at the limit", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(9000))
			probed(w, 90*sec)
			w.up(appData(19), false).cfin().wait(rtt).sfin()
			return w.now
		}, OK, Proven, false},
		{"quiet behind the frame that ends the answer", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(9000)).down(appData(9 + recordOverhead13))
			return probed(w, 80*sec)
		}, OK, Consistent, false},
		{"quiet within a record", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(9000)[:5000])
			return probed(w, 50*sec)
		}, TransferRemoteIdle, Proven, false},
	} {
		t.Run(s.name, func(t *testing.T) {
			p := newPipe(t)
			v := p.finish(s.play(t, newWire(p, v4Server)))
			complete(t, &v)
			if v.Class != s.class || v.Level != s.level {
				t.Errorf("got %s %s %v, want %s %s", v.Class, v.Level, v.Evidence, s.class, s.level)
			}
			if says := slices.Contains(v.NotAssessed, "skip.maybe-idle"); says != s.says {
				t.Errorf("says that it may be idle: %v", says)
			}
		})
	}
}
