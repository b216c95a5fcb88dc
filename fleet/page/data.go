// Package page writes what a run over a fleet's files found as one HTML file.
//
// In goes the directory of a run that has finished (Read), out comes a page
// (Write) that needs nothing else and asks nobody for anything: what dies, where,
// since when, which cases to open and what to do. It has no script. Everything in
// it that comes from captures is escaped.
package page

import (
	"time"

	"goproxytrace/fleet/pipeline"
	"goproxytrace/fleet/summary"
)

// Data is what the page shows.
type Data struct {
	*pipeline.Summary
	// Classes are what downloads died of, the most frequent first.
	Classes []Class
	// Hosts are those that killed downloads, by name. All are all downloads.
	Hosts map[string]*Host
	All   History
	// Unassessed are what captures could not show, the most frequent first;
	// UnassessedMore counts further ones.
	Unassessed     []Said
	UnassessedMore int
}

// Host is a host that killed downloads: their last death was on the way to it.
type Host struct {
	// Downloads had to do with it, Died those that it killed.
	Downloads, Died int64
	// Classes counts the latter by what they died of.
	Classes map[string]int64
	History History
}

// Class is a class of which downloads died.
type Class struct {
	Name string
	// Places and Levels count its downloads by where and how surely.
	Places, Levels map[string]int64
	// Hosts counts them by the host that they died on the way to.
	Hosts map[string]int64
	// Examples are the cases worth opening, the best first.
	Examples []Example
	// Steps are those of the first example.
	Steps   []string
	History History
}

// Example is a case.
type Example struct {
	Case, File string
	// Document counts the reports in the file from 0.
	Document int32
	// Href leads to the case's page, relative to this one; empty for none.
	Href          string
	Machine, Host string
	Level         string
	Evidence      int32
	Summary       string
	Time          *time.Time
}

// Said is a sentence, and of how many downloads it is said.
type Said struct {
	Text      string
	Downloads int64
}

// History counts downloads by the hour in which they began.
type History map[time.Time]Hour

// Hour is one hour: All counts downloads, Died those that count as dead.
type Hour struct{ All, Died int64 }

func (h History) add(at time.Time, died bool) {
	at = at.UTC().Truncate(time.Hour)
	n := h[at]
	n.All++
	if died {
		n.Died++
	}
	h[at] = n
}

// rowsOf returns the rows of a dimension, without those of its classes.
func (d *Data) rowsOf(dimension string) (out []*summary.Row) {
	for i := range d.Summaries {
		if r := &d.Summaries[i]; r.Dimension == dimension && r.Class == "" {
			out = append(out, r)
		}
	}
	return out
}
