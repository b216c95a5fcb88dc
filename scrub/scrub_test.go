package scrub_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"goproxytrace/analyze"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/analyze/goproxy"
	"goproxytrace/capture"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/internal/corpus"
	"goproxytrace/redact"
	"goproxytrace/scrub"
)

func opener(path string) func() (capture.Source, error) {
	return func() (capture.Source, error) { return pcapfile.Open(path) }
}

func analysed(t testing.TB, src capture.Source, o analyze.Options) *analyze.Result {
	t.Helper()
	r, err := analyze.Run(context.Background(), src, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Connections.Close() })
	return r
}

// scrubbed scrubs a capture that was analysed, and returns the copy.
func scrubbed(t testing.TB, x *redact.Redactor, r *analyze.Result, open func() (capture.Source, error)) ([]byte, *scrub.Summary) {
	t.Helper()
	if err := r.Teach(x); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	s, err := scrub.Run(context.Background(), open, &out, scrub.Options{Redactor: x})
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), s
}

func reader(t testing.TB, b []byte) *pcapfile.Reader {
	t.Helper()
	src, err := pcapfile.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// verdict is what must not change of a verdict.
func verdict(v *diagnose.Verdict) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %v %s %v", v.Class, v.Stage, v.Place, v.Level, v.Notes)
	for i := range v.Evidence {
		fmt.Fprintf(&b, " %s%v", v.Evidence[i].ID, v.Evidence[i].Frames)
	}
	return b.String()
}

// sameVerdicts compares two results verdict by verdict.
func sameVerdicts(t testing.TB, before, after *analyze.Result, owners bool) {
	t.Helper()
	compare := func(what string, a, b *diagnose.Verdict) {
		t.Helper()
		if x, y := verdict(a), verdict(b); x != y {
			t.Errorf("%s\n before %s\n after  %s", what, x, y)
		}
	}
	compare("capture", &before.Verdict, &after.Verdict)
	if before.Capture.Packets != after.Capture.Packets || before.Capture.Start != after.Capture.Start || before.Capture.End != after.Capture.End {
		t.Errorf("%d packets from %d to %d became %d from %d to %d", before.Capture.Packets, before.Capture.Start, before.Capture.End,
			after.Capture.Packets, after.Capture.Start, after.Capture.End)
	}
	var list []*analyze.Connection
	for c, err := range before.Connections.All() {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, c)
	}
	n := 0
	for c, err := range after.Connections.All() {
		if err != nil {
			t.Fatal(err)
		}
		if n < len(list) {
			compare(fmt.Sprintf("connection %d", c.ID), &list[n].Verdict, &c.Verdict)
			if list[n].Bytes != c.Bytes || list[n].FirstFrame != c.FirstFrame || list[n].TCP.Retransmissions != c.TCP.Retransmissions {
				t.Errorf("connection %d: %+v became %+v", c.ID, list[n].Bytes, c.Bytes)
			}
			if a, b := list[n].TLS, c.TLS; (a == nil) != (b == nil) || a != nil && (a.JA3 != b.JA3 || a.JA4 != b.JA4 || a.Version != b.Version || len(a.Certificates) != len(b.Certificates)) {
				t.Errorf("connection %d: TLS %+v became %+v", c.ID, a, b)
			}
		}
		n++
	}
	if n != len(list) {
		t.Errorf("%d connections became %d", len(list), n)
	}
	if len(before.Lookups) != len(after.Lookups) {
		t.Fatalf("%d lookups became %d", len(before.Lookups), len(after.Lookups))
	}
	for i := range before.Lookups {
		compare("lookup", &before.Lookups[i].Verdict, &after.Lookups[i].Verdict)
	}
	if len(before.Processes) != len(after.Processes) || len(before.Attempts) != len(after.Attempts) || len(before.GoStatements) != len(after.GoStatements) {
		t.Fatalf("%d processes, %d attempts, %d statements became %d, %d, %d", len(before.Processes), len(before.Attempts), len(before.GoStatements),
			len(after.Processes), len(after.Attempts), len(after.GoStatements))
	}
	for i := range before.Processes {
		compare("process", &before.Processes[i].Verdict, &after.Processes[i].Verdict)
		if a, b := &before.Processes[i], &after.Processes[i]; owners && (a.Name != b.Name || a.PID != b.PID || a.ParentName != b.ParentName) {
			t.Errorf("process %+v became %+v", a.Process, b.Process)
		}
	}
	for i := range before.Attempts {
		compare("attempt", &before.Attempts[i].Verdict, &after.Attempts[i].Verdict)
	}
	for i := range before.GoStatements {
		if a, b := &before.GoStatements[i], &after.GoStatements[i]; a.Kind != b.Kind || a.Packets != b.Packets || !slices.Equal(a.Frames, b.Frames) {
			t.Errorf("statement %+v became %+v", a, b)
		}
	}
	if a, b := facts(before), facts(after); a != b {
		t.Errorf("health %s became %s", a, b)
	}
}

func facts(r *analyze.Result) string {
	var b strings.Builder
	for i := range r.Capture.Health {
		fmt.Fprintf(&b, "%s%v ", r.Capture.Health[i].ID, r.Capture.Health[i].Frames)
	}
	return b.String()
}

// sameFrames compares what --frames prints, but for the names.
func sameFrames(t testing.TB, before, after capture.Source) {
	t.Helper()
	lines := func(src capture.Source) []string {
		var out bytes.Buffer
		var damage *capture.DamageError
		if err := analyze.WriteFrames(context.Background(), src, &out, analyze.Options{}); err != nil && !errors.As(err, &damage) {
			t.Fatal(err)
		}
		list := strings.Split(out.String(), "\n")
		for i, l := range list {
			f := strings.Split(l, "\t")
			if len(f) > 3 {
				f[3] = fmt.Sprint(len(f[3]))
			}
			list[i] = strings.Join(f, "\t")
		}
		return list
	}
	a, b := lines(before), lines(after)
	if slices.Equal(a, b) {
		return
	}
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			t.Errorf("line %d: %q became %q", i, a[i], b[min(i, len(b)-1)])
			return
		}
	}
}

// check scrubs a capture and compares what is said of both.
func check(t *testing.T, path string, o analyze.Options, owners bool) {
	src, err := pcapfile.Open(path)
	if errors.Is(err, capture.ErrNotCapture) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	before := analysed(t, src, o)
	x := redact.New(redact.Options{Public: goproxy.PublicEnd})
	out, _ := scrubbed(t, x, before, opener(path))
	after := o
	after.Targets = x.HostList(o.Targets)
	sameVerdicts(t, before, analysed(t, reader(t, out), after), owners)
	again, err := pcapfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	sameFrames(t, again, reader(t, out))
}

func TestVerdictsStay(t *testing.T) {
	for _, dir := range []string{"pcaps", "cases", "owners"} {
		paths, err := filepath.Glob(filepath.Join("..", "testdata", dir, "*.pcap*"))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %d captures, %v", dir, len(paths), err)
		}
		for _, path := range paths {
			t.Run(filepath.Base(path), func(t *testing.T) {
				// Which process acted for another, and which of two had a number
				// first, has no place in the copy.
				name := filepath.Base(path)
				check(t, path, analyze.Options{Targets: []string{"proxy.example", "sum.example"}}, name != "apple.pcapng" && name != "wireshark.pcapng")
			})
		}
	}
}

func TestVerdictsOfLabSamplesStay(t *testing.T) {
	dir, _ := corpus.LabSamples(t)
	var paths []string
	for _, pattern := range []string{"*.pcap", "*.pcapng", "*/*.pcap", "*/*.pcapng"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	if len(paths) == 0 {
		t.Fatalf("no captures in %s", dir)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if testing.Short() && info.Size() > 1<<20 {
				t.Skip("larger than 1 MiB: not with -short")
			}
			check(t, path, analyze.Options{Targets: goproxy.Settings{GOPROXY: "https://goproxy.cn,direct"}.Hosts()}, true)
		})
	}
}
