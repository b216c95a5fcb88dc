package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// captures starts what the scenario wants captured.
func (l *Lab) captures(ctx context.Context, s *Scenario, r *Result) (list captures, err error) {
	interfaces := s.Interfaces
	if interfaces == nil {
		interfaces = []string{"eth0"}
	}
	if s.FarCapture {
		r.FarCapture = strings.TrimSuffix(r.Capture, ".pcapng") + ".server.pcapng"
		p, err := l.capture(ctx, l.server, r.FarCapture, []string{"eth0"}, s)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	p, err := l.capture(ctx, l.client, r.Capture, interfaces, s)
	if err != nil {
		list.stop()
		return nil, err
	}
	return append(list, p), nil
}

// captures are the captures under way, the client's last.
type captures []*process

// stop ends them, the client's first.
func (list captures) stop() (err error) {
	for i := len(list) - 1; i >= 0; i-- {
		err = errors.Join(err, list[i].stop(syscall.SIGINT))
	}
	return err
}

// capture starts dumpcap in a namespace and returns when it listens.
func (l *Lab) capture(ctx context.Context, namespace, file string, interfaces []string, s *Scenario) (*process, error) {
	tool, err := exec.LookPath("dumpcap")
	if err != nil {
		return nil, err
	}
	// The buffer is in MiB; where the processors are busy, the usual 2 lose some.
	arguments := []string{"-n", "-q", "-B", "16"}
	// Given before the first interface they hold for all.
	if s.Filter != "" {
		arguments = append(arguments, "-f", s.Filter)
	}
	if s.Snap > 0 {
		arguments = append(arguments, "-s", strconv.Itoa(s.Snap))
	}
	for _, name := range interfaces {
		arguments = append(arguments, "-i", name)
	}
	cmd := exec.Command(tool, append(arguments, "-w", file)...)
	listening := make(chan struct{})
	w := &waitFor{text: "File: ", found: listening}
	cmd.Stderr = w
	p, err := start(namespace, cmd)
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
