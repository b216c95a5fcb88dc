//go:build unix

package outfile

import (
	"os"
	"strconv"
)

// giveToInvoker makes the file the property of the user that sudo was called
// by. Only root can give files away, and SUDO_UID means nothing otherwise.
func giveToInvoker(f *os.File, getenv func(string) string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	uid, ok := id(getenv("SUDO_UID"))
	if !ok {
		return nil
	}
	gid, ok := id(getenv("SUDO_GID"))
	if !ok {
		gid = -1
	}
	return f.Chown(uid, gid)
}

func id(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	return int(n), err == nil
}
