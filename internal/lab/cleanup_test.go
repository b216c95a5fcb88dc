//go:build linux

package lab

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// checkNothingLeft looks for this process's namespaces and for processes that
// still run in one.
func checkNothingLeft(t *testing.T) {
	t.Helper()
	for _, dir := range []string{"/run/netns", "/etc/netns"} {
		if left, _ := filepath.Glob(filepath.Join(dir, namespacePrefix()+"*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
	tasks, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, f := range tasks {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // ended meanwhile
		}
		// Fields after the name in parentheses: state, parent.
		fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(os.Getpid()) {
			t.Errorf("a child still runs: %s", b)
		}
	}
}

// TestStaleNamespacesAreRemoved plays a crash: the namespaces of a process that
// is no more, with a program in one of them.
func TestStaleNamespacesAreRemoved(t *testing.T) {
	needLab(t)
	// A process that ended: nobody has its number until the numbers wrap.
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	name := namespaceStem + strconv.FormatInt(int64(gone.Process.Pid), 36) + "-1c"
	if err := command(t.Context(), "", "ip", "netns", "add", name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "del", name).Run() })
	left := exec.Command("sleep", "60")
	p, err := start(name, left)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.stop(9) })
	resolver := filepath.Join("/etc/netns", name)
	if err := os.MkdirAll(resolver, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(resolver); os.Remove("/etc/netns") })
	mine := namespacePrefix() + "zz"
	if err := command(t.Context(), "", "ip", "netns", "add", mine); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "del", mine).Run() })

	// The program shows up in the namespace when ip has entered it.
	for range 100 {
		if out, _ := exec.Command("ip", "netns", "pids", name).Output(); len(out) > 0 {
			break
		}
		pause(t.Context(), 20*ms)
	}
	if err := RemoveStale(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join("/run/netns", name), resolver} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is still there", path)
		}
	}
	if _, err := os.Stat(filepath.Join("/run/netns", mine)); err != nil {
		t.Errorf("the namespace of a living process is gone: %v", err)
	}
	<-p.done // killed, or this waits for a minute
	if p.cmd.ProcessState.Success() {
		t.Error("the program in the stale namespace ran to its end")
	}
}

func TestStaleNames(t *testing.T) {
	for name, want := range map[string]bool{
		namespacePrefix() + "1c": false, // alive
		"gplab-1c":               false,
		"gplabzz":                false,
		"gplab!-1c":              false,
		"other1-1c":              false,
		"gplab0-1c":              false,
	} {
		if stale(name) != want {
			t.Errorf("stale(%q) is %v", name, !want)
		}
	}
}
