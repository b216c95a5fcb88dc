package owner

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"goproxytrace/capture/hostlog"
)

const (
	// patience is how long a SYN may stay without an answer before the
	// attempt is reported as under way: the first repetition of a SYN comes
	// after one second (RFC 6298, section 2.1).
	patience = second
	// grace is how long after connect() was called its socket may take to
	// begin; it takes microseconds.
	grace = second / 4
)

// socketEvent is a decoded event about a socket.
type socketEvent struct {
	kind, old, new int
	errno          syscall.Errno
	time           int64
	cookie         uint64
	namespace      uint64
	local, remote  netip.AddrPort
	tid            uint32
	kernel         bool
	process        hostlog.Process // zero PID where none
}

var errShort = errors.New("event is too short")

func (e *ebpfWatcher) decodeSocket(b []byte) (s socketEvent, err error) {
	if len(b) < evSize {
		return s, errShort
	}
	n := binary.NativeEndian
	s = socketEvent{
		kind: int(n.Uint32(b[evKind:])), old: int(b[evOld]), new: int(b[evNew]),
		errno: syscall.Errno(n.Uint32(b[evError:])), time: e.clock.unix(int64(n.Uint64(b[evTime:]))),
		cookie: n.Uint64(b[evCookie:]), namespace: uint64(n.Uint32(b[evNamespace:])),
		tid: n.Uint32(b[evTID:]), kernel: n.Uint32(b[evFlags:])&kernelThread != 0,
	}
	var local, remote netip.Addr
	switch n.Uint16(b[evFamily:]) {
	case afINET:
		local, remote = netip.AddrFrom4([4]byte(b[evLocal:])), netip.AddrFrom4([4]byte(b[evRemote:]))
	case afINET6:
		local, remote = netip.AddrFrom16([16]byte(b[evLocal:])), netip.AddrFrom16([16]byte(b[evRemote:]))
	}
	s.local = plain(netip.AddrPortFrom(local, binary.BigEndian.Uint16(b[evLocalPort:])))
	s.remote = plain(netip.AddrPortFrom(remote, binary.BigEndian.Uint16(b[evPeerPort:])))
	s.process = hostlog.Process{
		Time: s.time, PID: n.Uint32(b[evPID:]), Start: e.clock.start(int64(n.Uint64(b[evStart:]))),
		Name: text(b[evComm : evComm+16]), Source: hostlog.KernelEvent,
	}
	if s.kernel {
		s.process.PID, s.tid = 0, 0
	}
	return s, nil
}

// text is a string that ends at the first zero byte.
func text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return strings.ToValidUTF8(string(b), "?")
}

// event takes one event of the ring buffer.
func (e *ebpfWatcher) event(b []byte) {
	if len(b) < 4 {
		return
	}
	switch binary.NativeEndian.Uint32(b) {
	case eventFork, eventExec, eventExit:
		e.processEvent(b)
		return
	}
	s, err := e.decodeSocket(b)
	if err != nil || s.cookie == 0 {
		return
	}
	switch s.kind {
	case eventConnect:
		if s.process.PID != 0 {
			e.called[s.cookie] = &hostlog.Attempt{Time: s.time, PID: s.process.PID, Remote: s.remote, Cookie: s.cookie, Source: hostlog.KernelEvent}
		}
	case eventPort, eventRetransmit:
		if c := e.conns[s.cookie]; c != nil && !c.told {
			c.claim.Local = s.local
			if s.kind == eventPort {
				// Only now does it have the tuple, which may have
				// been another's since it entered SYN-SENT.
				c.claim.Time = s.time
			}
			e.tell(c)
		}
	case eventUse:
		e.used(s)
	case eventState:
		e.changed(s)
	}
}

// changed takes a socket's change of state.
func (e *ebpfWatcher) changed(s socketEvent) {
	delete(e.called, s.cookie)
	c := e.conns[s.cookie]
	switch {
	case s.new == tcpSynSent:
		// A socket may connect again after it failed; it keeps its cookie.
		if c != nil && c.told {
			e.w.book.close(key(s.cookie), s.time)
		}
		e.conns[s.cookie] = &conn{process: s.process, namespace: s.namespace, claim: hostlog.Claim{
			Remote: s.remote, Time: s.time, Cookie: s.cookie, PID: s.process.PID, TID: s.tid, Source: hostlog.KernelEvent,
		}}
		return
	case s.old == tcpSynRecv && s.new != tcpClose:
		e.conns[s.cookie] = &conn{answered: true, namespace: s.namespace, claim: hostlog.Claim{
			Local: s.local, Remote: s.remote, Time: s.time, Cookie: s.cookie, Server: true, Source: hostlog.KernelEvent,
		}}
		return
	case c == nil:
		return
	}
	if s.old == tcpSynSent && s.new != tcpClose {
		c.answered = true
	}
	if s.new == tcpFinWait1 || s.new == tcpLastAck {
		e.used(s)
	}
	if !c.told && s.local.Port() != 0 {
		c.claim.Local = s.local
		e.tell(c)
	}
	if s.new == tcpClose {
		e.closed(c, s)
	}
}

// used takes that a process used a socket; it owns one that was accepted.
func (e *ebpfWatcher) used(s socketEvent) {
	if c := e.conns[s.cookie]; c != nil && c.claim.PID == 0 && s.process.PID != 0 {
		c.claim.PID, c.claim.TID, c.process = s.process.PID, s.tid, s.process
		e.tell(c)
	}
}

// tell reports the claim to a socket whose owner and ends are known.
func (e *ebpfWatcher) tell(c *conn) {
	if c.told || c.claim.PID == 0 || c.claim.Local.Port() == 0 {
		return
	}
	c.told = true
	e.w.book.add(&holding{claim: c.claim, namespace: c.namespace, begins: !c.claim.Server, sure: c.claim.Time, told: true, key: key(c.claim.Cookie)})
	e.w.processes.owns(c.process)
	claim := c.claim
	e.w.out.put(&claim)
}

// closed takes the end of a socket.
func (e *ebpfWatcher) closed(c *conn, s socketEvent) {
	delete(e.conns, s.cookie)
	c.claim.Until = max(s.time, c.claim.Time) // a row of the start may be read late
	if c.told {
		e.w.book.close(key(s.cookie), s.time)
		claim := c.claim
		e.w.out.put(&claim)
	}
	if !c.answered && c.claim.PID != 0 {
		a := c.attempt()
		a.Ended = s.time
		if s.errno != 0 {
			a.Error = errorName(s.errno)
		}
		e.w.processes.owns(c.process)
		e.w.out.put(a)
	}
}

func (c *conn) attempt() *hostlog.Attempt {
	return &hostlog.Attempt{Time: c.claim.Time, PID: c.claim.PID, Local: c.claim.Local, Remote: c.claim.Remote, Cookie: c.claim.Cookie, Source: c.claim.Source}
}

func errorName(n syscall.Errno) string {
	if name := unix.ErrnoName(n); name != "" {
		return name
	}
	return n.Error()
}

// unmade reports calls of connect() that led to no SYN for a time: there was no
// route or no port, or a rule forbade it. The reason is the return value, which
// the hook does not see; whether it is the route can be asked.
func (e *ebpfWatcher) unmade(now, age int64) {
	for cookie, a := range e.called {
		if now-a.Time < age {
			continue
		}
		delete(e.called, cookie)
		a.Ended = a.Time
		if e.routes {
			a.Error = routeError(a.Remote.Addr())
		}
		e.w.processes.owns(hostlog.Process{PID: a.PID, Time: a.Time, Source: hostlog.KernelEvent})
		e.w.out.put(a)
	}
}

// routeError is why there is no route to an address from here, empty where
// there is one.
func routeError(to netip.Addr) string {
	var errno syscall.Errno
	if _, err := netlink.RouteGet(to.AsSlice()); errors.As(err, &errno) {
		return errorName(errno)
	}
	return ""
}

// unanswered reports connections that have been in SYN-SENT for a time, and
// says whether others have not been there for so long.
func (e *ebpfWatcher) unanswered(now, age int64) (younger bool) {
	for _, c := range e.conns {
		if !c.answered && !c.waiting && c.claim.PID != 0 && now-c.claim.Time >= age {
			c.waiting = true
			e.w.processes.owns(c.process)
			e.w.out.put(c.attempt())
		}
		younger = younger || !c.answered && !c.waiting
	}
	return younger
}

// processEvent takes an event about a process.
func (e *ebpfWatcher) processEvent(b []byte) {
	if len(b) < prArgv {
		return
	}
	n := binary.NativeEndian
	d := hostlog.Process{
		Time: e.clock.unix(int64(n.Uint64(b[prTime:]))), Start: e.clock.start(int64(n.Uint64(b[prStart:]))),
		PID: n.Uint32(b[prPID:]), Parent: n.Uint32(b[prParent:]), PIDInContainer: n.Uint32(b[prInner:]),
		UID: n.Uint32(b[prUID:]), HasUID: true, Name: text(b[prComm : prComm+16]), Source: hostlog.KernelEvent,
	}
	if d.PID == 0 {
		return
	}
	switch n.Uint32(b[prKind:]) {
	case eventFork:
		e.w.processes.forked(d)
	case eventExec:
		if p := text(b[prPath : prPath+maxPath]); strings.HasPrefix(p, "/") && len(p) < maxPath-1 {
			d.Path = p
		}
		d.Args = arguments(b[prArgv:], int(n.Uint32(b[prArgs:])))
		e.w.processes.executed(d)
	case eventExit:
		status := syscall.WaitStatus(n.Uint32(b[prCode:]))
		x := hostlog.Exit{Time: d.Time, PID: d.PID, Code: status.ExitStatus()}
		if status.Signaled() {
			x.Signal = int(status.Signal())
		}
		e.w.processes.ended(x, d.Start)
	}
}

// arguments splits a command line as it lies in memory. size is how long it
// is, which may be more than what there is of it.
func arguments(b []byte, size int) []string {
	if size <= 0 {
		return nil
	}
	cut := size > len(b) || size > maxArgs
	b = bytes.TrimSuffix(b[:min(size, len(b))], []byte{0})
	args := strings.Split(strings.ToValidUTF8(string(b), "?"), "\x00")
	if cut {
		args = append(args, cutMark)
	}
	return args
}
