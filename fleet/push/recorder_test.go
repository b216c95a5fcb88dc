package push_test

import (
	"errors"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"goproxytrace/analyze"
	"goproxytrace/capture"
	"goproxytrace/capture/hostlog"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/fleet/internal/collector"
	"goproxytrace/recorder"
	"goproxytrace/report"
)

// machine is a recorder, and a clock that goes as a test wants.
type machine struct {
	t   *testing.T
	r   *recorder.Recorder
	mu  sync.Mutex
	now time.Time
	up  time.Duration
}

func newMachine(t *testing.T, dir string) *machine {
	t.Helper()
	m := &machine{t: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), up: time.Hour}
	locked := func() time.Duration { m.mu.Lock(); defer m.mu.Unlock(); return m.up }
	var err error
	m.r, err = recorder.New(recorder.Options{
		Dir: dir, MaxDisk: recorder.MinDisk, MaxMemory: recorder.MinMemory, Application: "test", Host: "builder",
		Clock: recorder.Clock{Now: func() time.Time { m.mu.Lock(); defer m.mu.Unlock(); return m.now }, Awake: locked, Boot: locked},
		Report: func(w io.Writer, r *analyze.Result, file string) (string, error) {
			d := report.Build(r, report.Options{File: file})
			return d.Verdict.Summary, report.WriteJSON(w, d, true)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *machine) pass(d time.Duration) {
	for d > 0 {
		step := min(d, time.Second)
		m.mu.Lock()
		m.now, m.up = m.now.Add(step), m.up+step
		m.mu.Unlock()
		if step == time.Second {
			m.r.Tick()
		}
		d -= step
	}
}

// build lets a capture of the project happen as that of a go command.
func (m *machine) build(name string, pid uint32) {
	m.t.Helper()
	src, err := pcapfile.Open(one(name))
	if err != nil {
		m.t.Fatal(err)
	}
	defer src.Close()
	m.r.Learn(&hostlog.Process{PID: pid, Parent: 1, Name: "go", Path: "/usr/local/go/bin/go", Start: m.now.UnixNano(), Time: m.now.UnixNano()})
	m.pass(100 * time.Millisecond)
	begin, first := m.now, int64(0)
	var b capture.Batch
	for {
		if err := src.Read(&b); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			m.t.Fatal(err)
		}
		for _, p := range b.Packets {
			if p.Kind != capture.KindFrame {
				continue
			}
			if first == 0 {
				first = p.Time
			}
			p.Data = slices.Clone(p.Data)
			at := begin.Add(time.Duration(p.Time-first) + time.Millisecond)
			m.pass(at.Sub(m.now))
			p.Time = at.UnixNano()
			if d := p.Data; len(d) > 23 && d[12] == 8 && d[13] == 0 && d[23] == 6 {
				p.ProcessID = pid
			}
			if _, err := m.r.Packets([]capture.Packet{p}); err != nil {
				m.t.Fatal(err)
			}
		}
	}
	m.r.Learn(&hostlog.Exit{Time: m.now.UnixNano(), PID: pid, Code: 1})
	m.pass(8 * time.Second)
}

// What the project's own recorder writes is followed, and its case files are the
// same cases.
func TestFollowRecorder(t *testing.T) {
	l := newLog(t)
	l.f.Dir = filepath.Join(t.TempDir(), "recorder")
	l.expect("no directory yet")
	m := newMachine(t, l.f.Dir)
	if _, err := m.r.Interface(&capture.Interface{Name: "eth0", LinkType: 1, SnapLen: 262144}); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"hello-reset", "connect-refused", "reset-body"} {
		m.build(name, uint32(1000+i))
	}
	if err := m.r.Finish(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	if err := l.f.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := l.f.Pusher.Stats; s.Cases != 3 || s.Unreadable != 0 || len(*l.warn) != 1 { // of the directory
		t.Fatalf("%+v, warnings %q", s, *l.warn)
	}
	cases, err := filepath.Glob(filepath.Join(l.f.Dir, "cases", "*.pcapng"))
	if err != nil || len(cases) != 3 {
		t.Fatal(cases, err)
	}
	same(t, keys(l.c.Spans()), wanted(t, whole(), cases...))
	for _, file := range cases {
		pushFile(t, l.f.Pusher, whole(), file)
	}
	if s := l.f.Pusher.Stats; s.Known != 3 || s.Cases != 3 {
		t.Errorf("the case files are other cases: %+v", s)
	}
	roots := map[any]collector.Span{}
	for _, s := range l.c.Spans() {
		if s.Resource["host.name"] != "builder" {
			t.Fatalf("host.name %v", s.Resource["host.name"])
		}
		if s.Name() == "go" && s.ParentSpanID().IsEmpty() {
			roots[s.Attr("process.pid")] = s
		}
	}
	for pid := int64(1000); pid < 1003; pid++ {
		if roots[pid].Attr("process.exit.code") != int64(1) {
			t.Errorf("PID %d: %v", pid, roots[pid].Attr("process.exit.code"))
		}
	}
}
