package report

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"goproxytrace/analyze"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/capture"
)

func ptr[T any](v T) *T { return &v }

var testStart = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

// fakeConnection is a connection with a value in every member. name is the
// server's, with or without hostile characters.
func fakeConnection(id int64, name string, class diagnose.Class) *analyze.Connection {
	v := diagnose.Verdict{Class: class, Stage: diagnose.StageDone, Level: diagnose.Proven}
	if class != diagnose.OK {
		v.Stage, v.Place = diagnose.StageTLS, []diagnose.Place{diagnose.Network, diagnose.Remote}
		v.Evidence = []diagnose.Evidence{{ID: "e", Frames: []int64{10 + id, 11 + id, 12 + id}}}
	}
	return &analyze.Connection{
		ID: id, Client: "192.0.2.10:40000", Server: "198.51.100.1:443", ServerName: name,
		FirstFrame: 10 + id, LastFrame: 20 + id, Start: testStart, Duration: 1234.5,
		Process:       &analyze.Process{PID: 4711, Name: "go", Command: "go mod download", Source: "pcapng", Confidence: "exact"},
		ServerProcess: nil,
		Stages:        analyze.Stages{DNS: ptr(1.5), Connect: ptr(20.25), TLS: ptr(45.0), TLSStart: ptr(20.5), FirstByte: ptr(80.0), Transfer: ptr(900.0), Quiet: ptr(0.0)},
		Bytes:         analyze.Bytes{FromClient: 1800, FromServer: 7_654_321},
		TCP:           analyze.TCP{Packets: 100, Retransmissions: 3, HandshakeRTT: ptr(20.25)},
		TLS: &analyze.TLS{
			Version: "1.2", Cipher: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", ALPN: []string{"h2", "http/1.1"},
			JA3: "0123", JA4: "t13d", ClientHelloBytes: 1700, ClientHelloSegments: 2,
			Alerts:       []analyze.Alert{{From: "client", Number: 48, Name: "unknown_ca", Level: 2, Frame: 15}},
			Certificates: []analyze.Certificate{{Subject: "CN=" + name, Issuer: "CN=Issuer", Names: []string{name}, NotBefore: testStart, NotAfter: testStart}},
		},
		ICMP:    []analyze.ICMP{{From: "192.0.2.1", Type: 3, Code: 4, MTU: 1400, Frame: 16}},
		Verdict: v,
		Target:  id%2 == 0,
	}
}

// fakeResult is a result with n connections of which every tenth died.
func fakeResult(n int, name string) *analyze.Result {
	store := analyze.NewStore()
	for i := range n {
		class := diagnose.OK
		if i%10 == 7 {
			class = diagnose.TLSReset
		}
		store.Add(fakeConnection(int64(i), name, class))
	}
	died := fakeConnection(0, name, diagnose.TLSReset).Verdict
	died.RefutedBy, died.NextSteps, died.NotAssessed = []string{"r"}, []string{"n1", "n2"}, []string{"a"}
	return &analyze.Result{
		Capture: analyze.Capture{
			File: "case.pcapng", Format: "pcapng", Packets: 12345, Bytes: 9_876_543,
			Start: testStart.UnixNano(), End: testStart.Add(40 * time.Second).UnixNano(),
			Received: ptr(uint64(12345)), Dropped: ptr(uint64(0)),
			Interfaces: []capture.Interface{{Name: "eth0" + name, LinkType: 1, Filter: "tcp", Dropped: ptr(uint64(0))}},
			Health:     []analyze.HealthFact{{Evidence: diagnose.Evidence{ID: "K4", Frames: []int64{1}}}},
		},
		GoVersion:   "go1.26.8",
		Verdict:     died,
		Subject:     7,
		Processes:   []analyze.ProcessVerdict{{Process: analyze.Process{PID: 4711, Name: "go" + name, Command: "go mod download"}, Parent: 1, Exit: ptr(1), Verdict: died}},
		Connections: store,
		Lookups: []analyze.Lookup{{Name: name, Type: "A", RCode: "NOERROR", Answers: []string{"198.51.100.1"}, MS: ptr(12.5),
			Verdict: diagnose.Verdict{Class: diagnose.OK, Stage: diagnose.StageDone, Level: diagnose.Proven}}},
		Events:      []analyze.Event{{Time: testStart, Source: "go", Text: "event " + name, PID: 4711}},
		Targets:     []string{"goproxy.cn"},
		NotAssessed: []string{"a", "b"},
	}
}

func TestBuildNotAssessed(t *testing.T) {
	r := fakeResult(1, "goproxy.cn")
	defer r.Connections.Close()
	d := Build(r, Options{})
	if n := len(d.Verdict.NotAssessed); n != 2 {
		t.Errorf("%d lines of what was not assessed: %q, want the two different ones", n, d.Verdict.NotAssessed)
	}
	if d.Capture.File != "case.pcapng" {
		t.Errorf("capture file %q", d.Capture.File)
	}
	if d := Build(r, Options{File: "as-given.pcapng"}); d.Capture.File != "as-given.pcapng" {
		t.Errorf("capture file %q", d.Capture.File)
	}
}

func TestFrameFilter(t *testing.T) {
	tests := []struct {
		frames []int64
		want   string
	}{
		{nil, ""},
		{[]int64{7}, "frame.number in {7}"},
		{[]int64{1, 2}, "frame.number in {1,2}"},
		{[]int64{1, 2, 5, 6, 7, 8, 9}, "frame.number in {1,2,5..9}"},
		{[]int64{3, 4, 5, 10}, "frame.number in {3..5,10}"},
		{[]int64{3, 3, 4}, "frame.number in {3,4}"},
	}
	for _, tt := range tests {
		if got := FrameFilter(tt.frames); got != tt.want {
			t.Errorf("FrameFilter(%v) = %q, want %q", tt.frames, got, tt.want)
		}
	}
}

func TestChoose(t *testing.T) {
	const n = 4000 // more than a Store keeps decoded
	r := fakeResult(n, "goproxy.cn")
	defer r.Connections.Close()
	r.Subject = 3907
	d := Build(r, Options{})
	got, err := choose(d, tableRows)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.rows) != tableRows || got.omitted != n-tableRows {
		t.Fatalf("%d rows shown, %d omitted", len(got.rows), got.omitted)
	}
	if got.rows[0].ID != 3907 {
		t.Errorf("first row is connection %d, want the verdict's", got.rows[0].ID)
	}
	// Targets have even IDs, deaths end in 7: no target died, so that all
	// places go to the first targets.
	for i, c := range got.rows[1:] {
		if c.ID != int64(2*i) {
			t.Errorf("row %d is connection %d, want %d", i+1, c.ID, 2*i)
		}
	}
	if want := n/10 - 1; got.omittedDeaths != want {
		t.Errorf("%d deaths omitted, want %d", got.omittedDeaths, want)
	}
}

func TestChooseDeathsFirst(t *testing.T) {
	store := analyze.NewStore()
	defer store.Close()
	for i, s := range []struct {
		class  diagnose.Class
		target bool
	}{{diagnose.OK, false}, {diagnose.TLSReset, false}, {diagnose.OK, true}, {diagnose.TLSReset, true}} {
		c := fakeConnection(int64(i), "goproxy.cn", s.class)
		c.Target = s.target
		store.Add(c)
	}
	got, err := choose(Build(&analyze.Result{Connections: store, Subject: -1}, Options{}), 10)
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, c := range got.rows {
		order = append(order, fmt.Sprint(c.ID))
	}
	if s := strings.Join(order, " "); s != "3 2 1 0" {
		t.Errorf("order %s, want the dead target, the target, the dead, the rest", s)
	}
}

func TestClassSet(t *testing.T) {
	verdict := func(c diagnose.Class) *Document {
		v := diagnose.Verdict{Class: c}
		return &Document{Verdict: Verdict{Class: string(c), Died: v.Died()}}
	}
	tests := []struct {
		list  string
		class diagnose.Class
		want  bool
	}{
		{"any", diagnose.TLSReset, true}, {"any", diagnose.OK, false}, {"any", diagnose.NoTraffic, false},
		{"tls.*", diagnose.TLSReset, true}, {"tls.*", diagnose.TransferReset, false},
		{"tls.reset", diagnose.TLSReset, true}, {"tls.reset", diagnose.TLSClosed, false},
		{"no-traffic", diagnose.NoTraffic, true}, {"dns.*, tls.closed", diagnose.TLSClosed, true},
	}
	for _, tt := range tests {
		s, err := ParseClasses(tt.list)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Holds(verdict(tt.class)); got != tt.want {
			t.Errorf("%s holds %s: %v", tt.list, tt.class, got)
		}
	}
	for _, bad := range []string{"", "tls", "tls.rest", "*", "xyz.*", "any,", "TLS.reset", "tls.r*"} {
		if _, err := ParseClasses(bad); err == nil {
			t.Errorf("ParseClasses(%q) gave no error", bad)
		}
	}
	s, _ := ParseClasses("any")
	d := verdict(diagnose.OK)
	d.Processes = []Process{{Verdict: Verdict{Class: "tls.reset", Died: true}}}
	if !s.Holds(d) {
		t.Error("a process's death is not held")
	}
	if (ClassSet{}).Holds(verdict(diagnose.TLSReset)) {
		t.Error("the empty set holds something")
	}
}
