package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// sample is one run of one tool.
type sample struct {
	wall time.Duration
	cpu  time.Duration // user and system time, all threads
	peak int64         // bytes resident, mapped file pages included; 0 where unknown
}

// program is a tool with the arguments that go before the file name.
type program struct {
	name string
	argv []string
	tail []string
}

func (p program) run(ctx context.Context, file string) (sample, error) {
	args := append(append(slices.Clone(p.argv[1:]), file), p.tail...)
	cmd := exec.CommandContext(ctx, p.argv[0], args...)
	var stderr tailWriter
	cmd.Stderr = &stderr
	// A nil Stdout is the null device for every tool alike.
	begin := time.Now()
	err := cmd.Run()
	s := sample{wall: time.Since(begin)}
	if err != nil {
		return s, fmt.Errorf("%s %s: %w: %s", p.name, filepath.Base(file), err, stderr.String())
	}
	s.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	s.peak = peakResident(cmd.ProcessState)
	return s, nil
}

// tailWriter keeps the last few hundred bytes.
type tailWriter struct{ b []byte }

func (t *tailWriter) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if len(t.b) > 400 {
		t.b = append(t.b[:0], t.b[len(t.b)-400:]...)
	}
	return len(p), nil
}

func (t *tailWriter) String() string { return strings.TrimSpace(string(t.b)) }

// median has the median of each time and the largest peak.
func median(s []sample) sample {
	walls, cpus := make([]time.Duration, len(s)), make([]time.Duration, len(s))
	var peak int64
	for i := range s {
		walls[i], cpus[i] = s[i].wall, s[i].cpu
		peak = max(peak, s[i].peak)
	}
	slices.Sort(walls)
	slices.Sort(cpus)
	return sample{walls[len(s)/2], cpus[len(s)/2], peak}
}

func measure(ctx context.Context, o *options, subjects []subject, stdout, stderr io.Writer) error {
	var tools []program
	tool := o.tool
	if tool == "" {
		built, err := buildTool(ctx, o.dir)
		if err != nil {
			return err
		}
		tool = built
	}
	if tool != "none" {
		tools = append(tools, program{name: "goproxytrace", argv: []string{tool, "analyze", "--json"}})
	}
	tcptrace, tshark := -1, -1
	for _, t := range []struct {
		off  bool
		at   *int
		prog program
	}{
		{o.noTcptrace, &tcptrace, program{name: "tcptrace -l -n", argv: []string{"tcptrace", "-l", "-n"}}},
		{o.noTshark, &tshark, program{name: "tshark -T fields", argv: []string{"tshark", "-n", "-r"}, tail: tsharkFields()}},
	} {
		if t.off {
			continue
		}
		if _, err := exec.LookPath(t.prog.argv[0]); err != nil {
			fmt.Fprintf(stderr, "bench: %s is not installed and left out\n", t.prog.argv[0])
			continue
		}
		*t.at = len(tools)
		tools = append(tools, t.prog)
	}
	fmt.Fprintf(stdout, "%d CPUs, %s/%s, %d alternating runs, output to the null device. Peak is the largest of the runs.\n\n",
		runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, o.pairs)
	fmt.Fprintln(stdout, "| capture | tool | median wall | to tcptrace | median CPU | peak memory | runs |")
	fmt.Fprintln(stdout, "|---|---|---:|---:|---:|---:|---|")
	for _, s := range subjects {
		file := filepath.Join(o.dir, o.fileName(s))
		if err := warm(file); err != nil {
			return err
		}
		samples := make([][]sample, len(tools))
		for pair := range o.pairs {
			for i, p := range tools {
				if i == tcptrace && !s.tcptrace || i == tshark && pair > 0 {
					continue
				}
				r, err := p.run(ctx, file)
				if err != nil {
					return err
				}
				fmt.Fprintf(stderr, "%s: %s: %.2f s, %s\n", s.name, p.name, r.wall.Seconds(), mebibytes(r.peak))
				samples[i] = append(samples[i], r)
			}
		}
		for i, p := range tools {
			if len(samples[i]) == 0 {
				continue
			}
			m, ratio := median(samples[i]), "-"
			if tcptrace >= 0 && len(samples[tcptrace]) > 0 {
				ratio = fmt.Sprintf("%.2f", m.wall.Seconds()/median(samples[tcptrace]).wall.Seconds())
			}
			var runs []string
			for _, r := range samples[i] {
				runs = append(runs, fmt.Sprintf("%.2f", r.wall.Seconds()))
			}
			fmt.Fprintf(stdout, "| %s | %s | %.2f s | %s | %.2f s | %s | %s |\n",
				s.text, p.name, m.wall.Seconds(), ratio, m.cpu.Seconds(), mebibytes(m.peak), strings.Join(runs, " "))
		}
	}
	return nil
}

func mebibytes(n int64) string {
	if n == 0 {
		return "unknown"
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// warm reads the file once so that the first run does not pay for the disk.
func warm(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(io.Discard, f)
	return err
}

// tsharkFields asks for the facts of goproxytrace analyze --frames.
func tsharkFields() []string {
	out := []string{"-T", "fields"}
	for _, f := range []string{
		"frame.number", "tcp.stream", "tcp.analysis.retransmission", "tcp.analysis.fast_retransmission",
		"tcp.analysis.spurious_retransmission", "tcp.analysis.out_of_order", "tcp.analysis.duplicate_ack",
		"tcp.analysis.lost_segment", "tcp.analysis.ack_lost_segment", "tcp.analysis.zero_window",
		"tcp.analysis.zero_window_probe", "tcp.analysis.zero_window_probe_ack", "tcp.analysis.window_full",
		"tcp.analysis.window_update", "tcp.analysis.keep_alive", "tcp.analysis.keep_alive_ack",
		"tcp.analysis.reused_ports", "tls.handshake.extensions_server_name", "tls.handshake.type",
		"tls.handshake.ja3", "tls.alert_message.desc",
	} {
		out = append(out, "-e", f)
	}
	return out
}
