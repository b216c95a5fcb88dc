package report

import (
	"bytes"
	"strings"
	"testing"

	"goproxytrace/redact"
)

// A report that was written whole gives nothing away once it is read and redacted.
func TestRedactedAfterReading(t *testing.T) {
	var raw bytes.Buffer
	if err := WriteJSON(&raw, Build(secretResult(t), Options{File: "/home/quokka/quokka.pcapng"}), false); err != nil {
		t.Fatal(err)
	}
	whole, err := ReadJSON(raw.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	before := rendered(t, whole)
	got := rendered(t, Redacted(whole, redact.New(redact.Options{})))
	for _, secret := range []string{"quokka", "Quokka", "10.77."} {
		if strings.Contains(got, secret) {
			t.Errorf("%s is left: %.200q", secret, got[max(strings.Index(got, secret)-80, 0):])
		}
		if !strings.Contains(before, secret) {
			t.Errorf("%s is not in what is not redacted", secret)
		}
	}
	for _, kept := range []string{"Inspection CA", "10.0.", "frame.number in {3,4}", "PID 7", `"redacted":true`} {
		if !strings.Contains(got, kept) {
			t.Errorf("%s is gone", kept)
		}
	}
	if again := rendered(t, whole); again != before {
		t.Error("the document was changed")
	}
	if d := Redacted(whole, redact.New(redact.Options{})); Redacted(d, redact.New(redact.Options{})) != d {
		t.Error("what is redacted was redacted again")
	}
}

// With a key, a report that is redacted after reading has the pseudonyms of one
// that was redacted when it was written.
func TestRedactedAfterReadingAsBefore(t *testing.T) {
	x := func() *redact.Redactor { return redact.New(redact.Options{Key: []byte("0123456789abcdef")}) }
	r := secretResult(t)
	r.Private = nil // a report does not say what is private
	var raw bytes.Buffer
	if err := WriteJSON(&raw, Build(r, Options{File: "x.pcapng"}), false); err != nil {
		t.Fatal(err)
	}
	whole, err := ReadJSON(raw.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	got, want := Redacted(whole, x()), Build(r, Options{File: "x.pcapng", Redact: x()})
	if got.Lookups[0].Name != want.Lookups[0].Name || got.Lookups[0].Client != want.Lookups[0].Client {
		t.Errorf("%s asked for %s, want %s and %s", got.Lookups[0].Client, got.Lookups[0].Name, want.Lookups[0].Client, want.Lookups[0].Name)
	}
	if got.Capture.File != want.Capture.File || got.Verdict.Summary != want.Verdict.Summary {
		t.Errorf("%s: %s\nwant %s: %s", got.Capture.File, got.Verdict.Summary, want.Capture.File, want.Verdict.Summary)
	}
	for i := range got.Verdict.Evidence {
		if g, w := got.Verdict.Evidence[i].Text, want.Verdict.Evidence[i].Text; g != hidden && g != w {
			t.Errorf("%s, want %s", g, w)
		}
	}
}
