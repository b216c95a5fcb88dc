package goproxy

import (
	"reflect"
	"strings"
	"testing"
)

// TestLinesAsOutput holds that lines read one by one say what the whole says,
// each statement with the time of its first line.
func TestLinesAsOutput(t *testing.T) {
	lines := []string{
		"go: downloading example.com/m v1.0.0",
		`# get https://proxy.example/m: 200 OK (0.1s)`,
		`go: m@v1: Get "https://user:secret@proxy.example/m": net/http: TLS handshake timeout`,
		"\tserver response:", "\tGet \"https://quoted.example/\": EOF",
		`go: n@v1: Get "https://proxy.example/n": EOF` + "\r",
		`go: m@v1: Get "https://user:secret@proxy.example/m": net/http: TLS handshake timeout`,
		strings.Repeat("x", 2*maxLine),
		"GOPROXY='https://proxy.example'",
	}
	whole, err := ReadOutput(strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	var l Lines
	for i, s := range lines {
		l.Add(s, int64(i)+100)
	}
	got := l.Output()
	var times []int64
	for i := range got.Statements {
		times = append(times, got.Statements[i].Time)
		got.Statements[i].Time = 0
	}
	if !reflect.DeepEqual(got, whole) {
		t.Errorf("line by line: %+v\nas a whole: %+v", got, whole)
	}
	if len(times) != 2 || times[0] != 102 || times[1] != 105 {
		t.Errorf("times %v", times)
	}
}

// TestLinesBounded holds that endless output is counted and not kept.
func TestLinesBounded(t *testing.T) {
	var l Lines
	long := strings.Repeat("y", 1<<20)
	for range 20 {
		l.Add(long, 1)
	}
	l.Add(`Get "https://proxy.example/m": EOF`, 2)
	if out := l.Output(); out.Lines != 21 || len(out.Statements) != 0 {
		t.Errorf("%d lines, %+v", out.Lines, out.Statements)
	}
}
