package questions

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What the reports say, read without this project's code and counted without SQL.

type saidVerdict struct {
	Class, Level string
	Place        []string
}

func (v *saidVerdict) died() bool {
	return v.Class != "ok" && v.Class != "no-traffic" && v.Class != "capture.unusable"
}

type saidConnection struct {
	Start   time.Time
	Host    string             `json:"server_name"`
	Stages  map[string]float64 `json:"stages_ms"`
	Verdict saidVerdict
}

type saidLookup struct {
	Start        time.Time
	Name, Server string
	RCode        string
	MS           *float64
	Verdict      saidVerdict
}

type saidCase struct {
	machine   string
	Capture   struct{ Start time.Time }
	Verdict   saidVerdict
	Processes []struct {
		PID     int
		Verdict saidVerdict
	}
	Connections []saidConnection
	Lookups     []saidLookup
}

// cases reads the farm's reports. Each is on one run of the go command.
func cases(t *testing.T, dir string) (out []saidCase) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "captures", "*", "*.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if strings.HasPrefix(filepath.Base(path), "copy of ") {
			continue
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		s := bufio.NewScanner(f)
		s.Buffer(nil, 64<<20)
		for s.Scan() {
			c := saidCase{machine: filepath.Base(filepath.Dir(path))}
			if err := json.Unmarshal(s.Bytes(), &c); err != nil {
				t.Fatal(err)
			}
			if len(c.Processes) != 1 {
				t.Fatalf("%s: %d processes", path, len(c.Processes))
			}
			if c.Verdict = c.Processes[0].Verdict; c.Verdict.Class != "no-traffic" && c.Verdict.Class != "capture.unusable" {
				out = append(out, c)
			}
		}
		f.Close()
	}
	if len(out) < 300 {
		t.Fatalf("%d cases", len(out))
	}
	return out
}

// hosts are the hosts that a case is about; killer is the one whose death was the
// run's, empty for none, and lookup is the one that died there, nil where it was a
// connection.
func (c *saidCase) hosts() (all map[string]bool, killer string, lookup *saidLookup) {
	all = map[string]bool{}
	var at time.Time
	exact := false
	see := func(host string, start time.Time, v *saidVerdict, l *saidLookup) {
		if host == "" {
			return
		}
		all[host] = true
		if !c.Verdict.died() || !v.died() {
			return
		}
		same := v.Class == c.Verdict.Class
		if same == exact && !start.Before(at) || same && !exact {
			killer, at, exact, lookup = host, start, same, l
		}
	}
	for i := range c.Lookups {
		see(c.Lookups[i].Name, c.Lookups[i].Start, &c.Lookups[i].Verdict, &c.Lookups[i])
	}
	for i := range c.Connections {
		see(c.Connections[i].Host, c.Connections[i].Start, &c.Connections[i].Verdict, nil)
	}
	return all, killer, lookup
}

// wilson finds the shares at which k of n would be just 1.96 standard deviations
// away, by halving: Wilson's interval without his formula.
func wilson(k, n int) (low, high float64) {
	p := float64(k) / float64(n)
	away := func(q float64) bool { return math.Abs(p-q) > 1.96*math.Sqrt(q*(1-q)/float64(n)) }
	find := func(in, out float64) float64 {
		for range 60 {
			if m := (in + out) / 2; away(m) {
				out = m
			} else {
				in = m
			}
		}
		return in
	}
	return find(p, 0), find(p, 1)
}

func tenths(x float64) string { return plain(math.Floor(1000*x+0.5) / 10) }

// table looks rows up by their first cells, and cells by their columns.
type table struct {
	t     *testing.T
	title string
	a     answer
	seen  map[int]bool
}

func (x *table) check(key []string, want map[string]string) {
	x.t.Helper()
	for i, r := range x.a.rows {
		if !slices.Equal(r[:len(key)], key) {
			continue
		}
		x.seen[i] = true
		for column, w := range want {
			if got := r[slices.Index(x.a.columns, column)]; got != w && !near(got, w) {
				x.t.Errorf("%s %q: %s is %s, the reports have %s", x.title, key, column, got, w)
			}
		}
		return
	}
	x.t.Errorf("%s: no row %q", x.title, key)
}

// near reports whether two shares differ by the last digit alone, by which
// formulas with another rounding of 1.96 may differ.
func near(a, b string) bool {
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	return errX == nil && errY == nil && strings.Contains(a+b, ".") && math.Abs(x-y) < 0.1001
}

func (x *table) all() {
	x.t.Helper()
	for i, r := range x.a.rows {
		if !x.seen[i] {
			x.t.Errorf("%s: the reports have no row %q", x.title, r)
		}
	}
}

// checkAnswers compares answers with what is counted here.
func checkAnswers(t *testing.T, g guide, answers []answer, list []saidCase) {
	open := func(number string) *table {
		for i, q := range g.questions {
			if strings.HasPrefix(q.title, number+".") {
				return &table{t, q.title, answers[i], map[int]bool{}}
			}
		}
		t.Fatalf("no question %s", number)
		return nil
	}
	checkHosts(open("1"), list)
	checkSince(open("2"), list)
	checkClasses(open("3"), list)
	checkStages(open("7"), list)
	checkMachines(open("8"), list)
	checkWeeks(open("9"), list)
	checkResolvers(open("10"), list)
	checkRescued(open("12"), list)
}

type count struct {
	runs, deaths       int
	machines, deathsOn map[string]bool
}

func perHost(list []saidCase) map[string]*count {
	out := map[string]*count{}
	for i := range list {
		hosts, killer, _ := list[i].hosts()
		for h := range hosts {
			c := out[h]
			if c == nil {
				c = &count{machines: map[string]bool{}, deathsOn: map[string]bool{}}
				out[h] = c
			}
			c.runs++
			c.machines[list[i].machine] = true
			if h == killer {
				c.deaths++
				c.deathsOn[list[i].machine] = true
			}
		}
	}
	return out
}

func (c *count) columns() map[string]string {
	low, high := wilson(c.deaths, c.runs)
	return map[string]string{
		"runs": fmt.Sprint(c.runs), "deaths": fmt.Sprint(c.deaths), "percent": tenths(float64(c.deaths) / float64(c.runs)), "low": tenths(low), "high": tenths(high),
	}
}

func checkHosts(x *table, list []saidCase) {
	for host, c := range perHost(list) {
		want := c.columns()
		want["machines"], want["machines_with_deaths"] = fmt.Sprint(len(c.machines)), fmt.Sprint(len(c.deathsOn))
		x.check([]string{host}, want)
	}
	x.all()
}

// checkSince looks for the change of the host whose change is clear by trying
// every hour.
func checkSince(x *table, list []saidCase) {
	const host = "mirror.example"
	type run struct {
		hour time.Time
		died bool
	}
	var runs []run
	for i := range list {
		hosts, killer, _ := list[i].hosts()
		if hosts[host] {
			runs = append(runs, run{list[i].Capture.Start.Truncate(time.Hour), killer == host})
		}
	}
	sort.SliceStable(runs, func(i, j int) bool { return runs[i].hour.Before(runs[j].hour) })
	// fit is the logarithm of the likelihood of runs with one share.
	fit := func(part []run) float64 {
		k := 0
		for _, r := range part {
			if r.died {
				k++
			}
		}
		sum := 0.0
		for _, r := range part {
			p := float64(k) / float64(len(part))
			if !r.died {
				p = 1 - p
			}
			sum += math.Log(p)
		}
		return sum
	}
	best, at := 0.0, 0
	for i := 1; i < len(runs); i++ {
		if runs[i].hour.Equal(runs[i-1].hour) {
			continue
		}
		if s := 2 * (fit(runs[:i]) + fit(runs[i:]) - fit(runs)); s > best+1e-9 {
			best, at = s, i
		}
	}
	x.check([]string{host}, map[string]string{
		"still_in": runs[at-1].hour.Format(time.DateTime), "since": runs[at].hour.Format(time.DateTime), "score": plain(math.Floor(best + 0.5)),
	})
}

func checkClasses(x *table, list []saidCase) {
	counts := map[string]int{}
	for i := range list {
		if v := &list[i].Verdict; v.died() {
			counts[strings.Join([]string{v.Class, strings.Join(v.Place, ","), v.Level}, "|")]++
		}
	}
	for _, r := range x.a.rows {
		x.check(r[:3], map[string]string{"runs": fmt.Sprint(counts[strings.Join(r[:3], "|")])})
	}
	shown := 0
	for _, r := range x.a.rows {
		n, _ := strconv.Atoi(r[3])
		shown = max(shown, n)
	}
	most := 0
	for _, n := range counts {
		most = max(most, n)
	}
	if most != shown || len(counts) < len(x.a.rows) {
		x.t.Errorf("%s: the most frequent one has %d runs, the reports have %d", x.title, shown, most)
	}
}

func checkStages(x *table, list []saidCase) {
	for _, r := range x.a.rows {
		var longest []float64
		for i := range list {
			m := -1.0
			for _, c := range list[i].Connections {
				if ms, ok := c.Stages[strings.ReplaceAll(r[1], " ", "_")]; ok && c.Host == r[0] && !c.Verdict.died() {
					m = max(m, ms)
				}
			}
			if m >= 0 {
				longest = append(longest, m)
			}
		}
		slices.Sort(longest)
		quantile := func(p float64) string {
			at := p * float64(len(longest)-1)
			i := int(at)
			v := longest[i]
			if i+1 < len(longest) {
				v += (at - float64(i)) * (longest[i+1] - v)
			}
			return plain(math.Floor(v + 0.5))
		}
		x.check(r[:2], map[string]string{"cases": fmt.Sprint(len(longest)), "p50_ms": quantile(0.5), "p95_ms": quantile(0.95)})
	}
}

func checkMachines(x *table, list []saidCase) {
	counts := map[string]*count{}
	for i := range list {
		c := counts[list[i].machine]
		if c == nil {
			c = &count{}
			counts[list[i].machine] = c
		}
		c.runs++
		if list[i].Verdict.died() {
			c.deaths++
		}
	}
	for machine, c := range counts {
		x.check([]string{machine}, c.columns())
	}
	x.all()
}

func checkWeeks(x *table, list []saidCase) {
	monday := time.Date(2026, 11, 16, 0, 0, 0, 0, time.UTC)
	var before, after []saidCase
	for _, c := range list {
		if c.Capture.Start.Before(monday) {
			before = append(before, c)
		} else {
			after = append(after, c)
		}
	}
	b, a := perHost(before), perHost(after)
	for host := range b {
		if a[host] == nil {
			continue
		}
		points := 100 * (float64(a[host].deaths)/float64(a[host].runs) - float64(b[host].deaths)/float64(b[host].runs))
		x.check([]string{host}, map[string]string{
			"runs_before": fmt.Sprint(b[host].runs), "deaths_before": fmt.Sprint(b[host].deaths), "runs_after": fmt.Sprint(a[host].runs),
			"deaths_after": fmt.Sprint(a[host].deaths), "points": tenths(points / 100),
		})
	}
	x.all()
}

func checkResolvers(x *table, list []saidCase) {
	type tally struct{ lookups, cases, unanswered, errors, killed int }
	counts := map[string]*tally{}
	for i := range list {
		_, _, died := list[i].hosts()
		asked := map[string]bool{}
		for k := range list[i].Lookups {
			l := &list[i].Lookups[k]
			server := strings.TrimSuffix(l.Server, ":53")
			if counts[server] == nil {
				counts[server] = &tally{}
			}
			c := counts[server]
			c.lookups++
			switch {
			case l.RCode == "":
				c.unanswered++
			case l.RCode != "NOERROR":
				c.errors++
			}
			if !asked[server] {
				asked[server] = true
				c.cases++
			}
			if l == died {
				c.killed++
			}
		}
	}
	for server, c := range counts {
		x.check([]string{server}, map[string]string{
			"lookups": fmt.Sprint(c.lookups), "cases": fmt.Sprint(c.cases), "unanswered": fmt.Sprint(c.unanswered), "errors": fmt.Sprint(c.errors), "killed": fmt.Sprint(c.killed),
		})
	}
	x.all()
}

func checkRescued(x *table, list []saidCase) {
	counts := map[string]int{}
	for i := range list {
		if list[i].Verdict.died() {
			continue
		}
		found := map[string]bool{}
		for _, l := range list[i].Connections {
			for _, c := range list[i].Connections {
				if l.Verdict.died() && !c.Verdict.died() && c.Start.After(l.Start) {
					found[l.Host+"|"+l.Verdict.Class+"|"+c.Host] = true
				}
			}
		}
		for key := range found {
			counts[key]++
		}
	}
	for key, n := range counts {
		x.check(strings.Split(key, "|"), map[string]string{"runs": fmt.Sprint(n)})
	}
	x.all()
}
