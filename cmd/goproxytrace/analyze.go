package main

import (
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/internal/terminal"
	"goproxytrace/report"
	"goproxytrace/report/messages"
)

// analyzeOptions are the flags of analyze.
type analyzeOptions struct {
	files       []string
	json        string // "" for none, "-" for standard output
	html        string // "" for none
	markdown    string // as json
	connections string
	frames      bool
	hosts       []string
	ports       []int
	failOn      string
	color       string
	merge       bool
	noGoEnv     bool
	goOutput    string // "" for none
	events      []string
	system      string // "" for what the capture tells
	redaction   redaction
	lang        string // "" for the user's own

	// What the flags mean once they are checked.
	classes   report.ClassSet
	colorMode terminal.ColorMode
	portList  []uint16
	platform  diagnose.Platform
	speech    speech
}

// stdStream stands for standard input or output on the command line.
const stdStream = "-"

func newAnalyzeCommand(std streams) *cobra.Command {
	o := &analyzeOptions{}
	cmd := &cobra.Command{
		Use:   "analyze FILE...",
		Short: "Say what a capture shows about a module download",
		Long: `Analyze reads captures (pcap or pcapng, plain or compressed with gzip or zstd;
"-" is standard input) and reports what became of each connection, with the
verdict that explains the go command's failure first.

A page that --html wrote is read back: its report is printed, and written in the
other forms.

Connections to the hosts of GOPROXY and GOSUMDB come first: those of the
environment, else of go env, else Go's defaults. --go-output takes what the go
command printed (go mod download -x says the most) and compares it with the
packets. --events takes what the host itself logged meanwhile: Windows event logs
(.evtx, or the XML of wevtutil qe), netevents.xml and filters.xml of netsh wfp
show, journal entries (journalctl -o export or json) and the kernel's log lines.

Exit codes: 0 done, 1 error or no capture file, 2 wrong command line, 3 the
capture is damaged (reported as far as it goes), 10 --fail-on holds,
130 interrupted.`,
		Example: `  goproxytrace analyze stalled.pcapng
  goproxytrace analyze --json=report.json --connections=table.csv stalled.pcapng
  goproxytrace analyze --html=report.html stalled.pcapng
  goproxytrace analyze --go-output=go.txt stalled.pcapng
  goproxytrace analyze --events=Security.evtx --events=netevents.xml stalled.pcapng
  goproxytrace analyze --merge ring_*.pcapng
  goproxytrace analyze --fail-on any - < stalled.pcapng`,
		Args: func(_ *cobra.Command, args []string) error {
			o.files = args
			return o.check()
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return analyzeFiles(cmd.Context(), std, o)
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"pcapng", "pcap", "cap", "gz", "zst"}, cobra.ShellCompDirectiveFilterFileExt
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.json, "json", "", "write the whole report as JSON to `FILE`, to standard output without =FILE")
	f.Lookup("json").NoOptDefVal = stdStream
	addHTMLFlag(cmd, &o.html)
	addMarkdownFlag(cmd, &o.markdown)
	f.StringVar(&o.connections, "connections", "", "write the table of all connections as CSV to `FILE`")
	f.BoolVar(&o.frames, "frames", false, "print one line for each TCP segment instead of the report")
	f.StringSliceVar(&o.hosts, "host", nil, "look only at connections and lookups of this `HOST` (name or address; repeatable)")
	f.IntSliceVar(&o.ports, "port", nil, "look only at connections with this TCP `PORT` (repeatable)")
	f.StringVar(&o.failOn, "fail-on", "", "exit with 10 if the verdict is one of `CLASSES`: tls.reset, tls.* or any, comma-separated")
	addColorFlag(cmd, &o.color)
	addLanguageFlag(cmd, &o.lang)
	o.redaction.addFlags(cmd)
	f.BoolVar(&o.merge, "merge", false, "read all files as one capture (a ring buffer's files)")
	f.StringVar(&o.goOutput, "go-output", "", "compare with what the go command printed to `FILE`")
	f.StringArrayVar(&o.events, "events", nil, "join the host's own event records in `FILE` (repeatable)")
	f.StringVar(&o.system, "os", "", "name next steps for this `SYSTEM`: linux, windows or darwin (default: as the capture tells)")
	_ = cmd.RegisterFlagCompletionFunc("os", cobra.FixedCompletions(systems(), cobra.ShellCompDirectiveNoFileComp))
	f.BoolVar(&o.noGoEnv, "no-go-env", false, "do not ask go env for GOPROXY and GOSUMDB")
	showOptionalFiles(cmd)
	return cmd
}

// addHTMLFlag adds --html.
func addHTMLFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVar(path, "html", "", "write the report with diagrams as one HTML page to `FILE`, redacted")
	_ = cmd.RegisterFlagCompletionFunc("html", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{"html"}, cobra.ShellCompDirectiveFilterFileExt
	})
}

// addMarkdownFlag adds --markdown.
func addMarkdownFlag(cmd *cobra.Command, path *string) {
	f := cmd.Flags()
	f.StringVar(path, "markdown", "", "write the report as Markdown to paste into an issue, redacted and under 60 kB, to `FILE`, to standard output without =FILE")
	f.Lookup("markdown").NoOptDefVal = stdStream
}

// showOptionalFiles shows flags that go without a file as --json[=FILE], for
// which pflag has no form.
func showOptionalFiles(cmd *cobra.Command) {
	cmd.InitDefaultHelpFlag()
	usages := optionalFile.ReplaceAllString(cmd.Flags().FlagUsages(), "--$1[=FILE]    ")
	cmd.SetUsageTemplate(strings.Replace(cmd.UsageTemplate(), "{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}",
		strings.TrimRight(usages, " \n"), 1))
}

var optionalFile = regexp.MustCompile(`--([a-z]+) FILE\[="-"\]`)

// addColorFlag adds --color.
func addColorFlag(cmd *cobra.Command, mode *string) {
	cmd.Flags().StringVar(mode, "color", string(terminal.Auto), "colour the report: `WHEN` is auto, always or never")
	_ = cmd.RegisterFlagCompletionFunc("color", cobra.FixedCompletions(
		[]string{string(terminal.Auto), string(terminal.Always), string(terminal.Never)}, cobra.ShellCompDirectiveNoFileComp))
}

// onStdout counts the outputs that standard output belongs to, in the report's
// place.
func (o *analyzeOptions) onStdout() (n int) {
	for _, to := range []string{o.json, o.markdown, o.connections} {
		if to == stdStream {
			n++
		}
	}
	return n
}

// check finds what is wrong with the command line.
func (o *analyzeOptions) check() error {
	if len(o.files) == 0 {
		return withHint(usagef("no capture file given"), `name one, or "-" for standard input: goproxytrace analyze stalled.pcapng`)
	}
	stdin := 0
	for _, f := range o.files {
		if f == stdStream {
			stdin++
		}
	}
	var err error
	switch {
	case stdin > 1:
		return usagef("standard input can be read only once")
	case o.merge && stdin > 0 && len(o.files) > 1:
		return usagef("--merge reads each file twice, which standard input does not allow")
	case o.frames && len(o.files) > 1 && !o.merge:
		return withHint(usagef("--frames takes one capture, got %d", len(o.files)), "--merge reads several files as one capture")
	case o.frames && o.json == stdStream:
		return usagef("--frames and --json both write to standard output")
	case o.onStdout() > 1:
		return usagef("only one of --json, --markdown and --connections can write to standard output")
	case o.frames && (o.json != "" || o.html != "" || o.markdown != "" || o.connections != "" || o.failOn != "" || o.goOutput != "" || len(o.events) > 0 || o.system != "" || o.lang != "" || o.redaction.on):
		return usagef("--frames prints frames and no report: it goes with no other output and not with --fail-on, --go-output, --events, --os, --lang or --redact")
	case o.html == stdStream:
		return usagef("--html takes a file, not standard output")
	case o.html != "" && len(o.files) > 1 && !o.merge:
		return withHint(usagef("--html goes with one capture, got %d", len(o.files)), "--merge reads several files as one capture")
	case slices.Contains(o.events, stdStream):
		return usagef("--events takes a file, not standard input")
	case o.goOutput == stdStream:
		return usagef("--go-output takes a file, not standard input")
	case o.goOutput != "" && len(o.files) > 1 && !o.merge:
		return withHint(usagef("--go-output goes with one capture, got %d", len(o.files)), "--merge reads several files as one capture")
	}
	if o.failOn != "" {
		if o.classes, err = report.ParseClasses(o.failOn); err != nil {
			return withHint(usagef("--fail-on: %w", err), "goproxytrace explain lists the classes; any means every death, tls.* all that begin with tls.")
		}
	}
	if o.colorMode, err = terminal.ParseColorMode(o.color); err != nil {
		return usagef("--color: %w", err)
	}
	if err = o.redaction.check(); err != nil {
		return err
	}
	o.platform = diagnose.Platform(strings.ToLower(o.system))
	if o.system != "" && !slices.Contains(diagnose.Platforms, o.platform) {
		return withHint(usagef("--os: unknown system %q", o.system), "it is one of "+strings.Join(systems(), ", "))
	}
	if o.speech, err = parseLanguage(o.lang, os.Getenv); err != nil {
		return err
	}
	o.portList = o.portList[:0]
	for _, p := range o.ports {
		if p < 1 || p > 65535 {
			return usagef("--port: %d is no TCP port", p)
		}
		o.portList = append(o.portList, uint16(p))
	}
	for i, h := range o.hosts {
		h = strings.ToLower(strings.Trim(strings.TrimSuffix(strings.TrimSpace(h), "."), "[]"))
		if h == "" || strings.Contains(h, "/") {
			return withHint(usagef("--host: %q is no host", o.hosts[i]), "give the name or address alone: --host goproxy.cn")
		}
		o.hosts[i] = h
	}
	return nil
}

// systems are what --os takes.
func systems() (names []string) {
	for _, p := range diagnose.Platforms {
		names = append(names, string(p))
	}
	return names
}

// title names the captures for a person.
func (o *analyzeOptions) title(l messages.Language) string {
	if len(o.files) == 1 {
		return o.files[0]
	}
	return l.Label("capture.merged", diagnose.Text("file", o.files[0]), diagnose.Num("more", int64(len(o.files)-1)))
}
