//go:build linux

package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// built is where buildProgram has put the program, empty where it has not run.
var built string

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(code)
}

// buildProgram builds goproxytrace, once for all tests.
var buildProgram = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "lab-program-")
	if err != nil {
		return "", err
	}
	built = dir
	path := filepath.Join(dir, "goproxytrace")
	cmd := exec.Command("go", "build", "-o", path, "goproxytrace/cmd/goproxytrace")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return path, nil
})

// stage is a lab with its servers, for tests that run goproxytrace at its
// client.
type stage struct {
	t    *testing.T
	lab  *Lab
	home string
	env  []string
}

func newStage(t *testing.T, s Scenario) *stage {
	t.Helper()
	s.fill()
	ctx, cancel := context.WithCancel(context.Background())
	fail := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	sums, err := newSumDB(s.Modules)
	fail(err)
	ca, err := newAuthority("Lab Root")
	fail(err)
	home := t.TempDir()
	for name, data := range map[string][]byte{"main/go.mod": mainModule(s.Modules), "ca.pem": ca.pem()} {
		f := filepath.Join(home, name)
		fail(os.MkdirAll(filepath.Dir(f), 0o755))
		fail(os.WriteFile(f, data, 0o644))
	}
	l, err := newLab(ctx, &s.Path, seedOf(1, t.Name()))
	fail(err)
	t.Cleanup(l.close)
	t.Cleanup(cancel) // before close: hooks that wait let go of their connections
	fail(l.serve(ctx, &s, ca, sums, home))
	return &stage{t: t, lab: l, home: home, env: s.environment(home, sums)}
}

// start runs a program at the client; what it writes goes to a file.
func (s *stage) start(log string, argv ...string) *process {
	s.t.Helper()
	path, err := exec.LookPath(argv[0])
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := os.Create(filepath.Join(s.home, log))
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(path, argv[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = filepath.Join(s.home, "main"), s.env, out, out
	p, err := start(s.lab.client, cmd)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { p.stop(syscall.SIGKILL) })
	return p
}

func (s *stage) output(log string) string {
	b, err := os.ReadFile(filepath.Join(s.home, log))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}

// wait waits for a program's end and returns its exit code.
func (s *stage) wait(p *process, limit time.Duration) int {
	s.t.Helper()
	select {
	case <-p.done:
	case <-time.After(limit):
		s.t.Fatalf("%v runs longer than %v", p.cmd.Args, limit)
	}
	return p.cmd.ProcessState.ExitCode()
}

// document is what these tests need of goproxytrace's JSON.
type document struct {
	Verdict struct {
		Class, Level, Summary string
		Place                 []string
	}
	Connections []struct {
		Client, Server string
		Process        *struct {
			PID    uint32
			Name   string
			Source string
		}
		Verdict struct{ Class string }
	}
	Processes []struct {
		PID, Parent   uint32
		Name, Command string
		Exit          *int
	}
	Attempts []struct {
		PID     uint32
		Name    string
		Target  string
		Verdict struct{ Class, Level string }
	}
}

func (s *stage) document(name string) (d document) {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.home, name))
	if err == nil {
		err = json.Unmarshal(b, &d)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// witness is what processes and servers say themselves of who connected.
type witness struct {
	mu sync.Mutex
	// all are the clients' ends of connections, told the PIDs that came in a
	// header on some of them.
	all  map[string]bool
	told map[string]string
}

func (w *witness) accept(_ context.Context, c *net.TCPConn, _ []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all[c.RemoteAddr().String()] = true
	return false
}

func (w *witness) tunnel(_ context.Context, c *net.TCPConn, _ string) bool {
	return w.accept(nil, c, nil)
}

func (w *witness) request(_ context.Context, _ *Lab, _ http.ResponseWriter, r *http.Request) bool {
	if pid := r.Header.Get(pidHeader); pid != "" {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.told[r.RemoteAddr] = pid
	}
	return false
}

const pidHeader = "X-Reported-Pid"

// reporters puts programs in front of git and its helper that note who they
// are, and then become the program itself: the process keeps its number. The
// helper says it to the server, too.
func (s *stage) reporters() {
	s.t.Helper()
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		s.t.Fatal(err)
	}
	git, err := exec.LookPath("git")
	if err != nil {
		s.t.Fatal(err)
	}
	core, bin := strings.TrimSpace(string(out)), filepath.Join(s.home, "bin")
	note := fmt.Sprintf("echo $$ $PPID ${0##*/} >> %s\n", filepath.Join(s.home, "family"))
	for name, script := range map[string]string{
		"core/git-remote-https": note + fmt.Sprintf("export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=http.extraHeader GIT_CONFIG_VALUE_0=\"%s: $$\"\nexec %s/git-remote-https \"$@\"\n", pidHeader, core),
		"core/git":              note + fmt.Sprintf("exec %s/git \"$@\"\n", core),
		"git":                   note + fmt.Sprintf("exec %s \"$@\"\n", git),
		"download":              note + "exec go mod download\n",
	} {
		f := filepath.Join(bin, name)
		if err := os.MkdirAll(filepath.Dir(f), 0o755); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(f, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			s.t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(core)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "git-remote-https" && e.Name() != "git" {
			if err := os.Symlink(filepath.Join(core, e.Name()), filepath.Join(bin, "core", e.Name())); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	s.env = append(s.env, "PATH="+bin+":"+os.Getenv("PATH"), "GIT_EXEC_PATH="+filepath.Join(bin, "core"))
}

// family reads what the reporters noted: each process's parent and program.
func (s *stage) family() (parent, program map[string]string) {
	parent, program = map[string]string{}, map[string]string{}
	for line := range strings.Lines(s.output("family")) {
		if f := strings.Fields(line); len(f) == 3 {
			parent[f[0]], program[f[0]] = f[1], f[2]
		}
	}
	return parent, program
}

// downloads are kinds of downloads, all healthy.
func downloads() map[string]Scenario {
	git, both := gitModule(), append(DefaultModules(), gitModule()...)
	tunnel := func() *Tunnel { return &Tunnel{Scheme: "http"} }
	plain := Site{HTTP1: true}
	private := []string{"GONOPROXY=" + GitName, "GONOSUMDB=" + GitName}
	return map[string]Scenario{
		"proxy-h2":          {},
		"proxy-http1":       {Proxy: plain},
		"proxy-near":        {Path: Path{RTT: -1}},
		"proxy-near-http1":  {Path: Path{RTT: -1}, Proxy: plain},
		"proxy-ipv6":        {Path: Path{Family: IPv6Only}},
		"proxy-dual":        {Path: Path{Family: DualStack}},
		"sums-proxied":      {Sums: ProxiedSums},
		"sums-direct":       {Sums: DirectSums},
		"sums-direct-http1": {Sums: DirectSums, Proxy: plain, SumDB: plain},
		"direct":            {GOPROXY: "direct", Modules: git},
		"direct-near":       {GOPROXY: "direct", Modules: git, Path: Path{RTT: -1}},
		"direct-http1":      {GOPROXY: "direct", Modules: git, Git: plain},
		"direct-ipv6":       {GOPROXY: "direct", Modules: git, Path: Path{Family: IPv6Only}},
		"direct-two":        {GOPROXY: "direct", Modules: []Module{{GitName + "/team/one", 4000}, {GitName + "/team/two", 4000}}},
		"fallback-direct":   {GOPROXY: "https://" + ProxyName + ",direct", Modules: both, Env: private},
		"private-http1":     {GOPROXY: "https://" + ProxyName, Modules: both, Env: private, Proxy: plain, Git: plain},
		"tunnel":            {Tunnel: tunnel()},
		"tunnel-http1":      {Tunnel: tunnel(), Proxy: plain},
		"tunnel-sums":       {Tunnel: tunnel(), Sums: DirectSums},
		"tunnel-direct":     {Tunnel: tunnel(), GOPROXY: "direct", Modules: git},
	}
}

// TestLiveOwners holds that live names the right process, and what started it,
// for every connection of downloads of all kinds. The truth is what the servers
// and the processes say themselves.
func TestLiveOwners(t *testing.T) {
	needLab(t)
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	connections, byGit := 0, 0
	var mu sync.Mutex
	slots := make(chan struct{}, 4)
	var all sync.WaitGroup
	for name, scenario := range downloads() {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			t.Run(name, func(t *testing.T) {
				n, g := checkOwners(t, program, scenario)
				mu.Lock()
				defer mu.Unlock()
				connections, byGit = connections+n, byGit+g
			})
		})
	}
	all.Wait()
	t.Logf("%d connections of %d downloads, %d of them git's", connections, len(downloads()), byGit)
	if byGit < 5 {
		t.Errorf("only %d connections of git", byGit)
	}
}

func checkOwners(t *testing.T, program string, scenario Scenario) (connections, byGit int) {
	w := &witness{all: map[string]bool{}, told: map[string]string{}}
	if scenario.Tunnel != nil {
		scenario.Tunnel.Reply = w.tunnel
		if scenario.GOPROXY == "direct" {
			scenario.Git.Request = w.request
		}
	} else {
		for _, site := range []*Site{&scenario.Proxy, &scenario.SumDB, &scenario.Git} {
			site.Hello, site.Request = w.accept, w.request
		}
	}
	s := newStage(t, scenario)
	s.reporters()
	p := s.start("output", program, "live", "--json=report.json", "--", filepath.Join(s.home, "bin", "download"))
	if code := s.wait(p, time.Minute); code != 0 {
		t.Fatalf("exit code %d:\n%s", code, s.output("output"))
	}
	d := s.document("main/report.json")
	if d.Verdict.Class != "ok" {
		t.Errorf("verdict %s: %s", d.Verdict.Class, d.Verdict.Summary)
	}
	parent, kind := s.family()
	top := ""
	for pid, k := range kind {
		if k == "download" {
			top = pid
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	// Behind a CONNECT proxy the site sees the proxy's ends.
	behind := scenario.Tunnel != nil
	helpers := map[string]int{}
	for _, pid := range w.told {
		helpers[pid]++
	}
	seen := map[string]bool{}
	for _, c := range d.Connections {
		if c.Process == nil || c.Process.Source != "kernel event" {
			t.Errorf("%s to %s: process %+v", c.Client, c.Server, c.Process)
			continue
		}
		if !w.all[c.Client] && !strings.HasPrefix(c.Client, "127.") {
			t.Errorf("%s to %s: no server has seen it", c.Client, c.Server)
		}
		seen[c.Client] = true
		connections++
		pid := strconv.Itoa(int(c.Process.PID))
		want, name := top, "go"
		if behind && helpers[pid] > 0 {
			want, name = pid, "git-remote-https"
			helpers[pid]--
		} else if told := w.told[c.Client]; told != "" && !behind {
			want, name = told, "git-remote-https"
		}
		if pid != want || !strings.HasPrefix(name, c.Process.Name[:min(len(c.Process.Name), 15)]) {
			t.Errorf("%s to %s: %s (PID %s), want %s (PID %s)", c.Client, c.Server, c.Process.Name, pid, name, want)
		}
		if name == "go" {
			continue
		}
		byGit++
		up := parent[pid]
		for range 4 {
			if up == top || up == "" {
				break
			}
			up = parent[up]
		}
		if up != top {
			t.Errorf("%s: PID %s does not descend from %s: %v", c.Client, pid, top, parent)
		}
	}
	for end := range w.all {
		if !seen[end] {
			t.Errorf("%s is not in the report", end)
		}
	}
	if len(d.Processes) != 1 || strconv.Itoa(int(d.Processes[0].PID)) != top || d.Processes[0].Name != "go" || d.Processes[0].Exit == nil || *d.Processes[0].Exit != 0 {
		t.Errorf("processes %+v, want the go command alone (PID %s)", d.Processes, top)
	}
	return connections, byGit
}
