package diagnose_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"goproxytrace/analyze"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/capture"
	"goproxytrace/capture/pcapfile"
)

// excerpt is a source of some packets of a capture, as if only those had been
// captured. The container then knows neither its end nor what was dropped.
type excerpt struct {
	info    capture.Info
	packets []capture.Packet
	next    int
}

func (e *excerpt) Read(b *capture.Batch) error {
	if e.next == len(e.packets) {
		return io.EOF
	}
	n := min(len(e.packets)-e.next, 256)
	b.Packets = append(b.Packets[:0], e.packets[e.next:e.next+n]...)
	e.next += n
	return nil
}

func (e *excerpt) Info() *capture.Info { return &e.info }
func (e *excerpt) Close() error        { return nil }

// load reads a whole capture into memory.
func load(t *testing.T, path string) (capture.Info, []capture.Packet) {
	t.Helper()
	src, err := pcapfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var out []capture.Packet
	for b := new(capture.Batch); ; {
		switch err := src.Read(b); {
		case errors.Is(err, io.EOF):
			info := *src.Info()
			info.Interfaces = slices.Clone(info.Interfaces)
			for i := range info.Interfaces {
				n := &info.Interfaces[i]
				n.Received, n.Dropped, n.FilterAccepted, n.OSDropped, n.Delivered, n.Start, n.End = nil, nil, nil, nil, nil, 0, 0
			}
			return info, out
		case err != nil:
			t.Fatal(err)
		}
		for _, p := range b.Packets {
			p.Data = slices.Clone(p.Data)
			out = append(out, p)
		}
	}
}

// A capture of a healthy download that ended early, began late or lacks packets
// accuses nobody with more than "consistent": the whole of it would contradict.
func TestPartsOfHealthyCaptures(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "pcaps", "healthy-*.pcapng"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures of healthy downloads: %v", err)
	}
	rounds := 200
	if testing.Short() {
		rounds = 20
	}
	kinds := []struct {
		name string
		part func(r *rand.Rand, all []capture.Packet) []capture.Packet
	}{
		{"stopped early", func(r *rand.Rand, all []capture.Packet) []capture.Packet {
			first, last := all[0].Time, all[len(all)-1].Time
			end := first + r.Int64N(last-first+1)
			return slices.DeleteFunc(slices.Clone(all), func(p capture.Packet) bool { return p.Time > end })
		}},
		{"begun late", func(r *rand.Rand, all []capture.Packet) []capture.Packet { return all[r.IntN(len(all)):] }},
		{"begun late and stopped early", func(r *rand.Rand, all []capture.Packet) []capture.Packet {
			part := all[r.IntN(len(all)):]
			return part[:r.IntN(len(part))+1]
		}},
		{"packets lost by the capture", func(r *rand.Rand, all []capture.Packet) []capture.Packet {
			at, n := r.IntN(len(all)), 1+r.IntN(3)
			return slices.Delete(slices.Clone(all), at, min(at+n, len(all)))
		}},
	}
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".pcapng")
		info, all := load(t, path)
		for k := range kinds {
			t.Run(name+"/"+kinds[k].name, func(t *testing.T) {
				r := rand.New(rand.NewPCG(1, uint64(k)))
				for i := range rounds {
					part := kinds[k].part(r, all)
					res, err := analyze.Run(context.Background(), &excerpt{info: info, packets: part}, analyze.Options{Targets: []string{"proxy.example"}})
					if err != nil {
						t.Fatal(err)
					}
					_ = res.Connections.Close()
					v := &res.Verdict
					// A keep-alive round makes a silence a fact, also one that ends
					// behind the cut.
					round := slices.ContainsFunc(v.Evidence, func(e diagnose.Evidence) bool { return e.ID == "keepalive.answered" })
					if v.Died() && !round && (v.Level == diagnose.Proven || v.Level == diagnose.Suggested) {
						t.Errorf("part %d, %d of %d packets, the first %d, the last %d: %s %v %s %+v",
							i, len(part), len(all), part[0].Number, part[len(part)-1].Number, v.Class, v.Place, v.Level, v.Evidence)
					}
				}
			})
		}
	}
}

// The owner that is recorded with packets yields a verdict of its own.
func TestOwnersOfPackets(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "pcaps", "healthy-h2.pcapng"))
	if err != nil || len(files) != 1 {
		t.Fatalf("no capture of a healthy download: %v", err)
	}
	info, all := load(t, files[0])
	for _, pid := range []uint32{0, 4711} {
		for i := range all {
			all[i].ProcessID = pid
		}
		res, err := analyze.Run(context.Background(), &excerpt{info: info, packets: all}, analyze.Options{})
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Connections.Close()
		switch p := res.Processes; {
		case pid == 0 && len(p) != 0:
			t.Errorf("processes without an owner: %+v", p)
		case pid != 0 && (len(p) != 1 || p[0].PID != pid || p[0].Verdict.Class != diagnose.OK):
			t.Errorf("processes %+v", p)
		}
	}
}
