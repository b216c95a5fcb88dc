package report

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"goproxytrace/analyze"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/report/messages"
)

// WriteJSON writes the document as one JSON object and a newline. Members and
// connections stand on lines of their own unless oneLine asks for a line of
// NDJSON. Memory does not grow with the number of connections.
//
// JSON is the same in every language: a document that is not in English is an
// error.
func WriteJSON(w io.Writer, d *Document, oneLine bool) error {
	if err := forPrograms(d); err != nil {
		return fmt.Errorf("json: %w", err)
	}
	j := &jsonWriter{w: bufio.NewWriterSize(w, 64<<10), newline: "\n"}
	if oneLine {
		j.newline = ""
	}
	j.document(d)
	if j.err == nil {
		j.err = j.w.Flush()
	}
	return j.err
}

// forPrograms refuses a document whose words programs do not know.
func forPrograms(d *Document) error {
	if d.Language != messages.English {
		return fmt.Errorf("a document in the language %s is not for programs to read", d.Language)
	}
	return nil
}

// jsonWriter writes parts of a document until the first error.
type jsonWriter struct {
	w       *bufio.Writer
	b       []byte
	newline string
	err     error
}

func (j *jsonWriter) document(d *Document) {
	j.b = append(j.b, `{"schema":`...)
	j.b = appendString(j.b, d.Schema)
	j.b = append(j.b, `,"tool":{"version":`...)
	j.b = append(appendString(j.b, d.Version), '}')
	if d.Pseudonyms {
		j.key("redacted")
		j.value(true)
	}
	j.key("capture")
	j.value(d.Capture)
	if d.Platform != "" {
		j.key("platform")
		j.value(d.Platform)
	}
	if d.GoVersion != "" {
		j.key("go_version")
		j.value(d.GoVersion)
	}
	if len(d.Targets) > 0 {
		j.key("targets")
		j.value(d.Targets)
	}
	j.key("verdict")
	j.b = appendVerdict(j.b, &d.Verdict)
	if d.Subject >= 0 && d.Connections > 0 {
		j.key("subject")
		j.value(d.Subject)
	}
	j.key("processes")
	writeList(j, d.Processes, (*jsonWriter).process)
	j.key("connections")
	j.connections(d)
	if d.ConnectionsOmitted > 0 {
		j.key("connections_omitted")
		j.value(struct {
			Connections int `json:"connections"`
			Deaths      int `json:"deaths"`
		}{d.ConnectionsOmitted, d.DeathsOmitted})
	}
	if len(d.Unanswered) > 0 {
		j.key("unanswered")
		j.value(d.Unanswered)
	}
	j.key("attempts")
	writeList(j, d.Attempts, (*jsonWriter).attempt)
	if d.AttemptsOmitted > 0 {
		j.key("attempts_omitted")
		j.value(d.AttemptsOmitted)
	}
	j.key("events")
	writeList(j, d.Events, func(j *jsonWriter, e *Event) { j.value(e) })
	if d.EventsOmitted > 0 {
		j.key("events_omitted")
		j.value(d.EventsOmitted)
	}
	if len(d.GoOutput) > 0 {
		j.key("go_output")
		writeList(j, d.GoOutput, func(j *jsonWriter, s *GoStatement) { j.value(s) })
	}
	j.key("lookups")
	writeList(j, d.Lookups, (*jsonWriter).lookup)
	if d.LookupsOmitted > 0 {
		j.key("lookups_omitted")
		j.value(d.LookupsOmitted)
	}
	j.b = append(j.b, "}\n"...)
	j.flush()
}

func (j *jsonWriter) key(name string) {
	j.b = append(j.b, ',')
	j.b = append(j.b, j.newline...)
	j.b = append(j.b, '"')
	j.b = append(j.b, name...)
	j.b = append(j.b, `":`...)
}

func (j *jsonWriter) value(v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		j.fail(err)
		return
	}
	j.b = appendEscaped(j.b, raw)
}

func (j *jsonWriter) fail(err error) {
	if j.err == nil && err != nil {
		j.err = err
	}
}

func (j *jsonWriter) flush() {
	if j.err == nil {
		_, err := j.w.Write(j.b)
		j.fail(err)
	}
	j.b = j.b[:0]
}

func writeList[T any](j *jsonWriter, list []T, write func(*jsonWriter, *T)) {
	j.b = append(j.b, '[')
	for i := range list {
		if i > 0 {
			j.b = append(j.b, ',')
		}
		j.b = append(j.b, j.newline...)
		write(j, &list[i])
		j.flush()
	}
	j.b = append(j.b, ']')
}

func (j *jsonWriter) connections(d *Document) {
	j.b = append(j.b, '[')
	first := true
	for row, err := range d.Rows() {
		if err == nil {
			if !first {
				j.b = append(j.b, ',')
			}
			first = false
			j.b = append(j.b, j.newline...)
			j.b, err = row.appendJSON(j.b)
		}
		j.fail(err)
		j.flush()
		if j.err != nil {
			return
		}
	}
	j.b = append(j.b, ']')
}

func (j *jsonWriter) process(p *Process) {
	j.withVerdict(struct {
		analyze.Process
		Parent     uint32   `json:"parent,omitempty"`
		ParentName string   `json:"parent_name,omitempty"`
		Exit       *int     `json:"exit"`
		Verdict    struct{} `json:"verdict"`
	}{Process: p.Process, Parent: p.Parent, ParentName: p.ParentName, Exit: p.Exit}, &p.Verdict)
}

func (j *jsonWriter) attempt(a *Attempt) {
	j.withVerdict(struct {
		*Attempt
		Verdict struct{} `json:"verdict"`
	}{Attempt: a}, &a.Verdict)
}

func (j *jsonWriter) lookup(l *Lookup) {
	type plain analyze.Lookup
	j.withVerdict(struct {
		plain
		Answers []string `json:"answers"`
		Verdict struct{} `json:"verdict"`
	}{plain: plain(l.Lookup), Answers: notNil(l.Answers)}, &l.Verdict)
}

// withVerdict writes v, whose last member is an empty object, with a verdict
// in that object's place.
func (j *jsonWriter) withVerdict(v any, verdict *Verdict) {
	raw, err := json.Marshal(v)
	if err == nil && (len(raw) < 3 || string(raw[len(raw)-3:]) != "{}}") {
		err = fmt.Errorf("encoding %T: no place for the verdict", v)
	}
	if err != nil {
		j.fail(err)
		return
	}
	j.b = appendEscaped(j.b, raw[:len(raw)-3])
	j.b = append(appendVerdict(j.b, verdict), '}')
}

// appendVerdict appends a verdict as a JSON object.
func appendVerdict(b []byte, v *Verdict) []byte {
	b = appendHead(b, v.Class, v.Stage, v.Place, v.Level, v.Summary, v.Notes)
	b = append(b, `,"evidence":[`...)
	for i := range v.Evidence {
		e := &v.Evidence[i]
		b = appendEvidence(b, i, e.ID, e.Text, e.Frames)
	}
	b = append(b, `],"refuted_by":`...)
	b = appendStrings(b, v.RefutedBy)
	b = append(b, `,"next_steps":`...)
	b = appendStrings(b, v.NextSteps)
	b = append(b, `,"not_assessed":`...)
	return append(appendStrings(b, v.NotAssessed), '}')
}

// appendDiagnosed is appendVerdict for a verdict not yet put into words. It
// makes no Verdict on the way: there is one for every connection.
func appendDiagnosed(b []byte, v *diagnose.Verdict, w wording) []byte {
	b = appendHead(b, v.Class, v.Stage, v.Place, v.Level, w.language.Summary(v), v.Notes)
	b = append(b, `,"evidence":[`...)
	for i := range v.Evidence {
		e := &v.Evidence[i]
		b = appendEvidence(b, i, e.ID, w.language.Evidence(e), e.Frames)
	}
	b = append(b, `],"refuted_by":`...)
	b = appendTexts(b, v.RefutedBy, w)
	b = append(b, `,"next_steps":`...)
	b = appendSteps(b, v, w)
	b = append(b, `,"not_assessed":`...)
	return append(appendTexts(b, v.NotAssessed, w), '}')
}

func appendHead[C, S, P, L ~string](b []byte, class C, stage S, place []P, level L, summary string, notes []string) []byte {
	b = append(b, `{"class":`...)
	b = appendString(b, string(class))
	b = append(b, `,"stage":`...)
	b = appendString(b, string(stage))
	b = append(b, `,"place":`...)
	b = appendStrings(b, place)
	b = append(b, `,"level":`...)
	b = appendString(b, string(level))
	b = append(b, `,"summary":`...)
	b = appendString(b, summary)
	b = append(b, `,"notes":`...)
	return appendStrings(b, notes)
}

func appendEvidence(b []byte, i int, id, text string, frames []int64) []byte {
	if i > 0 {
		b = append(b, ',')
	}
	b = append(b, `{"id":`...)
	b = appendString(b, id)
	b = append(b, `,"text":`...)
	b = appendString(b, text)
	b = append(b, `,"frames":[`...)
	for k, f := range frames {
		if k > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, f, 10)
	}
	b = append(b, `],"filter":"`...)
	b = appendFilter(b, frames)
	return append(b, `"}`...)
}

func appendStrings[S ~string](b []byte, list []S) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, string(s))
	}
	return append(b, ']')
}

func appendTexts(b []byte, ids []string, w wording) []byte {
	b = append(b, '[')
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, w.language.Text(id))
	}
	return append(b, ']')
}

// appendSteps appends next steps without those that the platform lacks.
func appendSteps(b []byte, v *diagnose.Verdict, w wording) []byte {
	b = append(b, '[')
	first := true
	for _, id := range v.NextSteps {
		s := w.language.Step(id, w.platform, v.Values...)
		if s == "" {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = appendString(b, s)
	}
	return append(b, ']')
}
