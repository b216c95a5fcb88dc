package diagnose

import (
	"crypto/tls"
	"testing"

	"goproxytrace/internal/packets"
)

// download is a finished handshake with one request and its answer.
func download(t *testing.T, w *wire) *wire { return w.open().shake(t, tls.VersionTLS13) }

// request sends a record that no HTTP/2 control frame fits.
func (w *wire) request() *wire { return w.up(appData(90), true) }

func TestTransfer(t *testing.T) {
	runStories(t, v4Server, []story{
		{"normal end", func(t *testing.T, w *wire) int64 {
			download(t, w).wait(sec).cfin().wait(rtt).down(appData(19)).crst()
			return w.now + 60*sec
		}, OK, nil, Proven, nil},
		{"server resets after the client's close", func(t *testing.T, w *wire) int64 {
			download(t, w).wait(sec).cfin().wait(rtt).srst()
			return 0
		}, OK, nil, Proven, nil},
		{"reset in the middle of a body", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(4000)[:2000]).wait(50 * ms).srst()
			return 0
		}, TransferReset, beyond, Proven, []string{"reset.in-transfer"}},
		{"server resets an idle connection", func(t *testing.T, w *wire) int64 {
			download(t, w).wait(30 * sec).srst()
			return 0
		}, OK, nil, Consistent, nil},
		{"path dead, keep-alives unanswered", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(4000)[:2000]).wait(30 * sec).keepAlive(false).wait(15 * sec).keepAlive(false)
			return w.now + 10*sec
		}, TransferPathDead, beyond, Proven, []string{"keepalive.unanswered"}},
		{"last probe still on its way", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(4000)[:2000]).wait(30 * sec).keepAlive(false)
			return w.now + 100*ms
		}, TransferRemoteIdle, beyond, Consistent, []string{"server.stopped-in-record"}},
		{"far end idle, keep-alives answered", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(4000)[:2000]).wait(30 * sec).keepAlive(true)
			return w.now + sec
		}, TransferRemoteIdle, inRemote, Proven, []string{"keepalive.answered", "server.stopped-in-record"}},
		{"request not acknowledged", func(t *testing.T, w *wire) int64 {
			download(t, w).wait(sec)
			seq := w.cseq
			w.up(appData(90), false).again(seq, appData(90), 5)
			return w.now + 10*sec
		}, TransferPathDead, beyond, Proven, []string{"request.resent"}},
		{"request lost once", func(t *testing.T, w *wire) int64 {
			download(t, w).wait(sec)
			seq := w.cseq
			w.up(appData(90), false).again(seq, appData(90), 1).wait(rtt)
			w.sack = w.cseq
			w.down(appData(2000)).cfin()
			return w.now + 10*sec
		}, OK, nil, Proven, nil},
		{"no answer to a request", func(t *testing.T, w *wire) int64 {
			download(t, w).request().wait(30 * sec).keepAlive(true)
			return w.now + sec
		}, HTTPNoResponse, inRemote, Proven, []string{"request.acknowledged", "keepalive.answered"}},
		{"slow answer", func(t *testing.T, w *wire) int64 {
			download(t, w).request().wait(20 * sec).down(appData(2000)).cfin()
			return 0
		}, OK, nil, Proven, nil},
		{"client leaves in the middle of a body", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(15000)[:3000]).cfin()
			for range 3 {
				w.put(w.s(packets.ACK, w.sseq, w.sack, make([]byte, mss)))
				w.sseq += mss
				w.crst()
			}
			return 0
		}, ClientAborted, inClient, Suggested, []string{"client.left-midway"}},
		{"closed inside a record", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(4000)[:2000]).sfin().cfin()
			return 0
		}, TransferTruncated, beyond, Proven, []string{"close.in-record"}},
		{"closed between records after an answer", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(4000)).down(appData(19)).sfin().cfin()
			return 0
		}, OK, nil, Proven, nil},
		{"closed before an answer", func(t *testing.T, w *wire) int64 {
			download(t, w).request().sfin().cfin()
			return 0
		}, TransferTruncated, beyond, Suggested, []string{"close.before-answer"}},
		{"window shut", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(15000)[:3000])
			w.put(w.c(packets.ACK, w.cseq, w.cack, nil).Window(0))
			for range 4 {
				w.wait(3 * sec)
				w.put(w.s(packets.ACK, w.sseq, w.sack, []byte{0}))
				w.put(w.c(packets.ACK, w.cseq, w.cack, nil).Window(0))
			}
			return w.now + sec
		}, TransferReceiverStalled, atThisEnd, Proven, []string{"client.zero-window"}},
		{"window shut and opened", func(t *testing.T, w *wire) int64 {
			download(t, w).request()
			w.put(w.c(packets.ACK, w.cseq, w.cack, nil).Window(0))
			w.wait(10 * sec).put(w.c(packets.ACK, w.cseq, w.cack, nil))
			w.down(appData(3000)).cfin()
			return w.now + 30*sec
		}, OK, nil, Proven, nil},
		{"holes never filled", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(15000)[:1460])
			next := w.sseq
			for i := range 5 {
				seq := next + uint32(i)*2*mss + mss
				w.put(w.s(packets.ACK, seq, w.sack, make([]byte, mss)))
				w.put(w.c(packets.ACK, w.cseq, w.cack, nil).SACK(serverISN+seq, serverISN+seq+mss))
				w.wait(300 * ms)
			}
			return w.now + 15*sec
		}, TransferHeavyLoss, inNetwork, Suggested, []string{"server.hole", "server.gaps"}},
		{"holes filled", func(t *testing.T, w *wire) int64 {
			download(t, w).request()
			body := appData(7 * mss)
			for i := range 3 {
				hole, late := body[2*i*mss:(2*i+1)*mss], body[(2*i+1)*mss:(2*i+2)*mss]
				w.put(w.s(packets.ACK, w.sseq+mss, w.sack, late))
				w.put(w.c(packets.ACK, w.cseq, w.cack, nil).SACK(serverISN+w.sseq+mss, serverISN+w.sseq+2*mss))
				w.wait(300 * ms).put(w.s(packets.ACK, w.sseq, w.sack, hole))
				w.sseq += 2 * mss
				w.cack = w.sseq
				w.put(w.c(packets.ACK, w.cseq, w.cack, nil))
			}
			w.down(body[6*mss:]).cfin()
			return w.now + 20*sec
		}, OK, nil, Proven, nil},
		{"silence, but the capture dropped packets", func(t *testing.T, w *wire) int64 {
			w.p.env.Drops = 1
			download(t, w).request().wait(30 * sec).keepAlive(true)
			return w.now + sec
		}, CaptureUnusable, nil, None, nil},
		{"capture ends in mid-transfer", func(t *testing.T, w *wire) int64 {
			download(t, w).request().down(appData(15000)[:3000])
			return w.now + 3*sec
		}, OK, nil, Consistent, nil},
	})
}

func TestProxy(t *testing.T) {
	connect := []byte("CONNECT goproxy.cn:443 HTTP/1.1\r\nHost: goproxy.cn:443\r\n\r\n")
	runStories(t, "198.51.100.7:3128", []story{
		{"refused", func(_ *testing.T, w *wire) int64 {
			w.open().up(connect, true).down([]byte("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n")).sfin().cfin()
			return 0
		}, ProxyRefused, inRemote, Proven, []string{"proxy.refusal", "proxy.authenticate"}},
		{"granted", func(t *testing.T, w *wire) int64 {
			w.open().up(connect, true).down([]byte("HTTP/1.1 200 Connection established\r\n\r\n")).shake(t, tls.VersionTLS13).cfin()
			return 0
		}, OK, nil, Proven, nil},
		{"silent, its TCP alive", func(_ *testing.T, w *wire) int64 {
			w.open().up(connect, true).wait(30 * sec).keepAlive(true)
			return w.now + sec
		}, ProxySilent, inRemote, Proven, []string{"connect.acknowledged", "keepalive.answered"}},
		{"silent for Go's minute", func(_ *testing.T, w *wire) int64 {
			w.open().up(connect, true).wait(60 * sec).cfin()
			return w.now + sec
		}, ProxySilent, beyond, Proven, []string{"server.silent"}},
		{"slow", func(_ *testing.T, w *wire) int64 {
			w.open().up(connect, true)
			return w.now + 3*sec
		}, OK, nil, Consistent, nil},
		{"reset inside the tunnel", func(t *testing.T, w *wire) int64 {
			w.open().up(connect, true).down([]byte("HTTP/1.1 200 Connection established\r\n\r\n")).up(hello(t), true).srst()
			return 0
		}, TLSReset, beyond, Proven, []string{"reset.after-clienthello"}},
		{"TLS to a plain proxy", func(t *testing.T, w *wire) int64 {
			w.open().up(hello(t), true).down([]byte("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n400 Bad Request")).sfin().cfin()
			return 0
		}, TLSNotTLS, inClient, Suggested, []string{"tls.to-plain-port"}},
	})
}
