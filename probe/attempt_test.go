package probe

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"goproxytrace/analyze/diagnose"
)

// identity is the certificate of the servers here, which this process's own
// root vouches for.
var identity tls.Certificate

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "probe-")
	if err == nil {
		err = makeIdentity(filepath.Join(dir, "root.pem"))
	}
	if err != nil {
		log.Fatal(err)
	}
	// Read once, when the first chain is judged.
	os.Setenv("SSL_CERT_FILE", filepath.Join(dir, "root.pem"))
	os.Setenv("SSL_CERT_DIR", dir)
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func makeIdentity(path string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test Root"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		return err
	}
	identity = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
}

// server is a module proxy on loopback.
type server struct {
	// refuses looks at a ClientHello's record and its contents; true resets the
	// connection.
	refuses func(record int, h *tls.ClientHelloInfo) bool
	http1   bool
	// mints makes certificates for whatever name is asked for.
	mints bool
	// alerts answers ClientHellos for all names, or for other names than the
	// harmless one, with a TLS alert.
	alerts func(name string) bool
	// most is the highest version that it speaks, zero for any.
	most uint16
	// plain speaks HTTP without TLS.
	plain   bool
	handler http.HandlerFunc
}

// recordConn knows the length of the first record that was read from it.
type recordConn struct {
	net.Conn
	first int
}

func (c *recordConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.first == 0 && n >= 5 {
		c.first = int(b[3])<<8 + int(b[4]) + 5
	}
	return n, err
}

type recordListener struct{ net.Listener }

func (l recordListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &recordConn{Conn: c}, nil
}

func (s *server) start(t *testing.T) Target {
	t.Helper()
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		t.Skip("the system's roots cannot be set for a test on " + runtime.GOOS)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{identity}, NextProtos: []string{"h2", "http/1.1"}}
	if s.http1 {
		config.NextProtos = []string{"http/1.1"}
	}
	if s.mints {
		config.GetCertificate = mint
		config.Certificates = nil
	}
	config.MaxVersion = s.most
	if s.most != 0 {
		config.MinVersion = tls.VersionTLS10
	}
	if s.alerts != nil {
		config.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			if s.alerts(h.ServerName) {
				return nil, errors.New("refused")
			}
			return nil, nil
		}
	}
	if s.refuses != nil {
		config.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			c := h.Conn.(*recordConn)
			if s.refuses(c.first, h) {
				_ = c.Conn.(*net.TCPConn).SetLinger(0)
				c.Conn.Close()
			}
			return nil, nil
		}
	}
	handler := s.handler
	if handler == nil {
		handler = func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }
	}
	h := &http.Server{Handler: handler, TLSConfig: config, ErrorLog: log.New(io.Discard, "", 0)}
	if s.http1 {
		h.Protocols = new(http.Protocols)
		h.Protocols.SetHTTP1(true)
	}
	if s.plain {
		go h.Serve(l)
	} else {
		go h.ServeTLS(recordListener{l}, "", "")
	}
	t.Cleanup(func() { h.Close() })
	return Target{Host: "127.0.0.1", Port: uint16(l.Addr().(*net.TCPAddr).Port), Path: "/sumdb/sum.example/supported"}
}

// mint makes a certificate for the name that is asked for.
func mint(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if h.ServerName == "" {
		return &identity, nil
	}
	root, err := x509.ParseCertificate(identity.Certificate[0])
	if err != nil {
		return nil, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: h.ServerName}, NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		DNSNames: []string{h.ServerName}, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	key := identity.PrivateKey.(*ecdsa.PrivateKey)
	der, err := x509.CreateCertificate(rand.Reader, leaf, root, key.Public(), key)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// Who makes certificates for any name inspects, trusted or not; a server with
// a private authority of its own does not.
func TestTrustedInspection(t *testing.T) {
	for mints, want := range map[bool]Cause{true: Readable, false: Healthy} {
		s := server{mints: mints}
		f, _ := probeOf(t, Options{Targets: []Target{s.start(t)}})
		if f.Cause != want || f.Class != diagnose.OK {
			t.Errorf("mints %v: %s, %s", mints, f.Cause, f.Class)
		}
		if mints && Worst([]Finding{f}).blames() {
			t.Error("nothing failed, and something is blamed")
		}
	}
}

// short are timings for loopback.
var short = Timing{
	Spacing: 20 * time.Millisecond, Residual: 200 * time.Millisecond,
	Connect: 2 * time.Second, TLS: 2 * time.Second, Request: 2 * time.Second, Lookup: time.Second,
}

func probeOf(t *testing.T, o Options) (Finding, []*Attempt) {
	t.Helper()
	if o.Timing == (Timing{}) {
		o.Timing = short
	}
	all := New(o).Run(t.Context())
	if t.Context().Err() != nil || len(all) == 0 {
		t.Fatalf("%d attempts", len(all))
	}
	return Judge(o, all)[0], all
}

// Each fault leads to its cause, its look-alike to another.
func TestCausesOnLoopback(t *testing.T) {
	postQuantum := func(_ int, h *tls.ClientHelloInfo) bool {
		return slices.Contains(h.SupportedCurves, tls.X25519MLKEM768)
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	for name, tt := range map[string]struct {
		server server
		want   Cause
		class  diagnose.Class
	}{
		"healthy":               {server{}, Healthy, diagnose.OK},
		"healthy over HTTP/1.1": {server{http1: true}, Healthy, diagnose.OK},
		"nothing of that name":  {server{handler: status(http.StatusNotFound)}, Healthy, diagnose.OK},
		"unavailable":           {server{handler: status(http.StatusServiceUnavailable)}, HTTPRefusal, diagnose.HTTPError},
		"forbidden":             {server{handler: status(http.StatusForbidden)}, HTTPRefusal, diagnose.HTTPError},
		"post-quantum groups":   {server{refuses: postQuantum}, PostQuantum, diagnose.TLSReset},
		"length":                {server{refuses: func(record int, _ *tls.ClientHelloInfo) bool { return record > 1000 }}, LargeHello, diagnose.TLSReset},
		// An answer that is no handshake decides nothing where it comes to every name.
		"an alert for every name":  {server{alerts: func(string) bool { return true }}, Undecided, diagnose.TLSAlertFromServer},
		"an alert for this name":   {server{alerts: func(name string) bool { return name != HarmlessName }}, NameBlock, diagnose.TLSAlertFromServer},
		"an alert for other names": {server{alerts: func(name string) bool { return name == HarmlessName }}, Healthy, diagnose.OK},
		"an old version of TLS":    {server{most: tls.VersionTLS11}, Undecided, diagnose.TLSAlertFromServer},
		"TLS 1.2":                  {server{most: tls.VersionTLS12}, Healthy, diagnose.OK},
		"plain HTTP":               {server{plain: true}, Undecided, diagnose.TLSNotTLS},
		"a reset of every name":    {server{refuses: func(int, *tls.ClientHelloInfo) bool { return true }}, AddressBlock, diagnose.TLSReset},
		"a request in HTTP/2": {server{handler: func(_ http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor == 2 {
				panic(http.ErrAbortHandler)
			}
		}}, HTTP2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, all := probeOf(t, Options{Targets: []Target{tt.server.start(t)}})
			if f.Cause != tt.want || tt.class != "" && f.Class != tt.class {
				t.Errorf("%s, %s; want %s, %s", f.Cause, f.Class, tt.want, tt.class)
				for _, a := range all {
					t.Logf("%s %s %s %q hello %d", a.Arm, a.Stage, a.End, a.Detail, a.HelloBytes)
				}
			}
			if f.Level == diagnose.Suggested {
				t.Error("sockets alone are no more than consistent")
			}
		})
	}
}

// The name alone: another name gets an answer.
func TestNameOnLoopback(t *testing.T) {
	s := server{refuses: func(_ int, h *tls.ClientHelloInfo) bool { return h.ServerName != HarmlessName }}
	f, _ := probeOf(t, Options{Targets: []Target{s.start(t)}})
	if f.Cause != NameBlock || !slices.Contains(f.Place, diagnose.Host) || f.Level != diagnose.Consistent {
		t.Errorf("%s at %v, level %s; without packets it may be this host as well", f.Cause, f.Place, f.Level)
	}
}

// The ClientHellos have the sizes that the comparison rests on.
func TestHelloSizes(t *testing.T) {
	s := server{}
	_, all := probeOf(t, Options{Targets: []Target{s.start(t)}, Groups: []Group{GroupHelloSize}})
	size := map[Arm]int{}
	for _, a := range all {
		size[a.Arm] = a.HelloBytes
	}
	const segment = 1448
	if size[Default] <= segment || size[Padded] <= segment || size[NoMLKEM] > 600 || size[NoMLKEM] < 150 {
		t.Errorf("sizes %v", size)
	}
	if d := size[Padded] - size[Default]; d < -100 || d > 100 {
		t.Errorf("padded by %d bytes more than the one that it stands for", d)
	}
}

// A redirect is shown and not followed.
func TestRedirectIsNotFollowed(t *testing.T) {
	var elsewhere atomic.Int32
	other := server{handler: func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }}
	to := other.start(t)
	leads := "https://127.0.0.1:" + port(to) + "/x"
	s := server{handler: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, leads, http.StatusFound) }}
	f, all := probeOf(t, Options{Targets: []Target{s.start(t)}})
	if f.Cause != Healthy || elsewhere.Load() != 0 {
		t.Errorf("%s, %d requests elsewhere", f.Cause, elsewhere.Load())
	}
	if !slices.ContainsFunc(all, func(a *Attempt) bool { return a.HTTP == http.StatusFound && a.Location == leads }) {
		t.Error("the redirect is not told of")
	}
}

func port(t Target) string {
	return netip.AddrPortFrom(netip.IPv4Unspecified(), t.Port).String()[len("0.0.0.0:"):]
}

// Credentials go to the configured proxy and nowhere else, and only GET
// requests are made.
func TestCredentials(t *testing.T) {
	var leaked atomic.Value
	s := server{handler: func(_ http.ResponseWriter, r *http.Request) {
		for name, v := range r.Header {
			if strings.Contains(strings.Join(v, " "), "c2VjcmV0") || strings.Contains(name, "Authorization") {
				leaked.Store(name)
			}
		}
		if r.Method != http.MethodGet {
			leaked.Store(r.Method)
		}
	}}
	target := s.start(t)
	var asked, refused atomic.Int32
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	proxy := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Proxy-Authorization") != "Basic dTpzZWNyZXQ=" {
			refused.Add(1)
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		asked.Add(1)
		far, err := net.Dial("tcp", r.Host)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		near, _, _ := http.NewResponseController(w).Hijack()
		io.WriteString(near, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() { io.Copy(far, near); far.Close() }()
		io.Copy(near, far)
		near.Close()
	})}
	go proxy.Serve(l)
	t.Cleanup(func() { proxy.Close() })
	for _, tt := range []struct {
		user *url.Userinfo
		want Cause
	}{{url.UserPassword("u", "secret"), Healthy}, {nil, ProxyRefusal}} {
		through := &url.URL{Scheme: "http", Host: l.Addr().String(), User: tt.user}
		f, _ := probeOf(t, Options{Targets: []Target{target}, ProxyFor: func(string, uint16) *url.URL { return through }})
		if f.Cause != tt.want {
			t.Errorf("%s, want %s", f.Cause, tt.want)
		}
		if tt.want == ProxyRefusal && (f.Level != diagnose.Proven || !slices.Equal(f.Place, far)) {
			t.Errorf("level %s at %v: the proxy has said it itself", f.Level, f.Place)
		}
	}
	if asked.Load() == 0 || refused.Load() == 0 || leaked.Load() != nil {
		t.Errorf("%d asked, %d refused, leaked: %v", asked.Load(), refused.Load(), leaked.Load())
	}
}

// The end of the context ends everything at once, and what was stopped says
// nothing.
func TestStop(t *testing.T) {
	held := make(chan struct{})
	t.Cleanup(func() { close(held) })
	s := server{handler: func(http.ResponseWriter, *http.Request) { <-held }}
	ctx, cancel := context.WithCancel(t.Context())
	o := Options{Targets: []Target{s.start(t)}, Timing: DefaultTiming}
	done := make(chan []*Attempt)
	go func() { done <- New(o).Run(ctx) }()
	time.AfterFunc(300*time.Millisecond, cancel)
	select {
	case all := <-done:
		f := Judge(o, all)[0]
		if f.Cause != NotRun || len(all) == 0 || all[len(all)-1].End != Stopped {
			t.Errorf("%s after %d attempts", f.Cause, len(all))
		}
	case <-time.After(5 * time.Second):
		t.Fatal("it goes on")
	}
}

// Names of protocols that pad a ClientHello are as long as they should be.
func TestPadding(t *testing.T) {
	for _, n := range []int{0, 1, 2, 11, 255, 256, 257, 1220} {
		total := 0
		for _, s := range padding(n) {
			if len(s) == 0 || len(s) > 255 {
				t.Errorf("a name of %d bytes", len(s))
			}
			total += len(s) + 1
		}
		if total > n || n-total > 1 {
			t.Errorf("padding(%d) takes %d bytes", n, total)
		}
	}
}
