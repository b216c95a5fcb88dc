package tlswire

import (
	"bytes"
	"crypto/x509"
	"slices"
	"strings"
	"testing"
)

func TestMissingInsideHello(t *testing.T) {
	hello := recordings(t)["TLS 1.3"][0].b
	whole := New()
	whole.Data(0, 1, 1, hello)
	name := bytes.Index(hello, []byte("proxy.example")) + len("proxy.example")
	for _, cut := range []int{len(hello) - 1, name, name - 1, 20, 9, 8} {
		c := New()
		msgs := watch(c)
		c.Data(0, 5, 50, hello[:cut])
		c.Missing(0, 5, 50, len(hello)-cut)
		h := c.Facts().ClientHello()
		if cut == 8 {
			// Without the four header bytes there is no message to name.
			if h != nil || len(*msgs) != 0 {
				t.Errorf("cut at 8: %+v", h)
			}
			continue
		}
		if h == nil || !h.Cut || h.JA3Hash != "" || h.JA4 != "" || len(*msgs) != 1 || (*msgs)[0].frame != 5 || !(*msgs)[0].Cut || (*msgs)[0].Type != 1 {
			t.Errorf("cut at %d: %+v, messages %+v", cut, h, *msgs)
			continue
		}
		want := ""
		if cut >= name {
			want = "proxy.example"
		}
		if h.ServerName() != want {
			t.Errorf("cut at %d: server name %q, want %q", cut, h.ServerName(), want)
		}
		if f := c.Facts(); f.MalformedCount != 0 {
			t.Errorf("cut at %d: malformed %v", cut, f.Malformed)
		}
		// The record's boundary was kept: the next record is read.
		c.Data(0, 6, 60, []byte{20, 3, 3, 0, 1, 1})
		if s := c.Facts().Sides[0]; s.ChangeCipherSpec.Frame != 6 || s.SyncLost != 0 {
			t.Errorf("cut at %d: side %+v", cut, s)
		}
	}
}

// A sliced capture shows the beginning of each message of a flight that fits
// its record, and the boundaries behind it.
func TestMissingInsideFlight(t *testing.T) {
	log := recordings(t)["TLS 1.2"]
	flight := log[1].b
	c := New()
	msgs := watch(c)
	c.Data(0, 1, 1, log[0].b)
	// Lose the middle of the Certificate message.
	at := bytes.Index(flight, leaf.Certificate[0])
	c.Data(1, 2, 2, flight[:at+100])
	c.Missing(1, 2, 2, 300)
	c.Data(1, 3, 3, flight[at+400:])
	if got := types(*msgs, 1); !slices.Equal(got, []int{2, 11, 12, 14}) {
		t.Errorf("server messages %v", got)
	}
	f := c.Facts()
	if f.ServerChain == nil || !f.ServerChain.Cut || f.ServerDone.Frame != 3 || f.MalformedCount != 0 || f.Sides[1].Missing != 300 {
		t.Errorf("chain %+v, done %+v, malformed %v", f.ServerChain, f.ServerDone, f.Malformed)
	}
}

func TestMissingInsideApplicationData(t *testing.T) {
	record := append([]byte{23, 3, 3, 0x40, 0}, make([]byte, 0x4000)...)
	c := New()
	c.Data(0, 1, 1, record[:1000])
	c.Missing(0, 2, 2, 10000)
	c.Data(0, 3, 3, record[11000:])
	c.Data(0, 4, 4, record)
	s := &c.Facts().Sides[0]
	if s.AppRecords != 2 || s.AppBytes != 2*0x4000 || s.SyncLost != 0 || s.Missing != 0 {
		t.Errorf("inside a record: %+v", s)
	}

	// Beyond its end the boundaries are gone, until a segment begins with
	// a record.
	c = New()
	c.Data(0, 1, 1, record[:1000])
	c.Missing(0, 2, 2, 20000)
	c.Data(0, 3, 3, record)
	if s := &c.Facts().Sides[0]; s.AppRecords != 1 || s.SyncLost != 1 || s.Unread != int64(len(record)) {
		t.Errorf("without a segment start: %+v", s)
	}
	c.SegmentStart(0)
	c.Data(0, 4, 4, bytes.Repeat([]byte{9}, 100))
	c.SegmentStart(0)
	c.Data(0, 5, 5, record)
	if s := &c.Facts().Sides[0]; s.AppRecords != 2 || s.SyncLost != 1 || s.Last[1].Frame != 5 {
		t.Errorf("with a segment start: %+v", s)
	}
}

// After a hole that may have hidden change_cipher_spec, what is encrypted is
// not taken for a message, and what is in clear still is.
func TestEncryptedAfterHole(t *testing.T) {
	start := func() (*Conversation, *[]seen) {
		c := New()
		msgs := watch(c)
		c.Data(1, 1, 1, append([]byte{22, 3, 3, 0, 4}, 14, 0, 0, 0))
		c.Missing(1, 2, 2, 6)
		c.SegmentStart(1)
		return c, msgs
	}
	c, msgs := start()
	// Begins like a Certificate of 5 bytes, but does not go on like one.
	c.Data(1, 3, 3, append([]byte{22, 3, 3, 0, 40, 11, 0, 0, 5}, bytes.Repeat([]byte{0xa7}, 36)...))
	if got := types(*msgs, 1); !slices.Equal(got, []int{14}) || c.Facts().Sides[1].EncryptedHandshake != 1 {
		t.Errorf("encrypted: %v", got)
	}
	c, msgs = start()
	c.Data(1, 3, 3, append([]byte{22, 3, 3, 0, 40, 4, 0, 0, 36}, make([]byte, 36)...))
	if got := types(*msgs, 1); !slices.Equal(got, []int{14, 4}) {
		t.Errorf("in clear: %v", got)
	}
}

// The nonce of an encrypted record is zero and looks like HelloRequests.
func TestNonceIsNoMessage(t *testing.T) {
	finished := append([]byte{22, 3, 3, 0, 40}, make([]byte, 40)...)
	ccs := []byte{20, 3, 3, 0, 1, 1}
	c := New()
	msgs := watch(c)
	c.Data(0, 1, 1, append(slices.Clone(ccs), finished...))
	if got := types(*msgs, 0); len(got) != 0 || c.Facts().Sides[0].EncryptedHandshake != 1 {
		t.Errorf("after change_cipher_spec: %v", got)
	}
	c = New()
	msgs = watch(c)
	c.Data(0, 1, 1, []byte{22, 3, 3, 0, 4, 0, 0, 0, 0})
	if got := types(*msgs, 0); !slices.Equal(got, []int{0}) {
		t.Errorf("a HelloRequest in clear: %v", got)
	}
}

func TestLengthLies(t *testing.T) {
	body := make([]byte, 16000)
	copy(body, []byte{1, 0xff, 0xff, 0xff, 3, 3})
	record := append([]byte{22, 3, 1, 0x3e, 0x80}, body...)
	c := New()
	c.Data(0, 1, 1, record)
	f := c.Facts()
	if f.MalformedCount != 1 || !strings.Contains(f.Malformed[0].Reason, "16777215") || f.ClientHello() == nil || !f.ClientHello().Cut {
		t.Fatalf("malformed %+v", f.Malformed)
	}
	more := append([]byte{22, 3, 1, 0x3e, 0x80}, make([]byte, 16000)...)
	for range 1000 {
		c.Data(0, 2, 2, more)
		if c.dirs[0].asm != nil && cap(c.dirs[0].asm.buf) > 0 {
			t.Fatal("a message beyond the limit is buffered")
		}
	}
	// A long message within the limit is kept, and no more than that.
	c = New()
	copy(body, []byte{11, 1, 0xff, 0xff, 0})
	copy(record[5:], body)
	c.Data(0, 1, 1, record)
	for range 7 {
		c.Data(0, 2, 2, more)
	}
	if a := c.dirs[0].asm; a == nil || len(a.buf) != 8*16000 || cap(a.buf) > 2*maxHandshake {
		t.Errorf("buffered %v", a)
	}
	c.Data(0, 3, 3, more)
	if f := c.Facts(); c.dirs[0].asm != nil && len(c.dirs[0].asm.buf) > 16000 || f.MalformedCount == 0 {
		t.Errorf("after its end: malformed %v", f.Malformed)
	}
}

func TestMalformedHello(t *testing.T) {
	hello := recordings(t)["TLS 1.3"][0].b
	at := bytes.Index(hello, []byte("proxy.example")) - 9 // the extension's header
	bad := slices.Clone(hello)
	bad[at+2] = 0x70 // its length
	c := New()
	c.Data(0, 4, 4, bad)
	f := c.Facts()
	if len(f.Malformed) == 0 {
		t.Fatal("nothing malformed")
	}
	if m := f.Malformed[0]; m.Frame != 4 || m.Offset != 0 || m.At != at-5 || !strings.Contains(m.Reason, "extension 0 of 28690 bytes") {
		t.Errorf("%+v, want at %d", m, at-5)
	}
	if h := f.ClientHello(); h == nil || h.ServerName() != "proxy.example" || h.Cut {
		t.Errorf("hello %+v", h)
	}
	c = New()
	c.Data(0, 4, 4, hello)
	if f := c.Facts(); f.MalformedCount != 0 {
		t.Errorf("its look-alike: %+v", f.Malformed)
	}
}

func TestNotTLS(t *testing.T) {
	c := New()
	c.SegmentStart(0)
	c.Data(0, 3, 3, []byte("HTTP/1.1 403 Forbidden\r\n\r\n"))
	s := &c.Facts().Sides[0]
	if s.NotTLS.Frame != 3 || s.Unread != 26 || c.Facts().MalformedCount != 0 {
		t.Errorf("%+v", s)
	}
	// Text before TLS, as behind CONNECT and STARTTLS.
	hello := recordings(t)["TLS 1.2"][0].b
	for _, first := range []string{"CONNECT proxy.example:443 HTTP/1.1\r\n\r\n", "\x16\x03", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"} {
		c := New()
		c.SegmentStart(0)
		c.Data(0, 3, 3, []byte(first))
		c.SegmentStart(0)
		c.Data(0, 4, 4, hello)
		h := c.Facts().ClientHello()
		if h == nil || h.Frame != 4 || h.Offset != int64(len(first)) || h.Cut {
			t.Errorf("behind %q: %+v", first, h)
		}
	}
	c = New()
	c.Data(0, 3, 3, append([]byte("PROXY UNKNOWN\r\n"), hello...))
	if h := c.Facts().ClientHello(); h == nil || h.Offset != 15 {
		t.Errorf("behind a PROXY line: %+v", h)
	}
	two := "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + strings.Repeat("x", 12)
	c = New()
	c.Data(0, 3, 3, append([]byte(two), hello...))
	if h := c.Facts().ClientHello(); h == nil || h.Offset != 28 {
		t.Errorf("behind a PROXY header: %+v", h)
	}
}

// ssl2Hello is a ClientHello in SSL 2.0 framing that offers SSL 3.0.
var ssl2Hello = append([]byte{0x80, 0x2e, 1, 3, 0, 0, 15, 0, 0, 0, 16,
	0, 0, 0x39, 0, 0, 0x35, 0, 0, 0x0a, 1, 0, 0x80, 7, 0, 0xc0}, "0123456789012345 the next bytes"[:22]...)

func TestSSL2Hello(t *testing.T) {
	b := slices.Clone(ssl2Hello)
	b[1] = byte(len(b) - 2)
	b[10] = byte(len(b) - 2 - 9 - 15)
	if !LooksLikeRecord(b) {
		t.Fatal("not recognised")
	}
	for n := 1; n <= len(b); n++ {
		c := New()
		msgs := watch(c)
		c.Data(0, 1, 1, b[:n])
		if n < len(b) {
			c.Data(0, 2, 2, b[n:])
		}
		h := c.Facts().ClientHello()
		if h == nil || !h.SSLv2 || h.Version != 0x0300 || !slices.Equal(h.CipherSuites, []uint16{0x39, 0x35, 0x0a}) || h.JA3 != "" ||
			len(*msgs) != 1 || c.Facts().Role(0) != RoleClient || c.Facts().MalformedCount != 0 {
			t.Fatalf("split at %d: %+v", n, h)
		}
	}
	b[6] = 16 // suites come in threes
	if LooksLikeRecord(b) {
		t.Error("recognised with lengths that do not fit")
	}
}

func TestLooksLikeRecord(t *testing.T) {
	for name, log := range recordings(t) {
		for i, k := range log {
			if !LooksLikeRecord(k.b) || !LooksLikeRecord(k.b[:5]) {
				t.Errorf("%s: write %d is not recognised", name, i)
			}
		}
	}
	for _, s := range []string{
		"", "\x16\x03\x01\x02", "GET / HTTP/1.1\r\n", "SSH-2.0-OpenSSH_9.9\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"\x16\x03\x01\x00\x00",                         // an empty handshake record
		"\x16\x03\x01\x02\x00\x01\xff\xff\xff\x03\x03", // a hello of 16 MiB
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x09\x09", // a hello of no version
		"\x16\x03\x01\x02\x00\x63\x00\x01\xfc\x03\x03", // an unknown message, too long for an encrypted one
		"\x14\x03\x01\x00\x02\x01\x01",                 // change_cipher_spec of two bytes
		"\x14\x03\x01\x00\x01\x02",                     // and of another value
		"\x15\x03\x01\x00\x02\x03\x00",                 // an alert of level 3
		"\x15\x03\x01\x00\x02\x02\xfe",                 // an unknown alert
		"\x17\x03\x03\x00\x00", "\x17\x03\x03\xff\xff", // impossible lengths
		"\x17\x02\x03\x00\x40", "\x18\x04\x00\x00\x40", // other versions
		"\x15\x03\x03\x00\x02\x01\x00garbage", "\x00\x00\x00\x17\x03\x03\x00\x40",
	} {
		if LooksLikeRecord([]byte(s)) {
			t.Errorf("%q is taken for a record", s)
		}
	}
	for _, s := range []string{
		"\x15\x03\x01\x00\x02\x02\x46", "\x14\x03\x03\x00\x01\x01\x16\x03\x03\x00\x28abc", "\x17\x03\x03\x00\x40xyz",
		"\x15\x03\x03\x00\x1aencrypted",
	} {
		if !LooksLikeRecord([]byte(s)) {
			t.Errorf("%q is not recognised", s)
		}
	}
}

// What x509 refuses is still named.
func TestCertificateRefused(t *testing.T) {
	keysOnce.Do(keys)
	der := slices.Clone(leaf.Certificate[0])
	if cert := (*Cache)(nil).certificate(der); cert.Err != "" {
		t.Fatalf("untouched: %s", cert.Err)
	}
	at := bytes.Index(der, []byte{2, 1, 0x7a})
	der[at+2] = 0xfa // a negative serial number
	if _, err := x509.ParseCertificate(der); err == nil {
		t.Fatal("crypto/x509 accepts the serial number")
	}
	cert := (*Cache)(nil).certificate(der)
	if cert.Err == "" || cert.Subject != "CN=proxy.example,O=Example" || cert.Issuer != "CN=Example Test CA" || len(cert.Names) != 4 || cert.NotAfter.IsZero() || cert.PublicKey != "ECDSA" {
		t.Errorf("%+v", cert)
	}
	if cert := (*Cache)(nil).certificate([]byte("no certificate")); cert.Err == "" || cert.Subject != "" || cert.Bytes != 14 {
		t.Errorf("%+v", cert)
	}
}

func TestHelloNeverCompleted(t *testing.T) {
	hello := recordings(t)["TLS 1.3"][0].b
	c := New()
	msgs := watch(c)
	c.Data(0, 1, 1, hello[:1000])
	c.End()
	if h := c.Facts().ClientHello(); h == nil || !h.Cut || h.ServerName() != "proxy.example" || len(*msgs) != 0 {
		t.Errorf("%+v, messages %v", h, *msgs)
	}
}
