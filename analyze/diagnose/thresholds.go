package diagnose

// Every number that decides between verdicts stands here, with its reason.
// Times are in nanoseconds.
const (
	millisecond = int64(1e6)
	second      = int64(1e9)

	// quietFinding is from when on silence counts. Linux repeats a lost
	// segment 0.2, 0.4, 0.8, 1.6 and 3.3 s after the one before (RFC 6298,
	// section 5.5, doubling), so a healthy path has recovered from any two
	// losses by then.
	quietFinding = 5 * second
	// quietSure is how long a single query must have been unanswered to be
	// known as such: resolvers give up after 30 s at the latest.
	quietSure = 35 * second
	// tlsTimeout is net/http's TLSHandshakeTimeout of 10 s less the time
	// that the process takes to notice; a close at or after it is Go's
	// timer and no whim of the user.
	tlsTimeout = 9500 * millisecond
	// giveUp is from when on a client that closes while it waits for an
	// answer has been aborted: healthy runs drop spare connections within
	// 0.1 s, and their exits close what still shakes hands.
	giveUp = 1 * second
	// probeAnswer is how long a keep-alive probe waits for its answer
	// before it counts as unanswered: above any round-trip time on which
	// TCP is usable (RFC 6298 starts its timer at 1 s, we double it).
	probeAnswer = 2 * second
	// repeats is how often the same bytes must be sent again without an
	// acknowledgement to speak of a persistent loss: random loss of 10 %
	// makes three in a row a case of one in a thousand.
	repeats = 3
	// repeatsSpan is the least time between the first sending and the end
	// of the evidence for such repeats: three retransmissions of a tail
	// loss probe and two timeouts fit into a busy second.
	repeatsSpan = 3 * second
	// synRepeats is the number of SYNs without an answer that proves that
	// none came back, the first included.
	synRepeats = 2
	// synackRepeats is the number of SYN/ACKs that a host must have left
	// without an acknowledgement to be said to discard them.
	synackRepeats = 2

	// A reset that acknowledges data and comes sooner than rttShare of the
	// least round-trip time, and rttMargin sooner than it, was sent by
	// something nearer than the far end.
	rttSharePercent = 80
	rttMargin       = 2 * millisecond
	// rttSamples is of how many samples a round-trip time must be the least
	// to prove anything: a single one may have waited for address
	// resolution or a sleeping radio.
	rttSamples = 2
	// hostTurnaround is how soon an answer follows what it answers at most
	// where both cross the capture point on the same machine: the kernel
	// takes tens of microseconds, a link with its two network cards more.
	hostTurnaround = millisecond / 10
	// localRTT is the round-trip time below which the far address is
	// answered by this host or its neighbourhood (a local proxy, a TUN
	// device): comparing times is void then.
	localRTT = 1 * millisecond
	// ttlStep is the least difference of a reset's time to live from the
	// flow's range that counts: equal-cost paths differ by one.
	ttlStep = 2
	// A sequence of IP identifications is a counter where three steps lie
	// in 1..ipidStep; a reset belongs to it within the next ipidReach.
	ipidStep  = 64
	ipidReach = 1024
	// secondSender is how long after a reset a further segment of the same
	// direction must come to have been sent after it: reordering moves
	// packets by less.
	secondSender = 2 * millisecond
	// resetBurst is the time within which several resets belong together
	// (Weaver, Sommer, Paxson, NDSS 2009).
	resetBurst = 2 * second

	// windowSlack is added to twice a window before a reset counts as beside
	// it: the largest window without scaling (RFC 7323, section 2.2).
	windowSlack = 65535

	// lateData is how many bytes after the client's close show that it
	// left in the middle of an answer. A server's own farewell (GOAWAY,
	// close_notify, session tickets) stays below.
	lateData = 2048
	// controlBytes is what a server sends in HTTP/2 without any answer at
	// most: session tickets, SETTINGS, its acknowledgement, WINDOW_UPDATE.
	controlBytes = 1200
	// holes is how many gaps a flow must have shown before an unfilled one
	// is called heavy loss rather than a path that died in mid-flight.
	holes = 3
	// holesSpan is how long in all a flow must have stood still in front of
	// holes for its loss to be called heavy while it still moves: twice what
	// is a finding by itself.
	holesSpan = 2 * quietFinding
	// freezeLeast and freezeMost bound how much of a server is let through where
	// a filter freezes connections: 16 to 20 KB, its handshake included or not.
	freezeLeast = 15_000
	freezeMost  = 24_000
	// midBody is how soon after server data its end of the connection
	// comes in the middle of an answer; later it is an idle connection
	// that the server tidied up.
	midBody = 1 * second
	// readerCloses is how long a client takes at most to close a connection
	// whose answer it has read to the end, and that is not to be used again.
	readerCloses = 20 * millisecond
	// lossyPercent and lossyLeast say from how many repeated segments on a
	// finished connection is noted as lossy.
	lossyPercent = 1
	lossyLeast   = 10

	// refusalRecord is the length of a TLS 1.3 record with an alert in it:
	// two bytes, one of content type, 16 of tag (RFC 8446, sections 5.2
	// and 6). No handshake message fits into it.
	refusalRecord = 19
	// finishedRecord and finishedRecord384 are those of a Finished message
	// alone: 4 bytes of header and the hash.
	finishedRecord    = 53
	finishedRecord384 = 69
	// preambleMessages is how many messages a client sends in TLS 1.3 before
	// its first HTTP/2 request: Finished, and the connection preface with its
	// SETTINGS (RFC 9113, section 3.4).
	preambleMessages = 2
	// emptyFrame is the length of an HTTP/2 frame without content (RFC 9113,
	// section 4.1).
	emptyFrame = 9
	// joinedFlight is the least length of a record that holds a server's
	// EncryptedExtensions with its certificate behind it: the former takes less
	// than 100 bytes, no certificate less than 300.
	joinedFlight = 400
	// recordOverhead13 is what TLS 1.3 adds to the content of a record.
	recordOverhead13 = 17
)
