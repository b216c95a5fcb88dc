package spans

import (
	"cmp"
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"goproxytrace/report"
)

// judged says what a span's verdict is: attributes to search by, an event with
// the evidence, and for a death the status. The event's time is the span's end.
func (b *Plan) judged(s ptrace.Span, v *report.Verdict, end time.Time) {
	if v.Class == "" {
		return
	}
	b.named(attrs{s.Attributes()}, v)
	e := s.Events().AppendEmpty()
	e.SetName(eventVerdict)
	e.SetTimestamp(stamp(end))
	a := attrs{e.Attributes()}
	b.named(a, v)
	a.list(keyNotes, v.Notes)
	var evidence, names []string
	var frames []int64
	for i := range v.Evidence {
		names = append(names, v.Evidence[i].ID)
		evidence = append(evidence, v.Evidence[i].Text)
		frames = append(frames, v.Evidence[i].Frames...)
	}
	slices.Sort(frames)
	frames = slices.Compact(frames)
	a.list(keyEvidenceID, names)
	a.ints(keyFrames, frames)
	if len(frames) <= maxInts {
		a.str(keyFilter, report.FrameFilter(frames))
	}
	a.list(keyNotAssessed, v.NotAssessed)
	a.list(keyEvidence, evidence)
	a.str(keySummary, v.Summary)
	if v.Died {
		attrs{s.Attributes()}.str(key(semconv.ErrorTypeKey), v.Class)
		s.Status().SetCode(ptrace.StatusCodeError)
		s.Status().SetMessage(text(cmp.Or(v.Summary, v.Class)))
	}
}

// named sets what a verdict is called by.
func (b *Plan) named(a attrs, v *report.Verdict) {
	a.str(keyClass, v.Class)
	a.str(keyVStage, v.Stage)
	a.list(keyPlace, v.Place)
	a.str(keyLevel, v.Level)
}
