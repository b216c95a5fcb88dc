package nic

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"goproxytrace/capture"
	"goproxytrace/capture/portfilter"
)

// Link is what the kernel says of a network interface at some time.
type Link struct {
	Index int
	Name  string
	// Kind is the driver's kind of virtual interfaces ("veth", "tun");
	// empty for hardware.
	Kind string
	// HardwareType is ARPHRD_..., linux/if_arp.h.
	HardwareType uint16
	Up           bool
	MTU          int
	// Gone is true for the last word of an interface.
	Gone bool
}

// LinkType returns how a packet socket lays out the link's frames; false
// where they cannot be described.
func (l *Link) LinkType() (capture.LinkType, bool) {
	switch {
	case l.HardwareType == unix.ARPHRD_ETHER, l.HardwareType == unix.ARPHRD_LOOPBACK:
		return LinkEthernet, true
	case slices.Contains(portfilter.RawIPHardware, l.HardwareType):
		return LinkRaw, true
	}
	return 0, false
}

// Loopback reports whether frames sent there come in there.
func (l *Link) Loopback() bool { return l.HardwareType == unix.ARPHRD_LOOPBACK }

// Unreadable says why LinkType is false.
func (l *Link) Unreadable() string {
	return fmt.Sprintf("frames of hardware type %d are not Ethernet and not IP", l.HardwareType)
}

// LinkWatch follows the interfaces of the network namespace it was opened in.
// It starts no goroutine; it is read when its owner has time.
type LinkWatch struct {
	fd  int
	buf []byte
}

// WatchLinks begins to follow the interfaces. The first Poll returns those
// that exist.
func WatchLinks() (*LinkWatch, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	w := &LinkWatch{fd: fd, buf: make([]byte, 64<<10)}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_LINK}); err != nil {
		return nil, errors.Join(fmt.Errorf("subscribe to link messages: %w", err), w.Close())
	}
	if err := w.request(); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// request asks for all interfaces; they come with the messages.
func (w *LinkWatch) request() error {
	message := make([]byte, unix.SizeofNlMsghdr+unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(message, uint32(len(message)))
	binary.NativeEndian.PutUint16(message[4:], unix.RTM_GETLINK)
	binary.NativeEndian.PutUint16(message[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	if err := unix.Sendto(w.fd, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("ask for interfaces: %w", err)
	}
	return nil
}

// Poll appends what has changed to links, and returns at once.
func (w *LinkWatch) Poll(links []Link) ([]Link, error) {
	for {
		n, _, err := unix.Recvfrom(w.fd, w.buf, unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return links, nil
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ENOBUFS):
			// Messages were lost: the table as it is now says it all, but
			// for interfaces that are gone, which send nothing any more.
			if err := w.request(); err != nil {
				return links, err
			}
			continue
		case err != nil:
			return links, fmt.Errorf("read link messages: %w", err)
		case n == 0:
			return links, nil
		}
		links, err = appendLinks(links, w.buf[:n])
		if err != nil {
			return links, err
		}
	}
}

// FD is the descriptor that can be read once Poll has something to return. It
// is the watch's own.
func (w *LinkWatch) FD() int { return w.fd }

// Close ends the subscription.
func (w *LinkWatch) Close() error { return os.NewSyscallError("close", unix.Close(w.fd)) }

// appendLinks reads the link messages of one datagram.
func appendLinks(links []Link, datagram []byte) ([]Link, error) {
	messages, err := syscall.ParseNetlinkMessage(datagram)
	if err != nil {
		return links, fmt.Errorf("parse netlink message: %w", err)
	}
	for i := range messages {
		m := &messages[i]
		if m.Header.Type != unix.RTM_NEWLINK && m.Header.Type != unix.RTM_DELLINK || len(m.Data) < unix.SizeofIfInfomsg {
			continue
		}
		// A bridge reports its ports leaving it as deleted links of its own
		// address family; the interface itself stays.
		if m.Data[0] != unix.AF_UNSPEC {
			continue
		}
		attributes, err := syscall.ParseNetlinkRouteAttr(m)
		if err != nil {
			return links, fmt.Errorf("parse link attributes: %w", err)
		}
		l := Link{
			HardwareType: binary.NativeEndian.Uint16(m.Data[2:]),
			Index:        int(int32(binary.NativeEndian.Uint32(m.Data[4:]))),
			Up:           binary.NativeEndian.Uint32(m.Data[8:])&unix.IFF_UP != 0,
			Gone:         m.Header.Type == unix.RTM_DELLINK,
		}
		for _, a := range attributes {
			switch a.Attr.Type {
			case unix.IFLA_IFNAME:
				l.Name = zeroTerminated(a.Value)
			case unix.IFLA_MTU:
				if len(a.Value) >= 4 {
					l.MTU = int(binary.NativeEndian.Uint32(a.Value))
				}
			case unix.IFLA_LINKINFO:
				l.Kind = kindOf(a.Value)
			}
		}
		links = append(links, l)
	}
	return links, nil
}

// kindOf finds IFLA_INFO_KIND in the attributes nested in IFLA_LINKINFO.
func kindOf(b []byte) string {
	for len(b) >= unix.SizeofRtAttr {
		n := int(binary.NativeEndian.Uint16(b))
		if n < unix.SizeofRtAttr || n > len(b) {
			return ""
		}
		if binary.NativeEndian.Uint16(b[2:]) == unix.IFLA_INFO_KIND {
			return zeroTerminated(b[unix.SizeofRtAttr:n])
		}
		b = b[min(len(b), (n+3)&^3):]
	}
	return ""
}

func zeroTerminated(b []byte) string {
	if i := slices.Index(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}
