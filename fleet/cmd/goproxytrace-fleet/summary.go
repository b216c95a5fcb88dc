package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"goproxytrace/fleet/pipeline"
	"goproxytrace/fleet/rows"
	"goproxytrace/fleet/summary"
	"goproxytrace/internal/terminal"
)

// mostNamed is how many files that are not ok are named on the terminal; the table
// files names all.
const mostNamed = 20

// nameProblems names files that are damaged, unreadable or not analysed as they were
// given, and returns how many there are.
func nameProblems(ctx context.Context, p *pipeline.Plan, s *pipeline.Summary, w io.Writer) int {
	total, named := int(s.Files.Damaged+s.Files.Unreadable+s.Files.NotAnalysed), 0
	for i := range s.Problems {
		f := &s.Problems[i]
		if f.Status == rows.StatusDuplicate || named == mostNamed {
			continue
		}
		named++
		path, err := p.Path(ctx, f.Index)
		if err != nil {
			path = f.File
		}
		text := fmt.Sprintf("%s: %s: %s", path, strings.ReplaceAll(f.Status, "-", " "), f.Reason)
		if f.Offset != nil {
			text = fmt.Sprintf("%s: %s at offset %d: %s", path, f.Status, *f.Offset, f.Reason)
		}
		fmt.Fprintln(w, terminal.Clean(text))
	}
	if total > named {
		fmt.Fprintf(w, "and %d more: the table files has all\n", total-named)
	}
	return total
}

// mostRows is how many rows of each dimension the terminal shows.
const mostRows = 8

// printed are the dimensions that the terminal shows.
var printed = []string{summary.Class, summary.Place, summary.Host, summary.Resolver, summary.Family, summary.CertificateIssuer, summary.GoVersion, summary.Machine}

// writeSummary writes what was found for a person.
func writeSummary(w io.Writer, s *pipeline.Summary, out string) error {
	var b strings.Builder
	f := &s.Files
	fmt.Fprintf(&b, "%d files: %d ok, %d damaged, %d unreadable, %d duplicate", f.Matched, f.OK, f.Damaged, f.Unreadable, f.Duplicate)
	if f.NotAnalysed > 0 {
		fmt.Fprintf(&b, ", %d not analysed", f.NotAnalysed)
	}
	b.WriteByte('\n')
	fmt.Fprintf(&b, "%d cases", s.Cases)
	if s.Duplicates > 0 {
		fmt.Fprintf(&b, " (%d reports on cases counted already are left out)", s.Duplicates)
	}
	if s.Quiet > 0 {
		fmt.Fprintf(&b, ", %d of them without traffic to judge", s.Quiet)
	}
	b.WriteByte('\n')
	for i := range s.Summaries {
		if r := &s.Summaries[i]; r.Dimension == summary.Total {
			fmt.Fprintf(&b, "%d of %d downloads died: %s\n", r.Hits, r.Of, percent(r))
		}
	}
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, dimension := range printed {
		n := 0
		for i := range s.Summaries {
			r := &s.Summaries[i]
			if r.Dimension != dimension || r.Class != "" || r.Value == "" || r.Of == 0 {
				continue
			}
			if n++; n == 1 {
				of := "died"
				if r.RateOf == summary.RateShare {
					of = "of all"
				}
				fmt.Fprintf(t, "\n%s\tdownloads\t%s\n", strings.ReplaceAll(dimension, "_", " "), of)
			}
			if n <= mostRows {
				fmt.Fprintf(t, "  %s\t%d\t%s\n", terminal.Shorten(terminal.Clean(r.Value), 48), r.Downloads, percent(r))
			}
		}
		if n > mostRows {
			fmt.Fprintf(t, "  (%d more)\t\t\n", n-mostRows)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(&b, "\nIntervals are those of 95 %% (%s). %s\n", s.Interval.Method, "One download is one run of the go command, or one case where the capture does not tell runs apart.")
	fmt.Fprintf(&b, "%s: tables connections, lookups, verdicts, evidence, events, files, summaries (Parquet); %s\n", terminal.Clean(out), pipeline.SummaryFile)
	_, err := io.WriteString(w, b.String())
	return err
}

func percent(r *summary.Row) string {
	return fmt.Sprintf("%.1f %% (%.1f to %.1f)", 100*r.Rate, 100*r.RateLow, 100*r.RateHigh)
}
