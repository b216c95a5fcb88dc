package goproxy

import "net/netip"

// Kind says what the go command's text claims to have happened.
type Kind uint8

// The kinds. One kind may have many causes: ten different faults print "TLS
// handshake timeout". What really happened is for the packets to say.
const (
	KindOther            Kind = iota // an error whose text is not known
	KindRefused                      // connect: connection refused
	KindNoRoute                      // connect: no route to host, network is unreachable
	KindNotPermitted                 // connect: forbidden by this machine's policy
	KindDialTimeout                  // dial tcp: i/o timeout, connect: connection timed out
	KindHandshakeTimeout             // net/http: TLS handshake timeout
	KindReset                        // connection reset by peer
	KindBroken                       // broken pipe, connection aborted
	KindReadTimeout                  // read: connection timed out
	KindEOF                          // EOF
	KindUnexpectedEOF                // unexpected EOF
	KindRemoteAlert                  // remote error: tls: ...
	KindLocalTLS                     // this end did not accept the peer's TLS
	KindCertificate                  // x509: ...
	KindPlainHTTP                    // server gave HTTP response to HTTPS client
	KindNotTLS                       // first record does not look like a TLS handshake
	KindProxyStatus                  // the CONNECT proxy's status text
	KindHTTPStatus                   // reading URL: 403 Forbidden
	KindStream                       // HTTP/2 stream error, GOAWAY
	KindNoSuchHost                   // lookup: no such host
	KindLookupTimeout                // lookup: i/o timeout
	KindLookupFailed                 // lookup: server misbehaving
	KindInterrupted                  // signal: interrupt
	kinds
)

var kindNames = [kinds]string{
	"other", "connection-refused", "unreachable", "not-permitted", "dial-timeout", "tls-handshake-timeout", "connection-reset",
	"connection-broken", "read-timeout", "eof", "unexpected-eof", "tls-alert", "tls-error", "certificate", "plain-http", "not-tls",
	"proxy-status", "http-status", "stream-error", "no-such-host", "lookup-timeout", "lookup-failed", "interrupted",
}

// String returns a stable name for machine output.
func (k Kind) String() string {
	if k < kinds {
		return kindNames[k]
	}
	return kindNames[KindOther]
}

// Lookup reports whether k is about the resolution of a name.
func (k Kind) Lookup() bool {
	return k == KindNoSuchHost || k == KindLookupTimeout || k == KindLookupFailed
}

// Dial reports whether k is about a connection that never came about.
func (k Kind) Dial() bool {
	return k == KindRefused || k == KindNoRoute || k == KindNotPermitted || k == KindDialTimeout
}

// InsideTLS reports whether k tells of what packets cannot show: an answer
// inside an encrypted connection.
func (k Kind) InsideTLS() bool { return k == KindHTTPStatus || k == KindStream }

// Statement is one failure in the go command's words.
type Statement struct {
	// Line is the number of the first line that says it, from 1; Count how
	// many lines do.
	Line, Count int
	// Time is when the first line was printed, in Unix nanoseconds; zero
	// where not known.
	Time int64
	// Text is the failure from the operation on (`Get "URL": ...`), without
	// credentials, at most maxText bytes. It is not cleaned of control
	// characters.
	Text string
	Kind Kind
	// Host is the lower-case host that the failing request named, empty
	// where the text names none; Port its port, zero where not known. After
	// a redirect it is not necessarily the host that failed.
	Host string
	Port uint16
	// Local and Remote are the connection that the text names: both, Remote
	// alone (a connection that never came about), or none (not valid). Of a
	// lookup, Remote is the resolver.
	Local, Remote netip.AddrPort
	// Status is the HTTP status, zero where there is none; Phrase is its
	// text, or the HTTP/2 error code.
	Status int
	Phrase string
	// Alert is the TLS alert's number, -1 where there is none.
	Alert int
	// Reason is why a certificate was refused, as x509 says it.
	Reason string
	// Proxied is true where a CONNECT proxy was dialled.
	Proxied bool
	// Trace is true where only lines of -x say it: the go command may have
	// gone on. Otherwise the command reported it as its error.
	Trace bool
}

// Requests counts what -x says about the requests to one host.
type Requests struct {
	// Sent, Answered and Failed are numbers of requests; Answered ones got
	// an HTTP status, whatever it is. NotFound of them were 404 or 410.
	Sent, Answered, Failed, NotFound int
}

// Pending is the number of requests of which the output tells no outcome.
func (r Requests) Pending() int { return max(r.Sent-r.Answered-r.Failed, 0) }

// Output is what the go command said.
type Output struct {
	// Lines is the number of lines read.
	Lines int
	// Statements are the failures in order of their first lines, each once.
	Statements []Statement
	// Omitted counts statements beyond the bound on Statements.
	Omitted int
	// Hosts counts requests by lower-case host, from -x.
	Hosts map[string]Requests
	// Settings are those that go env's lines in the output hold; Known is
	// true where GOPROXY is among them.
	Settings Settings
	Known    bool
}

// Reported returns the statements that the command ended with: those outside
// -x's trace.
func (o *Output) Reported() []*Statement {
	var out []*Statement
	for i := range o.Statements {
		if s := &o.Statements[i]; !s.Trace {
			out = append(out, s)
		}
	}
	return out
}

// Knows reports whether the output shows that the go command asked host.
func (o *Output) Knows(host string) bool {
	host = plainHost(host)
	if host == "" {
		return false
	}
	if _, ok := o.Hosts[host]; ok {
		return true
	}
	for i := range o.Statements {
		if o.Statements[i].Host == host {
			return true
		}
	}
	return false
}
