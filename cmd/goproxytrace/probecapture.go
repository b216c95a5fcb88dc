package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"goproxytrace/analyze"
	"goproxytrace/analyze/goproxy"
	"goproxytrace/capture"
	"goproxytrace/capture/casefile"
	"goproxytrace/capture/engine"
	"goproxytrace/capture/hostlog"
	"goproxytrace/live"
	"goproxytrace/probe"
)

// probeCapture is a capture of the attempts' packets. The nil one captures
// nothing.
type probeCapture struct {
	session *live.Session
	ended   chan probeEnding
}

type probeEnding struct {
	result *analyze.Result
	err    error
}

// capture begins to capture where that is permitted. Only a case file that
// was asked for makes it an error where it is not.
func (r *probeRun) capture(ctx context.Context) error {
	if r.o.noCapture {
		r.without = "--no-capture"
		return nil
	}
	var targets []target
	var endpoints []goproxy.Endpoint
	var peers []netip.Addr
	var hosts []string
	for _, t := range r.options.Targets {
		e := goproxy.Endpoint{Host: t.Host, Port: t.Port}
		targets, endpoints, hosts = append(targets, target{Endpoint: e}), append(endpoints, e), append(hosts, t.Host)
	}
	for _, e := range live.Proxies(os.Getenv) {
		targets, endpoints = append(targets, target{Endpoint: e}), append(endpoints, e)
	}
	unable := func(err error) error {
		if r.o.write != "" {
			return cannotCapture(r.std, err)
		}
		r.without = err.Error()
		return nil
	}
	interfaces, err := chooseInterfaces(ctx, targets, peers)
	if err != nil {
		return unable(err)
	}
	ports := live.Ports(endpoints, nil)
	source, err := engine.Open(engine.Options{Interfaces: interfaces, Ports: ports})
	if err != nil {
		return unable(err)
	}
	application := "goproxytrace " + readBuildInfo().Version
	o := live.Options{
		Source: source, Info: capture.Info{Format: "live", Application: application, OS: systemName()}, Analyze: analyze.Options{Targets: hosts},
		Service: func(p uint16) bool { return slices.Contains(ports, p) },
		Warn:    func(err error) { complain(r.std, err) },
	}
	if r.o.write != "" {
		stdout, _ := r.std.out.(*os.File)
		file, err := casefile.Create(r.o.write, casefile.Options{OS: systemName(), Application: application, Stdout: stdout})
		if err != nil {
			source.Close()
			return explainCase(r.o.write, err)
		}
		o.File = file
	}
	if err := live.DropPrivileges(false, true); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		complain(r.std, err)
	}
	p := &probeCapture{session: live.New(o), ended: make(chan probeEnding, 1)}
	go func() {
		defer source.Close()
		result, _, err := p.session.Run(context.WithoutCancel(ctx))
		p.ended <- probeEnding{result, err}
	}()
	r.packets = p
	return nil
}

// note adds to the capture what no packet may tell: that an attempt to connect
// was made, and how it failed.
func (p *probeCapture) note(a *probe.Attempt) {
	if p == nil || !a.Died() || a.Connect > 0 || !a.Remote.IsValid() || a.Resolver.IsValid() || a.Arm == probe.SystemLookup {
		return
	}
	p.session.Record(&hostlog.Attempt{
		Time: a.Begin.UnixNano(), PID: uint32(os.Getpid()), Local: a.Local, Remote: a.Remote, Error: a.Errno, Ended: a.Ended.UnixNano(),
		Source: hostlog.SystemCall,
	})
}

// join ends the capture and takes its judgement on each attempt.
func (p *probeCapture) join(attempts []*probe.Attempt, interrupted bool) error {
	if p == nil {
		return nil
	}
	if !interrupted {
		p.session.Settle(context.Background())
	}
	p.session.Stop()
	var e probeEnding
	select {
	case e = <-p.ended:
	case <-time.After(captureEnds):
		return fmt.Errorf("the capture did not end within %v: attempts are judged by their sockets", captureEnds)
	}
	p.session = nil
	if e.result != nil && e.result.Connections != nil {
		defer e.result.Connections.Close()
	}
	return errors.Join(e.err, probe.Join(attempts, e.result))
}

// captureEnds bounds the wait for the capture's end.
const captureEnds = 5 * time.Second

// close ends a capture that nobody waits for.
func (p *probeCapture) close() {
	if p != nil && p.session != nil {
		p.session.Abort()
	}
}
