package analyze

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"goproxytrace/capture"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/internal/corpus"
)

var (
	oracleRounds = flag.Int("oracle-rounds", 1, "how many times each capture is mutated for TestAgainstTshark")
	oracleSeed   = flag.Uint64("oracle-seed", 1, "seed of the mutations of TestAgainstTshark")
)

// tsharkVersion is the version whose analysis ours equals.
const tsharkVersion = "4.0.17"

// tshark returns the oracle's path, or skips where it is not installed in
// the version that counts.
func tshark(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("tshark")
	if err != nil {
		corpus.Skip(t, "tshark is not installed: the comparison with Wireshark "+tsharkVersion+" is left out")
	}
	out, err := exec.Command(path, "--version").Output()
	if first, _, _ := strings.Cut(string(out), "\n"); err != nil || !strings.Contains(first, tsharkVersion) {
		corpus.Skip(t, fmt.Sprintf("tshark is %q, not %s: the comparison is left out", strings.TrimSpace(first), tsharkVersion))
	}
	return path
}

var analysisFields = []string{
	"retransmission", "fast_retransmission", "spurious_retransmission", "out_of_order", "duplicate_ack", "lost_segment",
	"ack_lost_segment", "zero_window", "zero_window_probe", "zero_window_probe_ack", "window_full", "window_update",
	"keep_alive", "keep_alive_ack", "reused_ports",
}

// tsharkFrames asks the oracle for what --frames prints. Frames with several
// TCP layers and those with a TCP header inside an ICMP error are left out, as
// the fields of the layers cannot be told apart.
func tsharkFrames(t *testing.T, tshark, path string) []corpus.Line {
	t.Helper()
	args := []string{"-n", "-r", path, "-Y", "tcp", "-T", "fields", "-E", "occurrence=a", "-E", "aggregator=,",
		"-e", "frame.number", "-e", "tcp.stream", "-e", "frame.protocols", "-e", "tls.handshake.extensions_server_name",
		"-e", "tls.handshake.type", "-e", "tls.handshake.ja3", "-e", "tls.alert_message.desc"}
	for _, f := range analysisFields {
		args = append(args, "-e", "tcp.analysis."+f)
	}
	out, err := exec.Command(tshark, args...).Output()
	if err != nil && len(out) == 0 {
		t.Fatalf("tshark %s: %v", path, err)
	}
	var lines []corpus.Line
	for row := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSuffix(row, "\n"), "\t")
		if len(f) != 7+len(analysisFields) || strings.Contains(f[1], ",") || strings.Contains(f[2], "icmp") {
			continue
		}
		frame, err1 := strconv.ParseInt(f[0], 10, 64)
		stream, err2 := strconv.ParseInt(f[1], 10, 64)
		if err1 != nil || err2 != nil {
			continue
		}
		var flags []string
		for i, name := range analysisFields {
			if f[7+i] != "" {
				flags = append(flags, name)
			}
		}
		lines = append(lines, corpus.Line{
			Frame: frame, Stream: stream, Flags: strings.Join(flags, ","), SNI: f[3], Handshake: f[4], JA3: f[5], Alert: f[6],
		})
	}
	return lines
}

// TestOracleFixtures compares the project's own captures with tshark's word.
func TestOracleFixtures(t *testing.T) {
	bin := tshark(t)
	paths, err := filepath.Glob(filepath.Join("..", "testdata", "pcaps", "*.pcap*"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no captures in testdata/pcaps (error %v)", err)
	}
	for _, path := range paths {
		truth := tsharkFrames(t, bin, path)
		if c := compareFrames(truth, frames(t, path)); c.differs() {
			t.Errorf("%s: %s", filepath.Base(path), strings.Join(c.detail, "\n\t"))
		}
	}
}

// TestAgainstTshark mutates captures (loss, repetition, other order, flags,
// windows and sequence numbers changed) and compares what both say of the
// result: states that no recorded capture reaches.
func TestAgainstTshark(t *testing.T) {
	bin := tshark(t)
	paths, err := filepath.Glob(filepath.Join("..", "testdata", "pcaps", "*.pcap*"))
	if err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv(corpus.Env); dir != "" {
		for _, name := range corpus.Captures(t, dir) {
			if _, ok := corpus.Truth(t, dir, name); ok {
				paths = append(paths, filepath.Join(dir, "captures", filepath.FromSlash(name)))
			}
		}
	}
	total := 0
	for _, path := range paths {
		for round := range *oracleRounds {
			rng := rand.New(rand.NewPCG(*oracleSeed, uint64(round)))
			mutated := filepath.Join(t.TempDir(), "mutated.pcap")
			if n := mutate(t, path, mutated, rng); n == 0 {
				continue
			}
			truth := tsharkFrames(t, bin, mutated)
			total += len(truth)
			c := compareFrames(truth, frames(t, mutated))
			if c.flags+c.streams+c.missing > 0 {
				keep := filepath.Join(os.TempDir(), "oracle-"+filepath.Base(path)+"-"+strconv.Itoa(round)+".pcap")
				b, _ := os.ReadFile(mutated)
				_ = os.WriteFile(keep, b, 0o600)
				t.Errorf("%s, seed %d, round %d (kept as %s): %d frames, flags %d, streams %d, missing %d\n\t%s", path, *oracleSeed,
					round, keep, len(truth), c.flags, c.streams, c.missing, strings.Join(c.detail, "\n\t"))
			}
		}
	}
	t.Logf("%d mutated frames compared", total)
}

// maxMutated bounds the packets of one mutated capture.
const maxMutated = 3000

// mutate writes a damaged copy of src's packets of its first link type to dst
// and returns their number.
func mutate(t *testing.T, src, dst string, rng *rand.Rand) int {
	t.Helper()
	r, err := pcapfile.Open(src)
	if err != nil {
		return 0
	}
	defer r.Close()
	type packet struct {
		time   int64
		length int
		data   []byte
	}
	var packets []packet
	var link capture.LinkType
	var b capture.Batch
	for len(packets) < maxMutated {
		err := r.Read(&b)
		var damage *capture.DamageError
		if errors.Is(err, io.EOF) || errors.As(err, &damage) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range b.Packets {
			if p.Kind != capture.KindFrame || p.Time <= 0 || p.Time >= 1<<32*1e9 || len(packets) >= maxMutated {
				continue
			}
			if len(packets) == 0 {
				link = p.LinkType
			}
			if p.LinkType == link && p.FCSLen <= 0 {
				packets = append(packets, packet{p.Time, p.Length, bytes.Clone(p.Data)})
			}
		}
	}
	var out bytes.Buffer
	header := make([]byte, 24)
	binary.LittleEndian.PutUint32(header, 0xa1b23c4d)
	binary.LittleEndian.PutUint16(header[4:], 2)
	binary.LittleEndian.PutUint16(header[6:], 4)
	binary.LittleEndian.PutUint32(header[16:], 262144)
	binary.LittleEndian.PutUint32(header[20:], uint32(link))
	out.Write(header)
	count := 0
	write := func(p packet) {
		rec := make([]byte, 16)
		binary.LittleEndian.PutUint32(rec, uint32(p.time/1e9))
		binary.LittleEndian.PutUint32(rec[4:], uint32(p.time%1e9))
		binary.LittleEndian.PutUint32(rec[8:], uint32(len(p.data)))
		binary.LittleEndian.PutUint32(rec[12:], uint32(p.length))
		out.Write(rec)
		out.Write(p.data)
		count++
	}
	for i := 0; i < len(packets); i++ {
		p := packets[i]
		switch rng.IntN(24) {
		case 0: // lost
			continue
		case 1: // captured or sent twice
			write(p)
			p.time += rng.Int64N(30e6)
			p.data = bytes.Clone(p.data)
		case 2: // overtaken
			if i+1 < len(packets) {
				packets[i], packets[i+1] = packets[i+1], packets[i]
				p = packets[i]
			}
		case 3: // sent again later
			if later := i + 1 + rng.IntN(12); later < len(packets) {
				q := p
				q.data = bytes.Clone(p.data)
				q.time = packets[later].time
				packets[later], packets[i] = q, packets[later]
				p = packets[i]
			}
		case 4, 5, 6, 7:
			changeTCP(p.data, rng)
		}
		write(p)
	}
	if err := os.WriteFile(dst, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return count
}

// changeTCP changes one field of the TCP header of an Ethernet or raw IPv4
// frame, where there is one.
func changeTCP(b []byte, rng *rand.Rand) {
	ip := b
	if len(b) > 14 && b[12] == 8 && b[13] == 0 {
		ip = b[14:]
	}
	if len(ip) < 20 || ip[0]>>4 != 4 || ip[9] != 6 {
		return
	}
	hlen := int(ip[0]&15) * 4
	if len(ip) < hlen+20 {
		return
	}
	tcp := ip[hlen:]
	add := func(at int, n int32) {
		binary.BigEndian.PutUint32(tcp[at:], binary.BigEndian.Uint32(tcp[at:])+uint32(n))
	}
	switch rng.IntN(9) {
	case 0:
		tcp[13] ^= 1 << rng.IntN(5) // FIN, SYN, RST, PSH, ACK
	case 1:
		tcp[14], tcp[15] = 0, 0 // window
	case 2:
		add(4, rng.Int32N(3)-1)
	case 3:
		add(4, rng.Int32N(6000)-3000)
	case 4:
		add(8, rng.Int32N(6000)-3000)
	case 5:
		add(8, rng.Int32N(3)-1)
	case 6:
		binary.BigEndian.PutUint16(tcp[14:], uint16(rng.IntN(1<<16)))
	case 7: // payload of one byte: a keep-alive or a window probe
		binary.BigEndian.PutUint16(ip[2:], uint16(hlen+int(tcp[12]>>4)*4+1))
	case 8: // no payload
		binary.BigEndian.PutUint16(ip[2:], uint16(hlen+int(tcp[12]>>4)*4))
	}
}

// TestFramesContext holds that a cancelled analysis says so.
func TestFramesContext(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("..", "testdata", "pcaps", "*.pcap*"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no captures in testdata/pcaps (error %v)", err)
	}
	src, err := pcapfile.Open(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := WriteFrames(ctx, src, io.Discard, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled WriteFrames returned %v", err)
	}
}
