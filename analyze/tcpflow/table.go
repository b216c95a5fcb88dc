package tcpflow

import (
	"bytes"
	"encoding/binary"
	"slices"

	"goproxytrace/analyze/decode"
)

// key identifies a connection regardless of direction: the lower endpoint
// first. Interface, VLAN and MAC addresses are left out, as in Wireshark.
type key struct {
	lo, hi         decode.Addr
	loPort, hiPort uint16
}

// keyOf returns the key of a tuple and whether its source is the lower end.
func keyOf(src, dst *decode.Addr, srcPort, dstPort uint16) (k key, srcLow bool) {
	cmp := bytes.Compare(src[:], dst[:])
	if cmp < 0 || cmp == 0 && srcPort <= dstPort {
		return key{*src, *dst, srcPort, dstPort}, true
	}
	return key{*dst, *src, dstPort, srcPort}, false
}

// Handler receives what a Table learns. All calls come from within Segment,
// ICMP and Finish.
type Handler interface {
	// Data delivers the next bytes of direction d's stream. b is borrowed;
	// start is true where b begins a TCP segment.
	Data(c *Conn, d uint8, at Point, b []byte, start bool)
	// Missing says that the next n bytes of direction d's stream exist
	// but were not captured.
	Missing(c *Conn, d uint8, at Point, n uint32)
	// Done hands over a connection that will not be heard of again. Its
	// memory is used again after the call.
	Done(c *Conn)
}

// minHeader is the least TCP header length in bytes (RFC 9293, section 3.1).
const minHeader = 20

// Defaults of Options.
const (
	defaultLinger        = 120e9 // two maximum segment lifetimes of RFC 9293, in ns
	defaultMaxClosed     = 1024
	defaultMaxUnanswered = 200_000
	// maxGraves is how many tuples of connections that were let go are
	// remembered.
	maxGraves = 16 << 10
)

// Options sets bounds. The zero value means the defaults.
type Options struct {
	// KeepAll keeps the state of closed connections until Finish, for
	// output that must equal Wireshark's however late a segment comes.
	KeepAll bool
	// MaxClosed bounds how many closed connections are remembered for
	// late segments.
	MaxClosed int
	// MaxUnanswered bounds how many connection attempts without an answer
	// are waited for: a flood of them must not take all memory.
	MaxUnanswered int
}

// Table holds the connections of one capture.
type Table struct {
	opts    Options
	handler Handler
	conns   map[key]*Conn
	// lately holds connections of conns, each where its ends lead, for those
	// that were heard of a moment ago.
	lately [latelyPlaces]*Conn
	nextID int64
	silent Half // stands for a direction that was never heard of; never changed

	closed  connList // closed connections that may still be heard of
	waiting connList // connections that nobody answered yet

	graves    map[key]int32 // index into graveKeys of the latest
	graveKeys []key
	graveNext int
	// Late counts segments of closed connections that were let go.
	Late int64

	freeConns   []*Conn
	freeHalves  []*Half
	unackedPool [][]sent
	// segments counts all, copies those that one interface captured again.
	segments, copies uint64
	held             uint64 // bytes waiting behind holes, all connections

	// Open and Peak count connections whose state is held now and at most.
	Open, Peak int
}

// NewTable returns an empty table that reports to h.
func NewTable(h Handler, o Options) *Table {
	if o.MaxClosed == 0 {
		o.MaxClosed = defaultMaxClosed
	}
	if o.MaxUnanswered == 0 {
		o.MaxUnanswered = defaultMaxUnanswered
	}
	t := &Table{opts: o, handler: h, conns: make(map[key]*Conn)}
	t.silent.window = 0xFFFF
	t.silent.scale = scaleUnknown
	return t
}

// Connections returns how many connections were seen so far.
func (t *Table) Connections() int64 { return t.nextID }

// Segment takes the next TCP segment in file order. It returns the
// connection, the direction (index into Conn.Half) and the findings; nil where
// the segment comes too late for a connection that was let go.
func (t *Table) Segment(s *decode.Segment) (c *Conn, d uint8, flags Flags) {
	place := placeOf(&s.Src, &s.Dst, s.SrcPort, s.DstPort)
	reused := false
	if c, d = t.lately[place].direction(s); c == nil || c.split || s.Flags&decode.SYN != 0 {
		if c, d, reused = t.find(s); c == nil {
			return nil, 0, 0
		}
		t.lately[place] = c
	}
	f := c.half(d, t)
	if !s.Short && !s.Fragment {
		nextBefore, known := f.nextseq, f.nextseq != 0
		flags = t.analyze(c, d, s)
		if reused {
			flags |= ReusedPorts
			c.ReusedPorts = true
		}
		if s.OptionsCut || s.HeaderLen < minHeader {
			flags = 0 // Wireshark gives up on the header before it prints them
		}
		t.observe(c, d, s, flags, nextBefore, known)
		// A stream does not begin with a keep-alive's byte.
		probe := flags&KeepAlive != 0 && !f.stream.started
		if s.Len > 0 && s.Flags&decode.RST == 0 && !probe {
			t.payload(c, d, s)
		}
	} else {
		t.touch(c, f, s)
	}
	t.age(c, s)
	return c, d, flags
}

// find finds or opens the connection of s; nil where it was let go.
func (t *Table) find(s *decode.Segment) (c *Conn, d uint8, reused bool) {
	k, low := keyOf(&s.Src, &s.Dst, s.SrcPort, s.DstPort)
	switch c = t.conns[k]; {
	case c == nil:
		if t.buried(k, s) {
			t.Late++
			return nil, 0, false
		}
		c = t.open(k, s)
	case c.split:
		t.retire(c)
		c = t.open(k, s)
		c.Continued = true
	}
	d = c.dirOf(s, low)
	if s.Flags&decode.SYN != 0 && !s.Fragment {
		c, d, reused = t.startOrReuse(c, d, k, s)
	}
	return c, d, reused
}

// latelyPlaces is how many connections are found at once, without the map.
const latelyPlaces = 1 << 8

// placeOf returns where a connection is remembered that was heard of lately,
// whichever end sends.
func placeOf(a, b *decode.Addr, aPort, bPort uint16) uint8 {
	h := (binary.NativeEndian.Uint64(a[8:]) ^ binary.NativeEndian.Uint64(b[8:]) ^ uint64(aPort^bPort)<<16) * 0x9e3779b97f4a7c15
	return uint8(h >> 56)
}

// direction returns c and which half sends s, or nil where s is of another
// connection.
func (c *Conn) direction(s *decode.Segment) (*Conn, uint8) {
	switch {
	case c == nil:
		return nil, 0
	case c.End[0].Port == s.SrcPort && c.End[1].Port == s.DstPort && c.End[0].Addr == s.Src && c.End[1].Addr == s.Dst:
		return c, 0
	case c.End[1].Port == s.SrcPort && c.End[0].Port == s.DstPort && c.End[1].Addr == s.Src && c.End[0].Addr == s.Dst:
		return c, 1
	}
	return nil, 0
}

// Split makes the next segment of c's tuple begin a new connection, as some
// of Wireshark's dissectors do.
func (t *Table) Split(c *Conn) { c.split = true }

// dirOf returns which half of c sends s.
func (c *Conn) dirOf(s *decode.Segment, srcLow bool) uint8 {
	if srcLow == c.firstLow {
		return 0
	}
	return 1
}

// startOrReuse applies Wireshark 4.0's rules for a SYN or SYN/ACK on a tuple
// that is already known.
func (t *Table) startOrReuse(c *Conn, d uint8, k key, s *decode.Segment) (*Conn, uint8, bool) {
	f := c.Half[d]
	if f == nil || !f.baseSet {
		return c, d, false
	}
	if s.Flags&decode.ACK != 0 {
		if s.Seq == f.latestISN {
			return c, d, false
		}
		if f.SYNs > 0 && c.SYNACKVariants < 255 {
			c.SYNACKVariants++
		}
		f.latestISN = s.Seq
		c.anotherISN(f, s.Seq)
		return c, d, true
	}
	if s.Seq == f.latestISN {
		// An earlier reset may have moved the highest sequence number.
		f.nextseq = f.maxToBeAcked
		return c, d, false
	}
	old := c
	c = t.open(k, s)
	t.retire(old)
	return c, 0, true
}

// open starts a new connection with s as its first segment.
func (t *Table) open(k key, s *decode.Segment) *Conn {
	var c *Conn
	if n := len(t.freeConns); n > 0 {
		c = t.freeConns[n-1]
		t.freeConns = t.freeConns[:n-1]
	} else {
		c = new(Conn)
	}
	c.key = k
	c.firstLow = k.lo == s.Src && k.loPort == s.SrcPort
	c.ID = t.nextID
	t.nextID++
	c.IPVersion = s.IPVersion
	c.Start = Point{s.Frame, s.Time}
	c.Last = c.Start
	c.End[0] = Endpoint{s.Src, s.SrcPort}
	c.End[1] = Endpoint{s.Dst, s.DstPort}
	c.Loopback = s.Src == s.Dst || isLoopback(&s.Src) || isLoopback(&s.Dst)
	c.guessClient(s)
	t.conns[k] = c
	t.Open++
	t.Peak = max(t.Peak, t.Open)
	return c
}

// guessClient sets the roles from the first segment.
func (c *Conn) guessClient(s *decode.Segment) {
	switch s.Flags & (decode.SYN | decode.ACK) {
	case decode.SYN:
		c.ClientDir, c.ClientKnown = 0, true
	case decode.SYN | decode.ACK:
		c.ClientDir, c.ClientKnown = 1, true
	default:
		// Servers listen on the lower port almost always.
		c.ClientDir = 0
		if s.SrcPort < s.DstPort {
			c.ClientDir = 1
		}
	}
}

func isLoopback(a *decode.Addr) bool {
	v4 := decode.Addr{10: 0xff, 11: 0xff}
	if bytes.Equal(a[:12], v4[:12]) {
		return a[12] == 127
	}
	return *a == decode.Addr{15: 1}
}

// half returns the half that sends in direction d, making it on first use.
func (c *Conn) half(d uint8, t *Table) *Half {
	if h := c.Half[d]; h != nil {
		return h
	}
	var h *Half
	if n := len(t.freeHalves); n > 0 {
		h = t.freeHalves[n-1]
		t.freeHalves = t.freeHalves[:n-1]
	} else {
		h = new(Half)
	}
	h.window = 0xFFFF
	h.scale = scaleUnknown
	h.WindowScale = -1
	// A SYN without the option turned scaling off for both directions.
	if o := c.Half[1-d]; o != nil && o.scale == scaleUnused {
		h.scale = scaleUnused
	}
	c.Half[d] = h
	return h
}

// age files c by its state and lets go of connections that nobody speaks on
// any more: closed ones, and unanswered ones beyond what a busy host makes.
func (t *Table) age(c *Conn, s *decode.Segment) {
	if t.opts.KeepAll {
		return
	}
	switch {
	case c.closed:
		t.closed.moveToEnd(c)
		c.closedAt = s.Time
	case c.list == nil && c.unanswered() && c.Half[0].Packets == 1:
		t.waiting.moveToEnd(c)
	case c.list == &t.waiting && !c.unanswered():
		t.waiting.remove(c)
	}
	for h := t.closed.head; h != nil && h != c; h = t.closed.head {
		if t.closed.n <= t.opts.MaxClosed && s.Time-h.closedAt < defaultLinger {
			break
		}
		t.bury(h)
		t.retire(h)
	}
	for t.waiting.n > t.opts.MaxUnanswered {
		h := t.waiting.head
		t.bury(h)
		t.retire(h)
	}
}

// unanswered reports whether only one end was heard, asking to connect.
func (c *Conn) unanswered() bool {
	h := c.Half[0]
	return h != nil && h.SYNs > 0 && uint64(h.SYNs)+uint64(h.Duplicates) == h.Packets && (c.Half[1] == nil || c.Half[1].Packets == 0)
}

// bury remembers the tuple of a connection that is let go, so that a late
// segment is not taken for a new connection.
func (t *Table) bury(c *Conn) {
	if t.graves == nil {
		t.graves = make(map[key]int32, maxGraves)
		t.graveKeys = make([]key, maxGraves)
	}
	k := &t.graveKeys[t.graveNext]
	if at, ok := t.graves[*k]; ok && int(at) == t.graveNext {
		delete(t.graves, *k)
	}
	*k = c.key
	t.graves[c.key] = int32(t.graveNext)
	t.graveNext = (t.graveNext + 1) % maxGraves
}

// buried reports whether s belongs to a connection that was let go. A SYN
// begins a new one.
func (t *Table) buried(k key, s *decode.Segment) bool {
	if t.graves == nil || s.Flags&(decode.SYN|decode.ACK) == decode.SYN {
		return false
	}
	_, ok := t.graves[k]
	return ok
}

// connList is a list of connections, the one heard of longest ago first. A
// connection is in at most one.
type connList struct {
	head, tail *Conn
	n          int
}

func (l *connList) moveToEnd(c *Conn) {
	if c.list != nil {
		c.list.remove(c)
	}
	c.list = l
	c.prev, c.next = l.tail, nil
	if l.tail != nil {
		l.tail.next = c
	} else {
		l.head = c
	}
	l.tail = c
	l.n++
}

func (l *connList) remove(c *Conn) {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.head = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		l.tail = c.prev
	}
	c.prev, c.next, c.list = nil, nil, nil
	l.n--
}

// retire ends a connection: its streams are flushed, its facts handed over,
// its memory kept for the next one.
func (t *Table) retire(c *Conn) {
	if c.list != nil {
		c.list.remove(c)
	}
	if t.conns[c.key] == c {
		delete(t.conns, c.key)
	}
	if place := placeOf(&c.End[0].Addr, &c.End[1].Addr, c.End[0].Port, c.End[1].Port); t.lately[place] == c {
		t.lately[place] = nil
	}
	for d := range c.Half {
		t.flush(c, uint8(d))
	}
	t.handler.Done(c)
	t.Open--
	for _, h := range c.Half {
		if h == nil {
			continue
		}
		t.poolUnacked(h.unacked)
		if len(t.freeHalves) < 4096 {
			*h = Half{}
			t.freeHalves = append(t.freeHalves, h)
		}
	}
	if len(t.freeConns) < 2048 {
		*c = Conn{}
		t.freeConns = append(t.freeConns, c)
	}
}

// Finish ends all connections, in order of their first appearance.
func (t *Table) Finish() {
	rest := make([]*Conn, 0, len(t.conns))
	for _, c := range t.conns {
		rest = append(rest, c)
	}
	slices.SortFunc(rest, func(a, b *Conn) int { return int(a.ID - b.ID) })
	for _, c := range rest {
		t.retire(c)
	}
}

// Lookup finds the connection of a tuple in either direction and the
// direction of its source, or nil.
func (t *Table) Lookup(src, dst decode.Addr, srcPort, dstPort uint16) (*Conn, uint8) {
	k, low := keyOf(&src, &dst, srcPort, dstPort)
	c := t.conns[k]
	if c == nil {
		return nil, 0
	}
	if low == c.firstLow {
		return c, 0
	}
	return c, 1
}

// ICMP joins an ICMP error to the connection whose segment it quotes. It
// returns nil where no such connection is known.
func (t *Table) ICMP(s *decode.Segment) *Conn {
	q := s.Quote
	if q == nil || q.Proto != decode.ProtoTCP {
		return nil
	}
	c, d := t.Lookup(q.Src, q.Dst, q.SrcPort, q.DstPort)
	if c == nil {
		return nil
	}
	if len(c.ICMP) < maxICMP {
		e := ICMPError{
			Point: Point{s.Frame, s.Time}, From: s.Src, Type: s.ICMPType, Code: s.ICMPCode,
			IPVersion: s.IPVersion, TTL: s.TTL, MTU: q.MTU, HasSeq: q.HasSeq, QuotedDir: d, Loopback: s.Loopback,
		}
		if h := c.Half[d]; h != nil && h.baseSet && q.HasSeq {
			e.QuotedSeq = q.Seq - h.base
		}
		c.ICMP = append(c.ICMP, e)
	}
	return c
}
