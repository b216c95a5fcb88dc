package owner

import (
	"fmt"
	"net/netip"

	"goproxytrace/capture/hostlog"
	"goproxytrace/capture/owner/etw"
)

const (
	// clocks is how far the clock of events, which Windows converts from the
	// performance counter's, and that of packets may be apart.
	clocks = 20 * millisecond
	// behind is how long events may take to arrive: what a table shows before
	// is told of as theirs if they come.
	behind = 250 * millisecond
	// maxCalls bounds the connections under way, callLimit how long one can be:
	// Windows gives up after 21 s, or what its settings say.
	maxCalls  = 1 << 14
	callLimit = 10 * 60 * second
)

// connects is what the kernel's events have told of connections. The socket
// table stays what tells of their ends, and of all that events do not.
type connects struct {
	session *etw.Session // nil where there is none
	// on is true where events may come.
	on bool
	// calls are connections under way, by when they began.
	calls map[tuple]call
	// fresh are sockets that the table has shown and that were not told of
	// yet, by until when.
	fresh map[*holding]int64
}

type call struct {
	at  int64
	pid uint32
	// over is when it was made or failed, zero before: several events tell of
	// that.
	over int64
}

// listen begins to take events.
func (p *poller) listen() error {
	s, err := etw.Open(func(e etw.Event) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.event(&e)
	})
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events.session, p.events.on = s, true
	return nil
}

// event takes an event.
func (p *poller) event(e *etw.Event) {
	t := tupleOf(e.Local, e.Remote)
	began, known := p.events.calls[t]
	switch {
	case !known:
	case e.Time < began.at-clocks, e.Time-began.at > callLimit, began.over != 0 && (e.Kind == etw.Proceeding || e.Time-began.over > second):
		known = false
	}
	// Whose it is was told when it began.
	named := known && began.pid != 0 && (e.PID == 0 || e.PID == began.pid)
	if named {
		e.PID = began.pid
	}
	at := e.Time
	if known && e.Kind != etw.Accepted {
		at = began.at
	}
	switch e.Kind {
	case etw.Proceeding:
		p.called(t, call{at: e.Time, pid: e.PID})
		p.owns(t, e, e.Time)
	case etw.Connected, etw.Accepted:
		p.called(t, call{at, e.PID, e.Time})
		if !named {
			p.owns(t, e, at)
		}
	case etw.Failed:
		p.called(t, call{at, e.PID, e.Time})
		if e.Sent && !named {
			p.owns(t, e, at)
		}
		p.failed(t, e, at)
	}
}

// called notes how far a connection has come.
func (p *poller) called(t tuple, c call) {
	if len(p.events.calls) >= maxCalls {
		clear(p.events.calls)
	}
	p.events.calls[t] = c
}

// owns takes that a process has a socket since a time.
func (p *poller) owns(t tuple, e *etw.Event, at int64) {
	if e.PID == 0 || e.Local.Port() == 0 {
		return
	}
	h, accepted := p.w.book.current(t, e.PID), e.Kind == etw.Accepted
	switch {
	case h == nil, h.sure < at-clocks:
		// An older use of the ports, whose end is not known yet, is another's.
		p.tell(p.adopt(t, e, at, accepted))
	case p.events.fresh[h] != 0 && !accepted:
		p.w.book.exactly(h, at-clocks, at+clocks)
		p.tell(h)
	}
}

// adopt makes a holding of an event. What was accepted has begun before, with
// the peer's SYN.
func (p *poller) adopt(t tuple, e *etw.Event, at int64, accepted bool) *holding {
	p.serial++
	c := hostlog.Claim{Local: t.local, Remote: t.remote, PID: e.PID, Time: at, Server: accepted, Source: hostlog.KernelEvent}
	h := &holding{claim: c, key: socketKey{cookie: p.serial}, sure: at, last: at}
	if !accepted {
		// Its own SYN is no later, by the clock of packets.
		h.claim.Time, h.begins, h.sure, h.last = at-clocks, true, at+clocks, at+clocks
	}
	p.w.book.add(h)
	d := p.describe(e.PID, e.Time)
	p.hold(d.PID, d.Start)
	p.w.processes.owns(d)
	return h
}

// tell reports a socket's claim.
func (p *poller) tell(h *holding) {
	delete(p.events.fresh, h)
	c := h.claim
	p.w.out.put(&c)
}

// tellFresh reports the sockets of the table that no event has come for, all of
// them where force.
func (p *poller) tellFresh(now int64, force bool) {
	for h, until := range p.events.fresh {
		if force || now >= until {
			p.tell(h)
		}
	}
}

// failed reports an attempt. Where the table has shown it, and it was reported
// as under way, this is its end.
func (p *poller) failed(t tuple, e *etw.Event, at int64) {
	if t.local.Port() == 0 {
		t.local = netip.AddrPort{} // not chosen yet
	}
	a := &hostlog.Attempt{Time: at, PID: e.PID, Local: t.local, Remote: t.remote, Error: e.Error, Ended: e.Time, Source: hostlog.KernelEvent}
	if e.Sent {
		// By the clock of packets, its own lie between these.
		a.Time, a.Ended = at-clocks, e.Time+clocks
	}
	for k, known := range p.open {
		if e.Sent && k.tuple == t && (k.pid == e.PID || e.PID == 0) {
			delete(p.open, k)
			a.PID = k.pid
			if known.Ended == reportedEnd {
				a.Time = known.Time
			}
		}
	}
	if a.PID == 0 {
		return
	}
	p.w.processes.owns(p.describe(a.PID, e.Time))
	p.w.out.put(a)
}

// limits says what events do not tell.
func (c *connects) limits() (out []string) {
	if c.session == nil {
		return nil
	}
	if n := c.session.Lost(); n > 0 {
		out = append(out, fmt.Sprintf("%d events of connections were lost (ETW)", n))
	}
	if err := c.session.Err(); err != nil {
		out = append(out, "ETW: "+err.Error())
	}
	return out
}

// forgetCalls drops connections under way that have been for too long.
func (p *poller) forgetCalls(now int64) {
	for t, c := range p.events.calls {
		if now-c.at > callLimit {
			delete(p.events.calls, t)
		}
	}
}
