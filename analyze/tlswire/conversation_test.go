package tlswire

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"unsafe"
)

func TestVersionsAgreeWithTheClient(t *testing.T) {
	for _, v := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(VersionName(v), func(t *testing.T) {
			cc, sc := configs()
			sc.MaxVersion = v
			log, state, err := record(t, cc, sc, 40000)
			if err != nil {
				t.Fatal(err)
			}
			c := New()
			msgs := watch(c)
			feed(c, log)
			f := c.Facts()
			if f.Version != state.Version || f.CipherSuite != state.CipherSuite || f.Client() != 0 {
				t.Errorf("version %04x suite %04x client %d, the client says %04x %04x",
					f.Version, f.CipherSuite, f.Client(), state.Version, state.CipherSuite)
			}
			if CipherSuiteName(f.CipherSuite) != tls.CipherSuiteName(state.CipherSuite) {
				t.Errorf("suite named %q, crypto/tls says %q", CipherSuiteName(f.CipherSuite), tls.CipherSuiteName(state.CipherSuite))
			}
			h := f.ClientHello()
			if h == nil || h.ServerName() != "proxy.example" || !slices.Equal(h.ALPN, []string{"h2", "http/1.1"}) ||
				h.Frame != 1 || h.First.Frame != 1 || h.Offset != 0 || h.End != int64(len(log[0].b)) || h.Bytes != len(log[0].b)-5 || h.RecordBytes != len(log[0].b) {
				t.Fatalf("ClientHello %+v in a write of %d bytes", h, len(log[0].b))
			}
			if h.JA3Hash == "" || len(h.JA4) != 36 || h.Cut {
				t.Errorf("fingerprints %q %q", h.JA3Hash, h.JA4)
			}
			client, server := f.Side(RoleClient), f.Side(RoleServer)
			if f.MalformedCount != 0 || client.SyncLost+server.SyncLost != 0 {
				t.Errorf("malformed %+v", f.Malformed)
			}
			if client.AppBytes < 40000 || server.AppBytes < 40000 || server.AppRecords < 3 {
				t.Errorf("application data: %d and %d bytes", client.AppBytes, server.AppBytes)
			}
			if server.LastApp.Frame <= server.FirstApp.Frame || server.FirstApp.Time != server.FirstApp.Frame*1000 {
				t.Errorf("application data from %+v to %+v", server.FirstApp, server.LastApp)
			}
			if v == tls.VersionTLS13 {
				if f.ServerChain != nil || h.SupportedVersions == nil || len(h.KeyShares) == 0 {
					t.Errorf("chain %v, versions %x, shares %v", f.ServerChain, h.SupportedVersions, h.KeyShares)
				}
				if got := types(*msgs, 1); !slices.Equal(got, []int{2}) {
					t.Errorf("server messages %v", got)
				}
				// The client's first encrypted record is its Finished:
				// the hash, a header, a content type and a tag.
				if first := client.First[0]; first.Type != typeApplicationData || first.Length != 53 && first.Length != 69 {
					t.Errorf("client's first encrypted record %+v", first)
				}
				return
			}
			if f.ALPN != state.NegotiatedProtocol {
				t.Errorf("ALPN %q, want %q", f.ALPN, state.NegotiatedProtocol)
			}
			checkChain(t, f.ServerChain, leaf.Certificate)
			if got := types(*msgs, 1); !slices.Equal(got, []int{2, 11, 12, 14, 4}) && !slices.Equal(got, []int{2, 11, 12, 14}) {
				t.Errorf("server messages %v", got)
			}
			if got := types(*msgs, 0); !slices.Equal(got, []int{1, 16}) {
				t.Errorf("client messages %v", got)
			}
			if client.EncryptedHandshake != 1 || server.EncryptedHandshake != 1 || client.ChangeCipherSpecs != 1 || client.EncryptedAlerts != 1 {
				t.Errorf("client side %+v", client)
			}
		})
	}
}

func checkChain(t *testing.T, got *Chain, want [][]byte) {
	t.Helper()
	if got == nil || len(got.Certificates) != len(want) || got.Count != len(want) {
		t.Fatalf("chain %+v, want %d certificates", got, len(want))
	}
	for i, der := range want {
		x, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		g := got.Certificates[i]
		var names []string
		names = append(names, x.DNSNames...)
		for _, ip := range x.IPAddresses {
			names = append(names, ip.String())
		}
		if g.Subject != x.Subject.String() || g.Issuer != x.Issuer.String() || !slices.Equal(g.Names, names) ||
			!g.NotBefore.Equal(x.NotBefore) || !g.NotAfter.Equal(x.NotAfter) ||
			g.SelfSigned != (x.Subject.String() == x.Issuer.String()) || g.IsCA != x.IsCA ||
			g.PublicKey != x.PublicKeyAlgorithm.String() || g.Fingerprint != sha256.Sum256(der) || g.Bytes != len(der) || g.Err != "" {
			t.Errorf("certificate %d: %+v", i, g)
		}
	}
}

func TestHelloRetry(t *testing.T) {
	cc, sc := configs()
	sc.CurvePreferences = []tls.CurveID{tls.CurveP384}
	log, state, err := record(t, cc, sc, 10)
	if err != nil {
		t.Fatal(err)
	}
	c := New()
	msgs := watch(c)
	feed(c, log)
	f := c.Facts()
	if f.HelloRetry == nil || !f.HelloRetry.Retry || f.HelloRetry.Group != 0x18 {
		t.Fatalf("retry %+v", f.HelloRetry)
	}
	if len(f.ClientHellos) != 2 || f.ClientHelloCount != 2 || len(f.ClientHellos[1].KeyShares) != 1 || f.ClientHellos[1].KeyShares[0] != (KeyShare{0x18, 97}) {
		t.Errorf("hellos %d, second %+v", f.ClientHelloCount, f.ClientHellos[len(f.ClientHellos)-1])
	}
	if f.ServerHello == nil || f.ServerHello.Retry || f.ServerHello.Group != 0x18 || f.Version != state.Version {
		t.Errorf("server hello %+v", f.ServerHello)
	}
	// The client's change_cipher_spec stands before its second hello and
	// hides nothing.
	if got := types(*msgs, 0); !slices.Equal(got, []int{1, 1}) {
		t.Errorf("client messages %v", got)
	}
	if f.MalformedCount != 0 {
		t.Errorf("malformed %v", f.Malformed)
	}
}

func TestClientCertificate(t *testing.T) {
	logs := recordings(t)
	c := New()
	feed(c, logs["client certificate"])
	f := c.Facts()
	if f.CertificateRequest.Frame != 2 || f.ServerDone.Frame != 2 || f.ClientKeyExchange.Frame != 3 {
		t.Errorf("request %+v done %+v exchange %+v", f.CertificateRequest, f.ServerDone, f.ClientKeyExchange)
	}
	checkChain(t, f.ClientChain, rsaLeaf.Certificate)
	checkChain(t, f.ServerChain, leaf.Certificate)

	c = New()
	feed(c, logs["TLS 1.2"])
	if f := c.Facts(); f.ClientChain != nil || f.CertificateRequest != (Place{}) {
		t.Errorf("without a request: chain %v, request %v", f.ClientChain, f.CertificateRequest)
	}
}

func TestAlerts(t *testing.T) {
	logs := recordings(t)
	for name, want := range map[string]*Alert{
		"refused by client": {From: RoleClient, Dir: 0, Level: 2, Number: 42},
		"no common version": {From: RoleServer, Dir: 1, Level: 2, Number: 70},
		"TLS 1.2":           nil, // its close_notify is encrypted
		"TLS 1.3":           nil,
		// The refusal is encrypted; its size tells.
		"refused by client, TLS 1.3": nil,
	} {
		c := New()
		feed(c, logs[name])
		f := c.Facts()
		if want == nil {
			if f.AlertCount != 0 {
				t.Errorf("%s: alerts %+v", name, f.Alerts)
			}
			continue
		}
		if len(f.Alerts) != 1 || f.AlertCount != 1 {
			t.Errorf("%s: alerts %+v", name, f.Alerts)
			continue
		}
		a := f.Alerts[0]
		if a.From != want.From || a.Dir != want.Dir || a.Level != want.Level || a.Number != want.Number || a.Frame == 0 {
			t.Errorf("%s: %+v, want %+v", name, a, want)
		}
	}
	c := New()
	feed(c, logs["refused by client, TLS 1.3"])
	if s := c.Facts().Side(RoleClient); len(s.First) != 1 || s.First[0].Length != 19 || s.First[0].Type != typeApplicationData || s.Last[1] != s.First[0] {
		t.Errorf("client's records %+v", s.First)
	}
}

func TestMessageRecords(t *testing.T) {
	for _, x := range []struct {
		content                int
		control, one, expected bool
	}{
		{9, true, true, false}, {13, true, true, false}, {26, true, true, false}, {39, true, false, false}, {59, false, false, true}, {2, true, true, false},
	} {
		if IsControl(x.content) != x.control || IsOneControl(x.content) != x.one {
			t.Errorf("%d bytes: control %v, one %v", x.content, IsControl(x.content), IsOneControl(x.content))
		}
		var s Side
		s.list(Record{Place: Place{Frame: 1}, Length: uint16(x.content + overhead13)})
		if (s.LastMessage.Frame != 0) != x.expected || (s.Messages == 1) != x.expected || (s.LastOther.Frame != 0) == x.one {
			t.Errorf("%d bytes: %+v", x.content, s)
		}
	}
}

func TestResumption(t *testing.T) {
	logs := recordings(t)
	for name, want := range map[string]bool{"full": false, "resumed": true, "TLS 1.3": false} {
		c := New()
		feed(c, logs[name])
		f := c.Facts()
		if f.Resumed != want || f.MalformedCount != 0 {
			t.Errorf("%s: resumed %v, malformed %v", name, f.Resumed, f.Malformed)
		}
		if want && (f.ServerChain != nil || f.ClientHello().Ticket == 0) {
			t.Errorf("%s: chain %v, ticket %d", name, f.ServerChain, f.ClientHello().Ticket)
		}
	}
	cc, sc := configs()
	cc.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	sc.SetSessionTicketKeys([][32]byte{{2}})
	for _, want := range []bool{false, true} {
		log, state, err := record(t, cc, sc, 10)
		if err != nil || state.DidResume != want {
			t.Fatalf("resumed %v, %v", state.DidResume, err)
		}
		c := New()
		feed(c, log)
		f := c.Facts()
		if f.Resumed != want || f.ClientHello().PSK != want {
			t.Errorf("TLS 1.3: resumed %v, offered %v, want %v", f.Resumed, f.ClientHello().PSK, want)
		}
	}
}

// Facts do not depend on how the stream was cut into segments.
func TestChunking(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for name, log := range recordings(t) {
		want := fixedFacts(log, func(n int) int { return n })
		if want.ClientHello() == nil {
			t.Errorf("%s: no ClientHello", name)
		}
		for i := range 20 {
			size := func(n int) int { return 1 + rng.IntN(min(n, 1+i*i*5)) }
			if got := fixedFacts(log, size); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: chunks of at most %d bytes: %+v\nwant %+v", name, 1+i*i*5, got, want)
				break
			}
		}
	}
}

// fixedFacts feeds log with every byte in frame 1, cut as size says.
func fixedFacts(log []chunk, size func(int) int) *Facts {
	c := New()
	for _, k := range log {
		for b := k.b; len(b) > 0; {
			n := size(len(b))
			c.Data(k.dir, 1, 1, b[:n])
			b = b[n:]
		}
	}
	c.End()
	return c.Facts()
}

// A hello over several segments belongs to the frame that completes it.
func TestCompletingFrame(t *testing.T) {
	hello := recordings(t)["TLS 1.3"][0].b
	c := New()
	msgs := watch(c)
	c.Data(0, 7, 70, hello[:900])
	if len(*msgs) != 0 || c.Facts().ClientHello() != nil {
		t.Fatal("reported before it was complete")
	}
	if open := c.Facts().Sides[0]; open.Open.Type != typeHandshake || open.OpenHave != 895 || int(open.Open.Length) != len(hello)-5 {
		t.Errorf("open record %+v with %d bytes", open.Open, open.OpenHave)
	}
	c.Data(0, 9, 90, hello[900:])
	h := c.Facts().ClientHello()
	if len(*msgs) != 1 || (*msgs)[0].frame != 9 || h.Frame != 9 || h.Time != 90 || h.First != (Place{7, 70}) {
		t.Errorf("messages %+v, hello at %+v from %+v", *msgs, h.Place, h.First)
	}
}

// rechunk puts the handshake bytes of one record into records of n bytes.
func rechunk(record []byte, n int) []byte {
	var out []byte
	for body := record[5:]; len(body) > 0; {
		k := min(n, len(body))
		out = append(out, record[0], record[1], record[2], byte(k>>8), byte(k))
		out = append(out, body[:k]...)
		body = body[k:]
	}
	return out
}

func TestHelloAcrossRecords(t *testing.T) {
	hello := recordings(t)["TLS 1.3"][0].b
	c := New()
	c.Data(0, 1, 1, hello)
	want := c.Facts().ClientHello()
	for _, n := range []int{1, 3, 4, 5, 100, 1000} {
		b := rechunk(hello, n)
		c := New()
		c.Data(0, 1, 1, b)
		got := *c.Facts().ClientHello()
		records := (len(hello) - 5 + n - 1) / n
		if got.Records != records || got.RecordBytes != len(b) || got.End != int64(len(b)) || got.Offset != 0 {
			t.Errorf("records of %d: %d records, %d bytes, to %d; want %d, %d", n, got.Records, got.RecordBytes, got.End, records, len(b))
		}
		got.Records, got.RecordBytes, got.End = want.Records, want.RecordBytes, want.End
		if !reflect.DeepEqual(&got, want) {
			t.Errorf("records of %d: %+v", n, got)
		}
	}
}

func TestSizeWhenIdle(t *testing.T) {
	if n := unsafe.Sizeof(Conversation{}); n > 300 {
		t.Errorf("a conversation takes %d bytes", n)
	}
	for name, log := range recordings(t) {
		c := New()
		feed(c, log)
		if c.dirs[0].asm != nil || c.dirs[1].asm != nil {
			t.Errorf("%s: buffers are held after the handshake", name)
		}
	}
}

func TestCacheShares(t *testing.T) {
	log := recordings(t)["TLS 1.2"]
	var cache Cache
	var got [2]*Certificate
	for i := range got {
		c := &Conversation{Cache: &cache}
		feed(c, log)
		got[i] = c.Facts().ServerChain.Certificates[0]
	}
	if got[0] != got[1] {
		t.Error("the same certificate was kept twice")
	}
}
