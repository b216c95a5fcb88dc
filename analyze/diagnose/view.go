package diagnose

import (
	"cmp"
	"net/netip"

	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/analyze/tlswire"
)

// view is a flow with what several rules derive from it.
type view struct {
	f              *Flow
	c              *tcpflow.Conn
	client, server *tcpflow.Half // either may be nil
	cd, sd         uint8         // their directions
	hello          *tlswire.ClientHello
	cs, ss         *tlswire.Side // records by role; nil while roles are unknown
	env            Env

	// serverReset is the server's first reset before the client closed,
	// localReset the first that came over the loopback interface.
	serverReset, localReset *tcpflow.Mark
	// ignored are the frames of the server's resets that the client had no use
	// for, farthest how many bytes the worst lay beside the client's window.
	ignored  []int64
	farthest int64
	// left is where the client gave up: its first FIN or reset.
	left tcpflow.Point
	// until is the time up to which the connection was observed: where the
	// client left, the connection's last packet, or for one that is still
	// open the capture's end.
	until int64
	// open is true where neither end closed or reset the connection.
	open bool
}

func (w *view) init(f *Flow) {
	c := f.Conn
	w.f, w.c = f, c
	w.client, w.server = spoke(c.Client()), spoke(c.Server())
	w.cd, w.sd = c.ClientDir, 1-c.ClientDir
	if f.Env != nil {
		w.env = *f.Env
	}
	if f.TLS != nil {
		w.hello = f.TLS.ClientHello()
		w.cs, w.ss = f.TLS.Side(tlswire.RoleClient), f.TLS.Side(tlswire.RoleServer)
	}
	if w.client != nil {
		w.left = w.client.FIN
	}
	for i := range c.Resets {
		r := &c.Resets[i]
		switch {
		case w.isLocal(r.Loopback):
			if w.localReset == nil {
				w.localReset = r
			}
		case r.Dir == w.cd:
			if !w.left.Seen() || r.Time < w.left.Time {
				w.left = r.Point
			}
		}
	}
	for i := range c.Resets {
		r := &c.Resets[i]
		if c.HandshakeACK.Seen() && r.Time < c.HandshakeACK.Time {
			continue // the client had no use for it: the connection came about
		}
		if r.Dir != w.sd || w.isLocal(r.Loopback) || w.serverReset != nil {
			continue
		}
		if w.blind(r) {
			w.ignored = append(w.ignored, r.Frame)
			continue
		}
		if !w.left.Seen() || r.Time < w.left.Time {
			w.serverReset = r
		}
	}
	w.open = len(c.Resets) == len(w.ignored) && !w.finOf(w.client).Seen() && !w.finOf(w.server).Seen()
	w.until = c.Last.Time
	if w.open && w.env.Final {
		w.until = max(w.until, w.env.observed(c.Last.Frame))
	}
	if w.left.Seen() {
		w.until = w.left.Time
	}
}

// spoke returns h, or nil where that end was not heard of.
func spoke(h *tcpflow.Half) *tcpflow.Half {
	if h == nil || h.Packets == 0 {
		return nil
	}
	return h
}

// isLocal reports whether a packet that came over loopback belongs to a
// connection that goes to another machine.
func (w *view) isLocal(loopback bool) bool {
	return loopback && !w.c.Loopback
}

func (w *view) finOf(h *tcpflow.Half) tcpflow.Point {
	if h == nil {
		return tcpflow.Point{}
	}
	return h.FIN
}

// begun reports whether the connection's first packets were captured.
func (w *view) begun() bool {
	return w.client != nil && w.client.SYN.Seen() || w.server != nil && w.server.SYN.Seen()
}

// established reports whether the server accepted the connection and the
// client knows it.
func (w *view) established() bool {
	if w.client == nil || w.server == nil {
		return false
	}
	return w.c.HandshakeACK.Seen() || w.client.DataPackets > 0 && (w.server.SYN.Seen() || w.server.DataPackets > 0)
}

// oneDirection reports whether one end's packets are missing altogether
// although the other end reacted to them.
func (w *view) oneDirection() bool {
	switch {
	case w.client == nil:
		return w.server.DataPackets > 0 || w.server.Packets > bare(w.server)
	case w.server == nil:
		return w.client.DataPackets > 0 || w.client.Packets > bare(w.client)
	}
	return false
}

// bare counts what h sent that needs no packet of the other end: SYNs and
// resets, and any packet that was captured twice.
func bare(h *tcpflow.Half) uint64 {
	return uint64(h.SYNs) + uint64(h.RSTs) + uint64(h.Duplicates)
}

// missed reports whether an end acknowledged bytes that this capture does not
// hold: packets were lost by the capture and not by the network. Resets are
// left out: what they acknowledge may be made up.
func (w *view) missed() bool {
	return w.established() && (w.client.ACKLostSegments > uint32(w.client.RSTs) || w.server.ACKLostSegments > uint32(w.server.RSTs))
}

// expectsTLS reports whether TLS is, or ought to be, spoken here.
func (w *view) expectsTLS() bool {
	return w.hello != nil || w.f.Target || w.c.ServerEnd().Port == 443 ||
		w.f.TLS != nil && (w.f.TLS.ServerHello != nil || w.f.TLS.AlertCount > 0)
}

// tls13 reports whether TLS 1.3 was negotiated.
func (w *view) tls13() bool {
	return w.f.TLS != nil && (w.f.TLS.Version == 0x0304 || w.cutVersion13())
}

// shaken reports whether the TLS handshake is complete on the client's side:
// it answered the server's flight with more than a refusal.
func (w *view) shaken() bool {
	t := w.f.TLS
	if t == nil || w.cs == nil {
		return false
	}
	if t.ServerHello == nil {
		// A capture that lacks the hello still shows data of both sides.
		return w.cs.AppRecords > 0 && w.ss.AppRecords > 0 && w.ss.AppBytes > controlBytes
	}
	if w.tls13() {
		return w.finished13()
	}
	return w.cs.ChangeCipherSpec.Frame != 0 && w.ss.ChangeCipherSpec.Frame != 0 || w.cs.AppRecords > 0
}

// answered reports whether the server sent any payload; in a tunnel, anything
// behind the proxy's answer.
func (w *view) answered() bool {
	if w.server == nil || w.server.DataPackets == 0 {
		return false
	}
	if !w.inTunnel() {
		return true
	}
	return w.ss != nil && (w.ss.Records > 0 || w.ss.Unread > 0) || w.hello != nil && w.server.LastNewData.Time > w.hello.First.Time
}

// inTunnel reports whether a proxy granted the tunnel that this connection is.
func (w *view) inTunnel() bool {
	return w.f.Request != nil && w.f.Request.Method == "CONNECT" && w.f.Response != nil && w.f.Response.Status/100 == 2
}

// spokeAt is where the client began to speak to the server itself: its
// ClientHello, or its first payload.
func (w *view) spokeAt() tcpflow.Point {
	if w.hello != nil && w.hello.First.Frame != 0 {
		return tcpflow.Point(w.hello.First)
	}
	return w.client.FirstData
}

// acknowledged returns up to where the server acknowledged the client's
// bytes, relative to the client's initial sequence number.
func (w *view) acknowledged() uint32 {
	if w.server == nil {
		return 0
	}
	return w.server.HighAck
}

// helloSpan returns the relative sequence numbers of the ClientHello's first
// byte and of the byte behind it, for a client that has sent nothing after it.
func (w *view) helloSpan() (start, end uint32) {
	end = w.client.SentEnd()
	if w.client.FIN.Seen() {
		end--
	}
	return end - min(uint32(w.hello.End-w.hello.Offset), end-1), end
}

// roundTrip returns the least known round-trip time to the server in ns,
// zero for none.
func (w *view) roundTrip() int64 {
	rtt, _ := w.roundTrips()
	return rtt
}

// roundTrips returns the least known round-trip time to the server in ns, zero
// for none, and of how many samples it is the least: handshakes, and data of
// the client that the server acknowledged other than by a reset. A single one
// may have waited for address resolution or a sleeping radio.
func (w *view) roundTrips() (rtt int64, samples uint32) {
	if w.client != nil && w.server != nil && w.client.SYN.Seen() && w.server.SYN.Seen() {
		rtt = w.server.SYN.Time - w.client.LastSYN.Time
		if w.client.SYNs == 1 {
			rtt = w.server.SYN.Time - w.client.SYN.Time
		}
		samples = 1
	}
	if w.client != nil && w.client.RTT.Samples > 0 && w.client.RTT.Min > 0 {
		samples = max(samples, w.client.RTT.Samples) // the SYN's is among them
		if rtt <= 0 || w.client.RTT.Min < rtt {
			rtt = w.client.RTT.Min
		}
	}
	if a := w.address(); a != nil && a.MinRTT > 0 {
		samples = max(samples, a.RTTs)
		if rtt <= 0 || a.MinRTT < rtt {
			rtt = a.MinRTT
		}
	}
	return max(rtt, 0), samples
}

// address returns what other connections showed about the server's address.
func (w *view) address() *AddressFacts {
	if w.env.Address == nil {
		return nil
	}
	return w.env.Address(w.c.ServerEnd().Addr)
}

// serverAlive reports whether the server's TCP answered a keep-alive, or sent
// one itself, since payload last moved.
func (w *view) serverAlive() bool {
	for i := range w.c.KeepAliveACKs {
		if w.c.KeepAliveACKs[i].Dir == w.sd {
			return true
		}
	}
	for i := range w.c.KeepAlives {
		if w.c.KeepAlives[i].Dir == w.sd {
			return true
		}
	}
	return false
}

// unansweredProbes returns how many of the client's keep-alive probes since
// payload last moved had time for an answer and got none. An answer to any of
// them makes it zero.
func (w *view) unansweredProbes() int {
	if w.serverAlive() {
		return 0
	}
	n := 0
	for i := range w.c.KeepAlives {
		if p := &w.c.KeepAlives[i]; p.Dir == w.cd && w.until-p.Time >= probeAnswer {
			n++
		}
	}
	if extra := int(w.c.KeepAliveRound) - len(w.c.KeepAlives); n > 0 && extra > 0 {
		n += extra
	}
	return n
}

// silence grades a silence that began at since. ok is false where it is too
// short to be a finding. However long, it stays "consistent" without a
// keep-alive round: Go probes after 30 s, so that a longer silence without a
// probe is another program's, or packets are missing from the file.
func (w *view) silence(since int64) (l Level, ok bool) {
	d := w.until - since
	switch {
	case d < quietFinding:
		return None, false
	case w.serverAlive() || w.unansweredProbes() > 0:
		return Proven, true
	case w.left.Seen() && d >= tlsTimeout:
		// The client waited, and stopped waiting.
		return Proven, true
	}
	return Consistent, true
}

// whereSilent returns the place of a silence: the far end alone where its TCP
// is known to live.
func (w *view) whereSilent() []Place {
	if w.serverAlive() {
		return inRemote
	}
	return beyond
}

// text of an address and of an endpoint.
func addressText(a decode.Addr) string { return netip.AddrFrom16(a).Unmap().String() }

func endpointText(e tcpflow.Endpoint) string {
	return netip.AddrPortFrom(netip.AddrFrom16(e.Addr).Unmap(), e.Port).String()
}

// hostText returns the server's name, or its address.
func (w *view) hostText() string {
	if w.f.ServerName != "" {
		return w.f.ServerName
	}
	return addressText(w.c.ServerEnd().Addr)
}

// verdict begins the verdict of a death. at is when it showed.
func (w *view) verdict(c Class, l Level, places []Place, at int64, more ...Value) Verdict {
	values := make([]Value, 0, len(CommonValues)+1+len(more))
	values = append(values,
		Text("host", w.hostText()),
		Text("address", endpointText(w.c.ServerEnd())),
		Dur("after", max(at-w.c.Start.Time, 0)),
	)
	if who := cmp.Or(w.f.ProcessText, w.f.ProcessName); who != "" {
		values = append(values, Text("process", who))
	}
	v := newVerdict(c, l, places, append(values, more...)...)
	v.failed = at
	return v
}

// unusable is the verdict on a connection that cannot be judged.
func (w *view) unusable(reason []string) Verdict {
	return Verdict{Class: CaptureUnusable, Stage: StageCapture, Level: None, NotAssessed: reason}
}
