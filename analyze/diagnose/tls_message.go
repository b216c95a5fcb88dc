package diagnose

import (
	"strconv"
	"strings"

	"goproxytrace/analyze/tcpflow"
	"goproxytrace/analyze/tlswire"
)

// notTLS finds an answer to a ClientHello that is no TLS (H1, H4, H6).
func notTLS(w *view) (Verdict, bool) {
	if w.hello == nil || w.f.TLS.ServerHello != nil || w.f.Request != nil {
		return Verdict{}, false
	}
	if r := w.f.Response; r != nil {
		places, level := beyond, Proven
		if w.plainProxy(r.Status) {
			places, level = inClient, Suggested
		}
		v := w.verdict(TLSNotTLS, level, places, w.f.ResponseAt.Time, Text("answer", "HTTP "+strconv.Itoa(r.Status)))
		v.evidence("http.instead-of-tls", frames(tcpflow.Point(w.hello.First), w.f.ResponseAt), Num("status", int64(r.Status)), Text("reason", r.Reason))
		if r.Location != "" {
			v.evidence("http.location", frames(w.f.ResponseAt), Text("location", r.Location))
		}
		if r.Server != "" || r.Via != "" {
			v.evidence("http.server", frames(w.f.ResponseAt), Text("server", r.Server), Text("via", r.Via))
		}
		if level == Suggested {
			v.evidence("tls.to-plain-port", frames(tcpflow.Point(w.hello.First)), Num("port", int64(w.c.ServerEnd().Port)))
		}
		return v, true
	}
	if len(w.f.ServerBytes) == 0 || !w.f.ServerBytesAt.Seen() || w.ss != nil && w.ss.Records > 0 {
		return Verdict{}, false
	}
	if w.f.ServerBytesAt.Time < w.hello.First.Time {
		return Verdict{}, false // a protocol that turned to TLS later (STARTTLS)
	}
	v := w.verdict(TLSNotTLS, Proven, beyond, w.f.ServerBytesAt.Time, Text("answer", strconv.Quote(string(w.f.ServerBytes[:min(len(w.f.ServerBytes), 16)]))))
	v.evidence("bytes.instead-of-tls", frames(tcpflow.Point(w.hello.First), w.f.ServerBytesAt), Text("bytes", strconv.Quote(string(w.f.ServerBytes))))
	return v, true
}

// plainProxy reports whether an HTTP error to a ClientHello is that of a
// plain HTTP service that this client spoke TLS to by its configuration: it
// lies on no HTTPS port and calls the request malformed.
func (w *view) plainProxy(status int) bool {
	port := w.c.ServerEnd().Port
	return port != 443 && port != 8443 && status == 400
}

// certificateAlerts are the alerts that refuse a certificate (RFC 8446,
// section 6.2): no_certificate, bad_certificate, unsupported_certificate,
// certificate_revoked, certificate_expired, certificate_unknown, unknown_ca,
// bad_certificate_status_response.
func certificateAlert(n uint8) bool {
	return n >= 41 && n <= 46 || n == 48 || n == 113
}

// fatal reports whether an alert ends the handshake: close_notify,
// user_canceled and no_renegotiation do not.
func fatal(a *tlswire.Alert) bool {
	return a.Level == 2 && a.Number != 0 && a.Number != 90 && a.Number != 100
}

func (w *view) alert(from tlswire.Role) *tlswire.Alert {
	if w.f.TLS == nil {
		return nil
	}
	for i := range w.f.TLS.Alerts {
		a := &w.f.TLS.Alerts[i]
		if !fatal(a) {
			continue
		}
		role := a.From
		if role == tlswire.RoleUnknown {
			role = tlswire.RoleServer
			if a.Dir == int(w.cd) {
				role = tlswire.RoleClient
			}
		}
		if role == from {
			return a
		}
		return nil // the other end's complaint came first
	}
	return nil
}

// alertFromServer finds a refusal in clear (A1).
func alertFromServer(w *view) (Verdict, bool) {
	a := w.alert(tlswire.RoleServer)
	if a == nil {
		return Verdict{}, false
	}
	v := w.verdict(TLSAlertFromServer, Proven, beyond, a.Time, Text("alert", tlswire.AlertName(a.Number)), Num("number", int64(a.Number)))
	v.evidence("alert.server", frames(tcpflow.Point(a.Place)), Text("alert", tlswire.AlertName(a.Number)), Num("number", int64(a.Number)))
	return v, true
}

// encryptedAlertFromServer finds a server that ends the handshake with an
// encrypted record that only an alert fits into.
func encryptedAlertFromServer(w *view) (Verdict, bool) {
	if !w.tls13() || w.missed() || !w.server.FIN.Seen() || w.left.Seen() && w.left.Time < w.server.FIN.Time {
		return Verdict{}, false // what the capture lacks may be the rest of a download
	}
	if last := w.ss.Last[1]; last.Frame != 0 && last.Length == refusalRecord {
		v := w.verdict(TLSAlertFromServer, Suggested, beyond, last.Time, Text("alert", "encrypted"), Num("number", 0))
		v.evidence("alert.encrypted", frames(tcpflow.Point(last.Place), w.server.FIN), Bytes("bytes", refusalRecord))
		return v, true
	}
	return Verdict{}, false
}

// certificateRejected finds a client that refused the server's certificate:
// in clear (A2), or in TLS 1.3 by the size of its first encrypted record
// (A3), into which no handshake message fits.
func certificateRejected(w *view) (Verdict, bool) {
	if w.f.TLS == nil || w.f.TLS.ServerHello == nil {
		return Verdict{}, false
	}
	if a := w.alert(tlswire.RoleClient); a != nil && certificateAlert(a.Number) {
		v := w.verdict(TLSCertificateRejected, Proven, beyond, a.Time, Text("issuer", w.issuer()))
		v.evidence("alert.client", frames(tcpflow.Point(a.Place)), Text("alert", tlswire.AlertName(a.Number)), Num("number", int64(a.Number)))
		w.certificates(&v)
		return v, true
	}
	if !w.refused() {
		return Verdict{}, false
	}
	at := tcpflow.Point(w.cs.First[0].Place)
	v := w.verdict(TLSCertificateRejected, Suggested, beyond, at.Time, Text("issuer", ""))
	v.evidence("client.refused-encrypted", frames(tcpflow.Point(w.f.TLS.ServerHello.Place), at, w.left), Bytes("bytes", refusalRecord))
	v.skip("skip.certificate-encrypted")
	return v, true
}

// issuer returns the issuer of the server's certificate where readable.
func (w *view) issuer() string {
	if ch := w.f.TLS.ServerChain; ch != nil && len(ch.Certificates) > 0 {
		return ch.Certificates[0].Issuer
	}
	return ""
}

// certificates adds what is readable of the refused certificate.
func (w *view) certificates(v *Verdict) {
	ch := w.f.TLS.ServerChain
	if ch == nil || len(ch.Certificates) == 0 {
		return
	}
	leaf := ch.Certificates[0]
	at := tcpflow.Point(ch.Place)
	v.evidence("certificate.shown", frames(at), Text("subject", leaf.Subject), Text("issuer", leaf.Issuer), Text("names", strings.Join(leaf.Names[:min(len(leaf.Names), 8)], ", ")))
	if leaf.SelfSigned {
		v.evidence("certificate.self-signed", frames(at))
	}
	now := at.Time
	if !leaf.NotAfter.IsZero() && now > leaf.NotAfter.UnixNano() {
		v.evidence("certificate.expired", frames(at), Time("expired", leaf.NotAfter.UnixNano()))
	}
	if !leaf.NotBefore.IsZero() && now < leaf.NotBefore.UnixNano() {
		v.evidence("certificate.not-yet-valid", frames(at), Time("from", leaf.NotBefore.UnixNano()))
	}
	if name := w.hello.ServerName(); name != "" && len(leaf.Names) > 0 && leaf.NameCount == len(leaf.Names) && !covers(leaf.Names, name) {
		v.evidence("certificate.other-name", frames(at), Text("name", name))
	}
}

// covers reports whether one of a certificate's names stands for host; a
// wildcard stands for one label (RFC 6125, section 6.4.3).
func covers(names []string, host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, n := range names {
		n = strings.ToLower(strings.TrimSuffix(n, "."))
		if n == host {
			return true
		}
		if rest, ok := strings.CutPrefix(n, "*."); ok {
			if _, tail, found := strings.Cut(host, "."); found && tail == rest {
				return true
			}
		}
	}
	return false
}

// alertFromClient finds a client that refused something else (A6).
func alertFromClient(w *view) (Verdict, bool) {
	a := w.alert(tlswire.RoleClient)
	if a == nil || w.f.TLS.ServerHello == nil && !w.answered() {
		return Verdict{}, false
	}
	v := w.verdict(TLSAlertFromClient, Proven, beyond, a.Time, Text("alert", tlswire.AlertName(a.Number)), Num("number", int64(a.Number)))
	v.evidence("alert.client", frames(tcpflow.Point(a.Place)), Text("alert", tlswire.AlertName(a.Number)), Num("number", int64(a.Number)))
	return v, true
}
