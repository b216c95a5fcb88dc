package analyze

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/capture"
	"goproxytrace/capture/hostlog"
	"goproxytrace/capture/pcapfile"
)

// Bounds on events, which come from records that may be hostile.
const (
	maxEvents    = 10_000
	maxEventText = 1 << 10
	// maxRemarks bounds those of a capture that are told with what its file says.
	maxRemarks = 64
)

// journalTime is the field that every journal entry has.
const journalTime = "__REALTIME_TIMESTAMP"

// entry is a journal entry of the capture file, and where it stands among the
// segments of its batch.
type entry struct {
	at     int // index of the segment that it comes before
	frame  int64
	time   int64
	record hostlog.Record // nil for another program's entry
	event  *Event         // of another program's entry
}

// journal reads an entry; ok is false for records of another kind, and for
// entries that make no sense.
func journal(p *capture.Packet) (e entry, ok bool) {
	if len(p.Data) == 0 || !p.HasTime {
		return e, false
	}
	fields := pcapfile.JournalFields(p.Data)
	if _, is := fields[journalTime]; !is {
		return e, false
	}
	e = entry{frame: p.Number, time: p.Time}
	if _, own := fields[hostlog.KindField]; own {
		r, err := hostlog.Parse(fields)
		e.record = r
		return e, err == nil && r != nil
	}
	e.event = foreign(fields, p)
	return e, e.event != nil
}

// foreign makes an event of another program's journal entry
// (systemd.journal-fields).
func foreign(fields map[string]string, p *capture.Packet) *Event {
	text := fields["MESSAGE"]
	if text == "" {
		return nil
	}
	pid, _ := strconv.ParseUint(cmp.Or(fields["_PID"], fields["SYSLOG_PID"]), 10, 32)
	source := cmp.Or(fields["SYSLOG_IDENTIFIER"], fields["_COMM"], fields["_SYSTEMD_UNIT"], "journal")
	return &Event{
		Time: capture.Timestamp(p.Time), Source: clipped(source, maxProcessName), Text: clipped(hostlog.RedactText(text), maxEventText),
		PID: uint32(pid), Frame: p.Number, Foreign: true,
	}
}

// entry takes a journal entry.
func (p *pipeline) entry(e *entry) {
	if e.record != nil {
		p.record(e.record, e.frame)
		return
	}
	p.event(*e.event)
}

// record takes what the host itself said; frame is where that stands.
func (p *pipeline) record(r hostlog.Record, frame int64) {
	p.hosted = true
	switch r := r.(type) {
	case *hostlog.Claim:
		p.owners.add(r)
		p.claimed = true
	case *hostlog.Subject:
		if len(p.subjects) < maxSubjects {
			p.subjects = append(p.subjects, r)
		}
	case *hostlog.Process:
		p.processes.add(r)
	case *hostlog.Exit:
		p.processes.ended(r)
	case *hostlog.Attempt:
		p.attempts.add(r, frame)
	case *hostlog.Socket:
		p.sockets.add(r, frame)
	case *hostlog.Line:
		p.goView.line(r)
	case *hostlog.Setting:
		p.setting(r)
	case *hostlog.Block:
		p.blocks.add(r, frame)
	case *hostlog.Unread:
		p.health.unreadable(r, frame)
	case *hostlog.Event:
		if r.Origin == hostlog.FromCapture && len(p.remarks) < maxRemarks {
			p.remarks = append(p.remarks, clipped(r.Text, maxEventText))
		}
		p.event(Event{
			Time: capture.Timestamp(r.Time), Source: clipped(r.Origin, maxProcessName), Text: clipped(r.Text, maxEventText),
			PID: r.PID, Frame: frame,
		})
	}
}

func (p *pipeline) event(e Event) {
	if len(p.result.Events) >= maxEvents {
		p.result.EventsOmitted++
		return
	}
	p.result.Events = append(p.result.Events, e)
}

// setting takes one of the go command's settings. What was recorded on its host
// goes before what this program finds in its own surroundings.
func (p *pipeline) setting(r *hostlog.Setting) {
	if r.Name == "GOVERSION" {
		p.result.GoVersion = clipped(r.Value, maxProcessName)
		return
	}
	if !p.goView.setting(r) {
		return
	}
	hosts := p.goView.config.Settings.Hosts()
	p.opts.Targets, p.result.Targets = hosts, hosts
}

// exits lists the processes that a command line began with and that ended: go
// commands, and those whose parent no record describes.
func (p *pipeline) exits() (out []*program) {
	for _, pid := range slices.Sorted(maps.Keys(p.processes.byPID)) {
		var last *life
		for _, q := range p.processes.byPID[pid] {
			if q.exit == nil || q.life == last || q.name == "" {
				continue
			}
			if p.processes.command(q) == q || p.processes.parentOf(q) == nil {
				last = q.life
				out = append(out, p.processes.latest(q.life))
			}
		}
	}
	return out[:min(len(out), maxEnded)]
}

// maxEnded bounds how many processes are listed for their end alone.
const maxEnded = 64

// listProcesses lists the processes with what became of all that each did:
// those that owned what counts, and those that only ended.
func (p *pipeline) listProcesses(info *capture.Info) {
	r, t := p.result, &p.processes
	listed := make(map[*life]bool)
	for _, v := range p.agg.Processes(&p.env, p.diagnoseHealth(info)) {
		out := ProcessVerdict{Process: Process{PID: v.PID, Source: string(hostlog.Annotation), Confidence: confidence(hostlog.Annotation)}, Verdict: v.Verdict}
		if q := t.last(v.PID); q != nil {
			listed[q.life] = true
			p.complete(&out, q)
		}
		if from, ok := p.sources[v.PID]; ok {
			out.Source, out.Confidence = string(from.source), from.confidence
		}
		r.Processes = append(r.Processes, out)
	}
	for _, q := range p.exits() {
		if listed[q.life] || p.outside(q) {
			continue
		}
		out := ProcessVerdict{
			Process: Process{Source: string(hostlog.KernelEvent), Confidence: confidence(hostlog.KernelEvent)}, Verdict: diagnose.Idle(),
		}
		p.complete(&out, q)
		r.Processes = append(r.Processes, out)
	}
	slices.SortStableFunc(r.Processes, func(a, b ProcessVerdict) int { return cmp.Compare(a.PID, b.PID) })
}

// complete adds what is known of a process.
func (p *pipeline) complete(out *ProcessVerdict, q *program) {
	out.PID, out.Name, out.Command, out.Parent = q.pid, q.name, q.command, q.parent
	if parent := p.processes.parentOf(q); parent != nil {
		out.ParentName = parent.name
	}
	if x := q.exit; x != nil && (x.Code >= 0 || x.Signal > 0) {
		code := x.Code
		if x.Signal > 0 {
			code = 128 + x.Signal
		}
		out.Exit = &code
	}
}
