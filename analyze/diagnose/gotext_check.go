package diagnose

import (
	"goproxytrace/analyze/goproxy"
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/analyze/tlswire"
)

// check says whether the packets of a connection show what go says of it. It
// looks for the fact itself and not at the verdict's class, which is about the
// cause: a reset is a reset whether it ended a handshake or followed an alert.
func (w *view) check(s *goproxy.Statement, v *Verdict) (finding, []int64) {
	found, seen := w.compare(s, v)
	if found == denies && (!w.whole() || v.Class == CaptureUnusable) {
		// What the packets lack, they may have lost.
		return unclear, nil
	}
	return found, seen
}

// whole reports whether the connection was captured from its beginning, in
// both directions and without a gap.
func (w *view) whole() bool {
	return w.begun() && !w.oneDirection() && !w.missed() && !(w.env.DropsKnown && w.env.Drops > 0)
}

func (w *view) compare(s *goproxy.Statement, v *Verdict) (finding, []int64) {
	first, last := w.c.Start, w.c.Last
	if s.Kind.Dial() {
		return w.compareDial(s.Kind)
	}
	if !w.established() {
		return unclear, nil // go may have spoken of another attempt
	}
	switch s.Kind {
	case goproxy.KindHandshakeTimeout:
		switch {
		case w.shaken():
			return denies, frames(first, last)
		case w.until-w.c.Start.Time >= tlsTimeout:
			return agrees, frames(first, w.left, last)
		case w.open:
			return unclear, nil // the capture ended first
		}
		return denies, frames(first, w.left, last)
	case goproxy.KindReset:
		return w.ended(w.anyReset())
	case goproxy.KindBroken:
		if at := w.anyReset(); at.Seen() {
			return agrees, frames(at)
		}
		if fin := w.finOf(w.server); fin.Seen() {
			return agrees, frames(fin)
		}
		return unclear, nil
	case goproxy.KindEOF, goproxy.KindUnexpectedEOF:
		if w.anyReset().Seen() {
			return unclear, nil
		}
		fin := w.finOf(w.server)
		if !fin.Seen() && w.client != nil && w.client.ResendCount >= repeats && !w.answered() {
			// The server has not heard what it would have to end.
			return denies, append(marks(w.client.Resends), frames(first, last)...)
		}
		return w.ended(fin)
	case goproxy.KindReadTimeout:
		switch {
		case w.unansweredProbes() > 0 || w.client != nil && w.client.ResendCount >= repeats:
			return agrees, append(marks(w.c.KeepAlives), frames(last)...)
		case w.finOf(w.server).Seen() || w.anyReset().Seen():
			return denies, frames(w.finOf(w.server), w.anyReset())
		}
		return unclear, nil
	case goproxy.KindRemoteAlert:
		return w.compareAlert(s.Alert)
	case goproxy.KindCertificate:
		switch {
		case v.Class == TLSCertificateRejected:
			return agrees, evidenceFrames(v)
		case w.shaken(), !w.answered() && !w.open:
			// There was no fault in the certificate, or none was ever shown.
			return denies, frames(first, w.anyReset(), w.left, last)
		}
		return unclear, nil
	case goproxy.KindLocalTLS:
		if a := w.alert(tlswire.RoleClient); a != nil {
			return agrees, frames(tcpflow.Point(a.Place))
		}
		return unclear, nil
	case goproxy.KindPlainHTTP, goproxy.KindNotTLS:
		switch {
		case w.f.TLS != nil && w.f.TLS.ServerHello != nil:
			return denies, frames(tcpflow.Point(w.f.TLS.ServerHello.Place))
		case w.f.Response != nil:
			return agrees, frames(w.f.ResponseAt)
		case s.Kind == goproxy.KindNotTLS && len(w.f.ServerBytes) > 0:
			return agrees, frames(w.f.ServerBytesAt)
		}
		return unclear, nil
	case goproxy.KindProxyStatus:
		r := w.f.Response
		switch {
		case r == nil || w.f.Request == nil || w.f.Request.Method != "CONNECT":
			return unclear, nil
		case r.Status == s.Status:
			return agrees, frames(w.f.RequestAt, w.f.ResponseAt)
		}
		return denies, frames(w.f.RequestAt, w.f.ResponseAt)
	case goproxy.KindHTTPStatus, goproxy.KindStream:
		switch {
		case w.server != nil && w.server.NewBytes > 0 && (w.shaken() || !w.expectsTLS()):
			return agrees, frames(w.server.FirstData, w.server.LastNewData)
		case w.expectsTLS() && !w.shaken():
			return denies, frames(first, last)
		}
	}
	return unclear, nil
}

// compareDial checks what go says of a connection that did not come about.
func (w *view) compareDial(k goproxy.Kind) (finding, []int64) {
	if w.established() {
		return denies, frames(w.c.Start, w.c.HandshakeACK)
	}
	var syn tcpflow.Point
	if w.client != nil {
		syn = w.client.SYN
	}
	reset, icmp := w.anyReset(), tcpflow.Point{}
	if len(w.c.ICMP) > 0 {
		icmp = w.c.ICMP[0].Point
	}
	switch k {
	case goproxy.KindRefused:
		if reset.Seen() || icmp.Seen() {
			return agrees, frames(syn, reset, icmp)
		}
		return denies, frames(syn, w.c.Last)
	case goproxy.KindNoRoute:
		if icmp.Seen() {
			return agrees, frames(syn, icmp)
		}
		return unclear, nil // the local link or routing table says so without a packet
	case goproxy.KindDialTimeout:
		if reset.Seen() {
			return denies, frames(syn, reset)
		}
		return agrees, frames(syn, w.c.Last)
	}
	return unclear, nil
}

// ended checks that a connection ended as go says. One that was still open
// when the capture ended may have done so afterwards.
func (w *view) ended(at tcpflow.Point) (finding, []int64) {
	switch {
	case at.Seen():
		return agrees, frames(at)
	case w.open:
		return unclear, nil
	}
	return denies, frames(w.c.Start, w.left, w.c.Last)
}

// anyReset returns the first reset that did not come from the client itself.
func (w *view) anyReset() tcpflow.Point {
	for i := range w.c.Resets {
		if r := &w.c.Resets[i]; r.Dir == w.sd || w.isLocal(r.Loopback) {
			return r.Point
		}
	}
	return tcpflow.Point{}
}

// compareAlert looks for the server's alert; encrypted ones have no number.
func (w *view) compareAlert(number int) (finding, []int64) {
	if a := w.alert(tlswire.RoleServer); a != nil {
		if number < 0 || int(a.Number) == number {
			return agrees, frames(tcpflow.Point(a.Place))
		}
		return denies, frames(tcpflow.Point(a.Place))
	}
	return unclear, nil
}

func evidenceFrames(v *Verdict) []int64 {
	if len(v.Evidence) > 0 {
		return v.Evidence[0].Frames
	}
	return nil
}

// checkLookup says whether a lookup went as go says.
func checkLookup(k goproxy.Kind, v *Verdict) finding {
	switch v.Class {
	case DNSNXDomain, DNSNoData:
		if k == goproxy.KindNoSuchHost {
			return agrees
		}
	case DNSServFail, DNSRefused:
		if k == goproxy.KindLookupFailed {
			return agrees
		}
	case DNSNoAnswer, DNSUnreachable:
		if k == goproxy.KindLookupTimeout || k == goproxy.KindLookupFailed {
			return agrees
		}
	case OK:
		if v.Level == Proven {
			return denies
		}
		return unclear
	default:
		return unclear
	}
	return denies
}
