package screen

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"goproxytrace/internal/terminal"
	"goproxytrace/live/screen/screentest"
)

func newScreen(e *screentest.Terminal, rows int) *Screen {
	return New(Options{
		Out: e, Live: true, Output: terminal.Output{Terminal: true, Columns: e.Columns},
		Size: func() (int, int) { return e.Columns, rows },
	})
}

func TestPaintsAndErases(t *testing.T) {
	e := &screentest.Terminal{Columns: 40}
	s := newScreen(e, 24)
	s.Show([]string{"first", "second"}, "")
	if got := e.Text(); got != "first\nsecond" {
		t.Errorf("painted %q", got)
	}
	s.Show([]string{"only a line that is much longer than the terminal is wide"}, "")
	if got := e.Text(); got != "only a line that is much longer than t~" {
		t.Errorf("repainted %q", got)
	}
	s.Say("a remark")
	if got := e.Text(); got != "a remark\nonly a line that is much longer than t~" {
		t.Errorf("with a remark: %q", got)
	}
	s.Close()
	s.Show([]string{"too late"}, "")
	if got := e.Text(); got != "a remark" {
		t.Errorf("left behind: %q", got)
	}
}

// Whatever a command writes in whatever pieces, the screen ends up as without
// a status.
func TestCommandOutputIsWhole(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		e, plain := &screentest.Terminal{Columns: 30}, &screentest.Terminal{Columns: 30}
		s := newScreen(e, 12)
		w := s.Through(e)
		for range 20 {
			var b []byte
			for range random.IntN(12) {
				b = append(b, []byte("abc\n\r ")[random.IntN(6)])
			}
			if random.IntN(4) == 0 {
				b = append(b, "\x1b[31mred\x1b[0m"...)
			}
			if _, err := w.Write(b); err != nil {
				t.Fatal(err)
			}
			_, _ = plain.Write(b)
			var lines []string
			for i := range random.IntN(5) {
				lines = append(lines, fmt.Sprintf("status %d of something %d", i, random.IntN(100)))
			}
			s.Show(lines, "")
		}
		s.Close()
		if got, want := e.Text(), plain.Text(); got != want {
			t.Fatalf("screen\n%q\nwithout a status\n%q", got, want)
		}
	}
}

// A status never overwrites a line that the command has not ended: a prompt, a
// progress bar.
func TestPromptStays(t *testing.T) {
	e := &screentest.Terminal{Columns: 40}
	s := newScreen(e, 24)
	s.Show([]string{"status"}, "")
	_, _ = s.Through(e).Write([]byte("Username: "))
	s.Show([]string{"status"}, "")
	if got := e.Text(); got != "Username:" {
		t.Errorf("screen %q", got)
	}
	_, _ = s.Through(e).Write([]byte("\n"))
	s.Show([]string{"status"}, "")
	if got := e.Text(); got != "Username:\nstatus" {
		t.Errorf("screen %q", got)
	}
}

// Lines that a narrower window wrapped are erased as a whole.
func TestWindowGetsNarrower(t *testing.T) {
	e := &screentest.Terminal{Columns: 60}
	s := newScreen(e, 24)
	s.Say("stays")
	line := strings.Repeat("x", 50)
	s.Show([]string{line, "y"}, "")
	// What a terminal does that wraps anew.
	e.Columns = 20
	e.Reset()
	_, _ = e.Write([]byte("stays\r\n" + line + "\r\ny"))
	s.Close()
	if got := e.Text(); got != "stays" {
		t.Errorf("left behind: %q", got)
	}
}

// A command that moves the cursor itself is left alone.
func TestForeignCursor(t *testing.T) {
	var out bytes.Buffer
	s := New(Options{Out: &out, Live: true, Output: terminal.Output{Columns: 80}, Size: func() (int, int) { return 80, 24 }})
	_, _ = s.Through(&out).Write([]byte("\x1b[2J\x1b[H\n"))
	out.Reset()
	s.Show([]string{"status"}, "")
	s.Close()
	if out.Len() > 0 {
		t.Errorf("painted %q", out.String())
	}
	for text, want := range map[string]bool{
		"plain": false, "\x1b[1;31mred\x1b[0m": false, "\x1b[K": false, "\x1b[2J": true, "\x1b]0;title\x07": true, "\x1b[5;5H": true, "cut \x1b[": true, "\x1b": true,
	} {
		if got := movesCursor([]byte(text)); got != want {
			t.Errorf("movesCursor(%q) = %v", text, got)
		}
	}
}

// In a pipe there is a plain line every ten seconds, where something changed.
func TestPlain(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(1000, 0)
	s := New(Options{Out: &out, Now: func() time.Time { return now }})
	for i := range 100 {
		now = now.Add(500 * time.Millisecond)
		s.Show([]string{"painted"}, fmt.Sprintf("state %d", i/50))
	}
	s.Say("bad \x1b[2J remark")
	s.Close()
	if got, want := out.String(), "state 0\nstate 1\nbad \\x1b[2J remark\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if _, rows := s.Room(); rows != 0 {
		t.Errorf("%d rows to paint in", rows)
	}
}

func TestQuiet(t *testing.T) {
	var out bytes.Buffer
	s := New(Options{Out: &out, Live: true, Quiet: true, Output: terminal.Output{Columns: 80}})
	s.Show([]string{"x"}, "x")
	s.Say("x")
	s.Warn("trouble")
	s.Close()
	if out.String() != "trouble\r\n" {
		t.Errorf("%q", out.String())
	}
}

func TestTable(t *testing.T) {
	rows := []Row{
		{Process: "go 4120", Host: "proxy.example", Stage: "transfer", Bytes: 1_234_567, Quiet: 12 * time.Second, Flags: "resent"},
		{Process: strings.Repeat("p", 60), Host: strings.Repeat("h", 80) + "\x1b[2J", Stage: "tls", Bytes: 999, Quiet: 100 * time.Millisecond},
		{Process: "git 4121", Host: "[2001:db8::1]:443", Stage: "connect"},
	}
	for _, columns := range []int{80, 100, 200} {
		lines := Table(rows, columns, 10)
		if len(lines) != 4 {
			t.Fatalf("%d lines", len(lines))
		}
		for _, l := range lines {
			if terminal.Width(l) > columns-1 || strings.ContainsRune(l, 0x1b) {
				t.Errorf("%d columns: %q takes %d", columns, l, terminal.Width(l))
			}
		}
		for _, word := range []string{"go 4120", "proxy.example", "transfer", "1.23 MB", "12 s", "resent"} {
			if !strings.Contains(lines[1], word) {
				t.Errorf("%d columns: %q without %q", columns, lines[1], word)
			}
		}
	}
	many := slices.Repeat(rows[:1], 30)
	lines := Table(many, 80, 8)
	if len(lines) != 8 || lines[7] != "and 24 more" {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
	if Table(nil, 80, 8) != nil {
		t.Error("a table of nothing")
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 B", 999: "999 B", 1000: "1 kB", 1517: "1.51 kB", 999_999: "999 kB", 1_500_000: "1.5 MB", 25e8: "2.5 GB"} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
}
