package winetest

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"goproxytrace/capture/engine/spacetest"
)

// toolchain is the module of the official Windows toolchain.
const toolchain = "golang.org/toolchain@v0.0.1-go1.26.10.windows-amd64"

// goCommand downloads the Windows toolchain through the module proxy, unless
// the module cache has it, and returns the path of go.exe.
func goCommand(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module windows.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var found struct{ Dir, Error string }
	var err error
	// A proxy on the Internet may fail for a moment.
	for try := range 3 {
		if try > 0 {
			time.Sleep(5 * time.Second)
		}
		cmd := exec.Command("go", "mod", "download", "-json", toolchain)
		cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
		cmd.Dir = dir
		var out []byte
		out, err = cmd.Output()
		found.Dir, found.Error = "", ""
		if jsonErr := json.Unmarshal(out, &found); jsonErr == nil && found.Dir != "" {
			break
		}
	}
	if found.Dir == "" {
		if os.Getenv("GOPROXYTRACE_CI") == "1" {
			t.Fatalf("GOPROXYTRACE_CI=1 asks for the Windows toolchain: %v %s", err, found.Error)
		}
		t.Skipf("needs the module %s: %v %s", toolchain, err, found.Error)
	}
	return filepath.Join(found.Dir, "bin", "go.exe")
}

// session is a Windows host with the program and go.exe, and a module proxy
// behind a wire.
type session struct {
	*machine
	proxy            *proxy
	program, command string
	dir              string // of the module
	// late is true where packets come when the capture has ended: no SYN then
	// asks for a look at the socket table, which Wine takes long to make.
	late bool
}

func newSession(t *testing.T) *session {
	t.Helper()
	need(t)
	near, far := spacetest.Pair(t)
	s := &session{program: build(t, "goproxytrace.exe", "../../cmd/goproxytrace"), command: goCommand(t), dir: filepath.Join(t.TempDir(), "a module")}
	var certificate string
	s.proxy, certificate = newProxy(t, far)
	s.machine = newMachine(t)
	s.space = near
	s.hosts = filepath.Join(t.TempDir(), "hosts")
	for name, text := range map[string]string{
		s.hosts:                          "127.0.0.1 localhost\n10.9.0.2 " + name4 + "\nfd09::2 " + name6 + "\n",
		filepath.Join(s.dir, "go.mod"):   "module main.example\n\ngo 1.20\n\nrequire " + module + " " + version + "\n",
		filepath.Join(s.dir, "child.go"): "package child\n\nimport _ \"" + module + "\"\n",
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if r := s.run(build(t, "trust.exe", "./testdata/trust"), windows(certificate)); r.code != 0 {
		t.Fatalf("trusting the proxy's authority: %v", r)
	}
	return s
}

// live prepares a session of the program that cmd.exe starts, with a fresh
// module cache.
func (s *session) live(t *testing.T, host string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := s.machine.command("cmd", append([]string{"/c", windows(s.program), "live"}, args...)...)
	s.settings(t, cmd, host)
	return cmd
}

// settings make a go command take the module from a proxy.
func (s *session) settings(t *testing.T, cmd *exec.Cmd, host string) {
	t.Helper()
	cmd.Dir = s.dir
	cmd.Env = append(cmd.Env, "GOPROXY=https://"+host, "GOSUMDB=off", "GOFLAGS=-modcacherw", "GOTOOLCHAIN=local", "GOENV=off", "GOWORK=off",
		"GOMODCACHE="+windows(t.TempDir()), "GOCACHE="+windows(filepath.Join(scratch, "cache")))
}

// document is what the tests read of a report.
type document struct {
	Verdict struct{ Class, Summary string }
	Capture struct {
		Packets           int64
		Received, Dropped uint64
	}
	Processes []struct {
		PID, Parent uint32
		Name        string
		Command     string
		ParentName  string `json:"parent_name"`
		Exit        *int
	}
	Connections []struct {
		Client, Server string
		ServerName     string `json:"server_name"`
		Process        *struct {
			PID    uint32
			Name   string
			Source string
		}
		Verdict struct{ Class, Summary string }
	}
}

func parse(t *testing.T, r result) (d document) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.out), &d); err != nil {
		t.Fatalf("no report: %v\n%v", err, r)
	}
	return d
}

// TestLive has go.exe download a module, healthy and not.
func TestLive(t *testing.T) {
	s := newSession(t)
	for _, c := range []struct {
		name  string
		host  string
		does  behaviour
		class string
		code  int
	}{
		{"healthy", name4, serves, "ok", 0},
		{"healthy over IPv6", name6, serves, "ok", 0},
		{"reset after the ClientHello", name4, resets, "tls.reset", 1},
		{"silent", name4, silent, "tls.no-server-hello", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var file string
			r := s.again(func() result {
				s.proxy.set(c.does)
				file = filepath.Join(t.TempDir(), "a case.pcapng")
				args := []string{"-w", windows(file), "--json", "--", windows(s.command), "mod", "download", module}
				begin := time.Now()
				r := s.wait(s.begin(s.live(t, c.host, args...)), 2*time.Minute)
				t.Logf("took %v", time.Since(begin).Round(100*time.Millisecond))
				return r
			})
			if r.code != c.code {
				t.Errorf("exit code %d, want %d", r.code, c.code)
			}
			d := parse(t, r)
			if d.Verdict.Class != c.class {
				t.Errorf("class %s, want %s: %s", d.Verdict.Class, c.class, d.Verdict.Summary)
			}
			if d.Capture.Packets == 0 || d.Capture.Dropped != 0 {
				t.Errorf("%d packets, %d dropped", d.Capture.Packets, d.Capture.Dropped)
			}
			s.checkOwners(t, &d, c.host)
			if t.Failed() {
				t.Log(r)
			}
			s.checkCase(t, file, &d)
			// The ancestors stand in the case file, up to the shell.
			if raw, err := os.ReadFile(file); err != nil || !bytes.Contains(raw, []byte("cmd.exe")) {
				t.Errorf("cmd.exe, which started the program, is not in the case file (%v)", err)
			}
		})
	}
}

// checkOwners compares the connections with what the server saw, and their
// owner with the process that live started.
func (s *session) checkOwners(t *testing.T, d *document, host string) {
	t.Helper()
	var pid uint32
	for _, p := range d.Processes {
		if p.Name == "go.exe" {
			pid = p.PID
			if want := windows(s.command) + " mod download " + module; !strings.EqualFold(p.Command, want) || p.ParentName != "goproxytrace.exe" {
				t.Errorf("go.exe is %s, started by %s; want %s, started by goproxytrace.exe", p.Command, p.ParentName, want)
			}
		}
	}
	if pid == 0 {
		t.Errorf("processes %+v: go.exe is missing", d.Processes)
	}
	var clients []netip.AddrPort
	for _, c := range d.Connections {
		client, err := netip.ParseAddrPort(c.Client)
		if err != nil {
			t.Errorf("client %q: %v", c.Client, err)
		}
		clients = append(clients, client)
		if c.ServerName != host {
			t.Errorf("server name %q, want %q", c.ServerName, host)
		}
		switch {
		case c.Process != nil && c.Process.PID == pid && c.Process.Name == "go.exe":
		case c.Process == nil && client.Addr().Is6():
			t.Log("this Wine's socket table has no processes for IPv6")
		case c.Process == nil && s.late:
			t.Log("the socket table was not read while the connection was there")
		default:
			t.Errorf("%s belongs to %+v, want go.exe, PID %d", c.Client, c.Process, pid)
		}
	}
	seen := s.proxy.seen()
	slices.SortFunc(clients, netip.AddrPort.Compare)
	slices.SortFunc(seen, netip.AddrPort.Compare)
	if len(seen) == 0 || !slices.Equal(clients, seen) {
		t.Errorf("connections from %v, the server has seen %v", clients, seen)
	}
}

// checkCase analyses a case file on this system: it says what live said.
func (s *session) checkCase(t *testing.T, file string, d *document) {
	t.Helper()
	cmd := exec.Command(native(t), "analyze", "--json", file)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("analyze: %v", err)
	}
	again := parse(t, result{out: string(out)})
	if again.Verdict.Class != d.Verdict.Class || len(again.Connections) != len(d.Connections) || len(again.Processes) != len(d.Processes) {
		t.Errorf("the case file: %s with %d connections and %d processes, live: %s with %d and %d", again.Verdict.Class,
			len(again.Connections), len(again.Processes), d.Verdict.Class, len(d.Connections), len(d.Processes))
	}
}

// native builds the program for this system.
func native(t *testing.T) string {
	t.Helper()
	path := filepath.Join(scratch, "goproxytrace")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if out, err := output(exec.Command("go", "build", "-o", path, "../../cmd/goproxytrace")); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

// TestAttach finds a go command that has been waiting for the proxy since
// before the session: its connection has its owner without a SYN.
func TestAttach(t *testing.T) {
	s := newSession(t)
	end, first, took := s.attach(t)
	d := parse(t, end)
	if !d.has(first) && took > 8*time.Second {
		t.Logf("again, since %v passed between the connection and the capture: the FIN may have come before", took)
		end, first, _ = s.attach(t)
		d = parse(t, end)
	}
	for _, c := range d.Connections {
		if c.Client == first && (c.Process == nil || c.Process.Name != "go.exe") {
			t.Errorf("%s belongs to %+v, want go.exe", c.Client, c.Process)
		}
	}
	if !d.has(first) {
		t.Errorf("no connection from %s\n%v", first, end)
	}
}

// attach has a session begin when a go command is waiting for the proxy. It
// returns how the session ended, the command's first client address, and how long
// after that connection the session captured. Go gives up after 10 s (net/http,
// TLSHandshakeTimeout) and closes.
func (s *session) attach(t *testing.T) (end result, first string, took time.Duration) {
	t.Helper()
	end = s.again(func() result {
		s.proxy.set(silent)
		download := s.machine.command(s.command, "mod", "download", module)
		s.settings(t, download, name4)
		stalled := s.begin(download)
		if !stalled.until(t, func() bool { return len(s.proxy.seen()) > 0 }, "the go command does not connect") {
			return s.wait(stalled, time.Minute)
		}
		connected := time.Now()
		first = s.proxy.seen()[0].String()
		file := filepath.Join(t.TempDir(), "case.pcapng")
		live := s.begin(s.machine.command(s.program, "live", "-w", windows(file), "--json", "--no-go-env", "--duration", "13s"))
		live.captures(t, file)
		took = time.Since(connected)
		end := s.wait(live, time.Minute)
		s.wait(stalled, time.Minute)
		return end
	})
	return end, first, took
}

// has tells whether a connection from a client is in a report.
func (d *document) has(client string) bool {
	for _, c := range d.Connections {
		if c.Client == client {
			return true
		}
	}
	return false
}

// TestInterrupt ends a session on an idle adapter, which waits for a go command
// to start, with Ctrl-C: it does not hang, reports, and the case file is whole.
// That file's path is longer than MAX_PATH.
func TestInterrupt(t *testing.T) {
	s := newSession(t)
	var file string
	var took time.Duration
	end := s.again(func() result {
		file = filepath.Join(t.TempDir(), strings.Repeat("long directory ", 10)+"end", strings.Repeat("x", 150), "idle.pcapng")
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		r := s.begin(s.machine.command(s.program, "live", "-w", windows(file), "--json", "--no-go-env"))
		if !r.captures(t, file) {
			return s.wait(r, 30*time.Second)
		}
		time.Sleep(2 * time.Second) // without a packet
		begin := time.Now()
		r.signal(t, syscall.SIGINT)
		end := s.wait(r, 30*time.Second)
		took = time.Since(begin)
		return end
	})
	t.Logf("took %v", took.Round(10*time.Millisecond))
	if took > 10*time.Second || end.code != 0 {
		t.Errorf("after %v %v", took, end)
	}
	d := parse(t, end)
	s.checkCase(t, file, &d)
}

// TestNoLibrary has no Npcap, and one that is too old: both end with advice and
// exit code 4, and what needs no driver works without it.
func TestNoLibrary(t *testing.T) {
	m := newMachine(t)
	program := build(t, "goproxytrace.exe", "../../cmd/goproxytrace")
	for _, c := range []struct {
		libraries string
		args      []string
		code      int
		want      string
	}{
		{withoutLibrary, []string{"live", "--no-go-env"}, 4, "hint: Install Npcap"},
		{withoutLibrary, []string{"doctor", "--no-go-env"}, 4, "Npcap is not installed"},
		{withoutLibrary, []string{"interfaces"}, 0, `\Device\NPF_Loopback`},
		{withoutLibrary, []string{"version"}, 0, "windows/amd64"},
		{withoutLibrary, nil, 0, "Available Commands"}, // and does not wait
		{withOldLibrary, []string{"live", "--no-go-env"}, 4, "hint: Uninstall it and install Npcap"},
	} {
		r := m.again(func() result {
			cmd := m.command(program, c.args...)
			cmd.Env = append(cmd.Env, "WINEDLLOVERRIDES="+c.libraries)
			return m.wait(m.begin(cmd), 30*time.Second)
		})
		if r.code != c.code || !strings.Contains(r.out+r.errors, c.want) || strings.Contains(r.errors, "goroutine ") {
			t.Errorf("%q with %s: want exit code %d and %q\n%v", c.args, c.libraries, c.code, c.want, r)
		}
	}
}
