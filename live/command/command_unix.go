//go:build unix

package command

import (
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// terminals is true where a command can be given a terminal.
const terminals = true

// pair makes a stream for the command: our end, which we read, and its own.
// like is the user's stream. stop ends following its size.
func pair(like *os.File) (ours, theirs *os.File, stop func(), err error) {
	if !isTerminal(like) {
		ours, theirs, err = os.Pipe()
		return ours, theirs, nil, err
	}
	ours, theirs, err = pty.Open()
	if err != nil {
		return nil, nil, nil, err
	}
	fail := func(err error) (*os.File, *os.File, func(), error) {
		ours.Close()
		theirs.Close()
		return nil, nil, nil, err
	}
	// The user's terminal makes line ends of newlines; twice would be once
	// too often.
	if err := plainOutput(theirs); err != nil {
		return fail(err)
	}
	if err := followSize(like, ours); err != nil {
		return fail(err)
	}
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-changed:
				_ = followSize(like, ours) // the next change brings the next try
			case <-done:
				return
			}
		}
	}()
	return ours, theirs, func() { signal.Stop(changed); close(done); <-ended }, nil
}

// followSize gives the terminal behind ours the size of the user's. It leaves
// ours as it is: File.Fd would make reads of it block.
func followSize(like, ours *os.File) error {
	size, err := unix.IoctlGetWinsize(int(like.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return err
	}
	conn, err := ours.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = conn.Control(func(fd uintptr) { failed = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, size) })
	return errors.Join(err, failed)
}

// plainOutput turns off what a terminal does to output (termios OPOST).
func plainOutput(f *os.File) error {
	t, err := unix.IoctlGetTermios(int(f.Fd()), getTermios)
	if err != nil {
		return err
	}
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO // the keyboard is the user's terminal
	return unix.IoctlSetTermios(int(f.Fd()), setTermios, t)
}

// become makes the command another user's, with that user's surroundings. The
// terminals made for it become that user's too.
func (c *Command) become(u *User) {
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: u.UID, Gid: u.GID, Groups: u.Groups}}
	c.cmd.Env = Environment(c.cmd.Env, u)
}

// ForwardsInterrupts reports whether an interrupt that reached this process
// must be passed on: a terminal sends it to all of the foreground group, the
// command among them, any other sender to one process.
func ForwardsInterrupts() bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return true
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err != nil || group != unix.Getpgrp()
}

func exitOf(s *os.ProcessState) Exit {
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return Exit{Code: -1, Signal: int(w.Signal())}
	}
	return Exit{Code: s.ExitCode()}
}
