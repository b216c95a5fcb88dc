package recorder

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// lock makes the file's holder the only one, until it is closed or the process
// ends.
func lock(f *os.File) error {
	var o windows.Overlapped
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &o)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return ErrInUse
	}
	return err
}

// ownLink says yes: only administrators may make one.
func ownLink(fs.FileInfo) bool { return true }

// sharedMode says no: Go shows no access lists.
func sharedMode(fs.FileMode) bool { return false }

// syncDir does nothing: directories cannot be flushed.
func syncDir(*os.File) error { return nil }
