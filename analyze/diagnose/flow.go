package diagnose

import (
	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/httpwire"
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/analyze/tlswire"
)

// Flow is what is known about one connection when it ends or the capture does.
type Flow struct {
	Conn *tcpflow.Conn
	// TLS is nil where no TLS record was seen in either direction.
	TLS *tlswire.Facts
	// Request and Response are the CONNECT exchange in front of the TLS, or
	// a plain HTTP answer where TLS was expected; nil where not seen.
	Request    *httpwire.Request
	RequestAt  tcpflow.Point
	Response   *httpwire.Response
	ResponseAt tcpflow.Point
	// ServerBytes are the first bytes of the server's stream (at most 64)
	// where they are neither TLS nor HTTP.
	ServerBytes   []byte
	ServerBytesAt tcpflow.Point
	// HelloSegments counts the TCP segments that carried the ClientHello,
	// zero where that is not known.
	HelloSegments int
	// ServerName is the best known name of the server: SNI, CONNECT
	// target, or the lookup that yielded its address.
	ServerName string
	// Target is true where the server (the CONNECT target behind a proxy)
	// is a host of GOPROXY or GOSUMDB.
	Target bool
	// ProcessName is the program that owns the client end, empty where
	// unknown.
	ProcessName string
	Env         *Env
}

// Env is what is known about the capture around a flow.
type Env struct {
	// Start and End bound the capture in Unix nanoseconds. EndKnown is true
	// where End comes from interface statistics.
	Start, End int64
	EndKnown   bool
	// Final is true where the capture has ended: only then do quiet times
	// run up to End and are Drops complete.
	Final bool
	// Drops counts packets that the interfaces or the kernel dropped;
	// DropsKnown is false where the capture does not say.
	Drops      uint64
	DropsKnown bool
	// Damaged is true where the file is cut or damaged.
	Damaged bool
	// Heard is true where anything at all was answered in this capture, so
	// that inbound packets are known to be captured.
	Heard bool
	// Address returns what other connections showed about a server
	// address, or nil.
	Address func(decode.Addr) *AddressFacts
}

// AddressFacts is what all connections to one server address showed so far.
type AddressFacts struct {
	// MinRTT is the least handshake round trip in ns, zero for none.
	MinRTT int64
	// MinTTL and MaxTTL are over SYN/ACKs; zero for none.
	MinTTL, MaxTTL uint8
	// Answered and Delivered count connections with a SYN/ACK, and with
	// payload after the handshake.
	Answered, Delivered uint32
}
