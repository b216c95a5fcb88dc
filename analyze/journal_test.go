package analyze

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/analyze/goproxy"
	"goproxytrace/capture"
	"goproxytrace/capture/hostlog"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/report/messages"
)

// setting records what go env printed.
func (w *wire) setting(name, value string) {
	w.tell(&hostlog.Setting{Time: w.now, Name: name, Value: value, From: "go env"})
}

// TestRecordedSettings holds that what the host recorded goes before what the
// analysing machine has, and that its hosts are what is looked for.
func TestRecordedSettings(t *testing.T) {
	w := newWire()
	w.setting("GOPROXY", "https://proxy.example,direct")
	w.setting("GOSUMDB", "sum.example")
	w.setting("GOFLAGS", "-mod=mod")
	w.tell(&hostlog.Setting{Time: w.now, Name: "GOPROXY", Value: "https://environment.example", From: "environment"})
	k := w.talk(ownClient, ownServer).connect()
	k.send(0, clientHello("proxy.example"), 0)
	w.now += 12 * second
	w.add(k.packet(0).Flags(1)) // FIN
	w.lossless()
	here := goproxy.Settings{GOPROXY: "https://here.example|direct", GOSUMDB: "off"}
	r := analyse(t, w, Options{Settings: here, SettingsFrom: goproxy.FromGoEnv, Targets: here.Hosts()})
	if got := fmt.Sprint(r.Targets); got != "[proxy.example sum.example]" {
		t.Errorf("targets %s", got)
	}
	if !only(t, r).Target {
		t.Error("the proxy's connection is not known for one")
	}
	said := ""
	for _, e := range r.Verdict.Evidence {
		if strings.HasPrefix(e.ID, "fallback.") {
			said += messages.English.Evidence(&e)
		}
	}
	if !strings.Contains(said, "GOPROXY (capture file) lists direct after proxy.example") {
		t.Errorf("%s: %q", r.Verdict.Class, said)
	}
}

// TestSettingsOfOutput holds that go env's lines in output that was given go
// before recorded settings.
func TestSettingsOfOutput(t *testing.T) {
	w := newWire()
	w.setting("GOPROXY", "https://proxy.example")
	out, err := goproxy.ReadOutput(strings.NewReader("GOPROXY='https://said.example'\n"))
	if err != nil {
		t.Fatal(err)
	}
	p := newPipeline(Options{GoOutput: out})
	p.record(&hostlog.Setting{Name: "GOPROXY", Value: "https://proxy.example", From: "go env"}, 1)
	if got := p.goView.config.Settings.GOPROXY; got != "https://said.example" {
		t.Errorf("GOPROXY is %s", got)
	}
}

// TestRecordedLines holds that recorded lines are taken for the go command's
// output, with their times, and that output which was given goes before them.
func TestRecordedLines(t *testing.T) {
	w := newWire()
	k := w.talk(ownClient, ownServer).connect()
	k.send(0, clientHello("proxy.example"), 0)
	w.now += 10 * second
	w.add(k.packet(0).Flags(1))
	at := w.now
	for i, text := range []string{
		"go: downloading example.com/m v1.0.0", `go: example.com/m@v1.0.0: Get "https://proxy.example/example.com/m/@v/v1.0.0.zip": net/http: TLS handshake timeout`, "\x1b[31mexit",
	} {
		w.tell(&hostlog.Line{Time: at + int64(i), PID: goPID, Stream: "stderr", Text: text})
	}
	w.lossless()
	r := analyse(t, w, Options{})
	if len(r.GoStatements) != 1 {
		t.Fatalf("statements %+v", r.GoStatements)
	}
	s := r.GoStatements[0]
	if s.Line != 2 || s.Time != at+1 || s.Packets != diagnose.PacketsAgree || !only(t, r).Target {
		t.Errorf("%+v: %s", s.Statement, s.Packets)
	}
	w.next = 0
	given, err := goproxy.ReadOutput(strings.NewReader("all fine\n"))
	if err != nil {
		t.Fatal(err)
	}
	if r := analyse(t, w, Options{GoOutput: given}); len(r.GoStatements) != 0 {
		t.Errorf("with output given: %+v", r.GoStatements)
	}
}

// TestEvents holds that the host's events and other programs' journal entries
// are told of, without secrets, and no more than a bounded number.
func TestEvents(t *testing.T) {
	w := newWire()
	w.tell(&hostlog.Event{Time: w.now, Origin: "capture", Text: "eth1 went down"})
	w.journal(w.now, map[string]string{
		"MESSAGE": "connecting to https://user:secret@proxy.example/", "SYSLOG_IDENTIFIER": "sshd", "_PID": "77", "_COMM": "x",
	})
	w.journal(w.now, map[string]string{"_COMM": "no message"})
	w.journal(w.now, map[string]string{hostlog.KindField: "hologram", hostlog.VersionField: "9", "MESSAGE": "of a later version"})
	w.journal(w.now, map[string]string{hostlog.KindField: "claim", hostlog.VersionField: "1", "GOPROXYTRACE_PID": "-1"})
	// A custom block is no journal entry, whatever it holds.
	w.packets = append(w.packets, capture.Packet{Number: 6, Data: []byte("MESSAGE=custom\n"), Kind: capture.KindEvent, Interface: -1, FCSLen: -1})
	r := analyse(t, w, Options{})
	if len(r.Events) != 2 {
		t.Fatalf("events %+v", r.Events)
	}
	if e := r.Events[0]; e.Source != "capture" || e.Text != "eth1 went down" || e.Frame != 1 || e.Time.UnixNano() != clockStart {
		t.Errorf("%+v", e)
	}
	if e := r.Events[1]; e.Source != "sshd" || e.PID != 77 || strings.Contains(e.Text, "secret") || !strings.Contains(e.Text, "proxy.example") {
		t.Errorf("%+v", e)
	}
	for range maxEvents {
		w.journal(w.now, map[string]string{"MESSAGE": strings.Repeat("x", 5000)})
	}
	w.next = 0
	r = analyse(t, w, Options{})
	if len(r.Events) != maxEvents || r.EventsOmitted != 2 || len(r.Events[5].Text) > maxEventText {
		t.Errorf("%d events, %d omitted, %d bytes", len(r.Events), r.EventsOmitted, len(r.Events[5].Text))
	}
}

// TestProcessWithoutTraffic holds that the end of the command is told of where
// none of its connections is in the capture.
func TestProcessWithoutTraffic(t *testing.T) {
	for _, c := range []struct {
		exit hostlog.Exit
		want int
	}{{hostlog.Exit{Code: 1}, 1}, {hostlog.Exit{Code: -1, Signal: 9}, 137}} {
		w := newWire()
		w.family()
		x := c.exit
		x.Time, x.PID = w.now+second, goPID
		w.tell(&x, &hostlog.Exit{Time: w.now + second, PID: gitPID, Code: 0})
		r := analyse(t, w, Options{})
		if len(r.Processes) != 1 || r.Processes[0].PID != goPID || r.Processes[0].Exit == nil || *r.Processes[0].Exit != c.want ||
			r.Processes[0].Verdict.Class != diagnose.NoTraffic {
			t.Errorf("%+v", r.Processes)
		}
	}
}

// empty yields a batch without packets before each one with packets, as a live
// source does when time passes.
type empty struct {
	*wire
	turn bool
}

func (e *empty) Read(b *capture.Batch) error {
	if e.turn = !e.turn; e.turn {
		b.Packets = b.Packets[:0]
		return nil
	}
	return e.wire.Read(b)
}

// everything plays a capture with a record of each type.
func everything() *wire {
	w := attempting()
	w.setting("GOPROXY", "https://proxy.example")
	w.tell(w.tried(tryClient, tryServer, 30*second, "ETIMEDOUT"), w.claim(helpPID, ownClient, ownServer))
	w.talk(ownClient, ownServer).connect().tls("proxy.example", 500)
	w.tell(w.state(func(s *hostlog.Socket) {
		s.Local, s.BytesReceived, s.Unread = ap("192.0.2.10:50000"), count64(9000), 5000
	}))
	w.now += 31 * second
	w.tell(w.state(func(s *hostlog.Socket) {
		s.Local, s.BytesReceived, s.Unread = ap("192.0.2.10:50000"), count64(9000), 5000
	}))
	w.tell(&hostlog.Line{Time: w.now, Text: `Get "https://proxy.example/x": EOF` + "\nsecond"}, &hostlog.Event{Time: w.now, Origin: "capture", Text: "the end\nof it"})
	w.tell(&hostlog.Exit{Time: w.now, PID: goPID, Code: 1})
	return w.lossless()
}

// document returns all that the analysis of a source yields but what is about
// the container alone.
func document(t *testing.T, src capture.Source) string {
	t.Helper()
	r := *analyse(t, src, Options{})
	all := connections(t, &r)
	c := &r.Capture
	c.Bytes, c.Packets, c.Records, c.Interfaces, c.Format, c.Blocks, r.Connections = 0, 0, 0, nil, "", nil, nil
	b, err := json.MarshalIndent(struct {
		Result      Result
		Connections []*Connection
	}{r, all}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestLiveEqualsFile holds that a source under way, which yields batches of no
// packets, and the file that holds the same records give the same report.
func TestLiveEqualsFile(t *testing.T) {
	w := everything()
	w.perBatch = 3
	live := document(t, &empty{wire: w})
	for _, part := range []string{`"connect.not-sent"`, `"Exit": 1`, `"the end\nof it"`, `"client.stalled"`, `"Line": 1`, `"go_command": 4120`} {
		if !strings.Contains(live, part) {
			t.Errorf("the report lacks %s", part)
		}
	}
	w.next, w.perBatch = 0, 0
	if file := document(t, w); file != live {
		t.Errorf("read in other batches, the report is another: %s", cmp.Diff(live, file))
	}
	var b bytes.Buffer
	out, err := pcapfile.NewWriter(&b, pcapfile.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	id, err := out.AddInterface(&capture.Interface{Name: "eth0", LinkType: linkEthernet})
	if err != nil {
		t.Fatal(err)
	}
	for i := range w.packets {
		p := w.packets[i]
		if p.Kind == capture.KindEvent {
			err = out.WriteJournal(p.Time, pcapfile.JournalFields(p.Data))
		} else {
			p.Interface = int32(id)
			err = out.WritePacket(&p)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	f := w.info.Interfaces[0]
	if err := out.WriteStatistics(id, f.End, &f); err != nil {
		t.Fatal(err)
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	src, err := pcapfile.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if file := document(t, src); file != live {
		t.Errorf("from the file, the report is another: %s", cmp.Diff(live, file))
	}
}

// TestObserve holds what an observer is told, and how often.
func TestObserve(t *testing.T) {
	w := everything()
	w.perBatch = 2
	src := &paced{wire: w}
	var views []View
	started := time.Now()
	r, err := Run(context.Background(), src, Options{Observe: func(v *View) {
		copied := *v
		copied.Connections = append([]ViewConnection(nil), v.Connections...)
		views = append(views, copied)
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Connections.Close()
	if most := int(time.Since(started)/progressInterval) + 1; len(views) == 0 || len(views) > most {
		t.Fatalf("%d views in %v", len(views), time.Since(started))
	}
	stages := map[ViewStage]bool{}
	for _, v := range views {
		for _, c := range v.Connections {
			if c.ServerName == "proxy.example" || c.Server == ownServer {
				stages[c.Stage] = true
			}
		}
	}
	last := views[len(views)-1]
	var own *ViewConnection
	for i := range last.Connections {
		if last.Connections[i].Server == ownServer && last.Connections[i].ServerName == "proxy.example" {
			own = &last.Connections[i]
		}
	}
	if own == nil || own.Process != "git-remote-https" || own.PID != helpPID || !own.GoCommand || !own.Target || own.FromServer < 500 ||
		own.Stage != ViewTransfer || own.LastPayload == 0 || own.Closed {
		t.Errorf("the last view has %+v", own)
	}
	if !stages[ViewTLS] && !stages[ViewConnect] {
		t.Errorf("stages seen: %v", stages)
	}
	if last.Segments == 0 || last.Packets != last.Segments || last.Opened != 2 || last.Bytes == 0 || last.Time == 0 {
		t.Errorf("%+v", last)
	}
}

// TestObserveBounded holds that a View stays small and cheap with very many
// connections.
func TestObserveBounded(t *testing.T) {
	const most = 5 * time.Millisecond
	p := newPipeline(Options{Observe: func(v *View) {
		if len(v.Connections) > maxViewed {
			t.Errorf("%d connections in a view", len(v.Connections))
		}
	}})
	src := shortConnections(40_000)
	src.frame = func(f func(int, []byte) []byte) func(int, []byte) []byte {
		return func(i int, b []byte) []byte { return f(2*i, b) } // SYNs alone: all stay open
	}(src.frame)
	run(t, p, src)
	if n := len(p.observer.conns); n > 2*maxWatched {
		t.Errorf("%d connections are followed", n)
	}
	took := time.Hour // the shortest: what others take is not the view's
	for range 10 {
		began := time.Now()
		p.observer.gather()
		took = min(took, time.Since(began))
	}
	if took > most {
		t.Errorf("a view takes %v", took)
	} else {
		t.Logf("a view of %d connections takes %v", len(p.observer.view.Connections), took)
	}
}
