// Package reported makes reports on captures, for tests.
package reported

import (
	"bytes"
	"context"
	"testing"

	"goproxytrace/analyze"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/report"
)

// Document hands over the report on a capture; it is valid during the call.
func Document(t testing.TB, file string, take func(*report.Document)) {
	t.Helper()
	src, err := pcapfile.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	r, err := analyze.Run(context.Background(), src, analyze.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	take(report.Build(r, report.Options{File: file}))
}

// JSON returns the whole report on a capture, as one line.
func JSON(t testing.TB, file string) []byte {
	t.Helper()
	var b bytes.Buffer
	Document(t, file, func(d *report.Document) {
		if err := report.WriteJSON(&b, d, true); err != nil {
			t.Fatal(err)
		}
	})
	return b.Bytes()
}
