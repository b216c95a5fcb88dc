//go:build linux

package lab

import (
	"context"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestLiveFaults holds that live finds where a download dies and whose it is:
// run from the start, and attached 20 s after it has fallen silent.
func TestLiveFaults(t *testing.T) {
	needLab(t)
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	// Most of their time is waiting: more than -parallel allows run at once.
	var all sync.WaitGroup
	run := func(name string, f func(*testing.T)) {
		all.Go(func() { t.Run(name, f) })
	}
	for _, tt := range lateFaults() {
		run("late: "+tt.name, func(t *testing.T) { attachLate(t, program, tt) })
	}
	for _, tt := range localFaults() {
		run(tt.name, func(t *testing.T) { runLocalFault(t, program, tt) })
	}
	run("another command", func(t *testing.T) { otherCommand(t, program) })
	all.Wait()
}

// lateFault is a download that stalls.
type lateFault struct {
	name string
	// scenario's hook tells of the stall by closing the channel that it is
	// made with.
	scenario func(stalled func()) Scenario
	// pause stops the process when it has stalled.
	pause bool
	// git is true where the connection is that of git's helper.
	git    bool
	class  string
	widest []string
}

func lateFaults() []lateFault {
	return []lateFault{
		{name: "remote idle", class: "transfer.remote-idle", widest: []string{"remote"}, scenario: func(stalled func()) Scenario {
			return Scenario{Modules: one(), Proxy: Site{Body: func(ctx context.Context, l *Lab, c *net.TCPConn) {
				stalled()
				StopBody(ctx, l, c)
			}}}
		}},
		{name: "path dead", class: "transfer.path-dead", widest: []string{"network", "remote"}, scenario: func(stalled func()) Scenario {
			return Scenario{Modules: one(), Proxy: Site{Body: func(ctx context.Context, l *Lab, c *net.TCPConn) {
				stalled()
				LoseBody(ctx, l, c)
			}}}
		}},
		{name: "zero window", pause: true, class: "transfer.receiver-stalled", widest: []string{"host", "client"}, scenario: func(stalled func()) Scenario {
			return Scenario{Modules: large(), Path: Path{Window: 128 << 10}, Proxy: Site{Body: func(ctx context.Context, _ *Lab, _ *net.TCPConn) {
				stalled()
				pause(ctx, 300*time.Millisecond)
			}}}
		}},
		{name: "silent after git's ClientHello", git: true, class: "tls.no-server-hello", widest: []string{"network", "remote"}, scenario: func(stalled func()) Scenario {
			return Scenario{GOPROXY: "direct", Modules: gitModule(), Git: Site{Hello: func(ctx context.Context, c *net.TCPConn, hello []byte) bool {
				if len(hello) > 1200 { // Go's, with its post-quantum key share
					return false
				}
				stalled()
				return true
			}}}
		}},
	}
}

func attachLate(t *testing.T, program string, tt lateFault) {
	stalled := make(chan struct{}, 64)
	s := newStage(t, tt.scenario(func() {
		select {
		case stalled <- struct{}{}:
		default:
		}
	}))
	s.reporters()
	download := s.start("download", filepath.Join(s.home, "bin", "download"))
	select {
	case <-stalled:
	case <-download.done:
		t.Fatalf("the download has ended:\n%s", s.output("download"))
	case <-time.After(30 * time.Second):
		t.Fatal("the download does not stall")
	}
	if tt.pause {
		download.signal(syscall.SIGSTOP)
	}
	time.Sleep(20 * time.Second)
	top := strconv.Itoa(download.cmd.Process.Pid)
	p := s.start("output", program, "live", "--pid", top, "--json=report.json", "-w", "case.pcapng")
	if code := s.wait(p, time.Minute); code != 0 {
		t.Fatalf("exit code %d:\n%s", code, s.output("output"))
	}
	d := s.document("main/report.json")
	checkPlaces(t, d, tt.class, tt.widest)
	want := []string{top}
	if tt.git {
		want = nil
		_, kind := s.family()
		for pid, k := range kind {
			if k == "git-remote-https" {
				want = append(want, pid)
			}
		}
	}
	found := false
	for _, c := range d.Connections {
		if c.Process == nil || !slices.Contains(append(want, top), strconv.Itoa(int(c.Process.PID))) {
			t.Errorf("%s to %s: process %+v, want one of %v", c.Client, c.Server, c.Process, want)
			continue
		}
		found = found || c.Verdict.Class == tt.class && slices.Contains(want, strconv.Itoa(int(c.Process.PID)))
	}
	if !found || !strings.Contains(d.Verdict.Summary, top) {
		t.Errorf("no %s of process %v: %+v\n%s", tt.class, want, d, s.output("output"))
	}
	p = s.start("again", program, "analyze", "--json=again.json", "case.pcapng")
	if code := s.wait(p, time.Minute); code != 0 {
		t.Errorf("the case file: exit code %d:\n%s", code, s.output("again"))
	} else if again := s.document("main/again.json"); again.Verdict.Class != d.Verdict.Class || again.Verdict.Summary != d.Verdict.Summary {
		t.Errorf("the case file says %s: %s", again.Verdict.Class, again.Verdict.Summary)
	}
}

func checkPlaces(t *testing.T, d document, class string, widest []string) {
	t.Helper()
	if d.Verdict.Class != class || len(d.Verdict.Place) == 0 && len(widest) > 0 {
		t.Errorf("verdict %s in %v, want %s: %s", d.Verdict.Class, d.Verdict.Place, class, d.Verdict.Summary)
	}
	for _, p := range d.Verdict.Place {
		if !slices.Contains(widest, p) {
			t.Errorf("place %s is not in %v: %s", p, widest, d.Verdict.Summary)
		}
	}
}

// localFault is an attempt to connect that comes to nothing, run from the start.
type localFault struct {
	name         string
	scenario     Scenario
	class, level string
	widest       []string
	// attempts is true where no packet of the attempt is seen.
	attempts bool
}

func localFaults() []localFault {
	return []localFault{
		{"dropped by this host", Scenario{Modules: small(), Path: Path{Output: []string{"tcp dport 443 drop"}}}, "connect.not-sent", "proven", []string{"host"}, true},
		{"refused", Scenario{Modules: small(), Proxy: Site{Closed: true}}, "connect.refused", "", []string{"network", "remote"}, false},
		{"unanswered", Scenario{Modules: small(), Path: Path{Forward: []string{"tcp dport 443 drop"}}}, "connect.no-answer", "", []string{"network", "remote"}, false},
	}
}

func runLocalFault(t *testing.T, program string, tt localFault) {
	s := newStage(t, tt.scenario)
	s.reporters()
	p := s.start("output", program, "live", "--json=report.json", "--", filepath.Join(s.home, "bin", "download"))
	if code := s.wait(p, 90*time.Second); code != 1 {
		t.Errorf("exit code %d, want the go command's 1:\n%s", code, s.output("output"))
	}
	d := s.document("main/report.json")
	checkPlaces(t, d, tt.class, tt.widest)
	if tt.level != "" && d.Verdict.Level != tt.level {
		t.Errorf("level %s, want %s", d.Verdict.Level, tt.level)
	}
	_, kind := s.family()
	top := ""
	for pid := range kind {
		top = pid
	}
	named := 0
	for _, a := range d.Attempts {
		if strconv.Itoa(int(a.PID)) != top || a.Name != "go" {
			t.Errorf("attempt %+v, want one of go (PID %s)", a, top)
		}
		if tt.attempts {
			named++
		}
	}
	for _, c := range d.Connections {
		if c.Process == nil || strconv.Itoa(int(c.Process.PID)) != top {
			t.Errorf("%s to %s: process %+v, want PID %s", c.Client, c.Server, c.Process, top)
		}
		if !tt.attempts {
			named++
		}
	}
	if named == 0 || !strings.Contains(d.Verdict.Summary, "go (PID "+top) {
		t.Errorf("go (PID %s) is not named: %+v", top, d)
	}
}

// otherCommand holds that a download that dies beside the command is not the
// command's.
func otherCommand(t *testing.T, program string) {
	s := newStage(t, Scenario{
		Modules: one(), GOPROXY: "https://" + ProxyName,
		Proxy:  Site{Request: For(".zip", Think(4*time.Second))},
		Second: Site{Hello: ResetAfterHello},
	})
	s.reporters()
	p := s.start("output", program, "live", "--json=report.json", "--fail-on=any", "--", filepath.Join(s.home, "bin", "download"))
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(s.output("output"), "capturing"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no capture:\n%s", s.output("output"))
		}
	}
	time.Sleep(time.Second)
	s.env = append(s.env, "GOPROXY=https://"+SecondName, "GOPATH="+filepath.Join(s.home, "other"))
	other := s.start("other", "go", "mod", "download")
	if code := s.wait(other, 30*time.Second); code == 0 {
		t.Error("the other download did not die")
	}
	if code := s.wait(p, time.Minute); code != 0 {
		t.Errorf("exit code %d:\n%s", code, s.output("output"))
	}
	d := s.document("main/report.json")
	checkPlaces(t, d, "ok", nil)
	died := false
	for _, c := range d.Connections {
		died = died || c.Verdict.Class == "tls.reset" && c.Process != nil && int(c.Process.PID) == other.cmd.Process.Pid
	}
	if !died {
		t.Errorf("the other's connection is not told of: %+v", d.Connections)
	}
}
