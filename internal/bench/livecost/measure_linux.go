package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func measure(ctx context.Context, o *options, args []string, stdout, stderr io.Writer) error {
	if !o.inside {
		if err := os.MkdirAll(o.dir, 0o777); err != nil {
			return err
		}
		if o.tool == "" {
			o.tool = filepath.Join(o.dir, "goproxytrace-livecost")
			cmd := exec.CommandContext(ctx, "go", "build", "-o", o.tool, "goproxytrace/cmd/goproxytrace")
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("build goproxytrace: %w: %s", err, bytes.TrimSpace(out))
			}
			args = append([]string{"-tool", o.tool}, args...)
		}
		return apart(ctx, args, stdout, stderr)
	}
	if err := ownProc(); err != nil {
		return err
	}
	far, err := newSpace()
	if err != nil {
		return err
	}
	if o.idle {
		return measureIdle(ctx, o, stdout, stderr)
	}
	return measureBusy(ctx, o, far, stdout, stderr)
}

// observer is a capturing process.
type observer struct {
	name   string
	cmd    *exec.Cmd
	stderr bytes.Buffer
	file   string
}

func (o *observer) start() error {
	o.cmd.Stderr = &o.stderr
	if err := o.cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", o.name, err)
	}
	return nil
}

// result is what one process said and took.
type result struct {
	captured, dropped int
	user, system      time.Duration
}

func (r *result) cpu() time.Duration { return r.user + r.system }

// String tells the processor time, of it the user's and the system's.
func (r *result) String() string {
	return fmt.Sprintf("%.2f s (%.2f + %.2f)", r.cpu().Seconds(), r.user.Seconds(), r.system.Seconds())
}

var counts = []*regexp.Regexp{
	regexp.MustCompile(`(?m)^(\d+) packets? captured(?s:.*)^(\d+) packets? dropped by kernel`),
	regexp.MustCompile(`captured (\d+) packets?, received \d+, dropped (\d+)`),
}

// stop interrupts the process and waits for its end.
func (o *observer) stop() error {
	if err := o.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	if err := o.cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w: %s", o.name, err, o.stderr.String())
	}
	return nil
}

// end stops the process and takes its counts.
func (o *observer) end() (r result, err error) {
	if err := o.stop(); err != nil {
		return r, err
	}
	r.user, r.system = o.cmd.ProcessState.UserTime(), o.cmd.ProcessState.SystemTime()
	for _, re := range counts {
		if m := re.FindStringSubmatch(o.stderr.String()); m != nil {
			r.captured, _ = strconv.Atoi(m[1])
			r.dropped, _ = strconv.Atoi(m[2])
			return r, nil
		}
	}
	return r, fmt.Errorf("%s did not tell its counts: %s", o.name, o.stderr.String())
}

// settle is how long processes have to get ready, and to write what they have.
const settle = 2 * time.Second

func measureBusy(ctx context.Context, o *options, far *space, stdout, stderr io.Writer) error {
	fmt.Fprintf(stdout, "%d packets a second with %d bytes of payload for %v, %d CPUs, %s\n\n", o.rate, o.size, o.length, runtime.NumCPU(), runtime.GOARCH)
	fmt.Fprintln(stdout, "| traffic | sent | captured | dropped | CPU (user + system) | by tcpdump | dropped | CPU (user + system) | ratio |")
	fmt.Fprintln(stdout, "|---|---:|---:|---:|---:|---:|---:|---:|---:|")
	for _, traffic := range strings.Split(o.traffic, ",") {
		var ratios []float64
		for range o.runs {
			next, err := newGenerator(traffic, o.size)
			if err != nil {
				return err
			}
			live := &observer{name: "goproxytrace", file: filepath.Join(o.dir, "live.pcapng")}
			live.cmd = exec.CommandContext(ctx, o.tool, "live", "-i", "eth0", "-w", live.file)
			dump := &observer{name: "tcpdump", file: filepath.Join(o.dir, "tcpdump.pcap")}
			dump.cmd = exec.CommandContext(ctx, "tcpdump", "-i", "eth0", "-n", "-B", "65536", "-Z", "root", "-w", dump.file, "port 443")
			both := []*observer{live, dump}
			for _, p := range both {
				if err := p.start(); err != nil {
					return err
				}
			}
			time.Sleep(settle)
			sent, err := send(ctx, o, far, next)
			if err != nil {
				return err
			}
			time.Sleep(settle)
			var r [2]result
			for i, p := range both {
				if r[i], err = p.end(); err != nil {
					return err
				}
				if err := os.Remove(p.file); err != nil {
					return err
				}
			}
			ratio := r[0].cpu().Seconds() / r[1].cpu().Seconds()
			ratios = append(ratios, ratio)
			fmt.Fprintf(stdout, "| %s | %d | %d | %d | %v | %d | %d | %v | %.2f |\n", traffic, sent,
				r[0].captured, r[0].dropped, &r[0], r[1].captured, r[1].dropped, &r[1], ratio)
		}
		slices.Sort(ratios)
		fmt.Fprintf(stderr, "livecost: %s: median ratio %.2f\n", traffic, ratios[len(ratios)/2])
	}
	return nil
}

// send sends frames at the rate, those of the server from its side.
func send(ctx context.Context, o *options, far *space, next generator) (sent int, err error) {
	near, err := injector()
	if err != nil {
		return 0, err
	}
	defer unix.Close(near)
	var distant int
	if err := far.do(func() (err error) { distant, err = injector(); return err }); err != nil {
		return 0, err
	}
	defer unix.Close(distant)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for began := time.Now(); time.Since(began) < o.length && ctx.Err() == nil; {
		due := int(time.Since(began).Seconds()*float64(o.rate)) - sent
		if due <= 0 {
			time.Sleep(200 * time.Microsecond)
			continue
		}
		for range min(due, 64) {
			f := next()
			fd := near
			if f.fromServer {
				fd = distant
			}
			// A full queue is waited for.
			for {
				if _, err = unix.Write(fd, f.data); !errors.Is(err, unix.ENOBUFS) {
					break
				}
				time.Sleep(time.Millisecond)
			}
			if err != nil {
				return sent, fmt.Errorf("send: %w", err)
			}
			sent++
		}
	}
	return sent, ctx.Err()
}

// measureIdle measures what ways of watching cost, with the kernel's events
// and without.
func measureIdle(ctx context.Context, o *options, stdout, stderr io.Writer) error {
	fmt.Fprintf(stdout, "user and system time over %v by /proc/PID/stat beside %d sleeping processes, %d CPUs, %s\n\n", o.length, o.processes, runtime.NumCPU(), runtime.GOARCH)
	fmt.Fprintln(stdout, "| watching | owners from | of one processor | runs |")
	fmt.Fprintln(stdout, "|---|---|---:|---|")
	sleeper := exec.CommandContext(ctx, "sleep", "100000")
	if err := sleeper.Start(); err != nil {
		return err
	}
	defer sleeper.Wait()
	defer sleeper.Process.Kill()
	for range o.processes {
		p := exec.CommandContext(ctx, "sleep", "100000")
		if err := p.Start(); err != nil {
			return err
		}
		defer p.Wait()
		defer p.Process.Kill()
	}
	for _, way := range []struct {
		name string
		args []string
	}{
		{"--pid of a sleeping process", []string{"--duration", "1h", "--pid", strconv.Itoa(sleeper.Process.Pid)}},
		{"nothing, until Ctrl-C", nil},
		{"all go commands, with --recorder", []string{"--recorder", filepath.Join(o.dir, "recorder")}},
	} {
		if !strings.Contains(way.name, o.only) {
			continue
		}
		for _, owners := range []string{"eBPF", "socket table"} {
			var shares []float64
			var texts []string
			for range o.runs {
				p := &observer{name: "goproxytrace"}
				p.cmd = exec.CommandContext(ctx, o.tool, append([]string{"live"}, way.args...)...)
				p.cmd.Stdout = &p.stderr // where a recorder says what it does
				if err := startWith(p, owners); err != nil {
					return err
				}
				time.Sleep(settle)
				begin, err := processorTime(p.cmd.Process.Pid)
				if err != nil {
					return err
				}
				select {
				case <-time.After(o.length):
				case <-ctx.Done():
				}
				end, err := processorTime(p.cmd.Process.Pid)
				if err != nil {
					return errors.Join(err, errors.New(p.stderr.String()))
				}
				if err := p.stop(); err != nil {
					return err
				}
				if want := "owners from: " + owners; !strings.Contains(p.stderr.String(), want) {
					return fmt.Errorf("not %q: %s", want, p.stderr.String())
				}
				share := 100 * (end - begin).Seconds() / o.length.Seconds()
				shares, texts = append(shares, share), append(texts, fmt.Sprintf("%.2f", share))
			}
			slices.Sort(shares)
			fmt.Fprintf(stdout, "| %s | %s | %.2f %% | %s |\n", way.name, owners, shares[len(shares)/2], strings.Join(texts, " "))
		}
	}
	return nil
}

// startWith starts a process with what a mechanism of finding owners needs, and
// without what a better one does.
func startWith(p *observer, owners string) error {
	if owners == "eBPF" {
		return p.start()
	}
	done := make(chan error)
	go func() {
		// Never unlocked: the thread has lost what cannot be had back.
		runtime.LockOSThread()
		for _, c := range []uintptr{unix.CAP_BPF, unix.CAP_PERFMON, unix.CAP_SYS_ADMIN} {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil {
				done <- fmt.Errorf("drop capability %d: %w", c, err)
				return
			}
		}
		done <- p.start()
	}()
	return <-done
}

// processorTime reads user and system time of all threads of a process, which
// the kernel counts in hundredths of a second (proc(5)).
func processorTime(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat: %d fields", pid, len(fields))
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond, err
}
