package compare

import (
	"encoding/json"
	"io"
	"math"
	"time"

	"goproxytrace/report"
	"goproxytrace/report/messages"
)

// The JSON document. Unknown values are absent or null, never a guess.
type (
	jsonComparison struct {
		Schema string         `json:"schema"`
		Tool   map[string]any `json:"tool"`
		Alpha  float64        `json:"alpha"`
		Tests  int            `json:"tests"`
		// Needed is the number of runs that each side needs at least.
		Needed      *int             `json:"runs_needed"`
		Summary     string           `json:"summary"`
		Sides       []jsonSide       `json:"sides"`
		Differences []jsonDifference `json:"differences"`
		Cautions    []jsonCaution    `json:"cautions"`
		Groups      []jsonGroup      `json:"groups"`
	}
	jsonSide struct {
		Name string    `json:"name"`
		Runs []jsonRun `json:"runs"`
	}
	jsonRun struct {
		File    string     `json:"file"`
		Start   *time.Time `json:"start"`
		Packets int64      `json:"packets"`
		Dropped *uint64    `json:"dropped"`
		Verdict string     `json:"verdict"`
		Damaged bool       `json:"damaged"`
	}
	jsonDifference struct {
		Host string `json:"host"`
		Row  string `json:"row"`
		Text string `json:"text"`
	}
	jsonCaution struct {
		ID   string `json:"id"`
		Text string `json:"text"`
	}
	jsonGroup struct {
		Host  string     `json:"host"` // empty for the runs as a whole
		Rows  []jsonRow  `json:"rows"`
		Pairs []jsonPair `json:"connections,omitempty"`
	}
	jsonRow struct {
		ID       string     `json:"id"`
		Kind     string     `json:"kind"` // number or outcome
		Unit     Unit       `json:"unit,omitempty"`
		A        jsonSample `json:"a"`
		B        jsonSample `json:"b"`
		P        *float64   `json:"p"`
		Adjusted *float64   `json:"p_adjusted"`
		Result   Result     `json:"result"`
	}
	jsonSample struct {
		Runs     int            `json:"runs"`
		Of       int            `json:"of"`
		Values   []float64      `json:"values,omitempty"`
		Median   *float64       `json:"median,omitempty"`
		Interval *[2]float64    `json:"interval_95,omitempty"`
		Outcomes []OutcomeCount `json:"outcomes,omitempty"`
	}
	jsonPair struct {
		A *jsonConnectionSide `json:"a"`
		B *jsonConnectionSide `json:"b"`
	}
	jsonConnectionSide struct {
		Client          string   `json:"client"`
		FirstFrame      int64    `json:"first_frame"`
		Reached         string   `json:"reached"`
		Verdict         string   `json:"verdict"`
		Connect         *float64 `json:"connect_ms"`
		TLS             *float64 `json:"tls_ms"`
		FirstByte       *float64 `json:"first_byte_ms"`
		Transfer        *float64 `json:"transfer_ms"`
		FromServer      uint64   `json:"bytes_from_server"`
		Retransmissions uint32   `json:"retransmissions"`
		Resets          uint32   `json:"resets_from_server"`
	}
)

// WriteJSON writes the comparison as a JSON document, in English.
func WriteJSON(w io.Writer, c *Comparison) error {
	english := *c
	english.Language = messages.English // what programs read is in one language
	c = &english
	out := jsonComparison{
		Schema: Schema, Tool: map[string]any{"version": c.Version}, Alpha: c.Alpha, Tests: c.Tests, Summary: c.headline(),
		Differences: []jsonDifference{}, Cautions: []jsonCaution{},
	}
	if c.Needed > 0 {
		out.Needed = &c.Needed
	}
	for i := range c.Sides {
		s := jsonSide{Name: c.Sides[i].Name}
		for _, r := range c.Sides[i].Runs {
			run := jsonRun{File: r.File, Packets: r.Packets, Dropped: r.Dropped, Verdict: r.Class, Damaged: r.Damaged}
			if !r.Start.IsZero() {
				run.Start = &r.Start
			}
			s.Runs = append(s.Runs, run)
		}
		out.Sides = append(out.Sides, s)
	}
	for g, r := range c.Differences() {
		out.Differences = append(out.Differences, jsonDifference{g.Host, r.ID, c.sentence(g, r)})
	}
	for _, x := range c.Cautions {
		out.Cautions = append(out.Cautions, jsonCaution{x.ID, c.Language.Compared(x.ID, x.Values...)})
	}
	for i := range c.Groups {
		out.Groups = append(out.Groups, groupJSON(&c.Groups[i]))
	}
	raw, err := json.MarshalIndent(out, "", " ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(report.EscapeJSON(raw), '\n'))
	return err
}

func groupJSON(g *Group) jsonGroup {
	out := jsonGroup{Host: g.Host, Rows: []jsonRow{}}
	for i := range g.Rows {
		r := &g.Rows[i]
		row := jsonRow{ID: r.ID, Kind: "number", Unit: r.Unit, A: sampleJSON(&r.A), B: sampleJSON(&r.B), P: known(r.P), Adjusted: known(r.Adjusted), Result: r.Result}
		if r.Outcomes {
			row.Kind = "outcome"
		}
		out.Rows = append(out.Rows, row)
	}
	side := func(c *Connection) *jsonConnectionSide {
		if c == nil {
			return nil
		}
		s := jsonConnectionSide(*c)
		return &s
	}
	for _, p := range g.Pairs {
		out.Pairs = append(out.Pairs, jsonPair{side(p.A), side(p.B)})
	}
	return out
}

func sampleJSON(s *Sample) jsonSample {
	out := jsonSample{Runs: s.Runs, Of: s.Of, Values: s.Values, Outcomes: s.Counts}
	if len(s.Values) > 0 {
		out.Median = &s.Median
		if s.Bounded {
			out.Interval = &[2]float64{s.Low, s.High}
		}
	}
	return out
}

func known(v float64) *float64 {
	if math.IsNaN(v) {
		return nil
	}
	return &v
}
