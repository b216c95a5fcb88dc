package page

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/fleet/pipeline"
	"goproxytrace/fleet/rows"
	"goproxytrace/fleet/storage"
	"goproxytrace/fleet/summary"
)

// Bounds on what is kept of a run's tables.
const (
	mostExamples   = 3   // of each class
	mostHistories  = 200 // hosts
	mostUnassessed = 12
	mostSentences  = 2000
	mostRows       = 100_000 // of a case
	maxPart        = 1 << 30 // bytes of a part that is not on a local disk
)

// Read reads what the page shows from the directory of a run that has finished.
// page is where the page will be: pages of cases that lie on the same disk are
// linked from there; empty for no links.
func Read(ctx context.Context, out, page string) (*Data, error) {
	s, err := pipeline.ReadSummary(ctx, out)
	if err != nil {
		return nil, err
	}
	t := newTally(s, page)
	parts, err := storage.List(ctx, storage.Join(out, rows.Verdicts, "part-*.parquet"))
	if err != nil {
		return nil, err
	}
	for _, path := range parts {
		if err := t.part(ctx, path); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return t.data(), nil
}

// verdict is what is read of a row of the table verdicts.
type verdict struct {
	CaseID       string     `parquet:"case_id"`
	File         string     `parquet:"file"`
	Document     int32      `parquet:"document"`
	Machine      string     `parquet:"machine,optional"`
	CaptureStart *time.Time `parquet:"capture_start,optional,timestamp(microsecond)"`
	Subject      string     `parquet:"subject"`
	Class        string     `parquet:"class"`
	Place        string     `parquet:"place"`
	Level        string     `parquet:"level"`
	Died         bool       `parquet:"died"`
	Summary      string     `parquet:"summary"`
	Time         *time.Time `parquet:"time,optional,timestamp(microsecond)"`
	Host         string     `parquet:"host,optional"`
	PID          *int64     `parquet:"pid,optional"`
	GoPID        *int64     `parquet:"go_pid,optional"`
	Evidence     int32      `parquet:"evidence"`
	NextSteps    []string   `parquet:"next_steps,list"`
	NotAssessed  []string   `parquet:"not_assessed,list"`
}

// tally goes through the verdicts of all cases.
type tally struct {
	page    string
	whole   bool // names are no pseudonyms
	d       *Data
	classes map[string]*Class
	said    map[string]int64
	omitted int
	// known are the rows of the case under way.
	known []verdict
}

func newTally(s *pipeline.Summary, page string) *tally {
	t := &tally{page: page, whole: !s.Redacted, d: &Data{Summary: s, Hosts: map[string]*Host{}}, classes: map[string]*Class{}, said: map[string]int64{}}
	hosts := t.d.rowsOf(summary.Host)
	slices.SortStableFunc(hosts, func(a, b *summary.Row) int { return cmp.Compare(b.DownloadsDied, a.DownloadsDied) })
	for i, r := range hosts {
		if i == mostHistories || r.DownloadsDied == 0 {
			break
		}
		t.d.Hosts[r.Value] = &Host{Classes: map[string]int64{}, History: History{}}
	}
	return t
}

// part goes through one part of the table, in which the rows of a case stand
// together.
func (t *tally) part(ctx context.Context, path string) error {
	in, size, err := storage.Open(ctx, path)
	if err != nil {
		return err
	}
	defer in.Close()
	at, ok := in.(io.ReaderAt)
	if !ok {
		raw, err := io.ReadAll(io.LimitReader(in, min(size, maxPart)+1))
		if err != nil {
			return err
		}
		if size = int64(len(raw)); size > maxPart {
			return fmt.Errorf("it has more than %d bytes", maxPart)
		}
		at = bytes.NewReader(raw)
	}
	f, err := parquet.OpenFile(at, size)
	if err != nil {
		return err
	}
	r := parquet.NewGenericReader[verdict](f)
	defer r.Close()
	batch := make([]verdict, 256)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		clear(batch)
		n, err := r.Read(batch)
		for _, v := range batch[:n] {
			if len(t.known) > 0 && t.known[0].CaseID != v.CaseID {
				t.end()
			}
			// The case's own verdicts come first.
			if len(t.known) < mostRows {
				t.known = append(t.known, v)
			}
		}
		if errors.Is(err, io.EOF) {
			t.end()
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// end ends a case. Its downloads are those that package summary counts.
func (t *tally) end() {
	defer func() { t.known = t.known[:0] }()
	runs := map[int64]*verdict{}
	for i := range t.known {
		if v := &t.known[i]; v.Subject == rows.SubjectProcess && v.GoPID != nil && v.PID != nil && *v.GoPID == *v.PID {
			runs[*v.GoPID] = v
		}
	}
	if len(runs) > 0 {
		for _, pid := range slices.Sorted(maps.Keys(runs)) {
			if summary.IsDownload(runs[pid].Class) {
				t.download(runs[pid], &pid, len(runs) == 1)
			}
		}
		return
	}
	for i := range t.known {
		if v := &t.known[i]; v.Subject == rows.SubjectCapture && summary.IsDownload(v.Class) {
			t.download(v, nil, true)
		}
	}
}

// download counts one; pid is its go command, nil where no process is known, and
// only is true where it is the case's only one.
func (t *tally) download(v *verdict, pid *int64, only bool) {
	hosts := map[string]bool{}
	var killer *verdict
	for i := range t.known {
		c := &t.known[i]
		switch c.Subject {
		case rows.SubjectConnection:
			if pid != nil && (c.GoPID == nil || *c.GoPID != *pid) {
				continue
			}
		case rows.SubjectLookup, rows.SubjectAttempt:
			if !only {
				continue
			}
		default:
			continue
		}
		if c.Host == "" {
			continue
		}
		hosts[c.Host] = true
		if c.Died && v.Died && (killer == nil || after(c, killer, v.Class)) {
			killer = c
		}
	}
	for host := range hosts {
		h := t.d.Hosts[host]
		if h == nil {
			continue
		}
		died := killer != nil && killer.Host == host
		h.Downloads++
		if died {
			h.Died++
			h.Classes[v.Class]++
		}
		if v.CaptureStart != nil {
			h.History.add(*v.CaptureStart, died)
		}
	}
	for _, text := range v.NotAssessed {
		if _, known := t.said[text]; !known && len(t.said) >= mostSentences {
			t.omitted++
			continue
		}
		t.said[text]++
	}
	if !v.Died {
		return
	}
	c := t.classes[v.Class]
	if c == nil {
		c = &Class{Name: v.Class, Places: map[string]int64{}, Levels: map[string]int64{}, Hosts: map[string]int64{}}
		t.classes[v.Class] = c
	}
	c.Places[v.Place]++
	c.Levels[v.Level]++
	e := Example{
		Case: v.CaseID, File: v.File, Document: v.Document, Machine: v.Machine, Level: v.Level, Evidence: v.Evidence, Summary: v.Summary, Time: v.CaptureStart,
	}
	if killer != nil {
		e.Host = killer.Host
		c.Hosts[killer.Host]++
	}
	e.Href = t.href(e.File)
	at, _ := slices.BinarySearchFunc(c.Examples, e, better)
	if at == 0 {
		c.Steps = slices.Clone(v.NextSteps)
	}
	if at < mostExamples {
		c.Examples = slices.Insert(c.Examples, at, e)
		c.Examples = c.Examples[:min(len(c.Examples), mostExamples)]
	}
}

// after reports whether c explains a death of a class rather than k.
func after(c, k *verdict, class string) bool {
	if (c.Class == class) != (k.Class == class) {
		return c.Class == class
	}
	return c.Time != nil && (k.Time == nil || !c.Time.Before(*k.Time))
}

var levels = []string{string(diagnose.Proven), string(diagnose.Suggested), string(diagnose.Consistent)}

// better orders examples: those that prove most, have a page, have most evidence,
// are newest.
func better(a, b Example) int {
	rank := func(e Example) int {
		if i := slices.Index(levels, e.Level); i >= 0 {
			return i
		}
		return len(levels)
	}
	paged := func(e Example) int {
		if e.Href != "" {
			return 0
		}
		return 1
	}
	when := func(e Example) int64 {
		if e.Time == nil {
			return 0
		}
		return e.Time.UnixMicro()
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(paged(a), paged(b)), cmp.Compare(b.Evidence, a.Evidence), cmp.Compare(when(b), when(a)), cmp.Compare(a.Case, b.Case), cmp.Compare(a.Summary, b.Summary))
}

func (t *tally) data() *Data {
	d := t.d
	hours := History{}
	byClass := map[string]map[time.Time]int64{}
	for i := range d.Summaries {
		r := &d.Summaries[i]
		at, err := time.Parse(time.RFC3339, r.Value)
		if r.Dimension != summary.Hour || err != nil {
			continue
		}
		if r.Class == "" {
			hours[at] = Hour{All: r.Downloads, Died: r.DownloadsDied}
			continue
		}
		if byClass[r.Class] == nil {
			byClass[r.Class] = map[time.Time]int64{}
		}
		byClass[r.Class][at] = r.Downloads
	}
	d.All = hours
	maps.DeleteFunc(d.Hosts, func(_ string, h *Host) bool { return h.Died == 0 })
	for _, r := range d.rowsOf(summary.Class) {
		c := t.classes[r.Value]
		if c == nil {
			continue
		}
		c.History = History{}
		for at, h := range hours {
			c.History[at] = Hour{All: h.All, Died: byClass[c.Name][at]}
		}
		d.Classes = append(d.Classes, *c)
	}
	for text, n := range t.said {
		d.Unassessed = append(d.Unassessed, Said{text, n})
	}
	slices.SortFunc(d.Unassessed, func(a, b Said) int {
		return cmp.Or(cmp.Compare(b.Downloads, a.Downloads), cmp.Compare(a.Text, b.Text))
	})
	if n := len(d.Unassessed); n > mostUnassessed {
		d.Unassessed, d.UnassessedMore = d.Unassessed[:mostUnassessed], n-mostUnassessed+t.omitted
	}
	return d
}

// href returns the way from the page to a case's page that lies at, or beside, the
// case's file; empty where there is none.
func (t *tally) href(file string) string {
	if t.page == "" || !t.whole || !storage.IsLocal(file) || !storage.IsLocal(t.page) {
		return ""
	}
	ext := filepath.Ext(file)
	candidates := []string{file + ".html", strings.TrimSuffix(file, ext) + ".html"}
	if strings.EqualFold(ext, ".html") || strings.EqualFold(ext, ".htm") {
		candidates = []string{file}
	}
	from, err := filepath.Abs(filepath.Dir(t.page))
	if err != nil {
		return ""
	}
	for _, c := range candidates {
		if st, err := os.Stat(c); err != nil || !st.Mode().IsRegular() {
			continue
		}
		to, err := filepath.Abs(c)
		if err != nil {
			return ""
		}
		rel, err := filepath.Rel(from, to)
		if err != nil {
			return "" // on another drive
		}
		// A path that begins with a dot is never taken for a scheme.
		return "./" + (&url.URL{Path: filepath.ToSlash(rel)}).EscapedPath()
	}
	return ""
}
