package rows

import (
	"time"

	"goproxytrace/report"
)

// Event is a row of the table events: something that the host itself recorded.
type Event struct {
	Source
	// Position counts the events of a document from 0.
	Position int64      `parquet:"position"`
	Time     *time.Time `parquet:"time,optional,timestamp(microsecond)"`
	// EventSource is the log or program that said it.
	EventSource string `parquet:"event_source,dict"`
	Text        string `parquet:"text"`
	PID         *int64 `parquet:"pid,optional"`
	// Frame is the record's frame number; null where it was no part of the
	// capture.
	Frame *int64 `parquet:"frame,optional"`
}

func (w *writer) event(i int, e *report.Event) error {
	r := Event{Source: w.source, Position: int64(i), Time: utc(e.Time), EventSource: e.Source, Text: e.Text}
	if e.PID != nil {
		r.PID = number(*e.PID)
	}
	if e.Frame > 0 {
		r.Frame = &e.Frame
	}
	return w.sink.Event(&r)
}
