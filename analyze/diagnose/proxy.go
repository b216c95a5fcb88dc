package diagnose

import "goproxytrace/analyze/tcpflow"

// tunnelled reports whether the proxy granted the tunnel.
func (w *view) tunnelled() bool {
	return w.f.Response != nil && w.f.Response.Status/100 == 2 || w.f.Response == nil && w.f.TLS != nil && w.hello != nil
}

// proxyRefused finds a CONNECT proxy that said no (H2).
func proxyRefused(w *view) (Verdict, bool) {
	r := w.f.Response
	if r == nil || r.Status < 300 {
		return Verdict{}, false
	}
	v := w.verdict(ProxyRefused, Proven, inRemote, w.f.ResponseAt.Time,
		Text("target", w.f.Request.Target), Num("status", int64(r.Status)))
	v.evidence("proxy.refusal", frames(w.f.RequestAt, w.f.ResponseAt),
		Text("target", w.f.Request.Target), Num("status", int64(r.Status)), Text("reason", r.Reason))
	if r.ProxyAuthenticate != "" {
		v.evidence("proxy.authenticate", frames(w.f.ResponseAt), Text("scheme", r.ProxyAuthenticate))
	}
	if r.Via != "" || r.Server != "" {
		v.evidence("http.server", frames(w.f.ResponseAt), Text("server", r.Server), Text("via", r.Via))
	}
	return v, true
}

// proxySilent finds a CONNECT request without an answer (H3), be it silence
// or the end of the connection.
func proxySilent(w *view) (Verdict, bool) {
	target := Text("target", w.f.Request.Target)
	if r := w.serverReset; r != nil {
		v := w.verdict(ProxySilent, Proven, beyond, r.Time, target)
		v.evidence("connect.reset", frames(w.f.RequestAt, r.Point))
		w.provenance(&v, r)
		return v, true
	}
	if fin := w.server.FIN; fin.Seen() && (!w.left.Seen() || fin.Time <= w.left.Time) {
		v := w.verdict(ProxySilent, Proven, beyond, fin.Time, target)
		v.evidence("connect.closed", frames(w.f.RequestAt, fin))
		return v, true
	}
	since := w.f.RequestAt
	level, ok := w.silence(since.Time)
	if !ok {
		return Verdict{}, false
	}
	v := w.verdict(ProxySilent, level, w.whereSilent(), w.until, target)
	v.failed = since.Time
	if w.c.Outstanding(w.cd) > 0 && w.client.ResendCount > 0 {
		v.evidence("request.resent", marks(w.client.Resends), Num("count", int64(w.client.ResendCount)))
		return v, true
	}
	v.evidence("connect.acknowledged", frames(since, w.server.Progress))
	w.silenceEvidence(&v, since)
	return v, true
}

// silenceEvidence adds what is known about a silence that began at since.
func (w *view) silenceEvidence(v *Verdict, since tcpflow.Point) {
	v.evidence("server.silent", frames(since, w.left), Dur("quiet", max(w.until-since.Time, 0)))
	switch n := w.unansweredProbes(); {
	case w.serverAlive():
		v.evidence("keepalive.answered", append(marks(w.c.KeepAlives), marks(w.c.KeepAliveACKs)...), Num("count", int64(w.c.KeepAliveRound)))
		e := &v.Evidence[len(v.Evidence)-1]
		e.Frames = tidy(e.Frames)
	case n > 0:
		v.evidence("keepalive.unanswered", marks(w.c.KeepAlives), Num("count", int64(n)))
	default:
		v.skip("skip.no-keepalive")
	}
}
