package rows

import (
	"goproxytrace/report"
)

// Sink takes rows. A row is valid during the call, but for what it points to.
type Sink interface {
	Connection(*Connection) error
	Lookup(*Lookup) error
	Verdict(*Verdict) error
	Evidence(*Evidence) error
	Event(*Event) error
}

// Write makes the rows of a document and hands them to a sink: first the
// capture's verdict, then processes, connections in the order of their numbers,
// attempts, lookups and events. Memory does not grow with the number of
// connections. Source.CaseID, where empty, and what the document knows of its
// capture are filled in.
func Write(d *report.Document, source Source, sink Sink) error {
	source.describe(d)
	w := &writer{doc: d, source: source, sink: sink, resolvers: newResolvers(d.Lookups)}
	if err := w.verdict(&d.Verdict, Verdict{Subject: Subject{Subject: SubjectCapture}, Time: source.CaptureStart, GoVersion: d.GoVersion}); err != nil {
		return err
	}
	for i := range d.Processes {
		if err := w.process(&d.Processes[i]); err != nil {
			return err
		}
	}
	for row, err := range d.Rows() {
		if err != nil {
			return err
		}
		c, err := row.Connection()
		if err != nil {
			return err
		}
		if err := w.connection(c); err != nil {
			return err
		}
	}
	for i := range d.Attempts {
		if err := w.attempt(i, &d.Attempts[i]); err != nil {
			return err
		}
	}
	for i := range d.Lookups {
		if err := w.lookup(i, &d.Lookups[i]); err != nil {
			return err
		}
	}
	for i := range d.Events {
		if err := w.event(i, &d.Events[i]); err != nil {
			return err
		}
	}
	return nil
}

type writer struct {
	doc       *report.Document
	source    Source
	sink      Sink
	resolvers resolvers
}

func (w *writer) process(p *report.Process) error {
	r := Verdict{Subject: subject(SubjectProcess, int64(p.PID)), PID: number(p.PID), ProcessName: p.Name, GoPID: goPID(&p.Process), GoVersion: w.doc.GoVersion}
	if p.Exit != nil {
		exit := int64(*p.Exit)
		r.Exit = &exit
	}
	return w.verdict(&p.Verdict, r)
}

func (w *writer) attempt(i int, a *report.Attempt) error {
	r := Verdict{
		Subject: subject(SubjectAttempt, int64(i)), Time: moment(a.Time), Host: a.Host, Remote: a.Target, ProcessName: a.Name,
		GoVersion: w.doc.GoVersion, Error: a.Error,
	}
	if a.PID != nil {
		r.PID = number(*a.PID)
	}
	return w.verdict(&a.Verdict, r)
}

// verdict completes the row of a verdict, and makes those of its evidence.
func (w *writer) verdict(v *report.Verdict, r Verdict) error {
	r.Source, r.Judgement = w.source, judgement(v)
	r.Evidence = int32(len(v.Evidence))
	r.RefutedBy, r.NextSteps, r.NotAssessed = v.RefutedBy, v.NextSteps, v.NotAssessed
	if err := w.sink.Verdict(&r); err != nil {
		return err
	}
	for i := range v.Evidence {
		e := &v.Evidence[i]
		row := Evidence{
			Source: w.source, Subject: r.Subject, Class: v.Class, Position: int32(i), EvidenceID: e.ID, Text: e.Text,
			Frames: e.Frames, Filter: e.Filter,
		}
		if err := w.sink.Evidence(&row); err != nil {
			return err
		}
	}
	return nil
}

func subject(kind string, id int64) Subject { return Subject{Subject: kind, SubjectID: &id} }
