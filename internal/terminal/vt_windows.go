package terminal

import (
	"os"

	"golang.org/x/sys/windows"
)

const utf8CodePage = 65001

// enableEscapes switches the console to UTF-8 and to reading escape sequences;
// it reports whether the console does the latter.
func enableEscapes(f *os.File) bool {
	h := windows.Handle(f.Fd())
	var mode uint32
	if windows.GetConsoleMode(h, &mode) != nil {
		return false
	}
	_ = windows.SetConsoleOutputCP(utf8CodePage) // without it, only names outside ASCII look wrong
	return windows.SetConsoleMode(h, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
