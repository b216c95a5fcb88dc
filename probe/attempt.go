package probe

import (
	"net/netip"
	"time"

	"goproxytrace/analyze/diagnose"
)

// End says how an attempt ended, as far as a program without packets can tell.
type End string

// Ends.
const (
	Passed      End = "passed"
	Stopped     End = "stopped" // by the user: says nothing
	Timeout     End = "timeout"
	Refused     End = "refused"
	Reset       End = "reset"
	Closed      End = "closed"
	Unreachable End = "unreachable"
	Forbidden   End = "forbidden" // this host does not let it
	Alert       End = "alert"     // the far end's TLS alert
	NotTLS      End = "not-tls"
	Certificate End = "certificate"
	Status      End = "status" // an HTTP status that ends a download
	Failed      End = "failed" // anything else: Detail says
)

// Lane is a way to a host: the attempts of one lane differ by their arm alone.
type Lane struct {
	// Host is whom the lane is about.
	Host string
	Port uint16
	// Address is whom a direct connection goes to; the zero Addr where a
	// proxy is asked instead, and in lookups.
	Address netip.Addr
	// Via is the proxy's host and port, empty for none.
	Via string
	// Resolver is whom a lookup asks; zero for the system's way.
	Resolver netip.AddrPort
	// Borrowed is true where Address is another host's.
	Borrowed bool
}

// Attempt is one thing that was tried.
type Attempt struct {
	Lane
	Arm   Arm
	Begin time.Time
	Ended time.Time
	// Local and Remote are the TCP connection's ends. Local's address is
	// zero where no connection came about.
	Local, Remote netip.AddrPort
	// Stage is where it ended; StageDone where it passed.
	Stage diagnose.Stage
	End   End
	// Detail is the system's or the far end's own words, cleaned by whoever
	// prints them.
	Detail string
	// Errno is the system's name for the error ("ECONNREFUSED"), empty for none.
	Errno string
	// Class, Place and Level are the judgement: that of the packets where
	// ByPackets is true, else what sockets allow, which is no more than
	// diagnose.Consistent.
	Class     diagnose.Class
	Place     []diagnose.Place
	Level     diagnose.Level
	ByPackets bool
	// Cut is true where the attempt ended because its time was over: the
	// packets show this program giving up.
	Cut bool
	// Shadowed is true for a failure that a block left over from an earlier
	// one may have caused.
	Shadowed bool

	// How long each stage took; zero where it was not passed.
	Connect, TLS, FirstByte time.Duration
	// HelloBytes is the length of the ClientHello's record with its header.
	HelloBytes int
	// Received counts bytes from the far end, on the TCP connection.
	Received   int
	TLSVersion string
	ALPN       string
	Chain      []Certified
	// HTTP is the status line's code, zero for none; Location is where a
	// redirect leads, which is not followed.
	HTTP     int
	Location string
	// Socket is the kernel's own account, nil where it gives none.
	Socket *Socket
	// Answers are a lookup's: more than one where several came to one
	// question.
	Answers []Answer
}

// Died reports whether an attempt says that something is wrong.
func (a *Attempt) Died() bool { return a.End != Passed && a.End != Stopped }

// took is how long an attempt lasted.
func (a *Attempt) took() time.Duration { return a.Ended.Sub(a.Begin) }

// Certified is one certificate of the chain that was shown.
type Certified struct {
	Subject  string    `json:"subject"`
	Issuer   string    `json:"issuer"`
	Names    []string  `json:"names,omitempty"`
	NotAfter time.Time `json:"not_after"`
	SHA256   string    `json:"sha256"`
	// Trusted, of the first certificate, is true where this system's roots
	// lead to it; Public where those of Mozilla's list do, as of this
	// program's build.
	Trusted bool `json:"trusted"`
	Public  bool `json:"public"`
}

// Socket is what the kernel says of a TCP connection at its end (struct
// tcp_info, linux/tcp.h).
type Socket struct {
	// BytesAcked and BytesReceived are payload bytes over its life.
	BytesAcked, BytesReceived uint64
	Unacked, Retransmits      uint32
	// RTT is the smoothed round trip, PMTU what the kernel believes the path
	// takes and SegmentSize what it sends at most, in bytes.
	RTT               time.Duration
	PMTU, SegmentSize uint32
}

// Answer is what came back to a question.
type Answer struct {
	Addresses []netip.Addr
	// RCode is the name of the response code (RFC 1035, section 4.1.1).
	RCode string
	After time.Duration
}
