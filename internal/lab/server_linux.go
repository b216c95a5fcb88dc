package lab

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// serve starts the module proxy and the resolver in the server's namespace.
// They end with ctx and with the lab.
func (l *Lab) serve(ctx context.Context, s *Scenario, cert tls.Certificate, tree map[string][]byte) error {
	var listener net.Listener
	var resolver net.PacketConn
	err := inNamespace(l.server, func() (err error) {
		if !s.Closed {
			if listener, err = net.Listen("tcp4", ServerAddr+":443"); err != nil {
				return err
			}
		}
		resolver, err = net.ListenPacket("udp4", ResolverAddr+":53")
		return err
	})
	if resolver != nil {
		l.cleanup = append(l.cleanup, func() { resolver.Close() })
		go answerLookups(resolver, s.Lookup)
	}
	if listener == nil || err != nil {
		if listener != nil {
			listener.Close()
		}
		return err
	}
	protocols := []string{"h2", "http/1.1"}
	if s.HTTP1 {
		protocols = protocols[1:]
	}
	hl := &helloListener{Listener: listener, ctx: ctx, hello: s.Hello, ready: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{
		Handler:   &proxy{tree: tree, scenario: s, lab: l, ctx: ctx},
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: protocols},
		ErrorLog:  log.New(io.Discard, "", 0),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if t, ok := c.(*tls.Conn); ok {
				if h, ok := t.NetConn().(*helloConn); ok {
					return context.WithValue(ctx, connKey{}, h.TCPConn)
				}
			}
			return ctx
		},
	}
	if s.HTTP1 {
		server.Protocols = new(http.Protocols)
		server.Protocols.SetHTTP1(true)
	}
	l.cleanup = append(l.cleanup, func() {
		server.Close()
		hl.Close()
	})
	go hl.run()
	go server.ServeTLS(hl, "", "")
	return nil
}

type connKey struct{}

// proxy serves the tree; half of a zip's body goes out before the Body hook.
type proxy struct {
	tree     map[string][]byte
	scenario *Scenario
	lab      *Lab
	ctx      context.Context
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, ok := p.tree[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if p.scenario.Body != nil && strings.HasSuffix(r.URL.Path, ".zip") {
		half := len(body) / 2
		w.Write(body[:half])
		http.NewResponseController(w).Flush()
		c, _ := r.Context().Value(connKey{}).(*net.TCPConn)
		p.scenario.Body(p.ctx, p.lab, c)
		body = body[half:]
	}
	w.Write(body)
}

// helloListener reads the first record of each connection and lets the hook
// have it.
type helloListener struct {
	net.Listener
	ctx    context.Context
	hello  func(context.Context, *net.TCPConn, []byte) bool
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
	head := make([]byte, 5)
	if _, err := io.ReadFull(c, head); err != nil {
		c.Close()
		return
	}
	record := make([]byte, 5+int(binary.BigEndian.Uint16(head[3:])))
	copy(record, head)
	if _, err := io.ReadFull(c, record[5:]); err != nil {
		c.Close()
		return
	}
	if l.hello != nil && l.hello(l.ctx, c, record) {
		// The end of the lab closes what the hook left open.
		<-l.ctx.Done()
		c.Close()
		return
	}
	select {
	case l.ready <- &helloConn{TCPConn: c, head: record}:
	case <-l.closed:
		c.Close()
	}
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

// helloConn gives back the bytes that were read ahead.
type helloConn struct {
	*net.TCPConn
	head []byte
}

func (c *helloConn) Read(b []byte) (int, error) {
	if len(c.head) > 0 {
		n := copy(b, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	return c.TCPConn.Read(b)
}

// answerLookups is a resolver that knows one name.
func answerLookups(pc net.PacketConn, hook func(dnsmessage.Question) *dnsmessage.Message) {
	buf := make([]byte, 4096)
	for {
		n, from, err := pc.ReadFrom(buf)
		if err != nil {
			return
		}
		var q dnsmessage.Message
		if q.Unpack(buf[:n]) != nil || len(q.Questions) != 1 {
			continue
		}
		var a *dnsmessage.Message
		if hook != nil {
			a = hook(q.Questions[0])
		} else {
			a = knownName(q.Questions[0])
		}
		if a == nil {
			continue
		}
		a.ID, a.Response, a.RecursionDesired, a.RecursionAvailable = q.ID, true, q.RecursionDesired, true
		a.Questions = q.Questions
		if b, err := a.Pack(); err == nil {
			pc.WriteTo(b, from)
		}
	}
}

func knownName(q dnsmessage.Question) *dnsmessage.Message {
	m := &dnsmessage.Message{}
	switch {
	case q.Name.String() != ProxyName+".":
		m.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeA:
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 60},
			Body:   &dnsmessage.AResource{A: [4]byte(net.ParseIP(ServerAddr).To4())},
		}}
	}
	return m
}
