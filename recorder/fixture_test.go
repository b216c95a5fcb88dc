package recorder

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"goproxytrace/analyze"
	"goproxytrace/capture"
	"goproxytrace/capture/hostlog"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/report"
)

var testProcess = hostlog.Process{PID: 4120, Parent: 1, Name: "go", Path: "/usr/local/go/bin/go"}

// testClock is a Clock that a test sets.
type testClock struct {
	mu          sync.Mutex
	now         time.Time
	awake, boot time.Duration
}

func newClock() *testClock {
	return &testClock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), awake: time.Hour, boot: time.Hour}
}

func (c *testClock) clock() Clock {
	locked := func(f func() time.Duration) func() time.Duration {
		return func() time.Duration {
			c.mu.Lock()
			defer c.mu.Unlock()
			return f()
		}
	}
	return Clock{
		Now: func() time.Time {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.now
		},
		Awake: locked(func() time.Duration { return c.awake }), Boot: locked(func() time.Duration { return c.boot }),
	}
}

// pass lets time go by.
func (c *testClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now, c.awake, c.boot = c.now.Add(d), c.awake+d, c.boot+d
}

// sleep puts the machine to sleep.
func (c *testClock) sleep(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now, c.boot = c.now.Add(d), c.boot+d
}

// harness is a recorder that gets what a test gives it.
type harness struct {
	t     testing.TB
	dir   string
	clock *testClock
	r     *Recorder
	mu    sync.Mutex
	said  []string
	warns []string
}

func testOptions(dir string, c Clock) Options {
	return Options{
		Dir: dir, MaxDisk: MinDisk, MaxMemory: MinMemory, Application: "goproxytrace test", Host: "builder", Clock: c,
		Report: func(w io.Writer, r *analyze.Result, file string) (string, error) {
			d := report.Build(r, report.Options{File: file})
			return d.Verdict.Summary, report.WriteJSON(w, d, true)
		},
	}
}

func newHarness(t testing.TB, change func(*Options)) *harness {
	t.Helper()
	return newHarnessIn(t, filepath.Join(t.TempDir(), "recorder"), change)
}

func newHarnessIn(t testing.TB, dir string, change func(*Options)) *harness {
	t.Helper()
	h := &harness{t: t, dir: dir, clock: newClock()}
	o := testOptions(dir, h.clock.clock())
	o.Say = func(s string) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.said = append(h.said, s)
	}
	o.Warn = func(err error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.warns = append(h.warns, err.Error())
	}
	if change != nil {
		change(&o)
	}
	var err error
	if h.r, err = New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !h.r.closed {
			h.end()
		}
	})
	return h
}

func (h *harness) end() {
	h.t.Helper()
	if err := h.r.Finish(20 * time.Second); err != nil {
		h.t.Error(err)
	}
}

// start tells of a go command.
func (h *harness) start(pid uint32) {
	p := testProcess
	p.PID, p.Start, p.Time = pid, h.clock.now.UnixNano(), h.clock.now.UnixNano()
	h.r.Learn(&p)
}

func (h *harness) exit(pid uint32, code int) {
	h.r.Learn(&hostlog.Exit{Time: h.clock.now.UnixNano(), PID: pid, Code: code})
}

// load reads the frames of a capture of the project.
func load(t testing.TB, name string) (frames []capture.Packet, interfaces []capture.Interface) {
	t.Helper()
	src, err := pcapfile.Open(filepath.Join("..", "testdata", "pcaps", name))
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var b capture.Batch
	for {
		err := src.Read(&b)
		if errors.Is(err, io.EOF) {
			return frames, src.Info().Interfaces
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range b.Packets {
			if p.Kind == capture.KindFrame {
				p.Data = slices.Clone(p.Data)
				frames = append(frames, p)
			}
		}
	}
}

// play lets a capture happen now, its TCP packets being a process's: at most n
// frames of it (zero for all).
func (h *harness) play(name string, pid uint32, n int) { h.playFrom(name, pid, 0, n) }

// playFrom leaves the first frames out.
func (h *harness) playFrom(name string, pid uint32, from, n int) {
	h.t.Helper()
	frames, interfaces := load(h.t, name)
	if len(h.r.interfaces) == 0 {
		for i := range interfaces {
			if _, err := h.r.Interface(&interfaces[i]); err != nil {
				h.t.Fatal(err)
			}
		}
	}
	if n > 0 {
		frames = frames[:n]
	}
	frames = frames[from:]
	first := frames[0].Time
	begin := h.clock.now
	for i := range frames {
		p := frames[i]
		at := begin.Add(time.Duration(p.Time-first) + time.Millisecond)
		if d := at.Sub(h.clock.now); d > 0 {
			h.pass(d)
		}
		p.Time = at.UnixNano()
		if isTCP(&p) {
			p.ProcessID = pid
		}
		if _, err := h.r.Packets([]capture.Packet{p}); err != nil {
			h.t.Fatal(err)
		}
	}
}

// isTCP knows TCP in IPv4 and IPv6 on Ethernet.
func isTCP(p *capture.Packet) bool {
	return len(p.Data) > 23 && (p.Data[12] == 8 && p.Data[13] == 0 && p.Data[23] == 6 || p.Data[12] == 0x86 && p.Data[20] == 6)
}

// pass lets time go by, with a tick each second.
func (h *harness) pass(d time.Duration) {
	for d > 0 {
		step := min(d, time.Second)
		h.clock.pass(step)
		if step == time.Second {
			h.r.Tick()
		}
		d -= step
	}
}

// idle waits until everything is judged.
func (h *harness) idle() {
	h.t.Helper()
	w := &h.r.jobs
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		w.mu.Lock()
		done := len(w.queue) == 0 && !w.busy
		w.mu.Unlock()
		if done {
			return
		}
		if time.Now().After(end) {
			h.t.Fatal("not judged within 20 s")
		}
	}
}

// build plays a whole build.
func (h *harness) build(name string, pid uint32, code int) {
	h.t.Helper()
	h.start(pid)
	h.pass(100 * time.Millisecond)
	h.play(name, pid, 0)
	h.exit(pid, code)
	h.pass(8 * time.Second)
	h.idle()
}

// logged is a line of the log.
type logged struct {
	Recorder Line
	Schema   string
	Capture  struct{ File string }
	Verdict  struct{ Class, Level, Summary string }
}

func lines(t testing.TB, dir string) (out []logged) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "verdicts*.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > 0 && b[len(b)-1] != '\n' {
			t.Errorf("%s ends within a line", name)
		}
		s := bufio.NewScanner(strings.NewReader(string(b)))
		s.Buffer(nil, 16<<20)
		for s.Scan() {
			var l logged
			if err := json.Unmarshal(s.Bytes(), &l); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			out = append(out, l)
		}
	}
	return out
}

func cases(t testing.TB, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "cases", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// analysed is what an analysis says of a case file.
func analysed(t testing.TB, path string) *report.Document {
	t.Helper()
	src, err := pcapfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	r, err := analyze.Run(t.Context(), src, analyze.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Damage != nil {
		t.Fatalf("%s: %v", path, r.Damage)
	}
	return report.Build(r, report.Options{File: path})
}

// ownersIn lists the owners recorded with a capture's packets.
func ownersIn(t testing.TB, path string) (out []uint32) {
	t.Helper()
	src, err := pcapfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var b capture.Batch
	for {
		err := src.Read(&b)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range b.Packets {
			if p.ProcessID != 0 {
				out = append(out, p.ProcessID)
			}
		}
	}
}

// isRequest knows what goes to port 443 over IPv4.
func isRequest(p *capture.Packet) bool { return p.Data[36] == 443>>8 && p.Data[37] == 443&0xff }
