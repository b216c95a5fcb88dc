package main

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"

	"goproxytrace/internal/packets"
)

const (
	microsecond int64 = 1e3
	millisecond int64 = 1e6
	second      int64 = 1e9
	segmentSize       = 1448
)

// segment is one TCP segment yet to be written, as the client's interface
// sees it.
type segment struct {
	time       int64
	off        int64 // stream offset of the payload, or of what comes next
	ack        int64 // stream offset acknowledged
	length     int
	flags      uint16
	fromServer bool
	sack       [2]int64 // stream offsets; equal for none
}

// step is one turn of the conversation.
type step struct {
	fromServer bool
	length     int64
	think      int64 // nanoseconds before it
}

// conn plays a TCP connection: handshake, turns, close, with slow start,
// delayed acknowledgements, fast retransmission with SACK, retransmission
// timeouts and reordering. It holds one round of segments at a time.
type conn struct {
	rng            *rand.Rand
	client, server netip.AddrPort
	isn            [2]uint32 // client, server
	ipID           [2]uint16
	tsBase         [2]uint32
	ttl            uint8
	content        [2]stream
	sent           [2]int64 // contiguous bytes written by client, server
	steps          []step
	left           int64 // of the current step

	rtt, gap      int64 // nanoseconds
	loss, reorder float64
	cwnd, maxCwnd int
	reset         bool // the client ends with RST instead of FIN
	silent        bool // nobody answers the SYN
	refused       bool // the SYN is answered with RST

	state   int // 0 new, 1 in the steps, 2 over
	now     int64
	pending []segment
	next    int
}

// peek returns the next segment, or nil when the connection is over.
func (c *conn) peek() *segment {
	for c.next == len(c.pending) {
		if c.state == 2 {
			return nil
		}
		c.pending, c.next = c.pending[:0], 0
		c.refill()
		slices.SortStableFunc(c.pending, func(a, b segment) int {
			switch {
			case a.time < b.time:
				return -1
			case a.time > b.time:
				return 1
			}
			return 0
		})
	}
	return &c.pending[c.next]
}

func (c *conn) put(s segment) { c.pending = append(c.pending, s) }

// fromClient puts an empty segment of the client's at time t.
func (c *conn) fromClient(t int64, flags uint16) {
	c.put(segment{time: t, off: c.sent[0], ack: c.sent[1], flags: flags})
}

func (c *conn) fromServer(t int64, flags uint16) {
	c.put(segment{time: t, off: c.sent[1], ack: c.sent[0], flags: flags, fromServer: true})
}

func (c *conn) refill() {
	switch {
	case c.state == 0:
		c.open()
	case len(c.steps) == 0:
		c.close()
	case c.steps[0].fromServer:
		c.download()
	default:
		c.request()
	}
}

func (c *conn) open() {
	c.state = 1
	c.put(segment{time: c.now, off: -1, flags: packets.SYN})
	switch {
	case c.silent:
		for i, wait := 0, second; i < 3; i++ {
			c.now += wait
			wait *= 2
			c.put(segment{time: c.now, off: -1, flags: packets.SYN})
		}
		c.state = 2
		return
	case c.refused:
		c.put(segment{time: c.now + c.rtt, off: -1, ack: 0, flags: packets.RST | packets.ACK, fromServer: true})
		c.state = 2
		return
	}
	c.now += c.rtt
	c.put(segment{time: c.now, off: -1, flags: packets.SYN | packets.ACK, fromServer: true})
	c.now += 20 * microsecond
	c.fromClient(c.now, packets.ACK)
	if len(c.steps) > 0 {
		c.left = c.steps[0].length
	}
}

func (c *conn) nextStep() {
	c.steps = c.steps[1:]
	if len(c.steps) > 0 {
		c.left = c.steps[0].length
		c.now += c.steps[0].think
	}
}

func (c *conn) request() {
	c.now += 60 * microsecond
	for c.left > 0 {
		n := int(min(c.left, segmentSize))
		c.left -= int64(n)
		flags := packets.ACK
		if c.left == 0 {
			flags |= packets.PSH
		}
		c.put(segment{time: c.now, off: c.sent[0], ack: c.sent[1], length: n, flags: flags})
		c.sent[0] += int64(n)
		c.now += 2 * microsecond
	}
	c.now += c.rtt
	c.fromServer(c.now, packets.ACK)
	c.nextStep()
}

// download plays one round trip's worth of the server's data.
func (c *conn) download() {
	n := int(min(int64(c.cwnd), (c.left+segmentSize-1)/segmentSize))
	size := func(i int) int { return int(min(int64(segmentSize), c.left-int64(i)*segmentSize)) }
	start := c.sent[1]
	at := func(i int) int64 { return start + int64(i)*segmentSize }
	data := func(t int64, i int) {
		flags := packets.ACK
		if int64(i+1)*segmentSize >= c.left {
			flags |= packets.PSH
		}
		c.put(segment{time: t, off: at(i), ack: c.sent[0], length: size(i), flags: flags, fromServer: true})
	}
	ack := func(t, to int64, sack ...int64) {
		s := segment{time: t, off: c.sent[0], ack: to, flags: packets.ACK}
		copy(s.sack[:], sack)
		c.put(s)
	}
	const reply = 4 // microseconds from a segment to its acknowledgement
	lost, swapped := -1, -1
	// The first draw decides for the round, the second for the segment.
	if c.rng.Float64() < c.loss*float64(n) {
		lost = c.rng.IntN(n)
	} else if n > 1 && c.rng.Float64() < c.reorder*float64(n) {
		swapped = c.rng.IntN(n - 1)
	}
	t, begin := c.now, c.now
	unacked := 0
	for i := 0; i < n; i++ {
		t = begin + int64(i)*c.gap
		end := at(i) + int64(size(i))
		switch {
		case i == lost:
		case lost >= 0 && i > lost:
			data(t, i)
			ack(t+reply*microsecond, at(lost), at(lost+1), end)
		case i == swapped:
			data(t, i+1)
			ack(t+reply*microsecond, at(i), at(i+1), at(i+1)+int64(size(i+1)))
		case swapped >= 0 && i == swapped+1:
			data(t, i-1)
			ack(t+reply*microsecond, end)
			unacked = 0
		default:
			data(t, i)
			if unacked++; unacked == 2 || i == n-1 {
				ack(t+reply*microsecond, end)
				unacked = 0
			}
		}
	}
	total := min(c.left, int64(n)*segmentSize)
	c.now = max(t+20*microsecond, begin+c.rtt)
	if lost >= 0 {
		again := begin + int64(min(lost+3, n-1))*c.gap + c.rtt
		if n-1-lost < 3 {
			again = t + 200*millisecond + c.rtt
		}
		again = max(again, t+10*microsecond)
		data(again, lost)
		ack(again+reply*microsecond, start+total)
		c.now = again + c.rtt
		c.cwnd = max(c.cwnd/2, 4)
	} else {
		c.cwnd = min(c.cwnd*2, c.maxCwnd)
	}
	c.sent[1] += total
	if c.left -= total; c.left == 0 {
		c.nextStep()
	}
}

func (c *conn) close() {
	c.state = 2
	c.now += 200 * microsecond
	if c.reset {
		c.fromClient(c.now, packets.RST|packets.ACK)
		return
	}
	c.fromClient(c.now, packets.FIN|packets.ACK)
	c.sent[0]++
	c.now += c.rtt
	c.fromServer(c.now, packets.FIN|packets.ACK)
	c.sent[1]++
	c.fromClient(c.now+10*microsecond, packets.ACK)
}

// frame appends the segment's bytes to b; scratch takes the payload.
func (c *conn) frame(b, scratch []byte, s *segment) []byte {
	from, to, me, peer := c.client, c.server, 0, 1
	if s.fromServer {
		from, to, me, peer = c.server, c.client, 1, 0
	}
	p := packets.TCPBetween(from, to).Seq(c.isn[me] + 1 + uint32(s.off)).Flags(s.flags).DontFragment()
	p.ID(c.ipID[me])
	c.ipID[me]++
	if s.flags&packets.ACK != 0 {
		p.Ack(c.isn[peer] + 1 + uint32(s.ack))
	}
	if s.fromServer {
		p.TTL(c.ttl).MAC([6]byte{2, 0, 0, 0, 0, 2}, [6]byte{2, 0, 0, 0, 0, 1})
	}
	if c.refused && s.fromServer {
		return p.Seq(0).Window(0).AppendEthernet(b)
	}
	if s.flags&packets.SYN != 0 {
		p.MSS(1460).SACKPermitted()
	} else {
		p.Window(2048)
	}
	if s.flags&packets.RST == 0 {
		c.timestamps(p, s)
	}
	if s.flags&packets.SYN != 0 {
		p.WindowScale(7)
	}
	if s.sack[0] != s.sack[1] {
		p.SACK(c.isn[peer]+1+uint32(s.sack[0]), c.isn[peer]+1+uint32(s.sack[1]))
	}
	if s.length > 0 {
		c.content[me].fill(scratch[:s.length], s.off)
		p.Payload(scratch[:s.length])
	}
	return p.AppendEthernet(b)
}

// timestamps follows RFC 7323: a millisecond clock on each side, the peer's
// latest value echoed.
func (c *conn) timestamps(p *packets.Packet, s *segment) {
	clock := func(side int, t int64) uint32 { return c.tsBase[side] + uint32(t/millisecond) }
	switch {
	case s.fromServer:
		p.Timestamps(clock(1, s.time-c.rtt/2), clock(0, s.time-c.rtt))
	case s.flags&packets.ACK == 0:
		p.Timestamps(clock(0, s.time), 0)
	default:
		p.Timestamps(clock(0, s.time), clock(1, s.time-c.rtt/2))
	}
}

func newConn(rng *rand.Rand, now int64, client, server netip.AddrPort) *conn {
	c := &conn{
		rng: rng, now: now, client: client, server: server,
		isn:    [2]uint32{rng.Uint32(), rng.Uint32()},
		ipID:   [2]uint16{uint16(rng.Uint32()), uint16(rng.Uint32())},
		tsBase: [2]uint32{rng.Uint32(), rng.Uint32()},
		ttl:    uint8(48 + rng.IntN(12)),
		rtt:    between(rng, 4*millisecond, 120*millisecond),
		gap:    between(rng, 12*microsecond, 140*microsecond),
		cwnd:   10, maxCwnd: 32 + rng.IntN(130),
	}
	return c
}

// between draws from [lo, hi], small values more often.
func between(rng *rand.Rand, lo, hi int64) int64 {
	return lo + int64(math.Pow(rng.Float64(), 2)*float64(hi-lo))
}
