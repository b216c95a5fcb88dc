package casefile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"goproxytrace/capture"
	"goproxytrace/capture/chain"
	"goproxytrace/capture/hostlog"
	"goproxytrace/capture/pcapfile"
)

// onDisk sums the files of a directory, in bytes.
func onDisk(t *testing.T, dir string) (sum int64, files int) {
	t.Helper()
	list, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range list {
		// A file can go away meanwhile.
		if st, err := e.Info(); err == nil {
			sum += st.Size()
			files++
		}
	}
	return sum, files
}

func TestRing(t *testing.T) {
	const (
		maxBytes = 4 * minRingBytes
		payload  = 700
		frames   = 9000
	)
	dir := t.TempDir()
	w := create(t, filepath.Join(dir, "case.pcapng"), Options{MaxBytes: maxBytes, Ring: 4})
	addInterface(t, w, ethernet)
	long := &hostlog.Claim{Time: epoch + 1, PID: 4120, Local: local(5000), Remote: remote, Cookie: 1, Source: hostlog.KernelEvent}
	repeated := []hostlog.Record{
		&hostlog.Setting{Time: epoch, Name: "GOPROXY", Value: "https://goproxy.cn", From: "go env"},
		&hostlog.Process{Time: epoch, PID: 4120, Parent: 4100, Name: "go"},
		&hostlog.Process{Time: epoch, PID: 4100, Name: "make"},
		long,
		&hostlog.Attempt{Time: epoch + 2, PID: 4120, Remote: remote},
		&hostlog.Socket{Time: epoch + 3, PID: 4120, Local: local(5000), Remote: remote, State: "ESTABLISHED"},
	}
	for _, r := range repeated {
		must(t, w.Record(r))
	}
	// make has ended; it stays because go, its child, runs.
	must(t, w.Record(&hostlog.Exit{Time: epoch + 3, PID: 4100}))
	short := *long
	short.Local, short.Cookie, short.PID = local(5001), 2, 4121
	must(t, w.Record(&hostlog.Process{Time: epoch, PID: 4121, Name: "git"}))
	must(t, w.Record(&short))
	closed := short
	closed.Until = epoch + 4
	must(t, w.Record(&closed))
	must(t, w.Record(&hostlog.Exit{Time: epoch + 4, PID: 4121}))

	received := uint64(frames)
	for i := 1; i <= frames; i++ {
		must(t, w.Packet(packet(i, 4120, syn(5000, payload))))
		must(t, w.Statistics(0, epoch+int64(i), &capture.Interface{Received: &received}))
		if i == 100 {
			// An interface of later is described in the files of later.
			addInterface(t, w, capture.Interface{Name: "tun0", LinkType: 101})
		}
		if i%20 == 0 {
			must(t, w.Flush())
			if sum, files := onDisk(t, dir); sum > maxBytes || files > 4 {
				t.Fatalf("%d bytes in %d files after packet %d", sum, files, i)
			}
		}
	}
	must(t, w.Close())

	paths := w.Files()
	if _, files := onDisk(t, dir); len(paths) != 4 || files != 4 {
		t.Fatalf("files %q, %d there", paths, files)
	}
	name := regexp.MustCompile(`^case_\d{5}_\d{14}\.pcapng$`)
	for _, path := range paths {
		list, info, err := read(t, path)
		if err != nil || len(info.Interfaces) != 2 || info.Interfaces[0].Received == nil || !name.MatchString(filepath.Base(path)) {
			t.Fatalf("%s: %v, interfaces %+v", path, err, info.Interfaces)
		}
		remark := record(t, list[0]).(*hostlog.Event)
		if !strings.Contains(remark.Text, "thrown away") && path != paths[0] || remark.Origin != "capture" {
			t.Errorf("%s begins with %+v", path, remark)
		}
		var got []hostlog.Record
		first := list[0].Time
		for _, p := range list[1:] {
			if p.Kind == capture.KindFrame {
				if p.Comment == "" {
					t.Errorf("%s: the first packet does not name its owner", path)
				}
				break
			}
			if p.Time != first {
				t.Errorf("%s: an entry of the time %d before the packets of %d", path, p.Time, first)
			}
			if pcapfile.JournalFields(p.Data)[hostlog.RepeatedField] != "1" {
				t.Errorf("%s: record %d does not say that it is repeated", path, p.Number)
			}
			got = append(got, record(t, p))
		}
		for _, r := range repeated {
			if !slices.ContainsFunc(got, func(g hostlog.Record) bool { return reflect.DeepEqual(g, r) }) {
				t.Errorf("%s lacks %+v", path, r)
			}
		}
		if len(got) != len(repeated) {
			t.Errorf("%s repeats %d records, want %d", path, len(got), len(repeated))
		}
	}

	// Given in any order, the files make one capture that ends with the last
	// packet and has no gap.
	shuffled := []string{paths[2], paths[0], paths[3], paths[1]}
	src, err := chain.Open(shuffled, func(p string) (capture.Source, error) { return pcapfile.Open(p) })
	must(t, err)
	defer src.Close()
	var b capture.Batch
	var times []int64
	for {
		err := src.Read(&b)
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		for _, p := range b.Packets {
			if p.Kind == capture.KindFrame {
				times = append(times, p.Time)
			}
		}
	}
	for i, at := range times {
		if want := epoch + int64(frames-len(times)+i+1)*second/1000; at != want {
			t.Fatalf("packet %d of %d is of %d, want %d", i, len(times), at, want)
		}
	}
	if least := maxBytes / 2 / (payload + 100); len(times) < least {
		t.Errorf("only %d packets kept, at least %d fit", len(times), least)
	}
}

// outrun gives so many packets at once that several files begin and end before
// the flusher has made the first of them.
func outrun(t *testing.T, w *Writer, payload int) (last int64) {
	t.Helper()
	addInterface(t, w, ethernet)
	for i := range 100 {
		must(t, w.Record(&hostlog.Process{Time: epoch, PID: uint32(5000 + i), Name: strings.Repeat("x", 4000)}))
	}
	data := syn(1, payload)
	each := 3<<20/len(data) + 1
	at := 0
	for range 5 {
		var packets []capture.Packet
		for range each {
			packets = append(packets, *packet(at, 0, data))
			at++
		}
		n, err := w.Packets(packets)
		must(t, err)
		if n != len(packets) {
			t.Fatalf("%d of %d packets taken", n, len(packets))
		}
	}
	must(t, w.Close())
	return packet(at-1, 0, data).Time
}

// TestRingOutrunsTheDisk holds the limit where the disk is files behind, also
// with the longest frames behind much that each file repeats.
func TestRingOutrunsTheDisk(t *testing.T) {
	const ring, maxBytes = 3, 3 * minRingBytes
	for _, payload := range []int{1000, 65_000, 300_000} {
		dir := t.TempDir()
		w := create(t, filepath.Join(dir, "case.pcapng"), Options{MaxBytes: maxBytes, Ring: ring})
		ended, looked := make(chan struct{}), make(chan string, 1)
		go func() {
			worst := ""
			for done := false; !done; {
				select {
				case <-ended:
					done = true
				default:
				}
				if sum, files := onDisk(t, dir); worst == "" && (sum > maxBytes || files > ring) {
					worst = fmt.Sprintf("%d bytes in %d files", sum, files)
				}
			}
			looked <- worst
		}()
		last := outrun(t, w, payload)
		close(ended)
		if worst := <-looked; worst != "" {
			t.Errorf("payload %d: %s, at most %d in %d", payload, worst, maxBytes, ring)
		}
		paths := w.Files()
		if _, files := onDisk(t, dir); len(paths) != ring || files != ring {
			t.Fatalf("payload %d: files %q, %d there", payload, paths, files)
		}
		list, _, err := read(t, paths[ring-1])
		must(t, err)
		if got := list[len(list)-1].Time; got != last {
			t.Errorf("payload %d: the last packet is of %d, want %d", payload, got, last)
		}
	}
}

// TestRingOfManyConnections: what does not fit again is counted, and the file
// still has room for packets.
func TestRingOfManyConnections(t *testing.T) {
	w := create(t, filepath.Join(t.TempDir(), "case.pcapng"), Options{MaxBytes: 2 * minRingBytes, Ring: 2})
	addInterface(t, w, ethernet)
	const claims = 6000
	for i := range claims {
		must(t, w.Record(&hostlog.Claim{Time: epoch + int64(i), PID: 1, Local: local(uint16(i)), Remote: remote}))
	}
	must(t, w.Close())
	paths := w.Files()
	list, _, err := read(t, paths[len(paths)-1])
	must(t, err)
	if text := record(t, list[0]).(*hostlog.Event).Text; !strings.Contains(text, "are not repeated") {
		t.Errorf("the remark is %q", text)
	}
	// The newest connections are the ones repeated.
	last := record(t, list[len(list)-1]).(*hostlog.Claim)
	if second := record(t, list[1]).(*hostlog.Claim); second.Time >= last.Time || last.Time != epoch+claims-1 {
		t.Errorf("repeated from %d on, the last is %d", second.Time-epoch, last.Time-epoch)
	}
}

// TestRingLeavesOthersFiles: a file that took the name of one of ours is not
// removed for it.
func TestRingLeavesOthersFiles(t *testing.T) {
	dir := t.TempDir()
	w := create(t, filepath.Join(dir, "case.pcapng"), Options{MaxBytes: 2 * minRingBytes, Ring: 2})
	addInterface(t, w, ethernet)
	first := w.Files()[0]
	i := 0
	for ; len(w.Files()) < 2; i++ {
		must(t, w.Packet(packet(i, 0, syn(1, 1000))))
		must(t, w.Flush())
	}
	must(t, os.Rename(first, first+".kept"))
	must(t, os.WriteFile(first, []byte("a stranger's"), 0o600))
	for w.Files()[0] == first {
		must(t, w.Packet(packet(i, 0, syn(1, 1000))))
	}
	must(t, w.Close())
	if b, err := os.ReadFile(first); err != nil || string(b) != "a stranger's" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestRingDirectoryGoes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	must(t, os.Mkdir(dir, 0o700))
	w := create(t, filepath.Join(dir, "case.pcapng"), Options{MaxBytes: 2 * minRingBytes, Ring: 2, FlushEvery: time.Hour})
	addInterface(t, w, ethernet)
	if err := os.RemoveAll(dir); err != nil {
		t.Skip("an open file cannot be removed here:", err)
	}
	var told []error
	for i := range 2000 {
		if err := w.Packet(packet(i, 0, syn(1, 1000))); err != nil {
			told = append(told, err)
		}
	}
	if err := w.Close(); err != nil {
		told = append(told, err)
	}
	var stopped *StoppedError
	if len(told) != 1 || !errors.As(told[0], &stopped) {
		t.Errorf("told %v", told)
	}
}

func TestState(t *testing.T) {
	s := newState()
	has := func(r hostlog.Record) bool {
		return slices.ContainsFunc(s.records(), func(g hostlog.Record) bool { return g == r })
	}
	// The port is in use again before the first socket's end is told.
	old := &hostlog.Claim{Time: 10, Local: local(1), Remote: remote, Cookie: 1, PID: 1}
	again := &hostlog.Claim{Time: 20, Local: local(1), Remote: remote, Cookie: 2, PID: 2}
	end := *old
	end.Until = 30
	s.note(old)
	s.note(again)
	s.note(&end)
	if has(old) || !has(again) {
		t.Error("the end of the one connection ended the other")
	}
	// A PID that is used again is another process.
	first := &hostlog.Process{Time: 1, PID: 7, Name: "go"}
	second := &hostlog.Process{Time: 2, PID: 7, Name: "git"}
	s.note(first)
	s.note(&hostlog.Exit{Time: 2, PID: 7})
	if has(first) {
		t.Error("a process that ended is kept")
	}
	s.note(second)
	if !has(second) {
		t.Error("the second process of a PID is taken for the first")
	}
	// A process that ended stays as long as it owns a connection.
	owner := &hostlog.Process{Time: 1, PID: 2, Parent: 3}
	s.note(owner)
	s.note(&hostlog.Exit{Time: 30, PID: 2})
	if !has(owner) {
		t.Error("the owner of an open connection is gone")
	}
	// Parents that go round in a circle end nothing.
	s.note(&hostlog.Process{Time: 1, PID: 3, Parent: 2})
	s.sweep()
	about := &hostlog.Subject{Time: 1, PID: 7}
	s.note(about)
	if !has(about) {
		t.Error("a later file does not say what the session is about")
	}
	failed := &hostlog.Attempt{Time: 5, PID: 9, Remote: remote}
	s.note(failed)
	if !has(failed) {
		t.Error("an attempt under way is gone")
	}
	done := *failed
	done.Ended, done.Error = 6, "ETIMEDOUT"
	s.note(&done)
	if has(failed) {
		t.Error("an attempt that failed is under way")
	}
}

func TestStateIsBounded(t *testing.T) {
	s := newState()
	for i := range 3 * maxKept {
		s.note(&hostlog.Process{Time: int64(i), PID: uint32(i)})
		s.note(&hostlog.Claim{Time: int64(i), Cookie: uint64(i), Local: local(uint16(i)), Remote: netipPort(i)})
		if i < 2*maxSettings {
			s.note(&hostlog.Setting{Time: int64(i), Name: fmt.Sprint(i)})
		}
	}
	if len(s.processes) > maxKept || len(s.claims) > maxKept || len(s.settings) > maxSettings {
		t.Errorf("%d processes, %d claims, %d settings", len(s.processes), len(s.claims), len(s.settings))
	}
	if _, known := s.processes[3*maxKept-1]; !known {
		t.Error("the newest process was dropped")
	}
}
