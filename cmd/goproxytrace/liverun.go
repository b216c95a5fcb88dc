package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"goproxytrace/analyze"
	"goproxytrace/capture"
	"goproxytrace/capture/casefile"
	"goproxytrace/capture/hostevents"
	"goproxytrace/capture/hostlog"
	"goproxytrace/capture/owner"
	"goproxytrace/internal/terminal"
	"goproxytrace/live"
	"goproxytrace/live/command"
	"goproxytrace/live/screen"
	"goproxytrace/report"
	"goproxytrace/report/messages"
)

// liveRun is one run of live.
type liveRun struct {
	o    *liveOptions
	std  streams
	stop *stopper

	screen  *screen.Screen
	events  *live.Events // nil for none
	out     *outputs
	owners  *owner.Watcher // nil where owners are unknown
	logs    *hostevents.Watcher
	source  capture.Live
	file    *casefile.Writer // nil for none
	name    string           // of the case file
	session *live.Session
	tree    live.Tree
	attach  *live.Attach
	display *live.Display

	how      command.Options // of the command, or of the process that is watched
	settings []*hostlog.Setting
	targets  []target

	interrupted atomic.Bool   // before the session has begun
	began       bool          // the session runs
	over        chan struct{} // it does no more

	mu    sync.Mutex
	phase string
	wrote bool // the command wrote to standard output
}

// abandonLimit bounds the wait for an engine's program when all is aborted.
const abandonLimit = 10 * time.Second

// undoLimit bounds the wait for what a capture has set up to be undone, where
// the user is impatient before it has begun.
const undoLimit = 5 * time.Second

// runLive captures, waits, and reports.
func runLive(ctx context.Context, std streams, o *liveOptions) error {
	r := &liveRun{o: o, std: std, stop: takeSignals()}
	defer r.stop.release()
	r.openScreen()
	if err := r.prepare(ctx); err != nil {
		return err
	}
	// What a capture sets up may outlive the process: an interrupt waits until
	// it can be undone.
	r.stop.set(func(os.Signal) { r.interrupted.Store(true) }, func(os.Signal) {
		time.AfterFunc(undoLimit, func() { os.Exit(exitInterrupted) })
	}, nil)
	err := r.open(ctx)
	defer r.close()
	switch {
	case err != nil:
		return err
	case r.interrupted.Load():
		return exitCode(exitInterrupted)
	}
	return r.run(ctx)
}

func (r *liveRun) phaseText() string {
	r.mu.Lock()
	attach, phase := r.attach, r.phase
	r.mu.Unlock()
	if attach != nil && phase == "" {
		text, processes, _ := attach.State()
		if processes > 0 {
			text = fmt.Sprintf("%s; %s", plural(processes, "process"), text)
		}
		return text
	}
	return phase
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if strings.HasSuffix(what, "s") {
		return fmt.Sprintf("%d %ses", n, what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (r *liveRun) say(phase string) {
	r.mu.Lock()
	r.phase = phase
	r.mu.Unlock()
}

// warn tells of trouble that ends nothing.
func (r *liveRun) warn(err error) {
	r.screen.Warn("goproxytrace: " + err.Error())
	r.events.Write("warning", struct {
		Text string `json:"text"`
	}{terminal.Clean(err.Error())})
}

// close releases what open has opened and run has not.
func (r *liveRun) close() {
	r.screen.Close()
	if !r.began {
		if r.owners != nil {
			r.owners.Close()
		}
		if r.logs != nil {
			r.logs.Abandon()
			_ = r.logs.Close()
		}
		if r.file != nil {
			_ = r.file.Close() // there is nothing in it yet
		}
	}
	if r.source != nil {
		r.source.Close()
		if k, ok := r.source.(interface{ Kept() string }); ok {
			r.tellKept(k.Kept())
		}
	}
	if r.out != nil {
		r.out.abort()
	}
}

// tellKept says where packets are that nobody has read.
func (r *liveRun) tellKept(dir string) {
	if dir != "" {
		complain(r.std, withHint(fmt.Errorf("what was captured is kept in %s", terminal.Clean(dir)), "pktmon etl2pcap FILE.etl --out FILE.pcapng converts it for analyze"))
	}
}

// run is the session from its first packet to its report.
func (r *liveRun) run(ctx context.Context) error {
	type ending struct {
		result *analyze.Result
		counts live.Counts
		err    error
	}
	r.began = true
	ended := make(chan ending, 1)
	r.over = make(chan struct{})
	go func() {
		result, counts, err := r.session.Run(ctx)
		close(r.over)
		ended <- ending{result, counts, err}
	}()
	painted, paint := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(painted)
		r.display.Run(paint)
	}()
	var aborting atomic.Bool
	abort := func(os.Signal) {
		aborting.Store(true)
		r.session.Abort()
		r.screen.Close()
		if a, ok := r.source.(interface {
			Abandon(time.Duration) string
		}); ok {
			r.tellKept(a.Abandon(abandonLimit))
		}
		os.Exit(exitInterrupted)
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-r.over:
			stop()
		case <-watching.Done():
		}
	}()
	code := exitDone
	var exit *command.Exit
	var failed error
	if len(r.o.command) > 0 {
		exit, failed = r.runCommand(watching, abort)
		if exit != nil {
			code = exit.Status()
		}
	} else {
		r.stop.set(func(os.Signal) { stop() }, abort, nil)
		if r.interrupted.Load() {
			stop()
		}
		r.watch(watching)
	}
	r.limits()
	r.say("reading this machine's logs, analysing")
	r.session.Stop()
	e := <-ended
	if aborting.Load() {
		select {} // the session ended for that: what aborts ends the program, too
	}
	close(paint)
	<-painted
	if e.result != nil {
		defer e.result.Close()
	}
	if failed != nil {
		return failed
	}
	return r.finish(e.result, e.counts, e.err, exit, code)
}

// limits records what the watchers could not see.
func (r *liveRun) limits() {
	if r.owners == nil {
		return
	}
	for _, text := range r.owners.Limits() {
		r.session.Record(&hostlog.Event{Time: time.Now().UnixNano(), Origin: "owners", Text: text})
	}
}

// finish reports.
func (r *liveRun) finish(result *analyze.Result, counts live.Counts, err error, exit *command.Exit, code int) error {
	if err != nil {
		complain(r.std, err)
		if exit == nil {
			code = codeOf(err)
		}
	}
	r.screen.Say(counted(counts.Captured, counts.Counters, r.files(), counts.Written, r.endedEarly()))
	if result == nil {
		return exitCode(max(code, exitError))
	}
	title := func(l messages.Language) string {
		if files := r.files(); len(files) == 1 && r.name != stdStream {
			return files[0]
		}
		return l.Label("capture.live")
	}
	docs, err := r.o.report.redaction.documents(result, title, report.Options{Version: readBuildInfo().Version})
	if err != nil {
		complain(r.std, err)
		return exitCode(max(code, exitError))
	}
	doc := docs.in(messages.English)
	judged := live.Judged{
		Class: doc.Verdict.Class, Stage: doc.Verdict.Stage, Place: append([]string{}, doc.Verdict.Place...), Level: doc.Verdict.Level, Summary: doc.Verdict.Summary,
		Captured: counts.Captured, Received: int64(counts.Received), Dropped: int64(counts.Dropped),
	}
	if exit != nil {
		status := exit.Status()
		judged.Exit = &status
	}
	r.events.Write("verdict", judged)
	if err := r.write(docs); err != nil && !terminal.IsBrokenPipe(err) {
		complain(r.std, err)
		code = worse(code, exitError)
	}
	if r.out.o.classes.Holds(doc) {
		code = exitFound
	}
	if code != exitDone {
		return exitCode(code)
	}
	return nil
}

// endedEarly says how the case file came to a premature end, nil where it has
// not.
func (r *liveRun) endedEarly() *casefile.StoppedError {
	var stopped *casefile.StoppedError
	if r.file != nil {
		errors.As(r.file.Err(), &stopped)
	}
	return stopped
}

// files names what was written.
func (r *liveRun) files() []string {
	if r.file == nil {
		return nil
	}
	return r.file.Files()
}

// write writes the report to where the command's own output is not disturbed.
func (r *liveRun) write(docs *documents) error {
	defer r.out.abort()
	if r.o.jsonLines {
		return errors.Join(r.events.Err(), r.out.files(docs), r.out.commit())
	}
	stdout := terminal.Detect(r.std.out, terminal.Never, os.Getenv).Terminal
	r.mu.Lock()
	wrote := r.wrote
	r.mu.Unlock()
	if wrote && !stdout && !r.out.quiet() {
		r.out.std.out = r.std.err
		r.out.screen = terminal.Detect(r.std.err, r.o.report.colorMode, os.Getenv)
	}
	if len(r.o.command) > 0 && terminal.Detect(r.out.std.out, terminal.Never, os.Getenv).Terminal {
		fmt.Fprintln(r.out.std.out)
	}
	return errors.Join(r.out.write(docs, 0), r.out.commit())
}
