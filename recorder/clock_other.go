//go:build !linux

package recorder

import "time"

// SystemClock is this machine's. That it slept cannot be told from a clock that
// was set: what is told of then is the latter.
func SystemClock() Clock {
	start := time.Now()
	since := func() time.Duration { return time.Since(start) }
	return Clock{Now: time.Now, Awake: since, Boot: since}
}
