package diagnose

import (
	"testing"

	"goproxytrace/internal/packets"
)

// TestSequenceAhead holds that bytes are said to be missing only where the
// server's sequence numbers leave room for them: its close takes a number, and
// a proxy's answer was read.
func TestSequenceAhead(t *testing.T) {
	connect := []byte("CONNECT goproxy.cn:443 HTTP/1.1\r\nHost: goproxy.cn:443\r\n\r\n")
	granted := []byte("HTTP/1.1 200 Connection established\r\n\r\n")
	closes := func(w *wire, lost uint32) int64 {
		w.wait(10 * sec).cfin().wait(rtt)
		w.put(w.s(packets.ACK|packets.FIN, w.sseq+lost, w.cseq, nil))
		return w.now + sec
	}
	for _, x := range []struct {
		name   string
		server string
		play   func(w *wire) int64
		want   bool
	}{
		{"the server closes", v4Server, func(w *wire) int64 { return closes(w.open().up(hello(t), true), 0) }, false},
		{"the server closes behind bytes that never came", v4Server, func(w *wire) int64 { return closes(w.open().up(hello(t), true), 700) }, true},
		{"in a tunnel", "198.51.100.7:3128", func(w *wire) int64 {
			return closes(w.open().up(connect, true).down(granted).up(hello(t), true), 0)
		}, false},
		{"in a tunnel, behind bytes that never came", "198.51.100.7:3128", func(w *wire) int64 {
			return closes(w.open().up(connect, true).down(granted).up(hello(t), true), 700)
		}, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			p := newPipe(t)
			v := only(t, p, x.play(newWire(p, x.server)))
			if v.Class != TLSNoServerHello || v.has("server.sequence-ahead") != x.want {
				t.Errorf("%s, evidence %+v", v.Class, v.Evidence)
			}
		})
	}
}
