// Package cluster runs Prism's job server and Beam workers as processes of their
// own on this machine.
//
// In goes how to start one, out come addresses. A process that has died is
// started again when its address is asked for: a file that takes a worker down
// does not take the run down. All end with the process that started them, however
// that ends: they watch their standard input, whose other end closes with it.
package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// readyWithin is how long a process may take to say where it listens.
const readyWithin = 30 * time.Second

// Command starts a program that writes the address at which it listens as the
// first line of its standard output, and ends when its standard input does.
type Command func() *exec.Cmd

// Cluster is a job server with its workers.
type Cluster struct {
	server  *process
	workers []*process
}

// New returns a cluster of one job server and some workers. Nothing runs yet.
func New(server, worker Command, workers int) *Cluster {
	c := &Cluster{server: &process{command: server, name: "job server"}}
	for i := range workers {
		c.workers = append(c.workers, &process{command: worker, name: fmt.Sprintf("worker %d", i+1)})
	}
	return c
}

// Endpoint returns where the job server answers.
func (c *Cluster) Endpoint(ctx context.Context) (string, error) { return c.server.address(ctx) }

// Workers returns where the workers answer.
func (c *Cluster) Workers(ctx context.Context) ([]string, error) {
	out := make([]string, len(c.workers))
	errs := make([]error, len(c.workers))
	var all sync.WaitGroup
	for i, p := range c.workers {
		all.Go(func() { out[i], errs[i] = p.address(ctx) })
	}
	all.Wait()
	return out, errors.Join(errs...)
}

// PIDs returns the processes of the workers; zero for one that does not run.
func (c *Cluster) PIDs() []int {
	var out []int
	for _, p := range c.workers {
		out = append(out, p.pid())
	}
	return out
}

// Stop ends all processes.
func (c *Cluster) Stop() {
	c.server.stop()
	for _, p := range c.workers {
		p.stop()
	}
}

type process struct {
	command Command
	name    string

	mu    sync.Mutex
	cmd   *exec.Cmd
	stdin io.Closer
	at    string
	ended chan struct{} // closed when cmd has ended
}

// address starts the process unless it runs.
func (p *process) address(ctx context.Context) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// One that was killed may not be known to have ended yet; it is by whether it
	// answers.
	if p.cmd != nil {
		if len(Answering(ctx, []string{p.at})) > 0 {
			return p.at, nil
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
	if err := p.start(ctx); err != nil {
		return "", fmt.Errorf("%s: %w", p.name, err)
	}
	return p.at, nil
}

func (p *process) start(ctx context.Context) error {
	cmd := p.command()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	p.cmd, p.stdin, p.ended = cmd, stdin, make(chan struct{})
	said := make(chan string, 1)
	ended := p.ended
	go func() {
		b := bufio.NewReader(stdout)
		line, _ := b.ReadString('\n')
		said <- strings.TrimSpace(line)
		_, _ = io.Copy(io.Discard, b)
		_ = cmd.Wait()
		close(ended)
	}()
	select {
	case p.at = <-said:
	case <-time.After(readyWithin):
		err = fmt.Errorf("it did not say within %v where it listens", readyWithin)
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err == nil && p.at == "" {
		err = errors.New("it ended before it listened")
	}
	if err != nil {
		_ = cmd.Process.Kill()
		<-ended
	}
	return err
}

func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	select {
	case <-p.ended:
		return 0
	default:
		return p.cmd.Process.Pid
	}
}

// stopWithin is how long a process may take to end by itself.
const stopWithin = 3 * time.Second

func (p *process) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return
	}
	_ = p.stdin.Close()
	select {
	case <-p.ended:
	case <-time.After(stopWithin):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// Answering returns those of some addresses at which somebody listens.
func Answering(ctx context.Context, addresses []string) []string {
	ok := make([]bool, len(addresses))
	var all sync.WaitGroup
	for i, a := range addresses {
		all.Go(func() {
			d := net.Dialer{Timeout: 5 * time.Second}
			conn, err := d.DialContext(ctx, "tcp", a)
			if ok[i] = err == nil; ok[i] {
				_ = conn.Close()
			}
		})
	}
	all.Wait()
	var out []string
	for i, a := range addresses {
		if ok[i] {
			out = append(out, a)
		}
	}
	return out
}
