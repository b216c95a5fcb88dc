package lab

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// RemoveStale removes the namespaces of labs whose process is no more, with
// the programs that still run in them.
func RemoveStale(ctx context.Context) error {
	var errs []error
	for _, dir := range []string{"/run/netns", "/etc/netns"} {
		list, err := filepath.Glob(filepath.Join(dir, namespaceStem+"*-*"))
		if err != nil {
			return err
		}
		for _, path := range list {
			if name := filepath.Base(path); stale(name) {
				errs = append(errs, removeNamespace(ctx, dir, name))
			}
		}
	}
	return errors.Join(errs...)
}

// stale is true for a namespace that a process made which has ended.
func stale(name string) bool {
	rest, ok := strings.CutPrefix(name, namespaceStem)
	digits, _, ok2 := strings.Cut(rest, "-")
	pid, err := strconv.ParseInt(digits, 36, 32)
	if !ok || !ok2 || err != nil || pid <= 0 {
		return false
	}
	return errors.Is(unix.Kill(int(pid), 0), unix.ESRCH)
}

func removeNamespace(ctx context.Context, dir, name string) error {
	if dir == "/etc/netns" {
		err := os.RemoveAll(filepath.Join(dir, name))
		os.Remove(dir) // stays where others use it
		return err
	}
	// A namespace lives on while a program runs in it. Only programs of the
	// lab that made it can: nobody else knows its name.
	if out, err := exec.CommandContext(ctx, "ip", "netns", "pids", name).Output(); err == nil {
		for _, word := range strings.Fields(string(out)) {
			if pid, err := strconv.Atoi(word); err == nil && pid > 1 {
				unix.Kill(pid, syscall.SIGKILL)
			}
		}
	}
	return command(ctx, "", "ip", "netns", "del", name)
}
