// Command bench measures goproxytrace-fleet and writes what docs/fleet-running.md
// shows: throughput against goproxytrace analyze under xargs on the same files,
// memory by the number of files, and whether runs in one process, in several and
// with one of them killed have the same results.
//
//	go build -o BIN/ ../cmd/goproxytrace ./cmd/goproxytrace-fleet
//	go run ./internal/bench -captures DIR -tool BIN/goproxytrace -fleet BIN/goproxytrace-fleet -scratch SCRATCH
//
// DIR holds captures, anywhere below it. The scratch directory is made, filled with
// copies of them that differ in their times, and removed.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"goproxytrace/fleet/internal/pcapcopy"
)

type bench struct {
	captures, tool, fleet, scratch string
	files, repeats                 int
	list                           []string // of captures
}

func main() {
	b := &bench{}
	flag.StringVar(&b.captures, "captures", "", "directory with captures (pcapng)")
	flag.StringVar(&b.tool, "tool", "", "goproxytrace's binary")
	flag.StringVar(&b.fleet, "fleet", "", "goproxytrace-fleet's binary")
	flag.StringVar(&b.scratch, "scratch", "", "directory to make and to remove")
	flag.IntVar(&b.files, "files", 2000, "captures to measure with; ten times as many for memory")
	flag.IntVar(&b.repeats, "repeats", 5, "measurements of each kind, in turns")
	flag.Parse()
	log.SetFlags(0)
	if b.captures == "" || b.tool == "" || b.fleet == "" || b.scratch == "" {
		log.Fatal("bench: -captures, -tool, -fleet and -scratch are needed")
	}
	if err := b.run(); err != nil {
		log.Fatal("bench: ", err)
	}
}

func (b *bench) run() error {
	if err := os.Mkdir(b.scratch, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(b.scratch)
	err := filepath.WalkDir(b.captures, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".pcapng") {
			b.list = append(b.list, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	if len(b.list) == 0 {
		return fmt.Errorf("%s: no captures", b.captures)
	}
	slices.Sort(b.list)
	fmt.Printf("%d captures in %s; %d processors; load %s\n\n", len(b.list), b.captures, runtime.NumCPU(), load())
	set, err := b.copies("files", b.files)
	if err != nil {
		return err
	}
	for _, step := range []func(string) error{b.throughput, b.sameResults, b.memory} {
		if err := step(set); err != nil {
			return err
		}
	}
	return nil
}

// copies makes a number of files, each with times of its own beyond the first round.
func (b *bench) copies(name string, n int) (string, error) {
	dir := filepath.Join(b.scratch, name)
	var bytes int64
	for i := range n {
		raw, err := os.ReadFile(b.list[i%len(b.list)])
		if err != nil {
			return "", err
		}
		if round := i / len(b.list); round > 0 {
			if raw, err = pcapcopy.Shift(raw, uint64(round)); err != nil {
				return "", fmt.Errorf("%s: %w", b.list[i%len(b.list)], err)
			}
		}
		path := filepath.Join(dir, fmt.Sprintf("%03d", i/100), fmt.Sprintf("%06d.pcapng", i))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			return "", err
		}
		bytes += int64(len(raw))
	}
	fmt.Printf("%s: %d files, %.1f MB\n", name, n, float64(bytes)/1e6)
	return dir, nil
}

// usage is what a command took.
type usage struct {
	wall, cpu time.Duration
	rss       int64 // of the largest process, in KiB
}

func measure(cmd *exec.Cmd) (usage, error) {
	var errs bytes.Buffer
	if cmd.Stderr == nil {
		cmd.Stderr = &errs
	}
	start := time.Now()
	err := cmd.Run()
	u := usage{wall: time.Since(start)}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return u, err
	}
	u.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	u.rss = maxRSS(cmd.ProcessState)
	// 3, and xargs' 123, say that some of the files are damaged.
	if code := cmd.ProcessState.ExitCode(); code != 0 && code != 3 && code != 123 {
		return u, fmt.Errorf("%s: exit code %d: %.500s", cmd.Path, code, errs.String())
	}
	return u, nil
}

func (b *bench) analyze(set, out string, more ...string) *exec.Cmd {
	args := append([]string{"analyze", filepath.Join(set, "**", "*.pcapng"), "--out=" + out, "--overwrite", "--no-go-env"}, more...)
	return exec.Command(b.fleet, args...)
}

// throughput measures both ways in turns.
func (b *bench) throughput(set string) error {
	list := filepath.Join(b.scratch, "list")
	f, err := os.Create(list)
	if err != nil {
		return err
	}
	err = filepath.WalkDir(set, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			_, err = fmt.Fprintln(f, path)
		}
		return err
	})
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	// Half of the files for each of the two processes: what xargs has least to
	// do for.
	half := fmt.Sprint((b.files + 1) / 2)
	ways := []struct {
		name string
		once bool // it takes long
		cmd  func() *exec.Cmd
	}{
		{"goproxytrace-fleet analyze", false, func() *exec.Cmd { return b.analyze(set, filepath.Join(b.scratch, "out")) }},
		{"goproxytrace-fleet analyze --workers=2", false, func() *exec.Cmd { return b.analyze(set, filepath.Join(b.scratch, "out"), "--workers=2") }},
		{"xargs -P2 -n" + half + " goproxytrace analyze --json", false, func() *exec.Cmd {
			return exec.Command("xargs", "-P2", "-n"+half, "-a", list, b.tool, "analyze", "--json", "--no-go-env")
		}},
		{"xargs -P2 -n1 goproxytrace analyze --json", true, func() *exec.Cmd {
			return exec.Command("xargs", "-P2", "-n1", "-a", list, b.tool, "analyze", "--json", "--no-go-env")
		}},
	}
	took := make([][]usage, len(ways))
	for turn := range b.repeats {
		for i, w := range ways {
			if w.once && turn > 0 {
				continue
			}
			u, err := measure(w.cmd())
			if err != nil {
				return err
			}
			took[i] = append(took[i], u)
		}
	}
	fmt.Printf("\n## Throughput, %d files, median of %d in turns, load %s\n\n| command | seconds | files/s | CPU seconds |\n|---|---|---|---|\n", b.files, b.repeats, load())
	var medians []time.Duration
	for i, w := range ways {
		sorted := slices.SortedFunc(slices.Values(took[i]), func(a, b usage) int { return int(a.wall - b.wall) })
		m := sorted[len(sorted)/2]
		medians = append(medians, m.wall)
		fmt.Printf("| `%s` | %.2f (%.2f to %.2f) | %.0f | %.2f |\n", w.name, m.wall.Seconds(), sorted[0].wall.Seconds(), sorted[len(sorted)-1].wall.Seconds(),
			float64(b.files)/m.wall.Seconds(), m.cpu.Seconds())
	}
	fmt.Printf("\nfleet against xargs with two processes: %.2fx by time; against one process for each file: %.1fx.\n",
		medians[2].Seconds()/medians[0].Seconds(), medians[3].Seconds()/medians[0].Seconds())
	var ratios []float64
	for turn := range b.repeats {
		ratios = append(ratios, took[2][turn].cpu.Seconds()/took[0][turn].cpu.Seconds())
	}
	slices.Sort(ratios)
	fmt.Printf("By processor time, which others' load changes less: %.2fx (%.2f to %.2f).\n", ratios[len(ratios)/2], ratios[0], ratios[len(ratios)-1])
	return nil
}

// sameResults runs the files in one process, in four workers, and in four workers of
// which one is killed when a third of the shards is done.
func (b *bench) sameResults(set string) error {
	key := filepath.Join(b.scratch, "key")
	raw, err := exec.Command(b.fleet, "key").Output()
	if err != nil {
		return err
	}
	if err := os.WriteFile(key, raw, 0o600); err != nil {
		return err
	}
	var outs []string
	fmt.Printf("\n## The same results, %d files\n\n", b.files)
	for _, way := range []string{"one process", "four worker processes", "four worker processes, one killed"} {
		out := filepath.Join(b.scratch, "same-"+strings.ReplaceAll(way, " ", "-"))
		outs = append(outs, out)
		var more []string
		more = append(more, "--key="+key)
		if way != "one process" {
			more = append(more, "--workers=4", "--at-once=1")
		}
		cmd := b.analyze(set, out, more...)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		var killed chan string
		if strings.HasSuffix(way, "killed") {
			killed = make(chan string, 1)
			go func() { killed <- b.killOne(cmd, out) }()
		}
		if _, err := measure(cmd); err != nil {
			return fmt.Errorf("%s: %w\n%s", way, err, errs.String())
		}
		fmt.Printf("- %s: %s", way, outcome(out))
		if killed != nil {
			fmt.Printf("; %s; it said: %.200q", <-killed, strings.TrimSpace(errs.String()))
		}
		fmt.Println()
	}
	for _, out := range outs[1:] {
		n, differ, err := compare(outs[0], out)
		if err != nil {
			return err
		}
		fmt.Printf("- %s against one process: %d files, %d differ\n", filepath.Base(out), n, differ)
		if differ > 0 {
			return errors.New("results differ")
		}
	}
	return nil
}

// killOne kills a worker of a run as soon as some shards are done.
func (b *bench) killOne(cmd *exec.Cmd, out string) string {
	for range 60_000 {
		time.Sleep(time.Millisecond)
		done, _ := filepath.Glob(filepath.Join(out, "_run", "done", "*.json"))
		if len(done) < b.files/300 || cmd.Process == nil {
			continue
		}
		pids := workersOf(cmd.Process.Pid)
		if len(pids) == 0 {
			continue
		}
		p, err := os.FindProcess(pids[0])
		if err == nil {
			err = p.Kill()
		}
		return fmt.Sprintf("killed with %d shards done (%v)", len(done), err)
	}
	return "nobody was killed"
}

func outcome(out string) string {
	raw, err := os.ReadFile(filepath.Join(out, "summary.json"))
	if err != nil {
		return err.Error()
	}
	var s struct {
		Files map[string]int64
		Rows  map[string]int64
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("files %v, rows %v", s.Files, s.Rows)
}

// compare compares all files of two directories.
func compare(a, b string) (n, differ int, err error) {
	sums := func(dir string) (map[string][32]byte, error) {
		out := make(map[string][32]byte)
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			raw, err := os.ReadFile(path)
			rel, _ := filepath.Rel(dir, path)
			out[rel] = sha256.Sum256(raw)
			return err
		})
		return out, err
	}
	x, err := sums(a)
	if err != nil {
		return 0, 0, err
	}
	y, err := sums(b)
	if err != nil {
		return 0, 0, err
	}
	for name, sum := range x {
		if y[name] != sum {
			differ++
		}
		delete(y, name)
	}
	return len(x), differ + len(y), nil
}

// memory measures with a tenth, all and ten times the files.
func (b *bench) memory(set string) error {
	fmt.Printf("\n## Memory, load %s\n\n| files | resident at most, MiB | files/s |\n|---|---|---|\n", load())
	for _, n := range []int{b.files / 10, b.files, 10 * b.files} {
		dir := set
		if n != b.files {
			var err error
			if dir, err = b.copies(fmt.Sprintf("files-%d", n), n); err != nil {
				return err
			}
		}
		u, err := measure(b.analyze(dir, filepath.Join(b.scratch, "out")))
		if err != nil {
			return err
		}
		fmt.Printf("| %d | %.0f | %.0f |\n", n, float64(u.rss)/1024, float64(n)/u.wall.Seconds())
	}
	return nil
}

func load() string {
	raw, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(raw))[:3], " ")
}
