package tcpflow

import (
	"fmt"
	"testing"

	"goproxytrace/analyze/decode"

	"github.com/google/go-cmp/cmp"
)

// ms is a script's time in Unix ns.
func ms(n float64) int64 { return scriptStart + int64(n*1e6) }

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func TestHandshakePoints(t *testing.T) {
	_, c := run(t, `
0    > S  1000      mss=1460 sackok scale=7
1000 > S  1000      mss=1460 sackok scale=7 => retransmission
1010 < SA 5000 1001 mss=1400 scale=9
1030 > A  1001 5001
1040 > A  1001 5001 len=100 ts=77`)
	client, server := c.Client(), c.Server()
	equal(t, "first SYN", client.SYN, Point{1, ms(0)})
	equal(t, "last SYN", client.LastSYN, Point{2, ms(1000)})
	equal(t, "SYNs", client.SYNs, uint16(2))
	equal(t, "SYN/ACK", server.SYN, Point{3, ms(1010)})
	equal(t, "its acknowledgement", c.HandshakeACK, Point{4, ms(1030)})
	equal(t, "initial RTT counts from the latest SYN", c.InitialRTT, int64(30e6))
	equal(t, "MSS", [2]uint16{client.MSS, server.MSS}, [2]uint16{1460, 1400})
	equal(t, "scale", [2]int8{client.WindowScale, server.WindowScale}, [2]int8{7, 9})
	equal(t, "SACK permitted", [2]bool{client.SACKPermitted, server.SACKPermitted}, [2]bool{true, false})
	equal(t, "established", c.Established(), true)
	equal(t, "roles", c.ClientKnown && c.ClientEnd().Port == 40000 && c.ServerEnd().Port == 443, true)
	equal(t, "timestamp", [2]int64{int64(client.TSval), client.TSvalTime}, [2]int64{77, ms(1040)})
	equal(t, "timestamps in use", [2]bool{client.Timestamps, server.Timestamps}, [2]bool{true, false})
	equal(t, "closed", c.Closed(), false)
}

func TestRoles(t *testing.T) {
	for _, x := range []struct {
		name, script          string
		port                  uint16
		known, established    bool
		handshakeAcknowledged bool
	}{
		{"SYN", "0 > S 1000", 40000, true, false, false},
		{"SYN/ACK first", "0 < SA 5000 1001", 40000, true, false, false},
		{"the server's port is lower", "0 < A 5000 1001", 40000, false, true, false},
		{"the client speaks first", "0 > A 1001 5001", 40000, false, true, false},
		{"the server's port is higher, a SYN tells", "0 > S 1000 server=50000", 40000, true, false, false},
		{"late SYN tells", "0 > A 1001 5001 server=50000 port=60000\n1 < S 7000 server=50000 port=60000", 50000, true, false, false},
		{"answered, not acknowledged", "0 > S 1000\n1 < SA 5000 1001", 40000, true, false, false},
		{"a reset acknowledges no handshake", "0 > S 1000\n1 < SA 5000 1001\n2 > RA 1001 5001", 40000, true, false, false},
		{"refused", "0 > S 1000\n1 < RA 0 1001", 40000, true, false, false},
		{"acknowledged", "0 > S 1000\n1 < SA 5000 1001\n2 > A 1001 5001", 40000, true, true, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			p := newPlay(t, Options{})
			var c *Conn
			for _, f := range parseScript(t, x.script, 0) {
				p.segment(f)
				c = p.last
			}
			equal(t, "client port", c.ClientEnd().Port, x.port)
			equal(t, "known", c.ClientKnown, x.known)
			equal(t, "handshake", c.HandshakeACK.Seen(), x.handshakeAcknowledged)
			if x.name != "late SYN tells" {
				equal(t, "established", c.Established(), x.established)
			}
		})
	}
}

func TestRTT(t *testing.T) {
	for _, x := range []struct {
		name, script   string
		client, server RTT // of what that end sent
	}{
		{"handshake and data", opened + `
30 > A 1001 5001 len=100
45 < A 5001 1101`, RTT{10e6, 15e6, 25e6, 2}, RTT{10e6, 10e6, 10e6, 1}},
		{"only an exact end gives a sample", opened + `
30 > A 1001 5001 len=100
31 > A 1101 5001 len=100
45 < A 5001 1151
50 < A 5001 1201`, RTT{10e6, 19e6, 29e6, 2}, RTT{10e6, 10e6, 10e6, 1}},
		{"one acknowledgement of several segments gives one", opened + `
30 > A 1001 5001 len=100
31 > A 1101 5001 len=100
45 < A 5001 1201`, RTT{10e6, 14e6, 24e6, 2}, RTT{10e6, 10e6, 10e6, 1}},
		{"a resent segment gives none", opened + `
30  > A 1001 5001 len=100
330 > A 1001 5001 len=100 => retransmission
340 < A 5001 1101`, RTT{10e6, 10e6, 10e6, 1}, RTT{10e6, 10e6, 10e6, 1}},
		{"nor what waited for it", opened + `
30  > A 1001 5001 len=100
31  > A 1101 5001 len=100
330 > A 1001 5001 len=100 => retransmission
340 < A 5001 1201`, RTT{10e6, 10e6, 10e6, 1}, RTT{10e6, 10e6, 10e6, 1}},
		{"nor does a reset", opened + `
30 > A 1001 5001 len=100
31 < RA 5001 1101`, RTT{10e6, 10e6, 10e6, 1}, RTT{10e6, 10e6, 10e6, 1}},
		{"what is sent after it does", opened + `
30  > A 1001 5001 len=100
330 > A 1001 5001 len=100 => retransmission
340 < A 5001 1101
350 > A 1101 5001 len=100
362 < A 5001 1201`, RTT{10e6, 12e6, 22e6, 2}, RTT{10e6, 10e6, 10e6, 1}},
		{"even before the repetition is acknowledged", opened + `
30  > A 1001 5001 len=100
330 > A 1001 5001 len=100 => retransmission
335 > A 1101 5001 len=100
347 < A 5001 1201`, RTT{10e6, 12e6, 22e6, 2}, RTT{10e6, 10e6, 10e6, 1}},
		{"a SYN sent twice gives none", `
0    > S  1000
1000 > S  1000 => retransmission
1010 < SA 5000 1001
1030 > A  1001 5001`, RTT{}, RTT{20e6, 20e6, 20e6, 1}},
		{"a packet captured twice still gives one", opened + `
30 > A 1001 5001 len=100 id=9 if=0
31 > A 1001 5001 len=100 id=9 if=1 => retransmission
45 < A 5001 1101`, RTT{10e6, 15e6, 25e6, 2}, RTT{10e6, 10e6, 10e6, 1}},
		{"an answer before the question, as the clock says, gives none", opened + `
30 > A 1001 5001 len=100
29 < A 5001 1101`, RTT{10e6, 10e6, 10e6, 1}, RTT{10e6, 10e6, 10e6, 1}},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, c := run(t, x.script)
			equal(t, "client's data", c.Client().RTT, x.client)
			equal(t, "server's data", c.Server().RTT, x.server)
		})
	}
}

func TestResends(t *testing.T) {
	_, c := run(t, opened+`
30   > A 1001 5001 len=100
31   > A 1101 5001 len=100
330  > A 1001 5001 len=100 id=7 => retransmission
930  > A 1001 5001 len=100 id=8 => retransmission
931  > A 1101 5001 len=100 id=9 => retransmission`)
	h := c.Client()
	equal(t, "count: the second segment is not the first unacknowledged", h.ResendCount, uint32(2))
	equal(t, "first", []int64{h.Resends[0].Frame, int64(h.Resends[0].Seq), int64(h.Resends[0].IPID), int64(h.Resends[0].Len)}, []int64{6, 1, 7, 100})
	equal(t, "all", h.Retransmissions, uint32(3))

	_, c = run(t, opened+`
30   > A 1001 5001 len=100
330  > A 1001 5001 len=100 => retransmission
340  < A 5001 1051
1330 > A 1051 5001 len=50  => retransmission`)
	equal(t, "after progress", c.Client().ResendCount, uint32(1))
	equal(t, "after progress", c.Client().Resends[0].Frame, int64(7))
	equal(t, "progress of the acknowledgements", c.Server().Progress, Point{6, ms(340)})

	_, c = run(t, opened+`
30  > A 1001 5001 len=100 id=5
31  > A 1001 5001 len=100 id=5 if=1 => retransmission
40  < A 5001 1101
300 > A 1001 5001 len=100 id=6 => retransmission,spurious_retransmission`)
	equal(t, "captured twice, and acknowledged already", c.Client().ResendCount, uint32(0))

	script := opened + "30 > A 1001 5001 len=100\n"
	for i := range 40 {
		script += "1000 > A 1001 5001 len=100 id=" + string(rune('1'+i%9)) + " => retransmission\n"
	}
	_, c = run(t, script)
	h = c.Client()
	equal(t, "bound", []int{len(h.Resends), int(h.ResendCount)}, []int{maxMarks, 40})
	equal(t, "first and latest stay", []int64{h.Resends[0].Frame, h.Resends[maxMarks-1].Frame}, []int64{5, 44})
}

func TestKeepAlivePairs(t *testing.T) {
	const idle = opened + `
30    > A 1001 5001 len=100
40    < A 5001 1101
`
	for _, x := range []struct {
		name, script                     string
		round, answered, total, probesIn uint32
	}{
		{"answered", idle + `
15000 > A 1100 5001 => keep_alive
15010 < A 5001 1101 => keep_alive_ack
30000 > A 1100 5001 => keep_alive
30010 < A 5001 1101 => keep_alive_ack`, 2, 2, 2, 2},
		{"the last is not answered", idle + `
15000 > A 1100 5001 => keep_alive
15010 < A 5001 1101 => keep_alive_ack
30000 > A 1100 5001 => keep_alive
45000 > A 1100 5001 => keep_alive`, 3, 1, 1, 3},
		{"payload ends the round", idle + `
15000 > A 1100 5001 => keep_alive
15010 < A 5001 1101 => keep_alive_ack
20000 < A 5001 1101 len=10
30000 > A 1100 5011 => keep_alive`, 1, 0, 1, 1},
		{"a repetition does not end it", idle + `
15000 > A 1100 5001 => keep_alive
16000 > A 1001 5001 len=100 => retransmission,spurious_retransmission`, 1, 0, 0, 1},
		{"a reset is no answer", idle + `
15000 > A 1100 5001 => keep_alive
15010 < R 5001`, 1, 0, 0, 1},
		{"an answer with another window is one", idle + `
15000 > A 1100 5001 => keep_alive
15010 < A 5001 1101 win=9 => window_update`, 1, 1, 1, 1},
		{"probes from both ends do not answer each other", idle + `
15000 > A 1100 5001 => keep_alive
15001 < A 5000 1101 => keep_alive`, 2, 0, 0, 2},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, c := run(t, x.script)
			equal(t, "round, answered, total, kept", []uint32{c.KeepAliveRound, c.KeepAliveAnswered, c.KeepAliveAnsweredTotal, uint32(len(c.KeepAlives))},
				[]uint32{x.round, x.answered, x.total, x.probesIn})
		})
	}
}

func TestResetsAndAfter(t *testing.T) {
	_, c := run(t, opened+`
30 > A  1001 5001 len=100
31 < RA 5001 1101 ttl=250 win=0 id=77
32 < A  5001 1101 len=50
33 < A  5051 1101 len=50
34 > A  1101 5051`)
	equal(t, "closed", c.Closed(), true)
	m := c.Resets[0]
	equal(t, "the reset", []uint32{uint32(m.Frame), m.Seq, m.Ack, uint32(m.TTL), uint32(m.IPID), uint32(m.Dir)}, []uint32{5, 1, 101, 250, 77, 1})
	equal(t, "segments after it", c.AfterReset, [2]uint32{0, 2})
	equal(t, "of which it cannot have overtaken", c.BeyondReset, [2]uint32{0, 2})
	equal(t, "the first of them", c.AfterResetFirst[1].Frame, int64(6))
	equal(t, "its hop limit is not the server's", [2]uint8{c.Server().MinTTL, c.Server().MaxTTL}, [2]uint8{64, 64})
	equal(t, "nor its identification", c.Server().IPIDs, [4]uint16{0, 0, 1, 0})

	_, c = run(t, opened+`
30 > A  1001 5001 len=100
31 < RA 5101 1101 win=0
32 < A  5001 1101 len=50 => out_of_order
33 < A  5051 1101 len=50 => retransmission`)
	equal(t, "overtaken", [][2]uint32{c.AfterReset, c.BeyondReset}, [][2]uint32{{0, 2}, {}})

	_, c = run(t, opened+`
30 > A  1001 5001 len=100
31 < RA 5001 1101 id=9
32 < RA 5001 1101 id=9 if=1
33 < RA 5001 1101 id=10`)
	equal(t, "one of three was captured twice", []int{len(c.Resets), int(c.Server().RSTs)}, []int{2, 2})

	script := opened
	for i := range 20 {
		script += fmt.Sprintf("30 < R 5001 id=%d\n31 < R 5002 id=%d\n", 100+i, 200+i)
	}
	_, c = run(t, script)
	equal(t, "bound", []int{len(c.Resets), int(c.Server().RSTs)}, []int{maxResets, 40})
}

// A block below the acknowledgement tells of a duplicate, not of a hole.
func TestDuplicateSACK(t *testing.T) {
	for script, want := range map[string]uint32{
		"sack=4901-5001 sack=5101-5201 => duplicate_ack": 101,
		"sack=5101-5201 sack=5301-5401 => duplicate_ack": 101,
		"sack=5301-5401 sack=5101-5201 => duplicate_ack": 301,
	} {
		_, c := run(t, opened+"30 < A 5101 1001 len=100 => lost_segment\n31 > A 1001 5001 "+script)
		equal(t, script, c.Client().SACKLeft, want)
	}
}

func TestStrayReset(t *testing.T) {
	_, c := run(t, opened+`
30 > A  1001 5001 len=100
31 < RA 900005001 1101 win=0 id=7
32 < A  5001 1101 len=50 => out_of_order
33 < A  5051 1101 len=60 => out_of_order
34 > A  1101 5111`)
	s := c.Server()
	equal(t, "bytes that advanced the stream", s.NewBytes, uint64(110))
	equal(t, "the end of what was sent", s.SentEnd(), uint32(111))
	equal(t, "nothing outstanding", c.Outstanding(1), uint32(0))
	equal(t, "nothing sent again", s.ResendCount, uint32(0))
	equal(t, "what the client expected", c.Resets[0].Next, uint32(1))
	equal(t, "its window is known", c.Resets[0].Reach > 0, true)
	equal(t, "the last segment after it", c.AfterResetLast[1].Frame, int64(7))
}

func TestHoleWait(t *testing.T) {
	for _, x := range []struct {
		name, script string
		wait         int64
	}{
		{"silence in front of a hole", "30 < A 5101 1001 len=100 => lost_segment\n31 > A 1001 5001 sack=5101-5201 => duplicate_ack\n3030 < A 5001 1001 len=100 => retransmission", 3e9},
		{"silence in front of a hole, no selective acknowledgements", "30 < A 5101 1001 len=100 => lost_segment\n31 > A 1001 5001 => duplicate_ack\n3030 < A 5001 1001 len=100 => retransmission", 3e9},
		{"an acknowledgement that was late, no hole", "30 < A 5001 1001 len=100\n31 < A 5101 1001 len=100\n60 > A 1001 5101\n3030 < A 5201 1001 len=100", 0},
		{"silence without one", "30 < A 5001 1001 len=100\n31 > A 1001 5101\n3030 < A 5101 1001 len=100", 0},
		{"a short one", "30 < A 5101 1001 len=100 => lost_segment\n31 > A 1001 5001 sack=5101-5201 => duplicate_ack\n930 < A 5001 1001 len=100 => retransmission", 0},
		{"a hole that was filled", "30 < A 5101 1001 len=100 => lost_segment\n31 > A 1001 5001 sack=5101-5201 => duplicate_ack\n40 < A 5001 1001 len=100 => out_of_order\n41 > A 1001 5201\n3040 < A 5201 1001 len=100", 0},
	} {
		_, c := run(t, opened+x.script)
		equal(t, x.name, c.Server().HoleWait, x.wait)
	}
}

func TestFlowing(t *testing.T) {
	for _, x := range []struct {
		name, script string
		flowing      int64
	}{
		{"one segment", "30 < A 5001 1001 len=100", 0},
		{"two", "30 < A 5001 1001 len=100\n830 < A 5101 1001 len=100", 800e6},
		{"a pause between them", "30 < A 5001 1001 len=100\n1030 < A 5101 1001 len=100\n1130 < A 5201 1001 len=100", 100e6},
	} {
		_, c := run(t, opened+x.script)
		equal(t, x.name, c.Server().Flowing, x.flowing)
	}
}

func TestLateBytes(t *testing.T) {
	for _, x := range []struct {
		name, script string
		late         uint64
	}{
		{"after the other end's FIN", opened + `
30 > FA 1001 5001
40 < A  5001 1002 len=100`, 100},
		{"after the other end's reset", opened + `
30 > R 1001
40 < A 5001 1001 len=100`, 100},
		{"after the own FIN", opened + `
30 > FA 1001 5001 len=10
40 > A  1012 5001 len=100`, 0},
		{"a repetition", opened + `
30  < A  5001 1001 len=100
40  > FA 1001 5001
300 < A  5001 1002 len=100 => retransmission`, 0},
		{"in time", opened + `
30 < A 5001 1001 len=100`, 0},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, c := run(t, x.script)
			equal(t, "late bytes", c.Client().LateBytes+c.Server().LateBytes, x.late)
		})
	}
}

func TestDuplicates(t *testing.T) {
	for _, x := range []struct {
		name, second string
		duplicates   uint32
	}{
		{"same identification, other interface", "31 > A 1001 5001 len=100 id=9 if=1 => retransmission", 1},
		{"same identification, same interface (port mirroring)", "31 > A 1001 5001 len=100 id=9 => retransmission", 1},
		{"a retransmission has a new identification", "31 > A 1001 5001 len=100 id=10 => retransmission", 0},
		{"too late", "130 > A 1001 5001 len=100 id=9 if=1 => retransmission", 0},
		{"a microsecond before too late", "129.999 > A 1001 5001 len=100 id=9 if=1 => retransmission", 1},
		{"behind another segment", "30.1 > A 1101 5001 len=0 id=10 => duplicate_ack\n36 > A 1001 5001 len=100 id=9 if=1 => retransmission", 1},
		{"another acknowledgement", "31 > A 1001 5000 len=100 id=9 if=1 => retransmission", 0},
		{"captured before, as the clock says", "29 > A 1001 5001 len=100 id=9 if=1 => retransmission", 1},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, c := run(t, opened+"30 > A 1001 5001 len=100 id=9\n"+x.second)
			equal(t, "duplicates", c.Client().Duplicates, x.duplicates)
			equal(t, "new bytes", c.Client().NewBytes, uint64(100))
			equal(t, "bytes", c.Client().Bytes, uint64(200))
		})
	}
	for _, x := range []struct {
		name, second string
		duplicates   uint32
	}{
		{"no identification, same path: sent again", "31 > A 1001 5001 len=100 => retransmission", 0},
		{"no identification, other interface", "31 > A 1001 5001 len=100 if=1 => retransmission", 1},
		{"no identification, forwarded", "31 > A 1001 5001 len=100 ttl=63 => retransmission", 1},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, c := run(t, opened+"30 > A 1001 5001 len=100\n"+x.second)
			equal(t, "duplicates", c.Client().Duplicates, x.duplicates)
		})
	}
}

func TestZeroWindowMarks(t *testing.T) {
	_, c := run(t, opened+`
30 > A 1001 5001 len=100
40 < A 5001 1101 win=0 => zero_window
50 < A 5001 1101 win=9 => window_update
60 < A 5001 1101 win=0 => zero_window`)
	equal(t, "count", []int{len(c.ZeroWindows), int(c.Server().ZeroWindows)}, []int{2, 2})
	equal(t, "first", []int64{c.ZeroWindows[0].Frame, int64(c.ZeroWindows[0].Dir), int64(c.ZeroWindows[0].Ack)}, []int64{5, 1, 101})
	equal(t, "final window", c.Server().FinalWindow(), uint32(0))
	equal(t, "final window, scaled", c.Client().FinalWindow(), uint32(64240<<1))
}

func TestAcknowledged(t *testing.T) {
	_, c := run(t, opened+`
30 > A 1001 5001 len=100
31 > A 1101 5001 len=100
32 > A 1201 5001 len=100
40 < A 5001 1101 sack=1201-1301 sackok
41 < A 5001 1051 sack=1201-1301`)
	equal(t, "highest", c.Server().HighAck, uint32(101))
	equal(t, "outstanding", c.Outstanding(c.ClientDir), uint32(200))
	equal(t, "sent", c.Client().SentEnd(), uint32(301))
	equal(t, "SACK", [2]uint32{c.Server().SACKLeft, c.Server().SACKRight}, [2]uint32{201, 301})
	equal(t, "progress", c.Server().Progress, Point{7, ms(40)})
	equal(t, "nothing outstanding", c.Outstanding(1-c.ClientDir), uint32(0))
}

// TestPastHalfTheSequenceSpace holds that acknowledgements go on being
// followed in a transfer of more than 2 and of more than 4 GiB.
func TestPastHalfTheSequenceSpace(t *testing.T) {
	table := NewTable(discard{}, Options{})
	client, server := testEnds(0)
	seg := newSegments(client, server)
	table.Segment(seg.at(0, 0, decode.SYN, 1000, 0, 0))
	table.Segment(seg.at(1, 1, decode.SYN|decode.ACK, 4e9, 1001, 0))
	c, _, _ := table.Segment(seg.at(2, 0, decode.ACK, 1001, 4e9+1, 0))
	const size = 1 << 20
	var sent uint64
	for i := range 5 << 10 {
		seq := uint32(4e9 + 1 + sent)
		table.Segment(seg.at(int64(3+2*i), 1, decode.ACK, seq, 1001, size))
		sent += size
		table.Segment(seg.at(int64(4+2*i), 0, decode.ACK, 1001, seq+size, 0))
		if got, want := c.Half[0].HighAck, uint32(1+sent); got != want {
			t.Fatalf("after %d bytes the highest acknowledgement is %d, want %d", sent, got, want)
		}
		if n := c.Outstanding(1); n != 0 {
			t.Fatalf("after %d bytes %d are outstanding", sent, n)
		}
	}
	equal(t, "new bytes", c.Half[1].NewBytes, sent)
	equal(t, "progress", c.Half[0].Progress.Time, int64(4+2*(5<<10-1)))
	equal(t, "samples", c.Half[1].RTT.Samples, uint32(5<<10+1))
}

func TestCloses(t *testing.T) {
	for _, x := range []struct {
		name, script string
		closed       bool
	}{
		{"one FIN", opened + "30 > FA 1001 5001", false},
		{"one FIN twice", opened + "30 > FA 1001 5001\n300 > FA 1001 5001 => retransmission", false},
		{"both", opened + "30 > FA 1001 5001\n40 < FA 5001 1002", true},
		{"a reset", opened + "30 > R 1001", true},
		{"data", opened + "30 > A 1001 5001 len=10", false},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, c := run(t, x.script)
			equal(t, "closed", c.Closed(), x.closed)
		})
	}
	_, c := run(t, opened+"30 > FA 1001 5001\n300 > FA 1001 5001 => retransmission")
	equal(t, "FINs", c.Client().FINs, uint16(2))
	equal(t, "first FIN", c.Client().FIN, Point{4, ms(30)})
}

func TestPathFacts(t *testing.T) {
	_, c := run(t, opened+`
30 < A 5001 1001 len=10 ttl=50 id=3
31 < A 5011 1001 len=20 ttl=57 id=4
32 < A 5031 1001 len=5  ttl=55 id=5 bad
33 < A 5036 1001 len=9 cap=3 ttl=56 id=6`)
	h := c.Server()
	equal(t, "hop limits", [2]uint8{h.MinTTL, h.MaxTTL}, [2]uint8{50, 64})
	equal(t, "identifications, newest first", h.IPIDs, [4]uint16{6, 5, 4, 3})
	equal(t, "bad checksums", h.BadChecksums, uint16(1))
	equal(t, "largest", h.MaxLen, uint32(20))
	equal(t, "sliced", c.SlicedSegments(), uint32(1))
	equal(t, "first and last data", [2]int64{h.FirstData.Frame, h.LastData.Frame}, [2]int64{4, 7})
	equal(t, "loopback", c.Loopback, false)
}

// TestNotInTimeOrder holds that first and last follow the time and not the
// place in the file, as the interfaces of one capture can be written in turns.
func TestNotInTimeOrder(t *testing.T) {
	_, c := run(t, `
20 > A  1001 5001
30 > A  1001 5001 len=100
0  > S  1000              => retransmission
10 < SA 5000 1001
25 > A  1101 5001 len=100`)
	equal(t, "start", c.Start, Point{3, ms(0)})
	equal(t, "last", c.Last, Point{2, ms(30)})
	equal(t, "first data", c.Client().FirstData, Point{5, ms(25)})
	equal(t, "last data", c.Client().LastData, Point{2, ms(30)})
	equal(t, "last new data", c.Client().LastNewData, Point{2, ms(30)})
}

func TestNewBytes(t *testing.T) {
	for _, x := range []struct {
		name, script string
		fresh        uint64
		last         int64 // frame of the last new data
	}{
		{"in order", opened + "30 > A 1001 5001 len=100\n31 > A 1101 5001 len=100", 200, 5},
		{"sent again", opened + "30 > A 1001 5001 len=100\n300 > A 1001 5001 len=100 => retransmission", 100, 4},
		{"keep-alive", opened + "30 > A 1001 5001 len=100\n300 > A 1100 5001 len=1 => keep_alive", 100, 4},
		{"one byte sent again with more", opened + "30 > A 1001 5001 len=100\n31 > A 1100 5001 len=11", 110, 5},
		{"none", opened, 0, 0},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, c := run(t, x.script)
			equal(t, "new bytes", c.Client().NewBytes, x.fresh)
			equal(t, "last new data", c.Client().LastNewData.Frame, x.last)
		})
	}
}

// TestSYNsCapturedTwice counts packets, not frames.
func TestSYNsCapturedTwice(t *testing.T) {
	for _, x := range []struct {
		name, second string
		syns         uint16
		last         int64
	}{
		{"captured twice", "0.1 > S 1000 id=9 => retransmission", 1, 1},
		{"sent twice", "1000 > S 1000 id=10 => retransmission", 2, 2},
		{"sent twice without identification", "1000 > S 1000 => retransmission", 2, 2},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, c := run(t, "0 > S 1000 id=9\n"+x.second)
			equal(t, "SYNs and last", []int64{int64(c.Client().SYNs), c.Client().LastSYN.Frame}, []int64{int64(x.syns), x.last})
		})
	}
}

// TestAnotherSYNACK has SYN/ACKs that differ, as of a server that answers from
// SYN cookies, or of a box on the way.
func TestAnotherSYNACK(t *testing.T) {
	for _, x := range []struct {
		name, script string
		bytes        uint64
		sent         uint32
		last         int64
	}{
		{"the client takes the second", `
0  > S  1000
10 < SA 900000 1001
11 < SA 5000 1001 => out_of_order,reused_ports
20 > A  1001 5001 len=100
30 < A  5001 1101 len=200 => retransmission`, 200, 201, 5},
		{"the client keeps to the first", `
0  > S  1000
10 < SA 5000 1001
20 > A  1001 5001 len=100
30 < SA 900000 1001 => lost_segment,reused_ports
40 < A  5001 1101 len=200 => out_of_order`, 200, 201, 5},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, c := run(t, x.script)
			equal(t, "new bytes", c.Server().NewBytes, x.bytes)
			equal(t, "last new data", c.Server().LastNewData.Frame, x.last)
			equal(t, "sent", c.Server().SentEnd(), x.sent)
		})
	}
}

func TestSYNACKVariants(t *testing.T) {
	_, c := run(t, `
0  > S  1000
10 < SA 5000 1001
11 < SA 9000 1001 => lost_segment,reused_ports
20 > A  1001 9001 => ack_lost_segment`)
	equal(t, "variants", c.SYNACKVariants, uint8(1))
	_, c = run(t, `
0    > S  1000
10   < SA 5000 1001
1010 < SA 5000 1001 => retransmission`)
	equal(t, "repeated", c.SYNACKVariants, uint8(0))
	_, c = run(t, `
0  > S  1000
10 < RA 0 1001
20 > S  1000      => retransmission
30 < SA 5000 1001 => reused_ports`)
	equal(t, "accepted after a refusal", c.SYNACKVariants, uint8(0))
}
