package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Run plays a scenario and leaves its capture in dir as NAME.pcapng.
func Run(ctx context.Context, s Scenario, dir string) (_ *Result, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("scenario %s: %w", s.Name, err)
		}
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if s.Modules == nil {
		s.Modules = DefaultModules()
	}
	if s.Limit == 0 {
		s.Limit = 2 * time.Minute
	}
	tree, err := files(s.Modules)
	if err != nil {
		return nil, err
	}
	authority, cert, err := newCertificate(ProxyName)
	if err != nil {
		return nil, err
	}
	l, err := newLab(ctx, s.Forward)
	if err != nil {
		return nil, err
	}
	defer l.close()
	defer cancel() // before close: hooks that wait let go of their connections
	if err := l.serve(ctx, &s, cert, tree); err != nil {
		return nil, err
	}
	home, err := os.MkdirTemp("", "lab-home-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(home)
	for name, data := range map[string][]byte{"main/go.mod": goMod(s.Modules), "ca.pem": authority} {
		f := filepath.Join(home, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(f), 0o755), os.WriteFile(f, data, 0o644)); err != nil {
			return nil, err
		}
	}
	r := &Result{Scenario: s.Name, Truth: s.Truth, Server: ServerAddr + ":443", Capture: filepath.Join(dir, s.Name+".pcapng")}
	capture, err := l.capture(ctx, r.Capture)
	if err != nil {
		return nil, err
	}
	err = download(ctx, l, &s, home, r, func() error {
		// The last packets need a moment to reach the capture.
		pause(ctx, 700*time.Millisecond)
		return capture.stop(syscall.SIGINT)
	})
	// Once more for the paths that did not come so far; no harm otherwise.
	capture.stop(syscall.SIGINT)
	if err != nil {
		return nil, err
	}
	return r, ctx.Err()
}

// download runs the go command to its end or the limit. The capture ends
// before a command that still runs is killed.
func download(ctx context.Context, l *Lab, s *Scenario, home string, r *Result, stopCapture func() error) error {
	goTool, err := exec.LookPath("go")
	if err != nil {
		return err
	}
	cmd := exec.Command(goTool, "mod", "download")
	cmd.Dir = filepath.Join(home, "main")
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GOPATH=" + filepath.Join(home, "go"),
		"GOCACHE=" + filepath.Join(home, "cache"), "GOENV=off", "GOFLAGS=-modcacherw", "GOTOOLCHAIN=local", "GOTELEMETRY=off",
		"GOPROXY=https://" + ProxyName, "GOSUMDB=off",
		"SSL_CERT_FILE=" + filepath.Join(home, "ca.pem"), "SSL_CERT_DIR=" + filepath.Join(home, "none"),
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	begin := time.Now()
	p, err := start(l.client, cmd)
	if err != nil {
		return err
	}
	defer p.stop(syscall.SIGKILL)
	r.PID = cmd.Process.Pid
	select {
	case <-p.done:
		r.Exit = cmd.ProcessState.ExitCode()
	case <-time.After(s.Limit):
		r.Hung, r.Exit = true, -1
	case <-ctx.Done():
		return ctx.Err()
	}
	r.Took = time.Since(begin)
	if err := stopCapture(); err != nil {
		return fmt.Errorf("stop capture: %w", err)
	}
	p.stop(syscall.SIGKILL)
	r.Output = out.String()
	switch {
	case r.Hung != s.Hangs:
		return fmt.Errorf("go hung: %v, expected %v; its output: %s", r.Hung, s.Hangs, r.Output)
	case !r.Hung && (r.Exit != 0) != s.Fails:
		return fmt.Errorf("go ended with code %d, expected an error: %v; its output: %s", r.Exit, s.Fails, r.Output)
	}
	return nil
}

// capture starts dumpcap at the client and returns when it listens.
func (l *Lab) capture(ctx context.Context, file string) (*process, error) {
	tool, err := exec.LookPath("dumpcap")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(tool, "-n", "-q", "-i", "eth0", "-w", file)
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
	case <-time.After(10 * time.Second):
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
