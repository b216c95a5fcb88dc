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
	// ProcessText tells the owner with its number and what started it, empty
	// where unknown; of one that works for a go command, that command.
	ProcessText string
	// Owner stands for the process that the connection counts for: the go
	// command that its owner is or works for, else the owner itself. It is a
	// process number where no other process had the same one; zero stands
	// for the number that the packets carry.
	Owner uint32
	// GoCommand is true where the owner is a go command, or works for one.
	GoCommand bool
	// Outside is true where the owner is none of the processes that the
	// capture was made for.
	Outside bool
	// Socket is the state of the client's socket, nil where it is not known.
	Socket *Socket
	// Blocks are the host's records of having blocked it, in order of time.
	Blocks []Block
	Env    *Env
}

// owner returns the number that stands for the process the connection counts
// for, zero where unknown.
func (f *Flow) owner() uint32 {
	if f.Owner != 0 {
		return f.Owner
	}
	return f.Conn.ProcessID
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
	// Undrained counts packets that passed the filter and are not in the
	// file; complete where Final.
	Undrained uint64
	// Unseen counts acknowledgements, those of resets left out, for bytes that
	// had not been captured by then (K1): zero in a capture that lost nothing.
	Unseen uint64
	// ClockSteps are the jumps of the capture's clock seen so far.
	ClockSteps []ClockStep
	// Breaks are the places seen so far at which another capture begins, in
	// file order. Where Final and there are any, the last one is behind the
	// file's end.
	Breaks []Break
	// Host returns what the capture showed about a client address, or nil.
	Host func(decode.Addr) *HostFacts
	// Owner returns the name of a process that the capture describes, empty
	// for none.
	Owner func(pid uint32) string
	// Address returns what other connections showed about a server
	// address, or nil.
	Address func(decode.Addr) *AddressFacts
}

// AddressFacts is what all connections to one server address showed so far.
type AddressFacts struct {
	// MinRTT is the least round trip in ns of a handshake or of data that
	// the address acknowledged, zero for none; RTTs counts the samples that
	// are independent: of handshakes at the same time, one.
	MinRTT int64
	RTTs   uint32
	// asked and shaken bound the latest handshake counted, in Unix
	// nanoseconds: what held it up (a sleeping radio, address resolution)
	// held up those beside it too.
	asked, shaken int64
	// MinTTL and MaxTTL are over SYN/ACKs; zero for none.
	MinTTL, MaxTTL uint8
	// Answered and Delivered count connections with a SYN/ACK, and with
	// payload after the handshake.
	Answered, Delivered uint32
}

// Learn adds what a connection showed about its server's address.
func (f *AddressFacts) Learn(c *tcpflow.Conn) {
	client, server := spoke(c.Client()), spoke(c.Server())
	if server == nil {
		return
	}
	if server.SYN.Seen() {
		f.Answered++
		if server.MinTTL > 0 && (f.MinTTL == 0 || server.MinTTL < f.MinTTL) {
			f.MinTTL = server.MinTTL
		}
		f.MaxTTL = max(f.MaxTTL, server.MaxTTL)
	}
	shaken := c.HandshakeACK.Seen() && server.SYN.Seen() && c.InitialRTT > 0
	if shaken {
		n := uint32(1)
		if from, to := c.Start.Time, server.SYN.Time; f.RTTs > 0 && from <= f.shaken && to >= f.asked {
			n = 0
		} else {
			f.asked, f.shaken = from, to
		}
		f.sample(c.InitialRTT, n)
	}
	if client != nil && client.RTT.Samples > 0 && client.RTT.Min > 0 {
		n := client.RTT.Samples
		if shaken {
			n-- // the SYN's is in both
		}
		f.sample(client.RTT.Min, n)
	}
	if server.NewBytes > 0 {
		f.Delivered++
	}
}

func (f *AddressFacts) sample(rtt int64, n uint32) {
	if f.MinRTT == 0 || rtt < f.MinRTT {
		f.MinRTT = rtt
	}
	f.RTTs += n
}
