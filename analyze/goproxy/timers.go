package goproxy

import "time"

// How long the go command waits, and for what. There is no limit on waiting
// for the header of a response or for its body, and no HTTP/2 ping: a request
// that is never answered waits for ever. A failed request is not repeated.
const (
	// DialTimeout bounds connecting to a name, over all its addresses
	// (net/http/transport.go, DefaultTransport).
	DialTimeout = 30 * time.Second
	// DialLeast is the least share of DialTimeout that one address gets
	// (net/dial.go, partialDeadline).
	DialLeast = 2 * time.Second
	// HandshakeTimeout bounds the TLS handshake (net/http/transport.go,
	// DefaultTransport).
	HandshakeTimeout = 10 * time.Second
	// ConnectTimeout bounds the wait for a proxy's answer to CONNECT
	// (net/http/transport.go, dialConn).
	ConnectTimeout = time.Minute
	// KeepAliveIdle, KeepAliveInterval and KeepAliveCount are the TCP
	// keep-alive of a connection that http.DefaultTransport dials: its
	// dialer's KeepAlive of 30 s for the first, the defaults of package net
	// for the others (net/tcpsock.go).
	KeepAliveIdle     = 30 * time.Second
	KeepAliveInterval = 15 * time.Second
	KeepAliveCount    = 9
	// IdleTimeout is how long a connection without a request is kept
	// (net/http/transport.go, DefaultTransport).
	IdleTimeout = 90 * time.Second
	// FallbackDelay is the head start of the first address family (RFC
	// 8305; net/dial.go). The race ends with the TCP connection: TLS that
	// fails over the winner is not tried over the other family.
	FallbackDelay = 300 * time.Millisecond
	// LookupTimeout and LookupAttempts are Go's own resolver without
	// options in resolv.conf (net/dnsconfig.go).
	LookupTimeout  = 5 * time.Second
	LookupAttempts = 2
)
