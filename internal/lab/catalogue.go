package lab

import (
	"context"
	"net"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

var (
	far  = []string{"network", "remote"}
	none = []string{}
)

// stall is long enough to hold the keep-alive round of a connection that
// fell silent: Go's first probe comes after 30 s, the second 15 s later.
const stall = 48 * time.Second

// Catalogue returns the scenarios in a fixed order.
func Catalogue() []Scenario {
	one := []Module{{"example.net/alpha", 60000}}
	return []Scenario{
		{
			Name: "healthy-h2", About: "three modules over HTTP/2, nothing wrong",
			Truth: Truth{"ok", none, ""},
		},
		{
			Name: "healthy-http1", About: "three modules over HTTP/1.1, nothing wrong",
			Truth: Truth{"ok", none, ""}, HTTP1: true,
		},
		{
			Name:  "stalled-download",
			About: "the server acknowledges the ClientHello and never says a word; go gives up after 10 s",
			Truth: Truth{"tls.no-server-hello", far, "remote"}, Hello: Silent, Fails: true,
		},
		{
			Name:  "stalled-body",
			About: "the server stops in the middle of a body (HTTP/2); go waits for ever, keep-alives are answered",
			Truth: Truth{"transfer.remote-idle", []string{"remote"}, "remote"}, Modules: one,
			Body:  func(ctx context.Context, _ *Lab, _ *net.TCPConn) { <-ctx.Done() },
			Limit: stall, Hangs: true,
		},
		{
			Name:  "blackhole-body",
			About: "the router drops everything from the middle of a body on; keep-alives stay unanswered",
			Truth: Truth{"transfer.path-dead", far, "network"}, Modules: one,
			Body: func(ctx context.Context, l *Lab, _ *net.TCPConn) {
				// What was sent arrives first: a hole would be another story.
				pause(ctx, 300*time.Millisecond)
				l.Forward("drop")
				<-ctx.Done()
			},
			Limit: stall + 2*time.Second, Hangs: true,
		},
		{
			Name:  "reset-body",
			About: "the server resets the connection in the middle of a body (HTTP/1.1)",
			Truth: Truth{"transfer.reset", far, "remote"}, Modules: one, HTTP1: true,
			Body: func(ctx context.Context, _ *Lab, c *net.TCPConn) {
				pause(ctx, 50*time.Millisecond)
				c.SetLinger(0)
				c.Close()
			},
			Fails: true,
		},
		{
			Name:  "syn-drop",
			About: "the router drops every SYN to port 443",
			Truth: Truth{"connect.no-answer", far, "network"}, Fails: true,
			Forward: []string{"tcp dport 443 tcp flags & (syn | ack) == syn drop"},
		},
		{
			Name:  "connect-refused",
			About: "nothing listens on port 443 of the server",
			Truth: Truth{"connect.refused", far, "remote"}, Closed: true, Fails: true,
		},
		{
			Name:  "icmp-prohibited",
			About: "the router answers SYNs with ICMP administratively prohibited",
			Truth: Truth{"connect.unreachable", []string{"network"}, "network"}, Fails: true,
			Forward: []string{"tcp dport 443 reject with icmp type admin-prohibited"},
		},
		{
			Name:  "hello-dropped",
			About: "the router drops every packet of a ClientHello, large or small; only what is empty passes",
			Truth: Truth{"tls.client-hello-lost", []string{"network"}, "network"}, Fails: true,
			// An acknowledgement with timestamps and SACK blocks stays below.
			Forward: []string{"tcp dport 443 meta length > 92 drop"},
		},
		{
			Name:  "large-dropped",
			About: "the router drops large packets to the server, as a path with too small an MTU does without ICMP",
			Truth: Truth{"tls.large-packets-lost", []string{"network"}, "network"}, Fails: true,
			Forward: []string{"tcp dport 443 meta length > 1400 drop"},
		},
		{
			Name:  "hello-reset",
			About: "the server resets the connection after the ClientHello",
			Truth: Truth{"tls.reset", far, "remote"}, Hello: ResetAfterHello, Fails: true,
		},
		{
			Name:  "hello-closed",
			About: "the server closes the connection after the ClientHello",
			Truth: Truth{"tls.closed", far, "remote"}, Hello: CloseAfterHello, Fails: true,
		},
		{
			Name:  "hello-alert",
			About: "the server answers the ClientHello with a fatal handshake_failure alert",
			Truth: Truth{"tls.alert-from-server", far, "remote"}, Fails: true,
			Hello: Answer([]byte{21, 3, 3, 0, 2, 2, 40}),
		},
		{
			Name:  "plain-http",
			About: "a plain HTTP server answers on port 443",
			Truth: Truth{"tls.not-tls", far, "remote"}, Fails: true,
			Hello: Answer([]byte("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 12\r\nConnection: close\r\n\r\nBad Request\n")),
		},
		{
			Name:  "dns-silent",
			About: "the resolver answers nothing",
			Truth: Truth{"dns.no-answer", far, "remote"}, Fails: true,
			Lookup: func(dnsmessage.Question) *dnsmessage.Message { return nil },
		},
		{
			Name:  "dns-nxdomain",
			About: "the resolver says that the proxy's name does not exist",
			Truth: Truth{"dns.nxdomain", far, "remote"}, Fails: true,
			Lookup: Rcode(dnsmessage.RCodeNameError),
		},
	}
}
