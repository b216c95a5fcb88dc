package casefile

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"goproxytrace/capture/hostlog"
)

// Bounds of what is remembered, in records of a kind.
const (
	maxSettings = 1 << 10
	maxKept     = 64 << 10
)

// state is what a file must hold to be read alone: the settings, what the session is
// about, the processes that run or own connections, and the connections that are open.
type state struct {
	settings  map[[2]string]*hostlog.Setting
	subjects  map[uint32]*hostlog.Subject
	processes map[uint32]process
	claims    map[ends]*hostlog.Claim
	attempts  map[attempt]*hostlog.Attempt
	sockets   map[ends]*hostlog.Socket
}

type process struct {
	*hostlog.Process
	ended bool
}

// ends are the two ends of a connection as its owner sees them; both sides of
// one on the loopback interface have ends of their own.
type ends struct{ local, remote netip.AddrPort }

type attempt struct {
	pid    uint32
	time   int64
	remote netip.AddrPort
}

func newState() *state {
	return &state{
		settings:  map[[2]string]*hostlog.Setting{},
		subjects:  map[uint32]*hostlog.Subject{},
		processes: map[uint32]process{},
		claims:    map[ends]*hostlog.Claim{},
		attempts:  map[attempt]*hostlog.Attempt{},
		sockets:   map[ends]*hostlog.Socket{},
	}
}

// note takes a record in; the caller does not change it afterwards.
func (s *state) note(r hostlog.Record) {
	switch r := r.(type) {
	case *hostlog.Setting:
		if key := [2]string{r.From, r.Name}; len(s.settings) < maxSettings || s.settings[key] != nil {
			s.settings[key] = r
		}
	case *hostlog.Subject:
		if len(s.subjects) < maxSettings || s.subjects[r.PID] != nil {
			s.subjects[r.PID] = r
		}
	case *hostlog.Process:
		s.processes[r.PID] = process{Process: r}
		if len(s.processes) > maxKept {
			s.sweep()
			shrink(s.processes, func(p process) int64 { return p.Time })
		}
	case *hostlog.Exit:
		if p, known := s.processes[r.PID]; known {
			p.ended = true
			s.processes[r.PID] = p
		}
	case *hostlog.Claim:
		key := ends{r.Local, r.Remote}
		if r.Until == 0 {
			s.claims[key] = r
			shrink(s.claims, (*hostlog.Claim).When)
			return
		}
		// The ports may be in use again by another socket.
		if old := s.claims[key]; old != nil && old.Time <= r.Until && (old.Cookie == r.Cookie || old.Cookie == 0 || r.Cookie == 0) {
			delete(s.claims, key)
			delete(s.sockets, key)
		}
	case *hostlog.Attempt:
		key := attempt{r.PID, r.Time, r.Remote}
		if r.Ended != 0 || r.Error != "" {
			delete(s.attempts, key)
			return
		}
		s.attempts[key] = r
		shrink(s.attempts, (*hostlog.Attempt).When)
	case *hostlog.Socket:
		key := ends{r.Local, r.Remote}
		if r.State == "CLOSED" || r.State == "TIME-WAIT" {
			delete(s.sockets, key)
			return
		}
		s.sockets[key] = r
		shrink(s.sockets, (*hostlog.Socket).When)
	}
}

// shrink drops the older half of a table that has grown too large.
func shrink[K comparable, V any](m map[K]V, when func(V) int64) {
	if len(m) <= maxKept {
		return
	}
	times := make([]int64, 0, len(m))
	for _, v := range m {
		times = append(times, when(v))
	}
	slices.Sort(times)
	middle := times[len(times)/2]
	maps.DeleteFunc(m, func(_ K, v V) bool { return when(v) <= middle })
}

// sweep forgets processes that have ended, own no connection, and started no
// process that is remembered.
func (s *state) sweep() {
	need := map[uint32]bool{}
	keep := func(pid uint32) {
		for !need[pid] {
			p, known := s.processes[pid]
			if !known {
				return
			}
			need[pid] = true
			pid = p.Parent
		}
	}
	for pid, p := range s.processes {
		if !p.ended {
			keep(pid)
		}
	}
	for _, c := range s.claims {
		keep(c.PID)
	}
	for _, a := range s.attempts {
		keep(a.PID)
	}
	for _, k := range s.sockets {
		keep(k.PID)
	}
	maps.DeleteFunc(s.processes, func(pid uint32, _ process) bool { return !need[pid] })
}

// records returns what a new file repeats, in the order in which it is best
// lost at the end: settings, subjects, processes, then the newest connections first.
func (s *state) records() []hostlog.Record {
	s.sweep()
	var list []hostlog.Record
	for _, key := range slices.SortedFunc(maps.Keys(s.settings), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		list = append(list, s.settings[key])
	}
	for _, pid := range slices.Sorted(maps.Keys(s.subjects)) {
		list = append(list, s.subjects[pid])
	}
	processes := slices.SortedFunc(maps.Values(s.processes), func(a, b process) int {
		return cmp.Or(cmp.Compare(b.Time, a.Time), cmp.Compare(b.PID, a.PID))
	})
	for _, p := range processes {
		list = append(list, p.Process)
	}
	list = newestFirst(list, maps.Values(s.claims))
	list = newestFirst(list, maps.Values(s.attempts))
	return newestFirst(list, maps.Values(s.sockets))
}

func newestFirst[R hostlog.Record](list []hostlog.Record, records func(func(R) bool)) []hostlog.Record {
	sorted := slices.SortedFunc(records, func(a, b R) int {
		// The message settles what happened at the same time.
		return cmp.Or(cmp.Compare(b.When(), a.When()), cmp.Compare(a.Message(), b.Message()))
	})
	for _, r := range sorted {
		list = append(list, r)
	}
	return list
}
