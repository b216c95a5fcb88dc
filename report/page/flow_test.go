package page

import (
	"strings"
	"testing"

	"goproxytrace/analyze"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/analyze/segtrace"
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/report"
	"goproxytrace/report/charts"
)

const msec = int64(1e6)

// sent is a segment of a made-up connection: at a millisecond, of the client or
// the far end.
func sent(at int64, client bool, flags uint16, seq, acked, length uint32, found tcpflow.Flags) segtrace.Segment {
	return segtrace.Segment{Time: start.UnixNano() + at*msec, FromClient: client, Flags: flags, Seq: seq, Ack: acked, Len: length, Findings: found, TTL: 60, Window: 65_000}
}

// flowOf lays out a connection of these segments that is judged so; the capture
// ends at a millisecond.
func flowOf(t *testing.T, v diagnose.Verdict, end int64, list ...segtrace.Segment) *flow {
	t.Helper()
	store := analyze.NewStore()
	store.Add(&analyze.Connection{ID: 0, Client: "192.0.2.1:40000", Server: "203.0.113.10:443", Start: start, Verdict: v})
	r := &analyze.Result{Connections: store, Verdict: v, Subject: 0, Trace: segtrace.NewSpool(), Capture: analyze.Capture{Start: start.UnixNano(), End: start.UnixNano() + end*msec}}
	t.Cleanup(func() { _ = r.Close() })
	for i := range list {
		s := list[i]
		s.Frame = int64(i + 1)
		dir := uint8(1)
		if s.FromClient {
			dir = 0
		}
		r.Trace.Segment(0, dir, &s)
	}
	docs := build(r, "x.pcapng")
	traced, trouble, err := docs[0].Traced(1)
	if err != nil || trouble != nil || len(traced) != 1 {
		t.Fatalf("%d connections traced, %v, %v", len(traced), trouble, err)
	}
	b := &book{docs: docs}
	for _, d := range docs {
		b.tags = append(b.tags, d.Language.Tag())
	}
	f := newFlow(b, &traced[0], 0, numbers(&report.Verdict{}))
	f.rows(map[int64]bool{})
	return f
}

var opening = []segtrace.Segment{
	sent(0, true, syn, 0, 0, 0, 0), sent(10, false, syn|ack, 0, 1, 0, 0), sent(11, true, ack, 1, 1, 0, 0),
}

func with(list ...segtrace.Segment) []segtrace.Segment {
	return append(append([]segtrace.Segment{}, opening...), list...)
}

// A segment did not arrive where nothing acknowledged it in time, or before it
// was sent again; each fault has its look-alike.
func TestLost(t *testing.T) {
	hello := sent(12, true, psh|ack, 1, 1, 1500, 0)
	again := sent(300, true, psh|ack, 1, 1, 1500, tcpflow.Retransmission)
	selective := sent(22, false, ack, 1, 1, 0, 0)
	selective.SACKCount, selective.SACK[0] = 1, [2]uint32{1501, 3001}
	quoted := sent(0, true, syn, 0, 0, 0, 0)
	for _, c := range []struct {
		name string
		end  int64
		list []segtrace.Segment
		lost string // frames
	}{
		{"sent again and never acknowledged", 5000, with(hello, again), "4 5"},
		{"sent again, then acknowledged", 5000, with(hello, again, sent(310, false, ack, 1, 1501, 0, 0)), "4"},
		{"acknowledged at once", 5000, with(hello, sent(22, false, ack, 1, 1501, 0, 0)), ""},
		{"acknowledged, and sent again all the same", 5000, with(hello, sent(22, false, ack, 1, 1501, 0, 0), sent(40, true, ack, 1, 1, 1500, tcpflow.Retransmission|tcpflow.SpuriousRetransmission)), ""},
		{"the capture ends before an answer could come", 200, with(hello), ""},
		{"the capture goes on in silence", 5000, with(hello), "4"},
		{"answered by a reset", 5000, with(hello, sent(15, false, rst, 1, 0, 0, 0)), ""},
		{"acknowledged selectively", 5000, with(hello, sent(13, true, ack, 1501, 1, 1500, 0), selective), "4"},
		{"a SYN that nobody answers", 5000, []segtrace.Segment{quoted, sent(1000, true, syn, 0, 0, 0, tcpflow.Retransmission)}, "1 2"},
		{"a keep-alive's byte proves nothing", 5000, with(sent(4000, true, ack, 0, 1, 1, tcpflow.KeepAlive)), ""},
	} {
		f := flowOf(t, diagnose.Verdict{Class: diagnose.TLSClientHelloLost}, c.end, c.list...)
		var lost []string
		for i := range f.segments {
			if f.segments[i].unacked {
				lost = append(lost, strings.TrimPrefix(f.href(f.segments[i].Frame), "#f"))
			}
		}
		if got := strings.Join(lost, " "); got != c.lost {
			t.Errorf("%s: lost %q, want %q", c.name, got, c.lost)
		}
		for _, st := range f.steps() {
			if st.Fate != charts.Arrived && st.Tone != charts.ToneWarn {
				t.Errorf("%s: a lost segment is drawn as %s", c.name, st.Tone)
			}
		}
	}
}

// A segment is drawn to end where the verdict puts its loss, and none ends in the
// network that was captured at the end of its way.
func TestFates(t *testing.T) {
	client, host, network, remote := diagnose.Client, diagnose.Host, diagnose.Network, diagnose.Remote
	out := sent(12, true, psh|ack, 1, 1, 1500, 0)
	in := sent(30, false, psh|ack, 1, 1, 1400, 0)
	for _, c := range []struct {
		name    string
		class   diagnose.Class
		places  []diagnose.Place
		segment segtrace.Segment
		want    charts.Fate
	}{
		{"left and died in the network", diagnose.TLSClientHelloLost, []diagnose.Place{network}, out, charts.EndsNetwork},
		{"left, and the far end may have had it", diagnose.TLSClientHelloLost, []diagnose.Place{network, remote}, out, charts.EndsSomewhere},
		{"left, and the far end had it", diagnose.TLSClientHelloLost, []diagnose.Place{remote}, out, charts.Unacknowledged},
		{"never left this machine", diagnose.TLSClientHelloLost, []diagnose.Place{host}, out, charts.EndsNear},
		{"lost on the way, and nothing died of it", diagnose.OK, nil, out, charts.EndsNetwork},
		{"came and was thrown away here", diagnose.TLSAnswerIgnored, []diagnose.Place{host}, in, charts.Unacknowledged},
		{"came and was not read", diagnose.TLSAnswerIgnored, []diagnose.Place{client}, in, charts.Unacknowledged},
		{"came to the capture point at least", diagnose.TLSAnswerIgnored, []diagnose.Place{host, network}, in, charts.Unacknowledged},
	} {
		v := diagnose.Verdict{Class: c.class, Place: c.places}
		f := flowOf(t, v, 5000, with(c.segment)...)
		s := &f.segments[3]
		if got := f.step(s).Fate; !s.unacked || got != c.want {
			t.Errorf("%s: fate %d, want %d", c.name, got, c.want)
		}
		said := f.row(s, map[int64]bool{}).What[0].Parts[0].Text
		if strings.Contains(said, "no sign of arrival") != c.want.Cut() || strings.Contains(said, "not acknowledged") == c.want.Cut() {
			t.Errorf("%s: the table says %q", c.name, said)
		}
	}
}

// Bytes before a segment were never captured, unless they only came late.
func TestHoles(t *testing.T) {
	ahead := sent(20, false, ack, 1449, 1, 1448, tcpflow.LostSegment)
	for name, c := range map[string]struct {
		filled segtrace.Segment
		want   int64
	}{
		"sent again":          {sent(300, false, ack, 1, 1, 1448, tcpflow.Retransmission), 1448},
		"overtaken":           {sent(21, false, ack, 1, 1, 1448, tcpflow.OutOfOrder), 0},
		"never":               {sent(400, true, ack, 1, 1, 0, 0), 1448},
		"fast retransmission": {sent(30, false, ack, 1, 1, 1448, tcpflow.Retransmission|tcpflow.FastRetransmission), 1448},
	} {
		f := flowOf(t, diagnose.Verdict{Class: diagnose.OK}, 5000, with(ahead, c.filled)...)
		if got := f.segments[3].missing; got != c.want {
			t.Errorf("%s: %d bytes missing, want %d", name, got, c.want)
		}
	}
}

// Who sent a reset is drawn as far as the verdict knows it, and only a reset
// that ended something is drawn as bad.
func TestResets(t *testing.T) {
	network, remote := diagnose.Network, diagnose.Remote
	reset := sent(15, false, rst|ack, 1, 1501, 0, 0)
	for _, c := range []struct {
		name   string
		v      diagnose.Verdict
		from   charts.Lane
		unsure bool
		tone   charts.Tone
	}{
		{"the network's", diagnose.Verdict{Class: diagnose.TLSReset, Place: []diagnose.Place{network}}, charts.LaneNetwork, false, charts.ToneBad},
		{"either's", diagnose.Verdict{Class: diagnose.TLSReset, Place: []diagnose.Place{network, remote}}, charts.LaneFar, true, charts.ToneBad},
		{"the far end's", diagnose.Verdict{Class: diagnose.TLSReset, Place: []diagnose.Place{remote}}, charts.LaneFar, false, charts.ToneBad},
		{"after the work was done", diagnose.Verdict{Class: diagnose.OK}, charts.LaneFar, false, charts.TonePlain},
	} {
		f := flowOf(t, c.v, 5000, with(sent(12, true, ack, 1, 1, 1500, 0), reset)...)
		steps := f.steps()
		st := steps[len(steps)-1]
		if st.Kind == charts.StepBreak || st.From != c.from || st.Unsure != c.unsure || st.Tone != c.tone {
			t.Errorf("%s: %+v", c.name, st)
		}
		if !strings.Contains(st.Detail[0], "TTL 60") {
			t.Errorf("%s: %q does not name the TTL", c.name, st.Detail[0])
		}
	}
}

// Silence is drawn as a break, also the one that lasts to the capture's end,
// unless the connection was over.
func TestSilence(t *testing.T) {
	breaks := func(list []segtrace.Segment, end int64) (n int) {
		for _, st := range flowOf(t, diagnose.Verdict{Class: diagnose.OK}, end, list...).steps() {
			if st.Kind == charts.StepBreak {
				n++
			}
		}
		return n
	}
	late := sent(9000, true, ack, 1, 1, 10, 0)
	closed := with(sent(20, true, fin|ack, 1, 1, 0, 0), sent(30, false, fin|ack, 1, 2, 0, 0), sent(31, true, ack, 2, 2, 0, 0))
	for name, c := range map[string]struct{ got, want int }{
		"in the middle and at the end": {breaks(with(late), 15_000), 2},
		"in the middle":                {breaks(with(late), 9100), 1},
		"none":                         {breaks(with(), 500), 0},
		"after the end":                {breaks(closed, 60_000), 0},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d breaks, want %d", name, c.got, c.want)
		}
	}
}

// A long transfer is a few lines, and what is remarkable in it stays in them.
func TestFolding(t *testing.T) {
	list := with()
	for i := range uint32(3000) {
		found := tcpflow.Flags(0)
		if i%10 == 0 {
			found = tcpflow.Retransmission
		}
		list = append(list, sent(20+int64(i), false, ack, 1+i*1448, 1, 1448, found), sent(20+int64(i), true, ack, 1, 1+(i+1)*1448, 0, 0))
	}
	list = append(list, sent(4000, false, rst, 1, 1, 0, 0))
	f := flowOf(t, diagnose.Verdict{Class: diagnose.TransferReset, Place: []diagnose.Place{diagnose.Remote}}, 5000, list...)
	steps := f.steps()
	if len(steps) > 60 {
		t.Errorf("%d lines", len(steps))
	}
	folded := 0
	for _, st := range steps {
		if st.Kind == charts.StepFold && strings.Contains(st.Detail[0], "retransmission") {
			folded++
		}
	}
	if folded == 0 || steps[len(steps)-1].Tone != charts.ToneBad {
		t.Errorf("%d folds tell of retransmissions, the last line is %+v", folded, steps[len(steps)-1])
	}
	if rows := f.rows(map[int64]bool{}); len(rows) > 3*mostRows {
		t.Errorf("%d rows", len(rows))
	}
}

// Of a long table the evidence shows first, wherever it stands, and what is
// left out between is counted and one step away.
func TestForemost(t *testing.T) {
	list := with()
	for i := range uint32(100) {
		list = append(list, sent(20+int64(i), false, ack, 1+i*1448, 1, 1448, 0))
	}
	f := flowOf(t, diagnose.Verdict{Class: diagnose.OK}, 5000, list...)
	for name, c := range map[string]struct {
		proofs   []int64
		want, at int
	}{
		"in the middle":  {[]int64{60}, 1, 60},
		"at the end":     {[]int64{50, 103}, 2, 103},
		"too many":       {[]int64{5, 10, 15, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 42, 44, 46, 48, 50, 52, 54, 56, 58, 60, 103}, mostOpen / 2, 103},
		"side by side":   {[]int64{70, 71, 72}, 3, 71},
		"the first":      {[]int64{1}, 1, 1},
		"no evidence":    {nil, 0, 1},
		"before the end": {[]int64{102}, 1, 102},
	} {
		f.proofs = map[int64]string{}
		for _, p := range c.proofs {
			f.proofs[p] = "1"
		}
		all := f.rows(map[int64]bool{})
		out := f.foremost(all)
		segments, proofs, found := 0, 0, false
		ids := map[string]bool{}
		for _, r := range append(append([]row{}, out...), all...) {
			if r.ID != "" && ids[r.ID] {
				t.Errorf("%s: the identifier %s is there twice", name, r.ID)
			}
			ids[r.ID] = true
		}
		for _, r := range out {
			if r.Href != "" {
				segments += r.segments
				if !ids[strings.TrimPrefix(r.Href, "#")] {
					t.Errorf("%s: %s leads nowhere", name, r.Href)
				}
				continue
			}
			segments++
			found = found || r.Frame == int64(c.at)
			if r.Proof != "" {
				proofs++
			}
		}
		if segments != len(list) || proofs != c.want || !found || len(out) > mostOpen+1 {
			t.Errorf("%s: %d rows stand for %d segments of %d, %d of the evidence, frame %d shown: %t", name, len(out), segments, len(list), proofs, c.at, found)
		}
	}
}
