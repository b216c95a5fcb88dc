package main

import (
	"os"
	"os/signal"
	"sync"
	"time"
)

// stopper turns signals into the end of a session: the first of them ends it
// in order, the second at once.
type stopper struct {
	mu sync.Mutex
	// first is called for the first signal, again for each further one of
	// those that passing returns true for; last for the second.
	first, last func(os.Signal)
	passing     func(os.Signal) bool
	count       int
	// grace is how long after its first signal a session must be over, after
	// which last is called; zero for no limit.
	grace func(os.Signal) time.Duration
	c     chan os.Signal
	done  chan struct{}
}

// takeSignals takes over from interruptible, whose second interrupt would end
// the program with a case file that is not complete.
func takeSignals() *stopper {
	signal.Reset(endSignals...)
	s := &stopper{grace: grace, c: make(chan os.Signal, 4), done: make(chan struct{})}
	signal.Notify(s.c, endSignals...)
	go s.run()
	return s
}

func (s *stopper) run() {
	for {
		select {
		case sig := <-s.c:
			s.handle(sig)
		case <-s.done:
			return
		}
	}
}

func (s *stopper) handle(sig os.Signal) {
	s.mu.Lock()
	first, last, passing := s.first, s.last, s.passing
	if passing == nil || !passing(sig) {
		s.count++
	}
	n := s.count
	s.mu.Unlock()
	switch {
	case first == nil: // there is nothing yet that could be reported
		os.Exit(exitInterrupted)
	case n <= 1:
		if d := s.grace(sig); d > 0 {
			time.AfterFunc(d, func() { last(sig) })
		}
		first(sig)
	default:
		last(sig)
	}
}

// set says what signals do from now on.
func (s *stopper) set(first, last func(os.Signal), passing func(os.Signal) bool) {
	s.mu.Lock()
	s.first, s.last, s.passing = first, last, passing
	s.mu.Unlock()
}

// release leaves signals to the system again.
func (s *stopper) release() {
	signal.Stop(s.c)
	close(s.done)
}
