package terminal

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// Status is one line of progress that overwrites itself. It shows up only
// after a second: short work needs none. The nil Status does nothing.
type Status struct {
	mu      sync.Mutex
	w       io.Writer
	columns int
	label   string
	start   time.Time
	now     func() time.Time
	last    time.Time
	width   int
}

const (
	statusDelay    = time.Second
	statusInterval = 200 * time.Millisecond
)

// NewStatus returns a Status that writes to w, or nil where o is no terminal.
func NewStatus(w io.Writer, o Output, label string) *Status {
	if !o.Terminal {
		return nil
	}
	return newStatus(w, o.Columns, o.Text(label), time.Now)
}

func newStatus(w io.Writer, columns int, label string, now func() time.Time) *Status {
	return &Status{w: w, columns: columns, label: label, start: now(), now: now}
}

// Update says that read of total bytes are done; total is zero where unknown.
func (s *Status) Update(read, total int64) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	elapsed := now.Sub(s.start)
	if elapsed < statusDelay || now.Sub(s.last) < statusInterval {
		return
	}
	s.last = now
	mb := float64(read) / 1e6
	text := fmt.Sprintf("%.0f MB  %.0f MB/s", mb, mb/elapsed.Seconds())
	if total > 0 {
		text = fmt.Sprintf("%3d%%  %.0f MB/s", min(read*100/total, 100), mb/elapsed.Seconds())
	}
	// One cell stays free: a full line would wrap on some terminals.
	room := max(s.columns-1-Width(text)-2, 0)
	line := text
	if label := Shorten(s.label, room); label != "" {
		line = label + "  " + text
	}
	w := Width(line)
	fmt.Fprintf(s.w, "\r%s%s", line, strings.Repeat(" ", max(s.width-w, 0)))
	s.width = w
}

// Clear removes the line. Update may follow.
func (s *Status) Clear() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.width > 0 {
		fmt.Fprintf(s.w, "\r%s\r", strings.Repeat(" ", s.width))
		s.width = 0
	}
}
