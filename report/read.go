package report

import (
	"encoding/json"
	"errors"
	"fmt"

	"goproxytrace/analyze"
	"goproxytrace/analyze/diagnose"
)

// readVerdict is a Verdict in JSON.
type readVerdict struct {
	Class       string     `json:"class"`
	Stage       string     `json:"stage"`
	Place       []string   `json:"place"`
	Level       string     `json:"level"`
	Summary     string     `json:"summary"`
	Notes       []string   `json:"notes"`
	Evidence    []Evidence `json:"evidence"`
	RefutedBy   []string   `json:"refuted_by"`
	NextSteps   []string   `json:"next_steps"`
	NotAssessed []string   `json:"not_assessed"`
}

func (v *readVerdict) verdict() Verdict {
	judged := diagnose.Verdict{Class: diagnose.Class(v.Class)}
	for i := range v.Evidence {
		// The filter is printed as it is, for copying, and whoever wrote the
		// file may have written anything: the frames make it again.
		e := &v.Evidence[i]
		e.Filter = FrameFilter(e.Frames)
	}
	return Verdict{
		Class: v.Class, Stage: v.Stage, Place: v.Place, Level: v.Level, Summary: v.Summary, Notes: v.Notes, Evidence: v.Evidence,
		RefutedBy: v.RefutedBy, NextSteps: v.NextSteps, NotAssessed: v.NotAssessed, Died: judged.Died(),
	}
}

// readDocument is a Document in JSON, as WriteJSON writes it. Members of the
// same name hide those of embedded structures.
type readDocument struct {
	Schema string `json:"schema"`
	Tool   struct {
		Version string `json:"version"`
	} `json:"tool"`
	Redacted  bool        `json:"redacted"`
	Capture   Capture     `json:"capture"`
	Platform  string      `json:"platform"`
	GoVersion string      `json:"go_version"`
	Targets   []string    `json:"targets"`
	Verdict   readVerdict `json:"verdict"`
	Subject   *int64      `json:"subject"`
	Processes []struct {
		analyze.Process
		Parent     uint32      `json:"parent"`
		ParentName string      `json:"parent_name"`
		Exit       *int        `json:"exit"`
		Verdict    readVerdict `json:"verdict"`
	} `json:"processes"`
	Connections []struct {
		analyze.Connection
		Verdict readVerdict `json:"verdict"`
	} `json:"connections"`
	ConnectionsOmitted struct {
		Connections int `json:"connections"`
		Deaths      int `json:"deaths"`
	} `json:"connections_omitted"`
	Unanswered []analyze.Unanswered `json:"unanswered"`
	Attempts   []struct {
		Attempt
		Verdict readVerdict `json:"verdict"`
	} `json:"attempts"`
	AttemptsOmitted int64         `json:"attempts_omitted"`
	Events          []Event       `json:"events"`
	EventsOmitted   int64         `json:"events_omitted"`
	GoOutput        []GoStatement `json:"go_output"`
	Lookups         []struct {
		analyze.Lookup
		Verdict readVerdict `json:"verdict"`
	} `json:"lookups"`
	LookupsOmitted int64 `json:"lookups_omitted"`
}

// ReadJSON reads a document that WriteJSON wrote. It needs no Result. Its
// sentences are those that were written: they are English.
func ReadJSON(raw []byte) (*Document, error) {
	var in readDocument
	if err := json.Unmarshal(raw, &in); err != nil {
		var place *json.SyntaxError
		if errors.As(err, &place) {
			return nil, fmt.Errorf("report: at offset %d: %w", place.Offset, err)
		}
		return nil, fmt.Errorf("report: %w", err)
	}
	if in.Schema != Schema {
		return nil, fmt.Errorf("report: schema %q, want %q", in.Schema, Schema)
	}
	d := &Document{
		Schema: in.Schema, Version: in.Tool.Version, Interrupted: in.Capture.Interrupted, Pseudonyms: in.Redacted, Capture: in.Capture, Verdict: in.Verdict.verdict(), Subject: -1,
		Platform: in.Platform, GoVersion: in.GoVersion, Targets: in.Targets, Unanswered: in.Unanswered, LookupsOmitted: max(in.LookupsOmitted, 0),
		AttemptsOmitted: max(in.AttemptsOmitted, 0), Events: in.Events, EventsOmitted: max(in.EventsOmitted, 0), GoOutput: in.GoOutput,
		ConnectionsOmitted: max(in.ConnectionsOmitted.Connections, 0), DeathsOmitted: max(in.ConnectionsOmitted.Deaths, 0),
	}
	if in.Subject != nil {
		d.Subject = *in.Subject
	}
	for i := range in.Processes {
		p := &in.Processes[i]
		d.Processes = append(d.Processes, Process{p.Process, p.Parent, p.ParentName, p.Exit, p.Verdict.verdict()})
	}
	for i := range in.Connections {
		c := &in.Connections[i]
		d.rows = append(d.rows, &Connection{&c.Connection, c.Verdict.verdict()})
	}
	for i := range in.Attempts {
		a := in.Attempts[i].Attempt
		a.Verdict = in.Attempts[i].Verdict.verdict()
		d.Attempts = append(d.Attempts, a)
	}
	for i := range in.Lookups {
		d.Lookups = append(d.Lookups, Lookup{in.Lookups[i].Lookup, in.Lookups[i].Verdict.verdict()})
	}
	d.Connections = len(d.rows) + d.ConnectionsOmitted
	return d, nil
}
