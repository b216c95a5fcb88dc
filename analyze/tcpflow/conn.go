// Package tcpflow follows TCP connections.
//
// In come decoded segments in file order; out come, for each segment, the
// findings of Wireshark 4.0.17's sequence analysis, and for each connection
// the facts that verdicts need: handshake, round-trip times, windows, loss,
// resets, closes, keep-alives and what was quiet for how long. The payload is
// handed on as two byte streams in which holes stay visible.
//
// The sequence analysis follows Wireshark also where it is arguable, so that
// every flag can be checked there. What is known better (duplicate frames of
// a capture on several interfaces, for instance) is an additional fact, never
// a changed flag.
package tcpflow

import "goproxytrace/analyze/decode"

// Endpoint is one end of a connection.
type Endpoint struct {
	Addr decode.Addr
	Port uint16
}

// Point is a moment in a connection that a person can look up.
type Point struct {
	Frame int64 // capture frame number, zero where it never happened
	Time  int64 // Unix nanoseconds
}

// Seen reports whether the moment happened.
func (p Point) Seen() bool { return p.Frame != 0 }

// Mark is a notable segment with what is needed to judge where it came from.
type Mark struct {
	Point
	// Seq and Ack are relative to the initial sequence numbers of the
	// sender and the receiver (SYN is 0, first payload byte 1).
	Seq, Ack uint32
	Len      uint32 // payload bytes
	IPID     uint16
	Flags    uint16 // TCP header flags (decode.SYN, ...)
	Window   uint16
	TTL      uint8
	Dir      uint8 // 0 or 1, index into Conn.Half
	HasIPID  bool
	DF       bool
	HasTS    bool
	Loopback bool // decode.Segment.Loopback
	// Next is what the receiver had acknowledged when the segment came,
	// relative to the sender's initial sequence number, and Reach how many
	// bytes from there its window had room for. Reach is zero where the
	// window is not known, because the receiver's SYN was not captured.
	Next, Reach uint32
}

// ICMPError is an ICMP or ICMPv6 error that quotes a segment of a connection.
type ICMPError struct {
	Point
	From       decode.Addr
	Type, Code uint8
	IPVersion  uint8
	TTL        uint8
	// MTU is the next-hop MTU in bytes, zero where not given.
	MTU uint32
	// QuotedSeq is the quoted sequence number relative to the sender's
	// initial one; meaningful where HasSeq.
	QuotedSeq uint32
	HasSeq    bool
	// QuotedDir is the direction of the quoted segment.
	QuotedDir uint8
	Loopback  bool // decode.Segment.Loopback
}

// Bounds on what one connection keeps; beyond them only counts grow.
const (
	maxResets = 8
	maxMarks  = 16
	maxICMP   = 8
)

// Counts holds how often each finding of the sequence analysis was made.
type Counts struct {
	Retransmissions         uint32 // plain ones: neither fast nor spurious
	FastRetransmissions     uint32
	SpuriousRetransmissions uint32
	OutOfOrder              uint32
	DuplicateACKs           uint32
	LostSegments            uint32
	ACKLostSegments         uint32
	ZeroWindows             uint32
	ZeroWindowProbes        uint32
	ZeroWindowProbeACKs     uint32
	WindowFull              uint32
	WindowUpdates           uint32
	KeepAlives              uint32
	KeepAliveACKs           uint32
}

// RTT summarises round-trip samples in nanoseconds: from a segment to the
// acknowledgement of exactly its end, as seen at the capture point.
// Samples is zero where none was taken.
type RTT struct {
	Min, Max, Sum int64
	Samples       uint32
}

// Half is one direction of a connection: what one end sent.
type Half struct {
	seqState
	stream stream

	Packets     uint64
	DataPackets uint64
	// Bytes counts payload bytes on the wire, repetitions included.
	Bytes uint64
	// NewBytes counts payload bytes that advanced the stream.
	NewBytes uint64
	// HoleWait is the time in ns that passed in silences of a second or more
	// while the other end reported a hole in this direction's data, HoleWaits
	// how many there were.
	HoleWait  int64
	HoleWaits uint32
	// Flowing is the time in ns between segments with payload that follow each
	// other within a second: how long data moved, pauses left out.
	Flowing int64
	// LateBytes counts new payload bytes that came after the other end had
	// closed its direction or reset the connection.
	LateBytes uint64
	Counts
	RTT RTT
	// LastRTT is the latest of RTT's samples, LastRTTFrame the frame of the
	// acknowledgement that gave it; LastCopy is the frame of the latest copy
	// (Duplicates). Zeros before the first.
	LastRTT, LastRTTFrame, LastCopy int64

	First, Last         Point // of any segment
	FirstData, LastData Point // of segments with payload
	// LastNewData is the last segment that advanced the stream.
	LastNewData Point
	// Progress is the last time this end's acknowledgement moved forward.
	Progress Point
	SYN      Point // first SYN (or SYN/ACK)
	LastSYN  Point
	FIN      Point // first FIN
	// LastWindow is the receive window in bytes of the latest segment without
	// RST, scaled where the scale is known; zero also before the first.
	LastWindow uint32
	FINs       uint16
	SYNs       uint16 // packets captured twice count once
	RSTs       uint16
	MSS        uint16 // from the SYN; zero where absent
	// MinTTL and MaxTTL are over segments without RST; zero before the first.
	MinTTL, MaxTTL uint8
	// WindowScale is the shift in the SYN's option, -1 where absent.
	WindowScale   int8
	SACKPermitted bool
	Timestamps    bool // the latest segment without RST carried the timestamp option
	BadChecksums  uint16
	// Unfilled counts checksums that the sender's network card had still to
	// complete (decode.Segment.ChecksumUnfilled), among those verified.
	Unfilled uint16
	// Directions has bit 1<<d set for each recorded direction d
	// (capture.Direction) but unknown, loopback left out.
	Directions uint8
	// Duplicates counts copies: frames of a packet that was captured before,
	// not sent again. Copied are the findings on them, which Counts leaves
	// out; Packets and what headers show include them.
	Duplicates uint32
	Copied     Counts
	// MaxLen is the largest payload in one segment in bytes.
	MaxLen uint32
	// IPIDs are the last identifications of segments without RST, newest
	// first; IPIDCount says how many are valid.
	IPIDs     [4]uint16
	IPIDCount uint8
	// TSval and TSvalTime are the latest timestamp option's value and when
	// it was captured (Unix ns); zeros where none was.
	TSval     uint32
	TSvalTime int64
	// HighAck is the highest acknowledgement this end sent, relative to
	// the other end's initial sequence number; zero for none.
	HighAck uint32
	// SACKLeft and SACKRight are the first SACK block of the latest
	// segment that carried one, relative; zero for none.
	SACKLeft, SACKRight uint32
	SACKAt              Point
	// Repeated is the last segment without payload that acknowledged no more
	// than before, although data beyond that had been captured: the sign of
	// a hole where selective acknowledgements are off.
	Repeated Point
	// Resends are the repetitions of the first unacknowledged byte since
	// this end's data was last acknowledged (at most 16 kept), ResendCount
	// how many there were.
	Resends     []Mark
	ResendCount uint32
	recent      [recentSegments]signature // the latest segments, in a ring
	burst       []signature               // those before them, where packets are repeated
	recentNext  uint8
	burstNext   uint8
	// high is the sequence number behind the last byte sent, where strayed:
	// a reset or a second SYN/ACK has moved the sequence analysis' own off it.
	high    uint32
	strayed bool
}

// Conn is one connection (Wireshark's tcp.stream).
type Conn struct {
	key key
	// ID numbers connections from 0 in order of first appearance.
	ID int64
	// Half[0] is the direction of the connection's first segment. Half[1]
	// is nil until the other end is heard of.
	Half [2]*Half
	// End[i] is the endpoint that sends Half[i].
	End [2]Endpoint
	// Start is the earliest segment; Last the latest by time.
	Start, Last Point
	IPVersion   uint8
	// ClientDir is the index of the half that the client sends. It is
	// certain where ClientKnown: a SYN, a SYN/ACK or a ClientHello told.
	ClientDir   uint8
	ClientKnown bool
	// InitialRTT is Wireshark's tcp.analysis.initial_rtt in nanoseconds,
	// zero where unknown.
	InitialRTT int64
	// HandshakeACK is the client's acknowledgement of the SYN/ACK.
	HandshakeACK Point
	ReusedPorts  bool
	// SYNACKVariants counts SYN/ACKs whose sequence number differs from an
	// earlier one's.
	SYNACKVariants uint8
	Resets         []Mark
	// AfterReset[d] counts segments of direction d that are no resets and
	// come after a reset of the same direction.
	AfterReset [2]uint32
	// BeyondReset[d] counts those of them that end behind the sequence number
	// of the direction's lowest reset: they cannot have been sent before it and
	// overtaken by it.
	BeyondReset     [2]uint32
	AfterResetFirst [2]Point
	AfterResetLast  [2]Point
	// KeepAlives and KeepAliveACKs since payload last moved, at most 16 each.
	KeepAlives, KeepAliveACKs []Mark
	// KeepAliveRound and KeepAliveAnswered count the same without bound.
	KeepAliveRound, KeepAliveAnswered uint32
	// KeepAliveAnsweredTotal counts answered probes of the whole connection.
	KeepAliveAnsweredTotal uint32
	ZeroWindows            []Mark
	ICMP                   []ICMPError
	ProcessID              uint32
	closed                 bool
	firstLow               bool
	keepAliveOpen          uint8 // direction of an unanswered probe plus one
	fins                   uint8 // bit per direction
	// User belongs to the caller.
	User any

	synTime    int64 // latest pure SYN
	mptcp      bool
	mpOps      uint16
	prev, next *Conn
	list       *connList // that holds prev and next, nil for none
	split      bool
	repeated   bool // one interface captured a packet of it twice
	// Continued is true where the connection goes on from one that Split ended.
	Continued   bool
	closedAt    int64
	cutSegments uint32
	Loopback    bool
}

// Other returns the half opposite to d, or nil.
func (c *Conn) Other(d uint8) *Half { return c.Half[1-d] }

// Client and Server return the halves by role; either may be nil.
func (c *Conn) Client() *Half { return c.Half[c.ClientDir] }

// Server returns the half that the server sends, or nil.
func (c *Conn) Server() *Half { return c.Half[1-c.ClientDir] }

// ClientEnd and ServerEnd return the endpoints by role.
func (c *Conn) ClientEnd() Endpoint { return c.End[c.ClientDir] }

// ServerEnd returns the server's endpoint.
func (c *Conn) ServerEnd() Endpoint { return c.End[1-c.ClientDir] }

// Established reports whether a SYN/ACK was acknowledged, or data moved in a
// connection whose start was not captured.
func (c *Conn) Established() bool {
	return c.HandshakeACK.Seen() || (!c.Half[0].SYN.Seen() && c.Half[1] != nil)
}

// Closed reports whether both ends closed, or one reset the connection.
func (c *Conn) Closed() bool { return c.closed }

// SlicedSegments counts segments whose payload the snapshot length cut.
func (c *Conn) SlicedSegments() uint32 { return c.cutSegments }

// Outstanding returns how many payload bytes of direction d were sent and
// never acknowledged.
func (c *Conn) Outstanding(d uint8) uint32 {
	h := c.Half[d]
	if h == nil || !h.baseSet {
		return 0
	}
	sent := h.SentEnd()
	o := c.Half[1-d]
	if o == nil || o.HighAck == 0 {
		return sent
	}
	if int32(sent-o.HighAck) <= 0 {
		return 0
	}
	return sent - o.HighAck
}

// SentEnd returns the relative sequence number after the last byte (or SYN or
// FIN) that direction h sent.
func (h *Half) SentEnd() uint32 {
	if h == nil || !h.baseSet {
		return 0
	}
	if h.strayed {
		return h.high - h.base
	}
	return h.nextseq - h.base
}

// FinalWindow returns the last advertised receive window in bytes, scaled
// where the scale is known.
func (h *Half) FinalWindow() uint32 {
	w := uint32(h.window)
	if h.scale > 0 {
		w <<= uint(h.scale)
	}
	return w
}
