package diagnose

// Row is one line of the taxonomy of faults: a way in which a module request
// can die, look dead, or be seen wrongly, and what a report shows it as.
// report/messages has its name. At least one of the other fields is set.
type Row struct {
	// ID is a letter for the group (K capture, L this host, D DNS, S connect,
	// P ClientHello lost or held, R resets and closes, A alerts and
	// certificates, H something else on the port, T after the handshake,
	// O another host, N no network) and a number.
	ID string
	// Classes are the classes it shows up as.
	Classes []Class
	// Notes are identifiers of notes on a verdict.
	Notes []string
	// Evidence are identifiers of observations that tell it apart within
	// its classes.
	Evidence []string
	// Health are identifiers of facts about the capture itself.
	Health []string
	// AnyDeath is true where the row says which host died and not how: its
	// class is that of the death.
	AnyDeath bool
}

// Rows is the whole taxonomy.
var Rows = []Row{
	{ID: "K1", Classes: []Class{CaptureUnusable}, Health: []string{"K1.dropped", "K1.acked-unseen"}},
	{ID: "K2", Classes: []Class{NoTraffic, CaptureUnusable}, Health: []string{"K2.undrained", "K2.late-start"}},
	{ID: "K3", Classes: []Class{CaptureUnusable}, Health: []string{"K3.one-direction"}},
	{ID: "K4", Health: []string{"K4.offload"}},
	{ID: "K5", Health: []string{"K5.duplicates"}},
	{ID: "K6", Classes: []Class{CaptureUnusable}, Health: []string{"K6.sliced"}},
	{ID: "K7", Classes: []Class{CaptureUnusable, OK}, Health: []string{"K2.late-start"}},
	{ID: "K8", Health: []string{"K8.clock-back", "K8.clock-ahead", "K8.break"}},
	{ID: "K9", Health: []string{"K9.stand-in-address"}},

	{ID: "L1", Classes: []Class{ConnectNotSent}, Health: []string{"host.unread"}},
	{ID: "L2", Classes: []Class{ConnectRejectedLocally, ConnectNotSent}, Evidence: []string{"reset.loopback", "icmp.local"}},
	{ID: "L3", Classes: []Class{TLSClientHelloNotSent}, Evidence: []string{"reset.loopback", "reset.acks-unsent"}},
	{ID: "L4", Classes: []Class{TLSClientHelloNotSent}, Evidence: []string{"clienthello.absent"}},
	{ID: "L5", Classes: []Class{ConnectAnswerIgnored}},
	{ID: "L6", Classes: []Class{TLSAnswerIgnored}},
	{ID: "L7", Classes: []Class{TLSLocalInterception}, Evidence: []string{"relay.owner"}},
	{ID: "L8", Classes: []Class{TransferReceiverStalled}},
	{ID: "L9", Classes: []Class{ClientVerificationStalled, ClientStalled}, Evidence: []string{"revocation.unresolved", "revocation.unanswered", "revocation.no-response"}},
	{ID: "L10", Classes: []Class{ClientAborted}},

	{ID: "D1", Classes: []Class{DNSNoAnswer}},
	{ID: "D2", Classes: []Class{DNSNXDomain, DNSNoData}},
	{ID: "D3", Classes: []Class{DNSServFail, DNSRefused}},
	{ID: "D4", Classes: []Class{DNSSinkhole}},
	{ID: "D5", Classes: []Class{DNSForged}},
	{ID: "D6", Classes: []Class{OK}, Notes: []string{"slow"}, Evidence: []string{"slow.lookup"}},

	{ID: "S1", Classes: []Class{ConnectNoAnswer}},
	{ID: "S2", Classes: []Class{LinkGatewaySilent}},
	{ID: "S3", Classes: []Class{ConnectRefused}},
	{ID: "S4", Classes: []Class{ConnectRefused}, Evidence: []string{"reset.faster-than-rtt", "reset.ttl"}},
	{ID: "S5", Classes: []Class{ConnectUnreachable, DNSUnreachable}},
	{ID: "S6", Classes: []Class{ConnectAnswerIgnored, TLSReset}, Evidence: []string{"synack.differs", "reset.before-clienthello"}},
	{ID: "S7", Classes: []Class{ConnectNoAnswer, OK}, Notes: []string{"fallback", "one-family-broken"}},
	{ID: "S8", Classes: []Class{ConnectRefused, TLSReset, TransferReset}, Health: []string{"K9.stand-in-address"}},

	{ID: "P1", Classes: []Class{TLSClientHelloLost}, Evidence: []string{"clienthello.unacknowledged"}},
	{ID: "P2", Classes: []Class{TLSLargePacketsLost}, Evidence: []string{"clienthello.first-part-lost", "icmp.too-big"}},
	{ID: "P3", Classes: []Class{TLSClientHelloLost}, Evidence: []string{"clienthello.last-part-lost"}},
	{ID: "P4", Classes: []Class{TLSLargePacketsLost}, Evidence: []string{"serverflight.hole"}},
	{ID: "P5", Classes: []Class{TLSNoServerHello}, Evidence: []string{"fin.acknowledged"}},
	{ID: "P6", Classes: []Class{TLSNoServerHello}, Evidence: []string{"fin.unanswered"}},

	{ID: "R1", Classes: []Class{TLSReset}, Evidence: []string{"reset.time-fits"}},
	{ID: "R2", Classes: []Class{TLSReset, TransferReset}, Notes: []string{"blind-reset-ignored"},
		Evidence: []string{"reset.faster-than-rtt", "reset.early", "reset.sender-continues", "reset.ttl", "reset.ipid", "reset.sequence-sweep", "reset.payload", "reset.no-timestamps"}},
	{ID: "R3", Classes: []Class{TLSReset}, Evidence: []string{"reset.faster-than-rtt"}},
	{ID: "R4", Classes: []Class{TLSReset}, Evidence: []string{"reset.before-clienthello"}},
	{ID: "R5", Classes: []Class{TLSReset, TLSClosed}, Evidence: []string{"reset.time-fits"}},
	{ID: "R6", Classes: []Class{TLSClosed}},
	{ID: "R7", Classes: []Class{OK, ClientAborted, TransferPathDead}},

	{ID: "A1", Classes: []Class{TLSAlertFromServer}},
	{ID: "A2", Classes: []Class{TLSCertificateRejected}, Evidence: []string{"alert.client", "certificate.shown"}},
	{ID: "A3", Classes: []Class{TLSCertificateRejected}, Evidence: []string{"client.refused-encrypted"}},
	{ID: "A4", Classes: []Class{OK}},
	{ID: "A5", Classes: []Class{TLSCertificateRejected, TLSNotTLS}, Evidence: []string{"certificate.other-name", "http.location"}},
	{ID: "A6", Classes: []Class{TLSAlertFromClient}},

	{ID: "H1", Classes: []Class{TLSNotTLS}, Evidence: []string{"http.instead-of-tls"}},
	{ID: "H2", Classes: []Class{ProxyRefused}},
	{ID: "H3", Classes: []Class{ProxySilent}},
	{ID: "H4", Classes: []Class{TLSNotTLS}, Evidence: []string{"tls.to-plain-port"}},
	{ID: "H5", Classes: []Class{ConnectRefused, ConnectNoAnswer, ConnectUnreachable}},
	{ID: "H6", Classes: []Class{TLSNotTLS}, Evidence: []string{"bytes.instead-of-tls"}},

	{ID: "T1", Classes: []Class{HTTPNoResponse}, Evidence: []string{"keepalive.answered"}},
	{ID: "T2", Classes: []Class{TransferPathDead, HTTPNoResponse}, Evidence: []string{"keepalive.unanswered"}},
	{ID: "T3", Classes: []Class{TransferPathDead, TransferReset}, Evidence: []string{"request.resent"}},
	{ID: "T4", Classes: []Class{TransferHeavyLoss}},
	{ID: "T5", Classes: []Class{TransferRemoteIdle}},
	{ID: "T6", Classes: []Class{TransferRemoteIdle, TransferPathDead}, Evidence: []string{"server.froze"}},
	{ID: "T7", Classes: []Class{OK}, Notes: []string{"slow", "lossy"}, Evidence: []string{"slow.rate", "slow.loss"}},
	{ID: "T8", Classes: []Class{OK}, Notes: []string{"slow"}, Evidence: []string{"slow.queue"}},
	{ID: "T9", Classes: []Class{TransferTruncated}},
	{ID: "T10", Classes: []Class{TransferReset}},
	{ID: "T11", Classes: []Class{HTTPError}, Evidence: []string{"go.inside-tls", "go.answer", "http.status"}},
	{ID: "T12", Classes: []Class{HTTPError}, Evidence: []string{"go.inside-tls", "go.answer"}},
	{ID: "T13", Classes: []Class{ConnectNoAnswer, TLSNoServerHello, TLSReset}, Notes: []string{"residual-block"}, Evidence: []string{"residual.block", "residual.over"}},
	{ID: "T14", Classes: []Class{OK}},

	{ID: "O1", AnyDeath: true, Evidence: []string{"fallback.redirect"}},
	{ID: "O2", AnyDeath: true, Evidence: []string{"fallback.sumdb", "fallback.sumdb-explicit"}},
	{ID: "O3", AnyDeath: true, Evidence: []string{"fallback.direct", "fallback.direct-only"}},
	{ID: "O4", AnyDeath: true, Evidence: []string{"fallback.not-tried-comma", "fallback.not-tried-status", "fallback.none", "fallback.off", "fallback.waiting"}},
	{ID: "N1", Classes: []Class{NoTraffic}},
	{ID: "N2", Classes: []Class{OK}},
}

// RowsOf returns the identifiers of the rows that show up as c.
func RowsOf(c Class) (ids []string) {
	for i := range Rows {
		for _, k := range Rows[i].Classes {
			if k == c {
				ids = append(ids, Rows[i].ID)
			}
		}
	}
	return ids
}
