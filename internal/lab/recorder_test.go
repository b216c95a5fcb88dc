//go:build linux

package lab

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"goproxytrace/capture"
	"goproxytrace/capture/pcapfile"
)

var recordFor = flag.Duration("recorder", 0, "let a recorder run beside builds for so long, print figures, and nothing else")

// Hosts of the recorder's lab, each with a fault of its own.
const (
	resetHost  = SecondName
	silentHost = ThirdName
	deadHost   = FourthName
	bodyHost   = StorageName
	absentHost = "absent.lab.example"
)

// build is one go command beside the recorder.
type build struct {
	kind string
	host string
	// classes are what its case may say; nil for one whose downloads are
	// healthy.
	classes []string
	// broken is true where it fails although: it does not compile.
	broken bool
	body   int32 // what happens to a body of bodyHost
	// kill ends it after so long, zero for never.
	kill time.Duration
}

// What happens to a body.
const (
	bodyWhole int32 = iota
	bodyClosed
	bodyReset
	bodyStopped
)

var (
	healthyBuild = build{kind: "healthy", host: ProxyName}
	brokenBuild  = build{kind: "healthy, but does not compile", host: ProxyName, broken: true}
)

// deaths are the kinds of deaths.
func deaths() []build {
	return []build{
		{kind: "reset after the ClientHello", host: resetHost, classes: []string{"tls.reset"}},
		{kind: "body cut off", host: bodyHost, body: bodyClosed, classes: []string{"transfer.truncated"}},
		{kind: "name that does not exist", host: absentHost, classes: []string{"dns.nxdomain"}},
		{kind: "body reset", host: bodyHost, body: bodyReset, classes: []string{"transfer.reset"}},
		{kind: "server silent", host: silentHost, classes: []string{"tls.no-server-hello"}},
		{kind: "SYN unanswered", host: deadHost, classes: []string{"connect.no-answer"}},
	}
}

// recorderStage is a lab with a recorder at its client.
type recorderStage struct {
	*stage
	program string
	dir     string
	body    atomic.Int32
	n       int
	p       *process
	log     string // of the recorder that runs
}

func newRecorderStage(t *testing.T) *recorderStage {
	t.Helper()
	needLab(t)
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	r := &recorderStage{program: program}
	modules := []Module{{"example.net/alpha", 9000}, {"example.net/beta", 140_000}, {"example.org/gamma/v2", 22000}}
	r.stage = newStage(t, Scenario{
		Modules: modules,
		Path:    Path{Forward: []string{"ip daddr " + siteAddrs[deadHost].v4.String() + " tcp dport 443 drop"}},
		Second:  Site{Hello: ResetAfterHello}, Third: Site{Hello: Silent},
		Storage: Site{Body: func(ctx context.Context, l *Lab, c *net.TCPConn) {
			switch r.body.Load() {
			case bodyClosed:
				CloseBody(ctx, l, c)
			case bodyReset:
				ResetBody(ctx, l, c)
			case bodyStopped:
				StopBody(ctx, l, c)
			}
		}},
	})
	r.dir = filepath.Join(r.home, "recorder")
	return r
}

// record starts the recorder and waits until it records.
func (r *recorderStage) record(args ...string) {
	r.t.Helper()
	r.n++
	r.log = fmt.Sprintf("recorder-%d", r.n)
	r.p = r.start(r.log, append([]string{r.program, "live", "--recorder", r.dir}, args...)...)
	r.until("recording", func() bool {
		select {
		case <-r.p.done:
			r.t.Fatalf("the recorder has ended:\n%s", r.output(r.log))
		default:
		}
		return strings.Contains(r.output(r.log), "recording on")
	})
}

func (r *recorderStage) until(what string, ok func() bool) {
	r.t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("%s: not within 30 s\n%s", what, r.output(r.log))
		}
	}
}

// end stops the recorder as a service manager does.
func (r *recorderStage) end() {
	r.t.Helper()
	r.p.signal(syscall.SIGTERM)
	if code := r.wait(r.p, time.Minute); code != 0 {
		r.t.Errorf("the recorder's exit code is %d:\n%s", code, r.output(r.log))
	}
}

// buildCache is this user's: builds need not compile all of the runtime.
func buildCache() string {
	if dir := os.Getenv("GOCACHE"); dir != "" {
		return dir
	}
	home, _ := os.UserCacheDir()
	return filepath.Join(home, "go-build")
}

// done is a build that has ended.
type done struct {
	build
	pid  int
	exit int
}

// run runs a build to its end.
func (r *recorderStage) run(b build) done {
	r.t.Helper()
	r.n++
	work := filepath.Join(r.home, "build-"+strconv.Itoa(r.n))
	defer os.RemoveAll(work)
	mod, err := os.ReadFile(filepath.Join(r.home, "main", "go.mod"))
	if err != nil {
		r.t.Fatal(err)
	}
	main := "package main\n\nimport (\n\t_ \"example.net/alpha\"\n\t_ \"example.net/beta\"\n\t_ \"example.org/gamma/v2\"\n)\n\nfunc main() {}\n"
	if b.broken {
		main += "\nvar text string = 1\n"
	}
	if err := errors.Join(os.MkdirAll(work, 0o755), os.WriteFile(filepath.Join(work, "go.mod"), mod, 0o644), os.WriteFile(filepath.Join(work, "main.go"), []byte(main), 0o644)); err != nil {
		r.t.Fatal(err)
	}
	r.body.Store(b.body)
	env := r.env
	defer func() { r.env = env }()
	r.env = append(slices.Clone(env), "GOPROXY=https://"+b.host, "GOPATH="+filepath.Join(work, "gopath"), "GOFLAGS=-mod=mod -modcacherw", "GOCACHE="+buildCache(), "GOSUMDB=off")
	log := "build.log"
	p := r.start(log, "go", "build", "-C", work, "-o", os.DevNull, ".")
	if b.kill > 0 {
		select {
		case <-p.done:
		case <-time.After(b.kill):
			p.signal(syscall.SIGKILL)
		}
	}
	code := r.wait(p, 3*time.Minute)
	if (code == 0) != (b.classes == nil && !b.broken) {
		r.t.Fatalf("%s: exit code %d:\n%s", b.kind, code, r.output(log))
	}
	return done{b, p.cmd.Process.Pid, code}
}

// entry is a line of the log.
type entry struct {
	Recorder struct {
		CaseID    string `json:"case_id"`
		Case      string
		Completes string
		Trigger   string
		Why       string
		Class     string
		PID       int
		Exit      *int
	}
	Verdict struct {
		Class, Level, Summary string
		Place                 []string
	}
}

// entries reads all lines of all logs.
func (r *recorderStage) entries() (out []entry) {
	r.t.Helper()
	names, err := filepath.Glob(filepath.Join(r.dir, "verdicts*"))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			r.t.Fatal(err)
		}
		lines := bufio.NewReader(f)
		for {
			line, err := lines.ReadBytes('\n')
			if err == io.EOF { // what has no end yet is being written
				break
			}
			var e entry
			if err := errors.Join(err, json.Unmarshal(line, &e)); err != nil {
				r.t.Fatalf("%s: %v", name, err)
			}
			out = append(out, e)
		}
		f.Close()
	}
	return out
}

// check holds that a case is whole: analyze says of it what its line does, and
// every connection of the build begins in it with its SYN.
func (r *recorderStage) check(e entry) (connections int) {
	r.t.Helper()
	path := filepath.Join(r.dir, e.Recorder.Case)
	p := r.start("analyze", r.program, "analyze", "--json=case.json", path)
	if code := r.wait(p, time.Minute); code != 0 {
		r.t.Errorf("%s: exit code %d:\n%s", e.Recorder.Case, code, r.output("analyze"))
		return 0
	}
	d := r.document("main/case.json")
	if d.Verdict.Class != e.Verdict.Class || d.Verdict.Level != e.Verdict.Level || d.Verdict.Summary != e.Verdict.Summary || !slices.Equal(d.Verdict.Place, e.Verdict.Place) {
		r.t.Errorf("%s: analyze says %+v, its line %+v", e.Recorder.Case, d.Verdict, e.Verdict)
	}
	opened := synsOf(r.t, path)
	for _, c := range d.Connections {
		if c.Process == nil || int(c.Process.PID) != e.Recorder.PID {
			continue
		}
		connections++
		if !opened[c.Client+" "+c.Server] {
			r.t.Errorf("%s: the SYN of %s to %s is missing", e.Recorder.Case, c.Client, c.Server)
		}
	}
	return connections
}

// synsOf lists the connections that a capture shows the SYN of.
func synsOf(t *testing.T, path string) map[string]bool {
	t.Helper()
	src, err := pcapfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	out := map[string]bool{}
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
			// Ethernet, IPv4 without options, TCP: what this lab's go commands send.
			if p.Kind != capture.KindFrame || len(p.Data) < 54 || p.Data[12] != 8 || p.Data[23] != 6 || p.Data[47]&0x12 != 2 {
				continue
			}
			ip := p.Data[14:]
			out[fmt.Sprintf("%s:%d %s:%d", net.IP(ip[12:16]), int(ip[20])<<8|int(ip[21]), net.IP(ip[16:20]), int(ip[22])<<8|int(ip[23]))] = true
		}
	}
}

// judgeCases matches cases and builds: every death has its case, which says what
// died, and nothing else has one.
func (r *recorderStage) judgeCases(builds []done) (saved, missed, wrong, unexpected, connections int) {
	r.t.Helper()
	entries := r.entries()
	replaced := map[string]bool{}
	seen := map[string]bool{}
	for _, e := range entries {
		if seen[e.Recorder.CaseID] {
			r.t.Errorf("case %s stands in two lines", e.Recorder.CaseID)
		}
		seen[e.Recorder.CaseID] = true
		if e.Recorder.Completes != "" {
			replaced[e.Recorder.Completes] = true
		}
	}
	taken := map[string]bool{}
	for _, b := range builds {
		i := slices.IndexFunc(entries, func(e entry) bool {
			return e.Recorder.PID == b.pid && !replaced[e.Recorder.CaseID] && !taken[e.Recorder.CaseID]
		})
		switch {
		case i < 0 && b.classes != nil:
			missed++
			r.t.Errorf("%s (PID %d): no case", b.kind, b.pid)
		case i < 0:
		case b.classes == nil:
			taken[entries[i].Recorder.CaseID] = true
			if entries[i].Recorder.Why != "sampled" {
				unexpected++
				r.t.Errorf("healthy (PID %d): %+v", b.pid, entries[i])
			}
		default:
			taken[entries[i].Recorder.CaseID] = true
			saved++
			if !slices.Contains(b.classes, entries[i].Recorder.Class) {
				wrong++
				r.t.Errorf("%s (PID %d): %s, want one of %v: %s", b.kind, b.pid, entries[i].Recorder.Class, b.classes, entries[i].Verdict.Summary)
			}
			connections += r.check(entries[i])
		}
	}
	for _, e := range entries {
		if !taken[e.Recorder.CaseID] && !replaced[e.Recorder.CaseID] {
			unexpected++
			r.t.Errorf("a case of no build: %+v", e)
		}
	}
	return saved, missed, wrong, unexpected, connections
}

// TestRecorder holds that a recorder keeps every death, with its packets from the
// first SYN on, and nothing of a healthy build unless asked to.
func TestRecorder(t *testing.T) {
	if *recordFor > 0 {
		showRecorder(t, *recordFor)
		return
	}
	r := newRecorderStage(t)
	r.record()
	builds := []done{r.run(healthyBuild), r.run(brokenBuild)}
	for _, b := range deaths()[:4] {
		builds = append(builds, r.run(b))
	}
	r.second()
	// The log is moved away, and interfaces come and go, the one that leads to
	// the servers among them.
	r.until("the lines of four deaths", func() bool { return len(r.entries()) >= 4 })
	if err := os.Rename(filepath.Join(r.dir, "verdicts.ndjson"), filepath.Join(r.dir, "verdicts.ndjson.1")); err != nil {
		t.Fatal(err)
	}
	r.p.signal(syscall.SIGHUP)
	r.dock()
	builds = append(builds, r.run(deaths()[0]), r.run(healthyBuild))
	// A service that is stopped keeps what has just died.
	builds = append(builds, r.run(deaths()[3]))
	r.end()
	r.judgeCases(builds)
	if b, _ := filepath.Glob(filepath.Join(r.dir, "tmp", "*")); len(b) > 0 {
		t.Errorf("left behind: %v", b)
	}
	before := len(r.entries())
	r.record("--keep-ok", "1")
	healthy := r.run(healthyBuild)
	r.until("a sample", func() bool { return len(r.entries()) > before })
	r.end()
	entries := r.entries()
	i := slices.IndexFunc(entries, func(e entry) bool { return e.Recorder.PID == healthy.pid })
	if len(entries) != before+1 || i < 0 || entries[i].Recorder.Why != "sampled" || entries[i].Verdict.Class != "ok" {
		t.Fatalf("with --keep-ok 1: %+v", entries)
	}
	if n := r.check(entries[i]); n == 0 {
		t.Error("the sample has no connection of the build")
	}
}

// second holds that another recorder does not take the directory.
func (r *recorderStage) second() {
	r.t.Helper()
	p := r.start("second", r.program, "live", "--recorder", r.dir)
	if code := r.wait(p, 20*time.Second); code != 1 || !strings.Contains(r.output("second"), "another recorder uses this directory") {
		r.t.Errorf("a second recorder: exit code %d: %s", code, r.output("second"))
	}
}

// dock takes the client's interface away and brings it back, and another one.
func (r *recorderStage) dock() {
	r.t.Helper()
	routes, err := exec.Command("ip", "-n", r.lab.client, "route", "show", "default").Output()
	if err != nil {
		r.t.Fatal(err)
	}
	route := strings.Fields(string(routes)) // default via ADDRESS dev NAME
	if len(route) < 5 || route[3] != "dev" {
		r.t.Fatalf("no default route: %q", routes)
	}
	for _, line := range []string{
		"link add dock0 type veth peer name dock1", "link set dock0 up", "link set " + route[4] + " down", "link set " + route[4] + " up",
		"route replace " + strings.Join(route[:5], " "), "link del dock0",
	} {
		if err := command(r.t.Context(), "", append([]string{"ip", "-n", r.lab.client}, strings.Fields(line)...)...); err != nil {
			r.t.Fatal(err)
		}
	}
}

// showRecorder lets a recorder run beside builds for a time, and prints figures.
func showRecorder(t *testing.T, length time.Duration) {
	r := newRecorderStage(t)
	const maxDisk, maxMemory = 16 << 20, 96 << 20
	r.record("--max-disk", "16M", "--max-memory", "96M")
	var builds []done
	kinds := append(deaths(), build{kind: "body stalls until it is killed", host: bodyHost, body: bodyStopped, kill: 130 * time.Second,
		classes: []string{"transfer.remote-idle", "client.aborted"}})
	var rss, disk int64
	began := time.Now()
	for n := 0; time.Since(began) < length; n++ {
		b := healthyBuild
		switch n % 6 {
		case 2:
			b = brokenBuild
		case 5:
			b = kinds[n/6%len(kinds)]
		}
		builds = append(builds, r.run(b))
		rss = max(rss, peak(t, r.p.cmd.Process.Pid))
		disk = max(disk, diskUse(t, r.dir))
	}
	cpu := processorTime(t, r.p.cmd.Process.Pid)
	took := time.Since(began)
	r.end()
	disk = max(disk, diskUse(t, r.dir))
	died := 0
	count := map[string]int{}
	for _, b := range builds {
		count[b.kind]++
		if b.classes != nil {
			died++
		}
	}
	saved, missed, wrong, unexpected, connections := r.judgeCases(builds)
	fmt.Printf("%v: %d builds, %d of them died\n", took.Round(time.Second), len(builds), died)
	for _, k := range append([]build{healthyBuild, brokenBuild}, kinds...) {
		fmt.Printf("  %3d %s\n", count[k.kind], k.kind)
	}
	fmt.Printf("cases: %d saved, %d missed, %d with another class, %d of healthy builds; %d connections of go in them, each from its SYN\n", saved, missed, wrong, unexpected, connections)
	fmt.Printf("processor: %.2f s, %.2f %% of a core; resident at most %.1f MiB of %d; disk at most %.2f MiB of %d\n",
		cpu.Seconds(), 100*cpu.Seconds()/took.Seconds(), float64(rss)/(1<<20), maxMemory>>20, float64(disk)/(1<<20), maxDisk>>20)
	if rss > maxMemory || disk > maxDisk {
		t.Error("a limit does not hold")
	}
	if t.Failed() {
		if b, err := os.ReadFile(filepath.Join(r.home, "recorder-1")); err == nil {
			fmt.Println(string(b))
		}
	}
}

// peak is the largest resident set of a process so far (proc(5): VmHWM).
func peak(t *testing.T, pid int) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}

// processorTime is user and system time of a process (proc(5)).
func processorTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	user, err := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

// diskUse sums the files below a directory.
func diskUse(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		st, err := d.Info()
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err == nil {
			n += st.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
