package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
)

// endOf reads an error of connecting, of a handshake or of a request.
func endOf(err error) End {
	var op *net.OpError
	var record tls.RecordHeaderError
	switch {
	case err == nil:
		return Passed
	case errors.As(err, &record):
		return NotTLS
	case errors.As(err, &op) && op.Op == "remote error":
		return Alert
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return Timeout
	case errors.Is(err, context.Canceled):
		return Stopped
	}
	if e := systemEnd(err); e != "" {
		return e
	}
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return Timeout
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), strings.HasSuffix(err.Error(), ": EOF"):
		return Closed
	}
	return Failed
}
