package main

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"goproxytrace/internal/terminal"
	"goproxytrace/probe"
	"goproxytrace/report"
)

// probeOptions are the flags of probe.
type probeOptions struct {
	hosts     []string
	arms      []string
	yes       bool
	quick     bool
	four, six bool
	spacing   time.Duration
	residual  time.Duration
	timeout   time.Duration
	repeat    int
	path      string
	harmless  string
	noCapture bool
	write     string
	noGoEnv   bool
	quiet     bool
	json      string
	failOn    string
	color     string
	lang      string

	// What the flags mean once they are checked.
	targets   []probe.Target
	groups    []probe.Group
	classes   report.ClassSet
	colorMode terminal.ColorMode
	speech    speech
}

// Bounds on what the user may choose: a test must neither be a burst nor last
// for hours.
const (
	leastSpacing = 100 * time.Millisecond
	mostResidual = 15 * time.Minute
	leastTimeout = time.Second
	mostTimeout  = time.Minute
	mostRepeats  = 5
)

func newProbeCommand(std streams) *cobra.Command {
	o := &probeOptions{}
	cmd := &cobra.Command{
		Use:   "probe [HOST[:PORT]...]",
		Short: "Find out by control tests why a module proxy is not reached",
		Long: `Probe connects to module proxies as the go command does and again with one thing
changed: a small ClientHello, the same size without post-quantum groups, small
packets, a harmless name at the same address, the same name at another address,
the other address family, another port, HTTP/1.1, without the configured proxy;
and asks each configured resolver. What passes and what dies then says which
difference decides: the name, the address, the size, the resolver. Without HOST
it takes the hosts in GOPROXY and GOSUMDB, as go env has them.

It says first what will be sent where and how long that takes, and asks for
Enter; --yes begins at once. Only the named hosts, their addresses, the
configured proxy and the configured resolvers are contacted. Only GET requests
of a few bytes are made; no credentials go anywhere but to the configured proxy,
and redirects are shown and not followed.

A box on the path that blocks one connection often blocks all others to the same
address for 60 to 180 s. Attempts are therefore spaced (--spacing), controls
follow failures, and what fails within --residual of another failure at the same
address is tried again when that has passed, unless something got through there
in between. --quick counts such failures instead of waiting: minutes become
seconds, and no difference is more than consistent with its cause where one
fell into another's shadow.

Packets are captured meanwhile where that is permitted (doctor says how), and
judged as by live; else only sockets are, and the verdict is weaker for it.
Ctrl-C stops at once and reports what is known.

Groups for --arms: dns, address, hello-size, name, mtu, family, proxy,
certificate, request. Without it, what a failure makes useful is tried.

Exit codes: 0 done, 1 error, 2 wrong command line or no --yes without a
terminal, 10 --fail-on holds, 130 interrupted.`,
		Example: `  goproxytrace probe
  goproxytrace probe goproxy.cn
  goproxytrace probe --arms hello-size goproxy.cn
  goproxytrace probe --yes --json=probe.json --fail-on any`,
		Args: func(_ *cobra.Command, args []string) error {
			o.hosts = args
			return o.check()
		},
		RunE:              func(cmd *cobra.Command, _ []string) error { return runProbe(cmd.Context(), std, o) },
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	d := probe.DefaultTiming
	f := cmd.Flags()
	f.StringSliceVar(&o.arms, "arms", nil, "try these `GROUPS` alone: "+strings.Join(groupNames(), ", "))
	_ = cmd.RegisterFlagCompletionFunc("arms", cobra.FixedCompletions(groupNames(), cobra.ShellCompDirectiveNoFileComp))
	f.BoolVarP(&o.yes, "yes", "y", false, "begin without asking")
	f.BoolVar(&o.quick, "quick", false, "do not wait for leftover blocks to pass: faster, and the verdict is weaker")
	f.DurationVar(&o.spacing, "spacing", d.Spacing, "leave this `TIME` between two attempts")
	f.DurationVar(&o.residual, "residual", d.Residual, "a block may outlast a failure by this `TIME`; shorter ones make the verdict less certain")
	f.DurationVar(&o.timeout, "timeout", d.TLS, "give up connecting, and a handshake, after this `TIME`; a request and a lookup after half as much again")
	f.IntVar(&o.repeat, "repeat", 2, "outcomes of each arm that are to count: this `NUMBER`")
	f.BoolVarP(&o.four, "ipv4", "4", false, "IPv4 addresses alone")
	f.BoolVarP(&o.six, "ipv6", "6", false, "IPv6 addresses alone")
	f.StringVar(&o.path, "path", "", "ask for this `PATH` instead of /sumdb/NAME/supported")
	f.StringVar(&o.harmless, "harmless-name", probe.HarmlessName, "the `NAME` that is asked for where another name is tried")
	f.BoolVar(&o.noCapture, "no-capture", false, "capture no packets: judge by sockets alone")
	f.StringVarP(&o.write, "write", "w", "", "write the captured packets to `FILE` (pcapng)")
	f.StringVar(&o.json, "json", "", "write the whole report as JSON to `FILE`, to standard output without =FILE")
	f.Lookup("json").NoOptDefVal = stdStream
	f.StringVar(&o.failOn, "fail-on", "", "exit with 10 if a host's verdict is one of `CLASSES`: tls.reset, tls.* or any, comma-separated")
	f.BoolVar(&o.noGoEnv, "no-go-env", false, "do not ask go env for the settings")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "no progress, only the announcement and the report")
	addColorFlag(cmd, &o.color)
	addLanguageFlag(cmd, &o.lang)
	// pflag has no form for an optional value that is a file name.
	cmd.InitDefaultHelpFlag()
	usages := strings.Replace(f.FlagUsages(), `--json FILE[="-"]`, "--json[=FILE]    ", 1)
	cmd.SetUsageTemplate(strings.Replace(cmd.UsageTemplate(), "{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}",
		strings.TrimRight(usages, " \n"), 1))
	return cmd
}

func groupNames() (out []string) {
	for _, g := range probe.Groups {
		out = append(out, string(g))
	}
	return out
}

// check finds what is wrong with the command line.
func (o *probeOptions) check() error {
	o.targets, o.groups = nil, nil
	for _, h := range o.hosts {
		t, err := parseTarget(h)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(o.targets, func(u probe.Target) bool { return u.Host == t.Host && u.Port == t.Port }) {
			o.targets = append(o.targets, t)
		}
	}
	for _, a := range o.arms {
		g := probe.Group(strings.TrimSpace(a))
		if !slices.Contains(probe.Groups, g) {
			return withHint(usagef("--arms: unknown group %q", a), "the groups are "+strings.Join(groupNames(), ", "))
		}
		o.groups = append(o.groups, g)
	}
	switch {
	case len(o.targets) > probe.MaxTargets:
		return usagef("%d hosts: at most %d are probed at a time", len(o.targets), probe.MaxTargets)
	case o.four && o.six:
		return usagef("-4 and -6 exclude each other")
	case o.spacing < leastSpacing:
		return withHint(usagef("--spacing %v: at least %v lie between two attempts", o.spacing, leastSpacing), "attempts in a burst provoke the blocks that they look for")
	case o.residual < 0 || o.residual > mostResidual:
		return usagef("--residual %v: want up to %v", o.residual, mostResidual)
	case o.timeout < leastTimeout || o.timeout > mostTimeout:
		return usagef("--timeout %v: want %v to %v", o.timeout, leastTimeout, mostTimeout)
	case o.repeat < 1 || o.repeat > mostRepeats:
		return usagef("--repeat %d: want 1 to %d", o.repeat, mostRepeats)
	case o.path != "" && !strings.HasPrefix(o.path, "/"):
		return usagef("--path %q: want a path that begins with /", o.path)
	case !plainName(o.harmless):
		return usagef("--harmless-name %q is no name", o.harmless)
	case o.noCapture && o.write != "":
		return usagef("--write needs the packets that --no-capture leaves out")
	case o.write == stdStream && o.json == stdStream:
		return usagef("only one of --json and -w can write to standard output")
	}
	var err error
	if o.failOn != "" {
		if o.classes, err = report.ParseClasses(o.failOn); err != nil {
			return withHint(usagef("--fail-on: %w", err), "goproxytrace explain lists the classes")
		}
	}
	if o.colorMode, err = terminal.ParseColorMode(o.color); err != nil {
		return usagef("--color: %w", err)
	}
	o.speech, err = parseLanguage(o.lang, os.Getenv)
	return err
}

// parseTarget reads HOST, HOST:PORT, an address, or a URL that somebody has
// copied from GOPROXY.
func parseTarget(s string) (t probe.Target, err error) {
	rest := s
	switch scheme, after, ok := strings.Cut(s, "://"); {
	case ok && scheme == "https":
		rest, _, _ = strings.Cut(after, "/")
	case ok:
		return t, usagef("%q: only https is probed", s)
	}
	host, port := rest, "443"
	if a, err := netip.ParseAddr(strings.Trim(rest, "[]")); err == nil {
		host = a.String()
	} else if h, p, err := net.SplitHostPort(rest); err == nil {
		host, port = h, p
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return t, usagef("%q: %q is no TCP port", s, port)
	}
	if _, err := netip.ParseAddr(host); err != nil && !plainName(host) {
		return t, withHint(usagef("%q is neither a host name nor an address", s), "goproxytrace probe goproxy.cn")
	}
	return probe.Target{Host: strings.ToLower(strings.TrimSuffix(host, ".")), Port: uint16(n)}, nil
}

// plainName reports whether s is a host name (RFC 1123, section 2.1).
func plainName(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, r := range label {
			if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_') {
				return false
			}
		}
	}
	return true
}

func (o *probeOptions) family() int {
	switch {
	case o.four:
		return 4
	case o.six:
		return 6
	}
	return 0
}

func (o *probeOptions) timing() probe.Timing {
	longer := o.timeout + o.timeout/2
	return probe.Timing{
		Spacing: o.spacing, Residual: o.residual, Quick: o.quick, Connect: o.timeout, TLS: o.timeout, Request: longer, Lookup: longer,
	}
}
