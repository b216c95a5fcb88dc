package diagnose

import "slices"

// ClassInfo is what is the same for all verdicts of a class.
type ClassInfo struct {
	Stage Stage
	// Values are the names of the values that each verdict of the class
	// carries beside the common ones (CommonValues).
	Values []string
	// RefutedBy and NextSteps are message identifiers.
	RefutedBy, NextSteps []string
	// Absence is true where the verdict rests on something that was not
	// seen, so that it needs a capture that lost nothing.
	Absence bool
}

// CommonValues are the names of the values that every death carries: the
// host's name (its address where unknown), the address with the port, and the
// time in ns from the start of the connection or lookup to the end of what
// was observed.
var CommonValues = []string{"host", "address", "after"}

var (
	nextTLS     = []string{"next.no-mlkem", "next.probe-handshake", "next.other-proxy", "next.other-name", "next.other-family", "next.other-network", "next.repeat"}
	nextConnect = []string{"next.other-proxy", "next.probe-address", "next.other-port", "next.other-family", "next.other-network", "next.ask-network"}
	nextPath    = []string{"next.repeat", "next.other-network", "next.ask-network"}
	nextRemote  = []string{"next.repeat", "next.other-proxy", "next.probe-request", "next.ask-proxy"}
	nextHost    = []string{"next.host-firewall", "next.host-security", "next.audit-mode", "next.recapture-any"}
	nextDNS     = []string{"next.other-resolver", "next.probe-lookup", "next.other-network"}
)

// Classes describes every class.
var Classes = map[Class]*ClassInfo{
	OK:              {Stage: StageDone, Values: []string{"connections"}},
	NoTraffic:       {Stage: StageCapture, NextSteps: []string{"next.check-capture", "next.check-go-env"}},
	CaptureUnusable: {Stage: StageCapture, NextSteps: []string{"next.recapture"}},

	LinkGatewaySilent: {Stage: StageConnect, RefutedBy: []string{"refute.gateway-answer"}, NextSteps: []string{"next.check-link"}, Absence: true},

	DNSNoAnswer:    {Stage: StageDNS, Values: []string{"name", "queries"}, RefutedBy: []string{"refute.missed-packets"}, NextSteps: nextDNS, Absence: true},
	DNSNXDomain:    {Stage: StageDNS, Values: []string{"name"}, RefutedBy: []string{"refute.other-resolver"}, NextSteps: nextDNS},
	DNSNoData:      {Stage: StageDNS, Values: []string{"name"}, RefutedBy: []string{"refute.other-resolver"}, NextSteps: nextDNS},
	DNSServFail:    {Stage: StageDNS, Values: []string{"name"}, RefutedBy: []string{"refute.other-resolver"}, NextSteps: nextDNS},
	DNSRefused:     {Stage: StageDNS, Values: []string{"name"}, RefutedBy: []string{"refute.other-resolver"}, NextSteps: nextDNS},
	DNSUnreachable: {Stage: StageDNS, Values: []string{"name", "router"}, RefutedBy: []string{"refute.forged-icmp"}, NextSteps: nextDNS},
	DNSSinkhole:    {Stage: StageDNS, Values: []string{"name", "answer"}, RefutedBy: []string{"refute.split-horizon"}, NextSteps: nextDNS},
	DNSForged:      {Stage: StageDNS, Values: []string{"name", "answer"}, RefutedBy: []string{"refute.resolver-failover"}, NextSteps: nextDNS},

	ConnectNotSent:         {Stage: StageConnect, RefutedBy: []string{"refute.missed-packets", "refute.other-path"}, NextSteps: nextHost, Absence: true},
	ConnectRejectedLocally: {Stage: StageConnect, RefutedBy: []string{"refute.on-the-wire"}, NextSteps: nextHost},
	ConnectAnswerIgnored:   {Stage: StageConnect, RefutedBy: []string{"refute.capture-elsewhere"}, NextSteps: nextHost, Absence: true},
	ConnectNoAnswer:        {Stage: StageConnect, Values: []string{"syns"}, RefutedBy: []string{"refute.missed-packets"}, NextSteps: nextConnect, Absence: true},
	ConnectRefused:         {Stage: StageConnect, RefutedBy: []string{"refute.server-record"}, NextSteps: []string{"next.check-address", "next.other-proxy", "next.probe-address", "next.other-port", "next.other-network"}},
	ConnectUnreachable:     {Stage: StageConnect, Values: []string{"router", "type", "code"}, RefutedBy: []string{"refute.forged-icmp"}, NextSteps: []string{"next.other-network", "next.ask-router"}},

	ProxyRefused: {Stage: StageProxy, Values: []string{"target", "status"}, RefutedBy: []string{"refute.proxy-log"}, NextSteps: []string{"next.proxy-credentials", "next.probe-proxy", "next.ask-connect-proxy"}},
	ProxySilent:  {Stage: StageProxy, Values: []string{"target"}, RefutedBy: []string{"refute.proxy-log"}, NextSteps: []string{"next.repeat", "next.ask-connect-proxy"}, Absence: true},

	TLSClientHelloNotSent:  {Stage: StageTLS, RefutedBy: []string{"refute.missed-packets"}, NextSteps: slices.Concat([]string{"next.send-queue"}, nextHost), Absence: true},
	TLSClientHelloLost:     {Stage: StageTLS, RefutedBy: []string{"refute.missed-packets"}, NextSteps: nextTLS, Absence: true},
	TLSLargePacketsLost:    {Stage: StageTLS, RefutedBy: []string{"refute.large-passes"}, NextSteps: []string{"next.no-mlkem", "next.probe-size", "next.lower-mtu", "next.ask-network"}, Absence: true},
	TLSNoServerHello:       {Stage: StageTLS, RefutedBy: []string{"refute.missed-packets"}, NextSteps: nextTLS, Absence: true},
	TLSServerFlightStalled: {Stage: StageTLS, RefutedBy: []string{"refute.missed-packets"}, NextSteps: nextTLS, Absence: true},
	TLSAnswerIgnored:       {Stage: StageTLS, RefutedBy: []string{"refute.capture-elsewhere"}, NextSteps: nextHost, Absence: true},
	TLSReset:               {Stage: StageTLS, RefutedBy: []string{"refute.server-record"}, NextSteps: nextTLS},
	TLSClosed:              {Stage: StageTLS, RefutedBy: []string{"refute.server-record"}, NextSteps: nextTLS},
	TLSAlertFromServer:     {Stage: StageTLS, Values: []string{"alert", "number"}, RefutedBy: []string{"refute.server-record"}, NextSteps: nextTLS},
	TLSAlertFromClient:     {Stage: StageTLS, Values: []string{"alert", "number"}, RefutedBy: []string{"refute.go-text"}, NextSteps: nextTLS},
	TLSCertificateRejected: {Stage: StageTLS, Values: []string{"issuer"}, RefutedBy: []string{"refute.go-text"}, NextSteps: []string{"next.show-certificate", "next.probe-certificate", "next.check-clock", "next.install-ca", "next.other-network"}},
	TLSNotTLS:              {Stage: StageTLS, Values: []string{"answer"}, RefutedBy: []string{"refute.server-record"}, NextSteps: []string{"next.open-browser", "next.check-urls", "next.other-network"}},
	TLSLocalInterception:   {Stage: StageTLS, Values: []string{"owner"}, RefutedBy: []string{"refute.configured-proxy"}, NextSteps: []string{"next.name-owner", "next.proxy-credentials", "next.host-security", "next.other-network"}},

	HTTPNoResponse: {Stage: StageHTTP, RefutedBy: []string{"refute.missed-packets"}, NextSteps: nextRemote, Absence: true},
	HTTPError: {Stage: StageHTTP, Values: []string{"status"}, RefutedBy: []string{"refute.go-text"},
		NextSteps: []string{"next.read-answer", "next.check-go-env", "next.other-proxy", "next.ask-proxy-status"}},

	TransferRemoteIdle: {Stage: StageTransfer, Values: []string{"quiet", "bytes"}, RefutedBy: []string{"refute.no-request"}, NextSteps: nextRemote, Absence: true},
	TransferPathDead:   {Stage: StageTransfer, Values: []string{"quiet", "bytes"}, RefutedBy: []string{"refute.missed-packets"}, NextSteps: nextPath, Absence: true},
	TransferHeavyLoss:  {Stage: StageTransfer, Values: []string{"quiet", "bytes"}, RefutedBy: []string{"refute.missed-packets"}, NextSteps: nextPath, Absence: true},
	TransferReset:      {Stage: StageTransfer, Values: []string{"bytes"}, RefutedBy: []string{"refute.server-record"}, NextSteps: []string{"next.repeat", "next.other-network", "next.other-proxy"}},
	TransferTruncated: {Stage: StageTransfer, Values: []string{"bytes"}, RefutedBy: []string{"refute.server-record"},
		NextSteps: []string{"next.repeat", "next.other-proxy", "next.other-network", "next.ask-proxy-closed"}},
	TransferReceiverStalled: {Stage: StageTransfer, Values: []string{"quiet", "bytes"}, RefutedBy: []string{"refute.window-opened"}, NextSteps: []string{"next.host-load", "next.cache-scan"}},

	ClientAborted:             {Stage: StageTransfer, RefutedBy: []string{"refute.go-text"}, NextSteps: []string{"next.who-ended"}},
	ClientStalled:             {Stage: StageTLS, RefutedBy: []string{"refute.missed-packets"}, NextSteps: []string{"next.stack-dump", "next.host-load"}, Absence: true},
	ClientVerificationStalled: {Stage: StageTLS, RefutedBy: []string{"refute.missed-packets"}, NextSteps: []string{"next.allow-revocation", "next.stack-dump"}, Absence: true},
}
