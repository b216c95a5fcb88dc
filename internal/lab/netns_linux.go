package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Missing names what this machine lacks for the lab; empty means ready.
func Missing() []string {
	var out []string
	if os.Geteuid() != 0 {
		out = append(out, "root")
	}
	for _, tool := range []string{"ip", "nft", "dumpcap", "git", "go"} {
		if _, err := exec.LookPath(tool); err != nil {
			out = append(out, tool)
		}
	}
	if len(out) > 0 {
		return out
	}
	// Containers often have root without the right to make namespaces.
	if err := inNewNamespace(); err != nil {
		out = append(out, "network namespaces ("+err.Error()+")")
	}
	return out
}

func inNewNamespace() error {
	done := make(chan error)
	go func() {
		// Never unlocked: the thread ends with the goroutine.
		runtime.LockOSThread()
		done <- unix.Unshare(unix.CLONE_NEWNET)
	}()
	return <-done
}

// inNamespace runs f in the named network namespace. Sockets that f opens stay
// there; goroutines that it starts do not.
func inNamespace(name string, f func() error) error {
	done := make(chan error)
	go func() {
		// Never unlocked: the thread must not serve another goroutine.
		runtime.LockOSThread()
		done <- func() error {
			fd, err := unix.Open(filepath.Join("/run/netns", name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return fmt.Errorf("open namespace %s: %w", name, err)
			}
			defer unix.Close(fd)
			if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("enter namespace %s: %w", name, err)
			}
			return f()
		}()
	}()
	return <-done
}

func command(ctx context.Context, stdin string, argv ...string) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	if stdin != "" {
		cmd.Stdin = strings.NewReader(stdin)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, bytes.TrimSpace(out))
	}
	return nil
}
