package storage

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// removesOpen is true where a file that is open can be removed.
const removesOpen = false

// lockedAt is where the byte is that is locked: far behind all that a file holds,
// since nobody else can read or write what is locked.
const lockedAt = 1 << 30

func lock(f *os.File, shared bool) error {
	how := uint32(windows.LOCKFILE_FAIL_IMMEDIATELY)
	if !shared {
		how |= windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	err := windows.LockFileEx(windows.Handle(f.Fd()), how, 0, 1, 0, &windows.Overlapped{OffsetHigh: lockedAt})
	switch {
	case errors.Is(err, windows.ERROR_LOCK_VIOLATION), errors.Is(err, windows.ERROR_IO_PENDING):
		return ErrLocked
	case errors.Is(err, windows.ERROR_INVALID_FUNCTION), errors.Is(err, windows.ERROR_NOT_SUPPORTED):
		return errors.Join(errors.ErrUnsupported, err)
	}
	return err
}
