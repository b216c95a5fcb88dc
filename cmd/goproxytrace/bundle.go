package main

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"goproxytrace/analyze"
	"goproxytrace/analyze/goproxy"
	"goproxytrace/internal/outfile"
	"goproxytrace/internal/terminal"
	"goproxytrace/report"
	"goproxytrace/report/messages"
	"goproxytrace/report/page"
	"goproxytrace/scrub"
)

// bundleOptions are the flags of bundle.
type bundleOptions struct {
	in, out   string
	without   []string
	noGoEnv   bool
	goOutput  string
	events    []string
	lang      string
	speech    speech
	redaction redaction
}

// bundleBytes is the largest file that common issue trackers take.
const bundleBytes = 25 << 20

// part is a file in a bundle. write writes it; it is called once.
type part struct {
	// name is what --without calls it, file its name in the bundle.
	name, file string
	write      func(*bundling, io.Writer) error
}

// parts returns the files of a bundle in their order.
func parts() []part {
	return []part{
		{"html", "report.html", func(b *bundling, w io.Writer) error {
			return page.Write(w, b.docs.all(b.o.speech.Language)...)
		}},
		{"markdown", "report.md", func(b *bundling, w io.Writer) error {
			return report.WriteMarkdown(w, b.docs.shared(b.o.speech.Language))
		}},
		{"json", "report.json", func(b *bundling, w io.Writer) error {
			return report.WriteJSON(w, b.docs.shared(messages.English), false)
		}},
		{"capture", scrubbedName, (*bundling).capture},
		{"versions", "versions.txt", (*bundling).versions},
	}
}

const scrubbedName = "capture.pcapng"

func partNames() (names []string) {
	for _, p := range parts() {
		names = append(names, p.name)
	}
	return names
}

func newBundleCommand(std streams) *cobra.Command {
	o := &bundleOptions{}
	cmd := &cobra.Command{
		Use:   "bundle CASE [OUT.zip]",
		Short: "Pack a report and the scrubbed capture for an issue",
		Long: `Bundle analyses a capture ("-" is standard input) and packs what somebody else
needs to look at it into one zip file: the report, redacted, as HTML, Markdown
and JSON, the capture as scrub writes it, and the versions of what made them. The same
capture gives the same bundle. Without OUT.zip it gets the capture's name.

Bundles above 25 MB are not written, since issue trackers refuse them: --without
leaves parts out (` + strings.Join(partNames(), ", ") + `).

Exit codes: 0 done, 1 error or no capture file, 2 wrong command line, 3 the
capture is damaged (packed as far as it goes), 130 interrupted (nothing is
written).`,
		Example: "  goproxytrace bundle stalled.pcapng\n  goproxytrace bundle --without capture stalled.pcapng issue.zip",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return withHint(usagef("bundle takes a capture and at most one file to write, got %d files", len(args)), "goproxytrace bundle stalled.pcapng bundle.zip")
			}
			return o.check(args)
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), std) },
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.without, "without", nil, "leave out this `PART`: "+strings.Join(partNames(), ", ")+" (repeatable)")
	_ = cmd.RegisterFlagCompletionFunc("without", cobra.FixedCompletions(partNames(), cobra.ShellCompDirectiveNoFileComp))
	f.StringVar(&o.goOutput, "go-output", "", "compare with what the go command printed to `FILE`")
	f.StringArrayVar(&o.events, "events", nil, "join the host's own event records in `FILE` (repeatable)")
	f.BoolVar(&o.noGoEnv, "no-go-env", false, "do not ask go env for GOPROXY and GOSUMDB")
	addLanguageFlag(cmd, &o.lang)
	o.redaction.addDetails(cmd)
	return cmd
}

func (o *bundleOptions) check(args []string) (err error) {
	o.in = args[0]
	switch {
	case len(args) == 2:
		o.out = args[1]
	case o.in == stdStream:
		o.out = "goproxytrace.zip"
	default:
		o.out = bundleName(o.in)
	}
	for _, w := range o.without {
		if !slices.Contains(partNames(), w) {
			return withHint(usagef("--without: unknown part %q", w), "it is one of "+strings.Join(partNames(), ", "))
		}
	}
	if len(o.kept()) == 0 {
		return usagef("--without leaves nothing to pack")
	}
	if o.speech, err = parseLanguage(o.lang, os.Getenv); err != nil {
		return err
	}
	return o.redaction.check()
}

// bundleName is the name of a capture's bundle: beside nothing, in the current
// directory.
func bundleName(path string) string {
	name := filepath.Base(path)
	for _, ext := range []string{".gz", ".zst", ".pcapng", ".pcap", ".cap"} {
		name = strings.TrimSuffix(name, ext)
	}
	return name + ".zip"
}

func (o *bundleOptions) kept() (list []part) {
	for _, p := range parts() {
		if !slices.Contains(o.without, p.name) {
			list = append(list, p)
		}
	}
	return list
}

// bundling is a bundle in the making.
type bundling struct {
	o       *bundleOptions
	ctx     context.Context
	std     streams
	in      *source
	docs    *documents
	result  *analyze.Result
	summary *scrub.Summary // nil before the capture was copied
}

func (o *bundleOptions) run(ctx context.Context, std streams) error {
	if a, err := os.Stat(o.in); err == nil {
		if b, err := os.Stat(o.out); err == nil && os.SameFile(a, b) {
			return usagef("%s is the capture itself: the bundle needs another name", o.out)
		}
	}
	options := analyze.Options{Trace: !slices.Contains(o.without, "html")}
	var err error
	if o.goOutput != "" {
		if options.GoOutput, err = readGoOutput(o.goOutput); err != nil {
			return err
		}
	}
	if options.Records, err = readEvents(std, o.events); err != nil {
		return err
	}
	options.Settings, options.SettingsFrom = goproxy.Load(ctx, !o.noGoEnv, os.Getenv)
	options.Targets = options.Settings.Hosts()
	in, err := openTwice(ctx, std, o.in)
	if err != nil {
		return err
	}
	defer in.close()
	b := &bundling{o: o, ctx: ctx, std: std, in: in}
	if b.result, err = in.analyze(ctx, std, options); err != nil {
		return err
	}
	defer b.result.Close()
	title := func(messages.Language) string { return scrubbedName }
	if b.docs, err = o.redaction.documents(b.result, title, report.Options{Version: readBuildInfo().Version}); err != nil {
		return err
	}
	dst, err := outfile.Create(o.out)
	if err != nil {
		return err
	}
	defer dst.Abort()
	if err := b.pack(dst); err != nil {
		return fmt.Errorf("%s: %w", o.out, err)
	}
	if st, err := dst.Stat(); err == nil && st.Size() > bundleBytes {
		return withHint(fmt.Errorf("%s would have %.1f MB, more than the %d MB that issue trackers take", o.out, float64(st.Size())/(1<<20), bundleBytes>>20),
			"leave the capture out: --without capture")
	}
	if b.summary != nil {
		tellLeft(func(format string, args ...any) {
			e := terminal.Detect(std.err, terminal.Never, os.Getenv)
			fmt.Fprintf(std.err, "goproxytrace: %s\n", e.Text(fmt.Sprintf(format, args...)))
		}, b.summary)
	}
	if err := dst.Commit(); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(std.out, o.out); err != nil {
		return err
	}
	if d := b.result.Damage; d != nil {
		return fmt.Errorf("%s: %w; packed up to there", in.title, d)
	}
	return nil
}

// bundleTime is the time of all files in a bundle, so that the same capture gives
// the same bytes: the first that zip can tell.
var bundleTime = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

func (b *bundling) pack(w io.Writer) error {
	z := zip.NewWriter(w)
	for _, p := range b.o.kept() {
		f, err := z.CreateHeader(&zip.FileHeader{Name: p.file, Method: zip.Deflate, Modified: bundleTime})
		if err != nil {
			return err
		}
		if err := p.write(b, f); err != nil {
			return fmt.Errorf("%s: %w", p.file, err)
		}
	}
	return z.Close()
}

func (b *bundling) capture(w io.Writer) error {
	x, err := b.o.redaction.revealing()
	if err != nil {
		return err
	}
	if err := b.result.Teach(x); err != nil {
		return err
	}
	b.summary, err = b.in.scrub(b.ctx, b.std, w, x)
	return err
}

// versions tells what made the bundle.
func (b *bundling) versions(w io.Writer) error {
	r := &b.o.redaction
	redacted := "everything private"
	switch {
	case r.off:
		redacted = "nothing (payload and credentials are left out of the capture)"
	case len(r.reveal) > 0:
		redacted = "everything private but " + strings.Join(r.reveal, ", ")
	}
	pseudonyms := "numbered, for this bundle alone"
	if r.keyFile != "" {
		pseudonyms = "derived from a key, the same in all documents made with it"
	}
	var names []string
	for _, p := range b.o.kept() {
		names = append(names, p.file)
	}
	_, err := fmt.Fprintf(w, "made by: %s\nreport: %s\ncapture: %s, %d frames\nredacted: %s\npseudonyms: %s\nfiles: %s\n",
		readBuildInfo(), report.Schema, b.result.Capture.Format, b.result.Capture.Packets, redacted, pseudonyms, strings.Join(names, ", "))
	return err
}
