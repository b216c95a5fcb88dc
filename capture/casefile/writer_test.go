package casefile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"goproxytrace/capture"
	"goproxytrace/capture/hostlog"
	"goproxytrace/capture/pcapfile"
)

const (
	epoch  = int64(1_700_000_000_000_000_000)
	second = int64(time.Second)
)

var ethernet = capture.Interface{Name: "eth0", LinkType: 1, SnapLen: 262144}

// syn is a TCP segment from 192.0.2.1:port to 198.51.100.1:443.
func syn(port uint16, payload int) []byte {
	b := make([]byte, 54+payload)
	binary.BigEndian.PutUint16(b[12:], 0x0800)
	ip := b[14:]
	ip[0], ip[8], ip[9] = 0x45, 64, 6
	binary.BigEndian.PutUint16(ip[2:], uint16(40+payload))
	copy(ip[12:], []byte{192, 0, 2, 1, 198, 51, 100, 1})
	binary.BigEndian.PutUint16(ip[20:], port)
	binary.BigEndian.PutUint16(ip[22:], 443)
	ip[32], ip[33] = 0x50, 2
	return b
}

func packet(i int, pid uint32, data []byte) *capture.Packet {
	return &capture.Packet{Time: epoch + int64(i)*second/1000, HasTime: true, Data: data, Length: len(data), LinkType: 1, FCSLen: -1,
		ProcessID: pid, Direction: capture.Outbound}
}

func local(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), port)
}

var remote = netip.MustParseAddrPort("198.51.100.1:443")

// read returns the records of a file and what is said of its end.
func read(t testing.TB, path string) ([]capture.Packet, *capture.Info, error) {
	t.Helper()
	r, err := pcapfile.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	var list []capture.Packet
	for {
		var b capture.Batch
		if err := r.Read(&b); err != nil {
			if err == io.EOF {
				err = nil
			}
			return list, r.Info(), err
		}
		list = append(list, b.Packets...)
	}
}

func record(t testing.TB, p capture.Packet) hostlog.Record {
	t.Helper()
	r, err := hostlog.Parse(pcapfile.JournalFields(p.Data))
	if err != nil {
		t.Fatalf("record %d: %v", p.Number, err)
	}
	return r
}

func create(t testing.TB, path string, opts Options) *Writer {
	t.Helper()
	w, err := Create(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func addInterface(t testing.TB, w *Writer, in capture.Interface) int {
	t.Helper()
	i, err := w.Interface(&in)
	must(t, err)
	return i
}

// writeSample writes a file with everything in it.
func writeSample(t testing.TB, path string) {
	t.Helper()
	w := create(t, path, Options{OS: "Linux", Application: "goproxytrace test", Comment: "a case"})
	addInterface(t, w, ethernet)
	number := int64(0)
	next := func(err error) {
		t.Helper()
		must(t, err)
		if number++; w.Frames() != number {
			t.Fatalf("frame %d is number %d", number, w.Frames())
		}
	}
	next(w.Record(&hostlog.Setting{Time: epoch, Name: "GOPROXY", Value: "https://u:s3cret@goproxy.cn,direct", From: "go env"}))
	next(w.Record(&hostlog.Process{Time: epoch, PID: 4120, Parent: 4100, Name: "go", Args: []string{"go", "mod", "download"}}))
	next(w.Record(&hostlog.Claim{Time: epoch + 1, PID: 4120, Local: local(5000), Remote: remote, Source: hostlog.KernelEvent}))
	next(w.Packet(packet(1, 4120, syn(5000, 0))))
	next(w.Packet(packet(2, 4120, syn(5000, 10))))
	next(w.Packet(packet(3, 0, syn(6000, 10))))
	if i := addInterface(t, w, capture.Interface{Name: "tun0", LinkType: 101, SnapLen: 262144}); i != 1 {
		t.Fatalf("the second interface has index %d", i)
	}
	raw := packet(4, 4120, syn(5001, 7)[14:])
	raw.Interface, raw.LinkType = 1, 101
	next(w.Packet(raw))
	next(w.Record(&hostlog.Line{Time: epoch + second, Stream: "stderr", Text: "go: \x1b[31mfailed\nhard"}))
	next(w.Record(&hostlog.Exit{Time: epoch + 2*second, PID: 4120, Code: 1}))
	received, dropped, delivered := uint64(9), uint64(2), uint64(7)
	for i := range 2 {
		must(t, w.Statistics(i, epoch+3*second, &capture.Interface{Received: &received, Dropped: &dropped, Delivered: &delivered,
			Start: epoch, End: epoch + 3*second}))
	}
	must(t, w.Close())
	must(t, w.Close())
	if err := w.Packet(packet(1, 0, syn(1, 1))); err == nil {
		t.Error("a packet after Close")
	}
}

func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "case.pcapng")
	writeSample(t, path)
	list, info, err := read(t, path)
	if err != nil || len(list) != 9 {
		t.Fatalf("%d records, %v", len(list), err)
	}
	if r := record(t, list[0]); !reflect.DeepEqual(r, &hostlog.Setting{Time: epoch, Name: "GOPROXY", Value: "https://xxxxx@goproxy.cn,direct", From: "go env"}) {
		t.Errorf("setting %+v", r)
	}
	comments := map[int]string{3: "owner: go (PID 4120, started by PID 4100): go mod download", 6: "owner: go (PID 4120, started by PID 4100): go mod download"}
	pids := map[int]uint32{3: 4120, 4: 4120, 6: 4120}
	for i, p := range list {
		if p.Number != int64(i)+1 || p.Comment != comments[i] || p.ProcessID != pids[i] {
			t.Errorf("record %d: number %d, PID %d, comment %q", i+1, p.Number, p.ProcessID, p.Comment)
		}
	}
	if !bytes.Equal(list[6].Data, syn(5001, 7)[14:]) || list[6].Interface != 1 || list[6].Time != epoch+4*second/1000 {
		t.Errorf("packet %+v", list[6])
	}
	if r := record(t, list[7]); r.(*hostlog.Line).Text != "go: \x1b[31mfailed\nhard" {
		t.Errorf("line %+v", r)
	}
	for _, in := range info.Interfaces {
		if in.Received == nil || *in.Received != 9 || *in.Dropped != 2 || *in.Delivered != 7 || in.Start != epoch || in.End != epoch+3*second {
			t.Errorf("statistics of %+v", in)
		}
	}
	if b, err := os.ReadFile(path); err != nil || bytes.Contains(b, []byte("s3cret")) {
		t.Errorf("the secret is in the file (error %v)", err)
	}
	st, err := os.Stat(path)
	if err != nil || runtime.GOOS != "windows" && st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
}

// requireTool skips, or fails where GOPROXYTRACE_CI asks for everything.
func requireTool(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("GOPROXYTRACE_CI") == "1" {
			t.Fatalf("%s is not installed, but GOPROXYTRACE_CI=1 asks for the comparison", name)
		}
		t.Skipf("%s is not installed: no comparison with Wireshark", name)
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	err := cmd.Run()
	var unexpected []string
	for line := range strings.Lines(complaint.String()) {
		if !strings.HasPrefix(line, "Running as user") {
			unexpected = append(unexpected, line)
		}
	}
	if err != nil || unexpected != nil {
		t.Errorf("%s: %v, %q", name, err, unexpected)
	}
	return out.String()
}

func TestWiresharkReadsIt(t *testing.T) {
	requireTool(t, "tshark")
	requireTool(t, "capinfos")
	path := filepath.Join(t.TempDir(), "case.pcapng")
	writeSample(t, path)
	if out := run(t, "tshark", "-r", path, "-q", "-z", "io,stat,0"); !strings.Contains(out, "|      9 |") {
		t.Errorf("tshark counts\n%s", out)
	}
	if out := run(t, "capinfos", path); !strings.Contains(out, "Number of packets:   4") || !strings.Contains(out, "Number of interfaces in file: 2") {
		t.Errorf("capinfos says\n%s", out)
	}
	out := run(t, "tshark", "-n", "-r", path, "-T", "fields", "-e", "frame.number", "-e", "frame.comment", "-e", "systemd_journal.message", "-Y", "frame.comment or systemd_journal or _ws.malformed")
	for _, want := range []string{
		"4\towner: go (PID 4120, started by PID 4100): go mod download\t\n",
		"3\t\tPID 4120 connects from 192.0.2.1:5000, peer 198.51.100.1:443 (kernel event)\n",
		"9\t\tPID 4120 ended with exit code 1\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("tshark does not show %q:\n%s", want, out)
		}
	}
	if bad := run(t, "tshark", "-n", "-r", path, "-Y", "_ws.malformed or _ws.expert.severity >= error"); bad != "" {
		t.Errorf("malformed:\n%s", bad)
	}
}

// TestFlushWithoutPackets: nothing comes after the packet, and yet it gets into
// the file. TestKill says how soon.
func TestFlushWithoutPackets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "case.pcapng")
	w := create(t, path, Options{})
	addInterface(t, w, ethernet)
	must(t, w.Packet(packet(1, 0, syn(1, 1))))
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		list, _, err := read(t, path)
		if len(list) == 1 && err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d records after 10 seconds, %v", len(list), err)
		}
	}
	must(t, w.Packet(packet(2, 0, syn(1, 1))))
	must(t, w.Flush())
	if list, _, err := read(t, path); len(list) != 2 || err != nil {
		t.Errorf("%d records after Flush, %v", len(list), err)
	}
}

func TestStandardOutput(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	out, err := os.Create(path)
	must(t, err)
	defer out.Close()
	_, err = out.WriteString("")
	must(t, err)
	w := create(t, "-", Options{Stdout: out})
	addInterface(t, w, ethernet)
	must(t, w.Packet(packet(1, 0, syn(1, 1))))
	must(t, w.Close())
	if list, _, err := read(t, path); len(list) != 1 || err != nil {
		t.Errorf("%d records, %v", len(list), err)
	}
	if _, err := out.WriteString("x"); err != nil {
		t.Errorf("standard output was closed: %v", err)
	}
}

func TestClosedPipe(t *testing.T) {
	r, out, err := os.Pipe()
	must(t, err)
	defer out.Close()
	// The error is for Flush: nothing else may find it before.
	w := create(t, "-", Options{Stdout: out, FlushEvery: time.Hour})
	addInterface(t, w, ethernet)
	r.Close()
	must(t, w.Packet(packet(1, 0, syn(1, 1))))
	var stopped *StoppedError
	if err := w.Flush(); !errors.As(err, &stopped) || stopped.Path != "-" || stopped.Frames != 0 {
		t.Errorf("Flush: %v", err)
	}
	must(t, w.Packet(packet(1, 0, syn(1, 1))))
	must(t, w.Close())
	if w.Err() == nil {
		t.Error("Err forgot")
	}
}

func TestWrongUse(t *testing.T) {
	dir := t.TempDir()
	for _, o := range []Options{{Ring: 3}, {Ring: 3, MaxBytes: 3*minRingBytes - 1}, {MaxBytes: 100}, {MaxBytes: -1}} {
		if w, err := Create(filepath.Join(dir, "x.pcapng"), o); err == nil {
			w.Close()
			t.Errorf("%+v was accepted", o)
		}
	}
	if _, err := Create("-", Options{Ring: 2, MaxBytes: 1 << 20, Stdout: os.Stdout}); err == nil {
		t.Error("a ring on standard output")
	}
	if list, _ := filepath.Glob(filepath.Join(dir, "*")); list != nil {
		t.Errorf("left behind: %q", list)
	}
	path := filepath.Join(dir, "case.pcapng")
	w := create(t, path, Options{})
	if err := w.Packet(packet(1, 0, syn(1, 1))); err == nil {
		t.Error("a packet of no interface")
	}
	if err := w.Statistics(0, epoch, &capture.Interface{}); err == nil {
		t.Error("statistics of no interface")
	}
	addInterface(t, w, ethernet)
	long := packet(2, 0, make([]byte, 300<<10))
	must(t, w.Packet(long))
	must(t, w.Close())
	list, _, err := read(t, path)
	if err != nil || len(list) != 1 || len(list[0].Data) != maxFrame || list[0].Length != 300<<10 {
		t.Errorf("a frame longer than readers take: %d records, %v", len(list), err)
	}
}

// TestConcurrentUse is for the race detector.
func TestConcurrentUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "case.pcapng")
	w := create(t, path, Options{FlushEvery: time.Millisecond})
	addInterface(t, w, ethernet)
	const each = 300
	done := make(chan error)
	for g := range 4 {
		go func() {
			for i := range each {
				if err := w.Packet(packet(i, uint32(g), syn(uint16(i), 100))); err != nil {
					done <- err
					return
				}
				if err := w.Record(&hostlog.Process{Time: epoch, PID: uint32(g), Name: fmt.Sprint(i)}); err != nil {
					done <- err
					return
				}
			}
			done <- w.Flush()
		}()
	}
	for range 4 {
		must(t, <-done)
	}
	must(t, w.Close())
	if list, _, err := read(t, path); len(list) != 4*2*each || err != nil {
		t.Errorf("%d records, %v", len(list), err)
	}
}

// netipPort is one of many remote ends.
func netipPort(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 443)
}
