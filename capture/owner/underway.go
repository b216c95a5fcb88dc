//go:build linux || windows

package owner

import "goproxytrace/capture/hostlog"

// underway are the attempts that a socket table shows in SYN-SENT. Ended is
// zero until one was reported, then reportedEnd.
type underway[K comparable] map[K]*hostlog.Attempt

const reportedEnd = -1

// waiting reports those that have been under way for age ns.
func (u underway[K]) waiting(out *queue, now, age int64) {
	for _, a := range u {
		if a.Ended == 0 && now-a.Time >= age {
			a.Ended = reportedEnd
			told := *a
			told.Ended = 0
			out.put(&told)
		}
	}
}

// over reports the end of an attempt that was reported, and forgets it. How it
// ended the table does not say: it may even have been answered since it was
// last seen.
func (u underway[K]) over(out *queue, k K, now int64) {
	a := u[k]
	delete(u, k)
	if a == nil || a.Ended != reportedEnd {
		return
	}
	told := *a
	told.Ended = now
	out.put(&told)
}
