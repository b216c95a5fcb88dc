package probe

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// Keep-alives of an attempt's connection: within the time that an answer is
// waited for, several of them say whether the far end's TCP is alive. Go's own
// first one, at 30 s, would come too late.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 3 * time.Second, Interval: 3 * time.Second, Count: 9}

// dial connects to one address from a port that is known beforehand, so that
// the packets of an attempt that came to nothing can be found, too.
func dial(ctx context.Context, remote netip.AddrPort, segment int) (c *net.TCPConn, local netip.AddrPort, err error) {
	network, own := "tcp4", net.IPv4zero
	if remote.Addr().Is6() {
		network, own = "tcp6", net.IPv6unspecified
	}
	from := sourceOf(remote)
	for range 3 { // somebody else may take the port meanwhile
		var port int
		if port, err = freePort(network, own); err != nil {
			return nil, local, err
		}
		local = netip.AddrPortFrom(from, uint16(port))
		d := net.Dialer{LocalAddr: &net.TCPAddr{Port: port}, KeepAlive: -1, KeepAliveConfig: keepAlive, FallbackDelay: -1}
		if segment > 0 {
			d.Control = func(_, _ string, raw syscall.RawConn) error { return limitSegments(raw, segment) }
		}
		var conn net.Conn
		if conn, err = d.DialContext(ctx, network, remote.String()); err == nil {
			c := conn.(*net.TCPConn)
			if a, ok := c.LocalAddr().(*net.TCPAddr); ok {
				local = a.AddrPort()
				local = netip.AddrPortFrom(local.Addr().Unmap().WithZone(""), local.Port())
			}
			return c, local, nil
		}
		if !inUse(err) {
			break
		}
	}
	return nil, local, err
}

// freePort finds a port that nobody uses.
func freePort(network string, own net.IP) (int, error) {
	l, err := net.ListenTCP(network, &net.TCPAddr{IP: own})
	if err != nil {
		return 0, fmt.Errorf("finding a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// sourceOf is the address from which this host would reach another; zero where
// there is no way. Nothing is sent: a UDP socket only asks the routes.
func sourceOf(remote netip.AddrPort) netip.Addr {
	c, err := net.Dial("udp", netip.AddrPortFrom(remote.Addr(), 9).String())
	if err != nil {
		return netip.Addr{}
	}
	defer c.Close()
	if a, ok := c.LocalAddr().(*net.UDPAddr); ok {
		return a.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}
