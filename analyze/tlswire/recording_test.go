package tlswire

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"
)

// chunk is one write of one side: direction 0 is the client's.
type chunk struct {
	dir int
	b   []byte
}

// recorder is a connection that notes what is written to it. Writes do not
// wait for the reader, as on a socket: both ends of a handshake may write at
// the same time.
type recorder struct {
	net.Conn
	dir   int
	mu    *sync.Mutex
	log   *[]chunk
	queue chan []byte
}

func newRecorder(c net.Conn, dir int, mu *sync.Mutex, log *[]chunk) *recorder {
	r := &recorder{c, dir, mu, log, make(chan []byte, 256)}
	go func() {
		for b := range r.queue {
			if _, err := c.Write(b); err != nil {
				break
			}
		}
		_ = c.Close()
	}()
	return r
}

func (r *recorder) Write(b []byte) (int, error) {
	own := append([]byte(nil), b...)
	r.mu.Lock()
	*r.log = append(*r.log, chunk{r.dir, own})
	r.mu.Unlock()
	r.queue <- own
	return len(b), nil
}

// Close closes the connection once what was written is through.
func (r *recorder) Close() error {
	close(r.queue)
	return nil
}

var (
	keysOnce sync.Once
	leaf     tls.Certificate
	rsaLeaf  tls.Certificate
	roots    *x509.CertPool
)

func keys() {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Example Test CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	check(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0x7a), Subject: pkix.Name{CommonName: "proxy.example", Organization: []string{"Example"}},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		DNSNames: []string{"proxy.example", "*.proxy.example"}, IPAddresses: []net.IP{net.IPv4(192, 0, 2, 7), net.ParseIP("2001:db8::7")},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	der, err := x509.CreateCertificate(rand.Reader, template, ca, &key.PublicKey, caKey)
	check(err)
	leaf = tls.Certificate{Certificate: [][]byte{der, caDER}, PrivateKey: key}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	check(err)
	der, err = x509.CreateCertificate(rand.Reader, template, ca, &rsaKey.PublicKey, caKey)
	check(err)
	rsaLeaf = tls.Certificate{Certificate: [][]byte{der, caDER}, PrivateKey: rsaKey}
	roots = x509.NewCertPool()
	cert, err := x509.ParseCertificate(caDER)
	check(err)
	roots.AddCert(cert)
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// configs returns a client and a server that understand each other.
func configs() (client, server *tls.Config) {
	keysOnce.Do(keys)
	client = &tls.Config{ServerName: "proxy.example", RootCAs: roots, NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS10}
	server = &tls.Config{Certificates: []tls.Certificate{leaf}, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS10}
	return client, server
}

// record runs a handshake and an exchange of payload bytes each way, and
// returns what went over the wire and the client's view of it.
func record(t testing.TB, client, server *tls.Config, payload int) ([]chunk, tls.ConnectionState, error) {
	t.Helper()
	var mu sync.Mutex
	var log []chunk
	a, b := net.Pipe()
	deadline := time.Now().Add(20 * time.Second)
	check(a.SetDeadline(deadline))
	check(b.SetDeadline(deadline))
	near, far := newRecorder(a, 0, &mu, &log), newRecorder(b, 1, &mu, &log)
	c := tls.Client(near, client)
	s := tls.Server(far, server)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer far.Close()
		if s.Handshake() != nil {
			return
		}
		buf := make([]byte, payload)
		if _, err := io.ReadFull(s, buf); err != nil {
			return
		}
		if _, err := s.Write(buf); err != nil {
			return
		}
		// The client closes first.
		_, _ = s.Read(buf[:1])
	}()
	err := c.Handshake()
	state := c.ConnectionState()
	if err == nil {
		buf := make([]byte, payload)
		if _, err = c.Write(buf); err == nil {
			_, err = io.ReadFull(c, buf)
		}
		if e := c.Close(); err == nil {
			err = e
		}
	} else {
		_ = near.Close()
	}
	<-done
	mu.Lock()
	defer mu.Unlock()
	return log, state, err
}

// feed replays a recording, each chunk a frame of its own from 1 on.
func feed(c *Conversation, log []chunk) {
	for i, k := range log {
		c.SegmentStart(k.dir)
		c.Data(k.dir, int64(i+1), int64(i+1)*1000, k.b)
	}
}

// stream joins what one direction sent.
func stream(log []chunk, dir int) []byte {
	var b []byte
	for _, k := range log {
		if k.dir == dir {
			b = append(b, k.b...)
		}
	}
	return b
}

// seen is a message with the frame it was reported on.
type seen struct {
	dir   int
	frame int64
	Message
}

func watch(c *Conversation) *[]seen {
	var out []seen
	c.OnMessage = func(dir int, frame int64, m Message) { out = append(out, seen{dir, frame, m}) }
	return &out
}

// types lists the handshake types reported for a direction.
func types(msgs []seen, dir int) []int {
	var out []int
	for _, m := range msgs {
		if m.dir == dir && m.Kind == KindHandshake {
			out = append(out, int(m.Type))
		}
	}
	return out
}

// recordings are handshakes of every kind, for tests that hold for all.
func recordings(t testing.TB) map[string][]chunk {
	t.Helper()
	out := map[string][]chunk{}
	add := func(name string, mayFail bool, set func(c, s *tls.Config)) {
		c, s := configs()
		set(c, s)
		log, _, err := record(t, c, s, 3000)
		if err != nil && !mayFail {
			t.Fatalf("%s: %v", name, err)
		}
		out[name] = log
	}
	for _, v := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13} {
		add(VersionName(v), false, func(c, s *tls.Config) { s.MaxVersion = v })
	}
	add("retry", false, func(c, s *tls.Config) { s.CurvePreferences = []tls.CurveID{tls.CurveP384} })
	add("client certificate", false, func(c, s *tls.Config) {
		s.MaxVersion = tls.VersionTLS12
		s.ClientAuth = tls.RequireAnyClientCert
		c.Certificates = []tls.Certificate{rsaLeaf}
	})
	add("refused by client", true, func(c, s *tls.Config) { s.MaxVersion = tls.VersionTLS12; c.RootCAs = x509.NewCertPool() })
	add("refused by client, TLS 1.3", true, func(c, s *tls.Config) { c.RootCAs = x509.NewCertPool() })
	add("no common version", true, func(c, s *tls.Config) { s.MinVersion = tls.VersionTLS13; c.MaxVersion = tls.VersionTLS12 })
	cache := tls.NewLRUClientSessionCache(4)
	_, shared := configs()
	for _, name := range []string{"full", "resumed"} {
		add(name, false, func(c, s *tls.Config) {
			c.ClientSessionCache = cache
			c.MaxVersion = tls.VersionTLS12
			*s = *shared.Clone()
			s.SetSessionTicketKeys([][32]byte{{1}})
		})
	}
	return out
}
