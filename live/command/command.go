// Package command runs the command that a session is about, as if the user
// had run it.
//
// In come arguments, the user's own streams and what to do with output; out
// come the command's bytes, unchanged and at once, its lines with their times,
// and how it ended. Where the user's stream is a terminal, the command gets a
// terminal of the same size (on Windows a pipe), so that it behaves as it
// would without the session. Standard input is the user's own.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"golang.org/x/term"
)

// Streams of a Line.
const (
	Stdout   = "stdout"
	Stderr   = "stderr"
	Terminal = "" // both are one terminal
)

// Options say how a command runs.
type Options struct {
	Args []string // the program and its arguments
	Dir  string   // empty for the current directory
	Env  []string // nil for the caller's
	// Stdin, Stdout and Stderr are the user's streams. The terminals among
	// them are found by asking the system.
	Stdin          *os.File
	Stdout, Stderr *os.File
	// Out and Err take the command's bytes; nil means Stdout and Stderr
	// themselves. A write's error ends that stream of the command's.
	Out, Err io.Writer
	// Line is told of each line; nil for nobody. Calls do not overlap.
	Line func(stream, text string)
	// User is who runs it; nil for the caller.
	User *User
	// Start starts the command; nil means (*exec.Cmd).Start.
	Start func(*exec.Cmd) error
}

// Exit is how a command ended.
type Exit struct {
	// Code is the exit code, -1 where a signal ended it; Signal is that
	// signal's number, zero for none.
	Code, Signal int
}

// Status is what a shell would make of it.
func (e Exit) Status() int {
	if e.Signal != 0 {
		return 128 + e.Signal
	}
	return e.Code
}

// Command is a command under way.
type Command struct {
	cmd     *exec.Cmd
	readers sync.WaitGroup
	sources []io.Closer // our ends of its streams
	stop    func()      // following the window's size
	lines   sync.Mutex
}

// afterExit is how long output is waited for that processes left behind may
// still write.
const afterExit = 500 * time.Millisecond

// Start starts a command.
func Start(o Options) (*Command, error) {
	if len(o.Args) == 0 {
		return nil, errors.New("no command")
	}
	path, err := exec.LookPath(o.Args[0])
	if err != nil {
		return nil, err
	}
	c := &Command{cmd: exec.Command(path, o.Args[1:]...)}
	c.cmd.Args[0] = o.Args[0]
	c.cmd.Dir, c.cmd.Env, c.cmd.Stdin = o.Dir, o.Env, o.Stdin
	if o.Stdin == nil { // a nil *os.File in an interface is not nil
		c.cmd.Stdin = nil
	}
	if o.User != nil {
		c.become(o.User)
	}
	streams, err := c.connect(&o)
	if err != nil {
		c.close()
		return nil, err
	}
	start := o.Start
	if start == nil {
		start = (*exec.Cmd).Start
	}
	err = start(c.cmd)
	for _, s := range streams {
		s.theirs.Close()
	}
	if err != nil {
		c.close()
		return nil, fmt.Errorf("starting %s: %w", o.Args[0], err)
	}
	for _, s := range streams {
		c.readers.Add(1)
		go func() {
			defer c.readers.Done()
			c.copy(s, o.Line)
		}()
	}
	return c, nil
}

// stream is one of the command's outputs.
type stream struct {
	name         string
	ours, theirs *os.File
	to           io.Writer
}

// connect makes the command's output streams.
func (c *Command) connect(o *Options) ([]stream, error) {
	out, err := io.Writer(o.Stdout), io.Writer(o.Stderr)
	if o.Out != nil {
		out = o.Out
	}
	if o.Err != nil {
		err = o.Err
	}
	var streams []stream
	add := func(name string, like *os.File, to io.Writer) (*os.File, error) {
		ours, theirs, stop, err := pair(like)
		if err != nil {
			return nil, fmt.Errorf("the command's %s: %w", name, err)
		}
		if stop != nil {
			before := c.stop
			c.stop = func() {
				stop()
				if before != nil {
					before()
				}
			}
		}
		c.sources = append(c.sources, ours)
		if o.User != nil && isTerminal(theirs) {
			_ = theirs.Chown(int(o.User.UID), -1) // it is only opened by name where programs insist
		}
		streams = append(streams, stream{name, ours, theirs, to})
		return theirs, nil
	}
	if isTerminal(o.Stdout) && isTerminal(o.Stderr) && terminals {
		theirs, failed := add(Terminal, o.Stdout, err)
		c.cmd.Stdout, c.cmd.Stderr = theirs, theirs
		return streams, failed
	}
	stdout, failed := add(Stdout, o.Stdout, out)
	if failed != nil {
		return streams, failed
	}
	stderr, failed := add(Stderr, o.Stderr, err)
	c.cmd.Stdout, c.cmd.Stderr = stdout, stderr
	return streams, failed
}

func isTerminal(f *os.File) bool { return f != nil && term.IsTerminal(int(f.Fd())) }

// copy passes on what the command writes until it has ended. Where the reader
// of the user's stream has gone, the command is to notice.
func (c *Command) copy(s stream, line func(string, string)) {
	l := splitter{emit: func(text string) {
		if line != nil {
			c.lines.Lock()
			line(s.name, text)
			c.lines.Unlock()
		}
	}}
	defer l.end()
	b := make([]byte, 32<<10)
	for {
		n, err := s.ours.Read(b)
		if n > 0 {
			if _, err := s.to.Write(b[:n]); err != nil {
				s.ours.Close()
				return
			}
			l.write(b[:n])
		}
		if err != nil {
			return // also EIO of a terminal that nobody holds any more
		}
	}
}

// PID is the command's process.
func (c *Command) PID() int { return c.cmd.Process.Pid }

// Signal sends a signal to the command.
func (c *Command) Signal(s os.Signal) error { return c.cmd.Process.Signal(s) }

// Wait waits for the command's end. Output of processes that it leaves behind
// is passed on until Close.
func (c *Command) Wait() Exit {
	_ = c.cmd.Wait() // what it says of the exit stands in ProcessState
	c.output(afterExit)
	if c.cmd.ProcessState == nil {
		return Exit{Code: -1}
	}
	return exitOf(c.cmd.ProcessState)
}

// Close ends passing on output.
func (c *Command) Close() {
	c.close()
	c.output(afterExit)
}

// output waits until all output was passed on, but not for ever: a process
// that was left behind may hold a stream.
func (c *Command) output(limit time.Duration) {
	done := make(chan struct{})
	go func() { c.readers.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(limit):
	}
}

func (c *Command) close() {
	if c.stop != nil {
		c.stop()
		c.stop = nil
	}
	for _, s := range c.sources {
		s.Close()
	}
	c.sources = nil
}

// Output runs a command to its end and returns the first limit bytes of its
// standard output: as the same user, in the same place.
func Output(ctx context.Context, o Options, limit int64) ([]byte, error) {
	path, err := exec.LookPath(o.Args[0])
	if err != nil {
		return nil, err
	}
	c := &Command{cmd: exec.CommandContext(ctx, path, o.Args[1:]...)}
	c.cmd.Dir, c.cmd.Env = o.Dir, o.Env
	c.cmd.WaitDelay = afterExit
	if o.User != nil {
		c.become(o.User)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	b, _ := io.ReadAll(io.LimitReader(out, limit))
	_, _ = io.Copy(io.Discard, out)
	return b, c.cmd.Wait()
}
