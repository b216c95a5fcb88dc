package lab

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// UnstagedError says that a scenario's fault did not take place as it has it, or
// another did.
type UnstagedError struct{ Got, Want string }

func (e *UnstagedError) Error() string { return e.Got + ", want " + e.Want }

// Run plays a scenario and leaves its capture in dir as NAME.pcapng. The same
// seed gives the same choices of the middlebox, as far as the same packets come.
// One whose fault did not take place says nothing about who judges its capture:
// it is played once more.
func Run(ctx context.Context, s Scenario, dir string, seed uint64) (*Result, error) {
	r, err := play(ctx, s, dir, seed)
	if first, ok := errors.AsType[*UnstagedError](err); ok && ctx.Err() == nil {
		if r, err = play(ctx, s, dir, seed); err == nil {
			r.Unstaged = first.Error()
		} else {
			err = fmt.Errorf("%w; before that %w", err, first)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("scenario %s: %w", s.Name, err)
	}
	return r, nil
}

func play(ctx context.Context, s Scenario, dir string, seed uint64) (*Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, drawn := s.Vary(seed)
	s.fill()
	sums, err := newSumDB(s.Modules)
	if err != nil {
		return nil, err
	}
	ca, err := newAuthority("Lab Root")
	if err != nil {
		return nil, err
	}
	home, err := os.MkdirTemp("", "lab-home-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(home)
	for name, data := range map[string][]byte{"main/go.mod": mainModule(s.Modules), "ca.pem": ca.pem()} {
		f := filepath.Join(home, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(f), 0o755), os.WriteFile(f, data, 0o644)); err != nil {
			return nil, err
		}
	}
	l, err := newLab(ctx, &s.Path, seedOf(seed, s.Name))
	if err != nil {
		return nil, err
	}
	defer l.close()
	defer cancel() // before close: hooks that wait let go of their connections
	if err := l.serve(ctx, &s, ca, sums, home); err != nil {
		return nil, err
	}
	r := &Result{Scenario: s.Name, About: s.About, Seed: seed, Truth: s.Truth, Targets: s.targets(), Drawn: drawn, Capture: filepath.Join(dir, s.Name+".pcapng")}
	if err := l.inspect(ctx, s.Inspector, ca, home); err != nil {
		return nil, err
	}
	running, err := l.captures(ctx, &s, r)
	if err != nil {
		return nil, err
	}
	err = download(ctx, l, &s, s.environment(home, sums), home, r, func() error {
		// The last packets need a moment to reach the capture, and the far end
		// of a long path one to answer a FIN.
		pause(ctx, max(s.Linger, 700*time.Millisecond+2*s.Path.RTT))
		return running.stop()
	})
	// Once more for the paths that did not come so far; no harm otherwise.
	running.stop()
	if err != nil {
		return nil, err
	}
	if d := time.Duration(l.overslept.Load()); d > 0 {
		return nil, &UnstagedError{fmt.Sprintf("the body's end came %v behind its data", d), fmt.Sprintf("%v at most", longestQuiet)}
	}
	if s.Inspector != nil {
		if err := ownPackets(r.Capture, r.PID); err != nil {
			return nil, err
		}
	}
	if r.Late = l.box.lateness(); s.Path.Least > 0 && r.Late > s.Path.Least/4 {
		// A forger who is not in time shows nothing by his time: the capture is
		// that of one whom nobody can tell from the far end.
		for _, p := range []string{"network", "remote"} {
			if !slices.Contains(r.Truth.Widest, p) && len(r.Truth.Widest) > 0 {
				r.Truth.Widest = append(slices.Clone(r.Truth.Widest), p)
			}
		}
	}
	r.Dropped, r.Injected = l.box.dropped.Load(), l.box.injected.Load()
	r.Deeds = l.box.told()
	return r, ctx.Err()
}

// fill gives what the scenario leaves open its value.
func (s *Scenario) fill() {
	if s.Modules == nil {
		s.Modules = DefaultModules()
	}
	if s.Limit == 0 {
		s.Limit = 2 * time.Minute
	}
	if s.GOPROXY == "" {
		s.GOPROXY = "https://" + ProxyName
	}
	switch {
	case s.Path.RTT == 0:
		s.Path.RTT = 25 * time.Millisecond
	case s.Path.RTT < 0:
		s.Path.RTT = 0
	}
	s.Path.MTU, s.Path.FarMTU = cmp.Or(s.Path.MTU, 1500), cmp.Or(s.Path.FarMTU, 1500)
	if s.Path.Hops == 0 {
		s.Path.Hops = 9
	}
}

// targets are the hosts of GOPROXY and GOSUMDB.
func (s *Scenario) targets() (out []string) {
	for part := range strings.FieldsFuncSeq(s.GOPROXY, func(r rune) bool { return r == ',' || r == '|' }) {
		if host, ok := strings.CutPrefix(part, "https://"); ok {
			out = append(out, host)
		}
	}
	if s.Sums != NoSums {
		out = append(out, SumDBName)
	}
	return out
}

// environment is the whole environment of the go command.
func (s *Scenario) environment(home string, sums *sumDB) []string {
	ca := filepath.Join(home, "ca.pem")
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GOPATH=" + filepath.Join(home, "go"),
		"GOCACHE=" + filepath.Join(home, "cache"), "GOENV=off", "GOFLAGS=-modcacherw", "GOTOOLCHAIN=local", "GOTELEMETRY=off",
		"GOPROXY=" + s.GOPROXY,
		"SSL_CERT_FILE=" + ca, "SSL_CERT_DIR=" + filepath.Join(home, "none"), "GIT_SSL_CAINFO=" + ca, "GIT_CONFIG_NOSYSTEM=1",
	}
	if s.Sums == NoSums {
		env = append(env, "GOSUMDB=off")
	} else {
		env = append(env, "GOSUMDB="+sums.key+" https://"+SumDBName)
	}
	if s.Tunnel != nil {
		env = append(env, "HTTPS_PROXY="+s.Tunnel.Scheme+"://"+tunnelAddr.v4.String()+":"+tunnelPort)
	}
	if s.Inspector != nil && s.Inspector.Asked {
		env = append(env, "HTTPS_PROXY=http://127.0.0.1:"+s.Inspector.port())
	}
	return append(env, s.Env...)
}

// download runs the go command to its end or the limit. The capture ends
// before a command that still runs is killed.
func download(ctx context.Context, l *Lab, s *Scenario, env []string, home string, r *Result, stopCapture func() error) error {
	if s.Program != nil {
		return substitute(ctx, l, s, r, stopCapture)
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		return err
	}
	cmd := exec.Command(goTool, "mod", "download")
	cmd.Dir, cmd.Env = filepath.Join(home, "main"), env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	begin := time.Now()
	p, err := start(l.client, cmd)
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.command = p
	l.mu.Unlock()
	defer p.stop(syscall.SIGKILL)
	r.PID = cmd.Process.Pid
	if s.While != nil {
		go s.While(ctx, l)
	}
	limit := time.NewTimer(s.Limit)
	defer limit.Stop()
	select {
	case <-p.done:
		r.Exit = cmd.ProcessState.ExitCode()
	case <-limit.C:
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
	return s.ended(r)
}

// substitute runs the scenario's own program in place of the go command.
func substitute(ctx context.Context, l *Lab, s *Scenario, r *Result, stopCapture func() error) error {
	begin := time.Now()
	limited, cancel := context.WithTimeout(ctx, s.Limit)
	defer cancel()
	if err := s.Program(limited, l); err != nil {
		r.Exit, r.Output = 1, err.Error()
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r.Hung, r.Took = limited.Err() != nil, time.Since(begin)
	if err := stopCapture(); err != nil {
		return fmt.Errorf("stop capture: %w", err)
	}
	return s.ended(r)
}

// ended says how the go command's end differs from what the scenario expects, as
// an *UnstagedError.
func (s *Scenario) ended(r *Result) error {
	end := Succeeds
	switch {
	case r.Hung:
		end = Hangs
	case r.Exit != 0:
		end = Fails
	}
	if s.End != end {
		return &UnstagedError{fmt.Sprintf("go ended with code %d (hung: %v) after %v; its output: %q", r.Exit, r.Hung, r.Took, r.Output), s.End.String()}
	}
	said := func(text string) bool { return strings.Contains(r.Output, text) }
	if !slices.ContainsFunc(strings.Split(s.Says, "|"), said) {
		return &UnstagedError{fmt.Sprintf("go said %q", r.Output), fmt.Sprintf("%q in it", s.Says)}
	}
	return nil
}
