package live

import (
	"sync"

	"goproxytrace/capture/hostlog"
)

// Tree is a set of processes and of what they start.
type Tree struct {
	mu      sync.Mutex
	members map[uint32]string // to their names
}

// maxMembers bounds the processes that are remembered.
const maxMembers = 64 << 10

// Add makes a process a member.
func (t *Tree) Add(pid uint32, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.members == nil {
		t.members = make(map[uint32]string)
	}
	if _, known := t.members[pid]; known || len(t.members) < maxMembers {
		t.members[pid] = name
	}
}

// Take learns from a record of the host. Processes whose parent is a member
// become members, and stay it after their end: their packets still come.
func (t *Tree) Take(r hostlog.Record) {
	p, ok := r.(*hostlog.Process)
	if !ok {
		return
	}
	t.mu.Lock()
	_, member := t.members[p.PID]
	_, child := t.members[p.Parent]
	t.mu.Unlock()
	if member || child && p.Parent != 0 {
		t.Add(p.PID, p.Name)
	}
}

// Has reports whether a process is a member.
func (t *Tree) Has(pid uint32) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.members[pid]
	return ok
}
