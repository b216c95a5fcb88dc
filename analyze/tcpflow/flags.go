package tcpflow

import "strings"

// Flags is the set of tcp.analysis.* findings on one segment.
type Flags uint32

// The findings, named after Wireshark's tcp.analysis.* fields. Retransmission
// is also set for fast and spurious ones, as in Wireshark.
const (
	Retransmission Flags = 1 << iota
	FastRetransmission
	SpuriousRetransmission
	OutOfOrder
	DuplicateACK
	LostSegment
	ACKLostSegment
	ZeroWindow
	ZeroWindowProbe
	ZeroWindowProbeACK
	WindowFull
	WindowUpdate
	KeepAlive
	KeepAliveACK
	ReusedPorts
)

var flagNames = [...]string{
	"retransmission", "fast_retransmission", "spurious_retransmission", "out_of_order",
	"duplicate_ack", "lost_segment", "ack_lost_segment", "zero_window", "zero_window_probe",
	"zero_window_probe_ack", "window_full", "window_update", "keep_alive", "keep_alive_ack",
	"reused_ports",
}

// Append appends the names of the flags set in f, comma-separated, to b.
func (f Flags) Append(b []byte) []byte {
	first := true
	for i, name := range flagNames {
		if f&(1<<i) == 0 {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, name...)
	}
	return b
}

// String returns the names of the flags set in f, comma-separated.
func (f Flags) String() string { return string(f.Append(nil)) }

// ParseFlags is the inverse of String; unknown names are reported by ok.
func ParseFlags(s string) (f Flags, ok bool) {
	if s == "" {
		return 0, true
	}
	ok = true
next:
	for name := range strings.SplitSeq(s, ",") {
		for i, known := range flagNames {
			if name == known {
				f |= 1 << i
				continue next
			}
		}
		ok = false
	}
	return f, ok
}
