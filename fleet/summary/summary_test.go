package summary

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"goproxytrace/fleet/rows"
)

var (
	died = rows.Judgement{Class: "tls.reset", Stage: "tls", Place: "network", Level: "proven", Died: true}
	fine = rows.Judgement{Class: "ok", Stage: "done", Level: "proven"}
	hour = time.Date(2026, 11, 28, 10, 15, 0, 0, time.UTC)
)

func pid(n int64) *int64 { return &n }

// document feeds one case: connections by go command, to hosts.
func (c *Collector) feed(t *testing.T, whole rows.Judgement, runs map[int64]rows.Judgement, connections ...rows.Connection) {
	t.Helper()
	start := hour
	c.Begin(rows.Source{})
	check(t, c.Verdict(&rows.Verdict{Source: rows.Source{CaptureStart: &start}, Subject: rows.Subject{Subject: rows.SubjectCapture}, Judgement: whole, GoVersion: "go1.26"}))
	for p, v := range runs {
		check(t, c.Verdict(&rows.Verdict{Subject: rows.Subject{Subject: rows.SubjectProcess}, Judgement: v, PID: pid(p), GoPID: pid(p), ProcessName: "go", GoVersion: "go1.26"}))
	}
	for i := range connections {
		connections[i].Start = &start
		check(t, c.Connection(&connections[i]))
	}
	c.End()
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func row(t *testing.T, list []Row, dimension, value, class string) Row {
	t.Helper()
	for _, r := range list {
		if r.Dimension == dimension && r.Value == value && r.Class == class {
			return r
		}
	}
	t.Fatalf("no row %s %s %s", dimension, value, class)
	return Row{}
}

// Ten connections of one download that all died are one death, as one connection is.
func TestConnectionsOfOneDownloadAreOneTrial(t *testing.T) {
	c := NewCollector()
	many := make([]rows.Connection, 10)
	for i := range many {
		many[i] = rows.Connection{Host: "proxy.example", Family: rows.IPv4, Judgement: died}
	}
	c.feed(t, died, nil, many...)
	c.feed(t, fine, nil, rows.Connection{Host: "proxy.example", Family: rows.IPv4, Judgement: fine})
	list, _ := c.Sum().Rows()
	for _, k := range [][2]string{{Total, ""}, {Host, "proxy.example"}, {Family, rows.IPv4}, {GoVersion, "go1.26"}, {Hour, "2026-11-28T10:00:00Z"}} {
		r := row(t, list, k[0], k[1], "")
		if r.Downloads != 2 || r.DownloadsDied != 1 || r.Rate != 0.5 {
			t.Errorf("%s %s: %d of %d downloads died", k[0], k[1], r.DownloadsDied, r.Downloads)
		}
	}
	if r := row(t, list, Host, "proxy.example", ""); r.Connections != 11 || r.ConnectionsDied != 10 {
		t.Errorf("%d of %d connections died", r.ConnectionsDied, r.Connections)
	}
	if r := row(t, list, Host, "proxy.example", "tls.reset"); r.Hits != 1 || r.Of != 2 || r.RateOf != RateShare {
		t.Errorf("the class of a host is %+v", r)
	}
	if r := row(t, list, Class, "tls.reset", ""); r.Hits != 1 || r.Of != 2 {
		t.Errorf("the class is %+v", r)
	}
	if r := row(t, list, Place, "network", ""); r.Hits != 1 || r.Of != 2 {
		t.Errorf("the place is %+v", r)
	}
}

// Two go commands of one case are two downloads; what is no go command's is none.
func TestDownloadsAreGoCommands(t *testing.T) {
	c := NewCollector()
	c.feed(t, died, map[int64]rows.Judgement{7: died, 8: fine},
		rows.Connection{Host: "a.example", GoPID: pid(7), Judgement: died},
		rows.Connection{Host: "a.example", GoPID: pid(8), Judgement: fine},
		rows.Connection{Host: "b.example", Judgement: died})
	quiet := rows.Judgement{Class: "no-traffic", Level: "none"}
	c.feed(t, quiet, nil)
	c.feed(t, quiet, map[int64]rows.Judgement{9: quiet}) // go version, go env
	s := c.Sum()
	if s.Cases != 3 || s.Quiet != 2 {
		t.Errorf("%d cases, %d quiet", s.Cases, s.Quiet)
	}
	list, _ := s.Rows()
	if r := row(t, list, Total, "", ""); r.Downloads != 2 || r.DownloadsDied != 1 || r.Connections != 3 {
		t.Errorf("total is %+v", r)
	}
	if r := row(t, list, Host, "a.example", ""); r.Downloads != 2 || r.DownloadsDied != 1 {
		t.Errorf("a.example is %+v", r)
	}
	if r := row(t, list, Host, "b.example", ""); r.Downloads != 0 || r.ConnectionsDied != 1 {
		t.Errorf("b.example is %+v", r)
	}
}

// What died in a download that went well was made good, and is nobody's rate.
func TestDeathsThatWereMadeGood(t *testing.T) {
	c := NewCollector()
	c.feed(t, fine, nil, rows.Connection{Host: "a.example", Family: rows.IPv6, Judgement: died}, rows.Connection{Host: "b.example", Family: rows.IPv4, Judgement: fine})
	c.feed(t, died, nil, rows.Connection{Host: "a.example", Family: rows.IPv6, Judgement: died})
	list, _ := c.Sum().Rows()
	for _, k := range [][2]string{{Host, "a.example"}, {Family, rows.IPv6}} {
		if r := row(t, list, k[0], k[1], ""); r.Downloads != 2 || r.DownloadsDied != 1 || r.ConnectionsDied != 2 {
			t.Errorf("%s %s: %d of %d downloads died", k[0], k[1], r.DownloadsDied, r.Downloads)
		}
		if r := row(t, list, k[0], k[1], "tls.reset"); r.Hits != 1 || r.Of != 2 {
			t.Errorf("the class is %+v", r)
		}
	}
}

// Sums that travel as JSON and are added in any order are the sum of all.
func TestSumsAddUp(t *testing.T) {
	all, parts := NewCollector(), []*Collector{NewCollector(), NewCollector(), NewCollector()}
	for i := range 30 {
		v := fine
		if i%7 == 0 {
			v = died
		}
		conn := rows.Connection{Host: fmt.Sprintf("h%d.example", i%4), Judgement: v}
		all.feed(t, v, nil, conn)
		parts[i%3].feed(t, v, nil, conn)
	}
	for _, order := range [][]int{{0, 1, 2}, {2, 0, 1}} {
		got := new(Sum)
		for _, i := range order {
			raw, err := json.Marshal(parts[i].Sum())
			check(t, err)
			var one Sum
			check(t, json.Unmarshal(raw, &one))
			got.Add(&one)
		}
		if !reflect.DeepEqual(got, all.Sum()) {
			t.Errorf("in order %v: %+v\nwant %+v", order, got, all.Sum())
		}
	}
}

// Whoever invents names does not fill the memory.
func TestValuesAreBounded(t *testing.T) {
	c := NewCollector()
	for i := range 3 * maxValues {
		c.feed(t, fine, nil, rows.Connection{Host: fmt.Sprintf("h%d.example", i), Judgement: fine})
	}
	s := c.Sum()
	if n := len(s.Cells); n > maxValues+20 {
		t.Errorf("%d cells", n)
	}
	list, _ := s.Rows()
	if r := row(t, list, Host, Others, ""); r.Downloads != 2*maxValues {
		t.Errorf("others are %+v", r)
	}
}

// The values are those of R's binom.test.
func TestInterval(t *testing.T) {
	for _, c := range []struct {
		hits, of  int64
		low, high float64
	}{
		{0, 10, 0, 0.3084971}, {10, 10, 0.6915029, 1}, {1, 2, 0.01257912, 0.98742088}, {5, 20, 0.08657147, 0.49104587}, {0, 0, 0, 1},
		{81, 263, 0.2527353, 0.3676521},
	} {
		low, high := Interval(c.hits, c.of)
		if math.Abs(low-c.low) > 1e-4 || math.Abs(high-c.high) > 1e-4 {
			t.Errorf("%d of %d: %.7f to %.7f, want %.7f to %.7f", c.hits, c.of, low, high, c.low, c.high)
		}
	}
}

// TestIntervalCovers adds up, for several rates, how probable the results are
// whose interval holds the rate: at least as probable as promised.
func TestIntervalCovers(t *testing.T) {
	for _, p := range []float64{0.01, 0.1, 0.37, 0.5, 0.93} {
		for _, n := range []int64{1, 7, 40} {
			covered := 0.0
			for k := range n + 1 {
				low, high := Interval(k, n)
				if low <= p && p <= high {
					a, _ := math.Lgamma(float64(n + 1))
					b, _ := math.Lgamma(float64(k + 1))
					d, _ := math.Lgamma(float64(n - k + 1))
					covered += math.Exp(a - b - d + float64(k)*math.Log(p) + float64(n-k)*math.Log(1-p))
				}
			}
			if covered < Confidence {
				t.Errorf("rate %v, %d downloads: covered %.4f", p, n, covered)
			}
		}
	}
}

func TestRowsAreOrdered(t *testing.T) {
	c := NewCollector()
	for i := range 5 {
		c.feed(t, fine, nil, rows.Connection{Host: "often.example", Judgement: fine})
		if i < 2 {
			c.feed(t, died, nil, rows.Connection{Host: "a-seldom.example", Judgement: died})
		}
	}
	list, _ := c.Sum().Rows()
	var hosts []string
	for _, r := range list {
		if r.Dimension == Host {
			hosts = append(hosts, r.Value+"/"+r.Class)
		}
	}
	if got := strings.Join(hosts, " "); got != "often.example/ a-seldom.example/ a-seldom.example/tls.reset" {
		t.Error(got)
	}
}

// Reports that somebody else wrote have any classes and names, as long as they like.
func TestClassesAndNamesAreBounded(t *testing.T) {
	c := NewCollector()
	var list []rows.Connection
	host := strings.Repeat("h", 1<<20)
	for i := range 2 * maxClasses {
		v := died
		v.Class = fmt.Sprintf("%d %s", i, strings.Repeat("é", maxName))
		list = append(list, rows.Connection{Host: host, Judgement: v})
	}
	c.feed(t, died, nil, list...)
	s := c.Sum()
	if most := 3 * (maxClasses + 100); len(s.Cells) > most {
		t.Errorf("%d cells, more than %d", len(s.Cells), most)
	}
	for i := range s.Cells {
		if k := s.Cells[i].Key; len(k.Value) > 2*maxName || len(k.Second) > 2*maxName || !utf8.ValidString(k.Second) {
			t.Fatalf("a key of %d and %d bytes", len(k.Value), len(k.Second))
		}
	}
}
