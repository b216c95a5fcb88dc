package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// frames walks a capture written here and returns times, lengths on the wire
// and captured bytes.
func frames(t *testing.T, b []byte, ng bool, visit func(time int64, length int, data []byte)) int {
	t.Helper()
	le := binary.LittleEndian
	n := 0
	if !ng {
		for b = b[24:]; len(b) > 0; n++ {
			caplen := int(le.Uint32(b[8:]))
			visit(int64(le.Uint32(b))*second+int64(le.Uint32(b[4:])), int(le.Uint32(b[12:])), b[16:16+caplen])
			b = b[16+caplen:]
		}
		return n
	}
	for len(b) > 0 {
		total := int(le.Uint32(b[4:]))
		if total < 12 || total%4 != 0 || le.Uint32(b[total-4:]) != uint32(total) {
			t.Fatalf("block of type %#x has lengths %d and %d", le.Uint32(b), total, le.Uint32(b[total-4:]))
		}
		if le.Uint32(b) == 6 {
			caplen := int(le.Uint32(b[20:]))
			visit(int64(le.Uint32(b[12:]))<<32|int64(le.Uint32(b[16:])), int(le.Uint32(b[24:])), b[28:28+caplen])
			n++
		}
		b = b[total:]
	}
	return n
}

func TestCapturesAreOrderedAndCut(t *testing.T) {
	for _, format := range []string{"pcap", "pcapng"} {
		var b bytes.Buffer
		w, err := writeMixed(&b, format, 7, 20000, 600)
		if err != nil {
			t.Fatal(err)
		}
		if int64(b.Len()) != w.bytes {
			t.Errorf("%s: %d bytes written, %d counted", format, b.Len(), w.bytes)
		}
		var last int64
		cut, syns := 0, 0
		n := frames(t, b.Bytes(), format == "pcapng", func(time int64, length int, data []byte) {
			if time < last {
				t.Errorf("%s: time runs back from %d to %d", format, last, time)
			}
			last = time
			if len(data) != min(length, 96) {
				t.Errorf("%s: %d of %d bytes captured", format, len(data), length)
			}
			if length > 96 {
				cut++
			}
			if data[23] == 6 && data[47]&0x12 == 2 {
				syns++
			}
		})
		if n != 20000 || w.packets != 20000 {
			t.Errorf("%s: %d packets, %d counted, want 20000", format, n, w.packets)
		}
		if cut < n/4 || syns < 600 {
			t.Errorf("%s: %d frames cut and %d SYNs: not the intended mixture", format, cut, syns)
		}
	}
}

func TestSameSeedSamePackets(t *testing.T) {
	shape := func(seed uint64) (out []int64) {
		var b bytes.Buffer
		if _, err := writeDownloads(&b, "pcap", seed, 1<<20, 200000); err != nil {
			t.Fatal(err)
		}
		frames(t, b.Bytes(), false, func(time int64, length int, _ []byte) { out = append(out, time, int64(length)) })
		return out
	}
	a, b, other := shape(3), shape(3), shape(4)
	equal := func(x, y []int64) bool {
		if len(x) != len(y) {
			return false
		}
		for i := range x {
			if x[i] != y[i] {
				return false
			}
		}
		return true
	}
	if !equal(a, b) {
		t.Error("two captures of one seed differ in times or lengths")
	}
	if equal(a, other) {
		t.Error("captures of two seeds are alike: the seed is not used")
	}
}

func TestFloodTuplesDiffer(t *testing.T) {
	var b bytes.Buffer
	const n = 200000
	if _, err := writeFlood(&b, "pcap", 1, n); err != nil {
		t.Fatal(err)
	}
	seen := map[[6]byte]bool{}
	frames(t, b.Bytes(), false, func(_ int64, _ int, data []byte) {
		var k [6]byte
		copy(k[:4], data[26:30])
		copy(k[4:], data[34:36])
		seen[k] = true
	})
	if len(seen) != n {
		t.Errorf("%d different tuples, want %d", len(seen), n)
	}
	if _, err := writeFlood(io.Discard, "pcap", 1, 1<<40); err == nil {
		t.Error("an absurd packet count was accepted")
	}
}

// TestWiresharkFindsSoundTCP holds the generator to what a real stack would
// send: right checksums, nothing acknowledged before it was seen, the losses
// repaired.
func TestWiresharkFindsSoundTCP(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		if os.Getenv("GOPROXYTRACE_CI") == "1" {
			t.Fatal("tshark is not installed")
		}
		t.Skip("tshark is not installed: the generated TCP is not checked against it")
	}
	file := filepath.Join(t.TempDir(), "downloads.pcapng")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := writeDownloads(f, "pcapng", 5, 12<<20, 400000); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	fields := []string{"ip.checksum.status", "tcp.checksum.status", "tcp.analysis.ack_lost_segment", "tcp.analysis.lost_segment",
		"tcp.analysis.retransmission", "tcp.analysis.out_of_order", "tcp.analysis.reused_ports", "tls.handshake.type", "_ws.malformed"}
	args := []string{"-n", "-r", file, "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-T", "fields"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	out, err := exec.Command("tshark", args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for line := range strings.Lines(string(out)) {
		for i, v := range strings.Split(strings.TrimRight(line, "\n"), "\t") {
			switch {
			case i < 2 && v == "0", i >= 2 && v != "":
				count[fields[i]]++
			}
		}
	}
	for _, f := range []string{"ip.checksum.status", "tcp.checksum.status", "tcp.analysis.ack_lost_segment", "tcp.analysis.reused_ports", "_ws.malformed"} {
		if count[f] != 0 {
			t.Errorf("%d frames with %s, want none", count[f], f)
		}
	}
	for _, f := range []string{"tcp.analysis.lost_segment", "tcp.analysis.out_of_order", "tls.handshake.type"} {
		if count[f] == 0 {
			t.Errorf("no frame with %s: the capture lacks what it promises", f)
		}
	}
	// A repaired loss shows as either, depending on the round-trip time.
	if repaired := count["tcp.analysis.out_of_order"] + count["tcp.analysis.retransmission"]; repaired < count["tcp.analysis.lost_segment"]/2 {
		t.Errorf("%d holes but only %d repairs", count["tcp.analysis.lost_segment"], repaired)
	}
}

func TestRunMakesAndMeasures(t *testing.T) {
	dir := t.TempDir()
	o := &options{format: "pcapng", seed: 1, size: 1 << 20, average: 100000, packets: 2000, conns: 50, few: 5, flood: 500, pairs: 3, dir: dir}
	for _, s := range o.subjects() {
		if err := generate(filepath.Join(dir, o.fileName(s)), s, io.Discard); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("BENCH_TEST_TOOL", "1")
	o.tool, o.noTcptrace, o.noTshark = self, true, true
	var out bytes.Buffer
	if err := measure(context.Background(), o, o.subjects(), &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(out.String()) {
		if strings.Contains(line, "| goproxytrace |") {
			rows++
			if cells := strings.Split(line, "|"); len(strings.Fields(cells[7])) != 3 {
				t.Errorf("want three runs in %q", line)
			}
		}
	}
	if rows != 4 {
		t.Errorf("%d rows, want 4:\n%s", rows, out.String())
	}
	t.Setenv("BENCH_TEST_TOOL", "fail")
	if err := measure(context.Background(), o, o.subjects(), io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "no such luck") {
		t.Errorf("a failing tool gave %v", err)
	}
}

// TestMain lets the test binary stand in for a tool.
func TestMain(m *testing.M) {
	switch os.Getenv("BENCH_TEST_TOOL") {
	case "1":
		os.Exit(0)
	case "fail":
		os.Stderr.WriteString("no such luck\n")
		os.Exit(3)
	}
	os.Exit(m.Run())
}
