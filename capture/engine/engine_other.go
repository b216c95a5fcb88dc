//go:build !linux && !windows && !darwin

package engine

import (
	"fmt"
	"runtime"

	"goproxytrace/capture"
	"goproxytrace/capture/engine/hint"
)

const name = ""

var choices = []string{Auto}

func alternatives() []Alternative { return nil }

func open(*Options) (capture.Live, error) {
	return nil, hint.New(fmt.Errorf("%w (%s)", ErrUnsupported, runtime.GOOS), "Capture with tcpdump -w, and analyze the file.")
}
