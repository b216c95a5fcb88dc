package diagnose

// Every number that decides between verdicts stands here. Times are in
// nanoseconds. The reason for each is a sentence in report/messages under the
// same name, its source stands in Thresholds, and goproxytrace explain prints
// both: a second text here would not stay the same.
const (
	millisecond = int64(1e6)
	second      = int64(1e9)

	quietFinding  = 5 * second
	quietSure     = 35 * second
	tlsTimeout    = 9500 * millisecond
	requestApart  = second / 10
	giveUp        = 1 * second
	captureBreak  = 24 * 3600 * second
	poolTimeout   = 95 * second
	probeAnswer   = 2 * second
	repeats       = 3
	repeatsSpan   = 3 * second
	synRepeats    = 2
	synackRepeats = 2
	neighbourWait = 2 * second

	rttSharePercent = 80
	rttMargin       = 2 * millisecond
	rttSamples      = 2
	hostTurnaround  = millisecond / 10
	localRTT        = 1 * millisecond
	ttlStep         = 2
	ipidStep        = 64
	ipidReach       = 1024
	secondSender    = 2 * millisecond
	resetBurst      = 2 * second

	windowSlack = 65535

	lateData     = 2048
	controlBytes = 1200
	answerLeast  = 176
	holes        = 3
	holesSpan    = 2 * quietFinding
	freezeLeast  = 15_000
	freezeMost   = 24_000
	midBody      = 1 * second
	readerCloses = 20 * millisecond
	lossyPercent = 1
	lossyLeast   = 10

	slowSpan      = 10 * second
	slowBytes     = 128 << 10
	slowRate      = 125_000
	bulkRequest   = 64 << 10
	queueGrowth   = 500 * millisecond
	queueMean     = 3
	queueSamples  = 4
	residualLeast = 60 * second
	residualMost  = 180 * second

	refusalRecord     = 19
	finishedRecord    = 53
	finishedRecord384 = 69
	preambleMessages  = 2
	requestLeast      = 13
	emptyFrame        = 9
	prefaceBytes      = 24
	joinedFlight      = 400
	recordOverhead13  = 17
)
