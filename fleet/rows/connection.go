package rows

import (
	"net/netip"
	"strings"
	"time"

	"goproxytrace/analyze"
	"goproxytrace/report"
)

// Address families.
const (
	IPv4 = "ipv4"
	IPv6 = "ipv6"
)

// Connection is a row of the table connections: one TCP connection with its
// verdict.
type Connection struct {
	Source
	// ConnectionID is unique within a document.
	ConnectionID int64      `parquet:"connection_id"`
	Start        *time.Time `parquet:"start,optional,timestamp(microsecond)"`
	DurationMS   float64    `parquet:"duration_ms"`
	FirstFrame   int64      `parquet:"first_frame"`
	LastFrame    int64      `parquet:"last_frame"`

	// Host is what the client asked for (SNI, CONNECT target or the name that
	// a lookup gave); null where unknown. Target is true for a host of
	// GOPROXY or GOSUMDB, or one that the go command's own words name.
	Host   string `parquet:"host,optional,dict"`
	Target bool   `parquet:"target"`
	// Addresses without ports; null where they are no addresses.
	ClientAddress string `parquet:"client_address,optional,dict"`
	ClientPort    *int32 `parquet:"client_port,optional"`
	RemoteAddress string `parquet:"remote_address,optional,dict"`
	RemotePort    *int32 `parquet:"remote_port,optional"`
	// Family is ipv4 or ipv6 by RemoteAddress.
	Family string `parquet:"family,optional,dict"`
	// Resolver is the server, without its port, of the last lookup before the
	// connection that answered with RemoteAddress; null where none did.
	Resolver string `parquet:"resolver,optional,dict"`

	// The owner of the client end; null where not known. OwnerSource says
	// where the claim comes from, OwnerConfidence is exact, strong or weak.
	PID             *int64 `parquet:"pid,optional"`
	ProcessName     string `parquet:"process_name,optional,dict"`
	Command         string `parquet:"command,optional,dict"`
	OwnerSource     string `parquet:"owner_source,optional,dict"`
	OwnerConfidence string `parquet:"owner_confidence,optional,dict"`
	// GoPID is the go command that the process is or works for: connections
	// with the same CaseID and GoPID belong to one run of it.
	GoPID *int64 `parquet:"go_pid,optional"`
	// GoVersion is the go command's own; null where its host did not record it.
	GoVersion string `parquet:"go_version,optional,dict"`

	// Durations of the stages in milliseconds; null where a stage was not
	// seen. Quiet is from the last new payload to the end.
	DNSMS       *float64 `parquet:"dns_ms,optional"`
	ConnectMS   *float64 `parquet:"connect_ms,optional"`
	TLSMS       *float64 `parquet:"tls_ms,optional"`
	FirstByteMS *float64 `parquet:"first_byte_ms,optional"`
	TransferMS  *float64 `parquet:"transfer_ms,optional"`
	QuietMS     *float64 `parquet:"quiet_ms,optional"`

	// Payload bytes, repetitions left out.
	BytesFromClient int64 `parquet:"bytes_from_client"`
	BytesFromServer int64 `parquet:"bytes_from_server"`

	// Counts of Wireshark's sequence analysis over both directions.
	Packets                 int64 `parquet:"packets"`
	PacketsFromClient       int64 `parquet:"packets_from_client"`
	PacketsFromServer       int64 `parquet:"packets_from_server"`
	Retransmissions         int64 `parquet:"retransmissions"`
	FastRetransmissions     int64 `parquet:"fast_retransmissions"`
	SpuriousRetransmissions int64 `parquet:"spurious_retransmissions"`
	CopiedRetransmissions   int64 `parquet:"copied_retransmissions"`
	DuplicateACKs           int64 `parquet:"duplicate_acks"`
	OutOfOrder              int64 `parquet:"out_of_order"`
	LostSegments            int64 `parquet:"lost_segments"`
	ACKLostSegments         int64 `parquet:"ack_lost_segments"`
	ZeroWindows             int64 `parquet:"zero_windows"`
	WindowFull              int64 `parquet:"window_full"`
	KeepAlives              int64 `parquet:"keep_alives"`
	KeepAlivesAnswered      int64 `parquet:"keep_alives_answered"`
	DuplicateFrames         int64 `parquet:"duplicate_frames"`
	ResetsFromClient        int64 `parquet:"resets_from_client"`
	ResetsFromServer        int64 `parquet:"resets_from_server"`
	// Round trips in milliseconds; null without a sample.
	HandshakeRTTMS *float64 `parquet:"handshake_rtt_ms,optional"`
	MinRTTMS       *float64 `parquet:"rtt_min_ms,optional"`
	MeanRTTMS      *float64 `parquet:"rtt_mean_ms,optional"`
	MaxRTTMS       *float64 `parquet:"rtt_max_ms,optional"`
	RTTSamples     int64    `parquet:"rtt_samples"`
	// ServerRTTMS is between the capture point and the server on average.
	ServerRTTMS *float64 `parquet:"server_rtt_ms,optional"`
	// Maximum segment sizes (RFC 9293, 3.7.1); null where not seen.
	ClientMSS *int32 `parquet:"client_mss,optional"`
	ServerMSS *int32 `parquet:"server_mss,optional"`

	// TLS; null where no handshake was seen, lists then empty.
	TLSVersion          string   `parquet:"tls_version,optional,dict"`
	Cipher              string   `parquet:"cipher,optional,dict"`
	ALPN                []string `parquet:"alpn,list"`
	ALPNChosen          string   `parquet:"alpn_chosen,optional,dict"`
	JA3                 string   `parquet:"ja3,optional,dict"`
	JA4                 string   `parquet:"ja4,optional,dict"`
	ClientHelloBytes    *int32   `parquet:"client_hello_bytes,optional"`
	ClientHelloSegments *int32   `parquet:"client_hello_segments,optional"`
	HelloRetry          *bool    `parquet:"hello_retry,optional"`
	// Alert is the first alert in clear, AlertFrom client or server.
	Alert     string `parquet:"alert,optional,dict"`
	AlertFrom string `parquet:"alert_from,optional,dict"`
	// The server's own certificate, readable up to TLS 1.2 only.
	CertificateIssuer   string     `parquet:"certificate_issuer,optional,dict"`
	CertificateSubject  string     `parquet:"certificate_subject,optional,dict"`
	CertificateHash     string     `parquet:"certificate_sha256,optional,dict"`
	CertificateNotAfter *time.Time `parquet:"certificate_not_after,optional,timestamp(microsecond)"`

	// Proxy is the CONNECT target, ProxyStatus the proxy's answer; null where
	// there was none.
	Proxy       string `parquet:"proxy,optional,dict"`
	ProxyStatus *int32 `parquet:"proxy_status,optional"`
	// The first ICMP error that quotes the connection.
	ICMPFrom string `parquet:"icmp_from,optional,dict"`
	ICMPType *int32 `parquet:"icmp_type,optional"`
	ICMPCode *int32 `parquet:"icmp_code,optional"`

	Judgement
	// EvidenceIDs are those of the table evidence, in their order.
	EvidenceIDs []string `parquet:"evidence_ids,list"`
}

func (w *writer) connection(c *report.Connection) error {
	r := Connection{
		Source: w.source, ConnectionID: c.ID, Start: moment(c.Start), DurationMS: c.Duration,
		FirstFrame: c.FirstFrame, LastFrame: c.LastFrame, Host: c.ServerName, Target: c.Target, GoVersion: w.doc.GoVersion,
		DNSMS: c.Stages.DNS, ConnectMS: c.Stages.Connect, TLSMS: c.Stages.TLS, FirstByteMS: c.Stages.FirstByte,
		TransferMS: c.Stages.Transfer, QuietMS: c.Stages.Quiet,
		BytesFromClient: int64(c.Bytes.FromClient), BytesFromServer: int64(c.Bytes.FromServer),
		Judgement: judgement(&c.Verdict),
	}
	r.ClientAddress, r.ClientPort, _ = endpoint(c.Client)
	r.RemoteAddress, r.RemotePort, r.Family = endpoint(c.Server)
	r.Resolver = w.resolvers.before(r.RemoteAddress, c.Start)
	if p := c.Process; p != nil {
		r.PID, r.ProcessName, r.Command, r.OwnerSource, r.OwnerConfidence = number(p.PID), p.Name, p.Command, p.Source, p.Confidence
		r.GoPID = goPID(p)
	}
	r.tcp(&c.TCP)
	r.tls(c.TLS)
	if p := c.Proxy; p != nil {
		r.Proxy, r.ProxyStatus = p.Target, positive(p.Status)
	}
	if len(c.ICMP) > 0 {
		e := &c.ICMP[0]
		kind, code := int32(e.Type), int32(e.Code)
		r.ICMPFrom, r.ICMPType, r.ICMPCode = e.From, &kind, &code
	}
	for i := range c.Verdict.Evidence {
		r.EvidenceIDs = append(r.EvidenceIDs, c.Verdict.Evidence[i].ID)
	}
	if err := w.sink.Connection(&r); err != nil {
		return err
	}
	return w.verdict(&c.Verdict, Verdict{
		Subject: subject(SubjectConnection, c.ID), Time: r.Start, Host: r.Host, Remote: c.Server,
		PID: r.PID, ProcessName: r.ProcessName, GoPID: r.GoPID, GoVersion: r.GoVersion,
	})
}

func (r *Connection) tcp(t *analyze.TCP) {
	r.Packets, r.PacketsFromClient, r.PacketsFromServer = int64(t.Packets), int64(t.PacketsFromClient), int64(t.PacketsFromServer)
	r.Retransmissions, r.FastRetransmissions = int64(t.Retransmissions), int64(t.FastRetransmissions)
	r.SpuriousRetransmissions, r.CopiedRetransmissions = int64(t.SpuriousRetransmissions), int64(t.CopiedRetransmissions)
	r.DuplicateACKs, r.OutOfOrder = int64(t.DuplicateACKs), int64(t.OutOfOrder)
	r.LostSegments, r.ACKLostSegments = int64(t.LostSegments), int64(t.ACKLostSegments)
	r.ZeroWindows, r.WindowFull = int64(t.ZeroWindows), int64(t.WindowFull)
	r.KeepAlives, r.KeepAlivesAnswered = int64(t.KeepAlives), int64(t.KeepAlivesAnswered)
	r.DuplicateFrames = int64(t.DuplicateFrames)
	r.ResetsFromClient, r.ResetsFromServer = int64(t.ResetsFromClient), int64(t.ResetsFromServer)
	r.HandshakeRTTMS, r.MinRTTMS, r.MeanRTTMS, r.MaxRTTMS = t.HandshakeRTT, t.MinRTT, t.MeanRTT, t.MaxRTT
	r.RTTSamples = int64(t.RTTSamples)
	if t.RTTToServer != nil {
		mean := t.RTTToServer.Mean
		r.ServerRTTMS = &mean
	}
	r.ClientMSS, r.ServerMSS = positive(int(t.ClientMSS)), positive(int(t.ServerMSS))
}

func (r *Connection) tls(t *analyze.TLS) {
	if t == nil {
		return
	}
	r.TLSVersion, r.Cipher, r.ALPN, r.ALPNChosen, r.JA3, r.JA4 = t.Version, t.Cipher, t.ALPN, t.ALPNChosen, t.JA3, t.JA4
	r.ClientHelloBytes, r.ClientHelloSegments = positive(t.ClientHelloBytes), positive(t.ClientHelloSegments)
	retry := t.HelloRetry
	r.HelloRetry = &retry
	if len(t.Alerts) > 0 {
		r.Alert, r.AlertFrom = t.Alerts[0].Name, t.Alerts[0].From
	}
	if len(t.Certificates) > 0 {
		c := &t.Certificates[0]
		r.CertificateIssuer, r.CertificateSubject, r.CertificateHash = c.Issuer, c.Subject, c.Fingerprint
		r.CertificateNotAfter = moment(c.NotAfter)
	}
}

// goPID returns the go command that a process is or works for, nil for none.
func goPID(p *analyze.Process) *int64 {
	if p.GoCommand != 0 {
		return number(p.GoCommand)
	}
	if name := strings.ToLower(p.Name); name == "go" || name == "go.exe" {
		return number(p.PID)
	}
	return nil
}

// endpoint takes ip:port apart.
func endpoint(s string) (address string, port *int32, family string) {
	at, err := netip.ParseAddrPort(s)
	if err != nil {
		return "", nil, ""
	}
	p := int32(at.Port())
	family = IPv6
	if at.Addr().Unmap().Is4() {
		family = IPv4
	}
	return at.Addr().String(), &p, family
}

func number(n uint32) *int64 {
	v := int64(n)
	return &v
}

// positive returns nil for what is zero where it is not known.
func positive(n int) *int32 {
	if n <= 0 {
		return nil
	}
	v := int32(min(n, 1<<31-1))
	return &v
}
