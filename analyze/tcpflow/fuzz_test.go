package tcpflow

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"goproxytrace/analyze/decode"
)

// recordLen is how many bytes of fuzz input make a segment.
const recordLen = 16

// fuzzSegment reads one segment from 16 bytes: which connection, direction
// and flags, sequence numbers near their start, lengths, times that also run
// backwards, and what a decoder may set.
func fuzzSegment(r []byte, frame, now int64) (decode.Segment, int64) {
	now += int64(int8(r[0])) * 1_000_000
	if r[1]&0x80 != 0 {
		now += 200e9 // closed connections are let go
	}
	client, server := testEnds(int(r[1]) & 3)
	d := r[2] & 1
	ends := [2]Endpoint{client, server}
	s := decode.Segment{
		Frame: frame, Time: now, Proto: decode.ProtoTCP, IPVersion: 4, TTL: 60 + r[2]>>6, HeaderLen: 20, WindowScale: -1, MPTCP: -1,
		Src: ends[d].Addr, SrcPort: ends[d].Port, Dst: ends[1-d].Addr, DstPort: ends[1-d].Port,
		Interface: int32(r[2] >> 1 & 1), HasIPID: r[2]&4 != 0, IPID: uint16(r[2] >> 3 & 1),
		Flags: uint16(r[3] & 0x1f), Window: uint16(r[4]) << (r[5] & 8),
		Seq: fuzzNumber(r[6:]), Ack: fuzzNumber(r[9:]), Len: uint32(binary.LittleEndian.Uint16(r[12:])) & 0x7ff,
	}
	s.Fragment, s.Short, s.OptionsCut = r[5]&0x70 == 0x10, r[5]&0x70 == 0x20, r[5]&0x70 == 0x30
	if s.Short || s.Fragment {
		s.Len = 0
	}
	if r[5]&3 == 1 {
		s.WindowScale = int8(r[14] & 127)
	}
	if r[5]&3 == 2 {
		s.SACKCount, s.SACK[0] = 1, [2]uint32{s.Ack + 10, s.Ack + 20}
	}
	if r[5]&3 == 3 {
		s.MPTCP = int8(r[14] & 15)
	}
	captured := s.Len
	if r[15]&3 == 0 {
		captured = captured * uint32(r[15]>>2) / 64
	}
	seq := s.Seq
	if s.Flags&decode.SYN != 0 {
		seq++
	}
	s.Payload = payloadAt(d, seq, int(captured))
	return s, now
}

// fuzzNumber spreads three bytes over what matters of the sequence space:
// near zero, near its end, and far away.
func fuzzNumber(b []byte) uint32 {
	n := uint32(b[0]) | uint32(b[1])<<8
	return n + uint32(int32(int8(b[2])))<<24>>(b[2]&7)
}

// counting checks what a table reports: every byte is what its sender sent
// there, none is delivered twice or after one that follows it.
type counting struct {
	t     *testing.T
	open  map[int64]bool
	done  int64
	total uint64
	next  map[int64]*[2]uint32
	begun map[int64]*[2]bool
}

func (h *counting) place(c *Conn, d uint8, n uint32) uint32 {
	if h.next[c.ID] == nil {
		h.next[c.ID], h.begun[c.ID] = new([2]uint32), new([2]bool)
	}
	next := c.Half[d].stream.next
	h.begun[c.ID][d] = true
	h.next[c.ID][d] = next
	return next - n
}

func (h *counting) Data(c *Conn, d uint8, _ Point, b []byte, _ bool) {
	h.total += uint64(len(b))
	if len(b) == 0 {
		h.t.Error("no bytes are delivered")
	}
	var before uint32
	begun := h.begun[c.ID] != nil && h.begun[c.ID][d]
	if begun {
		before = h.next[c.ID][d]
	}
	end := h.place(c, d, 0)
	if begun && uint32(len(b)) > end-before {
		h.t.Errorf("connection %d, direction %d: %d bytes are delivered where %d are new", c.ID, d, len(b), end-before)
	}
}

func (h *counting) Missing(c *Conn, d uint8, _ Point, n uint32) {
	if n == 0 || int32(n) < 0 {
		h.t.Errorf("connection %d, direction %d: %d bytes are missing", c.ID, d, n)
	}
}

func (h *counting) Done(c *Conn) {
	if h.open[c.ID] {
		h.t.Errorf("connection %d ends twice", c.ID)
	}
	h.open[c.ID] = true
	h.done++
	for d, half := range c.Half {
		if half == nil {
			continue
		}
		if len(half.stream.chunks) > 0 || half.pending() > maxUnacked || len(half.Resends) > maxMarks || half.NewBytes > half.Bytes {
			h.t.Errorf("connection %d, direction %d ends as %+v", c.ID, d, half)
		}
		if r := half.RTT; r.Samples > 0 && (r.Min < 0 || r.Min > r.Max || r.Sum < r.Max) {
			h.t.Errorf("connection %d, direction %d: round trips %+v", c.ID, d, r)
		}
	}
	if len(c.Resets) > maxResets || len(c.KeepAlives) > maxMarks || len(c.KeepAliveACKs) > maxMarks || len(c.ZeroWindows) > maxMarks {
		h.t.Errorf("connection %d keeps too much: %+v", c.ID, c)
	}
	if c.Last.Time < c.Start.Time {
		h.t.Errorf("connection %d ends before it begins", c.ID)
	}
	c.Client()
	c.Outstanding(0)
	c.Outstanding(1)
}

func fuzzTable(t *testing.T, b []byte) {
	h := &counting{t: t, open: map[int64]bool{}, next: map[int64]*[2]uint32{}, begun: map[int64]*[2]bool{}}
	table := NewTable(h, Options{MaxClosed: 2, MaxUnanswered: 2, KeepAll: len(b)%5 == 0})
	now, frame, payload := int64(1e18), int64(0), uint64(0)
	var packets uint64
	for ; len(b) >= recordLen && frame < 4096; b = b[recordLen:] {
		frame++
		var s decode.Segment
		s, now = fuzzSegment(b, frame, now)
		payload += uint64(len(s.Payload))
		late := table.Late
		c, d, flags := table.Segment(&s)
		if c == nil {
			if table.Late != late+1 {
				t.Fatal("a segment is of no connection and not late")
			}
			continue
		}
		packets++
		if c.End[d].Port != s.SrcPort || c.End[d].Addr != s.Src {
			t.Fatalf("direction %d is not of the sender", d)
		}
		if (flags&(FastRetransmission|SpuriousRetransmission) != 0) && flags&Retransmission == 0 {
			t.Fatalf("findings %v", flags)
		}
		if table.Open != len(table.conns) || table.Peak < table.Open || table.held > maxHeldTotal {
			t.Fatalf("%d connections open, %d known, peak %d, %d bytes held", table.Open, len(table.conns), table.Peak, table.held)
		}
		if s.SACKCount > 0 {
			table.ICMP(&decode.Segment{Quote: &decode.Quote{Proto: decode.ProtoTCP, Src: s.Src, Dst: s.Dst, SrcPort: s.SrcPort, DstPort: s.DstPort}})
		}
		if b[15] == 0xff {
			table.Ignore(c, d)
		}
		if b[15] == 0xfe {
			table.Split(c)
		}
	}
	var counted uint64
	for _, c := range table.conns {
		for _, half := range c.Half {
			if half != nil {
				counted += half.Packets
			}
		}
	}
	if counted > packets {
		t.Errorf("%d packets counted of %d", counted, packets)
	}
	table.Finish()
	if table.Open != 0 || len(table.conns) != 0 || table.held != 0 || table.closed.n != 0 || table.waiting.n != 0 {
		t.Errorf("after the end %d connections are open, %d known, %d bytes held, lists of %d and %d", table.Open, len(table.conns), table.held,
			table.closed.n, table.waiting.n)
	}
	if h.done != table.Connections() {
		t.Errorf("%d connections were handed over of %d", h.done, table.Connections())
	}
	if h.total > payload {
		t.Errorf("%d bytes delivered of %d", h.total, payload)
	}
}

// FuzzTable holds that no sequence of segments panics, takes memory without
// bound, miscounts, or delivers a byte twice.
func FuzzTable(f *testing.F) {
	record := func(ms, conn, dir, flags, seq, ack, n int) []byte {
		r := make([]byte, recordLen)
		r[0], r[1], r[2], r[3], r[4] = byte(ms), byte(conn), byte(dir), byte(flags), 200
		binary.LittleEndian.PutUint16(r[6:], uint16(seq))
		binary.LittleEndian.PutUint16(r[9:], uint16(ack))
		binary.LittleEndian.PutUint16(r[12:], uint16(n))
		r[15] = 1
		return r
	}
	const s, a, fin, rst = int(decode.SYN), int(decode.ACK), int(decode.FIN), int(decode.RST)
	var talk []byte
	for _, r := range [][]byte{
		record(0, 0, 0, s, 1000, 0, 0), record(10, 0, 1, s|a, 5000, 1001, 0), record(10, 0, 0, a, 1001, 5001, 0),
		record(1, 0, 0, a, 1001, 5001, 100), record(1, 0, 0, a, 1201, 5001, 100), record(9, 0, 1, a, 5001, 1101, 0),
		record(1, 0, 1, a, 5001, 1101, 0), record(1, 0, 1, a, 5001, 1101, 0), record(1, 0, 0, a, 1101, 5001, 100),
		record(1, 0, 0, a, 1300, 5001, 1), record(9, 0, 0, fin|a, 1301, 5001, 0), record(9, 0, 1, fin|a, 5001, 1302, 0),
		record(1, 0x80, 0, a, 1302, 5002, 0), record(1, 1, 0, s, 7, 0, 0), record(1, 1, 1, rst|a, 0, 8, 0),
		record(1, 2, 0, s, 7, 0, 0), record(1, 3, 0, s, 7, 0, 0), record(1, 0, 0, s, 2000, 0, 0), record(1, 0, 0, s, 3000, 0, 0),
	} {
		talk = append(talk, r...)
	}
	f.Add(talk)
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 2))
		b := make([]byte, recordLen*(100+rng.IntN(100)))
		for i := range b {
			b[i] = byte(rng.Uint32())
			if i%recordLen == 3 && seed%2 == 0 {
				b[i] = byte(decode.ACK)
			}
		}
		f.Add(b)
	}
	f.Fuzz(fuzzTable)
}
