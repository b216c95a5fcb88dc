package ingest

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"goproxytrace/fleet/rows"
	"goproxytrace/report"
	"goproxytrace/report/page"
)

var key = []byte("0123456789abcdef0123456789abcdef")

func newReader(t *testing.T, o Options) *Reader {
	t.Helper()
	r, err := New(o, key)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func pcap(name string) string {
	return filepath.Join("..", "..", "testdata", "pcaps", name+".pcapng")
}

func content(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func put(t *testing.T, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func gzipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// read sniffs and reads a file, and returns the JSON of its documents.
func read(t *testing.T, r *Reader, path string) (Outcome, string, []string) {
	t.Helper()
	h, out, ok := r.Sniff(context.Background(), path)
	if !ok {
		return out, "", nil
	}
	var docs []string
	out, err := r.Read(context.Background(), path, h.Kind, "", func(n int, _ string, d *report.Document) error {
		if n != len(docs) {
			t.Errorf("document %d comes as number %d", n, len(docs))
		}
		var b bytes.Buffer
		err := report.WriteJSON(&b, d, true)
		docs = append(docs, b.String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out, h.Kind, docs
}

func TestKindsOfFiles(t *testing.T) {
	r := newReader(t, Options{Version: "v1"})
	capture := content(t, pcap("reset-body"))
	_, _, docs := read(t, r, pcap("reset-body"))
	_, _, other := read(t, r, pcap("hello-reset"))
	one, two := docs[0], other[0]
	var html bytes.Buffer
	d, err := report.ReadJSON([]byte(one))
	if err != nil {
		t.Fatal(err)
	}
	if err := page.Write(&html, d); err != nil {
		t.Fatal(err)
	}
	var pretty bytes.Buffer
	if err := report.WriteJSON(&pretty, d, false); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		bytes   []byte
		kind    string
		status  string
		reason  string
		offset  int64
		reports int
	}{
		{"capture", capture, rows.KindCapture, rows.StatusOK, "", 0, 1},
		{"capture.gz", gzipped(t, capture), rows.KindCapture, rows.StatusOK, "", 0, 1},
		{"cut capture", capture[:len(capture)/2], rows.KindCapture, rows.StatusDamaged, "the file ends in the middle of", -1, 1},
		{"cut capture.gz", gzipped(t, capture)[:len(capture)/8], rows.KindCapture, rows.StatusDamaged, "gzip stream is cut", -1, 1},
		{"report", []byte(one), rows.KindReport, rows.StatusOK, "", 0, 1},
		{"pretty report", pretty.Bytes(), rows.KindReport, rows.StatusOK, "", 0, 1},
		{"report.gz", gzipped(t, []byte(one)), rows.KindReport, rows.StatusOK, "", 0, 1},
		{"ndjson", []byte(one + two + "\n" + one), rows.KindReport, rows.StatusOK, "", 0, 3},
		{"pretty reports", append(pretty.Bytes(), []byte(two)...), rows.KindReport, rows.StatusOK, "", 0, 2},
		{"ndjson with a bad line", []byte(one + "{\"x\n" + two), rows.KindReport, rows.StatusDamaged, "unexpected end", int64(len(one)), 2},
		{"ndjson with a bad first line", []byte("{\"x\n" + one + two), rows.KindReport, rows.StatusDamaged, "invalid character", 0, 2},
		{"ndjson whose first line is cut", []byte("{\"schema\":\n" + one + two), rows.KindReport, rows.StatusDamaged, "invalid character", 0, 2},
		{"ndjson with a line that is too long", []byte(one + "{" + strings.Repeat(" ", maxDocument) + "}\n" + two), rows.KindReport, rows.StatusDamaged, "more than 64 MiB", int64(len(one)), 2},
		{"ndjson whose first line is too long", []byte("{" + strings.Repeat(" ", maxDocument) + "}\n" + one), rows.KindReport, rows.StatusDamaged, "more than 64 MiB", 0, 1},
		{"a name of megabytes", []byte(`{"schema":"` + strings.Repeat("a", 1<<20) + `"}`), rows.KindReport, rows.StatusUnreadable, "schema", 0, 0},
		{"ndjson under way", []byte(one + two[:len(two)/2]), rows.KindReport, rows.StatusDamaged, "unexpected end", int64(len(one)), 1},
		{"cut pretty report", pretty.Bytes()[:pretty.Len()/2], rows.KindReport, rows.StatusUnreadable, "cut", 0, 0},
		{"other JSON", []byte("{}\n"), rows.KindReport, rows.StatusUnreadable, "schema", 0, 0},
		{"page", html.Bytes(), rows.KindPage, rows.StatusOK, "", 0, 1},
		{"other page", []byte("<!doctype html><p>x"), rows.KindPage, rows.StatusUnreadable, "no goproxytrace report", 0, 0},
		{"text", []byte("hello"), rows.KindCapture, rows.StatusUnreadable, "looks like text", 0, 0},
		{"empty", nil, rows.KindCapture, rows.StatusUnreadable, "an empty file", 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, kind, docs := read(t, r, put(t, "file", c.bytes))
			if kind != c.kind || out.Status != c.status || len(docs) != c.reports || !strings.Contains(out.Reason, c.reason) || (out.Reason == "") != (c.reason == "") {
				t.Fatalf("%s: %s (%s), %d reports", kind, out.Status, out.Reason, len(docs))
			}
			if len(out.Reason) > 2*maxReason {
				t.Errorf("a reason of %d bytes", len(out.Reason))
			}
			if c.offset > 0 && (out.Offset == nil || *out.Offset != c.offset) {
				t.Errorf("offset %v, want %d", out.Offset, c.offset)
			}
			if c.offset < 0 && (out.Offset == nil || *out.Offset <= 0) {
				t.Errorf("offset %v", out.Offset)
			}
			sum := sha256.Sum256(c.bytes)
			if want := hex.EncodeToString(sum[:]); out.Hash != want {
				t.Errorf("hash %s, want %s", out.Hash, want)
			}
		})
	}
}

func TestUnreadableFiles(t *testing.T) {
	r := newReader(t, Options{})
	dir := t.TempDir()
	for path, reason := range map[string]string{filepath.Join(dir, "none"): "no such file", dir: "not a regular file"} {
		out, _, _ := read(t, r, path)
		if out.Status != rows.StatusUnreadable || !strings.Contains(out.Reason, reason) && !strings.Contains(out.Reason, "cannot find") || strings.Contains(out.Reason, filepath.Base(dir)) {
			t.Errorf("%s: %s, %s", path, out.Status, out.Reason)
		}
	}
}

// zeros is a capture that never ends: a bomb.
func bomb(t *testing.T) []byte {
	t.Helper()
	head := content(t, pcap("healthy-near"))[:0]
	// A pcap file header (little endian, Ethernet) and records of 64 KiB of zeros.
	head = append(head, 0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0)
	record := append([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0}, make([]byte, 1<<16)...)
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(head)
	for range 2000 {
		_, _ = w.Write(record)
	}
	_ = w.Close()
	return out.Bytes()
}

func TestBounds(t *testing.T) {
	path := put(t, "bomb.pcap.gz", bomb(t))
	out, _, docs := read(t, newReader(t, Options{MaxBytes: 1 << 20}), path)
	if out.Status != rows.StatusDamaged || !strings.Contains(out.Reason, "more than the 1048576 bytes") || len(docs) != 1 {
		t.Errorf("%s (%s), %d reports", out.Status, out.Reason, len(docs))
	}
	out, _, docs = read(t, newReader(t, Options{MaxTime: time.Nanosecond}), path)
	if out.Status != rows.StatusDamaged || !strings.Contains(out.Reason, "within 1ns") {
		t.Errorf("%s (%s), %d reports", out.Status, out.Reason, len(docs))
	}
	if out, _, _ := read(t, newReader(t, Options{}), path); out.Status != rows.StatusOK {
		t.Errorf("without bounds: %s (%s)", out.Status, out.Reason)
	}
}

// A fault in the reading of one file is that file's.
func TestFaultsAreNamed(t *testing.T) {
	r := newReader(t, Options{})
	var out Outcome
	r.careful(context.Background(), func(context.Context, string, string, *file, int64, Take, *Outcome) { panic("at /home/quokka/x") }, "", "", nil, 0, nil, &out)
	if out.Status != rows.StatusUnreadable || !strings.Contains(out.Reason, "a fault of this program") || strings.Contains(out.Reason, "quokka") {
		t.Errorf("%s: %s", out.Status, out.Reason)
	}
}

// What fails while rows are written is no fault of the file.
func TestErrorsOfTheTaker(t *testing.T) {
	r := newReader(t, Options{})
	_, err := r.Read(context.Background(), pcap("reset-body"), rows.KindCapture, "", func(int, string, *report.Document) error { return io.ErrShortWrite })
	if !errors.Is(err, io.ErrShortWrite) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.Read(ctx, pcap("reset-body"), rows.KindCapture, "", nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestSource(t *testing.T) {
	const path = "/srv/fleet/quokka-7/2026-11-28/a.pcapng"
	o := Options{MachineFrom: `/fleet/([^/]+)/`}
	s := newReader(t, o).Source(path)
	if s.Machine == "" || strings.Contains(s.Machine+s.File, "quokka") || !strings.HasSuffix(s.File, ".pcapng") {
		t.Errorf("%+v", s)
	}
	o.Whole = true
	if s := newReader(t, o).Source(path); s.Machine != "quokka-7" || s.File != path {
		t.Errorf("%+v", s)
	}
	for _, bad := range []Options{{MachineFrom: "("}, {MachineFrom: "x"}, {Reveal: []string{"x"}}} {
		if _, err := New(bad, key); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	if _, err := New(Options{}, nil); err == nil {
		t.Error("pseudonyms without a key")
	}
}
