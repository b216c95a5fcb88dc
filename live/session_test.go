package live

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"goproxytrace/analyze"
	"goproxytrace/capture"
	"goproxytrace/capture/hostlog"
)

// at is a time of the tests in Unix nanoseconds.
func at(ms int64) int64 { return 1_700_000_000e9 + ms*1e6 }

type outcome struct {
	result *analyze.Result
	counts Counts
	err    error
}

// start runs a session in the background.
func start(t *testing.T, o Options) (*Session, <-chan outcome) {
	t.Helper()
	s := New(o)
	done := make(chan outcome, 1)
	go func() {
		r, c, err := s.Run(t.Context())
		if r != nil {
			r.Connections.Close()
		}
		done <- outcome{r, c, err}
	}()
	return s, done
}

func wait(t *testing.T, done <-chan outcome) outcome {
	t.Helper()
	select {
	case o := <-done:
		return o
	case <-time.After(20 * time.Second):
		t.Fatal("the session did not end")
	}
	panic("unreachable")
}

// order writes down a tape: frames by number, records by text.
func order(f *tape) string {
	var out []string
	for i, x := range f.items {
		switch r := x.record.(type) {
		case nil:
			out = append(out, fmt.Sprintf("%d", x.number))
			if x.number != int64(i+1) {
				out = append(out, fmt.Sprintf("(at place %d)", i+1))
			}
		case *hostlog.Event:
			out = append(out, r.Text)
		default:
			out = append(out, fmt.Sprintf("%T", r))
		}
	}
	return strings.Join(out, " ")
}

func event(ms int64, text string) *hostlog.Event {
	return &hostlog.Event{Time: at(ms), Origin: "test", Text: text}
}

// Records stand behind the packets that are not later, whatever came in
// first, and each takes a frame number as in the file.
func TestOrderAndNumbers(t *testing.T) {
	for _, tt := range []struct {
		name  string
		times []int64 // of the packets, in the engine's order
		late  []*hostlog.Event
		want  string
	}{
		{"between", []int64{10, 20, 30}, []*hostlog.Event{event(25, "c"), event(15, "b"), event(20, "same")}, "1 b 3 same c 6"},
		{"before all", []int64{10}, []*hostlog.Event{event(5, "a")}, "1 a"},
		{"after all", []int64{10}, []*hostlog.Event{event(50, "z")}, "1 z"},
		// The clock was set back by a minute between two packets.
		{"clock back", []int64{60_000, 60_010, 20, 30}, []*hostlog.Event{event(25, "now"), event(60_011, "far")}, "1 2 3 now 5 far"},
		{"clock ahead", []int64{10, 90_000}, []*hostlog.Event{event(11, "before"), event(90_001, "behind")}, "1 before 3 behind"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, w, f := newEngine(4), newWatcher(), &tape{}
			e.end = at(100_000)
			s, done := start(t, Options{Source: e, Owners: w, File: f, HoldBack: time.Hour})
			var list []capture.Packet
			for i, ms := range tt.times {
				list = append(list, frame(at(ms), fmt.Sprintf("192.0.2.1:%d", 40000+i)))
			}
			e.batches <- list[:1]
			e.batches <- list[1:]
			eventually(t, "reading", func() bool { return e.Counters().Delivered == uint64(len(list)) })
			for _, r := range tt.late {
				w.records <- r
			}
			close(e.batches)
			s.Stop()
			s.Stop()
			o := wait(t, done)
			if o.err != nil {
				t.Fatal(o.err)
			}
			want := tt.want
			if tt.name == "before all" {
				// The interface is described before anything of it stands in
				// the file; the record belongs to the first packet's time.
				want = "a 2"
			}
			if got := order(f); got != want {
				t.Errorf("order %q, want %q", got, want)
			}
			if n := int64(len(list) + len(tt.late)); o.result.Capture.Packets != n {
				t.Errorf("the analysis counts %d records, want %d", o.result.Capture.Packets, n)
			}
			if o.counts.Captured != int64(len(list)) || o.counts.Written != o.counts.Captured || o.counts.Delivered != uint64(len(list)) {
				t.Errorf("counts %+v", o.counts)
			}
			if len(f.statistics) != 1 || f.statistics[0].End != at(100_000) || f.closed != 1 {
				t.Errorf("statistics %+v, closed %d times", f.statistics, f.closed)
			}
			if !o.result.Capture.EndKnown || o.result.Capture.End != at(100_000) {
				t.Errorf("the analysis takes %d for the end", o.result.Capture.End)
			}
		})
	}
}

// A packet's owner is the one that is known when it is written, which may be
// later than when it came; an unknown owner stays unknown.
func TestOwnerIsWaitedFor(t *testing.T) {
	e, w, f := newEngine(1), newWatcher(), &tape{}
	s, done := start(t, Options{Source: e, Owners: w, File: f, HoldBack: 2 * time.Second})
	e.batches <- []capture.Packet{frame(at(1), "192.0.2.1:40001"), frame(at(2), "192.0.2.1:40002")}
	eventually(t, "the SYNs to be told of", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.seen) == 2
	})
	if f.len() != 0 {
		t.Error("a packet was written before its owner could be known")
	}
	w.own("192.0.2.1:40001", 4120)
	eventually(t, "writing", func() bool { return f.len() == 2 })
	s.Stop()
	close(e.batches)
	wait(t, done)
	if f.items[0].pid != 4120 || f.items[1].pid != 0 {
		t.Errorf("owners %d and %d, want 4120 and none", f.items[0].pid, f.items[1].pid)
	}
}

// An analysis that is slow makes the engine wait, and nothing is lost; records
// are taken all the while.
func TestBackpressure(t *testing.T) {
	const batches = 3 * chunksInFlight
	e, w, f := newEngine(0), newWatcher(), &tape{}
	s := New(Options{Source: e, Owners: w, File: f, HoldBack: time.Millisecond})
	go s.receive()
	ended := make(chan struct{})
	go func() { defer close(ended); s.sequence() }()
	sent := make(chan struct{})
	var mu sync.Mutex
	n := 0
	go func() {
		defer close(sent)
		for i := range batches {
			e.batches <- []capture.Packet{frame(at(int64(i)), "192.0.2.1:40000")}
			mu.Lock()
			n++
			mu.Unlock()
		}
		close(e.batches)
	}()
	taken := func() int { mu.Lock(); defer mu.Unlock(); return n }
	eventually(t, "the engine to be held up", func() bool {
		before := taken()
		time.Sleep(100 * time.Millisecond)
		return before >= chunksInFlight && taken() == before
	})
	if got := taken(); got >= batches {
		t.Fatalf("%d batches were taken with nobody to analyse them", got)
	}
	for i := range 1000 { // more than the channel holds
		select {
		case w.records <- event(int64(i), "x"):
		case <-time.After(5 * time.Second):
			t.Fatal("the watcher was held up by the analysis")
		}
	}
	var b capture.Batch
	frames, events := 0, 0
	for s.stream.Read(&b) == nil {
		for i := range b.Packets {
			if b.Packets[i].Kind == capture.KindEvent {
				events++
			} else {
				frames++
			}
		}
	}
	<-sent
	<-ended
	if frames != batches || events != 1000 || f.len() != batches+1000 {
		t.Errorf("%d frames and %d records were analysed, %d items written; want %d and 1000", frames, events, f.len(), batches)
	}
}

// A full disk ends the file, once, and nothing else.
func TestDiskFull(t *testing.T) {
	e, f := newEngine(8), &tape{failAt: 3}
	var warnings []error
	s, done := start(t, Options{Source: e, File: f, HoldBack: time.Millisecond, Warn: func(err error) { warnings = append(warnings, err) }})
	for i := range 6 {
		e.batches <- []capture.Packet{frame(at(int64(i)), "192.0.2.1:40000")}
	}
	close(e.batches)
	o := wait(t, done)
	s.Stop()
	if o.err != nil || o.counts.Captured != 6 || o.counts.Written != 2 || o.result.Capture.Packets != 6 {
		t.Errorf("%v, counts %+v, %d packets analysed", o.err, o.counts, o.result.Capture.Packets)
	}
	if len(warnings) != 1 || !errors.Is(warnings[0], errFull) || f.failures != 1 || f.closed != 1 {
		t.Errorf("warnings %v; %d failures, closed %d times", warnings, f.failures, f.closed)
	}
}

// Abort leaves the file complete although packets were still held back.
func TestAbortKeepsTheFile(t *testing.T) {
	e, f := newEngine(1), &tape{}
	s, done := start(t, Options{Source: e, File: f, HoldBack: time.Hour})
	e.batches <- []capture.Packet{frame(at(1), "192.0.2.1:40001")}
	eventually(t, "reading", func() bool { return e.Counters().Delivered == 1 })
	time.Sleep(50 * time.Millisecond)
	s.Abort()
	if f.len() != 1 || f.closed != 1 {
		t.Errorf("%d items written, closed %d times", f.len(), f.closed)
	}
	close(e.batches)
	wait(t, done)
	s.Abort()
}

// Abort loses nothing of what the engine has delivered and the sequence not yet
// taken in, nor of what the engine has at its end, and ends what watches.
func TestAbortTakesWhatHasArrived(t *testing.T) {
	e, w, f := newEngine(1), newWatcher(), &tape{}
	s, done := start(t, Options{Source: e, Owners: w, File: f, HoldBack: time.Hour})
	e.batches <- []capture.Packet{frame(at(1), "192.0.2.1:40001")}
	eventually(t, "reading", func() bool { return e.Counters().Delivered == 1 })
	w.records <- event(2, "held") // so that the sequence waits for what it holds
	eventually(t, "taking the record", func() bool { return len(w.records) == 0 })
	time.Sleep(100 * time.Millisecond)
	for i := range 3 {
		e.batches <- []capture.Packet{frame(at(int64(10+i)), "192.0.2.1:40001")}
	}
	eventually(t, "reading", func() bool { return e.Counters().Delivered == 4 })
	e.late = []capture.Packet{frame(at(20), "192.0.2.1:40001")}
	s.Abort()
	if got, want := order(f), "1 held 3 4 5 6"; got != want || f.closed != 1 || len(f.statistics) != 1 {
		t.Errorf("%q is written, want %q; closed %d times, statistics %+v", got, want, f.closed, f.statistics)
	}
	select {
	case _, ok := <-w.records:
		if ok {
			t.Error("the watcher still tells")
		}
	default:
		t.Error("the watcher was not closed")
	}
	if o := wait(t, done); o.err != nil {
		t.Error(o.err)
	}
}

// An engine that waits for a chunk when all is aborted gets one.
func TestAbortUnderPressure(t *testing.T) {
	const batches = 2 * chunksInFlight
	e, f := newEngine(batches), &tape{}
	s := New(Options{Source: e, File: f, HoldBack: time.Millisecond})
	received := make(chan struct{})
	go func() { defer close(received); s.receive() }()
	go s.sequence()
	for i := range batches {
		e.batches <- []capture.Packet{frame(at(int64(i)), "192.0.2.1:40000")}
	}
	close(e.batches)
	eventually(t, "the engine to be held up", func() bool { return len(s.stream.next) == cap(s.stream.next) && s.starved() })
	s.Abort()
	select {
	case <-received:
	case <-time.After(5 * time.Second):
		t.Fatal("the engine still waits")
	}
	if f.len() != batches || f.closed != 1 {
		t.Errorf("%d frames of %d are written, closed %d times", f.len(), batches, f.closed)
	}
}

// Who makes records is not held up by packets that come when all is over.
func TestRecordsWithoutPackets(t *testing.T) {
	const records = maxHeldRecords + 4096
	e := newEngine(1)
	s, done := start(t, Options{Source: e, HoldBack: 24 * time.Hour})
	told := make(chan struct{})
	go func() {
		defer close(told)
		for i := range records {
			s.Record(event(int64(i), "line"))
		}
	}()
	select {
	case <-told:
	case <-time.After(30 * time.Second):
		t.Fatal("a record waits for the end of the capture, which may wait for it")
	}
	s.Stop()
	close(e.batches)
	if o := wait(t, done); o.err != nil || o.counts.Records != records {
		t.Errorf("%v, %d records", o.err, o.counts.Records)
	}
}

// The end of the context ends the session with what there is.
func TestCancelled(t *testing.T) {
	e, f := newEngine(1), &tape{}
	ctx, cancel := context.WithCancel(t.Context())
	s := New(Options{Source: e, File: f, HoldBack: time.Millisecond})
	e.batches <- []capture.Packet{frame(at(1), "192.0.2.1:40001")}
	time.AfterFunc(100*time.Millisecond, cancel)
	go func() { <-e.stop; close(e.batches) }()
	r, c, err := s.Run(ctx)
	if !errors.Is(err, context.Canceled) || r == nil || c.Written != 1 || f.closed != 1 {
		t.Errorf("%v, %+v, closed %d times", err, c, f.closed)
	}
	s.Record(event(1, "too late")) // does not hang
}

// An engine that fails is reported beside what it delivered.
func TestEngineFails(t *testing.T) {
	e := newEngine(1)
	e.fail = errors.New("network is down")
	_, done := start(t, Options{Source: e, HoldBack: time.Millisecond})
	e.batches <- []capture.Packet{frame(at(1), "192.0.2.1:40001")}
	close(e.batches)
	if o := wait(t, done); !errors.Is(o.err, e.fail) || o.result.Capture.Packets != 1 {
		t.Errorf("%v, %d packets", o.err, o.result.Capture.Packets)
	}
}

// Watchers that hang do not keep the session.
func TestWatcherHangs(t *testing.T) {
	e, w := newEngine(1), newWatcher()
	w.hang = true
	var warnings []error
	_, done := start(t, Options{Source: e, Owners: w, Warn: func(err error) { warnings = append(warnings, err) }})
	close(e.batches)
	begin := time.Now()
	if o := wait(t, done); o.err != nil || time.Since(begin) > lastRecords+2*time.Second || len(warnings) != 1 {
		t.Errorf("%v after %v, warnings %v", o.err, time.Since(begin), warnings)
	}
}

// What the watchers say at their end, and own records made before Stop, are
// part of the sequence.
func TestLastRecords(t *testing.T) {
	e, w, f := newEngine(1), newWatcher(), &tape{}
	w.last = []hostlog.Record{event(5, "closed")}
	var told []string
	s, done := start(t, Options{Source: e, Owners: w, File: f, OnRecord: func(r hostlog.Record) { told = append(told, r.(*hostlog.Event).Text) }})
	e.batches <- []capture.Packet{frame(at(1), "192.0.2.1:40001")}
	s.Record(event(4, "own"))
	s.Stop()
	close(e.batches)
	wait(t, done)
	if got := order(f); got != "1 own closed" {
		t.Errorf("order %q", got)
	}
	slices.Sort(told)
	if !slices.Equal(told, []string{"closed", "own"}) {
		t.Errorf("told of %q", told)
	}
}

// The number of frames asked for ends the capture, and no frame more is
// written or analysed, wherever in a batch it was reached.
func TestMaxFrames(t *testing.T) {
	for _, batches := range [][]int{{1, 1}, {1, 5}, {2}, {7, 3}, {1, 1, 4}} {
		e, f := newEngine(8), &tape{}
		sent := 0
		for _, n := range batches {
			var list []capture.Packet
			for range n {
				sent++
				list = append(list, frame(at(int64(sent)), fmt.Sprintf("192.0.2.1:%d", 40000+sent)))
			}
			e.batches <- list
		}
		_, done := start(t, Options{Source: e, File: f, MaxFrames: 2, HoldBack: time.Millisecond})
		<-e.stop
		close(e.batches)
		o := wait(t, done)
		if o.counts.Captured != 2 || o.counts.Written != 2 || len(f.items) != 2 || o.result.Capture.Packets != 2 {
			t.Errorf("batches of %v: %+v, %d in the file, %d analysed", batches, o.counts, len(f.items), o.result.Capture.Packets)
		}
		end := f.statistics[0]
		if *end.Delivered != 2 || *end.Received != 2 || (end.End == at(2)) != (sent > 2) {
			t.Errorf("batches of %v: %d delivered of %d, the end at %d", batches, *end.Delivered, *end.Received, end.End)
		}
	}
}

// What the engine remarks, such as an interface that went away, is told while
// the capture runs, once, and stands in the case file.
func TestRemarks(t *testing.T) {
	e, f := newEngine(1), &tape{}
	e.remarks = make(chan string)
	warned := make(chan string, 4)
	s, done := start(t, Options{Source: e, File: f, Warn: func(err error) { warned <- err.Error() }})
	e.remarks <- "interface eth1 went away"
	select {
	case text := <-warned:
		if text != "capture: interface eth1 went away" {
			t.Errorf("told %q", text)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("told of nothing while the capture runs")
	}
	s.Stop()
	close(e.batches)
	wait(t, done)
	if got := order(f); got != "interface eth1 went away" || len(warned) != 0 {
		t.Errorf("the case file holds %q; %d more warnings", got, len(warned))
	}
}

// What the host's logs say once the capture has ended is part of the sequence,
// however the capture came to its end; a reading that hangs is told of.
func TestLastLogs(t *testing.T) {
	for _, tt := range []struct {
		name string
		most int64 // frames
		hang bool
		want string
	}{{"stopped", 0, false, "rule"}, {"enough frames", 2, false, "rule"}, {"hanging", 0, true, "not readable because reading them took longer"}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e, w, l, f := newEngine(2), newWatcher(), newWatcher(), &tape{}
			e.end = at(100_000)
			l.hang = tt.hang
			if !tt.hang {
				l.last = []hostlog.Record{event(50, "rule")}
			}
			var told []string
			s, done := start(t, Options{
				Source: e, Owners: w, Logs: l, File: f, MaxFrames: tt.most, HoldBack: time.Millisecond,
				OnRecord: func(r hostlog.Record) { told = append(told, r.Message()) },
			})
			e.batches <- []capture.Packet{frame(at(10), "192.0.2.1:40000"), frame(at(20), "192.0.2.1:40001")}
			if tt.most == 0 {
				eventually(t, "reading", func() bool { return e.Counters().Delivered == 2 })
				s.Stop()
			}
			close(e.batches)
			o := wait(t, done)
			if len(told) != 1 || !strings.Contains(told[0], tt.want) {
				t.Errorf("told %q, want %q", told, tt.want)
			}
			if o.result.Capture.Packets != 3 || f.closed != 1 || len(f.items) != 3 {
				t.Errorf("%d records analysed, %d in the file", o.result.Capture.Packets, len(f.items))
			}
		})
	}
}
