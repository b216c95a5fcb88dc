package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"goproxytrace/internal/terminal"
	"goproxytrace/report"
)

// analyzeOptions are the flags of analyze.
type analyzeOptions struct {
	files       []string
	json        string // "" for none, "-" for standard output
	connections string
	frames      bool
	hosts       []string
	ports       []int
	failOn      string
	color       string
	merge       bool
	noGoEnv     bool
	goOutput    string // "" for none

	// What the flags mean once they are checked.
	classes   report.ClassSet
	colorMode terminal.ColorMode
	portList  []uint16
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

Connections to the hosts of GOPROXY and GOSUMDB come first: those of the
environment, else of go env, else Go's defaults. --go-output takes what the go
command printed (go mod download -x says the most) and compares it with the
packets.

Exit codes: 0 done, 1 error or no capture file, 2 wrong command line, 3 the
capture is damaged (reported as far as it goes), 10 --fail-on holds,
130 interrupted.`,
		Example: `  goproxytrace analyze stalled.pcapng
  goproxytrace analyze --json=report.json --connections=table.csv stalled.pcapng
  goproxytrace analyze --go-output=go.txt stalled.pcapng
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
	f.StringVar(&o.connections, "connections", "", "write the table of all connections as CSV to `FILE`")
	f.BoolVar(&o.frames, "frames", false, "print one line for each TCP segment instead of the report")
	f.StringSliceVar(&o.hosts, "host", nil, "look only at connections and lookups of this `HOST` (name or address; repeatable)")
	f.IntSliceVar(&o.ports, "port", nil, "look only at connections with this TCP `PORT` (repeatable)")
	f.StringVar(&o.failOn, "fail-on", "", "exit with 10 if the verdict is one of `CLASSES`: tls.reset, tls.* or any, comma-separated")
	addColorFlag(cmd, &o.color)
	f.BoolVar(&o.merge, "merge", false, "read all files as one capture (a ring buffer's files)")
	f.StringVar(&o.goOutput, "go-output", "", "compare with what the go command printed to `FILE`")
	f.BoolVar(&o.noGoEnv, "no-go-env", false, "do not ask go env for GOPROXY and GOSUMDB")
	// pflag has no form for an optional value that is a file name.
	cmd.InitDefaultHelpFlag()
	usages := strings.Replace(f.FlagUsages(), `--json FILE[="-"]`, "--json[=FILE]    ", 1)
	cmd.SetUsageTemplate(strings.Replace(cmd.UsageTemplate(), "{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}",
		strings.TrimRight(usages, " \n"), 1))
	return cmd
}

// addColorFlag adds --color.
func addColorFlag(cmd *cobra.Command, mode *string) {
	cmd.Flags().StringVar(mode, "color", string(terminal.Auto), "colour the report: `WHEN` is auto, always or never")
	_ = cmd.RegisterFlagCompletionFunc("color", cobra.FixedCompletions(
		[]string{string(terminal.Auto), string(terminal.Always), string(terminal.Never)}, cobra.ShellCompDirectiveNoFileComp))
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
	case o.json == stdStream && o.connections == stdStream:
		return usagef("--json and --connections both write to standard output")
	case o.frames && (o.json != "" || o.connections != "" || o.failOn != "" || o.goOutput != ""):
		return usagef("--frames prints frames and no report: it goes with no other output and not with --fail-on or --go-output")
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

// title names the captures for a person.
func (o *analyzeOptions) title() string {
	if len(o.files) == 1 {
		return o.files[0]
	}
	return fmt.Sprintf("%s and %d more", o.files[0], len(o.files)-1)
}
