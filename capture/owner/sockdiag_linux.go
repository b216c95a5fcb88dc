package owner

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"goproxytrace/capture/hostlog"
)

// sock_diag(7), linux/inet_diag.h.
const (
	tcpDiagGetSock    = 18 // TCPDIAG_GETSOCK: both address families at once
	sockDiagByFamily  = 20 // SOCK_DIAG_BY_FAMILY
	inetDiagInfo      = 2  // INET_DIAG_INFO
	sizeofSockID      = 48 // struct inet_diag_sockid
	sizeofDiagReqV2   = 8 + sizeofSockID
	sizeofDiagReq     = 4 + sizeofSockID + 8
	sizeofDiagMessage = 72 // struct inet_diag_msg

	// openStates are those of sockets that a process can hold, and LISTEN,
	// which tells who accepted.
	openStates = 1<<tcpEstablished | 1<<tcpSynSent | 1<<tcpSynRecv | 1<<tcpFinWait1 | 1<<tcpFinWait2 |
		1<<tcpCloseWait | 1<<tcpLastAck | 1<<tcpClosing | 1<<tcpListen
)

// diagSocket is a row of the socket table.
type diagSocket struct {
	namespace uint64
	// The kernel made the row between these two times, Unix nanoseconds: before
	// it was asked to, and when the row was read.
	asked, time    int64
	state          int
	local, remote  netip.AddrPort
	cookie         uint64
	inode, uid     uint32
	unread, unsent uint32
	server         bool
	info           []byte // struct tcp_info, where it was asked for
}

func (s *diagSocket) holding(pid uint32) *holding {
	return &holding{
		namespace: s.namespace, key: socketKey{s.namespace, s.cookie}, last: s.asked,
		claim: hostlog.Claim{Local: s.local, Remote: s.remote, Time: s.time, Cookie: s.cookie, PID: pid, Server: s.server, Source: hostlog.SocketTable},
	}
}

// diag asks for the sockets of one network namespace.
type diag struct {
	fd        int
	namespace uint64
	sequence  uint32
	buf       []byte
}

// openDiag opens the socket table of a network namespace; zero is our own.
func openDiag(namespace uint64) (*diag, error) {
	own, err := inode("/proc/self/ns/net")
	if err != nil {
		return nil, err
	}
	d := &diag{namespace: namespace, buf: make([]byte, 64<<10)}
	open := func() error {
		d.fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
		if err != nil {
			return fmt.Errorf("open socket table: %w", err)
		}
		// The kernel answers while it is asked; this is only for the case
		// that it does not.
		return unix.SetsockoptTimeval(d.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5})
	}
	if namespace == 0 || namespace == own {
		d.namespace = own
		return d, open()
	}
	path, err := namespacePath(namespace)
	if err != nil {
		return nil, err
	}
	return d, within(path, open)
}

// within runs f in the network namespace of a path.
func within(path string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		// Never unlocked: the thread must not serve another goroutine.
		runtime.LockOSThread()
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			done <- fmt.Errorf("open namespace %s: %w", path, err)
			return
		}
		defer unix.Close(fd)
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter network namespace %s: %w", path, err)
			return
		}
		done <- f()
	}()
	return <-done
}

// namespacePath finds a way into a network namespace: through a process in it,
// or its name (ip-netns(8)).
func namespacePath(namespace uint64) (string, error) {
	ids, err := processIDs()
	if err != nil {
		return "", err
	}
	for _, id := range ids {
		if n, err := inode(procPath(id, "ns/net")); err == nil && n == namespace {
			return procPath(id, "ns/net"), nil
		}
	}
	for _, dir := range []string{"/run/netns", "/run/docker/netns"} {
		names, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range names {
			if n, err := inode(filepath.Join(dir, e.Name())); err == nil && n == namespace {
				return filepath.Join(dir, e.Name()), nil
			}
		}
	}
	return "", fmt.Errorf("network namespace %d: no process and no name leads to it", namespace)
}

func (d *diag) close() { unix.Close(d.fd) }

// dump lists the sockets in the states of a mask, with struct tcp_info where
// info is set.
func (d *diag) dump(states uint32, info bool, row func(*diagSocket)) error {
	// The older request lists both families in one pass over the kernel's
	// table, whose size is what a dump costs.
	req := make([]byte, sizeofDiagReq)
	if info {
		req[3] = 1 << (inetDiagInfo - 1)
	}
	binary.NativeEndian.PutUint32(req[4+sizeofSockID:], states)
	return d.ask(tcpDiagGetSock, unix.NLM_F_DUMP, req, row)
}

// find asks for one connection. There may be none.
func (d *diag) find(t tuple) (found *diagSocket, err error) {
	req := make([]byte, sizeofDiagReqV2)
	req[0] = unix.AF_INET
	if t.local.Addr().Is6() {
		req[0] = unix.AF_INET6
	}
	req[1] = unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(req[4:], 0xffffffff)
	id := req[8:]
	binary.BigEndian.PutUint16(id, t.local.Port())
	binary.BigEndian.PutUint16(id[2:], t.remote.Port())
	copy(id[4:20], t.local.Addr().AsSlice())
	copy(id[20:36], t.remote.Addr().AsSlice())
	// INET_DIAG_NOCOOKIE
	binary.NativeEndian.PutUint64(id[40:], 1<<64-1)
	err = d.ask(sockDiagByFamily, 0, req, func(s *diagSocket) {
		// Without a match the kernel offers the listening socket.
		if tupleOf(s.local, s.remote) == t && s.state != tcpListen {
			found = s
		}
	})
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	return found, err
}

// ask sends a request and hands over the rows of the answer.
func (d *diag) ask(kind uint16, flags uint16, req []byte, row func(*diagSocket)) error {
	d.sequence++
	msg := make([]byte, unix.SizeofNlMsghdr+len(req))
	n := binary.NativeEndian
	n.PutUint32(msg, uint32(len(msg)))
	n.PutUint16(msg[4:], kind)
	n.PutUint16(msg[6:], unix.NLM_F_REQUEST|flags)
	n.PutUint32(msg[8:], d.sequence)
	copy(msg[unix.SizeofNlMsghdr:], req)
	asked := time.Now().UnixNano()
	if err := unix.Sendto(d.fd, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("ask socket table: %w", err)
	}
	for {
		before := time.Now().UnixNano()
		size, _, err := unix.Recvfrom(d.fd, d.buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read socket table: %w", err)
		}
		now := time.Now().UnixNano()
		b := d.buf[:size]
		for len(b) >= unix.SizeofNlMsghdr {
			length, kind := int(n.Uint32(b)), n.Uint16(b[4:])
			if length < unix.SizeofNlMsghdr || length > len(b) {
				return fmt.Errorf("read socket table: message of %d bytes with %d left", length, len(b))
			}
			body := b[unix.SizeofNlMsghdr:length]
			if n.Uint32(b[8:]) == d.sequence {
				switch kind {
				case unix.NLMSG_DONE:
					return nil
				case unix.NLMSG_ERROR:
					if len(body) >= 4 {
						if code := -int32(n.Uint32(body)); code != 0 {
							return fmt.Errorf("ask socket table: %w", unix.Errno(code))
						}
					}
					return nil
				default:
					if s, ok := parseDiag(body); ok {
						s.namespace, s.asked, s.time = d.namespace, asked, now
						row(&s)
					}
					if flags == 0 {
						return nil
					}
				}
			}
			b = b[min((length+3)&^3, len(b)):]
		}
		// What comes next the kernel made when this was taken from it.
		asked = before
	}
}

// parseDiag decodes struct inet_diag_msg and its attributes.
func parseDiag(b []byte) (s diagSocket, ok bool) {
	if len(b) < sizeofDiagMessage {
		return s, false
	}
	n := binary.NativeEndian
	address := func(at int) (netip.Addr, bool) {
		switch b[0] {
		case unix.AF_INET:
			return netip.AddrFrom4([4]byte(b[at:])), true
		case unix.AF_INET6:
			return netip.AddrFrom16([16]byte(b[at:])).Unmap(), true
		}
		return netip.Addr{}, false
	}
	local, ok := address(8)
	if !ok {
		return s, false
	}
	remote, _ := address(24)
	s = diagSocket{
		state:  int(b[1]),
		local:  netip.AddrPortFrom(local, binary.BigEndian.Uint16(b[4:])),
		remote: netip.AddrPortFrom(remote, binary.BigEndian.Uint16(b[6:])),
		cookie: uint64(n.Uint32(b[44:])) | uint64(n.Uint32(b[48:]))<<32,
		unread: n.Uint32(b[56:]), unsent: n.Uint32(b[60:]), uid: n.Uint32(b[64:]), inode: n.Uint32(b[68:]),
	}
	for attrs := b[sizeofDiagMessage:]; len(attrs) >= unix.SizeofRtAttr; {
		length, kind := int(n.Uint16(attrs)), n.Uint16(attrs[2:])
		if length < unix.SizeofRtAttr || length > len(attrs) {
			break
		}
		if kind == inetDiagInfo {
			s.info = append([]byte(nil), attrs[unix.SizeofRtAttr:length]...)
		}
		attrs = attrs[min((length+3)&^3, len(attrs)):]
	}
	return s, true
}
