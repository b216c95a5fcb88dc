//go:build unix

package probe

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// systemEnd reads an error number of the system.
func systemEnd(err error) End {
	var n syscall.Errno
	if !errors.As(err, &n) {
		return ""
	}
	switch n {
	case unix.ECONNREFUSED:
		return Refused
	case unix.ECONNRESET, unix.EPIPE, unix.ECONNABORTED:
		return Reset
	case unix.EHOSTUNREACH, unix.ENETUNREACH, unix.ENETDOWN, unix.EHOSTDOWN, unix.EADDRNOTAVAIL:
		return Unreachable
	case unix.EPERM, unix.EACCES:
		return Forbidden
	case unix.ETIMEDOUT:
		return Timeout
	}
	return ""
}

// errorName is the system's name for an error, empty where it has none.
func errorName(err error) string {
	var n syscall.Errno
	if errors.As(err, &n) {
		return unix.ErrnoName(n)
	}
	return ""
}
