// Command bench makes large captures and measures how long the tools take to
// analyse them.
//
// In go sizes and a seed, out come four capture files and a Markdown table:
// median wall time and peak resident memory of goproxytrace and of
// tcptrace -l -n over alternating runs, and of one tshark run that prints the
// same facts. The captures have the same packets in every run with the same
// seed; only the random bytes inside the recorded TLS handshakes differ.
//
//	go run ./internal/bench -dir DIRECTORY
//	go run ./internal/bench -dir DIRECTORY -quick
//
// Existing files of the right name are measured as they are; -force makes
// them anew. Nothing is deleted.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	dir, format, tool, only string
	seed                    uint64
	size, average           int64
	packets, conns, few     int64
	flood                   int64
	pairs                   int
	quick, force            bool
	noTshark, noTcptrace    bool
	generate                string
}

func (o *options) flags(stderr io.Writer) *flag.FlagSet {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.dir, "dir", "", "directory for the captures (needed; 1.5 GB at full size)")
	f.StringVar(&o.format, "format", "pcapng", "capture format: pcap or pcapng")
	f.StringVar(&o.tool, "tool", "", "goproxytrace binary to measure (default: build it from this module)")
	f.StringVar(&o.only, "only", "", "comma-separated captures to use: downloads, mixed, mixed-few, flood")
	f.Uint64Var(&o.seed, "seed", 1, "seed of the captures")
	f.Int64Var(&o.size, "size", 700_000_000, "bytes of the downloads capture")
	f.Int64Var(&o.average, "average", 1_700_000, "mean bytes of a download connection")
	f.Int64Var(&o.packets, "packets", 2_900_000, "packets of the mixed captures")
	f.Int64Var(&o.conns, "connections", 40_000, "short connections of the mixed capture")
	f.Int64Var(&o.few, "few-connections", 2_000, "short connections of the mixed-few capture")
	f.Int64Var(&o.flood, "flood", 1_000_000, "SYNs of the flood capture")
	f.IntVar(&o.pairs, "pairs", 5, "runs of each tool, alternating; 0 only makes the captures")
	f.BoolVar(&o.quick, "quick", false, "a hundredth of every size and one pair")
	f.BoolVar(&o.force, "force", false, "make the captures anew")
	f.BoolVar(&o.noTshark, "no-tshark", false, "leave tshark out")
	f.BoolVar(&o.noTcptrace, "no-tcptrace", false, "leave tcptrace out")
	f.StringVar(&o.generate, "generate", "", "make this one capture and exit (used internally)")
	return f
}

// subject is one capture to make and measure.
type subject struct {
	name, text string
	write      func(io.Writer) (*captureWriter, error)
	// tcptrace is false where the budget is not set by tcptrace.
	tcptrace bool
}

func (o *options) subjects() []subject {
	return []subject{
		{"downloads", fmt.Sprintf("TLS downloads, %s", megabytes(o.size)), func(w io.Writer) (*captureWriter, error) {
			return writeDownloads(w, o.format, o.seed, o.size, o.average)
		}, true},
		{"mixed", fmt.Sprintf("%d packets cut to 96 bytes, %d short connections and bulk", o.packets, o.conns),
			func(w io.Writer) (*captureWriter, error) {
				return writeMixed(w, o.format, o.seed, o.packets, o.conns)
			}, true},
		{"mixed-few", fmt.Sprintf("%d packets cut to 96 bytes, %d short connections and bulk", o.packets, o.few),
			func(w io.Writer) (*captureWriter, error) {
				return writeMixed(w, o.format, o.seed+1, o.packets, o.few)
			}, true},
		{"flood", fmt.Sprintf("SYN flood, %d tuples", o.flood), func(w io.Writer) (*captureWriter, error) {
			return writeFlood(w, o.format, o.seed, o.flood)
		}, false},
	}
}

func megabytes(n int64) string { return fmt.Sprintf("%.4g MB", float64(n)/1e6) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o options
	f := o.flags(stderr)
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if o.dir == "" {
		return errors.New("-dir is needed")
	}
	if o.quick {
		o.size, o.packets, o.conns, o.few, o.flood = o.size/100, o.packets/100, o.conns/100, o.few/100, o.flood/100
		o.average /= 10
		o.pairs = min(o.pairs, 1)
	}
	var chosen []subject
	for _, s := range o.subjects() {
		if o.generate != "" && o.generate != s.name {
			continue
		}
		if o.only == "" || strings.Contains(","+o.only+",", ","+s.name+",") {
			chosen = append(chosen, s)
		}
	}
	if len(chosen) == 0 {
		return fmt.Errorf("no such capture: %q", o.only+o.generate)
	}
	if o.generate != "" {
		return generate(filepath.Join(o.dir, o.fileName(chosen[0])), chosen[0], stderr)
	}
	if err := os.MkdirAll(o.dir, 0o777); err != nil {
		return err
	}
	for _, s := range chosen {
		file := filepath.Join(o.dir, o.fileName(s))
		if _, err := os.Stat(file); err == nil && !o.force {
			continue
		}
		// Another process makes the file: on Linux a child's peak memory
		// begins at that of the process that started it, so this one stays
		// small.
		if err := generateApart(ctx, args, s, stderr); err != nil {
			return err
		}
	}
	if o.pairs == 0 {
		return nil
	}
	return measure(ctx, &o, chosen, stdout, stderr)
}

// fileName tells captures of different parameters apart.
func (o *options) fileName(s subject) string {
	n := map[string]string{
		"downloads": fmt.Sprint(o.size), "mixed": fmt.Sprintf("%d-%d", o.packets, o.conns),
		"mixed-few": fmt.Sprintf("%d-%d", o.packets, o.few), "flood": fmt.Sprint(o.flood),
	}[s.name]
	return fmt.Sprintf("%s-%s-seed%d.%s", s.name, n, o.seed, o.format)
}

func generateApart(ctx context.Context, args []string, s subject, stderr io.Writer) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, append([]string{"-generate", s.name}, args...)...)
	cmd.Stderr = stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("make capture %s: %w", s.name, err)
	}
	return nil
}

// generate writes to a temporary name first: a file of the final name is whole.
func generate(file string, s subject, stderr io.Writer) error {
	f, err := os.Create(file + ".partial")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	w, err := s.write(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	fmt.Fprintf(stderr, "made %s: %d packets, %s\n", filepath.Base(file), w.packets, megabytes(w.bytes))
	return os.Rename(f.Name(), file)
}

// buildTool builds the program under test into dir.
func buildTool(ctx context.Context, dir string) (string, error) {
	name := filepath.Join(dir, "goproxytrace-bench")
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", name, "goproxytrace/cmd/goproxytrace")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build goproxytrace: %w: %s", err, bytes.TrimSpace(out.Bytes()))
	}
	return name, nil
}
