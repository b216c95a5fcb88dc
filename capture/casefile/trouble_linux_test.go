package casefile

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"goproxytrace/capture"
)

// TestFullDisk fills a small tmpfs, with space allocated in advance and
// without.
func TestFullDisk(t *testing.T) {
	needRoot(t)
	for _, size := range []int{1, 700, 20_000} {
		for _, plain := range []bool{false, true} {
			dir := t.TempDir()
			must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=512k"))
			path := filepath.Join(dir, "case.pcapng")
			w, err := Create(path, Options{})
			if err == nil {
				// The flusher reads it for the first time when it is kicked.
				w.mu.Lock()
				w.disk.plain = plain
				w.mu.Unlock()
				var more int
				if err, more = fill(w, size); more != 0 {
					t.Errorf("the error was told %d times more", more)
				}
				checkStopped(t, path, err, syscall.ENOSPC)
				if st, err := os.Stat(path); err != nil || st.Size() < 512<<10-2*reserve-int64(size)-8192 {
					t.Errorf("frames of %d bytes, plain %t: only %d bytes (%v)", size, plain, st.Size(), err)
				}
			}
			must(t, unix.Unmount(dir, unix.MNT_DETACH))
			must(t, err2nil(err))
		}
	}
}

// TestRingOnSmallDisk: a ring with a limit that the disk has room for does not
// fill it, however far the disk is behind.
func TestRingOnSmallDisk(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"))
	defer unix.Unmount(dir, unix.MNT_DETACH)
	w := create(t, filepath.Join(dir, "case.pcapng"), Options{MaxBytes: 3 * minFileBytes, Ring: 3})
	outrun(t, w)
	if _, files := onDisk(t, dir); files != 3 || len(w.Files()) != 3 {
		t.Errorf("%d files, %q", files, w.Files())
	}
}

// TestFullDiskInRing: where the disk is full while it is files behind, the
// Writer names the files that are there.
func TestFullDiskInRing(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=448k"))
	defer unix.Unmount(dir, unix.MNT_DETACH)
	w := create(t, filepath.Join(dir, "case.pcapng"), Options{MaxBytes: 12 * minFileBytes, Ring: 12})
	addInterface(t, w, ethernet)
	var packets []capture.Packet
	for i := range 3000 {
		packets = append(packets, *packet(i, 0, syn(1, 1000)))
	}
	_, err := w.Packets(packets)
	if closed := w.Close(); err == nil {
		err = closed
	}
	var stopped *StoppedError
	if !errors.As(err, &stopped) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the error is %v", err)
	}
	there, err := filepath.Glob(filepath.Join(dir, "*"))
	must(t, err)
	if paths := w.Files(); len(there) < 5 || !slices.Equal(paths, there) {
		t.Errorf("named %q, there are %q", paths, there)
	}
	for _, path := range there {
		_, _, err := read(t, path)
		must(t, err)
	}
}

// err2nil keeps only an error that kept the Writer from beginning.
func err2nil(err error) error {
	if _, ok := err.(*StoppedError); ok {
		return nil
	}
	return err
}
