//go:build unix

package recorder

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// victimDir makes this test program a recorder that is killed.
const victimDir = "RECORDER_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimDir); dir != "" {
		victim(dir)
		return
	}
	os.Exit(m.Run())
}

// victim writes cases until it is killed.
func victim(dir string) {
	t := &outside{}
	h := newHarnessIn(t, dir, roomy)
	fmt.Println("ready")
	for i := uint32(1); ; i++ {
		h.build("hello-reset.pcapng", i, 1)
	}
}

// roomy has nothing removed.
func roomy(o *Options) { o.MaxDisk = DefaultDisk }

// outside is a testing.TB where there is no test.
type outside struct{ testing.TB }

func (*outside) Helper()                      {}
func (*outside) Cleanup(func())               {}
func (*outside) Fatal(args ...any)            { fmt.Println(args...); os.Exit(1) }
func (*outside) Fatalf(f string, args ...any) { fmt.Printf(f+"\n", args...); os.Exit(1) }
func (*outside) Error(args ...any)            { fmt.Println(args...) }

// A recorder that is killed at any moment leaves, once the next has begun, cases
// that are whole, and exactly one line for each.
func TestKilled(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "recorder")
	for i := range 12 {
		before := len(cases(t, dir))
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), victimDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		first, err := bufio.NewReader(out).ReadString('\n')
		if err != nil || first != "ready\n" {
			t.Fatalf("it said %q (%v)", first, err)
		}
		for limit := time.Now().Add(20 * time.Second); len(cases(t, dir)) <= before; time.Sleep(time.Millisecond) {
			if time.Now().After(limit) {
				t.Fatal("it writes no case")
			}
		}
		time.Sleep(time.Duration(i*17) * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
	}
	h := newHarnessIn(t, dir, roomy)
	h.end()
	told := map[string]int{}
	for _, l := range lines(t, dir) {
		told[filepath.Base(l.Recorder.Case)]++
	}
	names := cases(t, dir)
	if len(names) < 12 {
		t.Fatalf("only %d cases", len(names))
	}
	for _, path := range names {
		if n := told[filepath.Base(path)]; n != 1 {
			t.Errorf("%s stands in %d lines", path, n)
		}
		delete(told, filepath.Base(path))
	}
	if len(told) > 0 {
		t.Errorf("lines without a case: %v", told)
	}
	for _, path := range slices.Compact([]string{names[0], names[len(names)/2], names[len(names)-1]}) {
		if d := analysed(t, path); d.Verdict.Class != "tls.reset" {
			t.Errorf("%s: %s", path, d.Verdict.Class)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, tmpDir, "*")); len(left) > 0 {
		t.Errorf("left behind: %s", strings.Join(left, ", "))
	}
}
