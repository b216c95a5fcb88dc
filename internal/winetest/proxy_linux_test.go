package winetest

import (
	"archive/zip"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"goproxytrace/capture/engine/spacetest"
)

// The module proxies, each with an address of its own in the far namespace,
// and the module that they have.
const (
	name4, name6 = "proxy4.example", "proxy6.example"
	module       = "modules.example/made"
	version      = "v1.2.3"
)

// behaviour is what a proxy does with a connection.
type behaviour int

const (
	serves behaviour = iota
	resets           // after the ClientHello, as late as one far away
	silent           // takes the ClientHello and says nothing
)

// roundTrip is the time between a ClientHello and its reset, and between the
// request of a module's zip file and its answer. A connection that
// lives for less than Npcap's read timeout has no owner: the table that names
// it is read when its SYN is delivered, which under Wine, on a busy machine, took
// longer than 200 ms.
const roundTrip = time.Second

// proxy is a module proxy.
type proxy struct {
	config *tls.Config
	tree   map[string][]byte

	mu      sync.Mutex
	does    behaviour
	clients []netip.AddrPort
	open    sync.WaitGroup
}

// newProxy starts the proxy of both names in a namespace; certificate is the
// DER file of the authority behind its own.
func newProxy(t *testing.T, far *spacetest.Space) (p *proxy, certificate string) {
	t.Helper()
	p = &proxy{tree: tree(t)}
	p.config, certificate = identity(t)
	for _, address := range []string{"10.9.0.2:443", "[fd09::2]:443"} {
		var l net.Listener
		far.Do(func() (err error) {
			l, err = net.Listen("tcp", address)
			return err
		})
		p.open.Go(func() { p.accept(l) })
		t.Cleanup(func() { l.Close() })
	}
	return p, certificate
}

// set says what the proxy does from now on, and forgets its clients.
func (p *proxy) set(b behaviour) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.does, p.clients = b, nil
}

// seen are the ends of the clients that have connected.
func (p *proxy) seen() []netip.AddrPort {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.clients)
}

func (p *proxy) accept(l net.Listener) {
	served := &handed{make(chan net.Conn), l.Addr()}
	s := &http.Server{Handler: p, TLSConfig: p.config, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: time.Minute}
	defer s.Close()
	go func() { _ = s.ServeTLS(served, "", "") }()
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		does := p.does
		p.clients = append(p.clients, netip.MustParseAddrPort(c.RemoteAddr().String()))
		p.mu.Unlock()
		switch does {
		case serves:
			served.conns <- c
		case resets:
			go func() {
				_, _ = c.Read(make([]byte, 4096))
				time.Sleep(roundTrip)
				_ = c.(*net.TCPConn).SetLinger(0)
				c.Close()
			}()
		case silent:
			go func() {
				_, _ = io.Copy(io.Discard, c)
				c.Close()
			}()
		}
	}
}

// handed is a listener of connections accepted by another.
type handed struct {
	conns chan net.Conn
	addr  net.Addr
}

func (h *handed) Accept() (net.Conn, error) { return <-h.conns, nil }
func (h *handed) Addr() net.Addr            { return h.addr }
func (h *handed) Close() error              { return nil }

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, ".zip") {
		time.Sleep(roundTrip)
	}
	b, ok := p.tree[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write(b)
}

// tree is what the proxy serves, by path.
func tree(t *testing.T) map[string][]byte {
	t.Helper()
	mod := []byte("module " + module + "\n\ngo 1.20\n")
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, data := range map[string][]byte{"go.mod": mod, "made.go": []byte("// Package made is made up.\npackage made\n")} {
		w, err := z.Create(module + "@" + version + "/" + name)
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	prefix := "/" + module + "/@v/" + version
	return map[string][]byte{
		prefix + ".mod": mod, prefix + ".zip": b.Bytes(),
		prefix + ".info": fmt.Appendf(nil, `{"Version":%q,"Time":"2025-03-01T12:00:00Z"}`, version),
	}
}

// identity makes an authority, as a DER file, and a server under it.
func identity(t *testing.T) (*tls.Config, string) {
	t.Helper()
	from, to := time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Lab Root"}, NotBefore: from, NotAfter: to,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name4}, DNSNames: []string{name4, name6}, NotBefore: from, NotAfter: to,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	var keys [2]*ecdsa.PrivateKey
	var der [2][]byte
	for i, form := range []*x509.Certificate{ca, leaf} {
		var err error
		if keys[i], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err == nil {
			der[i], err = x509.CreateCertificate(rand.Reader, form, ca, keys[i].Public(), keys[0])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "authority.der")
	if err := os.WriteFile(file, der[0], 0o600); err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der[1], der[0]}, PrivateKey: keys[1]}}}, file
}
