package twopoint

import (
	"net/netip"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/report/messages"
)

// Schema names the shape of the JSON document.
const Schema = "goproxytrace.two-points/v1"

// Event is what became of packets.
type Event string

// The events.
const (
	// Vanished: sent past one point, never arrived at the other.
	Vanished Event = "vanished"
	// Appeared: seen at the receiver's point and never sent past the sender's,
	// although it claims to come from there.
	Appeared Event = "appeared"
	// Changed: seen at both, not the same.
	Changed Event = "changed"
	// Passed: seen at both. Told of what ends connections only.
	Passed Event = "passed"
	// Unanswered: arrived at the receiver's point, again and again, and not
	// acknowledged there.
	Unanswered Event = "unanswered"
	// Repeated: sent once, arrived more often.
	Repeated Event = "repeated"
	// Parted: something between ends the connection and makes another.
	Parted Event = "parted"
)

// Place is where it happened.
type Place string

// The places.
const (
	Between      Place = "between"
	BeforeClient Place = "before-client" // on the client's side of the first capture
	BehindServer Place = "behind-server" // on the server's side of the second
)

// Direction is the way of the packets.
type Direction string

// The directions.
const (
	ToServer Direction = "to-server"
	ToClient Direction = "to-client"
)

var directions = [2]Direction{ToServer, ToClient}

// Kind is what packets they are.
type Kind string

// The kinds.
const (
	SYN         Kind = "syn"
	SYNACK      Kind = "syn-ack"
	ClientHello Kind = "client-hello"
	Data        Kind = "data"
	ACK         Kind = "ack"
	FIN         Kind = "fin"
	Reset       Kind = "reset"
	Question    Kind = "dns-question"
	Answer      Kind = "dns-answer"
	ICMP        Kind = "icmp-error"
)

// Options direct a comparison of two points.
type Options struct {
	// Behind are addresses that lie behind the server's capture, although it
	// may not show any packet of theirs.
	Behind  []string
	Version string
	// Language is that of what is written for people.
	Language messages.Language
}

// Result is what became of the packets between two points.
type Result struct {
	Version        string
	Language       messages.Language
	Client, Server *Point
	Clock          Clock
	// Connections is how many both captures hold; Translated how many of them
	// under other addresses or ports.
	Connections, Translated int
	// Sent and Matched count the segments of these connections by direction:
	// those near the sender, and those of them that the far point has, whole.
	Sent, Matched [2]int
	// Hops is by how much the TTL falls between the points, by direction; nil
	// where nothing was matched.
	Hops     [2]*int
	Findings []Finding
	// Unseen are connections that the server's capture shows nothing of, and
	// nothing shows that it lies on their way.
	Unseen []Unseen
	// NotJudged counts packets without a counterpart that say nothing, by
	// reason.
	NotJudged []NotJudged
	// Cautions are identifiers of what limits the result.
	Cautions []Caution
}

// Finding is one kind of event, summed up.
type Finding struct {
	Event     Event
	Kind      Kind
	Direction Direction
	Place     Place
	Level     diagnose.Level
	// Claimed is the end that the packets name as their sender; Peer the other.
	// The ports of clients are left out where there are several.
	Claimed, Peer string
	// Count is the number of packets (for data: of segments near the sender, or
	// parts of them), Bytes their payload, Connections of how many connections.
	Count, Connections int
	Bytes              int64
	// Of is how many of the kind were sent in this direction to or from the
	// same server; zero where that is not counted.
	Of int
	// What, From and To say what was changed, from what to what.
	What, From, To string
	// TTL is that of the packets where they appeared, Usual that of the others
	// from the same address there; zero where they vary or are not known.
	TTL, Usual uint8
	// ClientFrames and ServerFrames are frame numbers in the two captures, at
	// most 32 each.
	ClientFrames, ServerFrames []int64

	key     findingKey
	flows   map[*flow]bool
	server  tcpflow.Endpoint
	madeUp  int   // of the vanished, arrived when sent again
	largest int64 // of what vanished, smallest payload
}

// MadeGood is how many of the vanished were made good by a repetition.
func (f *Finding) MadeGood() int { return f.madeUp }

// Unseen are connections to one server of which the far capture has nothing.
type Unseen struct {
	Server      string
	Connections int
	Frames      []int64
}

func (u *Unseen) address() string {
	a, err := netip.ParseAddrPort(u.Server)
	if err != nil {
		return u.Server
	}
	return a.Addr().String()
}

// NotJudged counts packets by the reason for which they are not judged.
type NotJudged struct {
	Reason string
	Count  int
}

// Caution is something that limits the result.
type Caution struct {
	ID     string
	Values []diagnose.Value
}
