//go:build !linux

package casefile

import (
	"errors"
	"os"
)

func allocate(*os.File, int64, int64) error { return errors.ErrUnsupported }

func noAllocation(err error) bool { return errors.Is(err, errors.ErrUnsupported) }
