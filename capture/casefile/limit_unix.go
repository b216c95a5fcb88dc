//go:build unix

package casefile

import (
	"math"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// fileSizeLimit returns the process's limit on the size of a file
// (RLIMIT_FSIZE), zero for none.
func fileSizeLimit() (int64, error) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &l); err != nil || l.Cur >= math.MaxInt64 {
		return 0, nil
	}
	// Zero would mean that there is none.
	return max(int64(l.Cur), 1), unix.EFBIG
}

func removed(f *os.File) bool {
	info, err := f.Stat()
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Nlink == 0
}
