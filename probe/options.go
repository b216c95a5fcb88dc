package probe

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"time"
)

// Target is a host that is probed.
type Target struct {
	Host string
	Port uint16
	// Path is what is asked for; DefaultPath where it is empty.
	Path string
}

// DefaultPath asks a module proxy whether it passes the checksum database on:
// the first thing that the go command asks, and a few bytes long. 404 is an
// answer, too.
func DefaultPath(sumdb string) string { return "/sumdb/" + sumdb + "/supported" }

// Timing says how long is waited for what.
type Timing struct {
	// Spacing is the least time between two attempts, whatever they are.
	Spacing time.Duration
	// Residual is how long a block may outlast the failure that set it up:
	// what fails in this time after another failure at the same address is
	// not counted, unless something passed there in between.
	Residual time.Duration
	// Quick leaves out waiting for Residual to pass: failures in its shadow
	// are counted, and the verdict is weaker for it.
	Quick bool
	// Connect, TLS and Request bound one attempt's stages, Lookup a lookup.
	Connect, TLS, Request, Lookup time.Duration
}

// DefaultTiming waits as long as the go command does where that gives up
// within a minute, and long enough for three keep-alives where it does not.
var DefaultTiming = Timing{
	Spacing: 2 * time.Second, Residual: 180 * time.Second,
	Connect: 10 * time.Second, TLS: 10 * time.Second, Request: 15 * time.Second, Lookup: 10 * time.Second,
}

// Options say what is probed and how.
type Options struct {
	Targets []Target
	// Resolvers are asked one by one, beside the system's way.
	Resolvers []netip.AddrPort
	// Proxy is the HTTP proxy that the go command would go through to this
	// host; nil for none.
	ProxyFor func(host string, port uint16) *url.URL
	// Groups are what the user has asked for; none means what is needed.
	Groups []Group
	// HarmlessName is what OtherName asks for.
	HarmlessName string
	// Repeats is how many outcomes each arm is to have; zero means 2.
	Repeats int
	// Families narrow the addresses: 4 or 6, zero for both.
	Family int
	Timing Timing
	// Reachable reports whether this host has a route to an address: what it
	// has none to, the go command does not try either where another is there.
	// nil means asking the system.
	Reachable func(netip.Addr) bool
	// OnAttempt is told of each attempt when it has ended, OnWait before a
	// wait of more than a second; nil for nobody.
	OnAttempt func(*Attempt)
	OnWait    func(Wait)
	// Now and Sleep are the clock; nil means the real one.
	Now   func() time.Time
	Sleep func(d time.Duration, done <-chan struct{})
}

// Wait is a pause that the schedule makes.
type Wait struct {
	Until time.Time
	// Residual is true where a block left over from a failure is waited out,
	// false for plain spacing.
	Residual bool
	// Address is whose, where Residual is true.
	Address string
}

// HarmlessName is a name that no filter has anything against (RFC 2606).
const HarmlessName = "www.example.com"

// Bounds on what is probed.
const (
	MaxTargets   = 4
	maxResolvers = 3
	// maxAddresses are probed of each family and host.
	maxAddresses = 2
)

func (o *Options) fill() {
	if o.Repeats == 0 {
		o.Repeats = 2
	}
	if o.HarmlessName == "" {
		o.HarmlessName = HarmlessName
	}
	if o.Timing == (Timing{}) {
		o.Timing = DefaultTiming
	}
	if o.ProxyFor == nil {
		o.ProxyFor = func(string, uint16) *url.URL { return nil }
	}
	if o.Reachable == nil {
		o.Reachable = func(a netip.Addr) bool { return sourceOf(netip.AddrPortFrom(a, 443)).IsValid() }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = func(d time.Duration, done <-chan struct{}) {
			t := time.NewTimer(d)
			defer t.Stop()
			select {
			case <-t.C:
			case <-done:
			}
		}
	}
	o.Targets = o.Targets[:min(len(o.Targets), MaxTargets)]
	o.Resolvers = o.Resolvers[:min(len(o.Resolvers), maxResolvers)]
}

func (o *Options) path(host string) string {
	for _, t := range o.Targets {
		if t.Host == host && t.Path != "" {
			return t.Path
		}
	}
	return "/"
}

// asked reports whether the user has asked for a group by name.
func (o *Options) asked(g Group) bool {
	for _, have := range o.Groups {
		if have == g {
			return true
		}
	}
	return false
}

// via names a proxy as lanes do.
func via(u *url.URL) string {
	if u == nil {
		return ""
	}
	return net.JoinHostPort(u.Hostname(), strconv.Itoa(int(proxyPort(u))))
}
