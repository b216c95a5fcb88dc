package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"goproxytrace/analyze/goproxy"
	"goproxytrace/capture"
	"goproxytrace/fleet/otlp"
	"goproxytrace/fleet/pipeline"
	"goproxytrace/fleet/push"
	"goproxytrace/internal/terminal"
	"goproxytrace/redact"
)

// pushOptions are the flags of push.
type pushOptions struct {
	files     []string
	follow    string
	endpoint  otlp.Flags
	state     string // "" for the default
	moved     bool
	again     bool
	noMetrics bool
	dryRun    bool
	giveUp    time.Duration
	hold      time.Duration
	host      string
	whole     bool
	reveal    []string
	keyFile   string
	noGoEnv   bool
}

func newPushCommand() *cobra.Command {
	o := &pushOptions{}
	cmd := &cobra.Command{
		Use:   "push [FILE...]",
		Short: "Send connections as OpenTelemetry traces, verdicts as metrics",
		Long: `Push analyses captures, or reads reports (JSON, NDJSON, pages), and sends each
connection as spans of an OpenTelemetry trace, and counters of the verdicts as
metrics, to an endpoint that speaks OTLP: a collector, Jaeger, Tempo. --follow does
so with what a flight recorder writes (goproxytrace live --recorder DIR), as it
writes it.

Each case is sent once: a state file holds what the endpoint has acknowledged. While
the endpoint is away push waits and tries again; what it could not send before it
was ended is sent by the next call.

The endpoint is that of --endpoint, else of OTEL_EXPORTER_OTLP_ENDPOINT, else
localhost; the other OTEL_EXPORTER_OTLP_* variables count, too.

Private addresses, names and paths are replaced by pseudonyms. --key makes them the
same on all machines that have the same key.

Exit codes: 0 all was acknowledged, 1 error, or something was refused or could not
be read, 2 wrong command line, 3 a capture is damaged (sent as far as it goes),
130 interrupted (--follow ends so, with 0).`,
		Example: `  goproxytrace-fleet push stalled.pcapng
  goproxytrace-fleet push --endpoint http://collector.example:4318 reports.ndjson
  goproxytrace-fleet push --follow /var/lib/goproxytrace --key /etc/goproxytrace/key
  goproxytrace-fleet push --dry-run stalled.pcapng | head -n 1`,
		Args: func(_ *cobra.Command, args []string) error {
			o.files = args
			return o.check()
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.follow, "follow", "", "send what the recorder of this `DIR` writes, until interrupted")
	f.StringVar(&o.endpoint.Endpoint, "endpoint", "", "send to this `URL` (default: the environment's, else localhost)")
	f.StringVar(&o.endpoint.Protocol, "protocol", "", "speak `PROTOCOL`: http/protobuf, grpc or http/json (default: the environment's, else http/protobuf)")
	f.StringArrayVar(&o.endpoint.Headers, "header", nil, "send this `NAME=VALUE` with each request (repeatable; others see it in the list of processes: OTEL_EXPORTER_OTLP_HEADERS does not show)")
	f.StringVar(&o.state, "state", "", "keep in `FILE` what the endpoint has acknowledged (default: in the user's own state directory)")
	f.BoolVar(&o.moved, "moved", false, "the state's endpoint has moved to the one that is given")
	f.BoolVar(&o.again, "again", false, "send cases again of which the endpoint refused something")
	f.BoolVar(&o.noMetrics, "no-metrics", false, "send no metrics")
	f.BoolVar(&o.dryRun, "dry-run", false, "write the requests to standard output as lines of OTLP JSON; send and record nothing")
	f.DurationVar(&o.giveUp, "give-up-after", 0, "end after `TIME` without an answer; 0 for never (default 5m, with --follow never)")
	f.DurationVar(&o.hold, "hold", 10*time.Minute, "with --follow: for how long a case of a build that still runs waits for the one that completes it")
	f.StringVar(&o.host, "host", "", "the captures were made on the machine with this `NAME` (default: as a recorder says)")
	f.StringVar(&o.keyFile, "key", "", "derive pseudonyms from the secret in `FILE`, so that they are the same wherever it is (see goproxytrace-fleet key)")
	f.BoolVar(&o.whole, "no-redact", false, "send private addresses, names and paths as they are")
	f.StringSliceVar(&o.reveal, "reveal", nil, "do not replace this `KIND`: "+strings.Join(redact.KindNames(), ", ")+" (repeatable)")
	f.BoolVar(&o.noGoEnv, "no-go-env", false, "do not ask go env for GOPROXY and GOSUMDB")
	_ = cmd.RegisterFlagCompletionFunc("reveal", cobra.FixedCompletions(redact.KindNames(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// giveUpFiles is after how long files are given up.
const giveUpFiles = 5 * time.Minute

// check finds what is wrong with the command line.
func (o *pushOptions) check() error {
	stdin := 0
	for _, f := range o.files {
		if f == "-" {
			stdin++
		}
	}
	switch {
	case o.follow == "" && len(o.files) == 0:
		return withHint(usagef("no file given, and no --follow"), "name captures or reports: goproxytrace-fleet push stalled.pcapng")
	case o.follow != "" && len(o.files) > 0:
		return usagef("--follow goes without files")
	case stdin > 1:
		return usagef("standard input can be read only once")
	case o.giveUp < 0 || o.hold < 0:
		return usagef("--give-up-after and --hold take no negative time")
	case o.dryRun && (o.state != "" || o.follow != ""):
		return usagef("--dry-run records nothing: it goes without --state and --follow")
	case o.whole && (len(o.reveal) > 0 || o.keyFile != ""):
		return usagef("--no-redact replaces nothing: it goes without --reveal and --key")
	}
	for _, name := range o.reveal {
		if _, err := redact.ParseKind(strings.TrimSpace(name)); err != nil {
			return usagef("--reveal: %w", err)
		}
	}
	return nil
}

func (o *pushOptions) run(ctx context.Context, in io.Reader, out, errOut io.Writer) (err error) {
	say := func(format string, args ...any) {
		fmt.Fprintf(errOut, "%s\n", terminal.Clean(fmt.Sprintf(format, args...)))
	}
	settings, err := otlp.Load(o.endpoint, os.Getenv)
	if err != nil {
		return usageError{err}
	}
	resource, err := push.ResourceFromEnv(os.Getenv)
	if err != nil {
		return usageError{err}
	}
	every, err := interval(os.Getenv("OTEL_METRIC_EXPORT_INTERVAL"))
	if err != nil {
		return usageError{err}
	}
	settings.UserAgent = "goproxytrace-fleet/" + version()
	state, remove, err := o.openState(settings)
	if err != nil {
		return err
	}
	defer remove()
	key, err := o.key(ctx, state, errOut)
	if err != nil {
		return err
	}
	var client otlp.Client = push.Preview{W: out}
	if !o.dryRun {
		if client, err = otlp.NewClient(settings); err != nil {
			return err
		}
	}
	defer client.Close()
	patience := o.giveUp
	if patience == 0 && o.follow == "" {
		patience = giveUpFiles
	}
	told := time.Time{}
	p := &push.Pusher{
		State: state, Resource: resource, Version: version(), Again: o.again, Every: every,
		NoMetrics: o.noMetrics || strings.TrimSpace(os.Getenv("OTEL_METRICS_EXPORTER")) == "none",
		Warn:      func(err error) { say("goproxytrace-fleet: %v", err) },
		Sender: &otlp.Sender{
			Client: client, GiveUp: patience,
			Waiting: func(f *otlp.Failure, wait, since time.Duration) {
				if since < time.Second || time.Since(told) > time.Minute {
					told = time.Now()
					say("goproxytrace-fleet: %s: %v; next try in %s", settings.Traces.Name(), f, wait.Round(100*time.Millisecond))
				}
			},
			Recovered: func(after time.Duration) {
				say("goproxytrace-fleet: %s answers again after %s", settings.Traces.Name(), after.Round(time.Second))
			},
		},
	}
	r := &push.Reader{Version: version(), Host: o.host}
	if !o.whole {
		r.Redact = func() *redact.Redactor { return o.redactor(key) }
	}
	r.Settings, r.SettingsFrom = goproxy.Load(ctx, !o.noGoEnv, os.Getenv)
	damaged := false
	if o.follow != "" {
		f := &push.Follower{Dir: o.follow, Hold: o.hold, Reader: r, Pusher: p}
		if err = f.Run(ctx); errors.Is(err, context.Canceled) {
			// That is how it ends. What was refused or not readable was named
			// when it was.
			say("%s", countOf(&p.Stats))
			return nil
		}
	} else {
		damaged, err = o.pushFiles(ctx, in, r, p)
		if err == nil {
			err = p.Flush(ctx)
		}
	}
	if s := p.Stats; !o.dryRun {
		say("%s", countOf(&s))
	}
	var f *otlp.Failure
	switch s := p.Stats; {
	case errors.As(err, &f):
		return withHint(fmt.Errorf("%s: %w", settings.Traces.Name(), err), "what it has not acknowledged is sent by the next call")
	case err != nil:
		return err
	case s.Unreadable > 0 || s.Refused+s.RefusedBefore > 0:
		return exitCode(1)
	case damaged:
		return exitCode(3)
	}
	return nil
}

// pushFiles sends the files in turn. One that cannot be read does not stop the
// others.
func (o *pushOptions) pushFiles(ctx context.Context, in io.Reader, r *push.Reader, p *push.Pusher) (damaged bool, err error) {
	for _, path := range o.files {
		if ctx.Err() != nil {
			return damaged, ctx.Err()
		}
		err := o.pushFile(ctx, in, path, r, p)
		var damage *capture.DamageError
		switch {
		case err == nil:
		case errors.As(err, &damage):
			damaged = true
			p.Warn(err)
		case push.IsUnreadable(err):
			p.Stats.Unreadable++
			p.Warn(err)
		default:
			return damaged, err
		}
	}
	return damaged, nil
}

func (o *pushOptions) pushFile(ctx context.Context, in io.Reader, path string, r *push.Reader, p *push.Pusher) error {
	take := func(c *push.Case) error { return p.Push(ctx, c) }
	if path == "-" {
		return r.File(ctx, "standard input", push.Waiting(ctx, func() (io.Reader, error) { return in, nil }), take)
	}
	if st, err := os.Stat(path); err == nil && st.Mode()&fs.ModeNamedPipe != 0 {
		// Opening one waits for who writes to it.
		return r.File(ctx, path, push.Waiting(ctx, func() (io.Reader, error) { return os.Open(path) }), take)
	}
	f, err := os.Open(path)
	if err != nil {
		p.Stats.Unreadable++
		p.Warn(err)
		return nil
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.IsDir() {
		p.Stats.Unreadable++
		p.Warn(fmt.Errorf("%s is a directory: name the files in it, or --follow %s where a recorder writes to it", path, path))
		return nil
	}
	return r.File(ctx, path, f, take)
}

func countOf(s *push.Stats) string {
	parts := []string{fmt.Sprintf("%d cases with %d spans acknowledged", s.Cases+s.Refused, s.Spans)}
	for _, n := range []struct {
		count int
		what  string
	}{
		{s.Known, "sent before"}, {s.RefusedBefore, "of those refused in part or whole (--again sends them again)"}, {s.Superseded, "completed by others"}, {s.Refused, "refused in part or whole"}, {s.Unreadable, "not readable"},
	} {
		if n.count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n.count, n.what))
		}
	}
	return strings.Join(parts, ", ")
}

// openState opens the state; remove closes it, and removes that of a dry run.
func (o *pushOptions) openState(s *otlp.Settings) (state *push.State, remove func(), err error) {
	endpoint := s.Traces.Name() + s.Traces.URL.Path
	path := o.state
	switch {
	case o.dryRun:
		dir, err := os.MkdirTemp("", "goproxytrace-*")
		if err != nil {
			return nil, nil, err
		}
		if state, err = push.Open(filepath.Join(dir, "state"), endpoint, false); err != nil {
			os.RemoveAll(dir)
			return nil, nil, err
		}
		return state, func() { state.Close(); os.RemoveAll(dir) }, nil
	case path == "":
		if path, err = o.defaultState(endpoint); err != nil {
			return nil, nil, withHint(fmt.Errorf("no place for the state: %w", err), "name one with --state FILE")
		}
	}
	state, err = push.Open(path, endpoint, o.moved)
	switch {
	case push.IsOtherEndpoint(err):
		return nil, nil, withHint(err, "give another --state, or --moved where it is the same endpoint by another name")
	case err != nil:
		return nil, nil, err
	}
	return state, func() { state.Close() }, nil
}

// defaultState names the state by the endpoint, and by the directory that is
// followed: two calls at once have two states.
func (o *pushOptions) defaultState(endpoint string) (string, error) {
	dir, err := stateDir()
	if err != nil {
		return "", err
	}
	about := endpoint
	if o.follow != "" {
		abs, err := filepath.Abs(o.follow)
		if err != nil {
			return "", err
		}
		about += "\n" + abs
	}
	sum := sha256.Sum256([]byte(about))
	return filepath.Join(dir, "push-"+hex.EncodeToString(sum[:8])+".db"), nil
}

// stateDir is where a program keeps what it must not forget: what a service
// manager names (systemd.exec(5)), the XDG Base Directory, or what the system has
// for it.
func stateDir() (string, error) {
	const name = "goproxytrace-fleet"
	if dir, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":"); filepath.IsAbs(dir) {
		return dir, nil
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, name), nil
	}
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		dir, err := os.UserConfigDir()
		return filepath.Join(dir, name), err
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".local", "state", name), err
}

// key is what pseudonyms are made with: the operator's, else the state's own.
func (o *pushOptions) key(ctx context.Context, state *push.State, errs io.Writer) ([]byte, error) {
	if o.keyFile == "" {
		return state.Secret, nil
	}
	if err := checkKey(o.keyFile, errs); err != nil {
		return nil, err
	}
	return pipeline.ReadKey(ctx, o.keyFile)
}

func (o *pushOptions) redactor(key []byte) *redact.Redactor {
	var reveal []redact.Kind
	for _, name := range o.reveal {
		if k, err := redact.ParseKind(strings.TrimSpace(name)); err == nil {
			reveal = append(reveal, k)
		}
	}
	x := redact.New(redact.Options{Public: goproxy.PublicEnd, Reveal: reveal, Key: key})
	if name, err := os.Hostname(); err == nil {
		x.LearnHost(name)
		first, _, _ := strings.Cut(name, ".")
		x.LearnHost(first)
	}
	if u, err := user.Current(); err == nil {
		x.LearnUser(u.Username[strings.LastIndexByte(u.Username, '\\')+1:])
	}
	return x
}

// interval reads OTEL_METRIC_EXPORT_INTERVAL, zero for the default.
func interval(v string) (time.Duration, error) {
	if v = strings.TrimSpace(v); v == "" {
		return 0, nil
	}
	ms, err := strconv.ParseUint(v, 10, 31)
	if err != nil || ms == 0 {
		return 0, fmt.Errorf("OTEL_METRIC_EXPORT_INTERVAL: %q is not a number of milliseconds", v)
	}
	return time.Duration(ms) * time.Millisecond, nil
}
