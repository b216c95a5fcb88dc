package analyze

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/analyze/goproxy"
	"goproxytrace/report/messages"
)

func goOutput(t *testing.T, text string) *goproxy.Output {
	t.Helper()
	out, err := goproxy.ReadOutput(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// ownCapture analyses one of the project's captures together with go's words.
func ownCapture(t *testing.T, name, words string) *Result {
	t.Helper()
	o := lookedFor
	if words != "" {
		o.GoOutput = goOutput(t, words)
	}
	return analyse(t, open(t, filepath.Join("..", "testdata", "pcaps", name+".pcapng")), o)
}

// shown returns the sentence of the verdict's evidence id, "" for none.
func shown(v *diagnose.Verdict, id string) string {
	for i := range v.Evidence {
		if v.Evidence[i].ID == id {
			return messages.English.Evidence(&v.Evidence[i])
		}
	}
	return ""
}

func contradicts(v *diagnose.Verdict) bool {
	return slices.Contains(v.Notes, "go-output.contradiction") && shown(v, "go.contradicts") != ""
}

// TestGoAgrees holds that what go printed while a capture was made fits that
// capture, changes nothing about its verdict, and joins it.
func TestGoAgrees(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "testdata", "pcaps", "*.go-output.txt"))
	if err != nil || len(files) < 8 {
		t.Fatalf("%d outputs: %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".go-output.txt")
		t.Run(name, func(t *testing.T) {
			words, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			alone, r := ownCapture(t, name, ""), ownCapture(t, name, string(words))
			if r.Verdict.Class != alone.Verdict.Class || !slices.Equal(r.Verdict.Place, alone.Verdict.Place) || r.Verdict.Level != alone.Verdict.Level {
				t.Errorf("go's words made %s (%s, %v) of %s (%s, %v)", r.Verdict.Class, r.Verdict.Level, r.Verdict.Place,
					alone.Verdict.Class, alone.Verdict.Level, alone.Verdict.Place)
			}
			if len(r.GoStatements) == 0 {
				t.Fatal("no statement found in what go printed")
			}
			for _, c := range r.GoStatements {
				unreachable := c.Kind == goproxy.KindNoRoute // a local cause needs no packet
				if c.Packets != diagnose.PacketsAgree && !(unreachable && c.Packets == diagnose.PacketsUnclear) || len(c.Frames) == 0 {
					t.Errorf("line %d, %s: packets %s, frames %v", c.Line, c.Text, c.Packets, c.Frames)
				}
			}
			if got := shown(&r.Verdict, "go.agrees"); !strings.Contains(got, r.GoStatements[0].Host) {
				t.Errorf("the verdict says %q of go's words", got)
			}
			if contradicts(&r.Verdict) {
				t.Errorf("a contradiction: %s", shown(&r.Verdict, "go.contradicts"))
			}
		})
	}
}

// first returns the capture's first connection with a verdict of class c.
func first(t *testing.T, r *Result, c diagnose.Class) *Connection {
	t.Helper()
	for conn, err := range r.Connections.All() {
		if err != nil {
			t.Fatal(err)
		}
		if conn.Verdict.Class == c {
			return conn
		}
	}
	t.Fatalf("no connection with verdict %s", c)
	return nil
}

// TestResetReadAsEnd gives the words that go has where what it wrote met the
// reset first: the socket tells of it once, and the next read finds an end.
func TestResetReadAsEnd(t *testing.T) {
	for _, words := range []string{"EOF", "unexpected EOF"} {
		r := ownCapture(t, "hello-reset", `go: m@v1.0.0: Get "https://proxy.example/m": `+words+"\n")
		if len(r.GoStatements) != 1 || contradicts(&r.Verdict) || r.Verdict.Class != diagnose.TLSReset {
			t.Errorf("%q: %s with %q; %+v", words, r.Verdict.Class, shown(&r.Verdict, "go.contradicts"), r.GoStatements)
		}
	}
}

// TestGoContradicts gives the same captures words that do not fit: both are
// reported, and the packets' verdict stands.
func TestGoContradicts(t *testing.T) {
	const url = `go: m@v1.0.0: Get "https://proxy.example/m": `
	for _, tt := range []struct {
		capture string
		class   diagnose.Class // of the connection that the words name
		words   string         // %s is client->server, %[2]s the server
		exact   bool
	}{
		{"healthy-h2", diagnose.OK, url + "read tcp %s: read: connection reset by peer", true},
		{"healthy-h2", diagnose.OK, url + "net/http: TLS handshake timeout", false},
		{"healthy-h2", diagnose.OK, url + "dial tcp %[2]s: i/o timeout", false},
		{"healthy-h2", diagnose.OK, url + "dial tcp %[2]s: connect: connection refused", false},
		{"healthy-h2", diagnose.OK, url + "tls: failed to verify certificate: x509: certificate signed by unknown authority", false},
		{"healthy-h2", diagnose.OK, url + "http: server gave HTTP response to HTTPS client", false},
		{"hello-reset", diagnose.TLSReset, url + "net/http: TLS handshake timeout", false},
		{"hello-reset", diagnose.TLSReset, url + "tls: failed to verify certificate: x509: certificate signed by unknown authority", false},
		{"hello-closed", diagnose.TLSClosed, url + "read tcp %s: read: connection reset by peer", true},
		{"hello-alert", diagnose.TLSAlertFromServer, url + "remote error: tls: internal error", false},
		{"stalled-download", diagnose.TLSNoServerHello, url + "EOF", false},
		{"hello-dropped", diagnose.TLSClientHelloLost, url + "EOF", false},
		{"connect-refused", diagnose.ConnectRefused, url + "dial tcp %[2]s: i/o timeout", false},
		{"syn-drop", diagnose.ConnectNoAnswer, url + "dial tcp %[2]s: connect: connection refused", false},
		{"stalled-download", diagnose.TLSNoServerHello, "go: m@v1: reading https://proxy.example/m: 500 Internal Server Error", false},
	} {
		alone := ownCapture(t, tt.capture, "")
		conn := first(t, alone, tt.class)
		words := tt.words
		if strings.Contains(words, "%") {
			words = fmt.Sprintf(strings.ReplaceAll(words, "%s", "%[1]s"), conn.Client+"->"+conn.Server, conn.Server)
			words, _, _ = strings.Cut(words, "%!(EXTRA")
		}
		r := ownCapture(t, tt.capture, words+"\n")
		if !contradicts(&r.Verdict) {
			t.Errorf("%s, %q: no contradiction; %+v", tt.capture, words, r.GoStatements)
		}
		if got := shown(&r.Verdict, "go.contradicts"); !strings.Contains(got, string(tt.class)) || !strings.Contains(got, "go says") {
			t.Errorf("%s, %q: %q names not both statements", tt.capture, words, got)
		}
		if r.Verdict.Class != alone.Verdict.Class || !slices.Equal(r.Verdict.Place, alone.Verdict.Place) || r.Verdict.Level != alone.Verdict.Level {
			t.Errorf("%s, %q: verdict %s, was %s", tt.capture, words, r.Verdict.Class, alone.Verdict.Class)
		}
		if tt.exact {
			for _, c := range connections(t, r) {
				if contradicts(&c.Verdict) != (c.ID == conn.ID) {
					t.Errorf("%s: connection %d, named %d: contradiction %v", tt.capture, c.ID, conn.ID, contradicts(&c.Verdict))
				}
			}
		}
	}
}

// TestGoAbsent tells of connections that only go knows of, and not of those
// that a narrowed view leaves out.
func TestGoAbsent(t *testing.T) {
	const words = `go: m@v1.0.0: Get "https://proxy.example/m": read tcp 192.0.2.7:1234->198.51.100.9:443: read: connection reset by peer` + "\n"
	r := ownCapture(t, "healthy-h2", words)
	if shown(&r.Verdict, "go.absent") == "" || r.Verdict.Class != diagnose.OK || contradicts(&r.Verdict) {
		t.Errorf("%+v", r.Verdict)
	}
	o := lookedFor
	o.GoOutput, o.Ports = goOutput(t, words), []uint16{443}
	r = analyse(t, open(t, filepath.Join("..", "testdata", "pcaps", "healthy-h2.pcapng")), o)
	if shown(&r.Verdict, "go.absent") != "" {
		t.Error("a connection is called absent from a part of the capture")
	}
	r = ownCapture(t, "dns-nxdomain", `go: m@v1.0.0: Get "https://proxy.example/m": dial tcp 198.51.100.9:443: i/o timeout`+"\n")
	if shown(&r.Verdict, "go.attempt-absent") == "" {
		t.Errorf("%+v", r.Verdict.Evidence)
	}
}

// TestHTTPErrorFromWords: packets cannot show an answer inside TLS, so go's
// words decide, where packets show that there was an answer.
func TestHTTPErrorFromWords(t *testing.T) {
	for words, status := range map[string]string{
		"go: m@v1.0.0: reading https://proxy.example/m/@v/v1.0.0.zip: 403 Forbidden\n\tserver response: no\n":                                                                    "403 Forbidden",
		"# get https://proxy.example/m\n# get https://proxy.example/m: 500 Internal Server Error (0.1s)\ngo: m@v1: reading https://proxy.example/m: 500 Internal Server Error\n": "500 Internal Server Error",
		`go: m@v1.0.0: read "https://proxy.example/m": stream error: stream ID 5; INTERNAL_ERROR; received from peer` + "\n":                                                     "an HTTP/2 stream error INTERNAL_ERROR",
	} {
		r := ownCapture(t, "healthy-h2", words)
		v := &r.Verdict
		if v.Class != diagnose.HTTPError || v.Stage != diagnose.StageHTTP || !slices.Equal(v.Place, []diagnose.Place{diagnose.Remote}) || v.Level != diagnose.Suggested {
			t.Errorf("%q: %s, %s, %v, %s", words, v.Class, v.Stage, v.Place, v.Level)
		}
		if s := messages.English.Summary(v); !strings.Contains(s, status) || !strings.Contains(s, "proxy.example") {
			t.Errorf("summary %q", s)
		}
		if r.Subject < 0 || shown(v, "go.inside-tls") == "" || shown(v, "go.answer") == "" {
			t.Errorf("subject %d, evidence %+v", r.Subject, v.Evidence)
		}
		if n := r.Connections.Len(); n != 2 {
			t.Errorf("%d connections left", n)
		}
	}
	// What only the trace tells of was made good; what the packets know
	// better stays; another host's answer is another host's.
	for _, tt := range [][2]string{
		{"healthy-h2", "# get https://proxy.example/m\n# get https://proxy.example/m: 404 Not Found (0.1s)\n"},
		{"hello-reset", "go: m@v1.0.0: reading https://proxy.example/m: 403 Forbidden\n"},
		{"healthy-h2", "go: m@v1.0.0: reading https://other.example/m: 403 Forbidden\n"},
	} {
		if r := ownCapture(t, tt[0], tt[1]); r.Verdict.Class == diagnose.HTTPError {
			t.Errorf("%s with %q: %+v", tt[0], tt[1], r.Verdict)
		}
	}
	// The only connection that can have carried it gets the verdict too.
	r := ownCapture(t, "healthy-http1", "")
	carried := 0
	for _, c := range connections(t, r) {
		if c.Bytes.FromServer > 0 {
			carried++
		}
	}
	r = ownCapture(t, "healthy-http1", "go: m@v1.0.0: reading https://proxy.example/m: 502 Bad Gateway\n")
	named := 0
	for _, c := range connections(t, r) {
		if c.Verdict.Class == diagnose.HTTPError {
			if named++; c.ID != r.Subject {
				t.Errorf("connection %d has the verdict, the subject is %d", c.ID, r.Subject)
			}
		}
	}
	if want := carried == 1; (named == 1) != want || named > 1 {
		t.Errorf("%d of %d connections have the verdict", named, carried)
	}
}

// TestInterrupted: a signal explains a download that was under way, and not
// one that had come to its end.
func TestInterrupted(t *testing.T) {
	r := ownCapture(t, "healthy-h2", "# get https://proxy.example/m: 200 OK (0.1s)\nsignal: interrupt\n")
	if r.Verdict.Class != diagnose.OK {
		t.Errorf("a finished download: %s", r.Verdict.Class)
	}
	r = ownCapture(t, "stalled-body", "# get https://proxy.example/m\nsignal: interrupt\n")
	if shown(&r.Verdict, "go.interrupted") == "" || r.Verdict.Class != diagnose.TransferRemoteIdle {
		t.Errorf("%s, %+v", r.Verdict.Class, r.Verdict.Evidence)
	}
	// Cut where an answer was due, the same capture shows no death yet.
	w := load(t, filepath.Join("..", "testdata", "pcaps", "stalled-body.pcapng"))
	w.packets = w.packets[:len(w.packets)/2]
	o := lookedFor
	for _, words := range []string{"", "# get https://proxy.example/m\n^C\n"} {
		o.GoOutput = nil
		want := diagnose.OK
		if words != "" {
			o.GoOutput, want = goOutput(t, words), diagnose.ClientAborted
		}
		if r = analyse(t, reopen(t, asPcap(t, w)), o); r.Verdict.Class != want {
			t.Errorf("%q: %s, want %s", words, r.Verdict.Class, want)
		}
	}
}

// TestFallbackExplained holds what is said of GOPROXY, and that nothing is
// where nobody knows it.
func TestFallbackExplained(t *testing.T) {
	const p = "https://proxy.example"
	for _, tt := range []struct {
		capture, goproxy string
		from             goproxy.Source
		want             string // the only piece of evidence about it
	}{
		{"hello-reset", p + ",direct", goproxy.FromEnvironment, "fallback.not-tried-comma"},
		{"hello-reset", p + ",https://other.example", goproxy.FromGoEnv, "fallback.not-tried-comma"},
		{"hello-reset", p + "|https://other.example", goproxy.FromGoEnv, "fallback.not-seen"},
		{"hello-reset", p, goproxy.FromEnvironment, "fallback.none"},
		{"hello-reset", p + ",off", goproxy.FromEnvironment, "fallback.off"},
		{"stalled-body", p + "|direct", goproxy.FromEnvironment, "fallback.waiting"},
		{"dns-nxdomain", p + ",direct", goproxy.FromEnvironment, "fallback.not-tried-comma"},
		{"syn-drop", p + ",direct", goproxy.FromEnvironment, "fallback.not-tried-comma"},
		{"hello-reset", p + ",direct", goproxy.FromDefaults, ""},
		{"hello-reset", p + ",direct", "", ""},
		{"hello-reset", "https://other.example,direct", goproxy.FromEnvironment, ""},
		{"healthy-h2", p + ",direct", goproxy.FromEnvironment, ""},
	} {
		o := lookedFor
		o.Settings, o.SettingsFrom = goproxy.Settings{GOPROXY: tt.goproxy, GOSUMDB: "off"}, tt.from
		r := analyse(t, open(t, filepath.Join("..", "testdata", "pcaps", tt.capture+".pcapng")), o)
		var got []string
		for _, e := range r.Verdict.Evidence {
			if strings.HasPrefix(e.ID, "fallback.") {
				got = append(got, e.ID)
			}
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s, GOPROXY=%s from %q: %q, want %q", tt.capture, tt.goproxy, tt.from, got, tt.want)
		}
		if advised := slices.Contains(r.Verdict.NextSteps, "next.fallback-bar"); advised != (tt.want == "fallback.not-tried-comma") {
			t.Errorf("%s, GOPROXY=%s: a bar is advised: %v", tt.capture, tt.goproxy, advised)
		}
	}
	// go env's lines in the output go before what this program's own
	// surroundings say.
	o := lookedFor
	o.Settings, o.SettingsFrom = goproxy.Settings{GOPROXY: "https://elsewhere.example"}, goproxy.FromEnvironment
	o.GoOutput = goOutput(t, "GOPROXY='https://proxy.example'\n")
	r := analyse(t, open(t, filepath.Join("..", "testdata", "pcaps", "hello-reset.pcapng")), o)
	if got := shown(&r.Verdict, "fallback.none"); !strings.Contains(got, "go's output") {
		t.Errorf("%q", got)
	}
	if slices.Contains(diagnose.Classes[diagnose.TLSReset].NextSteps, "next.fallback-bar") {
		t.Error("advice for one capture became advice for all")
	}
}
