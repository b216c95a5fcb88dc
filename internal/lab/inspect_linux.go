package lab

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"goproxytrace/capture"
	"goproxytrace/capture/pcapfile"
)

// Inspector is a program on the client's machine between the go command and
// the wire: it takes the go command's connections on loopback and makes its
// own to the far end. Its process is the one that this package runs in. The
// capture then records with each packet the process that it belongs to.
type Inspector struct {
	// Asked makes it a CONNECT proxy that HTTPS_PROXY names; otherwise it has
	// put itself, unasked, into the client's hosts file as the module proxy.
	Asked bool
	// Certificate is the kind of certificate that it shows.
	Certificate Kind
	// Authority is the name of an authority of its own, which the client trusts,
	// as products of this kind have it; "" for the lab's. Its certificates are
	// shown in TLS 1.2, where a capture can read them.
	Authority string
	// Silent makes it take connections, connect to the far end and say
	// nothing.
	Silent bool
}

// port is where the inspector listens on loopback.
func (i *Inspector) port() string {
	if i.Asked {
		return "8443"
	}
	return "443"
}

// inspect starts the inspector.
func (l *Lab) inspect(ctx context.Context, i *Inspector, ca *authority, home string) error {
	if i == nil {
		return nil
	}
	version := uint16(tls.VersionTLS13)
	if i.Authority != "" {
		own, err := newAuthority(i.Authority)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(home, "ca.pem"), append(ca.pem(), own.pem()...), 0o644); err != nil {
			return err
		}
		ca, version = own, tls.VersionTLS12
	}
	if !i.Asked {
		hosts := "127.0.0.1 localhost " + ProxyName + "\n"
		if err := os.WriteFile(filepath.Join("/etc/netns", l.client, "hosts"), []byte(hosts), 0o644); err != nil {
			return err
		}
	}
	var listener net.Listener
	err := inNamespace(l.client, func() (err error) {
		listener, err = net.Listen("tcp4", "127.0.0.1:"+i.port())
		return err
	})
	if err != nil {
		return err
	}
	l.cleanup = append(l.cleanup, func() { listener.Close() })
	config := &tls.Config{MaxVersion: version, NextProtos: []string{"http/1.1"}, GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		c, err := ca.issue(h.ServerName, i.Certificate)
		return &c, err
	}}
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				defer context.AfterFunc(ctx, func() { c.Close() })()
				if i.Asked {
					i.connect(l, c)
					return
				}
				// It looks at the far end's certificate before it shows its own.
				raw, err := l.outward(ProxyName + ":443")
				if err != nil {
					return
				}
				far := tls.Client(raw, &tls.Config{ServerName: ProxyName, InsecureSkipVerify: true, NextProtos: config.NextProtos})
				defer far.Close()
				if far.Handshake() != nil {
					return
				}
				if i.Silent {
					<-ctx.Done()
					return
				}
				if inner := tls.Server(c, config); inner.Handshake() == nil {
					join(inner, far)
				}
			}()
		}
	}()
	return nil
}

// connect serves one CONNECT request.
func (i *Inspector) connect(l *Lab, c net.Conn) {
	in := bufio.NewReader(c)
	r, err := http.ReadRequest(in)
	if err != nil {
		return
	}
	far, err := l.outward(r.Host)
	if err != nil {
		io.WriteString(c, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
		return
	}
	io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n")
	join(c, far)
}

// outward connects to a site on the inspector's own account.
func (l *Lab) outward(target string) (c net.Conn, err error) {
	host, port, err := net.SplitHostPort(target)
	a, known := siteAddrs[host]
	if err != nil || !known {
		return nil, fmt.Errorf("no site %q", target)
	}
	err = inNamespace(l.client, func() (err error) {
		c, err = net.Dial("tcp4", net.JoinHostPort(a.v4.String(), port))
		return err
	})
	return c, err
}

// join copies both ways until one end closes.
func join(a, b net.Conn) {
	defer b.Close()
	defer a.Close()
	done := make(chan struct{}, 2)
	for _, ends := range [][2]net.Conn{{a, b}, {b, a}} {
		go func() {
			io.Copy(ends[0], ends[1])
			done <- struct{}{}
		}()
	}
	<-done
}

// ownPackets records with each packet of TCP the process it belongs to: the
// inspector, or the go command.
func ownPackets(file string, goPID int) error {
	in, err := pcapfile.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(file), "owned-*.pcapng")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	w, err := pcapfile.NewWriter(out, pcapfile.WriterOptions{OS: "Linux", Application: "lab"})
	if err != nil {
		return err
	}
	written := 0
	describe := func() error {
		for list := in.Info().Interfaces; written < len(list); written++ {
			if _, err := w.AddInterface(&list[written]); err != nil {
				return err
			}
		}
		return nil
	}
	var b capture.Batch
	for {
		if err := in.Read(&b); err != nil {
			if errors.Is(err, io.EOF) {
				break
			}
			return err
		}
		if err := describe(); err != nil {
			return err
		}
		for i := range b.Packets {
			p := &b.Packets[i]
			if q := parse(p.Data, true); q != nil && q.proto == protoTCP {
				p.ProcessID = owner(q, goPID)
			}
			if err := w.WritePacket(p); err != nil {
				return err
			}
		}
	}
	if err := describe(); err != nil {
		return err
	}
	for i := range in.Info().Interfaces {
		if n := &in.Info().Interfaces[i]; n.End != 0 {
			if err := w.WriteStatistics(i, n.End, n); err != nil {
				return err
			}
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return os.Rename(out.Name(), file)
}

// owner returns whose packet p is: on loopback its sender's, on the wire the
// inspector's. The go command's ports are above those that programs listen on.
func owner(p *Packet, goPID int) uint32 {
	if p.src.Addr().IsLoopback() && p.src.Port() > p.dst.Port() {
		return uint32(goPID)
	}
	return uint32(os.Getpid())
}
