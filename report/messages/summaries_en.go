package messages

import "goproxytrace/analyze/diagnose"

// placesEnglish ends the summary of a death that the evidence puts in one place.
var placesEnglish = map[diagnose.Place]string{
	diagnose.Host:    "; the evidence puts it on this machine",
	diagnose.Client:  "; it was this end's own doing",
	diagnose.Network: "; the evidence puts it on the network, not at the far end",
	diagnose.Remote:  "; the evidence puts it at the far end",
}

// mayBeEnglish ends it where the evidence is no more than consistent with that place.
var mayBeEnglish = map[diagnose.Place]string{
	diagnose.Host:    "; the evidence fits a fault on this machine",
	diagnose.Client:  "; the evidence fits this end's own doing",
	diagnose.Network: "; the evidence fits a fault on the network",
	diagnose.Remote:  "; the evidence fits a fault at the far end",
}

// providedEnglish says what the place of a class rests on where the evidence is no
// more than consistent with it.
var providedEnglish = map[diagnose.Class]string{
	diagnose.ConnectAnswerIgnored: ", provided that the capture was made there and not beside it",
	diagnose.TLSAnswerIgnored:     ", provided that the capture was made there and not beside it",
}

// summariesEnglish holds one sentence per class.
var summariesEnglish = map[diagnose.Class]string{
	diagnose.OK:              "no death is in this capture: of {connections} connections and lookups that count, none failed for good",
	diagnose.NoTraffic:       "nothing of the go command is in this capture, which is no proof of health",
	diagnose.CaptureUnusable: "this capture cannot show what happened[ to {host}]",

	diagnose.LinkGatewaySilent: "{host} could not be reached: the local link's gateway did not answer for {after}",

	diagnose.DNSNoAnswer:    "the resolver {address} did not answer for the name {name} within {after} (queries sent: {queries})",
	diagnose.DNSNXDomain:    "the resolver {address} says that the name {name} does not exist, after {after}",
	diagnose.DNSNoData:      "the resolver {address} knows no IPv4 address of {name}, after {after}",
	diagnose.DNSServFail:    "the resolver {address} failed to resolve {name}, after {after}",
	diagnose.DNSRefused:     "the resolver {address} refused to resolve {name}, after {after}",
	diagnose.DNSUnreachable: "the resolver {address} cannot be reached for {name}, as {router} said after {after}",
	diagnose.DNSSinkhole:    "the resolver {address} sent {name} to {answer}, which leads nowhere, after {after}",
	diagnose.DNSForged:      "the question for {name} got two contradicting answers, the first of them {answer}, within {after}",

	diagnose.ConnectNotSent:         "no attempt to connect to {host} ({address}) left this machine within {after}",
	diagnose.ConnectRejectedLocally: "this machine itself rejected the connection to {host} ({address})[ after {after}]",
	diagnose.ConnectAnswerIgnored:   "{host} ({address}) accepted the connection, but this machine discarded its answers for {after}",
	diagnose.ConnectNoAnswer:        "connecting to {host} ({address}) got no answer within {after} (SYNs sent: {syns})",
	diagnose.ConnectRefused:         "the connection to {host} ({address}) was refused by a reset after {after}",
	diagnose.ConnectUnreachable:     "connecting to {host} ({address}) failed after {after}: {router} said that it cannot be reached (ICMP type {type}, code {code})",

	diagnose.ProxyRefused: "the CONNECT proxy {address} refused the tunnel to {target} with status {status} after {after}",
	diagnose.ProxySilent:  "the CONNECT proxy {address} did not answer the request for {target} within {after}",

	diagnose.TLSClientHelloNotSent:  "the connection to {host} ({address}) was made, but no ClientHello left this machine within {after}",
	diagnose.TLSClientHelloLost:     "the TLS handshake with {host} ({address}) died: its ClientHello was sent again and again and not acknowledged for {after}",
	diagnose.TLSLargePacketsLost:    "the TLS handshake with {host} ({address}) died after {after}: large packets were lost while small ones passed",
	diagnose.TLSNoServerHello:       "the TLS handshake with {host} ({address}) died: its ClientHello was acknowledged and never answered within {after}",
	diagnose.TLSServerFlightStalled: "the TLS handshake with {host} ({address}) stopped in the middle of the server's answer for {after}",
	diagnose.TLSAnswerIgnored:       "{host} ({address}) answered the ClientHello, but this machine never accepted the answer within {after}",
	diagnose.TLSReset:               "the TLS handshake with {host} ({address}) was reset after {after}",
	diagnose.TLSClosed:              "the TLS handshake with {host} ({address}) ended after {after}: the connection was closed from the far side without an alert",
	diagnose.TLSAlertFromServer:     "the TLS handshake with {host} ({address}) was refused after {after} by the far end's alert {alert}[ ({number})]",
	diagnose.TLSAlertFromClient:     "the client broke off the TLS handshake with {host} ({address}) after {after} with the alert {alert} ({number})",
	diagnose.TLSCertificateRejected: "the client refused the certificate shown for {host} ({address})[, issued by {issuer}], after {after}",
	diagnose.TLSNotTLS:              "{host} ({address}) sent something that is not TLS ({answer}) in place of its ServerHello, after {after}",
	diagnose.TLSLocalInterception:   "another program on this machine[, {owner},] stands between the client and {host}: its own connection there went well, the client's to it ({address}) died after {after}",

	diagnose.HTTPNoResponse: "{host} ({address}) took the request and sent no answer; {after} had passed since the connection began",
	diagnose.HTTPError:      "{host} ({address}) answered the request with {status} after {after}",

	diagnose.TransferRemoteIdle:      "{host} ({address}) stopped sending after {bytes} and was quiet for {quiet}",
	diagnose.TransferPathDead:        "the connection to {host} ({address}) went dead after {bytes}: nothing came back for {quiet}",
	diagnose.TransferHeavyLoss:       "the download from {host} ({address}) stuck after {bytes}: lost packets were not made up for {quiet}",
	diagnose.TransferReset:           "the download from {host} ({address}) was reset after {after} and {bytes}",
	diagnose.TransferTruncated:       "{host} ({address}) ended the connection in the middle of an answer after {after} and {bytes}",
	diagnose.TransferReceiverStalled: "this machine took no more data from {host} ({address}) after {bytes}, for {quiet}",

	diagnose.ClientAborted:             "the client itself left the connection to {host} ({address}) after {after}, while an answer was due",
	diagnose.ClientStalled:             "{host} ({address}) had said all that was due, and the client did not go on for {after}",
	diagnose.ClientVerificationStalled: "the client did not go on with {host} ({address}) for {after}, while its certificate checks got no answer",
}

// summariesByEnglish holds, by class, the sentences that say more than its summary
// where a certain observation is among the evidence.
var summariesByEnglish = map[diagnose.Class]map[string]string{
	diagnose.TransferTruncated: {
		"close.before-answer":  "{host} ({address}) ended the connection in place of an answer to the last request, after {after} and {bytes} in all",
		"close.without-notify": "{host} ({address}) ended the connection after {after} and {bytes}, without TLS's farewell and while the client still kept it open",
	},
	diagnose.TransferReceiverStalled: {
		"answer.unacknowledged": "this machine did not take the data of {host} ({address}) that reached it, after {bytes}, for {quiet}",
		"client.zero-window":    "this machine stopped reading from {host} ({address}) after {bytes}, for {quiet}",
	},
}

// titlesEnglish holds each class in a few words.
var titlesEnglish = map[diagnose.Class]string{
	diagnose.OK:                        "no fault seen",
	diagnose.NoTraffic:                 "no traffic",
	diagnose.CaptureUnusable:           "capture unusable",
	diagnose.LinkGatewaySilent:         "gateway silent",
	diagnose.DNSNoAnswer:               "no DNS answer",
	diagnose.DNSNXDomain:               "no such name",
	diagnose.DNSNoData:                 "name without address",
	diagnose.DNSServFail:               "resolver failed",
	diagnose.DNSRefused:                "resolver refused",
	diagnose.DNSUnreachable:            "resolver unreachable",
	diagnose.DNSSinkhole:               "DNS sinkhole",
	diagnose.DNSForged:                 "forged DNS answer",
	diagnose.ConnectNotSent:            "no attempt left",
	diagnose.ConnectRejectedLocally:    "rejected locally",
	diagnose.ConnectAnswerIgnored:      "answer discarded here",
	diagnose.ConnectNoAnswer:           "no answer to connect",
	diagnose.ConnectRefused:            "connection refused",
	diagnose.ConnectUnreachable:        "unreachable",
	diagnose.ProxyRefused:              "refused by CONNECT proxy",
	diagnose.ProxySilent:               "CONNECT proxy silent",
	diagnose.TLSClientHelloNotSent:     "ClientHello not sent",
	diagnose.TLSClientHelloLost:        "ClientHello lost",
	diagnose.TLSLargePacketsLost:       "large packets lost",
	diagnose.TLSNoServerHello:          "no ServerHello",
	diagnose.TLSServerFlightStalled:    "handshake stalled",
	diagnose.TLSAnswerIgnored:          "TLS answer discarded here",
	diagnose.TLSReset:                  "handshake reset",
	diagnose.TLSClosed:                 "handshake closed",
	diagnose.TLSAlertFromServer:        "alert from server",
	diagnose.TLSAlertFromClient:        "alert from client",
	diagnose.TLSCertificateRejected:    "certificate rejected",
	diagnose.TLSNotTLS:                 "not TLS",
	diagnose.TLSLocalInterception:      "local interception",
	diagnose.HTTPNoResponse:            "no response",
	diagnose.HTTPError:                 "HTTP error",
	diagnose.TransferRemoteIdle:        "far end went quiet",
	diagnose.TransferPathDead:          "path went dead",
	diagnose.TransferHeavyLoss:         "heavy loss",
	diagnose.TransferReset:             "download reset",
	diagnose.TransferTruncated:         "download cut short",
	diagnose.TransferReceiverStalled:   "receiver stalled",
	diagnose.ClientAborted:             "client left",
	diagnose.ClientStalled:             "client stalled",
	diagnose.ClientVerificationStalled: "certificate check stalled",
}
