package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam/options/jobopts"
	"github.com/spf13/cobra"

	"goproxytrace/analyze/goproxy"
	"goproxytrace/fleet/cluster"
	"goproxytrace/fleet/ingest"
	"goproxytrace/fleet/page"
	"goproxytrace/fleet/pipeline"
	"goproxytrace/fleet/storage"
	"goproxytrace/internal/outfile"
	"goproxytrace/internal/terminal"
	"goproxytrace/redact"
	"goproxytrace/report"
)

// analyzeOptions are the flags of analyze.
type analyzeOptions struct {
	patterns          []string
	filesFrom         string
	out               string
	overwrite, resume bool
	key               string
	whole             bool
	reveal            []string
	machineFrom       string
	noGoEnv           bool
	maxTime           time.Duration
	maxBytes          int64
	workers           int
	workerAt          []string
	atOnce            int
	failOn            string
	html              string
	json, verbose     bool

	classes report.ClassSet
}

func newAnalyzeCommand() *cobra.Command {
	o := &analyzeOptions{}
	cmd := &cobra.Command{
		Use:   "analyze PATTERN... --out DIR",
		Short: "Analyse the captures and reports of many machines into tables",
		Long: `Analyze reads all files that the patterns match: captures and case files (pcap or
pcapng, plain or compressed), reports (JSON, NDJSON, or pages of --html). Each
capture is analysed as goproxytrace analyze does. What it finds becomes rows of
Parquet tables in DIR (connections, lookups, verdicts, evidence, events, files),
and summary.json with rates and confidence intervals; --html adds a page for people:
what dies, where, since when, and which cases to open. A case that is told of
twice, as a capture and as a report on it, is counted once.

Patterns name local files or objects (gs://, s3://): * and ? within a name, **
for any directories. "-" reads a list of files from standard input.

Rows are redacted as reports are. With --key, pseudonyms are the same in all runs
that have that key; without, in this run alone.

The pipeline is Apache Beam's. Without further flags it runs in this process, on
Beam's Prism runner; --workers gives it processes of their own, and Beam's flags
another runner (--runner=flink, spark, dataflow).

Exit codes: 0 done, 1 error, 2 wrong command line, 3 some files are damaged,
unreadable or not analysed (the others are in the tables, and these are named
there), 10 --fail-on holds, 130 interrupted.`,
		Example: `  goproxytrace-fleet analyze 'captures/**/*.pcapng' --out=results
  goproxytrace-fleet analyze 'captures/**' --out=results --machine-from='captures/([^/]+)/' --html=results.html
  goproxytrace-fleet analyze 'captures/**' --out=results --key=fleet.key --workers=4
  goproxytrace-fleet analyze 'gs://captures/2026-11/**' --out=gs://results/2026-11 --runner=dataflow --project=…`,
		Args: func(_ *cobra.Command, args []string) error {
			o.patterns = args
			return o.check()
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVarP(&o.out, "out", "o", "", "write the tables to this `DIR`, which is made")
	f.BoolVar(&o.overwrite, "overwrite", false, "replace the results of an earlier run in DIR")
	f.BoolVar(&o.resume, "resume", false, "go on with the same run in DIR that did not finish")
	f.StringVar(&o.filesFrom, "files-from", "", "take the files that `FILE` lists, one on each line (- is standard input)")
	f.StringVar(&o.key, "key", "", "derive pseudonyms from the secret in `FILE`, which all workers must find at that path (see goproxytrace-fleet key)")
	f.BoolVar(&o.whole, "no-redact", false, "keep private addresses, names and paths")
	f.StringSliceVar(&o.reveal, "reveal", nil, "do not replace this `KIND`: "+strings.Join(redact.KindNames(), ", ")+" (repeatable)")
	f.StringVar(&o.machineFrom, "machine-from", "", "take the machine's name from a file's path: the first group of this `REGEXP`")
	f.BoolVar(&o.noGoEnv, "no-go-env", false, "do not ask go env for GOPROXY and GOSUMDB")
	f.DurationVar(&o.maxTime, "max-file-time", 30*time.Minute, "stop reading one file after this `TIME` (0 is never)")
	f.Int64Var(&o.maxBytes, "max-file-bytes", 64<<30, "stop reading one file after so many `BYTES` of packets (0 is never)")
	f.IntVar(&o.workers, "workers", 0, "use this `NUMBER` of processes, and Prism in one of its own (0 is all in this process)")
	f.StringSliceVar(&o.workerAt, "worker-at", nil, "use the worker that listens at this `ADDRESS` (goproxytrace-fleet worker; repeatable)")
	f.IntVar(&o.atOnce, "at-once", 0, "work on this `NUMBER` of files side by side in one process (0 is one for each processor)")
	f.StringVar(&o.failOn, "fail-on", "", "exit with 10 if a download's verdict is one of `CLASSES`: tls.reset, tls.* or any, comma-separated")
	f.StringVar(&o.html, "html", "", "write what was found as one HTML page to `FILE`")
	f.BoolVar(&o.json, "json", false, "print the summary as JSON")
	f.BoolVar(&o.verbose, "verbose", false, "write Beam's log to standard error")
	addBeamFlags(cmd)
	f.Lookup("runner").Usage = "Beam: prism, flink, spark, dataflow or portable (default prism)"
	f.Lookup("runner").Hidden = false
	return cmd
}

// check finds what is wrong with the command line.
func (o *analyzeOptions) check() error {
	switch {
	case len(o.patterns) == 0 && o.filesFrom == "":
		return withHint(usagef("no files given"), "name a pattern: goproxytrace-fleet analyze 'captures/**/*.pcapng' --out=results")
	case o.out == "":
		return withHint(usagef("no output directory given"), "--out=results")
	case o.overwrite && o.resume:
		return usagef("--overwrite and --resume contradict each other")
	case o.html == "-":
		return usagef("--html takes a file, not standard output")
	case o.whole && (o.key != "" || len(o.reveal) > 0):
		return usagef("--no-redact leaves nothing for --key or --reveal")
	case o.workers < 0 || o.atOnce < 0 || o.maxTime < 0 || o.maxBytes < 0:
		return usagef("--workers, --at-once, --max-file-time and --max-file-bytes take no negative numbers")
	case o.workers > 0 && len(o.workerAt) > 0:
		return usagef("--workers starts workers, --worker-at names those that run: give one of them")
	case (o.workers > 0 || len(o.workerAt) > 0) && runnerName() != pipeline.Prism:
		return usagef("--workers and --worker-at are for Prism; %s has its own", runnerName())
	case !slices.Contains(runnerNames, runnerName()):
		return withHint(usagef("--runner: unknown runner %q", runnerName()), "it is one of "+strings.Join(runnerNames, ", "))
	case *jobopts.Async:
		return usagef("--async: analyze waits for its results")
	case *jobopts.Endpoint != "" && runnerName() == pipeline.Prism && o.workers == 0 && len(o.workerAt) == 0:
		return withHint(usagef("a job server at --endpoint needs workers"), "--workers=4 starts them")
	}
	for _, name := range o.reveal {
		if _, err := redact.ParseKind(name); err != nil {
			return withHint(usagef("--reveal: %w", err), "it is one of "+strings.Join(redact.KindNames(), ", "))
		}
	}
	if _, err := ingest.New(ingest.Options{MachineFrom: o.machineFrom, Whole: true}, nil); err != nil {
		return withHint(usagef("--machine-from: %w", err), `for captures/HOST/file.pcapng: --machine-from='captures/([^/]+)/'`)
	}
	if o.failOn != "" {
		var err error
		if o.classes, err = report.ParseClasses(o.failOn); err != nil {
			return withHint(usagef("--fail-on: %w", err), "goproxytrace explain lists the classes")
		}
	}
	return nil
}

func (o *analyzeOptions) run(ctx context.Context, in io.Reader, out, errs io.Writer) error {
	paths, err := o.files(ctx, in)
	if err != nil {
		return err
	}
	if err := checkKey(o.key, errs); err != nil {
		return err
	}
	if err := o.checkHTML(); err != nil {
		return err
	}
	release, err := pipeline.Hold(ctx, o.out)
	if err != nil {
		return err
	}
	defer release()
	plan, err := pipeline.Prepare(ctx, pipeline.Request{
		Paths: paths, Out: o.out, Ingest: o.ingest(ctx), KeyPath: o.key, Overwrite: o.overwrite, Resume: o.resume,
	})
	switch {
	case errors.Is(err, pipeline.ErrExists):
		return withHint(err, "--overwrite replaces results of an earlier run")
	case errors.Is(err, pipeline.ErrUnfinished):
		return withHint(err, "--resume goes on with it, --overwrite begins anew")
	case err != nil:
		return err
	}
	beginBeam(o.verbose, errs)
	if err := setWorkerBinary(); err != nil {
		return err
	}
	runners, stop := o.runners(errs)
	defer stop()
	if err := plan.Run(ctx, runners); err != nil {
		if ctx.Err() != nil {
			fmt.Fprintf(errs, "goproxytrace-fleet: interrupted; analyze --resume with the same arguments goes on with it\n")
			return ctx.Err()
		}
		return withHint(err, "analyze --resume with the same arguments goes on where it stopped")
	}
	s, err := pipeline.ReadSummary(ctx, plan.Out)
	if err != nil {
		return err
	}
	named := nameProblems(ctx, plan, s, errs)
	if err := pipeline.Clean(ctx, plan.Out); err != nil {
		return err
	}
	if o.html != "" {
		if err := o.writeHTML(ctx, plan.Out); err != nil {
			return withHint(err, "the tables in "+o.out+" are complete")
		}
	}
	if o.json {
		e := json.NewEncoder(out)
		e.SetIndent("", " ")
		err = e.Encode(s)
	} else {
		err = writeSummary(out, s, o.out)
	}
	switch {
	case err != nil:
		return err
	case o.holds(s):
		return exitCode(10)
	case named > 0:
		return exitCode(3)
	}
	return nil
}

// checkHTML finds out before the work that there is no place for the page. The
// output directory is made yet.
func (o *analyzeOptions) checkHTML() error {
	if o.html == "" || within(o.html, o.out) {
		return nil
	}
	if st, err := os.Stat(o.html); err == nil && st.IsDir() {
		return fmt.Errorf("%s: is a directory", o.html)
	}
	_, err := os.Stat(filepath.Dir(o.html))
	return err
}

// writeHTML writes the page of a run that has finished.
func (o *analyzeOptions) writeHTML(ctx context.Context, dir string) error {
	d, err := page.Read(ctx, dir, o.html)
	if err != nil {
		return err
	}
	f, err := outfile.Create(o.html)
	if err != nil {
		return err
	}
	defer f.Abort()
	if err := page.Write(f, d); err != nil {
		return err
	}
	return f.Commit()
}

// files lists the input.
func (o *analyzeOptions) files(ctx context.Context, in io.Reader) ([]string, error) {
	var list []string
	for _, p := range o.patterns {
		if p == "-" {
			more, err := readList(in, "standard input")
			if err != nil {
				return nil, err
			}
			list = append(list, more...)
			continue
		}
		found, err := storage.List(ctx, p)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			err := fmt.Errorf("%s: no file matches", p)
			if st, failed := os.Stat(p); failed == nil && st.IsDir() {
				return nil, withHint(err, "it is a directory: '"+filepath.Join(p, "**")+"' is all files in it")
			}
			return nil, err
		}
		list = append(list, found...)
	}
	switch o.filesFrom {
	case "":
	case "-":
		more, err := readList(in, "standard input")
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	default:
		f, err := os.Open(o.filesFrom)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		more, err := readList(f, o.filesFrom)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	// Results of this directory are no input.
	list = slices.DeleteFunc(list, func(p string) bool { return within(p, o.out) })
	if len(list) == 0 {
		return nil, errors.New("there are no files")
	}
	return list, nil
}

// within reports whether a path is in a directory.
func within(path, dir string) bool {
	if storage.IsLocal(path) != storage.IsLocal(dir) {
		return false
	}
	if !storage.IsLocal(path) {
		return strings.HasPrefix(path, strings.TrimRight(dir, "/")+"/")
	}
	a, err := filepath.Abs(path)
	if err != nil {
		return false
	}
	d, err := filepath.Abs(dir)
	return err == nil && strings.HasPrefix(a, d+string(filepath.Separator))
}

// readList reads paths, one on each line, or each ended by a zero byte where there
// is one (find -print0).
func readList(in io.Reader, name string) ([]string, error) {
	raw, err := io.ReadAll(bufio.NewReader(in))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	end := []byte("\n")
	if bytes.IndexByte(raw, 0) >= 0 {
		end = []byte{0}
	}
	var list []string
	for line := range bytes.SplitSeq(raw, end) {
		if s := strings.TrimSuffix(string(line), "\r"); s != "" {
			list = append(list, s)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: it lists no files", name)
	}
	return list, nil
}

// ingest says how files are read.
func (o *analyzeOptions) ingest(ctx context.Context) ingest.Options {
	settings, from := goproxy.Load(ctx, !o.noGoEnv, os.Getenv)
	// Settings travel to workers; a password in one must not.
	settings.GOPROXY, settings.GOSUMDB = withoutCredentials(settings.GOPROXY), withoutCredentials(settings.GOSUMDB)
	out := ingest.Options{
		Version: version(), Settings: settings, SettingsFrom: from, Whole: o.whole, Reveal: o.reveal,
		MaxTime: o.maxTime, MaxBytes: o.maxBytes, MachineFrom: o.machineFrom,
	}
	if o.whole {
		return out
	}
	// A capture may be of the machine where it is looked at.
	if name, err := os.Hostname(); err == nil {
		first, _, _ := strings.Cut(name, ".")
		out.Hosts = append(out.Hosts, name, first)
	}
	if u, err := user.Current(); err == nil {
		out.Users = append(out.Users, u.Username[strings.LastIndexByte(u.Username, '\\')+1:])
	}
	return out
}

// withoutCredentials returns a list of proxies without what stands before @.
func withoutCredentials(list string) string {
	var out strings.Builder
	for {
		before, rest, ok := strings.Cut(list, "://")
		out.WriteString(before)
		if !ok {
			return out.String()
		}
		out.WriteString("://")
		end := strings.IndexAny(rest, ",|/ ")
		if end < 0 {
			end = len(rest)
		}
		if at := strings.LastIndexByte(rest[:end], '@'); at >= 0 {
			rest = rest[at+1:]
		}
		list = rest
	}
}

// runners says where the pipeline runs; stop ends what was started for it.
func (o *analyzeOptions) runners(errs io.Writer) (pipeline.Runners, func()) {
	r := pipeline.Runners{Runner: runnerName(), AtOnce: o.atOnce, Tell: func(s string) {
		fmt.Fprintf(errs, "goproxytrace-fleet: %s\n", terminal.Clean(s))
	}}
	if o.workers == 0 && len(o.workerAt) == 0 {
		return r, func() {}
	}
	self := func(name string) cluster.Command {
		return func() *exec.Cmd {
			exe, err := os.Executable()
			if err != nil {
				exe = os.Args[0]
			}
			cmd := exec.Command(exe, name, "--listen=0", "--until-stdin-ends")
			if o.verbose {
				cmd.Args = append(cmd.Args, "--verbose")
				cmd.Stderr = errs
			}
			return cmd
		}
	}
	c := cluster.New(self("prism"), self("worker"), o.workers)
	r.Endpoint, r.Workers = c.Endpoint, c.Workers
	if at := *jobopts.Endpoint; at != "" {
		r.Endpoint = func(context.Context) (string, error) { return at, nil }
	}
	if len(o.workerAt) > 0 {
		r.Workers = func(ctx context.Context) ([]string, error) {
			answering := cluster.Answering(ctx, o.workerAt)
			for _, a := range o.workerAt {
				if !slices.Contains(answering, a) {
					r.Tell("the worker at " + a + " does not answer")
				}
			}
			return answering, nil
		}
	}
	if r.AtOnce == 0 && o.workers > 0 {
		// The workers share this machine's processors.
		r.AtOnce = max(1, runtime.GOMAXPROCS(0)/o.workers)
	}
	return r, c.Stop
}

// holds reports whether --fail-on holds.
func (o *analyzeOptions) holds(s *pipeline.Summary) bool {
	return slices.ContainsFunc(s.Classes(), func(v report.Verdict) bool { return o.classes.Holds(&report.Document{Verdict: v}) })
}
