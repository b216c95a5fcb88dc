//go:build unix

package recorder

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// lock makes the file's holder the only one, until it is closed or the process
// ends.
func lock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrInUse
	}
	return err
}

// ownLink reports whether a symbolic link is root's or this user's.
func ownLink(st fs.FileInfo) bool {
	s, ok := st.Sys().(*syscall.Stat_t)
	return ok && (s.Uid == 0 || int(s.Uid) == os.Geteuid())
}

// sharedMode reports whether others may write.
func sharedMode(m fs.FileMode) bool { return m.Perm()&0o022 != 0 }

func syncDir(d *os.File) error { return d.Sync() }
