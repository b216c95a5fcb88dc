package tcpflow

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"goproxytrace/analyze/decode"
	"goproxytrace/capture"
	"goproxytrace/internal/packets"
)

// A script is a capture that a person can read, one segment a line:
//
//	time  direction  flags  seq  [ack]  [name=value ...]  [=> findings]
//
// The time is in milliseconds, ">" is what the client sends, the flags are
// the letters S, A, F, R and P or "-" for none, numbers are taken modulo 2^32
// and may be negative. Names: len (payload bytes), cap (of them captured),
// win, scale, mss, id, ttl, if (interface), port and server (port numbers),
// sack (left-right), ts, mptcp (subtype), and without a value sackok, cut
// (the capture ends inside the options), short (the IP length ends inside the
// header), low (a data offset below 5) and bad (a wrong checksum). What follows "=>" is the wanted findings, none where it
// is absent.

// scriptStart is the time of a script's zero in ns.
const scriptStart = 1_700_000_000e9

// rawIP is the link type of the scripts' frames.
const rawIP capture.LinkType = 101

// frame is one line of a script.
type frame struct {
	text string
	want string
	data []byte
	wire int // bytes on the wire
	time int64
	ifc  int32
}

// payloadByte is what direction d (0: client) sends at sequence number seq, so
// that bytes out of place show. It looks like no protocol.
func payloadByte(d uint8, seq uint32) byte {
	return byte((seq*2654435761+uint32(d)*40503)>>24) | 0x80
}

func payloadAt(d uint8, seq uint32, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = payloadByte(d, seq+uint32(i))
	}
	return b
}

// parseScript builds the frames of a script. host tells scripts apart that
// share a capture.
func parseScript(t testing.TB, script string, host int) []frame {
	t.Helper()
	var out []frame
	for line := range strings.Lines(script) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f, err := parseFrame(line, host)
		if err != nil {
			t.Fatalf("script line %q: %v", line, err)
		}
		out = append(out, f)
	}
	return out
}

func parseFrame(line string, host int) (frame, error) {
	text, want, _ := strings.Cut(line, "=>")
	w := strings.Fields(text)
	if len(w) < 4 {
		return frame{}, fmt.Errorf("%d words, want at least 4", len(w))
	}
	ms, err := strconv.ParseFloat(w[0], 64)
	if err != nil {
		return frame{}, err
	}
	f := frame{text: line, want: strings.TrimSpace(want), time: scriptStart + int64(math.Round(ms*1e6))}
	opts := map[string]int64{"port": 40000, "server": 443, "win": 64240, "cap": -1}
	var sack []uint32
	rest := w[4:]
	var ack *uint32
	if len(rest) > 0 {
		if n, err := strconv.ParseInt(rest[0], 10, 64); err == nil {
			a := uint32(n)
			ack, rest = &a, rest[1:]
		}
	}
	for _, o := range rest {
		name, value, has := strings.Cut(o, "=")
		if name == "sack" {
			l, r, _ := strings.Cut(value, "-")
			a, err1 := strconv.ParseUint(l, 10, 32)
			b, err2 := strconv.ParseUint(r, 10, 32)
			if err1 != nil || err2 != nil {
				return f, fmt.Errorf("sack %q", value)
			}
			sack = append(sack, uint32(a), uint32(b))
			continue
		}
		n := int64(1)
		if has {
			if n, err = strconv.ParseInt(value, 10, 64); err != nil {
				return f, err
			}
		}
		opts[name] = n
	}
	seq, err := strconv.ParseInt(w[3], 10, 64)
	if err != nil {
		return f, err
	}
	return f, f.build(w[1], w[2], uint32(seq), ack, sack, opts, host)
}

func (f *frame) build(dir, flags string, seq uint32, ack *uint32, sack []uint32, opts map[string]int64, host int) error {
	client := fmt.Sprintf("10.%d.%d.1:%d", host>>8, host&255, opts["port"])
	server := fmt.Sprintf("203.0.113.1:%d", opts["server"])
	d := uint8(0)
	p := packets.TCP(client, server)
	switch dir {
	case ">":
	case "<":
		p, d = packets.TCP(server, client), 1
	default:
		return fmt.Errorf("direction %q", dir)
	}
	for _, c := range flags {
		bit, ok := map[rune]uint16{'S': packets.SYN, 'A': packets.ACK, 'F': packets.FIN, 'R': packets.RST, 'P': packets.PSH, '-': 0}[c]
		if !ok {
			return fmt.Errorf("flags %q", flags)
		}
		p.Flags(bit)
	}
	if (ack != nil) != strings.Contains(flags, "A") {
		return fmt.Errorf("flags %q and an acknowledgement number do not fit", flags)
	}
	if ack != nil {
		p.Ack(*ack)
	}
	p.Seq(seq).Window(uint16(opts["win"])).ID(uint16(opts["id"]))
	n := int(opts["len"])
	first := seq
	if strings.Contains(flags, "S") {
		first++
	}
	p.Payload(payloadAt(d, first, n))
	option := func(name string, use func(v int64)) {
		if v, ok := opts[name]; ok {
			use(v)
		}
	}
	option("mss", func(v int64) { p.MSS(uint16(v)) })
	option("scale", func(v int64) { p.WindowScale(uint8(v)) })
	option("sackok", func(int64) { p.SACKPermitted() })
	option("ts", func(v int64) { p.Timestamps(uint32(v), 1) })
	option("mptcp", func(v int64) { p.Option(30, byte(v<<4), 0) })
	option("ttl", func(v int64) { p.TTL(uint8(v)) })
	option("bad", func(int64) { p.BadChecksum() })
	option("low", func(int64) { p.DataOffset(4) })
	if len(sack) > 0 {
		p.SACK(sack...)
	}
	option("cut", func(int64) { p.Timestamps(1, 1) })
	option("short", func(int64) { p.TotalLength(38) })
	b := p.IP()
	f.wire = len(b)
	if c := opts["cap"]; c >= 0 {
		b = b[:len(b)-n+int(c)]
	}
	if opts["cut"] > 0 {
		b = b[:len(b)-n-4]
	}
	f.data, f.ifc = b, int32(opts["if"])
	return nil
}

// play is a table under test with what it reported.
type play struct {
	*Table
	t    testing.TB
	dec  decode.Decoder
	next int64
	last *Conn // of the latest frame
	// log holds for each connection and direction what was delivered: "100"
	// bytes of a new segment, "+100" of one begun before, "-100" missing.
	log map[int64]*[2][]string
	// pos is where the next byte of a direction belongs, once known.
	pos map[int64]*[2]*uint32
	// loose takes the place of the bytes from the stream itself: for
	// conversations whose first number is not certain and whose segments
	// are captured in whole or not at all.
	loose bool
	done  []Conn
}

func newPlay(t testing.TB, o Options) *play {
	p := &play{t: t, log: map[int64]*[2][]string{}, pos: map[int64]*[2]*uint32{}}
	p.Table = NewTable(p, o)
	return p
}

func (p *play) entry(c *Conn) (*[2][]string, *[2]*uint32) {
	if p.log[c.ID] == nil {
		p.log[c.ID], p.pos[c.ID] = new([2][]string), new([2]*uint32)
	}
	return p.log[c.ID], p.pos[c.ID]
}

// sender is 1 where direction d of c is what a script's server sends, else 0.
func sender(c *Conn, d uint8) uint8 {
	if c.End[d].Port == 443 {
		return 1
	}
	return 0
}

// Data checks every byte: its place follows from what was delivered before.
func (p *play) Data(c *Conn, d uint8, _ Point, b []byte, start bool) {
	log, pos := p.entry(c)
	if pos[d] == nil {
		first := c.Half[d].base + 1
		if !c.Half[d].SYN.Seen() { // the stream begins with the first payload
			first = c.Half[d].stream.next - uint32(len(b))
		}
		pos[d] = &first
	}
	at := *pos[d]
	if p.loose {
		at = c.Half[d].stream.next - uint32(len(b))
	}
	for i, v := range b {
		if want := payloadByte(sender(c, d), at+uint32(i)); v != want {
			p.t.Errorf("connection %d, direction %d: byte %d is %#x, want %#x", c.ID, d, at+uint32(i)-c.Half[d].base, v, want)
			break
		}
	}
	*pos[d] += uint32(len(b))
	sign := "+"
	if start {
		sign = ""
	}
	log[d] = append(log[d], sign+strconv.Itoa(len(b)))
}

func (p *play) Missing(c *Conn, d uint8, _ Point, n uint32) {
	log, pos := p.entry(c)
	if pos[d] == nil {
		first := c.Half[d].base + 1
		pos[d] = &first
	}
	*pos[d] += n
	log[d] = append(log[d], "-"+strconv.FormatUint(uint64(n), 10))
}

func (p *play) Done(c *Conn) {
	kept := *c
	for d, h := range c.Half {
		if h != nil {
			copied := *h
			kept.Half[d] = &copied
		}
	}
	p.done = append(p.done, kept)
}

// stream is what was delivered of a direction, as Data and Missing log it.
func (p *play) stream(id int64, d uint8) string {
	if p.log[id] == nil {
		return ""
	}
	return strings.Join(p.log[id][d], " ")
}

// segment plays one frame and returns the findings.
func (p *play) segment(f frame) Flags {
	p.t.Helper()
	p.next++
	pk := capture.Packet{Number: p.next, Time: f.time, HasTime: true, Data: f.data, Length: f.wire, LinkType: rawIP, Interface: f.ifc}
	segments := p.dec.Decode(&pk, nil)
	if len(segments) != 1 {
		p.t.Fatalf("line %q decodes to %d segments", f.text, len(segments))
	}
	c, _, flags := p.Segment(&segments[0])
	p.last = c
	return flags
}

// feed plays frames and checks their findings. It returns the connection of
// the last one, nil where the table had let go of it.
func (p *play) feed(frames []frame) *Conn {
	p.t.Helper()
	for _, f := range frames {
		got := p.segment(f)
		want, ok := ParseFlags(f.want)
		if !ok {
			p.t.Fatalf("line %q names an unknown finding", f.text)
		}
		if got != want {
			p.t.Errorf("%s\n\tfound %q, want %q", f.text, got, want)
		}
	}
	return p.last
}

// run plays a script on a table of its own.
func run(t testing.TB, script string) (*play, *Conn) {
	t.Helper()
	p := newPlay(t, Options{})
	return p, p.feed(parseScript(t, script, 0))
}

// opened is a handshake with an initial RTT of 20 ms and window scaling by 1.
// The client's first byte is 1001, the server's 5001.
const opened = `
0    > S  1000       mss=1460 sackok scale=1 id=1
10   < SA 5000 1001  mss=1400 sackok scale=1 id=1
20   > A  1001 5001  id=2
`
