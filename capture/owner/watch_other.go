//go:build !linux && !windows

package owner

import (
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"runtime"

	"goproxytrace/capture/hostlog"
)

// unknown is the watcher of a system that is not asked: every owner stays
// unknown.
type unknown struct{}

func (w *Watcher) open(opts Options) error {
	if opts.Mechanism != "" && opts.Mechanism != None {
		return fmt.Errorf("%w: %s on %s", ErrUnavailable, opts.Mechanism, runtime.GOOS)
	}
	w.platform, w.mechanism = unknown{}, None
	return nil
}

func (unknown) seen(_, _ netip.AddrPort, _ int64) {}
func (unknown) start(cmd *exec.Cmd) error         { return cmd.Start() }
func (unknown) close() error                      { return nil }

func (unknown) limits() []string {
	if runtime.GOOS == "darwin" {
		return []string{"the system's sockets are not watched on darwin: a connection's process is known where the capture itself names it (pktap)"}
	}
	return []string{"which process owns a connection is not known on " + runtime.GOOS}
}

// Sockets is not available on this system.
func Sockets([]uint32) ([]hostlog.Socket, error) {
	return nil, fmt.Errorf("socket table on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// GoProcesses is not available on this system.
func GoProcesses() ([]hostlog.Process, error) {
	return nil, fmt.Errorf("processes on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
