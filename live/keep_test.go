package live

import (
	"testing"
	"time"

	"goproxytrace/capture"
	"goproxytrace/capture/hostlog"
)

// A session that analyses nothing gives all to its file, however much comes, with
// owners and records in their places.
func TestKeep(t *testing.T) {
	const batches = 4 * chunksInFlight
	e, w, file := newEngine(batches), newWatcher(), &tape{}
	w.own("192.0.2.7:40000", 7)
	for i := range int64(batches) {
		e.batches <- []capture.Packet{frame(at(i), "192.0.2.7:40000")}
	}
	s := New(Options{Source: e, Owners: w, File: file, HoldBack: 20 * time.Millisecond})
	type ended struct {
		counts Counts
		err    error
	}
	done := make(chan ended, 1)
	go func() {
		c, err := s.Keep(t.Context())
		done <- ended{c, err}
	}()
	s.Record(&hostlog.Event{Time: at(2), Origin: "test", Text: "behind the third"})
	eventually(t, "all packets are kept", func() bool { return file.len() == batches+1 })
	s.Stop()
	select {
	case r := <-done:
		if r.err != nil || r.counts.Captured != batches || r.counts.Written != batches || r.counts.Records != 1 {
			t.Errorf("%+v, %v", r.counts, r.err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the session did not end")
	}
	if file.closed != 1 || len(file.statistics) != 1 {
		t.Errorf("the file was closed %d times, with %d statistics", file.closed, len(file.statistics))
	}
	place := -1
	for i, x := range file.items {
		if x.record != nil {
			place = i
		} else if x.pid != 7 {
			t.Errorf("packet %d is process %d's", x.number, x.pid)
		}
	}
	if place < 0 {
		t.Error("the record is missing")
	}
}
