package diagnose

import (
	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/tcpflow"
)

// maxStrays bounds the ICMP errors kept that quote no known connection.
const maxStrays = 16

// stray is an ICMP error about a connection attempt whose SYN never crossed
// the capture point.
type stray struct {
	at         tcpflow.Point
	from       decode.Addr
	client     tcpflow.Endpoint
	server     tcpflow.Endpoint
	icmp, code uint8
}

// StrayICMP takes an ICMP error that quotes a TCP segment of no connection in
// the capture. loopback is true where it was captured on the loopback
// interface.
func (a *Aggregator) StrayICMP(e *tcpflow.ICMPError, client, server tcpflow.Endpoint, loopback bool) {
	if is, _, _ := unreachable(e); !is || len(a.strays) >= maxStrays {
		return
	}
	local := loopback || e.From == client.Addr
	if local && client.Addr != server.Addr {
		a.strays = append(a.strays, stray{e.Point, e.From, client, server, e.Type, e.Code})
	}
}

// neighbourFailure reports whether the error is what a host tells itself when
// nobody on the link answers for the address that its packets go to first:
// host unreachable (RFC 792), address unreachable (RFC 4443, section 3.1).
func (s *stray) neighbourFailure() bool {
	v4 := s.icmp == 3 && s.code == 1
	v6 := s.icmp == 1 && s.code == 3
	return v4 || v6
}

// stray returns the verdict on attempts whose SYN no interface carried and
// that an ICMP error of this host itself quotes: it rejected them (L2), or its
// link did (S2). Where data came after it, the attempt was another program's,
// or made good.
func (a *Aggregator) stray(least relevance, h *Health) *Verdict {
	if len(a.strays) == 0 {
		return nil
	}
	s := &a.strays[len(a.strays)-1]
	for _, k := range a.contacts {
		if k.relevance >= least && k.delivered > s.at.Time {
			return nil
		}
	}
	v := newVerdict(ConnectRejectedLocally, Suggested, inHost, s.values(0)...)
	if s.neighbourFailure() {
		// A packet filter can say the same, so that without the unanswered
		// questions it is only consistent.
		v = newVerdict(LinkGatewaySilent, Consistent, linkOrHost, s.values(0)...)
		if n := s.waitedFor(h); n != nil {
			after := s.at.Time - n.First
			v = newVerdict(LinkGatewaySilent, Proven, linkOrHost, s.values(after)...)
			if n.Addr == s.server.Addr {
				v = newVerdict(ConnectUnreachable, Proven, beyond, append(s.values(after),
					Text("router", addressText(s.from)), Num("type", int64(s.icmp)), Num("code", int64(s.code)))...)
			}
			v.evidence("neighbour.silent", n.Frames, Text("neighbour", addressText(n.Addr)), Num("count", int64(n.Count)))
		}
	}
	var at []int64
	for i := range a.strays {
		if a.strays[i].server == s.server {
			at = append(at, a.strays[i].at.Frame)
		}
	}
	v.failed = s.at.Time
	v.evidence("icmp.local", tidy(at), Num("type", int64(s.icmp)), Num("code", int64(s.code)))
	v.evidence("syn.not-on-wire", nil)
	return &v
}

func (s *stray) values(after int64) []Value {
	return []Value{Text("host", addressText(s.server.Addr)), Text("address", endpointText(s.server)), Dur("after", after)}
}

// waitedFor returns the neighbour whose silence the attempt met: the gateway, or
// the server itself where it is on the same link; nil for none.
func (s *stray) waitedFor(h *Health) *SilentNeighbour {
	for i := range h.Silent {
		n := &h.Silent[i]
		waited := s.at.Time - n.Last
		if waited >= 0 && waited <= neighbourWait && (n.Addr == s.server.Addr || !h.silent(s.server.Addr)) {
			return n
		}
	}
	return nil
}
