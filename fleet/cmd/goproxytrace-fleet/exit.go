package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"syscall"
)

// exitCode is an error that was reported already.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// usageError is a wrong command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// codeOf is the program's exit code; said is false where the error is still to
// be reported.
func codeOf(err error) (code int, said bool) {
	var exit exitCode
	var usage usageError
	switch {
	case err == nil:
		return 0, true
	case errors.As(err, &exit):
		return int(exit), true
	case errors.As(err, &usage):
		return 2, false
	case errors.Is(err, context.Canceled):
		return 130, true
	case errors.Is(err, syscall.EPIPE):
		return 0, true // the reader has what it wanted (| head)
	}
	return 1, false
}

// version is this program's.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
