package analyze

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"goproxytrace/capture"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/internal/corpus"
)

// frames runs WriteFrames over a file and reads its output back. Damage is no
// error: what comes before it counts.
func frames(t *testing.T, path string) []corpus.Line {
	t.Helper()
	src, err := pcapfile.Open(path)
	if errors.Is(err, capture.ErrNotCapture) {
		return nil
	}
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	defer src.Close()
	var buf bytes.Buffer
	var damage *capture.DamageError
	if err := WriteFrames(context.Background(), src, &buf, Options{}); err != nil && !errors.As(err, &damage) {
		t.Fatalf("frames: %v", err)
	}
	lines, err := corpus.ReadFrames(&buf)
	if err != nil {
		t.Fatalf("reading our own output: %v", err)
	}
	return lines
}

// comparison counts what differs between the truth and our frames.
type comparison struct {
	frames, missing, flags, streams, sni, handshake, ja3, alert int
	// extra are TCP frames and TLS values that only we report.
	extraFrames, extraTLS int
	detail                []string
}

func (c *comparison) differs() bool {
	return c.missing+c.flags+c.streams+c.sni+c.handshake+c.ja3+c.alert > 0
}

func (c *comparison) note(format string, args ...any) {
	if len(c.detail) < 40 {
		c.detail = append(c.detail, fmt.Sprintf(format, args...))
	}
}

// compareFrames compares the truth with our lines. Streams are compared as a
// partition, TLS values as "all of the truth's are there".
func compareFrames(truth, ours []corpus.Line) *comparison {
	c := &comparison{frames: len(truth)}
	byFrame := make(map[int64]*corpus.Line, len(ours))
	for i := range ours {
		if _, twice := byFrame[ours[i].Frame]; !twice {
			byFrame[ours[i].Frame] = &ours[i]
		}
	}
	theirs := make(map[int64]int64) // their stream to ours
	mine := make(map[int64]int64)
	for _, w := range truth {
		g := byFrame[w.Frame]
		if g == nil {
			c.missing++
			c.note("frame %d: not found by us (stream %d, flags %q)", w.Frame, w.Stream, w.Flags)
			continue
		}
		if sortedList(g.Flags) != sortedList(w.Flags) {
			c.flags++
			c.note("frame %d: flags %q, want %q", w.Frame, g.Flags, w.Flags)
		}
		a, okA := theirs[w.Stream]
		b, okB := mine[g.Stream]
		if okA != okB || okA && (a != g.Stream || b != w.Stream) {
			c.streams++
			c.note("frame %d: stream %d, want %d (partition)", w.Frame, g.Stream, w.Stream)
		} else {
			theirs[w.Stream], mine[g.Stream] = g.Stream, w.Stream
		}
		for _, f := range []struct {
			name, got, want string
			n               *int
		}{
			{"sni", g.SNI, w.SNI, &c.sni}, {"handshake", g.Handshake, w.Handshake, &c.handshake},
			{"ja3", g.JA3, w.JA3, &c.ja3}, {"alert", g.Alert, w.Alert, &c.alert},
		} {
			if !contains(f.got, f.want) {
				*f.n++
				c.note("frame %d: %s %q, want %q", w.Frame, f.name, f.got, f.want)
			} else if f.got != f.want {
				c.extraTLS++
			}
		}
	}
	c.extraFrames = len(byFrame) - (c.frames - c.missing)
	return c
}

func sortedList(s string) string {
	l := strings.Split(s, ",")
	sort.Strings(l)
	return strings.Join(l, ",")
}

// contains reports whether every element of want, counted, is in got.
func contains(got, want string) bool {
	if want == "" {
		return true
	}
	have := make(map[string]int)
	for _, v := range strings.Split(got, ",") {
		have[v]++
	}
	for _, v := range strings.Split(want, ",") {
		if have[v]--; have[v] < 0 {
			return false
		}
	}
	return true
}

// excuse names why tshark may know TLS messages (or whole segments) of a
// capture that are not in clear in it; empty where nothing excuses a difference.
func excuse(t *testing.T, path string) string {
	t.Helper()
	src, err := pcapfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	r, err := Run(context.Background(), src, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Connections.Close()
	if r.Capture.HasSecrets {
		return "the capture carries keys, with which tshark decrypts"
	}
	for c, err := range r.Connections.All() {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(c.Server, ":1194") {
			return "TLS inside OpenVPN's framing"
		}
	}
	return ""
}

// TestCorpus compares every capture with what tshark 4.0.17 said of it.
func TestCorpus(t *testing.T) {
	dir := corpus.Dir(t)
	var total comparison
	files, differing, flagFiles := 0, 0, 0
	for _, name := range corpus.Captures(t, dir) {
		truth, ok := corpus.Truth(t, dir, name)
		if !ok {
			continue
		}
		files++
		path := filepath.Join(dir, "captures", filepath.FromSlash(name))
		c := compareFrames(truth, frames(t, path))
		total.frames += c.frames
		total.missing += c.missing
		total.flags += c.flags
		total.streams += c.streams
		total.sni += c.sni
		total.handshake += c.handshake
		total.ja3 += c.ja3
		total.alert += c.alert
		total.extraFrames += c.extraFrames
		total.extraTLS += c.extraTLS
		if c.differs() {
			differing++
			if c.flags > 0 {
				flagFiles++
			}
			why := ""
			if c.missing+c.sni+c.handshake+c.ja3+c.alert > 0 {
				if why = excuse(t, path); why == "" {
					t.Errorf("%s: values or segments of tshark's are missing", name)
				}
			}
			t.Logf("%s: %d frames: missing %d, flags %d, streams %d, sni %d, handshake %d, ja3 %d, alert %d (%s)\n\t%s", name, c.frames,
				c.missing, c.flags, c.streams, c.sni, c.handshake, c.ja3, c.alert, why, strings.Join(c.detail, "\n\t"))
		}
	}
	t.Logf("%d files, %d TCP frames; differing: %d files; frames missing %d, flags %d, streams %d, sni %d, handshake %d, ja3 %d, alert %d; ours only: %d frames, %d TLS values",
		files, total.frames, differing, total.missing, total.flags, total.streams, total.sni, total.handshake, total.ja3, total.alert,
		total.extraFrames, total.extraTLS)
	if total.flags*10_000 > total.frames || flagFiles*100 > files {
		t.Errorf("%d frames in %d files have other flags, want at most 0.01 %% of the frames and 1 %% of the files", total.flags, flagFiles)
	}
	if total.streams > 0 {
		t.Errorf("%d frames are in another stream, want none", total.streams)
	}
	if os.Getenv(corpus.Env) == "" && files < 200 {
		t.Errorf("%d captures with truth, want at least 200", files)
	}
}
