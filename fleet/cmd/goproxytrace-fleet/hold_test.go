package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// underWay starts an analyze in a process of its own, which waits for a job server
// that does not speak, and returns when it has come so far.
func underWay(t *testing.T, args ...string) *running {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		if conn, err := l.Accept(); err == nil {
			t.Cleanup(func() { _ = conn.Close() })
		}
	}()
	at := l.Addr().String()
	var said bytes.Buffer
	cmd := program(t, append(args, "--endpoint="+at, "--worker-at="+at)...)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := &running{cmd.Process, make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(r.ended)
	}()
	t.Cleanup(r.kill)
	select {
	case <-asked:
	case <-r.ended:
		t.Fatalf("it ended: %s", said.String())
	}
	return r
}

// running is a process that was started.
type running struct {
	*os.Process
	ended chan struct{}
}

// kill kills the process and returns when it has ended.
func (r *running) kill() {
	_ = r.Kill()
	<-r.ended
}

// program is this program in a process of its own.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), role+"=1")
	return cmd
}

// One run at a time uses an output directory, and one that was killed uses it no
// longer.
func TestOneRunInADirectory(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	key := put(t, filepath.Join(dir, "key"), strings.Repeat("k", 40))
	args := []string{"analyze", pcap("hello-*.pcapng"), "--out=" + out, "--key=" + key, "--no-go-env"}
	first := underWay(t, args...)
	plan, err := os.ReadFile(filepath.Join(out, "_run", "run.json"))
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("goproxytrace-fleet: %s: another run is using this output directory (process %d)\n", out, first.Pid)
	for _, how := range []string{"--resume", "--overwrite", "--json"} {
		if code, _, errs := called(t, "", append(args, how)...); code != 1 || errs != want {
			t.Errorf("%s beside a run ends with %d: %q, want %q", how, code, errs, want)
		}
		cmd := program(t, append(args, how)...)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != 1 || errs.String() != want {
			t.Errorf("%s beside a run, in a process of its own, ends with %v: %q, want %q", how, err, errs.String(), want)
		}
	}
	if now, err := os.ReadFile(filepath.Join(out, "_run", "run.json")); err != nil || !bytes.Equal(now, plan) {
		t.Errorf("the run's plan was touched: %v", err)
	}
	// Another directory is another matter.
	if code, _, errs := called(t, "", "analyze", pcap("hello-*.pcapng"), "--out="+filepath.Join(dir, "other"), "--no-go-env"); code != 0 {
		t.Errorf("another directory: exit code %d: %s", code, errs)
	}

	// A killed run holds nothing, and the next one, killed while it goes on with it,
	// neither.
	first.kill()
	second := underWay(t, append(args, "--resume")...)
	if code, _, errs := called(t, "", append(args, "--resume")...); code != 1 || !strings.Contains(errs, fmt.Sprintf("(process %d)", second.Pid)) {
		t.Errorf("beside a resumed run: exit code %d: %s", code, errs)
	}
	second.kill()
	if code, text, errs := called(t, "", append(args, "--resume")...); code != 0 || !strings.Contains(text, "4 files: 4 ok") {
		t.Fatalf("after two that were killed: exit code %d: %s%s", code, text, errs)
	}
	left, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		if e.Name() == "_lock" || e.Name() == "_run" {
			t.Errorf("%s is left", e.Name())
		}
	}
}

// What fails before there is anything leaves no directory.
func TestNothingIsLeftOfARunThatDidNotBegin(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	if code, _, errs := called(t, "", "analyze", pcap("hello-reset.pcapng"), "--out="+out, "--resume"); code != 1 || !strings.Contains(errs, "no run to go on with") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	if _, err := os.Stat(out); !os.IsNotExist(err) {
		t.Errorf("there is an output directory: %v", err)
	}
}
