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
	// Unreported is true where no rule yields the class: packets alone
	// cannot show it.
	Unreported bool
}

// Reach is one level with the places that go with it.
type Reach struct {
	Level Level
	Place []Place
	// When names the sentence in report/messages that says what it takes.
	When string
	// Wider is true where the capture leaves more places open than the
	// class does otherwise, so that Place exceeds Widest.
	Wider bool
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

// Notes are the identifiers of all notes that a verdict can carry. No rule
// gives those of UnreportedNotes.
var (
	Notes           = []string{"lossy", "slow", "fallback", "one-family-broken", "blind-reset-ignored", "go-output.contradiction"}
	UnreportedNotes = []string{"slow"}
)

// ConfiguredEvidence are the prefixes of observations that can join a verdict
// of any class: where the go command's words or GOPROXY are known, or the
// capture shows something beside the death.
var ConfiguredEvidence = []string{"go.", "fallback.", "reset.ignored", "attempt."}

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
	askedThresholds      = []string{"recordOverhead13", "preambleMessages"}
	freezeThresholds     = []string{"freezeLeast", "freezeMost"}
	endedThresholds      = []string{"emptyFrame", "controlBytes"}
)

var (
	resetReach = []Reach{
		{Proven, inNetwork, "when.reset-faster", false},
		{Suggested, inNetwork, "when.reset-signs", false},
		{Proven, beyond, "when.reset-seen", false},
	}
	quietReach = []Reach{
		{Proven, inRemote, "when.keepalive-answered", false},
		{Proven, beyond, "when.silence-over", false},
		{Consistent, beyond, "when.silence-open", false},
	}
	ignoredReach = []Reach{
		{Proven, inHost, "when.intact-here", false}, {Suggested, inHost, "when.intact-likely", false}, {Consistent, linkOrHost, "when.capture-elsewhere", true},
	}
	messageReach = []Reach{{Proven, beyond, "when.message", false}}
	icmpReach    = []Reach{{Proven, inNetwork, "when.icmp-policy", false}, {Proven, beyond, "when.icmp", false}}
)

func lists(more ...[]string) []string { return slices.Concat(more...) }

// Descriptions describes every class.
var Descriptions = map[Class]*Description{
	OK: {
		Reach:      []Reach{{Proven, nil, "when.ended", false}, {Consistent, nil, "when.still-open", false}},
		Thresholds: []string{"lossyPercent", "lossyLeast"},
	},
	NoTraffic:       {Reach: []Reach{{None, nil, "when.nothing", false}}, Evidence: []string{"capture.segments"}},
	CaptureUnusable: {Reach: []Reach{{None, nil, "when.nothing", false}}},

	LinkGatewaySilent: {
		Widest: linkOrHost, Reach: []Reach{{Proven, linkOrHost, "when.neighbour", false}}, Evidence: []string{"neighbour.silent"},
	},

	DNSNoAnswer: {
		Widest:   beyond,
		Reach:    []Reach{{Proven, beyond, "when.asked-again", false}, {Consistent, beyond, "when.asked-once", false}},
		Evidence: []string{"dns.unanswered"}, Thresholds: []string{"quietFinding", "quietSure", "synRepeats"},
	},
	DNSNXDomain:    {Widest: beyond, Reach: messageReach, Evidence: []string{"dns.error", "dns.extended-error"}},
	DNSNoData:      {Widest: beyond, Reach: messageReach, Evidence: []string{"dns.empty"}},
	DNSServFail:    {Widest: beyond, Reach: messageReach, Evidence: []string{"dns.error", "dns.extended-error"}},
	DNSRefused:     {Widest: beyond, Reach: messageReach, Evidence: []string{"dns.error", "dns.extended-error"}},
	DNSUnreachable: {Widest: beyond, Reach: icmpReach, Evidence: []string{"icmp.unreachable"}},
	DNSSinkhole:    {Widest: beyond, Reach: []Reach{{Suggested, beyond, "when.sinkhole", false}}, Evidence: []string{"dns.nowhere"}},
	DNSForged: {
		Widest: inNetwork, Reach: []Reach{{Suggested, inNetwork, "when.two-answers", false}},
		Evidence: []string{"dns.two-answers", "dns.early-answer", "dns.second-unwanted"},
	},

	ConnectNotSent: {
		Widest: atThisEnd, Reach: []Reach{{Consistent, atThisEnd, "when.absent", false}},
		Evidence: []string{"syn.absent"}, Thresholds: []string{"quietFinding"},
	},
	ConnectRejectedLocally: {
		Widest:   inHost,
		Reach:    []Reach{{Proven, inHost, "when.loopback", false}, {Suggested, inHost, "when.own-icmp", false}},
		Evidence: []string{"reset.loopback", "icmp.local", "syn.not-on-wire"},
	},
	ConnectAnswerIgnored: {
		Widest:   inHost,
		Reach:    ignoredReach,
		Evidence: []string{"synack.repeated", "syn.repeated-after-answer", "synack.differs"}, Thresholds: []string{"synackRepeats", "hostTurnaround"},
	},
	ConnectNoAnswer: {
		Widest:   beyond,
		Reach:    []Reach{{Proven, beyond, "when.asked-again", false}, {Consistent, beyond, "when.asked-once", false}},
		Evidence: []string{"syn.unanswered", "synack.damaged", "synack.wrong-ack"}, Thresholds: []string{"quietFinding", "synRepeats"},
	},
	ConnectRefused: {
		Widest:     beyond,
		Reach:      []Reach{{Suggested, inNetwork, "when.reset-faster-address", false}, {Proven, beyond, "when.reset-seen", false}},
		Evidence:   []string{"syn.reset", "reset.faster-than-rtt", "reset.faster-once", "reset.ttl"},
		Thresholds: []string{"rttSharePercent", "rttMargin", "rttSamples", "localRTT", "ttlStep"},
	},
	ConnectUnreachable: {Widest: beyond, Reach: icmpReach, Evidence: []string{"icmp.unreachable", "icmp.prohibited"}},

	ProxyRefused: {
		Widest: inRemote, Reach: []Reach{{Proven, inRemote, "when.proxy-said", false}},
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
			{Proven, inHost, "when.loopback", false}, {Suggested, inHost, "when.reset-ahead", false},
			{Suggested, atThisEnd, "when.waited", false}, {Consistent, atThisEnd, "when.silence-open", false},
		},
		Evidence: []string{"clienthello.absent", "reset.loopback", "reset.acks-unsent"}, Thresholds: []string{"quietFinding", "tlsTimeout", "hostTurnaround"},
	},
	TLSClientHelloLost: {
		Widest:     inNetwork,
		Reach:      []Reach{{Suggested, inNetwork, "when.resent", false}, {Consistent, inNetwork, "when.resent-short", false}},
		Evidence:   []string{"clienthello.unacknowledged", "clienthello.last-part-lost", "clienthello.resent"},
		Thresholds: []string{"repeats", "repeatsSpan", "quietFinding"},
	},
	TLSLargePacketsLost: {
		Widest: inNetwork,
		Reach: []Reach{
			{Proven, inNetwork, "when.too-big", false}, {Suggested, inNetwork, "when.small-passes", false}, {Consistent, inNetwork, "when.resent-short", false},
		},
		Evidence: []string{
			"icmp.too-big", "clienthello.first-part-lost", "clienthello.unacknowledged", "clienthello.resent", "serverflight.hole", "client.duplicate-acks",
		},
		Thresholds: []string{"repeats", "repeatsSpan", "quietFinding"},
	},
	TLSNoServerHello: {
		Widest:     beyond,
		Reach:      []Reach{{Proven, beyond, "when.silence-over", false}, {Consistent, beyond, "when.silence-open", false}},
		Evidence:   lists([]string{"clienthello.acknowledged", "server.sequence-ahead"}, silenceEvidence, finEvidence),
		Thresholds: lists(silenceThresholds, []string{"synRepeats"}),
	},
	TLSServerFlightStalled: {
		Widest: beyond,
		Reach: []Reach{
			{Proven, beyond, "when.silence-over", false}, {Consistent, beyond, "when.silence-open", false}, {Consistent, beyond, "when.flight-unclear", false},
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
		Widest: beyond, Reach: []Reach{{Proven, beyond, "when.message", false}, {Suggested, beyond, "when.record-size", false}},
		Evidence: []string{"alert.server", "alert.encrypted"}, Thresholds: []string{"refusalRecord"},
	},
	TLSAlertFromClient: {Widest: beyond, Reach: []Reach{{Proven, beyond, "when.own-alert", false}}, Evidence: []string{"alert.client"}},
	TLSCertificateRejected: {
		Widest: beyond, Reach: []Reach{{Proven, beyond, "when.own-alert", false}, {Suggested, beyond, "when.record-size", false}},
		Evidence: []string{
			"alert.client", "client.refused-encrypted", "certificate.shown", "certificate.self-signed", "certificate.expired",
			"certificate.not-yet-valid", "certificate.other-name",
		},
		Thresholds: []string{"refusalRecord"},
	},
	TLSNotTLS: {
		Widest: []Place{Client, Network, Remote}, Reach: []Reach{{Suggested, inClient, "when.plain-port", false}, {Proven, beyond, "when.message", false}},
		Evidence: []string{"http.instead-of-tls", "http.location", "http.server", "tls.to-plain-port", "bytes.instead-of-tls"},
	},
	TLSLocalInterception: {Widest: inHost, Unreported: true},

	HTTPNoResponse: {
		Widest: beyond, Reach: slices.Concat(quietReach, []Reach{{Consistent, inRemote, "when.maybe-idle", false}}),
		Evidence:   lists([]string{"request.acknowledged"}, silenceEvidence),
		Thresholds: lists(silenceThresholds, askedThresholds, []string{"controlBytes"}),
	},
	HTTPError: {
		Widest: inRemote, Reach: []Reach{{Suggested, inRemote, "when.go-said", false}, {Suggested, inRemote, "when.plain-status", false}},
		Evidence: []string{"go.inside-tls", "go.answer", "http.status", "http.server"},
	},

	TransferRemoteIdle: {
		Widest: beyond, Reach: slices.Concat(quietReach, []Reach{{Consistent, inRemote, "when.late-start", false}}),
		Evidence:   lists([]string{"server.all-acknowledged", "server.stopped-in-record", "server.froze"}, silenceEvidence),
		Thresholds: lists(silenceThresholds, askedThresholds, endedThresholds, freezeThresholds),
	},
	TransferPathDead: {
		Widest: beyond,
		Reach: []Reach{
			{Proven, beyond, "when.unanswered-twice", false}, {Suggested, beyond, "when.unanswered-once", false}, {Consistent, beyond, "when.late-start", false},
		},
		Evidence:   []string{"request.resent", "keepalive.unanswered", "server.last-heard", "server.froze"},
		Thresholds: []string{"quietFinding", "probeAnswer", "repeats", "repeatsSpan", "refusalRecord", "recordOverhead13", "freezeLeast", "freezeMost"},
	},
	TransferHeavyLoss: {
		Widest: inNetwork, Reach: []Reach{{Suggested, inNetwork, "when.hole", false}, {Consistent, inNetwork, "when.hole-moving", false}},
		Evidence: []string{"server.hole", "server.gaps", "client.duplicate-acks"}, Thresholds: []string{"quietFinding", "holes", "holesSpan"},
	},
	TransferReset: {
		Widest: beyond, Reach: resetReach,
		Evidence:   lists([]string{"reset.in-transfer"}, provenanceEvidence),
		Thresholds: lists([]string{"midBody"}, askedThresholds, endedThresholds, []string{"refusalRecord"}, provenanceThresholds),
	},
	TransferTruncated: {
		Widest: beyond, Reach: []Reach{
			{Proven, beyond, "when.in-record", false}, {Suggested, beyond, "when.before-answer", false}, {Consistent, beyond, "when.no-notify", false},
		},
		Evidence:   []string{"close.in-record", "close.before-answer", "close.without-notify"},
		Thresholds: lists(askedThresholds, endedThresholds, []string{"refusalRecord", "readerCloses", "midBody", "lateData"}),
	},
	TransferReceiverStalled: {
		Widest: atThisEnd, Reach: []Reach{{Proven, atThisEnd, "when.own-window", false}},
		Evidence: []string{"client.zero-window", "server.probes-window"}, Thresholds: []string{"quietFinding"},
	},

	ClientAborted: {
		Widest: inClient, Reach: []Reach{{Suggested, inClient, "when.left-midway", false}, {Consistent, inClient, "when.left-waiting", false}},
		Evidence:   []string{"client.left-midway", "client.left-in-record", "client.left-waiting", "go.interrupted"},
		Thresholds: lists([]string{"giveUp", "quietFinding", "lateData"}, askedThresholds),
	},
	ClientStalled: {
		Widest: atThisEnd, Reach: []Reach{
			{Suggested, atThisEnd, "when.silence-over", false}, {Consistent, atThisEnd, "when.silence-open", false}, {Consistent, atThisEnd, "when.flight-joined", false},
		},
		Evidence:   lists([]string{"serverflight.complete", "serverflight.acknowledged"}, silenceEvidence, finEvidence),
		Thresholds: lists(silenceThresholds, []string{"synRepeats", "finishedRecord", "finishedRecord384", "joinedFlight"}),
	},
	ClientVerificationStalled: {
		Widest: atThisEnd, Reach: []Reach{
			{Suggested, atThisEnd, "when.revocation", false}, {Consistent, atThisEnd, "when.revocation", false},
		},
		Evidence:   []string{"revocation.unanswered"},
		Thresholds: []string{"tlsTimeout"},
	},
}
