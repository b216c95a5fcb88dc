package owner

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"goproxytrace/capture/hostlog"
)

// seccompWatcher is told of each connect() of the commands that it starts,
// before it is done, and asks the socket for its ends right after. What the
// table shows of other processes, and when sockets end, the poller tells.
type seccompWatcher struct {
	*poller
	quit  int // event descriptor: readable once it is closed
	loops sync.WaitGroup

	mu     sync.Mutex
	lives  []*os.File // of the guardians
	missed int
	why    error
	closed bool
}

func newSeccomp(w *Watcher, opts Options) (platform, error) {
	// Whether it works shows only on trying, on a thread of its own.
	tried := make(chan error, 1)
	onOwnThread(func() {
		fd, err := installFilter()
		if err == nil {
			unix.Close(fd)
		}
		tried <- err
	})
	if err := <-tried; err != nil {
		return nil, err
	}
	p, err := newPoller(w, opts)
	if err != nil {
		return nil, err
	}
	quit, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make event descriptor: %w", err), p.close())
	}
	return &seccompWatcher{poller: p, quit: quit}, nil
}

// start starts the command from a thread that has the filter, which the
// command inherits, as do its children.
func (s *seccompWatcher) start(cmd *exec.Cmd) error {
	started := make(chan error, 1)
	onOwnThread(func() {
		listener, err := installFilter()
		if err != nil {
			started <- err
			return
		}
		// A guardian that had the filter itself would wait for its own end.
		var life *os.File
		guarded := make(chan error)
		go func() {
			var err error
			life, err = startGuardian(listener)
			guarded <- err
		}()
		if err := <-guarded; err != nil {
			unix.Close(listener)
			started <- err
			return
		}
		s.mu.Lock()
		s.lives = append(s.lives, life)
		s.mu.Unlock()
		s.loops.Add(1)
		go s.serve(listener)
		started <- cmd.Start()
		if cmd.SysProcAttr != nil && cmd.SysProcAttr.Pdeathsig != 0 {
			// The signal comes when the thread that started it ends.
			<-s.stop
		}
	})
	return <-started
}

// onOwnThread runs f on a thread that ends with it, and with it what f did to
// the thread, such as a filter. The runtime starts no other threads from such
// a one. The process's first thread never ends, so that it is kept from f.
func onOwnThread(f func()) {
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			f()
			return
		}
		runs := make(chan struct{})
		onOwnThread(func() {
			close(runs)
			f()
		})
		<-runs
		runtime.UnlockOSThread()
	}()
}

// serve answers the notifications of one command and what it starts.
func (s *seccompWatcher) serve(listener int) {
	defer s.loops.Done()
	defer unix.Close(listener)
	var n notification
	for await(listener, s.quit) {
		if err := receive(listener, &n); err != nil {
			// The process was ended, or interrupted.
			continue
		}
		c, err := s.look(&n)
		if c != nil {
			s.poller.expect(c.key, true)
		}
		answered := proceed(listener, n.id)
		if err != nil {
			s.mu.Lock()
			s.missed++
			s.why = err
			s.mu.Unlock()
		}
		if c == nil {
			continue
		}
		if answered != nil {
			s.poller.expect(c.key, false)
			unix.Close(c.fd)
			continue
		}
		s.loops.Add(1)
		go func() {
			defer s.loops.Done()
			s.follow(c)
		}()
	}
}

// call is a connect() of a TCP socket.
type call struct {
	key     socketKey
	claim   hostlog.Claim
	process hostlog.Process
	fd      int // our descriptor of the socket
}

var errNoAddress = errors.New("no address")

// look looks at a connect() while it waits. Both results are nil where the
// socket is not one of TCP.
func (s *seccompWatcher) look(n *notification) (*call, error) {
	remote, err := readAddress(n.tid, n.args[1], n.args[2])
	if errors.Is(err, errNoAddress) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	pid, err := threadGroup(n.tid)
	if err != nil {
		return nil, err
	}
	pidfd, err := unix.PidfdOpen(int(pid), 0)
	if err != nil {
		return nil, fmt.Errorf("open process %d: %w", pid, err)
	}
	defer unix.Close(pidfd)
	fd, err := unix.PidfdGetfd(pidfd, int(int32(n.args[0])), 0)
	if err != nil {
		return nil, fmt.Errorf("take socket %d of process %d: %w", int32(n.args[0]), pid, err)
	}
	kind, err1 := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	protocol, err2 := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	if err1 != nil || err2 != nil || kind != unix.SOCK_STREAM || protocol != unix.IPPROTO_TCP && protocol != unix.IPPROTO_MPTCP {
		unix.Close(fd)
		return nil, nil
	}
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("cookie of a socket of process %d: %w", pid, err)
	}
	namespace, _ := inode(procPath(pid, "ns/net"))
	d, ok := lookProcess(pid)
	if !ok {
		d = hostlog.Process{PID: pid}
	}
	d.Source = hostlog.SystemCall
	if ok {
		s.w.processes.connecting(d)
	}
	now := time.Now().UnixNano()
	return &call{
		key: socketKey{namespace, cookie}, process: d, fd: fd,
		claim: hostlog.Claim{Remote: plain(remote), Time: now, Cookie: cookie, PID: pid, TID: n.tid, Source: hostlog.SystemCall},
	}, nil
}

// readAddress reads a struct sockaddr in a process's memory.
func readAddress(tid uint32, at, length uint64) (netip.AddrPort, error) {
	if length < 16 || length > 128 {
		return netip.AddrPort{}, errNoAddress
	}
	f, err := os.Open(procPath(tid, "mem"))
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer f.Close()
	b := make([]byte, min(length, 28))
	if _, err := f.ReadAt(b, int64(at)); err != nil {
		return netip.AddrPort{}, fmt.Errorf("read memory of process %d: %w", tid, err)
	}
	port := binary.BigEndian.Uint16(b[2:])
	switch family := binary.NativeEndian.Uint16(b); {
	case family == unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:])), port), nil
	case family == unix.AF_INET6 && len(b) >= 24:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[8:])), port), nil
	}
	return netip.AddrPort{}, errNoAddress
}

// threadGroup is the process of a thread.
func threadGroup(tid uint32) (uint32, error) {
	b, err := procFile(procPath(tid, "status"), 2<<10, maxProcFile)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		var pid uint32
		if n, _ := fmt.Sscanf(line, "Tgid: %d", &pid); n == 1 {
			return pid, nil
		}
	}
	return 0, fmt.Errorf("%s: no Tgid", procPath(tid, "status"))
}

// portWait is how long connect() may take to choose the socket's local end,
// which it does before it sends anything.
const portWait = time.Second

// follow waits for the local end of a socket whose connect() was let go. Our
// descriptor keeps the socket open, so it is held no longer than that takes:
// some microseconds.
func (s *seccompWatcher) follow(c *call) {
	local, state, since := awaitLocal(c.fd)
	now := time.Now().UnixNano()
	// Until here the socket keeps its tuple.
	unix.Close(c.fd)
	s.poller.mu.Lock()
	defer s.poller.mu.Unlock()
	s.poller.expect(c.key, false)
	s.w.processes.owns(c.process)
	if local.Port() == 0 {
		// It failed before a port was chosen; the reason is for the
		// process alone.
		s.w.out.put(&hostlog.Attempt{Time: c.claim.Time, PID: c.claim.PID, Remote: c.claim.Remote, Cookie: c.claim.Cookie, Ended: c.claim.Time, Source: hostlog.SystemCall})
		return
	}
	c.claim.Local, c.claim.Time = plain(local), max(since, c.claim.Time)
	if old := s.w.book.socket(c.key); old != nil && old.claim.PID == c.claim.PID && old.claim.Local == c.claim.Local {
		return
	}
	s.w.book.add(&holding{claim: c.claim, namespace: c.key.namespace, key: c.key, begins: true, sure: now, last: now})
	claim := c.claim
	s.w.out.put(&claim)
	a := &hostlog.Attempt{Time: c.claim.Time, PID: c.claim.PID, Local: c.claim.Local, Remote: c.claim.Remote, Cookie: c.claim.Cookie, Source: hostlog.SystemCall}
	switch state {
	case tcpSynSent:
		s.poller.open[c.key] = a
	case tcpClose:
		a.Ended = now
		s.w.out.put(a)
	}
}

// awaitLocal waits until a socket has its local end. since is when it had none
// yet, zero where that was never so.
func awaitLocal(fd int) (local netip.AddrPort, state int, since int64) {
	pause := 10 * time.Microsecond
	for begun := time.Now(); ; {
		asked := time.Now()
		var addr netip.AddrPort
		switch a, _ := unix.Getsockname(fd); a := a.(type) {
		case *unix.SockaddrInet4:
			addr = netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
		case *unix.SockaddrInet6:
			addr = plain(netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port)))
		}
		if addr.Port() != 0 && !addr.Addr().IsUnspecified() {
			// This waits for the lock that connect() holds until the
			// SYN is sent.
			if info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
				state = int(info.State)
			}
			return addr, state, since
		}
		if time.Since(begun) > portWait {
			return netip.AddrPort{}, 0, 0
		}
		since = asked.UnixNano()
		time.Sleep(pause)
		pause = min(2*pause, time.Millisecond)
	}
}

func (s *seccompWatcher) limits() []string {
	out := []string{"seccomp tells of the command that was started and its children only; what others connect comes from the socket table"}
	s.mu.Lock()
	if s.missed > 0 {
		out = append(out, fmt.Sprintf("%d calls of connect() could not be looked at: %v", s.missed, s.why))
	}
	s.mu.Unlock()
	return append(out, s.poller.limits()...)
}

func (s *seccompWatcher) close() error {
	// The guardians first, so that nobody waits in between.
	s.mu.Lock()
	for _, f := range s.lives {
		f.Close()
	}
	s.mu.Unlock()
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, err := unix.Write(s.quit, one[:])
	s.loops.Wait()
	unix.Close(s.quit)
	return errors.Join(err, s.poller.close())
}
