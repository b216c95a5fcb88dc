package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"goproxytrace/analyze"
	"goproxytrace/analyze/goproxy"
	"goproxytrace/capture"
	"goproxytrace/capture/engine"
	"goproxytrace/capture/hostlog"
	"goproxytrace/capture/nic"
	"goproxytrace/capture/owner"
	"goproxytrace/internal/terminal"
	"goproxytrace/live"
	"goproxytrace/live/command"
	"goproxytrace/recorder"
	"goproxytrace/report"
	"goproxytrace/report/messages"
)

// recorderFlags are those of live that only a flight recorder takes.
type recorderFlags struct {
	dir       string
	keepOK    string
	maxDisk   string
	maxMemory string
	full      bool

	// What the flags mean once they are checked.
	rate         float64
	disk, memory int64
}

// forRecorder are the flags of live that go with --recorder.
var forRecorder = []string{"recorder", "keep-ok", "max-disk", "max-memory", "full", "interface", "port", "filter", "engine", "duration", "quiet",
	"redact", "no-redact", "reveal", "redact-key", "color", "lang", "help"}

func (o *recorderFlags) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.dir, "recorder", "", "run until stopped, and write a case to `DIR` whenever a go command's download dies")
	f.StringVar(&o.keepOK, "keep-ok", "0", "with --recorder, keep this `RATE` of healthy builds too: 0 to 1, or a percentage (1%)")
	f.StringVar(&o.maxDisk, "max-disk", "1G", "with --recorder, keep DIR below this `SIZE`; what is oldest goes first")
	f.StringVar(&o.maxMemory, "max-memory", "128M", "with --recorder, stay below this `SIZE` of memory (at least 96M)")
	f.BoolVar(&o.full, "full", false, "with --recorder, keep all bytes, not only headers and handshakes")
}

// check finds what is wrong with the flags of a recorder.
func (o *liveOptions) checkRecorder(cmd *cobra.Command) error {
	r := &o.recorder
	if r.dir == "" {
		if cmd.Flags().Changed("recorder") {
			return usagef("--recorder needs a directory")
		}
		for _, name := range []string{"keep-ok", "max-disk", "max-memory", "full"} {
			if cmd.Flags().Changed(name) {
				return withHint(usagef("--%s is about a recorder", name), "goproxytrace live --recorder DIR --"+name+" …")
			}
		}
		return nil
	}
	if len(o.command) > 0 {
		return withHint(usagef("--recorder watches all go commands: it does not go with one behind --"), "goproxytrace live -w case.pcapng -- "+o.command[0]+" … captures one")
	}
	var wrong []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed && !slices.Contains(forRecorder, f.Name) {
			wrong = append(wrong, "--"+f.Name)
		}
	})
	if len(wrong) > 0 {
		return withHint(usagef("--recorder does not go with %s", strings.Join(wrong, ", ")), "a recorder writes cases/ and verdicts.ndjson in its directory, and nothing else")
	}
	if engine.Late(o.engine) {
		return usagef("--recorder does not go with --engine %s, whose packets come when the capture has ended", o.engine)
	}
	rate, percent := strings.CutSuffix(r.keepOK, "%")
	n, err := strconv.ParseFloat(rate, 64)
	if percent {
		n /= 100
	}
	if err != nil || !(n >= 0 && n <= 1) {
		return withHint(usagef("--keep-ok: %q is no rate", r.keepOK), "a number from 0 (none) to 1 (all), or a percentage: --keep-ok 1%")
	}
	r.rate = n
	for _, s := range []struct {
		flag, text string
		least      int64
		into       *int64
	}{{"--max-disk", r.maxDisk, recorder.MinDisk, &r.disk}, {"--max-memory", r.maxMemory, recorder.MinMemory, &r.memory}} {
		n, ok := parseSize(s.text)
		if !ok {
			return withHint(usagef("%s: %q is no size", s.flag, s.text), "a number of bytes, or one with k, M or G: "+s.flag+" 512M")
		}
		if n < s.least {
			return usagef("%s %s: a recorder needs at least %dM", s.flag, s.text, s.least>>20)
		}
		*s.into = n
	}
	return nil
}

// recorderBuffer is the kernel's memory for packets: an eighth of what the
// recorder may take, and not more than helps.
func recorderBuffer(memory int64) int { return int(min(memory/8, 16<<20)) }

// recorderChunks bounds what waits for its owner to be known: a sixteenth of what
// the recorder may take, in pieces of half a MiB.
func recorderChunks(memory int64) int { return int(min(memory>>23, 64)) }

// recording is a recorder at work.
type recording struct {
	o        *liveOptions
	std      streams
	recorder *recorder.Recorder
	ports    []uint16

	mu       sync.Mutex
	uncaught map[uint16]bool // ports that were warned of
	lines    sync.Mutex
}

// maxUncaught bounds the warnings of ports that are not captured.
const maxUncaught = 16

// runRecorder records until it is stopped.
func runRecorder(ctx context.Context, std streams, o *liveOptions) error {
	w := &recording{o: o, std: std, uncaught: map[uint16]bool{}}
	settings := live.Settings(ctx, command.Options{Env: os.Environ()}, false, time.Now())
	run := &liveRun{o: o, std: std, settings: settings}
	goSettings := run.goSettings(ctx)
	w.ports = live.Ports(endpointsOf(targetsOf(goSettings, os.Getenv)), o.report.portList)
	interfaces := o.interfaces
	if len(interfaces) == 0 {
		interfaces = []string{nic.Any} // those that come later, too
	}
	source, err := engine.Open(engine.Options{
		Engine: o.engine, Interfaces: interfaces, Ports: w.ports, Expression: o.filter, Await: true, Buffer: recorderBuffer(o.recorder.memory),
	})
	if err != nil {
		return cannotCapture(std, err)
	}
	defer source.Close()
	if w.recorder, err = recorder.New(w.options(source, goSettings)); err != nil {
		return explainRecorder(o.recorder.dir, err)
	}
	watch := owner.Options{}
	if o.filter == "" {
		watch.Ports = w.ports
	}
	owners, err := owner.Watch(watch)
	if err != nil {
		return cannotCapture(std, errors.Join(fmt.Errorf("which go commands run cannot be known: %w", err), w.recorder.Finish(0)))
	}
	takeTime(source, owners)
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(o.recorder.memory - int64(recorderBuffer(o.recorder.memory)) - programBytes)
	}
	session := live.New(live.Options{
		Source: source, Owners: owners, File: w.recorder, OnRecord: w.recorder.Learn, Warn: w.warn,
		Service: func(p uint16) bool { return slices.Contains(w.ports, p) },
		Chunks:  recorderChunks(o.recorder.memory),
	})
	w.begin(session, owners)
	if owners.Mechanism() == owner.None {
		listing := &recorder.Listing{Record: session.Record}
		asking, stop := context.WithCancel(ctx)
		defer stop()
		go func() {
			if err := listing.Run(asking); err != nil {
				w.warn(err)
			}
		}()
	}
	used := make([]string, len(interfaces))
	for i, name := range interfaces {
		used[i] = terminal.Clean(name)
	}
	w.say(fmt.Sprintf("goproxytrace: recording on %s (%s, owners from: %s) into %s", strings.Join(used, ", "), engine.Name(o.engine), owners.Mechanism(), terminal.Clean(o.recorder.dir)))
	if err := live.DropPrivileges(false, true); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		w.warn(err)
	}
	return w.run(ctx, session)
}

// programBytes is about what the program's own code, and the kernel's tables that it
// maps, take of memory.
const programBytes = 40 << 20

func (w *recording) options(source capture.Live, settings goproxy.Settings) recorder.Options {
	host, _ := os.Hostname() // empty where it has none
	return recorder.Options{
		Dir: w.o.recorder.dir, KeepOK: w.o.recorder.rate, MaxDisk: w.o.recorder.disk, MaxMemory: w.o.recorder.memory, Full: w.o.recorder.full,
		Application: "goproxytrace " + readBuildInfo().Version, OS: systemName(), Host: host,
		Report:       w.report,
		Analyze:      analyze.Options{Settings: settings, SettingsFrom: goproxy.FromGoEnv, Targets: settings.Hosts()},
		Surroundings: w.surroundings, Alive: recorder.Alive, Addresses: addressesHere, Counters: source.Counters,
		Say: w.say, Warn: w.warn,
	}
}

// begin tells the session what is known at its beginning.
func (w *recording) begin(session *live.Session, owners *owner.Watcher) {
	now := time.Now().UnixNano()
	if why := owners.Undropped(); why != "" {
		session.Record(&hostlog.Unread{Time: now, Source: owner.DropReasons, Why: why})
	}
	for _, text := range owners.Limits() {
		session.Record(&hostlog.Unread{Time: now, Source: "who owns the connections", Why: text})
	}
	// What ran before has sockets whose beginning nobody saw.
	running, _ := owner.GoProcesses() // those that can be read
	var pids []uint32
	for i := range running {
		session.Record(&running[i])
		pids = append(pids, running[i].PID)
	}
	if len(pids) > 0 {
		sockets, _ := owner.Sockets(pids)
		for i := range sockets {
			session.Record(&sockets[i])
		}
	}
}

// run records until a signal, the end of the duration, or of the capture.
func (w *recording) run(ctx context.Context, session *live.Session) error {
	signal.Reset(endSignals...)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, append(slices.Clone(endSignals), hangup...)...)
	defer signal.Stop(signals)
	ended := make(chan error, 1)
	go func() {
		_, err := session.Keep(context.WithoutCancel(ctx))
		ended <- err
	}()
	stop, tellEnded := asService()
	defer tellEnded()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var over <-chan time.Time
	if w.o.duration > 0 {
		over = time.After(w.o.duration)
	}
	var failed error
	for waiting := true; waiting; {
		select {
		case <-tick.C:
			w.recorder.Tick()
		case s := <-signals:
			if slices.Contains(hangup, s) {
				w.recorder.Reopen()
				continue
			}
			waiting = false
		case <-over:
			waiting = false
		case <-stop:
			waiting = false
		case <-ctx.Done():
			waiting = false
		case failed = <-ended:
			ended <- nil
			waiting = false
			if failed == nil {
				failed = errors.New("the capture has ended")
			}
		}
	}
	session.Stop()
	go func() {
		for s := range signals {
			if !slices.Contains(hangup, s) {
				os.Exit(exitInterrupted) // impatient: what is half is removed at the next start
			}
		}
	}()
	failed = errors.Join(failed, <-ended)
	return errors.Join(failed, w.recorder.Finish(finishLimit))
}

// finishLimit is how long the last cases may take: service managers wait for a
// minute or so.
const finishLimit = 30 * time.Second

// report is the recorder's.
func (w *recording) report(out io.Writer, result *analyze.Result, file string) (string, error) {
	docs, err := w.o.redaction.documents(result, func(messages.Language) string { return file }, report.Options{Version: readBuildInfo().Version})
	if err != nil {
		return "", err
	}
	doc := docs.in(messages.English)
	summary := doc.Verdict.Summary
	short, err := doc.Excerpt(maxReported)
	if err != nil {
		return "", err
	}
	return summary, report.WriteJSON(out, short, true)
}

// maxReported is how many connections, and lookups, a line of the log tells of;
// the case file has all.
const maxReported = 100

// surroundings says how a go command is set up, and warns where it asks a port
// that is not captured.
func (w *recording) surroundings(p *hostlog.Process) []*hostlog.Setting {
	how, ok := live.Surroundings(*p)
	if !ok {
		return nil
	}
	settings := live.Settings(context.Background(), how, false, time.Now())
	if w.o.filter != "" {
		return settings
	}
	for _, t := range targetsOf(settingsOf(settings), command.Lookup(how.Env)) {
		w.mu.Lock()
		fresh := t.Port != 0 && !slices.Contains(w.ports, t.Port) && !w.uncaught[t.Port] && len(w.uncaught) < maxUncaught
		if fresh {
			w.uncaught[t.Port] = true
		}
		w.mu.Unlock()
		if fresh {
			w.warn(fmt.Errorf("a go command (PID %d) asks %s on port %d, which is not captured: --port %d adds it", p.PID, terminal.Clean(t.Host), t.Port, t.Port))
		}
	}
	return settings
}

// addressesHere are this host's.
func addressesHere() (out []netip.Addr) {
	list, _ := net.InterfaceAddrs() // those that can be read
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(n.IP); ok {
				out = append(out, addr)
			}
		}
	}
	return out
}

// say writes a line to standard output, where a service's go.
func (w *recording) say(line string) {
	if w.o.quiet {
		return
	}
	w.lines.Lock()
	defer w.lines.Unlock()
	fmt.Fprintln(w.std.out, terminal.Clean(line))
}

func (w *recording) warn(err error) {
	w.lines.Lock()
	defer w.lines.Unlock()
	fmt.Fprintln(w.std.err, "goproxytrace: "+terminal.Clean(err.Error()))
}

// explainRecorder adds advice to an error of opening the directory.
func explainRecorder(dir string, err error) error {
	err = fmt.Errorf("recorder: %w", err)
	var failed *fs.PathError
	switch {
	case errors.Is(err, recorder.ErrInUse):
		return withHint(err, "give each recorder a directory of its own, or stop the other one")
	case errors.Is(err, os.ErrPermission):
		return withHint(err, "name a directory that this user may write: --recorder /var/lib/goproxytrace")
	case errors.As(err, &failed):
		return err // the system says it
	}
	return withHint(err, "a recorder wants a directory that nobody else may write: mkdir -m 700 DIR")
}
