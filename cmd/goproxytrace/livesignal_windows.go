package main

import (
	"os"
	"syscall"
	"time"
)

// endSignals end a session. SIGTERM stands for the window's close, a logoff and
// a shutdown (os/signal).
var endSignals = []os.Signal{os.Interrupt, syscall.SIGTERM}

// fromTerminal is true: a console sends Ctrl-C to all its processes.
func fromTerminal(os.Signal) bool { return true }

// grace is how long after a signal the session must be over; zero for no
// limit. A window's close leaves 5 s (HandlerRoutine callback, Remarks), in
// which the case file is to be completed.
func grace(s os.Signal) time.Duration {
	if s == syscall.SIGTERM {
		return 3 * time.Second
	}
	return 0
}

// hangup is a signal that Windows does not have.
var hangup []os.Signal
