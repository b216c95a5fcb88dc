package pcapfile

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"testing"

	"goproxytrace/capture"
)

// checkReading reads data and holds the result to what is true of any input:
// numbers rise by one, lengths and offsets are sane, the error is one of
// those promised.
func checkReading(tb testing.TB, data []byte, live bool) []frame {
	tb.Helper()
	size := int64(max(len(data), 1))
	if live {
		size = 0
	}
	r, err := NewReader(bytes.NewReader(data), size)
	if err != nil {
		if !errors.Is(err, capture.ErrNotCapture) {
			tb.Fatalf("opening: %v", err)
		}
		return nil
	}
	defer r.Close()
	frames, info, err := drain(r)
	var d *capture.DamageError
	switch {
	case err == nil:
	case errors.As(err, &d):
		if d.Packet != int64(len(frames))+1 || d.Offset < 0 || r.in.compression == "" && d.Offset > int64(len(data)) {
			tb.Fatalf("%d records of %d bytes, then %v", len(frames), len(data), d)
		}
	default:
		tb.Fatalf("reading: %v", err)
	}
	if info.Packets+info.Events != int64(len(frames)) {
		tb.Fatalf("%d packets and %d events counted, %d records read", info.Packets, info.Events, len(frames))
	}
	for i := range frames {
		pk := &frames[i].pk
		if pk.Number != int64(i)+1 || pk.Length < 0 || int(pk.Interface) >= len(info.Interfaces) || pk.Interface < -1 {
			tb.Fatalf("record %d: %+v", i+1, pk)
		}
	}
	return frames
}

// samePrefix says whether got is the beginning of want.
func samePrefix(got, want []frame) bool {
	if len(got) > len(want) {
		return false
	}
	for i := range got {
		if got[i].time != want[i].time || got[i].length != want[i].length || !bytes.Equal(got[i].pk.Data, want[i].pk.Data) {
			return false
		}
	}
	return true
}

// TestCutAnywhere cuts small files at each byte: the frames that end before
// the cut are all there, and nothing else.
func TestCutAnywhere(t *testing.T) {
	for name, data := range map[string][]byte{"pcap": plainPcap(12), "pcapng": plainPcapng(12)} {
		want := checkReading(t, data, false)
		// The end of each record, by construction the only places where a
		// cut is none.
		var ends []int
		for off := range recordEnds(t, data) {
			ends = append(ends, off)
		}
		for cut := range len(data) {
			for _, live := range []bool{false, true} {
				got := checkReading(t, data[:cut], live)
				complete := 0
				for _, end := range ends {
					if end <= cut {
						complete++
					}
				}
				if len(got) != complete || !samePrefix(got, want) {
					t.Fatalf("%s cut at %d: %d frames, want %d", name, cut, len(got), complete)
				}
			}
		}
	}
}

// recordEnds yields the offset after each packet of an undamaged file.
func recordEnds(t *testing.T, data []byte) map[int]bool {
	t.Helper()
	ends := make(map[int]bool)
	if isPcap(data) {
		for off := pcapHeaderLen; off < len(data); {
			off += 16 + int(le32(data[off+8:]))
			ends[off] = true
		}
		return ends
	}
	for off := 0; off < len(data); {
		typ := le32(data[off:])
		off += int(le32(data[off+4:]))
		if typ == blockEnhanced {
			ends[off] = true
		}
	}
	return ends
}

// TestCorpusCutAndFlipped cuts each capture of the corpus at random places and
// flips random bytes.
func TestCorpusCutAndFlipped(t *testing.T) {
	cuts, flips := 50, 20
	if testing.Short() {
		cuts, flips = 5, 3
	}
	for _, path := range corpusFiles(t) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		rnd := rand.New(rand.NewPCG(uint64(len(data)), 1))
		want := checkReading(t, data, false)
		n, m := cuts, flips
		if len(data) > 1<<20 {
			n, m = cuts/5, flips/5
		}
		guessed := damagedEarly(path)
		for i := range n {
			cut := rnd.IntN(len(data))
			if len(data) <= 4096 {
				cut = i * len(data) / n
			}
			got := checkReading(t, data[:cut], false)
			// In the first records the layout is a guess.
			if !samePrefix(got, want) && !guessed && len(got) > 3 {
				t.Errorf("%s cut at %d: frames differ from those of the whole file", path, cut)
			}
		}
		for range m {
			bad := bytes.Clone(data)
			for range 1 + rnd.IntN(4) {
				bad[rnd.IntN(len(bad))] ^= byte(1 << rnd.IntN(8))
			}
			checkReading(t, bad, rnd.IntN(2) == 0)
		}
	}
}

// TestHostileTables checks that no table grows with a hostile file.
func TestHostileTables(t *testing.T) {
	o := order(false)
	name := string(repeat([]byte("n"), 4000))
	iface := idb(o, 1, 0, opt(o, optIfName, name))
	_, info, err := readBytes(cat(shb(o), repeat(iface, 3000)))
	if err != nil || len(info.Interfaces)*len(name) > 2*maxInterfaceText || len(info.Notes) != 1 {
		t.Errorf("%d interfaces with long names, %v, %q", len(info.Interfaces), err, info.Notes)
	}
	frames, info, err := readBytes(cat(shb(o), repeat(idb(o, 1, 0), maxInterfaces+5), epb(o, maxInterfaces+2, at, payload)))
	if err != nil || len(frames) != 1 || frames[0].pk.Interface != -1 || len(info.Interfaces) != maxInterfaces {
		t.Errorf("%d frames, %d interfaces, %v", len(frames), len(info.Interfaces), err)
	}
	if _, _, err := readBytes(cat(shb(o), repeat(idb(o, 1, 0), maxSectionInterfaces+1))); err == nil {
		t.Errorf("more than %d interfaces in a section were accepted", maxSectionInterfaces)
	}

	var blocks []byte
	for i := range 500 {
		blocks = append(blocks, blockOf(o, uint32(0x10000+i), nil)...)
	}
	_, info, _ = readBytes(cat(shb(o), blocks))
	if len(info.Blocks) > 70 || info.Blocks["other unknown"] != 500-64 {
		t.Errorf("%d kinds of block", len(info.Blocks))
	}

	var names []byte
	for i := range 3000 {
		names = append(names, words(o, uint16(1), uint16(4+len(name)+4), []byte{10, 0, byte(i >> 8), byte(i)}, name, "xyz\x00")...)
	}
	var nrb []byte
	rec := len(names) / 3000
	for i := 0; i < len(names); i += 100 * rec {
		nrb = append(nrb, blockOf(o, blockNames, names[i:i+100*rec])...)
	}
	_, info, err = readBytes(cat(shb(o), nrb))
	size := 0
	for k, v := range info.Names {
		size += len(k)
		for _, s := range v {
			size += len(s)
		}
	}
	if err != nil || size > 2*maxNameBytes || len(info.Names) < 500 {
		t.Errorf("%d bytes of names of %d addresses, %v", size, len(info.Names), err)
	}

	entry := blockOf(o, blockJournal, []byte("__REALTIME_TIMESTAMP=1600000000000001\nMESSAGE="+string(repeat([]byte("m"), 60000))+"\n"))
	frames, info, err = readBytes(cat(shb(o), repeat(entry, 500)))
	size = 0
	for _, e := range info.EventRecords {
		size += len(e.Fields["MESSAGE"])
	}
	if err != nil || len(frames) != 500 || size > maxEventBytes || size < maxEventBytes/2 {
		t.Errorf("%d records, %d bytes of text, %v", len(frames), size, err)
	}

	proc := blockOf(o, blockProcess, words(o, 1, opt(o, 3, name)))
	_, info, err = readBytes(cat(shb(o), repeat(proc, 3000)))
	if err != nil || len(info.Processes)*len(name) > maxProcessBytes || len(info.Processes) < 500 {
		t.Errorf("%d processes, %v", len(info.Processes), err)
	}

	long := opt(o, optComment, string(repeat([]byte("c"), 60000)))
	frames, _, err = readBytes(cat(shb(o), idb(o, 1, 0), epb(o, 0, at, payload, long, long), epb(o, 0, at, payload)))
	if err != nil || len(frames[0].pk.Comment) > maxComment+1 || len(frames[0].pk.Comment) < maxComment/2 || frames[1].pk.Comment != "" {
		t.Errorf("comments of %d and %d bytes, %v", len(frames[0].pk.Comment), len(frames[1].pk.Comment), err)
	}
}
