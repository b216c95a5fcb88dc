// Package lab is a fault laboratory: it makes real captures of a real
// go mod download with one fault injected.
//
// In goes a Scenario, out comes a Result: a pcapng file captured at the
// client, what the go command printed, and the truth about the fault. A run
// makes three network namespaces (client, router, server), connects them with
// veth pairs, serves made-up modules over TLS with a private certificate
// authority and a small DNS server, injects the fault at the server or with
// nftables at the router, and removes all of it at the end, after a failure
// too. Nothing leaves the namespaces. It needs Linux, root, ip, nft, dumpcap
// and go; Missing says what is not there.
//
// A fault is a hook of the Scenario (Lookup, Hello, Body, Forward) and not a
// case in the runner, so a new scenario is one more entry of a catalogue.
package lab

import (
	"context"
	"net"
	"os"
	"strconv"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Addresses inside every lab; the namespaces keep them apart.
const (
	ClientAddr   = "192.168.50.10"
	RouterAddr   = "192.168.50.1"
	ServerAddr   = "203.0.113.10"
	ResolverAddr = "203.0.113.53"
	// ProxyName is the host name of the module proxy.
	ProxyName = "proxy.example"
)

// Truth is what an honest reading of the capture may say.
type Truth struct {
	// Class is the verdict's class.
	Class string `json:"class"`
	// Widest is the widest honest place: the verdict's places lie within.
	// Empty where nothing died.
	Widest []string `json:"widest"`
	// Culprit is the place that really did it; the verdict's places hold it.
	// Empty where nothing died.
	Culprit string `json:"culprit"`
}

// Module is a made-up module of the proxy.
type Module struct {
	Path string
	// Size is the approximate length of its zip file in bytes.
	Size int
}

// Scenario is one fault, or none.
type Scenario struct {
	// Name is unique in a catalogue: lower-case words joined by hyphens.
	Name string
	// About says in one sentence what the capture shows.
	About string
	Truth Truth
	// Modules are what the client downloads; nil means DefaultModules.
	Modules []Module
	// HTTP1 keeps the server from offering HTTP/2.
	HTTP1 bool
	// Closed leaves the server without a listener on port 443.
	Closed bool
	// Lookup answers a DNS question; nil answers A questions for ProxyName.
	// It returns nil for no answer at all.
	Lookup func(q dnsmessage.Question) *dnsmessage.Message
	// Hello gets a new connection after its first TLS record was read. It
	// returns true if it has dealt with the connection, false to go on with
	// TLS. Nil means false.
	Hello func(ctx context.Context, c *net.TCPConn, hello []byte) bool
	// Body is called when half of a zip file's body was sent. After it
	// returns the body is completed.
	Body func(ctx context.Context, l *Lab, c *net.TCPConn)
	// Forward are nftables statements for the router's forward chain, there
	// from the start.
	Forward []string
	// Limit is how long the go command may run; then the capture is stopped
	// first and the command killed after, so that its end does not blur the
	// picture. Zero means two minutes.
	Limit time.Duration
	// Hangs is true where the go command is expected to reach Limit.
	Hangs bool
	// Fails is true where the go command is expected to end with an error.
	Fails bool
}

// DefaultModules are small: captures of them stay within 100 KB.
func DefaultModules() []Module {
	return []Module{{"example.net/alpha", 9000}, {"example.net/beta", 14000}, {"example.org/gamma/v2", 22000}}
}

// Result is what one run left behind.
type Result struct {
	Scenario string `json:"scenario"`
	// Capture is the path of the pcapng file.
	Capture string `json:"capture"`
	Truth   Truth  `json:"truth"`
	// Server is the address and port of the proxy.
	Server string `json:"server"`
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
}

// Faults that the server's answer to a ClientHello can be.

// Silent reads on and never answers: the kernel acknowledges, the program does
// not speak.
func Silent(ctx context.Context, c *net.TCPConn, _ []byte) bool {
	<-ctx.Done()
	return true
}

// ResetAfterHello ends the connection with a reset.
func ResetAfterHello(ctx context.Context, c *net.TCPConn, _ []byte) bool {
	pause(ctx, 20*time.Millisecond)
	c.SetLinger(0)
	c.Close()
	return true
}

// CloseAfterHello ends the connection with FIN.
func CloseAfterHello(ctx context.Context, c *net.TCPConn, _ []byte) bool {
	pause(ctx, 20*time.Millisecond)
	c.Close()
	return true
}

// Answer returns a hook that writes fixed bytes and closes.
func Answer(b []byte) func(context.Context, *net.TCPConn, []byte) bool {
	return func(ctx context.Context, c *net.TCPConn, _ []byte) bool {
		pause(ctx, 20*time.Millisecond)
		c.Write(b)
		c.CloseWrite()
		pause(ctx, 200*time.Millisecond)
		c.Close()
		return true
	}
}

// Rcode returns a Lookup that answers every question with a DNS error code.
func Rcode(code dnsmessage.RCode) func(dnsmessage.Question) *dnsmessage.Message {
	return func(dnsmessage.Question) *dnsmessage.Message {
		return &dnsmessage.Message{Header: dnsmessage.Header{RCode: code}}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// namespacePrefix begins the names of this process's namespaces.
func namespacePrefix() string { return "gplab" + strconv.FormatInt(int64(os.Getpid()), 36) + "-" }
