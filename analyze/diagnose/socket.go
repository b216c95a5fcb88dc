package diagnose

import (
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/capture/hostlog"
)

// Socket is what the host's socket table said of the client's end of a
// connection: struct tcp_info of Linux (include/uapi/linux/tcp.h), or what other
// systems have of it. Its counters run since the connection began, so that two
// readings tell what happened between them, and the first what came before any
// packet was captured.
//
// They prove what this host's TCP sent and was given. They do not tell where
// something was lost, nor what it was about.
type Socket struct {
	// First and Last are the earliest and latest reading, which may be one.
	First, Last *hostlog.Socket
	// FirstFrame and LastFrame are where these stand in the capture.
	FirstFrame, LastFrame int64
	// Busy is true where the go command that owns it was building something
	// meanwhile, so that it need not be waiting for an answer.
	Busy bool
	// Covered is true where the capture would hold its packets.
	Covered bool
}

// States of sockets (RFC 9293, section 3.3.2) that a request can be under way in.
const (
	stateEstablished = "ESTABLISHED"
	stateSYNSent     = "SYN-SENT"
	stateCloseWait   = "CLOSE-WAIT"
)

// span is the time between the two readings in ns.
func (s *Socket) span() int64 { return max(s.Last.Time-s.First.Time, 0) }

func (s *Socket) frames() []int64 {
	return frames(tcpflow.Point{Frame: s.FirstFrame}, tcpflow.Point{Frame: s.LastFrame})
}

// received returns the payload bytes that came, by the later reading; known is
// false where the system does not count them.
func (s *Socket) received() (n uint64, known bool) {
	if s.Last.BytesReceived == nil {
		return 0, false
	}
	return *s.Last.BytesReceived, true
}

// delivered reports whether the far end acknowledged any payload. Linux counts
// the SYN among what was acknowledged (net/ipv4/tcp_input.c,
// tcp_snd_una_update).
func (s *Socket) delivered() bool { return s.Last.BytesAcked != nil && *s.Last.BytesAcked > 1 }

// moved reports whether payload came or went between the readings.
func (s *Socket) moved() bool {
	differ := func(a, b *uint64) bool { return a != nil && b != nil && *a != *b }
	return differ(s.First.BytesReceived, s.Last.BytesReceived) || differ(s.First.BytesAcked, s.Last.BytesAcked)
}

// ago returns the moment that lies an age in milliseconds before the later
// reading.
func (s *Socket) ago(age *uint32) (at int64, known bool) {
	if age == nil {
		return 0, false
	}
	return s.Last.Time - int64(*age)*millisecond, true
}

// quietSince returns since when no payload came or went, as far as is known: at
// least since the first reading where nothing changed.
func (s *Socket) quietSince() int64 {
	in, knowIn := s.ago(s.Last.LastDataReceived)
	out, knowOut := s.ago(s.Last.LastDataSent)
	switch {
	case knowIn && knowOut:
		return max(in, out)
	case s.moved():
		return s.Last.Time
	case knowIn:
		return min(max(in, 0), s.First.Time)
	}
	return s.First.Time
}

// asked reports whether the client sent something well after the far end's last
// payload, so that an answer is due: what a client says to data that came, such
// as that it has taken it, follows at once.
func (s *Socket) asked() bool {
	in, knowIn := s.ago(s.Last.LastDataReceived)
	out, knowOut := s.ago(s.Last.LastDataSent)
	return knowIn && knowOut && out-in > requestApart
}

// acknowledged reports whether the far end's TCP sent an acknowledgement well
// after payload last moved: the answer to a keep-alive probe (RFC 9293, section
// 3.8.4), which comes only after 30 s with Go and 2 h else.
func (s *Socket) acknowledged() bool {
	at, known := s.ago(s.Last.LastAckReceived)
	return known && at-s.quietSince() >= quietFinding
}

// read reports whether the process took anything out of the socket between the
// readings.
func (s *Socket) read() bool {
	if s.First.BytesReceived == nil || s.Last.BytesReceived == nil {
		return true
	}
	first, last := *s.First.BytesReceived-uint64(s.First.Unread), *s.Last.BytesReceived-uint64(s.Last.Unread)
	return first != last || *s.First.BytesReceived < uint64(s.First.Unread)
}

// unseen reports whether packets that the readings prove to have been sent are
// not in a capture that would hold them: they did not leave this host.
func (w *view) unseen() bool {
	s := w.f.Socket
	return s.Covered && w.client == nil && w.env.lossless() && s.Last.Retransmits > s.First.Retransmits && s.First.Time >= w.env.Start
}
