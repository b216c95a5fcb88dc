package summary

import (
	"cmp"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat/distuv"
)

// Confidence is the confidence of the intervals.
const Confidence = 0.95

// Method names them: Clopper and Pearson, "The use of confidence or fiducial
// limits illustrated in the case of the binomial", Biometrika 26 (1934),
// 404-413. They hold the confidence for every rate and every number of downloads,
// and are wider than needed for few.
const Method = "Clopper-Pearson 1934"

// Interval returns the confidence interval of the rate hits/of.
func Interval(hits, of int64) (low, high float64) {
	if of <= 0 {
		return 0, 1
	}
	tail := (1 - Confidence) / 2
	low, high = 0, 1
	if hits > 0 {
		low = distuv.Beta{Alpha: float64(hits), Beta: float64(of - hits + 1)}.Quantile(tail)
	}
	if hits < of {
		high = distuv.Beta{Alpha: float64(hits + 1), Beta: float64(of - hits)}.Quantile(1 - tail)
	}
	return low, high
}

// What a rate is.
const (
	// RateDeaths is the share of a key's downloads that died: for a host,
	// resolver, family or issuer, in which something with that key died, too. A
	// death that was made good kills no download: the name of a host without
	// IPv4 has no A record, and that is no fault.
	RateDeaths = "deaths"
	// RateShare is the share of downloads that have the key, of all; with a
	// class, of those of the dimension's value.
	RateShare = "share"
)

// Row is a row of the table summaries.
type Row struct {
	// Dimension is what is counted by; Value is null where it is not known, or
	// for the total. Class is null, or the class that something with that value
	// ended as.
	Dimension string `parquet:"dimension,dict" json:"dimension"`
	Value     string `parquet:"value,optional,dict" json:"value,omitempty"`
	Class     string `parquet:"class,optional,dict" json:"class,omitempty"`
	// Rate is Hits by Of, both numbers of downloads; RateOf says of which.
	// RateLow and RateHigh are the bounds of its 95 % confidence interval.
	RateOf   string  `parquet:"rate_of,dict" json:"rate_of"`
	Hits     int64   `parquet:"hits" json:"hits"`
	Of       int64   `parquet:"of" json:"of"`
	Rate     float64 `parquet:"rate" json:"rate"`
	RateLow  float64 `parquet:"rate_low" json:"rate_low"`
	RateHigh float64 `parquet:"rate_high" json:"rate_high"`

	Downloads       int64 `parquet:"downloads" json:"downloads"`
	DownloadsDied   int64 `parquet:"downloads_died" json:"downloads_died"`
	Connections     int64 `parquet:"connections" json:"connections"`
	ConnectionsDied int64 `parquet:"connections_died" json:"connections_died"`
	Lookups         int64 `parquet:"lookups" json:"lookups"`
	LookupsDied     int64 `parquet:"lookups_died" json:"lookups_died"`
	Attempts        int64 `parquet:"attempts" json:"attempts"`
	AttemptsDied    int64 `parquet:"attempts_died" json:"attempts_died"`
	// When something with the key began first and last; null where not known.
	FirstSeen *time.Time `parquet:"first_seen,optional,timestamp(microsecond)" json:"first_seen,omitempty"`
	LastSeen  *time.Time `parquet:"last_seen,optional,timestamp(microsecond)" json:"last_seen,omitempty"`
}

// order is that in which dimensions are listed.
var order = []string{Total, Class, Place, Level, Hour, Host, Resolver, Family, CertificateIssuer, GoVersion, Process, Machine}

// maxRows bounds the rows of one dimension; those with the fewest downloads are
// left out.
const maxRows = 10_000

// Rows returns the rows of a sum: dimensions in their order, hours by time, other
// values by their downloads and then by name, each followed by its classes.
// Omitted counts rows beyond the bound.
func (s *Sum) Rows() (out []Row, omitted int) {
	parents := make(map[Key]*Counts)
	for i := range s.Cells {
		if c := &s.Cells[i]; c.Second == "" {
			parents[c.Key] = &c.Counts
		}
	}
	total := parents[Key{Dimension: Total}]
	if total == nil {
		total = new(Counts)
	}
	cells := slices.Clone(s.Cells)
	slices.SortStableFunc(cells, func(a, b Cell) int {
		if n := cmp.Compare(slices.Index(order, a.Dimension), slices.Index(order, b.Dimension)); n != 0 {
			return n
		}
		if a.Value != b.Value {
			if a.Dimension != Hour {
				x, y := parents[Key{Dimension: a.Dimension, Value: a.Value}], parents[Key{Dimension: b.Dimension, Value: b.Value}]
				if n := cmp.Or(cmp.Compare(y.Downloads, x.Downloads), cmp.Compare(y.Connections, x.Connections)); n != 0 {
					return n
				}
			}
			return cmp.Compare(a.Value, b.Value)
		}
		if (a.Second == "") != (b.Second == "") {
			if a.Second == "" {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.Downloads, a.Downloads), cmp.Compare(a.Second, b.Second))
	})
	listed := make(map[string]int)
	for i := range cells {
		c := &cells[i]
		if listed[c.Dimension] >= maxRows {
			omitted++
			continue
		}
		listed[c.Dimension]++
		r := Row{
			Dimension: c.Dimension, Value: c.Value, Class: c.Second, RateOf: RateDeaths, Hits: c.DownloadsDied, Of: c.Downloads,
			Downloads: c.Downloads, DownloadsDied: c.DownloadsDied, Connections: c.Connections, ConnectionsDied: c.ConnectionsDied,
			Lookups: c.Lookups, LookupsDied: c.LookupsDied, Attempts: c.Attempts, AttemptsDied: c.AttemptsDied,
			FirstSeen: at(c.First), LastSeen: at(c.Last),
		}
		switch {
		case c.Second != "":
			r.RateOf, r.Hits, r.Of = RateShare, c.Downloads, parents[Key{Dimension: c.Dimension, Value: c.Value}].Downloads
		case c.Dimension == Class || c.Dimension == Place || c.Dimension == Level:
			r.RateOf, r.Hits, r.Of = RateShare, c.Downloads, total.Downloads
		}
		if r.Of > 0 {
			r.Rate = float64(r.Hits) / float64(r.Of)
		}
		r.RateLow, r.RateHigh = Interval(r.Hits, r.Of)
		out = append(out, r)
	}
	return out, omitted
}

func at(us int64) *time.Time {
	if us == 0 {
		return nil
	}
	t := time.UnixMicro(us).UTC()
	return &t
}
