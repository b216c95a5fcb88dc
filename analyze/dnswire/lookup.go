package dnswire

import (
	"slices"
	"strings"
)

// Transport is what carried a message.
type Transport uint8

// Values of Transport.
const (
	UDP Transport = iota
	TCP
)

func (t Transport) String() string {
	if t == TCP {
		return "tcp"
	}
	return "udp"
}

// Endpoint is an address, IPv4 in its IPv4-mapped form, and a port.
type Endpoint struct {
	Addr [16]byte
	Port uint16
}

// Bounds on what one lookup keeps; the counts beside the lists go on.
const maxEvents = 16

// Lookup is one question of one client to one server, with its repetitions and
// all that came back.
type Lookup struct {
	// Name is as first asked (or answered), Type its record type (TypeName).
	Name string
	Type uint16
	// Client is the endpoint that asked first; a repetition may come from
	// another port.
	Client, Server Endpoint
	Transport      Transport
	// Queries lists the questions in order, the first fifteen and the
	// latest; QueryCount counts all. Both are empty where the capture holds
	// the answer only.
	Queries    []Query
	QueryCount int
	// Responses lists the answers in order, at most 16; ResponseCount
	// counts all.
	Responses     []Response
	ResponseCount int
	// Unreachable lists ICMP errors that quote the lookup, at most 16.
	Unreachable []Unreachable

	last       int64 // time of the latest event
	key        nameKey
	prev, next *Lookup
}

// Query is one question on the wire.
type Query struct {
	Frame int64
	// Time is in nanoseconds since 1970.
	Time int64
	Port uint16 // the client's
	ID   uint16
	// UDPSize and Options are those of its EDNS record (Message), zero
	// without one.
	UDPSize uint16
	Options int
}

// Response is one answer on the wire.
type Response struct {
	Frame int64
	// Time is in nanoseconds since 1970.
	Time int64
	Port uint16 // the client's
	// Mismatch is true where no question with this id from this port was
	// seen: such an answer is not for the client, or guessed.
	Mismatch bool
	// Message is what it says.
	Message Message
	// Malformed says why the message is not fully readable; empty where
	// it is.
	Malformed string
}

// Unreachable is an ICMP error about a lookup.
type Unreachable struct {
	Frame int64
	// Time is in nanoseconds since 1970.
	Time int64
	// From is the address that sent it.
	From [16]byte
	// IPVersion is 4 for ICMP and 6 for ICMPv6; Type and Code are theirs.
	IPVersion  uint8
	Type, Code uint8
	// Answer is true where it quotes the answer: the client no longer
	// wanted it.
	Answer bool
}

// Answered reports whether an answer to one of the questions was seen.
func (l *Lookup) Answered() bool { return l.Answer() != nil }

// Answer returns the first answer that fits a question (the one that a client
// takes), or nil.
func (l *Lookup) Answer() *Response {
	for i := range l.Responses {
		if !l.Responses[i].Mismatch {
			return &l.Responses[i]
		}
	}
	return nil
}

// Conflict returns two answers to the same question that say different things,
// or nil: either one of them is forged, or the resolver is broken. A question
// that was sent twice may well be answered twice and differently.
func (l *Lookup) Conflict() (first, second *Response) {
	for i := range l.Responses {
		a := &l.Responses[i]
		if a.Mismatch || a.Message.Truncated || a.Malformed != "" {
			continue
		}
		for j := i + 1; j < len(l.Responses); j++ {
			b := &l.Responses[j]
			if b.Mismatch || b.Message.Truncated || b.Malformed != "" ||
				b.Port != a.Port || b.Message.ID != a.Message.ID || l.asked(a.Port, a.Message.ID, b.Frame) > 1 {
				continue
			}
			if !sameData(&a.Message, &b.Message) {
				return a, b
			}
		}
	}
	return nil, nil
}

// asked counts the questions from a port with an id before a frame, each once
// however often it was captured.
func (l *Lookup) asked(port, id uint16, before int64) int {
	n := 0
	for i, q := range l.Queries {
		if q.Port == port && q.ID == id && q.Frame < before && !l.copied(i) {
			n++
		}
	}
	return n
}

// copyWindow is the time in ns within which a question from the same port with
// the same id is the same one captured again: resolvers that keep the id wait
// longer before they repeat themselves.
const copyWindow = 1_000_000_000

// copied reports whether the i-th question kept is an earlier one captured
// again, as on several interfaces.
func (l *Lookup) copied(i int) bool {
	q := &l.Queries[i]
	for j := range l.Queries[:i] {
		if o := &l.Queries[j]; o.Port == q.Port && o.ID == q.ID && q.Time-o.Time < copyWindow {
			return true
		}
	}
	return false
}

// Sent counts the questions that were sent, each once however often it was
// captured.
func (l *Lookup) Sent() int {
	n := l.QueryCount
	for i := range l.Queries {
		if l.copied(i) {
			n--
		}
	}
	return n
}

// sameData reports whether two messages say the same, whatever the order and
// the time to live.
func sameData(a, b *Message) bool {
	if a.RCode != b.RCode || a.AnswerCount != b.AnswerCount {
		return false
	}
	return slices.Equal(sortedData(a), sortedData(b))
}

func sortedData(m *Message) []string {
	out := make([]string, len(m.Answers))
	for i := range m.Answers {
		out[i] = m.Answers[i].data()
	}
	slices.Sort(out)
	return out
}

// nameKey finds the lookup that a repeated question belongs to.
type nameKey struct {
	client    [16]byte
	server    Endpoint
	transport Transport
	typ       uint16
	name      string // in lower case
}

// tupleKey finds the lookups that a datagram or connection carried.
type tupleKey struct {
	client, server Endpoint
	transport      Transport
}

func makeNameKey(p *Packet, m *Message) nameKey {
	return nameKey{p.Client.Addr, p.Server, p.Transport, m.Type, strings.ToLower(m.Name)}
}
