package diagnose

// Threshold is one number that decides between verdicts, as documentation
// shows it. Its value is the constant itself; the reason for it is a sentence
// in report/messages under the same name.
type Threshold struct {
	// Value carries the constant's name, number and unit.
	Value Value
	// Percent is true where the number is a share in percent.
	Percent bool
	// Source is the standard, paper or source file that the number comes
	// from; empty where it was chosen for this program.
	Source string
}

// Thresholds lists every constant of thresholds.go in its order.
var Thresholds = []Threshold{
	{Value: Dur("quietFinding", quietFinding), Source: "RFC 6298, section 5.5"},
	{Value: Dur("quietSure", quietSure)},
	{Value: Dur("tlsTimeout", tlsTimeout), Source: "Go's net/http, DefaultTransport.TLSHandshakeTimeout"},
	{Value: Dur("requestApart", requestApart)},
	{Value: Dur("giveUp", giveUp)},
	{Value: Dur("captureBreak", captureBreak)},
	{Value: Dur("poolTimeout", poolTimeout), Source: "Go's net/http, DefaultTransport.IdleConnTimeout"},
	{Value: Dur("probeAnswer", probeAnswer), Source: "RFC 6298, section 2.1"},
	{Value: Num("repeats", repeats)},
	{Value: Dur("repeatsSpan", repeatsSpan)},
	{Value: Num("synRepeats", synRepeats)},
	{Value: Num("synackRepeats", synackRepeats)},
	{Value: Dur("neighbourWait", neighbourWait), Source: "RFC 4861, section 10, RETRANS_TIMER"},
	{Value: Num("rttSharePercent", rttSharePercent), Percent: true},
	{Value: Dur("rttMargin", rttMargin)},
	{Value: Num("rttSamples", rttSamples)},
	{Value: Dur("hostTurnaround", hostTurnaround)},
	{Value: Dur("localRTT", localRTT)},
	{Value: Num("ttlStep", ttlStep)},
	{Value: Num("ipidStep", ipidStep)},
	{Value: Num("ipidReach", ipidReach)},
	{Value: Dur("secondSender", secondSender)},
	{Value: Dur("resetBurst", resetBurst), Source: "Weaver, Sommer, Paxson, NDSS 2009"},
	{Value: Bytes("windowSlack", windowSlack), Source: "RFC 7323, section 2.2"},
	{Value: Bytes("lateData", lateData)},
	{Value: Bytes("controlBytes", controlBytes), Source: "RFC 9113, section 6"},
	{Value: Bytes("answerLeast", answerLeast), Source: "RFC 9113, section 6"},
	{Value: Num("holes", holes)},
	{Value: Dur("holesSpan", holesSpan)},
	{Value: Bytes("freezeLeast", freezeLeast)},
	{Value: Bytes("freezeMost", freezeMost)},
	{Value: Dur("midBody", midBody)},
	{Value: Dur("readerCloses", readerCloses)},
	{Value: Num("lossyPercent", lossyPercent), Percent: true},
	{Value: Num("lossyLeast", lossyLeast)},
	{Value: Dur("slowSpan", slowSpan)},
	{Value: Bytes("slowBytes", slowBytes)},
	{Value: Bytes("slowRate", slowRate)},
	{Value: Bytes("bulkRequest", bulkRequest)},
	{Value: Dur("queueGrowth", queueGrowth), Source: "RFC 9293, section 3.8.6.3"},
	{Value: Num("queueMean", queueMean)},
	{Value: Num("queueSamples", queueSamples)},
	{Value: Dur("residualLeast", residualLeast), Source: "gfw.report, IEEE S&P 2025"},
	{Value: Dur("residualMost", residualMost), Source: "gfw.report, IEEE S&P 2025"},
	{Value: Bytes("refusalRecord", refusalRecord), Source: "RFC 8446, sections 5.2 and 6"},
	{Value: Bytes("finishedRecord", finishedRecord), Source: "RFC 8446, sections 4.4.4 and 5.2"},
	{Value: Bytes("finishedRecord384", finishedRecord384), Source: "RFC 8446, sections 4.4.4 and 5.2"},
	{Value: Num("preambleMessages", preambleMessages), Source: "RFC 9113, section 3.4"},
	{Value: Bytes("requestLeast", requestLeast), Source: "RFC 9113, section 8.3.1"},
	{Value: Bytes("emptyFrame", emptyFrame), Source: "RFC 9113, section 4.1"},
	{Value: Bytes("prefaceBytes", prefaceBytes), Source: "RFC 9113, section 3.4"},
	{Value: Bytes("joinedFlight", joinedFlight)},
	{Value: Bytes("recordOverhead13", recordOverhead13), Source: "RFC 8446, section 5.2"},
}
