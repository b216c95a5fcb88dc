package analyze

import (
	"encoding/hex"
	"fmt"
	"net/netip"

	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/analyze/tlswire"
	"goproxytrace/capture"
)

// address converts a to its shortest form: an IPv4-mapped one to IPv4.
func address(a decode.Addr) netip.Addr { return netip.AddrFrom16(a).Unmap() }

func endpoint(e tcpflow.Endpoint) string {
	return netip.AddrPortFrom(address(e.Addr), e.Port).String()
}

func ms(ns int64) *float64 {
	v := float64(ns) / 1e6
	return &v
}

// between returns the time from a to b in milliseconds where both happened.
func between(a, b tcpflow.Point) *float64 {
	if !a.Seen() || !b.Seen() {
		return nil
	}
	return ms(b.Time - a.Time)
}

// connection turns the facts of a finished connection into its record.
func connection(f *diagnose.Flow, v *diagnose.Verdict) *Connection {
	c := f.Conn
	out := &Connection{
		ID:         c.ID,
		Client:     endpoint(c.ClientEnd()),
		Server:     endpoint(c.ServerEnd()),
		ServerName: f.ServerName,
		FirstFrame: c.Start.Frame,
		LastFrame:  c.Last.Frame,
		Start:      capture.Timestamp(c.Start.Time),
		Duration:   float64(c.Last.Time-c.Start.Time) / 1e6,
		TCP:        tcpCounts(c),
		Verdict:    *v,
	}
	if h := c.Client(); h != nil {
		out.Bytes.FromClient = received(c, c.ClientDir, h)
	}
	if h := c.Server(); h != nil {
		out.Bytes.FromServer = received(c, 1-c.ClientDir, h)
	}
	if f.TLS != nil {
		out.TLS = tlsFacts(f)
	}
	if r := f.Request; r != nil && r.Method == "CONNECT" {
		out.Proxy = &Proxy{Target: r.Target}
		if f.Response != nil {
			out.Proxy.Status, out.Proxy.Reason, out.Proxy.Frame = f.Response.Status, f.Response.Reason, f.ResponseAt.Frame
		}
	}
	for _, e := range c.ICMP {
		out.ICMP = append(out.ICMP, ICMP{From: address(e.From).String(), Type: e.Type, Code: e.Code, MTU: e.MTU, Frame: e.Frame})
	}
	out.Stages = stages(f)
	return out
}

// received counts the payload bytes of a direction, repetitions left out. What
// filled a hole did not advance the stream, and what the snapshot length cut off
// was not delivered.
func received(c *tcpflow.Conn, d uint8, h *tcpflow.Half) uint64 {
	if a, ok := c.User.(*app); ok {
		return max(h.NewBytes, a.sides[d].bytes)
	}
	return h.NewBytes
}

// stages measures what a connection passed. Times are those at the capture
// point, also where frames are out of order in the file.
func stages(f *diagnose.Flow) (s Stages) {
	c := f.Conn
	client, server := c.Client(), c.Server()
	if client == nil {
		return s
	}
	var moved tcpflow.Point
	if server != nil {
		if client.SYN.Seen() {
			s.Connect = between(client.SYN, server.SYN)
		}
		moved = server.LastNewData
	}
	if client.LastNewData.Time > moved.Time {
		moved = client.LastNewData
	}
	if f.TLS != nil {
		if hello, finished := f.TLS.ClientHello(), clientFinished(f.TLS); hello != nil {
			s.TLSStart = ms(max(hello.First.Time-c.Start.Time, 0))
			s.TLS = between(tcpflow.Point(hello.First), finished)
			if side := f.TLS.Side(tlswire.RoleServer); side != nil && finished.Seen() && side.LastApp.Time > finished.Time {
				s.Transfer = between(finished, tcpflow.Point(side.LastApp))
				if first := firstAfter(side, finished); first.Seen() {
					s.FirstByte = between(finished, first)
				}
			}
		}
	}
	if moved.Seen() {
		end := c.Last.Time
		if f.Env != nil && f.Env.Final && !c.Closed() && f.Env.End > end {
			end = f.Env.End
		}
		s.Quiet = ms(max(end-moved.Time, 0))
	}
	return s
}

// clientFinished returns where the client's side of the handshake ended: its
// ChangeCipherSpec, or in TLS 1.3 without one its first encrypted record.
func clientFinished(t *tlswire.Facts) tcpflow.Point {
	side := t.Side(tlswire.RoleClient)
	if side == nil || t.ServerHello == nil {
		return tcpflow.Point{}
	}
	if len(side.First) > 0 {
		return tcpflow.Point(side.First[0].Place)
	}
	return tcpflow.Point(side.ChangeCipherSpec)
}

// firstAfter returns the server's first listed record after p.
func firstAfter(side *tlswire.Side, p tcpflow.Point) tcpflow.Point {
	for _, r := range side.First {
		if r.Time > p.Time {
			return tcpflow.Point(r.Place)
		}
	}
	return tcpflow.Point{}
}

// tcpCounts adds up the counts of both directions.
func tcpCounts(c *tcpflow.Conn) (t TCP) {
	var rtt tcpflow.RTT
	for _, h := range c.Half {
		if h == nil {
			continue
		}
		t.Packets += h.Packets
		// As Wireshark's fields, which know nothing of copies.
		for _, n := range [...]*tcpflow.Counts{&h.Counts, &h.Copied} {
			t.Retransmissions += n.Retransmissions + n.FastRetransmissions + n.SpuriousRetransmissions
			t.FastRetransmissions += n.FastRetransmissions
			t.SpuriousRetransmissions += n.SpuriousRetransmissions
			t.DuplicateACKs += n.DuplicateACKs
			t.OutOfOrder += n.OutOfOrder
			t.LostSegments += n.LostSegments
			t.ACKLostSegments += n.ACKLostSegments
			t.ZeroWindows += n.ZeroWindows
			t.WindowFull += n.WindowFull
			t.KeepAlives += n.KeepAlives
		}
		t.DuplicateFrames += h.Duplicates
		t.CopiedRetransmissions += h.Copied.Retransmissions + h.Copied.FastRetransmissions + h.Copied.SpuriousRetransmissions
		if r := h.RTT; r.Samples > 0 {
			if rtt.Samples == 0 || r.Min < rtt.Min {
				rtt.Min = r.Min
			}
			rtt.Max = max(rtt.Max, r.Max)
			rtt.Sum += r.Sum
			rtt.Samples += r.Samples
		}
	}
	t.KeepAlivesAnswered = c.KeepAliveAnsweredTotal
	client, server := c.Client(), c.Server()
	if client != nil {
		t.PacketsFromClient = client.Packets
		t.ResetsFromClient = client.RSTs
		t.ClientMSS = client.MSS
		t.RTTToServer = roundTrips(client)
		t.ClientScale = scale(client)
	}
	if server != nil {
		t.PacketsFromServer = server.Packets
		t.ResetsFromServer = server.RSTs
		t.ServerMSS = server.MSS
		t.RTTToClient = roundTrips(server)
		t.ServerScale = scale(server)
	}
	t.SACK = client != nil && server != nil && client.SACKPermitted && server.SACKPermitted
	t.Timestamps = client != nil && server != nil && client.Timestamps && server.Timestamps
	if c.InitialRTT != 0 {
		t.HandshakeRTT = ms(c.InitialRTT)
	}
	if rtt.Samples > 0 {
		t.MinRTT, t.MaxRTT, t.RTTSamples = ms(rtt.Min), ms(rtt.Max), rtt.Samples
		t.MeanRTT = ms(rtt.Sum / int64(rtt.Samples))
	}
	return t
}

// roundTrips summarises those of what h sent.
func roundTrips(h *tcpflow.Half) *RTT {
	r := &h.RTT
	if r.Samples == 0 {
		return nil
	}
	return &RTT{float64(r.Min) / 1e6, float64(r.Sum/int64(r.Samples)) / 1e6, float64(r.Max) / 1e6, r.Samples}
}

func scale(h *tcpflow.Half) *int8 {
	if !h.SYN.Seen() || h.WindowScale < 0 {
		return nil
	}
	shift := h.WindowScale // the half is used again for another connection
	return &shift
}

// tlsFacts turns handshake facts into their record.
func tlsFacts(flow *diagnose.Flow) *TLS {
	f := flow.TLS
	out := &TLS{HelloRetry: f.HelloRetry != nil}
	if f.Version != 0 {
		out.Version = tlswire.VersionName(f.Version)
		out.Cipher = tlswire.CipherSuiteName(f.CipherSuite)
	}
	out.ALPNChosen = f.ALPN
	if h := f.ClientHello(); h != nil {
		out.ALPN = h.ALPN
		out.JA3, out.JA4 = h.JA3Hash, h.JA4
		out.ClientHelloBytes = h.RecordBytes
		out.ClientHelloSegments = flow.HelloSegments
		out.ClientHelloFrames = []int64{h.First.Frame}
		if h.Frame != h.First.Frame {
			out.ClientHelloFrames = append(out.ClientHelloFrames, h.Frame)
		}
		out.ClientHelloAcked = helloAcked(flow, h)
		out.ECH, out.GREASE = h.ECH, h.GREASE
		for _, v := range h.SupportedVersions {
			out.Versions = append(out.Versions, tlswire.VersionName(v))
		}
		for _, g := range h.Groups {
			out.Groups = append(out.Groups, tlswire.GroupName(g))
		}
		for _, k := range h.KeyShares {
			out.KeyShares = append(out.KeyShares, tlswire.GroupName(k.Group))
		}
		for _, e := range h.Extensions {
			out.Extensions = append(out.Extensions, e.Type)
		}
	}
	if f.ServerHello != nil {
		out.ServerHelloFrame = f.ServerHello.Frame
	}
	for _, a := range f.Alerts {
		out.Alerts = append(out.Alerts, Alert{
			From: a.From.String(), Number: a.Number, Name: tlswire.AlertName(a.Number), Level: a.Level, Frame: a.Frame,
		})
	}
	if f.ServerChain != nil {
		for _, cert := range f.ServerChain.Certificates {
			out.Certificates = append(out.Certificates, certificate(cert))
		}
	}
	for _, m := range f.Malformed {
		out.Malformed = append(out.Malformed, fmt.Sprintf("frame %d, stream offset %d: %s", m.Frame, m.Offset, m.Reason))
	}
	return out
}

// helloAcked reports whether the server acknowledged the whole ClientHello. A
// connection whose start is not in the capture has no offsets to compare.
func helloAcked(flow *diagnose.Flow, h *tlswire.ClientHello) *bool {
	client, server := flow.Conn.Client(), flow.Conn.Server()
	if h.Cut || client == nil || !client.SYN.Seen() {
		return nil
	}
	acked := flow.TLS.ServerHello != nil || server != nil && int64(server.HighAck) > h.End
	return &acked
}

func certificate(c *tlswire.Certificate) Certificate {
	return Certificate{
		Subject: c.Subject, Issuer: c.Issuer, Names: c.Names, NotBefore: c.NotBefore, NotAfter: c.NotAfter,
		SelfSigned: c.SelfSigned, Fingerprint: hex.EncodeToString(c.Fingerprint[:]),
	}
}
