package twopoint

import (
	"bytes"
	"io"
	"testing"

	"goproxytrace/capture/pcapfile"
	"goproxytrace/internal/terminal"
)

// pcap writes packets as a capture file.
func pcap(t testing.TB, p *world, far bool) []byte {
	t.Helper()
	list := p.near
	if far {
		list = p.far
	}
	var b bytes.Buffer
	w, err := pcapfile.NewPcapWriter(&b, pcapfile.PcapOptions{LinkType: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		if err := w.WritePacket(&list[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Two captures by attackers are compared to their end.
func FuzzCompare(f *testing.F) {
	w := newWorld()
	w.download(w.from, 40000, 4, func(what string, i, try int) func(*unit) bool {
		if what == "data" && i == 1 && try == 0 {
			return drop
		}
		return pass
	})
	f.Add(pcap(f, w, false), pcap(f, w, true))
	f.Fuzz(func(t *testing.T, near, far []byte) {
		read := func(b []byte) *Point {
			src, err := pcapfile.NewReader(bytes.NewReader(b), int64(len(b)))
			if err != nil {
				t.Skip("not a capture")
			}
			p, err := Read(t.Context(), src, "x")
			if err != nil {
				t.Skip("not readable as a point")
			}
			return p
		}
		r, err := Compare(read(near), read(far), Options{})
		if err != nil {
			t.Fatal(err)
		}
		for d := range 2 {
			if r.Matched[d] > r.Sent[d] {
				t.Errorf("%d of %d segments matched", r.Matched[d], r.Sent[d])
			}
		}
		if err := WriteText(io.Discard, r, terminal.Output{Columns: 80}); err != nil {
			t.Error(err)
		}
		if err := WriteJSON(io.Discard, r); err != nil {
			t.Error(err)
		}
	})
}
