package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	beamlog "github.com/apache/beam/sdks/v2/go/pkg/beam/log"

	"goproxytrace/fleet/cluster"
	"goproxytrace/fleet/ingest"
	"goproxytrace/fleet/storage"
)

// role is what a test process is to be: a test starts others of its own kind.
const role = "GOPROXYTRACE_FLEET_TEST_ROLE"

func TestMain(m *testing.M) {
	beamlog.LogLevel = "error"
	beam.Init()
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
	switch os.Getenv(role) {
	case "worker":
		beginsFile = func(shard string, c *Candidate) {
			stopOnce(shard, c)
			if os.Getenv(slow) != "" {
				time.Sleep(60 * time.Millisecond)
			}
		}
		meetsFile = func(unit string, index int) {
			dieOf(unit, index)
			waitAt(unit, index)
		}
		ctx, cancel := context.WithCancel(context.Background())
		serve(ServeWorker(ctx, 0))
		cancel()
		Withdraw()
	case "prism":
		serve(InsidePrism(context.Background()))
	case "memory":
		memory()
	default:
		os.Exit(m.Run())
	}
}

// serve says where a process listens, and returns when the test ends it.
func serve(at string, err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(at)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// killers lists files by the kind of unit in which they kill whoever meets them and
// their place in the list: c5,s7.
const killers = "GOPROXYTRACE_FLEET_TEST_KILLERS"

// dieOf kills this process as the system's OOM killer does.
func dieOf(unit string, index int) {
	if !slices.Contains(strings.Split(os.Getenv(killers), ","), fmt.Sprintf("%c%d", unit[0], index)) {
		return
	}
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Kill()
	}
	select {}
}

// waitFor names a directory and a file by its place in the list: the first workers
// that meet it wait to be killed, and say so in a file of a number each.
const waitFor = "GOPROXYTRACE_FLEET_TEST_WAIT"

// mostWaiting is how many do.
const mostWaiting = 2

func waitAt(unit string, index int) {
	dir, at, _ := strings.Cut(os.Getenv(waitFor), ":")
	if dir == "" || at != strconv.Itoa(index) || unit[0] != 'c' {
		return
	}
	for n := range mostWaiting {
		f, err := os.OpenFile(filepath.Join(dir, fmt.Sprint("waits-", n)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			continue
		}
		fmt.Fprint(f, os.Getpid())
		_ = f.Close()
		select {}
	}
}

// slow makes workers take so long that a runner asks them how far they are.
const slow = "GOPROXYTRACE_FLEET_TEST_SLOW"

// stopAt names the directory in which a worker that waits to be killed says so.
const stopAt = "GOPROXYTRACE_FLEET_TEST_STOP"

// stopOnce stops the first worker that begins the second file of a shard, when
// another shard is done already: the middle of the run.
func stopOnce(_ string, c *Candidate) {
	dir := os.Getenv(stopAt)
	if dir == "" || c.Index < 16 {
		return
	}
	if done, _ := filepath.Glob(filepath.Join(dir, "out", runDir, "done", "*.json")); len(done) == 0 {
		return
	}
	f, err := os.OpenFile(filepath.Join(dir, "stopped"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return // there was one
	}
	fmt.Fprint(f, os.Getpid())
	_ = f.Close()
	select {} // until it is killed
}

func command(t *testing.T, name string, env ...string) cluster.Command {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return func() *exec.Cmd {
		cmd := exec.Command(exe)
		cmd.Env = append(append(os.Environ(), role+"="+name), env...)
		cmd.Stderr = os.Stderr
		return cmd
	}
}

// memory runs the pipeline in a process of its own and prints how much memory it
// took from the system.
func memory() {
	ctx := context.Background()
	paths, err := storage.List(ctx, os.Getenv("GOPROXYTRACE_FLEET_TEST_FILES"))
	if err == nil {
		var p *Plan
		if p, err = Prepare(ctx, Request{Paths: paths, Out: os.Getenv("GOPROXYTRACE_FLEET_TEST_OUT"), Ingest: ingest.Options{Version: "v1"}}); err == nil {
			err = p.Run(ctx, Runners{AtOnce: 2})
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Println(m.Sys)
	os.Exit(0)
}

func memoryOf(t *testing.T, pattern string) int64 {
	t.Helper()
	cmd := command(t, "memory", "GOPROXYTRACE_FLEET_TEST_FILES="+pattern, "GOPROXYTRACE_FLEET_TEST_OUT="+filepath.Join(t.TempDir(), "out"))()
	raw, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func pcaps(t *testing.T) []string {
	t.Helper()
	list, err := storage.List(context.Background(), filepath.Join("..", "..", "testdata", "pcaps", "*.pcapng"))
	if err != nil || len(list) < 40 {
		t.Fatalf("%d captures, %v", len(list), err)
	}
	return list
}

func put(t *testing.T, path string, b []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func content(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func putKey(t *testing.T) string {
	t.Helper()
	return put(t, filepath.Join(t.TempDir(), "key"), NewKey())
}

// analyzed runs a request inside this process.
func analyzed(t *testing.T, r Request) *Summary {
	t.Helper()
	return ran(t, r, Runners{})
}

func ran(t *testing.T, r Request, in Runners) *Summary {
	t.Helper()
	if r.Out == "" {
		r.Out = filepath.Join(t.TempDir(), "out")
	}
	if r.Ingest.Version == "" {
		r.Ingest.Version = "v1"
	}
	p, err := Prepare(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(context.Background(), in); err != nil {
		t.Fatal(err)
	}
	s, err := ReadSummary(context.Background(), r.Out)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// results returns the hashes of all files of an output directory but the run's own.
func results(t *testing.T, out string) map[string]string {
	t.Helper()
	list := make(map[string]string)
	err := filepath.WalkDir(out, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == runDir {
				return fs.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(out, path)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content(t, path))
		list[filepath.ToSlash(rel)] = hex.EncodeToString(sum[:])
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// same reports what differs between two output directories.
func same(t *testing.T, what, got, want string) {
	t.Helper()
	a, b := results(t, got), results(t, want)
	if len(b) < 20 {
		t.Fatalf("%s: only %d files to compare with", what, len(b))
	}
	for _, name := range slices.Sorted(maps.Keys(b)) {
		if a[name] != b[name] {
			t.Errorf("%s: %s differs", what, name)
		}
	}
	for name := range a {
		if b[name] == "" {
			t.Errorf("%s: %s is one too many", what, name)
		}
	}
}
