package analyze

import (
	"net/netip"
	"strings"

	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/analyze/dnswire"
	"goproxytrace/analyze/tcpflow"
)

const dnsPort = 53

// feedLookup gives a tracker a datagram that may be a DNS message.
func feedLookup(t *dnswire.Tracker, s *decode.Segment) {
	if s.SrcPort != dnsPort && s.DstPort != dnsPort {
		return
	}
	src := dnswire.Endpoint{Addr: s.Src, Port: s.SrcPort}
	dst := dnswire.Endpoint{Addr: s.Dst, Port: s.DstPort}
	t.Feed(s.Frame, s.Time, src, dst, dnswire.UDP, s.Payload)
}

// dnsStream takes bytes of a DNS connection over TCP.
func (p *pipeline) dnsStream(c *tcpflow.Conn, d uint8, at tcpflow.Point, b []byte) {
	streams, ok := c.User.(*[2]dnswire.Stream)
	if !ok {
		streams = new([2]dnswire.Stream)
		c.User = streams
	}
	src, dst := c.End[d], c.End[1-d]
	streams[d].Data(b, func(message []byte) {
		p.lookups.Feed(at.Frame, at.Time, dnswire.Endpoint{Addr: src.Addr, Port: src.Port},
			dnswire.Endpoint{Addr: dst.Addr, Port: dst.Port}, dnswire.TCP, message)
	})
}

// unreachable joins an ICMP error to the lookup whose datagram it quotes.
func (p *pipeline) unreachableLookup(s *decode.Segment) {
	q := s.Quote
	p.lookups.Unreachable(dnswire.Endpoint{Addr: q.Src, Port: q.SrcPort}, dnswire.Endpoint{Addr: q.Dst, Port: q.DstPort}, dnswire.UDP, -1,
		dnswire.Unreachable{Frame: s.Frame, Time: s.Time, From: s.Src, IPVersion: s.IPVersion, Type: s.ICMPType, Code: s.ICMPCode})
}

// lookup takes a finished lookup.
func (p *pipeline) lookup(l *dnswire.Lookup) {
	p.names.learn(l)
	p.learnTime(l)
	if !p.lookupInView(l) {
		return
	}
	v := diagnose.Lookup(l, &p.env)
	p.goView.text.Lookup(l, &v)
	r := p.result
	i := len(r.Lookups)
	if i >= maxLookups && !(v.Died() && i < maxLookups+maxFailedLookups) {
		i = -1 // judged with the others, but not listed
	}
	p.agg.Lookup(i, l, &v, p.isTarget(l.Name))
	if i < 0 {
		r.LookupsOmitted++
		return
	}
	r.Lookups = append(r.Lookups, lookupRecord(l, v))
}

// addressNames maps addresses to the names they were looked up by.
type addressNames map[decode.Addr]string

// learn takes the answers of a finished lookup.
func (n addressNames) learn(l *dnswire.Lookup) {
	name := strings.TrimSuffix(l.Name, ".")
	for i := range l.Responses {
		r := &l.Responses[i]
		if r.Mismatch {
			continue
		}
		for _, a := range r.Message.Answers {
			if a.Addr.IsValid() && len(n) < maxNames {
				n[decode.Addr(a.Addr.As16())] = name
			}
		}
	}
}

// learnTime remembers how long the lookup of an address took, from the first
// question to the answer.
func (p *pipeline) learnTime(l *dnswire.Lookup) {
	r := l.Answer()
	if r == nil || len(l.Queries) == 0 {
		return
	}
	for _, a := range r.Message.Answers {
		if a.Addr.IsValid() && len(p.took) < maxNames {
			p.took[decode.Addr(a.Addr.As16())] = max(r.Time-l.Queries[0].Time, 0)
		}
	}
}

func (p *pipeline) lookupInView(l *dnswire.Lookup) bool {
	return p.opts.hostInView(l.Name, l.Client.Addr, l.Server.Addr)
}

func lookupRecord(l *dnswire.Lookup, v diagnose.Verdict) Lookup {
	out := Lookup{
		Name: strings.TrimSuffix(l.Name, "."), Type: dnswire.TypeName(l.Type), Verdict: v,
		Client: dnsEndpoint(l.Client), Server: dnsEndpoint(l.Server),
	}
	for _, q := range l.Queries {
		out.Frames = append(out.Frames, q.Frame)
	}
	for i := range l.Responses {
		out.Frames = append(out.Frames, l.Responses[i].Frame)
	}
	if a := l.Answer(); a != nil {
		out.RCode = dnswire.RCodeName(a.Message.RCode)
		for _, rr := range a.Message.Answers {
			switch {
			case rr.Addr.IsValid():
				out.Answers = append(out.Answers, rr.Addr.String())
			case rr.Target != "":
				out.Answers = append(out.Answers, rr.Target)
			}
		}
		if len(l.Queries) > 0 {
			out.MS = ms(a.Time - l.Queries[0].Time)
		}
	}
	return out
}

func dnsEndpoint(e dnswire.Endpoint) string {
	return netip.AddrPortFrom(address(e.Addr), e.Port).String()
}

// nameResolution takes the names that the capture file itself carries.
func (p *pipeline) nameResolution(names map[string][]string) {
	for text, list := range names {
		a, err := netip.ParseAddr(text)
		if err != nil || len(list) == 0 || len(p.names) >= maxNames {
			continue
		}
		if key := decode.Addr(a.As16()); p.names[key] == "" {
			p.names[key] = list[0]
		}
	}
}
