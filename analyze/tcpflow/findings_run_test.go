package tcpflow

import (
	"testing"
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
