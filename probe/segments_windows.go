package probe

import (
	"errors"
	"syscall"

	"golang.org/x/sys/windows"
)

// canLimitSegments says whether SmallSegments can be tried on this system:
// Windows has no option for it that is documented to be settable.
const canLimitSegments = false

func limitSegments(syscall.RawConn, int) error { return errors.ErrUnsupported }

func inUse(err error) bool { return errors.Is(err, windows.WSAEADDRINUSE) }
