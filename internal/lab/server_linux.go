package lab

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
)

// serve starts the sites, the CONNECT proxy and the resolver in the server's
// namespace. They end with ctx and with the lab.
func (l *Lab) serve(ctx context.Context, s *Scenario, ca *authority, sums *sumDB, home string) error {
	tree, err := proxyTree(s.Modules)
	if err != nil {
		return err
	}
	git, err := newGitHost(ctx, s.Modules, home)
	if err != nil {
		return err
	}
	for name, site := range map[string]*Site{
		ProxyName: &s.Proxy, SecondName: &s.Second, ThirdName: &s.Third, FourthName: &s.Fourth,
		StorageName: &s.Storage, SumDBName: &s.SumDB, GitName: &s.Git,
	} {
		h := &handler{ctx: ctx, lab: l, site: site, tree: tree}
		switch name {
		case SumDBName:
			h.tree, h.pages = nil, sums.pages
		case GitName:
			h.tree, h.git = nil, git
		case ProxyName:
			if s.Sums == ProxiedSums {
				h.pages, h.prefix = sums.pages, "/sumdb/"+SumDBName
			}
		}
		if err := l.serveSite(ctx, name, site, s.Path.Family, ca, h); err != nil {
			return err
		}
	}
	if err := l.serveTunnel(ctx, s.Tunnel); err != nil {
		return err
	}
	return l.serveLookups(s)
}

func (l *Lab) listen(address string) (listener net.Listener, err error) {
	err = inNamespace(l.server, func() (err error) {
		listener, err = net.Listen("tcp", address)
		return err
	})
	return listener, err
}

func (l *Lab) serveSite(ctx context.Context, name string, site *Site, family Family, ca *authority, h http.Handler) error {
	if site.Closed {
		return nil
	}
	cert, err := ca.issue(name, site.Certificate)
	if err != nil {
		return err
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}}
	if site.HTTP1 {
		config.NextProtos = config.NextProtos[1:]
	}
	if site.TLS != nil {
		site.TLS(config)
	}
	server := &http.Server{
		Handler: h, TLSConfig: config, ErrorLog: log.New(io.Discard, "", 0),
		IdleTimeout: site.Idle, ReadHeaderTimeout: site.Idle,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if t, ok := c.(*tls.Conn); ok {
				if h, ok := t.NetConn().(*helloConn); ok {
					return context.WithValue(ctx, connKey{}, h.TCPConn)
				}
			}
			return ctx
		},
	}
	if site.HTTP1 {
		server.Protocols = new(http.Protocols)
		server.Protocols.SetHTTP1(true)
	}
	hosts := []string{siteAddrs[name].v4.String()}
	if family != IPv4Only {
		hosts = append(hosts, siteAddrs[name].v6.String())
	}
	l.cleanup = append(l.cleanup, func() { server.Close() })
	for _, host := range hosts {
		listener, err := l.listen(net.JoinHostPort(host, "443"))
		if err != nil {
			return err
		}
		hl := &helloListener{Listener: listener, ctx: ctx, site: site, ready: make(chan net.Conn), closed: make(chan struct{})}
		l.cleanup = append(l.cleanup, func() { hl.Close() })
		go hl.run()
		go server.ServeTLS(hl, "", "")
	}
	return nil
}

type connKey struct{}

// helloListener reads the first record of each connection and lets the site's
// hooks have it.
type helloListener struct {
	net.Listener
	ctx    context.Context
	site   *Site
	ready  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *helloListener) run() {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			l.Close()
			return
		}
		go l.first(c.(*net.TCPConn))
	}
}

func (l *helloListener) first(c *net.TCPConn) {
	if l.site.Accept != nil && l.site.Accept(l.ctx, c) {
		l.leave(c)
		return
	}
	record, err := firstRecord(c)
	if err != nil {
		c.Close()
		return
	}
	if l.site.Hello != nil && l.site.Hello(l.ctx, c, record) {
		l.leave(c)
		return
	}
	select {
	case l.ready <- &helloConn{TCPConn: c, head: record, bound: l.site.Spoken}:
	case <-l.closed:
		c.Close()
	}
}

// leave keeps what a hook left open as it is until the end of the lab.
func (l *helloListener) leave(c *net.TCPConn) {
	<-l.ctx.Done()
	c.Close()
}

// firstRecord reads a TLS record, header included.
func firstRecord(c io.Reader) ([]byte, error) {
	head := make([]byte, 5)
	if _, err := io.ReadFull(c, head); err != nil {
		return nil, err
	}
	record := make([]byte, 5+int(binary.BigEndian.Uint16(head[3:])))
	copy(record, head)
	_, err := io.ReadFull(c, record[5:])
	return record, err
}

func (l *helloListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.ready:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *helloListener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.Listener.Close()
	})
	return nil
}

// helloConn gives back the bytes that were read ahead and stops speaking at
// its bound.
type helloConn struct {
	*net.TCPConn
	head  []byte
	bound int // zero for none
	sent  int
}

func (c *helloConn) Read(b []byte) (int, error) {
	if len(c.head) > 0 {
		n := copy(b, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	return c.TCPConn.Read(b)
}

func (c *helloConn) Write(b []byte) (int, error) {
	if c.bound == 0 {
		return c.TCPConn.Write(b)
	}
	part := b[:min(len(b), max(0, c.bound-c.sent))]
	c.sent += len(b)
	if len(part) > 0 {
		if _, err := c.TCPConn.Write(part); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}
