package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"goproxytrace/capture"
	"goproxytrace/capture/casefile"
	"goproxytrace/capture/engine"
	"goproxytrace/capture/nic"
)

// liveOptions are the flags of live.
type liveOptions struct {
	command    []string // what follows --; empty to attach
	engine     string
	interfaces []string
	ports      []int
	hosts      []string
	duration   time.Duration
	count      int64
	pids       []uint
	write      string
	save       bool
	ring       int
	maxSize    string
	filter     string
	json       string
	html       string
	markdown   string
	table      string
	failOn     string
	color      string
	lang       string
	jsonLines  bool
	quiet      bool
	list       bool
	asRoot     bool
	noGoEnv    bool
	redaction  redaction
	recorder   recorderFlags

	// What the flags mean once they are checked.
	report   analyzeOptions
	maxBytes int64
}

func newLiveCommand(std streams) *cobra.Command {
	o := &liveOptions{}
	cmd := &cobra.Command{
		Use:   "live [-- COMMAND...]",
		Short: "Capture a module download and say where it died",
		Long: `Live captures while a go command downloads modules, finds out which process owns
which connection, and reports as analyze does.

With a command behind --, it captures first, then runs the command as if you
had run it yourself, follows what that starts, and stops when it has ended and
its connections are closed, or the wire is quiet (5 s at most). Its exit code is
the command's (128 and the signal's number where a signal ended it). Where
nothing can be captured the command is not run and the exit code is 4. Under
sudo the command runs as the user who called sudo, so that the go command's
caches stay that user's; --as-root keeps it root's. (sudo clears variables such
as GOPROXY: sudo -E keeps them, and setcap, which doctor explains, needs no sudo.)
The report goes to standard output, or to standard error where the command wrote
to a standard output that is no terminal; with --json, --markdown or
--json-lines the command's standard output goes to standard error.

Without a command, it looks for go commands that run already, notes the state
of their sockets, and watches until every quiet connection has answered a
keep-alive or 35 s have passed without progress, which contain a round of
keep-alives: only then is silence evidence. Where no go command runs, it
captures until Ctrl-C.

What this machine's packet filter, firewall or security products recorded of the
connections meanwhile is read at the end, for a few seconds at most, and stands in
the case file too; doctor shows what cannot be read.

Ctrl-C once ends the capture, analyses and reports; twice aborts, with the case
file complete. Captured are ports 443, 53, 80 and 22, those in GOPROXY, GOSUMDB
and of a CONNECT proxy, those of --port, and ICMP and ARP.

With --recorder it runs until it is stopped, for weeks if need be: it keeps the
latest packets in memory (headers and handshakes, unless --full), watches every
go command of this machine, and writes a case file and a line of verdicts.ndjson
into DIR only when a download has died, from before its first packet to its end,
or, with --keep-ok, for a sample of healthy builds. SIGHUP has verdicts.ndjson
opened anew; SIGTERM and Ctrl-C end it with exit code 0.

On Windows packets come from Npcap, or with --engine pktmon from what Windows 10
has since version 2004: as administrator, from all network adapters without
loopback, and only when the capture ends. Without a command such a session ends
with the processes, with --duration or with Ctrl-C, not with silence.

Exit codes: the command's own; 0 done, 1 error, 2 wrong command line, 4 cannot
capture, 10 --fail-on holds, 130 aborted.`,
		Example: `  goproxytrace live -- go mod download
  goproxytrace live --save -- go build ./...
  goproxytrace live
  goproxytrace live --pid 4120 -w case.pcapng
  goproxytrace live -i any --duration 1m --json=report.json
  goproxytrace live --recorder /var/lib/goproxytrace --max-disk 2G`,
		Args: func(cmd *cobra.Command, args []string) error {
			o.command = nil
			switch dash := cmd.ArgsLenAtDash(); {
			case dash > 0, dash < 0 && len(args) > 0:
				return withHint(usagef("%s takes no argument, got %q", cmd.CommandPath(), args[0]), "the command to run follows --: goproxytrace live -- go mod download")
			case dash == 0 && len(args) == 0:
				return withHint(usagef("no command behind --"), "goproxytrace live -- go mod download; without -- it looks for go commands that run already")
			case dash == 0:
				o.command = args
			}
			if err := o.checkRecorder(cmd); err != nil {
				return err
			}
			return o.check()
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.list {
				return listInterfaces(std, o.json == stdStream)
			}
			if o.recorder.dir != "" {
				return runRecorder(cmd.Context(), std, o)
			}
			return runLive(cmd.Context(), std, o)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := cmd.Flags()
	f.StringVar(&o.engine, "engine", engine.Auto, "capture with this `ENGINE`: auto; on Windows also npcap or pktmon")
	f.StringSliceVarP(&o.interfaces, "interface", "i", nil, "capture on this `INTERFACE`: a name, its number from -D, or any (repeatable; default: those that lead to the servers, and loopback)")
	f.BoolVarP(&o.list, "list-interfaces", "D", false, "list the interfaces and exit")
	f.IntSliceVar(&o.ports, "port", nil, "capture this `PORT` too (repeatable)")
	f.StringSliceVar(&o.hosts, "host", nil, "report only connections and lookups of this `HOST` (name or address; repeatable)")
	f.StringVar(&o.filter, "filter", "", "capture what this `EXPRESSION` in tcpdump's syntax selects, instead of ports")
	f.UintSliceVar(&o.pids, "pid", nil, "watch this process and what it starts (repeatable)")
	f.DurationVar(&o.duration, "duration", 0, "stop after this `TIME` (90s, 5m)")
	f.Int64VarP(&o.count, "count", "c", 0, "stop after this `NUMBER` of packets")
	f.StringVarP(&o.write, "write", "w", "", "write the case file, with packets, owners and all that the host said, to `FILE`")
	f.BoolVar(&o.save, "save", false, "write the case file to goproxytrace-DATE-TIME.pcapng")
	f.StringVar(&o.maxSize, "max-size", "", "end the case file at this `SIZE` (500k, 64M, 2G); with --ring, of all files together")
	f.IntVar(&o.ring, "ring", 0, "keep the newest `N` files, of --max-size together (64M unless set; 512k or more each)")
	f.StringVar(&o.json, "json", "", "write the whole report as JSON to `FILE`, to standard output without =FILE")
	f.Lookup("json").NoOptDefVal = stdStream
	addHTMLFlag(cmd, &o.html)
	addMarkdownFlag(cmd, &o.markdown)
	f.BoolVar(&o.jsonLines, "json-lines", false, "write what happens as NDJSON to standard output while it does, instead of the report")
	f.StringVar(&o.table, "connections", "", "write the table of all connections as CSV to `FILE`")
	f.StringVar(&o.failOn, "fail-on", "", "exit with 10 if the verdict is one of `CLASSES`: tls.reset, tls.* or any, comma-separated")
	f.BoolVar(&o.asRoot, "as-root", false, "under sudo, run the command as root")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "no status, only warnings and the report")
	f.BoolVar(&o.noGoEnv, "no-go-env", false, "do not ask go env for the settings")
	addColorFlag(cmd, &o.color)
	addLanguageFlag(cmd, &o.lang)
	o.redaction.addFlags(cmd)
	o.recorder.addFlags(cmd)
	showOptionalFiles(cmd)
	return cmd
}

// check finds what is wrong with the command line.
func (o *liveOptions) check() error {
	running := len(o.command) > 0
	switch {
	case o.write != "" && o.save:
		return usagef("-w and --save both name the case file")
	case o.ring != 0 && o.ring < 2:
		return usagef("--ring %d: a ring has at least 2 files", o.ring)
	case (o.ring != 0 || o.maxSize != "") && o.write == "" && !o.save:
		return usagef("--ring and --max-size need a case file: -w FILE or --save")
	case running && len(o.pids) > 0:
		return usagef("--pid watches processes that run already: it does not go with a command")
	case running && o.duration != 0:
		return withHint(usagef("--duration does not go with a command, which runs until it ends"), "to limit the command: goproxytrace live -- timeout 60 go mod download")
	case o.duration < 0:
		return usagef("--duration %v: want more than nothing", o.duration)
	case o.count < 0:
		return usagef("--count %d: want a positive number", o.count)
	case o.asRoot && !running:
		return usagef("--as-root is about the command behind --")
	}
	if err := o.checkEngine(); err != nil {
		return err
	}
	outputs := 0
	for _, is := range []bool{o.json == stdStream, o.markdown == stdStream, o.table == stdStream, o.jsonLines, o.write == stdStream} {
		if is {
			outputs++
		}
	}
	if outputs > 1 {
		return usagef("only one of --json, --json-lines, --markdown, --connections and -w can write to standard output")
	}
	for _, p := range o.pids {
		if p == 0 || p > 1<<31-1 {
			return usagef("--pid: %d is no process", p)
		}
	}
	if o.jsonLines && o.redaction.on {
		return withHint(usagef("--json-lines tells what happens as it is: it does not go with --redact"), "--json --redact writes the report")
	}
	if o.maxSize != "" {
		n, ok := parseSize(o.maxSize)
		if !ok {
			return withHint(usagef("--max-size: %q is no size", o.maxSize), "a number of bytes, or one with k, M or G: --max-size 64M")
		}
		o.maxBytes = n
	} else if o.ring != 0 {
		o.maxBytes = max(64<<20, casefile.LeastBytes(o.ring))
	}
	if least := casefile.LeastBytes(o.ring); o.maxBytes != 0 && o.maxBytes < least {
		files := "a case file needs"
		if o.ring > 1 {
			files = fmt.Sprintf("%d files need", o.ring)
		}
		return usagef("--max-size %s: %s at least %d bytes", o.maxSize, files, least)
	}
	// What the report takes is checked where analyze checks it.
	o.report = analyzeOptions{
		files: []string{"live capture"}, json: o.json, html: o.html, markdown: o.markdown, connections: o.table, hosts: o.hosts, ports: o.ports, failOn: o.failOn, color: o.color, lang: o.lang,
		redaction: o.redaction,
	}
	return o.report.check()
}

// checkEngine finds what does not go with the engine.
func (o *liveOptions) checkEngine() error {
	if choices := engine.Choices(); !slices.Contains(choices, o.engine) {
		return usagef("--engine %s: on this system it may be %s", o.engine, strings.Join(choices, ", "))
	}
	if !engine.Late(o.engine) {
		return nil
	}
	switch {
	case len(o.interfaces) > 0 && !slices.Equal(o.interfaces, []string{nic.Any}):
		return usagef("-i does not go with --engine %s, which captures on all network adapters", o.engine)
	case o.filter != "":
		return withHint(usagef("--filter does not go with --engine %s, which takes ports only", o.engine), "--port adds one")
	case o.count != 0:
		return usagef("--count does not go with --engine %s, whose packets come when the capture has ended", o.engine)
	}
	return nil
}

// parseSize reads a number of bytes with a binary suffix.
func parseSize(s string) (int64, bool) {
	unit := int64(1)
	if n := len(s); n > 0 {
		switch s[n-1] {
		case 'k', 'K':
			unit = 1 << 10
		case 'm', 'M':
			unit = 1 << 20
		case 'g', 'G':
			unit = 1 << 30
		}
		if unit > 1 {
			s = s[:n-1]
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || n > (1<<62)/unit {
		return 0, false
	}
	return n * unit, true
}

// exitCannotCapture says that nothing was captured, and no command run.
const exitCannotCapture = 4

// cannotCapture reports why nothing is captured.
func cannotCapture(std streams, err error) error {
	complain(std, explainCapture(err))
	return exitCode(exitCannotCapture)
}

// explainCapture adds the advice that an engine's error carries.
func explainCapture(err error) error {
	var advice interface{ Hint() string }
	if errors.As(err, &advice) && advice.Hint() != "" {
		return withHint(err, advice.Hint())
	}
	return withHint(err, "goproxytrace doctor shows what is missing")
}

// caseName is the case file's path; empty for none.
func (o *liveOptions) caseName(now time.Time) string {
	if o.save {
		return now.Format("goproxytrace-20060102-150405.pcapng")
	}
	return o.write
}

// explainCase adds advice to an error of making the case file.
func explainCase(path string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		dir, _ := os.Getwd()
		return withHint(fmt.Errorf("case file: %w", err), fmt.Sprintf("choose a place that you may write to: -w %s (%s is relative to %s)", filepath.Join(os.TempDir(), "case.pcapng"), path, dir))
	}
	return fmt.Errorf("case file: %w", err)
}

// counted is the line that closes a capture. What a file that ended early was
// given is not what it holds.
func counted(captured int64, n capture.Counters, files []string, frames int64, stopped *casefile.StoppedError) string {
	s := fmt.Sprintf("captured %d packets, received %d, dropped %d", captured, n.Received, n.Dropped)
	if stopped != nil {
		return s + fmt.Sprintf("; %s ends early, with %d packets and records", stopped.Path, stopped.Frames)
	}
	switch len(files) {
	case 0:
		return s
	case 1:
		return s + fmt.Sprintf("; %d written to %s", frames, files[0])
	}
	return s + fmt.Sprintf("; %d written, the latest of them in %d files up to %s", frames, len(files), files[len(files)-1])
}
