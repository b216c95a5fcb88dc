package decode

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"goproxytrace/capture"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/internal/corpus"
)

// knownDifferences are captures of the corpus whose TCP segments differ from
// Wireshark's, with the reason.
var knownDifferences = map[string]string{
	"wireshark+wireshark-4.0.17/test/captures/wireguard-ping-tcp-dsb.pcapng": "Wireshark decrypts WireGuard with the keys in the file",
}

// segmentsOf decodes a capture; what precedes damage counts.
func segmentsOf(t *testing.T, path string) map[int64][]Segment {
	t.Helper()
	src, err := pcapfile.Open(path)
	if errors.Is(err, capture.ErrNotCapture) {
		return nil
	}
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	defer src.Close()
	out := map[int64][]Segment{}
	d := New()
	var b capture.Batch
	for {
		err := src.Read(&b)
		for i := range b.Packets {
			if err != nil {
				break
			}
			p := &b.Packets[i]
			segs := d.Decode(p, nil)
			for k := range segs {
				checkSegment(t, &segs[k], p)
				if segs[k].Proto == ProtoTCP {
					s := segs[k]
					s.Payload, s.Transport = nil, nil
					out[p.Number] = append(out[p.Number], s)
				}
			}
		}
		var damage *capture.DamageError
		if err == io.EOF || errors.As(err, &damage) {
			break
		}
		if err != nil {
			t.Fatalf("reading: %v", err)
		}
	}
	for _, u := range d.Unread() {
		if u.Name == (missKey{kind: missPanic}).name() {
			t.Errorf("decoding panicked, first in frame %d", u.First)
		}
	}
	return out
}

// TestCorpusTruth compares the frames that hold one TCP segment with the
// recorded truth.
func TestCorpusTruth(t *testing.T) {
	dir := corpus.Dir(t)
	var frames int
	for _, name := range corpus.Captures(t, dir) {
		want := map[int64]bool{}
		lines, ok := corpus.Truth(t, dir, name)
		for _, l := range lines {
			want[l.Frame] = true
		}
		if !ok || knownDifferences[name] != "" {
			continue
		}
		frames += len(want)
		got := segmentsOf(t, filepath.Join(dir, "captures", name))
		var missing []int64
		for f := range want {
			if len(got[f]) != 1 {
				missing = append(missing, f)
			}
		}
		if len(missing) > 0 {
			slices.Sort(missing)
			t.Errorf("%s: %d frames without their TCP segment: %v", name, len(missing), missing[:min(len(missing), 8)])
		}
	}
	if frames < 50000 {
		t.Errorf("only %d frames of truth compared", frames)
	}
}

// tsharkColumns are the fields compared, in the order asked for.
var tsharkColumns = []string{
	"frame.number", "frame.protocols", "tcp.stream", "tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.ack_raw", "tcp.len",
	"tcp.flags", "tcp.window_size_value", "tcp.hdr_len",
}

// TestCorpusTshark compares every field of every TCP segment of the corpus
// with what tshark says now.
func TestCorpusTshark(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: tshark takes a minute for the corpus")
	}
	if _, err := exec.LookPath("tshark"); err != nil {
		corpus.Skip(t, "tshark is not installed: no comparison with Wireshark")
	}
	dir := corpus.Dir(t)
	config := t.TempDir()
	var compared int
	for _, name := range corpus.Captures(t, dir) {
		t.Run(name, func(t *testing.T) {
			if why := knownDifferences[name]; why != "" {
				t.Skip("differs: " + why)
			}
			path := filepath.Join(dir, "captures", name)
			want, err := tsharkSegments(path, config)
			if err != nil {
				t.Fatal(err)
			}
			got := segmentsOf(t, path)
			compared += compareFrames(t, got, want)
		})
	}
	if compared == 0 && !t.Failed() {
		t.Error("not one segment was compared")
	}
}

// tsharkSegments returns the columns of each frame that holds TCP.
func tsharkSegments(path, config string) (map[int64][]string, error) {
	args := []string{"-n", "-r", path, "-T", "fields", "-E", "separator=|", "-E", "occurrence=a"}
	for _, c := range tsharkColumns {
		args = append(args, "-e", c)
	}
	cmd := exec.Command("tshark", args...)
	cmd.Env = append(os.Environ(), "WIRESHARK_CONFIG_DIR="+config)
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		// A damaged file ends with an error; what came before it counts.
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			return nil, fmt.Errorf("running tshark: %w", err)
		}
	}
	want := map[int64][]string{}
	for line := range strings.Lines(out.String()) {
		col := strings.Split(strings.TrimRight(line, "\n"), "|")
		if len(col) != len(tsharkColumns) || col[2] == "" {
			continue
		}
		n, err := strconv.ParseInt(col[0], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("frame number %q", col[0])
		}
		want[n] = col
	}
	return want, nil
}

// inError says for each TCP layer of a protocol list whether it is quoted by
// an ICMP error.
func inError(protocols string) (quoted []bool) {
	icmp := false
	for l := range strings.SplitSeq(protocols, ":") {
		switch l {
		case "icmp", "icmpv6":
			icmp = true
		case "tcp":
			quoted = append(quoted, icmp)
		}
	}
	return quoted
}

func compareFrames(t *testing.T, got map[int64][]Segment, want map[int64][]string) (compared int) {
	t.Helper()
	for n, segs := range got {
		if want[n] == nil {
			t.Errorf("frame %d: %d TCP segments that tshark has not", n, len(segs))
		}
	}
	for n, col := range want {
		streams := strings.Split(col[2], ",")
		count := len(streams)
		for i, q := range inError(col[1]) {
			if q && i < len(streams) {
				count--
			}
		}
		segs := got[n]
		if len(segs) != count {
			t.Errorf("frame %d (%s): %d TCP segments, want %d", n, col[1], len(segs), count)
			continue
		}
		lengths := strings.Split(col[7], ",")
		if col[7] == "" {
			lengths = nil
		}
		for i := range segs {
			s := &segs[i]
			flags, _ := strconv.ParseUint(at(col[8], i), 0, 16)
			mine := []string{
				strconv.Itoa(int(s.SrcPort)), strconv.Itoa(int(s.DstPort)), strconv.Itoa(int(s.Seq)), strconv.Itoa(int(s.Ack)),
				fmt.Sprintf("%#x", s.Flags), strconv.Itoa(int(s.Window)), strconv.Itoa(int(s.HeaderLen)),
			}
			theirs := []string{at(col[3], i), at(col[4], i), at(col[5], i), at(col[6], i), fmt.Sprintf("%#x", flags&0x1ff), at(col[9], i), at(col[10], i)}
			if s.HeaderLen < 20 || s.OptionsCut {
				// tshark stops in such a header and leaves columns blank.
				for k := range theirs {
					if theirs[k] == "" || theirs[k] == "0x0" {
						theirs[k] = mine[k]
					}
				}
			}
			if !slices.Equal(mine, theirs) {
				t.Errorf("frame %d: ports, sequence, acknowledgment, flags, window, header %v, want %v", n, mine, theirs)
			}
			switch {
			case s.Fragment || s.Short: // tshark gives no length
			case len(lengths) == 0:
				t.Errorf("frame %d: length %d, want none", n, s.Len)
			default:
				if lengths[0] != strconv.Itoa(int(s.Len)) {
					t.Errorf("frame %d: length %d, want %s", n, s.Len, lengths[0])
				}
				lengths = lengths[1:]
			}
			compared++
		}
		if len(lengths) != 0 {
			t.Errorf("frame %d: no length for a segment, want %v", n, lengths)
		}
	}
	return compared
}

func at(list string, i int) string {
	parts := strings.Split(list, ",")
	if i >= len(parts) {
		return ""
	}
	return parts[i]
}
