//go:build linux

package lab

import (
	"context"
	"crypto/tls"
	"hash/fnv"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Truth is what an honest reading of the capture may say.
type Truth struct {
	// Classes are the verdict classes that the capture allows; several where
	// it cannot decide between them.
	Classes []string `json:"classes"`
	// Culprits are the places that really did it: the verdict's places hold
	// one of them. Empty where nothing died, or where the capture cannot tell;
	// then Widest stands for it.
	Culprits []string `json:"truth"`
	// Widest is the widest honest place: the verdict's places lie within.
	// Empty where nothing died.
	Widest []string `json:"widest"`
}

// End is how the go command is expected to end.
type End int

const (
	Succeeds End = iota // with exit code zero
	Fails               // with an error
	Hangs               // not before Scenario.Limit
)

func (e End) String() string {
	return [...]string{"to succeed", "to fail", "to hang"}[e]
}

// Family says which address families a scenario has.
type Family int

const (
	IPv4Only Family = iota
	DualStack
	IPv6Only // the resolver keeps its IPv4 address
)

// Module is a made-up module. One under GitName is served by the git host
// alone, any other by the module proxies.
type Module struct {
	Path string
	// Size is the approximate length of its zip file in bytes.
	Size int
}

// Path is what lies between the client and the server.
type Path struct {
	// RTT is what the middlebox adds to the round trip; zero means 25 ms,
	// negative none.
	RTT time.Duration
	// Hops is how much the middlebox takes off the TTL; zero means 9.
	Hops uint8
	// Family is which address families exist.
	Family Family
	// Plain switches the client's segmentation and receive offloads off: the
	// capture shows the packets that were on the link.
	Plain bool
	// MTU is that of the client's link in bytes, FarMTU that of the link to
	// the server; zero means 1,500.
	MTU, FarMTU int
	// Window is the client's largest receive buffer in bytes; zero means the
	// kernel's own.
	Window int
	// Unstamped switches TCP timestamps off (RFC 7323), Unselective selective
	// acknowledgements (RFC 2018).
	Unstamped, Unselective bool
	// Least and Most bound the round trip that Vary may draw: a fault that is
	// a matter of time shows within them only. Zero means no bound.
	Least, Most time.Duration
	// Sized keeps Vary from what changes the packets' sizes: the fault is a
	// matter of size.
	Sized bool
	// Box is what the middlebox does to packets, in this order.
	Box []Maker
	// Output, Input and Forward are nftables statements for the client's
	// output and input chains and the router's forward chain.
	Output, Input, Forward []string
	// Router and Client are lines of ip -batch for these namespaces, run when
	// everything else is set up.
	Router, Client []string
}

// Site is one TLS server. Its zero value is a healthy one.
type Site struct {
	// Closed leaves the address without a listener on port 443.
	Closed bool
	// HTTP1 keeps the server from offering HTTP/2; HTTP2 keeps Vary from
	// doing so.
	HTTP1, HTTP2 bool
	// Idle closes connections without a request after this time; zero never.
	Idle time.Duration
	// Certificate is the kind of certificate that it shows.
	Certificate Kind
	// TLS changes the server's TLS configuration.
	TLS func(*tls.Config)
	// Accept gets a new connection of which nothing was read yet. It returns
	// true if it has dealt with the connection.
	Accept func(context.Context, *net.TCPConn) bool
	// Hello gets a new connection after its first TLS record was read. It
	// returns true if it has dealt with the connection, false to go on with
	// TLS.
	Hello func(ctx context.Context, c *net.TCPConn, hello []byte) bool
	// Spoken is how many bytes the server sends on a connection at most; what
	// it writes after that goes nowhere. Zero means no bound.
	Spoken int
	// Request may answer a request in place of the site; it returns true if
	// it did.
	Request func(ctx context.Context, l *Lab, w http.ResponseWriter, r *http.Request) bool
	// Body is called when half of a zip file's body was sent. After it
	// returns the body is completed.
	Body func(ctx context.Context, l *Lab, c *net.TCPConn)
}

// Tunnel is a CONNECT proxy between the client and all sites.
type Tunnel struct {
	// Scheme of HTTPS_PROXY; the proxy itself always speaks plain HTTP.
	Scheme string
	// Closed leaves the proxy's address without a listener.
	Closed bool
	// Reply gets a connection and the target that it asked for. It returns
	// true if it has dealt with the connection, false to make the tunnel.
	Reply func(ctx context.Context, c *net.TCPConn, target string) bool
	// Through gets a tunnel's connection to the client after the first bytes
	// came through it; it returns true if it has dealt with it.
	Through func(ctx context.Context, c *net.TCPConn) bool
}

// Sums says where the checksum database is.
type Sums int

const (
	NoSums      Sums = iota // GOSUMDB=off
	ProxiedSums             // through the first module proxy
	DirectSums              // the proxy answers 404, so go asks the database itself
)

// Scenario is one fault, or none.
type Scenario struct {
	// Name is unique in a catalogue: lower-case words joined by hyphens.
	Name string
	// About says in one sentence what the capture shows.
	About string
	Truth Truth
	// Quick is true for those that end within about 15 s and stand for their
	// class in a short test.
	Quick bool
	// End is how the go command ends, Says what it prints then: a text, or
	// several separated by "|" of which one must be there ("" for anything).
	// Limit is how long it may run; then the capture is stopped
	// first and the command killed after, so that its end does not blur the
	// picture. Zero means two minutes.
	End   End
	Says  string
	Limit time.Duration
	// Linger is how long the capture goes on after the command has ended;
	// zero means as long as the last packets need.
	Linger time.Duration
	// Modules are what the client downloads; nil means DefaultModules.
	Modules []Module
	// GOPROXY is the list of module proxies; "" means ProxyName alone.
	GOPROXY string
	Sums    Sums
	// Env are further variables of the go command's environment.
	Env []string
	// Program is what runs at the client in place of the go command; nil for
	// the go command. It returns what went wrong.
	Program func(ctx context.Context, l *Lab) error
	// FarCapture makes a second capture, at the server.
	FarCapture bool
	// Interfaces are what is captured; nil means the client's Ethernet.
	// Filter is a capture filter, Snap the snapshot length in bytes; "" and
	// zero for none.
	Interfaces []string
	Filter     string
	Snap       int

	Path Path
	// Proxy, Second, Third and Fourth are module proxies, Storage is where a
	// proxy may redirect to, SumDB and Git are what they are called.
	Proxy, Second, Third, Fourth, Storage, SumDB, Git Site
	// Tunnel is a CONNECT proxy; nil for none.
	Tunnel *Tunnel
	// Inspector is a program at the client between the go command and the
	// wire; nil for none.
	Inspector *Inspector
	// Lookup answers a DNS question; nil or a nil result answers from the
	// zone. Silence is for no answer at all.
	Lookup func(q dnsmessage.Question) *dnsmessage.Message
	// While runs beside the go command, from its start.
	While func(ctx context.Context, l *Lab)
}

// DefaultModules are small: captures of them stay within 100 KB.
func DefaultModules() []Module {
	return []Module{{"example.net/alpha", 9000}, {"example.net/beta", 14000}, {"example.org/gamma/v2", 22000}}
}

// Result is what one run left behind.
type Result struct {
	Scenario string `json:"scenario"`
	About    string `json:"about"`
	Seed     uint64 `json:"seed"`
	// Capture is the path of the pcapng file.
	Capture string `json:"capture"`
	Truth   Truth  `json:"expected"`
	// Targets are the hosts of GOPROXY and GOSUMDB.
	Targets []string `json:"targets"`
	// Drawn is what the seed chose, as Vary says.
	Drawn string `json:"drawn"`
	// Output is what the go command printed on both its outputs.
	Output string `json:"output"`
	// Hung is true where the command was still running at the limit.
	Hung bool `json:"hung"`
	// Exit is the command's exit code; -1 where it was killed.
	Exit int `json:"exit"`
	// PID is the go command's process id.
	PID int `json:"pid"`
	// Took is how long the command ran, in nanoseconds.
	Took time.Duration `json:"took"`
	// Late is by how much a forged packet left too late at most, in
	// nanoseconds: a busy machine keeps a forger waiting.
	Late time.Duration `json:"late"`
	// FarCapture is the path of the server's capture, "" for none.
	FarCapture string `json:"far_capture,omitempty"`
	// Deeds are what the middlebox did to packets.
	Deeds []Deed `json:"deeds,omitempty"`
	// Dropped and Injected count packets at the middlebox.
	Dropped  int64 `json:"dropped"`
	Injected int64 `json:"injected"`
	// Unstaged is what came of a first try in which the fault did not take
	// place, "" where there was none.
	Unstaged string `json:"unstaged,omitempty"`
}

// Deed is what the middlebox did to one packet.
type Deed struct {
	// Time is when the packet came, or left, in Unix nanoseconds.
	Time int64 `json:"time"`
	// Injected is true for a packet of the middlebox's own, false for one that
	// it dropped; Up where it is, or was, on the way to the server.
	Injected bool `json:"injected,omitempty"`
	Up       bool `json:"up,omitempty"`
	// Proto is the protocol number, Flags are TCP's, Payload is TCP's or UDP's
	// payload in bytes.
	Proto   byte `json:"proto"`
	Flags   byte `json:"flags,omitempty"`
	Payload int  `json:"payload"`
}

// seedOf makes each scenario's chance its own.
func seedOf(seed uint64, name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return seed ^ h.Sum64()
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
