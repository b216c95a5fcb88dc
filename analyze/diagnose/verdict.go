// Package diagnose judges. In come the facts about one connection, one lookup
// or a whole capture; out comes a Verdict: class, place, level and the
// evidence by identifier, with its numbers and frames. It writes no prose:
// the sentences are in report/messages, so that wording and judgement change
// apart from each other.
package diagnose

// Stage is how far a request came.
type Stage string

// Stages in the order in which a request passes them.
const (
	StageCapture  Stage = "capture"
	StageDNS      Stage = "dns"
	StageConnect  Stage = "connect"
	StageProxy    Stage = "proxy"
	StageTLS      Stage = "tls"
	StageHTTP     Stage = "http"
	StageTransfer Stage = "transfer"
	StageDone     Stage = "done"
)

// Place is where a request died.
type Place string

// The places a verdict may name.
const (
	Host    Place = "host"    // this machine: firewall, security product, routing
	Client  Place = "client"  // the go command, its child, or the user
	Network Place = "network" // anything between, the local link included
	Remote  Place = "remote"  // what answers at the far address
)

// Level is how much the evidence carries.
type Level string

// Levels, strongest first.
const (
	Proven     Level = "proven"
	Suggested  Level = "strongly-suggested"
	Consistent Level = "consistent"
	None       Level = "none"
)

// Class names what happened.
type Class string

// Unit says how a Value is to be printed.
type Unit uint8

const (
	UnitNone     Unit = iota // a plain number
	UnitDuration             // nanoseconds
	UnitBytes
	UnitTime // Unix nanoseconds
	UnitText // Text holds the value; Number is unused
)

// Value is one number or name that a sentence mentions.
type Value struct {
	Name   string `json:"name"`
	Number int64  `json:"number,omitempty"`
	Text   string `json:"text,omitempty"`
	Unit   Unit   `json:"unit,omitempty"`
}

// Num, Dur, Bytes, Time and Text make Values.
func Num(name string, n int64) Value   { return Value{Name: name, Number: n} }
func Dur(name string, ns int64) Value  { return Value{Name: name, Number: ns, Unit: UnitDuration} }
func Bytes(name string, n int64) Value { return Value{Name: name, Number: n, Unit: UnitBytes} }
func Time(name string, ns int64) Value { return Value{Name: name, Number: ns, Unit: UnitTime} }
func Text(name, s string) Value        { return Value{Name: name, Text: s, Unit: UnitText} }

// Evidence is one observation that a person can check.
type Evidence struct {
	// ID names the observation; report/messages has a sentence for each.
	ID     string  `json:"id"`
	Values []Value `json:"values,omitempty"`
	// Frames are capture frame numbers, ascending, at most 32.
	Frames []int64 `json:"frames,omitempty"`
}

// Verdict is the judgement on one subject.
type Verdict struct {
	Class Class   `json:"class"`
	Stage Stage   `json:"stage"`
	Place []Place `json:"place"`
	Level Level   `json:"level"`
	// Values fill the class's summary sentence.
	Values   []Value    `json:"values,omitempty"`
	Notes    []string   `json:"notes,omitempty"`
	Evidence []Evidence `json:"evidence,omitempty"`
	// RefutedBy, NextSteps and NotAssessed are message identifiers.
	RefutedBy   []string `json:"refuted_by,omitempty"`
	NextSteps   []string `json:"next_steps,omitempty"`
	NotAssessed []string `json:"not_assessed,omitempty"`

	// failed is when the death began, in Unix nanoseconds: what was first
	// contacted after it may have made it good.
	failed int64
	// idle is true where the silence may be a client that has nothing to
	// ask, because no answer is known to be due.
	idle bool
	// settled is true where, beyond that, nothing speaks for an answer that
	// is unfinished: no verdict on the whole comes of it.
	settled bool
	// resumable is true where the end may be the server's habit: data that
	// came later, anywhere, shows that the client had what it wanted.
	resumable bool
	// spare is true where the connection may be one that the client had no use
	// for: data that came later from the same host, at the same address, shows
	// that what this host sends there does leave it.
	spare bool
	// ended is when the server ended the connection, in Unix nanoseconds, where
	// an answer may have been due; zero for never. Data that came later,
	// anywhere, shows that the client had what it wanted.
	ended int64
	// onRecord is true where a record of the host says that it did it, so that
	// nothing rests on what is not in the capture.
	onRecord bool
}

// Died reports whether the verdict is a death.
func (v *Verdict) Died() bool {
	switch v.Class {
	case "", OK, NoTraffic, CaptureUnusable:
		return false
	}
	return true
}

// The classes (the contract: names are never changed).
const (
	OK                        Class = "ok"
	NoTraffic                 Class = "no-traffic"
	CaptureUnusable           Class = "capture.unusable"
	LinkGatewaySilent         Class = "link.gateway-silent"
	DNSNoAnswer               Class = "dns.no-answer"
	DNSNXDomain               Class = "dns.nxdomain"
	DNSNoData                 Class = "dns.nodata"
	DNSServFail               Class = "dns.servfail"
	DNSRefused                Class = "dns.refused"
	DNSUnreachable            Class = "dns.unreachable"
	DNSSinkhole               Class = "dns.sinkhole"
	DNSForged                 Class = "dns.forged"
	ConnectNotSent            Class = "connect.not-sent"
	ConnectRejectedLocally    Class = "connect.rejected-locally"
	ConnectAnswerIgnored      Class = "connect.answer-ignored"
	ConnectNoAnswer           Class = "connect.no-answer"
	ConnectRefused            Class = "connect.refused"
	ConnectUnreachable        Class = "connect.unreachable"
	ProxyRefused              Class = "proxy.refused"
	ProxySilent               Class = "proxy.silent"
	TLSClientHelloNotSent     Class = "tls.client-hello-not-sent"
	TLSClientHelloLost        Class = "tls.client-hello-lost"
	TLSLargePacketsLost       Class = "tls.large-packets-lost"
	TLSNoServerHello          Class = "tls.no-server-hello"
	TLSServerFlightStalled    Class = "tls.server-flight-stalled"
	TLSAnswerIgnored          Class = "tls.answer-ignored"
	TLSReset                  Class = "tls.reset"
	TLSClosed                 Class = "tls.closed"
	TLSAlertFromServer        Class = "tls.alert-from-server"
	TLSAlertFromClient        Class = "tls.alert-from-client"
	TLSCertificateRejected    Class = "tls.certificate-rejected"
	TLSNotTLS                 Class = "tls.not-tls"
	TLSLocalInterception      Class = "tls.local-interception"
	HTTPNoResponse            Class = "http.no-response"
	HTTPError                 Class = "http.error"
	TransferRemoteIdle        Class = "transfer.remote-idle"
	TransferPathDead          Class = "transfer.path-dead"
	TransferHeavyLoss         Class = "transfer.heavy-loss"
	TransferReset             Class = "transfer.reset"
	TransferTruncated         Class = "transfer.truncated"
	TransferReceiverStalled   Class = "transfer.receiver-stalled"
	ClientAborted             Class = "client.aborted"
	ClientStalled             Class = "client.stalled"
	ClientVerificationStalled Class = "client.verification-stalled"
)
