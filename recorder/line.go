package recorder

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"time"

	"goproxytrace/analyze"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/capture"
)

// Schema is that of Line.
const Schema = "goproxytrace.recorder/v1"

// Line is the member "recorder" of a line of the log. The other members of the
// line are those of the report (goproxytrace.report/v1).
type Line struct {
	Schema string `json:"schema"`
	// CaseID is another in each line.
	CaseID string `json:"case_id"`
	// Case is the case file's path below the recorder's directory.
	Case string `json:"case"`
	// Completes is the case_id of an earlier line about the same build, which
	// was written while that still ran: this line and its case replace it.
	Completes string `json:"completes,omitempty"`
	// Trigger says why the build was judged; Why, why it was kept: "died",
	// "sampled", or "completed" where it stalled, as the line says that this one
	// completes, and came round.
	Trigger Trigger `json:"trigger"`
	Why     string  `json:"why"`
	// Class is what it died of: the verdict's, but where a build failed although
	// each death of it seems to have been made good, that of its gravest
	// connection.
	Class diagnose.Class `json:"class"`
	// KeepOK is the share of healthy builds that were kept when it was.
	KeepOK float64 `json:"keep_ok"`
	// Host and Version say who recorded, Started since when.
	Host    string    `json:"host"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	// Begin and End are those of the build.
	Begin time.Time `json:"begin"`
	End   time.Time `json:"end"`
	// PID is the go command's; Exit its exit code (128 and the signal's number
	// where a signal ended it), null where it is not known.
	PID  uint32 `json:"pid"`
	Exit *int   `json:"exit"`
	// Suspended are the times for which the machine slept meanwhile.
	Suspended []Gap `json:"suspended,omitempty"`
	// GaveUp counts what memory did not allow to keep of the build, nil for
	// nothing; Ended early is true where the case file holds less than was
	// analysed, since the disk limit did not allow more.
	GaveUp     *gaveUp `json:"gave_up,omitempty"`
	EndedEarly bool    `json:"ended_early,omitempty"`
	// LostCases counts cases since the line before that could not be written.
	LostCases int64 `json:"lost_cases,omitempty"`
}

// caseKey is how a case's identifier stands in its line.
func caseKey(id string) string { return `"case_id":"` + id + `"` }

// line makes the line of a case.
func (r *Recorder) line(j *job, result *analyze.Result, id, name string, early bool, lost int64) (line []byte, summary string, err error) {
	l := Line{
		Schema: Schema, CaseID: id, Case: path.Join(casesDir, name), Trigger: j.trigger, Why: "died", Class: j.class, KeepOK: r.o.KeepOK,
		Host: r.o.Host, Version: r.o.Application, Started: r.began.UTC(), Begin: capture.Timestamp(j.begin), End: capture.Timestamp(j.end),
		PID: j.root.PID, Suspended: j.suspend, EndedEarly: early, LostCases: lost,
	}
	if j.keptFor == sampled {
		l.Why = "sampled"
	}
	if j.previous != nil {
		l.Completes = j.previous.ID
		if j.keptFor == completed {
			l.Why = "completed"
		}
	}
	if code, known := j.code(); known {
		l.Exit = &code
	}
	if j.gaveUp.any() {
		l.GaveUp = &j.gaveUp
	}
	head, err := json.Marshal(l)
	if err != nil {
		return nil, "", err
	}
	var doc bytes.Buffer
	if summary, err = r.o.Report(&doc, result, l.Case); err != nil {
		return nil, "", err
	}
	b := bytes.TrimSpace(doc.Bytes())
	if len(b) < 3 || b[0] != '{' || bytes.IndexByte(b, '\n') >= 0 {
		return nil, "", fmt.Errorf("the report is no JSON object of one line")
	}
	out := make([]byte, 0, len(head)+len(b)+16)
	out = append(out, `{"recorder":`...)
	out = append(out, head...)
	out = append(out, ',')
	out = append(out, b[1:]...)
	return append(out, '\n'), summary, nil
}
