package twopoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"strings"

	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/capture"
)

// Bounds on what is kept of a capture: some 350 bytes for each segment.
const (
	maxSegments  = 1_000_000
	maxDatagrams = 200_000
	maxAddresses = 65_536
)

// Point is what one capture holds.
type Point struct {
	Name string
	// Packets counts frames, Segments the TCP segments among them.
	Packets, Segments int64
	// Start and End are when packets were captured, Unix ns. EndKnown is true
	// where the capture itself says when it ended; else the last packet tells.
	Start, End int64
	EndKnown   bool
	// Dropped is how many packets the capture lost, nil where it does not say.
	Dropped *uint64
	// Undrained is how many passed its filter and are not in the file.
	Undrained uint64
	// Filtered is true where the capture may have had a filter: it says so, or
	// does not say that it had none.
	Filtered bool
	// Sliced counts packets that the snapshot length cut, Copies frames of one
	// that was captured before at the same point.
	Sliced, Copies int64
	// Damage is set where the file is cut or damaged; Full where it holds more
	// than is compared, which ends it there.
	Damage *capture.DamageError
	Full   bool

	flows     []*flow
	datagrams []datagram
	errors    []icmpError
	// sources are addresses that sent anything here.
	sources map[decode.Addr]bool
	kinds   map[kind]bool
	// headsOnly is true where some DNS messages were cut, headless where so
	// much of one that not even its header is there.
	headsOnly, headless bool
}

// kind is a kind of packet that a filter lets through or not.
type kind struct {
	proto decode.Proto
	port  uint16 // the server's
	to    bool   // to the server
}

// segment is one TCP segment.
type segment struct {
	frame, time   int64
	seq, ack      uint32
	len           uint32
	hash          uint64 // of the payload, see weigh
	tsval, tsecr  uint32
	sack          uint32 // of the blocks, zero for none
	flags, window uint16
	mss, ipid     uint16
	face          int32
	ttl, way      uint8
	wscale        int8
	hasID, df     bool
	hasTS, whole  bool
	sackPermitted bool
	// cut is true where the snapshot length cut the options.
	cut bool
	// What matching adds: the range of sequence numbers from the direction's
	// initial one, the acknowledgement likewise, the time by the client's clock.
	from, to, acked int64
	at              int64
	done            bool // matched altogether
}

// flow is one TCP connection. Index 0 is what the client sent.
type flow struct {
	id          int64 // tcp.stream
	end         [2]tcpflow.Endpoint
	clientKnown bool
	loopback    bool
	sent        [2][]*segment
	isn         [2]uint32
	hasISN      [2]bool
	// hello is the length of the client's first TLS record with its header,
	// zero where it is none; first a hash of its first bytes.
	hello uint32
	first uint64
	match *pair
}

// datagram is a DNS message over UDP.
type datagram struct {
	frame, time int64
	src, dst    tcpflow.Endpoint
	len         uint32
	hash        uint64
	// head is a hash of the DNS header alone; whole is false where the snapshot
	// length cut what follows.
	head   uint64
	ttl    uint8
	answer bool
	whole  bool
	at     int64
	done   bool
}

// icmpError is an ICMP error about a TCP segment or a datagram.
type icmpError struct {
	frame, time int64
	src, dst    decode.Addr
	kind, code  uint8
	quote       decode.Quote
	at          int64
	done        bool
}

const dnsPort = 53

// collector reads one capture. It is the connection table's handler.
type collector struct {
	p     *Point
	table *tcpflow.Table
	flows map[int64]*flow
}

func (*collector) Data(*tcpflow.Conn, uint8, tcpflow.Point, []byte, bool) {}
func (*collector) Missing(*tcpflow.Conn, uint8, tcpflow.Point, uint32)    {}

// Done puts the client's direction first.
func (r *collector) Done(c *tcpflow.Conn) {
	f := r.flows[c.ID]
	if f == nil {
		return
	}
	f.clientKnown, f.loopback = c.ClientKnown, c.Loopback
	f.end = [2]tcpflow.Endpoint{c.ClientEnd(), c.ServerEnd()}
	if c.ClientDir == 1 {
		f.sent[0], f.sent[1] = f.sent[1], f.sent[0]
		f.isn[0], f.isn[1] = f.isn[1], f.isn[0]
		f.hasISN[0], f.hasISN[1] = f.hasISN[1], f.hasISN[0]
	}
}

// Read reads a capture to its end. One that is cut or damaged counts as far as
// it goes (Point.Damage).
func Read(ctx context.Context, src capture.Source, name string) (*Point, error) {
	p := &Point{Name: name, sources: make(map[decode.Addr]bool), kinds: make(map[kind]bool)}
	r := &collector{p: p, flows: make(map[int64]*flow)}
	r.table = tcpflow.NewTable(r, tcpflow.Options{KeepAll: true})
	d := decode.New()
	var batch capture.Batch
	var segments []decode.Segment
	for !p.Full {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		err := src.Read(&batch)
		if errors.Is(err, io.EOF) || errors.As(err, &p.Damage) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for i := range batch.Packets {
			k := &batch.Packets[i]
			if k.Kind == capture.KindEvent {
				continue
			}
			p.Packets++
			if k.HasTime {
				if p.Start == 0 || k.Time < p.Start {
					p.Start = k.Time
				}
				p.End = max(p.End, k.Time)
			}
			segments = d.Decode(k, segments[:0])
			for j := range segments {
				r.take(&segments[j])
			}
		}
	}
	r.table.Finish()
	p.thin()
	p.container(src.Info())
	return p, nil
}

func (r *collector) take(s *decode.Segment) {
	p := r.p
	if len(p.sources) < maxAddresses {
		p.sources[s.Src] = true
	}
	switch s.Proto {
	case decode.ProtoTCP:
		if !s.Short && !s.Fragment {
			r.segment(s)
		}
	case decode.ProtoUDP:
		if s.DstPort == dnsPort || s.SrcPort == dnsPort {
			p.kinds[kind{decode.ProtoUDP, dnsPort, s.DstPort == dnsPort}] = true
			r.datagram(s)
		}
	case decode.ProtoICMP, decode.ProtoICMPv6:
		if s.Quote != nil {
			p.errors = append(p.errors, icmpError{frame: s.Frame, time: s.Time, src: s.Src, dst: s.Dst, kind: s.ICMPType, code: s.ICMPCode, quote: *s.Quote})
		}
	}
	p.Full = p.Segments >= maxSegments || len(p.datagrams)+len(p.errors) >= maxDatagrams
}

func (r *collector) segment(s *decode.Segment) {
	c, d, _ := r.table.Segment(s)
	if c == nil {
		return
	}
	f := r.flows[c.ID]
	if f == nil {
		f = &flow{id: c.ID}
		r.flows[c.ID] = f
		r.p.flows = append(r.p.flows, f)
	}
	x := &segment{
		frame: s.Frame, time: s.Time, seq: s.Seq, ack: s.Ack, len: s.Len, tsval: s.TSval, tsecr: s.TSecr, flags: s.Flags, window: s.Window,
		mss: s.MSS, ipid: s.IPID, face: s.Interface, ttl: s.TTL, way: s.Direction, wscale: s.WindowScale, hasID: s.HasIPID, df: s.DontFragment,
		hasTS: s.HasTimestamps, whole: uint32(len(s.Payload)) >= s.Len, sackPermitted: s.SACKPermitted, cut: s.OptionsCut,
	}
	for _, b := range s.SACK[:min(int(s.SACKCount), len(s.SACK))] {
		x.sack = x.sack*31 + (b[0]-s.Ack)*7 + (b[1] - s.Ack) + 1
	}
	if f.copied(d, x) {
		r.p.Copies++
		return
	}
	switch {
	case x.cut && s.Len == 0:
		r.p.Sliced++
	case s.Len == 0:
	case !x.whole:
		r.p.Sliced++
	default:
		x.hash = weigh(s.Payload)
	}
	if s.Flags&decode.SYN != 0 && !f.hasISN[d] {
		f.isn[d], f.hasISN[d] = s.Seq, true
	}
	if s.Len > 0 && f.first == 0 && len(s.Payload) >= 5 && d == c.ClientDir {
		f.first = weigh(s.Payload[:min(len(s.Payload), 64)]) | 1
		if b := s.Payload; b[0] == 22 && b[1] == 3 {
			f.hello = 5 + uint32(b[3])<<8 + uint32(b[4])
		}
	}
	port := c.ServerEnd().Port
	r.p.kinds[kind{decode.ProtoTCP, port, d == c.ClientDir}] = true
	r.p.Segments++
	f.sent[d] = append(f.sent[d], x)
}

// copied reports whether x is a frame of a packet that was captured before at
// another place of the same machine: on another interface, in the other
// direction, or after it was forwarded.
func (f *flow) copied(d uint8, x *segment) bool {
	const back = 8
	list := f.sent[d]
	for _, o := range list[max(0, len(list)-back):] {
		if o.seq == x.seq && o.ack == x.ack && o.flags == x.flags && o.len == x.len && o.ipid == x.ipid && o.tsval == x.tsval && o.tsecr == x.tsecr &&
			o.window == x.window && o.sack == x.sack && (o.face != x.face || o.ttl != x.ttl || o.way != x.way) && x.time-o.time < 1e9 {
			return true
		}
	}
	return false
}

// container takes what the file says about itself.
func (p *Point) container(info *capture.Info) {
	p.Filtered = len(info.Interfaces) == 0 || !strings.HasPrefix(info.Application, "Dumpcap") && !strings.HasPrefix(info.Application, "goproxytrace")
	for i := range info.Interfaces {
		f := &info.Interfaces[i]
		p.Filtered = p.Filtered || f.Filter != ""
		if f.End != 0 {
			p.EndKnown = true
			p.End = max(p.End, f.End)
		}
		if f.Start != 0 {
			p.Start = min(p.Start, f.Start)
		}
		for _, n := range []*uint64{f.Dropped, f.OSDropped} {
			if n != nil {
				if p.Dropped == nil {
					p.Dropped = new(uint64)
				}
				*p.Dropped += *n
			}
		}
		if f.DropCount > 0 {
			if p.Dropped == nil {
				p.Dropped = new(uint64)
			}
			*p.Dropped += f.DropCount
		}
		if f.FilterAccepted != nil {
			have := uint64(f.Packets)
			if f.OSDropped != nil {
				have += *f.OSDropped
			}
			if *f.FilterAccepted > have {
				p.Undrained += *f.FilterAccepted - have
			}
		}
	}
	if p.Damage != nil {
		p.EndKnown = false
	}
}

// Payloads are compared by the sum of b[i]·r^i modulo a Mersenne prime, which is
// additive: the hash of a range is the sum of those of its parts, each times r to
// the power of where it begins. So one segment here is compared with several
// there without holding either.
const (
	prime = 1<<61 - 1
	root  = 0x1b873593_9e3779b % prime
)

func mul(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	// hi·2^64 + lo = (hi·8 + lo>>61)·2^61 + lo mod 2^61
	s := lo&prime + (lo>>61 | hi<<3)
	if s >= prime {
		s -= prime
	}
	return s
}

// weigh hashes b as if it began at zero.
func weigh(b []byte) (h uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		h = mul(h, root) + uint64(b[i]) + 1
		if h >= prime {
			h -= prime
		}
	}
	return h
}

// power returns root to the n.
func power(n uint64) uint64 {
	out, b := uint64(1), uint64(root)
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			out = mul(out, b)
		}
		b = mul(b, b)
	}
	return out
}
