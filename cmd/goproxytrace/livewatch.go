package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/term"

	"goproxytrace/capture/engine"
	"goproxytrace/capture/hostlog"
	"goproxytrace/capture/owner"
	"goproxytrace/live"
)

// watch watches processes that run already.
func (r *liveRun) watch(ctx context.Context) {
	a := live.NewAttach(live.AttachOptions{
		Found:    live.Found{GoProcesses: owner.GoProcesses, Family: live.Family, Sockets: owner.Sockets},
		Duration: r.o.duration,
		Record:   func(rec hostlog.Record) { r.session.Record(rec) },
		Moved:    r.moved,
		Tree:     &r.tree,
		PIDs:     r.pids(),
	})
	if engine.Late(r.o.engine) {
		phase := "Ctrl-C ends the capture"
		if r.o.duration > 0 {
			phase = fmt.Sprintf("for %v", r.o.duration)
		}
		r.say(phase + r.lateness())
	}
	r.mu.Lock()
	r.attach = a
	r.mu.Unlock()
	reason := a.Run(ctx)
	select {
	case <-r.over:
		reason = "the capture has ended"
	default:
	}
	r.screen.Say(fmt.Sprintf("goproxytrace: %s", reason))
	if err := a.Err(); err != nil {
		r.warn(fmt.Errorf("looking at the processes' sockets: %w", err))
	}
	if reason == live.ProcessesOver {
		r.session.Settle(ctx)
	}
}

// moved is when payload was last seen to move. Where packets come when the
// capture has ended silence cannot be seen, and so ends nothing.
func (r *liveRun) moved() time.Time {
	if engine.Late(r.o.engine) {
		return time.Now()
	}
	return r.session.Activity().Moved
}

// lateness says in a phase that there are no packets to be seen yet.
func (r *liveRun) lateness() string {
	if engine.Late(r.o.engine) {
		return "; " + engine.Name(r.o.engine) + " hands the packets over when that has ended"
	}
	return ""
}

// terminalSize returns a terminal's columns and rows, zeros where f is none.
func terminalSize(f *os.File) (columns, rows int) {
	if f == nil {
		return 0, 0
	}
	columns, rows, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0, 0
	}
	return columns, rows
}
