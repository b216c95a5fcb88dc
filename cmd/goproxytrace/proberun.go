package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/analyze/goproxy"
	"goproxytrace/internal/outfile"
	"goproxytrace/internal/terminal"
	"goproxytrace/probe"
	"goproxytrace/report"
	"goproxytrace/report/messages"
)

// probeRun is one run of probe.
type probeRun struct {
	o       *probeOptions
	std     streams
	screen  terminal.Output // of standard error
	options probe.Options
	out     *outfile.File
	packets *probeCapture // nil where none are captured
	without string        // why none are
	begin   time.Time
}

// runProbe announces, asks, tries, judges and reports.
func runProbe(ctx context.Context, std streams, o *probeOptions) error {
	r := &probeRun{o: o, std: std, screen: terminal.Detect(std.err, terminal.Never, os.Getenv)}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	if err := r.announce(ctx); err != nil {
		return err
	}
	if o.json != "" && o.json != stdStream {
		var err error
		if r.out, err = outfile.Create(o.json); err != nil {
			return err
		}
		defer r.out.Abort()
	}
	if err := r.capture(ctx); err != nil {
		return err
	}
	defer r.packets.close()
	r.begin = time.Now()
	attempts := probe.New(r.options).Run(ctx)
	interrupted := ctx.Err() != nil
	if err := r.packets.join(attempts, interrupted); err != nil {
		complain(std, err)
	}
	return r.report(attempts, interrupted)
}

// prepare finds out whom to contact, without contacting anybody.
func (r *probeRun) prepare(ctx context.Context) error {
	settings, _ := goproxy.Load(ctx, !r.o.noGoEnv, os.Getenv)
	targets := r.o.targets
	if len(targets) == 0 {
		for _, t := range targetsOf(settings, func(string) string { return "" }) {
			if t.Port != plainPort {
				targets = append(targets, probe.Target{Host: t.Host, Port: t.Port})
			}
		}
		if len(targets) == 0 {
			return withHint(usagef("GOPROXY and GOSUMDB name no host that is reached by https"), "name one: goproxytrace probe goproxy.cn")
		}
	}
	sumdb := goproxy.Settings{GOSUMDB: settings.GOSUMDB}
	name := "sum.example"
	if db, ok := sumdb.SumDB(); ok {
		name = db.Name
	}
	for i := range targets {
		t := &targets[i]
		switch {
		case r.o.path != "":
			t.Path = r.o.path
		case t.Host == name:
			t.Path = "/latest"
		default:
			t.Path = prefixOf(settings, t.Host) + probe.DefaultPath(name)
		}
	}
	r.options = probe.Options{
		Targets: targets, Groups: r.o.groups, HarmlessName: r.o.harmless, Repeats: r.o.repeat, Family: r.o.family(), Timing: r.o.timing(),
		ProxyFor: func(host string, port uint16) *url.URL {
			u, _ := proxyOf(host, port) // its error was told of before
			return u
		},
		OnAttempt: r.attempt, OnWait: r.wait,
	}
	for _, a := range nameServers() {
		r.options.Resolvers = append(r.options.Resolvers, netip.AddrPortFrom(a, 53))
	}
	for _, t := range targets {
		u, err := proxyOf(t.Host, t.Port)
		if err != nil {
			return withHint(fmt.Errorf("the proxy for %s: %w", t.Host, err), "HTTPS_PROXY names it")
		}
		if u != nil && u.Scheme != "http" && u.Scheme != "https" {
			return withHint(fmt.Errorf("the proxy for %s is a %s proxy, which is not probed", t.Host, u.Scheme), "goproxytrace live captures what the go command does through it")
		}
	}
	return nil
}

// prefixOf is the path that GOPROXY has for a host: a module proxy need not be
// at the root.
func prefixOf(s goproxy.Settings, host string) string {
	for _, e := range s.Proxies() {
		if e.Endpoint.Host != host {
			continue
		}
		address := e.Name // without credentials, for which … may stand there
		if _, rest, ok := strings.Cut(address, "://"); ok {
			address = rest
		}
		if i := strings.IndexByte(address, '/'); i >= 0 {
			return strings.TrimSuffix(address[i:], "/")
		}
	}
	return ""
}

// plainPort is where no TLS is spoken.
const plainPort = 80

// proxyOf is the proxy that the go command goes through to a host, by the
// environment alone.
func proxyOf(host string, port uint16) (*url.URL, error) {
	return http.ProxyFromEnvironment(&http.Request{URL: &url.URL{Scheme: "https", Host: net.JoinHostPort(host, strconv.Itoa(int(port)))}})
}

// announce says what will be sent where and how long that takes, and waits for
// a person's word.
func (r *probeRun) announce(ctx context.Context) error {
	extent := r.options.Extent()
	var b strings.Builder
	line := func(format string, args ...any) {
		b.WriteString(terminal.Wrap(r.screen.Text(fmt.Sprintf(format, args...)), r.screen.Columns, "  ", "    ") + "\n")
	}
	b.WriteString("goproxytrace probe will send to\n")
	names := false
	var asked []string // names of proxies
	for _, t := range r.options.Targets {
		where := ""
		if _, err := netip.ParseAddr(t.Host); err != nil {
			names, where = true, ", at up to two addresses of each family"
		}
		line("%s, port %d%s: TCP, TLS, GET %s", t.Host, t.Port, where, t.Path)
	}
	switch {
	case !names:
	case len(r.options.Resolvers) > 0 && (len(r.options.Groups) == 0 || slices.Contains(r.options.Groups, probe.GroupDNS)):
		line("the system's resolver, and the name servers %s themselves: questions for these names", joined(r.options.Resolvers))
	default:
		line("the system's resolver: questions for these names")
	}
	for _, t := range r.options.Targets {
		if u := r.options.ProxyFor(t.Host, t.Port); u != nil {
			if _, err := netip.ParseAddr(u.Hostname()); err != nil && !slices.Contains(asked, u.Hostname()) {
				asked = append(asked, u.Hostname())
				line("the system's resolver: the name %s of the proxy", u.Hostname())
			}
			credentials := ""
			if u.User != nil {
				credentials = ", with its credentials"
			}
			line("the proxy %s: CONNECT %s:%d%s", u.Host, t.Host, t.Port, credentials)
		}
	}
	if also := r.controls(); len(also) > 0 {
		when := ", where something is amiss"
		if len(r.options.Groups) > 0 {
			when = "" // --arms tries them in any case
		}
		line("the same addresses%s: %s", when, strings.Join(also, ", "))
	}
	line("nobody else")
	fmt.Fprintf(&b, "%d attempts in about %s where all is well; at most %d in %s\n", extent.Attempts, roughly(extent.Took), extent.Most, roughly(extent.Longest))
	if extent.Longest > time.Minute {
		line("the long case waits for blocks that outlast a failure (--residual %v); --quick does not", r.options.Timing.Residual)
	}
	if _, err := io.WriteString(r.std.err, b.String()); err != nil {
		return err
	}
	if r.o.yes {
		return nil
	}
	in, ok := r.std.in.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return withHint(usagef("nothing was sent: standard input is no terminal where somebody could agree"), "--yes begins without asking")
	}
	fmt.Fprint(r.std.err, "Press Enter to begin, Ctrl-C to leave: ")
	answer := make(chan error, 1)
	go func() {
		_, err := bufio.NewReader(in).ReadString('\n')
		answer <- err
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(r.std.err)
		return ctx.Err()
	case err := <-answer:
		if err != nil {
			return withHint(usagef("nothing was sent: no answer (%v)", err), "--yes begins without asking")
		}
	}
	return nil
}

// controls says what else than the go command's own attempts may be sent to the
// hosts' addresses.
func (r *probeRun) controls() (out []string) {
	asked := func(any ...probe.Group) bool {
		return len(r.options.Groups) == 0 || slices.ContainsFunc(any, func(g probe.Group) bool { return slices.Contains(r.options.Groups, g) })
	}
	if asked(probe.GroupAddress) {
		out = append(out, fmt.Sprintf("port %d", plainPort))
	}
	if asked(probe.GroupName, probe.GroupCertificate) {
		out = append(out, "the name "+r.options.HarmlessName)
	}
	if asked(probe.GroupName, probe.GroupAddress) && len(r.options.Targets) > 1 {
		out = append(out, "one host's name at another's address")
	}
	return out
}

func joined[T fmt.Stringer](list []T) string {
	var out []string
	for _, x := range list {
		out = append(out, x.String())
	}
	return strings.Join(out, ", ")
}

// roughly rounds a time up to what a person plans with.
func roughly(d time.Duration) string {
	if d < 2*time.Minute {
		return fmt.Sprintf("%d s", int((d+time.Second-1)/time.Second))
	}
	return fmt.Sprintf("%d min", int((d+time.Minute-1)/time.Minute))
}

// attempt tells of one that has ended.
func (r *probeRun) attempt(a *probe.Attempt) {
	r.packets.note(a)
	if r.o.quiet {
		return
	}
	what := "passed"
	switch {
	case a.End == probe.Stopped:
		what = "interrupted"
	case a.Died():
		what = string(a.Stage) + ": " + a.Detail
		if a.Detail == "" {
			what = fmt.Sprintf("%s: %s %d", a.Stage, a.End, a.HTTP)
		}
	}
	if a.Shadowed {
		what += " (right after another failure)"
	}
	way := ""
	switch {
	case a.Via != "":
		way = " through " + a.Via
	case a.Address.IsValid():
		way = " at " + a.Address.String()
	case a.Resolver.IsValid():
		way = " of " + a.Resolver.Addr().String()
	}
	r.progress("%s %s%s, %s: %s", clockOf(a.Begin.Sub(r.begin)), a.Host, way, a.Arm, what)
}

func clockOf(d time.Duration) string {
	s := int(max(d, 0).Seconds())
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// wait tells of a pause.
func (r *probeRun) wait(w probe.Wait) {
	if r.o.quiet || !w.Residual {
		return
	}
	r.progress("%s waiting until %s: a block left over at %s would look like another failure", clockOf(time.Since(r.begin)), clockOf(w.Until.Sub(r.begin)), w.Address)
}

func (r *probeRun) progress(format string, args ...any) {
	fmt.Fprintln(r.std.err, terminal.Shorten(r.screen.Text(fmt.Sprintf(format, args...)), r.screen.Columns))
}

// report judges and writes.
func (r *probeRun) report(attempts []*probe.Attempt, interrupted bool) error {
	findings := probe.Judge(r.options, attempts)
	build := func(l messages.Language) *report.Probe {
		return report.BuildProbe(findings, attempts, report.ProbeOptions{
			Version: readBuildInfo().Version, Language: l, Platform: platformHere(), Start: r.begin, End: time.Now(), Interrupted: interrupted,
			Captured: r.packets != nil,
		})
	}
	doc := build(messages.English)
	if r.packets == nil && !r.o.quiet && r.without != "" {
		r.progress("no packets were captured: %s", r.without)
	}
	err := r.write(doc, build)
	if err != nil && !terminal.IsBrokenPipe(err) {
		return err
	}
	switch {
	case interrupted:
		return exitCode(exitInterrupted)
	case r.o.classes.HoldsProbe(doc):
		return exitCode(exitFound)
	}
	return nil
}

func (r *probeRun) write(doc *report.Probe, build func(messages.Language) *report.Probe) error {
	if r.out != nil {
		if err := errors.Join(report.WriteProbeJSON(r.out, doc), r.out.Commit()); err != nil {
			return err
		}
	}
	switch {
	case r.o.json == stdStream:
		return report.WriteProbeJSON(r.std.out, doc)
	case r.o.write == stdStream:
		return report.WriteProbeText(r.std.err, doc, terminal.Detect(r.std.err, r.o.colorMode, os.Getenv))
	}
	language, screen := r.o.speech.on(terminal.Detect(r.std.out, r.o.colorMode, os.Getenv))
	return report.WriteProbeText(r.std.out, build(language), screen)
}

// platformHere is the system that this program runs on.
func platformHere() diagnose.Platform {
	for _, p := range diagnose.Platforms {
		if string(p) == runtime.GOOS {
			return p
		}
	}
	return diagnose.AnyPlatform
}
