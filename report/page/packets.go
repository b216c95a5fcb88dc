package page

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/analyze/segtrace"
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/analyze/tlswire"
	"goproxytrace/report"
	"goproxytrace/report/charts"
	"goproxytrace/report/page/frame"
)

// TCP header flags (RFC 9293, section 3.1).
const (
	fin = 1 << iota
	syn
	rst
	psh
	ack
	urg
)

// flow is a connection as the page draws it.
type flow struct {
	*book
	conn     *report.Traced
	index    int // on the page
	start    int64
	segments []segment
	proofs   map[int64]string // evidence numbers by frame
	place    map[int64]int64  // first frame of the table's row by frame
	// rtt is the time in nanoseconds that a round trip takes, zero where it
	// is not known.
	rtt int64
	// end is when the capture ended, in nanoseconds, zero where not known.
	end int64
}

// segment is a captured segment, or an ICMP error, with what it means.
type segment struct {
	segtrace.Segment
	icmp *icmp
	// begin and end are what TLS messages begin and end in it, by name.
	tls   []string
	alert bool
	// clear is what it says in HTTP without TLS, nil where that is not known.
	clear charts.Words
	// seq and ack do not wrap; end is behind the last byte.
	seq, ack, end int64
	// unacked is true where nothing acknowledged it in time, or before it was
	// sent again. What became of it is another question: see fate.
	unacked bool
	// missing is how many bytes before it were never captured.
	missing int64
	ttlDiff bool // a reset whose time to live none of the others has
}

type icmp struct {
	from       string
	kind, code uint8
	mtu        uint32
}

// ms returns milliseconds since the connection's first segment.
func (f *flow) ms(at int64) float64 { return float64(at-f.start) / 1e6 }

func (s *segment) tcp(flags uint16) bool { return s.icmp == nil && s.Flags&flags != 0 }

// proved returns the numbers of the evidence that names a frame.
func (f *flow) proved(frame int64) string { return f.proofs[frame] }

// newFlow works out what the segments of a connection mean.
func newFlow(b *book, c *report.Traced, index int, proofs map[int64]string) *flow {
	f := &flow{book: b, conn: c, index: index, proofs: proofs, start: c.Start.UnixNano()}
	if rtt := handshake(c.Connection); rtt != nil {
		f.rtt = int64(*rtt * 1e6)
	}
	if e := b.docs[0].Capture.End; e != nil {
		f.end = e.UnixNano()
	}
	t := &c.Trace
	var high [2]int64
	for i := range t.Segments {
		s := segment{Segment: t.Segments[i]}
		d := side(s.FromClient)
		s.seq = unwrap(s.Seq, high[d])
		s.end = s.seq + int64(s.Len)
		if s.Flags&(syn|fin) != 0 {
			s.end++
		}
		if s.Flags&ack != 0 {
			s.ack = unwrap(s.Ack, high[1-d])
		}
		if s.Findings&tcpflow.LostSegment != 0 && s.seq > high[d] && t.Thinned == 0 {
			s.missing = s.seq - high[d]
		}
		if s.Flags&rst == 0 {
			high[d] = max(high[d], s.end)
		}
		f.segments = append(f.segments, s)
	}
	f.fillHoles()
	f.addICMP()
	f.addTLS()
	f.addHTTP()
	f.findUnacked()
	f.findTTL()
	return f
}

// fillHoles takes back holes that a segment filled which came late, and was not
// sent again.
func (f *flow) fillHoles() {
	for i := range f.segments {
		s := &f.segments[i]
		if s.missing == 0 {
			continue
		}
		for k := i + 1; k < min(len(f.segments), i+mostLooked); k++ {
			o := &f.segments[k]
			if o.FromClient == s.FromClient && o.seq >= s.seq-s.missing && o.seq < s.seq {
				if o.Findings&tcpflow.OutOfOrder != 0 {
					s.missing = 0
				}
				break
			}
		}
	}
}

// handshake returns the round trip of a connection's handshake in milliseconds,
// nil where there was none: the answer to a SYN may be a reset.
func handshake(c *report.Connection) *float64 {
	if c.Stages.Connect == nil {
		return nil
	}
	return c.TCP.HandshakeRTT
}

func side(fromClient bool) int {
	if fromClient {
		return 0
	}
	return 1
}

// unwrap continues a 32-bit sequence number near a 64-bit one.
func unwrap(v uint32, near int64) int64 { return near + int64(int32(v-uint32(near))) }

func (f *flow) addICMP() {
	for i := range f.conn.Trace.ICMP {
		t := f.conn.Trace.ICMP[i]
		s := segment{Segment: segtrace.Segment{Frame: t.Frame, Time: t.Time, TTL: t.TTL}, icmp: &icmp{}}
		for k := range f.conn.ICMP {
			if e := &f.conn.ICMP[k]; e.Frame == t.Frame {
				s.icmp = &icmp{e.From, e.Type, e.Code, e.MTU}
			}
		}
		f.segments = append(f.segments, s)
	}
	sort.SliceStable(f.segments, func(i, k int) bool { return f.segments[i].Frame < f.segments[k].Frame })
}

// at returns the segment of a frame, nil where it is not there.
func (f *flow) at(frame int64, fromClient bool) *segment {
	i := sort.Search(len(f.segments), func(i int) bool { return f.segments[i].Frame >= frame })
	for ; i < len(f.segments) && f.segments[i].Frame == frame; i++ {
		if s := &f.segments[i]; s.icmp == nil && s.FromClient == fromClient {
			return s
		}
	}
	return nil
}

// names of handshake messages as RFC 8446 writes its structures.
var messageNames = map[uint8]string{
	0: "HelloRequest", 1: "ClientHello", 2: "ServerHello", 4: "NewSessionTicket", 8: "EncryptedExtensions", 11: "Certificate",
	12: "ServerKeyExchange", 13: "CertificateRequest", 14: "ServerHelloDone", 15: "CertificateVerify", 16: "ClientKeyExchange",
	20: "Finished", 22: "CertificateStatus",
}

func messageName(m *segtrace.Message) string {
	switch m.Kind {
	case tlswire.KindHandshake:
		if s := messageNames[m.Type]; s != "" {
			return s
		}
		return tlswire.HandshakeName(m.Type)
	case tlswire.KindAlert:
		return "Alert " + tlswire.AlertName(m.Type)
	case tlswire.KindEncryptedAlert:
		return "Alert"
	case tlswire.KindChangeCipherSpec:
		return "ChangeCipherSpec"
	}
	return ""
}

// Bounds on the names of TLS messages.
const (
	mostNames   = 6  // that a segment keeps
	mostReading = 64 // messages whose bytes are looked for in all segments
)

// addTLS names TLS messages on the segments that carry bytes of them, each
// time they are sent.
func (f *flow) addTLS() {
	read := 0
	for i := range f.conn.Trace.Messages {
		m := &f.conn.Trace.Messages[i]
		text := messageName(m)
		last := f.at(m.Frame, m.FromClient)
		if text == "" || last == nil {
			continue
		}
		if m.Kind != tlswire.KindHandshake || read == mostReading {
			last.carry(text)
			last.alert = last.alert || m.Kind == tlswire.KindAlert || m.Kind == tlswire.KindEncryptedAlert
			continue
		}
		read++
		from, to := unwrap(m.Seq, last.seq), unwrap(m.End, last.seq)
		for k := range f.segments {
			s := &f.segments[k]
			if s.icmp == nil && s.FromClient == m.FromClient && s.Len > 0 && s.Flags&rst == 0 && s.seq < to && s.seq+int64(s.Len) > from {
				s.carry(text)
			}
		}
	}
}

// addHTTP names the request and the answer that were sent in clear: a CONNECT
// exchange, and an HTTP answer where TLS was due.
func (f *flow) addHTTP() {
	answers := map[int64]bool{}
	p := f.conn.Proxy
	if p != nil {
		for i := range f.segments {
			if s := &f.segments[i]; s.icmp == nil && s.FromClient && s.Len > 0 && s.Flags&rst == 0 {
				s.clear = charts.Say("CONNECT " + frame.Name(p.Target))
				break
			}
		}
		if s := f.at(p.Frame, false); s != nil && p.Status != 0 {
			s.clear = charts.Say(strings.TrimSpace("HTTP " + strconv.Itoa(p.Status) + " " + frame.Name(p.Reason)))
		}
	}
	for i := range f.conn.Verdict.Evidence {
		if e := &f.conn.Verdict.Evidence[i]; e.ID == "http.instead-of-tls" {
			for _, n := range e.Frames {
				answers[n] = true
			}
		}
	}
	for i := range f.segments {
		if s := &f.segments[i]; answers[s.Frame] && s.icmp == nil && !s.FromClient && s.Len > 0 && s.clear == nil {
			s.clear = f.say("page.http-clear")
		}
	}
}

func (s *segment) carry(text string) {
	if len(s.tls) < mostNames && !contains(s.tls, text) {
		s.tls = append(s.tls, text)
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// silence is how long in nanoseconds nothing must have come for a segment to
// count as one that did not arrive.
func (f *flow) silence() int64 { return max(1_000_000_000, 4*f.rtt) }

// findUnacked finds segments that were never acknowledged, or sent again before
// they were.
func (f *flow) findUnacked() {
	if f.conn.Trace.Thinned > 0 {
		return // who acknowledged what is not known any more
	}
	last := f.end
	if n := len(f.segments); n > 0 {
		last = max(last, f.segments[n-1].Time)
	}
	for d := range 2 {
		var acked int64             // by any later segment of the other end
		reset := false              // later
		refused := false            // by an ICMP error, later
		resent := map[int64]int64{} // time of the next copy, by sequence number
		for i := len(f.segments) - 1; i >= 0; i-- {
			s := &f.segments[i]
			switch {
			case s.icmp != nil:
				refused = true
				continue
			case side(s.FromClient) != d:
				reset = reset || s.Flags&rst != 0
				if s.Flags&ack != 0 {
					acked = max(acked, s.ack)
				}
				continue
			case s.Flags&rst != 0:
				reset = true
				continue
			case s.end == s.seq, s.Copy, s.Findings&(tcpflow.KeepAlive|tcpflow.ZeroWindowProbe) != 0:
				continue
			}
			again, ok := resent[s.seq]
			resent[s.seq] = s.Time
			switch {
			case s.Findings&tcpflow.SpuriousRetransmission != 0:
			case ok:
				s.unacked = !f.ackedBefore(i, s, again)
			case acked < s.end && !reset && (refused || last-s.Time >= f.silence()):
				s.unacked = !f.ackedBefore(i, s, last+1)
			}
		}
	}
}

// fate says what became of a segment. One that comes to the client and was
// captured had reached the capture point; only what leaves can end behind it.
// Where that was is left to the verdict.
func (f *flow) fate(s *segment) charts.Fate {
	v := &f.conn.Verdict
	network := contains(v.Place, string(diagnose.Network))
	switch {
	case !s.unacked:
		return charts.Arrived
	case !s.FromClient:
		return charts.Unacknowledged
	case !v.Died, network && len(v.Place) == 1:
		return charts.EndsNetwork
	case network:
		return charts.EndsSomewhere
	case contains(v.Place, string(diagnose.Remote)):
		return charts.Unacknowledged
	case contains(v.Place, string(diagnose.Host)):
		return charts.EndsNear
	}
	return charts.EndsNetwork
}

// mostLooked bounds how many segments are looked through for an
// acknowledgement.
const mostLooked = 4096

// ackedBefore reports whether the bytes of the i-th segment were acknowledged,
// selectively or not, before a time.
func (f *flow) ackedBefore(i int, s *segment, before int64) bool {
	for k := i + 1; k < min(len(f.segments), i+mostLooked); k++ {
		o := &f.segments[k]
		if o.Time >= before {
			return false
		}
		if o.icmp != nil || o.FromClient == s.FromClient || o.Flags&ack == 0 {
			continue
		}
		if o.ack >= s.end {
			return true
		}
		for _, b := range o.SACK[:o.SACKCount] {
			if unwrap(b[0], s.seq) <= s.seq && unwrap(b[1], s.end) >= s.end {
				return true
			}
		}
	}
	return false
}

// findTTL marks resets whose time to live none of their sender's other packets
// has.
func (f *flow) findTTL() {
	var seen [2]map[uint8]bool
	for i := range f.segments {
		if s := &f.segments[i]; s.icmp == nil && s.Flags&rst == 0 {
			d := side(s.FromClient)
			if seen[d] == nil {
				seen[d] = map[uint8]bool{}
			}
			seen[d][s.TTL] = true
		}
	}
	for i := range f.segments {
		if s := &f.segments[i]; s.tcp(rst) {
			d := side(s.FromClient)
			s.ttlDiff = len(seen[d]) > 0 && !seen[d][s.TTL]
		}
	}
}

var flagNames = [...]string{"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE"}

// flagText lists the TCP flags of a segment.
func flagText(flags uint16) string {
	var out []string
	for _, i := range [...]int{1, 0, 2, 3, 4, 5, 6, 7, 8} { // SYN first, as people say it
		if flags&(1<<i) != 0 {
			out = append(out, flagNames[i])
		}
	}
	return strings.Join(out, ", ")
}

// findings are the names of tcp.analysis flags that are shown, without what a
// finer one says.
func findings(n tcpflow.Flags) (out []string) {
	if n&(tcpflow.FastRetransmission|tcpflow.SpuriousRetransmission) != 0 {
		n &^= tcpflow.Retransmission
	}
	if n == 0 {
		return nil
	}
	return strings.Split(n.String(), ",")
}

// found puts findings into words.
func (f *flow) found(n tcpflow.Flags) charts.Words {
	var list []charts.Words
	for _, s := range findings(n) {
		list = append(list, f.say("found."+strings.ReplaceAll(s, "_", "-")))
	}
	return f.join("comma", list...)
}

// what says in a few words what a segment is.
func (f *flow) what(s *segment) charts.Words {
	if s.icmp != nil {
		return charts.Say(fmt.Sprintf("ICMP %d/%d", s.icmp.kind, s.icmp.code))
	}
	var parts []charts.Words
	switch {
	case s.Flags&(syn|rst|fin) != 0:
		parts = append(parts, charts.Say(flagText(s.Flags&^psh)))
	case s.clear != nil:
		parts = append(parts, s.clear)
	case len(s.tls) == 0 && s.Len > 0 && s.Findings&tcpflow.KeepAlive == 0:
		parts = append(parts, f.say("page.data"))
	case len(s.tls) == 0 && s.Len == 0:
		parts = append(parts, charts.Say("ACK"))
	}
	if len(s.tls) > 0 {
		parts = append(parts, charts.Say(strings.Join(s.tls, ", ")))
	}
	if s.Len > 0 {
		parts = append(parts, f.count("unit.bytes", uint64(s.Len)))
	}
	if s.Findings != 0 && !s.Copy {
		parts = append(parts, f.found(s.Findings))
	}
	return f.join("comma", parts...)
}
