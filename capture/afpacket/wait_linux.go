package afpacket

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// bell wakes who waits. It may be rung from any goroutine.
type bell struct {
	mu sync.Mutex
	fd int // -1 once it is closed
}

func newBell() (*bell, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("make event: %w", err)
	}
	return &bell{fd: fd}, nil
}

// ring wakes who waits now, and all that come: it is never silenced.
func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fd >= 0 {
		// It can only fail for being rung 2⁶⁴ times.
		_, _ = unix.Write(b.fd, []byte{0, 0, 0, 0, 0, 0, 0, 1})
	}
}

func (b *bell) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	unix.Close(b.fd)
	b.fd = -1
}

// poller waits for several descriptors in one place: an epoll of its own within
// the runtime's. A thread blocked in poll(2) would keep the runtime's monitor
// looking at it, which costs more than reading the packets does.
type poller struct {
	file   *os.File
	fd     int // of file
	conn   syscall.RawConn
	events []unix.EpollEvent
	// ring is the first of the descriptors. It is looked at only during wait:
	// with each block the kernel would wake the runtime, which knows of nobody
	// that waits for it.
	ring  int
	armed bool
}

func newPoller(ring int, others ...int) (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make poller: %w", err)
	}
	// What is not set to block the runtime polls.
	err = unix.SetNonblock(fd, true)
	p := &poller{file: os.NewFile(uintptr(fd), "packets"), fd: fd, ring: ring, events: make([]unix.EpollEvent, 1+len(others))}
	err = errors.Join(err, p.control(unix.EPOLL_CTL_ADD, ring, 0))
	for _, f := range others {
		err = errors.Join(err, p.control(unix.EPOLL_CTL_ADD, f, unix.EPOLLIN))
	}
	if err == nil {
		p.conn, err = p.file.SyscallConn()
	}
	if err != nil {
		p.file.Close()
		return nil, fmt.Errorf("make poller: %w", err)
	}
	return p, nil
}

func (p *poller) control(operation, fd int, events uint32) error {
	return unix.EpollCtl(p.fd, operation, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// arm has the ring looked at until it has something, or not at all.
func (p *poller) arm(on bool) error {
	if p.armed == on {
		return nil
	}
	events := uint32(0)
	if on {
		events = unix.EPOLLIN | unix.EPOLLONESHOT
	}
	if err := p.control(unix.EPOLL_CTL_MOD, p.ring, events); err != nil {
		return fmt.Errorf("watch packet socket: %w", err)
	}
	p.armed = on
	return nil
}

// wait returns what has come, nothing once the time is over.
func (p *poller) wait(d time.Duration) ([]unix.EpollEvent, error) {
	if err := p.arm(true); err != nil {
		return nil, err
	}
	if err := p.file.SetReadDeadline(time.Now().Add(d)); err != nil {
		return nil, fmt.Errorf("wait for packets: %w", err)
	}
	var n int
	var failed error
	err := p.conn.Read(func(fd uintptr) bool {
		n, failed = unix.EpollWait(int(fd), p.events, 0)
		return n != 0 && !errors.Is(failed, unix.EINTR)
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, nil
	}
	if err = errors.Join(err, failed); err != nil {
		return nil, fmt.Errorf("wait for packets: %w", err)
	}
	for _, e := range p.events[:n] {
		if e.Fd == int32(p.ring) {
			p.armed = false
		}
	}
	return p.events[:n], nil
}

func (p *poller) close() { p.file.Close() }

// wait returns when the ring has a block for us, an interface has changed, the
// capture is to stop, or the time is over.
func (c *Capture) wait(d time.Duration) error {
	events, err := c.poller.wait(d)
	if err != nil {
		return err
	}
	c.ring.faults = max(c.ring.faults-1, 0)
	c.followed = time.Now()
	for _, e := range events {
		switch {
		case e.Fd == int32(c.watch.FD()):
			c.changed = true
		case e.Fd == int32(c.ring.fd) && e.Events&unix.EPOLLERR != 0:
			time.Sleep(time.Millisecond)
			return c.ring.fault()
		}
	}
	return nil
}
