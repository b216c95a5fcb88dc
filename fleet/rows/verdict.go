package rows

import (
	"strings"
	"time"

	"goproxytrace/report"
)

// Judgement is a verdict's columns, as they also stand in the rows of
// connections and lookups.
type Judgement struct {
	// Class, Stage and Level are words of the contract: tls.reset, tls,
	// proven.
	Class string `parquet:"class,dict"`
	Stage string `parquet:"stage,dict"`
	// Place are the places joined by a comma: "network,remote"; empty where
	// nothing died. Places are the same as a list.
	Place  string   `parquet:"place,dict"`
	Places []string `parquet:"places,list"`
	Level  string   `parquet:"level,dict"`
	// Died is true for a death: false for ok, no-traffic and
	// capture.unusable.
	Died bool `parquet:"died"`
	// Summary is the sentence to paste; Notes are words like lossy.
	Summary string   `parquet:"summary"`
	Notes   []string `parquet:"notes,list"`
}

func judgement(v *report.Verdict) Judgement {
	return Judgement{
		Class: v.Class, Stage: v.Stage, Place: strings.Join(v.Place, ","), Places: v.Place, Level: v.Level, Died: v.Died,
		Summary: v.Summary, Notes: v.Notes,
	}
}

// Subjects of verdicts.
const (
	SubjectCapture    = "capture"
	SubjectProcess    = "process"
	SubjectConnection = "connection"
	SubjectLookup     = "lookup"
	SubjectAttempt    = "attempt"
)

// Subject says what a verdict is about.
type Subject struct {
	// Subject is one of the constants above.
	Subject string `parquet:"subject,dict"`
	// SubjectID is the connection's or process's number, or the place of the
	// lookup or attempt in the report from 0; null for the capture.
	SubjectID *int64 `parquet:"subject_id,optional"`
}

// Verdict is a row of the table verdicts: one for each capture, process,
// connection, lookup and attempt.
type Verdict struct {
	Source
	Subject
	Judgement
	// Time is when the subject began; null where that is not known.
	Time *time.Time `parquet:"time,optional,timestamp(microsecond)"`
	// Host is the host asked for, Remote the address spoken to with its port;
	// null where there is none.
	Host   string `parquet:"host,optional,dict"`
	Remote string `parquet:"remote,optional,dict"`
	// PID and ProcessName are the process's; null where it is not known.
	PID         *int64 `parquet:"pid,optional"`
	ProcessName string `parquet:"process_name,optional,dict"`
	// GoPID is the go command that the process is or works for; null where it is
	// none or not known. GoVersion is that command's own; null where its host did
	// not record it.
	GoPID     *int64 `parquet:"go_pid,optional"`
	GoVersion string `parquet:"go_version,optional,dict"`
	// Exit is a process's exit code, 128 and the signal's number where one
	// ended it; null where not known.
	Exit *int64 `parquet:"exit,optional"`
	// Error is the system's name for why an attempt failed; null elsewhere.
	Error string `parquet:"error,optional,dict"`
	// Evidence counts the rows of the table evidence.
	Evidence int32 `parquet:"evidence"`
	// What would overturn the verdict, what to do, and what this capture
	// could not show.
	RefutedBy   []string `parquet:"refuted_by,list"`
	NextSteps   []string `parquet:"next_steps,list"`
	NotAssessed []string `parquet:"not_assessed,list"`
}

// Evidence is a row of the table evidence: one observation of one verdict.
type Evidence struct {
	Source
	Subject
	// Class is the verdict's.
	Class string `parquet:"class,dict"`
	// Position counts the observations of one verdict from 0.
	Position int32 `parquet:"position"`
	// EvidenceID names the observation; Text says it with its numbers.
	EvidenceID string `parquet:"evidence_id,dict"`
	Text       string `parquet:"text"`
	// Frames are frame numbers of the capture; Filter is the display filter
	// that shows them, null where there are none.
	Frames []int64 `parquet:"frames,list"`
	Filter string  `parquet:"filter,optional"`
}
