package analyze

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/analyze/dnswire"
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/capture"
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
		p.hidden++
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
				n.loopback(a.Addr, name)
			}
		}
	}
}

// loopback takes the name of the unspecified address for the loopback one too:
// a connection to the former goes to this machine, and is captured so.
func (n addressNames) loopback(a netip.Addr, name string) {
	if !a.IsUnspecified() {
		return
	}
	own := netip.IPv6Loopback()
	if a.Is4() {
		own = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if key := decode.Addr(own.As16()); n[key] == "" {
		n[key] = name
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
	if len(l.Queries) > 0 {
		out.Start = capture.Timestamp(l.Queries[0].Time)
	} else if len(l.Responses) > 0 {
		out.Start = capture.Timestamp(l.Responses[0].Time)
	}
	for _, q := range l.Queries {
		out.Frames = append(out.Frames, q.Frame)
	}
	for i := range l.Responses {
		out.Frames = append(out.Frames, l.Responses[i].Frame)
	}
	if v.Died() {
		out.Messages = lookupMessages(l)
	}
	if a := l.Answer(); a != nil {
		out.RCode = dnswire.RCodeName(a.Message.RCode)
		out.Answers = answersOf(&a.Message)
		if len(l.Queries) > 0 {
			out.MS = ms(a.Time - l.Queries[0].Time)
		}
	}
	return out
}

func answersOf(m *dnswire.Message) (out []string) {
	for _, rr := range m.Answers {
		switch {
		case rr.Addr.IsValid():
			out = append(out, rr.Addr.String())
		case rr.Target != "":
			out = append(out, rr.Target)
		}
	}
	return out
}

// lookupMessages lists what was sent for a lookup, in file order.
func lookupMessages(l *dnswire.Lookup) (out []LookupMessage) {
	for _, q := range l.Queries {
		out = append(out, LookupMessage{Kind: LookupQuestion, Frame: q.Frame, Time: q.Time, Port: q.Port, ID: q.ID})
	}
	for i := range l.Responses {
		r := &l.Responses[i]
		out = append(out, LookupMessage{
			Kind: LookupAnswer, Frame: r.Frame, Time: r.Time, Port: r.Port, ID: r.Message.ID, RCode: dnswire.RCodeName(r.Message.RCode),
			Answers: answersOf(&r.Message), Mismatch: r.Mismatch, Malformed: r.Malformed != "",
		})
	}
	for _, u := range l.Unreachable {
		out = append(out, LookupMessage{Kind: LookupICMP, Frame: u.Frame, Time: u.Time, From: address(u.From).String(), Type: u.Type, Code: u.Code, Refused: u.Answer})
	}
	slices.SortStableFunc(out, func(a, b LookupMessage) int { return cmp.Compare(a.Frame, b.Frame) })
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
