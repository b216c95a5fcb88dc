package casefile

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
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

// err2nil keeps only an error that kept the Writer from beginning.
func err2nil(err error) error {
	if _, ok := err.(*StoppedError); ok {
		return nil
	}
	return err
}
