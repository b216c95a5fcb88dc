package pcapfile

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"goproxytrace/capture"
)

var (
	_ capture.Source   = (*Reader)(nil)
	_ capture.Progress = (*Reader)(nil)
)

func TestPcapFields(t *testing.T) {
	for _, o := range [...]order{false, true} {
		data := cat(pcapHeader(o, magicNano, 2, 4, 96, 0x24000001), record(o, 7, 8, len(payload), 1500, payload))
		frames, info, err := readBytes(data)
		if err != nil || len(frames) != 1 {
			t.Fatalf("%d frames, %v", len(frames), err)
		}
		pk := frames[0].pk
		if pk.Number != 1 || pk.Time != 7_000_000_008 || pk.Length != 1500 || !bytes.Equal(pk.Data, payload) ||
			pk.Interface != 0 || pk.LinkType != 1 || pk.FCSLen != 4 || !pk.HasTime || pk.Kind != capture.KindFrame {
			t.Errorf("packet %+v", pk)
		}
		want := capture.Interface{LinkType: 1, SnapLen: 96, Packets: 1}
		if info.Format != "pcap" || info.Sections != 1 || info.Packets != 1 || info.Bytes != int64(len(payload)) ||
			len(info.Interfaces) != 1 || info.Interfaces[0] != want {
			t.Errorf("info %+v", info)
		}
	}
}

func TestModifiedPcapDirection(t *testing.T) {
	for _, c := range []struct {
		packetType byte
		want       capture.Direction
	}{{0, capture.Inbound}, {3, capture.Inbound}, {4, capture.Outbound}, {5, capture.DirectionUnknown}} {
		ext := words(false, 2, uint16(0x800), []byte{c.packetType, 0})
		frames, info, err := readBytes(cat(pcapHeader(false, magicModified, 2, 4, 65535, 1), record(false, 1, 2, len(payload), len(payload), ext, payload)))
		if err != nil || len(frames) != 1 || frames[0].pk.Direction != c.want {
			t.Errorf("packet type %d: %+v, %v", c.packetType, frames, err)
		}
		if len(info.Notes) != 1 || !strings.Contains(info.Notes[0], "modified") {
			t.Errorf("notes %q", info.Notes)
		}
	}
}

// A pipe cannot be looked at ahead: the standard layout is assumed at once.
func TestPipeDoesNotWaitForLayout(t *testing.T) {
	pr, pw := io.Pipe()
	defer pw.Close()
	go func() {
		pw.Write(pcapHeader(false, magicMicro, 2, 4, 65535, 1))
		pw.Write(record(false, 1, 2, len(payload), len(payload), payload))
	}()
	r, err := NewReader(pr, 0)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan int, 1)
	go func() {
		var b capture.Batch
		r.Read(&b)
		got <- len(b.Packets)
	}()
	select {
	case n := <-got:
		if n != 1 {
			t.Errorf("%d packets", n)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the packet in the pipe was not handed out")
	}
}

func TestPcapngFields(t *testing.T) {
	for _, o := range [...]order{false, true} {
		data := cat(
			shb(o, opt(o, 2, "cpu"), opt(o, 3, "os"), opt(o, 4, "app"), opt(o, 1, "said")),
			idb(o, 1, 0, opt(o, optIfName, "eth0\x00junk"), opt(o, optIfName, "second"), opt(o, optIfDescription, "d"),
				opt(o, optIfFilter, "\x00tcp"), opt(o, optIfOS, "if os"), opt(o, optIfHardware, "hw"),
				opt(o, optIfTsresol, "\x09"), opt(o, optIfFCSLen, "\x20")),
			idb(o, 276, 77, opt(o, optIfFCSLen, "\x04")),
			blockOf(o, blockProcess, words(o, 99, opt(o, 2, "go"), opt(o, 3, "/usr/bin/go"))),
			epb(o, 0, 1_600_000_000_123_456_789, payload,
				opt(o, optComment, "one"), opt(o, optPacketFlags, string(words(o, 2|3<<5))), opt(o, optPacketDrops, string(words(o, uint64(5)))),
				opt(o, optComment, "two"), opt(o, optPacketProcess, string(words(o, 4711, 4712))), opt(o, optPacketVerdict, "\x02"+string(words(o, uint64(1))))),
			epb(o, 1, 1_600_000_000_123_456, payload, opt(o, optPacketFlags, string(words(o, 1))), opt(o, 0x8001, string(words(o, 0)))),
			epb(o, 1, 1_600_000_000_123_456, payload, opt(o, 0x8001, string(words(o, 1))), opt(o, 0x8007, string(words(o, 3)))),
			pb(o, 1, 7, 5, payload), pb(o, 1, 0xffff, 5, payload),
			shb(o), idb(o, 101, 0), spb(o, payload, len(payload)),
		)
		frames, info, err := readBytes(data)
		if err != nil || len(frames) != 6 {
			t.Fatalf("%d frames, %v", len(frames), err)
		}
		p := func(i int) capture.Packet { return frames[i].pk }
		if a := p(0); a.Time != 1_600_000_000_123_456_789 || a.Interface != 0 || a.LinkType != 1 || a.FCSLen != 3 ||
			a.Direction != capture.Outbound || a.ProcessID != 4711 || a.Comment != "one\ntwo" || !a.Dropped {
			t.Errorf("first packet %+v", a)
		}
		if a := p(1); a.Time != 1_600_000_000_123_456_000 || a.Interface != 1 || a.LinkType != 276 || a.FCSLen != 4 ||
			a.Direction != capture.Inbound || a.ProcessID != 99 || a.Comment != "" || a.Dropped {
			t.Errorf("second packet %+v", a)
		}
		if a := p(2); a.ProcessID != 0 || !a.Dropped {
			t.Errorf("third packet %+v", a)
		}
		if a := p(5); a.HasTime || a.Time != 0 || a.Interface != 2 || a.LinkType != 101 || a.FCSLen != -1 || a.Number != 6 {
			t.Errorf("last packet %+v", a)
		}
		want := []capture.Interface{
			{Name: "eth0", Description: "d", Filter: "tcp", OS: "if os", Hardware: "hw", LinkType: 1, Packets: 1, DropCount: 5},
			{LinkType: 276, SnapLen: 77, Packets: 4, DropCount: 7},
			{LinkType: 101, Section: 1, Packets: 1},
		}
		if !slices.Equal(info.Interfaces, want) {
			t.Errorf("interfaces %+v", info.Interfaces)
		}
		if info.Hardware != "cpu" || info.OS != "os" || info.Application != "app" || info.Sections != 2 || info.Format != "pcapng" {
			t.Errorf("info %+v", info)
		}
		if len(info.Processes) != 1 || info.Processes[0] != (capture.Process{PID: 99, Name: "go", Path: "/usr/bin/go"}) {
			t.Errorf("processes %+v", info.Processes)
		}
		if !slices.Contains(info.Notes, "comment: said") {
			t.Errorf("notes %q", info.Notes)
		}
	}
}

// An interface's options may be repeated or malformed; the first proper one
// counts, and a wrong length is as good as none.
func TestInterfaceOptionsOnce(t *testing.T) {
	o := order(false)
	data := cat(shb(o), idb(o, 1, 0, opt(o, optIfTsresol, "\x03\x03"), opt(o, optIfTsresol, "\x09"), opt(o, optIfTsresol, "\x06")), epb(o, 0, 5, payload))
	frames, _, err := readBytes(data)
	if err != nil || frames[0].time != 5 {
		t.Errorf("time %+v, %v; want 5 ns", frames, err)
	}
}

func TestStatistics(t *testing.T) {
	for _, o := range [...]order{false, true} {
		u64 := func(v uint64) string { return string(words(o, v)) }
		split := func(v uint64) string { return string(words(o, uint32(v>>32), uint32(v))) }
		isb := func(iface int, opts ...[]byte) []byte {
			return blockOf(o, blockStatistics, words(o, iface, 0, 0, cat(opts...)))
		}
		data := cat(shb(o), idb(o, 1, 0), idb(o, 1, 0), idb(o, 1, 0),
			isb(1, opt(o, 2, split(at)), opt(o, 3, split(at+1)), opt(o, 4, u64(10)), opt(o, 5, u64(11)), opt(o, 6, u64(12)), opt(o, 7, u64(13)), opt(o, 8, u64(14))),
			epb(o, 0, at, payload),
			isb(1, opt(o, 4, u64(20))), isb(0, opt(o, 4, "1234"), opt(o, 5, u64(1<<64-1)), opt(o, 7, u64(0))), isb(9))
		_, info, err := readBytes(data)
		if err != nil {
			t.Fatal(err)
		}
		in := info.Interfaces[1]
		if *in.Received != 20 || *in.Dropped != 11 || *in.FilterAccepted != 12 || *in.OSDropped != 13 || *in.Delivered != 14 ||
			in.Start != int64(at)*1000 || in.End != int64(at+1)*1000 {
			t.Errorf("statistics %+v", in)
		}
		if in := info.Interfaces[0]; in.Received != nil || in.Dropped != nil || *in.OSDropped != 0 {
			t.Errorf("partial statistics %+v", in)
		}
		if info.Interfaces[2].Received != nil || info.Blocks["interface statistics"] != 4 || len(info.Notes) != 1 {
			t.Errorf("%+v", info)
		}
	}
}

func TestNamesAndSecrets(t *testing.T) {
	for _, o := range [...]order{false, true} {
		data := cat(shb(o), blockOf(o, blockNames, words(o,
			uint16(1), uint16(4+4+4), "\x01\x02\x03\x04", "abc\x00", "def\x00",
			uint16(9), uint16(4), "what",
			uint16(2), uint16(16+2), padded(append(make([]byte, 15), 1, 'x', 0)),
			uint16(1), uint16(4+4), "\x01\x02\x03\x04", "abc\x00",
			uint16(0), uint16(0), opt(o, 2, "ns"))),
			blockOf(o, blockSecrets, words(o, SecretsTLSKeyLog, 5, "abcde")))
		_, info, err := readBytes(data)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(info.Names["1.2.3.4"], []string{"abc", "def"}) || !slices.Equal(info.Names["::1"], []string{"x"}) || len(info.Names) != 2 {
			t.Errorf("names %v", info.Names)
		}
		if !info.HasSecrets || info.Blocks["decryption secrets"] != 1 || info.Blocks["name resolution"] != 1 {
			t.Errorf("info %+v", info)
		}
	}
}

func TestEventsTakeNumbers(t *testing.T) {
	o := order(false)
	journal := "__REALTIME_TIMESTAMP=1600000000000001\nMESSAGE=hello\nBINARY\n\x05\x00\x00\x00\x00\x00\x00\x00a\nb=c\nMESSAGE=again\nLAST=\n"
	opts := cat(opt(o, 2, "go"), opt(o, 3, "/go"), opt(o, 4, "go\x00mod\x00download\x00"), opt(o, 5, string(words(o, 7))), opt(o, 9, string(words(o, uint64(55)))))
	wireshark := words(o, penWireshark, 3, 4+len(opts), 4711, opts, "more")
	data := cat(shb(o), idb(o, 1, 0), epb(o, 0, at, payload),
		blockOf(o, blockJournal, []byte(journal)), blockOf(o, blockCustom, words(o, 99, "hi!!")),
		blockOf(o, 0x77, nil), blockOf(o, blockCustomKeep, wireshark), epb(o, 0, at, payload))
	frames, info, err := readBytes(data)
	if err != nil || len(frames) != 5 {
		t.Fatalf("%d records, %v", len(frames), err)
	}
	for i, kind := range []capture.Kind{0, 1, 1, 1, 0} {
		if frames[i].pk.Kind != kind || frames[i].number != int64(i)+1 {
			t.Errorf("record %d: %+v", i, frames[i].pk)
		}
	}
	if j := frames[1].pk; j.Time != 1_600_000_000_000_001_000 || !j.HasTime || string(j.Data) != journal || j.Interface != -1 {
		t.Errorf("journal %+v", j)
	}
	if c := frames[2].pk; c.HasTime || string(c.Data) != "hi!!" {
		t.Errorf("custom %+v", c)
	}
	f := info.EventRecords[0].Fields
	if f["MESSAGE"] != "hello" || f["BINARY"] != "a\nb=c" || f["LAST"] != "" || len(f) != 4 {
		t.Errorf("fields %q", f)
	}
	want := capture.Process{PID: 4711, Name: "go", Path: "/go", CommandLine: "go mod download", Parent: 7, Start: 55}
	if len(info.Processes) != 1 || info.Processes[0] != want {
		t.Errorf("processes %+v", info.Processes)
	}
	if info.Packets != 2 || info.Events != 3 || info.Blocks["unknown 0x00000077"] != 1 || info.Blocks["journal"] != 1 || info.Blocks["custom"] != 2 {
		t.Errorf("info %+v", info)
	}
	if info.EventRecords[1].Kind != "custom" || info.EventRecords[1].Number != 3 || info.EventRecords[1].Fields["PEN"] != "99" {
		t.Errorf("events %+v", info.EventRecords)
	}
}

func TestJournalFieldsHostile(t *testing.T) {
	for _, c := range []struct {
		entry string
		want  map[string]string
	}{
		{"", nil},
		{"\n\n", nil},
		{"A=1\nB\n\xff\xff\xff\xff\xff\xff\xff\xffx\n", map[string]string{"A": "1"}},
		{"A=1\nB\n\x02", map[string]string{"A": "1"}},
		{"B\n\x01\x00\x00\x00\x00\x00\x00\x00", nil},
		{"=x\nA=1", map[string]string{"A": "1"}},
		{"B\n\x00\x00\x00\x00\x00\x00\x00\x00\nA=1\n", map[string]string{"A": "1", "B": ""}},
	} {
		got := JournalFields([]byte(c.entry))
		if len(got) != len(c.want) {
			t.Errorf("%q: %q, want %q", c.entry, got, c.want)
		}
		for k, v := range c.want {
			if got[k] != v {
				t.Errorf("%q: %q, want %q", c.entry, got, c.want)
			}
		}
	}
}

func TestNotCapture(t *testing.T) {
	etl := make([]byte, 0x80)
	copy(etl, words(false, 0x10000, 0x800, 0x800))
	etl[0x36] = 4
	erf := words(false, 0, 1_600_000_000, []byte{2, 4, 0, 80, 0, 0, 0, 60}, make([]byte, 64))
	for _, c := range []struct {
		data, want string
	}{
		{"", "an empty file"},
		{"hello\n", "text"},
		{"snoop\x00\x00\x00\x00\x00\x00\x02", "a snoop capture"},
		{"GMBU\x00\x02", "a Microsoft Network Monitor 2.x capture"},
		{"RTSS\x01\x01", "a Microsoft Network Monitor 1.x capture"},
		{string(etl), "a Windows event trace"},
		{string(erf), "an ERF capture"},
		{"\xd4\xc3\xb2", "the bytes d4 c3 b2"},
		{"\x01\x02\x03\x04\x05", "the bytes 01 02 03 04 05"},
		{"\n\r\r\n\x1c\x00\x00\x00abcd", "the bytes 0a 0d 0d 0a 1c 00 00 00"},
		{string(gzipped(nil)), "gzip data that holds an empty file"},
		{string(gzipped([]byte("hello"))), "gzip data that holds text"},
		{string(zstded(t, []byte("\x00\x01\x02\x03"))), "zstd data that holds data that begins with the bytes 00 01 02 03"},
		{"\xfd7zXZ\x00", "xz-compressed data"},
	} {
		_, err := NewReader(strings.NewReader(c.data), 1)
		if !errors.Is(err, capture.ErrNotCapture) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.20q: %v, want %s", c.data, err, c.want)
		}
	}
	if _, err := Open(t.TempDir()); !errors.Is(err, capture.ErrNotCapture) {
		t.Errorf("a directory: %v", err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestDamage(t *testing.T) {
	o := order(false)
	std := pcapHeader(o, magicMicro, 2, 4, 65535, 1)
	rec := record(o, 1, 2, len(payload), len(payload), payload)
	s := cat(shb(o), idb(o, 1, 0))
	p := epb(o, 0, at, payload)
	for _, c := range []struct {
		name   string
		data   []byte
		n      int
		offset int
	}{
		{"magic only", std[:4], 0, 0},
		{"header cut", std[:23], 0, 0},
		{"section magic only", s[:4], 0, 0},
		{"section cut", s[:11], 0, 0},
		{"version 1", pcapHeader(o, magicMicro, 1, 4, 0, 1), 0, 0},
		{"record header cut", cat(std, rec, rec[:15]), 1, 24 + len(rec)},
		{"record cut", cat(std, rec, rec[:len(rec)-1]), 1, 24 + len(rec)},
		{"4 GiB record", cat(std, rec, rec, rec, record(o, 1, 1, 0xffffffff, 1)), 3, 24 + 3*len(rec)},
		{"4 GiB block", cat(s, p, words(o, 0x77, uint32(0xfffffffc))), 1, len(s) + len(p)},
		{"zero-length block", cat(s, p, words(o, 0x77, 0), p), 1, len(s) + len(p)},
		{"self-repeating block", cat(s, p, words(o, 0x77, 8), p), 1, len(s) + len(p)},
		{"unknown block cut", cat(s, p, words(o, 0x77, 4000), p), 1, len(s) + len(p)},
		{"long unknown block with another length at its end", cat(s, p, lyingBlock(o, 0x77, make([]byte, 3<<20), 3<<20+12, 12), p), 1, len(s) + len(p)},
		{"long packet block", cat(s, p, words(o, blockEnhanced, 100<<20), make([]byte, 1<<20)), 1, len(s) + len(p)},
		{"secrets cut", cat(s, p, words(o, blockSecrets, 1<<20, SecretsTLSKeyLog, 100)), 1, len(s) + len(p)},
		{"secrets lie, cut", cat(s, p, words(o, blockSecrets, 1<<20, SecretsTLSKeyLog, 2<<20)), 1, len(s) + len(p)},
	} {
		t.Run(c.name, func(t *testing.T) { wantDamage(t, c.data, c.n, int64(c.offset)) })
	}
}

// Blocks that nobody reads may be longer than what is held in memory.
func TestLongBlocksPassedOver(t *testing.T) {
	o := order(false)
	s := cat(shb(o), idb(o, 1, 0))
	p := epb(o, 0, at, payload)
	long := make([]byte, maxRecord+5000)
	copy(long, words(o, SecretsTLSKeyLog, maxRecord))
	for _, typ := range []uint32{0x77, blockSecrets, blockJournal, blockCustom} {
		frames, info, err := readBytes(cat(s, p, blockOf(o, typ, long), p))
		want := 2 + boolInt(isEvent(typ))
		if err != nil || len(frames) != want {
			t.Fatalf("type %#x: %d records, %v", typ, len(frames), err)
		}
		if isEvent(typ) && (frames[1].pk.Kind != capture.KindEvent || frames[1].pk.Data != nil || len(info.Notes) != 1 || frames[1].length < maxRecord) {
			t.Errorf("type %#x: %+v, %q", typ, frames[1].pk, info.Notes)
		}
		if info.HasSecrets != (typ == blockSecrets) {
			t.Errorf("type %#x: secrets %v", typ, info.HasSecrets)
		}
	}
}

func TestCompressed(t *testing.T) {
	plain := plainPcapng(40000)
	want, _, err := readBytes(plain)
	if err != nil || len(want) != 40000 {
		t.Fatalf("%d frames, %v", len(want), err)
	}
	half := len(plain) / 2
	for _, c := range []struct {
		name, format string
		data         []byte
		notes        int
	}{
		{"gzip", "pcapng+gzip", gzipped(plain), 0},
		{"gzip members", "pcapng+gzip", cat(gzipped(plain[:half]), gzipped(plain[half:])), 0},
		{"gzip with an empty member", "pcapng+gzip", cat(gzipped(nil), gzipped(plain), gzipped(nil)), 0},
		{"gzip and more", "pcapng+gzip", cat(gzipped(plain), []byte("trailing")), 1},
		{"zstd", "pcapng+zstd", zstded(t, plain), 0},
		{"zstd frames", "pcapng+zstd", cat(zstded(t, plain[:half]), zstded(t, plain[half:])), 0},
		{"zstd after a skippable frame", "pcapng+zstd", cat(words(false, 0x184d2a53, 4, "abcd"), zstded(t, plain)), 0},
	} {
		for _, live := range []bool{false, true} {
			size := int64(len(c.data))
			if live {
				size = 0
			}
			r, err := NewReader(&chunks{c.data, 5000}, size)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			got, info, err := drain(r)
			if err != nil || len(got) != len(want) || info.Format != c.format || len(info.Notes) != c.notes {
				t.Errorf("%s: %d frames, %v, %s, %q", c.name, len(got), err, info.Format, info.Notes)
			}
			if read, total := r.Progress(); total != size || read != int64(len(c.data)) {
				t.Errorf("%s: progress %d of %d", c.name, read, total)
			}
			r.Close()
		}
	}
}

func TestCompressedDamage(t *testing.T) {
	plain := plainPcap(50000)
	for name, z := range map[string][]byte{"gzip": gzipped(plain), "zstd": zstded(t, plain)} {
		// Half the stream holds about half the packets.
		frames, _, err := readBytes(z[:len(z)/2])
		var d *capture.DamageError
		if !errors.As(err, &d) || !strings.Contains(d.Reason, name+" stream is cut") || !strings.Contains(d.Reason, "decompression") {
			t.Errorf("%s cut: %v", name, err)
		}
		if len(frames) < 15000 || len(frames) >= 50000 {
			t.Errorf("%s cut in half: %d frames", name, len(frames))
		}
		// A few bytes of the compressed stream: no capture is in sight, but
		// the magic number was valid.
		_, _, err = readBytes(z[:6])
		if !errors.As(err, &d) || d.Offset != 0 || d.Packet != 1 {
			t.Errorf("%s cut after 6 bytes: %v", name, err)
		}
		bad := bytes.Clone(z)
		bad[len(bad)-5] ^= 0xff // in the checksum of gzip, in the last block of zstd
		frames, _, err = readBytes(bad)
		if !errors.As(err, &d) || !strings.Contains(d.Reason, name+" stream is damaged") {
			t.Errorf("%s damaged: %d frames, %v", name, len(frames), err)
		}
	}
	if frames, _, err := readBytes(cat(gzipped(plain[:len(plain)-3]), []byte("junk"))); err == nil || len(frames) != 49999 {
		t.Errorf("cut record before trailing bytes: %d frames, %v", len(frames), err)
	}
}

// What is read does not depend on how the bytes arrive.
func TestChunking(t *testing.T) {
	for name, data := range map[string][]byte{"pcap": plainPcap(300), "pcapng": plainPcapng(300)} {
		want, _, _ := readBytes(data)
		for _, n := range []int{1, 3, 17, 100, 4096} {
			for _, live := range []bool{false, true} {
				size := int64(len(data))
				if live {
					size = 0
				}
				r, err := NewReader(&chunks{data, n}, size)
				if err != nil {
					t.Fatal(err)
				}
				got, _, err := drain(r)
				if err != nil || len(got) != len(want) {
					t.Fatalf("%s in chunks of %d: %d frames, %v", name, n, len(got), err)
				}
				for i := range got {
					if got[i].time != want[i].time || !bytes.Equal(got[i].pk.Data, want[i].pk.Data) {
						t.Fatalf("%s in chunks of %d: frame %d differs", name, n, i+1)
					}
				}
			}
		}
	}
}

// Two batches in turn: filling one leaves the other's packets alone.
func TestBatchesAreIndependent(t *testing.T) {
	data := plainPcap(60000)
	r, err := NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var batches [2]capture.Batch
	check := func(b *capture.Batch) {
		for _, pk := range b.Packets {
			i := int(pk.Number - 1)
			if len(pk.Data) != 14+i%50 || pk.Data[0] != byte(i) || pk.Data[len(pk.Data)-1] != byte(i) {
				t.Fatalf("packet %d was overwritten", pk.Number)
			}
		}
	}
	n := 0
	for i := 0; ; i++ {
		b, other := &batches[i%2], &batches[1-i%2]
		err := r.Read(b)
		check(other)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		check(b)
		if cap(b.Buf) > 2*chunkSize || len(b.Packets) > maxBatchPackets {
			t.Errorf("batch of %d bytes, %d packets", cap(b.Buf), len(b.Packets))
		}
		n += len(b.Packets)
	}
	if n != 60000 {
		t.Errorf("%d packets", n)
	}
	if err := r.Read(&batches[0]); err != io.EOF || len(batches[0].Packets) != 0 {
		t.Errorf("after the end: %v", err)
	}
}

// An I/O error is neither an end nor damage.
func TestReadError(t *testing.T) {
	boom := errors.New("boom")
	data := plainPcap(10)
	r, err := NewReader(io.MultiReader(bytes.NewReader(data[:len(data)-3]), errReader{boom}), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	frames, _, err := drain(r)
	var d *capture.DamageError
	if !errors.Is(err, boom) || errors.As(err, &d) || len(frames) != 9 {
		t.Errorf("%d frames, %v", len(frames), err)
	}
	if _, err := NewReader(errReader{boom}, 1); !errors.Is(err, boom) {
		t.Errorf("error at the start: %v", err)
	}
	// A reader that never gets on must not hang.
	if _, _, err := func() ([]frame, *capture.Info, error) {
		r, err := NewReader(io.MultiReader(bytes.NewReader(data), stuckReader{}), int64(len(data))+1)
		if err != nil {
			return nil, nil, err
		}
		return drain(r)
	}(); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("stuck reader: %v", err)
	}
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

type stuckReader struct{}

func (stuckReader) Read([]byte) (int, error) { return 0, nil }

func TestOpenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.pcap")
	data := plainPcap(20)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	frames, info, err := readAll(path)
	if err != nil || len(frames) != 20 || info.Packets != 20 {
		t.Errorf("%d frames, %v", len(frames), err)
	}
}

// TestStatisticsInMicroseconds: dumpcap writes the times of a statistics block
// in microseconds although its packets are in nanoseconds; the look-alike is a
// writer that keeps to the resolution.
func TestStatisticsInMicroseconds(t *testing.T) {
	const at = int64(1_763_784_096_757_715_716)
	for _, c := range []struct {
		name            string
		written, wanted int64
	}{
		{"microseconds", (at + 5e9) / 1000, (at + 5e9) / 1000 * 1000},
		{"nanoseconds", at + 5e9, at + 5e9},
	} {
		var b bytes.Buffer
		w, err := NewWriter(&b, WriterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		id, err := w.AddInterface(&capture.Interface{LinkType: 1})
		if err != nil {
			t.Fatal(err)
		}
		p := capture.Packet{Time: at, HasTime: true, Data: make([]byte, 60), Length: 60, Interface: int32(id)}
		if err := w.WritePacket(&p); err != nil {
			t.Fatal(err)
		}
		if err := w.WriteStatistics(id, at, &capture.Interface{End: c.written}); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		r, err := NewReader(&b, 0)
		if err != nil {
			t.Fatal(err)
		}
		var batch capture.Batch
		for err == nil {
			err = r.Read(&batch)
		}
		if got := r.Info().Interfaces[0].End; got != c.wanted {
			t.Errorf("%s: end %d, want %d", c.name, got, c.wanted)
		}
	}
}
