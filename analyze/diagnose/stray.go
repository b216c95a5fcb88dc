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

// stray returns the verdict on attempts that this host rejected itself (L2):
// its own ICMP error quotes a SYN that no interface carried. Where data came
// after it, the attempt was another program's, or made good.
func (a *Aggregator) stray(least relevance) *Verdict {
	if len(a.strays) == 0 {
		return nil
	}
	s := a.strays[len(a.strays)-1]
	for _, k := range a.contacts {
		if k.relevance >= least && k.delivered > s.at.Time {
			return nil
		}
	}
	v := newVerdict(ConnectRejectedLocally, Suggested, inHost,
		Text("host", addressText(s.server.Addr)), Text("address", endpointText(s.server)), Dur("after", 0))
	var at []int64
	for i := range a.strays {
		at = append(at, a.strays[i].at.Frame)
	}
	v.failed = s.at.Time
	v.evidence("icmp.local", tidy(at), Num("type", int64(s.icmp)), Num("code", int64(s.code)))
	v.evidence("syn.not-on-wire", nil)
	return &v
}
