package main

import (
	"os"
	"syscall"
	"testing"
	"time"
)

// A signal that leaves little time ends the session at once where it is not
// over by then; one without a limit waits for the second.
func TestSignalGrace(t *testing.T) {
	s := &stopper{grace: func(sig os.Signal) time.Duration {
		if sig == syscall.SIGTERM {
			return 20 * time.Millisecond
		}
		return 0
	}}
	calls := make(chan string, 4)
	s.set(func(os.Signal) { calls <- "first" }, func(os.Signal) { calls <- "last" }, nil)
	next := func(limit time.Duration) string {
		select {
		case c := <-calls:
			return c
		case <-time.After(limit):
			return "nothing"
		}
	}
	s.handle(os.Interrupt)
	if a, b := next(10*time.Second), next(100*time.Millisecond); a != "first" || b != "nothing" {
		t.Errorf("Ctrl-C: %s, %s", a, b)
	}
	s.count = 0
	s.handle(syscall.SIGTERM)
	if a, b := next(10*time.Second), next(10*time.Second); a != "first" || b != "last" {
		t.Errorf("the window's close: %s, %s", a, b)
	}
}
