package terminal

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/term"
)

// ColorMode is the value of a --color flag.
type ColorMode string

// The colour modes; the empty one means Auto.
const (
	Auto   ColorMode = "auto"
	Always ColorMode = "always"
	Never  ColorMode = "never"
)

// ParseColorMode reads a --color value.
func ParseColorMode(s string) (ColorMode, error) {
	switch m := ColorMode(s); m {
	case Auto, Always, Never:
		return m, nil
	case "":
		return Auto, nil
	}
	return Auto, fmt.Errorf("invalid colour mode %q: want auto, always or never", Clean(s))
}

// Output is what is known about a stream that text goes to.
type Output struct {
	// Terminal is true where a person reads along.
	Terminal bool
	// Color says whether escape sequences for colour are wanted.
	Color bool
	// ASCII is true where the reader's encoding is unknown.
	ASCII bool
	// Columns is the width to fill, in terminal cells; at least MinColumns.
	Columns int
}

// Widths in terminal cells.
const (
	// MinColumns is the narrowest width that is laid out for.
	MinColumns = 40
	// PipeColumns is the width where nothing tells: a pipe or a file.
	PipeColumns = 120
)

// Detect finds out about w. getenv is os.Getenv in the program.
//
// Colour follows NO_COLOR (no-color.org), CLICOLOR_FORCE (bixense.com/clicolors)
// and TERM=dumb, in the order: mode, NO_COLOR, CLICOLOR_FORCE, TERM.
func Detect(w io.Writer, mode ColorMode, getenv func(string) string) Output {
	o := Output{Columns: PipeColumns}
	f, ok := w.(*os.File)
	if ok && term.IsTerminal(int(f.Fd())) {
		o.Terminal = true
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
			o.Columns = n
		}
	}
	if n, err := strconv.Atoi(getenv("COLUMNS")); err == nil && n > 0 {
		o.Columns = n
	}
	o.Columns = min(max(o.Columns, MinColumns), 400)
	force := getenv("CLICOLOR_FORCE")
	switch {
	case mode == Always:
		o.Color = true
	case mode == Never, getenv("NO_COLOR") != "":
	case force != "" && force != "0":
		o.Color = true
	default:
		o.Color = o.Terminal && getenv("TERM") != "dumb"
	}
	if o.Terminal && !enableEscapes(f) {
		// An old Windows console shows escape sequences as they are.
		o.Color = false
	}
	// In a pipe on Windows nobody knows the code page of the reader.
	o.ASCII = runtime.GOOS == "windows" && !o.Terminal
	return o
}

// Style is an SGR sequence.
type Style string

// The styles in use. None of them carries meaning of its own.
const (
	Bold   Style = "\x1b[1m"
	Dim    Style = "\x1b[2m"
	Red    Style = "\x1b[31m"
	Green  Style = "\x1b[32m"
	Yellow Style = "\x1b[33m"
)

const reset = "\x1b[0m"

// Paint returns s in a style, or s itself where colour is off or s is empty.
func (o Output) Paint(st Style, s string) string {
	if !o.Color || s == "" || st == "" {
		return s
	}
	return string(st) + s + reset
}

// Text returns s fit to be printed to this output.
func (o Output) Text(s string) string {
	if o.ASCII {
		return ASCII(s)
	}
	return Clean(s)
}
