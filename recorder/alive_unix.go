//go:build unix

package recorder

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Alive reports whether a process of this number exists.
func Alive(pid uint32) bool { return !errors.Is(unix.Kill(int(pid), 0), unix.ESRCH) }
