package analyze

import (
	"bytes"
	"net/netip"

	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/capture/hostlog"
)

// Bounds on claims, which come from records that may be hostile.
const (
	maxClaims = 64 << 10
	// maxPerTuple is how many claims to one tuple are looked at, the latest
	// first.
	maxPerTuple = 64
	// maxOtherClaims is how many contradicting claims are told of.
	maxOtherClaims = 4
)

// ownerJitter is how far the clocks of claims and of packets may lie apart, in
// ns: one is read when the system call is made, the other when the packet
// passes, and both are corrected while they run.
const ownerJitter = int64(2e6)

// synDelay is how long after the call that begins a connection its SYN leaves at
// most, in ns: Linux asks for a neighbour's address three times, a second apart
// (RFC 4861, sections 7.2.2 and 10, and ARP likewise). An older claim is about
// an earlier use of the ports.
const synDelay = int64(3500e6)

// tuple names a TCP connection regardless of direction: the lower end first.
type tuple struct{ lo, hi tcpflow.Endpoint }

func tupleOf(a, b tcpflow.Endpoint) tuple {
	if n := bytes.Compare(a.Addr[:], b.Addr[:]); n < 0 || n == 0 && a.Port <= b.Port {
		return tuple{a, b}
	}
	return tuple{b, a}
}

// endOf converts an address of a record.
func endOf(a netip.AddrPort) tcpflow.Endpoint {
	if !a.Addr().IsValid() {
		return tcpflow.Endpoint{Port: a.Port()}
	}
	return tcpflow.Endpoint{Addr: decode.Addr(a.Addr().Unmap().As16()), Port: a.Port()}
}

// claim says whose one end of a connection is, from when to when.
type claim struct {
	key       tuple
	seq, prev uint64 // its own number, and that of the one before on the tuple
	at, until int64  // Unix ns; until is zero while the socket is open
	cookie    uint64
	pid       uint32
	local     tcpflow.Endpoint
	source    hostlog.Source
	server    bool
	gone      bool // its connection is done
}

// owners holds the latest claims: a ring, so that records of connections that
// were never captured give way.
type owners struct {
	ring []claim
	next uint64 // number of the next claim, from 1
	head map[tuple]uint64
}

// rank orders sources, the best highest.
func rank(s hostlog.Source) int {
	switch s {
	case hostlog.KernelEvent:
		return 6
	case hostlog.SystemCall:
		return 5
	case hostlog.SocketTable:
		return 4
	case hostlog.EventLog:
		return 3
	case hostlog.Annotation:
		return 2
	}
	return 1
}

// confidence says in a word how much a source is worth.
func confidence(s hostlog.Source) string {
	switch rank(s) {
	case 6, 5:
		return "exact"
	case 4, 3, 2:
		return "strong"
	}
	return "weak"
}

// add takes a claim. One that repeats another with the time of the socket's end
// completes it. Without a local port it fits no connection.
func (o *owners) add(r *hostlog.Claim) {
	if r.PID == 0 || r.Local.Port() == 0 || !r.Local.Addr().IsValid() || !r.Remote.Addr().IsValid() {
		return
	}
	local, remote := endOf(r.Local), endOf(r.Remote)
	key := tupleOf(local, remote)
	for c := range o.of(key) {
		if c.local == local && c.pid == r.PID && c.source == r.Source && (c.at == r.Time || c.cookie == r.Cookie && r.Cookie != 0) {
			c.at = min(c.at, r.Time)
			c.until = max(c.until, r.Until)
			return
		}
	}
	if o.head == nil {
		o.head, o.next = make(map[tuple]uint64), 1
	}
	c := claim{
		key: key, seq: o.next, prev: o.head[key], at: r.Time, until: r.Until, cookie: r.Cookie, pid: r.PID,
		local: local, source: r.Source, server: r.Server,
	}
	o.next++
	if len(o.ring) < maxClaims {
		o.ring = append(o.ring, c)
	} else {
		old := &o.ring[(c.seq-1)%maxClaims]
		if o.head[old.key] == old.seq {
			delete(o.head, old.key)
		}
		*old = c
	}
	o.head[key] = c.seq
}

// of yields the claims to a tuple, the latest first.
func (o *owners) of(key tuple) func(func(*claim) bool) {
	return func(yield func(*claim) bool) {
		seq := o.head[key]
		for n := 0; seq != 0 && n < maxPerTuple; n++ {
			c := &o.ring[(seq-1)%maxClaims]
			if c.seq != seq {
				return // overwritten since
			}
			seq = c.prev
			if !c.gone && !yield(c) {
				return
			}
		}
	}
}

// release lets go of the claims to a connection that is done.
func (o *owners) release(c *tcpflow.Conn) {
	key := tupleOf(c.End[0], c.End[1])
	if o.head[key] == 0 {
		return
	}
	left := false
	for m := range o.of(key) {
		if m.at <= c.Last.Time {
			m.gone = true
		} else {
			left = true
		}
	}
	if !left {
		delete(o.head, key)
	}
}

// fits reports whether a claim can be about a connection, by time. The kernel's
// events tell of the call that began it, or of accepting it; a table was read
// while it was there.
func (m *claim) fits(c *tcpflow.Conn) bool {
	if m.until != 0 && m.until < c.Start.Time-ownerJitter {
		return false
	}
	if m.source == hostlog.EventLog {
		return m.at >= c.Start.Time-logClock && m.at <= c.Last.Time+logClock || m.at < c.Start.Time && !begun(c)
	}
	if m.server || m.source == hostlog.SocketTable || rank(m.source) <= 2 {
		return m.at >= c.Start.Time-ownerJitter && (m.at <= c.Last.Time || !c.Closed()) || m.at < c.Start.Time && c.Half[c.ClientDir] != nil && !begun(c)
	}
	return m.at <= c.Start.Time+ownerJitter && (m.at >= c.Start.Time-synDelay || !begun(c))
}

// begun reports whether the beginning of a connection was captured.
func begun(c *tcpflow.Conn) bool {
	return c.Half[0] != nil && c.Half[0].SYN.Seen() || c.Half[1] != nil && c.Half[1].SYN.Seen()
}

// find returns the best claim to the end of a connection that e is, nil for
// none, and others that contradict it.
func (o *owners) find(c *tcpflow.Conn, e tcpflow.Endpoint) (best *claim, others []*claim) {
	if len(o.head) == 0 {
		return nil, nil
	}
	apart := func(m *claim) int64 { return max(m.at-c.Start.Time, c.Start.Time-m.at) }
	key := tupleOf(c.End[0], c.End[1])
	for m := range o.of(key) {
		if m.local != e || !m.fits(c) {
			continue
		}
		switch {
		case best == nil, rank(m.source) > rank(best.source), rank(m.source) == rank(best.source) && apart(m) < apart(best):
			best = m
		}
	}
	if best == nil {
		return nil, nil
	}
	for m := range o.of(key) {
		// Another claim from the same source is about another use of the ports.
		if m.local == e && m.fits(c) && m.pid != best.pid && m.source != best.source && len(others) < maxOtherClaims {
			others = append(others, m)
		}
	}
	return best, others
}
