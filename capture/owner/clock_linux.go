package owner

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// clock converts nanoseconds since boot, which the kernel's events carry, into
// Unix nanoseconds. It is set again now and then, because the system's time is
// adjusted while the time since boot is not.
type clock struct {
	offset atomic.Int64
	first  int64
}

// bootClock is the process's clock.
var bootClock = sync.OnceValue(func() *clock {
	c := &clock{}
	c.set()
	c.first = c.offset.Load()
	return c
})

// start converts when a process began, zero to zero. It is always converted
// alike, since it tells two processes with one PID apart: a step of the
// system's time must not make two of one.
func (c *clock) start(boot int64) int64 {
	if boot == 0 {
		return 0
	}
	return boot + c.first
}

// set compares the two clocks. Of a few tries the one that took least time is
// the one that was not interrupted.
func (c *clock) set() {
	best, offset := int64(1<<62), int64(0)
	for range 5 {
		var a, b unix.Timespec
		if unix.ClockGettime(unix.CLOCK_BOOTTIME, &a) != nil {
			return
		}
		now := time.Now().UnixNano()
		if unix.ClockGettime(unix.CLOCK_BOOTTIME, &b) != nil {
			return
		}
		if took := b.Nano() - a.Nano(); took < best {
			best, offset = took, now-(a.Nano()+took/2)
		}
	}
	c.offset.Store(offset)
}

// unix converts; zero stays zero.
func (c *clock) unix(boot int64) int64 {
	if boot == 0 {
		return 0
	}
	return boot + c.offset.Load()
}
