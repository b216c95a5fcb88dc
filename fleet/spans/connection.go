package spans

import (
	"cmp"
	"fmt"
	"net/netip"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"goproxytrace/analyze"
	"goproxytrace/report"
)

// connection makes the spans of a connection: itself and its stages.
func (b *Plan) connection(c *report.Connection) ptrace.SpanSlice {
	out := ptrace.NewSpanSlice()
	used := b.answers.usedBy(c)
	o := b.owner(c, used)
	part := o.span().next / perTrace
	at := b.connectionPlace(c, o)
	end := after(c.Start, c.Duration)
	s := b.span(out, "connection", ptrace.SpanKindClient, at, b.root(o, part).span, c.Start, end)
	a := attrs{s.Attributes()}
	a.int(keyConnection, c.ID)
	a.int(keyFirstFrame, c.FirstFrame)
	a.int(keyLastFrame, c.LastFrame)
	server := b.network(a, c)
	if server != "" {
		s.SetName(text("connection " + server))
	}
	a.uint(keyFromClient, c.Bytes.FromClient)
	a.uint(keyFromServer, c.Bytes.FromServer)
	a.seconds(keyQuiet, c.Stages.Quiet)
	if c.Target {
		a.PutBool(keyTarget, true)
	}
	b.ownedBy(a, c)
	tcpCounts(a, &c.TCP)
	b.tls(a, c.TLS)
	b.icmp(a, c.ICMP)
	if c.Proxy != nil {
		a.str(keyProxyTarget, c.Proxy.Target)
	}
	b.judged(s, &c.Verdict, end)
	if used >= 0 {
		link(s, b.lookupPlace(used))
	}
	for _, st := range stagesOf(c, end) {
		b.stage(out, c, st, at)
	}
	return out
}

// network sets who talked to whom and returns the server's name, else its
// address.
func (b *Plan) network(a attrs, c *report.Connection) string {
	a.str(key(semconv.NetworkTransportKey), "tcp")
	client, server := c.Client, c.Server
	name := c.ServerName
	if from, err := netip.ParseAddrPort(client); err == nil {
		a.str(key(semconv.NetworkLocalAddressKey), from.Addr().String())
		a.int(key(semconv.NetworkLocalPortKey), int64(from.Port()))
	}
	if to, err := netip.ParseAddrPort(server); err == nil {
		a.str(key(semconv.NetworkPeerAddressKey), to.Addr().String())
		a.int(key(semconv.NetworkPeerPortKey), int64(to.Port()))
		a.str(key(semconv.NetworkTypeKey), family(to.Addr()))
		a.int(key(semconv.ServerPortKey), int64(to.Port()))
		name = cmp.Or(name, to.Addr().String())
	}
	a.str(key(semconv.ServerAddressKey), name)
	return name
}

func family(a netip.Addr) string {
	if a.Unmap().Is4() {
		return "ipv4"
	}
	return "ipv6"
}

func (b *Plan) ownedBy(a attrs, c *report.Connection) {
	if p := c.Process; p != nil {
		a.int(key(semconv.ProcessPIDKey), int64(p.PID))
		a.str(key(semconv.ProcessExecutableNameKey), p.Name)
		a.str(keySource, p.Source)
		a.str(keyConfidence, p.Confidence)
		a.positive(keyGoCommand, int64(p.GoCommand))
	}
	if p := c.ServerProcess; p != nil {
		a.int(keyServerPID, int64(p.PID))
		a.str(keyServerName, p.Name)
	}
}

func tcpCounts(a attrs, t *analyze.TCP) {
	a.uint(keyTCP+"packets", t.Packets)
	for _, n := range []struct {
		name  string
		count int64
	}{
		{"retransmissions", int64(t.Retransmissions)}, {"fast_retransmissions", int64(t.FastRetransmissions)},
		{"spurious_retransmissions", int64(t.SpuriousRetransmissions)}, {"duplicate_acks", int64(t.DuplicateACKs)},
		{"out_of_order", int64(t.OutOfOrder)}, {"lost_segments", int64(t.LostSegments)}, {"zero_windows", int64(t.ZeroWindows)},
		{"keep_alives", int64(t.KeepAlives)}, {"keep_alives_answered", int64(t.KeepAlivesAnswered)},
		{"resets_from_client", int64(t.ResetsFromClient)}, {"resets_from_server", int64(t.ResetsFromServer)},
	} {
		a.positive(keyTCP+n.name, n.count)
	}
	a.seconds(keyRTT, t.HandshakeRTT)
}

func (b *Plan) tls(a attrs, t *analyze.TLS) {
	if t == nil {
		return
	}
	name, version := tlsVersion(t.Version)
	a.str(key(semconv.TLSProtocolNameKey), name)
	a.str(key(semconv.TLSProtocolVersionKey), version)
	a.str(key(semconv.TLSCipherKey), t.Cipher)
	chosen := t.ALPNChosen
	a.str(key(semconv.TLSNextProtocolKey), chosen)
	proto, protoVersion := protocol(chosen)
	a.str(key(semconv.NetworkProtocolNameKey), proto)
	a.str(key(semconv.NetworkProtocolVersionKey), protoVersion)
	a.str(key(semconv.TLSClientJa3Key), t.JA3)
	a.str(keyJA4, t.JA4)
	a.positive(keyHelloBytes, int64(t.ClientHelloBytes))
	a.positive(keyHelloSegs, int64(t.ClientHelloSegments))
	if t.HelloRetry {
		a.PutBool(keyHelloRetry, true)
	}
	a.list(keyGroups, t.Groups)
	var alerts []string
	for _, x := range t.Alerts {
		alerts = append(alerts, fmt.Sprintf("%s: %s (%d), frame %d", x.From, x.Name, x.Number, x.Frame))
	}
	a.list(keyAlerts, alerts)
	if len(t.Certificates) > 0 {
		leaf := &t.Certificates[0]
		a.str(key(semconv.TLSServerSubjectKey), leaf.Subject)
		a.str(key(semconv.TLSServerIssuerKey), leaf.Issuer)
		a.str(key(semconv.TLSServerHashSha256Key), leaf.Fingerprint)
		if !leaf.NotBefore.IsZero() {
			a.str(key(semconv.TLSServerNotBeforeKey), leaf.NotBefore.UTC().Format(time.RFC3339))
		}
		if !leaf.NotAfter.IsZero() {
			a.str(key(semconv.TLSServerNotAfterKey), leaf.NotAfter.UTC().Format(time.RFC3339))
		}
	}
}

// tlsVersion splits "TLS 1.3" as the conventions have it.
func tlsVersion(s string) (name, version string) {
	switch s {
	case "TLS 1.3":
		return "tls", "1.3"
	case "TLS 1.2":
		return "tls", "1.2"
	case "TLS 1.1":
		return "tls", "1.1"
	case "TLS 1.0":
		return "tls", "1.0"
	case "SSL 3.0":
		return "ssl", "3.0"
	}
	return "", ""
}

func (b *Plan) icmp(a attrs, list []analyze.ICMP) {
	var out []string
	for _, e := range list[:min(len(list), maxList)] {
		s := fmt.Sprintf("type %d code %d from %s, frame %d", e.Type, e.Code, e.From, e.Frame)
		if e.MTU > 0 {
			s += fmt.Sprintf(", MTU %d", e.MTU)
		}
		out = append(out, s)
	}
	a.list(keyICMP, out)
}

// stage is a stage of a connection.
type stage struct {
	name, span  string
	from, until time.Time
	// completed is false where it was not passed; died where the connection
	// died in it.
	completed, died bool
}

// stagesOf lays out the stages of a connection. Where one was begun and not
// passed it lasts to the connection's end.
func stagesOf(c *report.Connection, end time.Time) (list []stage) {
	s := &c.Stages
	death := ""
	if c.Verdict.Died {
		death = c.Verdict.Stage
	}
	reached := c.Start
	add := func(name, span string, from time.Time, ms *float64) {
		st := stage{name: name, span: span, from: from, until: end, died: death == name}
		if ms != nil && !st.died {
			st.until, st.completed = after(from, *ms), true
		}
		list = append(list, st)
		reached = st.until
	}
	switch {
	case s.Connect != nil && death == "connect":
		// Answered, and that in vain: the answer is part of what went wrong.
		add("connect", "connect", c.Start, nil)
	case s.Connect != nil:
		add("connect", "connect", c.Start, s.Connect)
	case death == "connect":
		add("connect", "connect", c.Start, nil)
	}
	if c.Proxy != nil || death == "proxy" {
		var lasted *float64
		if s.TLSStart != nil {
			ms := max(*s.TLSStart-float64(reached.Sub(c.Start))/1e6, 0)
			lasted = &ms
		}
		add("proxy", "CONNECT", reached, lasted)
	}
	hello := reached
	if s.TLSStart != nil {
		hello = after(c.Start, *s.TLSStart)
	}
	if s.TLS != nil || s.TLSStart != nil || death == "tls" {
		add("tls", "TLS handshake", hello, s.TLS)
	}
	answered := reached
	if s.FirstByte != nil || death == "http" {
		add("http", "first byte", answered, s.FirstByte)
	}
	if s.Transfer != nil || death == "transfer" {
		// What came before the connection died for want of an answer, HTTP/2
		// settings for one, is no answer.
		from := after(answered, fromMS(s.FirstByte))
		var lasted *float64
		if s.Transfer != nil {
			ms := max(*s.Transfer-fromMS(s.FirstByte), 0)
			lasted = &ms
		}
		add("transfer", "transfer", from, lasted)
	}
	return list
}

func (b *Plan) stage(out ptrace.SpanSlice, c *report.Connection, st stage, parent place) {
	at := place{parent.trace, b.ids.span("stage "+st.name, c.ID)}
	s := b.span(out, st.span, ptrace.SpanKindInternal, at, parent.span, st.from, st.until)
	a := attrs{s.Attributes()}
	a.int(keyConnection, c.ID)
	a.str(keyStage, st.name)
	a.PutBool(keyCompleted, st.completed)
	if st.name == "tls" {
		a.PutBool(key(semconv.TLSEstablishedKey), st.completed)
		b.tlsOfStage(a, c.TLS)
	}
	if st.name == "proxy" && c.Proxy != nil {
		a.str(key(semconv.HTTPRequestMethodKey), "CONNECT")
		a.positive(key(semconv.HTTPResponseStatusCodeKey), int64(c.Proxy.Status))
	}
	if st.died {
		a.str(key(semconv.ErrorTypeKey), c.Verdict.Class)
		s.Status().SetCode(ptrace.StatusCodeError)
		s.Status().SetMessage(text(c.Verdict.Class))
	}
}

func (b *Plan) tlsOfStage(a attrs, t *analyze.TLS) {
	if t == nil {
		return
	}
	name, version := tlsVersion(t.Version)
	a.str(key(semconv.TLSProtocolNameKey), name)
	a.str(key(semconv.TLSProtocolVersionKey), version)
	a.str(key(semconv.TLSCipherKey), t.Cipher)
}
