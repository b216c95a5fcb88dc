package pcapfile

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"goproxytrace/capture"
)

// What WriteProcess writes, Info.Processes has.
func TestWriteProcess(t *testing.T) {
	var out bytes.Buffer
	w, err := NewWriter(&out, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := []capture.Process{{PID: 7, Name: "go", Path: "/usr/local/go/bin/go"}, {PID: 1<<32 - 1}}
	for i := range want {
		if err := w.WriteProcess(&want[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	r, err := NewReader(&out, int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Read(new(capture.Batch)); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	got := r.Info().Processes
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("%+v, want %+v", got, want)
	}
}
