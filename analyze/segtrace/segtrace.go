// Package segtrace keeps what the segments of a capture's connections were
// until it is known which connections matter.
//
// In come segments with the findings on them, TLS records and ICMP errors, in
// file order; out come, for the few connections that a reader names at the
// end, all of them again. In between they lie in memory and, beyond a few
// megabytes, in a temporary file. They hold no address and no payload.
package segtrace

import (
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/analyze/tlswire"
)

// Segment is one TCP segment as it was captured.
type Segment struct {
	Frame int64
	Time  int64 // Unix nanoseconds
	// Seq and Ack are relative to the initial sequence numbers (SYN is 0);
	// Ack means something only where the segment has the ACK flag.
	Seq, Ack uint32
	Len      uint32 // payload bytes on the wire
	// Window is the receive window in bytes, scaled where the scale is known.
	Window uint32
	// RTT is the time in nanoseconds since the segment was sent that this one
	// acknowledges; zero where that gives no sample.
	RTT      int64
	Findings tcpflow.Flags
	Flags    uint16 // TCP header flags (decode.SYN, ...)
	IPID     uint16
	TTL      uint8
	// FromClient says which end sent it.
	FromClient bool
	HasIPID    bool
	// Copy is true where the frame shows a packet that an earlier frame shows
	// already: findings on it mean nothing.
	Copy bool
	// SACK holds the selective acknowledgements in the segment, relative to
	// the other end's initial sequence number; SACKCount says how many.
	SACKCount uint8
	SACK      [4][2]uint32
}

// Message is a TLS message, or a record whose content is not readable.
type Message struct {
	Frame int64 // that holds its last byte
	Time  int64
	// Seq is the relative sequence number of the first byte of the record it
	// begins in, End that behind its last byte.
	Seq, End   uint32
	Kind       tlswire.Kind
	Type       uint8 // handshake type, or alert number
	FromClient bool
}

// ICMP is an ICMP error that quotes a segment of the connection.
type ICMP struct {
	Frame int64
	Time  int64
	TTL   uint8 // of its own IP header
}

// Connection is the trace of one connection.
type Connection struct {
	ID       int64
	Segments []Segment
	Messages []Message
	ICMP     []ICMP
	// Total counts the segments that were captured, Thinned those among them
	// that are left out because nothing is remarkable about them, Lost those
	// that are left out although something is.
	Total, Thinned, Lost int
}

// Remarkable reports whether a segment is more than one of many: it opens or
// ends the connection, or the sequence analysis found something about it.
func (s *Segment) Remarkable() bool {
	return s.Flags&(flagFIN|flagSYN|flagRST) != 0 || s.Findings&^tcpflow.WindowUpdate != 0
}

// TCP header flags that make a segment remarkable.
const (
	flagFIN = 1 << iota
	flagSYN
	flagRST
)
