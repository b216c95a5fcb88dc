package page

import (
	"bytes"
	"context"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"goproxytrace/analyze"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/analyze/goproxy"
	"goproxytrace/analyze/segtrace"
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/analyze/tlswire"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/report"
	"goproxytrace/report/messages"
)

var keep = flag.String("pages", "", "write the pages of all captures into this directory")

const pcaps = "../../testdata/pcaps"

// documents analyses a capture and builds its documents in all languages.
func documents(t testing.TB, path string) []*report.Document {
	t.Helper()
	src, err := pcapfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	r, err := analyze.Run(context.Background(), src, analyze.Options{Trace: true, Targets: []string{"proxy.example"}})
	if r == nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return build(r, path)
}

func build(r *analyze.Result, path string) (docs []*report.Document) {
	for _, l := range messages.Languages {
		docs = append(docs, report.Build(r, report.Options{File: filepath.Base(path), Version: "test", Language: l}))
	}
	return docs
}

func write(t testing.TB, docs []*report.Document) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, docs...); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// writeKept keeps a page for a person to look at.
func writeKept(t testing.TB, base, page string) {
	if *keep == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(*keep, base+".html"), []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
}

func captures(t testing.TB) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(pcaps, "*.pcapng"))
	if err != nil || len(list) == 0 {
		t.Fatalf("no captures in %s: %v", pcaps, err)
	}
	return list
}

// start is when made-up results begin.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// hostileResult has a name in every place that a capture can fill.
func hostileResult(name string) *analyze.Result {
	ms := 12.5
	v := diagnose.Verdict{
		Class: diagnose.TLSReset, Stage: diagnose.StageTLS, Place: []diagnose.Place{diagnose.Network, diagnose.Remote}, Level: diagnose.Proven,
		Values:   []diagnose.Value{diagnose.Text("host", name), diagnose.Text("address", name), diagnose.Text("process", name), diagnose.Dur("after", 1e9)},
		Evidence: []diagnose.Evidence{{ID: name, Frames: []int64{1, 2, 3}}}, RefutedBy: []string{name}, NextSteps: []string{name}, NotAssessed: []string{name}, Notes: []string{name},
	}
	store := analyze.NewStore()
	p := &analyze.Process{PID: 7, Name: name, Command: name, Source: name, Confidence: name}
	store.Add(&analyze.Connection{
		ID: 0, Client: name, Server: name, ServerName: name, FirstFrame: 1, LastFrame: 9, Start: start, Duration: 1000, Process: p, Verdict: v,
		TLS:  &analyze.TLS{Version: name, Cipher: name, ALPNChosen: name, JA4: name, Certificates: []analyze.Certificate{{Issuer: name, Subject: name}}},
		ICMP: []analyze.ICMP{{From: name, Type: 3, Code: 13, Frame: 8}},
	})
	spool := segtrace.NewSpool()
	spool.Segment(0, 0, &segtrace.Segment{Frame: 1, Time: start.UnixNano(), Flags: 2})
	spool.Segment(0, 1, &segtrace.Segment{Frame: 2, Time: start.UnixNano() + 1e6, Flags: 0x14, Seq: 1 << 31, Ack: 1})
	spool.ICMP(0, segtrace.ICMP{Frame: 8, Time: start.UnixNano() + 2e6})
	return &analyze.Result{
		Capture:     analyze.Capture{Format: name, Packets: 3, Start: start.UnixNano(), End: start.Add(time.Second).UnixNano(), Notes: []string{name}, Health: []analyze.HealthFact{{Evidence: diagnose.Evidence{ID: name}}}, Unread: []analyze.Unread{{Name: name, Count: 1, First: 1}}},
		Verdict:     v,
		Connections: store, Trace: spool,
		Processes:    []analyze.ProcessVerdict{{Process: *p, Parent: 1, ParentName: name, Verdict: v}},
		Lookups:      []analyze.Lookup{{Start: start, Name: name, Type: name, RCode: name, Answers: []string{name}, MS: &ms, Client: name, Server: name, Frames: []int64{4}, Verdict: v}},
		Attempts:     []analyze.Attempt{{PID: 7, Name: name, Target: name, Host: name, Time: start, Error: name, Source: name, Frame: 5, Verdict: v}},
		Events:       []analyze.Event{{Time: start, Source: name, Text: name, PID: 7, Frame: 6}},
		GoStatements: []diagnose.GoCheck{{Statement: &goproxy.Statement{Text: name, Host: name, Line: 1, Count: 2}, Packets: "agree", Frames: []int64{1}}},
		Targets:      []string{name},
	}
}

// FuzzWrite renders documents of random results: the page holds together
// whatever the segments and names are.
func FuzzWrite(f *testing.F) {
	f.Add(uint64(1), uint64(2), "proxy.example")
	f.Add(uint64(3), uint64(4), hostileName[:200])
	f.Add(uint64(5), uint64(6), "\xff\xfe{{`")
	f.Fuzz(func(t *testing.T, a, b uint64, name string) {
		rnd := rand.New(rand.NewPCG(a, b))
		r := hostileResult(name)
		defer r.Close()
		at := start.UnixNano()
		for i := range rnd.IntN(400) {
			if rnd.IntN(8) == 0 {
				at += rnd.Int64N(5e9) - 1e9
			} else {
				at += rnd.Int64N(2e6)
			}
			s := segtrace.Segment{
				Frame: int64(10 + i), Time: at, Seq: rnd.Uint32(), Ack: rnd.Uint32(), Len: rnd.Uint32N(3000), Window: rnd.Uint32(), RTT: rnd.Int64N(1e9),
				Findings: tcpflow.Flags(rnd.Uint32()) & tcpflow.Flags(rnd.Uint32()), Flags: uint16(rnd.Uint32()) & uint16(rnd.Uint32()), IPID: uint16(rnd.Uint32()), TTL: uint8(rnd.Uint32()),
				HasIPID: rnd.IntN(2) == 0, Copy: rnd.IntN(9) == 0, SACKCount: uint8(rnd.IntN(5)),
			}
			if rnd.IntN(2) == 0 { // mostly near each other
				s.Seq, s.Ack, s.Flags = uint32(i)*1448, 1, 0x10
			}
			r.Trace.Segment(0, uint8(rnd.IntN(2)), &s)
			if rnd.IntN(10) == 0 {
				r.Trace.Message(0, uint8(rnd.IntN(2)), &segtrace.Message{Frame: s.Frame, Time: at, Seq: s.Seq, End: rnd.Uint32(), Kind: tlswire.Kind(rnd.IntN(9)), Type: uint8(rnd.Uint32())})
			}
		}
		checkPage(t, write(t, build(r, name)))
	})
}
