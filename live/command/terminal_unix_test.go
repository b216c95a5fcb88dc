//go:build unix

package command

import (
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

func notifySize(c chan os.Signal) { signal.Notify(c, syscall.SIGWINCH) }

// A command whose user has a terminal gets one, of the same size, also when
// that changes; its bytes arrive unchanged.
func TestTerminal(t *testing.T) {
	user, tty, err := pty.Open()
	if err != nil {
		t.Skip("no pseudo terminals here:", err)
	}
	defer user.Close()
	if err := pty.Setsize(tty, &pty.Winsize{Rows: 24, Cols: 80}); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, user) }()
	o := self(t, "size")
	o.Stdout, o.Stderr = tty, tty
	var out buffer
	o.Out, o.Err = &out, &out
	var streams []string
	o.Line = func(stream, _ string) { streams = append(streams, stream) }
	c, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); !strings.Contains(out.String(), "\n"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no output")
		}
	}
	if err := pty.Setsize(tty, &pty.Winsize{Rows: 50, Cols: 132}); err != nil {
		t.Fatal(err)
	}
	// The terminal tells its foreground processes; this test is none.
	if err := syscall.Kill(os.Getpid(), syscall.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	own, err := c.sources[0].(*os.File).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for end, handed := time.Now().Add(10*time.Second), false; !handed; time.Sleep(5 * time.Millisecond) {
		err := own.Control(func(fd uintptr) {
			size, err := unix.IoctlGetWinsize(int(fd), unix.TIOCGWINSZ)
			handed = err == nil && size.Col == 132
		})
		if err != nil || time.Now().After(end) {
			t.Fatalf("the new size is not handed on (%v)", err)
		}
	}
	if err := c.Signal(syscall.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	c.Wait()
	c.Close()
	want := "terminal true true, 80 x 24 <nil>\nterminal true true, 132 x 50 <nil>\n"
	if out.String() != want {
		t.Errorf("output %q, want %q", out.String(), want)
	}
	if len(streams) != 2 || streams[0] != Terminal {
		t.Errorf("streams %q", streams)
	}
}

// A process that the command leaves behind keeps nobody waiting.
func TestLeftBehind(t *testing.T) {
	o := self(t, "leave")
	var out buffer
	o.Out, o.Err = &out, &out
	c, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	c.Wait()
	c.Close()
	if d := time.Since(begin); d > 2*time.Second+afterExit {
		t.Errorf("took %v", d)
	}
	if !strings.HasPrefix(out.String(), "left ") {
		t.Errorf("output %q", out.String())
	}
}
