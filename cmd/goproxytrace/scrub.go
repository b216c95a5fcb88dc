package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"goproxytrace/analyze"
	"goproxytrace/analyze/goproxy"
	"goproxytrace/capture"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/internal/outfile"
	"goproxytrace/internal/terminal"
	"goproxytrace/redact"
	"goproxytrace/scrub"
)

// scrubOptions are the flags of scrub.
type scrubOptions struct {
	in, out   string
	noGoEnv   bool
	redaction redaction
}

func newScrubCommand(std streams) *cobra.Command {
	o := &scrubOptions{}
	cmd := &cobra.Command{
		Use:   "scrub IN OUT",
		Short: "Copy a capture without what is private in it",
		Long: `Scrub copies a capture (pcap or pcapng, plain or compressed with gzip or zstd; "-"
is standard input) to a new pcapng file that can be attached to a report ("-" is
standard output). Frame numbers, times, lengths, sequence numbers and checksums
stay, and so does the verdict.

Private addresses and the machine's own, link addresses, names of hosts that are
not public module proxies, version control services or Go's own servers, users,
paths, private modules and command lines are replaced by pseudonyms, of the same
length in packets; analyze --redact shows the same ones. Payload is zero but for
TLS record headers, handshakes in clear, HTTP heads and DNS messages, in which
names are replaced and credentials blank. TLS keys and blocks of unknown types
are left out, and what is not understood is cut off.

--no-redact, and --reveal for one kind, keep addresses and names; payload, keys
and credentials go in any case.

Exit codes: 0 done, 1 error or no capture file, 2 wrong command line, 3 the
capture is damaged (copied as far as it goes), 130 interrupted (nothing is
written).`,
		Example: "  goproxytrace scrub stalled.pcapng scrubbed.pcapng\n  goproxytrace scrub --reveal addresses stalled.pcapng.zst scrubbed.pcapng",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return withHint(usagef("scrub takes two files, got %d", len(args)), "goproxytrace scrub stalled.pcapng scrubbed.pcapng")
			}
			o.in, o.out = args[0], args[1]
			return o.redaction.check()
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), std) },
	}
	o.redaction.addDetails(cmd)
	cmd.Flags().BoolVar(&o.noGoEnv, "no-go-env", false, "do not ask go env for GOPROXY and GOSUMDB")
	return cmd
}

func (o *scrubOptions) run(ctx context.Context, std streams) error {
	if o.out != stdStream && o.in != stdStream {
		a, errA := os.Stat(o.in)
		b, errB := os.Stat(o.out)
		if errA == nil && errB == nil && os.SameFile(a, b) {
			return usagef("%s is the capture itself: the copy needs another name", o.out)
		}
	}
	if o.out == stdStream && terminal.Detect(std.out, terminal.Never, os.Getenv).Terminal {
		return usagef("a capture is not written to a terminal: name a file")
	}
	in, err := openTwice(ctx, std, o.in)
	if err != nil {
		return err
	}
	defer in.close()
	x, err := o.redaction.revealing()
	if err != nil {
		return err
	}
	var options analyze.Options
	options.Settings, options.SettingsFrom = goproxy.Load(ctx, !o.noGoEnv, os.Getenv)
	options.Targets = options.Settings.Hosts()
	result, err := in.analyze(ctx, std, options)
	if err != nil {
		return err
	}
	defer result.Close()
	if err := result.Teach(x); err != nil {
		return err
	}
	dst, err := createScrubbed(std, o.out)
	if err != nil {
		return err
	}
	defer dst.Abort()
	summary, err := in.scrub(ctx, std, dst, x)
	if err != nil {
		return err
	}
	o.tell(std, summary, result, x)
	warnChanged(ctx, std, dst, options, result, x)
	if err := dst.Commit(); err != nil {
		return err
	}
	if summary.Damage != nil {
		return fmt.Errorf("%s: %w; copied up to there", in.title, summary.Damage)
	}
	return nil
}

// destination is where a copy goes; nothing is there before Commit.
type destination interface {
	io.Writer
	io.ReaderAt
	Stat() (os.FileInfo, error)
	Commit() error
	Abort()
}

// createScrubbed begins the copy: a file, or a temporary one for standard output,
// which gets nothing of a copy that fails.
func createScrubbed(std streams, path string) (destination, error) {
	if path != stdStream {
		return outfile.Create(path)
	}
	f, err := temporary()
	if err != nil {
		return nil, err
	}
	return &spooled{f, std.out}, nil
}

type spooled struct {
	*spool
	to io.Writer
}

func (s *spooled) Commit() error {
	defer s.close()
	if _, err := s.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := io.Copy(s.to, s.File)
	return err
}

func (s *spooled) Abort() { s.close() }

// tell says on standard error what a reader of the copy should know.
func (o *scrubOptions) tell(std streams, s *scrub.Summary, r *analyze.Result, x *redact.Redactor) {
	say := func(format string, args ...any) {
		e := terminal.Detect(std.err, terminal.Never, os.Getenv)
		fmt.Fprintf(std.err, "goproxytrace: %s\n", e.Text(fmt.Sprintf(format, args...)))
	}
	tellLeft(say, s)
	var changed []string
	for _, t := range r.Targets {
		if p := x.Host(t); p != t {
			changed = append(changed, p)
		}
	}
	if len(changed) > 0 {
		say("hosts of GOPROXY or GOSUMDB are called %s in the copy; who analyses it should set them so", strings.Join(changed, " and "))
	}
}

// warnChanged judges the copy and says where that differs from the verdict on the
// capture: what was cut off may have mattered.
func warnChanged(ctx context.Context, std streams, copied destination, o analyze.Options, before *analyze.Result, x *redact.Redactor) {
	st, err := copied.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return // a pipe or a device
	}
	src, err := pcapfile.NewReader(io.NewSectionReader(copied, 0, st.Size()), max(st.Size(), 1))
	if err != nil {
		return // it could not be opened for reading
	}
	defer src.Close()
	o.Settings.GOPROXY, o.Settings.GOSUMDB = x.Setting("GOPROXY", o.Settings.GOPROXY), x.Setting("GOSUMDB", o.Settings.GOSUMDB)
	o.Targets = x.HostList(o.Targets)
	after, err := analyze.Run(ctx, src, o)
	if after != nil {
		defer after.Close()
	}
	if err != nil {
		return
	}
	a, b := &before.Verdict, &after.Verdict
	if a.Class != b.Class || a.Level != b.Level || !slices.Equal(a.Place, b.Place) {
		complain(std, fmt.Errorf("warning: the copy is judged as %s, %s, the capture as %s, %s: something that the verdict rests on is not in the copy", b.Class, b.Level, a.Class, a.Level))
	}
}

func tellLeft(say func(string, ...any), s *scrub.Summary) {
	if s.Secrets {
		say("warning: the capture held TLS keys; the copy does not")
	}
	for _, name := range slices.Sorted(maps.Keys(s.Left)) {
		if name != "decryption secrets" {
			say("left out: blocks of type %s (%d)", name, s.Left[name])
		}
	}
}

// source is a capture that is read more than once.
type source struct {
	title string
	open  func() (capture.Source, error)
	close func()
}

// openTwice prepares a capture for being read more than once: standard input, or
// a pipe with a name, is kept in a temporary file meanwhile.
func openTwice(ctx context.Context, std streams, path string) (*source, error) {
	from, title := std.in, "standard input"
	if path != stdStream {
		st, err := os.Stat(path)
		if err != nil || st.Mode()&os.ModeNamedPipe == 0 {
			// A file that cannot be read is told of at once.
			src, err := openFile(ctx, std, path)
			if err != nil {
				return nil, err
			}
			return &source{title: path, open: func() (capture.Source, error) { return openFile(ctx, std, path) }, close: func() {}}, src.Close()
		}
		pipe, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer pipe.Close()
		from, title = pipe, path
	}
	in, _, err := stdinSource(ctx, from)
	if err != nil {
		return nil, err
	}
	f, err := temporary()
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(f, in); err != nil {
		f.close()
		return nil, fmt.Errorf("reading %s: %w", title, err)
	}
	return &source{title: title, close: f.close, open: func() (capture.Source, error) { return f.open(path) }}, nil
}

func (s *source) analyze(ctx context.Context, std streams, options analyze.Options) (*analyze.Result, error) {
	src, err := s.open()
	if err != nil {
		return nil, err
	}
	defer src.Close()
	status := terminal.NewStatus(std.err, terminal.Detect(std.err, terminal.Auto, os.Getenv), s.title)
	defer status.Clear()
	options.Progress = status.Update
	result, err := analyze.Run(ctx, src, options)
	if err != nil && result != nil {
		err = errors.Join(err, result.Close())
	}
	return result, err
}

func (s *source) scrub(ctx context.Context, std streams, dst io.Writer, x *redact.Redactor) (*scrub.Summary, error) {
	status := terminal.NewStatus(std.err, terminal.Detect(std.err, terminal.Auto, os.Getenv), s.title)
	defer status.Clear()
	return scrub.Run(ctx, s.open, dst, scrub.Options{Redactor: x, Progress: status.Update})
}
