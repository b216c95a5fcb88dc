package analyze

import (
	"slices"

	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/capture"
)

// diagnoseHealth is the health of the capture as the verdict needs it.
func (p *pipeline) diagnoseHealth(info *capture.Info) diagnose.Health {
	h := &p.health
	return diagnose.Health{
		Segments: h.segments, Connections: p.table.Connections(), OneDirection: h.oneDirection.count, LateStart: h.lateStart.count,
		Undrained: undrained(info), Unfiltered: unfiltered(info), ClockSteps: h.clockBackward.count + h.clockForward.count, Sliced: h.sliced.count,
		Silent: h.neighbours.silent(), Hidden: p.hidden,
	}
}

// finish ends the analysis and judges the capture.
func (p *pipeline) finish(info *capture.Info, d *decode.Decoder) *Result {
	r := p.result
	p.endTimes(info)
	p.result.Capture.OpenAtOnce = p.table.Peak
	p.nameResolution(info.Names)
	p.lookups.Flush() // before the connections, which take their names from it
	p.tell(p.env.End + logClock)
	p.table.Finish()
	p.judgeSockets(info)
	p.blockedAttempts()
	p.judgeAttempts(info)
	p.listBlocks()
	r.Capture.Health = p.health.facts(info)
	r.Verdict, r.Subject, r.SubjectLookup = p.agg.Verdict(&p.env, p.diagnoseHealth(info))
	p.listProcesses(info)
	p.goVerdict()
	r.Platform = p.platform(info)
	for _, u := range p.summed {
		r.Unanswered = append(r.Unanswered, *u)
	}
	slices.SortFunc(r.Unanswered, func(a, b Unanswered) int {
		if a.Connections != b.Connections {
			return int(b.Connections - a.Connections)
		}
		return int(a.FirstFrame - b.FirstFrame)
	})
	for _, u := range d.Unread() {
		r.Capture.Unread = append(r.Capture.Unread, Unread{Name: u.Name, Count: u.Count, First: u.First})
	}
	return r
}

// endTimes fills what the container knows into the result and the
// environment: the capture ends at the latest interface-statistics time, else
// at its last packet.
func (p *pipeline) endTimes(info *capture.Info) {
	c := &p.result.Capture
	c.Format, c.Packets, c.Records, c.Bytes = info.Format, info.Packets+info.Events, info.Events, info.Bytes
	c.Interfaces, c.Blocks, c.HasSecrets, c.Notes = info.Interfaces, info.Blocks, info.HasSecrets, slices.Concat(info.Notes, p.remarks)
	c.Segments = p.health.segments
	c.Start, c.End = p.env.Start, p.env.End
	for i := range info.Interfaces {
		if end := info.Interfaces[i].End; end >= c.End && end != 0 {
			c.End, c.EndKnown = end, true
		}
	}
	received, dropped, knownReceived, known := drops(info)
	if knownReceived {
		c.Received = &received
	}
	if known {
		c.Dropped = &dropped
	}
	p.env.End, p.env.EndKnown, p.env.Final = c.End, c.EndKnown, true
	p.env.Breaks = p.health.close()
	p.env.Drops, p.env.DropsKnown = dropped, known
	p.env.Undrained = undrained(info)
}
