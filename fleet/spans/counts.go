package spans

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"goproxytrace/report"
)

// Metrics count verdicts.
const (
	metricCases       = Prefix + "cases"
	metricProcesses   = Prefix + "processes"
	metricConnections = Prefix + "connections"
	metricLookups     = Prefix + "lookups"
	metricAttempts    = Prefix + "attempts"
)

// Units are those of the metrics (UCUM annotations), by name.
var Units = map[string]string{
	metricCases: "{case}", metricProcesses: "{process}", metricConnections: "{connection}", metricLookups: "{lookup}", metricAttempts: "{attempt}",
}

// Series is a counter: a metric with its attributes, all of them strings.
type Series struct {
	Metric     string            `json:"metric"`
	Host       string            `json:"host,omitempty"` // of the resource
	Attributes map[string]string `json:"attributes,omitempty"`
}

// Key is a Series as text: the same series have the same.
func (s *Series) Key() string {
	b, err := json.Marshal(s) // members of maps come sorted
	if err != nil {
		panic(err) // strings alone
	}
	return string(b)
}

// ParseKey undoes Key.
func ParseKey(key string) (s Series, err error) {
	err = json.Unmarshal([]byte(key), &s)
	return s, err
}

// maxLabel bounds what a metric's attribute holds, in bytes.
const maxLabel = 200

// counts are the verdicts of one case, by series.
type counts map[countKey]uint64

type countKey struct{ metric, class, stage, place, level, server string }

func (c counts) add(metric string, v *report.Verdict, server string) {
	if v.Class != "" {
		c[countKey{metric, v.Class, v.Stage, strings.Join(v.Place, ","), v.Level, server}]++
	}
}

// Counts returns how many verdicts of each kind the case has, by Series.Key.
func (b *Plan) Counts() map[string]uint64 {
	out := make(map[string]uint64, len(b.counts))
	for k, n := range b.counts {
		s := Series{Metric: k.metric, Host: bounded(text(b.c.Host), maxLabel), Attributes: map[string]string{}}
		for name, value := range map[string]string{
			keyClass: k.class, keyVStage: k.stage, keyPlace: k.place, keyLevel: k.level, key(semconv.ServerAddressKey): k.server,
		} {
			if value != "" {
				s.Attributes[name] = bounded(text(value), maxLabel)
			}
		}
		out[s.Key()] += n
	}
	return out
}

// Metrics lists the names of the metrics.
func Metrics() []string { return slices.Sorted(maps.Keys(Units)) }
