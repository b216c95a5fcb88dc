package recorder

import (
	"time"

	"golang.org/x/sys/unix"
)

// SystemClock is this machine's (clock_gettime(2)).
func SystemClock() Clock {
	return Clock{Now: time.Now, Awake: reading(unix.CLOCK_MONOTONIC), Boot: reading(unix.CLOCK_BOOTTIME)}
}

func reading(id int32) func() time.Duration {
	return func() time.Duration {
		var t unix.Timespec
		if unix.ClockGettime(id, &t) != nil {
			return 0 // both exist since Linux 2.6.39
		}
		return time.Duration(t.Nano())
	}
}
