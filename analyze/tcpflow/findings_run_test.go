package tcpflow

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"goproxytrace/internal/corpus"
)

func TestFindings(t *testing.T) {
	for _, f := range findings {
		t.Run(f.name, func(t *testing.T) { run(t, f.script) })
	}
}

// TestFindingsCounted holds that each finding raises its counter and no other.
func TestFindingsCounted(t *testing.T) {
	for i, name := range flagNames {
		var h Half
		h.count(1 << i)
		got := map[string]uint32{
			"retransmission": h.Retransmissions, "fast_retransmission": h.FastRetransmissions,
			"spurious_retransmission": h.SpuriousRetransmissions, "out_of_order": h.OutOfOrder,
			"duplicate_ack": h.DuplicateACKs, "lost_segment": h.LostSegments, "ack_lost_segment": h.ACKLostSegments,
			"zero_window": h.ZeroWindows, "zero_window_probe": h.ZeroWindowProbes,
			"zero_window_probe_ack": h.ZeroWindowProbeACKs, "window_full": h.WindowFull, "window_update": h.WindowUpdates,
			"keep_alive": h.KeepAlives, "keep_alive_ack": h.KeepAliveACKs,
		}
		for k, n := range got {
			want := uint32(0)
			if k == name {
				want = 1
			}
			if n != want {
				t.Errorf("%s counts %d under %s, want %d", name, n, k, want)
			}
		}
	}
	var h Half
	h.count(Retransmission | FastRetransmission)
	h.count(Retransmission | SpuriousRetransmission)
	if h.Retransmissions != 0 || h.FastRetransmissions != 1 || h.SpuriousRetransmissions != 1 {
		t.Errorf("fast and spurious ones count as plain: %+v", h.Counts)
	}
}

func TestFlagsText(t *testing.T) {
	for f := Flags(0); f < 1<<len(flagNames); f++ {
		if g, ok := ParseFlags(f.String()); !ok || g != f {
			t.Fatalf("flags %#x become %q and then %#x (%v)", uint32(f), f.String(), uint32(g), ok)
		}
	}
	if f, ok := ParseFlags("keep_alive,nonsense"); ok || f != KeepAlive {
		t.Errorf("an unknown name gives %v, %v", f, ok)
	}
}

// TestFindingsAgainstTshark asks Wireshark about every script, in one capture.
func TestFindingsAgainstTshark(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		corpus.Skip(t, "tshark is not installed: the wanted findings are not checked against Wireshark 4.0.17")
	}
	if out, err := exec.Command(tshark, "--version").Output(); err != nil || !strings.Contains(string(out), " 4.0.17 ") {
		corpus.Skip(t, "tshark is not 4.0.17: the wanted findings are not checked against it")
	}
	var all []frame
	var names []string
	for i, f := range findings {
		for _, line := range parseScript(t, f.script, i) {
			all = append(all, line)
			names = append(names, f.name)
		}
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
	for i, row := range rows {
		var got Flags
		for bit, v := range strings.Split(row, "\t")[1:] {
			if v != "" {
				got |= 1 << bit
			}
		}
		if want, _ := ParseFlags(all[i].want); got != want {
			t.Errorf("%s: %s\n\ttshark finds %q", names[i], all[i].text, got)
		}
	}
	t.Logf("%d scripts, %d segments", len(findings), len(all))
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
