package probe

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// socketOf asks the kernel how a connection stands; nil where it does not say.
func socketOf(c *net.TCPConn) *Socket {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	var s *Socket
	_ = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return
		}
		s = &Socket{
			BytesAcked: info.Bytes_acked, BytesReceived: info.Bytes_received, Unacked: info.Unacked, Retransmits: info.Total_retrans,
			RTT: time.Duration(info.Rtt) * time.Microsecond, PMTU: info.Pmtu, SegmentSize: info.Snd_mss,
		}
		if s.BytesAcked > 0 {
			s.BytesAcked-- // the SYN counts as one
		}
	})
	return s
}
