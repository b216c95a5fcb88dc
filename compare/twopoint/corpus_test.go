package twopoint

import (
	"errors"
	"path/filepath"
	"testing"

	"goproxytrace/capture"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/internal/corpus"
)

// Every capture is the same as itself: nothing vanishes, appears or changes.
func TestSelf(t *testing.T) {
	dir := corpus.Dir(t)
	compared := 0
	for _, name := range corpus.Captures(t, dir) {
		read := func() *Point {
			src, err := pcapfile.Open(filepath.Join(dir, "captures", filepath.FromSlash(name)))
			if errors.Is(err, capture.ErrNotCapture) {
				return nil
			}
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			p, err := Read(t.Context(), src, name)
			if err != nil {
				t.Logf("%s: %v", name, err)
				return nil
			}
			return p
		}
		a, b := read(), read()
		if a == nil || b == nil {
			continue
		}
		r, err := Compare(a, b, Options{})
		if err != nil {
			t.Fatal(err)
		}
		compared++
		for i := range r.Findings {
			if f := &r.Findings[i]; f.Event != Passed && f.Event != Unanswered {
				t.Errorf("%s: %s %v %v", name, f.sentence(0), f.ClientFrames, f.ServerFrames)
			}
		}
		if r.Sent != r.Matched || len(r.NotJudged) > 0 {
			t.Errorf("%s: %v of %v segments matched, not judged: %v", name, r.Matched, r.Sent, r.NotJudged)
		}
	}
	if compared < 100 {
		t.Fatalf("%d captures compared", compared)
	}
}
