//go:build unix

package casefile

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"goproxytrace/capture"
	"goproxytrace/capture/hostlog"
)

// childEnv makes the test binary a process of another kind.
const childEnv = "GOPROXYTRACE_CASEFILE_CHILD"

func TestMain(m *testing.M) {
	switch kind, path, _ := strings.Cut(os.Getenv(childEnv), ":"); kind {
	case "":
		os.Exit(m.Run())
	case "kill":
		writeForEver(path)
	case "limit":
		writeUpToLimit(path)
	}
}

func child(kind, path string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+kind+":"+path)
	cmd.Stderr = os.Stderr
	return cmd
}

// pause is how long writeForEver rests at least, and inSecond how often it does
// so in a second at most.
const (
	pause    = 10 * time.Millisecond
	inSecond = int(time.Second / pause)
)

// writeForEver writes frames numbered in their ports, some between two rests; it
// says that it begins, and before each rest how many were given.
func writeForEver(path string) {
	n, path, _ := strings.Cut(path, ",")
	some, _ := strconv.Atoi(n)
	w, err := Create(path, Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	in := ethernet
	w.Interface(&in)
	fmt.Println(0)
	for i := 1; ; i++ {
		if err := w.Packet(packet(i, 0, syn(uint16(i), 700))); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if i%some == 0 {
			fmt.Println(i)
			time.Sleep(pause)
		}
	}
}

// TestKill: whatever was given a second before kill -9 can be read.
func TestKill(t *testing.T) {
	var torn atomic.Int32
	t.Run("moments", func(t *testing.T) {
		for round := range 20 {
			t.Run(strconv.Itoa(round), func(t *testing.T) {
				t.Parallel()
				some, rests := 100, 0
				switch round % 8 {
				case 0:
					// So little that only its time has it written, of which
					// the first must just have come.
					some, rests = 1, inSecond+1+rand.N(10)
				case 4:
					// Long enough for something to be due.
					rests = inSecond + 50 + rand.N(70)
				}
				if killOnce(t, some, rests, 150*time.Millisecond+rand.N(700*time.Millisecond)) {
					torn.Add(1)
				}
			})
		}
	})
	t.Logf("%d of 20 files end with a torn block", torn.Load())
}

// killOnce kills a child that writes some frames between two rests, after so many
// rests or, where that is zero, after a time. How long ago a frame was given the
// rests tell: a clock would go on while the child, on a busy machine, does not.
func killOnce(t *testing.T, some, rests int, wait time.Duration) (torn bool) {
	path := filepath.Join(t.TempDir(), "case.pcapng")
	cmd := child("kill", fmt.Sprintf("%d,%s", some, path))
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	kill := func() { _ = cmd.Process.Kill() }
	defer time.AfterFunc(time.Minute, kill).Stop()
	var given []int
	for lines := bufio.NewScanner(out); lines.Scan(); {
		i, err := strconv.Atoi(lines.Text())
		must(t, err)
		given = append(given, i)
		switch {
		case rests == 0 && i == 0:
			defer time.AfterFunc(wait, kill).Stop()
		case rests != 0 && i == some*rests:
			time.Sleep(rand.N(pause))
			kill()
		}
	}
	// The error is that it was killed.
	_ = cmd.Wait()
	due := 0
	if n := len(given) - 1 - inSecond; n > 0 {
		due = given[n]
	}
	if len(given) == 0 || rests > 0 && due == 0 {
		t.Fatalf("killed after %d rests: nothing was due", len(given)-1)
	}
	st, err := os.Stat(path)
	must(t, err)
	list, _, err := read(t, path)
	var damage *capture.DamageError
	if errors.As(err, &damage) && st.Size()-damage.Offset < 1<<10 {
		torn = true
	} else if err != nil {
		t.Errorf("killed after frame %d: %v", given[len(given)-1], err)
	}
	if len(list) < due {
		t.Errorf("killed after frame %d: %d packets, though %d were given a second before", given[len(given)-1], len(list), due)
	}
	for i, p := range list {
		if p.Time != epoch+int64(i+1)*second/1000 {
			t.Fatalf("packet %d has the time of another", i+1)
		}
	}
	return torn
}

// checkStopped holds a file that ended early to what the error says of it.
func checkStopped(t *testing.T, path string, err error, cause error) {
	t.Helper()
	var stopped *StoppedError
	if !errors.As(err, &stopped) || !errors.Is(err, cause) || stopped.Path != path {
		t.Fatalf("the error is %v, want %v", err, cause)
	}
	list, info, err := read(t, path)
	if err != nil {
		t.Fatalf("the file is damaged: %v", err)
	}
	if int64(len(list)) != stopped.Frames+1 || stopped.Frames == 0 {
		t.Fatalf("%d records; the error says %d and the last one", len(list), stopped.Frames)
	}
	last := list[len(list)-2]
	if last.Time != stopped.Until {
		t.Errorf("the last is of %d, the error says %d", last.Time, stopped.Until)
	}
	for i, p := range list[:len(list)-1] {
		if p.Time != epoch+int64(i+1)*second/1000 {
			t.Fatalf("packet %d has the time of another", i+1)
		}
	}
	e, ok := record(t, list[len(list)-1]).(*hostlog.Event)
	if !ok || !strings.Contains(e.Text, "ends here") || !strings.Contains(e.Text, cause.Error()) {
		t.Errorf("the last record is %+v", e)
	}
	in := info.Interfaces[0]
	if in.End != stopped.Until || in.Received == nil || *in.Received != 12345 {
		t.Errorf("statistics %+v, want the end at %d", in, stopped.Until)
	}
	if st, err := os.Stat(path); err != nil || st.Size() != stopped.Bytes {
		t.Errorf("%d bytes, the error says %d (%v)", st.Size(), stopped.Bytes, err)
	}
}

// fill writes packets of a size until the Writer says that the file stopped;
// the caller goes on as if nothing had happened.
func fill(w *Writer, size int) (first error, more int) {
	in := ethernet
	if _, err := w.Interface(&in); err != nil {
		return err, 0
	}
	received := uint64(12345)
	if err := w.Statistics(0, epoch, &capture.Interface{Received: &received, Start: epoch, End: epoch + 1000*second}); err != nil {
		return err, 0
	}
	for i := 1; i < 200_000; i++ {
		if err := w.Packet(packet(i, 0, syn(1, size))); err != nil {
			first = err
			break
		}
		if i%64 == 0 {
			if err := w.Flush(); err != nil {
				first = err
				break
			}
		}
	}
	for i := range 1000 {
		if w.Packet(packet(i, 0, syn(1, size))) != nil || w.Record(&hostlog.Exit{Time: 1}) != nil || w.Flush() != nil {
			more++
		}
	}
	if w.Close() != nil {
		more++
	}
	return first, more
}

func TestSizeLimit(t *testing.T) {
	for _, size := range []int{1, 700, 60_000} {
		path := filepath.Join(t.TempDir(), "case.pcapng")
		w := create(t, path, Options{MaxBytes: 300_000})
		err, more := fill(w, size)
		if more != 0 {
			t.Errorf("the error was told %d times more", more)
		}
		checkStopped(t, path, err, ErrLimit)
		st, statErr := os.Stat(path)
		must(t, statErr)
		if st.Size() > 300_000 || st.Size() < 300_000-reserve-int64(size)-200 {
			t.Errorf("%d bytes", st.Size())
		}
	}
}

// writeUpToLimit runs with a limit on the size of files.
func writeUpToLimit(path string) {
	n, path, _ := strings.Cut(path, ",")
	limit, _ := strconv.Atoi(n)
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: rlim(limit), Max: rlim(limit)}); err != nil {
		fmt.Println(err)
		return
	}
	w, err := Create(path, Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	err, more := fill(w, 700)
	var stopped *StoppedError
	if !errors.As(err, &stopped) {
		fmt.Println(err)
		return
	}
	fmt.Println("stopped", stopped.Frames, stopped.Bytes, stopped.Until, more, errors.Is(err, syscall.EFBIG))
}

// TestFileSizeLimit is the full disk that needs no root.
func TestFileSizeLimit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "case.pcapng")
	out, err := child("limit", "200000,"+path).Output()
	must(t, err)
	stopped := &StoppedError{Path: path, Err: syscall.EFBIG}
	var more int
	var tooBig bool
	if _, err := fmt.Sscanf(string(out), "stopped %d %d %d %d %t", &stopped.Frames, &stopped.Bytes, &stopped.Until, &more, &tooBig); err != nil || more != 0 || !tooBig {
		t.Fatalf("the child says %q (%v)", out, err)
	}
	checkStopped(t, path, stopped, syscall.EFBIG)
}

func TestRemovedFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	must(t, os.Mkdir(dir, 0o700))
	path := filepath.Join(dir, "case.pcapng")
	w := create(t, path, Options{FlushEvery: 10 * time.Millisecond})
	addInterface(t, w, ethernet)
	must(t, os.RemoveAll(dir))
	deadline := time.Now().Add(5 * time.Second)
	var err error
	for err == nil && time.Now().Before(deadline) {
		err = w.Packet(packet(1, 0, syn(1, 1)))
		time.Sleep(5 * time.Millisecond)
	}
	if !errors.Is(err, errRemoved) || !strings.Contains(err.Error(), path) {
		t.Errorf("the error is %v", err)
	}
	must(t, w.Packet(packet(1, 0, syn(1, 1))))
	must(t, w.Close())
}
