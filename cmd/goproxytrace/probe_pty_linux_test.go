package main

import (
	"io"
	"net"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// talk is the program on a terminal of its own.
type talk struct {
	t    *testing.T
	cmd  *exec.Cmd
	user io.ReadWriteCloser
	mu   sync.Mutex
	text strings.Builder
}

func onPTY(t *testing.T, args ...string) *talk {
	t.Helper()
	user, tty, err := pty.Open()
	if err != nil {
		t.Skip("no pseudo terminals here:", err)
	}
	p := &talk{t: t, user: user, cmd: exec.Command(program(t), args...)}
	p.cmd.Env = append(testEnv(), "COLUMNS=")
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = tty, tty, tty
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tty.Close()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it has ended, unless the test has failed
		user.Close()
	})
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := user.Read(buf)
			p.mu.Lock()
			p.text.Write(buf[:n])
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return p
}

func (p *talk) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

func (p *talk) expect(s string) {
	p.t.Helper()
	for range 300 {
		if strings.Contains(p.said(), s) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	p.t.Fatalf("it does not say %q:\n%s", s, p.said())
}

func (p *talk) types(s string) {
	p.t.Helper()
	if _, err := io.WriteString(p.user, s); err != nil {
		p.t.Fatal(err)
	}
}

// ends waits for the end, which must come soon, and returns the exit code.
func (p *talk) ends() int {
	p.t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = p.cmd.Wait()
	}()
	select {
	case <-done:
	case <-time.After(15 * time.Second):
		p.t.Fatalf("it goes on:\n%s", p.said())
	}
	return p.cmd.ProcessState.ExitCode()
}

// mute takes connections and says nothing; taken counts them.
func mute(t *testing.T) (address string, taken func() int) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var mu sync.Mutex
	n := 0
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			mu.Lock()
			n++
			mu.Unlock()
		}
	}()
	return l.Addr().String(), func() int {
		mu.Lock()
		defer mu.Unlock()
		return n
	}
}

// Nothing is sent before somebody has agreed, and Ctrl-C at the question leaves
// it so.
func TestProbeAsks(t *testing.T) {
	address, taken := mute(t)
	p := onPTY(t, "probe", "--no-go-env", "--no-capture", address)
	p.expect("Press Enter to begin")
	p.types("\x03")
	if code := p.ends(); code != exitInterrupted {
		t.Errorf("exit code %d:\n%s", code, p.said())
	}
	if n := taken(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

// Ctrl-C stops an attempt under way at once, and what is known is reported.
func TestProbeInterrupted(t *testing.T) {
	address, taken := mute(t)
	p := onPTY(t, "probe", "--no-go-env", "--no-capture", "--timeout", "1s", "--spacing", "100ms", address)
	p.expect("Press Enter to begin")
	p.types("\r")
	p.expect("tls: ")                  // the first one has ended
	time.Sleep(400 * time.Millisecond) // mostly the second one is under way then
	p.types("\x03")
	if code := p.ends(); code != exitInterrupted {
		t.Errorf("exit code %d:\n%s", code, p.said())
	}
	p.expect("Interrupted: this is what was known")
	p.expect("tls.no-server-hello")
	if said := p.said(); strings.Contains(said, ": passed") {
		t.Errorf("what was stopped has not passed:\n%s", said)
	}
	if taken() == 0 {
		t.Error("no connection was made")
	}
}
