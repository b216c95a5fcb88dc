package main

import (
	"golang.org/x/sys/windows/svc"
)

// serviceName is that of the docs; the service manager knows it by its own
// records.
const serviceName = "goproxytrace"

// service answers the service manager in place of signals.
type service struct {
	stop chan struct{}
	done chan struct{}
}

// asService returns what ends a recorder that the service manager has started,
// and tells the manager when it has ended; nils where a person did.
func asService() (stop <-chan struct{}, ended func()) {
	is, err := svc.IsWindowsService()
	if err != nil || !is {
		return nil, func() {}
	}
	s := &service{stop: make(chan struct{}), done: make(chan struct{})}
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = svc.Run(serviceName, s) // without a manager nobody stops it: it is ended
	}()
	return s.stop, func() {
		close(s.done)
		<-over
	}
}

// Execute is part of svc.Handler.
func (s *service) Execute(_ []string, requests <-chan svc.ChangeRequest, status chan<- svc.Status) (bool, uint32) {
	const accepted = svc.AcceptStop | svc.AcceptShutdown
	status <- svc.Status{State: svc.Running, Accepts: accepted}
	stop := s.stop
	for {
		select {
		case <-s.done:
			status <- svc.Status{State: svc.StopPending}
			return false, 0
		case r := <-requests:
			switch r.Cmd {
			case svc.Interrogate:
				status <- r.CurrentStatus
			case svc.Stop, svc.Shutdown:
				if stop != nil {
					status <- svc.Status{State: svc.StopPending, WaitHint: uint32(finishLimit.Milliseconds())}
					close(stop)
					stop = nil
				}
			}
		}
	}
}
