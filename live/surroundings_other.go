//go:build !linux

package live

import (
	"goproxytrace/capture/hostlog"
	"goproxytrace/live/command"
)

// Surroundings is not known on this system.
func Surroundings(hostlog.Process) (command.Options, bool) { return command.Options{}, false }
