package diagnose

import (
	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/tcpflow"
)

// HostFacts is what the capture showed about one client address: whether the
// capture point is on that machine. The zero value knows nothing.
type HostFacts struct {
	// MinTTL is the least time to live of its packets, zero for none.
	MinTTL uint8
	// Inbound and Outbound are true where the capture recorded that its
	// packets came in from the link, or went out to it.
	Inbound, Outbound bool
	// Unfilled is true where its packets carry checksums that the network
	// card had still to complete.
	Unfilled bool
	// Owned is true where the capture records which of the capturing
	// machine's processes they belong to.
	Owned bool
	// Merged is true where a segment is larger than its receiver takes:
	// this machine's stack had not cut it yet, or a forwarding one's had
	// put it together.
	Merged bool
	// Looped is true where a packet of it crossed the loopback interface of
	// the capturing machine.
	Looped bool
	// TCP is true where any TCP segment of it was captured.
	TCP bool
	// Turnaround is the least time in ns from a packet to its answer as
	// seen at the capture point, zero for none.
	Turnaround int64
}

func (h *HostFacts) ttl(n uint8) {
	if n > 0 && (h.MinTTL == 0 || n < h.MinTTL) {
		h.MinTTL = n
	}
}

// Answered adds the time in ns from a question to the host, such as address
// resolution, to its answer.
func (h *HostFacts) Answered(d int64) {
	if d > 0 && (h.Turnaround == 0 || d < h.Turnaround) {
		h.Turnaround = d
	}
}

// Datagram adds what a datagram of the host shows.
func (h *HostFacts) Datagram(s *decode.Segment) {
	if s.Loopback {
		h.Looped = true
		return
	}
	h.ttl(s.TTL)
	h.direction(1 << s.Direction)
	h.Unfilled = h.Unfilled || s.ChecksumUnfilled()
	h.Owned = h.Owned || s.Owner.PID != 0
}

func (h *HostFacts) direction(bits uint8) {
	h.Inbound = h.Inbound || bits&(1<<1) != 0
	h.Outbound = h.Outbound || bits&(1<<2) != 0
}

// LearnClient adds what a connection of the host as its client shows.
func (h *HostFacts) LearnClient(c *tcpflow.Conn) {
	client, server := spoke(c.Client()), spoke(c.Server())
	if client == nil {
		return
	}
	h.TCP = true
	h.ttl(client.MinTTL)
	h.direction(client.Directions)
	h.Unfilled = h.Unfilled || client.Unfilled > 0
	h.Owned = h.Owned || c.ProcessID != 0
	if server == nil {
		return
	}
	// Every SYN damaged and yet answered: the card mended them.
	if client.SYNs > 0 && client.BadChecksums >= client.SYNs && server.HighAck > 0 {
		h.Unfilled = true
	}
	if server.MSS > 0 && client.MaxLen > uint32(server.MSS) {
		h.Merged = true
	}
	if c.HandshakeACK.Seen() && server.LastSYN.Seen() {
		h.Answered(c.HandshakeACK.Time - server.LastSYN.Time)
	}
	if server.RTT.Samples > 0 {
		h.Answered(server.RTT.Min)
	}
}

func (h *HostFacts) add(o *HostFacts) {
	if o == nil {
		return
	}
	h.ttl(o.MinTTL)
	h.Answered(o.Turnaround)
	h.Inbound, h.Outbound = h.Inbound || o.Inbound, h.Outbound || o.Outbound
	h.Unfilled, h.Owned = h.Unfilled || o.Unfilled, h.Owned || o.Owned
	h.Merged, h.TCP, h.Looped = h.Merged || o.Merged, h.TCP || o.TCP, h.Looped || o.Looped
}

// vantage says how near to the client the capture point is.
type vantage uint8

const (
	elsewhere  vantage = iota // behind a router, or not known at all
	beside                    // no router between: the client, or its link
	likelyHere                // two independent signs of the client itself
	here                      // shown by what only the client's own stack emits
)

// untouched reports whether no router has lowered a time to live: senders
// begin with 32, 64, 128 or 255.
func untouched(ttl uint8) bool {
	switch ttl {
	case 32, 64, 128, 255:
		return true
	}
	return false
}

// vantage grades the facts. An untouched time to live alone is what a gateway,
// an access point or a mirror port on the client's link sees too.
func (h *HostFacts) vantage() vantage {
	switch {
	case h.Looped && h.MinTTL == 0:
		return here // nothing of it crossed another interface
	case !untouched(h.MinTTL) || h.Inbound:
		return elsewhere
	case h.Outbound || h.Unfilled || h.Owned:
		return here
	case h.Turnaround > 0 && h.Turnaround <= hostTurnaround, h.Merged:
		return likelyHere
	}
	return beside
}

// lossless reports whether the capture is known to hold every packet: its
// counters say so, and no acknowledgement says otherwise.
func (e *Env) lossless() bool {
	return e.Final && e.DropsKnown && e.Drops == 0 && e.Undrained == 0 && e.Unseen == 0 && !e.Damaged
}

// host returns what is known of an address, or nil.
func (e *Env) host(a decode.Addr) *HostFacts {
	if e.Host == nil {
		return nil
	}
	return e.Host(a)
}

// vantage grades the capture point by this connection, and by what else was
// seen of its client.
func (w *view) vantage() vantage {
	var h HostFacts
	h.LearnClient(w.c)
	h.add(w.env.host(w.c.ClientEnd().Addr))
	return h.vantage()
}

// blameHost returns how far packets that reached the capture point intact and
// were ignored accuse this machine (L5, L6). Between the two they may have been
// lost, and no class says so: behind a router ok is false, and beside the client
// the verdict has to say what it rests on (restsOnPlace).
func (w *view) blameHost() (level Level, ok bool) {
	switch w.vantage() {
	case here:
		return Proven, true
	case likelyHere:
		return Suggested, true
	case beside:
		return Consistent, true
	}
	return None, false
}

// restsOnPlace adds to a verdict of blameHost what its capture point leaves open.
func (v *Verdict) restsOnPlace() {
	if v.Level == Consistent {
		v.skip("skip.capture-beside")
	}
}
