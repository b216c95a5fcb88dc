package diagnose

import (
	"math"

	"goproxytrace/analyze/tcpflow"
)

// slow notes what made a connection slow that did not die of it: attempts and
// answers that were waited for, data that came at a low rate (T7), and round
// trips that grew with it (T8). Nothing of it is more than a measurement: how
// fast the path and the far end can be is not in a capture.
func (w *view) slow(v *Verdict) {
	if !w.established() || !w.begun() {
		return
	}
	if d := w.c.HandshakeACK.Time - w.c.Start.Time; w.c.HandshakeACK.Seen() && w.client.SYNs >= synRepeats && d >= quietFinding {
		v.note("slow")
		v.evidence("slow.connect", frames(w.client.SYN, w.c.HandshakeACK), Dur("delay", d), Num("count", int64(w.client.SYNs)))
	}
	if asked, answered := w.longestWait(); answered.Time-asked.Time >= quietFinding {
		v.note("slow")
		v.evidence("slow.answer", frames(asked, answered), Dur("delay", answered.Time-asked.Time))
	}
	if w.server.HoleWait >= quietFinding {
		v.note("slow")
		v.evidence("slow.holes", nil, Dur("delay", w.server.HoleWait), Num("count", int64(w.server.HoleWaits)))
	}
	w.pace(v)
}

// longestWait returns the request and the first record of its answer between
// which the longest time passed, among the first of the connection. Records that
// fit control frames are neither.
func (w *view) longestWait() (asked, answered tcpflow.Point) {
	if w.cs == nil || w.ss == nil || !w.shaken() {
		return asked, answered
	}
	client, server := w.cs.First, w.ss.First
	if w.tls13() && len(client) > 0 {
		client = client[1:] // the Finished message
	}
	for i, q := range client {
		if !w.isRequest(q) {
			continue
		}
		until := int64(math.MaxInt64)
		for _, next := range client[i+1:] {
			if w.isRequest(next) {
				until = next.Time
				break
			}
		}
		for _, r := range server {
			if r.Time < q.Time || !w.isRequest(r) {
				continue
			}
			if r.Time <= until && r.Time-q.Time > answered.Time-asked.Time {
				asked, answered = tcpflow.Point(q.Place), tcpflow.Point(r.Place)
			}
			break
		}
	}
	return asked, answered
}

// pace notes the rate of a large answer that took long, the loss that came with
// it, and how much round trips grew meanwhile.
func (w *view) pace(v *Verdict) {
	s := w.server
	if s.Flowing < slowSpan || s.NewBytes < slowBytes || w.cs == nil || s.NewBytes < uint64(max(w.cs.Messages, w.cs.AppRecords/2))*bulkRequest {
		return
	}
	again := uint64(s.Retransmissions + s.FastRetransmissions + s.OutOfOrder)
	lossy := again >= lossyLeast && again*100 >= s.DataPackets*lossyPercent
	if rate := int64(s.NewBytes) * second / s.Flowing; rate < slowRate {
		v.note("slow")
		v.evidence("slow.rate", frames(s.FirstData, s.LastNewData), Bytes("rate", rate), Bytes("bytes", int64(s.NewBytes)), Dur("span", s.Flowing))
		if lossy {
			v.evidence("slow.loss", nil, Num("count", int64(again)), Num("packets", int64(s.DataPackets)))
		}
	}
	if r := w.client.RTT; !lossy && r.Samples >= queueSamples && r.Max-r.Min >= queueGrowth && r.Sum/int64(r.Samples) >= queueMean*r.Min {
		v.note("slow")
		v.evidence("slow.queue", frames(s.FirstData, s.LastNewData), Dur("least", r.Min), Dur("mean", r.Sum/int64(r.Samples)), Dur("most", r.Max), Num("count", int64(r.Samples)))
	}
}

// slowLookup notes the first name of which one address family was never answered,
// so that the connection waited for it (D6).
func (a *Aggregator) slowLookup(v *Verdict, least relevance) {
	var late *contact
	for _, k := range a.contacts {
		n := a.names[k.host]
		if k.relevance < least || k.host == "" || k.delivered == 0 || n == nil || n.death == nil || n.death.Class != DNSNoAnswer || n.answered == 0 ||
			k.first-n.firstFailed < quietFinding {
			continue
		}
		if late == nil || k.before(late) {
			late = k
		}
	}
	if late == nil {
		return
	}
	n := a.names[late.host]
	v.note("slow")
	v.evidence("slow.lookup", []int64{n.frame}, Text("host", late.host), Dur("delay", late.first-n.firstFailed))
}
