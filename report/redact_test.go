package report

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"goproxytrace/analyze"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/internal/terminal"
	"goproxytrace/redact"
	"goproxytrace/report/messages"
)

// freeTexts are the values of rules that are free text, or whose meaning their
// form tells.
var freeTexts = []string{"error", "first", "second", "layer", "origin", "provider", "rule", "status", "subject", "text"}

// TestEveryValueHasAMeaning holds that whoever adds a value to a rule says what
// it means: free text is searched, and only what has a form is found in it.
func TestEveryValueHasAMeaning(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("..", "analyze", "diagnose", "*.go"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d files, %v", len(paths), err)
	}
	call := regexp.MustCompile(`\bText\("([a-z_-]+)"`)
	found := map[string]bool{}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range call.FindAllStringSubmatch(string(src), -1) {
			found[m[1]] = true
			if valueKinds[m[1]] == nil && !slices.Contains(freeTexts, m[1]) {
				t.Errorf("%s: what does the value %q mean? valueKinds or freeTexts has to say", filepath.Base(path), m[1])
			}
		}
	}
	if len(found) < 20 {
		t.Errorf("only %d values were found", len(found))
	}
	for name := range valueKinds {
		if slices.Contains(freeTexts, name) {
			t.Errorf("%q is free text and is not", name)
		}
		if !found[name] {
			t.Errorf("no rule has a value %q", name)
		}
	}
}

// secretResult is a result that is full of the word quokka.
func secretResult(t *testing.T) *analyze.Result {
	t.Helper()
	const host, client, server = "quokka.quokka.internal", "10.77.66.55:40000", "10.77.99.88:443"
	verdict := diagnose.Verdict{
		Class: diagnose.TLSCertificateRejected, Stage: diagnose.StageTLS, Place: []diagnose.Place{diagnose.Network}, Level: diagnose.Proven,
		Values: []diagnose.Value{diagnose.Text("host", host), diagnose.Text("address", server), diagnose.Text("process", "go (PID 7)"), diagnose.Dur("after", 1e9)},
		Evidence: []diagnose.Evidence{
			{ID: "certificate.shown", Values: []diagnose.Value{diagnose.Text("subject", "CN="+host+",O=Quokka Ltd"), diagnose.Text("issuer", "CN=Inspection CA"), diagnose.Text("names", host+", "+host)}, Frames: []int64{3, 4}},
			{ID: "http.location", Values: []diagnose.Value{diagnose.Text("location", "https://quokka:quokka@"+host+"/quokka?quokka")}},
			{ID: "http.server", Values: []diagnose.Value{diagnose.Text("server", "squid at "+host), diagnose.Text("via", "1.1 "+host)}},
			{ID: "go.agrees", Values: []diagnose.Value{diagnose.Text("text", "Get https://"+host+"/quokka: dial tcp "+server)}},
			{ID: "proxy.refusal", Values: []diagnose.Value{diagnose.Text("target", host+":443"), diagnose.Num("status", 403), diagnose.Text("reason", "quokka says no")}},
			{ID: "bytes.instead-of-tls", Values: []diagnose.Value{diagnose.Text("bytes", `"220 quokka"`)}},
		},
	}
	store := analyze.NewStore()
	t.Cleanup(func() { store.Close() })
	for i := range 3 {
		store.Add(&analyze.Connection{
			ID: int64(i), Client: client, Server: server, ServerName: host, Start: time.Unix(1, 0).UTC(), Verdict: verdict, Target: true,
			Process: &analyze.Process{PID: 7, Name: "go", Command: "/home/quokka/go/bin/go get quokka.internal/m"},
			TLS:     &analyze.TLS{ALPN: []string{"h2", "quokka"}, Certificates: []analyze.Certificate{{Subject: "CN=" + host, Issuer: "CN=Inspection CA", Names: []string{host}, Fingerprint: "abcd"}}},
			Proxy:   &analyze.Proxy{Target: host + ":443", Status: 403, Reason: "quokka says no"}, ICMP: []analyze.ICMP{{From: "10.77.66.1"}},
		})
	}
	return &analyze.Result{
		Capture: analyze.Capture{Format: "pcapng", Packets: 9, Notes: []string{"comment: quokka"}},
		Verdict: verdict, SubjectLookup: -1, Connections: store, Targets: []string{host},
		Processes:  []analyze.ProcessVerdict{{Process: analyze.Process{PID: 7, Name: "go", Command: "go get quokka.internal/m"}, Verdict: verdict}},
		Lookups:    []analyze.Lookup{{Name: host, Type: "A", Client: client, Server: "10.77.66.1:53", Answers: []string{"10.77.99.88", "alias.quokka.internal"}, Verdict: verdict}},
		Attempts:   []analyze.Attempt{{Target: server, Host: host, Error: "EPERM", Verdict: verdict}},
		Events:     []analyze.Event{{Source: "netlink", Text: "route to 10.77.66.1 by quokka.internal"}, {Source: "quokka", Text: "quokka", Foreign: true}},
		Unanswered: []analyze.Unanswered{{Server: server, Connections: 2}},
		Private:    []string{"*.quokka.internal"},
	}
}

func rendered(t *testing.T, d *Document) string {
	t.Helper()
	var out bytes.Buffer
	if err := WriteText(&out, d, terminal.Output{Columns: 400}); err != nil {
		t.Fatal(err)
	}
	if d.Language == messages.English {
		if err := WriteJSON(&out, d, false); err != nil {
			t.Fatal(err)
		}
		if err := NewCSV(&out).Write(d); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

func TestRedacted(t *testing.T) {
	for _, l := range messages.Languages {
		r := secretResult(t)
		before := rendered(t, Build(r, Options{File: "x.pcapng", Language: l}))
		got := rendered(t, Build(r, Options{File: "/home/quokka/quokka.pcapng", Language: l, Redact: redact.New(redact.Options{})}))
		for _, secret := range []string{"quokka", "Quokka", "10.77."} {
			if strings.Contains(got, secret) {
				t.Errorf("%s: %s is left: %.200q", l, secret, got[max(strings.Index(got, secret)-80, 0):])
			}
			if !strings.Contains(before, secret) {
				t.Errorf("%s: %s is not in what is not redacted", l, secret)
			}
		}
		for _, kept := range []string{"Inspection CA", "host-1.host-1.internal", "10.0.", "frame.number in {3,4}", "PID 7"} {
			if !strings.Contains(got, kept) {
				t.Errorf("%s: %s is gone", l, kept)
			}
		}
		// The result is as it was.
		if again := rendered(t, Build(r, Options{File: "x.pcapng", Language: l})); again != before {
			t.Errorf("%s: the result was changed", l)
		}
	}
}

// The rows of many connections are redacted as those of few.
func TestRedactedRowsFromAFile(t *testing.T) {
	r := secretResult(t)
	const n = 30_000
	for i := 3; i < n; i++ {
		r.Connections.Add(&analyze.Connection{
			ID: int64(i), Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 77, byte(i >> 8), byte(i)}), 40000).String(), Server: "10.77.99.88:443", ServerName: fmt.Sprintf("quokka%d.internal", i%7),
			Start: time.Unix(1, 0).UTC(), Verdict: diagnose.Verdict{Class: diagnose.OK, Stage: diagnose.StageDone},
		})
	}
	var out bytes.Buffer
	if err := WriteJSON(&out, Build(r, Options{Redact: redact.New(redact.Options{})}), false); err != nil {
		t.Fatal(err)
	}
	if got := bytes.Count(out.Bytes(), []byte(`"server_name":`)); got != n {
		t.Errorf("%d connections of %d", got, n)
	}
	for _, secret := range []string{"quokka", "10.77."} {
		if i := bytes.Index(out.Bytes(), []byte(secret)); i >= 0 {
			t.Errorf("%s is left: %.200q", secret, out.Bytes()[max(i-80, 0):])
		}
	}
}

// keptTexts are members of a Result, by type and field, whose texts say nothing
// about whose they are, or are no text of the capture's.
var keptTexts = []string{
	"Process.Name", "Process.Source", "Process.Confidence", "OtherOwner.Source", "ProcessVerdict.ParentName", "Attempt.Name", "Attempt.Source",
	"Lookup.Type", "Lookup.RCode", "LookupMessage.RCode", "Verdict.Class", "Verdict.Stage", "Verdict.Level", "Verdict.Place", "Verdict.Notes", "Verdict.RefutedBy", "Verdict.NextSteps",
	"Verdict.NotAssessed", "Evidence.ID", "Value.Name", "Result.NotAssessed", "Result.Platform", "Capture.Format", "Capture.Blocks", "Unread.Name", "DamageError.Reason",
	"Alert.From", "Alert.Name", "TLS.Version", "TLS.Cipher", "TLS.JA3", "TLS.JA4", "TLS.Versions", "TLS.Groups", "TLS.KeyShares", "TLS.Malformed",
	"Certificate.Fingerprint", "GoCheck.Packets",
}

// fillTexts puts a secret into every text below v.
func fillTexts(v reflect.Value, field string, secret string) {
	if slices.Contains(keptTexts, field) {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.Type().Elem().Kind() != reflect.Struct || strings.HasSuffix(v.Type().Elem().PkgPath(), "segtrace") || v.Type() == reflect.TypeFor[*analyze.Store]() {
			return
		}
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		fillTexts(v.Elem(), field, secret)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fillTexts(v.Index(i), field, secret)
		}
	case reflect.String:
		v.SetString(secret)
	case reflect.Uint8:
		if v.Type() == reflect.TypeFor[diagnose.Unit]() {
			v.SetUint(uint64(diagnose.UnitText))
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[netip.AddrPort]() {
			v.Set(reflect.ValueOf(netip.MustParseAddrPort("10.77.66.55:443")))
			return
		}
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				fillTexts(v.Field(i), v.Type().Name()+"."+f.Name, secret)
			}
		}
	}
}

// foundTexts lists the texts below v that hold a secret.
func foundTexts(v reflect.Value, field string) (out []string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() && v.Type() != reflect.TypeFor[*analyze.Store]() && !strings.HasSuffix(v.Type().Elem().PkgPath(), "segtrace") {
			return foundTexts(v.Elem(), field)
		}
	case reflect.Slice:
		for i := range v.Len() {
			out = append(out, foundTexts(v.Index(i), field)...)
		}
	case reflect.String:
		if strings.Contains(v.String(), "quokka") {
			out = append(out, field)
		}
	case reflect.Struct:
		if a, ok := v.Interface().(netip.AddrPort); ok {
			if a.Addr() == netip.MustParseAddr("10.77.66.55") {
				out = append(out, field)
			}
			return out
		}
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				out = append(out, foundTexts(v.Field(i), v.Type().Name()+"."+f.Name)...)
			}
		}
	}
	return out
}

// TestEveryTextIsRedacted holds that a member that is added to a Result or a
// Connection is redacted too, or said to need none.
// What a capture could not read is named by its path: a value of this name is
// whole elsewhere, where it is a program's word.
func TestUnreadIsRedacted(t *testing.T) {
	in := diagnose.Evidence{ID: "host.unread", Values: []diagnose.Value{diagnose.Text("source", "/home/quokka/log"), diagnose.Text("why", "open /home/quokka/log: denied")}}
	out := redactor{redact.New(redact.Options{})}.evidence(&in)
	for _, v := range out.Values {
		if strings.Contains(v.Text, "quokka") {
			t.Errorf("%s: %s", v.Name, v.Text)
		}
	}
}

func TestEveryTextIsRedacted(t *testing.T) {
	const secret = "quokka.quokka.internal"
	var r analyze.Result
	var c analyze.Connection
	fillTexts(reflect.ValueOf(&r).Elem(), "Result", secret)
	fillTexts(reflect.ValueOf(&c).Elem(), "Connection", secret)
	r.Connections = nil
	if n := len(foundTexts(reflect.ValueOf(&r), "")) + len(foundTexts(reflect.ValueOf(&c), "")); n < 50 {
		t.Fatalf("%d texts were filled", n)
	}
	x := redact.New(redact.Options{})
	for _, v := range []any{redacted(&r, x), redactor{x}.connection(&c)} {
		for _, field := range foundTexts(reflect.ValueOf(v), "") {
			t.Errorf("%s is not redacted", field)
		}
	}
}
