package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// capture starts dumpcap at the client and returns when it listens.
func (l *Lab) capture(ctx context.Context, file string, interfaces []string) (*process, error) {
	tool, err := exec.LookPath("dumpcap")
	if err != nil {
		return nil, err
	}
	if interfaces == nil {
		interfaces = []string{"eth0"}
	}
	arguments := []string{"-n", "-q"}
	for _, name := range interfaces {
		arguments = append(arguments, "-i", name)
	}
	cmd := exec.Command(tool, append(arguments, "-w", file)...)
	listening := make(chan struct{})
	w := &waitFor{text: "File: ", found: listening}
	cmd.Stderr = w
	p, err := start(l.client, cmd)
	if err != nil {
		return nil, err
	}
	select {
	case <-listening:
		return p, nil
	case <-p.done:
		if p.err == nil {
			p.err = errors.New("ended at once")
		}
		return nil, fmt.Errorf("dumpcap: %w: %s", p.err, w.String())
	case <-time.After(20 * time.Second):
	case <-ctx.Done():
	}
	p.stop(syscall.SIGKILL)
	return nil, fmt.Errorf("dumpcap did not start: %s", w.String())
}

// waitFor closes found when the text was written to it.
type waitFor struct {
	mu    sync.Mutex
	text  string
	buf   bytes.Buffer
	found chan struct{}
	done  bool
}

func (w *waitFor) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf.Write(b)
	if !w.done && strings.Contains(w.buf.String(), w.text) {
		w.done = true
		close(w.found)
	}
	return len(b), nil
}

func (w *waitFor) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.TrimSpace(w.buf.String())
}
