package diagnose

import (
	"crypto/tls"
	"slices"
	"testing"

	"goproxytrace/internal/packets"
)

const (
	v4Server = "198.51.100.1:443"
	v6Server = "[2001:db8:1::1]:443"
)

// story is one connection, and what must be said of it.
type story struct {
	name string
	// play writes the packets; it returns when the capture ends (0: with
	// the last packet).
	play  func(t *testing.T, w *wire) int64
	class Class
	place []Place
	level Level
	// evidence must be among that given.
	evidence []string
}

func runStories(t *testing.T, server string, stories []story) {
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			p := newPipe(t)
			w := newWire(p, server)
			end := s.play(t, w)
			v := only(t, p, end)
			if v.Class != s.class || !slices.Equal(v.Place, s.place) || v.Level != s.level {
				t.Errorf("got %s %v %s, want %s %v %s\nevidence %+v\nnot assessed %v", v.Class, v.Place, v.Level, s.class, s.place, s.level, v.Evidence, v.NotAssessed)
			}
			for _, id := range s.evidence {
				if !v.has(id) {
					t.Errorf("lacks evidence %s: %+v", id, v.Evidence)
				}
			}
		})
	}
}

func TestConnect(t *testing.T) {
	runStories(t, v4Server, []story{
		{"no answer", func(_ *testing.T, w *wire) int64 {
			w.syn().wait(sec).syn().wait(2 * sec).syn()
			return w.now + 20*sec
		}, ConnectNoAnswer, beyond, Proven, []string{"syn.unanswered"}},
		{"first SYN lost", func(_ *testing.T, w *wire) int64 {
			w.syn().wait(sec).open().cfin()
			return w.now + 20*sec
		}, OK, nil, Proven, nil},
		{"capture ends while it waits", func(_ *testing.T, w *wire) int64 {
			w.syn().wait(sec).syn()
			return w.now + 2*sec
		}, OK, nil, Consistent, nil},
		{"one SYN in a capture that hears nothing", func(_ *testing.T, w *wire) int64 {
			w.p.env.Heard = false
			w.syn().wait(sec).syn()
			return w.now + 20*sec
		}, ConnectNoAnswer, beyond, Consistent, []string{"syn.unanswered"}},
		{"no answer, but the capture dropped packets", func(_ *testing.T, w *wire) int64 {
			w.p.env.Drops = 3
			w.syn().wait(sec).syn()
			return w.now + 20*sec
		}, CaptureUnusable, nil, None, nil},
		{"refused", func(_ *testing.T, w *wire) int64 {
			w.syn().wait(rtt).put(w.s(packets.RST|packets.ACK, 0, 1, nil))
			return 0
		}, ConnectRefused, beyond, Proven, []string{"syn.reset"}},
		{"reset that answers another SYN", func(_ *testing.T, w *wire) int64 {
			w.syn().wait(rtt).put(w.s(packets.RST|packets.ACK, 0, 77, nil))
			w.wait(sec).open().cfin()
			return 0
		}, OK, nil, Proven, nil},
		{"prohibited by a router", func(_ *testing.T, w *wire) int64 {
			w.syn().wait(rtt).put(packets.ICMPError("203.0.113.9", "192.0.2.10", 3, 13, w.c(packets.SYN, 0, 0, nil)))
			return 0
		}, ConnectUnreachable, inNetwork, Proven, []string{"icmp.unreachable", "icmp.prohibited"}},
		{"prohibited by the destination", func(_ *testing.T, w *wire) int64 {
			w.syn().wait(rtt).put(packets.ICMPError("198.51.100.1", "192.0.2.10", 3, 10, w.c(packets.SYN, 0, 0, nil)))
			return 0
		}, ConnectUnreachable, beyond, Proven, []string{"icmp.unreachable"}},
		{"host unreachable", func(_ *testing.T, w *wire) int64 {
			w.syn().wait(rtt).put(packets.ICMPError("203.0.113.9", "192.0.2.10", 3, 1, w.c(packets.SYN, 0, 0, nil)))
			return 0
		}, ConnectUnreachable, beyond, Proven, []string{"icmp.unreachable"}},
		{"forged ICMP with a wrong sequence number", func(_ *testing.T, w *wire) int64 {
			w.syn().wait(rtt).put(packets.ICMPError("203.0.113.9", "192.0.2.10", 3, 13, w.c(packets.SYN, 999, 0, nil)))
			w.wait(sec).open().cfin()
			return 0
		}, OK, nil, Proven, nil},
		{"hole in the server's flight, no selective acknowledgements", func(t *testing.T, w *wire) int64 {
			w.open().up(hello(t), true)
			for range 2 {
				w.put(w.s(packets.ACK|packets.PSH, 1+1460, w.sack, make([]byte, 300)))
				w.put(w.c(packets.ACK, w.cseq, 1, nil))
			}
			w.wait(7 * sec).cfin()
			return w.now + sec
		}, TLSLargePacketsLost, inNetwork, Suggested, []string{"client.duplicate-acks"}},
		{"the server's flight whole, one acknowledgement repeated", func(t *testing.T, w *wire) int64 {
			b := handshake(t, tls.VersionTLS13, false)[1].bytes
			w.open().up(hello(t), true)
			w.put(w.s(packets.ACK|packets.PSH, 1, w.sack, b[:min(len(b), mss)]))
			w.put(w.c(packets.ACK, w.cseq, 1, nil))
			w.wait(7 * sec).cfin()
			return w.now + sec
		}, CaptureUnusable, nil, None, nil},
		{"answer ignored here", func(_ *testing.T, w *wire) int64 {
			w.p.segment = outbound
			w.syn().wait(rtt).synack().wait(sec).syn().wait(rtt).synack().wait(2 * sec).syn().wait(rtt).synack()
			return w.now + 20*sec
		}, ConnectAnswerIgnored, inHost, Proven, []string{"synack.repeated", "syn.repeated-after-answer"}},
		{"damaged answer", func(_ *testing.T, w *wire) int64 {
			bad := func() { w.put(w.s(packets.SYN|packets.ACK, 0, 1, nil).BadChecksum()) }
			w.syn().wait(rtt)
			bad()
			w.wait(sec).syn().wait(rtt)
			bad()
			return w.now + 20*sec
		}, ConnectNoAnswer, beyond, Proven, []string{"synack.damaged"}},
		{"answer to another SYN", func(_ *testing.T, w *wire) int64 {
			wrong := func() { w.put(w.s(packets.SYN|packets.ACK, 0, 5000, nil)) }
			w.syn().wait(rtt)
			wrong()
			w.wait(sec).syn().wait(rtt)
			wrong()
			return w.now + 20*sec
		}, ConnectNoAnswer, beyond, Proven, []string{"synack.wrong-ack"}},
		{"client cancels, as a race of families does", func(_ *testing.T, w *wire) int64 {
			w.syn().wait(rtt).synack()
			w.cseq = 1
			w.crst()
			return w.now + 20*sec
		}, OK, nil, Consistent, nil},
		{"reset over loopback", func(_ *testing.T, w *wire) int64 {
			w.loopback = true
			w.put(w.s(packets.RST|packets.ACK, 0, 1, nil))
			return 0
		}, ConnectRejectedLocally, inHost, Proven, []string{"reset.loopback", "syn.not-on-wire"}},
		{"lone reset from the wire", func(_ *testing.T, w *wire) int64 {
			w.put(w.s(packets.RST|packets.ACK, 0, 1, nil))
			return 0
		}, CaptureUnusable, nil, None, nil},
	})
}

func TestHandshake(t *testing.T) {
	runStories(t, v4Server, []story{
		{"healthy download", func(t *testing.T, w *wire) int64 {
			w.open().shake(t, tls.VersionTLS13).cfin().wait(rtt).down(appData(19)).sfin().crst()
			return 0
		}, OK, nil, Proven, nil},
		{"spare connection", func(_ *testing.T, w *wire) int64 {
			w.open().wait(100 * ms).cfin().wait(rtt).sfin()
			return w.now + 60*sec
		}, OK, nil, Proven, nil},
		{"no ClientHello", func(_ *testing.T, w *wire) int64 {
			w.open()
			return w.now + 12*sec
		}, TLSClientHelloNotSent, atThisEnd, Consistent, []string{"clienthello.absent"}},
		{"no ClientHello until Go's timer", func(_ *testing.T, w *wire) int64 {
			w.open().wait(10 * sec).cfin()
			return w.now + sec
		}, TLSClientHelloNotSent, atThisEnd, Suggested, []string{"clienthello.absent"}},
		{"capture ends before the ClientHello", func(_ *testing.T, w *wire) int64 {
			w.open()
			return w.now + 2*sec
		}, OK, nil, Consistent, nil},
		{"reset that acknowledges an unsent hello", func(t *testing.T, w *wire) int64 {
			w.open()
			w.put(w.s(packets.RST|packets.ACK, 1, 1+uint32(len(hello(t))), nil))
			return 0
		}, TLSClientHelloNotSent, inHost, Suggested, []string{"reset.acks-unsent"}},
		{"reset before the hello", func(_ *testing.T, w *wire) int64 {
			w.open().wait(rtt).put(w.s(packets.RST|packets.ACK, 1, 1, nil))
			return 0
		}, TLSReset, beyond, Proven, []string{"reset.before-clienthello"}},
		{"hello lost", func(t *testing.T, w *wire) int64 {
			h := hello(t)
			w.open().up(h, false).again(1, h[:mss], 6)
			return w.now + sec
		}, TLSClientHelloLost, inNetwork, Suggested, []string{"clienthello.unacknowledged", "clienthello.resent"}},
		{"hello lost once", func(t *testing.T, w *wire) int64 {
			h := hello(t)
			w.open().up(h, false).again(1, h[:mss], 1).wait(rtt)
			w.sack = w.cseq
			w.put(w.s(packets.ACK, 1, w.sack, nil))
			for _, f := range handshake(t, tls.VersionTLS13, false)[1:] {
				if f.fromClient {
					w.up(f.bytes, true)
				} else {
					w.down(f.bytes)
				}
			}
			w.cfin().wait(rtt).sfin()
			return 0
		}, OK, nil, Proven, nil},
		{"last part of the hello lost", func(t *testing.T, w *wire) int64 {
			h := hello(t)
			if len(h) <= mss {
				t.Skip("this Go sends its ClientHello in one segment")
			}
			w.open().up(h, false).wait(rtt).put(w.s(packets.ACK, 1, 1+mss, nil))
			w.again(1+mss, h[mss:], 5)
			return w.now + sec
		}, TLSClientHelloLost, inNetwork, Suggested, []string{"clienthello.last-part-lost"}},
		{"first part of the hello lost", func(t *testing.T, w *wire) int64 {
			h := hello(t)
			if len(h) <= mss {
				t.Skip("this Go sends its ClientHello in one segment")
			}
			w.open().up(h, false).wait(rtt)
			w.put(w.s(packets.ACK, 1, 1, nil).SACK(clientISN+1+mss, clientISN+1+uint32(len(h))))
			w.again(1, h[:mss], 5)
			return w.now + sec
		}, TLSLargePacketsLost, inNetwork, Suggested, []string{"clienthello.first-part-lost"}},
		{"router says too big", func(t *testing.T, w *wire) int64 {
			h := hello(t)
			w.open().up(h, false).wait(rtt)
			w.put(packets.ICMPError("203.0.113.9", "192.0.2.10", 3, 4, w.c(packets.ACK, 1, 1, h[:mss])).ICMPRest(1400))
			w.again(1, h[:mss], 5)
			return w.now + sec
		}, TLSLargePacketsLost, inNetwork, Proven, []string{"icmp.too-big"}},
		{"no ServerHello", func(t *testing.T, w *wire) int64 {
			w.open().up(hello(t), true).wait(10 * sec).cfin().wait(rtt).put(w.s(packets.ACK, 1, w.cseq, nil))
			return w.now + sec
		}, TLSNoServerHello, beyond, Proven, []string{"clienthello.acknowledged", "server.silent", "fin.acknowledged"}},
		{"no ServerHello when the capture ends", func(t *testing.T, w *wire) int64 {
			w.open().up(hello(t), true)
			return w.now + 7*sec
		}, TLSNoServerHello, beyond, Consistent, []string{"server.silent"}},
		{"slow ServerHello", func(t *testing.T, w *wire) int64 {
			w.open()
			for _, f := range handshake(t, tls.VersionTLS13, false) {
				if f.fromClient {
					w.up(f.bytes, true)
				} else {
					w.wait(4 * sec).down(f.bytes)
				}
			}
			w.cfin().wait(rtt).sfin()
			return 0
		}, OK, nil, Proven, nil},
		{"capture ends soon after the hello", func(t *testing.T, w *wire) int64 {
			w.open().up(hello(t), true)
			return w.now + 3*sec
		}, OK, nil, Consistent, nil},
		{"process ends in the handshake", func(t *testing.T, w *wire) int64 {
			w.open().up(hello(t), true).wait(100 * ms).cfin()
			return w.now + 20*sec
		}, OK, nil, Proven, nil},
		{"client leaves after two seconds", func(t *testing.T, w *wire) int64 {
			w.open().up(hello(t), true).wait(2 * sec).cfin()
			return w.now + 20*sec
		}, ClientAborted, inClient, Consistent, []string{"client.left-waiting"}},
		{"reset by the far end", func(t *testing.T, w *wire) int64 {
			w.open().up(hello(t), true).srst()
			return 0
		}, TLSReset, beyond, Proven, []string{"reset.after-clienthello"}},
		{"reset sooner than the far end can", func(t *testing.T, w *wire) int64 {
			w.p.addrs[addrOf(v4Server)] = &AddressFacts{MinRTT: rtt, RTTs: 1}
			w.open().up(hello(t), false).wait(4 * ms).put(w.s(packets.RST|packets.ACK, 1, w.cseq, nil))
			return 0
		}, TLSReset, inNetwork, Proven, []string{"reset.faster-than-rtt"}},
		{"early reset that acknowledges nothing", func(t *testing.T, w *wire) int64 {
			w.open().up(hello(t), false).wait(4 * ms).put(w.s(packets.RST, 1, 0, nil))
			return 0
		}, TLSReset, beyond, Proven, []string{"reset.early"}},
		{"reset beside which the server goes on", func(t *testing.T, w *wire) int64 {
			w.open().up(hello(t), false).wait(38 * ms).put(w.s(packets.RST|packets.ACK, 1, w.cseq, nil))
			w.wait(5 * ms).put(w.s(packets.ACK, 1, w.cseq, handshake(t, tls.VersionTLS13, false)[1].bytes[:100]))
			return 0
		}, TLSReset, inNetwork, Suggested, []string{"reset.sender-continues"}},
		{"reset that overtook the acknowledgement before it", func(t *testing.T, w *wire) int64 {
			w.open().up(hello(t), false).wait(38 * ms).put(w.s(packets.RST|packets.ACK, 1, w.cseq, nil))
			w.wait(5 * ms).put(w.s(packets.ACK, 1, w.cseq, nil))
			return 0
		}, TLSReset, beyond, Proven, []string{"reset.sender-continues"}},
		{"reset and an acknowledgement later than packets overtake each other", func(t *testing.T, w *wire) int64 {
			w.open().up(hello(t), false).wait(38 * ms).put(w.s(packets.RST|packets.ACK, 1, w.cseq, nil))
			w.wait(rtt/2 + 5*ms).put(w.s(packets.ACK, 1, w.cseq, nil))
			return 0
		}, TLSReset, inNetwork, Suggested, []string{"reset.sender-continues"}},
		{"reset with another time to live only", func(t *testing.T, w *wire) int64 {
			w.open().up(hello(t), true).put(w.s(packets.RST|packets.ACK, 1, w.cseq, nil).TTL(60))
			return 0
		}, TLSReset, beyond, Proven, []string{"reset.ttl"}},
		{"closed without an answer", func(t *testing.T, w *wire) int64 {
			w.open().up(hello(t), true).sfin().cfin()
			return 0
		}, TLSClosed, beyond, Proven, []string{"close.without-answer"}},
		{"alert from the server", func(t *testing.T, w *wire) int64 {
			w.open().up(hello(t), true).down([]byte{21, 3, 3, 0, 2, 2, 40}).sfin().cfin()
			return 0
		}, TLSAlertFromServer, beyond, Proven, []string{"alert.server"}},
		{"certificate refused, TLS 1.2", func(t *testing.T, w *wire) int64 {
			w.open()
			for _, f := range handshake(t, tls.VersionTLS12, true) {
				if f.fromClient {
					w.up(f.bytes, true)
				} else {
					w.down(f.bytes)
				}
			}
			w.cfin()
			return 0
		}, TLSCertificateRejected, beyond, Proven, []string{"alert.client", "certificate.shown"}},
		{"certificate refused, TLS 1.3", func(t *testing.T, w *wire) int64 {
			w.open()
			for _, f := range handshake(t, tls.VersionTLS13, true) {
				if f.fromClient {
					w.up(f.bytes, true)
				} else {
					w.down(f.bytes)
				}
			}
			w.cfin()
			return 0
		}, TLSCertificateRejected, beyond, Suggested, []string{"client.refused-encrypted"}},
		{"client refuses something else", func(t *testing.T, w *wire) int64 {
			fs := handshake(t, tls.VersionTLS12, false)
			w.open().up(fs[0].bytes, true).down(fs[1].bytes).up([]byte{21, 3, 3, 0, 2, 2, 47}, true).cfin()
			return 0
		}, TLSAlertFromClient, beyond, Proven, []string{"alert.client"}},
		{"plain HTTP", func(t *testing.T, w *wire) int64 {
			w.open().up(hello(t), true).down([]byte("HTTP/1.1 302 Found\r\nLocation: http://portal.example/\r\n\r\n")).sfin().cfin()
			return 0
		}, TLSNotTLS, beyond, Proven, []string{"http.instead-of-tls", "http.location"}},
		{"other bytes", func(t *testing.T, w *wire) int64 {
			w.open().up(hello(t), true).down([]byte("220 mail.example ESMTP\r\n")).cfin()
			return 0
		}, TLSNotTLS, beyond, Proven, []string{"bytes.instead-of-tls"}},
		{"hole in the server's flight", func(t *testing.T, w *wire) int64 {
			w.open().up(hello(t), true)
			for range 3 {
				w.put(w.s(packets.ACK|packets.PSH, 1+1460, w.sack, make([]byte, 300)))
				w.put(w.c(packets.ACK, w.cseq, 1, nil).SACK(serverISN+1461, serverISN+1761))
				w.wait(sec)
			}
			w.wait(7 * sec).cfin()
			return w.now + sec
		}, TLSLargePacketsLost, inNetwork, Suggested, []string{"serverflight.hole"}},
		{"answer ignored here", func(t *testing.T, w *wire) int64 {
			b := handshake(t, tls.VersionTLS13, false)[1].bytes
			w.p.segment = outbound
			w.open().up(hello(t), true)
			for i := range 5 {
				w.put(w.s(packets.ACK|packets.PSH, 1, w.sack, b[:min(len(b), mss)]))
				w.wait(200 * ms << i)
			}
			return w.now + 5*sec
		}, TLSAnswerIgnored, inHost, Proven, []string{"answer.unacknowledged", "answer.resent"}},
		{"server's flight stops in a record", func(t *testing.T, w *wire) int64 {
			b := handshake(t, tls.VersionTLS13, false)[1].bytes
			w.open().up(hello(t), true).down(b[:len(b)-20]).wait(10 * sec).cfin()
			return w.now + sec
		}, TLSServerFlightStalled, beyond, Proven, []string{"serverflight.incomplete"}},
		{"client does not go on", func(t *testing.T, w *wire) int64 {
			w.open().up(hello(t), true).down(handshake(t, tls.VersionTLS13, false)[1].bytes).wait(10 * sec).cfin()
			return w.now + sec
		}, ClientStalled, atThisEnd, Suggested, []string{"serverflight.complete"}},
		{"another protocol on the port", func(_ *testing.T, w *wire) int64 {
			w.open().down([]byte("SSH-2.0-server\r\n")).up([]byte("SSH-2.0-client\r\n"), true).srst()
			return 0
		}, OK, nil, Proven, nil},
		{"bytes missing in the capture", func(t *testing.T, w *wire) int64 {
			w.open().up(hello(t), true)
			w.put(w.c(packets.ACK, w.cseq, 4000, nil))
			return w.now + 20*sec
		}, CaptureUnusable, nil, None, nil},
		{"one direction", func(t *testing.T, w *wire) int64 {
			w.syn()
			w.put(w.c(packets.ACK, 1, 1, nil))
			w.cseq, w.cack = 1, 1
			w.up(hello(t), false)
			return w.now + 20*sec
		}, CaptureUnusable, nil, None, nil},
		{"orphan of an earlier program", func(t *testing.T, w *wire) int64 {
			h := hello(t)
			w.cseq, w.cack, w.sseq, w.sack = 1, 1, 1, 1
			w.again(1, h[:mss], 4)
			w.srst()
			return w.now + 20*sec
		}, CaptureUnusable, nil, None, nil},
	})
}
