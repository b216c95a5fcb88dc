package main

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"goproxytrace/capture"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/internal/packets"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"goproxytrace": main, "fetch": fetchMain})
}

const pcaps = "../../testdata/pcaps"

func TestScript(t *testing.T) {
	dir, err := filepath.Abs(pcaps)
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PCAPS", dir)
			e.Setenv("COMPARE", filepath.Join(filepath.Dir(dir), "compare"))
			for k, v := range plainEnv {
				e.Setenv(k, v)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"cut":      cutFile,
			"syns":     writeSYNs,
			"exitcode": exitCodeIs,
			"unzip":    unzip,
		},
	})
}

// plainEnv makes output the same on every machine.
var plainEnv = map[string]string{
	"GOPROXY": "https://goproxy.cn,direct", "GOSUMDB": "off", "COLUMNS": "100", "LC_ALL": "C", "TERM": "xterm",
	"NO_COLOR": "", "CLICOLOR_FORCE": "", "RUNEWIDTH_EASTASIAN": "0",
}

// cutFile copies the first bytes of a file: cut FROM N TO.
func cutFile(ts *testscript.TestScript, _ bool, args []string) {
	b, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	if n < 0 {
		n += len(b)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), b[:n], 0o600))
}

// writeSYNs makes a capture of unanswered connection attempts: syns FILE COUNT FIRST-SECOND.
func writeSYNs(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	first, err := strconv.Atoi(args[2])
	ts.Check(err)
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	w, err := pcapfile.NewPcapWriter(f, pcapfile.PcapOptions{LinkType: 1})
	ts.Check(err)
	for i := range n {
		p := packets.TCP("192.0.2.10:"+strconv.Itoa(1024+i), "198.51.100.1:443").Flags(packets.SYN).Seq(1).MSS(1460)
		b := p.Ethernet()
		ts.Check(w.WritePacket(&capture.Packet{
			Number: int64(i + 1), Time: (int64(first)*1000 + int64(i)) * 1e6, HasTime: true, Data: b, Length: len(b), LinkType: 1, FCSLen: -1,
		}))
	}
	ts.Check(w.Flush())
	ts.Check(f.Close())
}

// unzip unpacks an archive: unzip FILE DIRECTORY.
func unzip(ts *testscript.TestScript, _ bool, args []string) {
	z, err := zip.OpenReader(ts.MkAbs(args[0]))
	ts.Check(err)
	defer z.Close()
	ts.Check(os.CopyFS(ts.MkAbs(args[1]), z))
}

// exitCodeIs runs a command that must end with an exit code: exitcode 3 goproxytrace ...
// The code "any" leaves it open, where it depends on the machine.
func exitCodeIs(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if args[0] != "any" {
		ts.Check(err)
	}
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	switch {
	case args[0] == "any" && (err == nil || errors.As(err, &exit)):
	case err == nil && want == 0:
	case errors.As(err, &exit) && exit.ExitCode() == want:
	default:
		ts.Fatalf("%q: %v, want exit code %d", args[1:], err, want)
	}
}

// program returns the path of this test binary under the program's name, by
// which testscript.Main knows that it is to be the program.
func program(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "goproxytrace")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	if err := os.WriteFile(path, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func testEnv() []string {
	env := os.Environ()
	for k, v := range plainEnv {
		env = append(env, k+"="+v)
	}
	return env
}

// startReading starts a command that reads a capture from a pipe which stays
// open, and returns once it reads: the file, section after section, is longer
// than what a pipe holds.
func startReading(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	const longerThanPipes = 512 << 10
	capture, err := os.ReadFile(filepath.Join(pcaps, "healthy-h2.pcapng"))
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write(bytes.Repeat(capture, longerThanPipes/len(capture)+1)); err != nil {
		t.Fatal(err)
	}
}

// The first interrupt ends reading from a pipe that stays open; what came
// through it is reported.
func TestInterrupt(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be sent an interrupt on Windows")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(t), "analyze", "-")
	cmd.Env = testEnv()
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	startReading(t, cmd)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("exit code %d (%v), want %d; standard error:\n%s", code, err, exitInterrupted, &stderr)
	}
	if !bytes.Contains(out.Bytes(), []byte("interrupted")) || !bytes.Contains(out.Bytes(), []byte("\nCapture\n")) {
		t.Errorf("no report of what was read:\n%s", &out)
	}
}

// An interrupted copy leaves nothing behind.
func TestInterruptedCopy(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be sent an interrupt on Windows")
	}
	dir := t.TempDir()
	for _, args := range [][]string{{"scrub", "-", "out.pcapng"}, {"bundle", "-", "out.zip"}} {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		cmd := exec.CommandContext(ctx, program(t), args...)
		cmd.Env, cmd.Dir = append(testEnv(), "TMPDIR="+dir), dir
		var said bytes.Buffer
		cmd.Stderr = &said
		startReading(t, cmd)
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		err := cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
			t.Errorf("%q: exit code %d (%v), want %d", args, code, err, exitInterrupted)
		}
		if s := said.String(); !strings.Contains(s, "interrupted") || strings.Contains(s, "context") {
			t.Errorf("%q: %s", args, s)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%q left %v (%v)", args, left, err)
		}
		cancel()
	}
}

func TestPipeReader(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	r := newPipeReader(context.Background(), io.MultiReader(bytes.NewReader(want[:7]), bytes.NewReader(want[7:])))
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes of %d: %v", len(got), len(want), err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	silent, w := io.Pipe()
	defer w.Close()
	r = newPipeReader(ctx, silent)
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("reading a silent pipe: %v, want the cancellation", err)
	}
}

func TestWorse(t *testing.T) {
	for _, tt := range []struct{ a, b, want int }{
		{0, 0, 0}, {0, 3, 3}, {3, 10, 10}, {10, 1, 1}, {1, 130, 130}, {130, 0, 130},
	} {
		if got := worse(tt.a, tt.b); got != tt.want {
			t.Errorf("worse(%d, %d) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
		if got := worse(tt.b, tt.a); got != tt.want {
			t.Errorf("worse(%d, %d) = %d, want %d", tt.b, tt.a, got, tt.want)
		}
	}
}
