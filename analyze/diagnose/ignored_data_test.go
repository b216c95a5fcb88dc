package diagnose

import (
	"testing"

	"goproxytrace/analyze/decode"
	"goproxytrace/internal/packets"
)

// record of the server's that no client takes, repeated n times at doubling
// intervals; answer is what the client's TCP says to each, nil for nothing.
func (w *wire) resend(n int, answer func()) *wire {
	b := appData(4000)[:mss]
	for i := range n {
		w.put(w.s(packets.ACK, w.sseq, w.sack, b))
		if answer != nil {
			answer()
		}
		w.wait(200 * ms << i)
	}
	return w
}

func TestDataIgnored(t *testing.T) {
	took := []string{"answer.unacknowledged", "answer.resent"}
	marked := func(w *wire, how func(*decode.Segment)) *wire {
		w.p.segment = how
		return w
	}
	runStories(t, v4Server, []story{
		{"by the machine that captures", func(t *testing.T, w *wire) int64 {
			download(t, marked(w, outbound)).request().resend(6, nil)
			return w.now + 5*sec
		}, TransferReceiverStalled, inHost, Proven, took},
		{"by a machine that answers at once", func(t *testing.T, w *wire) int64 {
			download(t, w).request().resend(6, nil)
			return w.now + 5*sec
		}, TransferReceiverStalled, inHost, Suggested, took},
		{"with a keep-alive of the client's own in between", func(t *testing.T, w *wire) int64 {
			download(t, marked(w, outbound)).request().resend(6, nil)
			return w.keepAlive(true).now + 5*sec
		}, TransferReceiverStalled, inHost, Proven, took},
		{"large segments alone", func(t *testing.T, w *wire) int64 {
			download(t, marked(w, outbound)).request().resend(1, nil)
			w.put(w.s(packets.ACK|packets.PSH, w.sseq+mss, w.sack, make([]byte, 100)))
			w.put(w.c(packets.ACK, w.cseq, w.cack, nil).SACK(serverISN+w.sseq+mss, serverISN+w.sseq+mss+100))
			return w.resend(6, nil).now + 5*sec
		}, TransferReceiverStalled, inHost, Proven, took},
		{"until the client gives up", func(t *testing.T, w *wire) int64 {
			download(t, marked(w, outbound)).request().resend(6, nil).cfin()
			return w.now + sec
		}, TransferReceiverStalled, inHost, Proven, took},
		{"that does not fit the client's window", func(t *testing.T, w *wire) int64 {
			download(t, marked(w, outbound)).request()
			w.put(w.c(packets.ACK, w.cseq, w.cack, nil).Window(500))
			return w.resend(6, nil).now + 5*sec
		}, OK, nil, Consistent, nil},
		{"until it gets through", func(t *testing.T, w *wire) int64 {
			download(t, marked(w, outbound)).request().resend(6, nil).down(appData(4000)).cfin().wait(rtt).sfin()
			return w.now + 5*sec
		}, OK, nil, Proven, nil},
		{"lost between this router and the client", func(t *testing.T, w *wire) int64 {
			download(t, marked(w, routed)).request().resend(6, nil)
			return w.now + 5*sec
		}, CaptureUnusable, nil, None, nil},
		{"lost on the link of the client", func(t *testing.T, w *wire) int64 {
			download(t, marked(w, inbound)).request().resend(6, nil)
			return w.now + 5*sec
		}, CaptureUnusable, nil, None, nil},
		{"too few repetitions", func(t *testing.T, w *wire) int64 {
			download(t, marked(w, outbound)).request().resend(3, nil)
			return w.now + 20*sec
		}, OK, nil, Consistent, nil},
		{"by a program that had ended", func(t *testing.T, w *wire) int64 {
			download(t, marked(w, outbound)).resend(2, nil).wait(7*sec).cfin().resend(6, nil)
			return w.now + 5*sec
		}, ClientAborted, inClient, Suggested, []string{"client.left-in-record"}},
		{"in a capture that dropped packets", func(t *testing.T, w *wire) int64 {
			w.p.env.Drops = 7
			download(t, marked(w, outbound)).request().resend(6, nil)
			return w.now + 5*sec
		}, CaptureUnusable, nil, None, nil},
	})
}

// A client that answers what is repeated has it, and lacks something else: that
// is no reason to blame its machine.
func TestDataAnsweredEachTime(t *testing.T) {
	p := newPipe(t)
	w := newWire(p, v4Server)
	p.segment = outbound
	download(t, w).request().resend(6, func() { w.put(w.c(packets.ACK, w.cseq, w.cack, nil)) })
	if v := only(t, p, w.now+5*sec); v.Class == TransferReceiverStalled {
		t.Errorf("got %s %v %s", v.Class, v.Place, v.Level)
	}
}
