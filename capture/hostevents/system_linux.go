package hostevents

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"goproxytrace/capture/hostlog"
)

// programDirs are where the system's own programs are; PATH may be anybody's.
var programDirs = []string{"/usr/sbin/", "/sbin/", "/usr/bin/", "/bin/"}

func program(name string) (string, error) {
	for _, dir := range programDirs {
		if _, err := os.Stat(dir + name); err == nil {
			return dir + name, nil
		}
	}
	return "", fmt.Errorf("%s is not installed", name)
}

func thisSystem() system {
	return system{
		run: func(ctx context.Context, name string, args ...string) ([]byte, error) {
			path, err := program(name)
			if err != nil {
				return nil, err
			}
			return runAt(ctx, path, args...)
		},
		later:     runLater,
		file:      smallFile,
		kernelLog: openKernelLog,
		env:       os.Getenv,
		now:       func() int64 { return time.Now().UnixNano() },
	}
}

// runLater starts the shell, which keeps the rights that there are now, and has
// it wait for a line before it becomes the program. It ends when its input does,
// and so with this process at the latest.
func runLater(name string, args ...string) (*deferred, error) {
	path, err := program(name)
	if err != nil {
		return nil, err
	}
	// Neither the program nor its arguments come from outside.
	cmd := exec.Command("/bin/sh", append([]string{"-c", `read -r go && exec "$0" "$@"`, path}, args...)...)
	cmd.Dir, cmd.Env = "/", []string{"LC_ALL=C"}
	var out, complaint limited
	cmd.Stdout, cmd.Stderr = &out, &complaint
	cmd.WaitDelay = killWait
	// An interrupt from the terminal is not for it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return &deferred{
		finish: func(ctx context.Context) ([]byte, error) {
			_, err := io.WriteString(input, "go\n")
			if err = errors.Join(err, input.Close()); err != nil {
				return nil, err
			}
			select {
			case err := <-ended:
				return finished(err, &out, &complaint)
			case <-ctx.Done():
				_ = cmd.Process.Kill()
				return nil, ctx.Err()
			}
		},
		cancel: func() {
			_ = input.Close()
			select {
			case <-ended:
			case <-time.After(killWait):
				_ = cmd.Process.Kill()
			}
		},
	}, nil
}

func (c *collector) begin()                  { c.linuxBegin() }
func (c *collector) interval() time.Duration { return linuxInterval }
func (c *collector) close()                  { c.linuxClose() }

func (c *collector) meanwhile(ctx context.Context) []hostlog.Record { return c.linuxMeanwhile(ctx) }
func (c *collector) end(ctx context.Context) []hostlog.Record       { return c.linuxEnd(ctx) }
