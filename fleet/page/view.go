package page

import (
	"bufio"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/fleet/rows"
	"goproxytrace/fleet/summary"
	"goproxytrace/report/messages"
	"goproxytrace/report/page/frame"
)

//go:embed page.gohtml
var pageSource string

//go:embed page.css
var styleSource string

var pageTemplate = template.Must(template.New("page").Parse(pageSource))

// Bounds on the page.
const (
	mostClasses  = 12 // with examples, and columns of the table of hosts
	mostColumns  = 8
	mostHosts    = 25
	mostCharts   = 8
	mostMachines = 15
	mostValues   = 8
	mostProblems = 40
	mostSteps    = 3
)

// Write writes the page.
func Write(w io.Writer, d *Data) error {
	b := bufio.NewWriterSize(w, 64<<10)
	if err := pageTemplate.Execute(b, newView(d)); err != nil {
		return err
	}
	return b.Flush()
}

// view is what the template shows.
type view struct {
	Policy string
	Style  template.HTML
	Title  string
	Tone   string // died, ok or unknown
	Period string
	Head   string
	Rate   string // of all downloads, with its interval
	Tiles  []tile
	Notes  []string

	Total       string // downloads
	Classes     []classView
	ClassesMore string
	Columns     []string // classes
	Hosts       []hostView
	HostsMore   string
	Groups      []group
	Charts      []chart
	ChartsMore  string
	Stretch     string
	Machines    *group
	Below       string // directory that all files are in
	Cases       []caseView
	Files       []fact
	Problems    []problem
	ProblemMore string
	Unassessed  []saidView
	UnassessedN int
	Privacy     [][]frame.Part
	Method      string
}

// tile answers one of the three questions.
type tile struct {
	Question, Class string
	Answer, More    string
	Href            string
}

type rate struct {
	Hits, Of int64
	Text     string // in percent
	Range    string
	Bar      template.HTML
}

type classView struct {
	ID, Class, Title string
	Rate             rate
	Places           string
	Level            string
	First, Last      string
}

type hostView struct {
	Name  string
	Rate  rate
	Cells []cell
	First string
	Last  string
}

type cell struct {
	N    int64
	Heat int // 0 to 5
}

// group is a table of one dimension.
type group struct {
	ID, Title, Name string
	Rows            []groupRow
	More            string
	Place           bool // shares of the dead rather than rates
}

type groupRow struct {
	Value, Note string
	Rate        rate
	Mostly      string
}

type chart struct {
	ID, Name string
	Class    bool // Name is one
	SVG      template.HTML
	Said     string
	Marked   bool
	Rows     []chartRow
}

type chartRow struct {
	When      string
	Died, All int64
}

type caseView struct {
	ID, Class, Title string
	Seen             []frame.Part
	Examples         []exampleView
	Steps            [][]frame.Part
	N                string
}

type exampleView struct {
	File, Href, Case, Where, When, Summary, Level string
}

type problem struct{ File, Status, Reason string }

type saidView struct {
	Text []frame.Part
	N    string
}

type fact struct{ Name, Text string }

func newView(d *Data) *view {
	style := frame.Style + styleSource
	v := &view{Policy: frame.Policy(style, ""), Style: frame.Element("style", "", style), Title: "What kills downloads – goproxytrace-fleet", Tone: "unknown"}
	total := new(summary.Row)
	if list := d.rowsOf(summary.Total); len(list) > 0 {
		total = list[0]
	}
	machines := d.rowsOf(summary.Machine)
	v.Period = period(d.Start, d.End)
	if n := len(machines); n > 0 {
		v.Period = join(", ", v.Period, count(int64(n), "machine"))
	}
	v.Period = join(", ", v.Period, count(d.Cases, "case"))
	v.Total = count(total.Of, "download")
	v.head(d, total)
	v.classes(d)
	v.hosts(d)
	v.groups(d)
	v.charts(d)
	if len(machines) > 0 {
		g := newGroup(d, summary.Machine, "Worst machines", "Machine", mostMachines)
		v.Machines = &g
	}
	below := commonDir(d)
	v.Below = frame.Tame(below)
	v.cases(d, below)
	v.basis(d, below)
	return v
}

// head is the whole at a glance.
func (v *view) head(d *Data, total *summary.Row) {
	switch {
	case total.Of == 0:
		v.Head = "No download could be judged"
		v.Notes = append(v.Notes, "None of the files holds one: see what this rests on.")
		return
	case total.Hits == 0:
		v.Tone, v.Head = "ok", fmt.Sprintf("None of %s died", count(total.Of, "download"))
		v.Notes = append(v.Notes, fmt.Sprintf("That is no proof of health: with so many, the rate may still be up to %s.", percent(total.RateHigh)))
		return
	}
	v.Tone, v.Head = "died", fmt.Sprintf("%s of %s died", number(total.Hits), count(total.Of, "download"))
	v.Rate = fmt.Sprintf("%s; with 95 %% confidence %s to %s, if downloads are independent", percent(total.Rate), percent(total.RateLow), percent(total.RateHigh))
	if len(d.Classes) > 0 {
		c := &d.Classes[0]
		n := sum(c.Places)
		v.Tiles = append(v.Tiles, tile{Question: "What dies", Class: frame.Name(c.Name), Answer: title(c.Name), Href: "#what",
			More: fmt.Sprintf("%s of %s, the most frequent of %s", number(n), count(total.Hits, "death"), count(int64(len(d.Classes)), "class"))})
		place, most := top(c.Places)
		t := tile{Question: "Where", Href: "#where", Answer: places(place)}
		if host, on := top(c.Hosts); host != "" {
			t.Answer = "on the way to " + frame.Name(host)
			t.More = fmt.Sprintf("%s of the %s of %s. ", number(on), number(n), frame.Name(c.Name))
		}
		t.More += fmt.Sprintf("Place, by %s of them: %s.", number(most), places(place))
		if hosts := worstHosts(d); len(hosts) > 0 && !strings.HasSuffix(t.Answer, " "+frame.Name(hosts[0])) {
			h := d.Hosts[hosts[0]]
			t.More += fmt.Sprintf(" Most deaths of all kinds: %s, %s of %s.", frame.Name(hosts[0]), number(h.Died), count(h.Downloads, "download"))
		}
		v.Tiles = append(v.Tiles, t)
	}
	v.Tiles = append(v.Tiles, v.since(d))
}

// since tells of the clearest change.
func (v *view) since(d *Data) tile {
	t := tile{Question: "Since when", Href: "#since"}
	var best Change
	what := ""
	see := func(of, died string, h History) {
		if c, ok := h.change(); ok && c.Score > best.Score && c.To > c.From {
			best = c
			what = fmt.Sprintf("%s, %s %s before, %s since.", of, percent(c.From), died, percent(c.To))
		}
	}
	see("Of all downloads", "died", d.All)
	for _, host := range slices.Sorted(maps.Keys(d.Hosts)) {
		see("Of downloads from "+frame.Name(host), "died on the way to it", d.Hosts[host].History)
	}
	for i := range d.Classes {
		see("Of all downloads", "died of "+frame.Name(d.Classes[i].Name), d.Classes[i].History)
	}
	if what == "" {
		t.Answer = "no clear beginning"
		t.More = "No share rose by more than chance makes it rise."
		if f, l := span(d.All); !f.IsZero() {
			t.More += fmt.Sprintf(" Deaths from %s to %s.", hour(f), hour(l))
		}
		return t
	}
	t.Answer = hour(best.Since)
	t.More = what
	return t
}

func (v *view) classes(d *Data) {
	for _, r := range d.rowsOf(summary.Class) {
		i := slices.IndexFunc(d.Classes, func(c Class) bool { return c.Name == r.Value })
		if i < 0 {
			continue
		}
		c := &d.Classes[i]
		if len(v.Classes) == mostClasses {
			break
		}
		place, _ := top(c.Places)
		level, _ := top(c.Levels)
		if len(c.Places) > 1 {
			place = places(place) + " and others"
		} else {
			place = places(place)
		}
		f, l := span(c.History)
		v.Classes = append(v.Classes, classView{
			ID: "case-" + strconv.Itoa(len(v.Classes)+1), Class: frame.Name(c.Name), Title: title(c.Name), Rate: newRate(r), Places: place, Level: words(level, len(c.Levels)),
			First: stamp(f), Last: stamp(l),
		})
	}
	if n := len(d.Classes) - len(v.Classes); n > 0 {
		rest := int64(0)
		for _, c := range d.Classes[len(v.Classes):] {
			rest += sum(c.Places)
		}
		v.ClassesMore = fmt.Sprintf("and %s more with %s", count(int64(n), "class"), count(rest, "download"))
	}
}

// worstHosts are hosts that killed downloads, the worst first.
func worstHosts(d *Data) []string {
	return slices.SortedFunc(maps.Keys(d.Hosts), func(a, b string) int {
		return cmp.Or(cmp.Compare(d.Hosts[b].Died, d.Hosts[a].Died), cmp.Compare(d.Hosts[a].Downloads, d.Hosts[b].Downloads), cmp.Compare(a, b))
	})
}

// hosts makes the table of hosts and classes.
func (v *view) hosts(d *Data) {
	list := worstHosts(d)
	classes := map[string]int64{}
	for _, h := range d.Hosts {
		for c, n := range h.Classes {
			classes[c] += n
		}
	}
	columns := slices.SortedFunc(maps.Keys(classes), func(a, b string) int { return cmp.Or(cmp.Compare(classes[b], classes[a]), cmp.Compare(a, b)) })
	rest := columns[min(mostColumns, len(columns)):]
	columns = columns[:min(mostColumns, len(columns))]
	for _, c := range columns {
		v.Columns = append(v.Columns, frame.Name(c))
	}
	if len(rest) > 0 {
		v.Columns = append(v.Columns, fmt.Sprintf("%d others", len(rest)))
	}
	for i, name := range list {
		h := d.Hosts[name]
		if i == mostHosts {
			var died int64
			for _, name := range list[i:] {
				died += d.Hosts[name].Died
			}
			v.HostsMore = fmt.Sprintf("and %s more that killed %s.", count(int64(len(list)-i), "host"), count(died, "download"))
			break
		}
		row := hostView{Name: frame.Name(name), Rate: rateOf(h.Died, h.Downloads)}
		shade := func(n int64) {
			c := cell{N: n}
			if n > 0 {
				c.Heat = 1 + min(4, int(8*float64(n)/float64(h.Downloads)))
			}
			row.Cells = append(row.Cells, c)
		}
		for _, c := range columns {
			shade(h.Classes[c])
		}
		if len(rest) > 0 {
			n := int64(0)
			for _, c := range rest {
				n += h.Classes[c]
			}
			shade(n)
		}
		f, l := span(h.History)
		row.First, row.Last = stamp(f), stamp(l)
		v.Hosts = append(v.Hosts, row)
	}
	if n := len(d.rowsOf(summary.Host)); len(list) == mostHistories && n > mostHistories {
		v.HostsMore += fmt.Sprintf(" Of %s, these are among the %d with most deaths: the table summaries has all.", count(int64(n), "host"), mostHistories)
	}
}

func (v *view) groups(d *Data) {
	place := newGroup(d, summary.Place, "Place", "Place", mostValues)
	place.Place = true
	for i := range place.Rows {
		place.Rows[i].Value = places(place.Rows[i].Value)
	}
	level := newGroup(d, summary.Level, "How sure", "Level", mostValues)
	level.Rows = slices.DeleteFunc(level.Rows, func(r groupRow) bool { return r.Rate.Of == 0 })
	for _, g := range []group{
		place, newGroup(d, summary.Family, "Address family", "Family", mostValues), newGroup(d, summary.Resolver, "Resolver", "Resolver", mostValues),
		newGroup(d, summary.CertificateIssuer, "Certificate issuer", "Issuer", mostValues), newGroup(d, summary.GoVersion, "Go version", "Version", mostValues),
	} {
		if len(g.Rows) > 0 {
			v.Groups = append(v.Groups, g)
		}
	}
}

func newGroup(d *Data, dimension, title, name string, most int) group {
	g := group{ID: dimension, Title: title, Name: name}
	mostly := map[string]*summary.Row{}
	for i := range d.Summaries {
		r := &d.Summaries[i]
		if r.Dimension == dimension && r.Class != "" && (mostly[r.Value] == nil || r.Downloads > mostly[r.Value].Downloads) {
			mostly[r.Value] = r
		}
	}
	list := slices.DeleteFunc(d.rowsOf(dimension), func(r *summary.Row) bool { return r.Downloads == 0 || r.Value == "" && r.DownloadsDied == 0 })
	slices.SortStableFunc(list, func(a, b *summary.Row) int {
		return cmp.Or(cmp.Compare(b.RateLow, a.RateLow), cmp.Compare(b.Hits, a.Hits))
	})
	for i, r := range list {
		if i == most {
			var downloads, died int64
			for _, r := range list[i:] {
				downloads, died = downloads+r.Downloads, died+r.DownloadsDied
			}
			g.More = fmt.Sprintf("and %d more: %s of %s died", len(list)-i, number(died), count(downloads, "download"))
			break
		}
		row := groupRow{Value: cmp.Or(frame.Name(r.Value), "not known"), Rate: newRate(r)}
		if m := mostly[r.Value]; m != nil {
			row.Mostly = fmt.Sprintf("%s (%s)", frame.Name(m.Class), number(m.Downloads))
		}
		g.Rows = append(g.Rows, row)
	}
	return g
}

// cases are what to open and what to do, by class.
func (v *view) cases(d *Data, below string) {
	for i := range v.Classes {
		k := slices.IndexFunc(d.Classes, func(c Class) bool { return frame.Name(c.Name) == v.Classes[i].Class })
		c := &d.Classes[k]
		x := caseView{ID: v.Classes[i].ID, Class: v.Classes[i].Class, Title: v.Classes[i].Title, N: count(sum(c.Places), "download")}
		if e, ok := messages.English.Explain(diagnose.Class(c.Name)); ok {
			x.Seen = frame.Parts(e.Seen)
		}
		for _, e := range c.Examples {
			w := exampleView{File: frame.Tame(strings.TrimPrefix(e.File, below)), Href: e.Href, Case: e.Case, Summary: frame.Tame(e.Summary), Level: words(e.Level, 1), Where: frame.Name(e.Machine)}
			if e.Document > 0 {
				w.File += fmt.Sprintf(", report %d", e.Document)
			}
			if e.Time != nil {
				w.When = minute(*e.Time)
			}
			x.Examples = append(x.Examples, w)
		}
		for _, s := range c.Steps[:min(len(c.Steps), mostSteps)] {
			x.Steps = append(x.Steps, frame.Parts(frame.Tame(s)))
		}
		v.Cases = append(v.Cases, x)
	}
}

// commonDir returns the directory that all files which the page names are in, with
// a separator at its end; empty for none.
func commonDir(d *Data) string {
	dir, first := "", true
	see := func(file string) {
		of := file[:strings.LastIndexAny(file, `/\`)+1]
		if first {
			dir, first = of, false
		}
		for !strings.HasPrefix(of, dir) {
			dir = dir[:strings.LastIndexAny(dir[:len(dir)-1], `/\`)+1]
		}
	}
	for i := range d.Classes {
		for _, e := range d.Classes[i].Examples {
			see(e.File)
		}
	}
	for i := range d.Problems {
		see(d.Problems[i].File)
	}
	return dir
}

// basis is what the page rests on.
func (v *view) basis(d *Data, below string) {
	f := &d.Files
	v.Files = []fact{
		{"Files", number(f.Matched)}, {"Read to their end", number(f.OK)}, {"Damaged, read as far as they go", number(f.Damaged)},
		{"Unreadable", number(f.Unreadable)}, {"Not analysed", number(f.NotAnalysed)}, {"Copies of others", number(f.Duplicate)}, {"Cases", number(d.Cases)}, {"Cases without a download to judge", number(d.Quiet)},
		{"Reports left out, their case is counted", number(d.Duplicates)},
	}
	shown := 0
	for i := range d.Problems {
		p := &d.Problems[i]
		if shown == mostProblems {
			break
		}
		shown++
		reason := p.Reason
		if p.Offset != nil && p.Status != rows.StatusDuplicate {
			reason = fmt.Sprintf("at offset %d: %s", *p.Offset, reason)
		}
		v.Problems = append(v.Problems, problem{frame.Tame(strings.TrimPrefix(p.File, below)), p.Status, frame.Tame(reason)})
	}
	if n := len(d.Problems) - shown + d.ProblemsOmitted; n > 0 {
		v.ProblemMore = fmt.Sprintf("and %s more: the table files has all", count(int64(n), "file"))
	}
	for _, s := range d.Unassessed {
		v.Unassessed = append(v.Unassessed, saidView{frame.Parts(frame.Tame(s.Text)), count(s.Downloads, "download")})
	}
	v.UnassessedN = d.UnassessedMore
	if d.Redacted {
		v.Privacy = append(v.Privacy, frame.Parts("Private names, addresses and paths on this page are pseudonyms, the same ones as in the tables beside it. Names of public module proxies stay."))
		if d.Key != "" {
			v.Privacy = append(v.Privacy, frame.Parts("They are made with the key `"+frame.Name(d.Key)+"`: results with the same key have the same ones."))
		}
	} else {
		v.Privacy = append(v.Privacy, frame.Parts("Nothing is replaced on this page: it shows private names, addresses and paths as they are. Look through it before you pass it on."))
	}
	v.Method = fmt.Sprintf("Intervals hold the rate with %s (%s).", percent(d.Interval.Confidence), d.Interval.Method)
}
