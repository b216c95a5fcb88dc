package owner

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// guardianName is the name, and argument zero, of a guardian: a process that
// takes over when this one is gone. Without anybody to read its notifications
// every connect() of the command would fail with ENOSYS.
const guardianName = "goproxytrace-seccomp-guardian"

// Descriptors of a guardian.
const (
	guardianListener = 3
	guardianLife     = 4 // ends when whoever is guarded ends
)

// A guardian is this executable, started under another name, so it must not
// get as far as main.
func init() {
	if len(os.Args) == 1 && os.Args[0] == guardianName {
		guard(guardianListener, guardianLife)
		os.Exit(0)
	}
}

// guard waits for the other's end and then lets every system call pass until
// no process has the filter any more.
func guard(listener, life int) {
	var b [1]byte
	for {
		if n, err := unix.Read(life, b[:]); err == unix.EINTR {
			continue
		} else if n <= 0 {
			break
		}
	}
	var n notification
	for await(listener, -1) {
		if receive(listener, &n) == nil {
			// It may have been interrupted meanwhile.
			_ = proceed(listener, n.id)
		}
	}
}

// startGuardian starts a guardian for a listener. Closing life calls it.
func startGuardian(listener int) (life *os.File, err error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("guard the command: %w", err)
	}
	defer read.Close()
	fd, err := unix.FcntlInt(uintptr(listener), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		write.Close()
		return nil, fmt.Errorf("guard the command: %w", err)
	}
	shared := os.NewFile(uintptr(fd), "seccomp listener")
	defer shared.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		write.Close()
		return nil, fmt.Errorf("guard the command: %w", err)
	}
	defer null.Close()
	p, err := os.StartProcess("/proc/self/exe", []string{guardianName}, &os.ProcAttr{
		Dir: "/", Env: []string{}, Files: []*os.File{null, null, null, shared, read},
		// Not of the terminal's group: it outlives an interrupt.
		Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		write.Close()
		return nil, fmt.Errorf("guard the command: %w", err)
	}
	go p.Wait()
	return write, nil
}
