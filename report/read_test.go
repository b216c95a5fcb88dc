package report

import (
	"bytes"
	"strings"
	"testing"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/internal/terminal"
)

// renderings are what is written of a document.
func renderings(t testing.TB, d *Document) (text, js, csv string) {
	t.Helper()
	var a, b, c bytes.Buffer
	if err := WriteText(&a, d, terminal.Output{Columns: 110}); err != nil {
		t.Fatal(err)
	}
	if err := WriteJSON(&b, d, false); err != nil {
		t.Fatal(err)
	}
	if err := NewCSV(&c).Write(d); err != nil {
		t.Fatal(err)
	}
	return a.String(), b.String(), c.String()
}

// What is read back is rendered as what was written. Bytes that are no text are
// lost in JSON already.
func TestReadJSON(t *testing.T) {
	for n, name := range map[int]string{0: "goproxy.cn", 1: "goproxy.cn", 40: "goproxy.cn</script>\u202e\x1b", 3000: "goproxy.cn"} {
		r := fakeResult(n, name)
		d := Build(r, Options{File: "case.pcapng", Version: "1"})
		text, js, csv := renderings(t, d)
		read, err := ReadJSON([]byte(js))
		if err != nil {
			t.Fatal(err)
		}
		text2, js2, csv2 := renderings(t, read)
		if read.GoVersion != "go1.26.8" {
			t.Errorf("go version %q", read.GoVersion)
		}
		if text2 != text || js2 != js || csv2 != csv {
			t.Errorf("%d connections: text equal: %v, JSON equal: %v, CSV equal: %v", n, text2 == text, js2 == js, csv2 == csv)
		}
		r.Close()
	}
}

// A filter is printed for copying as it is: none that somebody wrote into a
// report is.
func TestReadJSONFilters(t *testing.T) {
	r := fakeResult(1, "goproxy.cn")
	defer r.Close()
	r.Verdict.Evidence = []diagnose.Evidence{{ID: "tls.reset", Frames: []int64{7, 8}}}
	_, js, _ := renderings(t, Build(r, Options{}))
	const filter = "frame.number in {7,8}"
	hostile := strings.Replace(js, filter, `\u001b]0;x\u0007`+filter, 1)
	if hostile == js {
		t.Fatal("no filter is in the report")
	}
	d, err := ReadJSON([]byte(hostile))
	if err != nil {
		t.Fatal(err)
	}
	if text, _, _ := renderings(t, d); strings.ContainsAny(text, "\x1b\x07") || !strings.Contains(text, filter) {
		t.Errorf("%q", text)
	}
}

// An excerpt tells what it leaves out, and what matters stays in it.
func TestExcerpt(t *testing.T) {
	const n, limit = 3000, 25
	r := fakeResult(n, "goproxy.cn")
	defer r.Close()
	r.Subject = 2907
	d := Build(r, Options{})
	e, err := d.Excerpt(limit)
	if err != nil {
		t.Fatal(err)
	}
	_, js, _ := renderings(t, e)
	read, err := ReadJSON([]byte(js))
	if err != nil {
		t.Fatal(err)
	}
	text, _, _ := renderings(t, d)
	again, _, _ := renderings(t, read)
	if text != again {
		t.Errorf("the terminal report of the excerpt is another:\n%s\n%s", text, again)
	}
	if read.Connections != n || read.ConnectionsOmitted != n-limit || len(read.rows) != limit {
		t.Errorf("%d connections, %d omitted, %d there", read.Connections, read.ConnectionsOmitted, len(read.rows))
	}
	found := false
	for i, c := range read.rows {
		found = found || c.ID == 2907
		if i > 0 && c.ID <= read.rows[i-1].ID {
			t.Error("connections are not in order of their IDs")
		}
	}
	if !found {
		t.Error("the subject is left out")
	}
}

func TestReadJSONRefuses(t *testing.T) {
	for _, s := range []string{"", "{}", "[]", `{"schema":"other/v9"}`, `{"schema":"goproxytrace.report/v1","subject":"x"}`, `{"schema":"goproxytrace.report/v1"`} {
		if _, err := ReadJSON([]byte(s)); err == nil || !strings.HasPrefix(err.Error(), "report: ") {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// FuzzReadJSON reads what anybody may have written into a page.
func FuzzReadJSON(f *testing.F) {
	r := fakeResult(3, "goproxy.cn")
	defer r.Close()
	_, js, _ := renderings(f, Build(r, Options{}))
	f.Add([]byte(js))
	f.Add([]byte(`{"schema":"goproxytrace.report/v1","connections":[{}],"connections_omitted":{"connections":-5},"lookups":[{}],"attempts":[{}],"events":[{}],"processes":[{}],"capture":{"bytes":-1,"packets":-9}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := ReadJSON(raw)
		if err != nil {
			return
		}
		text, _, _ := renderings(t, d)
		for _, r := range text {
			if r != '\n' && !terminal.Harmless(r) {
				t.Fatalf("%U in the terminal report", r)
			}
		}
	})
}
