package lab

import (
	"errors"
	"os/exec"
	"syscall"
	"time"
)

// process is a program started in a namespace, with its children a process
// group of its own.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

func start(ns string, cmd *exec.Cmd) (*process, error) {
	path, err := exec.LookPath("ip")
	if err != nil {
		return nil, err
	}
	cmd.Args = append([]string{"ip", "netns", "exec", ns, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = path
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// A grandchild that holds the output open must not hold up the lab.
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

func (p *process) signal(s syscall.Signal) {
	select {
	case <-p.done: // reaped: its id may be another's by now
	default:
		syscall.Kill(-p.cmd.Process.Pid, s)
	}
}

// stop ends the process, politely first: the signal comes again every other
// second, since a program on a busy machine may miss one as it begins to wait.
func (p *process) stop(s syscall.Signal) error {
	for range 7 {
		p.signal(s)
		select {
		case <-p.done:
			return nil
		case <-time.After(2 * time.Second):
		}
	}
	p.signal(syscall.SIGKILL)
	<-p.done
	return errors.New("did not end on " + s.String())
}
