package diagnose

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"goproxytrace/capture"
	"goproxytrace/internal/packets"
)

const (
	ms       = int64(time.Millisecond)
	sec      = int64(time.Second)
	rtt      = 40 * ms
	baseTime = int64(1_700_000_000) * sec
)

// wire writes the packets of one connection into a pipe, as a capture at the
// client sees them.
type wire struct {
	p              *pipe
	client, server string
	now            int64
	cseq, sseq     uint32 // next to send, relative (0 is the SYN)
	cack, sack     uint32 // what each end has acknowledged
	ipid           uint16 // of the server's packets
	frame          *int64
	loopback       bool
}

var frameOf = map[*pipe]*int64{}

func newWire(p *pipe, server string) *wire {
	n := frameOf[p]
	if n == nil {
		n = new(int64)
		frameOf[p] = n
	}
	client := "192.0.2.10:40001"
	if netip.MustParseAddrPort(server).Addr().Is6() {
		client = "[2001:db8::10]:40001"
	}
	return &wire{p: p, client: client, server: server, now: baseTime, ipid: 1000, frame: n}
}

// from starts a second connection of the same client on another port.
func (w *wire) another(port string, server string) *wire {
	o := newWire(w.p, server)
	host := netip.MustParseAddrPort(o.client).Addr().String()
	o.client = net.JoinHostPort(host, port)
	o.now = w.now
	return o
}

func (w *wire) wait(d int64) *wire { w.now += d; return w }

func (w *wire) put(k *packets.Packet) {
	*w.frame++
	b := k.Ethernet()
	w.p.packet(&capture.Packet{Number: *w.frame, Time: w.now, HasTime: true, Data: b, Length: len(b), LinkType: 1, FCSLen: -1, Loopback: w.loopback})
	w.now += ms / 100
}

const clientISN, serverISN = 1000, 500000

func (w *wire) c(flags uint16, seq, ack uint32, payload []byte) *packets.Packet {
	k := packets.TCP(w.client, w.server).Flags(flags).Seq(clientISN + seq).TTL(64).Payload(payload)
	if flags&packets.ACK != 0 {
		k.Ack(serverISN + ack)
	}
	return k
}

func (w *wire) s(flags uint16, seq, ack uint32, payload []byte) *packets.Packet {
	k := packets.TCP(w.server, w.client).Flags(flags).Seq(serverISN + seq).TTL(54).Payload(payload)
	if netip.MustParseAddrPort(w.server).Addr().Is4() {
		k.ID(w.ipid)
		w.ipid++
	}
	if flags&packets.ACK != 0 {
		k.Ack(clientISN + ack)
	}
	return k
}

func (w *wire) syn() *wire {
	w.put(w.c(packets.SYN, 0, 0, nil).MSS(1460).SACKPermitted())
	return w
}

func (w *wire) synack() *wire {
	w.put(w.s(packets.SYN|packets.ACK, 0, 1, nil).MSS(1460).SACKPermitted().ID(0))
	return w
}

// open completes the TCP handshake.
func (w *wire) open() *wire {
	w.syn().wait(rtt).synack()
	w.cseq, w.sseq, w.cack, w.sack = 1, 1, 1, 1
	w.put(w.c(packets.ACK, 1, 1, nil))
	return w
}

const mss = 1460

// up sends client data in segments; acked says whether the server
// acknowledges it a round trip later.
func (w *wire) up(b []byte, acked bool) *wire {
	for len(b) > 0 {
		n := min(len(b), mss)
		w.put(w.c(packets.ACK|packets.PSH, w.cseq, w.cack, b[:n]))
		w.cseq += uint32(n)
		b = b[n:]
	}
	if acked {
		w.wait(rtt)
		w.sack = w.cseq
		w.put(w.s(packets.ACK, w.sseq, w.sack, nil))
	}
	return w
}

// down sends server data, which the client acknowledges.
func (w *wire) down(b []byte) *wire {
	for len(b) > 0 {
		n := min(len(b), mss)
		w.put(w.s(packets.ACK|packets.PSH, w.sseq, w.sack, b[:n]))
		w.sseq += uint32(n)
		b = b[n:]
	}
	w.cack = w.sseq
	w.put(w.c(packets.ACK, w.cseq, w.cack, nil))
	return w
}

// again repeats client bytes seq.. n times with doubling timeouts.
func (w *wire) again(seq uint32, b []byte, n int) *wire {
	for i := range n {
		w.wait(200 * ms << i)
		w.put(w.c(packets.ACK, seq, w.cack, b))
	}
	return w
}

func (w *wire) cfin() *wire {
	w.put(w.c(packets.FIN|packets.ACK, w.cseq, w.cack, nil))
	w.cseq++
	return w
}

func (w *wire) sfin() *wire {
	w.put(w.s(packets.FIN|packets.ACK, w.sseq, w.sack, nil))
	w.sseq++
	return w
}

func (w *wire) crst() *wire {
	w.put(w.c(packets.RST, w.cseq, 0, nil))
	return w
}

// srst is the reset of a server's own stack.
func (w *wire) srst() *wire {
	w.put(w.s(packets.RST|packets.ACK, w.sseq, w.cseq, nil))
	return w
}

func (w *wire) keepAlive(answered bool) *wire {
	w.put(w.c(packets.ACK, w.cseq-1, w.cack, nil))
	if answered {
		w.wait(rtt)
		w.put(w.s(packets.ACK, w.sseq, w.sack, nil))
	}
	return w
}

// flight is what one end writes before the other answers.
type flight struct {
	fromClient bool
	bytes      []byte
}

var (
	recordedOnce sync.Once
	recorded13   []flight
	recorded12   []flight
	refused12    []flight
	refused13    []flight
)

const testHost = "goproxy.cn"

// handshake returns the flights of a recorded TLS handshake with one request
// and an answer of 8,000 bytes; refused is one in which the client does not
// trust the certificate.
func handshake(t *testing.T, version uint16, refused bool) []flight {
	t.Helper()
	recordedOnce.Do(func() {
		recorded13 = record(t, tls.VersionTLS13, false)
		recorded12 = record(t, tls.VersionTLS12, false)
		refused12 = record(t, tls.VersionTLS12, true)
		refused13 = record(t, tls.VersionTLS13, true)
	})
	switch {
	case refused && version == tls.VersionTLS12:
		return refused12
	case refused:
		return refused13
	case version == tls.VersionTLS12:
		return recorded12
	}
	return recorded13
}

func record(t *testing.T, version uint16, refused bool) []flight {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Example Inspection CA"}, DNSNames: []string{testHost},
		NotBefore: time.Unix(1_600_000_000, 0), NotAfter: time.Unix(4_000_000_000, 0), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !refused {
		pool.AddCert(leaf)
	}
	a, b := net.Pipe()
	limit := time.Now().Add(5 * time.Second)
	_, _ = a.SetDeadline(limit), b.SetDeadline(limit)
	var mu sync.Mutex
	var out []flight
	add := func(client bool, p []byte) {
		mu.Lock()
		defer mu.Unlock()
		if n := len(out); n > 0 && out[n-1].fromClient == client {
			out[n-1].bytes = append(out[n-1].bytes, p...)
			return
		}
		out = append(out, flight{client, append([]byte(nil), p...)})
	}
	server := tls.Server(newTap(b, func(p []byte) { add(false, p) }), &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MaxVersion: version, SessionTicketsDisabled: true,
	})
	client := tls.Client(newTap(a, func(p []byte) { add(true, p) }), &tls.Config{
		ServerName: testHost, RootCAs: pool, MaxVersion: version, Time: func() time.Time { return time.Unix(1_700_000_000, 0) },
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		if _, err := server.Read(buf); err == nil {
			_, _ = server.Write(make([]byte, 8000))
		}
		_, _ = io.Copy(io.Discard, b)
	}()
	if err := client.Handshake(); (err != nil) != refused {
		t.Fatalf("recording a handshake: %v", err)
	}
	if !refused {
		if _, err := client.Write(make([]byte, 120)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(client, make([]byte, 8000)); err != nil {
			t.Fatal(err)
		}
	}
	a.Close()
	<-done
	return out
}

// tap records what is written and hands it on without waiting for the reader,
// as a socket does.
type tap struct {
	net.Conn
	add   func([]byte)
	queue chan []byte
}

func newTap(c net.Conn, add func([]byte)) *tap {
	t := &tap{c, add, make(chan []byte, 256)}
	go func() {
		for b := range t.queue {
			_, _ = t.Conn.Write(b)
		}
	}()
	return t
}

func (c *tap) Write(p []byte) (int, error) {
	c.add(p)
	c.queue <- append([]byte(nil), p...)
	return len(p), nil
}

func hello(t *testing.T) []byte { return handshake(t, tls.VersionTLS13, false)[0].bytes }

// shake plays a whole recorded handshake with request and answer.
func (w *wire) shake(t *testing.T, version uint16) *wire {
	for _, f := range handshake(t, version, false) {
		if f.fromClient {
			w.up(f.bytes, true)
		} else {
			w.down(f.bytes)
		}
	}
	return w
}

// appData is one encrypted record with n bytes of body.
func appData(n int) []byte {
	return append([]byte{23, 3, 3, byte(n >> 8), byte(n)}, make([]byte, n)...)
}

// only returns the verdict on the pipe's single connection.
func only(t *testing.T, p *pipe, end int64) Verdict {
	t.Helper()
	p.finish(end)
	if len(p.judged) != 1 {
		t.Fatalf("%d verdicts, want one", len(p.judged))
	}
	complete(t, &p.judged[0].v)
	return p.judged[0].v
}

// complete checks what holds for every verdict.
func complete(t *testing.T, v *Verdict) {
	t.Helper()
	info := Classes[v.Class]
	if info == nil {
		t.Fatalf("class %q is not described", v.Class)
	}
	if !v.Died() {
		if len(v.Place) > 0 {
			t.Errorf("%s with a place %v", v.Class, v.Place)
		}
		return
	}
	if len(v.Place) == 0 || len(v.Evidence) == 0 || len(v.RefutedBy) == 0 || len(v.NextSteps) == 0 || v.Level == None || v.Stage == "" {
		t.Errorf("incomplete verdict %+v", v)
	}
	for _, name := range append(append([]string(nil), CommonValues...), info.Values...) {
		found := false
		for _, x := range v.Values {
			found = found || x.Name == name
		}
		if !found {
			t.Errorf("%s lacks the value %q", v.Class, name)
		}
	}
	for _, e := range v.Evidence {
		for i := 1; i < len(e.Frames); i++ {
			if e.Frames[i] <= e.Frames[i-1] {
				t.Errorf("%s: frames %v of %s do not ascend", v.Class, e.Frames, e.ID)
			}
		}
		if len(e.Frames) > maxFrames {
			t.Errorf("%s: %d frames of %s", v.Class, len(e.Frames), e.ID)
		}
	}
}
