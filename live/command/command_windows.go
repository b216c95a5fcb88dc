package command

import "os"

// terminals is false: a pseudo console would repaint what the command writes.
const terminals = false

func pair(*os.File) (ours, theirs *os.File, stop func(), err error) {
	ours, theirs, err = os.Pipe()
	return ours, theirs, nil, err
}

// become does nothing: there is no sudo.
func (c *Command) become(*User) {}

// ForwardsInterrupts is false: a console sends Ctrl-C to all its processes,
// and nothing else sends one.
func ForwardsInterrupts() bool { return false }

func exitOf(s *os.ProcessState) Exit { return Exit{Code: s.ExitCode()} }
