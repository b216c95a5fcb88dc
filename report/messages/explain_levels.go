package messages

// whens says what each level of a class takes.
var whens = map[string]string{
	"when.ended":                "The connections ran to their ends, which are those of a normal download; a reset after the client's own close is one of them.",
	"when.still-open":           "A connection was still open or never made when the capture ended, or only lookups were captured: nothing had died up to then.",
	"when.nothing":              "No statement is made about the download.",
	"when.neighbour":            "The capture holds the requests for the neighbour's link address and no reply, and nothing at all was answered from outside.",
	"when.asked-again":          "The question was sent again, or long enough was waited, and other packets show that this capture hears answers. That no answer came back is certain; where it was lost is not.",
	"when.asked-once":           "It was asked only once, or nothing at all is answered in this capture, so that it may hold one direction only.",
	"when.message":              "The packet itself is in the capture. That it came is certain; its headers are not authenticated, so that a box on the way may have written it in the far end's name.",
	"when.icmp":                 "The error quotes the packet that it is about. Its sender's word is certain; whether that is a router or the far end itself is left open.",
	"when.icmp-policy":          "The error says that an administrator prohibits the traffic, or that the packet lived too long, and its sender is not the destination.",
	"when.sinkhole":             "The answer is certain; that somebody meant to block the name with it is the likely reason and no more.",
	"when.two-answers":          "Two answers to a question sent once contradict each other. One of them was made up, or the resolver is broken.",
	"when.absent":               "Absence alone: no record of the system says that a program tried to connect.",
	"when.loopback":             "The packet was captured on the loopback interface although the connection goes to another machine: only this machine can have sent it.",
	"when.own-icmp":             "The ICMP error bears this machine's own address, and no interface carried the SYN. An address can be forged.",
	"when.intact-here":          "The packets reached this machine's own interface whole, in order and for the right connection, and it never accepted them. A driver below the capture point is not excluded as the reason why.",
	"when.intact-likely":        "The same, at a capture point that is likely this machine: no router has passed the client's packets on, and it answers sooner than over a link, or its segments are not cut to size yet. Something that forwards on the same wire is not excluded.",
	"when.capture-elsewhere":    "Nothing shows that the capture point is this machine itself: between the two the answer may have been lost, on the local link or behind a router.",
	"when.reset-seen":           "That a packet with the server's address reset the connection is certain; nothing excludes the server as its sender, and nothing proves it.",
	"when.reset-faster":         "The reset acknowledges what the client sent and came sooner than the least of several round trips to the far end: its sender is nearer.",
	"when.reset-faster-address": "The reset came sooner than the least of several round trips that other connections to the same address had, or of one, with another time to live too.",
	"when.reset-signs":          "Two signs of another sender, or the far end going on as if nothing had happened (which counts twice). One sign alone moves neither level nor place: load balancers and address translators give such signs too.",
	"when.proxy-said":           "The CONNECT proxy's refusal stands in the capture in clear. It is the proxy's own answer, whatever its reason.",
	"when.keepalive-answered":   "A keep-alive was exchanged during the silence: the path and the far end's TCP were alive. A proxy that ends TCP on the way counts as the far end.",
	"when.silence-over":         "The silence was tested: by a keep-alive round, answered or not, or by a client that waited until its timer ended and left.",
	"when.silence-open":         "The silence is long enough to be told and was not tested: the capture ended before a keep-alive round.",
	"when.maybe-idle":           "What the client sent last need not be a request, so that an answer may not have been due.",
	"when.late-start":           "The connection had begun before the capture, so that what it was doing is not known.",
	"when.reset-ahead":          "The reset acknowledges bytes that never left this machine, in a capture made on it that is known to have lost nothing: its sender had read them before the network.",
	"when.waited":               "The client waited as long as its timer allows, or the far end's TCP was alive all the time, and still no byte left. A program that does not get to run looks the same, hence two places.",
	"when.resent":               "The same bytes were sent again and again without success while the TCP handshake on the same path had worked.",
	"when.resent-short":         "The repeats were seen for a short time only: random loss is unlikely and not excluded.",
	"when.too-big":              "A router's ICMP error says that the packet is too big for the next link, and the packet was not made good.",
	"when.small-passes":         "The small part arrives and the large part does not, again and again.",
	"when.flight-unclear":       "In TLS 1.3 the end of the server's part cannot always be seen: it may have been complete, and the client be the one that did not go on.",
	"when.flight-joined":        "The server's part came in one record that has room for all of it, and was acknowledged: the client is the one that did not go on, unless a message was missing in it.",
	"when.plain-status":         "The status line stands in the capture in clear. It carries the server's address; who wrote it is not authenticated.",
	"when.revocation":           "The client stood still with the server's part acknowledged while attempts to reach a port 80, where certificates are checked for having been revoked, got no answer. They may have been for something else.",
	"when.no-notify":            "The server closed without TLS's own farewell while the client was still reading. Some servers always close so.",
	"when.hole-moving":          "Data still trickles in between the server's doubling timers.",
	"when.own-alert":            "The client's own alert stands in the capture in clear.",
	"when.record-size":          "The content is encrypted; the size of the record leaves only an alert. Its text and reason stay hidden.",
	"when.plain-port":           "The error is what a plain HTTP service answers to TLS, on a port that is not for HTTPS: a URL says https where it must say http.",
	"when.unanswered-twice":     "Two or more keep-alive probes, or more repeats of the same data than the least number, stayed unanswered. Where the path broke is not known.",
	"when.unanswered-once":      "One keep-alive probe, or the least number of repeats, stayed unanswered.",
	"when.hole":                 "The missing bytes lie before others that arrived, the client asked for them, and many gaps had come before.",
	"when.in-record":            "The connection ended inside a TLS record, which no complete answer does.",
	"when.before-answer":        "The connection ended after what looks like a request and before any record of an answer; inside TLS neither can be read.",
	"when.own-window":           "The client's own acknowledgements say that it takes no more data. Why it does not read is not in the packets.",
	"when.left-midway":          "Data was still coming, or a record was incomplete, when the client closed; or the go command says that it was interrupted while its request was open.",
	"when.go-said":              "The go command's words say so, and an answer in the packets fits them. The packets alone show neither status nor stream error.",
	"when.left-waiting":         "The client closed while it waited, earlier than any timer of its own. It may have had another reason.",
}

// thresholdReasons says why each threshold is what it is.
var thresholdReasons = map[string]string{
	"quietFinding":      "From this on silence counts. A lost segment is repeated after 0.2, 0.4, 0.8, 1.6 and 3.3 s on Linux, so that a healthy path has recovered from any two losses by then.",
	"quietSure":         "For this long a single query must have been unanswered to be known as such: resolvers give up after 30 s at the latest.",
	"tlsTimeout":        "A close at or after it is Go's own handshake timer of 10 s, less the time that the process takes to notice, and no whim of the user.",
	"giveUp":            "From this on a client that closes while it waits has been aborted: healthy runs drop spare connections within 0.1 s.",
	"probeAnswer":       "For this long a keep-alive probe waits for its answer before it counts as unanswered: twice TCP's first timer, above any round trip on which TCP is usable.",
	"repeats":           "So often the same bytes must be sent again for a persistent loss: at 10 % random loss three in a row are one case in a thousand.",
	"repeatsSpan":       "Over at least this time such repeats must stretch: a tail loss probe and two timeouts fit into a busy second.",
	"synRepeats":        "So many packets without an answer, the first included, prove that none came back.",
	"synackRepeats":     "So many SYN/ACKs a machine must have left unacknowledged to be said to discard them.",
	"rttSharePercent":   "A reset that acknowledges data sooner than this share of the least round trip was sent by something nearer than the far end.",
	"rttSamples":        "A single sample may have waited for address resolution or for a radio that slept, and is then no least time.",
	"hostTurnaround":    "A kernel answers within tens of microseconds; a link with a network card at each end takes longer. Where answers follow this soon, both cross the capture point on the machine that sends them.",
	"rttMargin":         "And sooner by at least this: clocks and schedulers move packets by less.",
	"localRTT":          "Below this round trip something near answers for the far address (a local proxy, a TUN device), and comparing times is void.",
	"ttlStep":           "So much a reset's time to live must differ from the flow's to count: equal-cost paths differ by one.",
	"ipidStep":          "IP identifications are a counter where three steps in a row are no larger than this.",
	"ipidReach":         "A packet belongs to such a counter within so many numbers.",
	"secondSender":      "So long after a reset a further segment of the same direction must come to have been sent after it: reordering moves packets by less.",
	"resetBurst":        "Resets within this time belong together.",
	"lateData":          "So much data after the client's close shows that it left in the middle of an answer; a server's farewell is smaller.",
	"controlBytes":      "A server sends at most this much without any answer: session tickets and HTTP/2 control frames.",
	"holes":             "So many gaps a flow must have shown before an unfilled one is called heavy loss rather than a path that died.",
	"holesSpan":         "So long in all a flow must have stood still in front of holes while it still moves now and then: twice what is a finding by itself.",
	"readerCloses":      "So soon a client closes by itself a connection whose answer it has read to the end; where it is still there later, it waited for more.",
	"windowSlack":       "So far beside twice the receive window a reset must lie to be no use to the client, whatever acknowledgements were on their way.",
	"preambleMessages":  "So many messages a client sends before its first HTTP/2 request: Finished, and the connection preface.",
	"emptyFrame":        "The length of an HTTP/2 frame without content; behind data it is the one that ends the answer.",
	"joinedFlight":      "A record at least this long holds the server's EncryptedExtensions together with its certificate; neither alone is so long, or so short.",
	"freezeLeast":       "From so many bytes of the server on a silence is told as one that filters make, which let 16 to 20 KB pass.",
	"freezeMost":        "Up to so many: a handshake may come on top.",
	"midBody":           "So soon after server data its end comes in the middle of an answer; later it is an idle connection that the server tidied up.",
	"lossyPercent":      "A connection on which this share of the segments was sent again is noted as lossy, if lossyLeast were.",
	"lossyLeast":        "So many segments must have been sent again: on a short connection one is a large share.",
	"refusalRecord":     "The length of a TLS 1.3 record with an alert in it: two bytes, one of content type, 16 of tag. No handshake message fits into it.",
	"finishedRecord":    "The length of a TLS 1.3 record with a Finished message alone, SHA-256.",
	"finishedRecord384": "The same with SHA-384.",
	"recordOverhead13":  "So much TLS 1.3 adds to the content of a record.",
}

// noteTexts explains the notes on a verdict.
var noteTexts = map[string]Note{
	"lossy": {
		Title: "packets lost and made up for",
		Seen:  "Many segments of a connection that reached its end were sent again.",
		Means: "The download was slower than the path could be; nothing died of it. A count of retransmissions alone is never a verdict.",
	},
	"slow": {
		Title: "slow download",
		Seen:  "The download reached its end and took long.",
		Means: "No rule gives this note in this version: a capture does not show how fast the path and the far end could be.",
	},
	"fallback": {
		Title: "another host or address made it good",
		Seen:  "A host or address died, and another one that was first contacted after that delivered data later.",
		Means: "The go command got what it wanted in the end. The death of the first one is in the connection table, and cost the time that it took.",
	},
	"one-family-broken": {
		Title: "IPv4 or IPv6 broken",
		Seen:  "A host died over IPv4 and delivered over IPv6, or the other way round.",
		Means: "Each new connection may lose time on the broken family. Connection attempts race each other, TLS handshakes do not.",
	},
	"go-output.contradiction": {
		Title: "go's words and the packets differ",
		Seen:  "What the go command printed (--go-output) does not fit what the packets show. Both are part of the evidence.",
		Means: "The verdict follows the packets and does not decide who is right: the output may be of another run, or the capture may be of another machine.",
	},
	"blind-reset-ignored": {
		Title: "a reset that nobody heeded",
		Seen:  "A reset with the server's address came that lies outside the client's receive window, or after which the client went on.",
		Means: "Somebody who does not see the connection guesses, or the network delays packets. The client had no use for it (RFC 5961); the connection is judged by how it ended.",
	},
}

// healthTexts explains the facts about the capture itself.
var healthTexts = map[string]Note{
	"K1.dropped": {
		Title: "packets dropped while capturing",
		Seen:  "The capture's own counters say that packets were lost before they reached the file.",
		Means: "No verdict rests on what is missing. Capture again with a larger buffer.",
	},
	"K1.acked-unseen": {
		Title: "packets missing from the capture",
		Seen:  "An end acknowledged bytes that the file does not hold.",
		Means: "The capture lost them, not the network: a real loss is sent again. Silence and loss on that connection are not judged.",
	},
	"K2.undrained": {
		Title: "capture stopped too early",
		Seen:  "More packets passed the capture filter than the file holds and the drops explain.",
		Means: "The capture was stopped before its buffer was written. No verdict rests on what is missing, an empty file included.",
	},
	"K2.late-start": {
		Title: "capture started late",
		Seen:  "Connections are in the capture whose beginning is not.",
		Means: "The capture began too late, or the connections are left over from a program that has ended. Only what their keep-alives show is said, and only consistent.",
	},
	"K3.one-direction": {
		Title: "one direction missing",
		Seen:  "Acknowledgements move on over bytes of the other direction that were never captured.",
		Means: "The other direction takes another way or interface. Those connections are not judged.",
	},
	"K4.offload": {
		Title: "segments joined or cut by the network card",
		Seen:  "Segments are larger than the size that both ends agreed on.",
		Means: "The network card or the kernel cuts and joins them. Sizes on the wire are not known; nothing else follows.",
	},
	"K5.duplicates": {
		Title: "frames captured twice",
		Seen:  "A frame repeats the one before: same identification, same sequence number, at the same time.",
		Means: "It was captured on two interfaces. It is counted once and is no retransmission.",
	},
	"K6.sliced": {
		Title: "frames cut short",
		Seen:  "Segments are shorter in the file than they were on the wire.",
		Means: "What was cut off is not judged. Capture again without a short snapshot length.",
	},
	"K8.clock-back": {
		Title: "clock set back",
		Seen:  "A packet is older than the one before it on the same interface.",
		Means: "The clock was set back. Times across that point are not to be trusted.",
	},
	"K8.clock-ahead": {
		Title: "clock set ahead",
		Seen:  "The capture's time jumped, and the senders' own TCP timestamps did not.",
		Means: "The clock was set ahead, or the machine slept. The jump is no silence of the network.",
	},
	"K9.stand-in-address": {
		Title: "stand-in addresses of a local proxy",
		Seen:  "Connections go to addresses in 198.18.0.0/15.",
		Means: "A proxy or VPN on this machine hands out such addresses: the real path is not in this capture, and times say nothing about the far end. Capture the physical interface too.",
	},
}

// rowNames names each row of the taxonomy.
var rowNames = map[string]string{
	"K1": "packets dropped while capturing", "K2": "capture not drained, or started late", "K3": "one direction only",
	"K4": "segments joined or cut by the network card", "K5": "frames captured twice", "K6": "frames cut by the snapshot length",
	"K7": "connection left over from an earlier program", "K8": "clock set during the capture", "K9": "tunnel or stand-in addresses",

	"L1": "attempt refused by a local policy, nothing sent", "L2": "this machine rejects the SYN", "L3": "this machine rejects the ClientHello",
	"L4": "this machine swallows the ClientHello", "L5": "this machine discards the SYN/ACK", "L6": "this machine discards the server's data",
	"L7": "TLS proxy on this machine", "L8": "the client's window is zero", "L9": "certificate checks of the system get no answer", "L10": "the user or caller aborts",

	"D1": "no DNS answer", "D2": "no such name, or no address", "D3": "the resolver fails or refuses", "D4": "sinkhole address",
	"D5": "forged answer", "D6": "slow lookup, or AAAA never answered",

	"S1": "no answer to the SYN", "S2": "the gateway does not resolve", "S3": "a reset answers the SYN", "S4": "a forged reset answers the SYN",
	"S5": "ICMP unreachable", "S6": "SYN/ACK then reset, or two SYN/ACKs", "S7": "one address of several is dead", "S8": "transparent TCP proxy",

	"P1": "ClientHello not acknowledged at all", "P2": "its large first segment lost, the small one arrives", "P3": "only its second segment lost",
	"P4": "the server's large segments lost", "P5": "ClientHello acknowledged, then silence", "P6": "everything dropped after the ClientHello",

	"R1": "reset by the far end", "R2": "injected reset", "R3": "reset instead of any delivery, on the path", "R4": "reset before the ClientHello",
	"R5": "reset after a close with unread data", "R6": "close after the ClientHello", "R7": "reset by the client",

	"A1": "the server's alert in clear", "A2": "certificate refused, TLS 1.2", "A3": "certificate refused, TLS 1.3", "A4": "inspection that the client accepts",
	"A5": "captive portal", "A6": "another alert of the client",

	"H1": "plain HTTP where TLS is due", "H2": "CONNECT refused", "H3": "CONNECT not answered", "H4": "TLS to a plain proxy", "H5": "the proxy itself cannot be reached",
	"H6": "neither TLS nor HTTP",

	"T1": "no response, the far end's TCP alive", "T2": "the path died", "T3": "dead address translation entry", "T4": "stall by loss", "T5": "the server sends nothing more",
	"T6": "freeze after 16 to 20 KB", "T7": "throttling", "T8": "queues fill on the way", "T9": "close in the middle of an answer", "T10": "reset in the middle of an answer",
	"T11": "HTTP error inside TLS", "T12": "HTTP/2 error inside TLS", "T13": "residual block of following connections", "T14": "normal end",

	"O1": "the host of a redirect fails", "O2": "the checksum database fails", "O3": "direct access to a version control host fails", "O4": "no fallback was tried",
	"N1": "the go command waits without traffic", "N2": "healthy and large",
}
