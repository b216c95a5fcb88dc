package pcapfile

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type variant struct {
	name string
	data []byte
	// differs says why Wireshark reads something else; empty where not.
	differs string
}

// variants are captures, right and wrong, of every kind the package knows.
func variants() []variant {
	var list []variant
	add := func(name string, parts ...[]byte) {
		list = append(list, variant{name: name, data: cat(parts...)})
	}
	differs := func(why string) { list[len(list)-1].differs = why }

	n := len(payload)
	for _, o := range [...]order{false, true} {
		e := map[order]string{false: " little-endian", true: " big-endian"}[o]
		rec := record(o, 1_600_000_000, 999_999, n, n, payload)
		std := pcapHeader(o, magicMicro, 2, 4, 65535, 1)
		add("pcap"+e, std, repeat(rec, 4))
		add("pcap nanoseconds"+e, pcapHeader(o, magicNano, 2, 4, 65535, 1), repeat(record(o, 1, 999_999_999, n, n, payload), 2))
		ext := words(o, 2, uint16(0x800), []byte{4, 0})
		add("pcap modified"+e, pcapHeader(o, magicModified, 2, 4, 65535, 1), repeat(record(o, 1, 2, n, n, ext, payload), 3))
		add("pcap modified, SMP"+e, pcapHeader(o, magicModified, 2, 4, 65535, 1), repeat(record(o, 1, 2, n, n, ext, make([]byte, 4), payload), 3))
		if o == bigEndian {
			differs("Wireshark 4.0 tells the layouts apart by the lengths alone, and both fit")
		}
		add("pcap modified, standard magic"+e, std, repeat(record(o, 1, 2, n, n, ext, payload), 3))
		add("pcap Nokia"+e, std, repeat(record(o, 1, 2, n, n, words(o, 0x9fbfb601), payload), 3))
		add("pcap Ixia hardware"+e, pcapHeader(o, magicIxiaHW, 2, 4, 65535, 1), words(o, 9), repeat(rec, 2))
		differs("Wireshark 4.0 reads the hardware variant in microseconds, later versions in nanoseconds")
		add("pcap Ixia software"+e, pcapHeader(o, magicIxiaSW, 2, 4, 65535, 1), words(o, 9), repeat(rec, 2))
		add("pcap AIX"+e, pcapHeader(o, magicMicro, 2, 2, 65535, 6), repeat(record(o, 1, 999_999_999, n, n, payload), 2))
		add("pcap AIX FDDI"+e, pcapHeader(o, magicMicro, 2, 2, 65535, 15), repeat(record(o, 1, 999_999_999, n, n, payload), 2))
		add("pcap 2.2, lengths swapped"+e, pcapHeader(o, magicMicro, 2, 2, 65535, 1), repeat(record(o, 1, 2, n+9, n, payload), 2))
		add("pcap 2.3, lengths swapped"+e, pcapHeader(o, magicMicro, 2, 3, 65535, 1), repeat(record(o, 1, 2, n+9, n, payload), 2))
		add("pcap 2.3"+e, pcapHeader(o, magicMicro, 2, 3, 65535, 1), repeat(record(o, 1, 2, n, n+9, payload), 2))
		add("pcap 543.0"+e, pcapHeader(o, magicMicro, 543, 0, 65535, 1), repeat(record(o, 1, 2, n+9, n, payload), 2))
		add("pcap 1.4"+e, pcapHeader(o, magicMicro, 1, 4, 65535, 1), rec)
		add("pcap 3.0"+e, pcapHeader(o, magicMicro, 3, 0, 65535, 1), rec)
		add("pcap FCS bits"+e, pcapHeader(o, magicMicro, 2, 4, 65535, 0x24000001), rec)
		add("pcap reserved link-type bits"+e, pcapHeader(o, magicMicro, 2, 4, 65535, 0x00010001), rec)
		add("pcap unknown link type"+e, pcapHeader(o, magicMicro, 2, 4, 65535, 12345), rec)
		for _, snap := range [...]int{0, 4, 0xffffffff} {
			add(fmt.Sprintf("pcap snaplen %d%s", snap, e), pcapHeader(o, magicMicro, 2, 4, snap, 1), repeat(rec, 3))
		}

		s := cat(shb(o), idb(o, 1, 0))
		p := epb(o, 0, at, payload)
		add("pcapng"+e, s, p, p)
		add("pcapng SPB"+e, s, spb(o, payload, n), p)
		add("pcapng SPB, snaplen"+e, shb(o), idb(o, 1, 12), spb(o, payload[:12], n), p)
		add("pcapng second section in the other order"+e, s, p, shb(!o), idb(!o, 1, 0), epb(!o, 0, at, payload), s, p)
		add("pcapng names"+e, s, blockOf(o, blockNames, words(o, uint16(1), uint16(8), "\x01\x02\x03\x04abc\x00", uint16(0), uint16(0))), p)
		add("pcapng statistics"+e, s, blockOf(o, blockStatistics, words(o, 0, 0, 0, opt(o, optStatReceived, "12345678"))), p)
		add("pcapng PB"+e, s, pb(o, 0, 5, at, payload), pb(o, 0, 0xffff, at, payload), p)
		add("pcapng time offset"+e, shb(o), idb(o, 1, 0, opt(o, optIfTsoffset, string(words(o, uint64(5))))), p)
		add("pcapng flags"+e, s, epb(o, 0, at, payload, opt(o, optPacketFlags, "\x01\x00\x00\x02")), p)
		if o == bigEndian {
			continue // tshark is slow; the rest does not depend on the order
		}
		add("pcapng SPB too long"+e, s, p, spb(o, payload, n+50), p)
		add("pcapng SPB without interface"+e, shb(o), spb(o, payload, n))
		for _, resol := range [...]byte{0, 3, 6, 9, 10, 0x80, 0x8a, 0xa0} {
			ts := at / 1_000_000
			units, _ := unitsOf(resol)
			ts = ts*units + units/3
			add(fmt.Sprintf("pcapng resolution %#02x%s", resol, e), shb(o), idb(o, 1, 0, opt(o, optIfTsresol, string([]byte{resol}))), epb(o, 0, ts, payload))
		}
		for _, resol := range [...]byte{12, 0xa8} {
			units, _ := unitsOf(resol)
			add(fmt.Sprintf("pcapng resolution %#02x%s", resol, e), shb(o), idb(o, 1, 0, opt(o, optIfTsresol, string([]byte{resol}))), epb(o, 0, 7*units+units/3, payload))
			differs("Wireshark's product of the fraction overflows 64 bits")
		}
		for _, resol := range [...]byte{20, 0xc0} {
			add(fmt.Sprintf("pcapng resolution %#02x%s", resol, e), shb(o), idb(o, 1, 0, opt(o, optIfTsresol, string([]byte{resol}))), epb(o, 0, at, payload))
			differs("Wireshark shows time zero, we say that there is no time")
		}
		for _, off := range [...]int64{5, -5, -1_600_000_010, 1 << 40} {
			add(fmt.Sprintf("pcapng time offset %d%s", off, e), shb(o), idb(o, 1, 0, opt(o, optIfTsoffset, string(words(o, uint64(off))))), epb(o, 0, 1_600_000_000_000_000, payload))
		}
		add("pcapng negative time"+e, s, epb(o, 0, ^at, payload), epb(o, 0, 1<<63, payload))
		add("pcapng section without interface"+e, s, p, shb(o), p)
		add("pcapng journal"+e, s, blockOf(o, blockJournal, []byte("__REALTIME_TIMESTAMP=1600000000000001\nMESSAGE=hi\n")), p)
		add("pcapng journal without time"+e, s, blockOf(o, blockJournal, []byte("MESSAGE=long enough to be accepted\n")), p)
		add("pcapng journal too short"+e, s, p, blockOf(o, blockJournal, []byte("A=b\n")), p)
		add("pcapng custom"+e, s, blockOf(o, blockCustom, words(o, 4711, "hello")), blockOf(o, blockCustomKeep, words(o, 4711, "hello")), p)
		add("pcapng custom too short"+e, s, p, blockOf(o, blockCustom, nil), p)
		add("pcapng names, unended"+e, s, p, blockOf(o, blockNames, words(o, uint16(1), uint16(8), "\x01\x02\x03\x04abcd", uint16(0), uint16(0))), p)
		add("pcapng names, too short"+e, s, p, blockOf(o, blockNames, words(o, uint16(2), uint16(8), "\x01\x02\x03\x04abc\x00", uint16(0), uint16(0))), p)
		add("pcapng names, too long"+e, s, p, blockOf(o, blockNames, words(o, uint16(1), uint16(99), "\x01\x02\x03\x04abc\x00", uint16(0), uint16(0))), p)
		add("pcapng statistics of no interface"+e, s, blockOf(o, blockStatistics, words(o, 9, 0, 0)), p)
		add("pcapng statistics too short"+e, s, p, blockOf(o, blockStatistics, words(o, 9)), p)
		add("pcapng secrets"+e, s, blockOf(o, blockSecrets, words(o, SecretsTLSKeyLog, 4, "abcd")), p)
		add("pcapng secrets too long"+e, s, p, blockOf(o, blockSecrets, words(o, SecretsTLSKeyLog, 400, "abcd")), p)
		add("pcapng process"+e, s, blockOf(o, blockProcess, words(o, 77, opt(o, 2, "go"))), p)
		for _, typ := range [...]uint32{7, 8, 0x77, 0x101, 0x102, 0x201, 0x202, 0x210, 0x222} {
			add(fmt.Sprintf("pcapng block %#x%s", typ, e), s, blockOf(o, typ, []byte("whatever")), p)
		}
		for _, total := range [...]uint32{0, 4, 8, 11, 12, 28, 31, 33, 0xffffffff, 0xfffffff8} {
			add(fmt.Sprintf("pcapng EPB of length %d%s", total, e), s, p, lyingBlock(o, blockEnhanced, epbBody(o, 0, at, payload, n), total, total), p)
		}
		add("pcapng lengths differ"+e, s, p, lyingBlock(o, blockEnhanced, epbBody(o, 0, at, payload, n), uint32(minBlock+20+pad4(n)), 99), p)
		odd := payload[:17]
		add("pcapng padding not counted"+e, s, lyingBlock(o, blockEnhanced, epbBody(o, 0, at, odd, 17), 32+17, 32+17), p)
		add("pcapng unknown interface"+e, s, p, epb(o, 3, at, payload), p)
		add("pcapng version 1.2"+e, blockOf(o, blockSection, words(o, byteOrderMagic, uint16(1), uint16(2), uint64(0))), idb(o, 1, 0), p)
		add("pcapng version 2.0"+e, blockOf(o, blockSection, words(o, byteOrderMagic, uint16(2), uint16(0), uint64(0))), idb(o, 1, 0), p)
		add("pcapng bad second section"+e, s, p, blockOf(o, blockSection, []byte("abcdabcdabcdabcd")), p)
		add("pcapng short interface"+e, shb(o), blockOf(o, blockInterface, []byte("abcd")), p)
		add("pcapng filter without type"+e, shb(o), idb(o, 1, 0, opt(o, optIfFilter, "")), p)
		add("pcapng unknown link type"+e, shb(o), idb(o, 12345, 0), p)
		add("pcapng captured more than there was"+e, s, blockOf(o, blockEnhanced, epbBody(o, 0, at, payload, 3)), p)
		add("pcapng huge original length"+e, s, blockOf(o, blockEnhanced, epbBody(o, 0, at, payload, 0xffffffff)), p)
		for _, c := range [...]struct {
			code  uint16
			value string
		}{
			{2, "\x01\x00\x00"}, {2, "\x01\x00\x00\x00"}, {3, ""}, {4, "1234"}, {4, "12345678"}, {5, "abc"}, {6, "abc"},
			{7, ""}, {7, "\x01a"}, {7, "\x0212345678"}, {8, "abcd"}, {8, "abcdefgh"}, {2988, "abc"}, {2988, "abcd"},
			{2989, "ab"}, {19372, ""}, {0x8001, "\x01\x00\x00\x00"}, {1, ""}, {1, "hi"}, {77, "x"},
		} {
			add(fmt.Sprintf("pcapng option %d %q%s", c.code, c.value, e), s, p, epb(o, 0, at, payload, opt(o, c.code, c.value), opt(o, optEnd, "")), p)
		}
		add("pcapng option too long"+e, s, p, epb(o, 0, at, payload, words(o, uint16(1), uint16(100), "abcd")), p)
		add("pcapng end of options too long"+e, s, p, epb(o, 0, at, payload, words(o, uint16(0), uint16(100))), p)
		add("pcapng bytes after the end of options"+e, s, p, epb(o, 0, at, payload, opt(o, optEnd, ""), []byte("\x01\x00\x00\x01")), p)
		add("pcapng too many bytes"+e, s, epb(o, 0, at, make([]byte, maxFrame)), epb(o, 0, at, make([]byte, maxFrame+1)), p)
		add("pcapng trailing bytes"+e, s, p, []byte("abc"))
	}

	std := pcapHeader(false, magicMicro, 2, 4, 65535, 1)
	rec := record(false, 1_600_000_000, 999_999, n, n, payload)
	add("pcap header only", std)
	add("pcap header cut", std[:20])
	add("pcap empty packets", std, repeat(record(false, 1, 2, 0, 0), 3))
	add("pcap captured more than there was", std, repeat(record(false, 1, 2, n, 3, payload), 3))
	add("pcap huge original length", std, repeat(rec, 4), record(false, 1, 2, n, 0xffffffff, payload))
	add("pcap huge length", std, repeat(rec, 4), record(false, 1, 2, 0xffffffff, n, payload))
	add("pcap longest packet and more", std, record(false, 1, 2, maxFrame, maxFrame, make([]byte, maxFrame)), record(false, 1, 2, maxFrame+1, maxFrame+1, make([]byte, maxFrame+1)))
	add("pcap fraction of seconds", std, repeat(rec, 4), record(false, 1, 1_500_000, n, n, payload), record(false, 1, 4_000_000_000, n, n, payload))
	add("pcap time after 2038", std, record(false, 4_000_000_000, 5, n, n, payload))
	add("pcap cut in a header", std, rec, rec[:3])
	add("pcap cut in a packet", std, rec, rec[:20])
	add("pcap clock steps back", std, rec, record(false, 5, 5, n, n, payload), rec)
	add("pcapng section only", shb(false))
	add("gzip", gzipped(cat(std, repeat(rec, 5))))
	add("gzip, two members", gzipped(cat(std, rec, rec[:7])), gzipped(cat(rec[7:], rec)))
	z := gzipped(cat(std, repeat(rec, 5)))
	add("gzip without its checksum", z[:len(z)-3])
	add("gzip with a wrong checksum", z[:len(z)-8], []byte("abcd"), z[len(z)-4:])
	add("gzip in gzip", gzipped(z))
	add("text", []byte("this is no capture\n"))
	return list
}

// TestVariantsAgainstTshark holds the reader to what tshark accepts.
func TestVariantsAgainstTshark(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: tshark takes a while for all variants")
	}
	requireTshark(t)
	dir := t.TempDir()
	parallel(variants(), func(v variant) {
		path := filepath.Join(dir, fmt.Sprintf("%x.cap", sha256.Sum256([]byte(v.name))))
		if err := os.WriteFile(path, v.data, 0o600); err != nil {
			t.Error(err)
			return
		}
		diffs, _, err := compareFrames(path)
		switch {
		case err != nil:
			t.Errorf("%s: %v", v.name, err)
		case v.differs != "" && len(diffs) == 0:
			t.Errorf("%s: equal to tshark, although %s", v.name, v.differs)
		case v.differs == "" && len(diffs) > 0:
			t.Errorf("%s: %s", v.name, strings.Join(diffs, "; "))
		}
	})
}
