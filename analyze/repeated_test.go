package analyze

import (
	"path/filepath"
	"slices"
	"testing"

	"goproxytrace/capture"
)

// repeat makes what a monitor of the host's network stack records in place of w:
// each packet at each of n components that it passes, some microseconds apart, on
// one interface and with nothing to tell them apart (pktmon etl2pcap: "pcapng
// format doesn't distinguish between different networking components").
func (w *wire) repeat(n int) *wire {
	out := &wire{info: w.info}
	out.info.Interfaces = slices.Clone(w.info.Interfaces)
	for i := range w.packets {
		for j := range n {
			p := w.packets[i]
			p.Time += int64(j) * 5 * microsecond
			p.Number = int64(len(out.packets)) + 1
			out.packets = append(out.packets, p)
		}
	}
	// Packets that follow each other closely pass each other's copies.
	slices.SortStableFunc(out.packets, func(a, b capture.Packet) int { return int(a.Time - b.Time) })
	out.renumber()
	for i := range out.info.Interfaces {
		f := &out.info.Interfaces[i]
		f.Packets *= int64(n)
		for _, c := range []**uint64{&f.Received, &f.FilterAccepted, &f.Delivered} {
			if *c != nil {
				m := **c * uint64(n)
				*c = &m
			}
		}
	}
	return out
}

// TestRepeatedCaptures holds that the verdict on a capture stays what it is where
// every packet was recorded four times, and that this is said.
func TestRepeatedCaptures(t *testing.T) {
	for _, path := range ownCaptures(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			w := load(t, path)
			once := analyse(t, w, lookedFor)
			again := analyse(t, w.repeat(4), lookedFor)
			if a, b := &once.Verdict, &again.Verdict; a.Class != b.Class || a.Level != b.Level || !slices.Equal(a.Place, b.Place) {
				t.Errorf("verdict %s %s %v, once recorded %s %s %v", b.Class, b.Level, b.Place, a.Class, a.Level, a.Place)
			}
			told := slices.ContainsFunc(again.Capture.Health, func(f HealthFact) bool { return f.ID == "K5.duplicates" })
			if segments := once.Capture.Segments; segments > 0 != told {
				t.Errorf("%d segments, and duplicates are told of: %v", segments, told)
			}
			was := connections(t, once)
			for i, c := range connections(t, again) {
				if i >= len(was) {
					t.Fatalf("connection %d is new", i)
				}
				o := was[i]
				if c.Verdict.Class != o.Verdict.Class || c.Bytes != o.Bytes {
					t.Errorf("connection %d: %s, %v, once recorded %s, %v", i, c.Verdict.Class, c.Bytes, o.Verdict.Class, o.Bytes)
				}
				if n, want := c.TCP.Retransmissions-c.TCP.CopiedRetransmissions, o.TCP.Retransmissions-o.TCP.CopiedRetransmissions; n != want {
					t.Errorf("connection %d: %d retransmissions that are no copies, once recorded %d", i, n, want)
				}
				// Linux answers packets to a socket that is gone with resets that
				// are the same to the last bit: those pass for one here.
				merged := int(o.TCP.ResetsFromClient+o.TCP.ResetsFromServer) - int(c.TCP.ResetsFromClient+c.TCP.ResetsFromServer)
				if merged < 0 || (c.TCP.ResetsFromClient > 0) != (o.TCP.ResetsFromClient > 0) || (c.TCP.ResetsFromServer > 0) != (o.TCP.ResetsFromServer > 0) {
					t.Errorf("connection %d: resets %d and %d, once recorded %d and %d", i, c.TCP.ResetsFromClient, c.TCP.ResetsFromServer,
						o.TCP.ResetsFromClient, o.TCP.ResetsFromServer)
				}
				if n := int(c.TCP.Packets) - int(c.TCP.DuplicateFrames); n != int(o.TCP.Packets)-int(o.TCP.DuplicateFrames)-merged {
					t.Errorf("connection %d: %d packets that are no copies, once recorded %d", i, n, o.TCP.Packets)
				}
			}
		})
	}
}
