package lab

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
)

// serveTunnel starts the CONNECT proxy.
func (l *Lab) serveTunnel(ctx context.Context, t *Tunnel) error {
	if t == nil || t.Closed {
		return nil
	}
	listener, err := l.listen(net.JoinHostPort(tunnelAddr.v4.String(), tunnelPort))
	if err != nil {
		return err
	}
	l.cleanup = append(l.cleanup, func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go t.connection(ctx, l, c.(*net.TCPConn))
		}
	}()
	return nil
}

// connection serves one client.
func (t *Tunnel) connection(ctx context.Context, l *Lab, c *net.TCPConn) {
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	in := bufio.NewReader(c)
	r, err := http.ReadRequest(in)
	if err != nil {
		if in.Buffered() > 0 || t.Scheme == "https" {
			// What the plain HTTP proxies of this world say to a ClientHello.
			io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n400 Bad Request")
			c.CloseWrite()
			io.Copy(io.Discard, c)
		}
		return
	}
	if t.Reply != nil && t.Reply(ctx, c, r.Host) {
		return
	}
	host, port, err := net.SplitHostPort(r.Host)
	a, known := siteAddrs[host]
	if err != nil || !known {
		io.WriteString(c, "HTTP/1.1 502 Bad Gateway\r\n\r\n")
		return
	}
	var site net.Conn
	err = inNamespace(l.server, func() (err error) {
		site, err = net.Dial("tcp", net.JoinHostPort(a.v4.String(), port))
		return err
	})
	if err != nil {
		io.WriteString(c, "HTTP/1.1 502 Bad Gateway\r\n\r\n")
		return
	}
	defer site.Close()
	io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n")
	if t.Through != nil {
		if _, err := in.Peek(1); err != nil || t.Through(ctx, c) {
			return
		}
	}
	go func() {
		io.Copy(c, site)
		c.CloseWrite()
	}()
	io.Copy(site, in)
}
