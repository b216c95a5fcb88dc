package report

import (
	"slices"
	"strings"
	"time"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/probe"
	"goproxytrace/report/messages"
)

// ProbeSchema names the shape of the JSON document about control tests.
const ProbeSchema = "goproxytrace.probe/v1"

// Probe is what a reader gets to see of control tests.
type Probe struct {
	Schema      string         `json:"schema"`
	Tool        Tool           `json:"tool"`
	Start       time.Time      `json:"start"`
	End         time.Time      `json:"end"`
	Interrupted bool           `json:"interrupted,omitempty"`
	Captured    bool           `json:"captured"`
	Verdict     ProbeVerdict   `json:"verdict"`
	Hosts       []ProbeHost    `json:"hosts"`
	Attempts    []ProbeAttempt `json:"attempts"`

	language messages.Language
}

// Tool is the program that made a document.
type Tool struct {
	Version string `json:"version"`
}

// ProbeVerdict is a verdict with the difference that it rests on.
type ProbeVerdict struct {
	Cause       string     `json:"cause"`
	Host        string     `json:"host"`
	Address     string     `json:"address,omitempty"`
	Class       string     `json:"class"`
	Stage       string     `json:"stage"`
	Place       []string   `json:"place"`
	Level       string     `json:"level"`
	Summary     string     `json:"summary"`
	Notes       []string   `json:"notes,omitempty"`
	Evidence    []Evidence `json:"evidence"`
	RefutedBy   []string   `json:"refuted_by"`
	NextSteps   []string   `json:"next_steps"`
	NotAssessed []string   `json:"not_assessed"`

	died bool
}

// ProbeHost is one host with its matrix.
type ProbeHost struct {
	Host    string       `json:"host"`
	Port    uint16       `json:"port"`
	Verdict ProbeVerdict `json:"verdict"`
	Matrix  []ProbeCell  `json:"matrix"`
}

// ProbeCell is what the attempts of one arm came to in one lane.
type ProbeCell struct {
	Arm      string `json:"arm"`
	Address  string `json:"address,omitempty"`
	Via      string `json:"via,omitempty"`
	Resolver string `json:"resolver,omitempty"`
	Borrowed bool   `json:"borrowed,omitempty"`
	Passed   int    `json:"passed"`
	Died     int    `json:"died"`
	// Shadowed are failures that are not counted: one before may have caused
	// them.
	Shadowed int    `json:"shadowed"`
	Stage    string `json:"stage,omitempty"`
	Class    string `json:"class,omitempty"`
	// Issuer is that of the certificate that was shown, Location where a
	// redirect leads.
	Issuer   string `json:"issuer,omitempty"`
	Location string `json:"location,omitempty"`

	lane probe.Lane
}

// ProbeAttempt is one attempt.
type ProbeAttempt struct {
	Host      string           `json:"host"`
	Arm       string           `json:"arm"`
	Address   string           `json:"address,omitempty"`
	Via       string           `json:"via,omitempty"`
	Resolver  string           `json:"resolver,omitempty"`
	Start     time.Time        `json:"start"`
	MS        float64          `json:"ms"`
	Client    string           `json:"client,omitempty"`
	Server    string           `json:"server,omitempty"`
	End       string           `json:"end"`
	Stage     string           `json:"stage"`
	Class     string           `json:"class"`
	Place     []string         `json:"place"`
	Level     string           `json:"level"`
	Packets   bool             `json:"packets"`
	Shadowed  bool             `json:"shadowed,omitempty"`
	Detail    string           `json:"detail,omitempty"`
	ConnectMS *float64         `json:"connect_ms,omitempty"`
	TLSMS     *float64         `json:"tls_ms,omitempty"`
	FirstByte *float64         `json:"first_byte_ms,omitempty"`
	Hello     int              `json:"client_hello_bytes,omitempty"`
	Received  int              `json:"received,omitempty"`
	TLS       string           `json:"tls_version,omitempty"`
	ALPN      string           `json:"alpn,omitempty"`
	Status    int              `json:"status,omitempty"`
	Location  string           `json:"location,omitempty"`
	Chain     []probeCertified `json:"certificates,omitempty"`
	Socket    *probeSocket     `json:"socket,omitempty"`
	Answers   []probeAnswer    `json:"answers,omitempty"`
}

type probeCertified = probe.Certified

type probeSocket struct {
	BytesAcked    uint64  `json:"bytes_acked"`
	BytesReceived uint64  `json:"bytes_received"`
	Unacked       uint32  `json:"unacked"`
	Retransmits   uint32  `json:"retransmits"`
	RTTMS         float64 `json:"rtt_ms"`
	PMTU          uint32  `json:"path_mtu"`
	SegmentSize   uint32  `json:"segment_size"`
}

type probeAnswer struct {
	Addresses []string `json:"addresses"`
	RCode     string   `json:"rcode,omitempty"`
	MS        float64  `json:"ms"`
}

// ProbeOptions say how a Probe is built.
type ProbeOptions struct {
	Version     string
	Language    messages.Language
	Platform    diagnose.Platform
	Start, End  time.Time
	Interrupted bool
	// Captured is true where packets were captured meanwhile.
	Captured bool
}

// BuildProbe makes a document of control tests.
func BuildProbe(findings []probe.Finding, attempts []*probe.Attempt, o ProbeOptions) *Probe {
	d := &Probe{
		Schema: ProbeSchema, Tool: Tool{o.Version}, Start: o.Start.UTC(), End: o.End.UTC(), Interrupted: o.Interrupted, Captured: o.Captured,
		Hosts: []ProbeHost{}, Attempts: []ProbeAttempt{}, language: o.Language,
	}
	if worst := probe.Worst(findings); worst != nil {
		d.Verdict = probeVerdict(worst, o)
	}
	for i := range findings {
		f := &findings[i]
		h := ProbeHost{Host: f.Host, Port: f.Port, Verdict: probeVerdict(f, o), Matrix: []ProbeCell{}}
		for j := range f.Cells {
			h.Matrix = append(h.Matrix, probeCell(&f.Cells[j]))
		}
		d.Hosts = append(d.Hosts, h)
	}
	for _, a := range attempts {
		d.Attempts = append(d.Attempts, probeAttempt(a))
	}
	return d
}

func probeVerdict(f *probe.Finding, o ProbeOptions) ProbeVerdict {
	l := o.Language
	v := ProbeVerdict{
		Cause: string(f.Cause), Host: f.Host, Address: f.Address, Class: string(f.Class), Stage: string(f.Stage), Level: string(f.Level),
		Place: words(f.Place), Summary: l.Probe("cause."+string(f.Cause), withHost(f)...), NextSteps: append([]string{}, l.Steps(f.NextSteps, o.Platform)...),
		Evidence: []Evidence{}, RefutedBy: []string{}, NotAssessed: []string{}, died: f.Cause != probe.Healthy && f.Cause != probe.Readable && f.Cause != probe.NotRun,
	}
	for _, n := range f.Notes {
		v.Notes = append(v.Notes, l.Probe(n))
	}
	for i := range f.Evidence {
		e := &f.Evidence[i]
		v.Evidence = append(v.Evidence, Evidence{ID: e.ID, Text: l.Probe("evidence."+e.ID, armInWords(l, e.Values)...), Frames: []int64{}})
	}
	for _, id := range f.RefutedBy {
		v.RefutedBy = append(v.RefutedBy, l.Probe(id))
	}
	for _, id := range f.NotAssessed {
		v.NotAssessed = append(v.NotAssessed, l.Probe(id))
	}
	return v
}

// withHost gives a finding without values those that every sentence has.
func withHost(f *probe.Finding) []diagnose.Value {
	if len(f.Values) > 0 {
		return f.Values
	}
	return []diagnose.Value{diagnose.Text("host", f.Host), diagnose.Text("address", f.Address)}
}

// armInWords puts an arm's description in the place of its name.
func armInWords(l messages.Language, values []diagnose.Value) []diagnose.Value {
	out := slices.Clone(values)
	for i := range out {
		if out[i].Name == "arm" {
			out[i].Text = l.Probe("arm." + out[i].Text)
		}
	}
	return out
}

func words[T ~string](list []T) []string {
	out := []string{}
	for _, s := range list {
		out = append(out, string(s))
	}
	return out
}

func probeCell(c *probe.Cell) ProbeCell {
	out := ProbeCell{
		Arm: string(c.Arm), Via: c.Via, Borrowed: c.Borrowed, Passed: c.Passed, Died: c.Died, Shadowed: c.Uncounted(),
		Stage: string(c.Stage), Class: string(c.Class), lane: c.Lane,
	}
	out.Address, out.Resolver = laneEnds(&c.Lane)
	for _, a := range c.Attempts {
		if len(a.Chain) > 0 {
			out.Issuer = a.Chain[0].Issuer
		}
		if a.Location != "" {
			out.Location = a.Location
		}
	}
	return out
}

func laneEnds(l *probe.Lane) (address, resolver string) {
	if l.Address.IsValid() {
		address = l.Address.String()
	}
	if l.Resolver.IsValid() {
		resolver = l.Resolver.String()
	}
	return address, resolver
}

func probeAttempt(a *probe.Attempt) ProbeAttempt {
	out := ProbeAttempt{
		Host: a.Host, Arm: string(a.Arm), Via: a.Via, Start: a.Begin.UTC(), MS: ms(a.Ended.Sub(a.Begin)), End: string(a.End), Stage: string(a.Stage),
		Class: string(a.Class), Place: words(a.Place), Level: string(a.Level), Packets: a.ByPackets, Shadowed: a.Shadowed, Detail: a.Detail,
		Hello: a.HelloBytes, Received: a.Received, TLS: a.TLSVersion, ALPN: a.ALPN, Status: a.HTTP, Location: a.Location, Chain: a.Chain,
		ConnectMS: optionalMS(a.Connect), TLSMS: optionalMS(a.TLS), FirstByte: optionalMS(a.FirstByte),
	}
	out.Address, out.Resolver = laneEnds(&a.Lane)
	if a.Local.IsValid() {
		out.Client = a.Local.String()
	}
	if a.Remote.IsValid() {
		out.Server = a.Remote.String()
	}
	if s := a.Socket; s != nil {
		out.Socket = &probeSocket{s.BytesAcked, s.BytesReceived, s.Unacked, s.Retransmits, ms(s.RTT), s.PMTU, s.SegmentSize}
	}
	for _, answer := range a.Answers {
		list := []string{}
		for _, x := range answer.Addresses {
			list = append(list, x.String())
		}
		out.Answers = append(out.Answers, probeAnswer{list, answer.RCode, ms(answer.After)})
	}
	return out
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func optionalMS(d time.Duration) *float64 {
	if d == 0 {
		return nil
	}
	v := ms(d)
	return &v
}

// HoldsProbe reports whether the verdict on any host is in the set.
func (s ClassSet) HoldsProbe(d *Probe) bool {
	return slices.ContainsFunc(d.Hosts, func(h ProbeHost) bool {
		return s.has(&Verdict{Class: h.Verdict.Class, Died: h.Verdict.died && h.Verdict.Class != string(diagnose.OK)})
	})
}

// laneTitle heads a lane's lines.
func laneTitle(l messages.Language, c *ProbeCell) string {
	id, way := "lane.lookup", ""
	switch {
	case c.Via != "":
		id, way = "lane.via", c.Via
	case c.Borrowed:
		id, way = "lane.borrowed", c.Address
	case c.Address != "":
		id, way = "lane.direct", c.Address
	case c.Resolver != "":
		id, way = "lane.resolver", c.Resolver
	}
	return l.Probe(id, diagnose.Text("host", c.lane.Host), diagnose.Text("way", way))
}

// outcome says what a cell came to in a few words.
func outcome(l messages.Language, c *ProbeCell) string {
	var parts []string
	if n := c.Passed + c.Died; n > 0 {
		parts = append(parts, l.Probe("outcome.count", diagnose.Num("passed", int64(c.Passed)), diagnose.Num("of", int64(n))))
	} else {
		parts = append(parts, l.Probe("outcome.none"))
	}
	if c.Shadowed > 0 {
		parts = append(parts, l.Probe("outcome.shadowed", diagnose.Num("shadowed", int64(c.Shadowed))))
	}
	return strings.Join(parts, l.Label("comma"))
}
