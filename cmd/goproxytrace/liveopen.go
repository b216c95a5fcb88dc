package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"goproxytrace/analyze"
	"goproxytrace/analyze/goproxy"
	"goproxytrace/capture"
	"goproxytrace/capture/casefile"
	"goproxytrace/capture/engine"
	"goproxytrace/capture/hostevents"
	"goproxytrace/capture/hostlog"
	"goproxytrace/capture/owner"
	"goproxytrace/internal/terminal"
	"goproxytrace/live"
	"goproxytrace/live/command"
	"goproxytrace/live/screen"
)

// openScreen makes what the person sees meanwhile.
func (r *liveRun) openScreen() {
	mode := r.o.report.colorMode
	stderr := terminal.Detect(r.std.err, mode, os.Getenv)
	// With colour forced, Detect still says no where escapes are not
	// understood.
	escapes := terminal.Detect(r.std.err, terminal.Always, os.Getenv).Color && os.Getenv("TERM") != "dumb"
	if runtime.GOOS == "windows" {
		escapes = terminal.Detect(r.std.err, terminal.Always, os.Getenv).Color
	}
	f, _ := r.std.err.(*os.File)
	r.screen = screen.New(screen.Options{
		Out: r.std.err, Output: stderr, Live: stderr.Terminal && escapes, Quiet: r.o.quiet,
		Size: func() (int, int) { return terminalSize(f) },
	})
	if r.o.jsonLines {
		r.events = live.NewEvents(r.visible(r.std.out), time.Now)
	}
}

// visible makes room on the screen for what is written to w, if that is the
// same terminal.
func (r *liveRun) visible(w io.Writer) io.Writer {
	if terminal.Detect(w, terminal.Never, os.Getenv).Terminal {
		return r.screen.Through(w)
	}
	return w
}

// prepare finds out what is to be watched, without any right.
func (r *liveRun) prepare(ctx context.Context) error {
	r.how = command.Options{Args: r.o.command, Env: os.Environ()}
	if len(r.o.command) > 0 {
		if !r.o.asRoot {
			r.how.User = live.Invoker(os.Geteuid(), os.Getenv)
		}
		if r.how.User != nil {
			r.how.Env = command.Environment(r.how.Env, r.how.User)
		}
		if _, err := exec.LookPath(r.o.command[0]); err != nil {
			return explainCommand(r.o.command[0], r.how.User != nil, err)
		}
	} else if list := r.processesNow(); len(list) > 0 {
		if how, ok := live.Surroundings(list[0]); ok {
			r.how = how
		}
	}
	r.settings = live.Settings(ctx, r.how, !r.o.noGoEnv, time.Now())
	r.targets = targetsOf(r.goSettings(ctx), command.Lookup(r.how.Env))
	return nil
}

// goSettings are those of the command, with Go's defaults where it has none.
func (r *liveRun) goSettings(ctx context.Context) goproxy.Settings {
	s := settingsOf(r.settings)
	d, _ := goproxy.Load(ctx, false, func(name string) string {
		switch name {
		case "GOPROXY":
			return s.GOPROXY
		case "GOSUMDB":
			return s.GOSUMDB
		}
		return ""
	})
	s.GOPROXY, s.GOSUMDB = d.GOPROXY, d.GOSUMDB
	return s
}

// processesNow lists the processes to watch; go commands come first.
func (r *liveRun) processesNow() []hostlog.Process {
	var list []hostlog.Process
	if len(r.o.pids) > 0 {
		list, _ = live.Family(r.pids()) // none are found where none can be read
	} else {
		list, _ = owner.GoProcesses()
	}
	slices.SortStableFunc(list, func(a, b hostlog.Process) int {
		return goFirst(&a) - goFirst(&b)
	})
	return list
}

func goFirst(p *hostlog.Process) int {
	if strings.TrimSuffix(p.Name, ".exe") == "go" {
		return 0
	}
	return 1
}

// pids are those of --pid.
func (r *liveRun) pids() []uint32 {
	var out []uint32
	for _, p := range r.o.pids {
		out = append(out, uint32(p))
	}
	return out
}

// open opens the capture and all that goes with it.
func (r *liveRun) open(ctx context.Context) error {
	var err error
	running := len(r.o.command) > 0
	var pids []uint32
	if !running {
		for _, p := range r.processesNow() {
			pids = append(pids, p.PID)
		}
		if len(r.o.pids) > 0 && len(pids) == 0 {
			return withHint(fmt.Errorf("there is no process %d", r.o.pids[0]), "goproxytrace live without --pid finds running go commands")
		}
	}
	interfaces := r.o.interfaces
	late := engine.Late(r.o.engine)
	if len(interfaces) == 0 && !late {
		if interfaces, err = chooseInterfaces(ctx, slices.Clone(r.targets), peersOf(pids)); err != nil {
			return cannotCapture(r.std, err)
		}
	}
	ports := live.Ports(endpointsOf(r.targets), r.o.report.portList)
	r.source, err = engine.Open(engine.Options{
		Engine: r.o.engine, Interfaces: interfaces, Ports: ports, Expression: r.o.filter,
		// A command is not run without a capture: a mistyped name would
		// leave it without any.
		Await: !running,
	})
	if err != nil {
		return cannotCapture(r.std, err)
	}
	watch := owner.Options{Starts: running}
	if r.o.filter == "" {
		watch.Ports = ports
	}
	if r.owners, err = owner.Watch(watch); err != nil {
		r.owners = nil
		r.warn(fmt.Errorf("who owns the connections will not be known: %w", err))
	}
	takeTime(r.source, r.owners)
	r.logs = hostevents.Watch() // before the rights are given up
	if r.out, err = r.openOutputs(); err != nil {
		return err
	}
	application, system := "goproxytrace "+readBuildInfo().Version, systemName()
	info := capture.Info{Format: "live", Application: application, OS: system}
	if r.name = r.o.caseName(time.Now()); r.name != "" {
		info.Format = "pcapng"
		stdout, _ := r.std.out.(*os.File)
		r.file, err = casefile.Create(r.name, casefile.Options{
			OS: system, Application: application, MaxBytes: r.o.maxBytes, Ring: r.o.ring, Stdout: stdout,
		})
		if err != nil {
			return explainCase(r.name, err)
		}
	}
	r.newSession(info, ports)
	var used []string
	for _, i := range interfaces {
		used = append(used, terminal.Clean(i))
	}
	if late {
		used = []string{"all network adapters"}
	}
	for _, pid := range pids {
		if live.Elsewhere(pid) {
			r.warn(fmt.Errorf("process %d lives in another network namespace, whose packets are not captured from here: sudo nsenter -t %d -n goproxytrace live --pid %d", pid, pid, pid))
			break
		}
	}
	started := live.Started{
		Mode: "attach", Command: hostlog.RedactArgs(r.o.command), Interfaces: used, Ports: ports, Filter: r.o.filter, Engine: engine.Name(r.o.engine), Owners: owner.None, File: r.name,
	}
	if running {
		started.Mode = "command"
	}
	if r.o.filter != "" {
		started.Ports = nil // the filter stands in their place
	}
	if r.owners != nil {
		started.Owners = r.owners.Mechanism()
	}
	r.events.Write("start", started)
	r.screen.Say(fmt.Sprintf("goproxytrace: capturing on %s (%s, owners from: %s)", strings.Join(used, ", "), engine.Name(r.o.engine), started.Owners))
	// In the root user's own session the command keeps what root has.
	if err := live.DropPrivileges(len(pids) > 0, !running || r.how.User != nil); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		r.warn(err) // what a build with cgo cannot do, doctor tells
	}
	return nil
}

// takeTime lets the capture take its time where the owners do not depend on it.
func takeTime(source capture.Live, owners *owner.Watcher) {
	if p, ok := source.(capture.Patient); ok && (owners == nil || !owners.Hurried()) {
		p.TakeTime()
	}
}

// peersOf lists whom processes talk to.
func peersOf(pids []uint32) (out []netip.Addr) {
	if len(pids) == 0 {
		return nil
	}
	sockets, _ := owner.Sockets(pids) // what could be read comes all the same
	for _, s := range sockets {
		if a := s.Remote.Addr().Unmap(); a.IsValid() && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// lateHoldBack is how long records wait for the packets in front of them where
// those come when the capture has ended: longer than any capture.
const lateHoldBack = 365 * 24 * time.Hour

func (r *liveRun) newSession(info capture.Info, ports []uint16) {
	options := analyze.Options{
		Hosts: r.o.report.hosts, Trace: r.o.html != "",
		Observe: func(v *analyze.View) {
			r.display.View(v)
			r.events.View(v)
		},
	}
	options.Settings, options.SettingsFrom = r.goSettings(context.Background()), goproxy.FromGoEnv
	options.Targets = options.Settings.Hosts()
	so := live.Options{
		Source: r.source, Info: info, Analyze: options, MaxFrames: r.o.count,
		Service: func(p uint16) bool { return slices.Contains(ports, p) },
		Mine:    r.mine(), OnRecord: r.tree.Take, Warn: r.warn, Logs: r.logs,
	}
	if engine.Late(r.o.engine) {
		so.HoldBack = lateHoldBack
	}
	if r.owners != nil { // a nil *Watcher in an interface is not nil
		so.Owners = r.owners
	}
	if r.file != nil {
		so.File = r.file
	}
	r.session = live.New(so)
	r.display = &live.Display{
		Screen: r.screen, Counters: r.session.Counters, Table: len(r.o.command) == 0, Now: time.Now, Phase: r.phaseText,
	}
	for _, s := range r.settings {
		r.session.Record(s)
	}
	if r.owners != nil {
		if why := r.owners.Undropped(); why != "" {
			r.session.Record(&hostlog.Unread{Time: time.Now().UnixNano(), Source: owner.DropReasons, Why: why})
		}
	}
	for _, pid := range r.subjects() {
		r.session.Record(&hostlog.Subject{Time: time.Now().UnixNano(), PID: pid})
	}
}

// subjects are the processes that the session is about; none where it is about
// all. The command's number is not known before it runs, but whose child it is.
func (r *liveRun) subjects() []uint32 {
	if len(r.o.command) > 0 {
		return []uint32{uint32(os.Getpid())}
	}
	return r.pids()
}

// mine says which processes' connections are waited for at the end.
func (r *liveRun) mine() func(uint32) bool {
	if len(r.o.command) == 0 || r.owners == nil {
		return nil
	}
	return r.tree.Has
}

func (r *liveRun) openOutputs() (*outputs, error) {
	o := r.o.report
	if r.o.jsonLines || r.o.write == stdStream {
		// Standard output is taken; the report has no place there.
		return openOutputs(streams{r.std.in, r.std.err, r.std.err}, &o)
	}
	return openOutputs(r.std, &o)
}
