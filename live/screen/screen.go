// Package screen shows a session to the person who waits for it.
//
// In come lines that say how things stand, remarks, and what a command writes
// to the same terminal; out comes a few lines at the bottom of the terminal
// that repaint themselves and never mix with the command's output, or, where
// no person reads along, a plain line now and then. At its end nothing of it is
// left on the terminal.
package screen

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"goproxytrace/internal/terminal"
)

// Options make a Screen.
type Options struct {
	// Out is standard error.
	Out io.Writer
	// Output says what is known about it.
	Output terminal.Output
	// Size returns the terminal's columns and rows at the moment, zeros where
	// unknown.
	Size func() (columns, rows int)
	// Live is true where lines may be repainted: Out is a terminal that
	// understands escape sequences, and they are wanted.
	Live bool
	// Quiet leaves out everything but warnings.
	Quiet bool
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// plainInterval is how often a line says how things stand where nobody sees
// repainting.
const plainInterval = 10 * time.Second

// Screen is one terminal's bottom, or a pipe. Its methods may be called from
// several goroutines.
type Screen struct {
	o       Options
	mu      sync.Mutex
	widths  []int // of the painted lines, in cells
	lines   []string
	closed  bool
	midLine bool // the command's last line has not ended
	foreign bool // the command moves the cursor itself
	said    time.Time
	plain   string
}

// New makes a Screen.
func New(o Options) *Screen {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Size == nil {
		o.Size = func() (int, int) { return 0, 0 }
	}
	return &Screen{o: o, said: o.Now()}
}

// Room returns how many columns and rows there are to paint in; zero rows
// where nothing is repainted.
func (s *Screen) Room() (columns, rows int) {
	columns, rows = s.o.Size()
	if columns <= 0 {
		columns = s.o.Output.Columns
	}
	if !s.o.Live || s.o.Quiet {
		return columns, 0
	}
	return columns, max(rows, 1)
}

// Show says how things stand: lines to be painted, or plain where nothing is
// repainted; plain is printed when it has changed, every ten seconds at most.
func (s *Screen) Show(lines []string, plain string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.o.Quiet {
		return
	}
	if !s.o.Live {
		if now := s.o.Now(); plain != "" && plain != s.plain && now.Sub(s.said) >= plainInterval {
			s.plain, s.said = plain, now
			s.print(plain)
		}
		return
	}
	s.lines = lines
	var b bytes.Buffer
	s.erase(&b)
	s.paint(&b)
	s.write(b.Bytes())
}

// Say prints a remark that stays.
func (s *Screen) Say(text string) {
	if !s.o.Quiet {
		s.Warn(text)
	}
}

// Warn prints a remark that stays, asked for or not.
func (s *Screen) Warn(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b bytes.Buffer
	s.erase(&b)
	s.write(b.Bytes())
	if s.midLine {
		s.write([]byte("\r\n"))
		s.midLine = false
	}
	s.print(text)
	b.Reset()
	s.paint(&b)
	s.write(b.Bytes())
}

// Close removes what is painted; nothing is painted any more.
func (s *Screen) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b bytes.Buffer
	s.erase(&b)
	s.write(b.Bytes())
	s.closed, s.lines = true, nil
}

// Through returns a writer for what a command writes to w, where w shows up on
// the same terminal: what is painted makes room for it.
func (s *Screen) Through(w io.Writer) io.Writer { return &through{s, w} }

type through struct {
	s *Screen
	w io.Writer
}

func (t *through) Write(b []byte) (int, error) {
	s := t.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(b) == 0 {
		return 0, nil
	}
	var erase bytes.Buffer
	s.erase(&erase)
	s.write(erase.Bytes())
	n, err := t.w.Write(b)
	s.foreign = s.foreign || movesCursor(b)
	s.midLine = b[len(b)-1] != '\n'
	return n, err
}

// movesCursor reports whether b holds escape sequences other than those for
// colour (ECMA-48, SGR): where the cursor is, is not known after them.
func movesCursor(b []byte) bool {
	for {
		i := bytes.IndexByte(b, 0x1b)
		if i < 0 {
			return false
		}
		b = b[i+1:]
		if len(b) == 0 || b[0] != '[' {
			return true
		}
		end := 1
		for end < len(b) && (b[end] >= '0' && b[end] <= '9' || b[end] == ';') {
			end++
		}
		if end == len(b) || b[end] != 'm' && b[end] != 'K' {
			return true
		}
		b = b[end+1:]
	}
}

// erase takes away what is painted. Lines that a narrower window has wrapped
// take more rows than they were painted in.
func (s *Screen) erase(b *bytes.Buffer) {
	if len(s.widths) == 0 {
		return
	}
	columns, _ := s.Room()
	rows := 0
	for _, w := range s.widths {
		rows += max(1, (w+columns-1)/max(columns, 1))
	}
	b.WriteByte('\r')
	if rows > 1 {
		b.WriteString("\x1b[" + strconv.Itoa(rows-1) + "A")
	}
	b.WriteString("\x1b[J")
	s.widths = s.widths[:0]
}

func (s *Screen) paint(b *bytes.Buffer) {
	if s.closed || s.midLine || s.foreign || len(s.lines) == 0 {
		return
	}
	columns, rows := s.Room()
	for i, line := range s.lines[:min(len(s.lines), rows)] {
		if i > 0 {
			b.WriteString("\r\n")
		}
		// One cell stays free: a full line would wrap on some terminals.
		line = terminal.Shorten(s.o.Output.Text(line), columns-1)
		b.WriteString(line)
		s.widths = append(s.widths, terminal.Width(line))
	}
}

func (s *Screen) print(text string) {
	for line := range strings.Lines(text) {
		end := "\n"
		if s.o.Live {
			end = "\r\n"
		}
		s.write([]byte(s.o.Output.Text(strings.TrimRight(line, "\r\n")) + end))
	}
}

// write gives up silently: who cannot be told of a screen that is gone.
func (s *Screen) write(b []byte) {
	if len(b) > 0 {
		_, _ = s.o.Out.Write(b)
	}
}
