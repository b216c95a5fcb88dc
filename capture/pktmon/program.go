package pktmon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

const (
	// askLimit bounds a question to pktmon, startLimit its start, and
	// stopLimit its end, for which it writes out its buffers.
	askLimit, startLimit, stopLimit = 15 * time.Second, 30 * time.Second, 2 * time.Minute
	// maxSaid bounds what is kept of its output in bytes.
	maxSaid = 64 << 10
)

// program is pktmon.exe by its path.
type program string

// run runs a command and returns what it printed, on either stream.
func (p program) run(ctx context.Context, limit time.Duration, arguments ...string) (string, error) {
	c, err := p.begin(ctx, limit, arguments...)
	if err != nil {
		return "", err
	}
	return c.wait()
}

// command is a command under way. It ends by itself also where this process
// does not live to see that.
type command struct {
	cmd    *exec.Cmd
	cancel context.CancelFunc
	said   said
}

func (p program) begin(ctx context.Context, limit time.Duration, arguments ...string) (*command, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	c := &command{cmd: exec.CommandContext(ctx, string(p), arguments...), cancel: cancel}
	c.cmd.Stdout, c.cmd.Stderr, c.cmd.WaitDelay = &c.said, &c.said, time.Second
	detach(c.cmd)
	if err := c.cmd.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("start %s: %w", p, err)
	}
	return c, nil
}

func (c *command) wait() (string, error) {
	defer c.cancel()
	err := c.cmd.Wait()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	text := c.said.String()
	if err != nil {
		words := strings.Join(c.cmd.Args[1:], " ")
		if first := firstLine(text); first != "" {
			return text, fmt.Errorf("pktmon %s: %s (%w)", words, first, err)
		}
		return text, fmt.Errorf("pktmon %s: %w", words, err)
	}
	return text, nil
}

// said keeps the beginning of an output. What is in the console's code page
// stays unreadable there; nothing depends on it.
type said struct{ b bytes.Buffer }

func (s *said) Write(b []byte) (int, error) {
	s.b.Write(b[:min(len(b), maxSaid-s.b.Len())])
	return len(b), nil
}

func (s *said) String() string { return strings.ToValidUTF8(s.b.String(), "?") }

func firstLine(text string) string {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			return line
		}
	}
	return ""
}
