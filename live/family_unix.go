//go:build unix && !linux

package live

import (
	"errors"
	"os"
	"syscall"
)

// running asks with the signal that does nothing.
func running(p *os.Process) bool {
	err := p.Signal(syscall.Signal(0))
	return err == nil || errors.Is(err, syscall.EPERM)
}
