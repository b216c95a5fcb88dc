package spacetest

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Space is a network namespace, held by a thread that lives in it.
type Space struct {
	t    testing.TB
	work chan func()
	// Thread is the thread's id, by which ip link finds the namespace.
	Thread int
}

// New makes a namespace with its loopback interface up. It skips the test
// where that is not possible, unless GOPROXYTRACE_CI=1 asks for it.
func New(t testing.TB) *Space {
	t.Helper()
	if lack := missing(); lack != "" {
		if os.Getenv("GOPROXYTRACE_CI") == "1" {
			t.Fatalf("GOPROXYTRACE_CI=1 asks for the capture tests, which lack: %s", lack)
		}
		t.Skipf("needs %s", lack)
	}
	s := &Space{t: t, work: make(chan func())}
	ready := make(chan error)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and the
		// namespace with the thread.
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_NEWNET)
		s.Thread = unix.Gettid()
		ready <- err
		if err != nil {
			return
		}
		for f := range s.work {
			f()
		}
	}()
	if err := <-ready; err != nil {
		t.Fatalf("make a network namespace: %v", err)
	}
	t.Cleanup(func() { close(s.work) })
	s.Run("ip link set lo up")
	return s
}

func missing() string {
	if os.Geteuid() != 0 {
		return "root"
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return "the ip command"
	}
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		result <- unix.Unshare(unix.CLONE_NEWNET)
	}()
	if err := <-result; err != nil {
		return fmt.Sprintf("network namespaces (%v)", err)
	}
	return ""
}

// Do runs f in the namespace. Goroutines that f starts run outside.
func (s *Space) Do(f func() error) {
	s.t.Helper()
	done := make(chan error)
	s.work <- func() { done <- f() }
	if err := <-done; err != nil {
		s.t.Fatal(err)
	}
}

// Run runs commands in the namespace, one a line, words separated by blanks.
func (s *Space) Run(commands string) {
	s.t.Helper()
	for line := range strings.Lines(commands) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		s.Do(func() error {
			if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
				return fmt.Errorf("%s: %w: %s", strings.Join(words, " "), err, out)
			}
			return nil
		})
	}
}

// Start starts a command in the namespace.
func (s *Space) Start(cmd *exec.Cmd) {
	s.t.Helper()
	s.Do(cmd.Start)
}

// Pair makes two namespaces joined by a veth pair named eth0 at both ends,
// with the addresses 10.9.0.1 and .2, fd09::1 and ::2.
func Pair(t testing.TB) (near, far *Space) {
	t.Helper()
	near, far = New(t), New(t)
	near.Run(fmt.Sprintf("ip link add eth0 type veth peer name eth0 netns %d", far.Thread))
	for i, s := range []*Space{near, far} {
		s.Run(fmt.Sprintf(`ip addr add 10.9.0.%d/24 dev eth0
			ip addr add fd09::%d/64 dev eth0 nodad
			ip link set eth0 up`, i+1, i+1))
	}
	// Near was set up before its peer: the kernel throws away what it sends
	// until it has noticed that there is one.
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var state string
		near.Do(func() error {
			out, err := exec.Command("ip", "-o", "link", "show", "eth0").Output()
			state = string(out)
			return err
		})
		if strings.Contains(state, " state UP ") && !strings.Contains(state, " qdisc noop ") {
			return near, far
		}
		if time.Now().After(end) {
			t.Fatalf("the pair does not come up: %s", state)
		}
	}
}
