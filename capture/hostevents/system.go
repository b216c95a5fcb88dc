package hostevents

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// limited keeps the beginning of what is written to it, and drops the rest.
type limited struct{ b bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	l.b.Write(p[:min(len(p), max(maxOutput+1-l.b.Len(), 0))])
	return len(p), nil
}

// killWait is how long the output of a program that was ended is waited for.
const killWait = 200 * time.Millisecond

// runAt runs a program by its full path. What it writes to standard error is the
// reason where it fails.
func runAt(ctx context.Context, path string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, path, args...)
	var out, complaint limited
	cmd.Stdout, cmd.Stderr = &out, &complaint
	cmd.WaitDelay = killWait
	return finished(cmd.Run(), &out, &complaint)
}

// finished is what a program wrote, or why it failed.
func finished(err error, out, complaint *limited) ([]byte, error) {
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		why := strings.Join(strings.Fields(complaint.b.String()), " ")
		if why == "" {
			why = strings.Join(strings.Fields(clip(out.b.String(), maxName)), " ")
		}
		return out.b.Bytes(), &exitError{exit.ExitCode(), clip(why, maxName)}
	case err != nil:
		return nil, err
	}
	return out.b.Bytes(), nil
}

// maxSmall bounds a small file, in bytes.
const maxSmall = 1 << 20

func smallFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxSmall))
}
