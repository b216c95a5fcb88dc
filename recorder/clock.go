package recorder

import "time"

// Clock tells the times that a recorder needs.
type Clock struct {
	// Now is the system's time of day, which may be set.
	Now func() time.Time
	// Awake goes on while the machine is awake; Boot does while it sleeps,
	// too. Neither can be set. Where a system does not tell them apart both
	// are the same.
	Awake, Boot func() time.Duration
}

// jump is from when on clocks that do not agree are worth a word: they are read
// one after the other.
const jump = 2 * time.Second

// clockWatch finds out that the machine slept, or that its time was set.
type clockWatch struct {
	clock       Clock
	awake, boot time.Duration
	now         int64
	begun       bool
}

// look compares the clocks. slept is the time for which the machine slept since
// it was asked last, set how far the time of day was set forward; zeros for
// neither.
func (w *clockWatch) look() (slept, set time.Duration) {
	now, awake, boot := w.clock.Now().UnixNano(), w.clock.Awake(), w.clock.Boot()
	if w.begun {
		slept = boot - w.boot - (awake - w.awake)
		set = time.Duration(now-w.now) - (boot - w.boot)
	}
	w.begun, w.now, w.awake, w.boot = true, now, awake, boot
	if slept < jump {
		slept = 0
	}
	if set < jump && set > -jump {
		set = 0
	}
	return slept, set
}
