//go:build linux

package lab

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Vary returns the scenario with everything drawn from the seed on which its
// fault does not rest, and what was drawn. Seed zero leaves it as it is
// written, and so stays whatever the scenario sets itself.
//
// Drawn are the round trip (0.2 to 400 ms, within Path.Least and Path.Most),
// the hops, the client's offloads, the MTU of both links (1,280 to 9,000 bytes),
// HTTP/1.1 or HTTP/2, the client's receive buffer, TCP timestamps, selective
// acknowledgements, the number and sizes of modules, the go command's
// parallelism, and whether the capture is one of all interfaces at once (cooked).
func (s Scenario) Vary(seed uint64) (Scenario, string) {
	if seed == 0 || s.Program != nil {
		return s, ""
	}
	r := rand.New(rand.NewPCG(seedOf(seed, s.Name), 1))
	var said []string
	say := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	p := &s.Path
	if p.RTT == 0 {
		least, most := max(p.Least, 200*time.Microsecond), p.Most
		if most == 0 {
			most = 400 * ms
		}
		// Evenly over the orders of magnitude.
		p.RTT = time.Duration(float64(least) * math.Pow(float64(most)/float64(least), r.Float64()))
		say("round trip %v", p.RTT.Round(100*time.Microsecond))
	}
	if p.Hops == 0 {
		// Not those that would give the server the TTL of a forger.
		p.Hops = pick(r, []uint8{2, 3, 4, 9, 10, 14, 15})
		say("%d hops", p.Hops)
	}
	if !p.Plain && r.IntN(2) == 0 {
		p.Plain = true
		say("offloads off")
	}
	if !p.Sized && p.MTU == 0 && p.FarMTU == 0 && r.IntN(2) == 0 {
		p.MTU, p.FarMTU = pick(r, linkSizes), pick(r, linkSizes)
		say("MTU %d and %d", p.MTU, p.FarMTU)
	}
	if p.Window == 0 && p.RTT <= 50*ms && r.IntN(3) == 0 {
		p.Window = pick(r, []int{16 << 10, 64 << 10, 256 << 10, 4 << 20})
		say("receive buffer %d", p.Window)
	}
	if r.IntN(4) == 0 {
		p.Unstamped = true
		say("no timestamps")
	}
	if !p.Sized && r.IntN(6) == 0 {
		p.Unselective = true
		say("no SACK")
	}
	if old := r.IntN(3) == 0; old && !slices.ContainsFunc(s.sites(), func(site *Site) bool { return site.HTTP1 || site.HTTP2 }) {
		for _, site := range s.sites() {
			site.HTTP1 = true
		}
		say("HTTP/1.1")
	}
	if s.Modules == nil {
		s.Modules = someModules(r, 1+r.IntN(12))
		say("%d modules", len(s.Modules))
	}
	if n := 1 + r.IntN(20); !slices.ContainsFunc(s.Env, func(e string) bool { return strings.HasPrefix(e, "GOMAXPROCS=") }) {
		s.Env = append(slices.Clone(s.Env), fmt.Sprintf("GOMAXPROCS=%d", n))
		say("%d at once", n)
	}
	if s.Interfaces == nil && s.Filter == "" && s.Snap == 0 && r.IntN(4) == 0 {
		s.Interfaces = []string{"any"}
		say("captured on all interfaces at once")
	}
	return s, strings.Join(said, ", ")
}

// linkSizes are usual MTUs: the least of IPv6, tunnels, PPPoE, Ethernet, jumbo
// frames.
var linkSizes = []int{1280, 1360, 1420, 1492, 1500, 4000, 9000}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// someModules makes up n modules.
func someModules(r *rand.Rand, n int) (out []Module) {
	for i := range n {
		out = append(out, Module{fmt.Sprintf("example.net/m%d", i), 1000 + r.IntN(40_000)})
	}
	return out
}

// sites are the module proxies.
func (s *Scenario) sites() []*Site { return []*Site{&s.Proxy, &s.Second, &s.Third, &s.Fourth} }
