package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// apart runs the program again in namespaces of its own: of the network, and of
// processes, so that it and what it starts are all that there is to watch.
func apart(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if os.Geteuid() != 0 {
		return errors.New("needs root")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, append([]string{"-inside"}, args...)...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWNS}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	return cmd.Run()
}

// space is a second namespace: the server's side.
type space struct {
	work chan func()
	tid  int
}

// ownProc shows the namespace's processes in /proc, and to nobody else.
func ownProc() error {
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	return nil
}

// newSpace makes it and joins both by a veth pair named eth0 at both ends.
func newSpace() (*space, error) {
	s := &space{work: make(chan func())}
	ready := make(chan error)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and the
		// namespace with the thread.
		runtime.LockOSThread()
		s.tid = unix.Gettid()
		err := unix.Unshare(unix.CLONE_NEWNET)
		ready <- err
		if err != nil {
			return
		}
		for f := range s.work {
			f()
		}
	}()
	if err := <-ready; err != nil {
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	here := func(f func() error) error { return f() }
	for _, step := range []struct {
		in   func(func() error) error
		line string
	}{
		{here, "ip link set lo up"},
		{here, fmt.Sprintf("ip link add eth0 address 02:00:00:00:00:01 type veth peer name eth0 address 02:00:00:00:00:02 netns %d", s.tid)},
		{here, "ip addr add 10.9.0.9/24 dev eth0"},
		{here, "ip link set eth0 up"},
		{s.do, "ip link set eth0 up"},
	} {
		words := strings.Fields(step.line)
		if err := step.in(func() error {
			if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
				return fmt.Errorf("%s: %w: %s", step.line, err, out)
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// do runs f in the namespace.
func (s *space) do(f func() error) error {
	done := make(chan error)
	s.work <- func() { done <- f() }
	return <-done
}

// injector opens a socket that sends frames on eth0 of the namespace it is
// called in.
func injector() (int, error) {
	link, err := net.InterfaceByName("eth0")
	if err != nil {
		return 0, err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	return fd, unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: link.Index})
}
