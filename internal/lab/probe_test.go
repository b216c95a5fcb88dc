//go:build linux

package lab

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// probing is a network with one fault, and what control tests are to say of it.
type probing struct {
	Scenario
	args []string
	// causes are those that are right, places the widest honest ones; none for
	// a healthy network.
	causes []string
	places []string
	// class is the contract's, "" for any.
	class string
	// blind leaves the packets out.
	blind bool
	// quick stands for its kind in a short test; those that are slow begin
	// first.
	quick, slow bool
	// check looks at more of the document; nil for nothing.
	check func(*testing.T, *probed)
}

// probed is what these tests need of the JSON.
type probed struct {
	Captured bool
	Verdict  struct {
		Cause, Host, Class, Level, Summary string
		Place, Notes                       []string
	}
	Attempts []struct {
		Arm, End, Class, Address, Client string
		Packets, Shadowed                bool
	}
}

// brief are timings that fit a laboratory: blocks that outlast a failure are
// shorter here, too.
var brief = []string{"--spacing", "100ms", "--residual", "9s", "--timeout", "6s"}

func probings() map[string]probing {
	far := []string{"network", "remote"}
	named := All(HelloStart, Named(ProxyName))
	large := func(p *Packet) bool { return Hello(p) && p.flow.hello > 1000 }
	return map[string]probing{
		"healthy":         {causes: []string{"healthy"}, class: "ok", quick: true},
		"healthy-dual":    {Scenario: Scenario{Path: Path{Family: DualStack}}, causes: []string{"healthy"}, class: "ok"},
		"healthy-http1":   {Scenario: Scenario{Proxy: Site{HTTP1: true}, Path: Path{RTT: 150 * ms, Plain: true}}, causes: []string{"healthy"}, class: "ok"},
		"healthy-tls12":   {Scenario: Scenario{Proxy: Site{TLS: func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }}}, causes: []string{"healthy"}, class: "ok"},
		"healthy-tunnel":  {Scenario: Scenario{Tunnel: &Tunnel{Scheme: "http"}}, causes: []string{"healthy"}, class: "ok"},
		"healthy-no-ipv6": {Scenario: Scenario{Lookup: bothFamilies}, causes: []string{"healthy"}, class: "ok"},
		"healthy-tunnel-nameless": {
			Scenario: Scenario{Tunnel: &Tunnel{Scheme: "http"}, Lookup: Rcode(dnsmessage.RCodeNameError)}, causes: []string{"healthy"}, class: "ok",
		},
		"name-reset": {
			Scenario: Scenario{Path: Path{Least: forged, Box: []Maker{Inject(Reset{TTL: 77, IPID: 153}, named)}}},
			causes:   []string{"name"}, places: []string{"network"}, class: "tls.reset", quick: true,
		},
		"name-reset-blind": {
			Scenario: Scenario{Path: Path{Least: forged, Box: []Maker{Inject(Reset{TTL: 77, IPID: 153}, named)}}}, blind: true,
			causes: []string{"name"}, places: []string{"host", "network", "remote"}, class: "tls.reset", quick: true, check: modest,
		},
		"name-drop": {
			Scenario: Scenario{Path: Path{Box: []Maker{Drop(All(Hello, Named(ProxyName)))}}},
			causes:   []string{"name"}, places: []string{"network"}, class: "tls.client-hello-lost",
		},
		"hello-size": {
			Scenario: Scenario{Path: Path{Sized: true, Box: []Maker{Drop(large)}}},
			causes:   []string{"hello-size"}, places: []string{"network"}, class: "tls.client-hello-lost", quick: true, slow: true,
		},
		"hello-size-server": {
			Scenario: Scenario{Proxy: Site{Hello: refuseLarge}},
			causes:   []string{"hello-size"}, places: far, class: "tls.reset",
		},
		"name-server": {
			Scenario: Scenario{Proxy: Site{Hello: refuseOwnName}},
			causes:   []string{"name"}, places: far, class: "tls.reset",
		},
		"lossy": {
			Scenario: Scenario{Path: Path{Box: []Maker{Loss(0.12, TCP)}}},
			causes:   []string{"healthy", "intermittent"}, places: []string{"host", "network", "remote"},
		},
		"address": {
			Scenario: Scenario{Path: Path{Box: []Maker{Drop(All(Syn, Server(ProxyName)))}}}, args: []string{ProxyName, SecondName},
			causes: []string{"address"}, places: far, class: "connect.no-answer",
		},
		"path-mtu": {
			Scenario: Scenario{Path: Path{Sized: true, Box: []Maker{Drop(All(Up, Larger(1400)))}}},
			causes:   []string{"path-mtu"}, places: []string{"network"}, quick: true, slow: true,
		},
		"path-mtu-down": {
			Scenario: Scenario{Path: Path{Sized: true, Box: []Maker{Drop(All(Down, Larger(1300)))}}},
			causes:   []string{"path-mtu"}, places: []string{"network"},
		},
		"ipv6": {
			Scenario: Scenario{Path: Path{Family: DualStack, Box: []Maker{Drop(All(Hello, V6))}}},
			causes:   []string{"family"}, places: []string{"network"}, class: "tls.client-hello-lost", slow: true,
		},
		"dns-forged": {
			Scenario: Scenario{Path: Path{Least: forged, Box: []Maker{Forge(ProxyName, wrongAddr), Drop(All(TCP, To(wrongAddr.v4.String())))}}},
			causes:   []string{"lookup-forged"}, places: []string{"network"}, class: "dns.forged",
		},
		"inspection": {
			Scenario: Scenario{Proxy: Site{TLS: inspecting}},
			causes:   []string{"inspection"}, places: []string{"host", "network"}, class: "tls.certificate-rejected", quick: true,
		},
		"certificate": {
			Scenario: Scenario{Proxy: Site{Certificate: Expired}},
			causes:   []string{"certificate"}, places: []string{"host", "network", "remote"}, class: "tls.certificate-rejected",
		},
		"tunnel-407": {
			Scenario: Scenario{Tunnel: &Tunnel{Scheme: "http", Reply: Refuse(http.StatusProxyAuthRequired, "Proxy-Authenticate: Basic realm=\"lab\"\r\n")}},
			causes:   []string{"proxy-refused"}, places: []string{"remote"}, class: "proxy.refused", quick: true,
		},
		"silent-server": {
			Scenario: Scenario{Proxy: Site{Hello: Silent}},
			causes:   []string{"silent-server"}, places: far, class: "tls.no-server-hello", slow: true,
		},
		"silent-request": {
			Scenario: Scenario{Proxy: Site{Request: NoAnswer}},
			causes:   []string{"silent-request"}, places: far, class: "http.no-response",
		},
		"local-drop": {
			Scenario: Scenario{Path: Path{Output: []string{"tcp dport 443 drop"}}},
			causes:   []string{"local-block"}, places: []string{"host"}, class: "connect.not-sent",
		},
		"local-reject": {
			Scenario: Scenario{Path: Path{Output: []string{"tcp dport 443 reject with tcp reset"}}},
			causes:   []string{"local-block"}, places: []string{"host"}, class: "connect.rejected-locally",
		},
		"throttled": {
			Scenario: Scenario{Path: Path{Box: []Maker{Shape(1600, 200_000, All(Down, Named(ProxyName)))}}},
			causes:   []string{"throttled"}, places: far, class: "ok",
		},
		"residual": {
			Scenario: Scenario{Path: Path{Least: forged, Box: []Maker{Inject(Reset{TTL: 57, IPID: 600, Count: 3}, named), Residual(7*time.Second, named)}}},
			causes:   []string{"name"}, places: []string{"network"}, check: outlasted, quick: true, slow: true,
		},
		"residual-quick": {
			Scenario: Scenario{Path: Path{Least: forged, Box: []Maker{Inject(Reset{TTL: 57, IPID: 600, Count: 3}, named), Residual(7*time.Second, named)}}},
			args:     []string{"--quick", ProxyName}, causes: []string{"name", "address", "intermittent", "undecided"}, places: []string{"host", "network", "remote"},
			check: doubtful,
		},
		"status-503": {
			Scenario: Scenario{Proxy: Site{Request: Status(http.StatusServiceUnavailable)}},
			causes:   []string{"http-status"}, places: []string{"remote"}, class: "http.error", quick: true,
		},
		"dns-silent": {
			Scenario: Scenario{Lookup: Unresolved},
			causes:   []string{"lookup-failed"}, places: far, class: "dns.no-answer",
		},
		"dns-nxdomain": {
			Scenario: Scenario{Lookup: Rcode(dnsmessage.RCodeNameError)},
			causes:   []string{"lookup-failed"}, places: far, class: "dns.nxdomain",
		},
	}
}

// inspecting makes a certificate for whatever name is asked for, as a box does
// that reads along.
func inspecting(c *tls.Config) {
	ca, err := newAuthority("Inspection Root")
	if err != nil {
		panic(err)
	}
	c.GetCertificate = func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		made, err := ca.issue(h.ServerName, Good)
		return &made, err
	}
	c.Certificates = nil
}

// bothFamilies answers for a host that has addresses of both families, whatever
// the client has.
func bothFamilies(q dnsmessage.Question) *dnsmessage.Message { return zone(q, DualStack) }

// refuseLarge resets on a ClientHello that does not fit one segment, as some
// servers do; refuseOwnName on its own name.
func refuseLarge(ctx context.Context, c *net.TCPConn, hello []byte) bool {
	return len(hello) > 1000 && ResetAfterHello(ctx, c, hello)
}

func refuseOwnName(ctx context.Context, c *net.TCPConn, hello []byte) bool {
	_, name := clientHello(hello)
	return name == ProxyName && ResetAfterHello(ctx, c, hello)
}

// doubtful holds that a verdict from failures in each other's shadow claims
// little.
func doubtful(t *testing.T, d *probed) {
	if d.Verdict.Level != "consistent" {
		t.Errorf("level %s", d.Verdict.Level)
	}
}

// modest holds that sockets alone blame nobody in particular.
func modest(t *testing.T, d *probed) {
	if d.Verdict.Level != "consistent" || !slices.Contains(d.Verdict.Place, "host") {
		t.Errorf("level %s, place %v", d.Verdict.Level, d.Verdict.Place)
	}
}

// outlasted holds that failures in the shadow of another were noticed and not
// counted, and that the name alone is blamed.
func outlasted(t *testing.T, d *probed) {
	shadowed := 0
	for _, a := range d.Attempts {
		if a.Shadowed {
			shadowed++
		}
	}
	if shadowed == 0 {
		t.Error("no failure lay in the shadow of another: the block was not outlasted, or not noticed")
	}
	if !slices.ContainsFunc(d.Verdict.Notes, func(s string) bool { return strings.Contains(s, "outlasted") }) {
		t.Errorf("notes %q do not tell of the block that outlasted", d.Verdict.Notes)
	}
}

var verboseProbe = flag.Bool("probes", false, "print the report of every probe")

// TestProbe holds that control tests point at the right cause, at no innocent
// place, and at nothing on a healthy path.
func TestProbe(t *testing.T) {
	needLab(t)
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	match, err := regexp.Compile("^(?:" + *only + ")$")
	if err != nil {
		t.Fatal(err)
	}
	slots := make(chan struct{}, *parallel)
	var running sync.WaitGroup
	list := probings()
	for _, name := range slices.SortedFunc(maps.Keys(list), func(a, b string) int {
		return cmp.Or(slowFirst(list[a])-slowFirst(list[b]), strings.Compare(a, b))
	}) {
		p := list[name]
		if *only != "" && !match.MatchString(name) || *only == "" && !*all && !p.quick {
			continue
		}
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			t.Run(name, func(t *testing.T) { p.run(t, program) })
		})
	}
	running.Wait()
}

func slowFirst(p probing) int {
	if p.slow {
		return 0
	}
	return 1
}

// healthyRuns are how often a network without a fault is probed.
const healthyRuns, fewHealthyRuns = 20, 3

// TestProbeHealthy holds that nobody is accused where nothing is wrong, on
// paths that differ, some of which lose a packet now and then.
func TestProbeHealthy(t *testing.T) {
	needLab(t)
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	paths := []Scenario{
		{Path: Path{Box: []Maker{Loss(0.01, TCP)}}},
		{Path: Path{Family: DualStack, RTT: 150 * ms}, Proxy: Site{HTTP1: true}},
		{Path: Path{RTT: -1, Plain: true}},
		{Path: Path{FarMTU: 1400}},
		{Path: Path{Unstamped: true, Unselective: true, Box: []Maker{Loss(0.01, TCP), Hold(0.1, 30*ms, TCP)}}},
	}
	runs := fewHealthyRuns
	if *all {
		runs = healthyRuns
	}
	slots := make(chan struct{}, *parallel)
	var running sync.WaitGroup
	for i := range runs {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			p := probing{Scenario: paths[i%len(paths)], causes: []string{"healthy"}, class: "ok"}
			t.Run(strconv.Itoa(i), func(t *testing.T) { p.run(t, program) })
		})
	}
	running.Wait()
}

func (p *probing) run(t *testing.T, program string) {
	if p.Scenario.Modules == nil {
		p.Scenario.Modules = small()
	}
	s := newStage(t, p.Scenario)
	args := p.args
	if args == nil {
		args = []string{ProxyName}
	}
	if p.blind {
		args = append([]string{"--no-capture"}, args...)
	}
	argv := slices.Concat([]string{program, "probe", "--yes", "--no-go-env", "--json=probe.json"}, brief, args)
	code := s.wait(s.start("output", argv...), 3*time.Minute)
	text := s.output("output")
	if code != 0 {
		t.Fatalf("exit code %d:\n%s", code, text)
	}
	var d probed
	b, err := os.ReadFile(filepath.Join(s.home, "main", "probe.json"))
	if err == nil {
		err = json.Unmarshal(b, &d)
	}
	if err != nil {
		t.Fatal(err)
	}
	v := &d.Verdict
	switch {
	case !slices.Contains(p.causes, v.Cause):
		t.Errorf("cause %s, want one of %v", v.Cause, p.causes)
	case p.class != "" && v.Class != p.class:
		t.Errorf("class %s, want %s", v.Class, p.class)
	}
	for _, place := range v.Place {
		if !slices.Contains(p.places, place) {
			t.Errorf("place %v blames %s, want it within %v", v.Place, place, p.places)
		}
	}
	if len(v.Place) == 0 && len(p.places) > 0 && v.Cause != "healthy" {
		t.Errorf("no place, want it within %v", p.places)
	}
	if d.Captured == p.blind {
		t.Errorf("packets captured: %v", d.Captured)
	}
	if p.check != nil {
		p.check(t, &d)
	}
	if t.Failed() || *verboseProbe {
		for _, a := range d.Attempts {
			t.Logf("%+v", a)
		}
		t.Logf("level %s\n%s", v.Level, text)
	}
}
