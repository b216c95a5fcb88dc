package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"

	"goproxytrace/analyze"
	"goproxytrace/analyze/goproxy"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/fleet/ingest"
	"goproxytrace/fleet/internal/pcapcopy"
	"goproxytrace/fleet/rows"
	"goproxytrace/fleet/summary"
	"goproxytrace/redact"
	"goproxytrace/report"
)

// read returns all rows of a table.
func read[T any](t *testing.T, out, table string) []T {
	t.Helper()
	parts, err := filepath.Glob(filepath.Join(out, table, "*.parquet"))
	if err != nil || len(parts) == 0 {
		t.Fatalf("%s has %d parts, %v", table, len(parts), err)
	}
	var all []T
	for _, p := range parts {
		list, err := parquet.ReadFile[T](p)
		if err != nil {
			t.Fatalf("%s: %v", p, err)
		}
		all = append(all, list...)
	}
	return all
}

// reportOn returns the JSON report on a capture as analyze --json --redact with
// the same key writes it.
func reportOn(t *testing.T, path, keyPath string, whole bool) []byte {
	t.Helper()
	src, err := pcapfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	result, err := analyze.Run(context.Background(), src, analyze.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer result.Close()
	o := report.Options{File: path, Version: "v1"}
	if !whole {
		key, err := ReadKey(context.Background(), keyPath)
		if err != nil {
			t.Fatal(err)
		}
		o.Redact = redact.New(redact.Options{Public: goproxy.PublicEnd, Key: key})
	}
	var b bytes.Buffer
	if err := report.WriteJSON(&b, report.Build(result, o), true); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestRowsAreThoseOfAnalyze compares the tables with the JSON report on each file.
func TestRowsAreThoseOfAnalyze(t *testing.T) {
	key, files := putKey(t), pcaps(t)
	out := filepath.Join(t.TempDir(), "out")
	s := analyzed(t, Request{Paths: files, Out: out, KeyPath: key})
	type id struct {
		file       string
		connection int64
	}
	connections := make(map[id]rows.Connection)
	for _, c := range read[rows.Connection](t, out, rows.Connections) {
		connections[id{c.FileHash, c.ConnectionID}] = c
	}
	verdicts := make(map[string]rows.Verdict)
	for _, v := range read[rows.Verdict](t, out, rows.Verdicts) {
		if v.Subject.Subject == rows.SubjectCapture {
			verdicts[v.FileHash] = v
		}
	}
	lookups := make(map[id]rows.Lookup)
	for _, l := range read[rows.Lookup](t, out, rows.Lookups) {
		lookups[id{l.FileHash, l.LookupID}] = l
	}
	died := 0
	for _, path := range files {
		hash, err := ingest.Hash(context.Background(), path)
		if err != nil {
			t.Fatal(err)
		}
		var want struct {
			Verdict     verdictJSON
			Connections []struct {
				ID         int64
				ServerName string `json:"server_name"`
				Client     string
				FirstFrame int64 `json:"first_frame"`
				Bytes      struct {
					FromServer int64 `json:"from_server"`
				}
				TCP struct {
					Retransmissions  int64
					ResetsFromServer int64 `json:"resets_from_server"`
				}
				Verdict verdictJSON
			}
			Lookups []struct {
				Name, RCode string
				Verdict     verdictJSON
			}
		}
		if err := json.Unmarshal(reportOn(t, path, key, false), &want); err != nil {
			t.Fatal(err)
		}
		v := verdicts[hash]
		want.Verdict.check(t, path, v.Judgement)
		if v.Died {
			died++
		}
		for _, c := range want.Connections {
			got, ok := connections[id{hash, c.ID}]
			if !ok {
				t.Errorf("%s: connection %d has no row", path, c.ID)
				continue
			}
			delete(connections, id{hash, c.ID})
			c.Verdict.check(t, fmt.Sprintf("%s: connection %d", path, c.ID), got.Judgement)
			if got.Host != c.ServerName || got.FirstFrame != c.FirstFrame || got.BytesFromServer != c.Bytes.FromServer ||
				got.Retransmissions != c.TCP.Retransmissions || got.ResetsFromServer != c.TCP.ResetsFromServer || !strings.Contains(c.Client, got.ClientAddress) {
				t.Errorf("%s: connection %d is %+v, the report has %+v", path, c.ID, got, c)
			}
		}
		for i, l := range want.Lookups {
			got, ok := lookups[id{hash, int64(i)}]
			if !ok || got.Host != l.Name || got.RCode != l.RCode {
				t.Errorf("%s: lookup %d is %+v, the report has %+v", path, i, got, l)
			}
			l.Verdict.check(t, fmt.Sprintf("%s: lookup %d", path, i), got.Judgement)
			delete(lookups, id{hash, int64(i)})
		}
	}
	if len(connections)+len(lookups) > 0 {
		t.Errorf("%d connections and %d lookups are in no report", len(connections), len(lookups))
	}
	if total := s.Summaries[0]; total.Dimension != summary.Total || total.DownloadsDied != int64(died) {
		t.Errorf("the summary begins with %+v, %d captures died", total, died)
	}
	table := read[summary.Row](t, out, SummaryTable)
	if len(table) != len(s.Summaries) {
		t.Errorf("the table summaries has %d rows, the summary %d", len(table), len(s.Summaries))
	}
}

type verdictJSON struct {
	Class, Stage, Level, Summary string
	Place                        []string
	Evidence                     []struct{ ID string }
}

func (v *verdictJSON) check(t *testing.T, what string, got rows.Judgement) {
	t.Helper()
	if got.Class != v.Class || got.Stage != v.Stage || got.Level != v.Level || got.Summary != v.Summary || got.Place != strings.Join(v.Place, ",") {
		t.Errorf("%s: the verdict is %+v, the report has %+v", what, got, v)
	}
}

// TestEveryFileIsAccountedFor has one file of each kind of trouble.
func TestEveryFileIsAccountedFor(t *testing.T) {
	dir := t.TempDir()
	one, two := content(t, pcaps(t)[0]), content(t, pcaps(t)[1])
	later, err := pcapcopy.Shift(one, 1000)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		put(t, filepath.Join(dir, "a.pcapng"), one):                     rows.StatusOK,
		put(t, filepath.Join(dir, "b.pcapng"), later):                   rows.StatusOK,
		put(t, filepath.Join(dir, "c-same-as-a.pcapng"), one):           rows.StatusDuplicate,
		put(t, filepath.Join(dir, "d-cut.pcapng"), two[:700]):           rows.StatusDamaged,
		put(t, filepath.Join(dir, "e.txt"), []byte("no capture")):       rows.StatusUnreadable,
		put(t, filepath.Join(dir, "f-empty.pcapng"), nil):               rows.StatusUnreadable,
		put(t, filepath.Join(dir, "g-empty-too.pcapng"), nil):           rows.StatusDuplicate,
		filepath.Join(dir, "h-not-there.pcapng"):                        rows.StatusUnreadable,
		put(t, filepath.Join(dir, "i.json"), []byte(`{"x": 1}`)):        rows.StatusUnreadable,
		put(t, filepath.Join(dir, "j.html"), []byte("<!doctype html>")): rows.StatusUnreadable,
	}
	out := filepath.Join(t.TempDir(), "out")
	var paths []string
	for p := range files {
		paths = append(paths, p)
	}
	s := analyzed(t, Request{Paths: paths, Out: out, Ingest: ingest.Options{Whole: true}})
	if f := s.Files; f.Matched != 10 || f.OK != 2 || f.Damaged != 1 || f.Unreadable != 5 || f.Duplicate != 2 {
		t.Errorf("%+v", f)
	}
	list := read[rows.File](t, out, rows.Files)
	for _, f := range list {
		if f.Status != files[f.File] {
			t.Errorf("%s is %s (%s)", f.File, f.Status, f.Reason)
		}
		if (f.Reason == "") != (f.Status == rows.StatusOK) {
			t.Errorf("%s is %s: %q", f.File, f.Status, f.Reason)
		}
		if f.Status == rows.StatusDamaged && (f.Offset == nil || *f.Offset <= 0 || *f.Offset >= 700) {
			t.Errorf("%s is damaged at %v", f.File, f.Offset)
		}
	}
	if len(list) != len(files) || len(s.Problems) != 8 {
		t.Errorf("%d files and %d problems", len(list), len(s.Problems))
	}
	if p := s.Problems[len(s.Problems)-2]; p.Reason != "the same bytes as "+filepath.Join(dir, "a.pcapng") {
		t.Errorf("the duplicate is %+v", p)
	}
}

// TestCasesCountOnce has captures, reports on them, and reports on the same case.
func TestCasesCountOnce(t *testing.T) {
	dir, key, files := t.TempDir(), putKey(t), pcaps(t)
	a, b, c := files[0], files[1], files[2]
	line := func(path string, whole bool) string { return string(reportOn(t, path, key, whole)) }
	paths := []string{
		a,
		put(t, filepath.Join(dir, "1-on-a.json"), []byte(line(a, true))),
		put(t, filepath.Join(dir, "2-verdicts.ndjson"), []byte(line(a, false)+line(b, true)+line(c, false)+line(b, false))),
		put(t, filepath.Join(dir, "3-on-b.json"), []byte(line(b, false))),
		put(t, filepath.Join(dir, "4-cut.ndjson"), []byte(line(c, false)+line(a, false)[:200])),
	}
	out := filepath.Join(t.TempDir(), "out")
	s := analyzed(t, Request{Paths: paths, Out: out, KeyPath: key})
	if s.Cases != 3 || s.Duplicates != 5 {
		t.Errorf("%d cases, %d duplicates", s.Cases, s.Duplicates)
	}
	if f := s.Files; f.OK != 2 || f.Duplicate != 2 || f.Damaged != 1 {
		t.Errorf("%+v", f)
	}
	cases := make(map[string]int)
	for _, v := range read[rows.Verdict](t, out, rows.Verdicts) {
		if v.Subject.Subject == rows.SubjectCapture {
			cases[v.CaseID]++
		}
	}
	if len(cases) != 3 {
		t.Errorf("%d cases in the rows", len(cases))
	}
	for id, n := range cases {
		if n != 1 {
			t.Errorf("case %s has %d verdicts", id, n)
		}
	}
	// From reports come the rows that captures give, but for where they come from
	// and what only a capture tells (and what is left out of finished sentences).
	want := filepath.Join(t.TempDir(), "want")
	analyzed(t, Request{Paths: []string{a, b, c}, Out: want, KeyPath: key})
	if got, expect := comparable(t, out), comparable(t, want); !slices.Equal(got, expect) {
		t.Errorf("rows of reports:\n%s\nof captures:\n%s", strings.Join(got, "\n"), strings.Join(expect, "\n"))
	}
}

// comparable returns what captures and reports on them must agree in.
func comparable(t *testing.T, out string) (lines []string) {
	t.Helper()
	for _, c := range read[rows.Connection](t, out, rows.Connections) {
		lines = append(lines, fmt.Sprint(c.CaseID, c.ConnectionID, c.Start, c.Host, c.ClientAddress, c.RemoteAddress, c.Resolver, c.Class, c.Place, c.Level,
			c.Summary, c.EvidenceIDs, c.Retransmissions, c.BytesFromServer, c.TLSVersion, c.JA4))
	}
	for _, l := range read[rows.Lookup](t, out, rows.Lookups) {
		lines = append(lines, fmt.Sprint(l.CaseID, l.LookupID, l.Start, l.Host, l.ResolverAddress, l.Answers, l.Class, l.Summary))
	}
	slices.Sort(lines)
	return lines
}

// TestPseudonyms are equal with the same key, in all runs, and else different.
func TestPseudonyms(t *testing.T) {
	files := pcaps(t)[:6]
	hosts := func(key string) string {
		out := filepath.Join(t.TempDir(), "out")
		s := analyzed(t, Request{Paths: files, Out: out, KeyPath: key})
		if !s.Redacted || s.Key == "" {
			t.Errorf("redacted %v with key %q", s.Redacted, s.Key)
		}
		var list []string
		for _, c := range read[rows.Connection](t, out, rows.Connections) {
			list = append(list, c.Host+" "+c.ClientAddress+" "+c.File)
		}
		slices.Sort(list)
		return strings.Join(list, "\n")
	}
	one, two := putKey(t), putKey(t)
	a, b, c, none, again := hosts(one), hosts(one), hosts(two), hosts(""), hosts("")
	if a != b {
		t.Errorf("with the same key:\n%s\nand\n%s", a, b)
	}
	if a == c || none == again || a == none {
		t.Error("different keys give the same pseudonyms")
	}
	first, _, _ := strings.Cut(a, " ")
	if !strings.HasSuffix(first, ".example") && !strings.Contains(a, ".example") {
		t.Errorf("no names in %s", a)
	}
}

// TestNothingPrivateIsLeft looks for secrets in everything that a run writes.
func TestNothingPrivateIsLeft(t *testing.T) {
	const user = "https://quokka:wallaby@proxy.example"
	dir := filepath.Join(t.TempDir(), "quokka-7", "wallaby")
	capture := content(t, pcaps(t)[0])
	paths := []string{put(t, filepath.Join(dir, "quokka.pcapng"), capture), put(t, filepath.Join(dir, "cut-quokka.pcapng"), capture[:900]),
		put(t, filepath.Join(dir, "quokka.json"), secretReport(t))}
	key := putKey(t)
	o := ingest.Options{Hosts: []string{"wallaby"}, MachineFrom: "/([^/]+)/wallaby/", Settings: goproxy.Settings{GOPROXY: "https://proxy.example"}}
	secrets := []string{"quokka", "Quokka", "wallaby", "proxy.example", "192.168.50.", strings.TrimSpace(string(content(t, key))), "10.77."}
	out := filepath.Join(t.TempDir(), "out")
	s := analyzed(t, Request{Paths: paths, Out: out, KeyPath: key, Ingest: o})
	if s.Files.OK != 2 || s.Files.Damaged != 1 || s.Cases != 3 {
		t.Fatalf("%+v, %d cases", s.Files, s.Cases)
	}
	text := everything(t, out)
	for _, secret := range secrets {
		if i := strings.Index(text, secret); i >= 0 {
			t.Errorf("%s is left: %q", secret, text[max(0, i-200):min(len(text), i+100)])
		}
	}
	// The test would see them.
	o.Whole = true
	whole := filepath.Join(t.TempDir(), "whole")
	analyzed(t, Request{Paths: paths, Out: whole, Ingest: o})
	text = everything(t, whole)
	for _, secret := range secrets[:5] {
		if !strings.Contains(text, secret) {
			t.Errorf("%s is not in what is not redacted", secret)
		}
	}
	if strings.Contains(text, user) {
		t.Error("a password is in the results")
	}
}

// secretReport is a report that is not redacted and full of secrets.
func secretReport(t *testing.T) []byte {
	t.Helper()
	raw := reportOn(t, pcaps(t)[1], "", true)
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	m["processes"] = []any{map[string]any{"pid": 7, "name": "go", "command": "/home/quokka/go/bin/go get quokka.internal/m", "source": "x", "confidence": "exact",
		"verdict": map[string]any{"class": "tls.reset", "stage": "tls", "place": []string{"network"}, "level": "proven", "summary": "quokka.quokka.internal was cut off at 10.77.1.2:443",
			"evidence": []any{map[string]any{"id": "http.server", "text": "it calls itself Quokka", "frames": []int{1}, "filter": "quokka"}}}}}
	m["events"] = []any{map[string]any{"time": "2026-11-28T10:00:00Z", "source": "sshd", "text": "session of quokka from 10.77.1.3", "pid": 1}}
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// everything returns all names and bytes of a directory, and the rows of its
// tables as text.
func everything(t *testing.T, out string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(out, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(out, path)
		fmt.Fprintln(&b, rel)
		// What the run itself needs is not given away: it is removed at the end.
		if d.IsDir() && d.Name() == runDir {
			return fs.SkipDir
		}
		if !d.IsDir() {
			b.Write(content(t, path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	add := func(list any) {
		v := reflect.ValueOf(list)
		for i := range v.Len() {
			raw, err := json.Marshal(v.Index(i).Interface())
			if err != nil {
				t.Fatal(err)
			}
			b.Write(raw)
			b.WriteByte('\n')
		}
	}
	add(read[rows.Connection](t, out, rows.Connections))
	add(read[rows.Lookup](t, out, rows.Lookups))
	add(read[rows.Verdict](t, out, rows.Verdicts))
	add(read[rows.Evidence](t, out, rows.Evidences))
	add(read[rows.Event](t, out, rows.Events))
	add(read[rows.File](t, out, rows.Files))
	add(read[summary.Row](t, out, SummaryTable))
	return b.String()
}

// TestOutputDirectory is not overwritten by accident.
func TestOutputDirectory(t *testing.T) {
	files, key := pcaps(t)[:3], putKey(t)
	out := filepath.Join(t.TempDir(), "out")
	r := Request{Paths: files, Out: out, KeyPath: key, Ingest: ingest.Options{Version: "v1"}}
	analyzed(t, r)
	first := results(t, out)
	if err := Clean(context.Background(), out); err != nil {
		t.Fatal(err)
	}
	if _, err := Prepare(context.Background(), r); !errors.Is(err, ErrExists) {
		t.Errorf("a second run: %v", err)
	}
	other := put(t, filepath.Join(out, "mine.txt"), []byte("x"))
	put(t, filepath.Join(out, rows.Connections, "part-old.parquet"), []byte("x"))
	r.Overwrite = true
	analyzed(t, r)
	if _, err := os.Stat(other); err != nil {
		t.Errorf("what is not the run's is gone: %v", err)
	}
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	if again := results(t, out); !reflect.DeepEqual(again, first) {
		t.Errorf("results are %v\nwere %v", again, first)
	}
}

// TestResume stops a run in its middle, as a killed process does, and goes on.
func TestResume(t *testing.T) {
	files, key := pcaps(t), putKey(t)
	whole, out := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "out")
	r := Request{Paths: files, Out: whole, KeyPath: key, Ingest: ingest.Options{Version: "v1"}}
	analyzed(t, r)
	r.Out = out
	p, err := Prepare(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	beginsFile = func(string, *Candidate) {
		if done, _ := filepath.Glob(p.donePath("*")); len(done) >= 5 {
			cancel()
		}
	}
	defer func() { beginsFile = func(string, *Candidate) {} }()
	if err := p.Run(ctx, Runners{AtOnce: 1}); !errors.Is(err, context.Canceled) {
		t.Fatalf("it ends with %v", err)
	}
	if list := results(t, out); len(list) != 0 {
		t.Errorf("a run that was stopped has results: %v", list)
	}
	if _, err := ReadSummary(context.Background(), out); err == nil {
		t.Error("a run that was stopped has a summary")
	}
	if _, err := Prepare(context.Background(), r); !errors.Is(err, ErrUnfinished) {
		t.Errorf("begun again: %v", err)
	}
	r.Resume = true
	other := r
	other.Paths = files[1:]
	if _, err := Prepare(context.Background(), other); !errors.Is(err, ErrOther) {
		t.Errorf("resumed with other files: %v", err)
	}
	other = r
	other.KeyPath = putKey(t)
	if _, err := Prepare(context.Background(), other); err == nil {
		t.Error("resumed with another key")
	}
	worked := 0
	beginsFile = func(string, *Candidate) { worked++ }
	ran(t, r, Runners{AtOnce: 1})
	if worked == 0 || worked >= len(files) {
		t.Errorf("%d of %d files were read again", worked, len(files))
	}
	same(t, "resumed", out, whole)
}

// TestLostFiles are an error and no silence.
func TestLostFiles(t *testing.T) {
	p := &Plan{Files: 3}
	for _, c := range []struct {
		indexes []int
		want    string
	}{
		{[]int{0, 1, 2}, ""}, {[]int{0, 2}, "1 of 3 files are not accounted for once, the first of them number 1 (0 times)"},
		{[]int{0, 1, 1, 2}, "number 1 (2 times)"}, {[]int{0, 1, 2, 3}, "tells of file 3 of 3"},
	} {
		err := p.complete([]*Result{{Shard: "c", Indexes: c.indexes}})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v", c.indexes, err)
		}
	}
}

// TestPublishingTwice is what a runner does that repeats a bundle.
func TestPublishingTwice(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	r := Request{Paths: pcaps(t)[:4], Out: out, KeyPath: putKey(t), Ingest: ingest.Options{Version: "v1"}}
	analyzed(t, r)
	before := results(t, out)
	p, err := unfinished(context.Background(), out)
	if err != nil || p == nil {
		t.Fatal(err)
	}
	done, _ := filepath.Glob(p.donePath("*"))
	var shards []string
	for _, d := range done {
		shards = append(shards, strings.TrimSuffix(filepath.Base(d), ".json"))
	}
	if err := p.publish(context.Background(), append(shards, shards...)); err != nil {
		t.Fatal(err)
	}
	if after := results(t, out); !reflect.DeepEqual(before, after) {
		t.Errorf("results are %v\nwere %v", after, before)
	}
	if err := p.publish(context.Background(), shards[1:]); err == nil {
		t.Error("a shard less is published")
	}
}

// TestMemoryIsFlat: ten times the files take about the same memory.
func TestMemoryIsFlat(t *testing.T) {
	if testing.Short() {
		t.Skip("short")
	}
	dir := t.TempDir()
	capture := content(t, filepath.Join("..", "..", "testdata", "pcaps", "connect-refused.pcapng"))
	for i := range 2000 {
		b, err := pcapcopy.Shift(capture, uint64(i)*1000)
		if err != nil {
			t.Fatal(err)
		}
		set := "few"
		if i >= 200 {
			set = "more"
		}
		put(t, filepath.Join(dir, set, fmt.Sprintf("%05d.pcapng", i)), b)
	}
	// On a busy machine the garbage collector comes late and a process takes more:
	// the least of three is what it needs.
	few, many := int64(math.MaxInt64), int64(math.MaxInt64)
	for range 3 {
		few = min(few, memoryOf(t, filepath.Join(dir, "few", "*")))
		many = min(many, memoryOf(t, filepath.Join(dir, "**")))
	}
	t.Logf("200 files take %d KiB, 2000 take %d KiB", few>>10, many>>10)
	if many > few*3/2 {
		t.Errorf("200 files take %d bytes, 2000 take %d", few, many)
	}
}

// A file's name is any bytes; in the tables it is text.
func TestNamesThatAreNoText(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("names of files are text here")
	}
	dir := t.TempDir()
	path := put(t, filepath.Join(dir, "a\xffb\n*.pcapng"), content(t, pcaps(t)[0]))
	out := filepath.Join(t.TempDir(), "out")
	s := analyzed(t, Request{Paths: []string{path}, Out: out, Ingest: ingest.Options{Whole: true}})
	if s.Files.OK != 1 {
		t.Fatalf("%+v", s.Problems)
	}
	for _, f := range read[rows.File](t, out, rows.Files) {
		if !utf8.ValidString(f.File) || !strings.Contains(f.File, "a\uFFFDb\n*") {
			t.Errorf("%q", f.File)
		}
	}
}
