package report

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"goproxytrace/analyze"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/internal/terminal"
	"goproxytrace/report/messages"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want = bytes.ReplaceAll(want, []byte("\r\n"), []byte("\n"))
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("%s differs (-want +got); go test -update rewrites it:\n%s", path, diff)
	}
}

func render(t *testing.T, d *Document, o terminal.Output) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteText(&b, d, o); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// deathDocument is a whole report in words of its own, so that the layout is
// tested apart from the catalogue of sentences.
func deathDocument(t *testing.T, server string, connections int) *Document {
	store := analyze.NewStore()
	t.Cleanup(func() { store.Close() })
	for i := range connections {
		class := diagnose.OK
		if i == 1 || i > 30 {
			class = diagnose.TLSClientHelloLost
		}
		c := fakeConnection(int64(i), server, class)
		c.Bytes.FromServer *= uint64(i + 1)
		if i == 1 {
			c.Target, c.Stages.TLS, c.Stages.FirstByte, c.Bytes.FromServer = true, nil, nil, 0
		}
		store.Add(c)
	}
	start, end := testStart, testStart.Add(40*time.Second)
	return &Document{
		Schema: Schema, Version: "v1", Subject: 1, Connections: connections, store: store,
		Capture: Capture{
			File: "case.pcapng", Format: "pcapng", Packets: 12345, Bytes: 9_876_543, Start: &start, End: &end, Dropped: ptr(uint64(0)),
			Health: []Health{{ID: "K5", Text: "segments larger than the link's packets: offload is on"}},
			Unread: []Unread{{Name: "LLDP", Count: 1, First: 3}, {Name: "STP", Count: 1200, First: 4}},
		},
		Verdict: Verdict{
			Class: "tls.client-hello-lost", Stage: "tls", Place: []string{"network", "remote"}, Level: "strongly-suggested", Died: true,
			Summary: "go[4711] reached " + server + ", but its ClientHello was lost on the way and repeated for 31 s without an acknowledgement.",
			Evidence: []Evidence{
				{ID: "a", Text: "the ClientHello of 1,749 bytes in two segments was sent six times", Frames: []int64{10, 11, 12, 40}, Filter: FrameFilter([]int64{10, 11, 12, 40})},
				{ID: "b", Text: "nothing acknowledged it", Frames: []int64{9, 41}, Filter: FrameFilter([]int64{9, 41})},
				{ID: "c", Text: "no packet was dropped while capturing"},
			},
			NextSteps:   []string{"Try GODEBUG=tlsmlkem=0,tlssecpmlkem=0 go mod download, which halves the ClientHello.", "Try another network."},
			RefutedBy:   []string{"A capture at the server that shows the ClientHello arriving."},
			NotAssessed: []string{"Which program opened the connection: the capture names no processes."},
		},
	}
}

func TestText(t *testing.T) {
	wide := terminal.Output{Columns: 120}
	t.Run("wide", func(t *testing.T) { golden(t, "wide", render(t, deathDocument(t, "goproxy.cn", 3), wide)) })
	t.Run("terminal of 80 columns", func(t *testing.T) {
		golden(t, "columns80", render(t, deathDocument(t, "goproxy.cn", 3), terminal.Output{Columns: 80}))
	})
	t.Run("narrow", func(t *testing.T) {
		golden(t, "columns40", render(t, deathDocument(t, "a-mirror-with-a-long-name.example", 3), terminal.Output{Columns: 40}))
	})
	t.Run("colour", func(t *testing.T) {
		golden(t, "colour", render(t, deathDocument(t, "goproxy.cn", 3), terminal.Output{Columns: 80, Color: true}))
	})
	t.Run("many", func(t *testing.T) { golden(t, "many", render(t, deathDocument(t, "包裹.example", 45), wide)) })
	t.Run("hostile", func(t *testing.T) {
		d := deathDocument(t, hostile, 2)
		d.Capture.Unread[0].Name = hostile
		golden(t, "hostile", render(t, d, terminal.Output{Columns: 80}))
	})
	t.Run("nothing", func(t *testing.T) {
		d := Document{Subject: -1, Capture: Capture{File: "-", Damage: &Damage{Packet: 1, Offset: 24, Reason: "the file ends in a packet header"}},
			Verdict: Verdict{Class: "no-traffic", Stage: "capture", Level: "none", Summary: "Nothing of a module download is in this capture."}}
		golden(t, "nothing", render(t, &d, wide))
	})
	t.Run("Chinese", func(t *testing.T) {
		d := deathDocument(t, "包裹.example", 45)
		d.Language = messages.Chinese
		golden(t, "chinese", render(t, d, terminal.Output{Columns: 80}))
	})
	t.Run("interrupted", func(t *testing.T) {
		d := Document{Subject: -1, Interrupted: true, Capture: Capture{File: "-"}, Verdict: Verdict{Class: "ok", Stage: "done", Summary: "Fine so far."},
			Unanswered: []analyze.Unanswered{{Server: "198.51.100.1:443", Connections: 990_000, FirstFrame: 10_001, LastFrame: 1_000_000}}}
		golden(t, "interrupted", render(t, &d, wide))
	})
}

// Every width must stay readable: no line of the table is wider than the
// terminal, whatever is in it.
func TestTableFits(t *testing.T) {
	for _, server := range []string{"goproxy.cn", strings.Repeat("label.", 30) + "example", strings.Repeat("包裹", 40), hostile} {
		for columns := terminal.MinColumns; columns <= 200; columns += 7 {
			rows := []*Connection{{fakeConnection(1, server, diagnose.TLSClientHelloNotSent), Verdict{Class: "tls.client-hello-not-sent", Died: true}}}
			for i, color := range []bool{false, true, false, true} {
				var b bytes.Buffer
				if err := writeTable(&b, rows, messages.Languages[i/2], terminal.Output{Columns: columns, Color: color}); err != nil {
					t.Fatal(err)
				}
				lines := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
				if len(lines) != 2 {
					t.Fatalf("%d columns: %d lines, want header and one row:\n%s", columns, len(lines), b.String())
				}
				for _, l := range lines {
					if n := terminal.Width(strings.TrimRight(l, " ")); n > columns {
						t.Errorf("%d columns: line of %d: %q", columns, n, l)
					}
				}
				if !strings.Contains(lines[1], "tls.client-hel") {
					t.Errorf("%d columns: no verdict in %q", columns, lines[1])
				}
			}
		}
	}
}

func TestHostileNamesOnTerminal(t *testing.T) {
	for _, ascii := range []bool{false, true} {
		raw := render(t, deathDocument(t, hostile, 30), terminal.Output{Columns: 80, ASCII: ascii})
		checkHarmless(t, raw, "")
		if ascii && strings.ContainsFunc(string(raw), func(r rune) bool { return r > '~' }) {
			t.Error("characters outside ASCII in ASCII output")
		}
	}
}

func TestAllSectionsInOrder(t *testing.T) {
	r := fakeResult(30, "goproxy.cn")
	defer r.Connections.Close()
	text := string(render(t, Build(r, Options{}), terminal.Output{Columns: 100}))
	at := 0
	for _, heading := range []string{"class tls.reset", "\nEvidence\n", "\nNext steps\n", "\nConnections (20 of 30)\n", "\nCapture\n", "\nNot assessed\n"} {
		n := strings.Index(text[at:], heading)
		if n < 0 {
			t.Fatalf("%q is missing or out of order:\n%s", heading, text)
		}
		at += n
	}
}

func FuzzText(f *testing.F) {
	f.Add(hostile, 40, true)
	f.Add("goproxy.cn", 120, false)
	f.Fuzz(func(t *testing.T, s string, columns int, ascii bool) {
		r := fakeResult(2, s)
		defer r.Connections.Close()
		r.Damage = nil
		d := Build(r, Options{File: s})
		d.Verdict.Summary = s
		d.Verdict.Evidence = append(d.Verdict.Evidence, Evidence{ID: s, Text: s, Frames: []int64{1}, Filter: "frame.number in {1}"})
		d.Processes = append(d.Processes, Process{Verdict: Verdict{Summary: s}})
		d.Lookups = append(d.Lookups, Lookup{Verdict: Verdict{Summary: s, Died: true}})
		d.Capture.Notes = []string{s}
		checkHarmless(t, []byte(strings.ReplaceAll(string(render(t, d, terminal.Output{Columns: min(max(columns, terminal.MinColumns), 400), ASCII: ascii})), "\ufffd", "")), "")
	})
}

func TestUnits(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{millis(nil), "-"}, {millis(ptr(0.04)), "0.04 ms"}, {millis(ptr(9.99)), "10.0 ms"}, {millis(ptr(35_000.0)), "35.0 s"},
		{millis(ptr(3_600_000.0)), "1h0m0s"}, {bytesText(0), "0 B"}, {bytesText(9999), "9999 B"}, {bytesText(1_234_567), "1.2 MB"},
		{bytesText(700_000_000), "700.0 MB"}, {messages.English.Count("count.packets", 1), "1 packet"}, {messages.English.Count("count.packets", 1234567), "1,234,567 packets"},
		{messages.Grouped(999), "999"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}
