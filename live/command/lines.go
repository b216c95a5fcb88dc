package command

import "strings"

// maxLine bounds a line in bytes: what is longer is cut.
const maxLine = 16 << 10

// splitter makes lines of what is written. A carriage return begins a line
// anew, as on the screen; a line's last state counts.
type splitter struct {
	emit func(string)
	line []byte
	cut  bool
	// back is true after a carriage return that may be part of a line's end.
	back bool
}

func (s *splitter) write(b []byte) {
	for _, c := range b {
		switch c {
		case '\n':
			s.flush()
			continue
		case '\r':
			s.back = true
			continue
		}
		if s.back {
			s.line, s.cut, s.back = s.line[:0], false, false
		}
		if len(s.line) < maxLine {
			s.line = append(s.line, c)
		} else {
			s.cut = true
		}
	}
}

func (s *splitter) flush() {
	text := strings.ToValidUTF8(string(s.line), "\uFFFD")
	if s.cut {
		text += " [cut]"
	}
	s.line, s.cut, s.back = s.line[:0], false, false
	if text != "" {
		s.emit(text)
	}
}

// end emits what stands in a line without an end.
func (s *splitter) end() {
	if len(s.line) > 0 {
		s.flush()
	}
}
