package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"goproxytrace/compare"
	"goproxytrace/internal/terminal"
)

// compareOptions are the flags of compare.
type compareOptions struct {
	sides     [2][]string
	names     []string
	json      string // "" for none, "-" for standard output
	markdown  string // likewise
	html      string // "" for none
	alpha     float64
	hosts     []string
	ports     []int
	color     string
	lang      string
	twoPoints bool
	behind    []string
	redaction redaction

	colorMode terminal.ColorMode
	speech    speech
	view      analyzeOptions // hosts and ports, checked
}

func newCompareCommand(std streams) *cobra.Command {
	o := &compareOptions{}
	cmd := &cobra.Command{
		Use:   "compare A B | compare A1 A2... -- B1 B2...",
		Short: "Say what differs between two sets of runs, or between two ends of a path",
		Long: `Compare takes the captures of several runs for each of two sides (two machines,
networks, module proxies, settings) and says what differs by more than repeated
runs of one side differ by themselves: verdicts, how far connections came, the
times of every stage, losses, resets, round trips, throughput, certificate
issuers and the fingerprints of ClientHellos, host by host.

A and B are each a capture, a case file, a report of analyze --json (one or
several in a file), plain or compressed, or a directory of them; with -- between
the sides each may be any number of these. Every capture is one run. Numbers are
compared as benchstat does (medians, Mann-Whitney U test), outcomes with Fisher's
exact test; p-values are corrected for the number of tests, so that --alpha
bounds the chance of a false alarm anywhere in the table. Ten runs of each side,
made alternately, are a good number; with one nothing can be tested.

With --two-points, A and B are two captures of the same traffic, A near the
client and B near the server: compare matches their packets and says which were
lost between the two, which appeared there and which were changed.

Exit codes: 0 done, 1 error or no capture file, 2 wrong command line, 3 a
capture is damaged (compared as far as it goes), 130 interrupted.`,
		Example: `  goproxytrace compare before.pcapng after.pcapng
  goproxytrace compare office/ home/
  goproxytrace compare --names=direct,vpn direct*.pcapng -- vpn*.pcapng
  goproxytrace compare --two-points client.pcapng server.pcapng`,
		Args: func(cmd *cobra.Command, args []string) error { return o.check(args, cmd.Flags().ArgsLenAtDash()) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.twoPoints {
				return comparePoints(cmd.Context(), std, o)
			}
			return compareRuns(cmd.Context(), std, o)
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"pcapng", "pcap", "cap", "json", "gz", "zst"}, cobra.ShellCompDirectiveFilterFileExt
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.json, "json", "", "write the comparison as JSON to `FILE`, to standard output without =FILE")
	f.Lookup("json").NoOptDefVal = stdStream
	f.StringVar(&o.markdown, "markdown", "", "write it as Markdown to `FILE`, to standard output without =FILE")
	f.Lookup("markdown").NoOptDefVal = stdStream
	f.StringVar(&o.html, "html", "", "write it as a page to `FILE`; nothing in it is redacted without --redact")
	f.StringSliceVar(&o.names, "names", nil, "call the sides `A,B`")
	f.Float64Var(&o.alpha, "alpha", compare.Alpha, "bound the chance of a false alarm in the whole table by `SHARE`")
	f.StringSliceVar(&o.hosts, "host", nil, "look only at connections and lookups of this `HOST` (name or address; repeatable)")
	f.IntSliceVar(&o.ports, "port", nil, "look only at connections with this TCP `PORT` (repeatable)")
	f.BoolVar(&o.twoPoints, "two-points", false, "match the packets of two captures of the same traffic")
	f.StringSliceVar(&o.behind, "behind", nil, "with --two-points: `ADDRESS` lies behind the second capture (repeatable)")
	o.redaction.addFlags(cmd)
	addColorFlag(cmd, &o.color)
	addLanguageFlag(cmd, &o.lang)
	// pflag has no form for an optional value that is a file name.
	cmd.InitDefaultHelpFlag()
	usages := f.FlagUsages()
	usages = strings.Replace(usages, `--json FILE[="-"]`, "--json[=FILE]    ", 1)
	usages = strings.Replace(usages, `--markdown FILE[="-"]`, "--markdown[=FILE]    ", 1)
	cmd.SetUsageTemplate(strings.Replace(cmd.UsageTemplate(), "{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}",
		strings.TrimRight(usages, " \n"), 1))
	return cmd
}

// check finds what is wrong with the command line; dash is the place of -- among
// the arguments, -1 for none.
func (o *compareOptions) check(args []string, dash int) error {
	const form = "goproxytrace compare A B, or goproxytrace compare A1 A2 -- B1 B2"
	switch {
	case dash < 0 && len(args) > 2:
		return withHint(usagef("two sides wanted, got %d arguments", len(args)), "put -- between the captures of one side and those of the other: "+form)
	case dash < 0 && len(args) < 2:
		return withHint(usagef("two sides wanted, got %d", len(args)), form)
	case dash == 0 || dash == len(args):
		return withHint(usagef("no captures on one side of --"), form)
	}
	if dash < 0 {
		dash = 1
	}
	o.sides = [2][]string{args[:dash], args[dash:]}
	stdin := 0
	for _, a := range args {
		if a == stdStream {
			stdin++
		}
	}
	var err error
	switch {
	case stdin > 1:
		return usagef("standard input can be read only once")
	case o.html == stdStream:
		return usagef("--html: a page goes to a file: --html=FILE")
	case o.json == stdStream && o.markdown == stdStream:
		return usagef("--json and --markdown both write to standard output")
	case !(o.alpha > 0 && o.alpha < 1):
		return usagef("--alpha: %v is not between 0 and 1", o.alpha)
	case len(o.names) != 0 && (len(o.names) != 2 || o.names[0] == "" || o.names[1] == "" || o.names[0] == o.names[1]):
		return withHint(usagef("--names takes two different names"), "for instance --names=direct,vpn")
	case o.twoPoints && len(args) != 2:
		return usagef("--two-points takes two captures, got %d", len(args))
	case o.twoPoints && o.redaction.on:
		return withHint(usagef("--redact does not go with --two-points"), "goproxytrace scrub replaces addresses in captures")
	case !o.twoPoints && len(o.behind) > 0:
		return usagef("--behind goes with --two-points")
	}
	if o.colorMode, err = terminal.ParseColorMode(o.color); err != nil {
		return usagef("--color: %w", err)
	}
	if o.speech, err = parseLanguage(o.lang, os.Getenv); err != nil {
		return err
	}
	if err = o.redaction.check(); err != nil {
		return err
	}
	// The same rules as for analyze.
	o.view = analyzeOptions{files: args[:1], hosts: o.hosts, ports: o.ports}
	return o.view.check()
}

// sideNames are what the sides are called.
func (o *compareOptions) sideNames() (names [2]string) {
	copy(names[:], o.names)
	return names
}

// expand lists the captures of a side: directories stand for the captures in
// them.
func expand(paths []string) (out []string, err error) {
	for _, p := range paths {
		st, statErr := os.Stat(p)
		if p == stdStream || statErr != nil || !st.IsDir() {
			out = append(out, p)
			continue
		}
		entries, err := os.ReadDir(p)
		if err != nil {
			return nil, err
		}
		n := len(out)
		for _, e := range entries { // sorted by name
			if !e.IsDir() && comparable(e.Name()) {
				out = append(out, strings.TrimRight(p, "/"+string(os.PathSeparator))+string(os.PathSeparator)+e.Name())
			}
		}
		if len(out) == n {
			return nil, withHint(fmt.Errorf("%s: no capture or report in the directory", p), "captures are found by their names: .pcapng, .pcap, .cap, .json, also with .gz or .zst")
		}
	}
	return out, nil
}

// comparable reports whether a file's name is that of a capture or report.
func comparable(name string) bool {
	name = strings.ToLower(name)
	name = strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".zst")
	for _, ext := range []string{".pcapng", ".pcap", ".cap", ".json", ".ndjson"} {
		if strings.HasSuffix(name, ext) {
			return true
		}
	}
	return false
}
