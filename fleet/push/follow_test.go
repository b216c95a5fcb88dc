package push_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"goproxytrace/fleet/internal/collector"
	"goproxytrace/fleet/internal/reported"
	"goproxytrace/fleet/otlp"
	"goproxytrace/fleet/push"
	"goproxytrace/recorder"
)

// recorded makes the line that a recorder writes of a case.
func recorded(t testing.TB, name string, l recorder.Line) []byte {
	t.Helper()
	l.Schema = recorder.Schema
	if l.Trigger == "" {
		l.Trigger = recorder.Ended
	}
	head, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	return append(append(append([]byte(`{"recorder":`), head...), ','), reported.JSON(t, one(name))[1:]...)
}

// log is a recorder's directory, and what follows it.
type log struct {
	t    *testing.T
	dir  string
	c    *collector.Collector
	f    *push.Follower
	warn *[]string
	want map[string]int
}

func newLog(t *testing.T) *log {
	l := &log{t: t, dir: t.TempDir(), c: collector.New(t), want: map[string]int{}}
	l.start(state(t))
	return l
}

func (l *log) start(state string) {
	p, warn := pusher(l.t, otlp.HTTP, l.c.HTTP, state)
	p.Sender.GiveUp = 0 // as with --follow
	l.f, l.warn = &push.Follower{Dir: l.dir, Reader: whole(), Pusher: p}, warn
}

func (l *log) path(name string) string { return filepath.Join(l.dir, name) }

// add writes to the end of a file, in one write.
func (l *log) add(name string, b []byte) {
	l.t.Helper()
	f, err := os.OpenFile(l.path(name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		l.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(b); err != nil {
		l.t.Fatal(err)
	}
}

// expect looks once: these cases have come, each once, and none else.
func (l *log) expect(step string, names ...string) {
	l.t.Helper()
	for _, n := range names {
		for k := range wanted(l.t, whole(), one(n)) {
			l.want[k] = 1
		}
	}
	if err := l.f.Look(context.Background()); err != nil {
		l.t.Fatalf("%s: %v", step, err)
	}
	got := keys(l.c.Spans())
	if len(got) != len(l.want) {
		l.t.Errorf("%s: %d spans, want %d", step, len(got), len(l.want))
	}
	same(l.t, got, l.want)
	if l.t.Failed() {
		l.t.Fatalf("%s: warnings %q", step, *l.warn)
	}
}

const current = "verdicts.ndjson"

// What is appended comes once, and half a line when it is whole.
func TestFollow(t *testing.T) {
	l := newLog(t)
	l.expect("nothing yet")
	l.add(current, recorded(t, "hello-reset", recorder.Line{CaseID: "000001aaaaaa"}))
	l.expect("a line", "hello-reset")
	l.expect("nothing new")
	next := recorded(t, "connect-refused", recorder.Line{CaseID: "000002aaaaaa"})
	l.add(current, next[:len(next)/2])
	l.expect("half a line")
	l.add(current, next[len(next)/2:len(next)-1])
	l.expect("all but its end")
	l.add(current, []byte("\n"+string(recorded(t, "hello-closed", recorder.Line{CaseID: "000003aaaaaa"}))))
	l.expect("its end, and another", "connect-refused", "hello-closed")

	// What is no line of a recorder is named, once, and hides nothing.
	l.add(current, []byte("garbage\x1b[2J\n{\"recorder\":{\"case_id\":7}}\n\n{\"schema\":\"other\"}\n"))
	l.add(current, recorded(t, "dns-nxdomain", recorder.Line{CaseID: "000004aaaaaa"}))
	l.expect("garbage in between", "dns-nxdomain")
	if len(*l.warn) != 3 || l.f.Pusher.Stats.Unreadable != 3 || !strings.Contains((*l.warn)[0], "verdicts.ndjson, byte ") {
		t.Errorf("%d named: %q", l.f.Pusher.Stats.Unreadable, *l.warn)
	}
}

// A log that is moved away, by the recorder itself or by logrotate, is read to its
// end under its new name, and the new one from its beginning.
func TestFollowRename(t *testing.T) {
	l := newLog(t)
	l.add(current, recorded(t, "hello-reset", recorder.Line{CaseID: "000001aaaaaa"}))
	l.expect("a line", "hello-reset")
	l.add(current, recorded(t, "connect-refused", recorder.Line{CaseID: "000002aaaaaa"}))
	l.move(current, "verdicts-20260101T000000Z-000003aaaaaa.ndjson")
	l.add(current, recorded(t, "hello-closed", recorder.Line{CaseID: "000004aaaaaa"}))
	l.expect("moved", "connect-refused", "hello-closed")
	// Twice between two looks; logrotate renames what it has renamed before.
	l.move(current, current+".1")
	l.add(current, recorded(t, "dns-nxdomain", recorder.Line{CaseID: "000005aaaaaa"}))
	l.move(current+".1", current+".2")
	l.move(current, current+".1")
	l.add(current, recorded(t, "syn-drop", recorder.Line{CaseID: "000006aaaaaa"}))
	l.expect("moved twice", "dns-nxdomain", "syn-drop")
	// Compressed.
	l.add(current, recorded(t, "plain-http", recorder.Line{CaseID: "000007aaaaaa"}))
	raw, err := os.ReadFile(l.path(current))
	if err != nil {
		t.Fatal(err)
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(raw)
	w.Close()
	mustWrite(t, l.path(current+".3.gz"), z.Bytes()[:z.Len()/2])
	if err := os.Remove(l.path(current)); err != nil {
		t.Fatal(err)
	}
	if err := l.f.Look(context.Background()); err != nil { // while it is compressed
		t.Fatal(err)
	}
	mustWrite(t, l.path(current+".3.gz"), z.Bytes())
	l.expect("compressed", "plain-http")
	if len(*l.warn) > 0 {
		t.Errorf("warnings %q", *l.warn)
	}
}

func (l *log) move(from, to string) {
	l.t.Helper()
	if err := os.Rename(l.path(from), l.path(to)); err != nil {
		l.t.Fatal(err)
	}
}

// A log that is copied and cut (copytruncate) is read on from its beginning, also
// where it has grown beyond its old length meanwhile.
func TestFollowCopyTruncate(t *testing.T) {
	l := newLog(t)
	first := recorded(t, "connect-refused", recorder.Line{CaseID: "000001aaaaaa"})
	l.add(current, first)
	l.expect("a line", "connect-refused")
	second := recorded(t, "hello-closed", recorder.Line{CaseID: "000002aaaaaa"})
	l.add(current, second)
	l.copyTruncate(current + ".1")
	l.expect("cut", "hello-closed") // from the copy
	long := recorded(t, "sni-reset-three", recorder.Line{CaseID: "000003aaaaaa"})
	l.add(current, long)
	l.expect("the next line", "sni-reset-three")
	l.copyTruncate(current + ".2")
	more := append(recorded(t, "syn-drop", recorder.Line{CaseID: "000004aaaaaa"}), recorded(t, "dns-nxdomain", recorder.Line{CaseID: "000005aaaaaa"})...)
	more = append(more, recorded(t, "redirect-reset", recorder.Line{CaseID: "000006aaaaaa"})...)
	for len(more) <= len(long) {
		more = append(more, recorded(t, "tunnel-407", recorder.Line{CaseID: fmt.Sprintf("%06xbbbbbb", len(more))})...)
	}
	l.add(current, more)
	names := []string{"syn-drop", "dns-nxdomain", "redirect-reset"}
	if bytes.Contains(more, []byte("bbbbbb")) {
		names = append(names, "tunnel-407")
	}
	l.expect("cut, and longer than before", names...)
}

func (l *log) copyTruncate(to string) {
	l.t.Helper()
	raw, err := os.ReadFile(l.path(current))
	if err != nil {
		l.t.Fatal(err)
	}
	mustWrite(l.t, l.path(to), raw)
	if err := os.Truncate(l.path(current), 0); err != nil {
		l.t.Fatal(err)
	}
}

// After a start all logs are there again, and nothing comes again.
func TestFollowAgain(t *testing.T) {
	l := newLog(t)
	path := state(t)
	closePusher(l.f.Pusher)
	l.start(path)
	l.add(current+".1", recorded(t, "hello-reset", recorder.Line{CaseID: "000001aaaaaa"}))
	l.add(current, recorded(t, "connect-refused", recorder.Line{CaseID: "000002aaaaaa"}))
	l.expect("two logs", "hello-reset", "connect-refused")
	closePusher(l.f.Pusher)
	l.add(current, recorded(t, "hello-closed", recorder.Line{CaseID: "000003aaaaaa"}))
	l.start(path)
	l.expect("after a start", "hello-closed")
	if l.f.Pusher.Stats.Cases != 1 {
		t.Errorf("%+v", l.f.Pusher.Stats)
	}
	// The same case as a file: it is known.
	pushFile(t, l.f.Pusher, whole(), one("hello-reset"))
	l.expect("as a capture")
}

// A case of a build that still runs waits for the one that completes it; where
// none comes it is sent, and one that comes later does not count twice.
func TestFollowProvisional(t *testing.T) {
	l := newLog(t)
	l.f.Hold = time.Hour
	now := time.Now()
	l.add(current, recorded(t, "stalled-body", recorder.Line{CaseID: "000001aaaaaa", Trigger: recorder.Stalled, End: now}))
	l.expect("held")
	l.add(current, recorded(t, "hello-closed", recorder.Line{CaseID: "000002aaaaaa", Completes: "000001aaaaaa", End: now}))
	l.expect("completed", "hello-closed")
	if s := l.f.Pusher.Stats; s.Superseded != 1 || s.Cases != 1 {
		t.Errorf("%+v", s)
	}
	l.add(current, recorded(t, "stalled-download", recorder.Line{CaseID: "000003aaaaaa", Trigger: recorder.Quiet, End: now.Add(-2 * time.Hour)}))
	l.expect("held for long enough", "stalled-download")
	closePusher(l.f.Pusher)
}

// What was counted of a build that still ran is not counted again when it ends.
func TestCompletedIsNotCountedTwice(t *testing.T) {
	l := newLog(t)
	before := recorded(t, "hello-reset", recorder.Line{CaseID: "000001aaaaaa", Trigger: recorder.Stalled})
	l.add(current, before)
	l.expect("sent at once", "hello-reset")
	// The same build at its end: a packet more, and the same connections.
	after := bytes.Replace(recorded(t, "hello-reset", recorder.Line{CaseID: "000002aaaaaa", Completes: "000001aaaaaa"}), []byte(`"packets":28`), []byte(`"packets":29`), 1)
	l.add(current, after)
	if err := l.f.Look(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := l.f.Pusher.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	if l.f.Pusher.Stats.Cases != 2 {
		t.Fatalf("%+v", l.f.Pusher.Stats)
	}
	want := oracleOf(t, one("hello-reset")).count()
	for k, n := range counters(l.c) {
		if n != want[k] {
			t.Errorf("%s counted %d times, want %d", k, n, want[k])
		}
	}
}

// While the endpoint is away the log is followed on, and it gets all of it.
func TestFollowOutage(t *testing.T) {
	l := newLog(t)
	l.f.Every = 5 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- l.f.Run(ctx) }()
	names := []string{"hello-reset", "connect-refused", "hello-closed", "dns-nxdomain", "syn-drop", "plain-http"}
	for i, n := range names {
		if i == 2 {
			l.c.Stop(t)
		}
		l.add(current, recorded(t, n, recorder.Line{CaseID: fmt.Sprintf("%06xaaaaaa", i+1)}))
		if i == 3 {
			l.move(current, current+".1")
		}
		time.Sleep(30 * time.Millisecond)
	}
	time.Sleep(outage(t))
	l.c.Start(t)
	want := wanted(t, whole(), paths(names)...)
	deadline := time.Now().Add(20 * time.Second)
	for len(l.c.Spans()) < len(want) && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	cancel()
	if err := <-ended; err != context.Canceled {
		t.Error(err)
	}
	same(t, keys(l.c.Spans()), want)
}

func paths(names []string) (out []string) {
	for _, n := range names {
		out = append(out, one(n))
	}
	return out
}

// The log is nobody's way to other files.
func TestFollowNoLinks(t *testing.T) {
	l := newLog(t)
	other := filepath.Join(t.TempDir(), "x")
	mustWrite(t, other, recorded(t, "hello-reset", recorder.Line{CaseID: "000001aaaaaa"}))
	if err := os.Symlink(other, l.path(current)); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	if err := os.Mkdir(l.path("verdicts-x.ndjson"), fs.FileMode(0o700)); err != nil {
		t.Fatal(err)
	}
	l.expect("a link and a directory")
}
