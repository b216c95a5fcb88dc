// Package summary counts what kills downloads, by hour, host, class and so on.
//
// In go the rows of one document after another (Collector); out come Counts that
// can be added up in any order, and from their sum the rows of the table
// summaries with rates and confidence intervals.
//
// # What is counted
//
// The unit is the download: one run of the go command in one case, where the
// capture says which process a connection belongs to; else the whole case. The
// connections of one download are no independent trials (a proxy that is blocked
// kills all of them), and neither are the tries of one request: a rate over them
// would look far more certain than it is. A download counts once for each host,
// resolver and so on that it had to do with. Connections and lookups are counted
// beside it, without an interval. What has no traffic to judge (no-traffic, capture.unusable) is
// no download, and a case of nothing else is a quiet one.
package summary

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/fleet/rows"
)

// Dimensions by which downloads are counted.
const (
	Total             = "total"
	Hour              = "hour"  // in UTC, of the download's begin
	Host              = "host"  // asked for
	Class             = "class" // of the download's verdict
	Place             = "place"
	Level             = "level"
	GoVersion         = "go_version"
	CertificateIssuer = "certificate_issuer"
	Resolver          = "resolver"
	Family            = "family" // ipv4, ipv6
	Process           = "process"
	Machine           = "machine"
)

// seconds are the dimensions that are also counted by class: what kills the
// downloads that have to do with one host, or of one hour.
var seconds = []string{Hour, Host, GoVersion, CertificateIssuer, Resolver, Family, Machine}

// Key names what is counted: a value of a dimension, and where Second is not
// empty the downloads in which something with that value ended as that class.
type Key struct {
	Dimension string `json:"dimension"`
	Value     string `json:"value,omitempty"`
	Second    string `json:"class,omitempty"`
}

func (k Key) compare(o Key) int {
	return cmp.Or(cmp.Compare(k.Dimension, o.Dimension), cmp.Compare(k.Value, o.Value), cmp.Compare(k.Second, o.Second))
}

// Counts is what is counted under a key.
type Counts struct {
	Downloads       int64 `json:"downloads,omitempty"`
	DownloadsDied   int64 `json:"downloads_died,omitempty"`
	Connections     int64 `json:"connections,omitempty"`
	ConnectionsDied int64 `json:"connections_died,omitempty"`
	Lookups         int64 `json:"lookups,omitempty"`
	LookupsDied     int64 `json:"lookups_died,omitempty"`
	Attempts        int64 `json:"attempts,omitempty"`
	AttemptsDied    int64 `json:"attempts_died,omitempty"`
	// First and Last are when something with the key began, in Unix
	// microseconds; zero where that is not known.
	First int64 `json:"first,omitempty"`
	Last  int64 `json:"last,omitempty"`
}

func (c *Counts) add(o *Counts) {
	c.Downloads += o.Downloads
	c.DownloadsDied += o.DownloadsDied
	c.Connections += o.Connections
	c.ConnectionsDied += o.ConnectionsDied
	c.Lookups += o.Lookups
	c.LookupsDied += o.LookupsDied
	c.Attempts += o.Attempts
	c.AttemptsDied += o.AttemptsDied
	if o.First != 0 && (c.First == 0 || o.First < c.First) {
		c.First = o.First
	}
	c.Last = max(c.Last, o.Last)
}

func (c *Counts) seen(t *time.Time) {
	if t != nil {
		c.add(&Counts{First: t.UnixMicro(), Last: t.UnixMicro()})
	}
}

// Cell is one key with what was counted.
type Cell struct {
	Key
	Counts
}

// Sum is what was counted so far. The zero Sum is empty.
type Sum struct {
	// Cases are the captures, each counted once; Quiet are those of them
	// that are no download.
	Cases int64 `json:"cases"`
	Quiet int64 `json:"quiet,omitempty"`
	// Cells are sorted by their keys.
	Cells []Cell `json:"cells,omitempty"`
}

// Add adds what another Sum has counted.
func (s *Sum) Add(o *Sum) {
	s.Cases += o.Cases
	s.Quiet += o.Quiet
	out := make([]Cell, 0, len(s.Cells)+len(o.Cells))
	a, b := s.Cells, o.Cells
	for len(a) > 0 && len(b) > 0 {
		switch c := a[0].compare(b[0].Key); {
		case c < 0:
			out, a = append(out, a[0]), a[1:]
		case c > 0:
			out, b = append(out, b[0]), b[1:]
		default:
			both := a[0]
			both.Counts.add(&b[0].Counts)
			out, a, b = append(out, both), a[1:], b[1:]
		}
	}
	s.Cells = append(append(out, a...), b...)
}

// Others stands for the values beyond the bound.
const Others = "(others)"

// maxValues bounds the values of one dimension that a Collector tells apart:
// whoever writes captures may put any name into them.
const maxValues = 2000

// Collector counts the rows of documents. It is a rows.Sink: Begin, the rows of
// one document as rows.Write hands them over, End.
type Collector struct {
	cases, quiet int64
	cells        map[Key]*Counts
	values       map[string]int // by dimension, and of classes under its values
	doc          document
}

// document is what is known of the document under way.
type document struct {
	source  rows.Source
	verdict rows.Judgement
	version string
	// runs are the go commands, by process; owner says whose a process is.
	runs  map[int64]*run
	owner map[int64]int64
	// loose is what belongs to no go command that is known.
	loose run
}

// run is one download, or what is no part of any.
type run struct {
	judged  bool
	verdict rows.Judgement
	name    string
	begin   *time.Time
	// died holds the keys that the run had to do with, and whether something
	// with that key died in it.
	died map[Key]bool
}

// NewCollector returns an empty Collector.
func NewCollector() *Collector {
	return &Collector{cells: make(map[Key]*Counts), values: make(map[string]int)}
}

// Begin begins a document.
func (c *Collector) Begin(s rows.Source) {
	c.doc = document{source: s, runs: make(map[int64]*run), owner: make(map[int64]int64)}
}

// Verdict is part of rows.Sink.
func (c *Collector) Verdict(r *rows.Verdict) error {
	d := &c.doc
	d.version = r.GoVersion
	switch r.Subject.Subject {
	case rows.SubjectCapture:
		d.verdict = r.Judgement
		// The rows know the case better than Begin did.
		d.source = r.Source
	case rows.SubjectProcess:
		if r.GoPID == nil {
			break
		}
		d.owner[*r.PID] = *r.GoPID
		g := d.run(r.GoPID)
		if *r.PID == *r.GoPID {
			g.judged, g.verdict, g.name = true, r.Judgement, r.ProcessName
		}
	case rows.SubjectAttempt:
		var owner *int64
		if r.PID != nil {
			if o, ok := d.owner[*r.PID]; ok {
				owner = &o
			}
		}
		c.unit(d.run(owner), r.Time, &r.Judgement, [][2]string{{Host, r.Host}, {Process, r.ProcessName}},
			Counts{Attempts: 1, AttemptsDied: one(r.Died)})
	}
	return nil
}

// Connection is part of rows.Sink.
func (c *Collector) Connection(r *rows.Connection) error {
	keys := [][2]string{{Host, r.Host}, {Family, r.Family}, {Process, r.ProcessName}}
	if r.Resolver != "" {
		keys = append(keys, [2]string{Resolver, r.Resolver})
	}
	if r.CertificateIssuer != "" {
		keys = append(keys, [2]string{CertificateIssuer, r.CertificateIssuer})
	}
	c.unit(c.doc.run(r.GoPID), r.Start, &r.Judgement, keys, Counts{Connections: 1, ConnectionsDied: one(r.Died)})
	return nil
}

// Lookup is part of rows.Sink. Whose a lookup was no capture says: it is the only
// go command's, where there is one.
func (c *Collector) Lookup(r *rows.Lookup) error {
	d := &c.doc
	g := &d.loose
	if len(d.runs) == 1 {
		for _, only := range d.runs {
			g = only
		}
	}
	c.unit(g, r.Start, &r.Judgement, [][2]string{{Host, r.Host}, {Resolver, r.ResolverAddress}}, Counts{Lookups: 1, LookupsDied: one(r.Died)})
	return nil
}

// Evidence is part of rows.Sink.
func (c *Collector) Evidence(*rows.Evidence) error { return nil }

// Event is part of rows.Sink.
func (c *Collector) Event(*rows.Event) error { return nil }

// unit counts one connection, lookup or attempt.
func (c *Collector) unit(g *run, at *time.Time, v *rows.Judgement, keys [][2]string, n Counts) {
	if at != nil && (g.begin == nil || at.Before(*g.begin)) {
		g.begin = at
	}
	if g.died == nil {
		g.died = make(map[Key]bool)
	}
	n.seen(at)
	c.at(Key{Dimension: Total}).add(&n)
	for _, k := range keys {
		key := c.bounded(Key{Dimension: k[0], Value: k[1]})
		c.at(key).add(&n)
		g.died[key] = g.died[key] || v.Died
		if slices.Contains(seconds, k[0]) && v.Died {
			key = c.second(key, v.Class)
			c.at(key).add(&n)
			g.died[key] = true
		}
	}
}

// End ends a document: its downloads are counted.
func (c *Collector) End() {
	d := &c.doc
	c.cases++
	if len(d.runs) == 0 {
		d.loose.judged, d.loose.verdict = true, d.verdict
		d.runs[-1] = &d.loose
	}
	downloads := 0
	for _, pid := range slices.Sorted(maps.Keys(d.runs)) {
		g := d.runs[pid]
		if !g.judged {
			g.verdict = d.verdict // of a command that the report does not list
		}
		if IsDownload(g.verdict.Class) {
			c.download(g)
			downloads++
		}
	}
	if downloads == 0 {
		c.quiet++
	}
}

// IsDownload reports whether what a verdict of this class is about is a download:
// there was traffic to judge.
func IsDownload(class string) bool {
	return class != string(diagnose.NoTraffic) && class != string(diagnose.CaptureUnusable)
}

func (c *Collector) download(g *run) {
	d := &c.doc
	v := &g.verdict
	if g.begin == nil {
		g.begin = d.source.CaptureStart
	}
	count := func(k Key, died bool) {
		n := Counts{Downloads: 1, DownloadsDied: one(died)}
		n.seen(g.begin)
		c.at(k).add(&n)
	}
	whole := func(dimension, value string) {
		key := c.bounded(Key{Dimension: dimension, Value: value})
		count(key, v.Died)
		if slices.Contains(seconds, dimension) && v.Died {
			key = c.second(key, v.Class)
			count(key, true)
		}
	}
	count(Key{Dimension: Total}, v.Died)
	whole(Class, v.Class)
	whole(Level, v.Level)
	if v.Died {
		whole(Place, v.Place)
	}
	whole(GoVersion, d.version)
	if d.source.Machine != "" {
		whole(Machine, d.source.Machine)
	}
	if g.begin != nil {
		whole(Hour, g.begin.UTC().Truncate(time.Hour).Format(time.RFC3339))
	}
	for k, died := range g.died {
		if k.Second == "" || v.Died {
			count(k, died && v.Died)
		}
	}
}

// run returns the download of a go command; what belongs to none for nil.
func (d *document) run(pid *int64) *run {
	if pid == nil {
		return &d.loose
	}
	g := d.runs[*pid]
	if g == nil {
		g = new(run)
		d.runs[*pid] = g
	}
	return g
}

// maxClasses bounds the classes under all values of one dimension, maxName the bytes
// of a name: a report that somebody else wrote may have any.
const (
	maxClasses = 4 * maxValues
	maxName    = 512
)

func short(name string) string {
	if len(name) <= maxName {
		return name
	}
	return strings.ToValidUTF8(name[:maxName], "") + "…"
}

// second returns the key of a class under another key.
func (c *Collector) second(k Key, class string) Key {
	k.Second = short(class)
	if _, ok := c.cells[k]; ok {
		return k
	}
	under := k.Dimension + " " + Class
	if c.values[under] >= maxClasses {
		k.Second = Others
		return k
	}
	c.values[under]++
	return k
}

// bounded replaces a value that is one too many.
func (c *Collector) bounded(k Key) Key {
	k.Value = short(k.Value)
	if _, ok := c.cells[k]; ok {
		return k
	}
	if c.values[k.Dimension] >= maxValues {
		k.Value = Others
		return k
	}
	c.values[k.Dimension]++
	return k
}

func (c *Collector) at(k Key) *Counts {
	n := c.cells[k]
	if n == nil {
		n = new(Counts)
		c.cells[k] = n
	}
	return n
}

// Sum returns what was counted.
func (c *Collector) Sum() *Sum {
	s := &Sum{Cases: c.cases, Quiet: c.quiet}
	for k, n := range c.cells {
		s.Cells = append(s.Cells, Cell{k, *n})
	}
	slices.SortFunc(s.Cells, func(a, b Cell) int { return a.compare(b.Key) })
	return s
}

func one(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
