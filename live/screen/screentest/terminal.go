// Package screentest shows what a person would see.
//
// In go the bytes that a program writes to a terminal, out comes the text that
// stands on the screen then.
package screentest

import (
	"strconv"
	"strings"
)

// Terminal is as much of a terminal as a Screen and a plain command use. It
// fails loudly at escape sequences that it does not know.
type Terminal struct {
	// Columns is its width in cells; a line that is longer wraps.
	Columns  int
	rows     [][]rune
	row, col int
}

// Reset empties the screen.
func (e *Terminal) Reset() { e.rows, e.row, e.col = nil, 0, 0 }

// Write shows bytes, which must be ASCII.
func (e *Terminal) Write(b []byte) (int, error) {
	text := string(b)
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '\r':
			e.col = 0
		case c == '\n':
			e.row++
			e.col = 0 // the terminal's ONLCR
		case c == 0x1b:
			end := i + 2
			for end < len(text) && (text[end] >= '0' && text[end] <= '9' || text[end] == ';') {
				end++
			}
			n, _ := strconv.Atoi(text[i+2 : end])
			switch text[end] {
			case 'A':
				e.row = max(e.row-max(n, 1), 0)
			case 'J':
				e.line()
				e.rows[e.row] = e.rows[e.row][:min(e.col, len(e.rows[e.row]))]
				e.rows = e.rows[:e.row+1]
			case 'm':
			default:
				panic("unknown sequence " + strconv.Quote(text[i:end+1]))
			}
			i = end
		default:
			if e.col >= e.Columns {
				e.row, e.col = e.row+1, 0
			}
			e.line()
			for len(e.rows[e.row]) <= e.col {
				e.rows[e.row] = append(e.rows[e.row], ' ')
			}
			e.rows[e.row][e.col] = rune(c)
			e.col++
		}
		i++
	}
	return len(b), nil
}

func (e *Terminal) line() {
	for len(e.rows) <= e.row {
		e.rows = append(e.rows, nil)
	}
}

// Text is what a person sees, without blank ends.
func (e *Terminal) Text() string {
	var out []string
	for _, r := range e.rows {
		out = append(out, strings.TrimRight(string(r), " "))
	}
	return strings.TrimRight(strings.Join(out, "\n"), "\n")
}
