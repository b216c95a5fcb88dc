package twopoint

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/internal/corpus"
)

func readPoint(t testing.TB, path string) *Point {
	t.Helper()
	src, err := pcapfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	p, err := Read(t.Context(), src, filepath.Base(path))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// deed is what a sample's middlebox says that it did to one packet.
type deed struct {
	Event   string  `json:"ev"` // drop, inject
	What    string  `json:"what"`
	To      string  `json:"to"`  // of what was injected
	Way     int     `json:"dir"` // of what was dropped: 0 to the server
	Payload int64   `json:"pay"`
	Flags   int     `json:"flags"`
	Time    float64 `json:"t"`
}

// Two captures of every lab sample say what its middlebox says that it did, to
// the packet and the byte, and nothing else.
func TestSamples(t *testing.T) {
	dir, _ := corpus.LabSamples(t)
	list, err := filepath.Glob(filepath.Join(dir, "*.server.pcapng"))
	if err != nil || len(list) < 20 {
		t.Fatalf("%d pairs of captures (%v)", len(list), err)
	}
	for _, far := range list {
		near := strings.TrimSuffix(far, ".server.pcapng") + ".pcapng"
		name := strings.TrimSuffix(filepath.Base(near), ".pcapng")
		t.Run(name, func(t *testing.T) {
			b, err := os.ReadFile(strings.TrimSuffix(near, ".pcapng") + ".truth.json")
			if err != nil {
				t.Fatal(err)
			}
			var truth struct {
				Log []deed `json:"mbox_log"`
			}
			if err := json.Unmarshal(b, &truth); err != nil {
				t.Fatal(err)
			}
			client, server := readPoint(t, near), readPoint(t, far)
			// The proxy and IPv6 addresses are the server's own.
			r, err := Compare(client, server, Options{Behind: []string{"203.0.113.10", "2001:db8:113::10"}})
			if err != nil {
				t.Fatal(err)
			}
			type tally struct {
				resets, answers   [2]int // injected, by direction
				packets           [2]int // dropped that carry no payload
				bytes             [2]int64
				changed, repeated int
			}
			var want, got tally
			for _, d := range truth.Log {
				way := 0
				if d.To == "client" {
					way = 1
				}
				switch {
				case d.Event == "inject" && d.What == "dns":
					want.answers[1]++
				case d.Event == "inject":
					want.resets[way]++
				case d.Event == "drop" && int64(d.Time*1e9) > server.End-50e6:
					// Dropped when the server's capture had ended, or nearly.
				case d.Event == "drop" && d.Payload == 0:
					want.packets[d.Way]++
				case d.Event == "drop":
					want.bytes[d.Way] += d.Payload
				}
			}
			for i := range r.Findings {
				f := &r.Findings[i]
				way := 0
				if f.Direction == ToClient {
					way = 1
				}
				if f.Level != diagnose.Proven {
					t.Errorf("%s %s %s is %s", f.Event, f.Kind, f.Direction, f.Level)
				}
				switch f.Event {
				case Appeared:
					switch f.Kind {
					case Reset:
						got.resets[way] += f.Count
					case Answer:
						got.answers[way] += f.Count
					default:
						t.Errorf("appeared: %d %s %s", f.Count, f.Kind, f.Direction)
					}
				case Vanished:
					if f.Bytes > 0 {
						got.bytes[way] += f.Bytes
					} else {
						got.packets[way] += f.Count
					}
				case Changed, Parted:
					got.changed++
				case Repeated, Unanswered:
					got.repeated++
				}
			}
			if name == "pmtu_blackhole" {
				// Not the middlebox: the router drops what exceeds its link. The
				// ClientHellos of the last moment are not judged.
				if got.bytes[0] < 43*1400 {
					t.Errorf("%d bytes vanished", got.bytes[0])
				}
				got.bytes[0] = 0
			}
			if got != want {
				t.Errorf("found %+v, the middlebox did %+v\nnot judged: %v", got, want, r.NotJudged)
			}
		})
	}
}
