package main

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"goproxytrace/live/screen/screentest"
)

// onTerminal runs the program on a terminal of its own and returns all that
// was written to it.
func (l *link) onTerminal(columns, rows uint16, args ...string) (code int, raw string) {
	l.t.Helper()
	user, tty, err := pty.Open()
	if err != nil {
		l.t.Skip("no pseudo terminals here:", err)
	}
	defer user.Close()
	if err := pty.Setsize(tty, &pty.Winsize{Rows: rows, Cols: columns}); err != nil {
		l.t.Fatal(err)
	}
	cmd, _, _ := l.command(args...)
	cmd.Env = append(cmd.Env, "COLUMNS=")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	l.near.Start(cmd)
	tty.Close()
	var b strings.Builder
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		_, _ = io.Copy(&b, user) // ends with EIO when nobody holds the terminal
	}()
	limit := time.AfterFunc(60*time.Second, func() { _ = cmd.Process.Kill() })
	defer limit.Stop()
	_ = cmd.Wait()
	<-copied
	return cmd.ProcessState.ExitCode(), b.String()
}

// ending is what stands on the screen between the command's output and the
// report; neighbours look for each other on the link.
var ending = regexp.MustCompile(`\none\ntwo: three\ncaptured (\d+) packets, received (\d+), dropped 0\n\nnothing of the go command`)

// On a terminal the status is painted while the command runs, between its
// lines, and nothing of it is left at the end.
func TestLiveOnTerminal(t *testing.T) {
	l := serve(t, silent)
	for _, columns := range []uint16{100, 46} {
		code, raw := l.onTerminal(columns, 24, "live", "--", "sh", "-c", "test -t 1 && test -t 2 && echo one; sleep 1; printf 'two: '; sleep 1; echo three; exit 5")
		if code != 5 {
			t.Errorf("exit code %d\n%s", code, raw)
		}
		if n := strings.Count(raw, "goproxytrace: 0:0"); n < 3 {
			t.Errorf("the status was painted %d times:\n%q", n, raw)
		}
		screen := &screentest.Terminal{Columns: int(columns)}
		_, _ = screen.Write([]byte(raw))
		text := screen.Text()
		if strings.Contains(text, "goproxytrace: 0:0") {
			t.Errorf("the status is left on the screen:\n%s", text)
		}
		if !ending.MatchString(text) {
			t.Errorf("%d columns: the screen shows\n%s", columns, text)
		}
	}
}

// Ctrl-C on the terminal ends the command, and the report follows; the exit
// code is the shell's for it.
func TestLiveInterruptedOnTerminal(t *testing.T) {
	accepted := make(chan struct{}, 8)
	l := serve(t, func(c net.Conn) {
		accepted <- struct{}{}
		silent(c)
	})
	user, tty, err := pty.Open()
	if err != nil {
		t.Skip("no pseudo terminals here:", err)
	}
	defer user.Close()
	args := append([]string{"live", "--"}, l.fetch(30*time.Second)...)
	cmd, _, _ := l.command(args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	l.near.Start(cmd)
	tty.Close()
	var b strings.Builder
	copied, begun := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(copied)
		buf := make([]byte, 4096)
		told := false
		for {
			n, err := user.Read(buf)
			b.Write(buf[:n])
			if !told && strings.Contains(b.String(), "client ") {
				told = true
				close(begun)
			}
			if err != nil {
				return
			}
		}
	}()
	select {
	case <-begun:
	case <-time.After(30 * time.Second):
		t.Fatal("the command did not start")
	}
	select {
	case <-accepted:
	case <-time.After(30 * time.Second):
		t.Fatal("the command did not connect")
	}
	time.Sleep(500 * time.Millisecond)
	if _, err := user.Write([]byte{3}); err != nil { // Ctrl-C
		t.Fatal(err)
	}
	limit := time.AfterFunc(60*time.Second, func() { _ = cmd.Process.Kill() })
	defer limit.Stop()
	_ = cmd.Wait()
	<-copied
	if code := cmd.ProcessState.ExitCode(); code != 128+int(syscall.SIGINT) {
		t.Errorf("exit code %d", code)
	}
	if text := b.String(); !strings.Contains(text, "exit code 130") || !strings.Contains(text, "Connections") {
		t.Errorf("no report:\n%s", text)
	}
}

// nobody is a user without rights on any Linux.
const nobody = 65534

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("GOPROXYTRACE_CI") == "1" {
			t.Fatal("GOPROXYTRACE_CI=1 asks for the tests of rights, which need root")
		}
		t.Skip("needs root")
	}
}

// open lets everybody read what the test made.
func open(t *testing.T, dirs ...string) {
	t.Helper()
	for _, d := range dirs {
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
		// A test's directory lies in one that only its user may enter.
		if err := os.Chmod(filepath.Dir(d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// Without rights nothing is captured and no command is run; doctor says so
// with the same exit code, and what helps.
func TestLiveWithoutRights(t *testing.T) {
	needRoot(t)
	path, dir := program(t), t.TempDir()
	open(t, dir, filepath.Dir(path))
	for _, args := range [][]string{{"live", "--", "touch", "ran"}, {"live", "--duration", "1s"}, {"doctor", "--no-go-env"}} {
		cmd := exec.Command(path, args...)
		cmd.Dir, cmd.Env = dir, append(testEnv(), "GOPROXY=off")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != exitCannotCapture {
			t.Errorf("%q: exit code %d\n%s", args, code, out)
		}
		if !strings.Contains(string(out), "hint: ") || !strings.Contains(string(out), "cap") {
			t.Errorf("%q: no hint:\n%s", args, out)
		}
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) > 0 {
		t.Errorf("the command was run, or something was left behind: %v %v", list, err)
	}
}

// Under sudo the command runs as the user who called it, without any
// capability, and files are that user's; --as-root keeps root.
func TestLiveUnderSudo(t *testing.T) {
	l := serve(t, silent)
	open(t, l.dir, filepath.Dir(l.path))
	const script = "id -u; grep CapEff /proc/self/status; grep CapEff /proc/$PPID/status; echo HOME=$HOME"
	sudo := func(args ...string) string {
		cmd, out, errs := l.command(args...)
		cmd.Env = append(cmd.Env, "SUDO_UID=65534", "SUDO_GID=65534", "SUDO_USER=nobody")
		l.near.Start(cmd)
		if code := l.wait(cmd, errs); code != 0 {
			t.Fatalf("%q: exit code %d\n%s", args, code, errs)
		}
		return out.String()
	}
	out := sudo("live", "-q", "-w", "sudo.pcapng", "--", "sh", "-c", script)
	lines := strings.Split(out, "\n")
	if lines[0] != "65534" || lines[1] != "CapEff:\t0000000000000000" || lines[3] == "HOME=/root" {
		t.Errorf("the command ran with\n%s", out)
	}
	st, err := os.Stat(l.dir + "/sudo.pcapng")
	if err != nil || st.Sys().(*syscall.Stat_t).Uid != nobody || st.Mode().Perm() != 0o600 {
		t.Errorf("the case file: %v %v", st, err)
	}
	if out := sudo("live", "-q", "--as-root", "--", "sh", "-c", script); !strings.HasPrefix(out, "0\n") {
		t.Errorf("with --as-root the command ran with\n%s", out)
	}
}

// A program without cgo gives its capabilities up in every thread while it
// captures; what it runs as root keeps root's.
func TestLiveDropsCapabilities(t *testing.T) {
	needRoot(t)
	if testing.Short() {
		t.Skip("builds the program anew, which takes a while")
	}
	l := serve(t, silent)
	static := filepath.Join(l.dir, "static")
	build := exec.Command("go", "build", "-o", static, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	l.path = static
	code, out, errs := l.run("live", "-q", "--", "sh", "-c", "grep -h CapEff /proc/self/status; grep -h CapEff /proc/$PPID/task/*/status")
	if code != 0 {
		t.Fatalf("exit code %d\n%s", code, errs)
	}
	lines := strings.Fields(strings.ReplaceAll(out, "CapEff:", ""))
	if len(lines) < 3 {
		t.Fatalf("capabilities %q", out)
	}
	const netRaw = 1 << 13 // CAP_NET_RAW, capabilities(7)
	for i, hex := range lines {
		n, err := strconv.ParseUint(hex, 16, 64)
		if err != nil {
			break // the report
		}
		if i == 0 && n&netRaw == 0 {
			t.Errorf("the command lacks root's capabilities: %s", hex)
		}
		if i > 0 && n&netRaw != 0 {
			t.Errorf("thread %d still has %s", i, hex)
		}
	}
}
