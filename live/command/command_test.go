package command

import (
	"bytes"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestMain makes the test binary the command, too.
func TestMain(m *testing.M) {
	if mode := os.Getenv("COMMAND_TEST"); mode != "" {
		os.Exit(child(mode))
	}
	os.Exit(m.Run())
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func self(t *testing.T, mode string) Options {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Options{Args: []string{path, "argument"}, Env: append(os.Environ(), "COMMAND_TEST="+mode)}
}

func TestPipes(t *testing.T) {
	o := self(t, "write")
	var out, errs buffer
	var lines []string
	o.Out, o.Err = &out, &errs
	o.Line = func(stream, text string) { lines = append(lines, stream+": "+text) }
	c, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	exit := c.Wait()
	c.Close()
	if exit != (Exit{Code: 7}) || exit.Status() != 7 {
		t.Errorf("exit %+v", exit)
	}
	if out.String() != "one\r\ntwo\x00\xff\nthree" || errs.String() != "10%\r50%\rdone\n" {
		t.Errorf("output %q and %q", out.String(), errs.String())
	}
	slices.Sort(lines)
	if want := []string{"stderr: done", "stdout: one", "stdout: three", "stdout: two\x00\uFFFD"}; !slices.Equal(lines, want) {
		t.Errorf("lines %q, want %q", lines, want)
	}
}

// What the command writes is there at once, not when a line or a buffer is full.
func TestAtOnce(t *testing.T) {
	o := self(t, "prompt")
	var out buffer
	o.Out, o.Err = &out, &out
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	o.Stdin = r
	c, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); out.String() != "name? "; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no prompt: %q", out.String())
		}
	}
	if _, err := w.WriteString("gopher\n"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if e := c.Wait(); e.Code != 0 || out.String() != "name? hello gopher" {
		t.Errorf("exit %+v, output %q", e, out.String())
	}
	c.Close()
}

func TestNotFound(t *testing.T) {
	if _, err := Start(Options{Args: []string{"no-such-program-anywhere"}}); err == nil {
		t.Error("started")
	}
	if _, err := Start(Options{}); err == nil {
		t.Error("started nothing")
	}
}

func TestSplitter(t *testing.T) {
	for _, tt := range []struct {
		in   []string
		want []string
	}{
		{[]string{"a\nb\n"}, []string{"a", "b"}},
		{[]string{"a", "b\nc"}, []string{"ab", "c"}},
		{[]string{"a\r", "\nb"}, []string{"a", "b"}},
		{[]string{"10%\r20%\r\n"}, []string{"20%"}},
		{[]string{"\n\n"}, nil},
		{[]string{strings.Repeat("x", maxLine+5) + "\nnext\n"}, []string{strings.Repeat("x", maxLine) + " [cut]", "next"}},
		{[]string{"\xff\n"}, []string{"\uFFFD"}},
	} {
		var got []string
		s := splitter{emit: func(l string) { got = append(got, l) }}
		for _, in := range tt.in {
			s.write([]byte(in))
		}
		s.end()
		if !slices.Equal(got, tt.want) {
			t.Errorf("%.40q: %.80q, want %.80q", tt.in, got, tt.want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	u := &User{Name: "gopher", Home: "/home/gopher"}
	got := Environment([]string{"PATH=/bin", "HOME=/root", "USER=root", "LOGNAME=root", "SUDO_UID=1000", "MAIL=/m", "GOPROXY=off"}, u)
	want := []string{"PATH=/bin", "GOPROXY=off", "HOME=/home/gopher", "USER=gopher", "LOGNAME=gopher"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	// Where the user is not known, what is there stays.
	if got := Environment([]string{"HOME=/root"}, &User{}); !slices.Equal(got, []string{"HOME=/root"}) {
		t.Errorf("%q", got)
	}
}

func TestExitBySignal(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signals on Windows")
	}
	o := self(t, "sleep")
	o.Out, o.Err = &buffer{}, &buffer{}
	c, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Signal(os.Kill); err != nil {
		t.Fatal(err)
	}
	if e := c.Wait(); e.Signal != 9 || e.Status() != 137 {
		t.Errorf("exit %+v", e)
	}
	c.Close()
}
