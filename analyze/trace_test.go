package analyze

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"goproxytrace/analyze/segtrace"
	"goproxytrace/analyze/tlswire"
	"goproxytrace/capture/pcapfile"
)

// traced analyses a capture with its trace, of which everything is read.
func traced(t *testing.T, path string) (*Result, []segtrace.Connection) {
	t.Helper()
	src, err := pcapfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	r := analyse(t, src, Options{Trace: true})
	t.Cleanup(func() { _ = r.Close() })
	var wishes []segtrace.Wish
	for _, c := range connections(t, r) {
		wishes = append(wishes, segtrace.Wish{ID: c.ID, Segments: 1 << 20})
	}
	list, err := r.Trace.Read(wishes)
	if err != nil {
		t.Fatal(err)
	}
	return r, list
}

// The trace says of each frame what --frames says of it, and counts what the
// connection's record counts.
func TestTraceAgreesWithFrames(t *testing.T) {
	for _, path := range ownCaptures(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".pcapng"), func(t *testing.T) {
			r, list := traced(t, path)
			src, err := pcapfile.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			want := map[string]string{} // frame: flags and handshake types
			for line := range strings.Lines(framesOf(t, src)) {
				f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
				want[f[0]] = f[2] + "|" + f[4] + "|" + f[6]
			}
			byID := map[int64]*Connection{}
			for _, c := range connections(t, r) {
				byID[c.ID] = c
			}
			for i := range list {
				tr := &list[i]
				c := byID[tr.ID]
				if uint64(len(tr.Segments)) != c.TCP.Packets || tr.Total != len(tr.Segments) || tr.Thinned+tr.Lost != 0 {
					t.Errorf("connection %d: %d of %d segments traced, %d thinned, its record counts %d",
						c.ID, len(tr.Segments), tr.Total, tr.Thinned, c.TCP.Packets)
				}
				var fromClient uint64
				for k := range tr.Segments {
					s := &tr.Segments[k]
					if s.FromClient {
						fromClient++
					}
					var types, alerts []uint8
					for _, m := range tr.Messages {
						switch {
						case m.Frame != s.Frame || m.FromClient != s.FromClient:
						case m.Kind == tlswire.KindHandshake:
							types = append(types, m.Type)
						case m.Kind == tlswire.KindAlert:
							alerts = append(alerts, m.Type)
						}
					}
					got := s.Findings.String() + "|" + string(appendNumbers(nil, types)) + "|" + string(appendNumbers(nil, alerts))
					if w := want[fmt.Sprint(s.Frame)]; got != w {
						t.Errorf("frame %d: traced %q, --frames says %q", s.Frame, got, w)
					}
				}
				if fromClient != c.TCP.PacketsFromClient {
					t.Errorf("connection %d: %d segments of the client, its record counts %d", c.ID, fromClient, c.TCP.PacketsFromClient)
				}
				if len(tr.ICMP) != len(c.ICMP) {
					t.Errorf("connection %d: %d ICMP errors traced, %d in its record", c.ID, len(tr.ICMP), len(c.ICMP))
				}
			}
		})
	}
}

// Relative numbers, windows, SACK blocks and round-trip times are Wireshark's.
func TestTraceAgainstTshark(t *testing.T) {
	shark := tshark(t)
	for _, path := range ownCaptures(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".pcapng"), func(t *testing.T) {
			out, err := exec.Command(shark, "-n", "-r", path, "-Y", "tcp && !icmp && !icmpv6", "-T", "fields", "-E", "occurrence=a", "-E", "aggregator=,",
				"-e", "frame.number", "-e", "tcp.seq", "-e", "tcp.ack", "-e", "tcp.len", "-e", "tcp.window_size", "-e", "tcp.options.sack_le", "-e", "tcp.options.sack_re").Output()
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]string{}
			for line := range strings.Lines(string(out)) {
				frame, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
				want[frame] = rest
			}
			_, list := traced(t, path)
			for i := range list {
				for k := range list[i].Segments {
					s := &list[i].Segments[k]
					var le, re []string
					for _, b := range s.SACK[:s.SACKCount] {
						le, re = append(le, fmt.Sprint(b[0])), append(re, fmt.Sprint(b[1]))
					}
					ack := strconv.FormatUint(uint64(s.Ack), 10)
					if s.Flags&(1<<4) == 0 {
						ack = "0"
					}
					got := fmt.Sprintf("%d\t%s\t%d\t%d\t%s\t%s", s.Seq, ack, s.Len, s.Window, strings.Join(le, ","), strings.Join(re, ","))
					if w := want[fmt.Sprint(s.Frame)]; got != w {
						t.Errorf("frame %d: traced %q, tshark says %q", s.Frame, got, w)
					}
				}
			}
		})
	}
}

// A TLS record's place in the stream is that of its bytes, also behind a
// CONNECT exchange.
func TestTraceTLSPlaces(t *testing.T) {
	w := newWire()
	conv := w.talk("192.0.2.1:40000", "203.0.113.1:443")
	conv.connect()
	head, answer := []byte("CONNECT proxy.example:443 HTTP/1.1\r\nHost: proxy.example\r\n\r\n"), []byte("HTTP/1.1 200 OK\r\n\r\n")
	conv.send(0, head, 0).send(1, answer, 0)
	conv.tls("proxy.example", 5000)
	r := analyse(t, w, Options{Trace: true})
	defer r.Close()
	list, err := r.Trace.Read([]segtrace.Wish{{ID: 0, Segments: 100}})
	if err != nil {
		t.Fatal(err)
	}
	next := map[bool]uint32{true: 1 + uint32(len(head)), false: 1 + uint32(len(answer))}
	last := 0
	for _, m := range list[0].Messages {
		if m.Seq != next[m.FromClient] {
			t.Errorf("message kind %d of frame %d begins at %d, want %d", m.Kind, m.Frame, m.Seq, next[m.FromClient])
		}
		next[m.FromClient] = m.End
		if m.Kind == tlswire.KindHandshake { // its length is without the record's header, which End adds
			last++
		}
	}
	if last != 2 || len(list[0].Messages) < 6 {
		t.Errorf("%d messages, %d of them in clear", len(list[0].Messages), last)
	}
}

// Without Options.Trace nothing is kept.
func TestNoTrace(t *testing.T) {
	w := newWire()
	w.talk("192.0.2.1:40000", "203.0.113.1:443").connect().tls("proxy.example", 100)
	r := analyse(t, w, Options{})
	if r.Trace != nil {
		t.Error("a trace was kept")
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if entries, _ := os.ReadDir(t.TempDir()); len(entries) > 0 {
		t.Error("files are left")
	}
}
