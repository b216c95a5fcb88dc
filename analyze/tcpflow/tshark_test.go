package tcpflow

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"goproxytrace/internal/corpus"
)

// askTshark returns Wireshark's findings on frames, or skips.
func askTshark(t *testing.T, all []frame) []Flags {
	t.Helper()
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		corpus.Skip(t, "tshark is not installed: the findings are not checked against Wireshark 4.0.17")
	}
	if out, err := exec.Command(tshark, "--version").Output(); err != nil || !strings.Contains(string(out), " 4.0.17 ") {
		corpus.Skip(t, "tshark is not 4.0.17: the findings are not checked against it")
	}
	path := filepath.Join(t.TempDir(), "scripts.pcap")
	if err := os.WriteFile(path, pcap(all), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-n", "-r", path, "-T", "fields", "-e", "frame.number"}
	for _, name := range flagNames {
		args = append(args, "-e", "tcp.analysis."+name)
	}
	out, err := exec.Command(tshark, args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(rows) != len(all) {
		t.Fatalf("tshark reads %d frames, want %d", len(rows), len(all))
	}
	found := make([]Flags, len(all))
	for i, row := range rows {
		for bit, v := range strings.Split(row, "\t")[1:] {
			if v != "" {
				found[i] |= 1 << bit
			}
		}
	}
	return found
}

// TestFindingsAgainstTshark asks Wireshark about every script, in one capture.
func TestFindingsAgainstTshark(t *testing.T) {
	var all []frame
	var names []string
	for i, f := range findings {
		for _, line := range parseScript(t, f.script, i) {
			all = append(all, line)
			names = append(names, f.name)
		}
	}
	for i, got := range askTshark(t, all) {
		if want, _ := ParseFlags(all[i].want); got != want {
			t.Errorf("%s: %s\n\ttshark finds %q", names[i], all[i].text, got)
		}
	}
	t.Logf("%d scripts, %d segments", len(findings), len(all))
}

// TestRandomAgainstTshark makes up conversations whose numbers lie close
// together, so that the rules meet each other in ways that no script has.
func TestRandomAgainstTshark(t *testing.T) {
	const conversations, segments = 400, 40
	var all []frame
	var scripts []string
	for i := range conversations {
		script := randomScript(rand.New(rand.NewPCG(7, uint64(i))), segments)
		frames := parseScript(t, script, i)
		all = append(all, frames...)
		for range frames {
			scripts = append(scripts, script)
		}
	}
	found := askTshark(t, all)
	differing := map[string]bool{}
	for i := 0; i < len(all); {
		script := scripts[i]
		p := newPlay(t, Options{KeepAll: true})
		p.loose = true
		for ; i < len(all) && scripts[i] == script; i++ {
			got := p.segment(all[i])
			if got != found[i] && !differing[script] {
				differing[script] = true
				before, _, _ := strings.Cut(script, all[i].text)
				t.Errorf("after\n%s%s\n\twe find %q, tshark %q", before, all[i].text, got, found[i])
			}
		}
	}
	kinds := map[Flags]int{}
	for _, f := range found {
		kinds[f]++
	}
	for i, name := range flagNames {
		n := 0
		for f, c := range kinds {
			if f&(1<<i) != 0 {
				n += c
			}
		}
		if n < 10 {
			t.Errorf("only %d segments are %s: the conversations reach too little", n, name)
		}
	}
	t.Logf("%d segments with %d different sets of findings", len(all), len(kinds))
}

// randomScript makes up one conversation.
func randomScript(rng *rand.Rand, segments int) string {
	var b strings.Builder
	first := [2]int64{rng.Int64N(1 << 32), rng.Int64N(1 << 32)}
	if rng.IntN(4) == 0 {
		first[rng.IntN(2)] = -rng.Int64N(400) // wraps, or touches zero
	}
	next := [2]int64{first[0] + 1, first[1] + 1}
	scale := [2]int64{}
	win := [2]int64{64240, 64240}
	ackOf := [2]int64{next[1], next[0]} // what each end last acknowledged
	ms := 0.0
	line := func(d int, flags string, seq int64, ack bool, ackNo int64, format string, args ...any) {
		fmt.Fprintf(&b, "%.6f %c %s %d", ms, "><"[d], flags, seq)
		if ack {
			fmt.Fprintf(&b, " %d", ackNo)
			ackOf[d] = ackNo
		}
		fmt.Fprintf(&b, format+"\n", args...)
	}
	option := func(d int) string {
		if rng.IntN(3) == 0 {
			return ""
		}
		scale[d] = rng.Int64N(16)
		return fmt.Sprintf(" scale=%d", scale[d])
	}
	pick := func(n ...int64) int64 { return n[rng.IntN(len(n))] }
	if rng.IntN(4) > 0 {
		line(0, "S", first[0], false, 0, option(0))
		ms += 10
		line(1, "SA", first[1], true, next[0], option(1))
		ms += 10
		line(0, "A", next[0], true, next[1], "")
	}
	for range segments {
		ms += []float64{0.1, 1, 2.9, 3, 3.1, 10, 19.9, 20, 20.1, 500, -1}[rng.IntN(11)]
		d := rng.IntN(2)
		o := 1 - d
		seq := next[d]
		if rng.IntN(3) == 0 {
			seq += pick(-1, 1, -100, 100, -200, -101, -2, 1000)
		}
		ack := next[o]
		switch rng.IntN(4) {
		case 0:
			ack += pick(-1, 1, -100, 100, -50, 1000)
		case 1:
			ack = ackOf[d]
		}
		n := pick(0, 0, 0, 1, 100, 100, 100, 50, 2)
		flags := "A"
		if rng.IntN(12) == 0 {
			flags = []string{"FA", "RA", "R", "-", "S", "SA", "F", "FPA"}[rng.IntN(8)]
		}
		if strings.Contains(flags, "S") {
			n = 0
			if rng.IntN(2) == 0 {
				seq = first[d]
			} else if rng.IntN(3) == 0 {
				first[d] = seq
			}
		}
		extra := ""
		if rng.IntN(5) == 0 {
			win[d] = pick(0, 0, 1, 100, 500, 64240)
		}
		if strings.Contains(flags, "S") || rng.IntN(30) == 0 {
			extra += option(d)
		}
		if n > 0 && rng.IntN(3) == 0 {
			full := ackOf[o] + win[o]<<pick(0, min(scale[o], 14)) - seq
			if full > 0 && full < 60000 {
				n = full
			}
		}
		if rng.IntN(20) == 0 {
			extra += fmt.Sprintf(" mptcp=%d", 1+rng.IntN(5))
		}
		if rng.IntN(30) == 0 {
			extra += " cut"
		}
		line(d, flags, seq, strings.Contains(flags, "A"), ack, " len=%d win=%d%s", n, win[d], extra)
		if end := seq + n; end > next[d] && rng.IntN(8) > 0 {
			next[d] = end
		}
	}
	return b.String()
}

// pcap writes frames as a capture file with nanosecond times.
func pcap(frames []frame) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 0xa1b23c4d)
	b = le.AppendUint32(b, 4<<16|2)
	b = append(b, make([]byte, 8)...)
	b = le.AppendUint32(b, 262144)
	b = le.AppendUint32(b, uint32(rawIP))
	for _, f := range frames {
		b = le.AppendUint32(b, uint32(f.time/1e9))
		b = le.AppendUint32(b, uint32(f.time%1e9))
		b = le.AppendUint32(b, uint32(len(f.data)))
		b = le.AppendUint32(b, uint32(f.wire))
		b = append(b, f.data...)
	}
	return b
}
