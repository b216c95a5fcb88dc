package terminal

import (
	"os"

	"golang.org/x/sys/windows"
)

// enableEscapes makes the console read escape sequences, and reports whether it
// does. Its code page stays: os.File writes UTF-16 to a console whatever that
// is, and it would stay changed when the program has ended.
func enableEscapes(f *os.File) bool {
	h := windows.Handle(f.Fd())
	var mode uint32
	if windows.GetConsoleMode(h, &mode) != nil {
		return false
	}
	return windows.SetConsoleMode(h, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
