package casefile

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"goproxytrace/capture"
	"goproxytrace/capture/hostlog"
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

// smallDisk mounts a tmpfs.
func smallDisk(t *testing.T, options string) (dir string) {
	t.Helper()
	needRoot(t)
	dir = t.TempDir()
	must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, options))
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// TestRingOnSmallDisk: a ring needs no byte beyond its limit, however far the
// disk is behind.
func TestRingOnSmallDisk(t *testing.T) {
	for _, payload := range []int{1000, 65_000, 300_000} {
		dir := smallDisk(t, "size=1536k")
		w := create(t, filepath.Join(dir, "case.pcapng"), Options{MaxBytes: 3 * minRingBytes, Ring: 3})
		outrun(t, w, payload)
		if _, files := onDisk(t, dir); files != 3 || len(w.Files()) != 3 {
			t.Errorf("payload %d: %d files, %q", payload, files, w.Files())
		}
	}
}

// TestFullDiskInRing: where the disk is full while it is files behind, the
// newest file with anything in it says so, and the Writer names those that are
// there.
func TestFullDiskInRing(t *testing.T) {
	// In the second the next file has no room for its header, in the third
	// none for itself.
	for _, options := range []string{"size=3800k", "size=3584k", "nr_inodes=5"} {
		dir := smallDisk(t, options)
		w := create(t, filepath.Join(dir, "case.pcapng"), Options{MaxBytes: 12 * minRingBytes, Ring: 12})
		addInterface(t, w, ethernet)
		var packets []capture.Packet
		for i := range 6000 {
			packets = append(packets, *packet(i, 0, syn(1, 1000)))
		}
		_, err := w.Packets(packets)
		if closed := w.Close(); err == nil {
			err = closed
		}
		var stopped *StoppedError
		if !errors.As(err, &stopped) || !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("%s: the error is %v", options, err)
		}
		there, err := filepath.Glob(filepath.Join(dir, "*"))
		must(t, err)
		if paths := w.Files(); len(there) < 4 || !slices.Equal(paths, there) {
			t.Errorf("%s: named %q, there are %q", options, paths, there)
		}
		for i, path := range there {
			list, _, err := read(t, path)
			must(t, err)
			if i < len(there)-1 {
				continue
			}
			e, ok := record(t, list[len(list)-1]).(*hostlog.Event)
			if !ok || !strings.Contains(e.Text, "ends here") || stopped.Path != path || stopped.Frames != int64(len(list)-1) {
				t.Errorf("%s: %s ends with %+v; the error is %v", options, path, e, stopped)
			}
		}
	}
}

// TestRingFileInUse: a file that cannot be removed goes when it can be.
func TestRingFileInUse(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	w := create(t, filepath.Join(dir, "case.pcapng"), Options{MaxBytes: 2 * minRingBytes, Ring: 2})
	addInterface(t, w, ethernet)
	i := 0
	files := func(n int) {
		t.Helper()
		for range n * minRingBytes / 1000 {
			must(t, w.Packet(packet(i, 0, syn(1, 1000))))
			i++
		}
		must(t, w.Flush())
	}
	files(1)
	first := w.Files()[0]
	// A mount point cannot be removed.
	must(t, unix.Mount(first, first, "", unix.MS_BIND, ""))
	defer unix.Unmount(first, unix.MNT_DETACH)
	files(4)
	if paths := w.Files(); len(paths) != 3 || paths[0] != first {
		t.Errorf("named %q, want %s and two more", paths, first)
	}
	must(t, unix.Unmount(first, unix.MNT_DETACH))
	files(2)
	must(t, w.Close())
	there, err := filepath.Glob(filepath.Join(dir, "*"))
	must(t, err)
	if paths := w.Files(); len(there) != 2 || !slices.Equal(paths, there) {
		t.Errorf("named %q, there are %q", paths, there)
	}
}

// TestRingNewestRemoved: what another program removed is not named.
func TestRingNewestRemoved(t *testing.T) {
	dir := t.TempDir()
	w := create(t, filepath.Join(dir, "case.pcapng"), Options{MaxBytes: 3 * minRingBytes, Ring: 3})
	addInterface(t, w, ethernet)
	for i := 0; len(w.Files()) < 2; i++ {
		must(t, w.Packet(packet(i, 0, syn(1, 1000))))
		must(t, w.Flush())
	}
	paths := w.Files()
	must(t, os.Remove(paths[len(paths)-1]))
	if err := w.Close(); !errors.Is(err, errRemoved) {
		t.Fatalf("closed with %v", err)
	}
	if now := w.Files(); !slices.Equal(now, paths[:len(paths)-1]) {
		t.Errorf("named %q of %q", now, paths)
	}
}

// err2nil keeps only an error that kept the Writer from beginning.
func err2nil(err error) error {
	if _, ok := err.(*StoppedError); ok {
		return nil
	}
	return err
}
