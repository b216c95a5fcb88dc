package scrub_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"goproxytrace/analyze"
	"goproxytrace/capture"
	"goproxytrace/capture/pcapfile"
)

// TestChangedCaptures holds the verdicts of captures whose frames were lost, put in
// another order, cut or changed: what is read of a stream then depends on how it
// is found again, in the copy as in the capture.
func TestChangedCaptures(t *testing.T) {
	paths, err := filepath.Glob("../testdata/pcaps/*.pcapng")
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d captures, %v", len(paths), err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > 300<<10 {
			continue
		}
		list := frames(t, b)
		for _, change := range []string{"lost", "changed", "swapped", "cut"} {
			t.Run(filepath.Base(path)+" "+change, func(t *testing.T) {
				compare(t, changed(t, list, change, r), change != "changed")
			})
		}
	}
}

// changed makes a capture of frames some of which are changed in a way.
func changed(t *testing.T, list []capture.Packet, change string, r *rand.Rand) []byte {
	var out bytes.Buffer
	w, err := pcapfile.NewPcapWriter(&out, pcapfile.PcapOptions{LinkType: 1, Nanoseconds: true})
	if err != nil {
		t.Fatal(err)
	}
	var before []byte
	for i, p := range list {
		p.Data = bytes.Clone(p.Data)
		p.Length = len(p.Data)
		switch hit := r.IntN(20) == 0; {
		case !hit:
		case change == "lost":
			continue
		case change == "changed" && len(p.Data) > 0:
			p.Data[r.IntN(len(p.Data))] ^= 1 << r.IntN(8)
		case change == "swapped" && i > 0:
			p.Data, before = before, p.Data
			p.Length = len(p.Data)
		case change == "cut":
			p.Data = p.Data[:r.IntN(len(p.Data)+1)]
		}
		before = p.Data
		if err := w.WritePacket(&p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// compare scrubs a capture and compares the verdicts.
func compare(t *testing.T, b []byte, same bool) {
	x := newRedactor()
	before := analysed(t, reader(t, b), analyze.Options{Targets: []string{"proxy.example"}})
	out, _ := scrubbed(t, x, before, func() (capture.Source, error) { return pcapfile.NewReader(bytes.NewReader(b), int64(len(b))) })
	after := analysed(t, reader(t, out), analyze.Options{Targets: []string{x.Host("proxy.example")}})
	if same {
		sameVerdicts(t, before, after, true)
	}
}
