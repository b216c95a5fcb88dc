package pcapfile

import (
	"bytes"
	"io"
	"math"
	"runtime"
	"testing"
	"unicode/utf8"

	"goproxytrace/capture"
)

func FuzzReader(f *testing.F) {
	for _, v := range variants() {
		if len(v.data) < 64<<10 {
			f.Add(v.data)
		}
	}
	f.Add(zstded(f, plainPcap(5)))
	f.Add(plainPcapng(5))
	f.Fuzz(func(t *testing.T, data []byte) {
		// A small compressed input may stand for a great deal.
		if r, err := NewReader(bytes.NewReader(data), 1); err == nil {
			n, _ := io.Copy(io.Discard, io.LimitReader(r.in.r, 8<<20))
			r.Close()
			if n == 8<<20 {
				t.Skip("decompresses to more than 8 MiB")
			}
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		file := checkReading(t, data, false)
		runtime.ReadMemStats(&after)
		if grown := int64(after.TotalAlloc - before.TotalAlloc); grown > 64<<20+100*int64(len(data)) {
			t.Errorf("%d bytes allocated for %d bytes of input", grown, len(data))
		}
		pipe := checkReading(t, data, true)
		if r, err := NewReader(bytes.NewReader(data), 1); err == nil {
			r.Close()
			// A pipe's layout is not guessed, all else is the same.
			if _, ok := r.format.(*pcapngParser); ok && !(len(file) == len(pipe) && samePrefix(file, pipe)) {
				t.Errorf("%d records from a file, %d from a pipe", len(file), len(pipe))
			}
		}
	})
}

func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("data"), int64(1_600_000_000_123_456_789), 1500, uint32(4711), byte(1), int8(4), "PID=7 TID=8", "MESSAGE", "a\nb", true)
	f.Add([]byte{}, int64(0), 0, uint32(0), byte(0), int8(-1), "", "A", "", false)
	f.Add([]byte{1}, int64(-5), 1, uint32(1), byte(2), int8(15), "ü", "B_1", "\x00\xff", true)
	f.Fuzz(func(t *testing.T, data []byte, ns int64, length int, pid uint32, dir byte, fcs int8, comment, name, value string, big bool) {
		p := capture.Packet{
			Number: 1, Time: ns, HasTime: true, Data: data, Length: min(max(length, 0), math.MaxInt32), ProcessID: pid,
			LinkType: 1, FCSLen: -1, Direction: capture.Direction(dir % 3), Dropped: big,
		}
		if fcs > 0 && fcs < 16 {
			p.FCSLen = fcs
		}
		if len(comment) <= maxComment && utf8.ValidString(comment) {
			p.Comment = comment
		}
		var out bytes.Buffer
		w, err := NewWriter(&out, WriterOptions{Application: "fuzz", BigEndian: big})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.AddInterface(&capture.Interface{LinkType: 1}); err != nil {
			t.Fatal(err)
		}
		if err := w.WritePacket(&p); err != nil {
			t.Skip(err)
		}
		at := max(ns, 0) / 1000 * 1000
		fields := map[string]string{name: value}
		journal := w.WriteJournal(at, fields) == nil && name != journalTime
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		frames, info, err := readBytes(out.Bytes())
		if err != nil || len(frames) < 1 {
			t.Fatalf("%d records, %v", len(frames), err)
		}
		want := p
		if -ns == ns || ns < -9_223_372_035_000_000_000 { // beyond the range of whole seconds
			want.Time = frames[0].time
		}
		if !samePacket(&frames[0].pk, &want) {
			t.Errorf("%+v, want %+v", frames[0].pk, want)
		}
		if journal {
			got := info.EventRecords[0]
			if got.Fields[name] != value || len(got.Fields) != 2 || got.Time != at {
				t.Errorf("%+v, want %q=%q at %d", got, name, value, at)
			}
		}
	})
}

func FuzzJournalFields(f *testing.F) {
	f.Add([]byte("A=1\nB\n\x02\x00\x00\x00\x00\x00\x00\x00xy\nC=\n"))
	f.Fuzz(func(t *testing.T, entry []byte) {
		for name, value := range JournalFields(entry) {
			if len(value) > len(entry) || name == "" {
				t.Errorf("%q=%q from %q", name, value, entry)
			}
		}
	})
}
