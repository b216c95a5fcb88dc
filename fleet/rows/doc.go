// Package rows makes the rows of the fleet's tables from reports.
//
// In goes a report.Document, redacted already or not, and a Source that says
// which file it came from; out come rows of five tables (connections, lookups,
// verdicts, evidence, events) and, from whoever reads the files, those of a
// sixth (files). Nothing is judged and nothing is replaced here: a row says what
// the document says.
//
// The parquet tags are the tables' columns. Columns may be added, never renamed:
// queries rely on them. A column that is null says that the document does not
// know; zero and the empty list are answers.
//
// Times are UTC in microseconds, durations milliseconds as in the JSON report,
// frames are numbered as Wireshark counts them.
package rows

// The tables, by the names of their directories.
const (
	Connections = "connections"
	Lookups     = "lookups"
	Verdicts    = "verdicts"
	Evidences   = "evidence"
	Events      = "events"
	Files       = "files"
)

// Tables lists the tables in the order in which they are written.
var Tables = []string{Connections, Lookups, Verdicts, Evidences, Events, Files}
