package diagnose_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"goproxytrace/analyze"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/capture"
	"goproxytrace/capture/pcapfile"
)

var (
	cutSeed   = flag.Uint64("cut-seed", 1, "seed of the points at which captures are cut")
	cutPoints = flag.Int("cut-points", 200, "how many points a capture is cut at")
)

// tenDownloads is one capture of ten healthy downloads, five over HTTP/1.1 and
// five over HTTP/2, on paths of different length: each begins while others are
// under way.
func tenDownloads(t *testing.T) (info capture.Info, out []capture.Packet) {
	t.Helper()
	begin := int64(0)
	for i, d := range []struct {
		file    string
		between int64 // from the start of the one before, ns
	}{
		{"healthy-h2", 0}, {"healthy-http1", 200e6}, {"healthy-distant", 100e6}, {"healthy-http1-distant", 50e6}, {"healthy-ipv6", 900e6},
		{"healthy-http1-near", 500e6}, {"healthy-near", 30e6}, {"healthy-http1-distant", 1500e6}, {"healthy-hello-retry", 400e6}, {"healthy-http1", 2500e6},
	} {
		one, packets := load(t, filepath.Join("..", "..", "testdata", "pcaps", d.file+".pcapng"))
		if i == 0 {
			info, begin = one, packets[0].Time
		}
		begin += d.between
		first := packets[0].Time
		for _, p := range packets {
			p.Time += begin - first
			renumberPort(p.Data, uint16(i))
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b capture.Packet) int { return int(a.Time - b.Time) })
	for i := range out {
		out[i].Number = int64(i) + 1
	}
	return info, out
}

// renumberPort moves the client's port of a TCP or UDP packet in Ethernet by n,
// so that no two downloads share one. The checksum follows (RFC 1624), unless
// the network card was still to fill it in: then it knows no ports.
func renumberPort(frame []byte, n uint16) {
	var proto byte
	var body, ends []byte
	switch {
	case len(frame) < 14+40:
		return
	case binary.BigEndian.Uint16(frame[12:]) == 0x0800:
		ip := frame[14:]
		proto, body, ends = ip[9], ip[int(ip[0]&15)*4:], ip[12:20]
	case binary.BigEndian.Uint16(frame[12:]) == 0x86dd:
		ip := frame[14:]
		proto, body, ends = ip[6], ip[40:], ip[8:40]
	}
	at := map[byte]int{6: 16, 17: 6}[proto]
	if at == 0 || len(body) < at+2 {
		return
	}
	pseudo := uint32(proto) + uint32(len(body))
	for i := 0; i < len(ends); i += 2 {
		pseudo += uint32(binary.BigEndian.Uint16(ends[i:]))
	}
	fold := func(s uint32) uint16 {
		for s > 0xffff {
			s = s>>16 + s&0xffff
		}
		return uint16(s)
	}
	port := body
	if p := binary.BigEndian.Uint16(body); p == 443 || p == 53 {
		port = body[2:4]
	}
	old := binary.BigEndian.Uint16(port)
	binary.BigEndian.PutUint16(port, old+n)
	if sum := binary.BigEndian.Uint16(body[at:]); sum != fold(pseudo) {
		binary.BigEndian.PutUint16(body[at:], ^fold(uint32(^sum)+uint32(^old)+uint32(old+n)))
	}
}

// stoppedAt is the capture as pcapng, ended at a time: the statistics say so, and
// that nothing was dropped.
func stoppedAt(t *testing.T, info *capture.Info, packets []capture.Packet, end int64) *pcapfile.Reader {
	t.Helper()
	var b bytes.Buffer
	w, err := pcapfile.NewWriter(&b, pcapfile.WriterOptions{})
	check := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	check(err)
	for i := range info.Interfaces {
		_, err := w.AddInterface(&info.Interfaces[i])
		check(err)
	}
	for i := range packets {
		check(w.WritePacket(&packets[i]))
	}
	n, none := uint64(len(packets)), uint64(0)
	for i := range info.Interfaces {
		check(w.WriteStatistics(i, end, &capture.Interface{Start: packets[0].Time, End: end, Received: &n, Dropped: &none}))
	}
	check(w.Flush())
	r, err := pcapfile.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	check(err)
	return r
}

// accusation is a verdict that names a death and is more than a guess.
type accusation struct {
	what string // the connection's or lookup's frames
	v    *diagnose.Verdict
}

// accusations are those of a result: the whole capture's, and each connection's
// and lookup's.
func accusations(t *testing.T, r *analyze.Result) (out []accusation) {
	t.Helper()
	add := func(what string, v *diagnose.Verdict) {
		if v.Died() && (v.Level == diagnose.Proven || v.Level == diagnose.Suggested) {
			copied := *v
			out = append(out, accusation{what, &copied})
		}
	}
	for c, err := range r.Connections.All() {
		if err != nil {
			t.Fatal(err)
		}
		add(connectionKey(c), &c.Verdict)
	}
	for i := range r.Lookups {
		add(lookupKey(&r.Lookups[i]), &r.Lookups[i].Verdict)
	}
	add("", &r.Verdict)
	return out
}

func connectionKey(c *analyze.Connection) string {
	return fmt.Sprintf("%s-%s from %d", c.Client, c.Server, c.FirstFrame)
}
func lookupKey(l *analyze.Lookup) string { return l.Name + " " + l.Type + " from " + l.Client }

// run analyses a source to its end.
func run(t *testing.T, src capture.Source, targets []string) *analyze.Result {
	t.Helper()
	r, err := analyze.Run(context.Background(), src, analyze.Options{Targets: targets})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Connections.Close() })
	return r
}

// TestTenDownloadsCut cuts a capture of ten healthy downloads at random points in
// time, as if it had been stopped there, with and without a record of when it
// stopped: what the whole contradicts is never said to be proven or strongly
// suggested.
func TestTenDownloadsCut(t *testing.T) {
	info, all := tenDownloads(t)
	targets := []string{"proxy.example"}
	whole := run(t, stoppedAt(t, &info, all, all[len(all)-1].Time+1e9), targets)
	if whole.Verdict.Class != diagnose.OK {
		t.Fatalf("the whole capture: %s", whole.Verdict.Class)
	}
	// A lookup without a record of one family stays what it is.
	confirmed := map[string]diagnose.Class{}
	for _, a := range accusations(t, whole) {
		if a.v.Class != diagnose.DNSNoData {
			t.Errorf("the whole capture: %s: %s %v %s %+v", a.what, a.v.Class, a.v.Place, a.v.Level, a.v.Evidence)
		}
		confirmed[a.what] = a.v.Class
	}
	protocols := map[string]int{}
	for c, err := range whole.Connections.All() {
		if err != nil {
			t.Fatal(err)
		}
		protocols[c.Client[:strings.LastIndexByte(c.Client, ':')]]++
	}
	if len(protocols) != 2 {
		t.Errorf("clients %v, want one address of each family", protocols)
	}
	first, last := all[0].Time, all[len(all)-1].Time
	r := rand.New(rand.NewPCG(*cutSeed, 0))
	for range points() {
		end := first + 1 + r.Int64N(last-first)
		part := slices.Clip(all[:slices.IndexFunc(all, func(p capture.Packet) bool { return p.Time > end })])
		for name, src := range map[string]func() capture.Source{
			"no end recorded": func() capture.Source { return &excerpt{info: info, packets: part} },
			"end recorded":    func() capture.Source { return stoppedAt(t, &info, part, end) },
		} {
			for _, known := range [][]string{targets, nil} {
				for _, a := range accusations(t, run(t, src(), known)) {
					if confirmed[a.what] == a.v.Class {
						continue
					}
					t.Errorf("cut %d ns after the start (%d of %d packets, %s, targets %q): %s: %s %v %s %+v", end-first, len(part), len(all), name, known, a.what, a.v.Class, a.v.Place, a.v.Level, a.v.Evidence)
				}
			}
		}
	}
}

func points() int {
	if testing.Short() {
		return min(*cutPoints, 20)
	}
	return *cutPoints
}

// TestFaultyCapturesCut cuts every capture of the project, most of which hold a
// fault, at random points in time: a prefix may accuse with more than a guess only
// what died in the whole too, and none of the places that the whole leaves out.
func TestFaultyCapturesCut(t *testing.T) {
	places := expectedPlaces(t)
	files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "pcaps", "*.pcapng"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".pcapng")
		t.Run(name, func(t *testing.T) {
			info, all := load(t, path)
			targets := []string{"proxy.example"}
			whole := run(t, open(t, path), targets)
			died := map[string]*diagnose.Verdict{}
			for c, err := range whole.Connections.All() {
				if err != nil {
					t.Fatal(err)
				}
				if c.Verdict.Died() {
					died[connectionKey(c)] = &c.Verdict
				}
			}
			for i := range whole.Lookups {
				if v := &whole.Lookups[i].Verdict; v.Died() {
					died[lookupKey(&whole.Lookups[i])] = v
				}
			}
			if whole.Verdict.Died() {
				died[""] = &whole.Verdict
			}
			first, last := all[0].Time, all[len(all)-1].Time
			r := rand.New(rand.NewPCG(*cutSeed, uint64(len(all))))
			for range points() / 4 {
				end := first + 1 + r.Int64N(max(last-first, 2)-1)
				part := all[:slices.IndexFunc(all, func(p capture.Packet) bool { return p.Time > end })]
				res := run(t, stoppedAt(t, &info, part, end), targets)
				for _, a := range accusations(t, res) {
					w := died[a.what]
					if a.what == "" {
						w = subject(t, res, died)
					}
					switch {
					case w == nil:
						t.Errorf("cut %d ns after the start (%d of %d packets): %q: %s %v %s %+v, in the whole nothing died there", end-first, len(part), len(all), a.what, a.v.Class, a.v.Place, a.v.Level, a.v.Evidence)
					case !meets(a.v.Place, w.Place) || a.what == "" && len(places[name]) > 0 && !meets(a.v.Place, places[name]):
						t.Errorf("cut %d ns after the start (%d of %d packets): %q: %s %v %s, in the whole %s %v within %v", end-first, len(part), len(all), a.what, a.v.Class, a.v.Place, a.v.Level, w.Class, w.Place, places[name])
					}
				}
			}
		})
	}
}

// subject returns what the whole says of the connection or lookup that a prefix's
// verdict is about; where it is about none, the whole's own verdict.
func subject(t *testing.T, r *analyze.Result, died map[string]*diagnose.Verdict) *diagnose.Verdict {
	t.Helper()
	if r.SubjectLookup >= 0 {
		return died[lookupKey(&r.Lookups[r.SubjectLookup])]
	}
	for c, err := range r.Connections.All() {
		if err != nil {
			t.Fatal(err)
		}
		if int64(c.ID) == r.Subject {
			return died[connectionKey(c)]
		}
	}
	return died[""]
}

func meets(a, b []diagnose.Place) bool {
	return slices.ContainsFunc(a, func(p diagnose.Place) bool { return slices.Contains(b, p) })
}

// expectedPlaces reads the places that the table of captures allows.
func expectedPlaces(t *testing.T) map[string][]diagnose.Place {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "testdata", "pcaps", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]diagnose.Place{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		name, ok := strings.CutSuffix(strings.Trim(cells[0], "` "), ".pcapng")
		if !ok || len(cells) < 2 {
			continue
		}
		for p := range strings.SplitSeq(cells[len(cells)-1], ",") {
			if p = strings.TrimSpace(p); p != "-" {
				out[name] = append(out[name], diagnose.Place(p))
			}
		}
	}
	if len(out) == 0 {
		t.Fatal("the table of captures lists no places")
	}
	return out
}

func open(t *testing.T, path string) *pcapfile.Reader {
	t.Helper()
	r, err := pcapfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}
