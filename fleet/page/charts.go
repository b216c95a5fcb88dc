package page

import (
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strconv"
	"time"

	"goproxytrace/report/charts"
	"goproxytrace/report/page/frame"
)

const (
	mostSpans = 60 // bars of a chart
	// leastCharted is how many downloads make a history worth drawing.
	leastCharted = 10
)

// stretches are lengths of time that bars stand for.
var stretches = []struct {
	length time.Duration
	name   string
	layout string
}{
	{time.Hour, "an hour", "2 Jan 15:00"}, {6 * time.Hour, "six hours", "2 Jan 15:00"}, {24 * time.Hour, "a day", "2 Jan"},
	{7 * 24 * time.Hour, "a week", "2 Jan"}, {28 * 24 * time.Hour, "four weeks", "2 Jan 2006"}, {364 * 24 * time.Hour, "fifty-two weeks", "2 Jan 2006"},
}

// monday is where weeks begin.
var monday = time.Date(1970, 1, 5, 0, 0, 0, 0, time.UTC)

// charts draws histories, all over the same time.
func (v *view) charts(d *Data) {
	all := d.All
	if len(all) == 0 || v.Tone != "died" {
		return
	}
	hours := slices.SortedFunc(maps.Keys(all), time.Time.Compare)
	first, last := hours[0], hours[len(hours)-1]
	k := 0
	for k+1 < len(stretches) && last.Sub(first)/stretches[k].length >= mostSpans {
		k++
	}
	s := stretches[k]
	v.Stretch = s.name
	begin := monday.Add(first.Sub(monday).Truncate(s.length))
	n := min(int(last.Sub(begin)/s.length)+1, 4*mostSpans)
	add := func(name string, isClass bool, h History) {
		id := "h" + strconv.Itoa(len(v.Charts))
		c := charts.History{
			Frame: charts.Frame{ID: id, Languages: []string{"en"}, Title: charts.Say("Downloads over time"), LabelledBy: id + "n"}, Spans: make([]charts.Span, n), Mark: -1,
		}
		for at, x := range h {
			if i := int(at.Sub(begin) / s.length); i >= 0 && i < n {
				c.Spans[i].All += x.All
				c.Spans[i].Kind += x.Died
			}
		}
		out := chart{ID: id, Name: name, Class: isClass}
		empty := 0
		for i := range c.Spans {
			x := &c.Spans[i]
			when := begin.Add(time.Duration(i) * s.length).Format(s.layout)
			if x.All == 0 {
				empty++
				continue
			}
			x.Tip = charts.Say(fmt.Sprintf("%s: %d of %s", when, x.Kind, count(x.All, "download")))
			out.Rows = append(out.Rows, chartRow{when, x.Kind, x.All})
		}
		for _, i := range []int{0, n / 2, n - 1} {
			if len(c.Ticks) == 0 || i-c.Ticks[len(c.Ticks)-1].At > n/4 {
				c.Ticks = append(c.Ticks, charts.HistoryTick{At: i, Name: charts.Say(begin.Add(time.Duration(i) * s.length).Format(s.layout))})
			}
		}
		f, l := span(h)
		out.Said = fmt.Sprintf("First %s, last %s; no clear change.", stamp(f), stamp(l))
		if x, ok := h.change(); ok {
			c.Mark, out.Marked = int(x.Since.Sub(begin)/s.length), true
			out.Said = fmt.Sprintf("%s → %s since %s", percent(x.From), percent(x.To), stamp(x.Since))
			if x.Since.Sub(x.Before) > time.Hour {
				out.Said += fmt.Sprintf(" (no downloads after %s)", stamp(x.Before))
			}
			out.Said += fmt.Sprintf("; last %s.", stamp(l))
		}
		c.Desc = charts.Say(out.Said)
		if empty > 0 {
			c.Desc = charts.Say(fmt.Sprintf("%s %d of %d bars have no downloads.", out.Said, empty, n))
		}
		out.SVG = template.HTML(c.Draw())
		v.Charts = append(v.Charts, out)
	}
	add("All downloads", false, all)
	hosts := worstHosts(d)
	shown := 0
	for _, r := range hosts {
		if h := d.Hosts[r]; h.Downloads >= leastCharted && shown < mostCharts {
			add(frame.Name(r), false, h.History)
			shown++
		}
	}
	for i := range d.Classes[:min(len(d.Classes), mostCharts)] {
		if sum(d.Classes[i].Places) == 1 && i > 0 {
			break
		}
		add(frame.Name(d.Classes[i].Name), true, d.Classes[i].History)
	}
	if len(hosts) > shown {
		v.ChartsMore = fmt.Sprintf("Further %s are in the table above.", count(int64(len(hosts)-shown), "host"))
	}
}
