package owner

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary is also the processes that are watched: role says which, and
// job what it has to do.
const (
	roleVariable = "GOPROXYTRACE_OWNER_ROLE"
	jobVariable  = "GOPROXYTRACE_OWNER_JOB"
)

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "":
		os.Exit(m.Run())
	case "connect":
		connectRole()
	case "driver":
		driverRole()
	case "pair":
		pairRole()
	case "family":
		familyRole()
	case "wait":
		io.Copy(io.Discard, os.Stdin)
	}
}

// familyRole starts a process, says both numbers, and stays until its input
// ends.
func familyRole() {
	child := exec.Command("/proc/self/exe")
	child.Args = []string{"remote-helper", "fetch"}
	child.Env = append(os.Environ(), roleVariable+"=wait")
	in, err := child.StdinPipe()
	if err != nil {
		panic(err)
	}
	if err := child.Start(); err != nil {
		panic(err)
	}
	fmt.Println(os.Getpid(), child.Process.Pid)
	io.Copy(io.Discard, os.Stdin)
	in.Close()
	child.Wait()
}

// pairRole connects to itself in its network namespace, says from where, and
// stays until its input ends.
func pairRole() {
	if err := setUp(); err != nil {
		panic(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		panic(err)
	}
	if _, err := l.Accept(); err != nil {
		panic(err)
	}
	fmt.Println(c.LocalAddr())
	io.Copy(io.Discard, os.Stdin)
}

// job is what the processes have to do.
type job struct {
	Remote      netip.AddrPort
	Processes   int
	Connections int // of each process
	Lifetime    time.Duration
	AtOnce      int
	Mapped      bool // an IPv6 socket to an IPv4-mapped address
	Reset       bool // end every other connection with RST, so that its port is free at once
	Timeout     time.Duration
}

// truth is what a process says of one of its connections, in Unix nanoseconds.
type truth struct {
	PID    uint32
	Local  netip.AddrPort
	Remote netip.AddrPort
	// Began is before connect() was called, Done after it returned, Ending
	// before close().
	Began, Done, Ending int64
	Error               string
}

func currentJob() (j job) {
	if err := json.Unmarshal([]byte(os.Getenv(jobVariable)), &j); err != nil {
		panic(err)
	}
	return j
}

func connectRole() {
	j := currentJob()
	out := bufio.NewWriter(os.Stdout)
	for i := range j.Connections {
		b, err := json.Marshal(connectOnce(j, j.Reset && i%2 == 0))
		if err != nil {
			panic(err)
		}
		out.Write(append(b, '\n'))
	}
	out.Flush()
}

func connectOnce(j job, reset bool) (t truth) {
	t = truth{PID: uint32(os.Getpid()), Remote: j.Remote}
	family, addr := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(j.Remote.Port()), Addr: j.Remote.Addr().As16()})
	if j.Remote.Addr().Is4() && !j.Mapped {
		family, addr = unix.AF_INET, &unix.SockaddrInet4{Port: int(j.Remote.Port()), Addr: j.Remote.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Error = err.Error()
		return t
	}
	if j.Timeout != 0 {
		tv := unix.NsecToTimeval(int64(j.Timeout))
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &tv)
	}
	t.Began = time.Now().UnixNano()
	err = unix.Connect(fd, addr)
	for errors.Is(err, unix.EINTR) {
		err = unix.Connect(fd, addr)
	}
	t.Done = time.Now().UnixNano()
	if err != nil {
		t.Error = unix.ErrnoName(err.(unix.Errno))
	}
	switch a, _ := unix.Getsockname(fd); a := a.(type) {
	case *unix.SockaddrInet4:
		t.Local = netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		t.Local = plain(netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port)))
	}
	if err == nil {
		if j.Lifetime > 0 {
			time.Sleep(j.Lifetime)
		}
		unix.Write(fd, []byte("x"))
	}
	if reset {
		unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	t.Ending = time.Now().UnixNano()
	unix.Close(fd)
	return t
}

// driverRole starts the processes and passes on what they say.
func driverRole() {
	j := currentJob()
	var wait sync.WaitGroup
	var mu sync.Mutex
	places := make(chan bool, max(j.AtOnce, 1))
	for range j.Processes {
		wait.Add(1)
		places <- true
		go func() {
			defer wait.Done()
			defer func() { <-places }()
			cmd := exec.Command("/proc/self/exe")
			cmd.Args[0] = "connecting-process"
			cmd.Env = append(os.Environ(), roleVariable+"=connect")
			out, err := cmd.Output()
			if err != nil {
				fmt.Fprintln(os.Stderr, "child:", err)
			}
			mu.Lock()
			os.Stdout.Write(out)
			mu.Unlock()
		}()
	}
	wait.Wait()
}

// driver is a command that does a job.
func driver(j job) *exec.Cmd {
	b, err := json.Marshal(j)
	if err != nil {
		panic(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVariable+"=driver", jobVariable+"="+string(b))
	cmd.Stderr = os.Stderr
	return cmd
}

// do has a watched driver do a job and returns what its processes say.
func do(t *testing.T, w *Watcher, j job) (out []truth) {
	t.Helper()
	cmd := driver(j)
	var text strings.Builder
	cmd.Stdout = &text
	if err := w.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text.String()) {
		var one truth
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		out = append(out, one)
	}
	if len(out) != j.Processes*j.Connections {
		t.Fatalf("%d connections of %d were made", len(out), j.Processes*j.Connections)
	}
	return out
}

// needRoot skips where this is not root on Linux with the tools named, but
// fails where CI says that all of it must be there.
func needRoot(t *testing.T, tools ...string) {
	t.Helper()
	var missing []string
	if os.Geteuid() != 0 {
		missing = append(missing, "root")
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, tool)
		}
	}
	switch {
	case len(missing) == 0:
	case os.Getenv("GOPROXYTRACE_CI") == "1":
		t.Fatalf("watching processes for real needs %s", strings.Join(missing, ", "))
	default:
		t.Skipf("watching processes for real needs %s", strings.Join(missing, ", "))
	}
}

// alone runs the test once more in a network namespace of its own and reports
// whether this is that run.
func alone(t *testing.T) bool {
	t.Helper()
	const marker = "GOPROXYTRACE_OWNER_ALONE"
	if os.Getenv(marker) == t.Name() {
		lookUp(t)
		return true
	}
	args := []string{"-test.run=^" + t.Name() + "$", "-test.v", "-test.count=1"}
	if *update {
		args = append(args, "-update")
	}
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), marker+"="+t.Name())
	cmd.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	out, err := cmd.CombinedOutput()
	text := strings.TrimSpace(string(out))
	switch {
	case err != nil:
		t.Fatalf("in a network namespace of its own: %v\n%s", err, text)
	case strings.Contains(text, "--- SKIP"):
		t.Skip(text)
	default:
		t.Log(text)
	}
	return false
}

// lookUp sets the loopback interface up.
func lookUp(t *testing.T) {
	t.Helper()
	if err := setUp(); err != nil {
		t.Fatal(err)
	}
}

func setUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_LOOPBACK)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
}

// setting writes a setting of this network namespace.
func setting(t *testing.T, name, value string) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0o644); err != nil {
		t.Fatal(err)
	}
}

// ports bounds the local ports, so that they come round.
func ports(t *testing.T, first, last int) {
	t.Helper()
	setting(t, "ipv4/ip_local_port_range", strconv.Itoa(first)+" "+strconv.Itoa(last))
}
