//go:build linux

package lab

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// link sends and receives whole frames on an interface. It waits for frames
// without a thread of its own: many middleboxes share a few processors.
type link struct {
	file *os.File
	raw  syscall.RawConn
}

// openLink opens an interface of the namespace that the thread is in.
func openLink(name string) (*link, error) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	protocol := uint16(unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8) // network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(protocol))
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	file := os.NewFile(uintptr(fd), name)
	raw, err := file.SyscallConn()
	err = errors.Join(err,
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: ifi.Index}))
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("packet socket on %s: %w", name, err)
	}
	return &link{file, raw}, nil
}

// receive reads one frame that came in, and says when that was: on a busy machine
// some time ago. An error says that the link is closed.
func (l *link) receive(b []byte) (n int, at time.Time, err error) {
	for {
		incoming := false
		err = l.raw.Read(func(fd uintptr) bool {
			var from unix.Sockaddr
			var failed error
			n, from, failed = unix.Recvfrom(int(fd), b, 0)
			if errors.Is(failed, unix.EAGAIN) {
				return false
			}
			// Other errors tell of the interface's past (it was down).
			ll, ok := from.(*unix.SockaddrLinklayer)
			incoming = failed == nil && !(ok && ll.Pkttype == unix.PACKET_OUTGOING)
			at = arrival(fd)
			return true
		})
		if err != nil || incoming {
			return n, at, err
		}
	}
}

// arrival is when the kernel took the socket's latest frame; now, where it does
// not know.
func arrival(fd uintptr) time.Time {
	var t unix.Timespec
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, unix.SIOCGSTAMPNS, uintptr(unsafe.Pointer(&t))); errno != 0 {
		return time.Now()
	}
	return time.Unix(t.Unix())
}

// send writes one frame. One that the link does not take is lost, as on any
// link.
func (l *link) send(frame []byte) {
	_ = l.raw.Write(func(fd uintptr) bool {
		_, _ = unix.Write(int(fd), frame)
		return true
	})
}

func (l *link) close() { l.file.Close() }
