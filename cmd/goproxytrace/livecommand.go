package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"goproxytrace/capture/hostlog"
	"goproxytrace/live/command"
)

// runCommand runs the command and waits until its traffic is over, too.
func (r *liveRun) runCommand(ctx context.Context, abort func(os.Signal)) (*command.Exit, error) {
	o := r.how
	o.Stdin, _ = r.std.in.(*os.File)
	o.Stdout, _ = r.std.out.(*os.File)
	o.Stderr, _ = r.std.err.(*os.File)
	o.Out, o.Err = r.visible(r.std.out), r.visible(r.std.err)
	if r.o.jsonLines || r.o.json == stdStream || r.o.markdown == stdStream || r.o.table == stdStream || r.o.write == stdStream {
		o.Stdout, o.Out = o.Stderr, o.Err
	} else {
		o.Out = &noticed{o.Out, func() {
			r.mu.Lock()
			r.wrote = true
			r.mu.Unlock()
		}}
	}
	if r.owners != nil {
		o.Start = r.owners.Start
	}
	pid := make(chan uint32, 1)
	var mine uint32
	o.Line = func(stream, text string) {
		if mine == 0 {
			mine = <-pid
		}
		l := &hostlog.Line{Time: time.Now().UnixNano(), PID: mine, Stream: stream, Text: text}
		r.session.Record(l)
		r.events.Write("line", struct {
			PID    uint32 `json:"pid"`
			Stream string `json:"stream"`
			Text   string `json:"text"`
		}{l.PID, l.Stream, hostlog.RedactText(l.Text)})
	}
	c, err := command.Start(o)
	if err != nil {
		return nil, explainCommand(o.Args[0], o.User != nil, err)
	}
	defer c.Close()
	id := uint32(c.PID())
	pid <- id
	r.tree.Add(id, filepath.Base(o.Args[0]))
	if r.owners == nil {
		r.session.Record(&hostlog.Process{
			Time: time.Now().UnixNano(), PID: id, Parent: uint32(os.Getpid()), Name: filepath.Base(o.Args[0]), Args: o.Args, Source: hostlog.Inferred,
		})
	}
	pass := func(s os.Signal) {
		if !fromTerminal(s) || command.ForwardsInterrupts() {
			_ = c.Signal(s) // it may have ended meanwhile
		}
		r.say("waiting for the command to end; Ctrl-C again aborts")
	}
	r.stop.set(pass, abort, nil)
	r.say("running " + filepath.Base(o.Args[0]) + r.lateness())
	exit := c.Wait()
	r.session.Record(&hostlog.Exit{Time: time.Now().UnixNano(), PID: id, Code: exit.Code, Signal: exit.Signal})
	r.stop.set(func(os.Signal) { r.session.Stop() }, abort, nil)
	r.say("the command has ended; waiting for its connections to close")
	r.session.Settle(ctx)
	return &exit, nil
}

// noticed tells when something is written.
type noticed struct {
	w    io.Writer
	tell func()
}

func (n *noticed) Write(b []byte) (int, error) {
	n.tell()
	return n.w.Write(b)
}

// explainCommand adds advice to an error of starting a command.
func explainCommand(name string, sudo bool, err error) error {
	err = fmt.Errorf("the command: %w", err)
	if errors.Is(err, exec.ErrNotFound) && sudo {
		return withHint(err, fmt.Sprintf("sudo has a PATH of its own: sudo env PATH=$PATH goproxytrace live -- %s", name))
	}
	return err
}
