//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// keepBrokenPipes makes a write to a pipe without a reader an error instead of
// the program's end, so that files that are being written get finished.
func keepBrokenPipes() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }
