// Package report turns the result of an analysis into something to read.
//
// In comes an analyze.Result, out comes a Document and, from that alone, its
// renderings: JSON, the terminal report and the connection table as CSV.
// Build is the only place that decides what of a result is shown, and in which
// language.
package report

import (
	"iter"
	"time"

	"goproxytrace/analyze"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/analyze/segtrace"
	"goproxytrace/redact"
	"goproxytrace/report/messages"
)

// Schema names the shape of the JSON document.
const Schema = "goproxytrace.report/v1"

// Options say how a Document is built.
type Options struct {
	// File is the capture's name as the user gave it.
	File string
	// Version is the version of this program.
	Version string
	// Interrupted is true where reading was stopped before the end.
	Interrupted bool
	// Platform is the one to name next steps for; empty for what the capture
	// tells of it.
	Platform diagnose.Platform
	// Redact replaces what is private, nil for nothing. Documents and copies of
	// one capture that are made with the same Redactor have the same pseudonyms.
	Redact *redact.Redactor
	// Language is the one that the document's sentences are in. What
	// programs read (JSON, CSV) is written of English documents only.
	Language messages.Language
}

// Document is what a reader gets to see of one capture.
type Document struct {
	Schema      string
	Language    messages.Language
	Version     string
	Interrupted bool
	// Pseudonyms is true where names and addresses are such (Options.Redact).
	Pseudonyms bool
	Capture    Capture
	Verdict    Verdict
	// Subject is the ID of the connection that the verdict is about, -1
	// for none.
	Subject int64
	// Platform is the one that the next steps are for, empty for all.
	Platform string
	// GoVersion is the go command's own, empty where it is not known.
	GoVersion      string
	Targets        []string
	Processes      []Process
	Unanswered     []analyze.Unanswered
	Lookups        []Lookup
	LookupsOmitted int64
	// Attempts are those to connect of which the capture holds no packet;
	// AttemptsOmitted and EventsOmitted count what is not listed.
	Attempts        []Attempt
	AttemptsOmitted int64
	Events          []Event
	EventsOmitted   int64
	// GoOutput are the failures in the go command's own words.
	GoOutput []GoStatement
	// Connections is how many there are; Rows yields them, but for
	// ConnectionsOmitted, of which DeathsOmitted died.
	Connections        int
	ConnectionsOmitted int
	DeathsOmitted      int

	store  *analyze.Store
	redact *redact.Redactor // nil for none
	trace  *segtrace.Spool  // nil where none was kept
	rows   []*Connection    // those of a Document without a store
	// err is why there is nothing to show.
	err error
}

// Verdict is a judgement in words.
type Verdict struct {
	Class       string
	Stage       string
	Place       []string
	Level       string
	Summary     string
	Notes       []string
	Evidence    []Evidence
	RefutedBy   []string
	NextSteps   []string
	NotAssessed []string
	// Died is true for a death: false for ok, no-traffic and
	// capture.unusable.
	Died bool
}

// Evidence is one observation. Filter is a Wireshark display filter that
// shows Frames, empty where there are none.
type Evidence struct {
	ID     string  `json:"id"`
	Text   string  `json:"text"`
	Frames []int64 `json:"frames"`
	Filter string  `json:"filter"`
}

// Capture describes the file. Pointers are nil where the file does not say.
type Capture struct {
	File        string      `json:"file"`
	Format      string      `json:"format,omitempty"`
	Packets     int64       `json:"packets"`
	Records     int64       `json:"records,omitempty"`
	Bytes       int64       `json:"bytes"`
	Segments    int64       `json:"tcp_segments"`
	Start       *time.Time  `json:"start"`
	End         *time.Time  `json:"end"`
	Received    *uint64     `json:"received"`
	Dropped     *uint64     `json:"dropped"`
	TruncatedAt *int64      `json:"truncated_at"`
	Damage      *Damage     `json:"damage,omitempty"`
	Interrupted bool        `json:"interrupted,omitempty"`
	Interfaces  []Interface `json:"interfaces"`
	Health      []Health    `json:"health"`
	Unread      []Unread    `json:"unread,omitempty"`
	HasSecrets  bool        `json:"has_secrets,omitempty"`
	Notes       []string    `json:"notes,omitempty"`
}

// Damage says where a capture stops making sense.
type Damage struct {
	// Packet is the number that the packet at or after the damage would
	// have had; Offset is the byte offset in the uncompressed file.
	Packet int64  `json:"packet"`
	Offset int64  `json:"offset"`
	Reason string `json:"reason"`
}

// Interface is one capture interface.
type Interface struct {
	Name        string  `json:"name"`
	Description string  `json:"description,omitempty"`
	LinkType    string  `json:"link_type"`
	Filter      string  `json:"filter,omitempty"`
	Packets     int64   `json:"packets"`
	Received    *uint64 `json:"received,omitempty"`
	Dropped     *uint64 `json:"dropped"`
}

// Health is one fact about the capture's fitness as evidence.
type Health struct {
	ID     string  `json:"id"`
	Text   string  `json:"text"`
	Frames []int64 `json:"frames"`
}

// Unread counts frames of one kind that were not read.
type Unread struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
	First int64  `json:"first_frame"`
}

// Process is a process with the verdict on all it did.
type Process struct {
	analyze.Process
	Parent uint32
	// ParentName is empty where it is not known.
	ParentName string
	// Exit is the exit code, 128 and the signal's number where one ended the
	// process, nil where it is not known.
	Exit    *int
	Verdict Verdict
}

// Attempt is an attempt to connect of which the capture holds no packet.
type Attempt struct {
	PID    *uint32 `json:"pid"`
	Name   string  `json:"name,omitempty"`
	Target string  `json:"target"`
	Host   string  `json:"host,omitempty"`
	// Time is when it began; Ended is nil where it was under way.
	Time    time.Time  `json:"time"`
	Ended   *time.Time `json:"ended"`
	Error   string     `json:"error"`
	Source  string     `json:"source,omitempty"`
	Frame   int64      `json:"frame,omitempty"`
	Verdict Verdict    `json:"-"`
}

// Lookup is one DNS question with its verdict.
type Lookup struct {
	analyze.Lookup
	Verdict Verdict
}

// Event is something that happened on the host.
type Event struct {
	Time   *time.Time `json:"time"`
	Source string     `json:"source"`
	Text   string     `json:"text"`
	PID    *uint32    `json:"pid"`
	Frame  int64      `json:"frame,omitempty"`
}

// GoStatement is a failure in the go command's own words, and what the packets
// say to it.
type GoStatement struct {
	// Line is its first line in the output, from 1; Count how many lines
	// say it.
	Line  int    `json:"line"`
	Count int    `json:"count"`
	Kind  string `json:"kind"`
	Text  string `json:"text"`
	Host  string `json:"host,omitempty"`
	// Client and Server are the addresses that the text names.
	Client string `json:"client,omitempty"`
	Server string `json:"server,omitempty"`
	// Reported is true where the command ended with it, false where only
	// its trace (-x) tells of it.
	Reported bool `json:"reported"`
	// Time is when the first line was printed, nil where not known.
	Time *time.Time `json:"time,omitempty"`
	// Packets is agree, contradict, unclear or absent; Compared the number of
	// connections or lookups looked at.
	Packets  string  `json:"packets"`
	Compared int     `json:"compared"`
	Frames   []int64 `json:"frames"`
}

// Build makes a Document of a result, which must stay open while the
// document is rendered.
func Build(r *analyze.Result, o Options) *Document {
	if o.Platform == diagnose.AnyPlatform {
		o.Platform = r.Platform
	}
	store := r.Connections
	if o.Redact != nil {
		if err := r.Teach(o.Redact); err != nil {
			// What is not known to be private would show.
			return &Document{Schema: Schema, Language: o.Language, Version: o.Version, Subject: -1, Connections: 1, err: err}
		}
		r = redacted(r, o.Redact)
		o.File = o.Redact.Path(o.File)
	}
	words := wording{o.Language, o.Platform}
	d := &Document{
		Language:       o.Language,
		Platform:       string(o.Platform),
		Schema:         Schema,
		Version:        o.Version,
		Interrupted:    o.Interrupted,
		Capture:        buildCapture(r, o),
		Verdict:        words.verdict(&r.Verdict),
		Subject:        r.Subject,
		GoVersion:      r.GoVersion,
		Targets:        r.Targets,
		Unanswered:     r.Unanswered,
		LookupsOmitted: r.LookupsOmitted,
		store:          store,
		redact:         o.Redact,
		Pseudonyms:     o.Redact != nil,
		trace:          r.Trace,
	}
	for _, id := range r.NotAssessed {
		d.Verdict.NotAssessed = appendNew(d.Verdict.NotAssessed, o.Language.Text(id))
	}
	if r.Connections != nil {
		d.Connections = r.Connections.Len()
	}
	for i := range r.Processes {
		p := &r.Processes[i]
		d.Processes = append(d.Processes, Process{p.Process, p.Parent, p.ParentName, p.Exit, words.verdict(&p.Verdict)})
	}
	for i := range r.Lookups {
		l := &r.Lookups[i]
		d.Lookups = append(d.Lookups, Lookup{*l, words.verdict(&l.Verdict)})
	}
	d.AttemptsOmitted, d.EventsOmitted = r.AttemptsOmitted, r.EventsOmitted
	for i := range r.Attempts {
		a := &r.Attempts[i]
		out := Attempt{
			Name: a.Name, Target: a.Target, Host: a.Host, Time: a.Time, Ended: a.Ended, Error: a.Error, Source: a.Source, Frame: a.Frame,
			Verdict: words.verdict(&a.Verdict),
		}
		if a.PID != 0 {
			out.PID = &a.PID
		}
		d.Attempts = append(d.Attempts, out)
	}
	for i := range r.Events {
		e := &r.Events[i]
		out := Event{Source: e.Source, Text: e.Text, Frame: e.Frame}
		if !e.Time.IsZero() {
			out.Time = &e.Time
		}
		if e.PID != 0 {
			out.PID = &e.PID
		}
		d.Events = append(d.Events, out)
	}
	for i := range r.GoStatements {
		d.GoOutput = append(d.GoOutput, goStatement(&r.GoStatements[i]))
	}
	return d
}

func goStatement(c *diagnose.GoCheck) GoStatement {
	s := GoStatement{
		Line: c.Line, Count: c.Count, Kind: c.Kind.String(), Text: c.Text, Host: c.Host, Reported: !c.Trace,
		Packets: c.Packets, Compared: c.Subjects, Frames: notNil(c.Frames), Time: timestamp(c.Time),
	}
	if c.Local.IsValid() {
		s.Client = c.Local.String()
	}
	if c.Remote.IsValid() {
		s.Server = c.Remote.String()
	}
	return s
}

func buildCapture(r *analyze.Result, o Options) Capture {
	in := &r.Capture
	c := Capture{
		File: o.File, Format: in.Format, Packets: in.Packets, Records: in.Records, Bytes: in.Bytes, Segments: in.Segments,
		Start: timestamp(in.Start), End: timestamp(in.End),
		Received: in.Received, Dropped: in.Dropped,
		Interrupted: o.Interrupted, HasSecrets: in.HasSecrets,
		Interfaces: []Interface{}, Health: []Health{},
	}
	if c.File == "" {
		c.File = in.File
	}
	if d := r.Damage; d != nil {
		c.TruncatedAt = &d.Offset
		c.Damage = &Damage{Packet: d.Packet, Offset: d.Offset, Reason: o.Language.Phrase(d.Reason)}
	}
	for i := range in.Interfaces {
		f := &in.Interfaces[i]
		c.Interfaces = append(c.Interfaces, Interface{
			Name: f.Name, Description: f.Description, LinkType: linkTypeName(uint16(f.LinkType)),
			Filter: f.Filter, Packets: f.Packets, Received: f.Received, Dropped: f.Dropped,
		})
	}
	for i := range in.Health {
		e := &in.Health[i].Evidence
		c.Health = append(c.Health, Health{ID: e.ID, Text: o.Language.Evidence(e), Frames: notNil(e.Frames)})
	}
	for _, u := range in.Unread {
		c.Unread = append(c.Unread, Unread{Name: o.Language.Phrase(u.Name), Count: u.Count, First: u.First})
	}
	for _, n := range in.Notes {
		c.Notes = append(c.Notes, o.Language.Phrase(n))
	}
	return c
}

// wording puts verdicts into words.
type wording struct {
	language messages.Language
	// platform is the one that next steps are named for.
	platform diagnose.Platform
}

func (w wording) verdict(v *diagnose.Verdict) Verdict {
	out := Verdict{
		Class: string(v.Class), Stage: string(v.Stage), Level: string(v.Level),
		Summary: w.language.Summary(v), Notes: v.Notes, Died: v.Died(),
		RefutedBy: w.texts(v.RefutedBy), NextSteps: w.language.Steps(v.NextSteps, w.platform, v.Values...), NotAssessed: w.texts(v.NotAssessed),
	}
	for _, p := range v.Place {
		out.Place = append(out.Place, string(p))
	}
	for i := range v.Evidence {
		e := &v.Evidence[i]
		out.Evidence = append(out.Evidence, Evidence{
			ID: e.ID, Text: w.language.Evidence(e), Frames: notNil(e.Frames), Filter: FrameFilter(e.Frames),
		})
	}
	return out
}

func (w wording) texts(ids []string) []string {
	if len(ids) == 0 {
		return nil
	}
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = w.language.Text(id)
	}
	return out
}

func appendNew(list []string, s string) []string {
	for _, have := range list {
		if have == s {
			return list
		}
	}
	return append(list, s)
}

func notNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func timestamp(ns int64) *time.Time {
	if ns == 0 {
		return nil
	}
	t := time.Unix(0, ns).UTC()
	return &t
}

// Rows yields the connections in order of their IDs. A Row is valid until the
// next one is asked for.
func (d *Document) Rows() iter.Seq2[*Row, error] {
	return func(yield func(*Row, error) bool) {
		if d.err != nil {
			yield(nil, d.err)
			return
		}
		for _, c := range d.rows {
			if !yield(&Row{ready: c}, nil) {
				return
			}
		}
		if d.store == nil {
			return
		}
		row := &Row{wording: wording{d.Language, diagnose.Platform(d.Platform)}}
		if d.redact != nil {
			row.redact = &redactor{d.redact}
		}
		for h, err := range d.store.Held() {
			if err == nil {
				err = row.set(h)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}
