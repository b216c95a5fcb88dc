// Package spans makes OpenTelemetry traces of a report.
//
// In comes a Case (one report.Document and what identifies it), out come its
// parts in a fixed order, each a few spans that belong into one request. Times
// are the packets'. Identifiers follow from the case's and from the numbers of
// the report: the same case has the same spans, whoever makes them and however
// often.
//
// One case makes several traces, so that none grows with the capture:
//
//   - one span alone for the case, with its verdict, linked to what that is about;
//   - for each process that connected, and what it started: the process, below it its
//     connections and lookups;
//   - where no process is known, for each client and host: the connections and
//     lookups between them below a span that covers them;
//   - a further trace of the same kind for each perTrace connections more.
//
// A connection is a CLIENT span with its stages below it. Attribute names are
// those of the OpenTelemetry Semantic Conventions (Schema), and begin with
// goproxytrace. where these have none.
package spans

import "goproxytrace/report"

// Case is one report to make spans of.
type Case struct {
	// ID tells the case from all others (rows.CaseID): the same case has the
	// same in the tables of analyze.
	ID string
	// Host is the name of the machine that the capture was made on, as it is
	// to be shown; empty where unknown.
	Host string
	// Document is the report, in English, redacted where that is wanted. Its
	// Rows are read twice.
	Document *report.Document
}
