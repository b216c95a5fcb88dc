//go:build unix

package main

import (
	"os"
	"syscall"
)

// endSignals end a session. A quit makes a go command print its goroutines,
// which is worth reporting too.
var endSignals = []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT}

// fromTerminal reports whether a terminal sends a signal of this kind to all
// of its foreground processes.
func fromTerminal(s os.Signal) bool {
	return s == os.Interrupt || s == syscall.SIGQUIT
}

// hangup asks a recorder to open its log anew.
var hangup = []os.Signal{syscall.SIGHUP}
