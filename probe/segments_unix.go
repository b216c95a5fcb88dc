//go:build unix

package probe

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// canLimitSegments says whether SmallSegments can be tried on this system.
const canLimitSegments = true

// limitSegments bounds the segments of a socket that is not connected yet, in
// both directions: the size is announced to the peer, too (RFC 9293, section
// 3.7.1).
func limitSegments(raw syscall.RawConn, size int) error {
	var set error
	err := raw.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, size) })
	return errors.Join(err, set)
}

func inUse(err error) bool { return errors.Is(err, unix.EADDRINUSE) }
