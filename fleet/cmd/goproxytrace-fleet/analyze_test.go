package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"goproxytrace/fleet/pipeline"
)

// role makes a test process be the program: analyze starts workers of its own kind.
const role = "GOPROXYTRACE_FLEET_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(role) != "" {
		os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func pcap(name string) string {
	return filepath.Join("..", "..", "..", "testdata", "pcaps", name)
}

// called runs the program and returns its exit code and outputs.
func called(t *testing.T, in string, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(args, strings.NewReader(in), &o, &e)
	return code, o.String(), e.String()
}

func put(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAnalyze(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	code, text, errs := called(t, "", "analyze", pcap("hello-*.pcapng"), pcap("healthy-near.pcapng"), "--out="+out, "--no-go-env")
	if code != 0 || errs != "" {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	for _, want := range []string{"5 files: 5 ok, 0 damaged, 0 unreadable, 0 duplicate", "5 cases", "4 of 5 downloads died: 80.0 % (28.4 to 99.5)", "tls.reset", "Clopper-Pearson", out} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "proxy.example") {
		t.Errorf("a name is shown:\n%s", text)
	}
	if _, err := os.Stat(filepath.Join(out, "_run")); !os.IsNotExist(err) {
		t.Errorf("the run's own files, with its key, are left: %v", err)
	}
	if code, _, errs := called(t, "", "analyze", pcap("hello-*.pcapng"), "--out="+out); code != 1 || !strings.Contains(errs, "not empty") || !strings.Contains(errs, "hint: --overwrite") {
		t.Errorf("a second run ends with %d: %s", code, errs)
	}
	code, text, errs = called(t, pcap("healthy-near.pcapng")+"\n", "analyze", "-", "--out="+out, "--overwrite", "--json", "--no-redact", "--fail-on=tls.*")
	var s pipeline.Summary
	if err := json.Unmarshal([]byte(text), &s); err != nil || code != 0 || s.Cases != 1 || s.Redacted {
		t.Errorf("exit code %d, %v: %s\n%s", code, err, text, errs)
	}
}

// The page stands where it was asked for; where there is no place for it, nothing is
// worked on.
func TestAnalyzePage(t *testing.T) {
	dir := t.TempDir()
	out, file := filepath.Join(dir, "out"), filepath.Join(dir, "page.html")
	if code, _, errs := called(t, "", "analyze", pcap("hello-*.pcapng"), "--out="+out, "--no-go-env", "--html="+filepath.Join(dir, "gone", "page.html")); code != 1 || !strings.Contains(errs, "gone") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	if _, err := os.Stat(out); !os.IsNotExist(err) {
		t.Errorf("there is an output directory: %v", err)
	}
	for _, html := range []string{file, filepath.Join(out, "page.html")} {
		if code, _, errs := called(t, "", "analyze", pcap("hello-*.pcapng"), "--out="+out, "--no-go-env", "--overwrite", "--html="+html); code != 0 {
			t.Fatalf("exit code %d: %s", code, errs)
		}
		raw, err := os.ReadFile(html)
		if err != nil || !bytes.Contains(raw, []byte("4 of 4 downloads died")) || bytes.Contains(raw, []byte("proxy.example")) {
			t.Errorf("%v: the page is %.2000s", err, raw)
		}
	}
	if code, _, errs := called(t, "", "analyze", pcap("hello-*.pcapng"), "--out="+out, "--html=-"); code != 2 || !strings.Contains(errs, "--html") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}

// The command lines of docs/fleet.md do what it says.
func TestDocument(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "fleet.md"))
	if err != nil {
		t.Fatal(err)
	}
	capture, err := os.ReadFile(pcap("hello-reset.pcapng"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.MkdirAll(filepath.Join("captures", "build-1"), 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join("captures", "build-1", "one.pcapng"), string(capture))
	n := 0
	for line := range strings.Lines(string(raw)) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "goproxytrace-fleet" {
			continue
		}
		n++
		for i, w := range words {
			words[i] = strings.ReplaceAll(w, "'", "")
		}
		if code, _, errs := called(t, "", words[1:]...); code != 0 {
			t.Errorf("%s ends with %d: %s", line, code, errs)
		}
	}
	if n == 0 {
		t.Error("no command line is in the document")
	}
	for _, name := range []string{"out/verdicts", "out/connections", "out/lookups", "fleet.html"} {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
}

func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	whole, err := os.ReadFile(pcap("hello-reset.pcapng"))
	if err != nil {
		t.Fatal(err)
	}
	cut := put(t, filepath.Join(dir, "cut.pcapng"), string(whole[:900]))
	key := put(t, filepath.Join(dir, "key"), strings.Repeat("k", 40))
	short := put(t, filepath.Join(dir, "short"), "abc")
	list := put(t, filepath.Join(dir, "list"), pcap("hello-reset.pcapng")+"\x00"+pcap("healthy-near.pcapng")+"\x00")
	n := 0
	out := func() string {
		n++
		return "--out=" + filepath.Join(dir, "out", string(rune('a'+n)))
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"analyze"}, 2, "no files given"},
		{[]string{"analyze", cut}, 2, "no output directory"},
		{[]string{"analyze", cut, out(), "--frobnicate"}, 2, "unknown flag"},
		{[]string{"analyze", cut, out(), "--reveal=everything"}, 2, "it is one of addresses"},
		{[]string{"analyze", cut, out(), "--machine-from=x"}, 2, "has no group"},
		{[]string{"analyze", cut, out(), "--no-redact", "--key=" + key}, 2, "leaves nothing for"},
		{[]string{"analyze", cut, out(), "--overwrite", "--resume"}, 2, "contradict"},
		{[]string{"analyze", cut, out(), "--workers=2", "--worker-at=localhost:1"}, 2, "give one of them"},
		{[]string{"analyze", cut, out(), "--fail-on=nothing"}, 2, "unknown class"},
		{[]string{"key", "x"}, 2, "takes no argument"},
		{[]string{"worker", "--listen=x"}, 2, "is no port"},
		{[]string{"analyze", filepath.Join(dir, "none*"), out()}, 1, "none*: no file matches"},
		{[]string{"analyze", dir, out()}, 1, "is all files in it"},
		{[]string{"analyze", "ftp://x/*", out()}, 1, `unknown file system "ftp"`},
		{[]string{"analyze", cut, out(), "--key=" + filepath.Join(dir, "none")}, 1, "goproxytrace-fleet key >"},
		{[]string{"analyze", cut, out(), "--key=" + short}, 1, "holds 3 bytes, fewer than 32"},
		{[]string{"analyze", cut, out(), "--resume"}, 1, "no run to go on with"},
		{[]string{"analyze", cut, out(), "--key=" + key}, 3, "cut.pcapng: damaged at offset"},
		{[]string{"analyze", pcap("hello-reset.pcapng"), out(), "--fail-on=tls.reset"}, 10, ""},
		{[]string{"analyze", pcap("hello-reset.pcapng"), out(), "--fail-on=dns.*"}, 0, ""},
		{[]string{"analyze", "--files-from=" + list, out(), "--fail-on=any"}, 10, ""},
	} {
		code, text, errs := called(t, "", c.args...)
		if code != c.code || !strings.Contains(errs, c.want) {
			t.Errorf("%q ends with %d, want %d: %s%s", c.args, code, c.code, errs, text)
		}
	}
}

func TestRunners(t *testing.T) {
	defer flag.Set("runner", "")
	if code, _, errs := called(t, "", "analyze", "x", "--out=x", "--runner=direkt"); code != 2 || !strings.Contains(errs, "flink, spark, dataflow") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	if code, _, errs := called(t, "", "analyze", "x", "--out=x", "--runner=flink", "--workers=2"); code != 2 || !strings.Contains(errs, "flink has its own") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}

// A name in a file's path does not act on the terminal.
func TestNamesAreClean(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such names")
	}
	dir := t.TempDir()
	put(t, filepath.Join(dir, "evil\x1b[31m\n.pcapng"), "no capture")
	code, out, errs := called(t, "", "analyze", filepath.Join(dir, "*"), "--out="+filepath.Join(t.TempDir(), "out"))
	if code != 3 || strings.Contains(out+errs, "\x1b") || strings.Count(errs, "\n") != 1 {
		t.Errorf("exit code %d: %q %q", code, out, errs)
	}
}

func TestOwnWorkers(t *testing.T) {
	t.Setenv(role, "1")
	one, two := filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "two")
	key := put(t, filepath.Join(t.TempDir(), "key"), strings.Repeat("k", 40))
	if code, _, errs := called(t, "", "analyze", pcap("*.pcapng"), "--out="+one, "--key="+key, "--no-go-env"); code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	code, _, errs := called(t, "", "analyze", pcap("*.pcapng"), "--out="+two, "--key="+key, "--no-go-env", "--workers=2")
	if code != 0 || errs != "" {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	a, errA := os.ReadFile(filepath.Join(one, "summary.json"))
	b, errB := os.ReadFile(filepath.Join(two, "summary.json"))
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("summaries differ: %v, %v", errA, errB)
	}
}

// A file that was set aside is named as what it is, and ends the program as one that
// cannot be read does.
func TestSetAside(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	key := put(t, filepath.Join(dir, "key"), strings.Repeat("k", 40))
	good, bad := pcap("healthy-near.pcapng"), pcap("hello-reset.pcapng") // the list's order
	o := &analyzeOptions{noGoEnv: true}
	if _, err := pipeline.Prepare(t.Context(), pipeline.Request{Paths: []string{good, bad}, Out: out, Ingest: o.ingest(t.Context()), KeyPath: key}); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(out, "_run", "notes"), 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(out, "_run", "notes", "c000001.json"), `{"attempt":"x","open":true,"alone":true,"file":1,"deaths":{"1":1}}`)
	code, text, errs := called(t, "", "analyze", good, bad, "--out="+out, "--key="+key, "--no-go-env", "--max-file-time=0", "--max-file-bytes=0", "--resume")
	if want := "hello-reset.pcapng: not analysed: set aside: the process that analysed it died"; code != 3 || !strings.Contains(errs, want) {
		t.Errorf("exit code %d: %s, want %s", code, errs, want)
	}
	if want := "2 files: 1 ok, 0 damaged, 0 unreadable, 0 duplicate, 1 not analysed"; !strings.Contains(text, want) {
		t.Errorf("no %q in\n%s", want, text)
	}
}

func TestKey(t *testing.T) {
	code, one, _ := called(t, "", "key")
	_, two, _ := called(t, "", "key")
	if code != 0 || one == two || len(strings.TrimSpace(one)) != 64 {
		t.Errorf("exit code %d: %q and %q", code, one, two)
	}
}

func TestWithoutCredentials(t *testing.T) {
	for in, want := range map[string]string{
		"":                              "",
		"off":                           "off",
		"https://goproxy.cn,direct":     "https://goproxy.cn,direct",
		"https://u:p@goproxy.cn,direct": "https://goproxy.cn,direct",
		"https://u:p%40@a.example/x@y|https://t@b.example|direct": "https://a.example/x@y|https://b.example|direct",
		"name+key https://u:p@sum.example/path":                   "name+key https://sum.example/path",
	} {
		if got := withoutCredentials(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

// Workers of runners are started with Beam's command line.
func TestIsWorker(t *testing.T) {
	for args, want := range map[string]bool{
		"--worker=true --id=1 --control_endpoint=x": true, "--worker": true, "-worker=true": true,
		"worker --listen=1": false, "analyze --workers=2 x": false, "--worker=false": false, "": false,
	} {
		if got := isWorker(strings.Fields(args)); got != want {
			t.Errorf("%q: %v", args, got)
		}
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	o := &analyzeOptions{patterns: []string{pcap("hello-reset.pcapng")}, out: filepath.Join(t.TempDir(), "out")}
	var out, errs bytes.Buffer
	err := o.run(ctx, strings.NewReader(""), &out, &errs)
	if code, _ := codeOf(err); code != exitInterrupted {
		t.Errorf("exit code %d: %v", code, err)
	}
}
