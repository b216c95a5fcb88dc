//go:build unix

package outfile

import (
	"io/fs"
	"os"
	"strconv"
	"syscall"
)

// GiveToInvoker makes a file the property of the user that sudo was called by.
func GiveToInvoker(f *os.File) error { return giveToInvoker(f, os.Getenv) }

func giveToInvoker(f *os.File, getenv func(string) string) error {
	uid, ok := invoker(getenv)
	if !ok {
		return nil
	}
	gid, ok := id(getenv("SUDO_GID"))
	if !ok {
		gid = -1
	}
	return f.Chown(uid, gid)
}

// Trusted says whether a file belongs to this process's user, or to the one
// that called sudo: anybody else's could be a trap in a shared directory.
func Trusted(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	uid, sudo := invoker(os.Getenv)
	return int(st.Uid) == os.Geteuid() || sudo && int(st.Uid) == uid
}

// invoker returns the user that sudo was called by. Only root can give files
// away, and SUDO_UID means nothing otherwise.
func invoker(getenv func(string) string) (uid int, ok bool) {
	if os.Geteuid() != 0 {
		return 0, false
	}
	return id(getenv("SUDO_UID"))
}

func id(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	return int(n), err == nil
}
