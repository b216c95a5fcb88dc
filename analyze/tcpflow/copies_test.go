package tcpflow

import (
	"fmt"
	"strings"
	"testing"
)

// conversation is one in which everything happens that copies could be taken
// for: repetitions, acknowledgements that stand still, probes, a closed window.
const conversation = `
0     > S  1000       mss=1460 sackok scale=1
10    < SA 5000 1001  mss=1400 sackok scale=1
20    > A  1001 5001
21    > A  1001 5001  len=100
250   > A  1001 5001  len=100
270   < A  5001 1101
271   < A  5001 1101  len=300
272   < A  5401 1101  len=300
273   > A  1101 5301  sack=5401-5701
590   < A  5301 1101  len=100
591   > A  1101 5701  win=0
15591 > A  1100 5701  win=0
15611 < A  5701 1101
16000 > A  1101 5701
16100 < FA 5701 1101
16101 > A  1101 5702
16102 > R  1101
`

// repeated has each frame of a script n times, 20 microseconds apart.
func repeated(t testing.TB, script string, n int) (out []frame) {
	for _, f := range parseScript(t, script, 0) {
		for i := range n {
			f.time += int64(min(i, 1)) * 20e3
			out = append(out, f)
		}
	}
	return out
}

func playAll(t testing.TB, frames []frame) *Conn {
	p := newPlay(t, Options{KeepAll: true})
	for _, f := range frames {
		p.segment(f)
	}
	return p.last
}

// facts tells what verdicts are made from, without what counts frames.
func facts(c *Conn) string {
	var b strings.Builder
	for d, h := range c.Half {
		fmt.Fprintln(&b, d, h.DataPackets, h.NewBytes, h.Counts, h.SYNs, h.RSTs, h.FINs, h.ResendCount, len(h.Resends), h.HighAck, h.HoleWaits,
			h.Repeated.Seen(), h.LateBytes, h.LastWindow, h.SentEnd())
	}
	fmt.Fprintln(&b, len(c.Resets), c.AfterReset, c.KeepAliveRound, c.KeepAliveAnswered, c.KeepAliveAnsweredTotal, len(c.ZeroWindows),
		c.SYNACKVariants, c.HandshakeACK.Seen(), c.Closed())
	return b.String()
}

// TestRepeatedPackets holds that a capture which holds each packet several times,
// without anything that tells copies apart, yields the facts of one that holds
// each once.
func TestRepeatedPackets(t *testing.T) {
	once := playAll(t, repeated(t, conversation, 1))
	equal(t, "copies where there are none", once.Half[0].Duplicates+once.Half[1].Duplicates, uint32(0))
	for _, n := range []int{2, 8} {
		c := playAll(t, repeated(t, conversation, n))
		equal(t, fmt.Sprint(n, " times: facts"), facts(c), facts(once))
		for d, h := range c.Half {
			equal(t, fmt.Sprint(n, " times: packets of direction ", d), h.Packets, uint64(n)*once.Half[d].Packets)
			equal(t, fmt.Sprint(n, " times: copies in direction ", d), uint64(h.Duplicates), uint64(n-1)*once.Half[d].Packets)
		}
	}
}

// TestRepeatedBurst holds the same where a whole burst passes one component of
// the stack before the next.
func TestRepeatedBurst(t *testing.T) {
	const burst = 60
	frames := repeated(t, "0 > S 1000\n10 < SA 5000 1001\n20 > A 1001 5001", 2)
	for i := range 2 * burst {
		frames = append(frames, parseScript(t, fmt.Sprintf("%f < A %d 1001 len=100", 40+float64(i)/100, 5001+i%burst*100), 0)...)
	}
	h := playAll(t, frames).Server()
	equal(t, "segments", h.DataPackets, uint64(burst))
	equal(t, "copies", h.Duplicates, uint32(burst+1))
	equal(t, "new bytes", h.NewBytes, uint64(100*burst))
}

// TestSentTwice holds the look-alikes: what a sender does send twice, with a
// header that does not differ, stays two packets.
func TestSentTwice(t *testing.T) {
	for _, x := range []struct {
		name, script string
		copies       uint32
	}{
		{"two resets, a capture that repeats nothing", "30 < R 5001\n30.1 < R 5001", 0},
		{"two resets, both captured twice", "0 > S 1000\n0.02 > S 1000\n30 < R 5001\n30.02 < R 5001", 2},
		{"acknowledgements of one number, nothing repeated", "30 < A 5101 1001 len=100\n31 > A 1001 5001\n31.1 > A 1001 5001", 0},
		{"sent again after a time, in a capture that repeats", "0.02 > S 1000\n30 > A 1001 5001 len=9\n41 > A 1001 5001 len=9", 1},
		{"another window, in a capture that repeats", "0.02 > S 1000\n30 > A 1001 5001 len=9\n30.1 > A 1001 5001 len=9 win=1", 1},
		{"another time stamp, in a capture that repeats", "0.02 > S 1000\n30 > A 1001 5001 len=9 ts=1\n31 > A 1001 5001 len=9 ts=2", 1},
		{"a SYN that is sent again", "1000 > S 1000", 0},
	} {
		start := "0 > S 1000\n"
		if strings.HasPrefix(x.script, "0 >") {
			start = ""
		}
		c := playAll(t, parseScript(t, start+x.script, 0))
		n := c.Half[0].Duplicates
		if c.Half[1] != nil {
			n += c.Half[1].Duplicates
		}
		equal(t, x.name, n, x.copies)
	}
}

// TestRepeatingCapture holds that copies are known as such also in connections
// whose beginning was not captured, once the capture was seen to repeat packets.
func TestRepeatingCapture(t *testing.T) {
	for _, known := range []bool{false, true} {
		p := newPlay(t, Options{KeepAll: true})
		for i := range 2 * copiesLeast {
			if known || i%2 == 0 {
				p.segment(parseScript(t, fmt.Sprintf("%d > S 1000 port=%d", i/2, 50000+i/2), 0)[0])
			}
		}
		for _, f := range repeated(t, "100 > A 1001 5001 len=10", 3) {
			p.segment(f)
		}
		want := uint32(0)
		if known {
			want = 2
		}
		equal(t, fmt.Sprint("known ", known), p.last.Half[0].Duplicates, want)
	}
}
