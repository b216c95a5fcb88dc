package messages

import "goproxytrace/analyze/diagnose"

// Look-alikes that several classes share.
var (
	lostInCapture  = Alike{"packets that the capture lost", "The capture's drop counters, or acknowledgements of bytes that it does not hold, tell; then no such verdict is given."}
	endedEarly     = Alike{"a capture that ends too soon", "Silence counts from quietFinding on, and stays consistent until a keep-alive round or a client that gives up has been seen."}
	senderUnproven = Alike{"a reset made up on the way", "Time, time to live, IP identification and what the server sends afterwards are compared; the place becomes network alone only where they exclude the far end."}
	normalFarewell = Alike{"the resets at the end of a successful download", "They answer the client's own close, or follow the server's close_notify; both are ok."}
)

// explanationsEnglish holds what is seen for each class, and what looks like it.
var explanationsEnglish = map[diagnose.Class]Explanation{
	diagnose.OK: {
		Seen: "No connection or lookup that counts died for good: each reached a normal end, was still at work when the capture ended, or was made good by another one that delivered data later. An ok says nothing about an HTTP status inside TLS.",
		Alikes: []Alike{
			{"a download that failed with an HTTP error", "Inside TLS a status is not readable; give the go command's own output with --go-output."},
			{"inspection that the client accepts", "A company's proxy whose CA is installed breaks nothing; the packets do not show it."},
		},
	},
	diagnose.NoTraffic: {
		Seen: "Nothing of the go command is in the capture: no connection or lookup of its hosts and no other TLS client. That is no proof of health, and no proof that something blocked it.",
		Alikes: []Alike{
			{"a go command that waits for a lock or a child and uses no network", "The packets cannot tell; go's -x output and a stack dump can."},
			{"a capture on the wrong interface, or with a filter that hides it", "The number of segments that the capture does hold is given."},
		},
	},
	diagnose.CaptureUnusable: {
		Seen: "There was traffic, and none of it can be judged: packets were dropped, one direction is missing, or every connection began before the capture. What could not be assessed is listed.",
		Alikes: []Alike{
			{"loss on the network", "Lost packets are sent again and asked for (duplicate acknowledgements); packets that the capture lost are acknowledged without ever being seen."},
		},
	},
	diagnose.LinkGatewaySilent: {
		Seen: "Nothing was answered, and a neighbour on the local link was asked for its link address (ARP, IPv6 neighbour discovery) again and again without a reply.",
		Alikes: []Alike{
			{"a far end that does not answer (connect.no-answer)", "There the gateway resolves, or something else is answered."},
			{"another machine on the link that is switched off", "It counts only where nothing at all was answered from outside."},
		},
	},

	diagnose.DNSNoAnswer: {
		Seen: "Queries for a host's address left, and no answer came back.",
		Alikes: []Alike{
			{"a resolver that answers late", "Any answer to the question, however late, makes it good; a slow lookup delays, and nothing more."},
			{"names that are resolved over HTTPS or TLS, or in the hosts file", "Then there are no queries at all, and connections follow."},
			lostInCapture,
		},
	},
	diagnose.DNSNXDomain: {
		Seen: "The resolver answered that the name does not exist.",
		Alikes: []Alike{
			{"a name that is misspelt in GOPROXY", "The name is in the verdict; another resolver says the same."},
			{"a resolver that filters", "Its extended error (RFC 8914), where given, is part of the evidence; another resolver has the name."},
		},
	},
	diagnose.DNSNoData: {
		Seen: "The resolver answered without an error and without an IPv4 address.",
		Alikes: []Alike{
			{"a name without an IPv6 address", "That is normal and no finding."},
			{"an address that came with another query of the same name", "Then the name was resolved, and this is no death."},
		},
	},
	diagnose.DNSServFail: {
		Seen: "The resolver answered with an error other than \"no such name\" and \"refused\", mostly SERVFAIL.",
		Alikes: []Alike{
			{"a DNSSEC failure", "The extended error (RFC 8914), where given, names it; the domain's owner or the resolver's clock is at fault then."},
			{"one resolver of several that fails", "An answer of another one makes it good."},
		},
	},
	diagnose.DNSRefused: {
		Seen: "The resolver answered that it refuses the question.",
		Alikes: []Alike{
			{"a resolver that serves other networks only (after a VPN change)", "The resolver's address is in the verdict: compare it with the ones configured."},
		},
	},
	diagnose.DNSUnreachable: {
		Seen: "An ICMP error quotes the query: the resolver's address or port cannot be reached.",
		Alikes: []Alike{
			{"a late answer that this machine no longer wanted", "There the ICMP error is this machine's own and quotes the answer, not the query."},
			{"a forged error", "It must quote the query that was sent."},
		},
	},
	diagnose.DNSSinkhole: {
		Seen: "The answer is the unspecified address or a loopback address, for a name that is not local.",
		Alikes: []Alike{
			{"a company's own proxy at a private address", "Private addresses are no finding."},
			{"a name that is meant for this machine (localhost, .test, .internal)", "Such names are left out."},
		},
	},
	diagnose.DNSForged: {
		Seen: "One question, sent once, got two answers that have no address in common, or of which one is an error. Often the first comes sooner than the resolver can answer, and this machine rejects the second (ICMP port unreachable).",
		Alikes: []Alike{
			{"a question that was asked twice, or of two resolvers", "Each answer belongs to its own question; different addresses are normal then."},
			{"the same answer captured or sent twice", "It says the same and is no finding."},
		},
	},

	diagnose.ConnectNotSent: {
		Seen: "The host's name was resolved, and no SYN to any of its addresses left, in a capture that dropped nothing and went on.",
		Alikes: []Alike{
			{"a program that looked the name up and did not need it", "Only hosts of GOPROXY and GOSUMDB count, or hosts that modules come from where none of those was seen; the level stays consistent."},
			{"a connection over an interface or tunnel that was not captured", "The packets cannot tell: capture on all interfaces."},
			lostInCapture,
		},
	},
	diagnose.ConnectRejectedLocally: {
		Seen: "A reset or ICMP error for the attempt was captured on the loopback interface or bears this machine's own address, and no SYN was seen on a wire.",
		Alikes: []Alike{
			{"a far end or router that refuses", "There the SYN and the refusal are on the wire interface."},
			{"a program on this machine that is connected to on purpose", "A connection whose both ends are local is not meant."},
		},
	},
	diagnose.ConnectAnswerIgnored: {
		Seen: "SYN/ACKs for the right SYN, with a right checksum, reached this machine; it sent its SYN again and acknowledged none of them.",
		Alikes: []Alike{
			{"an answer that is damaged or acknowledges something else", "Then this machine does well to discard it, and the attempt counts as unanswered (connect.no-answer)."},
			{"an answer lost behind a capture point that is not on this machine", "The client's time to live and the recorded direction show whether a router or gateway passed its packets on; then no verdict is given. Where the capture point may be beside this machine, the level is consistent."},
		},
	},
	diagnose.ConnectNoAnswer: {
		Seen: "SYNs left, and nothing came back: no SYN/ACK, no reset, no ICMP error.",
		Alikes: []Alike{
			{"an answer that this machine discards (connect.answer-ignored)", "There the SYN/ACK is in the capture."},
			{"a capture that hears one direction only", "Something else must have been answered, else the level is consistent."},
			{"a first address that is dead while the next one works", "It is made good: the capture is ok with the note fallback."},
			lostInCapture,
		},
	},
	diagnose.ConnectRefused: {
		Seen: "A reset answered the SYN. Windows repeats a refused SYN a few times: that is one attempt.",
		Alikes: []Alike{
			{"a closed port at the far end", "This is the likeliest reason; nothing in the packet proves it."},
			{"a firewall on the way that answers in the far end's name", "Where other connections to the address show its round trip or time to live, the reset is compared with them; sooner than possible narrows the place to the network."},
			{"a reset that this machine makes itself", "It is seen on the loopback interface (connect.rejected-locally)."},
		},
	},
	diagnose.ConnectUnreachable: {
		Seen: "An ICMP error that quotes the SYN answered it: unreachable, prohibited, or time exceeded. Its sender is named.",
		Alikes: []Alike{
			{"a forged error", "It must quote the sequence number that was sent."},
			{"this machine's own error", "It bears this machine's address (connect.rejected-locally)."},
			{"a message about the path MTU", "It is no refusal (tls.large-packets-lost)."},
		},
	},

	diagnose.ProxyRefused: {
		Seen: "The HTTP proxy of HTTPS_PROXY answered the CONNECT request with an error, in clear.",
		Alikes: []Alike{
			{"a refusal by the module proxy behind it", "That comes inside TLS and is not readable; CONNECT was granted then."},
			{"a proxy that cannot reach the target (502, 503, 504)", "The status is in the verdict; the proxy's log has the reason."},
		},
	},
	diagnose.ProxySilent: {
		Seen: "The CONNECT request was sent, and no answer came: silence, a close or a reset. Go waits one minute.",
		Alikes: []Alike{
			{"a path to the proxy that died", "Then the request is not acknowledged, or keep-alives stay unanswered: the network is included."},
			endedEarly,
		},
	},

	diagnose.TLSClientHelloNotSent: {
		Seen: "The TCP handshake is complete, and no byte of the client followed; Go writes its ClientHello within milliseconds. Either nothing came, or a reset that this machine made: seen on loopback, or acknowledging bytes that never left.",
		Alikes: []Alike{
			{"a spare connection that Go drops", "It is closed at once, before quietFinding."},
			{"a program that is suspended or slow", "The packets cannot tell it from a filter; two places are named."},
			{"a ClientHello that is lost on the network (tls.client-hello-lost)", "There it is in the capture, again and again."},
			lostInCapture,
		},
	},
	diagnose.TLSClientHelloLost: {
		Seen: "The ClientHello left and was sent again and again; all of it, or its last segment, was never acknowledged, while the TCP handshake on the same path had worked.",
		Alikes: []Alike{
			{"random loss", "One resend mends it; repeats and repeatsSpan ask for more."},
			{"a ClientHello that did not leave (tls.client-hello-not-sent)", "There it is not in the capture."},
			{"a first segment lost while the small second one arrives (tls.large-packets-lost)", "A selective acknowledgement shows it."},
			lostInCapture,
		},
	},
	diagnose.TLSLargePacketsLost: {
		Seen: "Packets of full size do not pass while small ones do: the ClientHello's first segment is missing and the second one is acknowledged (SACK), or the server's answer has a hole that is never filled, or a router says that a packet is too big.",
		Alikes: []Alike{
			{"random loss", "Repeats of the same bytes fill the hole."},
			{"a ClientHello of which nothing arrives (tls.client-hello-lost)", "There no later part is acknowledged."},
			{"segments that only look large because the network card joins them", "Sizes are never judged alone; what arrived and what did not is."},
			lostInCapture,
		},
	},
	diagnose.TLSNoServerHello: {
		Seen: "The ClientHello was acknowledged, and no byte of an answer followed. Go gives up after 10 s; whether the far end still acknowledges that close tells a silent far end (acknowledged) from a path that drops everything since the ClientHello (not acknowledged).",
		Alikes: []Alike{
			{"a filter that holds back the answer", "An acknowledgement does not exclude one: the place stays network, remote."},
			{"an answer that is lost as a whole", "The server's sequence numbers, where seen, show that it had sent something."},
			{"an answer that this machine discards (tls.answer-ignored)", "There it is in the capture."},
			endedEarly, lostInCapture,
		},
	},
	diagnose.TLSServerFlightStalled: {
		Seen: "The server's part of the handshake began and did not end, without a hole in it: what came is complete up to where it stops.",
		Alikes: []Alike{
			{"large segments of the answer that are lost (tls.large-packets-lost)", "There a later part arrives, and the client asks for the hole."},
			{"a client that does not go on (client.stalled)", "There the server's part is complete, which TLS 1.2 shows by its last message and TLS 1.3 by a Finished record of its own."},
			endedEarly, lostInCapture,
		},
	},
	diagnose.TLSAnswerIgnored: {
		Seen: "The server's answer reached this machine in order and with right checksums, was sent again and again, and was never acknowledged.",
		Alikes: []Alike{
			{"an answer with a hole (tls.large-packets-lost)", "There the client acknowledges what it got, again and again."},
			{"an answer lost behind a capture point that is not on this machine", "The client's time to live and the recorded direction show whether a router or gateway passed its packets on; then no verdict is given. Where the capture point may be beside this machine, the level is consistent."},
			lostInCapture,
		},
	},
	diagnose.TLSReset: {
		Seen: "A reset with the server's address came during the TLS handshake: before the ClientHello, after it, or in the middle.",
		Alikes: []Alike{
			senderUnproven,
			{"a load balancer or address translator that resets for the server", "It shows one sign (another time to live, no timestamps), which moves nothing; the place stays network, remote."},
			{"a reset that this machine makes itself", "It is on the loopback interface (tls.client-hello-not-sent)."},
			{"the answer to the client's own close", "Resets after the client's FIN or reset are left out."},
		},
	},
	diagnose.TLSClosed: {
		Seen: "The far end closed the connection (FIN) during the TLS handshake, without an alert.",
		Alikes: []Alike{
			{"a refusal with an alert (tls.alert-from-server)", "The alert comes first and names a reason."},
			{"the answer to the client's own close", "The client closed first then, and this rule does not apply."},
		},
	},
	diagnose.TLSAlertFromServer: {
		Seen: "The far end refused the handshake with a TLS alert: in clear with its number, or in TLS 1.3 as an encrypted record that only an alert fits into, followed by its close.",
		Alikes: []Alike{
			{"close_notify and other alerts that refuse nothing", "They are left out."},
			{"an alert that a box on the way makes up", "Before the ServerHello nothing authenticates it; the place stays network, remote."},
		},
	},
	diagnose.TLSAlertFromClient: {
		Seen: "The client broke off the handshake with an alert that is not about a certificate: what it got was not acceptable to it.",
		Alikes: []Alike{
			{"a refused certificate (tls.certificate-rejected)", "Alerts 41 to 46, 48 and 113 are about certificates."},
			{"a client with a fault of its own", "Go's own error text names what it did not accept."},
		},
	},
	diagnose.TLSCertificateRejected: {
		Seen: "The client refused the server's certificate. In TLS 1.2 alert, issuer, names and dates are readable; in TLS 1.3 the client's first encrypted record is as short as only an alert is.",
		Alikes: []Alike{
			{"a wrong clock on this machine", "The certificate's dates are compared with the capture's time."},
			{"a server with a certificate that has expired or is for another name", "Dates and names are part of the evidence where they are readable."},
			{"inspection by a company or security product", "The issuer names it where readable. An alert alone does not: Go sends the same one for every failed verification."},
			{"a successful handshake", "Its first encrypted record of the client has 53 or 69 bytes, or more."},
		},
	},
	diagnose.TLSNotTLS: {
		Seen: "The answer to the ClientHello is not TLS: plain HTTP, often a captive portal or block page, or other bytes.",
		Alikes: []Alike{
			{"TLS spoken to a plain HTTP proxy", "The answer is 400 on a port that is not for HTTPS: a URL's scheme is wrong, and the place is client."},
			{"a protocol that changes to TLS later", "There the server's bytes come before the ClientHello."},
		},
	},
	diagnose.TLSLocalInterception: {
		Seen: "A security product or agent on this machine makes the TLS connection in the go command's place: the connection on the wire belongs to another process, and went well, while go's own ended on this machine and died there. The capture must record which process owns each (pcapng option 8, process blocks).",
		Alikes: []Alike{
			{"a proxy that was configured on purpose (HTTPS_PROXY)", "The client asks it with CONNECT, or greets it in another way, before its ClientHello; then its connections are judged as any other."},
			{"a fault of the network that the product meets", "Then its connection on the wire died too, and that death is the verdict."},
			{"inspection that the go command accepts", "Nothing died, and the capture is ok."},
		},
	},

	diagnose.HTTPNoResponse: {
		Seen: "The handshake is complete, a request left and was acknowledged, and no byte of an answer came. The go command waits without limit.",
		Alikes: []Alike{
			{"a connection that has nothing to ask", "What the client sent last must have the size of a request; else the level is consistent and data on any other connection withdraws the verdict."},
			{"a path that died (transfer.path-dead)", "There data or keep-alives stay without an acknowledgement."},
			endedEarly, lostInCapture,
		},
	},
	diagnose.HTTPError: {
		Seen: "The module proxy answered with an HTTP error, or ended a stream with an HTTP/2 error. Inside TLS both are encrypted, and only the go command's own output (--go-output) tells them; over plain HTTP the status line is in the capture. The transport was healthy.",
		Alikes: []Alike{
			{"a small file", "Inside TLS a short answer and an error look the same; without the go command's output the verdict is ok."},
			{"a CONNECT proxy that refuses (proxy.refused)", "Its status is readable in the packets."},
			{"404 or 410 over plain HTTP", "The go command takes it for an answer: the proxy does not have it."},
		},
	},

	diagnose.TransferRemoteIdle: {
		Seen: "The server stopped sending, all that it had sent is acknowledged, no gap is open and the client's window is not zero.",
		Alikes: []Alike{
			{"an idle connection after the last answer", "Where no answer is known to be due, data on any other connection withdraws the verdict."},
			{"a path that died (transfer.path-dead)", "There keep-alives stay unanswered."},
			{"a client that does not read (transfer.receiver-stalled)", "There its window is zero."},
			endedEarly, lostInCapture,
		},
	},
	diagnose.TransferPathDead: {
		Seen: "Nothing comes back any more: the client's data is sent again and again, or its keep-alives stay unanswered. Go gives up after nine of those.",
		Alikes: []Alike{
			{"a silent far end (transfer.remote-idle, http.no-response)", "There keep-alives are answered."},
			{"a machine that slept or lost its own link", "The packets cannot tell; the system's log can."},
			lostInCapture,
		},
	},
	diagnose.TransferHeavyLoss: {
		Seen: "After many gaps in the server's data one was never filled, although the client asked for it.",
		Alikes: []Alike{
			{"loss that is made good", "However much: such a connection is ok, with the note lossy."},
			{"packets that the capture lost", "The client acknowledges them, and does not ask for them."},
			{"a path that dies without losses before (transfer.path-dead)", "Fewer than holes gaps came before it."},
		},
	},
	diagnose.TransferReset: {
		Seen: "A reset with the server's address ended the connection while data moved or an answer was due.",
		Alikes: []Alike{
			normalFarewell, senderUnproven,
			{"a server that tidies up an idle connection", "No answer is due, and nothing moved within midBody."},
		},
	},
	diagnose.TransferTruncated: {
		Seen: "The server closed (FIN) inside a TLS record, or after a request and before any answer.",
		Alikes: []Alike{
			{"a server that tidies up an idle connection", "Its last record is complete and nothing was asked since."},
			{"the answer to the client's own close", "The client closed first then, and this rule does not apply."},
			{"an answer that is too short for its HTTP length", "That is inside TLS and not readable; go's text says unexpected EOF."},
			{"a reset that something the client wrote met first (transfer.reset)", "The socket tells of it once, and go's next read finds only the end: go says unexpected EOF there too. The packets tell a FIN from an RST."},
		},
	},
	diagnose.TransferReceiverStalled: {
		Seen: "The client announced a zero window and did not open it again: nobody on this machine reads what arrived. Or, with the window open, data reached this machine intact again and again and its TCP said nothing to it: this machine itself discards the data before its TCP.",
		Alikes: []Alike{
			{"a window that is full for a moment", "It opens again before quietFinding."},
			{"a silent server (transfer.remote-idle)", "There the window is open, and no data arrives."},
			{"data that the network loses (transfer.heavy-loss)", "What is missing does not cross the capture point again and again, or the client answers each time with duplicate acknowledgements."},
			{"data that is lost behind the capture point", "Captured beside this machine, or at a router, no verdict is given."},
			{"a program that ended", "It closes first: what is repeated after that does not count."},
		},
	},

	diagnose.ClientAborted: {
		Seen: "The client closed the connection itself, in the middle of an answer or while it waited for one, before any of its timers.",
		Alikes: []Alike{
			{"a normal end", "The server sends no more than its farewell after the client's close (less than lateData), and its last record is complete."},
			{"a timeout of the go command", "A handshake given up after tlsTimeout is told as what it waited for."},
			{"a spare connection that lost a race", "It is closed before giveUp."},
		},
	},
	diagnose.ClientStalled: {
		Seen: "The server's part of the handshake is complete, and the client did not go on.",
		Alikes: []Alike{
			{"a server that has more to say (tls.server-flight-stalled)", "There its part is incomplete, or its end cannot be seen."},
			{"an answer that never reached the client (tls.answer-ignored)", "There it is not acknowledged."},
			{"certificate checks of the system that wait for the network (client.verification-stalled)", "Look for unanswered connections to port 80 in the same capture."},
			endedEarly, lostInCapture,
		},
	},
	diagnose.ClientVerificationStalled: {
		Seen: "The server's part of the handshake is acknowledged, the client is silent, and revocation requests of the same machine get no answer: lookups of OCSP or CRL hosts, attempts to reach a port 80, or requests there.",
		Alikes: []Alike{
			{"a client that is slow for another reason (client.stalled)", "There no such request is unanswered."},
		},
	},
}
