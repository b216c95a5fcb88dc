package recorder

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"goproxytrace/analyze/goproxy"
	"goproxytrace/capture/hostlog"
)

// process is what is known of a running or lately ended process.
type process struct {
	record *hostlog.Process
	// owner is the episode of the go command that started it, nil for none;
	// member is true where its connections are that command's: it is the
	// command or works for it when modules are fetched.
	owner  *episode
	member bool
	gone   time.Duration // when it ended, by the awake clock
	ended  bool
}

// tree is what is known of processes, by PID.
type tree struct {
	byPID map[uint32]*process
	// changes counts what may have made a process another's.
	changes uint64
}

const (
	// maxProcesses bounds the tree; what has ended goes first.
	maxProcesses = 64 << 10
	// remembered is how long one that has ended can still be asked for: its
	// last packets come later.
	remembered = 2 * time.Minute
	// maxAncestors bounds the way up.
	maxAncestors = 32
)

// plain returns a process's name as its file is called on every system.
func plain(p *hostlog.Process) string {
	name := p.Name
	if base := p.Path[strings.LastIndexAny(p.Path, `/\`)+1:]; base != "" {
		name = strings.TrimSuffix(base, " (deleted)")
	}
	return strings.TrimSuffix(strings.ToLower(name), ".exe")
}

// same reports whether a record is about the process that is known by its PID.
func (p *process) same(r *hostlog.Process) bool {
	const apart = int64(50 * time.Millisecond)
	d := p.record.Start - r.Start
	return !p.ended && (p.record.Start == 0 || r.Start == 0 || -apart <= d && d <= apart)
}

// add takes what is learned of a process. begin makes an episode for a go
// command that no other has started.
func (t *tree) add(r *hostlog.Process, begin func(*process) *episode) *process {
	p := t.byPID[r.PID]
	if p == nil || !p.same(r) {
		if t.byPID == nil {
			t.byPID = make(map[uint32]*process)
		}
		p = &process{}
		t.byPID[r.PID] = p
	}
	p.record = r
	t.changes++
	name := plain(r)
	above := t.byPID[r.Parent]
	if above != nil && (above.owner == nil || above.owner.done || r.Parent == r.PID) {
		above = nil
	}
	// A go command that something else has started, such as a test or a build
	// tool, stands for itself, also where that runs below another.
	top := goproxy.Command(name) && (above == nil || !above.member)
	switch {
	case top && (p.owner == nil || p.owner.root != p):
		p.owner = begin(p)
	case p.owner == nil && above != nil && above.member:
		// What it starts is its own; what those start, such as a server that
		// go run has built, is not.
		p.owner = above.owner
	}
	p.member = p.owner != nil && (goproxy.Command(name) || above != nil && above.member && goproxy.Carrier(name))
	return p
}

// end notes a process's end.
func (t *tree) end(pid uint32, now time.Duration) *process {
	p := t.byPID[pid]
	if p != nil && !p.ended {
		p.ended, p.gone = true, now
	}
	return p
}

// forget drops what has ended and is not needed any more.
func (t *tree) forget(now time.Duration, open func(*episode) bool) {
	full := len(t.byPID) > maxProcesses
	maps.DeleteFunc(t.byPID, func(_ uint32, p *process) bool {
		if p.owner != nil && open(p.owner) && !full {
			return false
		}
		return p.ended && (full || now-p.gone > remembered)
	})
}

// ancestors lists those who started a process, the nearest first.
func (t *tree) ancestors(r *hostlog.Process) (out []*hostlog.Process) {
	for range maxAncestors {
		p := t.byPID[r.Parent]
		if p == nil || r.Parent == r.PID || slices.Contains(out, p.record) {
			return out
		}
		out = append(out, p.record)
		r = p.record
	}
	return out
}

// living lists the processes of an episode that have not ended, by PID.
func (t *tree) living(e *episode, membersOnly bool) (out []*process) {
	for _, p := range t.byPID {
		if p.owner == e && !p.ended && (p.member || !membersOnly) {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b *process) int { return cmp.Compare(a.record.PID, b.record.PID) })
	return out
}
