package diagnose

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/dnswire"
	"goproxytrace/analyze/httpwire"
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/analyze/tlswire"
	"goproxytrace/capture"
)

// pipe is the least pipeline from frames to verdicts: what analyze.Run does,
// without bounds, so that rules are tested on packets and not on facts that
// no packets could yield.
type pipe struct {
	t       *testing.T
	dec     *decode.Decoder
	table   *tcpflow.Table
	agg     Aggregator
	env     Env
	health  Health
	targets []string
	addrs   map[decode.Addr]*AddressFacts
	judged  []judged
	segs    []decode.Segment
	iface   int32
	process string
	dns     dnswire.Tracker
	names   map[decode.Addr]string
	lookups int
	tee     func(*capture.Packet)
	snap    int // snapshot length in bytes, zero for none
	flow    func(*Flow)
	rename  func(*Flow) // says whose a connection is, nil for nobody
	hosts   map[decode.Addr]*HostFacts
	segment func(*decode.Segment) // changes what was decoded, nil for none
}

type judged struct {
	id   int64
	name string
	v    Verdict
}

type talk struct {
	tls   *tlswire.Conversation
	begun [2]bool
	req   *httpwire.Request
	resp  *httpwire.Response
	reqAt tcpflow.Point
	rspAt tcpflow.Point
	bytes [2][]byte
	at    [2]tcpflow.Point
}

func newPipe(t *testing.T) *pipe {
	p := &pipe{t: t, dec: decode.New(), addrs: make(map[decode.Addr]*AddressFacts)}
	p.table = tcpflow.NewTable(p, tcpflow.Options{})
	p.names = make(map[decode.Addr]string)
	p.dns.Done = p.lookup
	p.env.DropsKnown = true
	p.env.Heard = true
	p.hosts = make(map[decode.Addr]*HostFacts)
	p.env.Host = func(a decode.Addr) *HostFacts { return p.hosts[a] }
	p.env.Address = func(a decode.Addr) *AddressFacts { return p.addrs[a] }
	return p
}

// host returns the facts about a client's address.
func (p *pipe) host(a decode.Addr) *HostFacts {
	if p.hosts[a] == nil {
		p.hosts[a] = new(HostFacts)
	}
	return p.hosts[a]
}

func (p *pipe) packet(k *capture.Packet) {
	if p.snap > 0 && len(k.Data) > p.snap {
		k.Data = k.Data[:p.snap]
	}
	if p.tee != nil {
		p.tee(k)
	}
	if p.env.Start == 0 {
		p.env.Start = k.Time
	}
	p.env.End = max(p.env.End, k.Time)
	p.segs = p.dec.Decode(k, p.segs[:0])
	for i := range p.segs {
		if p.segment != nil {
			p.segment(&p.segs[i])
		}
		switch s := &p.segs[i]; s.Proto {
		case decode.ProtoTCP:
			if _, _, flags := p.table.Segment(s); flags&tcpflow.ACKLostSegment != 0 && s.Flags&decode.RST == 0 {
				p.env.Unseen++
			}
		case decode.ProtoUDP:
			if s.DstPort == 53 {
				p.host(s.Src).Datagram(s)
			}
			p.dns.Feed(s.Frame, s.Time, dnswire.Endpoint{Addr: s.Src, Port: s.SrcPort}, dnswire.Endpoint{Addr: s.Dst, Port: s.DstPort}, dnswire.UDP, s.Payload)
		case decode.ProtoICMP, decode.ProtoICMPv6:
			if q := s.Quote; q != nil && q.Proto == decode.ProtoUDP {
				p.dns.Unreachable(dnswire.Endpoint{Addr: q.Src, Port: q.SrcPort}, dnswire.Endpoint{Addr: q.Dst, Port: q.DstPort}, dnswire.UDP, -1,
					dnswire.Unreachable{Frame: s.Frame, Time: s.Time, From: s.Src, IPVersion: s.IPVersion, Type: s.ICMPType, Code: s.ICMPCode})
				continue
			}
			if s.Quote != nil && p.table.ICMP(s) == nil && s.Quote.Proto == decode.ProtoTCP {
				q := s.Quote
				e := tcpflow.ICMPError{Point: tcpflow.Point{Frame: s.Frame, Time: s.Time}, From: s.Src, Type: s.ICMPType, Code: s.ICMPCode, IPVersion: s.IPVersion}
				p.agg.StrayICMP(&e, tcpflow.Endpoint{Addr: q.Src, Port: q.SrcPort}, tcpflow.Endpoint{Addr: q.Dst, Port: q.DstPort}, false)
			}
		}
	}
}

func (p *pipe) Data(c *tcpflow.Conn, d uint8, at tcpflow.Point, b []byte, start bool) {
	a, _ := c.User.(*talk)
	if a == nil {
		a = &talk{tls: tlswire.New()}
		c.User = a
	}
	if !a.begun[d] {
		a.begun[d] = true
		a.at[d] = at
		if n := httpwire.HeadEnd(b); n > 0 && httpwire.LooksLikeRequest(b) {
			r, _ := httpwire.ParseRequest(b)
			a.req, a.reqAt, b = &r, at, b[n:]
			a.begun[d] = false
		} else if n > 0 && httpwire.LooksLikeResponse(b) {
			r, _ := httpwire.ParseResponse(b)
			a.resp, a.rspAt, b = &r, at, b[n:]
			a.begun[d] = false
		} else if !tlswire.LooksLikeRecord(b) {
			a.bytes[d] = append([]byte(nil), b[:min(len(b), 64)]...)
		}
		start = true
	}
	if len(b) == 0 {
		return
	}
	if start {
		a.tls.SegmentStart(int(d))
	}
	a.tls.Data(int(d), at.Frame, at.Time, b)
}

func (p *pipe) Missing(c *tcpflow.Conn, d uint8, at tcpflow.Point, n uint32) {
	if a, _ := c.User.(*talk); a != nil {
		a.begun[d] = true
		a.tls.Missing(int(d), at.Frame, at.Time, int(n))
	}
}

func (p *pipe) Done(c *tcpflow.Conn) {
	f := &Flow{Conn: c, Env: &p.env, ProcessName: p.process}
	if a, _ := c.User.(*talk); a != nil {
		if facts := a.tls.Facts(); facts.Sides[0].Records > 0 || facts.Sides[1].Records > 0 {
			f.TLS = facts
			f.ServerName = facts.ClientHello().ServerName()
		}
		f.Request, f.RequestAt, f.Response, f.ResponseAt = a.req, a.reqAt, a.resp, a.rspAt
		f.ServerBytes, f.ServerBytesAt = a.bytes[1-c.ClientDir], a.at[1-c.ClientDir]
		if f.ServerName == "" && a.req != nil {
			f.ServerName, _, _ = strings.Cut(a.req.Target, ":")
		}
	}
	if f.ServerName == "" {
		f.ServerName = p.names[c.ServerEnd().Addr]
	}
	if p.rename != nil {
		p.rename(f)
	}
	isTarget := slices.Contains(p.targets, f.ServerName)
	f.Target = isTarget
	facts := p.addrs[c.ServerEnd().Addr]
	if facts == nil {
		facts = new(AddressFacts)
		p.addrs[c.ServerEnd().Addr] = facts
	}
	facts.Learn(c)
	p.host(c.ClientEnd().Addr).LearnClient(c)
	if p.flow != nil {
		p.flow(f)
	}
	v := Connection(f)
	p.agg.Connection(c.ID, f, &v, isTarget)
	p.judged = append(p.judged, judged{c.ID, f.ServerName, v})
}

func (p *pipe) lookup(l *dnswire.Lookup) {
	v := Lookup(l, &p.env)
	p.agg.Lookup(p.lookups, l, &v, slices.Contains(p.targets, l.Name))
	p.lookups++
	for _, r := range l.Responses {
		for _, a := range r.Message.Answers {
			if a.Addr.IsValid() {
				p.names[decode.Addr(a.Addr.As16())] = l.Name
			}
		}
	}
	p.judged = append(p.judged, judged{-1, l.Name, v})
}

// finish ends the capture at end (zero: with its last packet) and returns the
// whole verdict.
func (p *pipe) finish(end int64) Verdict {
	p.env.End = max(p.env.End, end)
	p.env.EndKnown = end != 0
	p.env.Final = true
	p.dns.Flush()
	p.table.Finish()
	v, _, _ := p.agg.Verdict(&p.env, p.health)
	return v
}

// addrOf parses the address of "address:port".
func addrOf(s string) decode.Addr { return decode.Addr(netip.MustParseAddrPort(s).Addr().As16()) }
