package terminal

import (
	"errors"
	"io"
	"syscall"
)

// IsBrokenPipe reports whether err says that the reader has gone.
func IsBrokenPipe(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) || isWindowsBrokenPipe(err)
}
