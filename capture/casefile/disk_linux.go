package casefile

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// allocate reserves space behind the end of a file without making it longer.
func allocate(f *os.File, at, n int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, at, n)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// noAllocation tells a file system (or a sandbox) that does not allocate in
// advance from one that is full or broken.
func noAllocation(err error) bool {
	for _, e := range [...]error{unix.EOPNOTSUPP, unix.ENOSYS, unix.EINVAL, unix.EPERM, unix.ENODEV} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
