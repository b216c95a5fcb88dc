//go:build linux

package lab

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"
)

// stressed is how many scenarios Stress makes up for a seed.
const stressed = 24

// Stress makes up scenarios from a seed: a fault, or none, behind a list of one
// to four module proxies of which all but the last fail in a way that the go
// command passes over, on a path of any length, with some loss, in one or both
// address families, perhaps through a CONNECT proxy. Vary then draws the rest.
// Seed zero makes none.
func Stress(seed uint64) (out []Scenario) {
	if seed == 0 {
		return nil
	}
	r := rand.New(rand.NewPCG(seed, 2))
	for i := range stressed {
		// Each fault has its turn, the seeds begin at different ones.
		f := faults[(i+int(seed)*7)%len(faults)]
		s := f.on(r)
		s.Name = fmt.Sprintf("stress-%d-%02d-%s", seed, i, f.name)
		out = append(out, s)
	}
	return out
}

// fault is one that can strike the last proxy of a list.
type fault struct {
	name, about string
	truth       Truth
	end         End
	limit       time.Duration // zero for none of its own
	// forged is true where a forger has to be faster than the far end,
	// tunnelled where the fault is the same through a CONNECT proxy, sparing
	// where the path is to lose nothing by chance, connects where it is one of
	// connecting: behind it, go would wait for a family that is silent.
	forged, tunnelled, sparing, connects bool
	modules                              []Module // nil for any
	// strike puts the fault on the site of this name.
	strike func(r *rand.Rand, s *Scenario, site *Site, name string)
}

// beyond is where a fault may be that only a capture at the far end would place.
const beyond = "network|remote"

var faults = []fault{
	{name: "none", about: "nothing wrong", truth: healthy, tunnelled: true},
	{name: "silent", about: "the server never says a word", truth: truth("tls.no-server-hello", "remote", beyond), end: Fails, tunnelled: true, modules: small(),
		strike: func(_ *rand.Rand, _ *Scenario, site *Site, _ string) { site.Hello = Silent }},
	{name: "none-many", about: "nothing wrong, twenty modules over HTTP/1.1", truth: healthy, tunnelled: true, modules: twenty(),
		strike: func(_ *rand.Rand, _ *Scenario, site *Site, _ string) { site.HTTP1 = true }},
	{name: "hello-lost", about: "no packet of a ClientHello with the server's name gets through", truth: truth("tls.client-hello-lost", "network", "network"), end: Fails, modules: small(),
		strike: func(_ *rand.Rand, s *Scenario, _ *Site, name string) { s.box(Drop(All(Hello, Named(name)))) }},
	{name: "refused", about: "nothing listens", truth: truth("connect.refused", "remote", beyond), end: Fails, connects: true,
		strike: func(_ *rand.Rand, _ *Scenario, site *Site, _ string) { site.Closed = true }},
	{name: "none-idle", about: "the server closes idle connections early", truth: healthy,
		strike: func(r *rand.Rand, s *Scenario, site *Site, _ string) {
			site.Idle = 2*time.Second + time.Duration(r.IntN(2000))*ms
		}},
	{name: "reset-forged", about: "the server's name provokes resets", truth: truth("tls.reset", "network", "network"), end: Fails, forged: true,
		strike: func(r *rand.Rand, s *Scenario, _ *Site, name string) {
			s.box(Inject(Reset{TTL: pick(r, []byte{44, 57, 77, 101, 245}), IPID: uint16(r.Uint32()), Count: 1 + r.IntN(3), Step: uint32(r.IntN(2)) * 1460, InLine: r.IntN(2) == 0},
				All(HelloStart, Named(name))))
		}},
	{name: "reset", about: "the server resets the connection after the ClientHello", truth: truth("tls.reset", "remote", beyond), end: Fails, sparing: true,
		strike: func(_ *rand.Rand, _ *Scenario, site *Site, _ string) { site.Hello = ResetAfterHello }},
	{name: "stalled", about: "the server stops in the middle of a body", truth: truth("transfer.remote-idle", "remote", "remote"), end: Hangs, limit: stall, tunnelled: true, modules: one(),
		strike: func(_ *rand.Rand, _ *Scenario, site *Site, _ string) { site.Body = StopBody }},
	{name: "none-slow", about: "the server thinks for some seconds over every zip", truth: healthy, tunnelled: true, modules: DefaultModules(),
		strike: func(r *rand.Rand, _ *Scenario, site *Site, _ string) {
			site.Request = For(".zip", Think(time.Duration(1+r.IntN(9000))*ms))
		}},
	{name: "closed", about: "the server closes the connection after the ClientHello", truth: truth("tls.closed", "remote", beyond), end: Fails, sparing: true,
		strike: func(_ *rand.Rand, _ *Scenario, site *Site, _ string) { site.Hello = CloseAfterHello }},
	{name: "alert", about: "the server answers the ClientHello with an alert", truth: truth("tls.alert-from-server", "remote", beyond), end: Fails,
		strike: func(r *rand.Rand, _ *Scenario, site *Site, _ string) {
			site.Hello = Alert(pick(r, []byte{40, 49, 70, 80, 112, 116, 120}))
		}},
	{name: "untrusted", about: "the certificate is not under the client's authority", truth: truth("tls.certificate-rejected", beyond, beyond), end: Fails,
		strike: func(r *rand.Rand, _ *Scenario, site *Site, _ string) {
			site.Certificate = pick(r, []Kind{Untrusted, Expired, WrongName})
			version := pick(r, []uint16{tls.VersionTLS12, tls.VersionTLS13})
			site.TLS = func(c *tls.Config) { c.MaxVersion = version }
		}},
	{name: "dead", about: "the path dies in the middle of a body", truth: truth("transfer.path-dead", "network", beyond), end: Hangs, limit: stall + 4e9, modules: one(),
		strike: func(_ *rand.Rand, _ *Scenario, site *Site, _ string) { site.Body = LoseBody }},
	{name: "none-lossy", about: "nothing wrong but 2 % loss both ways", truth: healthy, modules: []Module{{"example.net/large", 1 << 20}},
		strike: func(_ *rand.Rand, s *Scenario, _ *Site, _ string) {
			s.Path.Most = brisk
			s.box(Loss(0.02, TCP))
		}},
	{name: "no-answer", about: "the server never answers a request", truth: truth("http.no-response", "remote", "remote"), end: Hangs, limit: stall, modules: small(), sparing: true,
		strike: func(_ *rand.Rand, _ *Scenario, site *Site, _ string) { site.Request = NoAnswer }},
	{name: "unreachable", about: "SYNs stay without an answer", truth: truth("connect.no-answer", "network", beyond), end: Fails, connects: true, modules: small(),
		strike: func(_ *rand.Rand, s *Scenario, _ *Site, name string) { s.box(Drop(All(Syn, Server(name)))) }},
	{name: "body-reset", about: "the server resets the connection in the middle of a body", truth: truth("transfer.reset", "remote", beyond), end: Fails, modules: one(), sparing: true,
		strike: func(_ *rand.Rand, _ *Scenario, site *Site, _ string) { site.Body = ResetBody }},
	{name: "interrupted", about: "SIGINT ends the go command in the middle of a body", truth: truth("client.aborted", "client", "client"), end: Fails, modules: large(), sparing: true,
		strike: func(_ *rand.Rand, s *Scenario, site *Site, _ string) {
			s.box(Shape(300_000, 300_000, Down))
			site.Body = func(_ context.Context, l *Lab, _ *net.TCPConn) { l.Interrupt() }
		}},
}

// twenty is more than the connections that the go command keeps to a host.
func twenty() []Module { return someModules(rand.New(rand.NewPCG(20, 0)), 20) }

func (s *Scenario) box(m ...Maker) { s.Path.Box = append(s.Path.Box, m...) }

// on makes a scenario of the fault.
func (f *fault) on(r *rand.Rand) Scenario {
	s := Scenario{About: f.about, Truth: f.truth, End: f.end, Limit: f.limit, Modules: f.modules}
	sites, names := s.sites(), []string{ProxyName, SecondName, ThirdName, FourthName}
	last := r.IntN(len(sites))
	broken := !f.connects && r.IntN(6) == 0
	var list strings.Builder
	for i := range last {
		list.WriteString("https://" + names[i] + passOver(r, &s, sites[i], names[i], broken))
	}
	s.GOPROXY = list.String() + "https://" + names[last]
	if f.strike != nil {
		f.strike(r, &s, sites[last], names[last])
	}
	if f.forged {
		s.Path.Least = forged
	}
	if !f.sparing && r.IntN(3) == 0 {
		share := 0.003 * r.Float64()
		s.box(Loss(share, TCP))
		s.Path.Most = brisk
		s.About += fmt.Sprintf(", %.1f %% loss", 100*share)
	}
	switch {
	case broken:
		s.Path.Family = DualStack
		s.box(Drop(All(TCP, V6)))
		s.About += ", IPv6 broken"
	case f.tunnelled && last == 0 && r.IntN(4) == 0:
		s.Tunnel = &Tunnel{Scheme: "http"}
		s.About += ", through a CONNECT proxy"
	default:
		s.Path.Family = pick(r, []Family{IPv4Only, IPv4Only, DualStack, IPv6Only})
	}
	s.About += ", asked " + s.GOPROXY
	return s
}

// passOver makes a site fail so that the go command asks the next one of the
// list, and returns what is to stand between them. Where IPv6 is silent it takes
// connections: go would wait half a minute for each otherwise.
func passOver(r *rand.Rand, s *Scenario, site *Site, name string, silent6 bool) string {
	switch r.IntN(5) {
	case 0:
		site.Closed = !silent6
		if silent6 {
			site.Accept = ResetAtOnce
		}
	case 1:
		site.Hello = ResetAfterHello
	case 2:
		site.Request = Status(http.StatusInternalServerError)
	case 3:
		s.box(Inject(Reset{TTL: 47, IPID: 11}, All(HelloStart, Named(name))))
		s.Path.Least = forged
	default:
		site.Request = Status(pick(r, []int{http.StatusNotFound, http.StatusGone}))
		return pick(r, []string{",", "|"})
	}
	return "|"
}
