package recorder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goproxytrace/analyze"
	"goproxytrace/analyze/decode"
	"goproxytrace/capture"
	"goproxytrace/capture/pcapfile"
)

// judged is what an analysis says in short.
type judged struct {
	Verdict     string
	Connections []string
	Lookups     []string
}

func summarise(t *testing.T, src capture.Source) judged {
	t.Helper()
	r, err := analyze.Run(context.Background(), src, analyze.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	j := judged{Verdict: fmt.Sprintf("%s %s %v", r.Verdict.Class, r.Verdict.Level, r.Verdict.Place)}
	for c, err := range r.Connections.All() {
		if err != nil {
			t.Fatal(err)
		}
		j.Connections = append(j.Connections, fmt.Sprintf("%s %s: %s %s %v", c.Client, c.ServerName, c.Verdict.Class, c.Verdict.Level, c.Verdict.Place))
	}
	for _, l := range r.Lookups {
		j.Lookups = append(j.Lookups, fmt.Sprintf("%s %s: %s %s", l.Name, l.Type, l.Verdict.Class, l.Verdict.Level))
	}
	return j
}

// kept copies a capture as the ring would keep it, and says how many bytes of
// frames there were, and are left in memory.
func keepAll(t *testing.T, path string, full bool, mangle func([]capture.Packet) []capture.Packet) (out []byte, whole, left int64) {
	t.Helper()
	src, err := pcapfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var buf bytes.Buffer
	w, err := pcapfile.NewWriter(&buf, pcapfile.WriterOptions{Application: src.Info().Application})
	if err != nil {
		t.Fatal(err)
	}
	r := &Recorder{o: Options{Full: full, Clock: SystemClock()}, decoder: decode.New(), flows: map[flowKey]*flow{}}
	var batch capture.Batch
	interfaces := 0
	for {
		err := src.Read(&batch)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for info := src.Info(); interfaces < len(info.Interfaces); interfaces++ {
			if _, err := w.AddInterface(&info.Interfaces[interfaces]); err != nil {
				t.Fatal(err)
			}
		}
		list := mangle(batch.Packets)
		for i := range list {
			p := &list[i]
			if p.Kind == capture.KindFrame {
				whole += int64(len(p.Data))
				p.ProcessID = 0 // nobody's are all kept
				r.packet(p, 0)
			}
		}
	}
	j := r.snapshot(&episode{root: &process{record: &testProcess}}, 0, Ended)
	var mem []byte
	for _, f := range j.frames {
		left += int64(len(f.data))
		var p capture.Packet
		p, mem = f.packet(mem)
		if err := w.WritePacket(&p); err != nil {
			t.Fatal(err)
		}
	}
	for i := range src.Info().Interfaces {
		in := src.Info().Interfaces[i]
		in.FilterAccepted, in.Delivered = nil, nil
		if err := w.WriteStatistics(i, in.End, &in); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes(), whole, left
}

func read(t *testing.T, b []byte) judged {
	t.Helper()
	src, err := pcapfile.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	return summarise(t, src)
}

// mangled are ways in which packets come.
var mangled = []struct {
	name string
	do   func([]capture.Packet) []capture.Packet
}{
	{"as they came", func(list []capture.Packet) []capture.Packet { return list }},
	{"in another order", func(list []capture.Packet) []capture.Packet {
		out := slices.Clone(list)
		random := rand.New(rand.NewPCG(1, 2))
		for i := range out[:max(len(out)-3, 0)] {
			if j := i + random.IntN(3); random.IntN(4) == 0 {
				out[i], out[j] = out[j], out[i]
				out[i].Time, out[j].Time = out[j].Time, out[i].Time
			}
		}
		return out
	}},
	{"some twice", func(list []capture.Packet) (out []capture.Packet) {
		for i := range list {
			if out = append(out, list[i]); i%7 == 3 {
				out = append(out, list[i])
			}
		}
		return out
	}},
	{"some not at all", func(list []capture.Packet) (out []capture.Packet) {
		for i := range list {
			if i%29 != 28 {
				out = append(out, list[i])
			}
		}
		return out
	}},
}

// What is cut off changes no verdict: of every capture of the project the cut
// copy says the same as the whole one, however its packets come.
func TestCutKeepsVerdicts(t *testing.T) {
	files, err := filepath.Glob("../testdata/pcaps/*.pcapng")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d captures: %v", len(files), err)
	}
	var whole, left int64
	for _, path := range files {
		for _, m := range mangled {
			t.Run(filepath.Base(path)+"/"+m.name, func(t *testing.T) {
				full, n, _ := keepAll(t, path, true, m.do)
				short, _, k := keepAll(t, path, false, m.do)
				whole, left = whole+n, left+k
				if diff := cmp.Diff(read(t, full), read(t, short)); diff != "" {
					t.Errorf("-whole +cut:\n%s", diff)
				}
			})
		}
	}
	t.Logf("%d bytes of frames, %d kept", whole, left)
	if left > whole/2 {
		t.Errorf("of %d bytes %d are kept", whole, left)
	}
}
