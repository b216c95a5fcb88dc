package winetest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"goproxytrace/capture"
	"goproxytrace/capture/engine"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/capture/pktmon/pktmontest"
)

// monitor is the stand-in for Windows' pktmon, installed in a machine.
type monitor struct {
	t     *testing.T
	m     *machine
	state string
}

// newMonitor puts it where Windows has its own.
func newMonitor(t *testing.T, m *machine, behaviour string) *monitor {
	t.Helper()
	program, err := os.ReadFile(build(t, "pktmon.exe", "./testdata/pktmon"))
	path := filepath.Join(m.prefix, "drive_c", "windows", "system32", "pktmon.exe")
	if err == nil {
		err = os.WriteFile(path, program, 0o755)
	}
	p := &monitor{t: t, m: m, state: t.TempDir()}
	if err == nil {
		err = os.WriteFile(filepath.Join(p.state, pktmontest.Behaviour), []byte(behaviour), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("commands of pktmon:\n%s", p.read(pktmontest.Log))
		}
		m.shutDown()
		os.Remove(path)
		for _, dir := range p.traces() {
			os.RemoveAll(dir)
		}
	})
	return p
}

// source is a capture's file in its state.
func (p *monitor) source() *pcapfile.Writer {
	p.t.Helper()
	f, err := os.Create(filepath.Join(p.state, pktmontest.Source))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { f.Close() })
	w, err := pcapfile.NewWriter(f, pcapfile.WriterOptions{})
	if err == nil {
		_, err = w.AddInterface(&capture.Interface{LinkType: 1})
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return w
}

// watch has it see what crosses the machine's adapter.
func (p *monitor) watch() {
	p.t.Helper()
	w := p.source()
	var c capture.Live
	p.m.space.Do(func() (err error) {
		c, err = engine.Open(engine.Options{Interfaces: []string{"eth0"}})
		return err
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		var b capture.Batch
		for c.Read(&b) == nil {
			for i := range b.Packets {
				b.Packets[i].Interface = 0
				if err := w.WritePacket(&b.Packets[i]); err != nil {
					p.t.Error(err)
				}
			}
			if err := w.Flush(); err != nil {
				p.t.Error(err)
			}
		}
	}()
	p.t.Cleanup(func() {
		c.Stop()
		<-done
		c.Close()
	})
}

func (p *monitor) command(cmd *exec.Cmd) *exec.Cmd {
	cmd.Env = append(cmd.Env, pktmontest.Variable+"="+windows(p.state), "WINEDLLOVERRIDES="+withoutLibrary)
	return cmd
}

func (p *monitor) read(name string) string {
	b, _ := os.ReadFile(filepath.Join(p.state, name)) // empty where there is none
	return string(b)
}

// traces are the directories of captures in the machine.
func (p *monitor) traces() []string {
	found, _ := filepath.Glob(filepath.Join(p.m.prefix, "drive_c", "users", "*", "AppData", "Local", "Temp", "goproxytrace-pktmon-*"))
	more, _ := filepath.Glob(filepath.Join(p.m.prefix, "drive_c", "users", "*", "Temp", "goproxytrace-pktmon-*"))
	return append(found, more...)
}

// idle fails where it still captures, or something is left.
func (p *monitor) idle(traces int) {
	p.t.Helper()
	if s, f := p.read("session"), p.read("filters"); s != "" || f != "" || len(p.traces()) != traces {
		p.t.Errorf("session %q, filters %q, traces %q; want %d directories of traces and nothing else", s, f, p.traces(), traces)
	}
}

// again is the machine's, each time without what a session before has left of its
// capture.
func (p *monitor) again(try func() result) result {
	p.t.Helper()
	before := p.traces()
	return p.m.again(func() result {
		for _, name := range []string{"session", "filters"} {
			os.Remove(filepath.Join(p.state, name))
		}
		for _, dir := range p.traces() {
			if !slices.Contains(before, dir) {
				os.RemoveAll(dir)
			}
		}
		return try()
	})
}

// TestPktmon has go.exe download a module on a machine without Npcap. Each
// packet comes three times, and passes for one.
func TestPktmon(t *testing.T) {
	s := newSession(t)
	s.late = true
	p := newMonitor(t, s.machine, pktmontest.Window)
	p.watch()
	for _, c := range []struct {
		name, host string
		does       behaviour
		class      string
		code       int
	}{
		{"healthy", name4, serves, "ok", 0},
		{"reset after the ClientHello", name4, resets, "tls.reset", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var file string
			r := p.again(func() result {
				s.proxy.set(c.does)
				file = filepath.Join(t.TempDir(), "case.pcapng")
				return s.wait(s.begin(p.command(s.live(t, c.host, "--engine", "pktmon", "-w", windows(file), "--json", "--", windows(s.command), "mod", "download", module))), 2*time.Minute)
			})
			if r.code != c.code || !strings.Contains(r.errors, "capturing on all network adapters (pktmon") || !strings.Contains(r.errors, "when the capture ends") {
				t.Errorf("exit code %d, want %d\n%v", r.code, c.code, r)
			}
			d := parse(t, r)
			if d.Verdict.Class != c.class {
				t.Errorf("class %s, want %s: %s\n%v", d.Verdict.Class, c.class, d.Verdict.Summary, r)
			}
			s.checkOwners(t, &d, c.host)
			s.checkCase(t, file, &d)
			var more struct {
				Capture struct {
					Health []struct{ ID string }
				}
				Connections []struct {
					TCP struct {
						Packets         int
						DuplicateFrames int `json:"duplicate_frames"`
					}
				}
			}
			if err := json.Unmarshal([]byte(r.out), &more); err != nil {
				t.Fatal(err)
			}
			for _, c := range more.Connections {
				if n := c.TCP; n.DuplicateFrames*pktmontest.Copies != n.Packets*(pktmontest.Copies-1) {
					t.Errorf("%+v: want each packet %d times", n, pktmontest.Copies)
				}
			}
			told := false
			for _, h := range more.Capture.Health {
				told = told || h.ID == "K5.duplicates"
			}
			if !told {
				t.Errorf("the report does not say that packets were captured several times: %+v", more.Capture.Health)
			}
			p.idle(0)
		})
	}
}

// TestPktmonEnds ends sessions in every way: orderly, by an abort, and by a
// kill, which the next session and doctor tell of.
func TestPktmonEnds(t *testing.T) {
	m := newMachine(t)
	p := newMonitor(t, m, pktmontest.Slow)
	p.source()
	program := build(t, "goproxytrace.exe", "../../cmd/goproxytrace")
	// session begins one, ends it once it captures, and returns how it ended.
	session := func(end func(*running)) result {
		return p.again(func() result {
			file := filepath.Join(t.TempDir(), "case.pcapng")
			r := m.begin(p.command(m.command(program, "live", "--engine", "pktmon", "--no-go-env", "--json", "-w", windows(file))))
			if r.until(t, func() bool { return p.read("session") != "" }, "pktmon is not started") && r.captures(t, file) {
				time.Sleep(2 * time.Second)
				end(r)
			}
			return m.wait(r, 30*time.Second)
		})
	}
	if end := session(func(r *running) { r.signal(t, syscall.SIGINT) }); end.code != 0 {
		t.Errorf("Ctrl-C: %v", end)
	}
	p.idle(0)

	if end := session(func(r *running) {
		before := len(p.read(pktmontest.Log))
		r.signal(t, syscall.SIGINT)
		// The system makes one of two signals that it has not delivered: the
		// second is sent when the first has had its effect.
		r.until(t, func() bool { return strings.Contains(p.read(pktmontest.Log)[before:], "stop\n") }, "pktmon is not stopped")
		r.signal(t, syscall.SIGINT)
	}); end.code != 130 || !strings.Contains(end.errors, "what was captured is kept in") {
		t.Errorf("Ctrl-C twice: %v", end)
	}
	p.idle(1)
	if end := p.run(program, "doctor", "--no-go-env"); !strings.Contains(end.out, "captures that were broken off are kept in") || !strings.Contains(end.out, "--engine pktmon: works") || end.code != 1 {
		t.Errorf("doctor after an abort: %v", end)
	}

	session(func(r *running) { r.signal(t, syscall.SIGKILL) })
	for _, args := range [][]string{{"live", "--engine", "pktmon", "--no-go-env"}, {"doctor", "--no-go-env"}} {
		end := p.run(program, args...)
		if end.code != 4 || !strings.Contains(end.out+end.errors, "pktmon stop, and then: pktmon filter remove") {
			t.Errorf("%s after a kill: %v", args[0], end)
		}
	}
	// As advised.
	for _, args := range [][]string{{"stop"}, {"filter", "remove"}} {
		if end := p.run("pktmon.exe", args...); end.code != 0 {
			t.Errorf("pktmon %s: %v", args[0], end)
		}
	}
	p.idle(2)

	if end := p.run(program, "live", "--no-go-env"); end.code != 4 || !strings.Contains(end.errors, "--engine pktmon") {
		t.Errorf("without Npcap: %v", end)
	}
}

// run runs a program on its machine.
func (p *monitor) run(program string, args ...string) result {
	p.t.Helper()
	return p.m.again(func() result {
		return p.m.wait(p.m.begin(p.command(p.m.command(program, args...))), time.Minute)
	})
}
