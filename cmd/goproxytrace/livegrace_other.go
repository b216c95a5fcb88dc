//go:build !windows

package main

import (
	"os"
	"time"
)

// grace is zero: nothing ends a session but its user.
func grace(os.Signal) time.Duration { return 0 }
