package live

import (
	"context"
	"time"
)

// How long a session goes on after its command has ended.
const (
	// ringTimeout is how long the kernel may keep a packet to itself.
	ringTimeout = time.Second
	// farewell is how long an unfinished connection is waited for: whether
	// its FIN is answered, and how, is a free probe of the path.
	farewell = 2 * time.Second
	// stillness is how long nothing must have come.
	stillness = time.Second
	// longest ends the wait on a wire that does not become quiet.
	longest = 5 * time.Second
)

// Settle waits until the wire is quiet after the command's end.
func (s *Session) Settle(ctx context.Context) {
	ended := s.o.Now()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !settled(s.o.Now(), ended, s.Activity(), s.o.HoldBack) {
		select {
		case <-ctx.Done():
			return
		case <-s.ended:
			return
		case <-tick.C:
		}
	}
}

// settled says whether a session may end now.
func settled(now, ended time.Time, a Activity, holdBack time.Duration) bool {
	since := now.Sub(ended)
	switch {
	case since >= longest:
		return true
	case since < ringTimeout+holdBack:
		return false
	case a.Open == 0 && !a.Lost:
		return true
	}
	return since >= farewell+holdBack && now.Sub(a.Last) >= stillness
}
