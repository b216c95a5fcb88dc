package terminal

import (
	"errors"

	"golang.org/x/sys/windows"
)

func isWindowsBrokenPipe(err error) bool {
	return errors.Is(err, windows.ERROR_NO_DATA) || errors.Is(err, windows.ERROR_BROKEN_PIPE)
}
