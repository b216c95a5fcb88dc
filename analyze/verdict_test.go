package analyze

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/capture"
	"goproxytrace/capture/pcapfile"
)

// expectation is a row of the table in the README.md of a directory of testdata.
type expectation struct {
	file   string
	class  diagnose.Class
	places []diagnose.Place
}

// expectations reads that table, so that it and the captures cannot drift apart.
func expectations(t *testing.T, dir string) (out []expectation) {
	t.Helper()
	dir = filepath.Join("..", "testdata", dir)
	text, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	file, class, places := -1, -1, -1
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
		}
		if file < 0 {
			file, class, places = slices.Index(cells, "file"), slices.Index(cells, "expected class"), slices.Index(cells, "places within")
			if file < 0 || class < 0 || places < 0 {
				t.Fatalf("the table's columns are %q", cells)
			}
			continue
		}
		if strings.HasPrefix(cells[0], "--") {
			continue
		}
		e := expectation{file: cells[file], class: diagnose.Class(cells[class])}
		for p := range strings.SplitSeq(cells[places], ",") {
			if p = strings.TrimSpace(p); p != "-" {
				e.places = append(e.places, diagnose.Place(p))
			}
		}
		out = append(out, e)
	}
	var listed, there []string
	for _, e := range out {
		listed = append(listed, e.file)
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.pcapng"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		there = append(there, filepath.Base(path))
	}
	slices.Sort(listed)
	if !slices.Equal(listed, there) {
		t.Fatalf("the table lists %q, the directory holds %q", listed, there)
	}
	return out
}

var lookedFor = Options{Targets: []string{"proxy.example"}}

// fits says what of r's verdict is not as expected, "" for nothing.
func (e *expectation) fits(r *Result) string {
	v := &r.Verdict
	if v.Class != e.class {
		return "class " + string(v.Class) + ", want " + string(e.class)
	}
	if len(e.places) > 0 && len(v.Place) == 0 {
		return "no place"
	}
	for _, p := range v.Place {
		if !slices.Contains(e.places, p) {
			return "place " + string(p) + " beyond what the capture can show"
		}
	}
	return ""
}

// TestExpectedVerdicts holds every capture's verdict, and that the same
// packets give the same verdict in whatever container they come.
func TestExpectedVerdicts(t *testing.T) {
	for _, e := range expectations(t, "pcaps") {
		t.Run(strings.TrimSuffix(e.file, ".pcapng"), func(t *testing.T) {
			path := filepath.Join("..", "testdata", "pcaps", e.file)
			for _, v := range []struct {
				name string
				open func(*testing.T) capture.Source
			}{
				{"as it is", func(t *testing.T) capture.Source { return open(t, path) }},
				{"classic pcap", func(t *testing.T) capture.Source { return reopen(t, asPcap(t, load(t, path))) }},
				{"pcapng anew", func(t *testing.T) capture.Source { return reopen(t, asPcapng(t, load(t, path))) }},
				{"cooked", func(t *testing.T) capture.Source { return reopen(t, asPcapng(t, cooked(load(t, path)))) }},
				{"with other traffic", func(t *testing.T) capture.Source { return reopen(t, asPcapng(t, mixed(t, load(t, path)))) }},
				{"interfaces out of order", func(t *testing.T) capture.Source { return reopen(t, asPcapng(t, unordered(mixed(t, load(t, path))))) }},
			} {
				r := analyse(t, v.open(t), lookedFor)
				if wrong := e.fits(r); wrong != "" {
					t.Errorf("%s: %s (level %s, evidence %v)", v.name, wrong, r.Verdict.Level, r.Verdict.Evidence)
				}
				if died := r.Verdict.Died(); died && r.Subject < 0 && r.SubjectLookup < 0 {
					t.Errorf("%s: a death without a subject", v.name)
				}
				if r.Damage != nil {
					t.Errorf("%s: %v", v.name, r.Damage)
				}
			}
		})
	}
}

// TestOtherTrafficIsHealthy holds that what TestExpectedVerdicts mixes in is
// told of as a healthy connection to another host, so that the mixture tests
// what it should.
func TestOtherTrafficIsHealthy(t *testing.T) {
	r := analyse(t, otherProgram(t, clockStart), lookedFor)
	list := connections(t, r)
	if len(list) == 0 || r.Verdict.Class != diagnose.OK {
		t.Fatalf("%d connections, verdict %s", len(list), r.Verdict.Class)
	}
	for _, c := range list {
		if c.ServerName != "other.example" || c.Target || c.TLS == nil || c.Verdict.Died() {
			t.Errorf("connection to %q: target %v, verdict %s", c.ServerName, c.Target, c.Verdict.Class)
		}
	}
}

func open(t testing.TB, path string) *pcapfile.Reader {
	t.Helper()
	r, err := pcapfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func reopen(t testing.TB, file []byte) *pcapfile.Reader {
	t.Helper()
	r, err := pcapfile.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// asPcap writes a capture as classic pcap in nanoseconds, without what that
// format cannot hold (statistics, interfaces).
func asPcap(t testing.TB, w *wire) []byte {
	t.Helper()
	var b bytes.Buffer
	out, err := pcapfile.NewPcapWriter(&b, pcapfile.PcapOptions{LinkType: w.packets[0].LinkType, Nanoseconds: true})
	if err != nil {
		t.Fatal(err)
	}
	for i := range w.packets {
		if err := out.WritePacket(&w.packets[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// asPcapng writes a capture with its interfaces and their statistics.
func asPcapng(t testing.TB, w *wire) []byte {
	t.Helper()
	var b bytes.Buffer
	out, err := pcapfile.NewWriter(&b, pcapfile.WriterOptions{Hardware: w.info.Hardware, OS: w.info.OS, Application: w.info.Application})
	check := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	check(err)
	for i := range w.info.Interfaces {
		_, err := out.AddInterface(&w.info.Interfaces[i])
		check(err)
	}
	for i := range w.packets {
		check(out.WritePacket(&w.packets[i]))
	}
	for i := range w.info.Interfaces {
		if in := &w.info.Interfaces[i]; in.End != 0 {
			check(out.WriteStatistics(i, in.End, in))
		}
	}
	check(out.Flush())
	return b.Bytes()
}

// cooked turns Ethernet frames into Linux cooked ones, version 2, as a
// capture on all interfaces has them.
func cooked(w *wire) *wire {
	out := &wire{info: w.info}
	out.info.Interfaces = slices.Clone(w.info.Interfaces)
	for i := range out.info.Interfaces {
		out.info.Interfaces[i].LinkType = linkSLL2
	}
	host := w.packets[0].Data[6:12] // who speaks first is the host itself
	for _, p := range w.packets {
		kind := byte(0)
		if bytes.Equal(p.Data[6:12], host) {
			kind = 4
		}
		b := append([]byte{}, p.Data[12:14]...)
		b = append(b, 0, 0, 0, 0, 0, 2, 0, 1, kind, 6)
		b = append(b, p.Data[6:12]...)
		b = append(b, 0, 0)
		p.Data = append(b, p.Data[14:]...)
		p.Length += 6
		p.LinkType = linkSLL2
		out.packets = append(out.packets, p)
	}
	return out
}

// otherProgram is a healthy download of another host by a program that is
// not the go command, beginning at time at.
func otherProgram(t testing.TB, at int64) *wire { return elsewhere(t, "healthy-h2", at) }

// elsewhere is what a capture of the project shows as another program would have
// it, to another host, beginning at time at.
func elsewhere(t testing.TB, name string, at int64) *wire {
	t.Helper()
	w := load(t, filepath.Join("..", "testdata", "pcaps", name+".pcapng"))
	out := &wire{info: w.info}
	shift := at - w.packets[0].Time
	for _, p := range w.packets {
		b := p.Data
		if frameType(b) != 0x0800 {
			continue // neighbours are asked for once
		}
		// Another name, and a list of groups in an order that is not Go's.
		b = bytes.ReplaceAll(b, []byte("proxy"), []byte("other"))
		b = bytes.ReplaceAll(b, []byte{0x11, 0xec, 0x11, 0xeb, 0x11, 0xed}, []byte{0x11, 0xed, 0x11, 0xeb, 0x11, 0xec})
		for at := 0; at+4 <= len(b); at++ {
			if b[at] == 203 && b[at+1] == 0 && b[at+2] == 113 {
				b[at], b[at+1], b[at+2] = 198, 51, 100
			}
		}
		p.Data = b
		p.Time += shift
		out.packets = append(out.packets, p)
	}
	out.renumber()
	for i := range out.info.Interfaces {
		out.info.Interfaces[i].Start += shift
		out.info.Interfaces[i].End += shift
	}
	return out
}

// mixed adds another program's traffic, by time, on an interface of its own.
func mixed(t testing.TB, w *wire) *wire {
	t.Helper()
	return mixedWith(w, otherProgram(t, w.packets[0].Time+second/2))
}

// gatewayOf returns the address of the link's other end.
func gatewayOf(w *wire) []byte {
	for _, p := range w.packets {
		if !bytes.Equal(p.Data[6:12], w.packets[0].Data[6:12]) {
			return p.Data[6:12]
		}
	}
	return []byte{2, 0, 0, 0, 0, 1}
}

// mixedWith adds packets by time, on an interface of their own.
func mixedWith(w, other *wire) *wire {
	out := &wire{info: w.info}
	out.info.Interfaces = append(slices.Clone(w.info.Interfaces), w.info.Interfaces[0])
	second := int32(len(w.info.Interfaces))
	// The same machine on the same link.
	host, gateway := w.packets[0].Data[6:12], gatewayOf(w)
	theirs := other.packets[0].Data[6:12]
	in := &out.info.Interfaces[second]
	none := uint64(0)
	in.Received, in.Dropped, in.FilterAccepted, in.OSDropped, in.Delivered = nil, &none, nil, nil, nil
	out.packets = slices.Clone(w.packets)
	for _, p := range other.packets {
		p.Interface = second
		if bytes.Equal(p.Data[6:12], theirs) {
			p.Data = slices.Concat(gateway, host, p.Data[12:])
		} else {
			p.Data = slices.Concat(host, gateway, p.Data[12:])
		}
		out.packets = append(out.packets, p)
	}
	slices.SortStableFunc(out.packets, func(a, b capture.Packet) int { return int(a.Time - b.Time) })
	out.renumber()
	return out
}

// unordered writes the packets as dumpcap does where one of two interfaces is
// read late: each in order, but not both together.
func unordered(w *wire) *wire {
	out := &wire{info: w.info}
	var late []capture.Packet
	for i, p := range w.packets {
		if p.Interface != 0 {
			late = append(late, p)
		} else {
			out.packets = append(out.packets, p)
		}
		if i%40 == 39 {
			out.packets = append(out.packets, late...)
			late = late[:0]
		}
	}
	out.packets = append(out.packets, late...)
	out.renumber()
	return out
}

// TestView holds Options.Hosts and Options.Ports: what is narrowed away is
// neither listed nor judged.
func TestView(t *testing.T) {
	path := filepath.Join("..", "testdata", "pcaps", "stalled-body.pcapng")
	for _, c := range []struct {
		name string
		o    Options
		want []string // names of the servers told of
	}{
		{"all", Options{}, []string{"other.example", "proxy.example"}},
		{"by name", Options{Hosts: []string{"Proxy.Example."}}, []string{"proxy.example"}},
		{"by address", Options{Hosts: []string{"203.0.113.10"}}, []string{"proxy.example"}},
		{"by mapped address", Options{Hosts: []string{"::ffff:198.51.100.10"}}, []string{"other.example"}},
		{"by port", Options{Ports: []uint16{443}}, []string{"other.example", "proxy.example"}},
		{"by another port", Options{Ports: []uint16{8443}}, nil},
		{"by another name", Options{Hosts: []string{"example"}}, nil},
	} {
		c.o.Targets = lookedFor.Targets
		r := analyse(t, reopen(t, asPcapng(t, mixed(t, load(t, path)))), c.o)
		var got []string
		for _, conn := range connections(t, r) {
			if !slices.Contains(got, conn.ServerName) {
				got = append(got, conn.ServerName)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: connections to %q, want %q", c.name, got, c.want)
		}
		if narrowed := !slices.Contains(c.want, "proxy.example"); narrowed == (r.Verdict.Class == diagnose.TransferRemoteIdle) {
			t.Errorf("%s: verdict %s", c.name, r.Verdict.Class)
		}
	}
}

// TestClientAddressesStay holds that both ends are told with their addresses.
func TestClientAddressesStay(t *testing.T) {
	for _, c := range connections(t, analyse(t, open(t, filepath.Join("..", "testdata", "pcaps", "healthy-h2.pcapng")), lookedFor)) {
		client, err1 := netip.ParseAddrPort(c.Client)
		server, err2 := netip.ParseAddrPort(c.Server)
		if err1 != nil || err2 != nil || client.Addr() != netip.MustParseAddr("192.168.50.10") || server != netip.MustParseAddrPort("203.0.113.10:443") {
			t.Errorf("connection from %q to %q", c.Client, c.Server)
		}
	}
}
