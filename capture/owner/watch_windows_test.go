package owner

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"goproxytrace/capture/hostlog"
)

// childVariable makes the test binary a client: it connects to the address,
// says so, waits for its input to end, and ends with 7.
const childVariable = "GOPROXYTRACE_TEST_CONNECT"

func TestMain(m *testing.M) {
	address := os.Getenv(childVariable)
	if address == "" {
		os.Exit(m.Run())
	}
	c, err := net.Dial("tcp", address)
	if err != nil {
		os.Exit(1)
	}
	_, _ = os.Stdout.WriteString(c.LocalAddr().String() + "\n")
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(7)
}

// client is a process of its own with a connection.
type client struct {
	cmd           *exec.Cmd
	stdin         io.Closer
	local, remote netip.AddrPort
}

// connect starts the client as a go command, through a directory whose name
// has a space.
func connect(t *testing.T, network, address string, start func(*exec.Cmd) error) *client {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Skipf("no %s here: %v", network, err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
		}
	}()
	program := filepath.Join(t.TempDir(), "Program Files", "go.exe")
	image, err := os.ReadFile(os.Args[0])
	if err == nil {
		err = os.Mkdir(filepath.Dir(program), 0o755)
	}
	if err == nil {
		err = os.WriteFile(program, image, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "mod", "download", `a "quoted" word`)
	cmd.Env = append(os.Environ(), childVariable+"="+l.Addr().String())
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the client does not say its address: %v", err)
	}
	return &client{cmd, stdin, netip.MustParseAddrPort(strings.TrimSpace(line)), netip.MustParseAddrPort(l.Addr().String())}
}

// withOwner skips where the system's table has a connection without its
// process, as Wine 8's has of IPv6.
func (c *client) withOwner(t *testing.T) {
	t.Helper()
	all, err := Sockets(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.Local == c.local && s.Remote == c.remote && s.PID == 0 {
			t.Skipf("this system's table has no process of %s", c.local)
		}
	}
}

var loopbacks = map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0"}

// TestWatchWindows follows a command from its start to its exit.
func TestWatchWindows(t *testing.T) {
	for network, address := range loopbacks {
		t.Run(network, func(t *testing.T) {
			w, err := Watch(Options{Starts: true})
			if err != nil {
				t.Fatal(err)
			}
			c := connect(t, network, address, w.Start)
			c.withOwner(t)
			pid, at := uint32(c.cmd.Process.Pid), time.Now().UnixNano()
			w.Seen(c.local, c.remote, at)
			got, ok := uint32(0), false
			for begin := time.Now(); !ok && time.Since(begin) < 5*time.Second; time.Sleep(10 * time.Millisecond) {
				got, ok = w.Owner(c.local, c.remote, at)
			}
			if got != pid {
				t.Errorf("the owner of %s is PID %d, want %d", c.local, got, pid)
			}
			if other, ok := w.Owner(c.remote, c.local, at); ok && other != uint32(os.Getpid()) {
				t.Errorf("the server's end is PID %d, want ours", other)
			}
			c.stdin.Close()
			_ = c.cmd.Wait()
			time.Sleep(3 * processEvery * pollEvery)
			if err := w.Close(); err != nil {
				t.Error(err)
			}
			var claim *hostlog.Claim
			var process *hostlog.Process
			var exit *hostlog.Exit
			for r := range w.Records() {
				switch r := r.(type) {
				case *hostlog.Claim:
					if r.PID == pid {
						claim = r
					}
				case *hostlog.Process:
					if r.PID == pid {
						process = r
					}
				case *hostlog.Exit:
					if r.PID == pid {
						exit = r
					}
				}
			}
			if claim == nil || claim.Local != c.local || claim.Remote != c.remote || claim.Server || claim.Until == 0 {
				t.Errorf("claim %+v, want one of %s to %s that has ended", claim, c.local, c.remote)
			}
			if exit == nil || exit.Code != 7 {
				t.Errorf("exit %+v, want code 7", exit)
			}
			checkProcess(t, process, c)
		})
	}
}

func checkProcess(t *testing.T, p *hostlog.Process, c *client) {
	t.Helper()
	if p == nil {
		t.Fatal("the process is not told of")
	}
	if p.Parent != uint32(os.Getpid()) || p.Name != "go.exe" || !strings.EqualFold(p.Path, c.cmd.Path) {
		t.Errorf("parent %d, name %s, path %s; want %d, go.exe, %s", p.Parent, p.Name, p.Path, os.Getpid(), c.cmd.Path)
	}
	if !slices.Equal(p.Args, c.cmd.Args) {
		t.Errorf("arguments %q, want %q", p.Args, c.cmd.Args)
	}
	if age := time.Now().UnixNano() - p.Start; age < 0 || age > int64(time.Minute) {
		t.Errorf("started %v ago", time.Duration(age))
	}
}

// TestFoundRunning has connections that are older than the look at them.
func TestFoundRunning(t *testing.T) {
	c := connect(t, "tcp4", loopbacks["tcp4"], (*exec.Cmd).Start)
	pid := uint32(c.cmd.Process.Pid)
	sockets, err := Sockets([]uint32{pid})
	if err != nil || len(sockets) != 1 || sockets[0].PID != pid || sockets[0].Local != c.local || sockets[0].Remote != c.remote || sockets[0].State != "ESTABLISHED" {
		t.Errorf("sockets of the client: %+v, %v", sockets, err)
	}
	family, err := Family([]uint32{uint32(os.Getpid())})
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(family, func(p hostlog.Process) bool { return p.PID == pid })
	if at < 0 || !slices.ContainsFunc(family, func(p hostlog.Process) bool { return p.PID == uint32(os.Getpid()) }) {
		t.Fatalf("family %+v, want PID %d and ours", family, pid)
	}
	checkProcess(t, &family[at], c)
	// What this process has started is none that somebody asks about.
	found, err := GoProcesses()
	if err != nil || slices.ContainsFunc(found, func(p hostlog.Process) bool { return p.PID == pid }) {
		t.Errorf("go commands: %+v, %v; want none of ours", found, err)
	}
	if gone, err := Family([]uint32{pid + 1}); err != nil || len(gone) != 0 {
		t.Errorf("the family of no process: %+v, %v", gone, err)
	}
}
