package diagnose

import "slices"

// Description is what holds for a class before any capture is read: what its
// verdicts can rest on and how far they can go. A test compares it with the
// rules' source.
type Description struct {
	// Widest is the largest set of places that a verdict of the class may
	// name; empty where nothing died.
	Widest []Place
	// Reach lists what its verdicts can say, the most first.
	Reach []Reach
	// Evidence are the identifiers of the observations it can rest on,
	// Thresholds the names of the numbers that its rule compares with.
	Evidence, Thresholds []string
	// From are classes whose verdicts become one of this class when the whole
	// capture is judged, and bring their evidence with them.
	From []Class
}

// Reach is one level with the places that go with it.
type Reach struct {
	Level Level
	Place []Place
	// When names the sentence in report/messages that says what it takes.
	When string
}

// ClassOrder lists every class in the order of a request's way.
var ClassOrder = []Class{
	OK, NoTraffic, CaptureUnusable, LinkGatewaySilent,
	DNSNoAnswer, DNSNXDomain, DNSNoData, DNSServFail, DNSRefused, DNSUnreachable, DNSSinkhole, DNSForged,
	ConnectNotSent, ConnectRejectedLocally, ConnectAnswerIgnored, ConnectNoAnswer, ConnectRefused, ConnectUnreachable,
	ProxyRefused, ProxySilent,
	TLSClientHelloNotSent, TLSClientHelloLost, TLSLargePacketsLost, TLSNoServerHello, TLSServerFlightStalled, TLSAnswerIgnored,
	TLSReset, TLSClosed, TLSAlertFromServer, TLSAlertFromClient, TLSCertificateRejected, TLSNotTLS, TLSLocalInterception,
	HTTPNoResponse, HTTPError,
	TransferRemoteIdle, TransferPathDead, TransferHeavyLoss, TransferReset, TransferTruncated, TransferReceiverStalled,
	ClientAborted, ClientStalled, ClientVerificationStalled,
}

// Notes are the identifiers of all notes that a verdict can carry.
var Notes = []string{"lossy", "slow", "fallback", "one-family-broken", "residual-block", "blind-reset-ignored", "go-output.contradiction"}

// ConfiguredEvidence are the prefixes of observations that can join a verdict
// of any class: where the go command's words or GOPROXY are known, or the
// capture shows something beside the death.
var ConfiguredEvidence = []string{"go.", "fallback.", "reset.ignored", "attempt.", "socket.", "block.", "relay.owner", "slow.", "residual."}

// What several rules share.
var (
	provenanceEvidence = []string{
		"reset.faster-than-rtt", "reset.faster-once", "reset.early", "reset.time-fits", "reset.sender-continues", "reset.ttl", "reset.ipid",
		"reset.sequence-sweep", "reset.payload", "reset.no-timestamps",
	}
	provenanceThresholds = []string{"rttSharePercent", "rttMargin", "rttSamples", "localRTT", "ttlStep", "ipidStep", "ipidReach", "secondSender", "repeats", "resetBurst"}
	silenceEvidence      = []string{"server.silent", "keepalive.answered", "keepalive.unanswered"}
	silenceThresholds    = []string{"quietFinding", "tlsTimeout", "probeAnswer"}
	finEvidence          = []string{"fin.acknowledged", "fin.unanswered"}
	askedThresholds      = []string{"recordOverhead13", "preambleMessages", "requestLeast", "refusalRecord", "emptyFrame"}
	freezeThresholds     = []string{"freezeLeast", "freezeMost"}
	endedThresholds      = []string{"controlBytes"}
)

var (
	resetReach = []Reach{
		{Proven, inNetwork, "when.reset-faster"},
		{Suggested, inNetwork, "when.reset-signs"},
		{Proven, beyond, "when.reset-seen"},
	}
	quietReach = []Reach{
		{Proven, inRemote, "when.keepalive-answered"},
		{Proven, beyond, "when.silence-over"},
		{Consistent, beyond, "when.silence-open"},
	}
	idleReach = []Reach{
		{Suggested, inRemote, "when.kept-open"}, {Suggested, beyond, "when.kept-open"}, {Consistent, inRemote, "when.maybe-idle"},
	}
	ignoredReach = []Reach{
		{Proven, inHost, "when.intact-here"}, {Proven, inHost, "when.block-recorded"}, {Suggested, inHost, "when.block-named"}, {Suggested, inHost, "when.intact-likely"}, {Consistent, inHost, "when.capture-beside"},
	}
	messageReach = []Reach{{Proven, beyond, "when.message"}}
	icmpReach    = []Reach{{Proven, inNetwork, "when.icmp-policy"}, {Proven, beyond, "when.icmp"}}
)

func lists(more ...[]string) []string { return slices.Concat(more...) }

// Descriptions describes every class.
var Descriptions = map[Class]*Description{
	OK: {
		Reach:      []Reach{{Proven, nil, "when.ended"}, {Consistent, nil, "when.still-open"}},
		Thresholds: []string{"lossyPercent", "lossyLeast"},
	},
	NoTraffic:       {Reach: []Reach{{None, nil, "when.nothing"}}, Evidence: []string{"capture.segments", "view.nothing"}},
	CaptureUnusable: {Reach: []Reach{{None, nil, "when.nothing"}}},

	LinkGatewaySilent: {
		Widest: linkOrHost, Reach: []Reach{{Proven, linkOrHost, "when.neighbour"}, {Consistent, linkOrHost, "when.attempt-neighbour"}, {Consistent, linkOrHost, "when.own-icmp-neighbour"}},
		Evidence: []string{"neighbour.silent", "icmp.local", "syn.not-on-wire"}, Thresholds: []string{"neighbourWait"},
		From: []Class{ConnectNoAnswer, DNSNoAnswer},
	},

	DNSNoAnswer: {
		Widest:   beyond,
		Reach:    []Reach{{Proven, beyond, "when.asked-again"}, {Consistent, beyond, "when.asked-once"}},
		Evidence: []string{"dns.unanswered"}, Thresholds: []string{"quietFinding", "quietSure", "synRepeats"},
	},
	DNSNXDomain:    {Widest: beyond, Reach: messageReach, Evidence: []string{"dns.error", "dns.extended-error"}},
	DNSNoData:      {Widest: beyond, Reach: messageReach, Evidence: []string{"dns.empty"}},
	DNSServFail:    {Widest: beyond, Reach: messageReach, Evidence: []string{"dns.error", "dns.extended-error"}},
	DNSRefused:     {Widest: beyond, Reach: messageReach, Evidence: []string{"dns.error", "dns.extended-error"}},
	DNSUnreachable: {Widest: beyond, Reach: icmpReach, Evidence: []string{"icmp.unreachable"}},
	DNSSinkhole:    {Widest: beyond, Reach: []Reach{{Suggested, beyond, "when.sinkhole"}}, Evidence: []string{"dns.nowhere"}},
	DNSForged: {
		Widest: inNetwork, Reach: []Reach{{Suggested, inNetwork, "when.two-answers"}},
		Evidence: []string{"dns.two-answers", "dns.early-answer", "dns.second-unwanted"},
	},

	ConnectNotSent: {
		Widest: atThisEnd, Reach: []Reach{
			{Proven, inHost, "when.block-recorded"}, {Proven, inHost, "when.attempt-recorded"}, {Consistent, inHost, "when.attempt-open"}, {Consistent, atThisEnd, "when.absent"},
		},
		Evidence: []string{"syn.absent"}, Thresholds: []string{"quietFinding", "quietSure"},
	},
	ConnectRejectedLocally: {
		Widest:   inHost,
		Reach:    []Reach{{Proven, inHost, "when.loopback"}, {Proven, inHost, "when.attempt-refused"}, {Suggested, inHost, "when.own-icmp"}},
		Evidence: []string{"reset.loopback", "icmp.local", "syn.not-on-wire"},
	},
	ConnectAnswerIgnored: {
		Widest:   inHost,
		Reach:    ignoredReach,
		Evidence: []string{"synack.repeated", "syn.repeated-after-answer", "synack.differs"}, Thresholds: []string{"synackRepeats", "hostTurnaround"},
	},
	ConnectNoAnswer: {
		Widest:   beyond,
		Reach:    []Reach{{Proven, beyond, "when.asked-again"}, {Consistent, beyond, "when.asked-once"}},
		Evidence: []string{"syn.unanswered", "synack.damaged", "synack.wrong-ack"}, Thresholds: []string{"quietFinding", "synRepeats"},
	},
	ConnectRefused: {
		Widest:     beyond,
		Reach:      []Reach{{Suggested, inNetwork, "when.reset-faster-address"}, {Proven, beyond, "when.reset-seen"}},
		Evidence:   []string{"syn.reset", "reset.faster-than-rtt", "reset.faster-once", "reset.ttl"},
		Thresholds: []string{"rttSharePercent", "rttMargin", "rttSamples", "localRTT", "ttlStep"},
	},
	ConnectUnreachable: {
		Widest: beyond, Reach: append(slices.Clip(icmpReach), Reach{Proven, beyond, "when.neighbour-server"}),
		Evidence: []string{"icmp.unreachable", "icmp.prohibited", "neighbour.silent", "icmp.local", "syn.not-on-wire"}, Thresholds: []string{"neighbourWait"},
	},

	ProxyRefused: {
		Widest: inRemote, Reach: []Reach{{Proven, inRemote, "when.proxy-said"}},
		Evidence: []string{"proxy.refusal", "proxy.authenticate", "http.server"},
	},
	ProxySilent: {
		Widest:     beyond,
		Reach:      slices.Concat(resetReach, quietReach),
		Evidence:   lists([]string{"connect.acknowledged", "connect.closed", "connect.reset", "request.resent"}, silenceEvidence, provenanceEvidence),
		Thresholds: lists(silenceThresholds, provenanceThresholds),
	},

	TLSClientHelloNotSent: {
		Widest: atThisEnd,
		Reach: []Reach{
			{Proven, inHost, "when.loopback"}, {Proven, inHost, "when.block-recorded"}, {Proven, inHost, "when.socket-unseen"},
			{Suggested, inHost, "when.reset-ahead"}, {Suggested, inHost, "when.block-named"},
			{Suggested, atThisEnd, "when.waited"}, {Consistent, atThisEnd, "when.silence-open"},
		},
		Evidence: []string{"clienthello.absent", "reset.loopback", "reset.acks-unsent"}, Thresholds: []string{"quietFinding", "tlsTimeout", "hostTurnaround"},
	},
	TLSClientHelloLost: {
		Widest:     inNetwork,
		Reach:      []Reach{{Suggested, inNetwork, "when.resent"}, {Consistent, inNetwork, "when.resent-short"}},
		Evidence:   []string{"clienthello.unacknowledged", "clienthello.last-part-lost", "clienthello.resent"},
		Thresholds: []string{"repeats", "repeatsSpan", "quietFinding"},
	},
	TLSLargePacketsLost: {
		Widest: inNetwork,
		Reach: []Reach{
			{Proven, inNetwork, "when.too-big"}, {Suggested, inNetwork, "when.small-passes"}, {Consistent, inNetwork, "when.resent-short"},
		},
		Evidence: []string{
			"icmp.too-big", "clienthello.first-part-lost", "clienthello.unacknowledged", "clienthello.resent", "serverflight.hole", "client.duplicate-acks",
		},
		Thresholds: []string{"repeats", "repeatsSpan", "quietFinding"},
	},
	TLSNoServerHello: {
		Widest:     beyond,
		Reach:      []Reach{{Proven, beyond, "when.silence-over"}, {Suggested, beyond, "when.socket-alive"}, {Consistent, beyond, "when.silence-open"}},
		Evidence:   lists([]string{"clienthello.acknowledged", "server.sequence-ahead"}, silenceEvidence, finEvidence),
		Thresholds: lists(silenceThresholds, []string{"synRepeats"}),
	},
	TLSServerFlightStalled: {
		Widest: beyond,
		Reach: []Reach{
			{Proven, beyond, "when.silence-over"}, {Consistent, beyond, "when.silence-open"}, {Consistent, beyond, "when.flight-unclear"},
		},
		Evidence:   lists([]string{"serverflight.incomplete", "serverflight.unclear"}, silenceEvidence, finEvidence),
		Thresholds: lists(silenceThresholds, []string{"synRepeats", "finishedRecord", "finishedRecord384", "joinedFlight"}),
	},
	TLSAnswerIgnored: {
		Widest:   inHost,
		Reach:    ignoredReach,
		Evidence: []string{"answer.unacknowledged", "answer.resent"}, Thresholds: []string{"repeats", "repeatsSpan", "hostTurnaround"},
	},
	TLSReset: {
		Widest: beyond, Reach: resetReach,
		Evidence:   lists([]string{"reset.before-clienthello", "reset.after-clienthello", "reset.in-handshake"}, provenanceEvidence),
		Thresholds: provenanceThresholds,
	},
	TLSClosed: {Widest: beyond, Reach: messageReach, Evidence: []string{"close.without-answer", "close.in-handshake"}},
	TLSAlertFromServer: {
		Widest: beyond, Reach: []Reach{{Proven, beyond, "when.message"}, {Suggested, beyond, "when.record-size"}},
		Evidence: []string{"alert.server", "alert.encrypted"}, Thresholds: []string{"refusalRecord"},
	},
	TLSAlertFromClient: {Widest: beyond, Reach: []Reach{{Proven, beyond, "when.own-alert"}}, Evidence: []string{"alert.client"}},
	TLSCertificateRejected: {
		Widest: beyond, Reach: []Reach{{Proven, beyond, "when.own-alert"}, {Suggested, beyond, "when.record-size"}},
		Evidence: []string{
			"alert.client", "client.refused-encrypted", "certificate.shown", "certificate.self-signed", "certificate.expired",
			"certificate.not-yet-valid", "certificate.other-name",
		},
		Thresholds: []string{"refusalRecord"},
	},
	TLSNotTLS: {
		Widest: []Place{Client, Network, Remote}, Reach: []Reach{{Suggested, inClient, "when.plain-port"}, {Proven, beyond, "when.message"}},
		Evidence: []string{"http.instead-of-tls", "http.location", "http.server", "tls.to-plain-port", "bytes.instead-of-tls"},
	},
	TLSLocalInterception: {
		Widest: inHost, Reach: []Reach{{Proven, inHost, "when.relay-loopback"}, {Suggested, inHost, "when.relay-tun"}},
		Evidence: []string{"relay.died"},
	},

	HTTPNoResponse: {
		Widest: beyond, Reach: slices.Concat(quietReach, []Reach{{Suggested, inRemote, "when.socket-alive"}}, idleReach),
		Evidence:   lists([]string{"request.acknowledged", "client.kept-open"}, silenceEvidence),
		Thresholds: lists(silenceThresholds, askedThresholds, []string{"controlBytes", "poolTimeout", "requestApart"}),
	},
	HTTPError: {
		Widest: inRemote, Reach: []Reach{{Suggested, inRemote, "when.go-said"}, {Suggested, inRemote, "when.plain-status"}},
		Evidence: []string{"go.inside-tls", "go.answer", "http.status", "http.server"},
	},

	TransferRemoteIdle: {
		Widest: beyond, Reach: slices.Concat(quietReach, idleReach, []Reach{{Consistent, inRemote, "when.late-start"}}),
		Evidence:   lists([]string{"server.all-acknowledged", "client.kept-open", "server.stopped-in-record", "server.froze"}, silenceEvidence),
		Thresholds: lists(silenceThresholds, askedThresholds, endedThresholds, freezeThresholds, []string{"poolTimeout", "requestApart"}),
	},
	TransferPathDead: {
		Widest: beyond,
		Reach: []Reach{
			{Proven, beyond, "when.unanswered-twice"}, {Suggested, beyond, "when.unanswered-once"}, {Consistent, beyond, "when.late-start"},
		},
		Evidence:   []string{"request.resent", "keepalive.unanswered", "server.last-heard", "server.froze"},
		Thresholds: []string{"quietFinding", "probeAnswer", "repeats", "repeatsSpan", "refusalRecord", "recordOverhead13", "requestLeast", "freezeLeast", "freezeMost"},
	},
	TransferHeavyLoss: {
		Widest: inNetwork, Reach: []Reach{{Suggested, inNetwork, "when.hole"}, {Consistent, inNetwork, "when.hole-moving"}},
		Evidence: []string{"server.hole", "server.gaps", "client.duplicate-acks"}, Thresholds: []string{"quietFinding", "holes", "holesSpan"},
	},
	TransferReset: {
		Widest: beyond, Reach: resetReach,
		Evidence:   lists([]string{"reset.in-transfer"}, provenanceEvidence),
		Thresholds: lists([]string{"midBody"}, askedThresholds, endedThresholds, []string{"prefaceBytes"}, provenanceThresholds),
	},
	TransferTruncated: {
		Widest: beyond, Reach: []Reach{
			{Proven, beyond, "when.in-record"}, {Suggested, beyond, "when.before-answer"}, {Consistent, beyond, "when.no-notify"},
		},
		Evidence:   []string{"close.in-record", "close.before-answer", "close.without-notify"},
		Thresholds: lists(askedThresholds, endedThresholds, []string{"prefaceBytes", "readerCloses", "midBody", "lateData"}),
	},
	TransferReceiverStalled: {
		Widest: atThisEnd, Reach: []Reach{{Proven, atThisEnd, "when.own-window"}, {Proven, atThisEnd, "when.unread"}, {Proven, inHost, "when.intact-here"}, {Suggested, inHost, "when.intact-likely"}},
		Evidence:   []string{"client.zero-window", "server.probes-window", "answer.unacknowledged", "answer.resent"},
		Thresholds: []string{"quietFinding", "quietSure", "controlBytes", "repeats", "repeatsSpan", "hostTurnaround"},
	},

	ClientAborted: {
		Widest: inClient, Reach: []Reach{{Suggested, inClient, "when.left-midway"}, {Consistent, inClient, "when.left-waiting"}},
		Evidence:   []string{"client.left-midway", "client.left-in-record", "client.left-waiting", "go.interrupted"},
		Thresholds: lists([]string{"giveUp", "quietFinding", "lateData"}, askedThresholds),
	},
	ClientStalled: {
		Widest: atThisEnd, Reach: []Reach{
			{Suggested, atThisEnd, "when.silence-over"}, {Suggested, atThisEnd, "when.unread"}, {Consistent, atThisEnd, "when.silence-open"},
			{Consistent, atThisEnd, "when.flight-joined"},
		},
		Evidence:   lists([]string{"serverflight.complete", "serverflight.acknowledged", "client.zero-window"}, silenceEvidence, finEvidence),
		Thresholds: lists(silenceThresholds, []string{"quietSure", "controlBytes", "synRepeats", "finishedRecord", "finishedRecord384", "joinedFlight"}),
	},
	ClientVerificationStalled: {
		Widest: atThisEnd, Reach: []Reach{
			{Suggested, atThisEnd, "when.revocation"}, {Consistent, atThisEnd, "when.revocation"},
		},
		Evidence:   []string{"revocation.unresolved", "revocation.unanswered", "revocation.no-response"},
		Thresholds: []string{"tlsTimeout"},
		From:       []Class{ClientStalled},
	},
}
