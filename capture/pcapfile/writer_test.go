package pcapfile

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"goproxytrace/capture"
)

func ptr(v uint64) *uint64 { return &v }

// sampleInterfaces are described in full and hardly at all.
var sampleInterfaces = []capture.Interface{
	{Name: "eth0", Description: "wired", Filter: "tcp port 443", OS: "Linux 6.1", Hardware: "virtio", LinkType: 1, SnapLen: 262144,
		Received: ptr(1000), Dropped: ptr(3), FilterAccepted: ptr(900), OSDropped: ptr(0), Delivered: ptr(1<<63 + 1),
		Start: 1_600_000_000_000_000_001, End: 1_600_000_100_000_000_002},
	{LinkType: 276, Dropped: ptr(7)},
}

// samplePackets use every field that a pcapng file keeps.
func samplePackets(n int, rnd *rand.Rand) []capture.Packet {
	var list []capture.Packet
	for i := range n {
		data := make([]byte, rnd.IntN(200))
		for j := range data {
			data[j] = byte(rnd.Uint32())
		}
		in := rnd.IntN(len(sampleInterfaces))
		p := capture.Packet{
			Number:    int64(i) + 1,
			Time:      1_600_000_000_123_456_789 + rnd.Int64N(1e12),
			HasTime:   true,
			Data:      data,
			Length:    len(data) + rnd.IntN(2000),
			Interface: int32(in),
			LinkType:  sampleInterfaces[in].LinkType,
			FCSLen:    -1,
			Direction: capture.Direction(rnd.IntN(3)),
			Dropped:   rnd.IntN(4) == 0,
		}
		if rnd.IntN(2) == 0 {
			p.FCSLen = int8(1 + rnd.IntN(15))
		}
		if rnd.IntN(2) == 0 {
			p.ProcessID = rnd.Uint32()
		}
		if rnd.IntN(2) == 0 {
			p.Comment = strings.Repeat("ü go\n", 1+rnd.IntN(3)) + fmt.Sprint(i)
		}
		list = append(list, p)
	}
	return list
}

func writeSample(tb testing.TB, opts WriterOptions, packets []capture.Packet, journal []map[string]string) []byte {
	tb.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, opts)
	check := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	check(err)
	for i := range sampleInterfaces {
		index, err := w.AddInterface(&sampleInterfaces[i])
		check(err)
		if index != i {
			tb.Fatalf("interface %d got index %d", i, index)
		}
	}
	check(w.WriteNames(map[string][]string{"192.0.2.1": {"proxy.example", "alias.example"}, "2001:db8::1": {"six.example"}}))
	check(w.WriteNames(nil))
	check(w.WriteSecrets(SecretsTLSKeyLog, []byte("# no keys\n")))
	for i := range packets {
		check(w.WritePacket(&packets[i]))
	}
	for i, fields := range journal {
		check(w.WriteJournal(1_600_000_000_000_000_000+int64(i)*1000, fields))
	}
	for i := range sampleInterfaces {
		check(w.WriteStatistics(i, 1_600_000_100_000_000_000, &sampleInterfaces[i]))
	}
	check(w.Flush())
	if w.Written() != int64(out.Len()) {
		tb.Errorf("%d bytes written, Written says %d", out.Len(), w.Written())
	}
	return out.Bytes()
}

var sampleJournal = []map[string]string{
	{"MESSAGE": "connect refused", "PRIORITY": "3"},
	{"MESSAGE": "two\nlines\n", "BIN": "\x00\xff__REALTIME_TIMESTAMP=9\n\x00", "EMPTY": "", "UTF": "grün\tx"},
	{},
}

func TestWriterRoundTrip(t *testing.T) {
	for _, big := range []bool{false, true} {
		packets := samplePackets(500, rand.New(rand.NewPCG(1, 2)))
		opts := WriterOptions{Hardware: "cpu", OS: "os", Application: "app", Comment: "a case", BigEndian: big}
		frames, info, err := readBytes(writeSample(t, opts, packets, sampleJournal))
		if err != nil || len(frames) != len(packets)+len(sampleJournal) {
			t.Fatalf("%d records, %v", len(frames), err)
		}
		for i, want := range packets {
			if !samePacket(&frames[i].pk, &want) {
				t.Fatalf("packet %d: %+v, want %+v", i+1, frames[i].pk, want)
			}
		}
		for i, in := range info.Interfaces {
			want := sampleInterfaces[i]
			want.Packets = in.Packets
			if !reflect.DeepEqual(in, want) {
				t.Errorf("interface %+v, want %+v", in, want)
			}
		}
		for i, want := range sampleJournal {
			got := maps.Clone(info.EventRecords[i].Fields)
			delete(got, journalTime)
			if !maps.Equal(got, want) || info.EventRecords[i].Time != 1_600_000_000_000_000_000+int64(i)*1000 {
				t.Errorf("journal %+v, want %q", info.EventRecords[i], want)
			}
		}
		if info.Hardware != "cpu" || info.OS != "os" || info.Application != "app" || !info.HasSecrets ||
			!reflect.DeepEqual(info.Names, map[string][]string{"192.0.2.1": {"proxy.example", "alias.example"}, "2001:db8::1": {"six.example"}}) {
			t.Errorf("info %+v", info)
		}
	}
}

func samePacket(got, want *capture.Packet) bool {
	g, w := *got, *want
	same := bytes.Equal(g.Data, w.Data)
	g.Data, w.Data = nil, nil
	return same && reflect.DeepEqual(g, w)
}

func TestWriterManyNames(t *testing.T) {
	names := make(map[string][]string)
	for i := range 3000 {
		names[fmt.Sprintf("10.0.%d.%d", i>>8, i&255)] = []string{fmt.Sprintf("host%d.%s", i, strings.Repeat("x", 60))}
	}
	var out bytes.Buffer
	w, _ := NewWriter(&out, WriterOptions{})
	if err := errors.Join(w.WriteNames(names), w.Flush()); err != nil {
		t.Fatal(err)
	}
	_, info, err := readBytes(out.Bytes())
	if err != nil || !reflect.DeepEqual(info.Names, names) || info.Blocks["name resolution"] < 3 {
		t.Errorf("%d names in %d blocks, %v", len(info.Names), info.Blocks["name resolution"], err)
	}
}

func TestWriterRefuses(t *testing.T) {
	w, _ := NewWriter(&bytes.Buffer{}, WriterOptions{})
	if _, err := w.AddInterface(&capture.Interface{LinkType: 1}); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"unknown interface":       w.WritePacket(&capture.Packet{Interface: 1}),
		"no interface":            w.WritePacket(&capture.Packet{Interface: -1}),
		"event":                   w.WritePacket(&capture.Packet{Kind: capture.KindEvent}),
		"long packet":             w.WritePacket(&capture.Packet{Data: make([]byte, maxFrame+1)}),
		"statistics of no other":  w.WriteStatistics(1, 0, &capture.Interface{}),
		"field name with newline": w.WriteJournal(0, map[string]string{"A\nB": ""}),
		"lower-case field name":   w.WriteJournal(0, map[string]string{"a": ""}),
		"field name =":            w.WriteJournal(0, map[string]string{"A=": ""}),
		"no field name":           w.WriteJournal(0, map[string]string{"": ""}),
		"long field":              w.WriteJournal(0, map[string]string{"A": string(make([]byte, maxFieldBytes+1))}),
		"name of no address":      w.WriteNames(map[string][]string{"host": {"x"}}),
		"name with NUL":           w.WriteNames(map[string][]string{"1.2.3.4": {"x\x00y"}}),
		"long secrets":            w.WriteSecrets(0, make([]byte, maxRecord+1)),
	} {
		if err == nil {
			t.Errorf("%s was written", name)
		}
	}
	if err := w.WritePacket(&capture.Packet{Data: make([]byte, maxFrame)}); err != nil {
		t.Errorf("longest packet: %v", err)
	}
}

// An error of the file below is not lost, however much was buffered.
func TestWriterError(t *testing.T) {
	full := errors.New("disk full")
	w, err := NewWriter(failWriter{full}, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); !errors.Is(err, full) {
		t.Errorf("flush: %v", err)
	}
	if err := w.WriteJournal(0, nil); !errors.Is(err, full) {
		t.Errorf("write after the error: %v", err)
	}
}

type failWriter struct{ err error }

func (f failWriter) Write([]byte) (int, error) { return 0, f.err }

func TestPcapWriterRoundTrip(t *testing.T) {
	for _, opts := range []PcapOptions{
		{LinkType: 1},
		{LinkType: 113, SnapLen: 96, Nanoseconds: true},
		{LinkType: 1, FCSLen: 4, BigEndian: true},
		{LinkType: 276, Nanoseconds: true, BigEndian: true},
	} {
		var out bytes.Buffer
		w, err := NewPcapWriter(&out, opts)
		if err != nil {
			t.Fatal(err)
		}
		packets := samplePackets(300, rand.New(rand.NewPCG(3, 4)))
		for i := range packets {
			if err := w.WritePacket(&packets[i]); err != nil {
				t.Fatal(err)
			}
		}
		w.Flush()
		frames, info, err := readBytes(out.Bytes())
		if err != nil || len(frames) != len(packets) {
			t.Fatalf("%d frames, %v", len(frames), err)
		}
		snap := uint32(maxFrame)
		if opts.SnapLen != 0 {
			snap = opts.SnapLen
		}
		if in := info.Interfaces[0]; in.LinkType != opts.LinkType || in.SnapLen != snap {
			t.Errorf("interface %+v", in)
		}
		for i, p := range packets {
			want := capture.Packet{Number: p.Number, Time: p.Time, HasTime: true, Data: p.Data, Length: p.Length, LinkType: opts.LinkType, FCSLen: -1}
			if !opts.Nanoseconds {
				want.Time -= want.Time % 1000
			}
			if opts.FCSLen > 0 {
				want.FCSLen = int8(opts.FCSLen)
			}
			if !samePacket(&frames[i].pk, &want) {
				t.Fatalf("packet %+v, want %+v", frames[i].pk, want)
			}
		}
	}
	if _, err := NewPcapWriter(&bytes.Buffer{}, PcapOptions{FCSLen: 3}); err == nil {
		t.Error("a check sequence of 3 bytes was written")
	}
	w, _ := NewPcapWriter(&bytes.Buffer{}, PcapOptions{LinkType: 1})
	for _, p := range []capture.Packet{{HasTime: true, Time: -1}, {Kind: capture.KindEvent}, {Data: make([]byte, maxFrame+1)}, {HasTime: true, Time: 1 << 62}} {
		if w.WritePacket(&p) == nil {
			t.Errorf("%+v was written", p)
		}
	}
}

// TestWrittenAgainstTshark has tshark read what the writers wrote: the same
// packets, no complaint, and the facts under Wireshark's own field names.
func TestWrittenAgainstTshark(t *testing.T) {
	requireTshark(t)
	packets := samplePackets(100, rand.New(rand.NewPCG(5, 6)))
	for _, big := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "written.pcapng")
		opts := WriterOptions{OS: "os", Application: "app", Comment: "a case", BigEndian: big}
		if err := os.WriteFile(path, writeSample(t, opts, packets, sampleJournal), 0o600); err != nil {
			t.Fatal(err)
		}
		diffs, _, err := compareFrames(path)
		if err != nil || len(diffs) > 0 {
			t.Fatalf("%v %v", err, diffs)
		}
		cmd := exec.Command("tshark", "-n", "-r", path, "-T", "fields", "-E", "separator=|", "-E", "quote=n", "-e", "frame.interface_name",
			"-e", "frame.packet_flags_direction", "-e", "frame.packet_flags_fcs_length", "-e", "frame.verdict.ebpf_xdp")
		var errOut bytes.Buffer
		cmd.Stderr = &errOut
		out, err := cmd.Output()
		if err != nil || strings.Contains(strings.ReplaceAll(errOut.String(), "Running as user", ""), "tshark:") {
			t.Fatalf("%v %s", err, errOut.String())
		}
		lines := strings.Split(string(out), "\n")
		for i, p := range packets {
			col := strings.Split(lines[i], "|")
			flagged := p.Direction != 0 || p.FCSLen > 0
			dir, fcs, verdict := "", "", ""
			if flagged {
				dir, fcs = fmt.Sprintf("0x%08x", int(p.Direction)), fmt.Sprint(max(p.FCSLen, 0))
			}
			if p.Dropped {
				verdict = "1"
			}
			if name := sampleInterfaces[p.Interface].Name; name != "" && col[0] != name {
				t.Errorf("packet %d is on %q, tshark says %q", i+1, name, col[0])
			}
			if number(col[1]) != number(dir) || number(col[2]) != number(fcs) || number(col[3]) != number(verdict) {
				t.Errorf("packet %d: tshark says %q; want direction %s, FCS %s, verdict %s", i+1, lines[i], dir, fcs, verdict)
			}
		}
	}
}

// number reads tshark's decimal and hexadecimal numbers alike; blank is -1.
func number(s string) int64 {
	var n int64
	if _, err := fmt.Sscan(s, &n); err != nil {
		return -1
	}
	return n
}

// TestMemoryGiven holds that a writer takes memory of whatever size.
func TestMemoryGiven(t *testing.T) {
	w, err := NewWriter(nil, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.AddInterface(&capture.Interface{LinkType: 1}); err != nil {
		t.Fatal(err)
	}
	for size := range 256 {
		w.Take(make([]byte, 0, size))
		for n := range 4 {
			p := capture.Packet{Data: make([]byte, 60+n), Length: 60 + n, FCSLen: -1, LinkType: 1, Direction: capture.Inbound, ProcessID: 7, HasTime: true}
			if err := w.WritePacket(&p); err != nil {
				t.Fatal(err)
			}
		}
	}
}
