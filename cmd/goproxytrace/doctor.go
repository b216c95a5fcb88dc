package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"goproxytrace/capture/engine"
	"goproxytrace/capture/hostevents"
	"goproxytrace/capture/hostlog"
	"goproxytrace/capture/nic"
	"goproxytrace/capture/owner"
	"goproxytrace/internal/terminal"
	"goproxytrace/live"
	"goproxytrace/live/command"
)

// doctorLimit bounds the lookups of doctor.
const doctorLimit = 5 * time.Second

func newDoctorCommand(std streams) *cobra.Command {
	asJSON, noGoEnv := false, false
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what live can do here, and what it lacks",
		Long: `Doctor looks at what a live capture needs: the right to capture, a way to find
the owners of connections, this machine's own logs, the go command's settings
and what they mean, how this machine is set up (proxies, filter drivers), the go
command's servers with their addresses, routes and MTU, and the name servers.
For each problem it says what helps here.

It contacts nothing but the name resolver, which is asked for the servers'
addresses, and captures for a moment without keeping anything.

Exit codes: 0 all is well, 1 a problem, 2 wrong command line, 4 nothing can be
captured.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d := examine(cmd.Context(), !noGoEnv)
			var err error
			if asJSON {
				err = writeIndented(std.out, d)
			} else {
				err = d.print(std)
			}
			switch {
			case err != nil:
				return err
			case !d.canCapture():
				return exitCode(exitCannotCapture)
			case len(d.Problems) > 0:
				return exitCode(exitError)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.BoolVar(&noGoEnv, "no-go-env", false, "do not ask go env for the settings")
	return cmd
}

// diagnosis is what doctor found.
type diagnosis struct {
	System  string       `json:"system"`
	Arch    string       `json:"arch"`
	Rights  rights       `json:"rights"`
	Capture captureState `json:"capture"`
	Owners  ownersState  `json:"owners"`
	// Unreadable is what this machine records and live could not read.
	Unreadable []unreadable   `json:"unreadable_records"`
	Settings   []settingState `json:"settings"`
	// Remarks say what settings mean, Host how this machine is set up.
	Remarks  []string      `json:"remarks,omitempty"`
	Host     []string      `json:"host,omitempty"`
	Targets  []targetState `json:"targets"`
	Resolver []string      `json:"name_servers,omitempty"`
	// Lookups says who looks names up for the go command.
	Lookups  string    `json:"lookups"`
	Problems []problem `json:"problems"`
}

type rights struct {
	UID int `json:"uid"` // -1 on Windows
	// Invoker is the user who called sudo; empty for none.
	Invoker string `json:"invoker,omitempty"`
	// Kept is true where a session keeps its capabilities to its end: on Linux,
	// a program built with cgo cannot give them up in every thread.
	Kept bool `json:"capabilities_kept,omitempty"`
	// Capabilities are those in force on Linux that bear on capturing.
	Capabilities []string `json:"capabilities,omitempty"`
}

type captureState struct {
	Engine     string   `json:"engine"`
	Works      bool     `json:"works"`
	Interfaces []string `json:"interfaces"`
	Error      string   `json:"error,omitempty"`
	// Others are engines that only --engine chooses.
	Others []engineState `json:"others,omitempty"`
}

type engineState struct {
	Engine string `json:"engine"`
	Usable bool   `json:"usable"`
	Error  string `json:"error,omitempty"`
	// Kept are directories of captures that nobody has read.
	Kept []string `json:"kept,omitempty"`
}

type ownersState struct {
	Mechanism string   `json:"mechanism"`
	Limits    []string `json:"limits,omitempty"`
	Error     string   `json:"error,omitempty"`
}

type unreadable struct {
	Source string `json:"source"`
	Why    string `json:"why"`
}

type settingState struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	From  string `json:"from"`
}

type targetState struct {
	Role      string         `json:"role"`
	Host      string         `json:"host"`
	Port      uint16         `json:"port"`
	Addresses []addressState `json:"addresses"`
	LookupMS  float64        `json:"lookup_ms,omitempty"`
	Error     string         `json:"error,omitempty"`
}

type addressState struct {
	Address string `json:"address"`
	Family  string `json:"family"`
	// Interfaces carry what goes there; none where there is no route. MTU is
	// the first one's in bytes, zero where unknown.
	Interfaces []string `json:"interfaces"`
	MTU        int      `json:"mtu,omitempty"`
}

type problem struct {
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"`
}

// examine looks at everything.
func examine(ctx context.Context, askGo bool) *diagnosis {
	d := &diagnosis{
		System: systemName(), Arch: runtime.GOARCH, Settings: []settingState{}, Targets: []targetState{}, Problems: []problem{}, Unreadable: []unreadable{},
		Rights: rights{UID: os.Getuid(), Capabilities: live.Capabilities()},
	}
	d.Rights.Kept = runtime.GOOS == "linux" && builtWithCgo()
	how := command.Options{Env: os.Environ()}
	if how.User = live.Invoker(os.Geteuid(), os.Getenv); how.User != nil {
		d.Rights.Invoker = how.User.Name
		how.Env = command.Environment(how.Env, how.User)
	}
	records := live.Settings(ctx, how, askGo, time.Now())
	d.Remarks = remarks(ctx, records, command.Lookup(how.Env))
	for _, r := range records {
		d.Settings = append(d.Settings, settingState{r.Name, hostlog.RedactSetting(r.Name, r.Value), r.From})
	}
	run := &liveRun{settings: records}
	targets := targetsOf(run.goSettings(ctx), command.Lookup(how.Env))
	d.capture(ctx, targets)
	d.owners()
	d.records(ctx)
	d.servers(ctx, targets)
	if askGo && !hasGo(records) {
		d.problem("the go command was not found, or go env does not answer", "Settings are then the environment's and Go's defaults. Is go in the PATH of this user? sudo has a PATH of its own.")
	}
	return d
}

func builtWithCgo() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "CGO_ENABLED", Value: "1"})
}

func hasGo(records []*hostlog.Setting) bool {
	for _, r := range records {
		if r.Name == "GOVERSION" {
			return true
		}
	}
	return false
}

func (d *diagnosis) problem(text, hint string) {
	d.Problems = append(d.Problems, problem{text, hint})
}

// capture captures for a moment.
func (d *diagnosis) capture(ctx context.Context, targets []target) {
	d.Capture.Engine, d.Capture.Interfaces = engine.Name(engine.Auto), []string{}
	names, err := chooseInterfaces(ctx, nil, nil)
	if err == nil {
		d.Capture.Interfaces = names
		var src interface{ Close() error }
		if src, err = engine.Open(engine.Options{Interfaces: names, Ports: live.Ports(endpointsOf(targets), nil)}); err == nil {
			err = src.Close()
			d.Capture.Works = true
		}
	}
	d.alternatives()
	if err == nil {
		return
	}
	d.Capture.Error = err.Error()
	what := "nothing can be captured: "
	if d.canCapture() {
		what = d.Capture.Engine + " does not capture: "
	}
	d.problem(what+err.Error(), hintOf(err))
}

// alternatives looks at the engines that only --engine chooses. That one of
// them cannot be used is no problem, what it has left behind is.
func (d *diagnosis) alternatives() {
	for _, a := range engine.Alternatives() {
		s := engineState{Engine: a.Choice, Usable: a.Err == nil, Kept: a.Kept}
		if a.Err != nil {
			s.Error = a.Err.Error()
		}
		if a.Left {
			d.problem(a.Err.Error(), hintOf(a.Err))
		}
		if len(a.Kept) > 0 && !a.Left {
			d.problem("captures that were broken off are kept in "+strings.Join(a.Kept, ", "), "pktmon etl2pcap FILE.etl --out FILE.pcapng converts them for analyze. Remove the directories when they are no more needed.")
		}
		d.Capture.Others = append(d.Capture.Others, s)
	}
}

// canCapture reports whether there is an engine that works.
func (d *diagnosis) canCapture() bool {
	return d.Capture.Works || slices.ContainsFunc(d.Capture.Others, func(s engineState) bool { return s.Usable })
}

// hintOf is the advice that an error carries.
func hintOf(err error) string {
	var advice interface{ Hint() string }
	if errors.As(err, &advice) {
		return advice.Hint()
	}
	return ""
}

func (d *diagnosis) owners() {
	w, err := owner.Watch(owner.Options{})
	if err != nil {
		d.Owners.Mechanism, d.Owners.Error = owner.None, err.Error()
		return
	}
	d.Owners.Mechanism, d.Owners.Limits = w.Mechanism(), w.Limits()
	if why := w.Undropped(); why != "" {
		d.Unreadable = append(d.Unreadable, unreadable{owner.DropReasons, why})
	}
	go func() { // the channel ends once it is empty
		for range w.Records() {
		}
	}()
	if err := w.Close(); err != nil {
		d.Owners.Error = err.Error()
	}
}

// records reads what live would read of this machine's own records, and keeps
// what cannot be read.
func (d *diagnosis) records(ctx context.Context) {
	w := hostevents.Watch()
	_ = w.Close() // it closes nothing yet
	defer w.Abandon()
	for {
		select {
		case r, ok := <-w.Records():
			if !ok {
				return
			}
			switch r := r.(type) {
			case *hostlog.Unread:
				d.Unreadable = append(d.Unreadable, unreadable{r.Source, r.Why})
			case *hostlog.Event:
				if len(d.Host) < maxHostFacts && slices.Contains(setupOrigins, r.Origin) {
					d.Host = append(d.Host, r.Text)
				}
			}
		case <-ctx.Done():
			return
		}
	}
}

// setupOrigins are those of records that say how this machine is set up
// (capture/hostevents), as against what happened on it.
var setupOrigins = []string{"registry", "netsh", "fltmc"}

const maxHostFacts = 32

// servers looks up the servers, and how they are reached.
func (d *diagnosis) servers(ctx context.Context, targets []target) {
	for _, a := range nameServers() {
		d.Resolver = append(d.Resolver, a.String())
	}
	d.Lookups = resolverMode()
	resolve(ctx, targets, doctorLimit)
	for _, t := range targets {
		s := targetState{Role: t.Role, Host: t.Host, Port: t.Port, Addresses: []addressState{}, LookupMS: float64(t.Took.Microseconds()) / 1000}
		reached := false
		for _, a := range t.Addresses {
			at := addressState{Address: a.String(), Family: familyOf(a), Interfaces: []string{}}
			if list, err := nic.RouteTo([]netip.Addr{a}); err == nil {
				for _, i := range list {
					at.Interfaces = append(at.Interfaces, i.Name)
					if at.MTU == 0 {
						at.MTU = i.MTU
					}
				}
			}
			reached = reached || len(at.Interfaces) > 0
			s.Addresses = append(s.Addresses, at)
		}
		switch {
		case t.Err != nil:
			s.Error = t.Err.Error()
			d.problem(fmt.Sprintf("%s %s has no address: %v", t.Role, t.Host, t.Err), lookupHint(t.Host))
		case !reached:
			d.problem(fmt.Sprintf("no route leads to %s %s", t.Role, t.Host), routeHint())
		}
		d.Targets = append(d.Targets, s)
	}
}

func familyOf(a netip.Addr) string {
	if a.Is4() {
		return "IPv4"
	}
	return "IPv6"
}

func lookupHint(host string) string {
	switch runtime.GOOS {
	case "windows":
		return "Ask the resolver itself: Resolve-DnsName " + host
	case "darwin":
		return "Ask the resolver itself: dscacheutil -q host -a name " + host
	}
	return "Ask the resolver itself: getent ahosts " + host
}

func routeHint() string {
	switch runtime.GOOS {
	case "windows":
		return "Is the network up? Get-NetRoute shows the routes."
	case "darwin":
		return "Is the network up? netstat -rn shows the routes."
	}
	return "Is the network up? ip route and ip -6 route show the routes."
}

// print writes the findings for a person.
func (d *diagnosis) print(std streams) error {
	o := terminal.Detect(std.out, terminal.Never, os.Getenv)
	var b strings.Builder
	section := func(name string) { fmt.Fprintf(&b, "%s\n", name) }
	line := func(indent, format string, args ...any) {
		b.WriteString(terminal.Wrap(o.Text(fmt.Sprintf(format, args...)), o.Columns, indent, indent+"  ") + "\n")
	}
	item := func(format string, args ...any) { line("  ", format, args...) }
	section("Rights")
	who := fmt.Sprintf("user %d", d.Rights.UID)
	if d.Rights.UID < 0 {
		who = "user"
	}
	if d.Rights.Invoker != "" {
		who += ", called by " + d.Rights.Invoker + " through sudo: commands run as " + d.Rights.Invoker
	}
	if runtime.GOOS == "linux" {
		who += "; capabilities: "
		if len(d.Rights.Capabilities) == 0 {
			who += "none"
		}
		who += strings.Join(d.Rights.Capabilities, ", ")
	}
	item("%s, %s %s", who, d.System, d.Arch)
	if d.Rights.Kept {
		item("this program was built with cgo and keeps its capabilities while it captures; CGO_ENABLED=0 go build makes one that gives them up")
	}
	section("Capture")
	if d.Capture.Works {
		item("%s works, on %s", d.Capture.Engine, strings.Join(d.Capture.Interfaces, ", "))
	} else {
		item("does not work: %s", d.Capture.Error)
	}
	for _, e := range d.Capture.Others {
		text := "works; its packets come when the capture ends"
		if !e.Usable {
			text = e.Error
		}
		item("--engine %s: %s", e.Engine, text)
	}
	section("Owners of connections")
	item("from: %s", d.Owners.Mechanism)
	for _, l := range append(d.Owners.Limits, nonEmpty(d.Owners.Error)...) {
		item("%s", l)
	}
	section("Records of this machine")
	if len(d.Unreadable) == 0 {
		item("all that live would read can be read")
	}
	for _, u := range d.Unreadable {
		item("%s: not readable because %s", u.Source, u.Why)
	}
	section("Settings")
	for _, s := range d.Settings {
		item("%s=%s (%s)", s.Name, s.Value, s.From)
	}
	for _, s := range d.Remarks {
		item("- %s", s)
	}
	if len(d.Host) > 0 {
		section("This machine")
	}
	for _, s := range d.Host {
		item("%s", s)
	}
	section("Servers")
	for _, t := range d.Targets {
		item("%s %s, port %d%s", t.Role, t.Host, t.Port, lookedUp(&t))
		for _, a := range t.Addresses {
			way := "no route"
			if len(a.Interfaces) > 0 {
				way = "through " + strings.Join(a.Interfaces, ", ")
				if a.MTU > 0 {
					way += fmt.Sprintf(" (MTU %d)", a.MTU)
				}
			}
			line("    ", "%s %s, %s", a.Family, a.Address, way)
		}
	}
	if len(d.Resolver) > 0 {
		item("name servers: %s", strings.Join(d.Resolver, ", "))
	}
	item("names are looked up %s", d.Lookups)
	section("Problems")
	if len(d.Problems) == 0 {
		item("none")
	}
	for _, p := range d.Problems {
		item("- %s", p.Text)
		if p.Hint != "" {
			line("    ", "hint: %s", p.Hint)
		}
	}
	_, err := std.out.Write([]byte(b.String()))
	return err
}

func lookedUp(t *targetState) string {
	switch {
	case t.Error != "":
		return ": " + t.Error
	case t.LookupMS > 0:
		return fmt.Sprintf(", looked up in %.1f ms", t.LookupMS)
	}
	return ""
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}
